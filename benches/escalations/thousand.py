#!/usr/bin/env python3
"""A thousand escalations at once, each with an expert in a room, and a tenth of their calls killed three ways.

    cargo build --release -p strowger && cargo build --release -p sx-phone --example experts
    benches/escalations/thousand.py [ESCALATIONS [A SECOND]]        (1000, 50 a second)

The experts' telephones are `crates/app/phone/examples/experts.rs`, in three processes: one is killed, one has its sockets closed, and
of the third some hang up. What is checked: everybody in a room hears the one who speaks there before and after, but for those
killed; who was cut off is rung again, and another where that fails, and who has hung up is not; nothing is left at the end, and
when all that is done again no more memory, threads and files are taken. The set-up times are printed and drawn, from the message's arrival to the answer:
`docs/escalations-set-up.svg`.

Needs Python with `cryptography`. STROWGER and EXPERTS name other binaries.
"""
import datetime, http.client, json, os, pathlib, random, signal, socket, subprocess, sys, tempfile, time, urllib.request

from cryptography.hazmat.primitives import serialization

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ROOM_MEMBERS = 25
CONFIGURATION = """
[exchange]
domains = ["load.invalid"]
data = "{folder}/data"
[sip]
listen = [{{ transport = "udp", address = "127.0.0.1:{sip}" }}]
[media]
interfaces = [{{ name = "default", bind = ["127.0.0.1"] }}]
ports = "20000-39999"
silence_timeout_s = 5
[http]
listen = "127.0.0.1:{http}"
[api]
listen = "127.0.0.1:{api}"
requests_per_minute = 1000000
[policy]
file = "{folder}/policy.toml"
[log]
level = "warn"
[escalation]
room = "room-0"
rooms = {rooms}
ring_timeout_s = 2
rings_per_minute = 1000
keyless_experts = true
running_max = 5000
kept_max = 1000
{trunks}
"""
POLICY = """
[gate.fairness]
guardian_kbps = 0
[gate.rate]
class = []
limit = 0
"""


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Experts:
    """A process of telephones."""

    def __init__(self, name, folder):
        self.name, self.folder, self.sip = name, folder, free_port(socket.SOCK_DGRAM)
        self.start()

    def start(self):
        command = [os.environ.get("EXPERTS", ROOT / "target/release/examples/experts"), f"127.0.0.1:{self.sip}"]
        with open(self.folder / f"{self.name}.log", "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, stderr=log)

    def stop(self):
        self.process.kill()
        self.process.wait()

    def say(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def report(self):
        return json.loads(self.say("report"))


class Exchange:
    def __init__(self, folder, rooms, experts):
        self.folder, self.binary = folder, os.environ.get("STROWGER", str(ROOT / "target/release/strowger"))
        self.http, self.api = free_port(), free_port()
        trunks = "".join(f'[[room]]\nname = "room-{n}"\nmembers_max = {ROOM_MEMBERS + 5}\n' for n in range(rooms))
        for number, one in enumerate(experts):
            trunks += f'[[trunk]]\nname = "{one.name}"\naddresses = ["sip:127.0.0.1:{one.sip}"]\noptions_interval_s = 0\n'
            # A peer that is not known may hang up 30 calls in 10 s; then it is banned.
            trunks += 'sources = ["127.0.0.1"]\n' if one.name == "stays" else ""
            trunks += f'[[route]]\nname = "{one.name}"\nprefix = "{number + 1}"\nto = [{{ trunk = "{one.name}" }}]\n'
        names = json.dumps([f"room-{n}" for n in range(rooms)])
        text = CONFIGURATION.format(folder=folder, sip=free_port(socket.SOCK_DGRAM), http=self.http, api=self.api, rooms=names, trunks=trunks)
        (folder / "policy.toml").write_text(POLICY)
        (folder / "strowger.toml").write_text(text)

    def command(self, *words):
        done = subprocess.run([self.binary, "--config", self.folder / "strowger.toml", *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def start(self):
        self.process = subprocess.Popen([self.binary, "--config", self.folder / "strowger.toml", "serve"], stderr=open(self.folder / "exchange.log", "wb"))
        wait_for(lambda: self.is_up(), "the exchange is up", 20)
        self.token = json.loads(self.command("token", "create", "load", "--role", "operator", "--json"))["secret"]
        self.asked, self.connection = 0, http.client.HTTPConnection("127.0.0.1", self.api, timeout=30)

    def is_up(self):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.http}/readyz", timeout=1).read()
            return True
        except OSError:
            return False

    def ask(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        # A connection on which nothing was asked for a while is closed by the exchange.
        if time.monotonic() > self.asked + 3:
            self.connection.close()
        self.asked = time.monotonic()
        self.connection.request(method, f"/api/v1{path}", json.dumps(body) if body else None, headers if body else {"Authorization": headers["Authorization"]})
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def metric(self, name, labels=""):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics", timeout=10).read().decode()
        lines = [line for line in text.splitlines() if line.startswith((name + " ", name + "{")) and labels in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def memory(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1024

    def tasks_and_files(self):
        return tuple(len(os.listdir(f"/proc/{self.process.pid}/{what}")) for what in ("task", "fd"))

    def processor(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(is_so, what, seconds):
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            raise SystemExit(f"FAILED: {what}, not within {seconds} s")
        time.sleep(0.05)


def check(good, what):
    print(("ok    " if good else "FAIL  ") + what, flush=True)
    if not good:
        raise SystemExit(1)


def message(key, number, room, speaks):
    """Signed over its canonical form, which for these members is that of Python's json."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    hazard = {"type": "safety", "severity": "high", "rationale": "a load", "auto_escalate": True}
    said = {"id": f"m-{number}", "timestamp": now, "level": 2, "source": "guardian.security", "destination": "council", "version": "2.1",
            "performative": "escalate", "conversation_id": "if://conversation/load", "sequence_num": number, "citation_ids": [],
            "traceId": f"{'speaks' if speaks else 'silent'}-{number}",
            "payload": {"text": f"valve {number}", "hazard": hazard, "room": room}}
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    said["signature"] = {"algorithm": "ed25519", "public_key": public.hex(), "signature_bytes": key.sign(canonical).hex(), "signed_fields": sorted(said)}
    return said


def listening(groups, seconds=4):
    """What everybody has heard for a while."""
    for one in groups:
        one.report()
    time.sleep(seconds)
    return [call | {"process": one.name} for one in groups for call in one.report()]


def hears(calls, seconds=4):
    """Who of them has packets and, unless they speak themselves, the tone all the time."""
    packets = [call for call in calls if call["packets"] >= 50 * seconds * 0.97]
    tone = [call for call in calls if call["speaks"] or call["tone"] >= max(1, call["windows"] * 0.9)]
    return len(packets), len(tone)


def chart(times, path):
    """The share of escalations that were answered within so many milliseconds."""
    times, wide, high = sorted(times), 640, 320
    most = max(times[-1] * 1.05, 10)
    across = lambda ms: 60 + ms / most * (wide - 80)
    up = lambda share: high - 40 - share * (high - 60)
    points = " ".join(f"{across(ms):.1f},{up((place + 1) / len(times)):.1f}" for place, ms in enumerate(times))
    lines = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        lines.append(f'<line x1="60" x2="{wide - 20}" y1="{up(share):.1f}" y2="{up(share):.1f}" stroke="#ddd"/>')
        lines.append(f'<text x="52" y="{up(share) + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    for part in range(5):
        ms = most * part / 4
        lines.append(f'<text x="{across(ms):.1f}" y="{high - 22}" text-anchor="middle">{ms:.0f}</text>')
    marks = [(0.5, "p50"), (0.99, "p99")]
    for share, name in marks:
        ms = times[min(len(times) - 1, int(len(times) * share))]
        lines.append(f'<circle cx="{across(ms):.1f}" cy="{up(share):.1f}" r="3" fill="#c00"/>')
        lines.append(f'<text x="{across(ms) + 6:.1f}" y="{up(share) + 14:.1f}" fill="#c00">{name} {ms:.0f} ms</text>')
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="12">'
                    f'<rect width="{wide}" height="{high}" fill="#fff"/>{"".join(lines)}<polyline points="{points}" fill="none" stroke="#06c" stroke-width="2"/>'
                    f'<text x="{wide / 2}" y="{high - 4}" text-anchor="middle">ms from the message to the answer, {len(times)} escalations</text></svg>\n')


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 50
    tenth = count // 10
    with tempfile.TemporaryDirectory(prefix="strowger-thousand-") as name:
        folder = pathlib.Path(name)
        groups = [Experts(name, folder) for name in ("killed", "closed", "stays")]
        exchange = None
        try:
            exchange = Exchange(folder, (count + ROOM_MEMBERS - 1) // ROOM_MEMBERS, groups)
            run(folder, groups, exchange, count, rate, tenth)
        finally:
            for one in groups + ([exchange] if exchange else []):
                if getattr(one, "process", None) and one.process.poll() is None:
                    one.process.kill()


def run(folder, groups, exchange, count, rate, tenth):
    killed, closed, stays = groups
    third = tenth // 3
    # Those who are rung first are called so: the first ones of each process, and as many more as may have to step in.
    names = ["1"] * third + ["2"] * third + ["3"] * (count - 2 * third)
    random.Random(1).shuffle(names)
    names += ["3"] * (2 * tenth)
    people = [{"id": f"expert-{n:05}", "name": "An expert", "addresses": [f"{group}{n:05}"], "specialisations": [{"subject": "safety"}]} for n, group in enumerate(names)]
    (folder / "experts.json").write_text(json.dumps(people))
    exchange.command("expert", "import", str(folder / "experts.json"))
    exchange.start()
    key = serialization.load_pem_private_key((folder / "data/guardians/security.key").read_bytes(), None)
    left = []
    for place in range(3):
        if place:
            print("      once more, when all have rested for a minute:", flush=True)
            time.sleep(61)
            for one in killed, closed:
                one.stop()
                one.start()
        round_of(groups, exchange, key, count, rate, third, None if place else ROOT / "docs/escalations-set-up.svg")
        # Threads for work that waits end when they had none for 10 s.
        time.sleep(12)
        left.append((exchange.memory(), *exchange.tasks_and_files()))
    # Behind the first, as many that are over as are kept (`kept_max`) are there beside those of the second.
    (_, second, third_round) = left
    grown = third_round[0] - second[0]
    check(grown < 0.03 * second[0], f"the third round has left {grown:.1f} MiB more than the second")
    check(third_round[1:] == second[1:], f"and {third_round[1]} threads and {third_round[2]} files, as that did: {second[1:]}")
    exchange.process.send_signal(signal.SIGTERM)
    check(exchange.process.wait(20) == 0, "the exchange ends in order")
    check("ERROR" not in (folder / "exchange.log").read_text(), "and complains of nothing")


def round_of(groups, exchange, key, count, rate, third, path):
    """So many escalations from the first message to the last trace of them."""
    killed, closed, stays = groups
    empty = exchange.memory()
    first = int(time.time() * 1000)
    begun = time.monotonic()
    ids = []
    for number in range(count):
        time.sleep(max(0, begun + number / rate - time.monotonic()))
        status, answer = exchange.ask("POST", "/escalations", message(key, first + number, f"room-{number // ROOM_MEMBERS}", number % ROOM_MEMBERS == 0))
        if status != 201:
            raise SystemExit(f"FAILED: escalation {number} gets {status}: {answer}")
        ids.append(answer["id"])
    wait_for(lambda: exchange.metric("strowger_escalations") == count, f"{count} are held", 30)
    wait_for(lambda: sum(int(one.say("calls")) for one in groups) == count, f"{count} are in calls", 30)
    check(True, f"{count} escalations are held at once, begun within {time.monotonic() - begun:.0f} s")
    used, at = exchange.processor(), time.monotonic()
    before = listening(groups)
    share = (exchange.processor() - used) / (time.monotonic() - at)
    packets, tone = hears(before)
    check(packets >= count * 0.99 and tone >= count * 0.99, f"{packets} of {count} are sent all packets, {tone} hear who speaks; {share:.2f} processors, {exchange.memory():.0f} MiB (empty {empty:.0f})")
    reports = [exchange.ask("GET", f"/escalations/{id}")[1] for id in ids]
    stamp = lambda text: datetime.datetime.fromisoformat(text[:26].rstrip("Z")).timestamp()
    times = [(stamp(one["connected"]) - stamp(one["began"])) * 1000 for one in reports]
    times.sort()
    if path:
        chart(times, path)
    print(f"      set-up: p50 {times[len(times) // 2]:.1f} ms, p99 {times[int(len(times) * 0.99)]:.1f} ms, most {times[-1]:.1f} ms", flush=True)
    check(times[-1] < 2_000, "each was answered within 2 s")

    killed.process.send_signal(signal.SIGKILL)
    closed.say("close")
    hung_up = stays.say(f"bye {third}").split()
    check(len(hung_up) == third, f"a process with {third} is killed, the sockets of {third} are closed, {third} hang up")
    left = count - third
    # Longer than the silence takes to be noticed, and the ring of who was there.
    until = time.monotonic() + 60
    while int(stays.say("calls")) != left and time.monotonic() < until:
        time.sleep(0.2)
    rung = [exchange.ask("GET", f"/escalations/{id}")[1] for id in ids]
    if int(stays.say("calls")) != left:
        print(f"FAIL  {stays.say('calls')} calls, not {left}")
        for one in rung:
            if one["state"] not in ("connected", "ended"):
                print(f"      {one['id']} {one['state']}: {[(each['expert'], each['outcome'], each['cause']) for each in one['tried']]}")
    states = [one["state"] for one in rung]
    check(states.count("ended") == third and states.count("connected") == left, f"{third} have ended and are not rung again, {left} have an expert")
    again = [one for one in rung if len([try_ for try_ in one["tried"] if try_["outcome"] == "answered"]) > 1]
    check(len(again) == 2 * third, f"{len(again)} were rung again")
    after = listening([stays])
    # In a room whose speaker has hung up nobody can hear one.
    silent = [call for call in after if call["tone"] == 0 and not call["speaks"]]
    gone = sum(1 for one, state in zip(range(count), states) if state == "ended" and one % ROOM_MEMBERS == 0)
    packets, tone = hears(after)
    untouched = {call["number"] for call in before if call["process"] == "stays"}
    good = [call for call in after if call["number"] in untouched and call["packets"] >= 50 * 4 * 0.97]
    heard = tone >= left * 0.99 - gone * ROOM_MEMBERS
    check(packets >= left * 0.99 and heard and len(good) >= (len(untouched) - third) * 0.99, f"{packets} of {left} are sent all packets; {tone} hear who speaks, {len(silent)} have nobody who does")
    for id, one in zip(ids, rung):
        if one["state"] == "connected":
            exchange.ask("DELETE", f"/escalations/{id}")
    begun = time.monotonic()
    gone = lambda: all(exchange.metric(name) == 0 for name in ("strowger_escalations", "strowger_calls", "strowger_room_members"))
    wait_for(gone, "no escalation, no call and no member is left", 5)
    ports = lambda: exchange.metric("strowger_media_ports_opened_total") == exchange.metric("strowger_media_ports_closed_total")
    wait_for(ports, "no media port is left", 5)
    check(True, f"after {time.monotonic() - begun:.1f} s no escalation, call, member or media port is left; {exchange.memory():.0f} MiB")


main()
