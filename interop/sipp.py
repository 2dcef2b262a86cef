"""Runs sipp. It knows how a scenario is filled in and how sipp is started, and nothing of what a scenario is for.

The scenarios in `sipp/` are sipp's own XML with a few words in percent signs, which are the same in every scenario or cannot be
given to sipp on its command line: `%DOMAIN%`, `%OFFER%`, `%ANSWER%`, `%HOLD%` and so on (session descriptions), and whatever
else a case gives, as `%STATUS%`.
"""

import os
import re

import harness

SCENARIOS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sipp")

# A session description as sipp fills it in.
DESCRIPTION = """
      v=0
      o=sipp 5350768 {version} IN IP[local_ip_type] [local_ip]
      s=-
      c=IN IP[media_ip_type] [media_ip]
      t=0 0
      m=audio [media_port] RTP/AVP 0 101
      a=rtpmap:0 PCMU/8000
      a=rtpmap:101 telephone-event/8000
      a=fmtp:101 0-15
      a=ptime:20
      a={direction}
"""

WORDS = {
    "DOMAIN": harness.DOMAIN,
    "CALLER": "caller",
    "CALLEE": "callee",
    "PASSWORD": harness.PASSWORD,
    "RING": 100,
    "TALK": 300,
    "HEADERS": "      Server: sipp",
    "OFFER": DESCRIPTION.format(version=1, direction="sendrecv"),
    "ANSWER": DESCRIPTION.format(version=1, direction="sendrecv"),
    "HOLD": DESCRIPTION.format(version=2, direction="sendonly"),
    "HELD": DESCRIPTION.format(version=2, direction="recvonly"),
    "RESUME": DESCRIPTION.format(version=3, direction="sendrecv"),
}


class Sipp:
    """One sipp process."""

    def __init__(self, bench, scenario, host, to=None, port=None, service="callee", calls=1, rate=10, transport="u1",
                 seconds=20, limit=None, trace=True, options=(), name=None, shown=None, **words):
        self.bench = bench
        self.address = bench.address(host)
        self.port = port or harness.free_port(self.address)
        self.name = name or f"{scenario}-{host}-{self.port}"
        self.seconds = seconds
        with open(os.path.join(SCENARIOS, f"{scenario}.xml"), encoding="utf-8") as file:
            text = file.read()
        for word, value in {**WORDS, **words}.items():
            text = text.replace(f"%{word}%", str(value).strip("\n"))
        if shown:
            # What stands between sipp and the exchange has another transport and another port.
            text = text.replace("[transport]", shown[0]).replace("[local_port]", str(shown[1]))
        missing = re.findall(r"%[A-Z_]+%", text)
        if missing:
            raise harness.Failed(f"{scenario}.xml wants {', '.join(missing)}")
        path = bench.write(f"{self.name}.xml", text)
        command = ["sipp", "-sf", path, "-i", self.address, "-p", str(self.port), "-mi", self.address]
        command += ["-bind_local"] if to is None else []
        command += ["-m", str(calls), "-r", str(rate), "-t", transport, "-s", service, "-nd", "-nostdin"]
        command += ["-timeout", f"{seconds}s", "-timeout_error", "-trace_err", "-error_file", f"{self.name}.errors"]
        command += ["-cid_str", f"%u-{self.name}-%p@%s"]
        command += ["-trace_msg", "-message_file", f"{self.name}.messages"] if trace else []
        command += ["-l", str(limit)] if limit else []
        command += list(options)
        command += [to] if to else []
        # sipp draws on a terminal; nobody looks.
        self.process = bench.start(self.name, command, env={**os.environ, "TERM": "dumb"})

    @property
    def contact(self):
        return f"{self.address}:{self.port}"

    def listening(self):
        """Waits until a server has its socket, and returns it."""
        # sipp says nothing when it is ready; the kernel lists its socket.
        wanted = "".join(f"{int(part):02X}" for part in reversed(self.address.split("."))) + f":{self.port:04X}"
        tables = ("/proc/net/udp", "/proc/net/tcp")
        harness.wait_for(lambda: any(wanted in harness.read(table) for table in tables), f"{self.name} listens")
        return self

    def finish(self):
        """Waits until all calls are over. Fails unless each went as the scenario says."""
        code = self.process.wait(self.seconds + 10)
        if code != 0:
            errors = harness.read(self.bench.path(f"{self.name}.errors")).strip()
            shown = errors[:900] if errors else f"exit code {code}, no error logged"
            raise harness.Failed(f"{self.name}: {shown}")

    def messages(self):
        """Everything it has sent and received, as text."""
        return harness.read(self.bench.path(f"{self.name}.messages"))


def finish(*processes):
    """Waits for several; the errors of all that failed come in one."""
    errors = []
    for process in processes:
        try:
            process.finish()
        except harness.Failed as error:
            errors.append(str(error))
    if errors:
        raise harness.Failed("\n".join(errors))
