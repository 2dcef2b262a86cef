"""A telephone of the tests' own that dials a room: SIP over UDP, one stream of RTP, sound by ffmpeg's codecs.

`Member` is one call, `Pace` sends what all of them say, a packet each 20 ms, and keeps what they hear with the time when it
came. Packets of all three codecs have 160 bytes.
"""

import os
import random
import re
import socket
import struct
import subprocess
import threading
import time

from harness import DOMAIN, PASSWORD, check
from phones import greatest_share, share_of_tones, write_tone
from sip_datagram import Answer, Client

BYTES = 160
# Payload type, name and clock in a description; what ffmpeg calls it, and the rate of its sound.
CODECS = {
    "PCMU": (0, "PCMU/8000", "mulaw", 8000),
    "PCMA": (8, "PCMA/8000", "alaw", 8000),
    # The clock is wrong for ever (RFC 3551, section 4.5.2).
    "G722": (9, "G722/8000", "g722", 16000),
}


class Member(Client):
    """Somebody in a room, who says a tone over and over again."""

    def __init__(self, bench, exchange, user, codec, tone, amplitude):
        super().__init__(bench, 40, exchange, patience=5.0)
        self.user, self.codec = user, codec
        self.folder = bench.path(user)
        os.makedirs(self.folder)
        self.payloads = self._encoded(tone, amplitude)
        self.media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bench.deferred.append(self.media.close)
        self.media.bind((bench.address(40), 0))
        self.media.setblocking(False)
        self.ssrc, self.sequence = random.getrandbits(32), random.getrandbits(15)
        self.heard = []
        self.dialog = None

    def _encoded(self, tone, amplitude):
        """Two seconds of its tone, as payloads: a whole number of its periods, so that it goes on without a step."""
        wav, coded = (os.path.join(self.folder, name) for name in ("tone.wav", "tone.coded"))
        write_tone(wav, tone, 2, amplitude)
        _, _, name, rate = CODECS[self.codec]
        command = ["ffmpeg", "-v", "error", "-y", "-i", wav, "-ar", str(rate), "-c:a", _encoder(name), "-f", name, coded]
        subprocess.run(command, check=True, timeout=20)
        with open(coded, "rb") as file:
            data = file.read()
        return [data[at : at + BYTES] for at in range(0, len(data) - BYTES + 1, BYTES)]

    def dial(self, number):
        """Comes into the room."""
        ip, port = self.media.getsockname()
        payload_type, name, _, _ = CODECS[self.codec]
        offer = (
            f"v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} {name}\r\na=ptime:20\r\n"
        )
        uri, call = f"sip:{number}@{DOMAIN}", f"{self.ssrc:08x}@{ip}"
        challenged = self._ask("INVITE", uri, call, 1, f"<{uri}>", body=offer)
        check(challenged.status == 407, f"{self.user} is challenged, not answered with {challenged.status}")
        credentials = (self.user, PASSWORD, challenged)
        answer = self._ask("INVITE", uri, call, 2, f"<{uri}>", [self.authorization("INVITE", uri, credentials)], offer)
        check(answer.status == 200, f"{self.user} comes into the room: {answer.status} {answer.reason}")
        said = re.search(r"(?m)^m=audio (\d+) RTP/AVP (\d+)", answer.body)
        check(said and int(said[2]) == payload_type, f"{self.user} is answered in {self.codec}: {answer.body}")
        self.media.connect((re.search(r"(?m)^c=IN IP4 (\S+)", answer.body)[1], int(said[1])))
        contact = re.search(r"<([^>]+)>", answer["contact"])[1]
        self.dialog = (contact, call, answer["to"])

    def leave(self):
        contact, call, to = self.dialog
        answer = self._ask("BYE", contact, call, 3, to)
        check(answer.status == 200, f"{self.user} hangs up: {answer.status}")

    def _ask(self, method, uri, call, number, to, more=(), body=""):
        ip, port = self.socket.getsockname()
        branch = f"z9hG4bK-{call}-{number}"
        fixed = [
            f"Via: SIP/2.0/UDP {ip}:{port};branch={branch};rport", "Max-Forwards: 70",
            f"From: <sip:{self.user}@{DOMAIN}>;tag={self.ssrc:08x}", f"Call-ID: {call}",
            f"Contact: <sip:{self.user}@{ip}:{port}>",
        ]
        kind = ["Content-Type: application/sdp"] if body else []
        lines = [f"{method} {uri} SIP/2.0", *fixed, f"To: {to}", f"CSeq: {number} {method}", *more, *kind]
        self.socket.send(("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n" + body).encode())
        while True:
            data = self.socket.recv(65536)
            if branch.encode() not in data or data.startswith(b"SIP/2.0 1"):
                continue
            answer = Answer(data)
            answer.body = data.partition(b"\r\n\r\n")[2].decode()
            if method == "INVITE":
                target = uri
                if answer.status == 200:
                    target = re.search(r"<([^>]+)>", answer["contact"])[1]
                    fixed[0] = fixed[0].replace(branch, branch + "-ack")
                ack = [f"ACK {target} SIP/2.0", *fixed, f"To: {answer['to']}", f"CSeq: {number} ACK", "Content-Length: 0"]
                self.socket.send(("\r\n".join(ack) + "\r\n\r\n").encode())
            return answer

    def say(self, tick):
        """Sends the packet of this tick of 20 ms; nothing before it is in the room."""
        if not self.dialog:
            return
        payload_type = CODECS[self.codec][0]
        head = struct.pack("!BBHII", 0x80, payload_type, (self.sequence + tick) & 0xFFFF, tick * BYTES & 0xFFFFFFFF, self.ssrc)
        self._or_nothing(lambda: self.media.send(head + self.payloads[tick % len(self.payloads)]))

    def listen(self, now):
        """Keeps what has come."""
        if not self.dialog:
            return
        while packet := self._or_nothing(lambda: self.media.recv(2048)):
            if packet[1] & 0x7F == CODECS[self.codec][0]:
                self.heard.append((now, struct.unpack("!H", packet[2:4])[0], packet[12:]))

    @staticmethod
    def _or_nothing(action):
        try:
            return action()
        except (BlockingIOError, ConnectionRefusedError):
            return None

    def shares(self, tones, since, until):
        """The shares of tones in what came between two times, and how many packets were missing among those."""
        wav, missing = self._decoded(since, until)
        check(wav, f"{self.user} has heard something")
        return share_of_tones(wav, tones, (0.1, 0.9))[0], missing

    def loudest(self, tone, since, until):
        """The greatest share that a tone has in any fifth of a second between two times; 0 when nothing came."""
        wav, _ = self._decoded(since, until)
        return greatest_share(wav, tone) if wav else 0.0

    def _decoded(self, since, until):
        """A file of what came between two times, and how many packets are missing in it; no file when too little came."""
        packets = [(sequence, payload) for at, sequence, payload in self.heard if since <= at < until]
        if len(packets) < 50:
            return None, 0
        first = packets[0][0]
        ordered = dict(sorted(((sequence - first + 0x8000) & 0xFFFF, payload) for sequence, payload in packets))
        missing = max(ordered) - min(ordered) + 1 - len(ordered)
        coded, wav = (os.path.join(self.folder, name) for name in ("heard.coded", "heard.wav"))
        with open(coded, "wb") as file:
            file.write(b"".join(ordered.values()))
        _, _, name, rate = CODECS[self.codec]
        rated = ["-ar", str(rate), "-ac", "1"] if name != "g722" else []
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", name, *rated, "-i", coded, wav], check=True, timeout=20)
        return wav, missing


def _encoder(name):
    return {"mulaw": "pcm_mulaw", "alaw": "pcm_alaw", "g722": "g722"}[name]


class Pace:
    """Has members say and hear something, on a thread of its own, until it is ended."""

    def __init__(self, members):
        self.members = members
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        begun, tick = time.monotonic(), 0
        while not self.ending.is_set():
            now = time.monotonic()
            for member in self.members:
                member.listen(now)
            if now < begun + tick * 0.02:
                time.sleep(0.002)
                continue
            for member in self.members:
                member.say(tick)
            tick += 1

    def end(self):
        self.ending.set()
        self.thread.join(5)
