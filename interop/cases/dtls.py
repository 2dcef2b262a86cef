"""DTLS-SRTP: handshakes with baresip, which takes a certificate of ours on a curve instead of its own of RSA."""

import os
import re
import subprocess

from harness import DOMAIN, Skipped, case, check, read, wait_for
from phones import TONES, Phone

from cases.phones import MD5

DTLS, SDES, CLEAR = ";mediaenc=dtls_srtp", ";mediaenc=srtp-mand", ""
# With AES-GCM in descriptions this baresip understands nobody.
SUITES = '\nsrtp_suites = ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"]'
SAYS = {DTLS: "UDP/TLS/RTP/SAVP", SDES: "RTP/SAVP", CLEAR: "RTP/AVP"}


def certificates(bench):
    """What baresip is started with so that its certificate is one on a curve."""
    library = bench.path("ec_certificate.so")
    source = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "ec_certificate.c")
    if subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], capture_output=True, check=False).returncode:
        raise Skipped("the certificate of baresip needs a C compiler")
    key, certificate, both = (bench.path(f"curve.{part}") for part in ("key", "crt", "pem"))
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run([*command, "-subj", "/CN=phone", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    bench.write("curve.pem", read(key) + read(certificate))
    return {"LD_PRELOAD": library, "CERTIFICATE": both}


def talk(bench, caller, called, media="", codecs=(None, None)):
    """Alice calls bob, each with keys of their own kind or none, and each hears the other."""
    curve = certificates(bench)
    exchange = bench.exchange(extra=MD5, users=["alice", "bob"], media=media)
    bob = Phone(bench, exchange, "bob", TONES[1], answers=True, seconds=8, more=called, codec=codecs[1],
                environment=curve)
    wait_for(lambda: exchange.metric("strowger_bindings") == 1, "bob is registered")
    alice = Phone(bench, exchange, "alice", TONES[0], dial=f"sip:bob@{DOMAIN}", seconds=6, more=caller, codec=codecs[0],
                  environment=curve)
    alice.finish()
    bob.finish()
    if codecs[0] != codecs[1]:
        transcoded = exchange.metric("strowger_media_packets_transcoded_total")
        check(transcoded > 250, f"packets are coded anew: {transcoded}")
    handshakes = [caller, called].count(DTLS)
    counted = exchange.metric("strowger_media_handshakes_total", outcome="keys")
    check(counted >= handshakes, f"{handshakes} handshakes are over, not {counted}")
    for user, kind in (("alice", caller), ("bob", called)):
        said = read(bench.path(f"{user}.log"))
        protocols = {protocol.rstrip("F") for protocol in re.findall(r"^m=audio \d+ (\S+)", said, re.M)}
        check(protocols == {SAYS[kind]}, f"{user} speaks {SAYS[kind]} only: {protocols}")
        check(("a=fingerprint" in said) == (kind == DTLS), f"{user} hears of a certificate only if it has one")
    alice.hears(TONES[1])
    bob.hears(TONES[0])
    exchange.gone()
    check("inline:" not in read(bench.path("exchange.log")), "no key stands in the log")


@case("DTLS-SRTP of the caller", slow=True)
def of_the_caller(bench):
    talk(bench, DTLS, CLEAR)


@case("DTLS-SRTP on both sides", slow=True)
def on_both_sides(bench):
    talk(bench, DTLS, DTLS, 'srtp = "required"\nsrtp_keying = "dtls"')


@case("DTLS-SRTP with Opus and PCMU in the clear", slow=True)
def of_one_codec(bench):
    talk(bench, DTLS, CLEAR, codecs=("opus", "PCMU"))


@case("DTLS-SRTP and SDES", slow=True)
def dtls_to_sdes(bench):
    talk(bench, DTLS, SDES, 'srtp = "required"' + SUITES)


@case("SDES and DTLS-SRTP", slow=True)
def sdes_to_dtls(bench):
    talk(bench, SDES, DTLS, 'srtp = "required"\nsrtp_keying = "dtls"' + SUITES)


@case("DTLS-SRTP with another certificate", slow=True)
def another_certificate(bench):
    """Alice says another fingerprint than that of her certificate."""
    curve = certificates(bench)
    exchange = bench.exchange(extra=MD5, users=["alice", "bob"])
    bob = Phone(bench, exchange, "bob", TONES[1], answers=True, seconds=9)
    wait_for(lambda: exchange.metric("strowger_bindings") == 1, "bob is registered")
    lies = {**curve, "FINGERPRINT_OF": "another"}
    alice = Phone(bench, exchange, "alice", TONES[0], dial=f"sip:bob@{DOMAIN}", seconds=7, more=DTLS, environment=lies)
    failed = lambda: exchange.metric("strowger_media_handshakes_total", outcome="failed")  # noqa: E731
    wait_for(lambda: (failed() or 0) >= 1, "the handshake fails", 7)
    exchange.gone()
    alice.finish()
    bob.finish()
    log = read(bench.path("exchange.log"))
    check("the certificate in the DTLS handshake is not the one" in log, "the log says why")
    check(exchange.metric("strowger_media_handshakes_total", outcome="keys") == 0, "there were no keys")
