"""Keys between two who tell them in different ways: each of the sixteen once and in order, whichever way it goes.

sipp has the signalling of both; their sound is that of `key_phone`.
"""

import re

from harness import DOMAIN, case, check, read, route, trunk, wait_for
from key_phone import KEYS, Sound, speech, tones_of
from sipp import Sipp, finish

CALLER, CALLEE = 2, 3
INFO = ", INFO"

# An INFO with a key; what stands in brackets is for sipp.
PRESSED = """
  <send retrans="500">
    <![CDATA[
      INFO [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      [routes]
      Max-Forwards: 70
      From: "Caller" <sip:caller@{domain}>;tag=[pid]c[call_number]
      To: <sip:[service]@{domain}>[peer_tag_param]
      Call-ID: [call_id]
      CSeq: {number} INFO
      Content-Type: application/dtmf-relay
      Content-Length: [len]

      Signal={key}
      Duration=80
    ]]>
  </send>
  <recv response="200"/>
  <pause milliseconds="60"/>
"""


class Call:
    """A call from one trunk to another, with the sound of both."""

    def __init__(self, bench, events=(True, True), allow="", more=("", ""), keys="", talk_ms=9000, **options):
        caller, callee = bench.address(CALLER), bench.address(CALLEE)
        self.bench, self.sounds = bench, [Sound(bench, caller), Sound(bench, callee)]
        told = [sound.description(address, has) for sound, address, has in zip(self.sounds, (caller, callee), events)]
        self.server = Sipp(bench, "uas_keys", CALLEE, ANSWER=told[1], ALLOW=allow, seconds=30).listening()
        trunks = trunk("caller", sources=[f"{caller}/32"], more=more[0])
        trunks += trunk("callee", [f"sip:{self.server.contact}"], [f"{callee}/32"], more=more[1])
        self.exchange = bench.exchange(trunks=trunks + route("out", '{ trunk = "callee" }'), **options)
        infos = "".join(PRESSED.format(number=2 + number, key=key, domain=DOMAIN) for number, key in enumerate(keys))
        self.client = Sipp(
            bench, "uac_keys", CALLER, to=self.exchange.to, OFFER=told[0], ALLOW=allow, INFOS=infos, TALK=talk_ms, seconds=30,
        )
        wait_for(lambda: self.exchange.metric("strowger_calls_answered_total") == 1, "the call is answered")
        wait_for(lambda: "ACK " in self.server.messages(), "and confirmed")
        self.to = self._port_told()

    def _port_told(self):
        """Where the caller is to send to."""
        answer = self.client.messages().split("SIP/2.0 200 OK", 1)[1]
        return self.exchange.ip, int(re.search(r"m=audio (\d+)", answer).group(1))

    def signalled(self):
        """The keys that the callee was told by INFO; what is sent again counts once."""
        told = re.findall(r"INFO sip:.*?CSeq: (\d+) INFO.*?Signal=(\S)", self.server.messages(), re.DOTALL)
        keys = {}
        for number, key in told:
            keys.setdefault(int(number), key)
        return "".join(key for _, key in sorted(keys.items()))

    def over(self):
        finish(self.client, self.server)
        log = read(self.bench.path("exchange.log"))
        check("Signal" not in log, "no key is in the log")
        self.exchange.gone()


@case("keys by events reach who takes INFO")
def events_to_info(bench):
    call = Call(bench, events=(True, False), allow=INFO)
    call.sounds[0].presses(call.to, KEYS)
    wait_for(lambda: call.signalled() == KEYS, f"all are told by INFO, in order: {call.signalled()}")
    call.over()
    check(call.signalled() == KEYS, f"and once: {call.signalled()}")


@case("keys by INFO reach who takes events")
def info_to_events(bench):
    call = Call(bench, events=(False, True), allow=INFO, more=("", 'dtmf = "rfc4733"'), keys=KEYS)
    wait_for(lambda: call.sounds[1].events() == KEYS, "all are told by events, in order", seconds=10)
    call.over()
    call.sounds[1].numbers_follow()
    call.sounds[1].ends_are_repeated()
    check(call.sounds[1].events() == KEYS, f"and once: {call.sounds[1].events()}")


@case("keys by events are tones for who takes nothing else")
def events_to_tones(bench):
    call = Call(bench, events=(True, False))
    call.sounds[0].is_silent(call.to, 0.4)
    call.sounds[0].presses(call.to, KEYS)
    call.sounds[0].is_silent(call.to, 1.0)
    call.over()
    heard = call.sounds[1].tones(bench.path("callee"))
    check(heard == KEYS, f"multimon-ng hears all, once and in order: {heard}")
    check(not call.signalled(), "and none comes by INFO")


@case("keys by INFO are tones for who takes nothing else")
def info_to_tones(bench):
    call = Call(bench, events=(False, False), more=("", 'dtmf = "inband"'), keys=KEYS)
    call.over()
    heard = call.sounds[1].tones(bench.path("callee"))
    check(heard == KEYS, f"multimon-ng hears all, once and in order: {heard}")


@case("tones of a trunk that has keys in its sound are events for the other")
def tones_to_events(bench):
    call = Call(bench, events=(False, True), more=('dtmf = "inband"', 'dtmf = "rfc4733"'))
    call.sounds[0].is_silent(call.to, 0.4)
    # A key is told when it is over, and the next one while that goes on: pauses are as long as that takes.
    call.sounds[0].says(call.to, tones_of(KEYS, pause=0.16))
    call.sounds[0].is_silent(call.to, 0.6)
    call.over()
    call.sounds[1].ends_are_repeated()
    check(call.sounds[1].events() == KEYS, f"each is told once, in order: {call.sounds[1].events()}")
    heard = call.sounds[1].tones(bench.path("callee"))
    check(heard == "", f"and nothing of the tones is heard: {heard}")


@case("tones of a trunk that has keys in its sound are INFO for the other")
def tones_to_info(bench):
    call = Call(bench, events=(False, False), allow=INFO, more=('dtmf = "inband"', 'dtmf = "info"'))
    call.sounds[0].is_silent(call.to, 0.4)
    call.sounds[0].says(call.to, tones_of(KEYS))
    call.sounds[0].is_silent(call.to, 0.4)
    call.over()
    check(call.signalled() == KEYS, f"each is told once, in order: {call.signalled()}")


SPOKEN = """Please have your card ready. The number on its back has sixteen digits, and no one who works here will ever ask you for it.
If you would rather speak with somebody, stay on the line; otherwise leave your name, your number and the reason for your call,
and we will ring you back within two days. Thank you, and have a very good afternoon."""


@case("a voice is not taken for keys", slow=True)
def voice(bench):
    call = Call(bench, events=(False, False), allow=INFO, more=('dtmf = "inband"', 'dtmf = "info"'), talk_ms=23000)
    call.sounds[0].says(call.to, speech(SPOKEN)[: 2 * 8000 * 18])
    call.over()
    check(call.signalled() == "", f"nothing is told: {call.signalled()}")
