"""What cases with the tools of attackers have in common: running them, and what the exchange has written down of them."""

import subprocess

import harness
from cases.witness import auditors_key, well

# What a source may do before it is banned, and what failures do not ban yet; both as configured by default.
REQUESTS, FAILURES = 30, 5


def run(bench, name, command):
    """Runs a tool to its end. What it has printed."""
    return at_once(bench, {name: command})[name]


def at_once(bench, commands):
    """Runs several tools at the same time. What each has printed, by its name."""
    processes = {name: bench.start(name, command) for name, command in commands.items()}
    for name, process in processes.items():
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            harness.check(False, f"{name} ends")
    return {name: harness.read(bench.path(f"{name}.log")) for name in commands}


def counted(exchange, reason):
    return exchange.metric("strowger_sip_refused_total", reason=reason) or 0


def audit(bench, exchange):
    """Ends the exchange in order. Its log holds, for it and for us, and names the layer of each refusal. The records."""
    exchange.alive()
    exchange.stop()
    key = auditors_key(exchange)
    command = [bench.binary, "--config", exchange.config, "witness", "verify", "--key", key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    harness.check(done.returncode == 0, f"strowger witness verify: {done.stdout}{done.stderr}")
    records = well(exchange, key)
    for record in records:
        if record["kind"] in ("security_rejected", "source"):
            harness.check(record["facts"].get("layer"), f"a refusal names its layer: {record}")
    return records


def refusals(records, address=None, kind="security_rejected"):
    """What was recorded of a source: reason and layer of each."""
    of_source = lambda record: record["facts"].get("source", "").rpartition(":")[0] or record.get("subject")
    return [
        (record["reason"], record["facts"]["layer"])
        for record in records
        if record["kind"] == kind and (address is None or of_source(record) == address)
    ]


def bans(records, address):
    return [reason for reason, _ in refusals(records, address, "source")]
