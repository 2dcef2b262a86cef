"""What sipp cannot say itself: TLS, and digest by SHA-256."""

import signal
import ssl

import bridge
from harness import DOMAIN, case, check, route, trunk, wait_for
from sip_client import Client
from sipp import Sipp, finish

CALLER, CALLEE = 2, 3


@case("call over TLS")
def tls(bench):
    caller, callee = bench.address(CALLER), bench.address(CALLEE)
    certificate, key = bench.certificate([f"IP:{callee}"], "callee")
    trunks = trunk("caller", sources=[f"{caller}/32"])
    trunks += trunk("callee", [f"sip:{callee}:7061;transport=tls"], [f"{callee}/32"])
    exchange = bench.exchange(trunks=trunks + route("out", '{ trunk = "callee" }'), tls=True, trust=[certificate])
    server = Sipp(bench, "uas", CALLEE, port=7060, transport="t1", shown=("TLS", 7061)).listening()
    bridge.Bridge(bench, (callee, 7061), (callee, 7060), server_context=bridge.server_context(certificate, key))
    out = bridge.Bridge(
        bench, (caller, 0), (exchange.ip, exchange.tls_port),
        client_context=bridge.client_context(exchange.certificate), name=DOMAIN,
    )
    to = f"{caller}:{out.address[1]}"
    finish(Sipp(bench, "uac", CALLER, to=to, transport="t1", shown=("TLS", 9)), server)
    check("Via: SIP/2.0/TLS" in server.messages(), "the callee was reached over TLS")
    exchange.gone()


@case("a server whose certificate is not trusted is not called")
def untrusted(bench):
    caller, callee = bench.address(CALLER), bench.address(CALLEE)
    certificate, key = bench.certificate([f"IP:{callee}"], "callee")
    trunks = trunk("caller", sources=[f"{caller}/32"])
    trunks += trunk("callee", [f"sip:{callee}:7061;transport=tls"])
    exchange = bench.exchange(trunks=trunks + route("out", '{ trunk = "callee" }'), tls=True)
    bridge.Bridge(bench, (callee, 7061), (callee, 7060), server_context=bridge.server_context(certificate, key))
    finish(Sipp(bench, "uac_refused", CALLER, to=exchange.to, STATUS="503"))
    exchange.gone()


@case("digest by SHA-256 over TLS")
def sha256(bench):
    exchange = bench.exchange(users=["alice"], tls=True)
    client = Client(exchange.ip, exchange.tls_port, bridge.client_context(exchange.certificate), DOMAIN)
    bench.deferred.append(client.close)
    status, challenge = client.register("alice")
    check(status == 401, f"a first REGISTER is challenged, not {status}")
    check("SHA-256" in challenge and "MD5" in challenge, f"both algorithms are offered: {challenge}")
    check(challenge.index("SHA-256") < challenge.index("MD5"), "SHA-256 comes first")
    status, _ = client.register("alice", challenge, "a-guess")
    check(status == 403, f"a wrong password is 403, not {status}")
    status, challenge = client.register("alice")
    status, _ = client.register("alice", challenge)
    check(status == 200, f"the right password is 200, not {status}")
    status, _ = client.register("alice", challenge)
    check(status == 401, f"the same nonce count again is challenged, not {status}")
    status, _ = client.options()
    check(status == 200, f"OPTIONS is 200, not {status}")


@case("a client is the user of its certificate until that is revoked")
def certified(bench):
    authority = bench.authority()
    alice, mallory = (authority.sign(name, f"sip:{name}@{DOMAIN}") for name in ("alice", "mallory"))
    exchange = bench.exchange(users=["alice"], tls=True, tls_more=(
        f'client_ca = "{authority.certificate}"\nclient_certificate = "optional"\n'
        f'client_crl = ["{authority.revoked}"]\ncrl_required = true\n'
    ))

    def connect(identity=None):
        context = bridge.client_context(exchange.certificate)
        if identity:
            context.load_cert_chain(*identity)
        client = Client(exchange.ip, exchange.tls_port, context, DOMAIN)
        bench.deferred.append(client.close)
        return client

    for identity, expected in ((alice, 200), (None, 401), (mallory, 401)):
        status, _ = connect(identity).register("alice")
        check(status == expected, f"REGISTER is {expected}, not {status}")
    authority.revoke(alice[0])
    exchange.process.send_signal(signal.SIGHUP)

    def is_refused():
        try:
            connect(alice).register("alice")
        except (ConnectionError, ssl.SSLError):
            return True
        return False

    wait_for(is_refused, "the revoked certificate is refused")
    # The worker counts when it has seen the end of the connection, which the client may have seen before.
    wait_for(lambda: exchange.metric("strowger_net_tls_failures_total", kind="certificate_revoked") >= 1, "and counted")
    status, _ = connect(mallory).register("mallory")
    check(status == 401, f"others still connect, and mallory is no user: {status}")
