"""Events of the exchange: read by curl as server-sent events, and over a WebSocket that was written for this test."""

import base64
import json
import os
import socket
import struct
import subprocess

from harness import case, check, read, wait_for
from cases.escalation import ESCALATION, expert, strowger
from cases.handover import ask, token
from cases.rooms import ROOM
from cases.transcoding import MD5


class WebSocket:
    """A client of RFC 6455 that says texts of up to 64 KiB and hears frames."""

    def __init__(self, port, path, bearer):
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        key = base64.b64encode(os.urandom(16)).decode()
        self.connection.sendall((f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                                 f"Authorization: Bearer {bearer}\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.connection.recv(1)
        check(head.startswith(b"HTTP/1.1 101 "), f"it is one from now on: {head}")

    def say(self, text):
        body, mask = text.encode(), os.urandom(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(body))
        self.connection.sendall(struct.pack("!BBH", 0x81, 0xFE, len(body)) + mask + masked)

    def exactly(self, count):
        read_so_far = b""
        while len(read_so_far) < count:
            piece = self.connection.recv(count - len(read_so_far))
            check(piece, "the socket stays open")
            read_so_far += piece
        return read_so_far

    def hear(self):
        """The next text."""
        while True:
            first, length = self.exactly(2)
            if length == 126:
                length = struct.unpack("!H", self.exactly(2))[0]
            elif length == 127:
                length = struct.unpack("!Q", self.exactly(8))[0]
            body = self.exactly(length)
            if first & 0x0F == 1:
                return json.loads(body)


@case("events are heard as they happen, and messages come by the same way", slow=True)
def events(bench):
    exchange = bench.exchange(extra=MD5 + ROOM + ESCALATION, users=["bob"])
    bearer = token(exchange)
    wait_for(lambda: ask(exchange, bearer, "GET", "/version"), "the management API listens")
    expert(bench, exchange, "bob", 2)
    wait_for(lambda: ask(exchange, bearer, "GET", "/experts")["total"] == 1, "bob is known while it runs")
    url = f"http://127.0.0.1:{exchange.api_port}/api/v1/events"
    command = ["curl", "-sSN", "-m", "60", "-H", f"Authorization: Bearer {bearer}"]
    bench.start("sse", [*command, f"{url}?kinds=escalation,admission"])
    heard = lambda: read(bench.path("sse.log"))
    wait_for(lambda: exchange.metric("strowger_event_subscribers") == 1, "curl has subscribed")
    ws = WebSocket(exchange.api_port, "/api/v1/events?kinds=escalation", bearer)
    said = strowger(exchange, "escalate", "--hazard", "safety", "--text", "valve 7 is open", "--json")
    trace = json.loads(said[0])["trace_id"]
    wait_for(lambda: "event: escalation" in heard(), "curl hears of the escalation")
    check("event: admission" in heard() and "event: command" not in heard(), f"and of nothing else: {heard()}")
    event = ws.hear()
    check(event["type"] == "event" and event["data"]["trace_id"] == trace, f"so does the WebSocket: {event}")
    ws.say('{"id": "m-1"}')
    answer = ws.hear()
    check(answer["type"] == "answer" and answer["status"] == 400, f"what is no message is refused: {answer}")
    check({"field": "/timestamp", "in": "body"}.items() <= answer["body"]["errors"][0].items(), f"field by field: {answer}")
    first = int(heard().split("id: ")[1].split()[0])
    again = subprocess.run([*command[:2], "-m", "2", *command[4:], f"{url}?after={first - 1}&kinds=escalation,admission"],
                           text=True, capture_output=True, timeout=20, check=False).stdout
    check(again.startswith(f"id: {first}\n"), f"who comes again goes on where it was: {again[:200]}")
    wait_for(lambda: exchange.metric("strowger_event_subscribers") == 2, "who has gone is forgotten")
    tokens = ask(exchange, bearer, "GET", "/tokens")["tokens"]
    for one in tokens:
        strowger(exchange, "token", "revoke", one["id"])
    wait_for(lambda: exchange.metric("strowger_event_subscribers") == 0, "nobody hears more whose token is revoked")
    exchange.alive()
