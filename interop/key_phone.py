"""The sound of a telephone that presses keys, and what one hears of keys: by events in RTP, and by tones.

It is written from the standards and shares nothing with the exchange; what sounds is made by sox, and listened to by multimon-ng.
"""

import array
import re
import socket
import struct
import subprocess
import threading
import time

import harness

KEYS = "0123456789*#ABCD"
RATE = 8000
EVENTS = 101
PACKET = RATE // 50

# ITU-T Q.23.
LOW = {"1": 697, "2": 697, "3": 697, "A": 697, "4": 770, "5": 770, "6": 770, "B": 770,
       "7": 852, "8": 852, "9": 852, "C": 852, "*": 941, "0": 941, "#": 941, "D": 941}
HIGH = {"1": 1209, "4": 1209, "7": 1209, "*": 1209, "2": 1336, "5": 1336, "8": 1336, "0": 1336,
        "3": 1477, "6": 1477, "9": 1477, "#": 1477, "A": 1633, "B": 1633, "C": 1633, "D": 1633}


def expanded(code):
    """A code of µ-law as a sample (ITU-T G.711)."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) * 8 + 132) << (code >> 4 & 7)) - 132
    return -magnitude if code & 0x80 else magnitude


EXPANDED = [expanded(code) for code in range(256)]


def compressed(sample):
    """A sample as a code of µ-law."""
    sign, magnitude = (0x80 if sample < 0 else 0), min(abs(sample), 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 0x0F) & 0xFF


class Sound:
    """One end of a stream: a socket whose packets are kept, and that sends at the pace of the sound."""

    def __init__(self, bench, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.port = self.socket.getsockname()[1]
        self.packets = []
        self.sequence, self.timestamp = 1000, 5000
        bench.deferred.append(self.socket.close)
        threading.Thread(target=self._receive, daemon=True).start()

    def description(self, address, events=True):
        """What it says of itself, for sipp."""
        lines = ["v=0", f"o=keys 1 1 IN IP4 {address}", "s=-", f"c=IN IP4 {address}", "t=0 0"]
        lines += [f"m=audio {self.port} RTP/AVP 0" + (f" {EVENTS}" if events else ""), "a=rtpmap:0 PCMU/8000"]
        lines += [f"a=rtpmap:{EVENTS} telephone-event/8000", f"a=fmtp:{EVENTS} 0-15"] if events else []
        return "\n".join("      " + line for line in [*lines, "a=ptime:20", "a=sendrecv"]) + "\n"

    def _receive(self):
        while True:
            try:
                packet = self.socket.recv(2048)
            except OSError:
                return
            if len(packet) > 12 and packet[0] >> 6 == 2:
                self.packets.append(packet)

    def _send(self, to, payload_type, payload, marker=False, ticks=0):
        head = struct.pack("!BBHII", 0x80, payload_type | marker << 7, self.sequence, self.timestamp, 0x5EED)
        self.socket.sendto(head + payload, to)
        self.sequence = self.sequence + 1 & 0xFFFF
        self.timestamp = self.timestamp + ticks & 0xFFFFFFFF
        time.sleep(0.02)

    def says(self, to, samples):
        """Sends 16-bit samples as PCMU."""
        law = bytes(compressed(sample) for sample in array.array("h", samples))
        for at in range(0, len(law) - PACKET + 1, PACKET):
            self._send(to, 0, law[at : at + PACKET], ticks=PACKET)

    def is_silent(self, to, seconds):
        self.says(to, bytes(2 * int(RATE * seconds)))

    def presses(self, to, keys):
        """Presses keys as events: 80 ms each, with the end three times, and 60 ms of silence behind it."""
        for key in keys:
            for number in range(6):
                end = number >= 3
                payload = struct.pack("!BBH", KEYS.index(key), 10 | end << 7, PACKET * min(number + 1, 4))
                self._send(to, EVENTS, payload, marker=number == 0)
            self.timestamp += 6 * PACKET
            self.is_silent(to, 0.06)

    def events(self):
        """The keys that it has heard as events. Each packet of an event has the timestamp of its beginning."""
        keys, known = "", set()
        for packet in self.packets:
            payload_type, timestamp = packet[1] & 0x7F, struct.unpack("!I", packet[4:8])[0]
            if payload_type != EVENTS:
                continue
            if timestamp not in known:
                known.add(timestamp)
                keys += KEYS[packet[12]]
        return keys

    def ends_are_repeated(self):
        """The end of each key comes three times."""
        ends = {}
        for packet in self.packets:
            if packet[1] & 0x7F == EVENTS:
                ends[packet[4:8]] = ends.get(packet[4:8], 0) + (packet[13] >> 7)
        harness.check(all(count == 3 for count in ends.values()), f"the end of each key comes three times: {ends.values()}")

    def numbers_follow(self):
        """Sequence numbers of each source go up by one, and there is one source from the first key on."""
        sources = [packet[8:12] for packet in self.packets if packet[1] & 0x7F == EVENTS]
        harness.check(len(set(sources)) <= 1, "keys come of one source")
        numbers = [struct.unpack("!H", packet[2:4])[0] for packet in self.packets if packet[8:12] in sources]
        steps = {(after - before) & 0xFFFF for before, after in zip(numbers, numbers[1:])}
        harness.check(steps <= {1}, f"its numbers go up by one: {steps}")

    def tones(self, folder):
        """The keys that multimon-ng hears in its sound."""
        codes = b"".join(packet[12:] for packet in self.packets if packet[1] & 0x7F == 0)
        sound = array.array("h", (EXPANDED[code] for code in codes)).tobytes()
        raw, wide = f"{folder}.raw", f"{folder}-22050.raw"
        with open(raw, "wb") as file:
            file.write(sound)
        of_raw = ["-t", "raw", "-e", "signed", "-b", "16", "-c", "1"]
        subprocess.run(["sox", *of_raw, "-r", str(RATE), raw, *of_raw, "-r", "22050", wide], check=True)
        heard = subprocess.run(["multimon-ng", "-q", "-a", "DTMF", "-t", "raw", wide], capture_output=True, text=True, check=True)
        return "".join(re.findall(r"DTMF: (\S)", heard.stdout))


def tones_of(keys, seconds=0.08, pause=0.08):
    """16-bit samples with the tones of keys, as sox makes them."""
    sound = b""
    for key in keys:
        made = ["sox", "-n", "-r", str(RATE), "-t", "raw", "-e", "signed", "-b", "16", "-c", "1", "-", "synth", str(seconds)]
        made += ["sine", str(LOW[key]), "sine", "mix", str(HIGH[key]), "vol", "0.3"]
        sound += subprocess.run(made, capture_output=True, check=True).stdout + bytes(2 * int(RATE * pause))
    return sound


def speech(text):
    """16-bit samples of a voice that espeak-ng makes."""
    spoken = subprocess.run(["espeak-ng", "--stdout", text], capture_output=True, check=True).stdout
    to = ["-r", str(RATE), "-t", "raw", "-e", "signed", "-b", "16", "-c", "1", "-"]
    return subprocess.run(["sox", "-t", "wav", "-", *to], input=spoken, capture_output=True, check=True).stdout
