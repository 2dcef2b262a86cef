"""`strowger verify expert` against a baresip that plays the expert: over TLS with SRTP, where it plays back what it hears; over
UDP, where it says something of its own; and where nobody answers, or nobody agreed to call."""

import json
import os
import subprocess

import harness
from harness import case, check, wait_for
from phones import TONES, module_path, write_tone

# From the message to being heard by an expert who hears, on loopback, in milliseconds.
TWO_WAY_MS = 300
# One way, on loopback.
LATENCY_MS = 100


class Expert:
    """A baresip that waits for calls at an address of its own, and answers them at once."""

    def __init__(self, bench, name, sound, more="", config="", answers="auto"):
        folder = bench.path(name)
        os.makedirs(folder)
        self.port = harness.free_port("127.0.0.1")
        text = f"""
poll_method epoll
sip_listen 127.0.0.1:{self.port}
net_interface 127.0.0.1
call_max_calls 4
{sound}
audio_srate 8000
audio_channels 1
ausrc_srate 8000
ausrc_channels 1
jitter_buffer_delay 1-5
module_path {module_path()}
module g711.so
module aufile.so
module aubridge.so
module menu.so
module srtp.so
module account.so
{config}
"""
        account = f"<sip:lind@127.0.0.1{more}>;regint=0;answermode={answers};audio_codecs=PCMU/8000/1"
        account += ";mediaenc=srtp-mand\n" if more else "\n"
        for file, said in (("config", text), ("accounts", account), ("contacts", "")):
            bench.write(os.path.join(name, file), said)
        bench.start(name, ["baresip", "-f", folder, "-v", "-t", "120"])
        wait_for(lambda: "baresip is ready" in harness.read(bench.path(f"{name}.log")), "the expert's telephone is ready")


def verify(bench, name, *words):
    """The report, and how the command has ended."""
    report = bench.path(f"{name}.json")
    command = [bench.binary, "verify", "expert", *words, "--report", report]
    done = subprocess.run(command, text=True, capture_output=True, timeout=100, check=False, stdin=subprocess.DEVNULL)
    said = {}
    if os.path.exists(report):
        with open(report, encoding="utf-8") as file:
            said = json.load(file)
    return said, done


def passed(report, done):
    failed = [one for one in report.get("checks", []) + report.get("refusals", []) if not one["ok"]]
    check(done.returncode == 0 and report["passed"] and not failed, f"all checks pass: {failed} {done.stdout}{done.stderr}")
    check(len(report["checks"]) == 17 and len(report["refusals"]) == 2, f"they are 17 and two: {report}")


@case("an expert's path is verified over TLS and SRTP", alone=True)
def over_tls(bench):
    key, certificate, both = bench.path("key.pem"), bench.path("certificate.pem"), bench.path("both.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "3",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    with open(both, "w", encoding="utf-8") as file:
        file.write(harness.read(key) + harness.read(certificate))
    echo = "audio_source aubridge,echo\naudio_player aubridge,echo"
    expert = Expert(bench, "expert", echo, more=";transport=tls", config=f"sip_certificate {both}")
    # TLS has the port after that of UDP and TCP.
    uri = f"sip:lind@127.0.0.1:{expert.port + 1};transport=tls"
    report, done = verify(bench, "tls", uri, "--ca", certificate, "--echo", "--rounds", "7", "--hold", "2")
    passed(report, done)
    figures = report["figures"]
    two_way, latency = figures["two_way_ms"], figures["latency_ms"]["one_way"]
    check(len(two_way["all"]) == 7, f"seven rounds: {figures}")
    check(two_way["median"] < TWO_WAY_MS and two_way["max"] < 2_000, f"the expert hears and is heard in time: {two_way}")
    check(latency < LATENCY_MS, f"what is said is heard in time: {latency} ms")
    # Whose certificate nobody vouches for is not talked to.
    report, done = verify(bench, "untrusted", uri, "--echo", "--ring", "2")
    check(done.returncode == 1 and not report["passed"], f"it is not trusted: {done.stdout}")


@case("an expert's path is verified over UDP, and not where nobody answers", alone=True)
def over_udp(bench):
    tone = bench.path("tone.wav")
    write_tone(tone, TONES[1], 60)
    sound = f"audio_source aufile,{tone}\naudio_player aubridge,nowhere"
    expert = Expert(bench, "expert", sound)
    report, done = verify(bench, "udp", f"sip:lind@127.0.0.1:{expert.port}", "--rounds", "2", "--hold", "2")
    passed(report, done)
    silent = Expert(bench, "silent", sound, answers="manual")
    report, done = verify(bench, "silent", f"sip:lind@127.0.0.1:{silent.port}", "--rounds", "1", "--ring", "2")
    check(done.returncode == 1, f"nobody answers: {done.stdout}")
    said = {one["name"]: one["detail"] for one in report["checks"] if not one["ok"]}
    check("no_expert" in said["set-up time"] and said["BYE"] == "it did not come to this", f"and the report says so: {said}")
    report, done = verify(bench, "elsewhere", "sip:lind@192.0.2.7")
    check(done.returncode == 2 and "--yes" in done.stderr and not report, f"nobody has agreed to call there: {done}")
