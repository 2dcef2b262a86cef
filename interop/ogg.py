"""The packets of an Ogg file with one stream of Opus (RFC 3533, RFC 7845), read and written."""

import struct

POLYNOMIAL = 0x04C11DB7
SERIAL = 7
FRAME = 960


def _checksums():
    for value in range(256):
        rest = value << 24
        for _ in range(8):
            rest = rest << 1 ^ POLYNOMIAL if rest & 0x80000000 else rest << 1
        yield rest & 0xFFFFFFFF


CHECKSUMS = list(_checksums())


def checksum(page):
    """The CRC of a page whose field for it is zero."""
    rest = 0
    for byte in page:
        rest = (rest << 8 & 0xFFFFFFFF) ^ CHECKSUMS[rest >> 24 ^ byte]
    return rest


def packets(data):
    """The packets of sound: all but the two headers."""
    found, part, place = [], b"", 0
    while place < len(data):
        count = data[place + 26]
        lengths = data[place + 27 : place + 27 + count]
        place += 27 + count
        for length in lengths:
            part += data[place : place + length]
            place += length
            # A packet ends with the first segment that is not full.
            if length < 255:
                found.append(part)
                part = b""
    return found[2:]


def _page(kind, position, number, packet):
    lengths = [255] * (len(packet) // 255) + [len(packet) % 255]
    head = struct.pack("<4sBBQIIIB", b"OggS", 0, kind, position, SERIAL, number, 0, len(lengths)) + bytes(lengths)
    page = head + packet
    return page[:22] + struct.pack("<I", checksum(page)) + page[26:]


def file_of(found):
    """A file with these packets of 20 ms each."""
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, 0, 48000, 0, 0)
    tags = struct.pack("<8sI", b"OpusTags", 0) + struct.pack("<I", 0)
    pages = [_page(2, 0, 0, head), _page(0, 0, 1, tags)]
    for place, packet in enumerate(found):
        is_last = place == len(found) - 1
        pages.append(_page(4 if is_last else 0, (place + 1) * FRAME, place + 2, packet))
    return b"".join(pages)
