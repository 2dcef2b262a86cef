"""One exchange is a customer of another: it registers there, is called there, and calls through it."""

import os

from harness import DOMAIN, PASSWORD, case, check, route, trunk, wait_for
from phones import TONES, Phone

MD5 = '[registrar]\nalgorithms = ["MD5"]\n'


def customer(bench):
    """A provider, with the users bob and branch, and the exchange that is its branch, with the user alice."""
    provider = bench.exchange(name="provider", ip=bench.address(2), users=["bob", "branch"], extra=MD5)
    secret = bench.write("branch.secret", PASSWORD + "\n")
    os.chmod(secret, 0o600)
    account = f'username = "branch"\npassword = {{ file = "{secret}" }}\nfrom_user = "branch"\nfrom_domain = "{DOMAIN}"\n'
    account += f'register = {{ registrar = "sip:{provider.to}", aor = "sip:branch@{DOMAIN}" }}'
    trunks = trunk("provider", [f"sip:{provider.to}"], [provider.ip], account)
    # Whoever calls the branch calls alice, and who dials 9 first calls out.
    called = 'exact = "branch"\nstrip = 6\nprepend = "alice"'
    trunks += route("in", "{ users = true }", called, callers='from_trunk = ["provider"]')
    trunks += route("out", '{ trunk = "provider" }', 'prefix = "9"\nstrip = 1', callers="from_users = true")
    branch = bench.exchange(name="branch", trunks=trunks, users=["alice"], extra=MD5)
    wait_for(lambda: provider.metric("strowger_bindings") == 1, "the branch is registered")
    return provider, branch


def talk(bench, called_at, called, caller_at, caller, number):
    """The one calls the other, and each hears the other's tone through both exchanges."""
    bindings = called_at.metric("strowger_bindings")
    answers = Phone(bench, called_at, called, TONES[1], answers=True, seconds=7)
    wait_for(lambda: called_at.metric("strowger_bindings") == bindings + 1, f"{called} is registered")
    dials = Phone(bench, caller_at, caller, TONES[0], dial=f"sip:{number}@{DOMAIN}", seconds=5)
    dials.finish()
    answers.finish()
    for exchange in (called_at, caller_at):
        check(exchange.metric("strowger_calls_answered_total") == 1, f"one call was answered by way of {exchange.name}")
        exchange.gone()
    dials.hears(TONES[1])
    answers.hears(TONES[0])


@case("a provider calls the exchange that has registered with it", slow=True)
def called(bench):
    provider, branch = customer(bench)
    talk(bench, branch, "alice", provider, "bob", "branch")


@case("a provider's challenge to a call is answered", slow=True)
def calls(bench):
    provider, branch = customer(bench)
    talk(bench, provider, "bob", branch, "alice", "9bob")
    refused = provider.metric("strowger_sip_refused_total", reason="wrong_credentials")
    check(not refused, "no credentials were refused")
