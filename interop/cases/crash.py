"""Kills the exchange in the middle of many calls, as a power cut would, and looks at what it knows afterwards."""

import collections
import os
import re
import signal
import sqlite3
import time

from harness import Exchange, case, check, read, route, trunk, wait_for
from sipp import Sipp, finish

CALLER, CALLEE, PHONE = 2, 3, 10
RATE = 500
SECONDS = 3
# How often; `interop/run --crash N` says otherwise.
ROUNDS = 2


@case("kill -9 in the middle of 500 calls/s", alone=True)
def crash(bench):
    caller, callee = bench.address(CALLER), bench.address(CALLEE)
    trunks = trunk("caller", sources=[f"{caller}/32"]) + trunk("callee", [f"sip:{callee}:7060"])
    trunks += route("out", '{ trunk = "callee" }', 'exact = "callee"')
    # sipp knows MD5 only. Packets go past the exchange: this is not about them.
    extra = '[registrar]\nalgorithms = ["MD5"]\n'
    exchange = Exchange(bench, trunks=trunks, users=["bob"], media='mode = "direct"', level="warn", extra=extra)
    exchange.start()
    contact = f"sip:bob@{bench.address(PHONE)}:7062"
    finish(Sipp(bench, "register", PHONE, to=exchange.to, USER="bob", CONTACT=contact, STATUS=200))
    answered, finished = set(), set()
    for number in range(ROUNDS):
        told = one_round(bench, exchange, number)
        check(len(told["finished"]) > RATE, f"the exchange carries the load: {len(told['finished'])} calls were over")
        answered |= told["answered"]
        finished |= told["finished"]
        exchange.start()
        phone = Sipp(bench, "uas", PHONE, port=7062).listening()
        finish(Sipp(bench, "uac", CALLER, to=exchange.to, service="bob"), phone)
        exchange.gone()
    exchange.stop()
    compare(records(exchange), answered, finished)
    # What was answered was in the witness log first, and the log is whole after every crash.
    from cases.witness import auditors_key, well  # noqa: PLC0415  (it takes parts of this file)

    log = well(exchange, auditors_key(exchange))
    admitted = {record["actor"].partition("@")[0] for record in log if record["kind"] == "admission"}
    missing = sorted(answered - admitted)
    check(not missing, f"each call that was answered is in the witness log: {len(missing)} of {len(answered)} are missing")


def one_round(bench, exchange, number):
    """Kills the exchange under load. The callers whose calls sipp saw answered, and those whose calls it saw end."""
    many = {"calls": 1_000_000, "rate": RATE, "trace": False, "seconds": 60}
    server = Sipp(bench, "uas", CALLEE, port=7060, RING=0, **many).listening()
    log = f"calls-{number}.log"
    options = ("-trace_logs", "-log_file", log)
    client = Sipp(bench, "uac_logged", CALLER, to=exchange.to, CALLER=f"r{number}c[call_number]", TALK=300, options=options, **many)
    time.sleep(SECONDS + 0.1 * number)
    exchange.alive()
    exchange.kill()
    time.sleep(0.2)
    # The second time it does not wait for its calls.
    for process in (client.process, server.process):
        wait_for(lambda process=process: ended(process), "sipp ends when it is told to")
    told = collections.defaultdict(set)
    for what, call in told_by(bench.path(log)):
        told[what].add(f"r{number}c{call}")
    return told


def told_by(log):
    """What `uac_logged` has written down: whether a call was answered or finished, and the number of the call."""
    return re.findall(r"(answered|finished) (\d+)", read(log))


def ended(process):
    if process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
    return process.poll() is not None


def records(exchange):
    """How many records there are of the calls of each caller."""
    with sqlite3.connect(os.path.join(exchange.data, "cdr.sqlite")) as database:
        return dict(database.execute("SELECT caller_user, count(*) FROM cdr GROUP BY caller_user"))


def compare(found, answered, finished):
    twice = sorted(caller for caller, count in found.items() if count > 1 and caller != "caller")
    check(not twice, f"no call is recorded twice: {twice[:5]} ({len(twice)} of {len(found)})")
    for what, callers in (("was over", finished), ("was answered", answered)):
        missing = sorted(callers - found.keys())
        shown = f"{len(missing)} of {len(callers)} are missing, as {missing[:5]}"
        check(not missing, f"each call that {what} before the crash is recorded: {shown}")
    check(found.get("caller") == ROUNDS, f"each call after a crash is recorded: {found.get('caller')} of {ROUNDS}")
