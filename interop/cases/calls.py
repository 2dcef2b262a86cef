"""Calls between sipp and sipp. Each case also sees that no call and no leg is left behind."""

from harness import case, check, route, trunk
from sipp import Sipp, finish

# Hosts on the loopback range of a case: the exchange is 1.
CALLER, CALLEE, SECOND, PHONE = 2, 3, 4, 10

# sipp knows no other algorithm, and takes the first challenge whatever it asks for.
MD5 = '[registrar]\nalgorithms = ["MD5"]\n'


def two_trunks(bench, more_caller="", more_callee="", scheme="", extra="", **options):
    """An exchange with a trunk that calls in and a trunk that is called: `callee` leads to it. The port of the latter."""
    port = options.pop("callee_port", 7060)
    caller, callee = bench.address(CALLER), bench.address(CALLEE)
    trunks = trunk("caller", sources=[f"{caller}/32"], more=more_caller)
    trunks += trunk("callee", [f"sip:{callee}:{port}{scheme}"], [f"{callee}/32"], more_callee)
    return bench.exchange(trunks=trunks + route("out", '{ trunk = "callee" }', 'exact = "callee"') + extra, **options), port


def call(bench, exchange, port, uac="uac", uas="uas", uas_words=None, transport="u1", **words):
    """One call from the one trunk to the other."""
    server = Sipp(bench, uas, CALLEE, port=port, transport=transport, **(uas_words or {})).listening()
    client = Sipp(bench, uac, CALLER, to=exchange.to, transport=transport, **words)
    finish(client, server)
    exchange.gone()
    return client, server


@case("basic call")
def basic_call(bench):
    exchange, port = two_trunks(bench)
    call(bench, exchange, port)
    exchange.stop()
    exchange.start()
    call(bench, exchange, port)


@case("call over TCP")
def tcp(bench):
    exchange, port = two_trunks(bench, scheme=";transport=tcp")
    _, server = call(bench, exchange, port, transport="t1")
    check("Via: SIP/2.0/TCP" in server.messages(), "the callee was reached over TCP")


@case("from UDP to TCP")
def udp_to_tcp(bench):
    exchange, port = two_trunks(bench, scheme=";transport=tcp")
    server = Sipp(bench, "uas", CALLEE, port=port, transport="t1").listening()
    client = Sipp(bench, "uac", CALLER, to=exchange.to)
    finish(client, server)
    exchange.gone()


@case("re-INVITE holds and resumes")
def hold(bench):
    exchange, port = two_trunks(bench)
    call(bench, exchange, port, uac="uac_hold", uas="uas_hold")


@case("CANCEL while it rings")
def cancel(bench):
    exchange, port = two_trunks(bench)
    call(bench, exchange, port, uac="uac_cancel", uas="uas_cancelled")


@case("early media with PRACK on both legs")
def prack(bench):
    exchange, port = two_trunks(bench)
    call(bench, exchange, port, uac="uac_prack", uas="uas_prack")


@case("early media with PRACK on one leg")
def prack_on_one(bench):
    exchange, port = two_trunks(bench, more_caller='reliable_provisional = "off"')
    call(bench, exchange, port, uac="uac_early", uas="uas_prack")


@case("busy stays 486")
def busy(bench):
    exchange, port = two_trunks(bench)
    call(bench, exchange, port, uac="uac_refused", uas="uas_refuses", STATUS="486", uas_words={"STATUS": "486 Busy Here"})


@case("decline stays 603")
def decline(bench):
    exchange, port = two_trunks(bench)
    call(bench, exchange, port, uac="uac_refused", uas="uas_refuses", STATUS="603", uas_words={"STATUS": "603 Decline"})


@case("an unknown user is 404")
def unknown(bench):
    exchange, _ = two_trunks(bench)
    finish(Sipp(bench, "uac_refused", CALLER, to=exchange.to, service="nobody", STATUS="404"))
    exchange.gone()


@case("OPTIONS is answered")
def options(bench):
    exchange, _ = two_trunks(bench)
    finish(Sipp(bench, "uac_options", CALLER, to=exchange.to))


@case("3xx leads to another server")
def redirect(bench):
    exchange, port = two_trunks(bench, extra=route("away", "{ dialled = true }"))
    target = Sipp(bench, "uas", SECOND).listening()
    headers = f"      Contact: <sip:elsewhere@{target.contact}>"
    call(bench, exchange, port, uas="uas_refuses", uas_words={"STATUS": "302 Moved Temporarily", "HEADERS": headers})
    finish(target)


@case("a trunk that answers 503 is passed over")
def failover(bench):
    second = bench.address(SECOND)
    extra = trunk("second", [f"sip:{second}:7060"])
    extra += route("spare", '{ trunk = "callee" }, { trunk = "second" }', 'exact = "spare"')
    exchange, port = two_trunks(bench, extra=extra)
    good = Sipp(bench, "uas", SECOND, port=7060).listening()
    call(bench, exchange, port, uas="uas_refuses", service="spare", uas_words={"STATUS": "503 Service Unavailable"})
    finish(good)


@case("an address that answers 503 is passed over")
def failover_address(bench):
    callee, second = bench.address(CALLEE), bench.address(SECOND)
    trunks = trunk("caller", sources=[f"{bench.address(CALLER)}/32"])
    trunks += trunk("callee", [f"sip:{callee}:7060", f"sip:{second}:7060"])
    exchange = bench.exchange(trunks=trunks + route("out", '{ trunk = "callee" }'))
    good = Sipp(bench, "uas", SECOND, port=7060).listening()
    call(bench, exchange, 7060, uas="uas_refuses", uas_words={"STATUS": "503 Service Unavailable"})
    finish(good)


@case("an address where nobody listens is passed over")
def failover_dead(bench):
    callee, second = bench.address(CALLEE), bench.address(SECOND)
    trunks = trunk("caller", sources=[f"{bench.address(CALLER)}/32"])
    trunks += trunk("callee", [f"sip:{callee}:7060;transport=tcp", f"sip:{second}:7060"])
    exchange = bench.exchange(trunks=trunks + route("out", '{ trunk = "callee" }'))
    good = Sipp(bench, "uas", SECOND, port=7060).listening()
    client = Sipp(bench, "uac", CALLER, to=exchange.to)
    finish(client, good)
    exchange.gone()


def register(bench, exchange, user, contact, host=PHONE, status=200, **words):
    finish(Sipp(bench, "register", host, to=exchange.to, USER=user, CONTACT=f"sip:{user}@{contact}", STATUS=status, **words))


@case("digest of REGISTER and INVITE")
def digest(bench):
    exchange = bench.exchange(extra=MD5, users=["alice", "bob"])
    phone = Sipp(bench, "uas", PHONE).listening()
    register(bench, exchange, "bob", phone.contact)
    caller = Sipp(bench, "uac_auth", PHONE + 1, to=exchange.to, service="bob", CALLER="alice")
    finish(caller, phone)
    exchange.gone()


@case("a wrong password is refused")
def wrong_password(bench):
    exchange = bench.exchange(extra=MD5, users=["alice", "bob"])
    register(bench, exchange, "bob", f"{bench.address(PHONE)}:5060", status=403, PASSWORD="a-guess")
    words = {"service": "bob", "CALLER": "alice", "STATUS": 403, "PASSWORD": "a-guess"}
    finish(Sipp(bench, "uac_auth_refused", PHONE + 1, to=exchange.to, **words))
    check(exchange.metric("strowger_bindings") == 0, "nothing was registered")
    exchange.gone()


@case("a user who is not registered is 480")
def not_registered(bench):
    exchange = bench.exchange(extra=MD5, users=["alice", "bob"])
    words = {"service": "bob", "CALLER": "alice", "STATUS": 480}
    finish(Sipp(bench, "uac_auth_refused", PHONE + 1, to=exchange.to, **words))
    exchange.gone()


@case("a forked call is cancelled where it was not answered")
def forked(bench):
    exchange, _ = two_trunks(bench, extra=MD5, users=["bob"])
    answers = Sipp(bench, "uas", PHONE, RING=400).listening()
    rings = Sipp(bench, "uas_cancelled", PHONE + 1).listening()
    register(bench, exchange, "bob", answers.contact, host=PHONE)
    register(bench, exchange, "bob", rings.contact, host=PHONE + 1)
    finish(Sipp(bench, "uac", CALLER, to=exchange.to, service="bob"), answers, rings)
    exchange.gone()


@case("REFER transfers the caller")
def refer(bench):
    second = bench.address(SECOND)
    extra = trunk("second", [f"sip:{second}:7060"]) + route("third", '{ trunk = "second" }', 'exact = "third"')
    exchange, port = two_trunks(bench, extra=extra, more_callee="accept_refer = true")
    third = Sipp(bench, "uas_offers", SECOND, port=7060).listening()
    call(bench, exchange, port, uac="uac_transferred", uas="uas_refers", uas_words={"TARGET": "sip:third@exchange.test"})
    finish(third)


@case("REFER to a busy party changes nothing")
def refer_in_vain(bench):
    second = bench.address(SECOND)
    extra = trunk("second", [f"sip:{second}:7060"]) + route("third", '{ trunk = "second" }', 'exact = "third"')
    exchange, port = two_trunks(bench, extra=extra, more_callee="accept_refer = true")
    third = Sipp(bench, "uas_refuses", SECOND, port=7060, STATUS="486 Busy Here").listening()
    words = {"TARGET": "sip:third@exchange.test", "STATUS": "486"}
    call(bench, exchange, port, uas="uas_refers_in_vain", uas_words=words, TALK=1500)
    finish(third)


@case("the exchange refreshes sessions", slow=True)
def refreshed(bench):
    exchange, port = two_trunks(bench, sip="session_expires_s = 90\nmin_se_s = 90")
    call(bench, exchange, port, uac="uac_refreshed", uas="uas_refreshed", seconds=80, uas_words={"seconds": 80})


@case("a session that is not refreshed ends", slow=True)
def lapses(bench):
    exchange, port = two_trunks(bench)
    call(bench, exchange, port, uac="uac_lapses", uas="uas", seconds=110, uas_words={"seconds": 110})


@case("a peer refreshes its session")
def refreshes(bench):
    exchange, port = two_trunks(bench)
    call(bench, exchange, port, uac="uac_refreshes", uas="uas_reinvited")


@case("a session interval that is too short is 422")
def too_short(bench):
    exchange, _ = two_trunks(bench)
    finish(Sipp(bench, "uac_too_short", CALLER, to=exchange.to))
    exchange.gone()


@case("180 stays before 200 under load", alone=True)
def order(bench):
    exchange, port = two_trunks(bench)
    words = {"calls": 500, "rate": 100, "trace": False, "seconds": 40}
    call(bench, exchange, port, **words, TALK=200, uas_words={**words, "RING": 0})
    check(exchange.metric("strowger_calls_answered_total") == 500, "the exchange has answered 500 calls")
