"""Stands between a tool that cannot say where it sends from, or must not say who it is, and the exchange."""

import contextlib
import select
import socket
import threading

import harness

# How SIPVicious calls itself, and a telephone that nobody refuses.
TOOL, TELEPHONE = b"User-Agent: friendly-scanner", b"User-Agent: Linphone/3.12.0"


class GoBetween:
    """Passes the datagrams that come to `contact` on from this host's address, and the answers back, and keeps both."""

    def __init__(self, bench, host, exchange, disguised=False):
        self.address = bench.address(host)
        self.disguised = disguised
        self.asked, self.answers = [], []
        self.near, self.far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self.port = harness.free_port(self.address)
        self.near.bind((self.address, self.port))
        self.far.bind((self.address, 0))
        self.far.connect((exchange.ip, exchange.port))
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        bench.deferred.append(self.close)

    def _run(self):
        tool = None
        while not self.over.is_set():
            for ready in select.select((self.near, self.far), (), (), 0.1)[0]:
                # A port where nobody listens any more is told to whoever sends there.
                with contextlib.suppress(OSError):
                    tool = self._pass_on(ready, tool)

    def _pass_on(self, ready, tool):
        """Passes one datagram on. The address of the tool."""
        if ready is self.near:
            data, tool = self.near.recvfrom(65536)
            if self.disguised:
                data = data.replace(TOOL, TELEPHONE)
            self.asked.append(data)
            self.far.send(data)
        else:
            data = self.far.recv(65536)
            self.answers.append(data)
            self.near.sendto(data, tool)
        return tool

    def close(self):
        self.over.set()
        self.thread.join()
        self.near.close()
        self.far.close()
