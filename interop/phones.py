"""Runs baresip, and tells by its content what was recorded. It knows nothing of any case."""

import array
import glob
import json
import math
import os
import socket
import wave

import harness

RATE = 8000
# Frequencies, in hertz, that no harmonic of another one meets.
TONES = (440, 1030, 1570)

# What baresip calls codecs, and which of its modules has them.
CODECS = {
    "PCMU": ("PCMU/8000/1", "g711.so"),
    "PCMA": ("PCMA/8000/1", "g711.so"),
    "G722": ("G722/16000/1", "g722.so"),
    "opus": ("opus/48000/2", "opus.so"),
}


def write_tone(path, frequency, seconds, amplitude=8000):
    """A WAV file, 8000 Hz, one channel, 16 bits, with a sine; at a quarter of the full scale unless told otherwise."""
    step = 2 * math.pi * frequency / RATE
    samples = array.array("h", (round(amplitude * math.sin(step * n)) for n in range(RATE * seconds)))
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def share(samples, rate, frequency):
    """Which part of the power of a signal lies at a frequency, from 0 to 1 (Goertzel's algorithm)."""
    power = sum(sample * sample for sample in samples)
    if not power:
        return 0.0
    factor = 2 * math.cos(2 * math.pi * frequency / rate)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + factor * last - before
    at = last * last + before * before - factor * last * before
    # A sine with amplitude A over N samples has at = (A N / 2)² and power = A² N / 2.
    return 2 * at / (len(samples) * power)


def share_of_tones(path, tones, part=(1 / 4, 3 / 4)):
    """What a part of a recording has at each tone, as shares of its power, and the length of the whole in seconds."""
    with wave.open(path, "rb") as file:
        rate, channels, length = file.getframerate(), file.getnchannels(), file.getnframes()
        samples = array.array("h", file.readframes(length))[::channels]
    begin, end = (round(len(samples) * place) for place in part)
    # A fifth of a second at a time: where a jitter buffer leaves something out, a tone goes on in another phase.
    step = rate // 5
    windows = [samples[at : at + step] for at in range(begin, end - step + 1, step)] or [samples[begin:end]]
    return {tone: sum(share(window, rate, tone) for window in windows) / len(windows) for tone in tones}, length / rate


def greatest_share(path, tone):
    """The greatest part of the power that a tone has in any fifth of a second of a recording that is not silent."""
    with wave.open(path, "rb") as file:
        rate, channels = file.getframerate(), file.getnchannels()
        samples = array.array("h", file.readframes(file.getnframes()))[::channels]
    step = rate // 5
    windows = (samples[at : at + step] for at in range(0, len(samples) - step + 1, step // 2))
    return max((share(window, rate, tone) for window in windows if max(map(abs, window)) > 100), default=0.0)


def heard_in_turn(path, tones):
    """Which of these tones a recording has one after the other, `None` for silence; what lasts less than three fifths of a second
    is left out."""
    with wave.open(path, "rb") as file:
        rate, channels = file.getframerate(), file.getnchannels()
        samples = array.array("h", file.readframes(file.getnframes()))[::channels]
    step, turns = rate // 5, []
    for at in range(0, len(samples) - step + 1, step):
        window = samples[at : at + step]
        loud = [tone for tone in tones if share(window, rate, tone) > 0.8]
        is_silent = max(map(abs, window)) < 200
        heard = loud[0] if loud else (None if is_silent else "else")
        if turns and turns[-1][0] == heard:
            turns[-1][1] += 1
        else:
            turns.append([heard, 1])
    long = [heard for heard, windows in turns if windows >= 3 and heard != "else"]
    return [heard for at, heard in enumerate(long) if at == 0 or long[at - 1] != heard]


def hears_these(who, shares, tones, whole=0.9):
    """Fails unless these tones are in what somebody has heard, each as loud as the others, together such a part of it, and none
    else of those in `shares`."""
    shown = ", ".join(f"{part:.1%} at {frequency} Hz" for frequency, part in shares.items())
    wanted = [shares[tone] for tone in tones]
    named = " and ".join(f"{tone} Hz" for tone in tones)
    harness.check(sum(wanted) > whole and min(wanted) > 2 / 3 * whole / len(tones), f"{who} hears {named}: {shown}")
    others = [part for frequency, part in shares.items() if frequency not in tones]
    # Well below each of those that are wanted, however many these are.
    harness.check(max(others) < 0.02 / len(tones), f"{who} hears nothing but {named}: {shown}")


class Phone:
    """One baresip that registers as a user and plays a tone in its calls. It ends by itself after `seconds`."""

    def __init__(self, bench, exchange, user, tone, transport="udp", dial=None, seconds=5, answers=False, more="",
                 address="127.0.0.1", codec=None, environment=None, control=False, amplitude=8000):
        self.bench = bench
        self.user = user
        self.control = ("127.0.0.1", harness.free_port("127.0.0.1")) if control else None
        self.folder = bench.path(user)
        self.seconds = seconds
        # Its media sockets are not bound: the kernel gives what they send this address, whatever it says in its descriptions.
        self.address = address
        host = f"[{address}]" if ":" in address else address
        os.makedirs(self.folder)
        write_tone(os.path.join(self.folder, "tone.wav"), tone, seconds + 5, amplitude)
        port = exchange.tls_port if transport == "tls" else exchange.port
        proxy = f"sip:{exchange.host}:{port};transport={transport}"
        mode = ";answermode=auto" if answers else ""
        account = f'<sip:{user}@{harness.DOMAIN}>;auth_user={user};auth_pass={harness.PASSWORD};outbound="{proxy}"'
        account += f";regint=600{mode}{more}" + (f";audio_codecs={CODECS[codec][0]}" if codec else "") + "\n"
        config = f"""
poll_method epoll
sip_listen {host}:{harness.free_port(self.address)}
{f"sip_cafile {exchange.certificate}" if transport == "tls" else ""}
net_interface {self.address}
call_max_calls 4
audio_source aufile,{self.folder}/tone.wav
audio_player aubridge,nowhere
audio_srate {"8000-48000" if codec else "8000"}
audio_channels {"1-2" if codec else "1"}
ausrc_srate 8000
ausrc_channels 1
rtp_stats yes
snd_path {self.folder}
module_path {module_path()}
module {CODECS[codec][1] if codec else "g711.so"}
module aufile.so
module aubridge.so
module sndfile.so
module menu.so
module srtp.so
module dtls_srtp.so
module account.so
"""
        if self.control:
            config += f"module ctrl_tcp.so\nctrl_tcp_listen {self.control[0]}:{self.control[1]}\n"
        for name, text in (("config", config), ("accounts", account), ("contacts", "")):
            bench.write(os.path.join(user, name), text)
        command = ["baresip", "-f", self.folder, "-v", "-s", "-t", str(seconds)] + (["-e", f"/dial {dial}"] if dial else [])
        self.process = bench.start(user, command, env={**os.environ, **(environment or {})})

    def command(self, name):
        """Has it do something, as `hold`, while it runs."""
        said = json.dumps({"command": name, "params": ""})
        with socket.create_connection(self.control, timeout=5) as connection:
            connection.sendall(f"{len(said)}:{said},".encode())
            harness.check(connection.recv(4096), f"{self.user} obeys {name}")

    def finish(self):
        """Waits until it has ended."""
        self.process.wait(self.seconds + 10)

    def recording(self):
        """The file of what it has heard."""
        recordings = glob.glob(os.path.join(self.folder, "dump-*-dec.wav"))
        harness.check(recordings, f"{self.user} has recorded what it heard")
        return max(recordings, key=os.path.getsize)

    def recorded_seconds(self):
        """How long what it has heard is."""
        with wave.open(self.recording()) as file:
            return file.getnframes() / file.getframerate()

    def hears(self, tone, part=(1 / 4, 3 / 4)):
        """Fails unless what it has heard is this tone and no other. The beginning has the silence before the other side was
        there, so a part from the middle is listened to."""
        self.hears_all([tone], part)

    def hears_all(self, tones, part=(1 / 4, 3 / 4), among=TONES, whole=0.9):
        """As `hears`, of several tones that others play at the same time, each as loud as the others, and none else `among`
        all."""
        shares, seconds = share_of_tones(self.recording(), among, part)
        harness.check(seconds > 1, f"{self.user} has heard more than a second, not {seconds:.1f} s")
        hears_these(self.user, shares, tones, whole)


def module_path():
    """Where Debian keeps baresip's modules."""
    found = glob.glob("/usr/lib/baresip/modules") + glob.glob("/usr/lib/*/baresip/modules")
    harness.check(found, "baresip's modules are installed")
    return found[0]
