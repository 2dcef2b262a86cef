"""Three baresips dial a room, each with another codec, and each must hear the tones of the two others and not its own."""

import functools

from harness import DOMAIN, case, check, wait_for
from phones import TONES, Phone
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
        Phone(bench, exchange, user, tone, dial=f"sip:5000@{DOMAIN}", seconds=8, codec=codec)
        for (user, codec), tone in zip(codecs.items(), TONES)
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
