"""The witness log, read by a verifier that somebody else could have written: it knows the page on the format and nothing else."""

import base64
import collections
import json
import os
import shutil
import subprocess
import sys
import time

import witness_compare
import witness_hostile
import witness_proof
import witness_verify
from cases.calls import CALLEE, CALLER, call, two_trunks
from cases.crash import ended, told_by
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from harness import Skipped, case, check, read, wait_for
from sipp import Sipp
from witness_format import SIGNS, Checkpoint, Key, Malformed, key_text

RATE = 200
SECONDS = 2
# How many logs the verifiers are compared on; `interop/run --logs N` says otherwise.
LOGS = 300
# Others build and test on the same disk, and a call that must wait for it is not what these cases are about.
PATIENT = "[witness]\npatience_ms = 30000\ncheckpoint_records = 100\n"


@case("two verifiers agree on logs that were tampered with", slow=True)
def compared(bench):
    can_ask()
    edits, disagreements = witness_compare.compare(LOGS)
    check(edits.total() == LOGS, f"{LOGS} logs were judged: {edits.total()}")
    check(len(edits) > 20 or LOGS < 300, f"there is a log of every kind: {len(edits)} kinds")
    check(not disagreements, "\n".join(disagreements[:10]))


@case("two verifiers agree on logs whose signer has lied")
def hostile(bench):
    can_ask()
    edits, disagreements = witness_hostile.compare(bench.path("logs"))
    check(edits.total() > 80, f"there is a log of each lie: {edits.total()}")
    check(not disagreements, "\n".join(disagreements[:10]))


@case("the witness log of an exchange that was stopped")
def stopped(bench):
    exchange, port = two_trunks(bench, extra=PATIENT)
    for _ in range(3):
        call(bench, exchange, port)
    exchange.stop()
    key = auditors_key(exchange)
    records = well(exchange, key)
    kinds = collections.Counter(record["kind"] for record in records)
    for kind in ("invite", "admission", "connected", "terminated"):
        check(kinds[kind] == 3, f"each of 3 calls has its record of kind {kind}: {kinds[kind]}")
    check(records[-1]["kind"] == "checkpoint", "a log that was closed ends with a checkpoint")
    by_hand(bench, exchange, key)
    # The log goes on from what was signed, and who changes it is found out.
    anchor = Checkpoint(records[-1]["facts"]["note"])
    exchange.start()
    call(bench, exchange, port)
    exchange.stop()
    grown = well(exchange, key, anchor)
    check(len(grown) > len(records), "the log has grown")
    proved(bench, exchange, key, grown, anchor)
    changed(bench, exchange, key, records)


@case("the witness log read while its writer goes on")
def beside_a_writer(bench):
    log = witness_hostile.Log()
    log.log("begun", format=1, key=witness_hostile.KEY.verifier)
    log.checkpoint()
    log.close()
    log.checkpoint()
    folder = bench.path("beside")
    os.makedirs(folder)

    def write():
        for name, data in log.write().items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)

    class Beside(witness_verify.Verifier):
        """The writer goes on when the segments have been read."""

        def walk(self):
            super().walk()
            log.checkpoint()
            write()

    write()
    key = Key(witness_hostile.KEY.verifier)
    for _ in range(2):
        found = Beside(folder, key).run()
        check(not found.problems, f"a checkpoint that came behind the reading is not missed: {found.problems}")

    for make in (lambda path: os.symlink("nowhere", path), os.mkdir):
        make(os.path.join(folder, f"{9999:020}.jsonl"))
        for command in ([sys.executable, witness_verify.__file__, folder, "--key", key.text],
                        [bench.binary, "witness", "verify", folder, "--key", bench.write("beside.key", key.text + "\n")]):
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            check(done.returncode in (2, 3) and "9999" in done.stderr, f"what cannot be read is no verdict: {done}")
        shutil.move(os.path.join(folder, f"{9999:020}.jsonl"), bench.path(f"aside-{make.__name__}"))

    class Retired(witness_verify.Verifier):
        """The first segment goes when the names have been read, by a record that is younger."""

        def segment(self, number, *rest):
            first = os.path.join(folder, f"{0:020}.jsonl")
            if number == 0 and os.path.exists(first):
                log.log("retired", first=0, last=1)
                log.checkpoint()
                write()
                os.remove(first)
            super().segment(number, *rest)

    usual, witness_verify.Verifier = witness_verify.Verifier, Retired
    try:
        found = witness_verify.verify(folder, key.text)
    finally:
        witness_verify.Verifier = usual
    check(not found.problems and found.gone == [(0, 1)], f"a segment that is retired meanwhile is no accusation: {found.problems}")


@case("the witness log of an exchange that was killed", alone=True)
def killed(bench):
    exchange, port = two_trunks(bench, extra=PATIENT, level="warn", media='mode = "direct"')
    many = {"calls": 1_000_000, "rate": RATE, "trace": False, "seconds": 60}
    server = Sipp(bench, "uas", CALLEE, port=port, RING=0, **many).listening()
    options = ("-trace_logs", "-log_file", "calls.log")
    client = Sipp(bench, "uac_logged", CALLER, to=exchange.to, CALLER="c[call_number]", TALK=300, options=options, **many)
    time.sleep(SECONDS)
    for number in range(5):
        copied(bench, exchange, number)
    exchange.alive()
    exchange.kill()
    time.sleep(0.2)
    for process in (client.process, server.process):
        wait_for(lambda process=process: ended(process), "sipp ends when it is told to")
    answered = {f"c{number}" for what, number in told_by(bench.path("calls.log")) if what == "answered"}
    check(len(answered) > RATE / 2, f"the exchange carried the load: {len(answered)} calls were answered")
    key = auditors_key(exchange)
    before = well(exchange, key)
    admitted = {record["actor"].partition("@")[0] for record in before if record["kind"] == "admission"}
    missing = sorted(answered - admitted)
    shown = f"{len(missing)} of {len(answered)} are missing, as {missing[:5]}"
    check(not missing, f"each call that was answered is in the log: {shown}")
    exchange.start()
    call(bench, exchange, port)
    exchange.stop()
    after = well(exchange, key)
    check(after[: len(before)] == before, "what was in the log is in the log")
    said = [record["outcome"] for record in after[len(before) :] if record["kind"] == "log"]
    check("resumed" in said, f"the log says that it was resumed: {said}")


def can_ask():
    if not (shutil.which("cargo") or os.environ.get("EDITED_LOGS")):
        raise Skipped("the other verifier is built with cargo")


def auditors_key(exchange):
    """The verifier key as an auditor has it, from elsewhere than the log."""
    name, _, secret = key_text(os.path.join(exchange.data, "witness.key")).removeprefix("PRIVATE+KEY+").split("+", 2)
    public = Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret)[1:]).public_key()
    return witness_hostile.key_of(name, SIGNS + witness_hostile.raw(public))


def folder_of(exchange):
    return os.path.join(exchange.data, "witness")


def well(exchange, key, *anchors):
    """The records of the log, which the verifier has nothing against."""
    found = witness_verify.verify(folder_of(exchange), key, anchors)
    check(not found.problems, f"the log is honest: {found.problems[:5]}")
    check(found.checkpoints > 0, "the log has checkpoints")
    records = []
    for name in sorted(os.listdir(folder_of(exchange))):
        if name[0].isdigit() and name.endswith(".jsonl"):
            with open(os.path.join(folder_of(exchange), name), "rb") as file:
                lines = file.read().partition(b"\0")[0].split(b"\n")
            # Behind the last newline before any zero byte stands nothing, or what was torn.
            records += [json.loads(line) for line in lines[:-1]]
    check(len(records) == found.next, f"as many records as lines: {found.next} and {len(records)}")
    return records


def copied(bench, exchange, number):
    """The commands of the runbook make a copy that is well, and the log itself is, while it is written."""
    key = bench.write("copy.key", auditors_key(exchange) + "\n")
    to = bench.path(f"copy{number}")
    os.makedirs(f"{to}.unpacked")
    os.makedirs(to)
    done = subprocess.run(["sh", "-c", COPY], cwd=folder_of(exchange), env={**os.environ, "to": to}, capture_output=True, text=True, timeout=60)
    check(done.returncode == 0, f"the folder can be copied: {done.stderr}")
    for folder in (to, f"{to}.unpacked", folder_of(exchange)):
        for command in ([sys.executable, witness_verify.__file__, folder, "--key", key], [bench.binary, "witness", "verify", folder, "--key", key]):
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            check(done.returncode == 0, f"{folder} is well: {done.stdout}{done.stderr}")


# As the runbook has it; tar says with 1 that a file has changed meanwhile.
COPY = """
cp -p checkpoints.jsonl key.pub $to && cp -p [0-9]* $to || exit 1
tar -cf $to.tar checkpoints.jsonl key.pub && tar -rf $to.tar [0-9]*
test $? -le 1 && tar -xf $to.tar -C $to.unpacked
"""


def by_hand(bench, exchange, key):
    """The same as an auditor does it."""
    key_file = bench.write("auditors.key", key + "\n")
    command = [sys.executable, witness_verify.__file__, folder_of(exchange), "--key", key_file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    well_said = done.returncode == 0 and done.stdout.startswith("ok: ")
    check(well_said, f"the command says that it is well: {done.stdout}{done.stderr}")


def proved(bench, exchange, key, records, anchor):
    """Proofs that the exchange makes hold for others, and stop holding when a byte of them is changed."""
    strowger = [bench.binary, "--config", exchange.config, "witness"]
    auditors, old = bench.write("proofs.key", key + "\n"), bench.write("old.note", anchor.text)
    new = next(record["facts"]["note"] for record in reversed(records) if record["kind"] == "checkpoint")
    numbers = [0, anchor.size - 1, anchor.size, len(records) - 2]
    commands = {f"{number}.proof": [*strowger, "prove", str(number)] for number in numbers}
    commands["growth.proof"] = [*strowger, "consistency", old, bench.write("new.note", new), "--key", auditors]
    for name, command in commands.items():
        done = subprocess.run([*command, "-o", bench.path(name)], capture_output=True, text=True, timeout=20)
        check(done.returncode == 0, f"{name} is made: {done.stderr}")
        text = read(bench.path(name))
        said = subprocess.run(
            [sys.executable, witness_proof.__file__, bench.path(name), "--key", auditors, "--old", old],
            capture_output=True, text=True, timeout=20,
        )
        check(said.returncode == 0 and said.stdout.startswith("ok: "), f"{name} holds: {said.stdout}{said.stderr}")
        # Behind the signature there may be others, and what base 64 leaves of its last byte; both are held to their form.
        for at in range(0, len(text), 7):
            other = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
            check(not holds(other, key, anchor), f"{name} holds with byte {at} changed")


def holds(text, key, anchor):
    try:
        witness_proof.check(text, Key(key), anchor)
    except Malformed:
        return False
    return True


def changed(bench, exchange, key, records):
    """One letter of a signed record is changed in a copy."""
    number = next(record["seq"] for record in records if record["kind"] == "admission")
    copy = bench.path("changed")
    shutil.copytree(folder_of(exchange), copy)
    path = os.path.join(copy, f"{0:020}.jsonl")
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    lines[number] = lines[number].replace(b'"approve"', b'"Approve"')
    with open(path, "wb") as file:
        file.write(b"\n".join(lines))
    problems = witness_verify.verify(copy, key).problems
    named = [problem for problem in problems if problem.startswith(f"record {number}:")]
    check(named, f"the verifier names record {number}: {problems}")
