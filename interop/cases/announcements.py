"""What the exchange plays by itself: announcements to who dials one, and music to who is put on hold."""

import os
import time

from harness import DOMAIN, case, check, read, wait_for
from phones import TONES, Phone, write_tone
from cases.transcoding import MD5

ROUTES = """[[route]]
name = "closed"
exact = "5901"
to = [{ announcement = "closed.wav", cause = 20 }]
[[route]]
name = "hours"
exact = "5902"
to = [{ announcement = "closed.wav", answer = true }]
"""


def sounds(bench):
    """A folder with a file of five seconds, and the key that names it."""
    folder = bench.path("sounds")
    os.makedirs(folder)
    write_tone(os.path.join(folder, "closed.wav"), TONES[2], 5)
    return f'sounds = "{folder}"'


def announced(bench, number, codec, answered):
    """Alice dials an announcement and hears it; it ends by itself."""
    exchange = bench.exchange(extra=MD5 + ROUTES, users=["alice"], media=sounds(bench))
    alice = Phone(bench, exchange, "alice", TONES[0], dial=f"sip:{number}@{DOMAIN}", seconds=9, codec=codec)
    wait_for(lambda: exchange.metric("strowger_media_plays") == 1, "it is played")
    wait_for(lambda: exchange.metric("strowger_media_plays") == 0, "and ends", 7)
    wait_for(lambda: exchange.metric("strowger_calls") == 0, "and so does the call")
    alice.finish()
    alice.hears(TONES[2])
    check(exchange.metric("strowger_calls_answered_total") == answered, "it was answered as configured")
    check(exchange.metric("strowger_media_plays_refused_total") == 0, "and was not refused")
    exchange.gone()


@case("an announcement before an answer is heard", slow=True)
def before_an_answer(bench):
    announced(bench, "5901", "PCMA", 0)


@case("an announcement that answers is heard, in Opus", slow=True)
def that_answers(bench):
    announced(bench, "5902", "opus", 1)


def hold(bench, called, more="", keys=""):
    """Bob is played to while alice has put him on hold, and listens to her before.

    This baresip records nothing behind a change of the session: what is heard during hold and after it is told by its content in
    the tests of packet threads."""
    media = sounds(bench) + keys + '\nmusic_on_hold = "closed.wav"\nmusic_on_hold_when = "always"'
    exchange = bench.exchange(extra=MD5, users=["alice", "bob"], media=media)
    bob = Phone(bench, exchange, "bob", TONES[1], answers=True, seconds=12, codec=called, more=more)
    wait_for(lambda: exchange.metric("strowger_bindings") == 1, "bob is registered")
    alice = Phone(bench, exchange, "alice", TONES[0], dial=f"sip:bob@{DOMAIN}", seconds=10, codec="PCMA", more=more,
                  control=True)
    wait_for(lambda: exchange.metric("strowger_calls_answered_total") == 1, "bob has answered")
    time.sleep(3)
    alice.command("hold")
    wait_for(lambda: exchange.metric("strowger_media_plays") == 1, "music is played")
    before = exchange.metric("strowger_media_packets_total", kind="rtp", direction="out")
    time.sleep(2)
    sent = exchange.metric("strowger_media_packets_total", kind="rtp", direction="out") - before
    check(70 < sent < 140, f"at its pace: {sent} packets in two seconds")
    alice.command("resume")
    wait_for(lambda: exchange.metric("strowger_media_plays") == 0, "and ends")
    alice.finish()
    bob.finish()
    bob.hears(TONES[0])
    said = read(bench.path("bob.log"))
    check("a=sendonly" in said and "a=recvonly" in said, "bob was put on hold, and agreed to listen")
    exchange.gone()


@case("on hold there is music", slow=True)
def music_on_hold(bench):
    hold(bench, "PCMA")


@case("on hold there is music in Opus, with SRTP", slow=True)
def music_with_srtp(bench):
    hold(bench, "opus", ";mediaenc=srtp-mand", '\nsrtp = "required"')
