"""Speaks the NG control protocol to a media engine, in JSON over UDP. It knows nothing of any case."""

import json
import socket


class NgClient:
    """A proxy without SIP. Each request has its cookie; an answer is awaited for two seconds."""

    def __init__(self, host, port):
        self.to = (host, port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(2)
        self.sent = 0

    def ask(self, command, **more):
        """The answer; `call_id` and the like are written with hyphens."""
        self.sent += 1
        request = {"command": command, **{key.replace("_", "-"): value for key, value in more.items()}}
        return json.loads(self.exchange(f"cookie-{self.sent}", json.dumps(request).encode()))

    def exchange(self, cookie, text):
        """What comes back for a cookie and bytes, without the cookie."""
        self.socket.sendto(cookie.encode() + b" " + text, self.to)
        while True:
            answer = self.socket.recv(65536)
            if answer.startswith(cookie.encode() + b" "):
                return answer.split(b" ", 1)[1]

    def answers(self):
        """Is somebody there?"""
        try:
            return self.ask("ping") == {"result": "pong"}
        except OSError:
            return False

    def close(self):
        self.socket.close()
