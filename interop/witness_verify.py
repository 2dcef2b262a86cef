#!/usr/bin/env python3
"""Verifies a witness log. Written from docs/witness-format.md alone: it shares no line with the exchange.

    interop/witness_verify.py DIR --key KEYFILE|VKEY [--anchor FILE] [--witness KEYFILE|VKEY] [--records N]

Prints `ok: N records, M checkpoints`, or `torn: ` and the same when the last write was torn, or the problems; notices go to stderr.
Exit code 1 when there is a problem, 2 when there is nothing to verify. It needs Python 3.11, `cryptography` and witness_format.py. It holds one record at a time; what it
keeps grows with the number of checkpoints, not of records, and of what these say there are limits.
"""

import argparse
import datetime
import io
import os
import re
import sys
import time

from witness_format import (
    CHECKPOINT_LINE_MAX,
    CHECKPOINTS_APPEND_MAX,
    COSIGNS,
    ENTRY,
    LINE_MAX,
    ZEROS,
    Checkpoint,
    Key,
    Malformed,
    Tree,
    cosignature_holds,
    is_number,
    key_text,
    parse_record,
    sha256,
    signature_line,
    stored_checkpoint,
)

PROBLEMS_MAX, NOTICES_MAX = 20, 100
# So many records of a log change its key and retire others, and so many places have taken its checkpoints.
KEYS_MAX, RETIRED_MAX, PLACES_MAX = 1_000, 100_000, 1_000
COPIED = "or this is a copy for which checkpoints.jsonl was read after the segments, while they were written"
ALWAYS = {"kind", "node", "prev_hash", "seq", "time"}
FILE = re.compile(r"([0-9]{20})\.(jsonl|index)")
NUMBER_MAX = (1 << 64) - 1
RUN = re.compile(rb"\0+|[^\0]+")
SECTOR = 512
# No writer leaves more unsigned, or for longer.
UNSIGNED_MAX, UNSIGNED_FOR_MAX = 1_000_000, datetime.timedelta(seconds=86_400)
# So often a log is looked at that a writer may be at, and a write that is under way is done after so many seconds.
LOOKS, WRITE_MAX = 5, 0.02


class Stopped(Exception):
    """The log cannot be followed any further."""


def torn_write(file, begin, longest, most):
    """How many bytes a torn write has left from here on; 0 for room, None when no torn write leaves this."""
    at, zeros, written, hole = begin, 0, 0, False
    while chunk := file.read(1 << 16):
        for run in RUN.findall(chunk):
            if run[0] == 0:
                zeros += len(run)
            else:
                if zeros:
                    if at % SECTOR or (at - zeros) % SECTOR and at - zeros != begin:
                        return None
                    zeros, hole = 0, True
                written = at + len(run) - begin
                if not hole and (written > longest or b"\n" in run):
                    return None
            at += len(run)
    return written if most is None or written <= most else None


class Lines:
    """The lines of a file. When they are through, `torn` is what `torn_write` says of what stands behind them."""

    def __init__(self, file, longest, most=None):
        self.file, self.longest, self.most, self.torn = file, longest, most, None

    def __iter__(self):
        begin = 0
        while (line := self.file.readline(self.longest + 1)).endswith(b"\n") and b"\0" not in line:
            yield begin, line[:-1]
            begin += len(line)
        self.file.seek(begin)
        self.torn = torn_write(self.file, begin, self.longest, self.most)


class Verifier:
    """One verification. The numbers of the steps are those of the page."""

    def __init__(self, folder, key, anchors=(), witnesses=(), records_min=0):
        self.folder, self.given, self.anchors, self.witnesses, self.records_min = folder, key, anchors, witnesses, records_min
        self.key, self.new_key, self.keys = key, None, {key.text: key}
        self.next, self.last, self.tree = 0, ZEROS, Tree()
        self.problems, self.notices, self.more_notices = [], [], 0
        # Record 0 has named a key; the key in force has signed a checkpoint; what is wrong with those before it; the log is another's.
        self.begun, self.signed, self.strange, self.other = False, False, [], False
        self.notes, self.roots = {}, {anchor.size: None for anchor in anchors}
        self.gone, self.retired = [], []
        self.checkpoints, self.covered, self.torn = 0, 0, 0
        # The record that does not name the hash of the one before, and the last one that has been blamed.
        self.doubt, self.blamed = None, None
        self.whole = True
        # Sizes that the log must have had and has not, and what says so.
        self.cut = {}
        # The sizes that each witness has cosigned, and what records say of it: their number, the size, the witness.
        self.cosigned, self.taken, self.stored_size = {}, [], None
        # More cosignatures that may be lacking than are kept; places that have taken a checkpoint; how often the key has changed.
        self.more_taken, self.places, self.changes = 0, set(), 0
        # Nothing stands behind the lines of the segment that was read last.
        self.settled = True
        # How many records stand behind the last checkpoint, the time of the first of them, and that of the last of all.
        self.unsigned, self.unsigned_since, self.time = 0, None, None
        # What names records and keys is read before the records, so that it names none that are younger.
        self.stored, self.key_file = self.whole_file("checkpoints.jsonl"), self.whole_file("key.pub")

    def whole_file(self, name):
        """What is in a file; `None` when it is not there."""
        try:
            with open(self.path(name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def path(self, name):
        return os.path.join(self.folder, name)

    def accuse(self, text):
        self.problems.append(text)
        if len(self.problems) >= PROBLEMS_MAX:
            raise Stopped

    def notice(self, text):
        if len(self.notices) < NOTICES_MAX:
            self.notices.append(text)
        else:
            self.more_notices += 1

    def blame(self, number, why):
        self.whole, self.blamed = False, number
        self.accuse(f"record {number}: {why}")

    def run(self):
        try:
            for _, note, cosignatures in self.stored_checkpoints(None):
                self.roots[note.size] = None
                for line in cosignatures:
                    self.cosigned.setdefault(signature_line(line)[0], set()).add(note.size)
            self.walk()
            self.check_strange()
            self.check_retirement()
            self.check_stored()
            self.check_anchors()
            self.check_cut()
            self.check_key_file()
            self.check_signed()
            self.look_at_tail()
            self.look_for_checkpoints()
            self.look_for_cosignatures()
        except Stopped:
            self.notice("the verification stopped here")
        return self

    def walk(self):
        """Steps 1 to 3."""
        matches = map(FILE.fullmatch, os.listdir(self.folder))
        names = [match for match in matches if match and int(match[1]) <= NUMBER_MAX]
        for match in names:
            # What cannot be read is an error, wherever it stands, and no verdict.
            with open(self.path(match[0]), "rb") as file:
                file.read(1)
        kinds = {}
        for match in names:
            kinds.setdefault(int(match[1]), set()).add(match[2])
        if not kinds:
            self.accuse("there is no log")
        last = max((number for number in kinds if "jsonl" in kinds[number]), default=None)
        for number in sorted(kinds):
            if number != self.next:
                what = "are missing, or a file was renamed" if number > self.next else "are there twice"
                self.accuse(f"records {min(number, self.next)} to {max(number, self.next) - 1} {what}")
                raise Stopped
            if "jsonl" in kinds[number]:
                self.segment(number, "index" in kinds[number], number == last)
            else:
                self.index_alone(number)
        if self.doubt is not None:
            self.blame(self.doubt - 1, "it was changed: the record behind it, the last one, does not name its hash")
        self.remember_root()

    def remember_root(self):
        if self.next in self.roots:
            self.roots[self.next] = self.tree.root()

    def add(self, record_hash):
        self.tree.add(record_hash)
        self.last = record_hash.hex()
        self.next += 1

    def index_alone(self, number):
        """Step 2."""
        name = f"{number:020}.index"
        if os.path.getsize(self.path(name)) == 0:
            self.accuse(f"{name} is empty, and its segment is gone")
        with open(self.path(name), "rb") as file:
            while entry := file.read(ENTRY):
                if len(entry) != ENTRY:
                    self.accuse(f"{name} ends within an entry")
                    raise Stopped
                self.remember_root()
                self.add(entry[8:])
        self.gone.append((number, self.next - 1))

    def segment(self, number, indexed, is_last):
        """Steps 3 and 4."""
        name = self.segment_name = f"{number:020}"
        index_path = self.path(f"{name}.index") if indexed else os.devnull
        with open(self.path(f"{name}.jsonl"), "rb") as file, open(index_path, "rb") as index:
            lines, agrees = Lines(file, LINE_MAX), True
            for begin, line in lines:
                record_hash = sha256(line)
                self.line(line)
                agrees = agrees and index.read(ENTRY) == begin.to_bytes(8, "little") + record_hash
                self.add(record_hash)
            if indexed and not (agrees and not index.read(1)):
                self.accuse(f"{name}.index does not agree with {name}.jsonl")
        self.settled = lines.torn == 0
        if lines.torn is None or lines.torn and not is_last:
            self.accuse(f"{name}.jsonl: behind record {self.next - 1} stands something that is no line")
            raise Stopped
        if lines.torn:
            self.torn = lines.torn
            self.notice(f"behind record {self.next - 1} stand {self.torn} bytes of a torn write: not acknowledged, or lost")

    def line(self, line):
        """Step 3, for one line."""
        self.remember_root()
        try:
            record = parse_record(line)
        except Malformed as error:
            self.blame(self.next, f"no record: {error}")
            self.doubt = None
            return
        if record["seq"] != self.next:
            self.accuse(f"{self.segment_name}.jsonl: record {record['seq']} stands in the place of record {self.next}")
            raise Stopped
        self.link(record["prev_hash"])
        self.unsigned, self.time = self.unsigned + 1, record["time"]
        self.unsigned_since = self.unsigned_since or self.time
        try:
            if self.next == 0:
                self.check_begun(record)
            elif record["kind"] == "log":
                self.check_log(record)
            elif record["kind"] == "checkpoint":
                self.check_checkpoint(record)
        except Malformed as error:
            self.blame(self.next, str(error))

    def link(self, named):
        """Tells a record that was changed from one that only stands behind it."""
        if self.doubt is not None:
            changed = self.doubt - 1 if named == self.last else self.doubt
            self.doubt = None
            self.blame(changed, "it was changed: the records around it do not agree with its hash")
        elif named != self.last and self.blamed != self.next - 1:
            self.whole = False
            if self.next == 0:
                self.blame(0, "it names a record before it")
            else:
                self.doubt = self.next

    def check_begun(self, record):
        facts = record.get("facts", {})
        if (record["kind"], record.get("outcome")) != ("log", "begun"):
            raise Malformed("the log does not begin with `begun`")
        # In Python `True` equals 1.
        if type(facts.get("format")) is not int or facts["format"] != 1:
            raise Malformed("the format of the log is not 1")
        if type(facts.get("key")) is not str:
            raise Malformed("the log names no key")
        self.key, self.begun = Key(facts["key"]), True
        if self.key.text != self.given.text:
            # What else is wrong is found with the key that the log names.
            self.other, self.keys = True, {self.key.text: self.key}
            self.accuse(f"record 0 names {self.key.text}, which is not the key given, {self.given.text}")

    def check_log(self, record):
        outcome, facts = record.get("outcome"), record.get("facts", {})
        if outcome == "begun":
            raise Malformed("the log begins twice")
        if outcome == "key_changed":
            if type(facts.get("key")) is not str:
                raise Malformed("`key_changed` is not in its form")
            self.changes += 1
            if self.changes > KEYS_MAX:
                raise Malformed(f"the log changes its key more than {KEYS_MAX} times")
            self.new_key = Key(facts["key"])
            self.keys[self.new_key.text] = self.new_key
        if outcome == "anchored" and is_number(facts.get("size")) and "subject" in record:
            self.note_anchored(record["subject"], facts["size"], facts.get("cosigned_by"))
        if outcome == "anchor_failed" and "subject" in record:
            self.note_refusal(record["subject"], facts)
        if outcome == "retired":
            if not (is_number(facts.get("first")) and is_number(facts.get("last"))):
                raise Malformed("`retired` is not in its form")
            if not facts["first"] <= facts["last"] < self.next:
                raise Malformed("it retires what is not before it")
            if len(self.retired) >= RETIRED_MAX:
                raise Malformed(f"more than {RETIRED_MAX} records retire others")
            self.retired.append((facts["first"], facts["last"], self.next))

    def note_anchored(self, place, size, name):
        if place not in self.places and len(self.places) >= PLACES_MAX:
            raise Malformed(f"the records name more than {PLACES_MAX} places that have taken a checkpoint")
        self.places.add(place)
        if type(name) is not str or size in self.cosigned.get(name, ()):
            return
        if len(self.taken) < NOTICES_MAX:
            self.taken.append((self.next, size, name))
        else:
            self.more_taken += 1

    def note_refusal(self, place, facts):
        if is_number(facts.get("ahead")):
            why = f"had cosigned {facts['ahead']} records, more than the log had"
        elif facts.get("other_history") is True:
            why = "knew another history of the log"
        else:
            return
        self.notice(f"record {self.next} says that {place} {why}: the log was set back or rewritten, or that place knows another one")

    def check_checkpoint(self, record):
        facts = record.get("facts", {})
        if record.keys() != ALWAYS | {"facts"} or facts.keys() != {"note"} or type(facts["note"]) is not str:
            raise Malformed("the checkpoint has not the members of one")
        note = Checkpoint.of_record(facts["note"])
        if note.size != self.next or note.time != record["time"]:
            raise Malformed("the checkpoint is of another record")
        self.notes[note.size] = sha256(note.text.encode())
        if self.other and not self.signed and note.signed_by(self.given):
            # The key given is the log's, and record 0 was changed.
            self.other, self.key, self.keys = False, self.given, {self.given.text: self.given}
        if not note.signed_by(self.key):
            text = f"the checkpoint is not signed by the key in force, {self.key.text}"
            if note.names(self.key) or self.begun or self.signed:
                raise Malformed(text)
            # The key given may be that of another log; record 0, which would say so, is gone.
            if len(self.strange) < PROBLEMS_MAX:
                self.strange.append((self.next, text))
            return
        while self.strange:
            self.blame(*self.strange.pop(0))
        self.checkpoints, self.signed = self.checkpoints + 1, True
        if self.new_key:
            self.key, self.new_key = self.new_key, None
        # Once a record has been found changed no root can hold; that is no second accusation.
        if self.whole and note.root != self.tree.root():
            self.whole = False
            self.accuse(f"one of the records {self.covered} to {self.next - 1} was changed, and the hashes behind it made anew")
        self.covered = note.size
        self.unsigned, self.unsigned_since = 0, None

    def check_strange(self):
        """No checkpoint that is there is by the key given: that is the wrong one."""
        if self.strange:
            self.other = True
            number = self.strange[0][0]
            self.accuse(f"the key given, {self.given.text}, is not the one that signed the log: record {number} names another")

    def check_retirement(self):
        """Step 5."""
        for first, last in self.gone:
            wanted = first
            for begin, end, _ in sorted(self.retired):
                if begin <= wanted:
                    wanted = max(wanted, end + 1)
            if wanted <= last:
                self.accuse(f"records {wanted} to {last} are gone, and no record retires them")
        for first, last, number in self.retired:
            if number >= self.covered:
                self.notice(f"record {number} retires records {first} to {last}, and no checkpoint covers it yet")
            if not all(any(begin <= end <= stop for begin, stop in self.gone) for end in (first, last)):
                self.notice(f"records {first} to {last} are retired, and not all of them are gone")

    def stored_checkpoints(self, accuse):
        """The lines of `checkpoints.jsonl` that are in their form: number, checkpoint, cosignatures."""
        lines = Lines(io.BytesIO(self.stored or b""), CHECKPOINT_LINE_MAX, CHECKPOINTS_APPEND_MAX)
        number = 0
        for number, (_, line) in enumerate(lines, 1):
            try:
                yield number, *stored_checkpoint(line)
            except Malformed as error:
                if accuse:
                    accuse(f"checkpoints.jsonl, line {number}: {error}")
        if accuse and lines.torn is None:
            accuse(f"checkpoints.jsonl: behind line {number} stands something that is no line")
        elif accuse and lines.torn:
            self.notice(f"checkpoints.jsonl ends in {lines.torn} bytes of a torn write")

    def check_stored(self):
        """Step 6."""
        for number, note, cosignatures in self.stored_checkpoints(self.accuse):
            where = f"checkpoints.jsonl, line {number}"
            known = [key for key in self.keys.values() if note.names(key)]
            if note.size >= self.next:
                signed = any(note.signed_by(key) for key in known)
                if signed:
                    self.cut.setdefault(note.size + 1, f"{where}, says so, its own record included; {COPIED}")
                elif known or not self.other:
                    self.accuse(f"{where}: it is forged")
            elif any(first <= note.size <= last for first, last in self.gone):
                if self.whole and self.roots[note.size] != note.root:
                    self.accuse(f"{where}: its root is not that of the log")
                if not all(note.signed_by(key) for key in known):
                    self.accuse(f"{where}: its key has not signed it")
                if not known:
                    self.notice(f"{where}: it names a key that only records that are gone may have named")
            elif self.notes.get(note.size) != sha256(note.text.encode()):
                self.accuse(f"{where}: record {note.size} is not this checkpoint")
            self.stored_size = max(note.size, self.stored_size or 0)
            for line in cosignatures:
                self.cosigned.setdefault(signature_line(line)[0], set()).add(note.size)
                if not cosignature_holds(line, note, self.witnesses):
                    self.accuse(f"{where}: the cosignature {line!r} does not hold")

    def check_anchors(self):
        """Step 7."""
        if self.next < self.records_min:
            self.cut.setdefault(self.records_min, "so many were to be there")
        for anchor in self.anchors:
            known = [key for key in self.keys.values() if anchor.names(key)]
            # Whoever kept it has looked at its signature then; what counts is that the log has its root.
            if not any(anchor.signed_by(key) for key in known):
                self.notice(f"the anchor of {anchor.size} records is not signed by a key that this log names")
            if anchor.size > self.next:
                self.cut.setdefault(anchor.size, "an anchor says so")
            elif self.whole and self.roots[anchor.size] != anchor.root:
                self.accuse(f"the first {anchor.size} records are not those of the anchor")

    def check_cut(self):
        """One cut is one problem, however many checkpoints stand behind it."""
        if self.cut:
            size = max(self.cut)
            also = f" ({len(self.cut) - 1} smaller sizes too)" if len(self.cut) > 1 else ""
            self.accuse(f"the log was truncated: it has {self.next} records, and had at least {size}{also}: {self.cut[size]}")

    def check_key_file(self):
        """Step 8."""
        # Where no record that is there names a key of the log, none can be told from another.
        if self.other and not self.begun:
            return
        if self.key_file is not None and self.key_file.decode(errors="replace").rstrip("\n") not in self.keys:
            self.accuse("key.pub is no key of this log")

    def check_signed(self):
        """Step 9."""
        if not (self.problems or self.checkpoints) and (self.next > 1 or self.gone):
            self.accuse("nothing in the log is signed by its key")

    def look_at_tail(self):
        if self.problems or not self.unsigned:
            return
        lasted = datetime.datetime.fromisoformat(self.time) - datetime.datetime.fromisoformat(self.unsigned_since)
        if self.unsigned > UNSIGNED_MAX or lasted > UNSIGNED_FOR_MAX:
            self.notice(f"the last {self.unsigned} records, of {lasted}, are not signed, which no writer leaves whose disk is well")

    def look_for_checkpoints(self):
        if self.problems or not self.next:
            return
        if not self.checkpoints:
            self.notice("nothing is signed: the log has no checkpoint")
        elif self.stored_size is None:
            self.notice("checkpoints.jsonl has no checkpoint: no witness has cosigned any that is there, and nothing tells whether the end of the log was cut off")

    def look_for_cosignatures(self):
        for number, size, name in self.taken:
            last = self.covered if self.stored_size is None else self.stored_size
            if last > number and size not in self.cosigned.get(name, ()):
                self.notice(f"a cosignature is missing: record {number} tells of one by {name} on the checkpoint of {size} records")
        self.more_notices += self.more_taken
        for witness in self.witnesses:
            if self.checkpoints and witness.name not in self.cosigned:
                self.notice(f"cosignatures are missing: none is by the witness {witness.name}")


def verify(folder, key, anchors=(), witnesses=(), records_min=0):
    """Verifies the log in a folder with a key's text. What it finds is in `problems`, `notices`, `next` and `checkpoints`.

    Somebody may write to it meanwhile: it is looked at again when a segment went that was retired, and when a write may be under way.
    """
    seen = None
    for look in range(1, LOOKS + 1):
        try:
            verifier = Verifier(folder, Key(key), anchors, witnesses, records_min).run()
        except FileNotFoundError:
            if look == LOOKS:
                raise
        else:
            found = verifier.problems, verifier.next, verifier.torn
            if verifier.settled or look == LOOKS or found == seen:
                return verifier
            seen = found
        time.sleep(WRITE_MAX)


def argument(text):
    """A key that stands in a file, or is given as it is."""
    return key_text(text) if os.path.exists(text) else text


def main():
    parser = argparse.ArgumentParser(description="Verifies a witness log.")
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--key", required=True, metavar="KEYFILE|VKEY", help="the verifier key of the log")
    parser.add_argument("--anchor", action="append", default=[], metavar="FILE", help="a checkpoint that was kept elsewhere")
    parser.add_argument("--witness", action="append", default=[], metavar="KEYFILE|VKEY", help="the key of a witness")
    parser.add_argument("--records", type=int, default=0, metavar="N", help="how many records must be there at least")
    options = parser.parse_args()
    try:
        anchors = []
        for path in options.anchor:
            with open(path, encoding="utf-8", newline="") as file:
                anchors.append(Checkpoint(file.read(CHECKPOINT_LINE_MAX)))
        witnesses = [Key(argument(text), COSIGNS) for text in options.witness]
        found = verify(options.folder, argument(options.key), anchors, witnesses, options.records)
    except (Malformed, OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 2
    for notice in found.notices:
        print(f"notice: {notice}", file=sys.stderr)
    if found.more_notices:
        print(f"notice: {found.more_notices} more", file=sys.stderr)
    for problem in found.problems:
        print(problem)
    if not found.problems:
        word = "torn" if found.torn else "ok"
        print(f"{word}: {found.next} records, {found.checkpoints} checkpoints")
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
