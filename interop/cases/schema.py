"""The management API against schemathesis, which makes requests of the API's description and holds the answers against it."""

import os
import subprocess

from harness import Skipped, case, check, read, wait_for
from cases.escalation import ESCALATION, expert
from cases.handover import ask, token
from cases.rooms import ROOM
from cases.transcoding import MD5

INTEROP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Each as schemathesis calls it. That a token opens nothing when it was guessed too often is none of its answers to a wrong one, and
# some of what the description allows cannot be, as a call that is not there.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@case("the management API answers as its description says, by schemathesis", slow=True)
def described(bench):
    program = os.environ.get("SCHEMATHESIS", "")
    if not os.access(program, os.X_OK):
        raise Skipped("schemathesis could not be installed: SCHEMATHESIS names no program")
    exchange = bench.exchange(extra=MD5 + ROOM + ESCALATION, users=["alice"], api="requests_per_minute = 100000")
    bearer = token(exchange)
    wait_for(lambda: ask(exchange, bearer, "GET", "/version"), "the management API listens")
    expert(bench, exchange, "lind", 1)
    url = f"http://127.0.0.1:{exchange.api_port}/api/v1/openapi.json"
    # Tokens are left alone: one of them asks. So are events, which do not end.
    command = [program, "run", url, "-H", f"Authorization: Bearer {bearer}", "--checks", CHECKS, "--max-examples", "30",
               "--phases", "examples,fuzzing", "--exclude-path-regex", "/tokens|/events", "--no-color",
               "--request-timeout", "15", "--seed", "1"]
    log = bench.path("schemathesis.log")
    with open(log, "w", encoding="utf-8") as said:
        done = subprocess.run(command, stdout=said, stderr=subprocess.STDOUT, timeout=110, check=False, cwd=bench.path(""),
                              env=os.environ | {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": INTEROP})
    check(done.returncode == 0, f"every answer is one of the description: {read(log)[-3000:]}")
    exchange.alive()
