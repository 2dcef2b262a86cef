"""A call goes on in a second process: the first says what it is, keys and all, and ends; the second goes on with it."""

import json
import subprocess
import time
import urllib.error
import urllib.request

from harness import DOMAIN, case, check, read, wait_for
from phones import TONES, Phone

from cases.dtls import DTLS, SDES, SUITES, certificates
from cases.phones import MD5

SECONDS = 14


def token(exchange):
    """A token for all that the API can do."""
    command = [*exchange.program, "--config", exchange.config, "token", "create", "handover", "--role", "administrator"]
    done = subprocess.run(command, text=True, capture_output=True, timeout=20, check=False)
    check(done.returncode == 0, f"a token is made: {done.stderr}")
    return done.stdout.split("secret ")[1].split()[0]


def ask(exchange, bearer, method, path, body=None):
    """What the API answers, of 2xx only."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{exchange.api_port}/api/v1{path}", data, method=method)
    request.add_header("Authorization", f"Bearer {bearer}")
    if data:
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            text = answer.read().decode()
            return json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {path}: {error.read().decode()}") from error
    except urllib.error.URLError:
        # It listens a moment after the page that says that the exchange is ready.
        return None


def hand_over(bench, kind, media):
    """Alice and bob talk; after some seconds another process has their call; alice hangs up in the end."""
    curve = certificates(bench) if kind == DTLS else None
    exchange = bench.exchange(extra=MD5, users=["alice", "bob"], media=media)
    bearer = token(exchange)
    wait_for(lambda: ask(exchange, bearer, "GET", "/version"), "the management API listens")
    bob = Phone(bench, exchange, "bob", TONES[1], answers=True, seconds=SECONDS + 2, more=kind, environment=curve)
    wait_for(lambda: exchange.metric("strowger_bindings") == 1, "bob is registered")
    alice = Phone(bench, exchange, "alice", TONES[0], dial=f"sip:bob@{DOMAIN}", seconds=SECONDS, more=kind, environment=curve)
    wait_for(lambda: (exchange.metric("strowger_calls_answered_total") or 0) == 1, "bob has answered")
    time.sleep(3)
    call = ask(exchange, bearer, "GET", "/calls")["calls"][0]["id"]
    exported = ask(exchange, bearer, "POST", f"/calls/{call}/export?release=true")
    exchange.gone()
    exchange.stop()
    first = read(bench.path("exchange.log"))
    exchange.start()
    wait_for(lambda: ask(exchange, bearer, "GET", "/version"), "the management API listens")
    ask(exchange, bearer, "POST", "/imports", exported)
    check(ask(exchange, bearer, "GET", "/calls")["calls"][0]["id"] == call, "the second process has the call")
    time.sleep(3)
    # What baresip says at the end of a call is not protected.
    rejected = exchange.metric("strowger_media_packets_rejected_total", reason="srtp")
    check(rejected == 0, f"every packet was opened, but for {rejected}")
    alice.finish()
    bob.finish()
    for phone, tone in ((alice, TONES[1]), (bob, TONES[0])):
        # Before, and after: what is between is the silence while there was no process.
        phone.hears(tone, (0.08, 0.2))
        phone.hears(tone, (0.6, 0.9))
        said = read(bench.path(f"{phone.user}.log"))
        check(said.count("Call established") == 1, f"{phone.user} knows of one call, which was set up once")
    exchange.gone()
    command = [*exchange.program, "--config", exchange.config, "cdr", "list", "--json"]

    def records():
        done = subprocess.run(command, text=True, capture_output=True, timeout=20, check=False)
        return [line for line in done.stdout.splitlines() if call in line]

    # What the journal has is in the database a little later.
    wait_for(records, "the call has a record")
    check(len(records()) == 1, "the call has one record")
    check("inline:" not in first + read(bench.path("exchange.log")), "no key stands in the log")


@case("a second process goes on with a call of SDES", slow=True)
def of_sdes(bench):
    hand_over(bench, SDES, 'srtp = "required"' + SUITES)


@case("a second process goes on with a call of DTLS-SRTP", slow=True)
def of_dtls(bench):
    hand_over(bench, DTLS, 'srtp = "required"\nsrtp_keying = "dtls"')
