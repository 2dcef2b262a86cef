"""Strowger with a room, and members who dial it by SIP."""

import os, subprocess

from sip import Party, description, media_port

CONFIGURATION = """
[exchange]
data = "{folder}"
workers = 1
drain_s = 0
[sip]
listen = [{{ transport = "udp", address = "127.0.0.1:5060" }}]
[media]
interfaces = [{{ name = "default", bind = ["127.0.0.1"] }}]
ports = "10000-19999"
threads = 1
[http]
listen = "127.0.0.1:18080"
[api]
listen = "127.0.0.1:18081"
[log]
level = "error"
[[trunk]]
name = "members"
sources = ["127.0.0.10"]
options_interval_s = 0
[[room]]
name = "room"
members_max = 64
[[route]]
name = "in"
from_trunk = ["members"]
exact = "5000"
to = [{{ room = "room" }}]
"""


class Strowger:
    """The server, and the calls of its members."""

    name = "Strowger"

    def __init__(self, folder):
        path = folder / "strowger.toml"
        path.write_text(CONFIGURATION.format(folder=folder))
        binary = os.environ.get("STROWGER", "target/dist/strowger")
        command = ["taskset", "-c", str(os.cpu_count() - 1), binary, "--config", str(path), "serve"]
        self.process = subprocess.Popen(command, stdout=open(folder / "log", "wb"), stderr=subprocess.STDOUT)
        self.party = Party("127.0.0.10", ("127.0.0.1", 5060))
        if not any(self.party.is_up() for _ in range(100)):
            raise SystemExit(f"Strowger does not answer: {(folder / 'log').read_text()[-2000:]}")

    def open(self, rate, codec):
        """Its room takes each member at the rate of its codec."""
        return "sip:5000@127.0.0.1"

    def join(self, room, number, offer):
        """A member whose RTP is to go to a port here: where Strowger wants its own."""
        call = self.party.dial(room, description(offer.codec, offer.port, offer.parameters))
        return "127.0.0.1", media_port(call.answer)

    def close(self, room):
        self.party.hang_up()

    def keep_alive(self):
        pass

    def end(self):
        self.party.close()
        self.process.terminate()
        self.process.wait()
