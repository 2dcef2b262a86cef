"""Whether others can read what the exchange sends: tshark looks at the packets of a few cases."""

from capture import Capture
from cases import calls, phones
from harness import Bench, case, check

WATCHED = (
    calls.basic_call, calls.tcp, calls.hold, calls.cancel, calls.prack, calls.busy, calls.redirect, calls.digest,
    calls.forked, calls.refer, calls.refreshes, calls.too_short, calls.options, phones.udp,
)


@case("tshark finds nothing malformed", alone=True)
def nothing_malformed(bench):
    capture = Capture(bench, "127.0.64.0/18", "127.0.128.0/17")
    exchanges = []
    for watched in WATCHED:
        inner = Bench(bench.path(watched.__name__), bench.binary)
        try:
            watched(inner)
        finally:
            inner.close()
        exchanges += inner.exchanges
    capture.stop()
    # Who reads the metrics of one exchange may do so from the number that another one has for SIP.
    from_each = (f"(ip.src == {exchange.ip} && !(tcp.srcport == {exchange.http_port}))" for exchange in exchanges)
    sent = " || ".join(from_each)
    check(len(capture.ask(f"({sent}) && sip", exchanges)) > 100, "the exchange has sent SIP")
    check(len(capture.ask(f"({sent}) && rtp", exchanges)) > 200, "the exchange has sent RTP")
    capture.finds_nothing_wrong(exchanges, sent)
