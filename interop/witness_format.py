"""The forms that a witness log is made of: keys, notes, records, trees. docs/witness-format.md says each of them.

What is not in its form raises `Malformed`. It knows nothing of files and of the order of records.
"""

import base64
import binascii
import calendar
import hashlib
import json
import re
import unicodedata

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LINE_MAX = 65_536
CHECKPOINT_LINE_MAX = 1 << 20
# So much is appended to checkpoints.jsonl at once.
CHECKPOINTS_APPEND_MAX = CHECKPOINT_LINE_MAX + 1
INTEGER_MAX = 9_007_199_254_740_991
DEPTH_MAX = 8
ENTRY = 40
ZEROS = "0" * 64
SIGNS, COSIGNS = b"\x01", b"\x04"
MEMBERS = {"actor", "call_id", "facts", "kind", "node", "outcome", "policy_version", "prev_hash", "reason", "seq", "subject",
           "time", "trace_id"}
ALWAYS = {"kind", "node", "prev_hash", "seq", "time"}
KINDS = set(
    "log checkpoint config policy admission security_rejected invite trying ringing connected bridge_established bridge_failed "
    "rejected terminated transferred registered unregistered summary command source evidence consent recording failover vote escalation "
    "key_granted".split()
)
PATTERNS = {
    "call_id": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "prev_hash": re.compile(r"[0-9a-f]{64}"),
    "trace_id": re.compile(r"[0-9a-f]{32}"),
}
TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.[0-9]{6}Z")
SIZE = re.compile(r"0|[1-9][0-9]{0,19}")


class Malformed(Exception):
    """Something is not in its form."""


def sha256(data):
    return hashlib.sha256(data).digest()


def unbase64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("base 64 is malformed") from error
    # Bits that no byte has must be zero, which b64decode does not look at.
    if base64.b64encode(data).decode() != text:
        raise Malformed("base 64 is not in its one form")
    return data


def check_time(text):
    match = TIME.fullmatch(text)
    if not match:
        raise Malformed(f"{text!r} is no time")
    year, month, day, hour, minute, second = map(int, match.groups())
    real = year >= 1970 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]
    if not (real and hour < 24 and minute < 60 and second < 60):
        raise Malformed(f"{text!r} is no moment of the calendar")


def check_name(name):
    if not 1 <= len(name.encode()) <= 255 or any(c == "+" or c.isspace() or unicodedata.category(c) == "Cc" for c in name):
        raise Malformed(f"{name!r} is no name of a key")


class Key:
    """A verifier key; `kind` says whether of a log or of a witness."""

    def __init__(self, text, kind=SIGNS):
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise Malformed(f"{text!r} is no verifier key")
        self.text, self.name = text, parts[0]
        check_name(self.name)
        data = unbase64(parts[2])
        if len(data) != 33 or data[:1] != kind:
            raise Malformed(f"{text!r} is no verifier key of this kind")
        self.id = sha256(self.name.encode() + b"\n" + data)[:4]
        if parts[1] != self.id.hex():
            raise Malformed(f"the id in {text!r} is not that of its key")
        self.public = Ed25519PublicKey.from_public_bytes(data[1:])

    def has_signed(self, signed, signature):
        try:
            self.public.verify(signature, signed)
        except InvalidSignature:
            return False
        return True


def signature_line(line):
    """The name and the bytes of `— name base64`."""
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\u2014":
        raise Malformed(f"{line!r} is no signature line")
    check_name(parts[1])
    data = unbase64(parts[2])
    if len(data) < 4:
        raise Malformed(f"{line!r} names no key")
    return parts[1], data


def key_text(path):
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        return file.read(1024).removesuffix("\n")


class Checkpoint:
    """A note. `signed` is what the signatures are over."""

    def __init__(self, text):
        body, blank, signatures = text.partition("\n\n")
        lines = body.split("\n")
        if not blank or len(lines) != 4 or not signatures.endswith("\n") or not lines[3].startswith("time "):
            raise Malformed("the note is no checkpoint")
        self.text, self.origin, self.time = text, lines[0], lines[3].removeprefix("time ")
        check_name(self.origin)
        check_time(self.time)
        if not SIZE.fullmatch(lines[1]):
            raise Malformed("the size of the checkpoint is malformed")
        self.size, self.root = int(lines[1]), unbase64(lines[2])
        if len(self.root) != 32:
            raise Malformed("the root of the checkpoint is not 32 bytes")
        self.signed = (body + "\n").encode()
        self.signatures = [signature_line(line) for line in signatures[:-1].split("\n")]

    @classmethod
    def of_record(cls, text):
        """One with exactly one signature, which is by its origin."""
        note = cls(text)
        if len(note.signatures) != 1:
            raise Malformed("the checkpoint has not exactly one signature")
        if note.signatures[0][0] != note.origin or len(note.signatures[0][1]) != 68:
            raise Malformed("the signature is not one by the origin")
        return note

    def signed_by(self, key):
        return key.name == self.origin and any(
            name == key.name and data[:4] == key.id and key.has_signed(self.signed, data[4:]) for name, data in self.signatures
        )

    def names(self, key):
        return any(name == key.name and data[:4] == key.id for name, data in self.signatures)


def cosignature_holds(line, note, witnesses):
    """False only when it names a witness that we know, and that has not signed this."""
    name, data = signature_line(line)
    for witness in witnesses:
        if name == witness.name and data[:4] == witness.id:
            seconds = int.from_bytes(data[4:12], "big")
            signed = b"cosignature/v1\ntime %d\n" % seconds + note.signed
            return len(data) == 76 and witness.has_signed(signed, data[12:])
    return True


class Tree:
    """The Merkle tree of RFC 9162, section 2.1, from its roots of full subtrees, of which there are at most 64."""

    def __init__(self):
        self.peaks = []

    def add(self, record_hash):
        height, value = 0, sha256(b"\0" + record_hash)
        while self.peaks and self.peaks[-1][0] == height:
            height, value = height + 1, sha256(b"\x01" + self.peaks.pop()[1] + value)
        self.peaks.append((height, value))

    def root(self):
        if not self.peaks:
            return sha256(b"")
        value = self.peaks[-1][1]
        for _, left in reversed(self.peaks[:-1]):
            value = sha256(b"\x01" + left + value)
        return value


def ascending(pairs):
    names = [name.encode("utf-16-be", "surrogatepass") for name, _ in pairs]
    if any(left >= right for left, right in zip(names, names[1:])):
        raise Malformed("the names of an object do not ascend")
    return dict(pairs)


def refuse_number(text):
    raise Malformed(f"{text[:20]} is no integer")


def canonical(line):
    """What a line in canonical form says."""
    try:
        text = line.decode()
        value = json.loads(text, object_pairs_hook=ascending, parse_float=refuse_number, parse_constant=refuse_number)
        # Python's writer escapes as RFC 8785 does, and leaves the names in their order.
        again = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        raise Malformed("it is no JSON") from error
    if again != text:
        raise Malformed("it is not in canonical form")
    return value


def check_fact(value, depth=1):
    if isinstance(value, (dict, list)):
        if depth > DEPTH_MAX:
            raise Malformed("facts lie too deep")
        for inner in value.values() if isinstance(value, dict) else value:
            check_fact(inner, depth + 1)
    elif value is None:
        raise Malformed("a fact is null")
    elif type(value) is int and abs(value) > INTEGER_MAX:
        raise Malformed("a number is out of range")


def parse_record(line):
    """The record of a line, whatever its place in the log."""
    if len(line) > LINE_MAX:
        raise Malformed("it is longer than 65,536 bytes")
    record = canonical(line)
    if not isinstance(record, dict) or not ALWAYS <= record.keys() <= MEMBERS:
        raise Malformed("it has not the members of a record")
    for name, value in record.items():
        wanted = {"facts": dict, "seq": int}.get(name, str)
        if type(value) is not wanted:
            raise Malformed(f"{name} is of the wrong type")
        if name in PATTERNS and not PATTERNS[name].fullmatch(value):
            raise Malformed(f"{name} is malformed")
    if record["kind"] not in KINDS:
        raise Malformed("its kind is unknown")
    check_time(record["time"])
    check_fact(record.get("facts", {}))
    return record


def is_number(value):
    return type(value) is int and value >= 0


def stored_checkpoint(line):
    value = canonical(line)
    if not isinstance(value, dict) or value.keys() != {"cosignatures", "note"} or type(value["note"]) is not str:
        raise Malformed("it has not the members of a checkpoint")
    if type(value["cosignatures"]) is not list or not all(type(text) is str for text in value["cosignatures"]):
        raise Malformed("its cosignatures are no texts")
    for text in value["cosignatures"]:
        signature_line(text)
    return Checkpoint.of_record(value["note"]), value["cosignatures"]
