"""What nobody should send. Whatever comes, the exchange answers or drops it, lives, and stays small."""

import contextlib
import os
import random
import resource
import socket
import time

from harness import Skipped, case, check, route, trunk, wait_for
from sipp import Sipp, finish

MEMORY_MAX = 300 << 20
CALLER, CALLEE, STRANGER = 2, 3, 9


def target(bench, **options):
    trunks = trunk("caller", sources=[f"{bench.address(CALLER)}/32"])
    trunks += trunk("callee", [f"sip:{bench.address(CALLEE)}:7060"]) + route("out", '{ trunk = "callee" }')
    return bench.exchange(trunks=trunks, **options)


def well(bench, exchange):
    """It is healthy and small, and carries a call as if nothing had been."""
    exchange.alive()
    check(exchange.get("/healthz") is not None, "/healthz is well")
    rss = exchange.rss()
    check(rss < MEMORY_MAX, f"it stays below {MEMORY_MAX >> 20} MB: {rss >> 20} MB")
    server = Sipp(bench, "uas", CALLEE, port=7060).listening()
    finish(Sipp(bench, "uac", CALLER, to=exchange.to), server)
    exchange.gone()


def connect(bench, exchange, host=STRANGER):
    return socket.create_connection((exchange.ip, exchange.port), 5, (bench.address(host), 0))


def closed(connection, seconds):
    """Has the exchange closed the connection within this time?"""
    connection.settimeout(seconds)
    with contextlib.suppress(ConnectionError):
        try:
            while connection.recv(65536):
                pass
        except TimeoutError:
            return False
    return True


@case("junk datagrams")
def junk(bench):
    exchange = target(bench)
    random_bytes = random.Random(20)
    invite = (
        f"INVITE sip:callee@exchange.test SIP/2.0\r\nVia: SIP/2.0/UDP {bench.address(STRANGER)}:5060;branch=z9hG4bK1\r\n"
        "From: <sip:x@y>;tag=1\r\nTo: <sip:callee@exchange.test>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
        "Max-Forwards: 70\r\nSubject: \xff\xfe\r\nContact: <sip:x@y>\r\nContent-Length: 0\r\n\r\n"
    ).encode("latin-1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((bench.address(STRANGER), 0))
        for count in range(20_000):
            kind = count % 4
            if kind == 0:
                data = random_bytes.randbytes(random_bytes.randrange(1, 1400))
            elif kind == 1:
                data = invite[: random_bytes.randrange(len(invite))]
            elif kind == 2:
                changed = bytearray(invite)
                for _ in range(4):
                    changed[random_bytes.randrange(len(changed))] = random_bytes.randrange(256)
                data = bytes(changed)
            else:
                data = random_bytes.choice([b"\r\n\r\n", b"\0", b"SIP/2.0 200 OK\r\n\r\n", b"INVITE" * 10_000])
            with contextlib.suppress(OSError):
                sender.sendto(data, (exchange.ip, exchange.port))
            if count % 200 == 0:
                time.sleep(0.005)
    refused = lambda reason: exchange.metric("strowger_sip_refused_total", reason=reason) or 0
    wait_for(lambda: refused("malformed") > 0 and refused("banned") > 10_000, "junk is counted, and its source banned")
    well(bench, exchange)


@case("a header that never ends, over TCP")
def endless(bench):
    exchange = target(bench)
    with connect(bench, exchange) as connection:
        connection.settimeout(10)
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"OPTIONS sip:exchange.test SIP/2.0\r\n")
            for _ in range(200):
                connection.sendall(b"X-Long: " + b"a" * 8192 + b"\r\n")
        check(closed(connection, 10), "the connection is closed when the message is too long")
    well(bench, exchange)


@case("a length that lies, over TCP")
def lie(bench):
    exchange = target(bench)
    with connect(bench, exchange) as connection:
        connection.sendall(b"OPTIONS sip:exchange.test SIP/2.0\r\nContent-Length: 4000000000\r\n\r\n")
        check(closed(connection, 10), "the connection is closed")
    well(bench, exchange)


@case("slow senders over TCP", slow=True)
def slow(bench):
    exchange = target(bench, sip="[sip.connections]\npartial_message_s = 3\n")
    text = b"OPTIONS sip:exchange.test SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKslow\r\n"
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(bench, exchange)) for _ in range(100)]
        alive = set(connections)
        for place in range(12):
            for connection in list(alive):
                try:
                    connection.sendall(text[place : place + 1])
                except ConnectionError:
                    alive.discard(connection)
            time.sleep(0.5)
        check(all(closed(connection, 2) for connection in connections), "each is cut off after partial_message_s")
    well(bench, exchange)


@case("10,000 idle connections", alone=True)
def idle(bench):
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10_000, soft - 500)
    if count < 1000:
        raise Skipped(f"only {soft} files may be open")
    exchange = target(bench, sip="[sip.connections]\nper_address_max = 12000\n")
    with contextlib.ExitStack() as stack:
        for number in range(count):
            # Spread over addresses, for each has some 28,000 ports.
            stack.enter_context(connect(bench, exchange, 100 + number % 4))
        files = f"/proc/{exchange.process.pid}/fd"
        wait_for(lambda: len(os.listdir(files)) > count, f"the exchange holds {count} connections")
        well(bench, exchange)
    well(bench, exchange)
