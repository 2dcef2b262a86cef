"""A telephone that speaks SIP over WebSocket (RFC 7118), as a browser does: one call at a time, one stream of audio."""

import base64
import hashlib
import os
import re
import socket
import struct

from harness import DOMAIN, PASSWORD, check

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class WebSocket:
    """The client's side of a WebSocket with the subprotocol `sip` (RFC 6455)."""

    def __init__(self, ip, port):
        self.socket = socket.create_connection((ip, port), 5)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = ["GET / HTTP/1.1", f"Host: {ip}:{port}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: sip"]
        self.socket.sendall(("\r\n".join([*lines, "Origin: http://phone.test"]) + "\r\n\r\n").encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._read(1)
        accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        check(head.startswith(b"HTTP/1.1 101 "), f"the handshake is answered with 101: {head!r}")
        fields = dict(re.findall(r"(?m)^([^:\r\n]+): *([^\r\n]*)", head.decode().lower()))
        check(fields.get("sec-websocket-protocol") == "sip", "the subprotocol is sip")
        expected = base64.b64encode(accept).decode().lower()
        check(fields.get("sec-websocket-accept") == expected, "the handshake answers our key")

    def send(self, text, kind=TEXT):
        data = text.encode()
        size = struct.pack("!B", 0x80 | len(data)) if len(data) < 126 else struct.pack("!BH", 0x80 | 126, len(data))
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))
        self.socket.sendall(bytes([0x80 | kind]) + size + mask + masked)

    def receive(self):
        """The next message; pings are answered."""
        while True:
            first, second = self._read(2)
            check(first & 0x80 and not second & 0x80, "the exchange sends whole frames without a mask")
            length = second & 0x7F
            if length >= 126:
                length = int.from_bytes(self._read(2 if length == 126 else 8), "big")
            data = self._read(length).decode()
            kind = first & 0x0F
            if kind == PING:
                self.send(data, PONG)
            elif kind == CLOSE:
                raise ConnectionError("the exchange has closed the WebSocket")
            elif kind != PONG:
                return data

    def _read(self, length):
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise ConnectionError("the exchange has closed the connection")
            data += more
        return data

    def close(self):
        self.socket.close()


class WebPhone:
    """Registers and calls over a WebSocket. Nobody can connect to it, and its Contact says so: a name that never resolves."""

    def __init__(self, bench, exchange, user):
        self.user, self.host = user, f"{os.urandom(6).hex()}.invalid"
        self.web = WebSocket(exchange.ip, exchange.ws_port)
        bench.deferred.append(self.web.close)
        self.audio = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.audio.bind((bench.address(2), 0))
        self.audio.settimeout(2)
        bench.deferred.append(self.audio.close)
        self.sequence = 0
        self.begin(f"sip:{user}@{DOMAIN}")

    def begin(self, to):
        """A new Call-ID and From tag, for a request outside of the dialog before."""
        self.call_id, self.tag, self.to = os.urandom(8).hex(), os.urandom(4).hex(), f"<{to}>"

    def send(self, method, uri, *headers, body="", sequence=None, branch=None, to=None):
        """Sends a request and returns its branch."""
        if sequence is None:
            self.sequence += 1
        branch = branch or f"z9hG4bK{os.urandom(8).hex()}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/WS {self.host};branch={branch}",
            "Max-Forwards: 70",
            f"From: <sip:{self.user}@{DOMAIN}>;tag={self.tag}",
            f"To: {to or self.to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {sequence or self.sequence} {method}",
            f"Contact: <sip:{self.user}@{self.host};transport=ws>",
            *headers,
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self.web.send("\r\n".join(lines) + "\r\n\r\n" + body)
        return branch

    def answer(self):
        """The status and the text of the next final response."""
        while True:
            text = self.web.receive()
            status = int(text.split(" ", 2)[1]) if text.startswith("SIP/2.0 ") else 0
            if status >= 200:
                return status, text

    def authorized(self, method, uri, *headers, body=""):
        """Sends a request, answers its challenge by SHA-256, and returns the status and the text of the final response."""
        branch = self.send(method, uri, *headers, body=body)
        status, text = self.answer()
        if method == "INVITE":
            to = re.search(r"(?m)^To: *([^\r\n]+)", text).group(1)
            self.send("ACK", uri, sequence=self.sequence, branch=branch, to=to)
        check(status in (401, 407), f"{method} is challenged, not answered with {status}")
        nonce = re.search(r'nonce="([^"]+)"[^\r\n]*algorithm=SHA-256', text).group(1)

        def digest(*parts):
            return hashlib.sha256(":".join(parts).encode()).hexdigest()

        secret, action = digest(self.user, DOMAIN, PASSWORD), digest(method, uri)
        response = digest(secret, nonce, "00000001", "abcdef", "auth", action)
        name = "Authorization" if status == 401 else "Proxy-Authorization"
        value = f'Digest username="{self.user}", realm="{DOMAIN}", nonce="{nonce}", uri="{uri}", response="{response}"'
        value += ', algorithm=SHA-256, qop=auth, nc=00000001, cnonce="abcdef"'
        self.send(method, uri, *headers, f"{name}: {value}", body=body)
        return self.answer()

    def register(self, expires=300):
        status, text = self.authorized("REGISTER", f"sip:{DOMAIN}", f"Expires: {expires}", "Supported: path, outbound")
        check(status == 200, f"REGISTER is answered with 200, not {status}")
        check(self.host in text or not expires, "the answer shows the binding")

    def call(self, uri):
        """Calls and is answered. Returns where the other side wants its audio."""
        self.begin(uri)
        ip, port = self.audio.getsockname()
        body = f"v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=sendrecv\r\n"
        status, text = self.authorized("INVITE", uri, body=body)
        check(status == 200, f"INVITE is answered with 200, not {status}")
        self.to = re.search(r"(?m)^To: *([^\r\n]+)", text).group(1)
        self.target = re.search(r"(?m)^Contact: *<([^>]+)>", text).group(1)
        self.send("ACK", self.target, sequence=self.sequence)
        return re.search(r"(?m)^c=IN IP4 (\S+)", text).group(1), int(re.search(r"(?m)^m=audio (\d+)", text).group(1))

    def hears_itself(self, to, packets=10):
        """Sends audio to where an echo is, and counts the packets that come back with what they were sent with."""
        sent, heard = [os.urandom(160) for _ in range(packets)], set()
        for number, payload in enumerate(sent):
            self.audio.sendto(struct.pack("!BBHII", 0x80, 0, number, 160 * number, 7) + payload, to)
            try:
                heard.add(self.audio.recv(2048)[12:])
            except TimeoutError:
                break
        return len(heard & set(sent))

    def hang_up(self):
        self.send("BYE", self.target)
        status, _ = self.answer()
        check(status == 200, f"BYE is answered with 200, not {status}")
