"""What proxies do with the media of a call that stands: over the NG protocol a prompt is played, digits are pressed and held back,
media is held back or made silence, and a call is recorded. Both ends are sockets of ours; what they hear is told by its content."""

import array
import glob
import json
import math
import os
import threading
import wave

from harness import case, check, free_port, read, wait_for
from key_phone import EXPANDED, RATE, Sound
from ng_client import NgClient
from phones import TONES, share, write_tone

CALL = {"call_id": "x", "replace": ["origin"], "ICE": "remove"}


def tone(frequency, seconds):
    """16-bit samples of a sine."""
    step = 2 * math.pi * frequency / RATE
    return array.array("h", (round(8000 * math.sin(step * n)) for n in range(int(RATE * seconds)))).tobytes()


def sound_of(packets):
    return array.array("h", (EXPANDED[code] for packet in packets if packet[1] & 0x7F == 0 for code in packet[12:]))


class Line:
    """A call of two ends through the engine, and the proxy that has asked for it."""

    def __init__(self, bench, media="", extra="", events=(True, True), engine=""):
        ip = bench.address(1)
        port = free_port(ip)
        self.exchange = bench.exchange(media=media, extra=f'{extra}[ng]\nlisten_udp = "{ip}:{port}"\ndelete_delay_s = 1\n{engine}')
        self.proxy = NgClient(ip, port)
        bench.deferred.append(self.proxy.close)
        self.hosts = [bench.address(11), bench.address(12)]
        self.ends = [Sound(bench, host) for host in self.hosts]
        said = [end.description(host, has).replace("      ", "").replace("\n", "\r\n")
                for end, host, has in zip(self.ends, self.hosts, events)]
        to_b = self.asks("offer", from_tag="a", sdp=said[0])
        to_a = self.asks("answer", from_tag="a", to_tag="b", sdp=said[1])
        number = lambda told: int(next(line for line in told["sdp"].splitlines() if line.startswith("m=")).split(" ")[1])
        self.ports = [(ip, number(to_a)), (ip, number(to_b))]

    def asks(self, command, **more):
        answer = self.proxy.ask(command, **CALL, **more)
        check(answer["result"] == "ok", f"{command} is done: {answer}")
        return answer

    def refuses(self, command, reason, **more):
        answer = self.proxy.ask(command, **CALL, **more)
        check(answer["result"] == "error" and reason in answer["error-reason"], f"{command} is refused: {answer}")

    def talks(self, seconds):
        """Both say their tones; what each has heard since."""
        begun = [len(end.packets) for end in self.ends]
        says = [threading.Thread(target=end.says, args=(port, tone(TONES[place], seconds)))
                for place, (end, port) in enumerate(zip(self.ends, self.ports))]
        for thread in says:
            thread.start()
        for thread in says:
            thread.join()
        return [end.packets[at:] for end, at in zip(self.ends, begun)]

    def ends_call(self):
        self.asks("delete", from_tag="a", to_tag="b")
        wait_for(lambda: self.exchange.metric("strowger_ng_calls") == 0, "nothing is left of the call")
        self.exchange.alive()


def has(samples, frequency, what):
    """Fails unless the middle of some samples is this tone and nothing else."""
    middle = samples[len(samples) // 4 : len(samples) * 3 // 4]
    step = RATE // 5
    windows = [middle[at : at + step] for at in range(0, len(middle) - step + 1, step)]
    check(len(windows) >= 2, f"{what}: there is sound, of {len(samples) / RATE:.1f} s")
    shares = {tone: sum(share(window, RATE, tone) for window in windows) / len(windows) for tone in TONES}
    shown = ", ".join(f"{part:.1%} at {tone} Hz" for tone, part in shares.items())
    check(shares[frequency] > 0.9, f"{what}: {shown}")


@case("a proxy has a prompt played, and stopped")
def prompt(bench):
    folder = bench.path("sounds")
    os.makedirs(folder)
    write_tone(os.path.join(folder, "closed.wav"), TONES[2], 2)
    line = Line(bench, media=f'sounds = "{folder}"')
    answer = line.asks("play media", from_tag="a", file="closed.wav")
    check(answer["duration"] == 2000, f"its length is told: {answer}")
    at_a, at_b = line.talks(1.6)
    has(sound_of(at_a), TONES[2], "who is played to hears the prompt")
    has(sound_of(at_b), TONES[0], "and is heard")
    wait_for(lambda: line.exchange.metric("strowger_media_plays") == 0, "it ends by itself")
    has(sound_of(line.talks(1)[0]), TONES[1], "and then the other party")
    line.asks("play media", flags=["all"], file="closed.wav", repeat_times=100)
    for packets in line.talks(2.4):
        has(sound_of(packets)[: RATE * 2], TONES[2], "both hear it, again and again")
    line.asks("stop media", flags=["all"])
    wait_for(lambda: line.exchange.metric("strowger_media_plays") == 0, "it is stopped")
    for packets, other in zip(line.talks(1), (1, 0)):
        has(sound_of(packets), TONES[other], "and each hears the other")
    for name in (os.path.join(folder, "closed.wav"), "../sounds/closed.wav", "other.wav"):
        line.refuses("play media", "There is no file of that name", from_tag="a", file=name)
    line.refuses("play media", "none from a request", from_tag="a", blob="RIFF")
    line.refuses("play media", "No participant party specified", file="closed.wav")
    line.ends_call()


@case("a proxy has digits sent, each once, and others held back")
def digits(bench):
    line = Line(bench)
    line.talks(0.3)
    for key in "52#":
        line.asks("play DTMF", from_tag="a", code=key, duration=100, pause=100)
    line.asks("play DTMF", from_tag="b", code=11, duration=200)
    line.talks(1.2)
    check(line.ends[1].events() == "52#", f"B hears each once, in order: {line.ends[1].events()}")
    check(line.ends[0].events() == "#", f"A hears its own: {line.ends[0].events()}")
    for end in line.ends:
        end.ends_are_repeated()
        end.numbers_follow()
        end.packets.clear()
    line.asks("block DTMF", from_tag="a")
    line.ends[0].presses(line.ports[0], "1234")
    line.ends[1].presses(line.ports[1], "9")
    line.asks("play DTMF", from_tag="a", code="7", duration=100)
    line.talks(0.5)
    heard = [end.events() for end in line.ends]
    check(heard == ["9", "7"], f"of A only what the proxy presses is heard: {heard}")
    line.asks("unblock DTMF", from_tag="a")
    line.ends[0].presses(line.ports[0], "12")
    line.talks(0.3)
    check(line.ends[1].events() == "712", f"and then what it presses itself: {line.ends[1].events()}")
    line.ends_call()


@case("a proxy has digits sent as tones to who takes no events")
def digits_as_tones(bench):
    line = Line(bench, events=(False, False))
    line.talks(0.3)
    for key in "59":
        line.asks("play DTMF", from_tag="a", code=key, duration=150, pause=150)
    line.ends[0].is_silent(line.ports[0], 1.2)
    heard = line.ends[1].tones(bench.path("heard"))
    check(heard == "59", f"multimon-ng hears them: {heard}")
    line.ends_call()


@case("a proxy has media held back, or made silence")
def blocked(bench):
    line = Line(bench)
    line.asks("block media", from_tag="a")
    at_a, at_b = line.talks(0.8)
    check(not at_b, f"nothing of A goes on: {len(at_b)} packets")
    has(sound_of(at_a), TONES[1], "B is heard")
    line.ends[0].presses(line.ports[0], "5")
    wait_for(lambda: line.ends[1].events() == "5", "its keys go on")
    line.asks("unblock media", from_tag="a")
    has(sound_of(line.talks(1)[1]), TONES[0], "and then its sound")
    line.asks("silence media")
    for packets in line.talks(0.8):
        samples = sound_of(packets)
        check(len(samples) > RATE // 2 and max(map(abs, samples)) <= 8, "each hears silence at the pace of sound")
    line.asks("unsilence media")
    for packets, other in zip(line.talks(1), (1, 0)):
        has(sound_of(packets), TONES[other], "and then the other")
    line.ends_call()


@case("a proxy has a call recorded")
def recorded(bench):
    folder = bench.path("recordings")
    line = Line(bench, extra=f'[recording]\nfolder = "{folder}"\n', engine='recording_consent = "agreed"\n')
    line.talks(0.3)
    name = line.asks("start recording")["recording"]
    line.talks(1.5)
    line.asks("pause recording")
    line.talks(1)
    line.asks("start recording")
    line.talks(1.5)
    line.ends_call()
    ended = lambda: line.exchange.metric("strowger_recordings_ended_total", result="complete") == 1
    wait_for(ended, "the recording is complete", 10)
    check([os.path.basename(path) for path in glob.glob(f"{folder}/*.wav")] == [f"{name}.wav"], "it has the name that was told")
    with wave.open(f"{folder}/{name}.wav", "rb") as file:
        rate, count, length = file.getframerate(), file.getnchannels(), file.getnframes()
        samples = array.array("h", file.readframes(length))
    check((rate, count) == (RATE, 2), "two channels")
    check(2.5 < length / rate < 3.9, f"without the pause: {length / rate:.1f} s")
    for place in range(2):
        has(samples[place::2], TONES[place], "each party is in its channel")
    with open(f"{folder}/{name}.json", encoding="utf-8") as file:
        beside = json.load(file)
    check("x" in json.dumps(beside) and beside["facts"]["signalled_as"] == "x", f"the Call-ID stands beside it: {beside}")
    check(beside["facts"]["consent"] == "agreed", "and on what ground it was made")
    log = "".join(read(path) for path in sorted(glob.glob(f"{line.exchange.data}/witness/*.jsonl")))
    records = [json.loads(text) for text in log.splitlines() if name.rsplit("-", 1)[0] in text]
    told = [record["outcome"] for record in records if record["kind"] == "recording"]
    check(told == ["begun", "paused", "resumed", "ended", "complete"], f"the witness log has what became of it: {told}")


@case("a proxy that wants a call recorded on no ground is told so")
def not_recorded(bench):
    line = Line(bench, extra=f'[recording]\nfolder = "{bench.path("recordings")}"\n')
    # Nobody has said on what ground.
    line.refuses("start recording", "ng.recording_consent")
    line.ends_call()
