"""Runs Kamailio as a proxy that has its media relayed by an engine it steers. It knows nothing of any case."""

import glob
import os
import subprocess

import harness

CONFIG = """
debug=2
log_stderror=yes
fork=yes
children=2
tcp_children=1
disable_tcp=no
enable_tls=no
auto_aliases=no
listen=udp:{host}:{port}
listen=tcp:{host}:{port}
mpath="{modules}"
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "rtpengine.so"
modparam("usrloc", "db_mode", 0)
modparam("rtpengine", "rtpengine_sock", "udp:{engine}")
modparam("rtpengine", "rtpengine_tout_ms", 2000)

request_route {{
    if (!mf_process_maxfwd_header("10")) {{ exit; }}
    if (is_method("REGISTER")) {{ save("location"); exit; }}
    if (is_method("CANCEL")) {{
        rtpengine_delete();
        if (t_check_trans()) {{ t_relay(); }}
        exit;
    }}
    if (has_totag()) {{
        loose_route();
        if (is_method("BYE")) {{ rtpengine_delete(); }}
        if (is_method("INVITE")) {{ rtpengine_offer("{offer}"); t_on_reply("ANSWERED"); }}
        t_relay();
        exit;
    }}
    record_route();
    if (is_method("INVITE")) {{
        if (!lookup("location")) {{ sl_send_reply("404", "Nobody of that name"); exit; }}
        if (!rtpengine_offer("{offer}")) {{ sl_send_reply("500", "No media"); exit; }}
        t_on_reply("ANSWERED");
    }}
    t_relay();
    exit;
}}

onreply_route[ANSWERED] {{
    if (status =~ "(18[0-9]|2[0-9][0-9])" && has_body("application/sdp")) {{ rtpengine_answer("{answer}"); }}
}}
"""


def installed():
    """Is there a Kamailio that can steer a media engine?"""
    return modules() is not None


def modules():
    """Where Debian keeps its modules, the one for media engines among them."""
    found = glob.glob("/usr/lib/*/kamailio/modules/rtpengine.so") + glob.glob("/usr/lib*/kamailio/modules/rtpengine.so")
    return os.path.dirname(found[0]) if found else None


class Kamailio:
    """A proxy and registrar without passwords; `offer` and `answer` are what it asks of the engine."""

    def __init__(self, bench, engine, offer, answer, host=2):
        self.bench = bench
        self.host = self.ip = bench.address(host)
        self.port = harness.free_port(self.ip)
        text = CONFIG.format(host=self.host, port=self.port, modules=modules(), engine=engine, offer=offer, answer=answer)
        path = bench.write("kamailio.cfg", text)
        folder = bench.path("kamailio")
        os.makedirs(folder)
        command = ["kamailio", "-f", path, "-DD", "-E", "-m", "64", "-M", "8", "-Y", folder, "-w", folder]
        self.process = bench.start("kamailio", [*command, "-P", os.path.join(folder, "pid")])
        # Its children end with it only where it is told to end.
        bench.deferred.append(self.stop)
        harness.wait_for(self.listens, "Kamailio has found its engine", 15)

    def listens(self):
        harness.check(self.process.poll() is None, f"Kamailio runs: {harness.read(self.bench.path('kamailio.log'))[-500:]}")
        return "found, support for it enabled" in harness.read(self.bench.path("kamailio.log"))

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
