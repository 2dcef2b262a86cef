"""The runner of the cases: folders, loopback addresses, exchanges, results. It knows nothing of any case.

A case is a function that takes a `Bench` and raises `Failed` when something is not as it claims. Each case has a folder, a
range of loopback addresses of its own (127.0.N.*) and whatever exchanges it starts, so that cases run side by side.
"""

import concurrent.futures
import contextlib
import dataclasses
import itertools
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.request

JOBS = 3
DOMAIN = "exchange.test"
# sipp ends a password at the first space.
PASSWORD = "a-long-enough-password"
CASES = []


class Failed(Exception):
    """Something is not as a case claims."""


class Skipped(Exception):
    """A case cannot be tried on this machine."""


@dataclasses.dataclass
class Case:
    name: str
    run: object
    slow: bool
    alone: bool


def case(name, slow=False, alone=False):
    """Registers a case. A slow one begins early, one that wants the machine for itself comes when the others are done."""

    def register(function):
        CASES.append(Case(name, function, slow, alone))
        return function

    return register


def check(condition, claim):
    """Fails the case unless the claim holds."""
    if not condition:
        raise Failed(claim)


def wait_for(condition, claim, seconds=5.0):
    """Waits until the condition holds and returns what it gave. It is asked again every 50 ms."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"{claim} (waited {seconds:g} s)")
        time.sleep(0.05)


# Below those that the system gives to whoever asks for any: between the look at a port and its use nobody gets it.
_ports = random.SystemRandom().sample(range(1024, 10_000, 2), 4_000)
_ports_lock = threading.Lock()


def free_port(address):
    """A port that UDP and TCP both have free on an address, and whose successor is free as well. It is given once."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        with _ports_lock, contextlib.ExitStack() as stack:
            if not _ports:
                break
            port = _ports.pop()
            try:
                for kind, number in itertools.product((socket.SOCK_DGRAM, socket.SOCK_STREAM), (port, port + 1)):
                    stack.enter_context(socket.socket(family, kind)).bind((address, number))
            except OSError:
                continue
            return port
    raise Failed(f"no free port on {address}")


class Bench:
    """What a case works with."""

    _numbers = itertools.count(1)
    _lock = threading.Lock()

    def __init__(self, folder, binary):
        with Bench._lock:
            # Beginning at 127.0.64.* keeps clear of what else may listen on 127.0.0.* and 127.0.1.1.
            self.net = 64 + next(Bench._numbers)
        self.folder = folder
        self.binary = binary
        self.deferred = []
        self.exchanges = []
        os.makedirs(folder)

    def address(self, host):
        """The loopback address with this last part. 1 is the exchange."""
        return f"127.0.{self.net}.{host}"

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def start(self, name, command, **options):
        """Starts a program whose output goes to NAME.log; it is killed at the end of the case when it still runs."""
        log = open(self.path(f"{name}.log"), "ab")
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=self.folder, **options
        )
        log.close()
        self.deferred.append(lambda: kill(process))
        return process

    def exchange(self, **options):
        """An exchange that has started."""
        exchange = Exchange(self, **options)
        exchange.start()
        return exchange

    def certificate(self, names, file="exchange"):
        """A new certificate and its key: the paths of the two files."""
        certificate, key = self.path(f"{file}-certificate.pem"), self.path(f"{file}-key.pem")
        # No authority, for rustls takes none as the certificate of a server.
        extensions = f"[extensions]\nbasicConstraints=critical,CA:FALSE\nsubjectAltName={','.join(names)}\n"
        config = f"[req]\nprompt=no\ndistinguished_name=name\nx509_extensions=extensions\n[name]\nCN={DOMAIN}\n"
        path = self.write(f"{file}-openssl.cnf", config + extensions)
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "2", "-config", path, "-out", certificate, "-keyout", key]
        subprocess.run(command, check=True, capture_output=True, timeout=20)
        os.chmod(key, 0o600)
        return certificate, key

    def authority(self):
        """A new authority."""
        return Authority(self)

    def close(self):
        for action in reversed(self.deferred):
            action()


class Authority:
    """Signs certificates of clients with openssl, and takes them back."""

    def __init__(self, bench):
        self.bench = bench
        self.certificate, self.key = bench.path("authority.pem"), bench.path("authority-key.pem")
        self.revoked = bench.path("revoked.pem")
        for file, text in (("index.txt", ""), ("serial", "01\n"), ("crlnumber", "01\n")):
            bench.write(f"authority-{file}", text)
        self.config = bench.write("authority.cnf", f"""
[ca]
default_ca = authority
[authority]
database = {bench.path("authority-index.txt")}
serial = {bench.path("authority-serial")}
crlnumber = {bench.path("authority-crlnumber")}
new_certs_dir = {bench.folder}
certificate = {self.certificate}
private_key = {self.key}
default_md = sha256
default_days = 2
default_crl_days = 2
unique_subject = no
policy = anything
[anything]
commonName = supplied
[req]
distinguished_name = name
x509_extensions = of_authority
[name]
[of_authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
""")
        self._openssl("req", "-x509", *NEW_KEY, "-days", "2", "-subj", "/CN=An authority", "-config", self.config,
                      "-out", self.certificate, "-keyout", self.key)
        self._list()

    def sign(self, name, uri):
        """The paths of a new certificate with this URI and of its key."""
        request, certificate, key = (self.bench.path(f"{name}{end}") for end in (".csr", ".pem", "-key.pem"))
        self._openssl("req", *NEW_KEY, "-subj", f"/CN={name}", "-config", self.config, "-out", request, "-keyout", key)
        extensions = self.bench.write(
            f"{name}-extensions.cnf", f"basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\nsubjectAltName=URI:{uri}\n"
        )
        self._openssl("ca", "-batch", "-notext", "-config", self.config, "-extfile", extensions, "-in", request,
                      "-out", certificate)
        return certificate, key

    def revoke(self, certificate):
        self._openssl("ca", "-config", self.config, "-revoke", certificate)
        self._list()

    def _list(self):
        self._openssl("ca", "-config", self.config, "-gencrl", "-out", self.revoked)

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=20)


NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def kill(process):
    """Ends a process that we have started, and only it."""
    if process.poll() is None:
        process.kill()
    process.wait()


class Exchange:
    """One exchange: its configuration, its process, and what it says of itself.

    `trunks` and `extra` are TOML text; `users` are names, all with PASSWORD; `within` is a command that runs another one, as
    `nsenter` does, in the same process.
    """

    def __init__(self, bench, trunks="", users=(), sip="", media="", extra="", tls=False, trust=(),
                 level="debug", workers=2, name="exchange", ip=None, ws=False, tls_more="", within=(), api=""):
        bench.exchanges.append(self)
        self.bench = bench
        self.name = name
        self.ip = ip or bench.address(1)
        self.port = free_port(self.ip)
        self.tls_port = free_port(self.ip) if tls else None
        self.ws_port = free_port(self.ip) if ws else None
        self.http_port = free_port(self.ip)
        # Without a certificate it listens on the loopback interface only.
        self.api_port = free_port("127.0.0.1")
        self.data = bench.path(f"{name}-data")
        self.users = users
        self.program = [*within, bench.binary]
        self.process = None
        listen = [("udp", self.port), ("tcp", self.port), ("tls", self.tls_port), ("ws", self.ws_port)]
        listen = [(kind, port) for kind, port in listen if port]
        listening = ", ".join(f'{{ transport = "{kind}", address = "{self.host}:{port}" }}' for kind, port in listen)
        certificate = ""
        if tls:
            self.certificate, key = bench.certificate([f"DNS:{DOMAIN}", f"IP:{self.ip}"])
            certificate = f'[sip.tls]\ncertificate = "{self.certificate}"\nkey = "{key}"\n'
            if trust:
                certificate += "trust = [" + ", ".join(f'"{path}"' for path in trust) + "]\n"
            certificate += tls_more
        text = f"""
[exchange]
domains = ["{DOMAIN}"]
data = "{self.data}"
workers = {workers}
[sip]
listen = [{listening}]
{sip}
{certificate}
[media]
interfaces = [{{ name = "default", bind = ["{self.ip}"] }}]
ports = "20000-25999"
threads = 1
{media}
[http]
listen = "{self.host}:{self.http_port}"
[api]
listen = "127.0.0.1:{self.api_port}"
{api}
[log]
level = "{level}"
{extra}
{trunks}
"""
        self.config = bench.write(f"{name}.toml", text)

    @property
    def host(self):
        """Its address as a URI has it."""
        return f"[{self.ip}]" if ":" in self.ip else self.ip

    @property
    def to(self):
        """Where peers send to, over UDP and TCP."""
        return f"{self.host}:{self.port}"

    def start(self):
        """Starts the process and waits until it is ready."""
        os.makedirs(self.data, exist_ok=True)
        for user in self.users:
            self.add_user(user)
        self.users = ()
        self.process = self.bench.start(self.name, [*self.program, "--config", self.config, "serve"])
        wait_for(self._is_ready, "the exchange is ready", 15)

    def _is_ready(self):
        if self.process.poll() is not None:
            raise Failed(f"the exchange ended with {self.process.returncode} while it started")
        return self.get("/readyz") is not None

    def add_user(self, user):
        command = [*self.program, "--config", self.config, "user", "add", user, "--password-stdin"]
        done = subprocess.run(command, input=PASSWORD + "\n", text=True, capture_output=True, timeout=20)
        check(done.returncode == 0, f"{user} can be added: {done.stderr.strip()}")

    def get(self, path):
        """The body of a page, or None when it is not there or not well."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.http_port}{path}", timeout=3) as answer:
                return answer.read().decode()
        except (OSError, urllib.error.URLError):
            return None

    def metric(self, name, **labels):
        """The sum of the samples of a metric that have these labels; None when there is none."""
        found = []
        for line in (self.get("/metrics") or "").splitlines():
            head, _, value = line.partition(" ")
            family, _, rest = head.partition("{")
            if family == name and all(f'{label}="{text}"' in rest for label, text in labels.items()):
                found.append(float(value.split()[0]))
        return sum(found) if found else None

    def gone(self, seconds=6):
        """Waits until no call and no leg is left. The gauges are half a second old."""
        self.alive()
        for metric in ("strowger_calls", "strowger_legs"):
            wait_for(lambda metric=metric: self.metric(metric) == 0, f"{metric} is 0", seconds)

    def alive(self):
        """Fails when the process has ended."""
        code = self.process.poll()
        check(code is None, f"the exchange runs; it has ended with {code}")
        log = read(self.bench.path(f"{self.name}.log"))
        check("panicked at" not in log, "no thread of the exchange has panicked")

    def rss(self):
        """Its resident memory in bytes."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def kill(self):
        """Ends it as a crash does: at once."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds=10):
        """Ends it as an operator does. Fails when it does not end in order."""
        os.kill(self.process.pid, signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"the exchange ends within {seconds} s of SIGTERM") from error
        check(code == 0, f"the exchange ends with 0 after SIGTERM, not with {code}")


def read(path):
    """A text file; empty when it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def trunk(name, addresses=(), sources=(), more=""):
    """A `[[trunk]]` that is not probed unless it says so itself."""
    quoted = [", ".join(f'"{text}"' for text in texts) for texts in (addresses, sources)]
    probing = "" if "options_interval_s" in more else "options_interval_s = 0\n"
    return f'[[trunk]]\nname = "{name}"\naddresses = [{quoted[0]}]\nsources = [{quoted[1]}]\n{probing}{more}\n'


def route(name, to, more="", callers='from_trunk = ["caller", "callee"]'):
    """A `[[route]]` for the calls of the trunks "caller" and "callee"; `to` is the text of its list."""
    return f'[[route]]\nname = "{name}"\n{callers}\nto = [{to}]\n{more}\n'


def run_all(binary, words, jobs, keep):
    """Runs the cases and prints the results. The exit code."""
    binary = os.path.abspath(binary)
    if not os.access(binary, os.X_OK):
        print(f"no exchange at {binary}: build it, or say where it is with STROWGER=PATH", file=sys.stderr)
        return 2
    # Sockets by the thousand are opened by the exchange and by the cases that frighten it.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder = tempfile.mkdtemp(prefix="strowger-interop-")
    chosen = [case for case in CASES if not words or any(word in case.name for word in words)]
    together = sorted((case for case in chosen if not case.alone), key=lambda case: not case.slow)
    results = []
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results += pool.map(lambda case: run_one(case, folder, binary), together)
    results += [run_one(case, folder, binary) for case in chosen if case.alone]
    passed, failed, skipped = (results.count(result) for result in ("ok", "FAILED", "skipped"))
    if failed or keep:
        print(f"logs: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(results)} cases in {time.monotonic() - begun:.0f} s" + (f", {skipped} skipped" if skipped else ""))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


_printing = threading.Lock()


def run_one(case, folder, binary):
    bench = Bench(os.path.join(folder, case.name.replace(" ", "-").replace("/", "-")), binary)
    begun = time.monotonic()
    result, why = "ok", ""
    try:
        case.run(bench)
    except Failed as error:
        result, why = "FAILED", str(error)
    except Skipped as error:
        result, why = "skipped", str(error)
    except Exception:  # A mistake in a case must not hide the results of the others.
        result, why = "FAILED", traceback.format_exc()
    finally:
        bench.close()
    with _printing:
        print(f"{result:8} {case.name} ({time.monotonic() - begun:.1f} s)" + (f": {why}" if why else ""), flush=True)
    return result
