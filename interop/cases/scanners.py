"""The tools of those who look for exchanges to break into: SIPVicious and sipsak. They learn nothing and are shut out.

Neither can say everywhere which address it sends from, and a source that was banned is no use to the next tool: a `GoBetween`
gives each its own, and may have it pass for a telephone, since whoever names itself a scanner is never answered.
"""

import collections
import re

from attackers import FAILURES, REQUESTS, at_once, audit, bans, counted, refusals, run
from capture import Capture
from cases.hostile import MEMORY_MAX
from cases.phones import MD5, talk_at
from go_between import GoBetween
from harness import DOMAIN, PASSWORD, case, check, free_port, wait_for
from sip_datagram import Answer, Client

KNOWN = ["1001", "1002", "1003"]


def ask_all(bench, exchange, host, times=1):
    """What a telephone at this address is answered to OPTIONS: statuses, None for silence."""
    client = Client(bench, host, exchange, 0.5)
    answers = [client.ask("OPTIONS", "somebody") for _ in range(times)]
    return [answer and answer.status for answer in answers]


@case("svmap finds no exchange")
def svmap(bench):
    exchange = bench.exchange(extra=MD5, users=KNOWN, level="warn")
    hosts = {"OPTIONS": 20, "REGISTER": 21, "INVITE": 22}
    commands = {}
    for method, host in hosts.items():
        address = bench.address(host)
        commands[f"svmap-{method}"] = [
            "svmap", "-v", "-d", "-b", address, "-P", str(free_port(address)), "-m", method, "-p", str(exchange.port),
            exchange.ip,
        ]
    between = GoBetween(bench, 23, exchange)
    # Not at 5060 of every address, which is where broken requests of other cases have their answers sent.
    own = str(free_port("0.0.0.0"))
    commands["svmap-seen"] = ["svmap", "-v", "-d", "-P", own, "-p", str(between.port), between.address]
    for name, said in at_once(bench, commands).items():
        check("found nothing" in said and "SIP/2.0" not in said, f"{name} finds nothing: {said}")
    check(between.asked and not between.answers, f"a scanner gets no reply: {between.answers}")
    check(counted(exchange, "scanner") == 4, f"each was seen once: {counted(exchange, 'scanner')}")
    check(exchange.metric("strowger_edge_bans_total") == 4, "each source was banned once")
    check(exchange.metric("strowger_sip_messages_sent_total") == 0, "the exchange has not said a word")
    check(ask_all(bench, exchange, 20, 3) == [None] * 3, "nor does it to a telephone at a banned address")
    check(ask_all(bench, exchange, 30) == [200], "to one elsewhere it does")
    records = audit(bench, exchange)
    for host in (*hosts.values(), 23):
        address = bench.address(host)
        check(refusals(records, address) == [("scanner", "source_rate")], f"the refusal: {refusals(records, address)}")
        check(bans(records, address) == ["scanner"], f"the ban: {bans(records, address)}")


def svwar(between, method, names, *more):
    return [
        "svwar", "-v", "-P", str(free_port("0.0.0.0")), "-p", str(between.port), "-m", method, "-d", names,
        "--domain", DOMAIN, "--maximumtime", "2", *more, between.address,
    ]


def extensions(said):
    """The names that svwar's table lists."""
    return re.findall(r"(?m)^\| (\S+) +\| (?:reqauth|noauth|weird) *\|", said)


@case("svwar learns no extension")
def svwar_learns_nothing(bench):
    exchange = bench.exchange(extra=MD5, users=KNOWN, level="warn")
    known, unknown = list(KNOWN), [str(number) for number in range(2001, 2030)]
    # So few that the exchange does not ask who it is.
    few = [*unknown[:4], known[0], *unknown[4:8], known[1], *unknown[8:12], known[2]]
    many = [*unknown[:3], known[0], *unknown[3:20], known[1], *unknown[20:23], known[2], unknown[23]]
    names = {key: bench.write(f"{key}.txt", "\n".join(lines) + "\n") for key, lines in (("few", few), ("many", many))}
    betweens, commands, host = {}, {}, 20
    for method in ("REGISTER", "OPTIONS", "INVITE"):
        for kind, disguised, more in (("named", False, ()), ("disguised", True, ()), ("forced", True, ("--force",))):
            name = f"svwar-{method}-{kind}"
            betweens[name] = GoBetween(bench, host, exchange, disguised)
            commands[name] = svwar(betweens[name], method, names["few"], *more)
            host += 1
    betweens["svwar-long"] = GoBetween(bench, host, exchange, True)
    commands["svwar-long"] = svwar(betweens["svwar-long"], "OPTIONS", names["many"])
    said = at_once(bench, commands)
    for name, between in betweens.items():
        check(between.asked, f"{name} has asked")
        for data in between.answers:
            Answer(data)
        if name.endswith("named"):
            check(not between.answers and "timed out" in said[name], f"{name} gets no reply: {said[name]}")
        elif name != "svwar-long":
            check(between.answers and not extensions(said[name]), f"{name} lists nobody: {said[name]}")
            refused = "authentication request for an unknown extension" in said[name]
            expected = name in ("svwar-REGISTER-disguised", "svwar-INVITE-disguised")
            check(refused == expected, f"{name} gives up where nobody is told from anybody: {said[name]}")
    for method in ("REGISTER", "OPTIONS", "INVITE"):
        check(len(betweens[f"svwar-{method}-forced"].answers) > 1, f"{method} was answered")
    # Whoever asks on is challenged at last, which svwar takes for an extension, whether there is one or not.
    listed = [name in extensions(said["svwar-long"]) for name in many]
    for name in known:
        place = many.index(name)
        check(listed[place] in (listed[place - 1], listed[place + 1]), f"{name} is like its neighbours: {said['svwar-long']}")
    check(counted(exchange, "scanner") == 3, "those that named themselves were known")
    records = audit(bench, exchange)
    named = [between.address for name, between in betweens.items() if name.endswith("named")]
    for address in named:
        check(refusals(records, address) == [("scanner", "source_rate")], f"the refusal: {refusals(records, address)}")
        check(bans(records, address) == ["scanner"], f"the ban: {bans(records, address)}")


def sipsak(bench, exchange, host, user, *options):
    """Sends from this host. It cuts off the last digit of a port in its URI."""
    address = f"sip:{user}@{exchange.ip}" if user else f"sip:{exchange.ip}"
    return ["sipsak", "-k", bench.address(host), "-S", "-Z", "20", "-vv", *options, "-r", str(exchange.port), "-s", address]


def registers(user, password, *options):
    return user, "-U", "-i", "-u", user, "-a", password, *options


TRASH = range(100, 130)


def trash(bench, exchange):
    """Broken requests: each of these goes on until one is not answered, and is broken further each time."""
    return {f"trash-{number}": sipsak(bench, exchange, number, "", "-R") for number in TRASH}


FLOOD = 300


def flood(bench, exchange, host):
    """More than a source may send. Whoever sends it does not listen, so that the answers are not read there."""
    dropped, told = counted(exchange, "banned"), counted(exchange, "too_fast")
    said = run(bench, f"flood-{host}", sipsak(bench, exchange, host, "alice", "-F", "-e", str(FLOOD)))
    check("flood end reached" in said, f"sipsak has sent everything: {said[-300:]}")
    came = REQUESTS + 1
    wait_for(lambda: counted(exchange, "banned") - dropped >= FLOOD - came, "the rest of the flood is dropped")
    check(counted(exchange, "too_fast") - told == 1, f"one is told that it is too fast: {counted(exchange, 'too_fast') - told}")


@case("what sipsak is answered is well-formed")
def sipsak_answers(bench):
    exchange = bench.exchange(extra=MD5, users=["alice", "bob"], level="warn")
    capture = Capture(bench, f"127.0.{bench.net}.0/24")
    said = at_once(bench, {
        "ping": sipsak(bench, exchange, 20, "alice"),
        "ping-nobody": sipsak(bench, exchange, 21, "nobody"),
        "trace": sipsak(bench, exchange, 22, "alice", "-T"),
        "no-hops": sipsak(bench, exchange, 23, "alice", "-m", "0"),
        "registers": sipsak(bench, exchange, 24, *registers("alice", PASSWORD, "-x", "60")),
        "wrong": sipsak(bench, exchange, 25, *registers("alice", "a-guess")),
        "invites": sipsak(bench, exchange, 26, "alice", "-I", "-l", str(free_port(bench.address(26)))),
        **trash(bench, exchange),
    })
    for name, status in (("ping", 200), ("ping-nobody", 200), ("no-hops", 483), ("trace", 483), ("trace", 200), ("wrong", 403)):
        check(f"SIP/2.0 {status} " in said[name], f"{name} gets {status}: {said[name]}")
    registered = lambda: exchange.metric("strowger_bindings") == 1
    wait_for(registered, f"sipsak registers who knows the password: {said['registers']}")
    guessed = [run(bench, f"brute-{number}", sipsak(bench, exchange, 27, *registers("bob", f"guess-{number}")))
               for number in range(FAILURES + 3)]
    refused = ["SIP/2.0 403 " in each for each in guessed]
    check(refused == [True] * (FAILURES + 1) + [False] * 2, f"brute force ends with a ban: {refused}")
    flood(bench, exchange, 28)
    capture.stop()
    sent = f"ip.src == {exchange.ip} && udp.srcport == {exchange.port}"
    # What nobody could read was copied into the answer that says so, and is as it was.
    told_so = f"ip.dst in {{{', '.join(bench.address(number) for number in TRASH)}}} && sip.Status-Code in {{400, 505}}"
    capture.finds_nothing_wrong([exchange], f"{sent} && !({told_so})")
    answers = collections.defaultdict(list)
    for target, payload in capture.ask(f"({sent}) && !icmp", [exchange], ("ip.dst", "udp.payload")):
        of_trash = target in [bench.address(number) for number in TRASH]
        answers[target].append(Answer(bytes.fromhex(payload.replace(":", "")), of_trash))
    check(sum(map(len, answers.values())) > 60, f"there were answers: { {host: len(each) for host, each in answers.items()} }")
    flooder = answers[bench.address(28)]
    check(len(flooder) <= REQUESTS + 1, f"a flood of {FLOOD} gets {len(flooder)} answers")
    last = flooder[-1]
    check((last.status, last["retry-after"]) == (503, "300"), f"the last is told when to come again: {last.headers}")
    check([answer.status for answer in flooder].count(503) == 1, "and is told so once")
    records = audit(bench, exchange)
    check(("too-many-hops", "identity") in refusals(records, bench.address(22)), "hops that were used up are recorded")
    check(("rate", "source_rate") in refusals(records, bench.address(28)), "and the flood")
    check(bans(records, bench.address(28)) == ["rate"], f"and its ban: {bans(records, bench.address(28))}")
    check(bans(records, bench.address(27)) == ["failures"], f"and the guesser's: {bans(records, bench.address(27))}")
    check({reason for reason, _ in refusals(records, bench.address(27))} == {"wrong-password"}, "and the guesses")


@case("calls go on when sipsak floods and sends trash", slow=True)
def sipsak_floods(bench):
    exchange = bench.exchange(extra=MD5, users=["alice", "bob"], level="warn")
    at_once(bench, trash(bench, exchange))
    check(counted(exchange, "malformed") > 0, "there was trash")
    flood(bench, exchange, 28)
    check(ask_all(bench, exchange, 28) == [None], "who has flooded is not answered")
    talk_at(bench, exchange)
    check(exchange.rss() < MEMORY_MAX, f"the exchange stays small: {exchange.rss()} bytes")
    records = audit(bench, exchange)
    check(("malformed", "identity") in refusals(records), "trash is recorded")
    kinds = [record["kind"] for record in records]
    check(kinds.count("connected") == 1 and kinds.count("terminated") == 1, "and so is the call")
