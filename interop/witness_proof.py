"""Checks a proof that a record is in a witness log, or that a log has only grown. Written from docs/witness-format.md alone.

    interop/witness_proof.py PROOF --key KEYFILE|VKEY [--old CHECKPOINT]

What does not hold raises `Malformed`, which says why; the command says it and exits with 1.
"""

import argparse
import os
import re
import sys

from witness_format import SIZE, Checkpoint, Key, Malformed, key_text, parse_record, sha256, unbase64

HASHES_MAX = 63
HEADER = "c2sp.org/tlog-proof@v1"


def number_of(line, word):
    match = re.fullmatch(f"{word} ({SIZE.pattern})", line)
    if not match:
        raise Malformed(f"{line[:40]!r} is not `{word}` and a number")
    return int(match[1])


def split(text, heads):
    """The first lines of a proof, its hashes, and its checkpoint."""
    front, blank, note = text.partition("\n\n")
    lines = front.split("\n")
    if not blank or len(lines) < heads:
        raise Malformed("the proof is not in its form")
    hashes = [unbase64(line) for line in lines[heads:]]
    if len(hashes) > HASHES_MAX or any(len(value) != 32 for value in hashes):
        raise Malformed("the hashes of the proof are not in their form")
    return lines[:heads], hashes, Checkpoint(note)


def above(left, right):
    return sha256(b"\x01" + left + right)


def check_signature(note, key):
    if not note.signed_by(key):
        raise Malformed("the checkpoint of the proof is not signed by this key")


def leads_to(size, index, value, hashes):
    """The root that an inclusion proof leads to. RFC 9162, section 2.1.3.2."""
    if index >= size:
        raise Malformed("the checkpoint does not cover the record")
    at, last = index, size - 1
    for beside in hashes:
        if last == 0:
            raise Malformed("the proof has too many hashes")
        if at & 1 or at == last:
            value = above(beside, value)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = above(value, beside)
        at, last = at >> 1, last >> 1
    if last:
        raise Malformed("the proof has too few hashes")
    return value


def lead_to(old, new, old_root, hashes):
    """The two roots that a consistency proof leads to. RFC 9162, section 2.1.4.2."""
    # An old tree that is full is a node of the new one, and not among the hashes.
    path = [old_root, *hashes] if old & (old - 1) == 0 else hashes
    if not path:
        raise Malformed("the proof has too few hashes")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = path[0]
    for beside in path[1:]:
        if last == 0:
            raise Malformed("the proof has too many hashes")
        if at & 1 or at == last:
            first, second = above(beside, first), above(beside, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = above(second, beside)
        at, last = at >> 1, last >> 1
    if last:
        raise Malformed("the proof has too few hashes")
    return first, second


def check_inclusion(text, key):
    """The number of the record that is proved, its bytes, and the checkpoint."""
    (header, extra, index), hashes, note = split(text, 3)
    if header != HEADER or not extra.startswith("extra "):
        raise Malformed("the proof is not in its form")
    record, number = unbase64(extra.removeprefix("extra ")), number_of(index, "index")
    check_signature(note, key)
    if leads_to(note.size, number, sha256(b"\0" + sha256(record)), hashes) != note.root:
        raise Malformed("the hashes of the proof do not lead to the root of its checkpoint")
    if parse_record(record)["seq"] != number:
        raise Malformed("the record that is proved has another number")
    return number, record, note


def check_consistency(text, key, old_root):
    """How many records there were, and the newer checkpoint."""
    (head,), hashes, note = split(text, 1)
    old = number_of(head, "old")
    check_signature(note, key)
    if old > note.size:
        raise Malformed("a log does not shrink")
    if old in (0, note.size):
        roots = (sha256(b"") if old == 0 else note.root, note.root)
        if hashes:
            raise Malformed("the proof has too many hashes")
    else:
        roots = lead_to(old, note.size, old_root, hashes)
    if roots != (old_root, note.root):
        raise Malformed("the hashes of the proof do not lead from the old root to that of its checkpoint")
    return old, note


def check(text, key, old=None):
    """One sentence on what the proof proves. `old` is the checkpoint that was kept, for a proof that the log has only grown."""
    if text.startswith("old "):
        if old is None:
            raise Malformed("a proof of growth is checked against the older checkpoint; say --old FILE")
        size, note = check_consistency(text, key, old.root)
        if size != old.size:
            raise Malformed(f"the proof is from {size} records on, and the older checkpoint covers {old.size}")
        return f"ok: the log has only grown from {size} to {note.size} records"
    number, _, note = check_inclusion(text, key)
    return f"ok: record {number} is in the log, in its checkpoint of {note.size} records"


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def main():
    parser = argparse.ArgumentParser(description="Checks a proof from a witness log.")
    parser.add_argument("proof", metavar="FILE")
    parser.add_argument("--key", required=True, metavar="KEYFILE|VKEY", help="the verifier key of the log")
    parser.add_argument("--old", metavar="FILE", help="the older checkpoint, for a proof that the log has only grown")
    options = parser.parse_args()
    key = key_text(options.key) if os.path.exists(options.key) else options.key
    try:
        old = Checkpoint(read(options.old)) if options.old else None
        print(check(read(options.proof), Key(key), old))
    except (Malformed, OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 1 if isinstance(error, Malformed) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
