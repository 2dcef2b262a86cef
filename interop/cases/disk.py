"""Disks that fill up, refuse, are slow or fail under the data folder of an exchange that carries calls, and a clock that is set.

Each disk is an ext4 of its own in a file, mounted in a mount namespace that is gone with the case. That takes root; without
it, and where the kernel lacks something, the case is skipped and says so.
"""

import contextlib
import errno
import glob
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time

from cases.calls import CALLEE, CALLER, two_trunks
from cases.crash import ended, records
from cases.witness import auditors_key, folder_of, well
from harness import Skipped, case, check, kill, read, wait_for
from sipp import Sipp

# Calls a second, and how many of a kind are waited for.
RATE = 40
SOME = 40
# Long enough for a machine that is busy.
PATIENCE = 60
EXTRA = "[witness]\ncheckpoint_records = 100\n"


@case("the disk is full and has room again", alone=True)
def full(bench):
    disk = Disk(bench)
    exchange, load = carries_calls(bench, disk)
    filler = os.path.join(disk.folder, "filler")
    fill(filler)
    load.more("refused", "calls are refused while the disk is full")
    not_ready(exchange)
    check(free_bytes(disk.folder) < 1 << 16, "the disk has no room")
    os.remove(filler)
    load.more("answered", "calls are answered when there is room again")
    whole(exchange, load)


@case("the log's files can not be written and can again", alone=True)
def immutable(bench):
    if not shutil.which("chattr"):
        raise Skipped("chattr is not here")
    disk = Disk(bench)
    exchange, load = carries_calls(bench, disk)
    attributes("+i", disk.folder)
    try:
        load.more("refused", "calls are refused while nothing can be written")
        not_ready(exchange)
        # For so long that the log tries more often than once.
        time.sleep(2)
    finally:
        attributes("-i", disk.folder)
    load.more("answered", "calls are answered when everything can be written again")
    log = whole(exchange, load)
    said = [record["outcome"] for record in log if record["kind"] == "log"]
    check("resumed" in said, f"the log says that nothing could be written for a while: {said}")


@case("the file system becomes read-only", alone=True)
def read_only(bench):
    disk = Disk(bench)
    exchange, load = carries_calls(bench, disk)
    # Nobody gets this far on purpose: the kernel lets no file system be made read-only that is written to.
    busy = disk.run("mount", "-o", "remount,ro", disk.mounted)
    check("busy" in busy.stderr, f"a file system that is written to is not made read-only: {busy.stderr.strip()}")
    # As an error of the disk does it: every write fails from now on, until the file system is repaired.
    done = disk.run("mount", "-o", "remount,abort", disk.mounted)
    if done.returncode != 0 or not refuses(os.path.join(disk.folder, "new")):
        raise Skipped(f"this kernel does not abort a file system: {done.stderr.strip()}")
    load.more("refused", "calls are refused while the file system is read-only")
    not_ready(exchange)
    told = load.stop()
    exchange.alive()
    exchange.stop(30)
    disk.repair()
    exchange.start()
    load = Load(bench, exchange, load.port, "again")
    load.more("answered", "calls are answered after a restart on the repaired file system")
    # Call records are synced once a second. What was not when the disk failed is lost with it, as when the power fails.
    whole(exchange, load, told, records_lost=2 * RATE)


@case("the disk is slow for a while", alone=True)
def slow(bench):
    disk = Disk(bench)
    exchange, load = carries_calls(bench, disk, "patience_ms = 1000\n")
    with Throttle(exchange.process.pid, disk.device(), writes_per_second=1):
        load.more("refused", "a call whose record does not get to the disk in time is refused")
        exchange.alive()
    load.more("answered", "calls are answered when the disk is fast again")
    whole(exchange, load)


@case("the disk loses writes and says so", alone=True)
def failing(bench):
    # The file with the file system lies on one that has no room for all of it. What was written once can be written again.
    disk = Disk(bench, megabytes=512, backing_megabytes=24, options=("-O", "^has_journal"))
    exchange, load = carries_calls(bench, disk)
    # The disk says yes as long as nobody asks whether it is there.
    disk.exhaust()
    load.more("refused", "calls are refused while writes fail")
    not_ready(exchange)
    # What could not be written may be forgotten as soon as somebody else wants the memory.
    forget()
    disk.relieve()
    load.more("answered", "calls are answered when writes succeed again")
    # This file system has lost writes of its own, with which it may have lost parts of a database that was on the disk.
    whole(exchange, load, may_be_damaged=True)


@case("the wall clock is set while calls go on")
def clock(bench):
    faked = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not faked:
        raise Skipped("libfaketime is not here (Debian: faketime)")
    offset = bench.write("clock", "+0\n")
    fake = {"LD_PRELOAD": faked[0], "FAKETIME_TIMESTAMP_FILE": offset, "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    within = ("env", *(f"{name}={value}" for name, value in fake.items()))
    exchange, port = two_trunks(bench, extra=EXTRA, media='mode = "direct"', level="warn", within=within)
    load = Load(bench, exchange, port)
    load.more("answered", "calls are answered")
    for setting in ("+3600\n", "-7200\n"):
        bench.write("clock.new", setting)
        os.replace(bench.path("clock.new"), offset)
        load.more("answered", "calls are answered whatever the wall clock shows", more=2 * RATE)
    wait_for(lambda: len(jumps(exchange)) == 2, "each step of the clock is a record", PATIENCE)
    log = whole(exchange, load)
    steps = [facts["to"] - facts["from"] for facts in jumps(exchange)]
    check(abs(steps[0] - 3_600_000) < 5_000 and abs(steps[1] + 10_800_000) < 5_000, f"the steps are what they were: {steps}")
    check([record["seq"] for record in log] == list(range(len(log))), "the records are in the order of their numbers")
    times = [record["time"] for record in log]
    early = [number for number in range(1, len(times)) if seconds(times[number]) < seconds(times[number - 1]) - 1]
    check(not early, f"the time of the records goes on as before: {early[:5]}")


class Disk:
    """A file system for the data folder, and the mount namespace in which it is there."""

    def __init__(self, bench, megabytes=48, backing_megabytes=None, options=()):
        if os.geteuid() != 0:
            raise Skipped("mounting is for root")
        missing = [tool for tool in ("unshare", "nsenter", "mkfs.ext4", "e2fsck", "losetup") if not tool_path(tool)]
        if missing:
            raise Skipped(f"{', '.join(missing)} is not here")
        self.mounted, self.image = bench.path("exchange-data"), bench.path("disk.img")
        os.makedirs(self.mounted)
        script = "mount --make-rprivate / && echo ready && exec sleep infinity"
        holder = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        bench.deferred.append(lambda: kill(holder))
        if holder.stdout.readline() != "ready\n":
            raise Skipped(f"a mount namespace is not allowed here: {holder.stderr.read().strip()}")
        self.within = ("nsenter", f"--mount=/proc/{holder.pid}/ns/mnt")
        root = f"/proc/{holder.pid}/root"
        # Where it is for everybody else.
        self.folder = root + self.mounted
        if backing_megabytes:
            self.backing = bench.path("backing")
            os.makedirs(self.backing)
            self.must("mount", "-t", "tmpfs", "-o", f"size={backing_megabytes}m", "tmpfs", self.backing)
            self.image, self.hog = os.path.join(self.backing, "disk.img"), root + os.path.join(self.backing, "hog")
        self.must("truncate", "-s", f"{megabytes}M", self.image)
        self.must("mkfs.ext4", "-q", "-F", "-m", "0", *options, self.image)
        self.mount()

    def run(self, *command):
        """Runs a program where the file system is."""
        return subprocess.run([*self.within, *command], capture_output=True, text=True, timeout=60)

    def must(self, *command):
        done = self.run(*command)
        if done.returncode != 0:
            raise Skipped(f"{command[0]} cannot be done here: {done.stderr.strip()}")

    def mount(self):
        self.must("mount", "-o", "loop", self.image, self.mounted)

    def repair(self):
        self.must("umount", self.mounted)
        done = self.run("e2fsck", "-f", "-p", self.image)
        check(done.returncode in (0, 1), f"the file system can be repaired: {done.stdout}{done.stderr}")
        self.mount()

    def device(self):
        """The numbers of its device, as `7:0`."""
        numbers = os.stat(self.folder).st_dev
        return f"{os.major(numbers)}:{os.minor(numbers)}"

    def exhaust(self):
        """Takes all the room that the file with the file system could grow into."""
        fill(self.hog)

    def relieve(self):
        os.remove(self.hog)


class Throttle:
    """Lets a process write to a device so many times a second, by a control group."""

    def __init__(self, pid, device, writes_per_second):
        self.group = f"/sys/fs/cgroup/blkio/strowger-interop-{pid}"
        self.file = os.path.join(self.group, "blkio.throttle.write_iops_device")
        self.pid, self.device, self.writes = pid, device, writes_per_second

    def __enter__(self):
        try:
            os.mkdir(self.group)
            self.say(self.writes)
            self.move(self.group)
        except OSError as error:
            raise Skipped(f"a control group for block devices (blkio) is not to be had here: {error}") from error

    def __exit__(self, *_):
        self.say(0)
        self.move(os.path.dirname(self.group))
        os.rmdir(self.group)

    def say(self, writes):
        with open(self.file, "w", encoding="ascii") as file:
            file.write(f"{self.device} {writes}")

    def move(self, group):
        with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write(str(self.pid))


class Load:
    """Calls that go on, and what has become of each."""

    def __init__(self, bench, exchange, port, name="c"):
        self.bench, self.exchange, self.port, self.name = bench, exchange, port, name
        self.log = f"{name}.log"
        many = {"calls": 1_000_000, "rate": RATE, "trace": False, "seconds": 600}
        self.server = Sipp(bench, "uas", CALLEE, port=port, RING=0, name=f"uas-{name}", **many).listening()
        options = ("-trace_logs", "-log_file", self.log)
        self.client = Sipp(bench, "uac_outcome", CALLER, to=exchange.to, CALLER=f"{name}[call_number]", TALK=100,
                           options=options, name=f"uac-{name}", **many)

    def told(self):
        """The callers by what has become of their calls."""
        told = {"answered": set(), "refused": set(), "finished": set()}
        for what, number in re.findall(r"(answered|refused|finished) (\d+)", read(self.bench.path(self.log))):
            told[what].add(f"{self.name}{number}")
        return told

    def more(self, what, claim, more=SOME):
        """Waits for more of these than there are."""
        before = len(self.told()[what])

        def come():
            self.exchange.alive()
            check(self.client.process.poll() is None, "sipp goes on")
            return len(self.told()[what]) >= before + more

        wait_for(come, claim, PATIENCE)

    def stop(self):
        """Begins no more calls, and says what has become of all of them when they are over."""
        os.kill(self.client.process.pid, signal.SIGUSR1)
        wait_for(lambda: self.client.process.poll() is not None, "the last calls end", PATIENCE)
        wait_for(lambda: ended(self.server.process), "sipp ends when it is told to")
        return self.told()


def carries_calls(bench, disk, witness=""):
    """An exchange on this disk, and calls that it answers."""
    exchange, port = two_trunks(bench, extra=EXTRA + witness, media='mode = "direct"', level="warn", within=disk.within)
    exchange.data = disk.folder
    load = Load(bench, exchange, port)
    load.more("answered", "calls are answered")
    return exchange, load


def not_ready(exchange):
    check(exchange.get("/healthz") is not None, "the exchange is well")
    wait_for(lambda: exchange.get("/readyz") is None, "the exchange says that no calls may come")


def whole(exchange, load, *earlier, records_lost=0, may_be_damaged=False):
    """The exchange has gone on without a restart; what it has acknowledged is in its log, which both verifiers find honest.
    Where the database of call records may be damaged, it is whole or the exchange has said that it is not."""
    pid = exchange.process.pid
    wait_for(lambda: exchange.get("/readyz") is not None, "the exchange says that calls may come", PATIENCE)
    told = [load.stop(), *earlier]
    exchange.alive()
    check(exchange.process.pid == pid, "it is the same process")
    exchange.stop(30)
    # Where SQLite finds it, for which a path into another mount namespace leads elsewhere.
    exchange.data = shutil.copytree(exchange.data, exchange.bench.path("copy"), ignore=shutil.ignore_patterns("lost+found"))
    key = auditors_key(exchange)
    log = well(exchange, key)
    admitted = {record["actor"].partition("@")[0] for record in log if record["kind"] == "admission"}
    places = [("in the witness log", admitted, 0)]
    is_damaged = may_be_damaged and "the file is damaged" in read(exchange.bench.path(f"{exchange.name}.log"))
    try:
        found = records(exchange)
    except sqlite3.DatabaseError as error:
        check(is_damaged, f"the database of call records is well: {error}")
    # What is still to be read of one that is damaged says nothing of what was in it.
    if is_damaged:
        found = {}
    else:
        places.append(("in the call records", found.keys(), records_lost))
    for what in ("answered", "finished"):
        callers = set().union(*(one[what] for one in told))
        for place, there, lost in places:
            missing = sorted(callers - there)
            shown = f"{len(missing)} of {len(callers)} are missing, as {missing[:5]}"
            check(len(missing) <= lost, f"each call that was {what} is {place}: {shown}")
    twice = [caller for caller, count in found.items() if count > 1]
    check(not twice, f"no call is recorded twice: {twice[:5]}")
    verify = [exchange.bench.binary, "witness", "verify", folder_of(exchange), "--key", key]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60)
    check(done.returncode == 0, f"the exchange's own verifier finds the log honest: {done.stdout}{done.stderr}")
    return log


def fill(path):
    """Writes a file until there is no room."""
    size = 1 << 20
    with open(path, "wb", buffering=0) as file:
        while size:
            try:
                file.write(b"x" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2
        os.fsync(file.fileno())


def forget():
    """Has the kernel give up all pages that it takes for clean, as it does by itself when memory is short. A container may not
    ask for that; then it comes as it comes."""
    with contextlib.suppress(OSError), open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("3")


def free_bytes(folder):
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


def attributes(change, folder):
    """Makes every file and folder immutable, or no longer so."""
    # But not what SQLite has mapped into memory: to write into such a page of an immutable file is a bus error, which no
    # disk brings about where a page has its place already.
    done = subprocess.run(["find", folder, "!", "-name", "*-shm", "-exec", "chattr", change, "{}", "+"],
                          capture_output=True, text=True, timeout=20)
    if done.returncode != 0 and change.startswith("+"):
        attributes("-i", folder)
        raise Skipped(f"chattr {change} cannot be done here: {done.stderr.strip()}")


def refuses(path):
    """Can no file be made there?"""
    try:
        with open(path, "wb"):
            return False
    except OSError as error:
        return error.errno == errno.EROFS


def jumps(exchange):
    """What the log says of steps of the clock."""
    texts = [read(path) for path in sorted(glob.glob(os.path.join(folder_of(exchange), "0*.jsonl")))]
    lines = [line for text in texts for line in text.split("\n")[:-1] if '"clock_jumped"' in line]
    return [json.loads(line)["facts"] for line in lines]


def seconds(text):
    """A time of a record."""
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


def tool_path(tool):
    return shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")
