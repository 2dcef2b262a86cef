"""Those who guess users and passwords, with svcrack and without: nobody is told from anybody, and few guesses are let pass."""

import random
import time

import told_apart
from attackers import FAILURES, audit, bans, counted, refusals
from cases.phones import MD5
from go_between import GoBetween
from harness import DOMAIN, PASSWORD, case, check, free_port, read, wait_for
from sip_datagram import Answer, Client

# Measured with one worker, which never rests: a REGISTER goes to the worker that a hash of its name says, which is a little
# later when that is another one, whether there is such a user or not.
UNLIMITED = """
[edge]
requests_max = 1000000
authenticated_requests_max = 1000000
failures_max = 254
score_max_percent = 100
"""
TRIES, WARM_UP, ROUNDS = 240, 10, 3
MEASURED = [f"user{number}" for number in range(10, 22)]
NOBODY = [f"none{number}" for number in range(10, 22)]


def tried(client, method, name):
    """Both answers to a guess at a user's password, and how long each took, by what was asked."""
    challenged = client.ask(method, name)
    check(challenged, f"{method} of {name} is answered")
    first = client.seconds
    refused = client.ask(method, name, credentials=(name, "a-guess", challenged))
    check(refused, f"{method} of {name} with a password is answered")
    return {f"{method} without credentials": (challenged, first), f"{method} with a wrong password": (refused, client.seconds)}


def called(client, name):
    """The answer to somebody unknown who calls this user."""
    answer = client.ask("INVITE", "nobody", to=name)
    check(answer, f"INVITE to {name} is answered")
    return {"INVITE to": (answer, client.seconds)}


def measure(bench, exchange, sources):
    """Answers and times of TRIES tries of each kind, those at users and those at nobody taking turns at random."""
    order = random.Random(11)
    found = {}
    for number in range(WARM_UP + TRIES):
        if number % 50 == 0:
            client = Client(bench, next(sources), exchange)
        arms = [(True, MEASURED), (False, NOBODY)]
        order.shuffle(arms)
        for exists, names in arms:
            name = names[number % len(names)]
            for result in (tried(client, "REGISTER", name), tried(client, "INVITE", name), called(client, name)):
                for kind, (answer, seconds) in result.items():
                    answers, times = found.setdefault(kind, {}).setdefault(exists, (set(), []))
                    answers.add(answer.shape())
                    if number >= WARM_UP:
                        times.append(seconds)
    return found


@case("users and nobody are answered alike", alone=True)
def alike(bench):
    told_apart.tries_itself()
    options = {"level": "warn", "workers": 1, "sip": "coalesce_us = 0\n"}
    exchange = bench.exchange(extra=MD5 + UNLIMITED, users=MEASURED, **options)
    sources = iter(range(20, 250))
    expected = {
        "REGISTER without credentials": 401, "REGISTER with a wrong password": 403, "INVITE without credentials": 407,
        "INVITE with a wrong password": 403, "INVITE to": 407,
    }
    differences, said = {kind: [] for kind in expected}, []
    for _ in range(ROUNDS):
        found = measure(bench, exchange, sources)
        check(found.keys() == expected.keys(), f"everything was measured: {found.keys()}")
        for kind, arms in found.items():
            (known, known_times), (unknown, unknown_times) = arms[True], arms[False]
            check(known == unknown and len(known) == 1, f"{kind}: a user gets {known}, nobody gets {unknown}")
            check(next(iter(known))[0] == expected[kind], f"{kind} is {expected[kind]}: {known}")
            check(len(known_times) == len(unknown_times) == TRIES, f"{kind} was tried {TRIES} times")
            differences[kind].append(told_apart.told_apart(known_times, unknown_times))
            said.append(f"{kind}: {told_apart.shown(known_times, unknown_times)}")
        if not any(difference[-1] for difference in differences.values()):
            break
    bench.write("times.txt", "\n".join(said) + "\n")
    for kind, each in differences.items():
        # What is real is there each time, and always on the same side.
        real = len(each) == ROUNDS and (min(each) > 0 or max(each) < 0)
        check(not real, f"{kind}: users are told from nobody by their time: " + "; ".join(said))
    check(counted(exchange, "banned") == 0, "nobody was banned meanwhile")
    reasons = {reason for reason, _ in refusals(audit(bench, exchange))}
    check(reasons == {"wrong-password", "unknown-user"}, f"the operator is told the difference: {reasons}")


BAN_S = 8


@case("svcrack is shut out", slow=True)
def svcrack(bench):
    exchange = bench.exchange(extra=MD5 + f"[edge]\nban_s = {BAN_S}\n", users=["alice", "bob"], level="warn")
    owner = Client(bench, 30, exchange)
    check(owner.guess("REGISTER", "alice", PASSWORD).status == 200, "alice registers")
    wrong = [f"guess-{number}" for number in range(60)]
    words = bench.write("words.txt", "\n".join([*wrong[:40], PASSWORD, *wrong[40:]]) + "\n")
    between = GoBetween(bench, 20, exchange, disguised=True)
    tool = bench.start("svcrack", [
        "svcrack", "-v", "-u", "alice", "-d", words, "-P", str(free_port("0.0.0.0")), "-p", str(between.port),
        "--domain", DOMAIN, "--maximumtime", "1", between.address,
    ])
    wait_for(lambda: counted(exchange, "banned") > 0, "the source is banned")
    banned = time.monotonic()
    refused = shut_out(bench, exchange, owner)
    # One who goes on from everywhere gets no further: each of these is new to the exchange.
    for method, host in (("REGISTER", 40), ("INVITE", 41)) * 3:
        answer = Client(bench, host, exchange).guess(method, "alice", PASSWORD)
        check(answer.shape() == refused[method], f"the right password by {method} from elsewhere: {answer.shape()}")
    check(time.monotonic() - banned < BAN_S - 1, "all this was during the block")
    tool.wait(30)
    said = read(bench.path("svcrack.log"))
    check("found nothing" in said and PASSWORD not in said, f"svcrack finds no password: {said}")
    answers = [Answer(data).status for data in between.answers]
    check(set(answers) == {401, 403}, f"svcrack is challenged and refused: {answers}")
    # The worker that counts a source's failures tells the others of the ban: one more guess may be under way meanwhile.
    check(answers.count(403) in (FAILURES + 1, FAILURES + 2), f"{FAILURES} failures are let pass: {answers}")
    asked = len(between.asked)
    check(asked > len(answers) + 10, f"it went on asking, and was not answered: {asked} times, {len(answers)} answers")
    wait_for(lambda: time.monotonic() > banned + BAN_S + 1, "the block is over", BAN_S + 5)
    answer = Client(bench, 50, exchange).guess("REGISTER", "alice", PASSWORD)
    check(answer.status == 200, f"alice may come from anywhere when the block is over: {answer.status}")
    records = audit(bench, exchange)
    reasons = refusals(records, between.address)
    check(reasons == [("wrong-password", "identity")] * 5, f"so many are recorded one by one: {reasons}")
    check(bans(records, between.address) == ["failures"], f"the ban: {bans(records, between.address)}")
    check(bans(records, f"alice@{DOMAIN}") == ["failures"], "the account's block is recorded")
    reasons = {refusal for host in (40, 41) for refusal in refusals(records, bench.address(host))}
    check(reasons == {("account-blocked", "identity")}, f"and whom it has kept out: {reasons}")


def shut_out(bench, exchange, owner):
    """While alice's account is blocked. The answers to wrong passwords, by method."""
    refused = {}
    for method, host in (("REGISTER", 31), ("INVITE", 32)):
        answer = Client(bench, host, exchange).guess(method, "bob", "a-guess")
        check(answer.status == 403, f"a wrong password of bob's by {method} is 403: {answer.status}")
        refused[method] = answer.shape()
    answer = owner.guess("REGISTER", "alice", PASSWORD)
    check(answer.status == 200, f"alice is not kept out where she was known before: {answer.status}")
    answer = Client(bench, 33, exchange).guess("REGISTER", "bob", PASSWORD)
    check(answer.status == 200, f"others are not kept out: {answer.status}")
    return refused


@case("an account is guessed from many addresses")
def guessed(bench):
    exchange = bench.exchange(extra=MD5, users=["alice"], level="warn")
    statuses = [
        Client(bench, 20 + number, exchange).guess("INVITE", "alice", f"guess-{number}").status
        for number in range(FAILURES + 1)
    ]
    check(statuses == [403] * (FAILURES + 1), f"wrong passwords are refused: {statuses}")
    for number in range(8):
        for method in ("INVITE", "REGISTER"):
            answer = Client(bench, 60 + number, exchange).guess(method, "alice", PASSWORD)
            check(answer.status == 403, f"{method} with the right password from elsewhere: {answer.status}")
    audit(bench, exchange)
