#!/usr/bin/env python3
"""How good transcoded speech is, and at which bit rate: rtpengine and Strowger, each given the same speech in turn.

    PEER_CMD='bash START_RTPENGINE' STROWGER=BINARY benches/peers/opus_quality.py [SECONDS]      (24 seconds)

Needs espeak-ng, sox, libopus, Python with audioop (up to 3.12), and from the package index `pesq` (ITU-T P.862 as a
module) with numpy. Both are driven over the NG protocol. PEER_CMD reads NG_HOST, NG_PORT and MEDIA_IP from its
environment, as `media.sh` does.

Two ways, a packet of 20 ms each 20 ms: PCMU that becomes Opus, and Opus (24 kbit/s, as libopus has it for VoIP) that becomes
PCMU. The first at several bit rates. A line for each: the bit rate of what comes out (payloads alone), and PESQ (narrow band,
MOS-LQO, 4.5 at most) of it against what was said. What PCMU by itself costs, coded and decoded once, is the first line.
"""
import array, audioop, contextlib, ctypes, ctypes.util, os, pathlib, re, shlex, socket, subprocess, sys, tempfile, time

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent.parent / "interop"))
from ng_client import NgClient
from pesq import pesq
import numpy

MEDIA_IP, NG = "127.0.0.30", ("127.0.0.1", 22229)
A, B = ("127.0.0.20", 21000), ("127.0.0.21", 21002)
STEP, VOIP = 0.02, 2048
RATES = (None, 16_000, 24_000, 32_000)
SAID = ("The council meets at nine. A hazard was reported by the northern station, and the expert has been called. "
        "Please hold the line while the evidence is read. Seven guardians have voted, and five of them agree. ")
SDP = "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP {2}\r\na=rtpmap:{2} {3}\r\na=ptime:20\r\n"

opus = ctypes.CDLL(ctypes.util.find_library("opus"))
opus.opus_encoder_create.restype = opus.opus_decoder_create.restype = ctypes.c_void_p


def spoken(folder, rate, seconds):
    """Speech at a rate, as samples."""
    text, wave = folder / "said.wav", folder / f"said-{rate}.raw"
    subprocess.run(["espeak-ng", "-w", text, SAID * 6], check=True)
    subprocess.run(["sox", "-D", text, "-r", str(rate), "-b", "16", "-e", "signed", "-c", "1", wave, "trim", "0", str(seconds),
                    "gain", "-n", "-6"], check=True)
    return array.array("h", wave.read_bytes())


def opus_payloads(samples, rate=48_000):
    error = ctypes.c_int()
    coder = ctypes.c_void_p(opus.opus_encoder_create(rate, 1, VOIP, ctypes.byref(error)))
    opus.opus_encoder_ctl(coder, 4002, 24_000)
    frame, out = rate // 50, ctypes.create_string_buffer(1500)
    cut = [samples[at:at + frame].tobytes() for at in range(0, len(samples) - frame + 1, frame)]
    return [out.raw[:opus.opus_encode(coder, piece, frame, out, 1500)] for piece in cut]


def opus_samples(payloads, rate=8_000):
    error = ctypes.c_int()
    decoder = ctypes.c_void_p(opus.opus_decoder_create(rate, 1, ctypes.byref(error)))
    out, sound = (ctypes.c_int16 * 5760)(), array.array("h")
    for payload in payloads:
        count = opus.opus_decode(decoder, payload, len(payload), out, 5760, 0)
        sound.extend(out[:max(count, 0)])
    return sound


def ulaw_payloads(samples):
    return [audioop.lin2ulaw(samples[at:at + 160].tobytes(), 2) for at in range(0, len(samples) - 159, 160)]


def ulaw_samples(payloads):
    return array.array("h", audioop.ulaw2lin(b"".join(payloads), 2))


def score(reference, degraded):
    """PESQ: it aligns what is late by itself."""
    return pesq(8000, numpy.array(reference), numpy.array(degraded), "nb")


@contextlib.contextmanager
def served(command, folder):
    environment = {**os.environ, "NG_HOST": NG[0], "NG_PORT": str(NG[1]), "MEDIA_IP": MEDIA_IP, "BENCH_TMP": str(folder)}
    process = subprocess.Popen(shlex.split(command), env=environment, stdout=subprocess.DEVNULL)
    try:
        proxy = NgClient(*NG)
        for _ in range(50):
            if proxy.answers():
                break
            time.sleep(0.2)
        yield proxy
    finally:
        process.terminate()
        process.wait()


def call(proxy, name, rate):
    """A call of PCMU at A and Opus at B, at so many bit/s: the ports of the engine that face them."""
    port = lambda answer: int(re.search(r"m=audio (\d+)", answer["sdp"])[1])
    common = dict(call_id=name, from_tag="a", replace=["origin", "session-connection"], ICE="remove")
    offer = proxy.ask("offer", sdp=SDP.format(*A, 0, "PCMU/8000"), transport_protocol="RTP/AVP",
                      codec={"mask": ["PCMU"], "transcode": [f"opus/48000/2/{rate}" if rate else "opus"]}, **common)
    kind = int(re.search(r"rtpmap:(\d+) opus", offer["sdp"])[1])
    answer = proxy.ask("answer", to_tag="b", sdp=SDP.format(*B, kind, "opus/48000/2"), **common)
    return port(answer), port(offer), kind


def carried(sender, receiver, to, kind, payloads, clock):
    """What comes out at one end for what goes in at the other."""
    with contextlib.suppress(BlockingIOError):
        while receiver.recv(2048):
            pass
    heard, begin = {}, time.monotonic()
    for number, payload in enumerate(payloads + payloads[:25]):
        time.sleep(max(0.0, begin + number * STEP - time.monotonic()))
        head = bytes([0x80, kind]) + number.to_bytes(2, "big") + (number * clock).to_bytes(4, "big") + b"\0\0\0\7"
        sender.sendto(head + payload, (MEDIA_IP, to))
        with contextlib.suppress(BlockingIOError):
            while packet := receiver.recv(2048):
                if not 200 <= packet[1] <= 211:
                    heard[int.from_bytes(packet[2:4], "big")] = packet[12:]
    # The stream may begin anywhere, so that its numbers may begin again at zero.
    first = next(iter(heard))
    return [heard.get((first + place) % 65_536, b"") for place in range(len(payloads))]


def line(name, way, payloads, heard):
    rate = sum(map(len, payloads)) * 8 / len(payloads) / STEP / 1000
    print(f"| {way} | {name} | {rate:.1f} | {heard:.2f} |", flush=True)


def measured(name, command, folder, narrow, wide):
    ends = []
    for at in (A, B):
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.bind(at)
        end.setblocking(False)
        ends.append(end)
    said = ulaw_payloads(narrow)
    with served(command, folder) as proxy:
        for rate in RATES:
            at_a, at_b, kind = call(proxy, f"at {rate}", rate)
            out = carried(ends[0], ends[1], at_a, 0, said, 160)
            line(name, f"PCMU to Opus at {rate or 'its default'}", out, score(narrow, opus_samples(out)))
            if rate is None:
                out = carried(ends[1], ends[0], at_b, kind, opus_payloads(wide), 960)
                line(name, "Opus to PCMU", out, score(narrow, ulaw_samples(out)))
            proxy.ask("delete", call_id=f"at {rate}", from_tag="a", delete_delay=0)
    for end in ends:
        end.close()


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        narrow, wide = spoken(folder, 8_000, seconds), spoken(folder, 48_000, seconds)
        print("| way | by | kbit/s | PESQ |\n| --- | --- | --- | --- |")
        said = ulaw_payloads(narrow)
        line("PCMU alone", "audioop", said, score(narrow, ulaw_samples(said)))
        measured("rtpengine", os.environ["PEER_CMD"], folder, narrow, wide)
        measured("strowger", f"bash {here / 'media.sh'}", folder, narrow, wide)


if __name__ == "__main__":
    main()
