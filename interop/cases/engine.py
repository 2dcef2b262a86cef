"""The exchange as the media engine of another proxy: Kamailio steers it by the NG protocol, and phones hear each other."""

import re
import shutil

import kamailio
from cases.dtls import DTLS, certificates
from harness import DOMAIN, Skipped, case, check, free_port, read, wait_for
from ng_client import NgClient
from phones import TONES, Phone

# What proxies in the field ask for with nearly every call.
USUAL = "replace-origin replace-session-connection ICE=remove"


def engine(bench, ng="delete_delay_s = 1"):
    """An exchange that does nothing but relay media."""
    if not kamailio.installed():
        raise Skipped("Kamailio with its module rtpengine is not installed")
    ip = bench.address(1)
    port = free_port(ip)
    exchange = bench.exchange(extra=f'[ng]\nlisten_udp = "{ip}:{port}"\n{ng}')
    return exchange, f"{ip}:{port}"


def talk(bench, offer, answer, caller="", called="", codecs=(None, None), environment=None):
    """Alice calls bob by way of Kamailio, each hears the other, and nothing stays at the engine. What each of them said."""
    exchange, at = engine(bench)
    proxy = kamailio.Kamailio(bench, at, f"{USUAL} {offer}".strip(), f"{USUAL} {answer}".strip())
    bob = Phone(bench, proxy, "bob", TONES[1], answers=True, seconds=9, more=called, codec=codecs[1],
                environment=environment)
    wait_for(lambda: "200 OK" in read(bench.path("bob.log")), "bob is registered")
    alice = Phone(bench, proxy, "alice", TONES[0], dial=f"sip:bob@{DOMAIN}", seconds=6, more=caller,
                  codec=codecs[0], environment=environment)
    wait_for(lambda: exchange.metric("strowger_ng_calls") == 1, "the engine has a call")
    alice.finish()
    bob.finish()
    alice.hears(TONES[1])
    bob.hears(TONES[0])
    said = [read(bench.path(f"{user}.log")) for user in ("alice", "bob")]
    if codecs != (None, None):
        # Four seconds each way, with 50 packets a second, are more than this.
        transcoded = exchange.metric("strowger_media_packets_transcoded_total")
        check(transcoded > 250, f"packets are coded anew: {transcoded}")
        check(exchange.metric("strowger_media_decode_errors_total") == 0, "and all could be decoded")
    for user, text in zip(("alice", "bob"), said):
        check(f"c=IN IP4 {exchange.ip}" in text, f"{user} is told the engine's address")
    wait_for(lambda: exchange.metric("strowger_ng_calls") == 0, "nothing is left of the call")
    exchange.alive()
    return said


@case("Kamailio has RTP relayed", slow=True)
def rtp(bench):
    talk(bench, "", "")


@case("Kamailio has SRTP of the caller relayed as RTP", slow=True)
def srtp_to_rtp(bench):
    alice, bob = talk(bench, "RTP/AVP", "RTP/SAVP", caller=";mediaenc=srtp-mand")
    check("RTP/SAVP" in alice and "RTP/AVP" not in alice, "alice has SRTP only")
    check("a=crypto" not in bob and "RTP/SAVP" not in bob, "bob hears nothing of it")


@case("Kamailio has RTP of the caller relayed as SRTP", slow=True)
def rtp_to_srtp(bench):
    alice, bob = talk(bench, "RTP/SAVP SDES-only-AES_CM_128_HMAC_SHA1_80", "RTP/AVP", called=";mediaenc=srtp-mand")
    check("a=crypto" not in alice and "RTP/SAVP" not in alice, "alice hears nothing of it")
    check(len(set(re.findall(r"inline:([A-Za-z0-9+/=]+)", bob))) == 2, "bob and the engine have a key each")


@case("Kamailio has PCMU and Opus transcoded", slow=True)
def pcmu_and_opus(bench):
    alice, bob = talk(bench, "codec-mask-PCMU codec-transcode-opus", "", codecs=("PCMU", "opus"))
    check(not re.search(r"a=rtpmap:\d+ opus/", alice, re.IGNORECASE), "alice hears nothing of Opus")
    check("a=rtpmap:0 PCMU" not in bob, "bob hears nothing of PCMU")


@case("Kamailio has SRTP with Opus and PCMA transcoded", slow=True)
def opus_and_pcma(bench):
    wishes = "RTP/AVP transcode=PCMA"
    alice, _ = talk(bench, wishes, "RTP/SAVP", caller=";mediaenc=srtp-mand", codecs=("opus", "PCMA"))
    check("RTP/SAVP" in alice and not re.search(r"a=rtpmap:\d+ PCMA", alice), "alice has Opus with keys")


@case("Kamailio has DTLS-SRTP of the caller relayed as RTP", slow=True)
def dtls_to_rtp(bench):
    alice, bob = talk(bench, "RTP/AVP", "", caller=DTLS, environment=certificates(bench))
    check("UDP/TLS/RTP/SAVP" in alice and "a=crypto" not in alice, "alice has DTLS-SRTP")
    check("a=fingerprint" not in bob and "RTP/SAVP" not in bob, "bob hears nothing of it")


@case("Kamailio has RTP with PCMU made DTLS-SRTP with Opus", slow=True)
def rtp_to_dtls(bench):
    wishes = "UDP/TLS/RTP/SAVP codec-mask-PCMU codec-transcode-opus"
    alice, bob = talk(bench, wishes, "", called=DTLS, codecs=("PCMU", "opus"), environment=certificates(bench))
    check("a=fingerprint" not in alice and "RTP/SAVP" not in alice, "alice hears nothing of it")
    prints = set(re.findall(r"a=fingerprint:sha-256 (\S+)", bob, re.IGNORECASE))
    check(len(prints) == 2, f"bob and the engine have a certificate each: {prints}")


def sdp(host, port, protocol="RTP/AVP", more=""):
    head = f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    return f"{head}m=audio {port} {protocol} 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n{more}"


KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\r\n"
MUX = "a=rtcp-mux\r\n"
# What a party offers and another answers, and what the proxy wishes with each.
EXCHANGES = {
    "plain": (sdp("{a}", 4000), {}, sdp("{b}", 4002), {}),
    "on hold": (sdp("{a}", 4000, more="a=sendonly\r\n"), {}, sdp("{b}", 4002, more="a=recvonly\r\n"), {}),
    "SRTP to RTP": (sdp("{a}", 4000, "RTP/SAVP", KEY), {"transport_protocol": "RTP/AVP"}, sdp("{b}", 4002), {}),
    "RTP to SRTP": (sdp("{a}", 4000), {"transport_protocol": "RTP/SAVP", "DTLS": "off"},
                    sdp("{b}", 4002, "RTP/SAVP", "{crypto}"), {}),
    "feedback": (sdp("{a}", 4000), {"transport_protocol": "RTP/AVPF"}, sdp("{b}", 4002, "RTP/AVPF"), {}),
    "mux as they wish": (sdp("{a}", 4000, more=MUX), {}, sdp("{b}", 4002, more=MUX), {}),
    "mux in vain": (sdp("{a}", 4000, more=MUX), {}, sdp("{b}", 4002), {}),
    "demux": (sdp("{a}", 4000, more=MUX), {"rtcp_mux": ["demux"]}, sdp("{b}", 4002), {}),
    "mux offered": (sdp("{a}", 4000), {"rtcp_mux": ["offer"]}, sdp("{b}", 4002, more=MUX), {}),
    "mux rejected": (sdp("{a}", 4000, more=MUX), {"rtcp_mux": ["reject"]}, sdp("{b}", 4002), {}),
    "strip": (sdp("{a}", 4000), {"codec": {"strip": ["PCMU"]}}, sdp("{b}", 4002).replace(" 0 8 ", " 8 "), {}),
    "strip all but one": (sdp("{a}", 4000), {"codec": {"strip": ["all"], "except": ["PCMA"]}},
                          sdp("{b}", 4002).replace(" 0 8 101", " 8"), {}),
    "another address": (sdp("{a}", 4000), {"media_address": "203.0.113.5"}, sdp("{b}", 4002), {}),
    "refused": (sdp("{a}", 4000), {}, sdp("{b}", 0), {}),
}


# A caller's codecs, what the proxy wishes of them, and what is answered: the codecs of both descriptions are compared, and
# their order, but not what goes beside sound.
CODECS = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000", 96: "opus/48000/2", 101: "telephone-event/8000"}
MADE = (
    ((0, 101), {"transcode": ["opus"]}, ((96, 101), (0, 101), (0, 96, 101), (96, 0))),
    ((0, 8, 101), {"transcode": ["opus", "G722"]}, ((96,), (9,), (8,), (96, 0, 8), (8, 0))),
    ((0, 101), {"mask": ["PCMU"], "transcode": ["opus"]}, ((96,),)),
    ((0, 8, 101), {"mask": ["PCMU"], "transcode": ["opus"]}, ((96,), (8,), (8, 96), (96, 8))),
    ((0, 8, 101), {"mask": ["all"], "transcode": ["PCMA", "opus"]}, ((96,), (8,))),
    ((0, 8, 101), {"mask": ["full"], "transcode": ["PCMA"]}, ((8,),)),
    ((0, 8, 101), {"strip": ["PCMU"], "transcode": ["opus"]}, ((96,), (8,))),
    ((0, 8, 101), {"strip": ["all"], "transcode": ["opus", "PCMA"]}, ((96,), (8,), (96, 8))),
    ((0, 8, 101), {"strip": ["all"], "transcode": ["opus"]}, ((96,),)),
    ((96, 101), {"mask": ["opus"], "transcode": ["PCMU"]}, ((0,),)),
    ((0, 8, 9, 101), {"strip": ["all"], "offer": ["G722", "PCMU"]}, ((9, 0),)),
    ((0, 8, 9, 101), {"strip": ["all"], "except": ["G722", "PCMU"]}, ((9, 0),)),
    ((0, 8, 9, 101), {"offer": ["G722", "PCMU"]}, ((9, 0),)),
    ((0, 8, 101), {"accept": ["PCMA"]}, ((8,), (0,))),
    ((0, 8, 101), {"accept": ["all"]}, ((8,), (0, 8))),
    ((8, 0, 101), {"consume": ["PCMA"]}, ((0,),)),
)


def audio(host, numbers):
    maps = "".join(f"a=rtpmap:{number} {CODECS[number]}\r\n" for number in numbers)
    head = f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    return f"{head}m=audio 4000 RTP/AVP {' '.join(map(str, numbers))}\r\n{maps}"


def sound(answer):
    """The payload types of sound in an answer."""
    if answer.get("result") != "ok":
        return answer.get("error-reason")
    events = set(re.findall(r"a=rtpmap:(\d+) telephone-event", answer["sdp"]))
    line = next(line for line in answer["sdp"].splitlines() if line.startswith("m="))
    return [number for number in line.split(" ")[3:] if number not in events]


@case("rtpengine and we make codecs of each other alike")
def made_alike(bench):
    clients = two_engines(bench)
    wrong = []
    a, b = bench.address(11), bench.address(12)
    for number, (offered, codec, answers) in enumerate(MADE):
        for answered in answers:
            call = {"call_id": f"{number}-{answered}", "from_tag": "a", "replace": ["origin"], "ICE": "remove"}
            found = []
            for client, _ in clients:
                told = client.ask("offer", sdp=audio(a, offered), codec=codec, **call)
                back = client.ask("answer", to_tag="b", sdp=audio(b, answered), **call)
                found.append((sound(told), sound(back)))
            if found[0] != found[1]:
                wrong.append(f"{offered} with {codec}, answered {answered}: we {found[0]}, rtpengine {found[1]}")
    check(not wrong, "\n".join(wrong))


def gist(answer, address):
    """What of an answer two engines must have in common."""
    if answer.get("result") != "ok":
        return answer["result"], answer.get("error-reason")
    lines = answer.get("sdp", "").splitlines()
    media = [line.split(" ") for line in lines if line.startswith("m=")]
    shape = [(words[0], words[1] == "0", *words[2:]) for words in media]
    flags = {line for line in lines if line in ("a=rtcp-mux", "a=sendonly", "a=recvonly", "a=inactive")}
    crypto = any(line.startswith("a=crypto:") for line in lines)
    told = {line.split(" ")[-1] for line in lines if line.startswith("c=")}
    return "ok", shape, flags, crypto, {"ours" if host == address else host for host in told if media[0][1] != "0"}


def two_engines(bench):
    """Clients of an rtpengine and of an exchange, with the address of the media of each."""
    if shutil.which("rtpengine") is None:
        raise Skipped("rtpengine is not installed")
    ours, theirs = bench.address(1), bench.address(2)
    port, other = free_port(ours), free_port(theirs)
    bench.exchange(extra=f'[ng]\nlisten_udp = "{ours}:{port}"\n')
    command = ["rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--table=-1", "--num-threads=1"]
    command += [f"--interface={theirs}", f"--listen-ng={theirs}:{other}", "--port-min=26000", "--port-max=26999"]
    bench.start("rtpengine", command)
    clients = [(NgClient(ours, port), ours), (NgClient(theirs, other), theirs)]
    for client, _ in clients:
        bench.deferred.append(client.close)
        wait_for(client.answers, "the engine answers", 10)
    return clients


@case("rtpengine and we answer proxies alike")
def alike(bench):
    clients = two_engines(bench)
    wrong = []

    def compare(name, *answers):
        if answers[0] != answers[1]:
            wrong.append(f"{name}: we {answers[0]}, rtpengine {answers[1]}")

    a, b = bench.address(11), bench.address(12)
    for name, (offer, wishes, answer, more) in EXCHANGES.items():
        offered = [(client.ask("offer", call_id=name, from_tag="a", sdp=offer.replace("{a}", a), replace=["origin"],
                               ICE="remove", **wishes), address) for client, address in clients]
        compare(f"{name}, offer", *(gist(*each) for each in offered))
        answered = []
        for (client, address), (told, _) in zip(clients, offered):
            # The callee takes the suite that it was offered last, under its tag.
            tags = re.findall(r"a=crypto:(\d+) AES_CM_128_HMAC_SHA1_80", told.get("sdp", ""))
            crypto = KEY.replace("crypto:1", f"crypto:{tags[0]}") if tags else ""
            text = answer.replace("{b}", b).replace("{crypto}", crypto)
            told = client.ask("answer", call_id=name, from_tag="a", to_tag="b", sdp=text, replace=["origin"], ICE="remove", **more)
            answered.append(gist(told, address))
        compare(f"{name}, answer", *answered)
    for name, command, more in (
        ("nobody's query", "query", {"call_id": "nobody"}),
        ("nobody's answer", "answer", {"call_id": "nobody", "from_tag": "a", "to_tag": "b", "sdp": sdp(a, 4000)}),
        ("no description", "offer", {"call_id": "x", "from_tag": "a"}),
        ("no call", "offer", {"from_tag": "a", "sdp": sdp(a, 4000)}),
        ("no tag", "offer", {"call_id": "x", "sdp": sdp(a, 4000)}),
        ("no other tag", "answer", {"call_id": "x", "from_tag": "a", "sdp": sdp(a, 4000)}),
        ("nobody's deletion", "delete", {"call_id": "nobody", "from_tag": "a"}),
        ("nobody's deletion, fatal", "delete", {"call_id": "nobody", "from_tag": "a", "flags": ["fatal"]}),
        ("a foreign tag", "delete", {"call_id": "plain", "from_tag": "foreign"}),
        ("no such command", "wurst", {}),
    ):
        compare(name, *(client.ask(command, **more) for client, _ in clients))
    for number, (name, text) in enumerate((("junk", b"xx"), ("a list", b"li1ee"), ("no command", b"d3:foo3:bare"), ("ping", b"d7:command4:pinge"))):
        compare(name, *(client.exchange(f"raw-{number}", text) for client, _ in clients))
    compare("calls", *(sorted(client.ask("list")["calls"]) for client, _ in clients))
    tags = [client.ask("query", call_id="plain")["tags"] for client, _ in clients]
    compare("parties", *(sorted(each) for each in tags))
    compare("endpoints", *({tag: party["medias"][0]["streams"][0]["endpoint"] for tag, party in each.items()} for each in tags))
    deleted = [client.ask("delete", call_id="plain", from_tag="a", to_tag="b", delete_delay=0) for client, _ in clients]
    compare("deletion", *((each["result"], sorted(each["tags"])) for each in deleted))
    compare("calls left", *(len(client.ask("list")["calls"]) for client, _ in clients))
    check(not wrong, "\n".join(wrong))
