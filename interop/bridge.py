"""Gives sipp TLS, which Debian's has not: passes bytes on between a plain and an encrypted connection."""

import contextlib
import socket
import ssl
import threading


class Bridge:
    """Takes connections at `listen` and opens one to `to` for each. The side that has a context is encrypted."""

    def __init__(self, bench, listen, to, server_context=None, client_context=None, name=None):
        self.to, self.name = to, name
        self.server_context, self.client_context = server_context, client_context
        self.source = listen[0]
        self.socket = socket.create_server(listen)
        self.address = self.socket.getsockname()
        self.open = [self.socket]
        bench.deferred.append(self.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.socket.accept()
                self.open.append(near)
                if self.server_context:
                    near = self.server_context.wrap_socket(near, server_side=True)
                # What is called sees the bridge's own address, by which the exchange knows a trunk.
                far = socket.create_connection(self.to, 10, (self.source, 0))
                far.settimeout(None)
                self.open += [near, far]
                if self.client_context:
                    far = self.client_context.wrap_socket(far, server_hostname=self.name)
            except OSError:
                if self.socket.fileno() < 0:
                    return
                continue
            self.open += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=pass_on, args=pair, daemon=True).start()

    def close(self):
        for each in self.open:
            with contextlib.suppress(OSError):
                each.close()


def pass_on(source, sink):
    """Until one of the two ends."""
    with contextlib.suppress(OSError, ValueError):
        while data := source.recv(65536):
            sink.sendall(data)
    for each in (source, sink):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def client_context(certificate):
    """Trusts this certificate and no other."""
    return ssl.create_default_context(cafile=certificate)


def server_context(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
