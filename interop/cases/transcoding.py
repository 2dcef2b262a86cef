"""Two baresips that share no codec call each other through the exchange, and each must hear the other's tone.

What is heard is told as in the other cases: more than 90 % of its power lies at the tone of the other side, and less than 1 % at
one's own. Coding twice, resampling to and from 48 kHz and what is lost at the beginning all lie within that.
"""

import re

from harness import DOMAIN, case, check, read, wait_for
from phones import TONES, Phone

# This baresip gives up at a challenge for an algorithm it does not know, even when one that it knows comes after it.
MD5 = '[registrar]\nalgorithms = ["MD5"]\n'


def talk(bench, callers, called, more=""):
    """Alice, who has one codec, calls bob, who has another one."""
    exchange = bench.exchange(extra=MD5, users=["alice", "bob"])
    bob = Phone(bench, exchange, "bob", TONES[1], answers=True, seconds=7, codec=called)
    wait_for(lambda: exchange.metric("strowger_bindings") == 1, "bob is registered")
    alice = Phone(bench, exchange, "alice", TONES[0], dial=f"sip:bob@{DOMAIN}", seconds=5, codec=callers, more=more)
    alice.finish()
    bob.finish()
    check(exchange.metric("strowger_calls_answered_total") == 1, "one call was answered")
    said = read(bench.path("alice.log"))
    check(not re.search(rf"a=rtpmap:\d+ {called}/", said, re.IGNORECASE), f"alice is not told of {called}")
    # Four seconds each way, with 50 packets a second, are more than this.
    transcoded = exchange.metric("strowger_media_packets_transcoded_total")
    check(transcoded > 250, f"packets are coded anew: {transcoded}")
    check(exchange.metric("strowger_media_decode_errors_total") == 0, "and all could be decoded")
    alice.hears(TONES[1])
    bob.hears(TONES[0])
    wait_for(lambda: exchange.metric("strowger_bindings") == 0, "both have unregistered as they ended")
    exchange.gone()


@case("transcoded, PCMU and Opus hear each other", slow=True)
def pcmu_and_opus(bench):
    talk(bench, "PCMU", "opus")


@case("transcoded, Opus with SRTP and PCMA", slow=True)
def opus_and_pcma(bench):
    talk(bench, "opus", "PCMA", more=";mediaenc=srtp-mand")


@case("transcoded, G.722 and PCMA hear each other", slow=True)
def g722_and_pcma(bench):
    talk(bench, "G722", "PCMA")


@case("not transcoded, who shares no codec is not connected", slow=True)
def never(bench):
    exchange = bench.exchange(extra=MD5, users=["alice", "bob"], media='transcode = "never"')
    bob = Phone(bench, exchange, "bob", TONES[1], answers=True, seconds=4, codec="G722")
    wait_for(lambda: exchange.metric("strowger_bindings") == 1, "bob is registered")
    alice = Phone(bench, exchange, "alice", TONES[0], dial=f"sip:bob@{DOMAIN}", seconds=3, codec="PCMA")
    alice.finish()
    bob.finish()
    check(exchange.metric("strowger_calls_answered_total") == 0, "no call was answered")
    exchange.gone()
