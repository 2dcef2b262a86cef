"""Sound for measurements: what is said, and what it is as payloads."""

import array, audioop, ctypes, ctypes.util, math, random

VOIP = 2048


def speech(rate, number):
    """A second: two tones that come and go five times."""
    loudness = lambda t: max(0.0, math.sin(2 * math.pi * 5 * t))
    tones = lambda t: math.sin(2 * math.pi * (180 + 10 * number) * t) + 0.5 * math.sin(2 * math.pi * (1130 + 20 * number) * t)
    return array.array("h", (int(6_000 * loudness(i / rate) * tones(i / rate)) for i in range(rate)))


def noise(rate, number):
    chance = random.Random(number)
    return array.array("h", (chance.randint(-15, 15) for _ in range(rate)))


def encoded(codec, samples, rate):
    """The payloads of a second of sound, which can be repeated: Opus is coded twice, since its first packets make a click."""
    frame = rate // 50
    frames = [samples[at:at + frame].tobytes() for at in range(0, rate, frame)]
    if codec == "pcma":
        return [audioop.lin2alaw(frame, 2) for frame in frames]
    opus = ctypes.CDLL(ctypes.util.find_library("opus"))
    opus.opus_encoder_create.restype = ctypes.c_void_p
    error = ctypes.c_int()
    encoder = ctypes.c_void_p(opus.opus_encoder_create(rate, 1, VOIP, ctypes.byref(error)))
    out, payloads = ctypes.create_string_buffer(1500), []
    for piece in frames * 2:
        payloads.append(out.raw[:opus.opus_encode(encoder, piece, frame, out, 1500)])
    return payloads[len(frames):]
