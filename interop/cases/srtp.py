"""SRTP and SRTCP against libsrtp, packet by packet: no exchange takes part yet."""

import os
import shutil

import srtp_compare
from harness import Skipped, case, check

STREAMS = 60


@case("libsrtp protects and opens packets as we do")
def libsrtp(bench):
    if not (shutil.which("cargo") or os.environ.get("SRTP_PEER")):
        raise Skipped("our side is built with cargo")
    theirs = srtp_compare.build_libsrtp(bench.folder)
    if theirs is None:
        raise Skipped("the other side needs a C compiler and libsrtp2-dev")
    disagreements = srtp_compare.compare(STREAMS, 1, theirs)
    check(not disagreements, "\n".join(disagreements[:10]))
