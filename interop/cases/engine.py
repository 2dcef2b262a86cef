"""The exchange as the media engine of another proxy: Kamailio steers it by the NG protocol, and phones hear each other."""

import re

import kamailio
from harness import DOMAIN, Skipped, case, check, free_port, read, wait_for
from phones import TONES, Phone

# What proxies in the field ask for with nearly every call.
USUAL = "replace-origin replace-session-connection ICE=remove"


def engine(bench, ng="delete_delay_s = 1"):
    """An exchange that does nothing but relay media."""
    if not kamailio.installed():
        raise Skipped("Kamailio with its module rtpengine is not installed")
    ip = bench.address(1)
    port = free_port(ip)
    exchange = bench.exchange(extra=f'[ng]\nlisten_udp = "{ip}:{port}"\n{ng}')
    return exchange, f"{ip}:{port}"


def talk(bench, offer, answer, caller="", called=""):
    """Alice calls bob by way of Kamailio, each hears the other, and nothing stays at the engine. What each of them said."""
    exchange, at = engine(bench)
    proxy = kamailio.Kamailio(bench, at, f"{USUAL} {offer}".strip(), f"{USUAL} {answer}".strip())
    bob = Phone(bench, proxy, "bob", TONES[1], answers=True, seconds=9, more=called)
    wait_for(lambda: "200 OK" in read(bench.path("bob.log")), "bob is registered")
    alice = Phone(bench, proxy, "alice", TONES[0], dial=f"sip:bob@{DOMAIN}", seconds=6, more=caller)
    wait_for(lambda: exchange.metric("strowger_ng_calls") == 1, "the engine has a call")
    alice.finish()
    bob.finish()
    alice.hears(TONES[1])
    bob.hears(TONES[0])
    said = [read(bench.path(f"{user}.log")) for user in ("alice", "bob")]
    for user, text in zip(("alice", "bob"), said):
        check(f"c=IN IP4 {exchange.ip}" in text, f"{user} is told the engine's address")
    wait_for(lambda: exchange.metric("strowger_ng_calls") == 0, "nothing is left of the call")
    exchange.alive()
    return said


@case("Kamailio has RTP relayed", slow=True)
def rtp(bench):
    talk(bench, "", "")


@case("Kamailio has SRTP of the caller relayed as RTP", slow=True)
def srtp_to_rtp(bench):
    alice, bob = talk(bench, "RTP/AVP", "RTP/SAVP", caller=";mediaenc=srtp-mand")
    check("RTP/SAVP" in alice and "RTP/AVP" not in alice, "alice has SRTP only")
    check("a=crypto" not in bob and "RTP/SAVP" not in bob, "bob hears nothing of it")


@case("Kamailio has RTP of the caller relayed as SRTP", slow=True)
def rtp_to_srtp(bench):
    alice, bob = talk(bench, "RTP/SAVP SDES-only-AES_CM_128_HMAC_SHA1_80", "RTP/AVP", called=";mediaenc=srtp-mand")
    check("a=crypto" not in alice and "RTP/SAVP" not in alice, "alice hears nothing of it")
    check(len(set(re.findall(r"inline:([A-Za-z0-9+/=]+)", bob))) == 2, "bob and the engine have a key each")
