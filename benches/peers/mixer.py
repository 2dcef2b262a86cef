#!/usr/bin/env python3
"""Measures what a member of a room costs Janus, by its AudioBridge, and Strowger, on the same input in turn.

    STROWGER=BINARY benches/peers/mixer.py [MEMBERS [SPEAKERS [SECONDS]]]      (25 members, 3 of them speaking, for 10 s)

Needs Janus 0.10.8 or later (`apt install janus`), libopus, Python with audioop (up to 3.12). Each server is started with
a configuration of its own in a temporary folder, on the last processor alone, and this program runs on the others.

* `janus.py`: rooms at 8,000, 16,000 or 48,000 Hz whose members are plain RTP;
* `strowger.py`: members dial a room by SIP; the room takes each at the rate of its codec.

Everybody sends a packet of 20 ms each 20 ms: who speaks, something like speech, others the noise of a line. What comes
back is counted, and of G.711 looked at: the last packets of a listener are to be loud. A line for each room: its rate, the
codec, what a member took of a processor in each server and the ratio, and the packets that came back (50 a second for each
member). What a server takes with nobody in it is taken off.
"""
import audioop, contextlib, os, pathlib, socket, struct, sys, tempfile, time, typing

from janus import Janus
from sound import encoded, noise, speech
from strowger import Strowger

ROOMS = [(8_000, "pcma"), (16_000, "opus"), (48_000, "opus"), (48_000, "pcma")]
FRAME = 0.02


class Offer(typing.NamedTuple):
    """What a member wants to be sent, and where."""

    codec: str
    payload_type: int
    port: int
    parameters: str


class Member:
    def __init__(self, server, room, number, codec, payloads, parameters):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.type, self.step = (8, 160) if codec == "pcma" else (111, 960)
        self.address = server.join(room, number, Offer(codec, self.type, self.socket.getsockname()[1], parameters))
        self.payloads, self.sent, self.number = payloads, 0, number
        self.heard, self.last = 0, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def tick(self):
        header = struct.pack("!BBHII", 0x80, self.type, self.sent & 0xFFFF, self.sent * self.step & 0xFFFFFFFF, 1000 + self.number)
        self.socket.sendto(header + self.payloads[self.sent % len(self.payloads)], self.address)
        self.sent += 1
        while True:
            try:
                packet = self.socket.recv(2048)
            except BlockingIOError:
                return
            self.heard += 1
            self.last = self.last[-9:] + [packet[12:]]


def run(members, seconds):
    """Everybody speaks for so long, as regularly as can be."""
    begin = time.monotonic()
    for tick in range(int(seconds / FRAME)):
        for member in members:
            member.tick()
        time.sleep(max(0.0, begin + (tick + 1) * FRAME - time.monotonic()))


def cpu(server):
    """Seconds that all threads of a server have run."""
    threads = pathlib.Path(f"/proc/{server.process.pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def measure(server, rate, codec, members, speakers, seconds):
    """What a server took of a processor, and the packets a second that came back to a member."""
    room = server.open(rate, codec)
    sounding = 8_000 if codec == "pcma" else 48_000
    parameters = f"maxplaybackrate={rate};sprop-maxcapturerate={rate}" if codec == "opus" else ""
    with contextlib.ExitStack() as sockets:
        party = []
        for number in range(members):
            sound = (speech if number < speakers else noise)(sounding, number)
            payloads = encoded(codec, sound, sounding)
            party.append(sockets.enter_context(Member(server, room, number, codec, payloads, parameters)))
        run(party, 2)
        server.keep_alive()
        for member in party:
            member.heard = 0
        before, begin = cpu(server), time.monotonic()
        run(party, seconds)
        share = (cpu(server) - before) / (time.monotonic() - begin)
        back = sum(member.heard for member in party) / max(1, members) / seconds
        if codec == "pcma" and party:
            loud = audioop.rms(audioop.alaw2lin(b"".join(party[-1].last), 2), 2)
            print(f"    {server.name}: a listener hears {loud} of 32768 (root of the mean square)", file=sys.stderr)
        server.close(room)
    return share, back


def main():
    members, speakers, seconds = (int(value) for value in (sys.argv[1:] + ["25", "3", "10"][len(sys.argv) - 1:]))
    os.sched_setaffinity(0, range(max(1, os.cpu_count() - 1)))
    with contextlib.ExitStack() as running:
        servers = []
        for kind in (Janus, Strowger):
            folder = running.enter_context(tempfile.TemporaryDirectory(prefix="mixer."))
            server = kind(pathlib.Path(folder))
            running.callback(server.end)
            servers.append((server, measure(server, 8_000, "pcma", 0, 0, seconds)[0]))
        print(f"{members} members, {speakers} of them speaking; shares are of one processor\n")
        print("| rate | codec | Janus, a member | Strowger, a member | ratio | packets/s back |\n| --- | --- | --- | --- | --- | --- |")
        for rate, codec in ROOMS:
            found = []
            for server, idle in servers:
                share, back = measure(server, rate, codec, members, speakers, seconds)
                found.append(((share - idle) / members, back))
            (theirs, their_back), (ours, our_back) = found
            print(
                f"| {rate} | {codec} | {theirs:.3%} | {ours:.3%} | {ours / theirs:.2f} | {their_back:.1f} / {our_back:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
