"""What operators want of calls and their parties by the API: two are called, held, muted, played to, connected elsewhere, and brought
into a room. What each hears is told by its content."""

import os
import time

import harness
from harness import DOMAIN, case, check, wait_for
from phones import TONES, Phone, heard_in_turn, write_tone
from cases.escalation import strowger
from cases.handover import ask, token
from cases.rooms import ROOM, roster
from cases.transcoding import MD5

# In hertz: what is played, and the music of who is on hold.
PLAYED, MUSIC = 700, 880


def sounds(bench):
    """A folder with a file of two seconds and music, and the keys that name them."""
    folder = bench.path("sounds")
    os.makedirs(folder)
    write_tone(os.path.join(folder, "notice.wav"), PLAYED, 2)
    write_tone(os.path.join(folder, "music.wav"), MUSIC, 5)
    return f'sounds = "{folder}"\nmusic_on_hold = "music.wav"'


class SoftPhone:
    """A soft phone of the exchange's own program, which waits for a call and records it through every change of its session."""

    def __init__(self, bench, exchange, user, tone):
        self.user = user
        self.heard = bench.path(f"{user}.wav")
        server = f"sip:{exchange.host}:{exchange.port}"
        self.process = bench.start(user, [
            bench.binary, "call", "--register", "--answer", "--from", f"{user}@{DOMAIN}", "--server", server, "--tone", str(tone),
            "--record", self.heard, "--password", harness.PASSWORD])

    def finish(self):
        self.process.wait(20)


@case("an operator handles a call", slow=True)
def control(bench):
    users = ["alice", "bob", "carol"]
    exchange = bench.exchange(extra=MD5 + ROOM, users=users, media=sounds(bench))
    bearer = token(exchange)
    wait_for(lambda: ask(exchange, bearer, "GET", "/version"), "the management API listens")
    alice = SoftPhone(bench, exchange, "alice", TONES[0])
    bob = Phone(bench, exchange, "bob", TONES[1], answers=True, seconds=22)
    carol = Phone(bench, exchange, "carol", TONES[2], answers=True, seconds=31)
    wait_for(lambda: exchange.metric("strowger_bindings") == 3, "all are registered")
    call = ask(exchange, bearer, "POST", "/calls", {"from": "alice", "to": "bob"})["id"]
    state = lambda: ask(exchange, bearer, "GET", f"/calls/{call}")
    wait_for(lambda: state()["state"] == "talking", "they talk")
    check(state()["caller"] == f"alice@{DOMAIN}" and state()["dialled"] == f"bob@{DOMAIN}", f"the call says who: {state()}")

    def change(party, what):
        time.sleep(2)
        ask(exchange, bearer, "POST", f"/calls/{call}/parties/{party}?change={what}")

    change("called", "mute")
    check(state()["parties"]["called"]["muted"], "bob is muted")
    change("called", "unmute")
    change("caller", "play&sound=notice.wav")
    check(state()["parties"]["caller"]["played_to"], "alice hears something")
    wait_for(lambda: not state()["parties"]["caller"]["played_to"], "and it is over")
    time.sleep(2)
    strowger(exchange, "call", "hold", call, "--party", "caller")
    listed = strowger(exchange, "call", "list")[0]
    check(call in listed and f"bob@{DOMAIN}" in listed, f"the call is listed: {listed}")
    change("caller", "resume")
    change("caller", "transfer&to=carol")
    wait_for(lambda: exchange.metric("strowger_calls_transferred_total") == 1, "alice is connected with carol")
    wait_for(lambda: exchange.metric("strowger_legs") == 2, "and bob is hung up")
    change("both", "move&to=council")
    wait_for(lambda: len(roster(exchange, bearer)) == 2, "both are in the room")
    who = sorted(member["who"] for member in roster(exchange, bearer))
    check(who == [f"alice@{DOMAIN}", f"carol@{DOMAIN}"], f"they are: {who}")
    change("caller", "hold")
    change("caller", "resume")
    time.sleep(2)
    for member in roster(exchange, bearer):
        ask(exchange, bearer, "DELETE", f"/rooms/council/members/{member['id']}")
    wait_for(lambda: exchange.metric("strowger_calls") == 0, "nobody is left")
    for phone in (alice, bob, carol):
        phone.finish()
    hears = heard_in_turn(alice.heard, (*TONES, PLAYED, MUSIC))
    expected = [TONES[1], None, TONES[1], PLAYED, TONES[1], MUSIC, TONES[1], TONES[2], MUSIC, TONES[2]]
    check(without_edges(hears) == expected, f"alice hears in turn {hears}")
    hears = heard_in_turn(bob.recording(), (*TONES, PLAYED, MUSIC))
    check(without_edges(hears) == [TONES[0], None, TONES[0]], f"bob hears in turn {hears}")
    exchange.gone()


def without_edges(hears):
    """Without the silence before somebody is there, and after they are gone."""
    while hears and hears[0] is None:
        hears = hears[1:]
    while hears and hears[-1] is None:
        hears = hears[:-1]
    return hears
