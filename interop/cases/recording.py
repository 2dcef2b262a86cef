"""Two baresips talk and the policy has their call recorded: the files are opened by ffprobe and sox, and what is on each side of
them is told by its content, as what telephones have heard is.
"""

import glob
import hashlib
import json
import os
import shutil
import subprocess
import time
import wave

import phones
from cases.handover import ask, token
from cases.transcoding import MD5
from harness import DOMAIN, Skipped, case, check, read, wait_for
from phones import TONES, Phone

POLICY = """[[rule]]
name = "kept"
when = { action = "call" }
then = "conditional"
obligations = { record = true, consent = "agreed" }
"""
# A pair of tests: it keeps nothing secret.
RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
IDENTITY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"


def exchange_of(bench, more="", consent="agreed", **options):
    """An exchange that has calls recorded."""
    policy = bench.write("policy.toml", POLICY.replace("agreed", consent))
    extra = f'{MD5}[policy]\nfile = "{policy}"\n[recording]\n{more}'
    return bench.exchange(extra=extra, users=["alice", "bob"], **options)


def talk(bench, exchange, codecs, seconds=6, more=""):
    """Alice calls bob, and both play their tones."""
    bob = Phone(bench, exchange, "bob", TONES[1], answers=True, seconds=seconds + 3, codec=codecs[1])
    wait_for(lambda: exchange.metric("strowger_bindings") == 1, "bob is registered")
    return Phone(bench, exchange, "alice", TONES[0], dial=f"sip:bob@{DOMAIN}", seconds=seconds, codec=codecs[0], more=more), bob


def has_one(channel, rate, own):
    """Fails unless a channel has its party's tone and none of the others."""
    begin, end = len(channel) // 4, len(channel) * 3 // 4
    step = rate // 5
    windows = [channel[at : at + step] for at in range(begin, end - step + 1, step)]
    shares = {tone: sum(phones.share(window, rate, tone) for window in windows) / len(windows) for tone in TONES}
    shown = ", ".join(f"{part:.1%} at {tone} Hz" for tone, part in shares.items())
    check(shares[own] > 0.9, f"{own} Hz is in its channel: {shown}")
    check(max(part for tone, part in shares.items() if tone != own) < 0.01, f"and nothing else: {shown}")


def channels(path):
    """The channels of a recording, as sox reads it, and their rate."""
    probed = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "stream=channels,sample_rate:format=duration", "-of", "json", path],
        capture_output=True, text=True, timeout=30, check=True,
    )
    said = json.loads(probed.stdout)
    plain = f"{path}.plain.wav"
    # sox reads no mapping family 1 of Ogg/Opus everywhere; ffmpeg does.
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", path, "-ar", "8000", plain], timeout=30, check=True)
    subprocess.run(["sox", plain, "-n", "stat"], capture_output=True, timeout=30, check=True)
    with wave.open(plain, "rb") as file:
        count, samples = file.getnchannels(), phones.array.array("h", file.readframes(file.getnframes()))
    check(count == said["streams"][0]["channels"], "both readers find the same channels")
    return [samples[place::count] for place in range(count)], 8000, float(said["format"]["duration"])


def told(exchange, call=None):
    """What the witness log says of recordings, or of those of a call."""
    folder = os.path.join(exchange.data, "witness")
    records = [json.loads(line) for path in sorted(glob.glob(f"{folder}/*.jsonl")) if "checkpoints" not in path
               for line in read(path).rstrip("\0").splitlines()]
    return [record for record in records if record["kind"] == "recording" and call in (None, record.get("call_id"))]


def well_recorded(bench, exchange, folder, consent="agreed", before=()):
    """Waits for the recording, and holds its files against the witness log. Their paths."""
    wait_for(lambda: exchange.metric("strowger_recordings_ended_total", result="complete") == 1, "the recording is complete", 10)
    outcomes = [record["outcome"] for record in told(exchange)]
    check(outcomes == [*before, "begun", "ended", "complete"], f"the log tells of it: {outcomes}")
    begun, last = told(exchange)[len(before)], told(exchange)[-1]
    check(begun["facts"]["consent"] == consent, "and on what ground it was made")
    traced = subprocess.run(
        [*exchange.program, "--config", exchange.config, "--json", "witness", "trace", last["trace_id"]],
        capture_output=True, text=True, timeout=20,
    )
    names = [file["name"] for file in last["facts"]["files"]]
    wait_for(lambda: beside_the_call(exchange, last["call_id"], last["facts"]["files"]), f"the call's record names {names}")
    paths = []
    for file in last["facts"]["files"]:
        path = os.path.join(folder, file["name"])
        with open(path, "rb") as opened:
            data = opened.read()
        check(hashlib.sha256(data).hexdigest() == file["sha256"] and len(data) == file["bytes"], "its hash is that of the file")
        check(file["sha256"] in traced.stdout, f"and is in its trace: {traced.stdout[-500:]}{traced.stderr}")
        paths.append(path)
    check(not glob.glob(f"{folder}/*.part"), "nothing is left under a temporary name")
    return paths


def beside_the_call(exchange, call, files):
    """Are these files of the witness log, with their hashes, those that the call's detail record names?"""
    command = [*exchange.program, "--config", exchange.config, "--json", "cdr", "show", call]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=20)
    if shown.returncode != 0:
        return False
    named = [file for recording in json.loads(shown.stdout)["recordings"] for file in recording["files"]]
    wanted = [{key: file[key] for key in ("name", "bytes", "sha256")} for file in files]
    return named == wanted


def decrypted(bench, exchange, path):
    identity = bench.write("identity.txt", IDENTITY + "\n")
    os.chmod(identity, 0o600)
    command = [*exchange.program, "recording", "decrypt", path, "--identity", identity]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    check(done.returncode == 0, f"it is decrypted: {done.stderr}")
    return path.removesuffix(".age")


def needs(*tools):
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        raise Skipped(f"{', '.join(missing)} is not here")


def both_are_there(path, seconds):
    found, rate, duration = channels(path)
    check(len(found) == 2, "a party a channel")
    check(seconds - 2.5 < duration < seconds + 1.5, f"it is as long as the call: {duration:.1f} s of {seconds}")
    for channel, own in zip(found, TONES):
        has_one(channel, rate, own)


@case("a recording in stereo, PCMU and Opus, encrypted", slow=True)
def stereo(bench):
    needs("ffprobe", "ffmpeg", "sox")
    exchange = exchange_of(bench, f'recipients = ["{RECIPIENT}"]\n')
    alice, bob = talk(bench, exchange, ("PCMU", "opus"))
    alice.finish()
    bob.finish()
    alice.hears(TONES[1])
    bob.hears(TONES[0])
    (path,) = well_recorded(bench, exchange, os.path.join(exchange.data, "recordings"))
    with open(path, "rb") as file:
        check(file.read(21) == b"age-encryption.org/v1", "it is encrypted")
    both_are_there(decrypted(bench, exchange, path), 6)
    exchange.gone()


@case("a recording in Ogg/Opus, one codec and SRTP", slow=True)
def opus(bench):
    needs("ffprobe", "ffmpeg", "sox")
    folder = bench.path("kept")
    exchange = exchange_of(bench, f'container = "opus"\nfolder = "{folder}"\n')
    alice, bob = talk(bench, exchange, ("PCMA", "PCMA"), more=";mediaenc=srtp-mand")
    alice.finish()
    bob.finish()
    (path,) = well_recorded(bench, exchange, folder)
    both_are_there(path, 6)
    exchange.gone()


@case("a recording that is paused by an operator", slow=True)
def paused(bench):
    needs("ffprobe", "ffmpeg", "sox")
    exchange = exchange_of(bench)
    bearer = token(exchange)
    wait_for(lambda: ask(exchange, bearer, "GET", "/version"), "the management API listens")
    alice, bob = talk(bench, exchange, ("PCMU", "PCMU"), seconds=9)
    wait_for(lambda: exchange.metric("strowger_recordings") == 1, "it is recorded")
    wait_for(lambda: told(exchange), "that is written down")
    call = told(exchange)[0]["call_id"]

    time.sleep(1)
    ask(exchange, bearer, "POST", f"/calls/{call}/recording?change=pause")
    check(ask(exchange, bearer, "GET", f"/calls/{call}")["recording"] == "paused", "it is paused")
    time.sleep(3)
    ask(exchange, bearer, "POST", f"/calls/{call}/recording?change=resume")
    alice.finish()
    bob.finish()
    wait_for(lambda: exchange.metric("strowger_recordings_ended_total", result="complete") == 1, "it is complete", 10)
    outcomes = [record["outcome"] for record in told(exchange)]
    check(outcomes == ["begun", "paused", "resumed", "ended", "complete"], f"the log tells of it: {outcomes}")
    last = told(exchange)[-1]["facts"]
    check(last["pauses"] == 1 and 3_000 < last["duration_ms"] < 7_500, f"three seconds are left out: {last}")
    exchange.gone()


@case("a recording that both parties are told of", slow=True)
def announced(bench):
    needs("ffprobe", "ffmpeg", "sox")
    folder = bench.path("sounds")
    os.makedirs(folder)
    phones.write_tone(os.path.join(folder, "told.wav"), TONES[2], 2)
    exchange = exchange_of(bench, 'announcement = "told.wav"\n', consent="announced", media=f'sounds = "{folder}"')
    alice, bob = talk(bench, exchange, ("PCMU", "opus"), seconds=10)
    alice.finish()
    bob.finish()
    for phone, other in ((alice, TONES[1]), (bob, TONES[0])):
        loudest = phones.greatest_share(phone.recording(), TONES[2])
        check(loudest > 0.8, f"{phone.user} has heard the announcement: {loudest:.0%}")
        phone.hears(other, (1 / 2, 3 / 4))
    (path,) = well_recorded(bench, exchange, os.path.join(exchange.data, "recordings"), "announced", ("told", "told"))
    parties = sorted(record["facts"]["party"] for record in told(exchange)[:2])
    check(parties == ["called", "caller"], f"the log says who was told: {parties}")
    # Two seconds of the call are before the recording.
    both_are_there(path, 8)
    exchange.gone()


def small_disk(bench, kilobytes):
    """A folder on a disk of its own, and what runs programs where that is there."""
    needs("unshare")
    folder = bench.path("kept")
    os.makedirs(folder)
    script = f'mount --make-rprivate / && mount -t tmpfs -o size={kilobytes}k tmpfs {folder} && exec "$@"'
    within = ("unshare", "-m", "sh", "-c", script, "sh")
    if os.geteuid() != 0 or subprocess.run([*within, "true"], capture_output=True, timeout=10).returncode != 0:
        raise Skipped("mounting is for root")
    return folder, within


@case("a recording whose disk is full ends and the call goes on", slow=True)
def full(bench):
    folder, within = small_disk(bench, 96)
    exchange = exchange_of(bench, f'folder = "{folder}"\nrequired = false\n', within=within)
    alice, bob = talk(bench, exchange, ("PCMU", "PCMU"), seconds=9)
    wait_for(lambda: exchange.metric("strowger_recordings_ended_total", result="failed") == 1, "the disk ends it", 15)
    check(exchange.metric("strowger_calls") == 1, "the call goes on")
    alice.finish()
    bob.finish()
    alice.hears(TONES[1])
    bob.hears(TONES[0])
    outcomes = [record["outcome"] for record in told(exchange)]
    check(sorted(outcomes) == ["begun", "cut_short", "failed"], f"the log tells of it: {outcomes}")
    cut = next(record for record in told(exchange) if record["outcome"] == "cut_short")
    check("No space" in cut["reason"] and cut["facts"]["files"], f"and why: {cut}")
    exchange.gone()


@case("a recording that is required and whose disk is full ends the call", slow=True)
def required(bench):
    folder, within = small_disk(bench, 96)
    exchange = exchange_of(bench, f'folder = "{folder}"\n', within=within)
    alice, bob = talk(bench, exchange, ("PCMU", "PCMU"), seconds=12)
    wait_for(lambda: exchange.metric("strowger_recordings_ended_total", result="failed") == 1, "the disk ends it", 15)
    wait_for(lambda: exchange.metric("strowger_calls") == 0, "and with it the call")
    check(alice.process.poll() is None, "before its parties would have")
    alice.finish()
    bob.finish()
    exchange.gone()
