"""Who is recorded is told before, or asked, on real streams: what each hears and when, the keys that agree or refuse, and what the
witness log says of it.
"""

import os
import re
import time

from cases.dtmf import Call
from cases.recording import exchange_of, told
from cases.rooms import ROOM
from harness import case, check, wait_for
from phones import TONES, write_tone
from room_member import Member, Pace

POLICY = """[[rule]]
name = "kept"
when = { action = "call" }
then = "conditional"
obligations = { record = true, consent = "asked" }
"""
RECORDING = '[recording]\nannouncement = "told.wav"\n'


def sounds(bench):
    """A folder with an announcement: two seconds of the third tone. The line that names it."""
    folder = bench.path("sounds")
    os.makedirs(folder)
    write_tone(os.path.join(folder, "told.wav"), TONES[2], 2)
    return f'sounds = "{folder}"'


def outcomes(exchange):
    return [record["outcome"] for record in told(exchange)]


@case("who dials a room that is recorded is told, and then comes in", slow=True)
def told_before_a_room(bench):
    exchange = exchange_of(bench, 'announcement = "told.wav"\n' + ROOM, consent="announced", media=sounds(bench))
    alice, bob = (
        Member(bench, exchange, user, codec, tone, 4_000)
        for user, codec, tone in (("alice", "PCMA", TONES[0]), ("bob", "G722", TONES[1]))
    )
    pace = Pace([alice, bob])

    def dials(member, seconds):
        begun = time.monotonic()
        member.dial("5000")
        time.sleep(seconds)
        return begun

    begun = dials(alice, 3.5)
    check(alice.loudest(TONES[2], begun, begun + 3.5) > 0.8, "alice is told")
    check(outcomes(exchange) == ["told", "begun"], f"the log says so, and that it has begun: {outcomes(exchange)}")
    begun = dials(bob, 5.5)
    check(bob.loudest(TONES[2], begun, begun + 2.5) > 0.8, "bob is told")
    check(bob.loudest(TONES[0], begun, begun + 1.7) < 0.1, "and hears nobody meanwhile")
    check(alice.loudest(TONES[1], begun, begun + 1.7) < 0.1, "nor is he heard")
    check(alice.loudest(TONES[2], begun, begun + 5.5) < 0.1, "alice is not told again")
    check(bob.loudest(TONES[0], begun + 3, begun + 5.5) > 0.8, "then he hears alice")
    check(alice.loudest(TONES[1], begun + 3, begun + 5.5) > 0.8, "and is heard by her")
    pace.end()
    alice.leave()
    bob.leave()
    complete = lambda: exchange.metric("strowger_recordings_ended_total", result="complete")
    wait_for(lambda: complete() == 2, "both recordings are complete", 10)
    exchange.gone()


def asked(bench, more=""):
    """A call whose parties are asked for their agreement, and where each of them sends to."""
    policy = bench.write("policy.toml", POLICY)
    extra = f'[policy]\nfile = "{policy}"\n{RECORDING}{more}'
    call = Call(bench, talk_ms=9000, extra=extra, media=sounds(bench))
    invite = re.search(r"INVITE sip:.*?m=audio (\d+)", call.server.messages(), re.DOTALL)
    wait_for(lambda: all(sound.packets for sound in call.sounds), "both are asked")
    return call, [call.to, (call.exchange.ip, int(invite[1]))]


@case("a recording begins when both parties have pressed the key to agree", slow=True)
def agreed_by_keys(bench):
    call, ways = asked(bench)
    call.sounds[0].presses(ways[0], "51")
    wait_for(lambda: outcomes(call.exchange) == ["agreed"], f"the caller has agreed: {outcomes(call.exchange)}")
    call.sounds[1].presses(ways[1], "1")
    wait_for(lambda: outcomes(call.exchange) == ["agreed", "agreed", "begun"], "so has the called one, and it begins")
    parties = [record["facts"]["party"] for record in told(call.exchange)[:2]]
    check(parties == ["caller", "called"], f"the log says who: {parties}")
    call.sounds[0].presses(ways[0], "7")
    wait_for(lambda: call.sounds[1].events() == "7", "from then on keys are for the other party")
    call.over()
    heard = [sound.events() for sound in call.sounds]
    check(heard == ["", "7"], f"and none was before: {heard}")
    check(outcomes(call.exchange)[3:] == ["ended", "complete"], f"it is complete: {outcomes(call.exchange)}")


@case("who presses the key to refuse is not recorded", slow=True)
def refused_by_a_key(bench):
    call, ways = asked(bench, "required = false\n")
    call.sounds[0].presses(ways[0], "2")
    wait_for(lambda: outcomes(call.exchange) == ["refused"], f"the caller has refused: {outcomes(call.exchange)}")
    call.sounds[0].presses(ways[0], "7")
    wait_for(lambda: call.sounds[1].events() == "7", f"and they talk: {call.sounds[1].events()}")
    call.over()
    check(outcomes(call.exchange) == ["refused"], f"nothing was recorded: {outcomes(call.exchange)}")
    kept = os.path.join(call.exchange.data, "recordings")
    check(not os.path.exists(kept) or not os.listdir(kept), "there is no file")
