#!/usr/bin/env python3
"""Measures what a member of a room costs Janus: its AudioBridge, with members who are plain RTP.

    benches/peers/mixer.py [MEMBERS [SPEAKERS [SECONDS]]]      (25 members, 3 of them speaking, for 10 s)

Needs Janus 0.10.8 or later (`apt install janus`), libopus, Python with audioop (up to 3.12). Janus is started with
a configuration of its own in a temporary folder, on one processor, and spoken to by its socket of packets:

* `create` with `allow_rtp_participants` and `sampling_rate`: a room at 8,000, 16,000 or 48,000 Hz;
* for each member a handle of its own, and `join` with `codec` ("pcma" or "opus") and `rtp`: where to send the mix to. The
  event `joined` says in the same field where Janus wants the member's RTP.

Everybody sends a packet of 20 ms each 20 ms: who speaks, something like speech, others the noise of a line. What comes
back is counted, and of G.711 looked at: the last packets of a listener are to be loud. A line for each room: its rate, the
codec, what of a processor it took, what a member took of that, and the packets that came back (50 a second for each
member). The first line is Janus with nobody in the room, which the others are to be reduced by.
"""
import array, audioop, ctypes, ctypes.util, json, math, os, pathlib, random, socket, struct, subprocess, sys, tempfile
import threading, time

ROOMS = [(8_000, "pcma"), (16_000, "opus"), (48_000, "opus"), (48_000, "pcma")]
FRAME = 0.02
KEPT = 500


class Janus:
    """The server, and one session with it."""

    def __init__(self, folder):
        path = folder / "janus.socket"
        (folder / "janus.jcfg").write_text(
            'general: { debug_level = 2, admin_secret = "x" }\n'
            'media: { rtp_port_range = "40000-44000" }\n'
            'transports: { disable = "libjanus_http.so,libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_rabbitmq.so,'
            'libjanus_websockets.so" }\n'
            'plugins: { disable = "libjanus_duktape.so,libjanus_lua.so,libjanus_echotest.so,libjanus_nosip.so,'
            'libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_textroom.so,libjanus_videocall.so,'
            'libjanus_videoroom.so,libjanus_voicemail.so" }\n'
        )
        (folder / "janus.transport.pfunix.jcfg").write_text(
            f'general: {{ enabled = true, json = "plain", path = "{path}", type = "SOCK_SEQPACKET" }}\nadmin: {{ }}\n'
        )
        (folder / "janus.plugin.audiobridge.jcfg").write_text('general: { local_ip = "127.0.0.1" }\n')
        last = str(os.cpu_count() - 1)
        command = ["taskset", "-c", last, "janus", "-F", str(folder), "-i", "127.0.0.1"]
        self.process = subprocess.Popen(command, stdout=open(folder / "log", "wb"), stderr=subprocess.STDOUT)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for _ in range(100):
            try:
                self.socket.connect(str(path))
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise SystemExit(f"Janus does not answer: {(folder / 'log').read_text()[-2000:]}")
        self.asked = 0
        self.session = self.ask({"janus": "create"})["data"]["id"]

    def ask(self, request, ends=("success", "event", "error")):
        self.asked += 1
        request["transaction"] = str(self.asked)
        if hasattr(self, "session"):
            request["session_id"] = self.session
        self.socket.send(json.dumps(request).encode())
        while True:
            answer = json.loads(self.socket.recv(1 << 20))
            if answer.get("transaction") == str(self.asked) and answer["janus"] in ends:
                if answer["janus"] == "error":
                    raise SystemExit(f"{request}: {answer}")
                return answer

    def handle(self):
        return self.ask({"janus": "attach", "plugin": "janus.plugin.audiobridge"})["data"]["id"]

    def message(self, handle, body):
        answer = self.ask({"janus": "message", "handle_id": handle, "body": body})["plugindata"]["data"]
        if "error" in answer:
            raise SystemExit(f"{body}: {answer}")
        return answer

    def keep_alive(self):
        self.ask({"janus": "keepalive"}, ends=("ack", "error"))

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        self.process.terminate()
        self.process.wait()


def speech(rate, number):
    """A second: two tones that come and go five times."""
    loudness = lambda t: max(0.0, math.sin(2 * math.pi * 5 * t))
    tones = lambda t: math.sin(2 * math.pi * (180 + 10 * number) * t) + 0.5 * math.sin(2 * math.pi * (1130 + 20 * number) * t)
    return array.array("h", (int(6_000 * loudness(i / rate) * tones(i / rate)) for i in range(rate)))


def noise(rate, number):
    chance = random.Random(number)
    return array.array("h", (chance.randint(-15, 15) for _ in range(rate)))


def encoded(codec, samples, rate):
    """The payloads of a second of sound."""
    frame = rate // 50
    frames = [samples[at:at + frame].tobytes() for at in range(0, rate, frame)]
    if codec == "pcma":
        return [audioop.lin2alaw(frame, 2) for frame in frames]
    opus = ctypes.CDLL(ctypes.util.find_library("opus"))
    opus.opus_encoder_create.restype = ctypes.c_void_p
    error = ctypes.c_int()
    encoder = ctypes.c_void_p(opus.opus_encoder_create(rate, 1, 2048, ctypes.byref(error)))
    out, payloads = ctypes.create_string_buffer(1500), []
    for piece in frames:
        payloads.append(out.raw[:opus.opus_encode(encoder, piece, frame, out, 1500)])
    return payloads


class Member:
    def __init__(self, janus, room, number, codec, payloads):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.type, self.step = (8, 160) if codec == "pcma" else (111, 960)
        rtp = {"ip": "127.0.0.1", "port": self.socket.getsockname()[1], "payload_type": self.type}
        join = {"request": "join", "room": room, "id": number + 1, "codec": codec, "rtp": rtp, "muted": False}
        theirs = janus.message(janus.handle(), join)["rtp"]
        self.address = (theirs["ip"], theirs["port"])
        self.payloads, self.sent, self.number = payloads, 0, number
        self.heard, self.last = 0, []

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


def measure(janus, rate, codec, members, speakers, seconds):
    room, handle = KEPT + rate + len(codec), janus.handle()
    janus.message(handle, {"request": "create", "room": room, "sampling_rate": rate, "allow_rtp_participants": True})
    sounding = 8_000 if codec == "pcma" else 48_000
    party = []
    for number in range(members):
        sound = (speech if number < speakers else noise)(sounding, number)
        party.append(Member(janus, room, number, codec, encoded(codec, sound, sounding)))
    run(party, 2)
    janus.keep_alive()
    for member in party:
        member.heard = 0
    before, begin = janus.cpu(), time.monotonic()
    run(party, seconds)
    share = (janus.cpu() - before) / (time.monotonic() - begin)
    back = sum(member.heard for member in party) / max(1, members) / seconds
    if codec == "pcma" and party:
        loud = audioop.rms(audioop.alaw2lin(b"".join(party[-1].last), 2), 2)
        print(f"    a listener hears {loud} of 32768 (root of the mean square)", file=sys.stderr)
    janus.message(handle, {"request": "destroy", "room": room})
    print(f"| {rate} | {codec} | {members} | {share * 100:.1f} % | {share * 100 / max(1, members):.2f} % | {back:.1f} |", flush=True)


def main():
    members, speakers, seconds = (int(value) for value in (sys.argv[1:] + ["25", "3", "10"][len(sys.argv) - 1:]))
    with tempfile.TemporaryDirectory(prefix="mixer.") as folder:
        janus = Janus(pathlib.Path(folder))
        try:
            print("| rate | codec | members | of a processor | a member | packets/s back |\n| --- | --- | --- | --- | --- | --- |")
            measure(janus, 8_000, "pcma", 0, 0, seconds)
            for rate, codec in ROOMS:
                measure(janus, rate, codec, members, speakers, seconds)
        finally:
            janus.end()


if __name__ == "__main__":
    main()
