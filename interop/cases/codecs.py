"""The codecs of the exchange against those of ffmpeg, on speech: what one has coded, the other decodes.

They are tried through `recode`, an example of sx-codec, which is built here.
"""

import os
import struct
import subprocess
import threading

from harness import Skipped, case, check
from ogg import file_of, packets
from recordings import by_libopus, delay, differing, ffmpeg, raw, run, samples, segmental_snr, spectral_distance, speech

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What the decoder of the exchange holds back, in milliseconds.
HELD_BACK = 3.75
_building = threading.Lock()
_built = []


def recode(*words, data=b""):
    """What `recode` makes of data."""
    with _building:
        if not _built:
            command = ["cargo", "build", "-q", "-p", "sx-codec", "--features", "opus", "--example", "recode"]
            subprocess.run(command, check=True, cwd=ROOT, timeout=300)
            target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
            _built.append(os.path.join(target, "debug/examples/recode"))
    return run([_built[0], *words], data)


def decoded(name, rate, data, *options):
    """What the exchange decodes, without what it holds back."""
    return samples(recode("decode", name, *options, data=data))[int(rate * HELD_BACK / 1000) :]


@case("G.711 is decoded bit by bit as ffmpeg does, and coded as near")
def g711(bench):
    said = speech(bench, 8000)
    for name, kind in (("pcma", "alaw"), ("pcmu", "mulaw")):
        every = bytes(range(256)) * 4
        for codes in (every, ffmpeg(raw(8000), raw(8000, kind), said)):
            theirs = samples(ffmpeg(raw(8000, kind), raw(8000), codes))
            check(differing(decoded(name, 8000, codes), theirs)[0] == 0, f"{name}: the same samples")
        # Each sample that has a code word of its own gets it back, from both (of the two zeros of µ-law, the positive one).
        exact = ffmpeg(raw(8000, kind), raw(8000), every)
        ours, theirs = recode("encode", name, data=exact), ffmpeg(raw(8000), raw(8000, kind), exact)
        check(ours[:960] == theirs[:960], f"{name}: the same code words")
        # Between them ffmpeg rounds, and the reference of ITU-T G.191 cuts off: one step.
        flip = 0x55 if name == "pcma" else 0
        ours, theirs = recode("encode", name, data=said), ffmpeg(raw(8000), raw(8000, kind), said)
        differ, most = differing([code ^ flip for code in ours], [code ^ flip for code in theirs])
        check(most <= 1 and differ < len(ours) / 5, f"{name}: next to the same code words, not {differ} off by {most}")


@case("G.722 has the same bits as ffmpeg's, both ways")
def g722(bench):
    said = speech(bench, 16000)
    ours, theirs = recode("encode", "g722", data=said), ffmpeg(raw(16000), ["-f", "g722"], said)
    check(len(ours) > 40000 and ours == theirs[: len(ours)], "the same bytes")
    heard = samples(ffmpeg(["-f", "g722"], raw(16000), ours))
    check(differing(decoded("g722", 16000, ours), heard)[0] == 0, "the same samples")
    # Of the filters that split the bands.
    ratio = segmental_snr(samples(said), heard[22:], 320)
    check(ratio > 12, f"speech through G.722 is more than 12 dB above its noise, not {ratio:.1f}")


@case("L16 is what ffmpeg has as big-endian samples")
def l16(bench):
    for rate in (8000, 16000, 48000):
        said, name = speech(bench, rate), f"l16-{rate}"
        ours, theirs = recode("encode", name, data=said), ffmpeg(raw(rate), raw(rate, "s16be"), said)
        check(len(ours) > rate * 10 and ours == theirs[: len(ours)], f"{name}: the same bytes")
        heard = decoded(name, rate, theirs)
        check(differing(heard, samples(said))[0] == 0 and len(heard) > rate * 5, f"{name}: the same samples")


def framed(found):
    """Packets as `recode` reads them: each behind its length."""
    return b"".join(struct.pack(">H", len(packet)) + packet for packet in found)


def unframed(data):
    """The packets that `recode` has written."""
    found = []
    while data:
        (length,) = struct.unpack(">H", data[:2])
        found.append(data[2 : 2 + length])
        data = data[2 + length :]
    return found


def opus_by_ffmpeg(said, *options):
    """Packets of 20 ms by libopus."""
    return packets(ffmpeg(raw(48000), ["-c:a", "libopus", *options, "-f", "opus"], said))


def aligned(said, heard):
    """What was heard, without its delay."""
    return heard[delay(said, heard, 2400) :]


@case("Opus by libopus is decoded as libopus decodes it", slow=True)
def opus_decoded(bench):
    said = speech(bench, 48000)
    for options in (
        ["-application", "voip", "-b:a", "12k"],
        ["-application", "voip", "-b:a", "28k"],
        ["-application", "audio", "-b:a", "64k"],
        ["-application", "lowdelay", "-b:a", "48k", "-frame_duration", "10"],
    ):
        found = opus_by_ffmpeg(said, *options)
        ours = samples(recode("decode", "opus", data=framed(found)))
        theirs = by_libopus(found, 16000)
        if theirs is None:
            raise Skipped("libopus is not installed")
        check(len(ours) == len(theirs) > 16000 * 5, f"{' '.join(options)}: as many samples")
        ratio = segmental_snr(theirs, ours, 320)
        check(ratio > 30, f"{' '.join(options)}: 30 dB above what differs, not {ratio:.1f}")


@case("Opus by the exchange is understood by libopus and by ffmpeg's own decoder", slow=True)
def opus_encoded(bench):
    narrow = samples(speech(bench, 8000))
    for name, taken, rate, most in (
        ("opus", 16000, 12000, 6.0),
        ("opus", 16000, 24000, 5.0),
        ("opus-8000", 8000, 12000, 6.0),
        ("opus-8000", 8000, 24000, 5.0),
    ):
        found = unframed(recode("encode", name, f"rate={rate}", data=speech(bench, taken)))
        used = sum(len(packet) for packet in found) * 8 / (len(found) * 0.02)
        check(0.7 * rate < used < 1.1 * rate, f"{rate} bits a second were wished, {used:.0f} made")
        for decoder in ("libopus", "opus"):
            heard = samples(ffmpeg(["-c:a", decoder, "-f", "ogg"], raw(8000), file_of(found)))
            distance = spectral_distance(narrow, aligned(narrow, heard), 8000)
            check(distance < most, f"{decoder} at {rate}: spectra are {distance:.1f} dB apart, less than {most}")


@case("frames of Opus that are lost come back from the copies that libopus has made", slow=True)
def opus_recovered(bench):
    said = speech(bench, 48000)
    options = ["-application", "voip", "-b:a", "32k", "-fec", "1", "-packet_loss", "25"]
    data = framed(opus_by_ffmpeg(said, *options))
    whole = samples(recode("resample", "16000", "8000", data=recode("decode", "opus", data=data)))

    def distance(*words):
        heard = recode("resample", "16000", "8000", data=recode("decode", "opus", *words, data=data))
        return spectral_distance(whole, samples(heard), 8000)

    recovered, concealed = distance("lose=4", "fec"), distance("lose=4")
    check(recovered < 0.75 * concealed, f"with copies {recovered:.1f} dB apart, without {concealed:.1f}")
