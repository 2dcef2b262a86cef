#!/usr/bin/env python3
"""Compares two verifiers of the witness log, the exchange's own and witness_verify.py, on logs that were tampered with or not.

    interop/witness_compare.py --cases 10000 --seed 1

The logs come of `edited_logs`, an example of the crate `sx-witness`, which says of each what was done to it and what the
exchange's verifier finds. It is built with cargo, unless EDITED_LOGS=PATH says where it is. Every disagreement is printed, with its
seed. Exit code 1 when there is one.
"""

import argparse
import collections
import multiprocessing
import os
import subprocess
import sys
import tempfile

import witness_verify
from witness_format import COSIGNS, Checkpoint, Key

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROCESSES = 2
# So many logs lie in the folder at a time.
BATCH = 1000


def edited_logs(*arguments, release=False):
    """Runs the example."""
    command = ["cargo", "run", "-q", "-p", "sx-witness", "--example", "edited_logs", *["--release"] * release, "--"]
    if built := os.environ.get("EDITED_LOGS"):
        command = [os.path.abspath(built)]
    done = subprocess.run([*command, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=1200)
    if done.returncode != 0:
        raise RuntimeError(f"edited_logs: {done.stderr.strip()}")


def read(*path):
    with open(os.path.join(*path), encoding="utf-8", newline="") as file:
        return file.read()


def python_found(case):
    """What witness_verify.py finds in the folder of a case."""
    anchors = [Checkpoint(read(case, "anchor"))] if os.path.exists(os.path.join(case, "anchor")) else []
    witness = Key(read(case, "witness_key").strip(), COSIGNS)
    return witness_verify.verify(os.path.join(case, "witness"), read(case, "key").strip(), anchors, [witness])


def judge(case):
    """What was done to a log, whether the verifiers agree with it and with each other, and what they said."""
    expected, edit = read(case, "expected").strip(), read(case, "edit").strip()
    rust, counts, *rust_problems = read(case, "found").splitlines()
    found = python_found(case)
    python = "tampered" if found.problems else "torn" if found.torn else "honest"
    agree = expected == rust == python
    if expected != "tampered":
        agree = agree and counts == f"{found.next} {found.checkpoints} {found.torn}"
    said = "" if agree else f"expected {expected}; Rust {rust} {counts} {rust_problems[:3]}; Python {python} {found.next} " \
        f"{found.checkpoints} {found.torn} {found.problems[:3]}"
    return edit, agree, said


def compare_folder(folder):
    """Judges all cases of a folder: the number of each edit, and the disagreements."""
    names = sorted(os.listdir(folder))
    edits, disagreements = collections.Counter(), []
    with multiprocessing.Pool(PROCESSES) as pool:
        results = pool.imap(judge, [os.path.join(folder, name) for name in names], chunksize=16)
        for name, (edit, agree, said) in zip(names, results):
            edits[edit] += 1
            if not agree:
                disagreements.append(f"{name} ({edit}): {said}")
    return edits, disagreements


def compare(count, seed=0, release=False, progress=lambda edits: None):
    """Compares the verifiers on so many logs, from this seed on."""
    edits, disagreements = collections.Counter(), []
    for begin in range(0, count, BATCH):
        with tempfile.TemporaryDirectory(prefix="strowger-logs-") as folder:
            edited_logs(folder, min(BATCH, count - begin), seed + begin, release=release)
            more, wrong = compare_folder(folder)
        edits += more
        disagreements += [f"seed {seed + begin} + {text}" for text in wrong]
        progress(edits)
    return edits, disagreements


def main():
    parser = argparse.ArgumentParser(description="Compares two verifiers of the witness log.")
    parser.add_argument("--cases", type=int, default=300, metavar="N", help="how many logs (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the seed of the first (%(default)s)")
    parser.add_argument("--release", action="store_true", help="build the example for speed")
    options = parser.parse_args()
    edits, disagreements = compare(options.cases, options.seed, options.release)
    for edit, count in edits.most_common():
        print(f"{count:6} {edit}")
    print("\n".join(disagreements[:50]))
    print(f"{sum(edits.values())} logs, {len(disagreements)} disagreements")
    return 1 if disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
