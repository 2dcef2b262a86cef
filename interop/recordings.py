"""Sound for the codecs of the exchange and for others, and how far two recordings are apart. It knows nothing of any case."""

import array
import ctypes
import ctypes.util
import math
import os
import subprocess

# What is said, by a synthesizer whose sound is always the same.
TEXT = "The exchange connects one telephone with another. She had your dark suit in greasy wash water all year."
SECONDS = 6


def run(command, data=b""):
    """What a command makes of its standard input."""
    done = subprocess.run(command, input=data, capture_output=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def speech(bench, rate):
    """Speech of SECONDS at a rate: 16 bits, the lower byte first, one channel."""
    path = bench.path("speech.wav")
    if not os.path.exists(path):
        run(["espeak-ng", "-w", path, TEXT])
    options = ["-t", "raw", "-r", str(rate), "-c", "1", "-e", "signed", "-b", "16", "-L", "-"]
    return run(["sox", path, *options, "gain", "-n", "-6", "trim", "0", str(SECONDS)])


def ffmpeg(source, target, data):
    """What ffmpeg makes of data; both ends are lists of its options for a format."""
    head = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-bitexact"]
    return run([*head, *source, "-i", "pipe:0", *target, "pipe:1"], data)


def by_libopus(found, rate):
    """What libopus makes of packets at a rate of its own choice, which ffmpeg does not let it have; None: it is not here."""
    name = ctypes.util.find_library("opus")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    library.opus_decoder_create.restype = ctypes.c_void_p
    decoder = ctypes.c_void_p(library.opus_decoder_create(rate, 1, None))
    out = (ctypes.c_int16 * (rate // 8))()
    heard = array.array("h")
    for packet in found:
        made = library.opus_decode(decoder, packet, len(packet), out, len(out), 0)
        heard.extend(out[:made])
    library.opus_decoder_destroy(decoder)
    return heard


def raw(rate, kind="s16le"):
    """ffmpeg's options for plain samples, or for another format that does not tell its rate."""
    return ["-f", kind, "-ar", str(rate), "-ac", "1"]


def samples(data):
    """Bytes as samples."""
    return array.array("h", data[: len(data) // 2 * 2])


def differing(one, other):
    """In how many places two recordings differ, as far as the shorter goes, and by how much at most."""
    apart = [abs(a - b) for a, b in zip(one, other)]
    return sum(1 for difference in apart if difference), max(apart, default=0)


def delay(said, heard, longest):
    """By how many samples what was heard is behind: where it resembles what was said most."""
    begin, length = len(said) // 3, 4000
    part = said[begin : begin + length]

    def resemblance(late):
        other = heard[begin + late : begin + late + length]
        return sum(a * b for a, b in zip(part, other)) / math.sqrt(1 + sum(value * value for value in other))

    rough = max(range(0, longest, 4), key=resemblance)
    return max(range(max(0, rough - 4), rough + 5), key=resemblance)


def segmental_snr(said, heard, segment):
    """The mean over segments of the ratio of signal to difference, in dB, each from -10 to 35; segments of silence do not
    count."""
    ratios = []
    for begin in range(0, min(len(said), len(heard)) - segment + 1, segment):
        signal = sum(value * value for value in said[begin : begin + segment])
        if signal / segment < 100 * 100:
            continue
        noise = sum((a - b) ** 2 for a, b in zip(said[begin : begin + segment], heard[begin : begin + segment]))
        ratios.append(min(35, max(-10, 10 * math.log10(signal / max(noise, 1)))))
    return sum(ratios) / len(ratios)


def spectral_distance(said, heard, rate, bands=range(200, 3800, 200), segment_ms=32):
    """The root mean square, in dB, of the difference in level of bands of 200 Hz, segment by segment; silence does not count.
    It does not mind phases, which Opus does not keep."""
    length = rate * segment_ms // 1000
    window = [0.5 - 0.5 * math.cos(2 * math.pi * n / length) for n in range(length)]
    # A transform at every 50 Hz of the bands would be exact; at every 100 Hz it is quick, and the window is as wide.
    angles = [2 * math.pi * hz / rate for band in bands for hz in (band, band + 100)]
    total = count = 0
    for begin in range(0, min(len(said), len(heard)) - length + 1, length * 4):
        pair = []
        for recording in (said, heard):
            part = [value * shape for value, shape in zip(recording[begin : begin + length], window)]
            pair.append([_power(part, angle) for angle in angles])
        if sum(pair[0]) / len(angles) < (40 * length) ** 2:
            continue
        loudest = max(pair[0])
        for place in range(0, len(angles), 2):
            # What is 45 dB below the loudest is not heard beside it.
            levels = [10 * math.log10(sum(powers[place : place + 2]) + loudest * 10**-4.5) for powers in pair]
            total += (levels[0] - levels[1]) ** 2
            count += 1
    return math.sqrt(total / count)


def _power(part, angle):
    """Goertzel's algorithm."""
    factor, before, last = 2 * math.cos(angle), 0.0, 0.0
    for value in part:
        before, last = last, value + factor * last - before
    return last * last + before * before - factor * last * before
