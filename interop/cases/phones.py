"""Two baresips call each other through the exchange, each plays a tone, and each must hear the other's."""

import re

from harness import DOMAIN, case, check, read, wait_for
from phones import TONES, Phone

# This baresip gives up at a challenge for an algorithm it does not know, even when one that it knows comes after it.
MD5 = '[registrar]\nalgorithms = ["MD5"]\n'


def talk(bench, caller_transport, called_transport):
    exchange = bench.exchange(extra=MD5, users=["alice", "bob"], tls=True)
    talk_at(bench, exchange, caller_transport, called_transport)


def talk_at(bench, exchange, caller_transport="udp", called_transport="udp"):
    """Alice and bob, who register at the exchange and at no other time, call each other and hear each other."""
    bob = Phone(bench, exchange, "bob", TONES[1], called_transport, answers=True, seconds=7)
    wait_for(lambda: exchange.metric("strowger_bindings") == 1, "bob is registered")
    alice = Phone(bench, exchange, "alice", TONES[0], caller_transport, dial=f"sip:bob@{DOMAIN}", seconds=5)
    wait_for(lambda: exchange.metric("strowger_bindings") == 2, "alice is registered, too")
    alice.finish()
    bob.finish()
    check(exchange.metric("strowger_calls_answered_total") == 1, "one call was answered")
    for phone, transport in ((alice, caller_transport), (bob, called_transport)):
        vias = f"Via: SIP/2.0/{transport.upper()}"
        check(vias in read(bench.path(f"{phone.user}.log")), f"{phone.user} speaks {transport}")
    alice.hears(TONES[1])
    bob.hears(TONES[0])
    wait_for(lambda: exchange.metric("strowger_bindings") == 0, "both have unregistered as they ended")
    exchange.gone()


@case("two phones over UDP hear each other", slow=True)
def udp(bench):
    talk(bench, "udp", "udp")


@case("two phones over TLS hear each other", slow=True)
def tls(bench):
    talk(bench, "tls", "tls")


@case("a phone over UDP and one over TLS hear each other", slow=True)
def mixed(bench):
    talk(bench, "udp", "tls")


@case("two phones over IPv6 hear each other", slow=True)
def ipv6(bench):
    exchange = bench.exchange(extra=MD5, users=["alice", "bob"], ip="::1")
    bob = Phone(bench, exchange, "bob", TONES[1], answers=True, seconds=5, address="::1")
    wait_for(lambda: exchange.metric("strowger_bindings") == 1, "bob is registered")
    alice = Phone(bench, exchange, "alice", TONES[0], dial=f"sip:bob@{DOMAIN}", seconds=4, address="::1")
    alice.finish()
    bob.finish()
    check(exchange.metric("strowger_calls_answered_total") == 1, "one call was answered")
    for phone in (alice, bob):
        said = read(bench.path(f"{phone.user}.log"))
        check("c=IN IP6 ::1" in said and "c=IN IP4" not in said, f"{phone.user} knows no IPv4")
    alice.hears(TONES[1])
    bob.hears(TONES[0])
    exchange.gone()


@case("SRTP on one side", slow=True)
def srtp_and_rtp(bench):
    exchange = bench.exchange(extra=MD5, users=["alice", "bob"])
    bob = Phone(bench, exchange, "bob", TONES[1], answers=True, seconds=7)
    wait_for(lambda: exchange.metric("strowger_bindings") == 1, "bob is registered")
    alice = Phone(bench, exchange, "alice", TONES[0], dial=f"sip:bob@{DOMAIN}", seconds=5, more=";mediaenc=srtp-mand")
    alice.finish()
    bob.finish()
    said = [read(bench.path(f"{user}.log")) for user in ("alice", "bob")]
    check("RTP/SAVP" in said[0] and "RTP/AVP" not in said[0], "alice has SRTP only")
    check("a=crypto" not in said[1] and "RTP/SAVP" not in said[1], "bob hears nothing of it")
    alice.hears(TONES[1])
    bob.hears(TONES[0])
    exchange.gone()


@case("SRTP on both sides", slow=True)
def srtp_and_srtp(bench):
    media = 'srtp = "required"\nsrtp_suites = ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"]'
    exchange = bench.exchange(extra=MD5, users=["alice", "bob"], media=media)
    bob = Phone(bench, exchange, "bob", TONES[1], answers=True, seconds=7, more=";mediaenc=srtp-mand")
    wait_for(lambda: exchange.metric("strowger_bindings") == 1, "bob is registered")
    alice = Phone(bench, exchange, "alice", TONES[0], dial=f"sip:bob@{DOMAIN}", seconds=5, more=";mediaenc=srtp-mand")
    alice.finish()
    bob.finish()
    keys = set()
    for user in ("alice", "bob"):
        said = read(bench.path(f"{user}.log"))
        check("SRTP is Enabled" in said and "RTP/AVP" not in said, f"{user} has SRTP only")
        keys |= {user + key for key in re.findall(r"inline:([A-Za-z0-9+/=]+)", said)}
    check(len({key.removeprefix("alice").removeprefix("bob") for key in keys}) == len(keys), "no key goes to both")
    alice.hears(TONES[1])
    bob.hears(TONES[0])
    exchange.gone()
