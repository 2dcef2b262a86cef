"""Logs whose signer has lied: every hash and signature holds, and one thing is not as docs/witness-format.md has it, or only just.

A lie is a change to one line, one note or one file of a small log that is well otherwise. What is made anew behind it is
right, so that nothing but the lie itself can be found.
"""

import base64
import json
import os

import witness_compare
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from witness_format import CHECKPOINT_LINE_MAX, CHECKPOINTS_APPEND_MAX, COSIGNS, SIGNS, ZEROS, Tree, sha256

NAME = "hostile.example/log"
TIME = "2026-11-22T00:10:00.000001Z"
CALL = "01a200a4-60ac-7fdd-b4a1-a717c4409c3a"
# The order of the group of Ed25519: a signature to whose second half it was added is no signature.
ORDER = 2**252 + 27742317777372353535851937790883648493
NO_ROOT = base64.b64encode(bytes(32)).decode()
HONEST, TORN, TAMPERED = "honest", "torn", "tampered"


def key_of(name, public):
    """A verifier key; `public` begins with the byte that says of which kind."""
    number = sha256(name.encode() + b"\n" + public)[:4].hex()
    return f"{name}+{number}+{base64.b64encode(public).decode()}"


def raw(public):
    """The 32 bytes of RFC 8032."""
    return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


class Signer:
    def __init__(self, number, name=NAME, kind=SIGNS):
        self.name, self.private = name, Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
        self.verifier = key_of(name, kind + raw(self.private.public_key()))
        self.id = bytes.fromhex(self.verifier.split("+")[1])

    def line(self, data):
        return f"\u2014 {self.name} {base64.b64encode(self.id + data).decode()}"

    def sign(self, text):
        return self.line(self.private.sign(text.encode()))

    def cosign(self, signed, second=1_795_000_000):
        return self.line(second.to_bytes(8, "big") + self.private.sign(f"cosignature/v1\ntime {second}\n{signed}".encode()))


KEY, NEW, OTHER = Signer(1), Signer(2), Signer(3, "other.example/log")
WITNESS, STRANGER = Signer(9, "witness.example/w1", COSIGNS), Signer(8, "witness.example/w2", COSIGNS)


class Log:
    """A log that is being written."""

    def __init__(self):
        self.key, self.next, self.last, self.tree = KEY, 0, ZEROS, Tree()
        self.segments, self.files, self.filed = {0: []}, {}, []

    def record(self, kind, change=lambda line: line, **members):
        record = {"kind": kind, "node": "n", "prev_hash": self.last, "seq": self.next, "time": TIME, **members}
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        self.append(change(text.encode()))

    def append(self, line):
        self.segments[max(self.segments)].append(line)
        self.tree.add(sha256(line))
        self.last, self.next = sha256(line).hex(), self.next + 1

    def log(self, outcome, **facts):
        self.record("log", outcome=outcome, facts=facts)

    def signed(self):
        return f"{self.key.name}\n{self.next}\n{base64.b64encode(self.tree.root()).decode()}\ntime {TIME}\n"

    def checkpoint(self, signed=lambda text: text, note=lambda text: text, **members):
        """`signed` changes what is signed, `note` what comes of it."""
        text = signed(self.signed())
        text = note(f"{text}\n{self.key.sign(text)}\n")
        self.filed.append(text)
        self.record("checkpoint", **{"facts": {"note": text}, **members})

    def close(self):
        """Closes the segment and begins another."""
        self.segments[self.next] = []

    def write(self):
        """The files of the folder."""
        files = {"checkpoints.jsonl": b"".join(map(filed, self.filed)), "key.pub": f"{KEY.verifier}\n".encode()}
        for first, lines in self.segments.items():
            files[f"{first:020}.jsonl"] = b"".join(line + b"\n" for line in lines)
            if first != max(self.segments):
                files[f"{first:020}.index"] = index(lines)
        return files


def filed(note, *cosignatures):
    """A line of checkpoints.jsonl."""
    return json.dumps({"cosignatures": cosignatures, "note": note}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def index(lines):
    begin, entries = 0, b""
    for line in lines:
        entries += begin.to_bytes(8, "little") + sha256(line)
        begin += len(line) + 1
    return entries


def log_with(middle=lambda log: None, begun=None, after=lambda files, log: None):
    """A log with a lie in record 0, in its middle, or in its files."""
    log = Log()
    log.record(**{"kind": "log", "outcome": "begun", "facts": {"format": 1, "key": KEY.verifier}, **(begun or {})})
    log.record("admission", outcome="approve")
    log.checkpoint()
    log.close()
    middle(log)
    log.record("terminated")
    log.checkpoint()
    files = log.write()
    after(files, log)
    return files


def write_cases(folder):
    """Writes each log into a folder of its own, as the example `edited_logs` does."""
    for name, expected, arguments in cases():
        case = os.path.join(folder, name.replace(" ", "-").replace("/", "-"))
        os.makedirs(os.path.join(case, "witness"))
        files = {f"witness/{file}": data for file, data in log_with(**arguments).items()}
        told = {"expected": expected, "edit": name, "key": KEY.verifier, "witness_key": WITNESS.verifier}
        files |= {file: f"{text}\n".encode() for file, text in told.items()}
        for file, data in files.items():
            with open(os.path.join(case, file), "wb") as output:
                output.write(data)


def compare(folder):
    """Has both verifiers judge each of the logs."""
    write_cases(folder)
    witness_compare.edited_logs(folder)
    return witness_compare.compare_folder(folder)


def cases():
    for name, expected, old, new in LINES:
        yield f"line, {name}", expected, {"middle": lambda log, old=old, new=new: one_line(log, old, new)}
    for table, what in ((BEGUN, "begun"), (MIDDLE, "middle"), (AFTER, "after")):
        for name, expected, lie in table:
            yield f"{what}, {name}", expected, {what: lie}


def one_line(log, old, new):
    """A record in whose bytes something was replaced before it was hashed."""

    def change(line):
        changed = line.replace(old, new, 1)
        assert old in line, old
        return changed

    facts = {"a": 1, "b": "x", "c": {"d": [True]}}
    log.record("admission", change, actor="bob", call_id=CALL, facts=facts, trace_id=CALL.replace("-", ""))


def deep(levels):
    """What stands for `"a":1`, so that the innermost list lies at this depth."""
    return b'"a":' + b"[" * (levels - 1) + b"]" * (levels - 1)


def long(length):
    """A record of just so many bytes."""

    def middle(log):
        def fill(line):
            return line.replace(b'""', b'"' + b"x" * (length - len(line)) + b'"')

        log.record("admission", fill, actor="")

    return middle


def time_of(text):
    return TIME.encode(), text.encode()


A, C = b'"a":1', b'"c":{"d":[true]}'
LINES = [
    ("nothing", HONEST, b"bob", b"bob"),
    ("DEL stands for itself", HONEST, b"bob", b"b\x7fb"),
    ("an escaped control character", HONEST, b"bob", b"\\u0001\\u001f\\n"),
    ("empty texts", HONEST, b"bob", b""),
    ("empty facts", HONEST, b'{"a":1,"b":"x","c":{"d":[true]}}', b"{}"),
    ("an empty name", HONEST, A, b'"":1'),
    ("the largest integer", HONEST, A, b'"a":9007199254740991'),
    ("the smallest integer", HONEST, A, b'"a":-9007199254740991'),
    ("facts at depth 8", HONEST, A, deep(8)),
    ("names in the order of UTF-16", HONEST, C, C + ',"\U0001f600":1,"\ue000":1,"\ufffd":1'.encode()),
    ("a leap day", HONEST, *time_of("2000-02-29T23:59:59.999999Z")),
    ("the last year", HONEST, *time_of("9999-12-31T23:59:59.999999Z")),
    ("the first moment", HONEST, *time_of("1970-01-01T00:00:00.000000Z")),
    ("names in the order of UTF-8", TAMPERED, C, C + ',"\ue000":1,"\U0001f600":1'.encode()),
    ("white space", TAMPERED, A, b'"a": 1'),
    ("white space behind it", TAMPERED, b'Z","trace_id":"' + CALL.replace("-", "").encode() + b'"}',
     b'Z","trace_id":"' + CALL.replace("-", "").encode() + b'"} '),
    ("a carriage return", TAMPERED, b'"}', b'"}\r'),
    ("a byte order mark", TAMPERED, b'{"actor"', b'\xef\xbb\xbf{"actor"'),
    ("a doubled name in facts", TAMPERED, A, b'"a":1,"a":1'),
    ("a doubled member", TAMPERED, b'"kind":"admission"', b'"kind":"admission","kind":"admission"'),
    ("a doubled member, escaped", TAMPERED, b'"kind":"admission"', b'"kind":"admission","\\u006bind":"invite"'),
    ("members out of order", TAMPERED, b'"kind":"admission","node":"n"', b'"node":"n","kind":"admission"'),
    ("a member that is none", TAMPERED, b'"node":"n"', b'"nodd":"n","node":"n"'),
    ("no node", TAMPERED, b'"node":"n",', b""),
    ("no time", TAMPERED, b'"time":"' + TIME.encode() + b'",', b""),
    ("minus zero", TAMPERED, A, b'"a":-0'),
    ("a zero in front", TAMPERED, A, b'"a":01'),
    ("a fraction", TAMPERED, A, b'"a":1.0'),
    ("an exponent", TAMPERED, A, b'"a":1e2'),
    ("a plus sign", TAMPERED, A, b'"a":+1'),
    ("not a number", TAMPERED, A, b'"a":NaN'),
    ("infinity", TAMPERED, A, b'"a":-Infinity'),
    ("an integer that is too large", TAMPERED, A, b'"a":9007199254740992'),
    ("an integer that is too small", TAMPERED, A, b'"a":-9007199254740992'),
    ("an integer of 5,000 digits", TAMPERED, A, b'"a":' + b"9" * 5000),
    ("a null", TAMPERED, A, b'"a":null'),
    ("a null in a list", TAMPERED, A, b'"a":[null]'),
    ("facts at depth 9", TAMPERED, A, deep(9)),
    ("facts at depth 20,000", TAMPERED, A, deep(20_000)),
    ("facts that are a list", TAMPERED, b'{"a":1,"b":"x","c":{"d":[true]}}', b"[]"),
    ("an escaped solidus", TAMPERED, b"bob", b"b\\/b"),
    ("a needless escape", TAMPERED, b"bob", b"\\u0062ob"),
    ("a long escape of a newline", TAMPERED, b"bob", b"\\u000a"),
    ("an escape in capitals", TAMPERED, b"bob", b"\\u001F"),
    ("an escaped half of a pair", TAMPERED, b"bob", b"\\ud800"),
    ("an escaped pair", TAMPERED, b"bob", b"\\ud83d\\ude00"),
    ("a bare control character", TAMPERED, b"bob", b"b\x01b"),
    ("a bare tab", TAMPERED, b"bob", b"b\tb"),
    ("a zero byte", TAMPERED, b"bob", b"b\0b"),
    ("a byte that is not UTF-8", TAMPERED, b"bob", b"b\xffb"),
    ("an overlong form", TAMPERED, b"bob", b"b\xc0\xafb"),
    ("half a pair in UTF-8", TAMPERED, b"bob", b"b\xed\xa0\x80b"),
    ("a number for a text", TAMPERED, b'"bob"', b"7"),
    ("a text for a number", TAMPERED, b'"seq":3', b'"seq":"3"'),
    ("a negative number of the record", TAMPERED, b'"seq":3', b'"seq":-3'),
    ("a kind that is none", TAMPERED, b'"admission"', b'"admissions"'),
    ("a call in capitals", TAMPERED, CALL.encode(), CALL.upper().encode()),
    ("a call without hyphens", TAMPERED, CALL.encode(), CALL.replace("-", "").encode()),
    ("a story of 31 digits", TAMPERED, CALL.replace("-", "").encode(), CALL.replace("-", "")[1:].encode()),
    ("February 30", TAMPERED, *time_of("2026-02-30T00:00:00.000000Z")),
    ("February 29 in 2100", TAMPERED, *time_of("2100-02-29T00:00:00.000000Z")),
    ("hour 24", TAMPERED, *time_of("2026-11-22T24:00:00.000000Z")),
    ("a leap second", TAMPERED, *time_of("2016-12-31T23:59:60.000000Z")),
    ("the year 1969", TAMPERED, *time_of("1969-12-31T23:59:59.000000Z")),
    ("milliseconds", TAMPERED, *time_of("2026-11-22T00:10:00.000Z")),
    ("a small z", TAMPERED, *time_of("2026-11-22T00:10:00.000000z")),
    ("another zone", TAMPERED, *time_of("2026-11-22T00:10:00.000000+00:00")),
    ("digits of another script", TAMPERED, *time_of("2026-11-22T00:10:00.00000\u0661Z")),
    ("an empty line", TAMPERED, b'{"actor"', b'\n{"actor"'),
    ("no object", TAMPERED, b'{"actor":"bob"', b'["actor"'),
]

BEGUN = [
    ("a further fact", HONEST, {"facts": {"format": 1, "key": KEY.verifier, "more": True}}),
    ("an actor", HONEST, {"actor": "root"}),
    ("another format", TAMPERED, {"facts": {"format": 2, "key": KEY.verifier}}),
    ("a format that is a text", TAMPERED, {"facts": {"format": "1", "key": KEY.verifier}}),
    ("a format that is true", TAMPERED, {"facts": {"format": True, "key": KEY.verifier}}),
    ("no key", TAMPERED, {"facts": {"format": 1}}),
    ("a key that is none", TAMPERED, {"facts": {"format": 1, "key": "key"}}),
    ("another key", TAMPERED, {"facts": {"format": 1, "key": OTHER.verifier}}),
    ("another outcome", TAMPERED, {"outcome": "resumed"}),
    ("another kind", TAMPERED, {"kind": "config"}),
]


def key_change(*keys, old_signs_first=True, then=NEW):
    """Records that name keys, then a checkpoint by the old one or by the new one, then one by `then`."""

    def middle(log):
        for key in keys:
            log.log("key_changed", key=key)
        log.key = KEY if old_signs_first else then
        log.checkpoint()
        log.key = then

    return middle


def says(outcome, **facts):
    return lambda log: log.log(outcome, **facts)


def checkpoint(**lies):
    return lambda log: log.checkpoint(**lies)


def noted(log):
    """The text of a checkpoint that is well."""
    return f"{log.signed()}\n{log.key.sign(log.signed())}\n"


def signature(change):
    """Changes the 68 bytes of the signature of a note."""

    def note(text):
        head, _, last = text.rstrip("\n").rpartition(" ")
        return f"{head} {base64.b64encode(change(base64.b64decode(last))).decode()}\n"

    return checkpoint(note=note)


def malleable(data):
    return data[:36] + (int.from_bytes(data[36:], "little") + ORDER).to_bytes(32, "little")


def stray_bits(text):
    """Base 64 that ends in `=`, with a bit that no byte has."""
    at = text.index("=") - 1
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return text[:at] + letters[letters.index(text[at]) | 1] + text[at + 1 :]


MIDDLE = [
    ("a record of 65,536 bytes", HONEST, long(65_536)),
    ("a record of 65,537 bytes", TAMPERED, long(65_537)),
    ("a key is changed", HONEST, key_change(NEW.verifier)),
    ("a key is changed twice", HONEST, key_change(OTHER.verifier, NEW.verifier)),
    ("a key is changed to one of another name", HONEST, key_change(OTHER.verifier, then=OTHER)),
    ("the new key signs at once", TAMPERED, key_change(NEW.verifier, old_signs_first=False)),
    ("the old key signs on", TAMPERED, key_change(NEW.verifier, then=KEY)),
    ("the first of two keys signs", TAMPERED, key_change(OTHER.verifier, NEW.verifier, then=OTHER)),
    ("a key changed to no key", TAMPERED, key_change("key", then=KEY)),
    ("a key changed and none named", TAMPERED, says("key_changed")),
    ("a key changed to a number", TAMPERED, says("key_changed", key=7)),
    ("a key with an id in capitals", TAMPERED, says("key_changed", key=NEW.verifier.replace(NEW.id.hex(), NEW.id.hex().upper()))),
    ("a key with another id", TAMPERED, says("key_changed", key=NEW.verifier.replace(NEW.id.hex(), KEY.id.hex()))),
    ("a key with a space in its name", TAMPERED, says("key_changed", key=key_of("a b", b"\1" + bytes(32)))),
    ("a key with 33 bytes", TAMPERED, says("key_changed", key=key_of(NAME, b"\1" + bytes(33)))),
    ("a key of a witness", TAMPERED, says("key_changed", key=WITNESS.verifier)),
    ("a key of another kind", TAMPERED, says("key_changed", key=key_of(NAME, b"\2" + bytes(32)))),
    ("the log begins again", TAMPERED, says("begun", format=1, key=KEY.verifier)),
    ("a place has seen more of the log", HONEST, lambda log: log.record("log", outcome="anchor_failed", subject="https://w",
                                                                        facts={"size": 1, "ahead": 99})),
    ("a place has seen another history", HONEST, lambda log: log.record("log", outcome="anchor_failed", subject="https://w",
                                                                        facts={"size": 1, "other_history": True})),
    ("records are retired", HONEST, says("retired", first=0, last=2)),
    ("records are retired, with a further fact", HONEST, says("retired", first=0, last=2, by="age")),
    ("what comes is retired", TAMPERED, says("retired", first=0, last=3)),
    ("a range that ends before it begins", TAMPERED, says("retired", first=2, last=1)),
    ("a range that begins before all", TAMPERED, says("retired", first=-1, last=1)),
    ("a range of texts", TAMPERED, says("retired", first="0", last="1")),
    ("half a range", TAMPERED, says("retired", first=0)),
    ("a log record of another outcome", HONEST, says("looked_at", key=7, first="x")),
    ("a checkpoint more", HONEST, checkpoint()),
    ("a checkpoint with an actor", TAMPERED, checkpoint(actor="bob")),
    ("a checkpoint with a further fact", TAMPERED, lambda log: log.record("checkpoint", facts={"more": 1, "note": noted(log)})),
    ("a checkpoint without facts", TAMPERED, lambda log: log.record("checkpoint")),
    ("a checkpoint of another time", TAMPERED, checkpoint(time="2026-11-22T00:10:00.000002Z")),
    ("a checkpoint of one record less", TAMPERED, checkpoint(signed=lambda text: text.replace("\n3\n", "\n2\n"))),
    ("a checkpoint of one record more", TAMPERED, checkpoint(signed=lambda text: text.replace("\n3\n", "\n4\n"))),
    ("a checkpoint with a zero in front", TAMPERED, checkpoint(signed=lambda text: text.replace("\n3\n", "\n03\n"))),
    ("a checkpoint with a plus sign", TAMPERED, checkpoint(signed=lambda text: text.replace("\n3\n", "\n+3\n"))),
    ("a checkpoint of another root", TAMPERED, checkpoint(signed=lambda text: text.replace(text.split("\n")[2], NO_ROOT))),
    ("a checkpoint with stray bits in its root", TAMPERED, checkpoint(signed=stray_bits)),
    ("a checkpoint with a line more", TAMPERED, checkpoint(signed=lambda text: f"{text}more\n")),
    ("a checkpoint without its time", TAMPERED, checkpoint(signed=lambda text: text[: text.index("time")])),
    ("a checkpoint of another origin", TAMPERED, checkpoint(signed=lambda text: text.replace(NAME, "other.example/log"))),
    ("a checkpoint with two signatures", TAMPERED, checkpoint(note=lambda text: text + OTHER.sign(signed_of(text)) + "\n")),
    ("a checkpoint with its signature twice", TAMPERED, checkpoint(note=lambda text: text + text.split("\n")[5] + "\n")),
    ("a checkpoint without a signature", TAMPERED, checkpoint(note=lambda text: text.partition("\n\n")[0] + "\n\n")),
    ("a checkpoint with two blank lines", TAMPERED, checkpoint(note=lambda text: text.replace("\n\n", "\n\n\n"))),
    ("a checkpoint without a newline at its end", TAMPERED, checkpoint(note=lambda text: text[:-1])),
    ("a checkpoint with a newline more", TAMPERED, checkpoint(note=lambda text: text + "\n")),
    ("a checkpoint with carriage returns", TAMPERED, checkpoint(note=lambda text: text.replace("\n", "\r\n"))),
    ("a checkpoint with another dash", TAMPERED, checkpoint(note=lambda text: text.replace("\u2014", "\u2013"))),
    ("a checkpoint with a space more", TAMPERED, checkpoint(note=lambda text: text[:-1] + " \n")),
    ("a signature of another key's id", TAMPERED, signature(lambda data: OTHER.id + data[4:])),
    ("a signature that is too short", TAMPERED, signature(lambda data: data[:-1])),
    ("a signature that is too long", TAMPERED, signature(lambda data: data + b"\0")),
    ("a signature with the order added", TAMPERED, signature(malleable)),
    ("stray bits in a signature", TAMPERED, checkpoint(note=lambda text: text[:170] + stray_bits(text[170:]))),
    ("another key signs", TAMPERED, lambda log: (setattr(log, "key", NEW), log.checkpoint(), setattr(log, "key", KEY))),
]

FIRST, LAST, STORED = f"{0:020}.jsonl", f"{3:020}.jsonl", "checkpoints.jsonl"
FIRST_INDEX, LAST_INDEX = f"{0:020}.index", f"{3:020}.index"


def behind(file, data):
    return lambda files, log: files.update({file: files[file] + data})


# What fills the sector that a file ends in, and one that makes of it 65,536 bytes of a line at the most.
FULL, LONG = "full", "long"


def hole(file, before, sectors, after, cut=0):
    """Puts something behind the last line, then zero bytes to the end of a sector and of as many more, but `cut`, then something."""

    def change(files, log):
        data = files[file]
        rest = -len(data) % 512
        if before in (FULL, LONG):
            data += b"x" * (rest if before == FULL else rest + (65_536 - rest) // 512 * 512)
        else:
            data += before
        files[file] = data + bytes(-len(data) % 512 + 512 * sectors - cut) + after

    return change


def torn_before(words):
    """Makes a hole where a record of the last segment begins, and puts something behind it."""

    def change(files, log):
        data = files[LAST]
        begin = data.rfind(b"\n", 0, data.rindex(words.encode())) + 1
        files[LAST] = data[:begin] + bytes(-begin % 512 + 512) + b"what was\n"

    return change


def stored(lines):
    """Replaces checkpoints.jsonl; `lines` makes it of the two notes."""
    return lambda files, log: files.update({STORED: lines(*log.filed)})


def filed_of(note, length):
    """A line of just so many bytes, its newline not counted, with cosignatures of strangers."""
    line = STRANGER.line(bytes(72))
    lines = [line] * ((length - 100 - len(filed(note))) // (len(line.encode()) + 3))
    missing = length + 1 - len(filed(note, *lines, STRANGER.line(b"")))
    # The name makes up for what base 64, which grows by four, leaves open.
    lines.append(STRANGER.line(b"").replace(STRANGER.name, STRANGER.name + "x" * missing))
    return filed(note, *lines)


def stored_hole(more):
    """Fills checkpoints.jsonl from its last line on: a hole, and so many bytes more behind it than one append has."""

    def change(files, log):
        whole = files[STORED]
        end = whole.rindex(b"\n", 0, -1) + 1
        begin = whole[:end] + bytes(-end % 512 + 512)
        files[STORED] = begin + b"x" * (CHECKPOINTS_APPEND_MAX + more - (len(begin) - end))

    return change


def signed_of(note):
    return note.partition("\n\n")[0] + "\n"


def of_size(note, size, key=KEY):
    """A line with the checkpoint of another size, or by another key."""
    text = signed_of(note).replace("\n2\n", f"\n{size}\n")
    return filed(f"{text}\n{key.sign(text)}\n")


def out_of_order(note):
    text = json.dumps({"note": note, "cosignatures": []}, ensure_ascii=False, separators=(",", ":"))
    return f"{text}\n".encode()


def of_another_second(note):
    signature = WITNESS.private.sign(f"cosignature/v1\ntime 1\n{signed_of(note)}".encode())
    return filed(note, WITNESS.line(bytes(8) + signature))


def with_index(change):
    return lambda files, log: files.update({FIRST_INDEX: change(index(log.segments[0]))})


def retired(*ranges, cut=False):
    """Takes the lines of the first segment away, which records in the last one have retired, or not."""

    def after(files, log):
        for first, last in ranges:
            log.log("retired", first=first, last=last)
        log.checkpoint()
        files.update(log.write())
        del files[FIRST]
        if cut:
            files[FIRST_INDEX] += b"\0"

    return after


def retired_and_stored(lines):
    """Takes the lines of the first segment away; `lines` makes of its checkpoint what stands in checkpoints.jsonl of it."""

    def after(files, log):
        retired((0, 2))(files, log)
        files[STORED] = lines(log.filed[0]) + b"".join(map(filed, log.filed[1:]))

    return after


def unsigned(count, tail=b""):
    """Leaves so many records, none of them a checkpoint, and puts something behind them."""

    def after(files, log):
        files.clear()
        files[FIRST] = b"".join(line + b"\n" for line in log.segments[0][:count]) + tail

    return after


def stored_alone(files, log):
    """The first segment is gone, whose checkpoint is stored; what is left retires it and is signed by nothing."""
    log.segments, log.filed = {0: log.segments[0], 3: []}, log.filed[:1]
    log.last, log.next = sha256(log.segments[0][-1]).hex(), 3
    log.log("retired", first=0, last=2)
    files.clear()
    files.update(log.write())
    del files[FIRST]


def signed_by(key, text, *more):
    """A line with a checkpoint of this text, and perhaps with more signatures."""
    return filed("".join(f"{line}\n" for line in (text, key.sign(text), *more)))


AFTER = [
    ("room at the end", HONEST, behind(LAST, bytes(9000))),
    ("room at the end of a segment", HONEST, behind(FIRST, bytes(9000))),
    ("an unfinished line", TORN, behind(LAST, b'{"actor"')),
    ("an unfinished line and room", TORN, behind(LAST, b'{"actor"' + bytes(9000))),
    ("an unfinished line of 65,536 bytes", TORN, behind(LAST, b"x" * 65_536)),
    ("an unfinished line of 65,536 bytes and room", TORN, behind(LAST, b"x" * 65_536 + bytes(100_000))),
    ("an unfinished line of 65,537 bytes", TAMPERED, behind(LAST, b"x" * 65_537)),
    ("an unfinished line in a segment", TAMPERED, behind(FIRST, b'{"actor"')),
    ("a segment copied over another", TAMPERED, lambda files, log: files.update({LAST: files[FIRST]})),
    ("a segment copied over the first", TAMPERED, lambda files, log: files.update({FIRST: files[LAST]})),
    ("an empty segment", HONEST, lambda files, log: files.update({f"{log.next:020}.jsonl": b""})),
    ("an empty segment and room", HONEST, lambda files, log: files.update({f"{log.next:020}.jsonl": bytes(4096)})),
    ("an unfinished line before an empty segment", TAMPERED,
     lambda files, log: files.update({f"{log.next:020}.jsonl": b"", LAST: files[LAST] + b"{"})),
    ("zero bytes in an unfinished line", TAMPERED, behind(LAST, b"{\0}")),
    ("a line behind a hole", TORN, hole(LAST, b"", 0, b"{}\n")),
    ("a line behind a hole and room", TORN, hole(LAST, b"", 0, b"{}\n" + bytes(5000))),
    ("much behind a large hole", TORN, hole(LAST, b"", 500, b"{}\n" * 100_000)),
    ("a hole behind an unfinished line", TORN, hole(LAST, FULL, 1, b"x\n")),
    ("two holes", TORN, hole(LAST, FULL, 1, bytes(512).join([b"x" * 512, b"\ny\n"]))),
    ("a hole that ends behind a sector's end", TAMPERED, hole(LAST, b"", 0, b"\0{}\n")),
    ("a hole that ends before a sector's end", TAMPERED, hole(LAST, b"", 0, b"{}\n", cut=1)),
    ("a hole that begins within a sector", TAMPERED, hole(LAST, b"{", 0, b"{}\n")),
    ("a second hole that begins within a sector", TAMPERED, hole(LAST, FULL, 1, b"x" + bytes(1023) + b"y")),
    ("a second hole that ends within a sector", TAMPERED, hole(LAST, FULL, 1, b"x" * 512 + bytes(513) + b"y")),
    ("a hole behind 65,536 bytes of a line", TORN, hole(LAST, LONG, 1, b"}\n")),
    ("a hole behind more than a line", TAMPERED, hole(LAST, b"x" * 66_000, 1, b"}\n")),
    ("a hole in a closed segment", TAMPERED, hole(FIRST, b"", 0, b"{}\n")),
    ("a hole in a record that is signed", TAMPERED, torn_before("\"terminated\"")),
    ("a hole in a checkpoint that others were shown", TAMPERED, torn_before("\"checkpoint\"")),
    ("no record", HONEST, unsigned(0)),
    ("no record and room", HONEST, unsigned(0, bytes(4096))),
    ("no record and a torn write", TORN, unsigned(0, b'{"facts"')),
    ("record 0 alone", HONEST, unsigned(1)),
    ("record 0 alone and room", HONEST, unsigned(1, bytes(4096))),
    ("record 0 alone and a torn write", TORN, unsigned(1, b'{"facts"')),
    ("two records and no checkpoint", TAMPERED, unsigned(2)),
    ("two records, a torn write and no checkpoint", TAMPERED, unsigned(2, b'{"facts"')),
    ("a checkpoint that is stored and no other", TAMPERED, stored_alone),
    ("a line that is empty", TAMPERED, behind(LAST, b"\n")),
    ("a line that is too long", TAMPERED, behind(LAST, b"x" * 70_000 + b"\n")),
    ("no checkpoints.jsonl", HONEST, lambda files, log: files.pop(STORED)),
    ("an empty checkpoints.jsonl", HONEST, stored(lambda first, second: b"")),
    ("checkpoints in another order", HONEST, stored(lambda first, second: filed(second) + filed(first))),
    ("checkpoints twice", HONEST, stored(lambda first, second: filed(first) * 2 + filed(second, WITNESS.cosign(signed_of(second))))),
    ("a cosignature of a stranger", HONEST, stored(lambda first, second: filed(first, STRANGER.line(b"what")))),
    ("an unfinished stored line", HONEST, behind(STORED, b'{"cosig')),
    ("zeros behind stored lines", HONEST, behind(STORED, bytes(70))),
    ("an unfinished stored line and zeros", HONEST, behind(STORED, b'{"cosig' + bytes(70))),
    ("a hole in stored lines", HONEST, hole(STORED, b"", 0, b"{}\n")),
    ("a hole in stored lines that ends within a sector", TAMPERED, hole(STORED, b"", 0, b"\0{}\n")),
    ("a hole in stored lines with as much behind it as is appended at once", HONEST, stored_hole(0)),
    ("a hole in stored lines with more behind it than is appended at once", TAMPERED, stored_hole(1)),
    ("room before a stored line", TAMPERED, lambda files, log: files.update({STORED: filed(log.filed[0]) + b"\0" + filed(log.filed[1])})),
    ("a stored line of 1,048,576 bytes", HONEST, stored(lambda first, second: filed_of(first, CHECKPOINT_LINE_MAX))),
    ("a stored line of 1,048,577 bytes", TAMPERED, stored(lambda first, second: filed_of(first, CHECKPOINT_LINE_MAX + 1) + filed(second))),
    ("an empty stored line", TAMPERED, behind(STORED, b"\n")),
    ("a stored line with white space", TAMPERED, stored(lambda first, second: filed(first).replace(b",", b", ", 1))),
    ("a stored line out of order", TAMPERED, stored(lambda first, second: out_of_order(first))),
    ("a stored line with a member more", TAMPERED, stored(lambda first, second: filed(first).replace(b'{"', b'{"a":1,"', 1))),
    ("a stored line without cosignatures", TAMPERED, stored(lambda first, second: filed(first).replace(b'"cosignatures":[],', b"", 1))),
    ("a stored cosignature that is a number", TAMPERED, stored(lambda first, second: filed(first, 7))),
    ("a stored cosignature that is none", TAMPERED, stored(lambda first, second: filed(first, "cosigned"))),
    ("a cosignature of another checkpoint", TAMPERED, stored(lambda first, second: filed(first, WITNESS.cosign(signed_of(second))))),
    ("a cosignature of another second", TAMPERED, stored(lambda first, second: of_another_second(first))),
    ("a cosignature without its time", TAMPERED, stored(lambda first, second: filed(first, WITNESS.sign(signed_of(first))))),
    ("a cosignature that is too short", TAMPERED, stored(lambda first, second: filed(first, WITNESS.line(b"1234")))),
    ("a stored checkpoint by another key", TAMPERED, stored(lambda first, second: of_size(first, 2, NEW))),
    ("a stored checkpoint of no checkpoint", TAMPERED, stored(lambda first, second: of_size(first, 1))),
    ("a stored checkpoint of what is not there", TAMPERED, stored(lambda first, second: of_size(first, 9))),
    ("a stored checkpoint of the end", TAMPERED, stored(lambda first, second: of_size(first, 5))),
    ("no index", HONEST, lambda files, log: files.pop(FIRST_INDEX)),
    ("an index of the last segment", HONEST, lambda files, log: files.update({LAST_INDEX: index(log.segments[3])})),
    ("a wrong index of the last segment", TAMPERED, lambda files, log: files.update({LAST_INDEX: bytes(80)})),
    ("an empty index without its segment", TAMPERED, lambda files, log: files.update({f"{log.next:020}.index": b""})),
    ("an index with an entry more", TAMPERED, with_index(lambda data: data + bytes(40))),
    ("an index with a byte more", TAMPERED, with_index(lambda data: data + b"\0")),
    ("an index with an entry less", TAMPERED, with_index(lambda data: data[:-40])),
    ("an index that is empty", TAMPERED, with_index(lambda data: b"")),
    ("an index of other offsets", TAMPERED, with_index(lambda data: data[:40] + b"\1" + data[41:])),
    ("a segment is retired and gone", HONEST, retired((0, 2))),
    ("a segment is retired in parts", HONEST, retired((2, 2), (0, 1))),
    ("a segment is retired with what follows", HONEST, retired((0, 4))),
    ("a segment is gone and its end not retired", TAMPERED, retired((0, 1))),
    ("a segment is gone and its middle not retired", TAMPERED, retired((0, 0), (2, 2))),
    ("a segment is gone and its beginning not retired", TAMPERED, retired((1, 2))),
    ("a segment is gone and not retired", TAMPERED, retired()),
    ("a segment is gone and its index is no index", TAMPERED, retired((0, 2), cut=True)),
    ("a retired checkpoint twice", HONEST, retired_and_stored(lambda note: filed(note) * 2)),
    ("a retired checkpoint by a key that is gone", HONEST, retired_and_stored(lambda note: signed_by(NEW, signed_of(note)))),
    ("a retired checkpoint by a key of another name", HONEST,
     retired_and_stored(lambda note: signed_by(OTHER, signed_of(note).replace(NAME, OTHER.name)))),
    ("a retired checkpoint of another root", TAMPERED,
     retired_and_stored(lambda note: signed_by(KEY, signed_of(note).replace(note.split("\n")[2], NO_ROOT)))),
    ("a retired checkpoint of another root, by a key that is gone", TAMPERED,
     retired_and_stored(lambda note: signed_by(NEW, signed_of(note).replace(note.split("\n")[2], NO_ROOT)))),
    ("a retired checkpoint whose signature is of another text", TAMPERED,
     retired_and_stored(lambda note: filed(note.replace("000001Z", "000002Z")))),
    ("a retired checkpoint with a line more", TAMPERED, retired_and_stored(lambda note: signed_by(KEY, signed_of(note) + "more\n"))),
    ("a retired checkpoint with a second time", TAMPERED,
     retired_and_stored(lambda note: signed_by(KEY, signed_of(note) + f"time {TIME}\n"))),
    ("a retired checkpoint without its time", TAMPERED,
     retired_and_stored(lambda note: signed_by(KEY, signed_of(note)[: signed_of(note).index("time")]))),
    ("a retired checkpoint of milliseconds", TAMPERED,
     retired_and_stored(lambda note: signed_by(KEY, signed_of(note).replace("000001Z", "000Z")))),
    ("a retired checkpoint with two signatures", TAMPERED,
     retired_and_stored(lambda note: signed_by(KEY, signed_of(note), OTHER.sign(signed_of(note))))),
    ("a retired checkpoint with a cosignature in its note", TAMPERED,
     retired_and_stored(lambda note: signed_by(KEY, signed_of(note), WITNESS.cosign(signed_of(note))))),
    ("a retired checkpoint that another signs than its origin", TAMPERED,
     retired_and_stored(lambda note: signed_by(OTHER, signed_of(note)))),
    ("a retired checkpoint by a key that is gone, signed too briefly", TAMPERED,
     retired_and_stored(lambda note: filed(f"{signed_of(note)}\n{NEW.line(bytes(63))}\n"))),
    ("no key.pub", HONEST, lambda files, log: files.pop("key.pub")),
    ("a key.pub without its newline", HONEST, lambda files, log: files.update({"key.pub": KEY.verifier.encode()})),
    ("a key.pub with three newlines", HONEST, lambda files, log: files.update({"key.pub": f"{KEY.verifier}\n\n\n".encode()})),
    ("a key.pub with a newline before it", TAMPERED, lambda files, log: files.update({"key.pub": f"\n{KEY.verifier}\n".encode()})),
    ("a key.pub with a space", TAMPERED, lambda files, log: files.update({"key.pub": f"{KEY.verifier} \n".encode()})),
    ("a key.pub with much behind it", TAMPERED,
     lambda files, log: files.update({"key.pub": f"{KEY.verifier}".encode() + b"\n" * 2000 + b"x\n"})),
    ("another key.pub", TAMPERED, lambda files, log: files.update({"key.pub": f"{NEW.verifier}\n".encode()})),
    ("an empty key.pub", TAMPERED, lambda files, log: files.update({"key.pub": b""})),
    ("a name whose number is too large", HONEST, lambda files, log: files.update({f"{1 << 64:020}.jsonl": b"x", f"{10**20 - 1}.index": b""})),
    ("a name with the largest number", TAMPERED, lambda files, log: files.update({f"{(1 << 64) - 1:020}.jsonl": b""})),
    ("a file of somebody else", HONEST, lambda files, log: files.update({f"{3:020}.cut": b"x"})),
]
