#!/usr/bin/env python3
"""Fifty calls that are mixed, transcoded and recorded for as long as wanted, and what becomes of the server meanwhile.

    STROWGER=BINARY benches/peers/soak.py [MINUTES]      (60 minutes)

Ten calls of two parties, PCMA on one side and Opus on the other, and two rooms of fifteen members, every other one with Opus:
fifty legs, each recorded. Every leg sends a packet of 20 ms each 20 ms. A line a minute: the memory of the server
(PSS), its open files, what it took of a processor, the packets that were missing, and the delay that it added, p50 and p99 in ms:

* transcoded: from the packet of the sender to the packet with the same sound at the other end;
* mixed: from the first sample of a beep, sent by one member of each room every second, to its first sample at a listener with
  PCMA. That contains what the jitter buffer holds back, which is 20 ms where nothing jitters;
* held: what the jitter buffers of the rooms held, on an average, as the server's own metric has it;
* besides: mixed less held.

At the end everybody hangs up; the ports of the server are to be free, and its recordings to be verified.
"""
import array, audioop, contextlib, math, os, pathlib, select, selectors, socket, struct, subprocess, sys, tempfile, time
import urllib.request

from sip import PAYLOAD_TYPES, Party, description, media_port, payload_type
from sound import encoded, noise

PAIRS, ROOMS, MEMBERS = 10, 2, 15
FRAME = 0.02
CLOCKS = {"pcma": 8_000, "opus": 48_000}
STEPS = {"pcma": 160, "opus": 960}
# A listener takes for the beginning of a beep what is louder than this: half of how loud it is.
LOUD = 4_000
CONFIGURATION = """
[exchange]
data = "{folder}"
workers = 1
drain_s = 0
[sip]
listen = [{{ transport = "udp", address = "127.0.0.1:5060" }}]
[media]
interfaces = [{{ name = "default", bind = ["127.0.0.1"] }}]
ports = "10000-10999"
transcode = "needed"
threads = 1
[recording]
container = "{container}"
[policy]
file = "{folder}/policy.toml"
[http]
listen = "127.0.0.1:18080"
[api]
listen = "127.0.0.1:18081"
[[trunk]]
name = "callers"
sources = ["127.0.0.10"]
options_interval_s = 0
[[trunk]]
name = "callees"
sources = ["127.0.0.11"]
addresses = ["sip:{callees}"]
options_interval_s = 0
{rooms}
[[route]]
name = "pairs"
from_trunk = ["callers"]
exact = "6000"
to = [{{ trunk = "callees" }}]
"""
ROOM = """
[[room]]
name = "{number}"
members_max = 64
[[route]]
name = "{number}"
from_trunk = ["callers"]
exact = "{number}"
to = [{{ room = "{number}" }}]
"""


class Leg:
    """The sound of one leg, sent from a timetable of its own and looked at as it comes."""

    def __init__(self, codec, number):
        self.codec, self.kind, self.number = codec, PAYLOAD_TYPES[codec], number
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.towards, self.payloads = None, []
        self.sent, self.heard, self.first, self.highest = 0, 0, None, None
        self.times, self.other, self.beeps, self.quiet = {}, None, None, True

    def fileno(self):
        return self.socket.fileno()

    def send(self, now):
        words = (0x80, self.kind, self.sent & 0xFFFF, self.sent * STEPS[self.codec] & 0xFFFFFFFF, 1000 + self.number)
        payload = self.payloads[self.sent % len(self.payloads)]
        if self.beeps is not None and self.sent % 50 == 0:
            self.beeps.append(now)
        if self.other is not None:
            self.times[self.sent] = now
            self.times.pop(self.sent - 500, None)
        self.socket.sendto(struct.pack("!BBHII", *words) + payload, self.towards)
        self.sent += 1

    def take(self, now, delays):
        """Everything that has come."""
        while True:
            try:
                packet = self.socket.recv(2048)
            except BlockingIOError:
                return
            if len(packet) < 12 or packet[1] & 0x7F != self.kind:
                continue
            self.heard += 1
            timestamp = struct.unpack_from("!I", packet, 4)[0]
            if self.other is not None:
                self.place(now, timestamp, delays)
            if self.quiet is not None and self.codec == "pcma":
                self.listen(now, packet[12:], delays)

    def place(self, now, timestamp, delays):
        """Which packet of the other one this sound is of: the first that came is of the first that was sent."""
        if self.first is None:
            self.first = timestamp
        number = (timestamp - self.first & 0xFFFFFFFF) // STEPS[self.codec]
        sent = self.other.times.get(number)
        if sent is not None:
            delays["transcoded"].append(now - sent)

    def listen(self, now, payload, delays):
        samples = array.array("h", audioop.alaw2lin(payload, 2))
        loud = next((at for at, sample in enumerate(samples) if abs(sample) > LOUD), None)
        if loud is not None and self.quiet and self.hears.beeps:
            delays["mixed"].append(now + loud / 8_000 - self.hears.beeps[-1])
        self.quiet = loud is None


class Soak:
    def __init__(self, folder, running):
        self.folder, self.legs = folder, []
        self.delays = {"transcoded": [], "mixed": []}
        self.callees = Party("127.0.0.11", ("127.0.0.1", 5060), self.answer)
        rooms = "".join(ROOM.format(number=5000 + room) for room in range(ROOMS))
        text = CONFIGURATION.format(folder=folder, callees=self.callees.here, rooms=rooms, container=os.environ.get("CONTAINER", "wav"))
        (folder / "strowger.toml").write_text(text)
        (folder / "policy.toml").write_text(POLICY)
        self.binary = os.environ.get("STROWGER", "target/dist/strowger")
        command = [self.binary, "--config", str(folder / "strowger.toml"), "serve"]
        if os.environ.get("ALONE"):
            command = ["taskset", "-c", str(os.cpu_count() - 1), *command]
        self.process = subprocess.Popen(command, stdout=open(folder / "log", "wb"), stderr=subprocess.STDOUT)
        running.callback(self.stop)
        self.callers = Party("127.0.0.10", ("127.0.0.1", 5060))
        if not any(self.callers.is_up() for _ in range(100)):
            raise SystemExit(f"Strowger does not answer: {(folder / 'log').read_text()[-3000:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def answer(self, message):
        """The description of the called one of a pair, which takes Opus alone."""
        leg = self.leg("opus", 5)
        leg.towards, leg.kind = ("127.0.0.1", media_port(message)), payload_type(message, "opus")
        self.called = leg
        return description("opus", leg.port, kind=leg.kind)

    def leg(self, codec, beeps_in):
        leg = Leg(codec, len(self.legs))
        leg.payloads = PAYLOADS[codec][beeps_in]
        self.legs.append(leg)
        return leg

    def begin(self):
        for _ in range(PAIRS):
            caller = self.leg("pcma", 5)
            call = self.callers.dial("sip:6000@127.0.0.1", description("pcma", caller.port), [self.callees])
            caller.towards = ("127.0.0.1", media_port(call.answer))
            caller.other, self.called.other = self.called, caller
            caller.quiet = self.called.quiet = None
        for room in range(ROOMS):
            speaker = None
            for number in range(MEMBERS):
                leg = self.leg("pcma" if number % 2 == 0 else "opus", 1 if number == 0 else 0)
                call = self.callers.dial(f"sip:{5000 + room}@127.0.0.1", description(leg.codec, leg.port), [self.callees])
                leg.towards = ("127.0.0.1", media_port(call.answer))
                if number == 0:
                    speaker, leg.beeps, leg.quiet = leg, [], None
                else:
                    leg.hears = speaker

    def run(self, seconds):
        """Everybody speaks for so long, one after the other within each 20 ms."""
        waiting = selectors.DefaultSelector()
        for thing in (*self.legs, self.callers, self.callees):
            waiting.register(thing, selectors.EVENT_READ)
        begin = time.monotonic()
        turns = int(seconds / FRAME)
        for turn in range(turns):
            for place, leg in enumerate(self.legs):
                due = begin + (turn + place / len(self.legs)) * FRAME
                while True:
                    rest = due - time.monotonic()
                    for key, _ in waiting.select(max(0.0, rest)):
                        if isinstance(key.fileobj, Leg):
                            key.fileobj.take(time.monotonic(), self.delays)
                        else:
                            key.fileobj.serve()
                    if time.monotonic() >= due:
                        break
                leg.send(time.monotonic())
        waiting.close()

    def held(self):
        """The sum of what jitter buffers held so far, in seconds, and how often that was looked at."""
        return [self.metric(f"strowger_media_jitter_buffer_seconds_{part}") for part in ("sum", "count")]

    def metric(self, name):
        with urllib.request.urlopen("http://127.0.0.1:18080/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        values = [float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name]
        return sum(values)

    def report(self, minute, before):
        process = pathlib.Path(f"/proc/{self.process.pid}")
        pss = next(line for line in (process / "smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
        cpu = sum(int((task / "schedstat").read_text().split()[0]) for task in (process / "task").iterdir()) / 1e9
        sent, heard = sum(leg.sent for leg in self.legs), sum(leg.heard for leg in self.legs)
        files = len(list((process / "fd").iterdir()))
        seconds = 60 if minute else 5
        figures = [minute, f"{int(pss.split()[1]) / 1024:.1f}", files, f"{(cpu - before[0]) / seconds:.1%}"]
        figures.append(f"{(sent - before[1]) - (heard - before[2])}")
        for values in map(sorted, self.delays.values()):
            delays = [values[int(len(values) * share)] * 1000 if values else math.nan for share in (0.5, 0.99)]
            figures += [f"{delay:.1f}" for delay in delays]
        held = self.held()
        mean = (held[0] - before[3][0]) / max(held[1] - before[3][1], 1) * 1000
        figures += [f"{mean:.1f}", *(f"{delay - mean:.1f}" for delay in delays)]
        for values in self.delays.values():
            values.clear()
        print("| " + " | ".join(str(figure) for figure in figures) + " |", flush=True)
        return cpu, sent, heard, held

    def end(self):
        self.callers.hang_up()
        for _ in range(100):
            if self.callees.calls and select.select([self.callees], [], [], 0.1)[0]:
                self.callees.serve()
        time.sleep(6)
        open_ports, calls = self.metric("strowger_media_ports_open"), self.metric("strowger_calls_active")
        print(f"after the last has hung up: {open_ports:.0f} ports open, {calls:.0f} calls")
        return open_ports == 0 and calls == 0


def beeping(codec, beeps):
    """A second of payloads, the noise of a line, and so many beeps of 60 ms in it, each from the beginning of a packet."""
    rate = CLOCKS[codec]
    samples = noise(rate, 7)
    for beep in range(beeps):
        start = beep * (rate // beeps) // STEPS[codec] * STEPS[codec]
        for at in range(rate * 60 // 1000):
            samples[start + at] = int(12_000 * math.cos(2 * math.pi * 1_000 * at / rate))
    return encoded(codec, samples, rate)


PAYLOADS = {codec: {beeps: beeping(codec, beeps) for beeps in (0, 1, 5)} for codec in CLOCKS}
POLICY = """
[[rule]]
name = "kept"
when = { action = "call" }
then = "conditional"
obligations = { record = true, consent = "agreed" }
"""


def main():
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with contextlib.ExitStack() as running:
        folder = pathlib.Path(running.enter_context(tempfile.TemporaryDirectory(prefix="soak.")))
        soak = Soak(folder, running)
        soak.begin()
        soak.run(5)
        print("| minute | PSS, MB | files | of a processor | missing | transcoded p50 | p99 | mixed p50 | p99 | held | besides p50 | p99 |")
        print("|" + " --- |" * 12)
        before = soak.report(0, (0.0, 0, 0, [0, 0]))
        for minute in range(1, minutes + 1):
            soak.run(60)
            before = soak.report(minute, before)
        free = soak.end()
        kept = folder / "recordings"
        # They are hashed when their calls are over.
        for _ in range(120):
            if not list(kept.glob("*.part")):
                break
            time.sleep(1)
        verify = lambda path: subprocess.run([soak.binary, "recording", "verify", str(path)], capture_output=True).returncode
        found = [verify(path) for path in sorted(kept.glob("*.json"))]
        print(f"{len(found)} recordings, of which {found.count(0)} are as they were when they ended")
        sys.exit(0 if free and len(found) == PAIRS + ROOMS * MEMBERS and not any(found) else 1)


if __name__ == "__main__":
    main()
