"""An agent tells of a hazard: the experts' telephones ring, the best first, and whoever answers is in the council's room."""

import functools
import json
import os
import subprocess

from harness import DOMAIN, Skipped, case, check, kill, read, wait_for
from phones import TONES, Phone
from cases.announcements import sounds
from cases.handover import ask, token
from cases.rooms import ROOM
from cases.transcoding import MD5

ESCALATION = """[escalation]
room = "council"
ring_timeout_s = 2
"""


def strowger(exchange, *words):
    """What a command has printed, and how it has ended."""
    command = [*exchange.program, "--config", exchange.config, *words]
    done = subprocess.run(command, text=True, capture_output=True, timeout=60, check=False)
    return done.stdout, done.returncode, done.stderr


def expert(bench, exchange, name, level):
    key = bench.path(f"{name}.key")
    said = strowger(exchange, "expert", "add", name, "--address", name, "--knows", f"safety:{level}", "--key", key)
    check(said[1] == 0, f"{name} is an expert: {said}")


@case("a hazard is escalated to an expert over TLS and SRTP", slow=True)
def escalated(bench):
    exchange = bench.exchange(extra=MD5 + ROOM + ESCALATION, users=["alice", "bob", "carol"], tls=True,
                              media='srtp = "required"')
    bearer = token(exchange)
    wait_for(lambda: ask(exchange, bearer, "GET", "/version"), "the management API listens")
    expert(bench, exchange, "carol", 3)
    expert(bench, exchange, "bob", 2)
    wait_for(lambda: ask(exchange, bearer, "GET", "/experts")["total"] == 2, "the experts are known while it runs")
    bob = Phone(bench, exchange, "bob", TONES[1], transport="tls", answers=True, seconds=14, codec="opus",
                more=";mediaenc=srtp-mand")
    carol = Phone(bench, exchange, "carol", TONES[2], seconds=14)
    wait_for(lambda: exchange.metric("strowger_bindings") == 2, "both experts are registered")
    alice = Phone(bench, exchange, "alice", TONES[0], dial=f"sip:5000@{DOMAIN}", seconds=12, codec="PCMU",
                  more=";mediaenc=srtp-mand")
    members = functools.partial(exchange.metric, "strowger_room_members", room="council")
    wait_for(lambda: members() == 1, "alice is in the room")
    text = "valve 7 is open, ask jane@example.org, SSN 536-22-1234"
    said = strowger(exchange, "escalate", "--hazard", "safety", "--text", text, "--json")
    check(said[1] == 0, f"an expert is in the room: {said}")
    told = json.loads(said[0])
    tried = [(one["expert"], one["outcome"]) for one in told["tried"]]
    check(tried == [("carol", "failed"), ("bob", "answered")], f"carol did not answer, and bob has: {tried}")
    check(told["state"] == "connected" and told["expert"] == "bob", f"bob is connected: {told}")
    check(told["content"]["text"] == "valve 7 is open, ask [REDACTED:EMAIL], SSN [REDACTED:SSN]", f"redacted: {told}")
    check(members() == 2, "both are in the room")
    link = f"/api/v1/escalations/{told['id']}/evidence?to=bob&"
    wait_for(lambda: link in read(bench.path("bob.log")), "bob's telephone shows where the evidence is")
    trace = ask(exchange, bearer, "GET", f"/witness/traces/{told['trace_id']}?limit=100")
    kinds = [(record["kind"], record.get("outcome")) for record in trace["records"]]
    for wanted in [("admission", "approve"), ("escalation", "rings"), ("escalation", "connected")]:
        check(wanted in kinds, f"{wanted} is on record: {kinds}")
    check("jane@" not in json.dumps(trace), "nobody is named in the record")
    the_council_votes(exchange, told["id"])
    alice.finish()
    bob.finish()
    carol.finish()
    alice.hears(TONES[1], (2 / 3, 5 / 6))
    bob.hears(TONES[0], (1 / 4, 1 / 2))
    ended = ask(exchange, bearer, "GET", f"/escalations/{told['id']}")
    check(ended["state"] == "ended", f"it is over when bob has gone: {ended}")
    wait_for(lambda: members() == 0, "nobody is left in the room")
    wait_for(lambda: exchange.metric("strowger_escalations") == 0, "nor is any escalation")
    exchange.gone()


@case("a hazard is announced; NDI is found", slow=True)
def announced(bench):
    sound = '[[escalation.announcement]]\nhazard = "safety"\nsound = "closed.wav"\n[ndi]\ninterfaces = ["127.0.0.1"]\n'
    exchange = bench.exchange(extra=MD5 + ROOM + ESCALATION + sound, users=["alice", "bob"], media=sounds(bench))
    bearer = token(exchange)
    wait_for(lambda: ask(exchange, bearer, "GET", "/version"), "the management API listens")
    expert(bench, exchange, "bob", 1)
    wait_for(lambda: ask(exchange, bearer, "GET", "/experts")["total"] == 1, "bob is known while it runs")
    studio = NdiSource(bench, "STUDIO (CAM 1)", 5961)
    listed = functools.partial(ask, exchange, bearer, "GET", "/ndi")
    wait_for(lambda: listed()["total"] == 1, "the source is heard of", 20)
    source = {"name": "STUDIO (CAM 1)", "host": "studio.local", "addresses": ["127.0.0.1"], "port": 5961}
    check(listed()["sources"] == [source], f"it is what python-zeroconf says of it: {listed()}")
    bob = Phone(bench, exchange, "bob", TONES[1], answers=True, seconds=14)
    wait_for(lambda: exchange.metric("strowger_bindings") == 1, "bob is registered")
    alice = Phone(bench, exchange, "alice", TONES[0], dial=f"sip:5000@{DOMAIN}", seconds=12)
    wait_for(lambda: exchange.metric("strowger_room_members", room="council") == 1, "alice is in the room")
    hazard = ("escalate", "--hazard", "safety", "--text", "valve 7 is open", "--ndi", "studio (cam 1)", "--json")
    said = strowger(exchange, *hazard)
    check(said[1] == 0, f"bob is in the room: {said}")
    told = json.loads(said[0])
    check(told["ndi"] == {"stream": "studio (cam 1)", "state": "available", "source": source}, f"it is there: {told['ndi']}")
    studio.close()
    wait_for(lambda: listed()["total"] == 0, "it has said goodbye")
    ndi = ask(exchange, bearer, "GET", f"/escalations/{told['id']}")["ndi"]
    check(ndi["state"] == "absent", f"then it is absent, which is no error: {ndi}")
    alice.finish()
    bob.finish()
    # What is said when bob comes in is heard beside him for its five seconds, and then he alone.
    alice.hears_all([TONES[1], TONES[2]], (1 / 4, 2 / 5))
    alice.hears(TONES[1], (3 / 4, 9 / 10))
    wait_for(lambda: exchange.metric("strowger_escalations") == 0, "it is over when bob has gone")
    exchange.gone()


class NdiSource:
    """One that says that it is there, by a program of Debian's own Python."""

    def __init__(self, bench, name, port):
        python = "/usr/bin/python3"
        if subprocess.run([python, "-c", "import zeroconf"], capture_output=True, check=False).returncode != 0:
            raise Skipped("python3-zeroconf is not here")
        command = [python, os.path.join(os.path.dirname(__file__), "..", "ndi_source.py"), name, str(port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        bench.deferred.append(lambda: kill(self.process))
        check(self.process.stdout.readline() == "registered\n", f"{name} says that it is there")

    def close(self):
        self.process.stdin.close()
        check(self.process.wait(20) == 0, "it ends")


@case("an escalation that is refused, and one that nobody answers", slow=True)
def refused(bench):
    exchange = bench.exchange(extra=MD5 + ROOM + ESCALATION, users=["alice", "bob"])
    bearer = token(exchange)
    wait_for(lambda: ask(exchange, bearer, "GET", "/version"), "the management API listens")
    hazard = ("escalate", "--hazard", "safety", "--text", "valve 7 is open")
    said = strowger(exchange, *hazard)
    check(said[1] == 1 and "(specialisation: no-specialist)" in said[0], f"nobody knows about it: {said}")
    expert(bench, exchange, "bob", 1)
    wait_for(lambda: ask(exchange, bearer, "GET", "/experts")["total"] == 1, "bob is known while it runs")
    said = strowger(exchange, *hazard)
    check(said[1] == 1 and "nobody has answered\nbob cannot be reached\n" in said[0], f"bob is not registered: {said}")
    other = bench.path("other.key")
    strowger(exchange, "guardian", "keygen", other)
    said = strowger(exchange, *hazard, "--key", other)
    check(said[1] == 1 and "(authenticity: key-mismatch)" in said[0], f"the key is another's: {said}")
    for standing, reason in (("suspend", "suspended"), ("revoke", "revoked")):
        strowger(exchange, "guardian", standing, "guardian.security")
        stands = functools.partial(standing_of, exchange, bearer, "guardian.security")
        wait_for(lambda: stands() == reason, f"{reason} while it runs")
        said = strowger(exchange, *hazard)
        check(said[1] == 1 and f"(identity: {reason})" in said[0], f"{reason}: {said}")
    strowger(exchange, "expert", "revoke", "bob")
    wait_for(lambda: ask(exchange, bearer, "GET", "/experts")["experts"][0]["standing"] == "revoked", "bob is revoked")
    said = strowger(exchange, *hazard, "--as", "guardian.legal")
    check(said[1] == 1 and "(specialisation: expert-not-approved)" in said[0], f"bob is not approved: {said}")
    rejected = functools.partial(exchange.metric, "strowger_escalations_decided_total", outcome="rejected")
    wait_for(lambda: rejected() == 5, "five were refused")
    exchange.gone()


def standing_of(exchange, bearer, guardian):
    known = ask(exchange, bearer, "GET", "/guardians")["guardians"]
    return next(one["standing"] for one in known if one["id"] == guardian)


def the_council_votes(exchange, escalation):
    """Nine of the twelve guardians want it, and three do not."""
    said = strowger(exchange, "vote", "open", escalation, "--question", "Shall the plant be stopped?", "--json")
    check(said[1] == 0, f"the council is asked: {said}")
    vote = json.loads(said[0])["id"]
    guardians = [line.split()[0] for line in strowger(exchange, "guardian", "list")[0].splitlines()[1:]]
    check(len(guardians) == 12, f"there are twelve: {guardians}")
    for place, guardian in enumerate(guardians):
        choice = "approve" if place < 9 else "reject"
        said = strowger(exchange, "vote", "cast", vote, "--as", guardian, "--choice", choice)
        check(said[1] == 0, f"{guardian} votes: {said}")
    check("approved: 9 approve, 3 reject, 0 abstain, 0 veto, of 12" in said[0], f"three in four are enough: {said}")
    said = strowger(exchange, "vote", "cast", vote, "--as", guardians[0], "--choice", "reject")
    check(said[1] == 1 and "voted already" in said[0], f"nobody votes twice: {said}")
