"""Telephones dial a room, with several codecs and keys, and each must hear the tones of all others and not its own: three
baresips, and twelve telephones of which nine are of the tests' own."""

import functools
import os
import time

from harness import DOMAIN, case, check, wait_for
from phones import TONES, Phone, hears_these, write_tone
from room_member import Member, Pace
from cases.handover import ask, token
from cases.transcoding import MD5

ROOM = """[[room]]
name = "council"
[[route]]
name = "conference"
exact = "5000"
to = [{ room = "council" }]
"""


@case("a room, PCMU, G.722 and Opus hear each other", slow=True)
def three_hear_each_other(bench):
    codecs = {"alice": "PCMU", "bob": "G722", "carol": "opus"}
    exchange = bench.exchange(extra=MD5 + ROOM, users=list(codecs))
    phones = [
        Phone(bench, exchange, user, tone, dial=f"sip:{number}@{DOMAIN}", seconds=8, codec=codec)
        # Its name leads there as its number does.
        for (user, codec), tone, number in zip(codecs.items(), TONES, ("5000", "council", "5000"))
    ]
    members = functools.partial(exchange.metric, "strowger_room_members", room="council")
    wait_for(lambda: members() == 3, "all three are in the room")
    for phone in phones:
        phone.finish()
    check(exchange.metric("strowger_calls_answered_total") == 3, "three calls were answered")
    check(exchange.metric("strowger_media_decode_errors_total") == 0, "and all could be decoded")
    for phone, own in zip(phones, TONES):
        phone.hears_all([tone for tone in TONES if tone != own])
    wait_for(lambda: members() == 0, "nobody is left in the room")
    wait_for(lambda: exchange.metric("strowger_bindings") == 0, "all have unregistered as they ended")
    exchange.gone()


@case("a room calls a telephone", slow=True)
def a_room_calls(bench):
    exchange = bench.exchange(extra=MD5 + ROOM, users=["alice", "bob"])
    bearer = token(exchange)
    wait_for(lambda: ask(exchange, bearer, "GET", "/version"), "the management API listens")
    bob = Phone(bench, exchange, "bob", TONES[1], answers=True, seconds=9, codec="opus")
    wait_for(lambda: exchange.metric("strowger_bindings") == 1, "bob is registered")
    alice = Phone(bench, exchange, "alice", TONES[0], dial=f"sip:5000@{DOMAIN}", seconds=8, codec="PCMU")
    members = functools.partial(exchange.metric, "strowger_room_members", room="council")
    wait_for(lambda: members() == 1, "alice is in the room")
    for to in ("nobody", "bob"):
        begun = ask(exchange, bearer, "POST", "/rooms/council/members", {"to": to})
        check(begun["dialled"] == f"{to}@{DOMAIN}", f"the call is begun: {begun}")
    wait_for(lambda: members() == 2, "bob has answered and is in the room")
    # Whoever rings has a place in the room already.
    wait_for(lambda: ask(exchange, bearer, "GET", f"/calls/{begun['id']}")["state"] == "talking", "the answer names the call")
    alice.finish()
    bob.finish()
    alice.hears(TONES[1], (1 / 2, 3 / 4))
    bob.hears(TONES[0], (1 / 2, 3 / 4))
    wait_for(lambda: members() == 0, "nobody is left in the room")
    exchange.gone()


@case("a member of a room is muted, moved, and locked out", slow=True)
def members_are_changed(bench):
    annex = '[[room]]\nname = "annex"\n'
    exchange = bench.exchange(extra=MD5 + ROOM + annex, users=["alice", "bob", "carol", "dave"])
    bearer = token(exchange)
    wait_for(lambda: ask(exchange, bearer, "GET", "/version"), "the management API listens")
    phones = []
    for user, tone in zip(("bob", "alice", "carol"), (TONES[1], TONES[0], TONES[2])):
        phones.append(Phone(bench, exchange, user, tone, dial=f"sip:5000@{DOMAIN}", seconds=16, codec="PCMU"))
        wait_for(lambda: len(roster(exchange, bearer)) == len(phones), f"{user} is in the room")
    began = time.monotonic()
    bob, alice, carol = phones
    ids = {member["who"].split("@")[0]: member["id"] for member in roster(exchange, bearer)}
    path = "/rooms/council/members/"
    time.sleep(3)
    ask(exchange, bearer, "POST", f"{path}{ids['alice']}?change=mute")
    muted = [member["who"] for member in roster(exchange, bearer) if member["muted"]]
    check(muted == [f"alice@{DOMAIN}"], f"alice is muted: {muted}")
    time.sleep(4 - (time.monotonic() - began - 3))
    ask(exchange, bearer, "POST", f"{path}{ids['alice']}?change=unmute")
    for user in ("alice", "bob"):
        ask(exchange, bearer, "POST", f"{path}{ids[user]}?change=move&to=annex")
    check([member["who"] for member in roster(exchange, bearer)] == [f"carol@{DOMAIN}"], "carol is left alone")
    ask(exchange, bearer, "PUT", "/rooms/council/lock")
    dave = Phone(bench, exchange, "dave", TONES[0], dial=f"sip:5000@{DOMAIN}", seconds=3, codec="PCMU")
    time.sleep(3)
    check(len(roster(exchange, bearer)) == 1, "dave is not let in")
    moved = time.monotonic() - began
    ask(exchange, bearer, "DELETE", f"{path}{ids['carol']}")
    wait_for(lambda: not roster(exchange, bearer), "carol is hung up")
    bob_ends = time.monotonic() - began
    ask(exchange, bearer, "DELETE", f"/rooms/annex/members/{ids['bob']}")
    for phone in [*phones, dave]:
        phone.finish()
    # Bob was there a moment before the clock began, and was hung up last.
    whole = bob.recorded_seconds()
    part = lambda begin, end: ((whole - bob_ends + begin) / whole, (whole - bob_ends + end) / whole)
    bob.hears_all([TONES[0], TONES[2]], part(1, 2.5))
    bob.hears_all([TONES[2]], part(4.5, 6.5))
    bob.hears_all([TONES[0]], part(8, moved - 0.5))
    exchange.gone()


def roster(exchange, bearer, room="council"):
    """Who is in a room, of those who have come in."""
    return [member for member in ask(exchange, bearer, "GET", f"/rooms/{room}/members")["members"] if member["state"] == "present"]


# Twelve frequencies, in hertz, that fill a fifth of a second with whole periods and that no harmonic of another one meets.
MANY_TONES = (310, 430, 590, 730, 890, 1030, 1190, 1370, 1570, 1790, 2030, 2290)
# Eleven of them together stay below the full scale, so that no limiter has anything to do.
QUIET = 1_500
CODECS = ("PCMU", "PCMA", "G722", "PCMU", "PCMA", "G722", "PCMU", "PCMA", "G722")
# What the three baresips take, and how they are protected.
BARESIPS = (("opus", ""), ("PCMA", ";mediaenc=srtp-mand"), ("G722", ";mediaenc=srtp-mand"))


@case("twelve in a room hear each other", slow=True)
def twelve_hear_each_other(bench):
    names = [f"member{number}" for number in range(12)]
    exchange = bench.exchange(extra=MD5 + ROOM, users=names)
    phones = [
        Phone(bench, exchange, user, tone, dial=f"sip:5000@{DOMAIN}", seconds=20, codec=codec, more=more, amplitude=QUIET)
        for user, tone, (codec, more) in zip(names, MANY_TONES, BARESIPS)
    ]
    own = [
        Member(bench, exchange, user, codec, tone, QUIET)
        for user, tone, codec in zip(names[3:], MANY_TONES[3:], CODECS)
    ]
    for member in own:
        member.dial("5000")
    pace = Pace(own)
    members = functools.partial(exchange.metric, "strowger_room_members", room="council")
    wait_for(lambda: members() == 12, "all twelve are in the room", 15)
    since = time.monotonic() + 1
    time.sleep(5)
    until = time.monotonic()
    check(members() == 12, "all are there all the time")
    for phone in phones:
        phone.finish()
    pace.end()
    for member in own:
        member.leave()
    wait_for(lambda: members() == 0, "nobody is left in the room")
    check(exchange.metric("strowger_media_decode_errors_total") == 0, "all could be decoded")
    for member, tone in zip(own, MANY_TONES[3:]):
        shares, missing = member.shares(MANY_TONES, since, until)
        hears_these(f"{member.user} ({member.codec})", shares, [other for other in MANY_TONES if other != tone])
        check(missing == 0, f"{member.user} has been sent all packets: {missing} are missing")
    for phone, tone in zip(phones, MANY_TONES):
        # Where the buffer of a telephone leaves something out, all tones go on in another phase, which is power beside them.
        others = [other for other in MANY_TONES if other != tone]
        phone.hears_all(others, (1 / 2, 3 / 4), among=MANY_TONES, whole=0.6)
    exchange.gone()


def told(member, since, until):
    """Which of the tones of prompts a member has heard between two times, by parts of a fifth of a second."""
    return [tone for tone in PROMPTS.values() if member.loudest(tone, since, until) > 0.8]


# A file for each kind of news, and its tone.
PROMPTS = {"join": 1_800, "leave": 2_100, "alone": 2_400}


@case("a room tells who is alone, who comes and who goes", slow=True)
def prompts(bench):
    folder = bench.path("sounds")
    os.makedirs(folder)
    for name, tone in PROMPTS.items():
        write_tone(os.path.join(folder, f"{name}.wav"), tone, 1)
    keys = "".join(f'{name}_sound = "{name}.wav"\n' for name in PROMPTS)
    room = ROOM.replace('name = "council"\n', f'name = "council"\n{keys}', 1)
    exchange = bench.exchange(extra=MD5 + room, users=["alice", "bob"], media=f'sounds = "{folder}"')
    alice, bob = (Member(bench, exchange, user, codec, 440, 0) for user, codec in (("alice", "PCMA"), ("bob", "G722")))
    pace = Pace([alice, bob])

    def heard_after(action):
        """What each hears in the four seconds behind something."""
        since = time.monotonic()
        action()
        time.sleep(4)
        return [told(member, since, time.monotonic()) for member in (alice, bob)]

    join, leave, alone = PROMPTS.values()
    check(heard_after(lambda: alice.dial("5000")) == [[alone], []], "alice is told that she is alone")
    check(heard_after(lambda: bob.dial("5000")) == [[join], [join]], "both are told that bob has come")
    check(heard_after(bob.leave) == [[leave, alone], []], "alice is told that he has gone, and that she is alone")
    pace.end()
    alice.leave()
    exchange.gone()
