"""Watches the wire with dumpcap, and asks tshark about what was seen. It knows nothing of any case."""

import os
import signal
import socket
import subprocess

import harness

# What tshark finds wrong with a message that its sender, not it, has misread.
WRONG = ("_ws.malformed", "_ws.expert.severity >= error", "sip && !sip.Call-ID")
THE_END = b"that is all there is to be seen"


class Capture:
    """Packets on the loopback interface, from now until `stop`. Raises Skipped where that is not allowed."""

    def __init__(self, bench, *nets, name="wire"):
        self.end = (bench.address(254), 9)
        self.path = bench.path(f"{name}.pcapng")
        command = ["dumpcap", "-q", "-i", "lo", "-f", " or ".join(f"net {net}" for net in nets), "-w", self.path]
        self.log = bench.path(f"dumpcap-{name}.log")
        self.process = bench.start(f"dumpcap-{name}", command)
        harness.wait_for(self._begun, "the capture has begun")

    def _begun(self):
        if self.process.poll() is not None:
            said = harness.read(self.log)
            harness.check("permission" in said.lower() or "not permitted" in said.lower(), f"dumpcap captures: {said}")
            raise harness.Skipped("capturing is not allowed here; it is for root and for the group wireshark")
        return os.path.exists(self.path) and os.path.getsize(self.path) > 0

    def stop(self):
        """Ends the capture; what was sent so far is in the file."""
        # What the kernel still holds when dumpcap ends is lost: the last packet must have come through.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(THE_END, self.end)
        harness.wait_for(self._has_ended, "the capture has all packets")
        os.kill(self.process.pid, signal.SIGINT)
        self.process.wait(10)

    def _has_ended(self):
        with open(self.path, "rb") as file:
            return THE_END in file.read()

    def ask(self, display_filter, exchanges, fields=()):
        """What tshark says of the packets that pass the filter: a line each, or a list of these fields each."""
        command = ["tshark", "-r", self.path, "-Y", display_filter]
        for exchange in exchanges:
            command += ["-d", f"udp.port=={exchange.port},sip", "-d", f"tcp.port=={exchange.port},sip"]
        if fields:
            command += ["-T", "fields", *(part for field in fields for part in ("-e", field))]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60)
        harness.check(done.returncode == 0, f"tshark reads the capture: {done.stderr.strip()}")
        lines = done.stdout.splitlines()
        return [line.split("\t") for line in lines] if fields else lines

    def finds_nothing_wrong(self, exchanges, sent):
        """Fails when something is wrong with a packet that passes the filter `sent`."""
        for wrong in WRONG:
            among = f"(sip || sdp || rtp || rtcp) && {wrong}" if wrong.startswith("_") else wrong
            found = self.ask(f"({sent}) && ({among})", exchanges)
            harness.check(not found, f"{wrong}: {len(found)} packets, as {found[:3]}")
