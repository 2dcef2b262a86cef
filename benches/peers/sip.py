"""The least of a SIP telephone that a measurement needs: many calls of one party, from one UDP socket."""

import os, re, select, socket, time

CODECS = {"pcma": "PCMA/8000", "pcmu": "PCMU/8000", "opus": "opus/48000/2"}
PAYLOAD_TYPES = {"pcmu": 0, "pcma": 8, "opus": 111}


def header(message, name):
    found = re.search(rf"(?im)^{name}\s*:\s*(.*?)\r?$", message)
    return found.group(1) if found else ""


def description(codec, port, parameters="", host="127.0.0.1", kind=None):
    """A session description with one codec, under a payload type of its own or this one."""
    kind = PAYLOAD_TYPES[codec] if kind is None else kind
    options = f"a=fmtp:{kind} {parameters}\r\n" if parameters else ""
    return (
        f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP {kind}\r\n"
        f"a=rtpmap:{kind} {CODECS[codec]}\r\n{options}a=ptime:20\r\n"
    )


def payload_type(message, codec):
    return int(re.search(rf"(?i)a=rtpmap:(\d+) {CODECS[codec]}", message).group(1))


def media_port(message):
    return int(re.search(r"m=audio (\d+)", message).group(1))


class Call:
    """One side of a dialog."""

    def __init__(self, identity, tag, peer, target):
        self.identity, self.tag, self.peer, self.target, self.sequence = identity, tag, peer, target, 1
        self.answer = None


class Party:
    """A socket of SIP at one address, which calls and is called; `answering` makes the description for a call that comes."""

    def __init__(self, host, server, answering=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.here = "%s:%d" % self.socket.getsockname()
        self.server, self.answering = server, answering
        self.calls, self.said, self.ended, self.made = {}, {}, [], 0

    def close(self):
        self.socket.close()

    def fileno(self):
        return self.socket.fileno()

    def is_up(self):
        """Does the server answer?"""
        call = Call(f"options-{time.monotonic_ns()}", "t", "<sip:server>", "sip:127.0.0.1")
        self.request("OPTIONS", call)
        ready, _, _ = select.select([self.socket], [], [], 0.1)
        try:
            return bool(ready) and self.socket.recv(65536).startswith(b"SIP/2.0")
        except ConnectionError:
            return False

    def invite(self, uri, body):
        """A call, which `answered` is to be waited for."""
        self.made += 1
        number = self.made
        call = Call(f"{os.getpid()}-{id(self)}-{number}", f"f{number}", f"<{uri}>", uri)
        self.calls[call.identity] = call
        self.request("INVITE", call, body)
        return call

    def dial(self, uri, body, others=()):
        """A call that is answered; other parties are served meanwhile."""
        call = self.invite(uri, body)
        end = time.monotonic() + 10
        while call.answer is None:
            ready, _, _ = select.select([self, *others], [], [], end - time.monotonic())
            if not ready:
                raise SystemExit(f"no answer from {uri}")
            for party in ready:
                party.serve()
        return call

    def hang_up(self):
        """Ends every call, and waits for the answers."""
        for call in self.calls.values():
            call.sequence += 1
            self.request("BYE", call)
        while self.calls and select.select([self], [], [], 2)[0]:
            self.serve()

    def request(self, method, call, body=""):
        kind = "Content-Type: application/sdp\r\n" if body else ""
        branch = f"z9hG4bK{method}{time.monotonic_ns()}"
        self.send(
            f"{method} {call.target} SIP/2.0\r\nVia: SIP/2.0/UDP {self.here};branch={branch};rport\r\nMax-Forwards: 70\r\n"
            f"From: <sip:party@{self.here}>;tag={call.tag}\r\nTo: {call.peer}\r\nCall-ID: {call.identity}\r\n"
            f"CSeq: {call.sequence} {method}\r\nContact: <sip:party@{self.here}>\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def send(self, text):
        self.socket.sendto(text.encode(), self.server)

    def serve(self):
        """Takes one message that waits."""
        message = self.socket.recv(65536).decode()
        first, method = message.split("\r\n", 1)[0], header(message, "CSeq").split()[1]
        if first.startswith("SIP/2.0"):
            self.handle_answer(int(first.split()[1]), method, message)
        elif method != "ACK":
            self.handle_request(method, message)

    def handle_answer(self, status, method, message):
        call = self.calls.get(header(message, "Call-ID"))
        if call is None or status < 200:
            return
        if method == "BYE":
            del self.calls[call.identity]
        elif method == "INVITE" and status < 300:
            call.peer, call.answer = header(message, "To"), message
            call.target = re.search(r"<([^>]+)>", header(message, "Contact")).group(1)
            self.request("ACK", call)
        elif status >= 300:
            raise SystemExit(f"refused:\n{message}")

    def handle_request(self, method, message):
        identity = header(message, "Call-ID")
        body = ""
        if method == "INVITE":
            if identity not in self.calls and identity not in self.said:
                self.said[identity] = self.answering(message)
                target = re.search(r"<([^>]+)>", header(message, "Contact")).group(1)
                self.calls[identity] = Call(identity, "answerer", header(message, "From"), target)
            body = self.said.get(identity) or ""
        if method == "BYE":
            self.ended.append(identity)
            self.calls.pop(identity, None)
        to = header(message, "To")
        to += "" if ";tag=" in to else ";tag=answerer"
        kind = "Content-Type: application/sdp\r\n" if body else ""
        self.send(
            f"SIP/2.0 200 OK\r\nVia: {header(message, 'Via')}\r\nFrom: {header(message, 'From')}\r\nTo: {to}\r\n"
            f"Call-ID: {identity}\r\nCSeq: {header(message, 'CSeq')}\r\nContact: <sip:party@{self.here}>\r\n{kind}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
