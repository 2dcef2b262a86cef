"""A very small SIP client over a stream, for what no packaged peer does: one request, one answer."""

import hashlib
import re
import socket

from harness import DOMAIN, PASSWORD


class Client:
    """A connection to the exchange; encrypted when a context is given."""

    def __init__(self, ip, port, context=None, name=None):
        self.socket = socket.create_connection((ip, port), 5)
        self.transport = "TCP"
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname=name)
            self.transport = "TLS"
        self.sequence = 0

    def close(self):
        self.socket.close()

    def ask(self, method, user, *headers):
        """Sends a request and returns the status and the head of its final answer."""
        self.sequence += 1
        ip, port = self.socket.getsockname()[:2]
        lines = [
            f"{method} sip:{DOMAIN} SIP/2.0",
            f"Via: SIP/2.0/{self.transport} {ip}:{port};branch=z9hG4bK-{id(self)}-{self.sequence};rport",
            "Max-Forwards: 70",
            f"From: <sip:{user}@{DOMAIN}>;tag={id(self)}",
            f"To: <sip:{user}@{DOMAIN}>",
            f"Call-ID: {id(self)}@{ip}",
            f"CSeq: {self.sequence} {method}",
            f"Contact: <sip:{user}@{ip}:{port};transport={self.transport.lower()}>",
            *headers,
            "Content-Length: 0",
        ]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while True:
            head = self._head()
            status = int(head.split(" ", 2)[1])
            if status >= 200:
                return status, head

    def _head(self):
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            if not byte:
                raise ConnectionError("the exchange has closed the connection")
            data += byte
        head = data.decode()
        length = re.search(r"(?im)^Content-Length: *(\d+)", head)
        for _ in range(int(length.group(1)) if length else 0):
            self.socket.recv(1)
        return head

    def register(self, user, challenge=None, password=PASSWORD):
        """Registers; with the answer to the SHA-256 challenge in the head of an earlier answer."""
        headers = []
        if challenge:
            nonce = re.search(r'nonce="([^"]+)"[^\r\n]*algorithm=SHA-256', challenge).group(1)
            uri = f"sip:{DOMAIN}"

            def digest(text):
                return hashlib.sha256(text.encode()).hexdigest()

            secret, action = digest(f"{user}:{DOMAIN}:{password}"), digest(f"REGISTER:{uri}")
            response = digest(f"{secret}:{nonce}:00000001:abcdef:auth:{action}")
            headers.append(
                f'Authorization: Digest username="{user}", realm="{DOMAIN}", nonce="{nonce}", uri="{uri}", '
                f'response="{response}", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="abcdef"'
            )
        return self.ask("REGISTER", user, *headers)

    def options(self):
        return self.ask("OPTIONS", "somebody")
