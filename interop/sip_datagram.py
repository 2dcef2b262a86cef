"""A very small SIP client over UDP that is strict with what it is answered, and measures how long that takes."""

import hashlib
import itertools
import re
import socket
import time

from harness import DOMAIN, check

LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) *: ?([^\r\n\0]*)")
STATUS = re.compile(rb"SIP/2\.0 ([1-6][0-9][0-9]) ([^\r\n\0]*)")
ONCE = ("from", "to", "call-id", "cseq", "content-length")
_numbers = itertools.count(1)


class Answer:
    """A response, read as strictly as RFC 3261 is written. Raises Failed when it is not well-formed.

    One `to_trash` may lack what the request has lacked, since it can only be copied from there.
    """

    def __init__(self, data, to_trash=False):
        head, end, body = data.partition(b"\r\n\r\n")
        check(end, f"an answer has an end of its headers: {data!r}")
        first, *lines = head.split(b"\r\n")
        status = STATUS.fullmatch(first)
        check(status, f"an answer begins with its status: {first!r}")
        self.status, self.reason = int(status[1]), status[2].decode()
        self.headers = []
        for line in lines:
            parts = LINE.fullmatch(line)
            check(parts, f"a line of an answer is a header: {line!r}")
            self.headers.append((parts[1].decode().lower(), parts[2].decode(errors="replace").strip()))
        for name in ONCE:
            lacks = not self.all(name) and to_trash and self.status in (400, 505) and name != "content-length"
            check(len(self.all(name)) == 1 or lacks, f"an answer has one {name}: {data!r}")
        check(self.all("via"), f"an answer has a Via: {data!r}")
        check(self["content-length"] == str(len(body)), f"an answer is as long as it says: {data!r}")
        check(self.status == 100 or all(";tag=" in to for to in self.all("to")), f"an answer has a tag in To: {data!r}")
        if self.status in (401, 407):
            challenges = self.all("www-authenticate" if self.status == 401 else "proxy-authenticate")
            check(challenges and all('nonce="' in each for each in challenges), f"a challenge asks for something: {data!r}")

    def all(self, name):
        return [value for header, value in self.headers if header == name]

    def __getitem__(self, name):
        return self.all(name)[0]

    def shape(self):
        """What it says, without what differs in any two answers, or has been in the question."""
        kept = []
        for name, value in self.headers:
            if name in ("via", "from", "call-id", "cseq"):
                value = ""
            elif name == "to":
                value = "tag" if ";tag=" in value else ""
            elif name.endswith("-authenticate"):
                value = re.sub(r'nonce="[^"]*"', 'nonce=""', value)
            kept.append((name, value))
        return self.status, self.reason, tuple(kept)


class Client:
    """A socket that asks the exchange. `ask` gives None when nothing comes for as long as `patience`."""

    def __init__(self, bench, host, exchange, patience=2.0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bench.deferred.append(self.socket.close)
        self.socket.bind((bench.address(host), 0))
        self.socket.connect((exchange.ip, exchange.port))
        self.socket.settimeout(patience)
        # How long the last answer took, in seconds.
        self.seconds = None

    def ask(self, method, user, to=None, uri=None, credentials=None, more=()):
        """The final answer to a request of `user`; `to` is the user it is for."""
        number = next(_numbers)
        ip, port = self.socket.getsockname()
        branch = f"z9hG4bK-{number}-{time.monotonic_ns()}"
        uri = uri or (f"sip:{DOMAIN}" if method == "REGISTER" else f"sip:{to or user}@{DOMAIN}")
        via = f"Via: SIP/2.0/UDP {ip}:{port};branch={branch};rport"
        sender = f"From: <sip:{user}@{DOMAIN}>;tag={number:08x}"
        lines = [
            f"{method} {uri} SIP/2.0", via, "Max-Forwards: 70", sender, f"To: <sip:{to or user}@{DOMAIN}>",
            f"Call-ID: {number:08x}@{ip}", f"CSeq: 1 {method}", f"Contact: <sip:{user}@{ip}:{port}>",
            *([self.authorization(method, uri, credentials)] if credentials else []), *more, "Content-Length: 0",
        ]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode()
        begun = time.perf_counter()
        self.socket.send(request)
        while True:
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                return None
            self.seconds = time.perf_counter() - begun
            if branch.encode() not in data or data.startswith(b"SIP/2.0 1"):
                continue
            answer = Answer(data)
            if method == "INVITE":
                ack = [f"ACK {uri} SIP/2.0", via, "Max-Forwards: 70", sender, f"To: {answer['to']}"]
                ack += [f"Call-ID: {number:08x}@{ip}", "CSeq: 1 ACK", "Content-Length: 0"]
                self.socket.send(("\r\n".join(ack) + "\r\n\r\n").encode())
            return answer

    def authorization(self, method, uri, credentials):
        """The header that answers the MD5 challenge of an answer: `credentials` are user, password, and that answer."""
        user, password, challenged = credentials
        header = "www-authenticate" if challenged.status == 401 else "proxy-authenticate"
        nonce = re.search(r'nonce="([^"]+)"', challenged[header])[1]

        def digest(text):
            return hashlib.md5(text.encode()).hexdigest()

        secret, action = digest(f"{user}:{DOMAIN}:{password}"), digest(f"{method}:{uri}")
        response = digest(f"{secret}:{nonce}:00000001:abcdef:auth:{action}")
        name = "Authorization" if challenged.status == 401 else "Proxy-Authorization"
        return (
            f'{name}: Digest username="{user}", realm="{DOMAIN}", nonce="{nonce}", uri="{uri}", '
            f'response="{response}", algorithm=MD5, qop=auth, nc=00000001, cnonce="abcdef"'
        )

    def guess(self, method, user, password, to=None):
        """The answer to credentials; that to the request without them when that was no challenge."""
        challenged = self.ask(method, user, to)
        if challenged is None or challenged.status not in (401, 407):
            return challenged
        return self.ask(method, user, to, credentials=(user, password, challenged))
