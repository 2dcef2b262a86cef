"""A telephone in a browser: SIP over WebSocket, audio over RTP."""

from harness import DOMAIN, case, check, free_port, route, trunk, wait_for
from sipp import Sipp
from web_client import WebPhone

CALLEE = 3


@case("a phone over WebSocket registers, calls and is heard")
def call(bench):
    callee = bench.address(CALLEE)
    trunks = trunk("callee", [f"sip:{callee}:7070"], [f"{callee}/32"]) + route("out", '{ trunk = "callee" }', 'prefix = "0"', callers="")
    exchange = bench.exchange(trunks=trunks, users=["alice"], ws=True)
    echo = ["-rtp_echo", "-mp", str(free_port(callee))]
    server = Sipp(bench, "uas", CALLEE, port=7070, options=echo).listening()
    alice = WebPhone(bench, exchange, "alice")
    alice.register()
    wait_for(lambda: exchange.metric("strowger_bindings") == 1, "alice is registered")
    to = alice.call(f"sip:0123@{DOMAIN}")
    heard = alice.hears_itself(to)
    check(heard >= 8, f"what alice says comes back from the callee: {heard} of 10 packets")
    alice.hang_up()
    server.finish()
    alice.web.close()
    wait_for(lambda: exchange.metric("strowger_bindings") == 0, "the binding has ended with its connection")
    exchange.gone()
