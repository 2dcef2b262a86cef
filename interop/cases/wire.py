"""Whether others can read what the exchange sends: tshark looks at the packets of a few cases."""

import os
import signal
import subprocess

from cases import calls, phones
from harness import Bench, Skipped, case, check, wait_for

WATCHED = (
    calls.basic_call, calls.tcp, calls.hold, calls.cancel, calls.prack, calls.busy, calls.redirect, calls.digest,
    calls.forked, calls.refer, calls.refreshes, calls.too_short, calls.options, phones.udp,
)


@case("tshark finds nothing malformed", alone=True)
def nothing_malformed(bench):
    capture = bench.path("wire.pcapng")
    dumpcap = bench.start("dumpcap", ["dumpcap", "-q", "-i", "lo", "-f", "net 127.0.64.0/18 or net 127.0.128.0/17", "-w", capture])
    try:
        wait_for(lambda: begun(dumpcap, capture), "the capture has begun")
    except NotAllowed as error:
        raise Skipped("capturing is not allowed here; it is for root and for the group wireshark") from error
    exchanges = set()
    for watched in WATCHED:
        inner = Bench(bench.path(watched.__name__), bench.binary)
        try:
            watched(inner)
        finally:
            inner.close()
        exchanges |= {(exchange.ip, exchange.port, exchange.http_port) for exchange in inner.exchanges}
    os.kill(dumpcap.pid, signal.SIGINT)
    dumpcap.wait(10)
    look(capture, exchanges)


class NotAllowed(Exception):
    """The capture could not begin."""


def begun(dumpcap, capture):
    if dumpcap.poll() is not None:
        raise NotAllowed
    return os.path.exists(capture) and os.path.getsize(capture) > 0


def look(capture, exchanges):
    decoding = []
    for _, port, _ in exchanges:
        decoding += ["-d", f"udp.port=={port},sip", "-d", f"tcp.port=={port},sip"]
    # Who reads the metrics of one exchange may do so from the number that another one has for SIP.
    sent = "(" + " || ".join(f"(ip.src == {ip} && !(tcp.srcport == {http}))" for ip, _, http in sorted(exchanges)) + ")"

    def find(what):
        command = ["tshark", "-r", capture, *decoding, "-Y", f"{sent} && ({what})"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        check(done.returncode == 0, f"tshark reads the capture: {done.stderr.strip()}")
        return done.stdout.splitlines()

    check(len(find("sip")) > 100, "the exchange has sent SIP")
    check(len(find("rtp")) > 200, "the exchange has sent RTP")
    for wrong in ("_ws.malformed", "_ws.expert.severity >= error", "sip && !sip.Call-ID"):
        found = find(f"(sip || sdp || rtp || rtcp) && {wrong}" if wrong.startswith("_") else wrong)
        check(not found, f"{wrong}: {len(found)} packets, as {found[:3]}")
