"""Evidence that is given with an escalation: handed in by parts, taken by a link, by curl and by the exchange's own command."""

import base64
import hashlib
import json
import os
import re
import subprocess

from harness import case, check, read, wait_for
from cases.escalation import ESCALATION, expert, strowger
from cases.handover import ask, token
from cases.rooms import ROOM
from cases.transcoding import MD5

CHUNK = 65536


def curl(*words):
    """The status, the headers and the body of an answer, as curl has them."""
    done = subprocess.run(["curl", "-sS", "-i", "--http1.1", "-m", "20", *words], capture_output=True, timeout=30, check=False)
    check(done.returncode == 0, f"curl is answered: {done.stderr}")
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body


def encoded(text):
    return base64.b64encode(text).decode()


class Uploads:
    """A client of tus that was not written with the exchange."""

    def __init__(self, bench, exchange, bearer):
        self.bench = bench
        self.base = f"http://127.0.0.1:{exchange.api_port}"
        self.opens = ["-H", f"Authorization: Bearer {bearer}", "-H", "Tus-Resumable: 1.0.0"]

    def create(self, escalation, name, length, sha256):
        metadata = f"filename {encoded(name.encode())},sha256 {encoded(sha256.encode())}"
        return curl("-X", "POST", *self.opens, "-H", f"Upload-Length: {length}", "-H", f"Upload-Metadata: {metadata}",
                    f"{self.base}/api/v1/escalations/{escalation}/evidence")

    def patch(self, path, offset, chunk, checksum=None):
        checksum = checksum or hashlib.sha256(chunk).digest()
        return curl("-X", "PATCH", *self.opens, "-H", "Content-Type: application/offset+octet-stream",
                    "-H", f"Upload-Offset: {offset}", "-H", f"Upload-Checksum: sha256 {encoded(checksum)}",
                    "--data-binary", f"@{written(self.bench, 'chunk', chunk)}", f"{self.base}{path}")

    def offset(self, path):
        return int(curl("-I", *self.opens, f"{self.base}{path}")[1]["upload-offset"])


def written(bench, name, content):
    path = bench.path(name)
    with open(path, "wb") as file:
        file.write(content)
    return path


def outcomes(exchange, bearer, trace):
    found = ask(exchange, bearer, "GET", f"/witness/traces/{trace}?limit=200")
    return [record.get("outcome") for record in found["records"] if record["kind"] == "evidence"]


@case("evidence is handed in by parts, broken off, and taken by a link", slow=True)
def custody(bench):
    exchange = bench.exchange(extra=MD5 + ROOM + ESCALATION + "[evidence]\nbytes_max = 1000000\n", users=["bob"])
    bearer = token(exchange)
    wait_for(lambda: ask(exchange, bearer, "GET", "/version"), "the management API listens")
    expert(bench, exchange, "bob", 2)
    wait_for(lambda: ask(exchange, bearer, "GET", "/experts")["total"] == 1, "bob is known while it runs")
    picture, text = os.urandom(200_000), b"call jane@example.org about valve 7\n"
    files = [written(bench, "valve.png", picture), written(bench, "note.txt", text)]
    said = strowger(exchange, "escalate", "--hazard", "safety", "--text", "valve 7 is open", "--json",
                    "--evidence", files[0], "--evidence", files[1])
    told = json.loads(said[0])
    check([piece["state"] for piece in told["evidence"]] == ["whole", "whole"], f"both are there: {said}")
    check([piece["redacted"] for piece in told["evidence"]] == [0, 1], f"jane is blotted out: {told['evidence']}")
    escalation = told["id"]

    uploads = Uploads(bench, exchange, bearer)
    an_upload_that_breaks_off(uploads, escalation)
    status, _, _ = uploads.create(escalation, "film.mp4", 1 << 30, "00" * 32)
    check(status == 413, f"a gigabyte is too much: {status}")

    link = strowger(exchange, "evidence", "link", escalation, "--to", "bob")[0].strip()
    out = bench.path("taken")
    said = strowger(exchange, "evidence", "fetch", link, "--out", out, "--json")
    check(said[1] == 0, f"bob has the evidence: {said}")
    receipts = [json.loads(line) for line in said[0].splitlines()]
    check(len(receipts) == 3 and {receipt["to"] for receipt in receipts} == {"bob"}, f"three receipts: {receipts}")
    check(read_bytes(f"{out}/valve.png") == picture, "the picture is the same")
    check(read(f"{out}/note.txt") == "call [REDACTED:EMAIL] about valve 7\n", "the note names nobody")
    by_link(link, picture)
    seen = outcomes(exchange, bearer, told["trace_id"])
    for wanted in ("whole", "refused", "handed_out", "received"):
        check(wanted in seen, f"{wanted} is on record: {seen}")
    check("jane@" not in json.dumps(ask(exchange, bearer, "GET", f"/witness/traces/{told['trace_id']}?limit=200")),
          "nobody is named in the record")
    check(exchange.metric("strowger_evidence_pieces") == 3, "three pieces are kept")
    exchange.gone()


def an_upload_that_breaks_off(uploads, escalation):
    """A chunk comes, one comes wrong, one comes twice, and the rest comes."""
    whole = os.urandom(3 * CHUNK + 5)
    status, headers, _ = uploads.create(escalation, "readings.bin", len(whole), hashlib.sha256(whole).hexdigest())
    check(status == 201, f"it may come: {status}")
    path = headers["location"]
    check(uploads.patch(path, 0, whole[:CHUNK])[0] == 204, "the first chunk")
    status, _, _ = uploads.patch(path, CHUNK, whole[CHUNK:2 * CHUNK], checksum=bytes(32))
    check(status == 460, f"a chunk that was damaged is refused: {status}")
    check(uploads.offset(path) == CHUNK, "and was not taken")
    check(uploads.patch(path, 0, whole[:CHUNK])[0] == 409, "nor is one that was taken already")
    for offset in range(CHUNK, len(whole), CHUNK):
        status, headers, _ = uploads.patch(path, offset, whole[offset:offset + CHUNK])
        check(status == 204, f"the rest is taken: {status}")
    check(int(headers["upload-offset"]) == len(whole), f"all of it has come: {headers}")
    wrong = uploads.create(escalation, "other.bin", 4, "00" * 32)[1]["location"]
    check(uploads.patch(wrong, 0, b"abcd")[0] == 460, "what is not what was announced is refused")
    status, _, _ = curl("-I", *uploads.opens, f"{uploads.base}{wrong}")
    check(status == 404, f"and is gone: {status}")


def by_link(link, picture):
    """What the link opens to curl, and what it does not."""
    base, query = link.split("?")
    listed = json.loads(curl(link)[2])["evidence"]
    piece = next(piece for piece in listed if piece["name"] == "valve.png")
    hashes = [hashlib.sha256(picture[at:at + CHUNK]).hexdigest() for at in range(0, len(picture), CHUNK)]
    check(piece["chunks"] == hashes, "each chunk has its SHA-256")
    content = f"{base}/{piece['id']}/content?{query}"
    status, headers, body = curl("-r", "100000-100099", content)
    check((status, body) == (206, picture[100_000:100_100]), f"a part of it: {status}")
    digest = encoded(hashlib.sha256(picture).digest()).lower()
    check(headers["repr-digest"] == f"sha-256=:{digest}:", f"its digest: {headers}")
    check(curl("-X", "POST", "-H", "Content-Type: application/json", "-d", json.dumps({"sha256": "00" * 32}),
               f"{base}/{piece['id']}/receipts?{query}")[0] == 409, "there is no receipt for anything else")
    check(curl("-X", "DELETE", f"{base}/{piece['id']}?{query}")[0] == 401, "a link removes nothing")
    forged = re.sub("to=bob", "to=eve", content)
    check(curl(forged)[0] == 403, "nor is it for anybody else")
    expired = re.sub(r"expires=\d+", "expires=1", content)
    check(curl(expired)[0] == 403, "nor for any other time")


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()
