#!/usr/bin/env python3
"""Measures Strowger and another SIP server in turn, so that both meet the machine in the same moods.

    HARNESS=DIR PEER=kamailio PEER_CMD='bash .../start.sh' benches/peers/alternate.py ROUNDS MEASURE [ARGUMENT ...]

HARNESS is the folder of the load generator: `bench_sip.py MEASURE [ARGUMENT ...]` there starts SERVER_CMD, loads it,
and writes one JSON file a measure to RESULTS, under the name LABEL. PEER_CMD starts the other server; `serve.sh` beside
this file starts Strowger, the binary being STROWGER. Every round runs the peer and then Strowger once. At the end a
Markdown table of the medians over the rounds, with the least and the greatest, and the ratio of Strowger to the peer.
"""
import collections, json, os, pathlib, statistics, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent
OURS = "strowger"


def run(label, command, results, arguments):
    harness = pathlib.Path(os.environ["HARNESS"]).resolve()
    environment = dict(os.environ, LABEL=label, SERVER_CMD=command, REPEAT="1", RESULTS=str(results))
    subprocess.run([sys.executable, harness / "bench_sip.py", *arguments], env=environment, check=True)


def medians(results):
    """What one round measured: {(test, measure): value}."""
    found = {}
    for path in sorted(results.glob("*.json")):
        label, _, test = path.stem.partition("-")
        for measure, value in json.loads(path.read_text()).items():
            if isinstance(value, dict) and "median" in value:
                found[label, test, measure] = value["median"]
    return found


def shown(values):
    figure = lambda x: f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"
    return f"{figure(statistics.median(values))} ({figure(min(values))}–{figure(max(values))})"


def main():
    rounds, arguments = int(sys.argv[1]), sys.argv[2:]
    peer, folder = os.environ["PEER"], pathlib.Path(tempfile.mkdtemp(prefix="alternate."))
    os.environ.setdefault("BENCH_TMP", str(folder))
    values = collections.defaultdict(list)
    for number in range(rounds):
        results = folder / f"round-{number}"
        run(peer, os.environ["PEER_CMD"], results, arguments)
        run(OURS, f"bash {HERE / 'serve.sh'}", results, arguments)
        for key, value in medians(results).items():
            values[key].append(value)
    print(f"| test | measure | {peer} | {OURS} | ratio |\n| --- | --- | --- | --- | --- |")
    for test, measure in dict.fromkeys((test, measure) for _, test, measure in values):
        theirs, ours = (values.get((label, test, measure), []) for label in (peer, OURS))
        if theirs and ours:
            divisor = statistics.median(theirs)
            ratio = f"{statistics.median(ours) / divisor:.2f}" if divisor else "–"
            print(f"| {test} | {measure} | {shown(theirs)} | {shown(ours)} | {ratio} |")


if __name__ == "__main__":
    main()
