//! The keys themselves, in the order of the reference.

use super::{Default, Key, Kind};
use Default::{Absent, Is, Required};
use Kind::{Choice, Choices, Entries, Flag, Numbers, Path, Paths, Secret, Section, Shape, Shapes, Text, Texts};
use sx_rtp::srtp::Suite;
use sx_types::{Codec, Consent, Dtmf, SrtpKeying, SrtpPolicy, Transport};

const fn key(path: &'static str, kind: Kind, default: Default, about: &'static str) -> Key {
    Key { path, kind, default, about, metric: None }
}

const fn limit(path: &'static str, kind: Kind, default: Default, about: &'static str, metric: &'static str) -> Key {
    Key { path, kind, default, about, metric: Some(metric) }
}

const fn number(min: i64, max: i64, unit: &'static str) -> Kind {
    Kind::Number { min, max, unit }
}

const NOTHING: Default = Absent("nothing");
const ENTRIES: Kind = Entries { short: None };
const URI: Kind = Shape("sip:[user@]host[:port][;transport=udp|tcp|tls|ws|wss], or sips:…");
const HOST: Kind = Shape("a host name");
const SOCKET: Kind = Shape("an IP address and port, as 192.0.2.1:5060 or [2001:db8::1]:5060");
const HOST_PORT: Kind = Shape("a host name or IP address, and :port or none");
const NUMBER: Kind = Shape("a user part without spaces, up to 64 characters");
const VERIFIER_KEY: Kind = Shape("a verifier key, as name+8 hexadecimal digits+base 64");
const SOUND: Kind = Shape("a file in the folder `media.sounds`, or a tone as `tone:busy`");
const HEADERS: Kind = Shapes("a header name, with a `*` at its end for any rest");
const SRTP: Kind = Choice(&SrtpPolicy::WORDS);
const SRTP_KEYING: Kind = Choice(&SrtpKeying::WORDS);
const DTMF: Kind = Choice(&Dtmf::WORDS);
/// What sound can be coded anew in.
pub(crate) const CODED: [&str; 4] = [Codec::Opus.name(), Codec::G722.name(), Codec::Pcmu.name(), Codec::Pcma.name()];
const MEDIA_MODE: Kind = Choice(&["relay", "direct"]);

/// Every key.
#[rustfmt::skip]
pub(crate) const KEYS: &[Key] = &[
    key("include", Shapes("a path; a `*` in its last part stands for anything"), Is("[]"),
        "Further files, relative to this one, read in the order of their names. Only the main file may include. A pattern with a `*` may match nothing. Entries of `trunk`, `room` and `route` are joined; any other key said in two files is an error."),

    key("exchange", Section, NOTHING, "The exchange as a whole."),
    key("exchange.name", Text, Is("\"strowger\""), "The name of this exchange among others: a label of the metric `strowger_info`, and in the first line of the log."),
    key("exchange.domains", Shapes("a host name"), Is("[\"localhost\"]"), "The domains it answers for; the first is the main one. Never empty."),
    key("exchange.data", Path, Is("\"./strowger-data\""), "The directory of its data."),
    key("exchange.workers", number(0, 256, ""), Is("0"), "Workers that carry calls; 0 means one for each usable core. A limit `of each worker` counts for every one of them by itself."),
    key("exchange.drain_s", number(0, 86_400, "s"), Is("60"), "How long running calls may go on after a request to stop."),

    key("sip", Section, NOTHING, "SIP signalling."),
    key("sip.listen", ENTRIES, Is("[{ transport = \"udp\", address = \"0.0.0.0:5060\" }, { transport = \"tcp\", address = \"0.0.0.0:5060\" }]"), "Where to listen. Never empty."),
    key("sip.listen[].transport", Choice(&Transport::URI_TOKENS), Required, "How messages travel."),
    key("sip.listen[].address", SOCKET, Required, "The address to bind."),
    key("sip.listen[].advertise", HOST_PORT, Absent("the local address that faces the peer"), "The address that peers are told in Via and Contact."),
    key("sip.realm", Text, Absent("the main domain"), "The realm of digest challenges."),
    key("sip.user_agent", Text, Is("\"strowger\""), "The value of User-Agent and Server."),
    key("sip.t1_ms", number(50, 10_000, "ms"), Is("500"), "The round-trip time estimate (RFC 3261, timer T1)."),
    key("sip.t2_ms", number(100, 60_000, "ms"), Is("4000"), "The longest interval between retransmissions (T2); at least T1."),
    key("sip.t4_ms", number(100, 60_000, "ms"), Is("5000"), "How long a message lives in the network (T4)."),
    key("sip.coalesce_us", number(0, 5_000, "µs"), Is("1000"), "A worker to which three or more messages come in this time reads its sockets in turns at most so far apart, so that one wake-up serves several: as far as it takes until eight have come. Each may wait that long, and twice as long while there is no call. 0 reads at once."),
    key("sip.trying_ms", number(0, 200, "ms"), Is("200"), "A 100 Trying goes out when nothing else was sent by then; 0 means at once."),
    key("sip.invite_timeout_s", number(10, 3_600, "s"), Is("180"), "How long an INVITE that was answered provisionally may stay without a final response (timer C); it is cancelled then."),
    key("sip.ring_timeout_s", number(1, 3_600, "s"), Is("60"), "How long a destination may ring when its route says nothing else; no longer than `sip.invite_timeout_s`."),
    limit("sip.message_bytes_max", number(1_500, 65_535, "bytes"), Is("65535"), "The longest message taken.", "strowger_net_dropped_total{kind=\"too_long\"}"),
    key("sip.udp_request_bytes_max", number(500, 65_507, "bytes"), Is("1300"), "The longest request sent over UDP; longer ones go over TCP (RFC 3261, section 18.1.1)."),
    key("sip.session_expires_s", number(90, 86_400, "s"), Is("1800"), "The session interval that is asked for (RFC 4028); at least `sip.min_se_s`."),
    key("sip.min_se_s", number(90, 86_400, "s"), Is("90"), "The shortest session interval that is accepted."),
    limit("sip.calls_max", number(1, 1_000_000, "calls"), Is("10000"), "Calls at a time, of each worker: what one peer sends over UDP lands on one of them.", "strowger_calls"),
    limit("sip.transactions_max", number(100, 10_000_000, "transactions"), Is("1000000"), "Server transactions at a time, of each worker; new requests beyond it are answered 503. Over UDP one is remembered for 32 s after its end (RFC 3261, timer J; RFC 6026, timer L), and a call needs two: a call a second is 64 transactions.", "strowger_sip_transactions"),

    key("sip.tls", Section, NOTHING, "Certificates and trust."),
    key("sip.tls.certificate", Path, Absent("none; then nothing can listen with TLS"), "The certificate shown to peers, followed by its intermediates (PEM)."),
    key("sip.tls.key", Path, Absent("none"), "Its private key (PEM)."),
    key("sip.tls.client_ca", Path, Absent("none"), "The authorities that client certificates must come from (PEM)."),
    key("sip.tls.client_certificate", Choice(&["none", "optional", "required"]), Is("\"none\""), "Must clients show a certificate?"),
    key("sip.tls.client_crl", Paths, Is("[]"), "The revocation lists of those authorities (PEM or DER); needs `client_ca`. A client whose certificate, or one that leads to it, is named in one is refused. A list that has expired is refused when it is read; one that expires later holds until the next is read, which a reload does."),
    key("sip.tls.crl_required", Flag, Is("false"), "Is a client refused, too, when no list that is in force covers its certificate and each that leads to it? Needs `client_crl`."),
    key("sip.tls.depth_max", number(1, 10, "certificates"), Is("3"), "So many certificates at most may lead from a trusted authority to a peer, the peer's own counted and the authority's not: 1 takes only what the authority itself has signed. For clients, and for servers that we call. Chains of more than 7 are never followed."),
    key("sip.tls.trust", Paths, Is("[\"/etc/ssl/certs/ca-certificates.crt\"]"), "The authorities that servers we call must be certified by (PEM). A server may also show a certificate that is itself in one of these files."),
    key("sip.tls.sni", ENTRIES, Is("[]"), "Further certificates, chosen by the server name a peer asks for."),
    key("sip.tls.sni[].name", HOST, Required, "The server name."),
    key("sip.tls.sni[].certificate", Path, Required, "The certificate shown for it (PEM)."),
    key("sip.tls.sni[].key", Path, Required, "Its private key (PEM)."),

    key("sip.connections", Section, NOTHING, "Limits of stream connections."),
    limit("sip.connections.max", number(1, 1_000_000, "connections"), Is("12000"), "Connections at a time, of each worker.", "strowger_net_connections_open"),
    limit("sip.connections.per_address_max", number(1, 1_000_000, "connections"), Is("2000"), "Connections at a time from one IP address, of each worker.", "strowger_net_connections_refused_total{kind=\"per_address\"}"),
    key("sip.connections.idle_s", number(10, 86_400, "s"), Is("3900"), "A connection is closed after this long without a byte."),
    key("sip.connections.handshake_s", number(1, 300, "s"), Is("10"), "How long a TLS or WebSocket handshake may take."),
    key("sip.connections.partial_message_s", number(1, 300, "s"), Is("30"), "How long a message may stay incomplete."),
    limit("sip.connections.send_queue_bytes_max", number(65_536, 67_108_864, "bytes"), Is("1048576"), "Bytes that may wait to be sent on one connection; beyond it the connection is closed.", "strowger_net_connections_closed_total{kind=\"queue_full\"}"),

    key("registrar", Section, NOTHING, "Registrations of users."),
    key("registrar.expires_min_s", number(1, 86_400, "s"), Is("60"), "The shortest lifetime of a binding; a shorter wish is answered 423."),
    key("registrar.expires_max_s", number(60, 604_800, "s"), Is("7200"), "The longest lifetime of a binding; a longer wish is shortened."),
    key("registrar.expires_default_s", number(1, 604_800, "s"), Is("3600"), "The lifetime when none is asked for; between the other two."),
    limit("registrar.contacts_max", number(1, 100, "contacts"), Is("10"), "Contacts of one user.", "strowger_registrations_refused_total"),
    limit("registrar.bindings_max", number(1, 10_000_000, "bindings"), Is("1000000"), "Bindings of all users, of each worker.", "strowger_bindings"),
    key("registrar.nonce_lifetime_s", number(10, 86_400, "s"), Is("300"), "How long a digest nonce is good for."),
    key("registrar.algorithms", Choices(&["SHA-256", "MD5"]), Is("[\"SHA-256\", \"MD5\"]"), "Digest algorithms in the order they are offered (RFC 8760). Never empty."),

    key("media", Section, NOTHING, "Audio and video packets."),
    key("media.mode", MEDIA_MODE, Is("\"relay\""), "Do packets pass through the exchange, or go between the parties? They pass through it when both parties have `relay`, and when either's `srtp` is `required`."),
    key("media.interfaces", ENTRIES, Is("[{ name = \"default\", bind = [\"0.0.0.0\"] }]"), "Where packets arrive; the first is used where nothing else is said. Never empty."),
    key("media.interfaces[].name", Text, Required, "The name that others refer to; unique."),
    key("media.interfaces[].bind", Shapes("an IP address"), Required, "The addresses to bind: one IPv4, one IPv6, or one of each."),
    key("media.interfaces[].advertise", Shapes("an IP address"), Is("[]"), "The addresses that peers are told, each for the bound one of its family. Without one: the bound address, or for 0.0.0.0 and :: the one that faces the peer. That is told from where the peer's signalling comes, or from the numeric address it is called at; where a name is called, it is the one of the default route."),
    limit("media.ports", Shape("\"first-last\" from 1024 to 65535, first even, last odd and greater"), Is("\"20000-29999\""), "The UDP ports of RTP and RTCP, on every interface.", "strowger_media_ports"),
    key("media.quarantine_s", number(0, 600, "s"), Is("5"), "A closed port is not used again for this long."),
    key("media.silence_timeout_s", number(0, 86_400, "s"), Is("60"), "A party that should send and does not for this long ends its call; 0 means never."),
    key("media.dscp_audio", number(0, 63, ""), Is("46"), "The DSCP mark of audio packets."),
    key("media.dscp_video", number(0, 63, ""), Is("34"), "The DSCP mark of video packets."),
    key("media.threads", number(0, 256, ""), Is("0"), "Packet threads; 0 means one for each usable core but one."),
    key("media.priority", Choice(&["real-time", "normal"]), Is("\"real-time\""), "Do packet threads go before every ordinary thread of the machine? Real time needs CAP_SYS_NICE or a limit on real-time priority that allows it (`LimitRTPRIO=1`), and more cores than packet threads; where that is not so, the log says it and they run as any other."),
    key("media.io_uring", Flag, Is("true"), "Do packet threads use io_uring, which costs less than a system call or two for each packet? It needs Linux 6.1 and that nobody forbids it (`kernel.io_uring_disabled`, the default rules of container engines); where it is not to be had, and when this is `false`, they use epoll; the log says so."),
    key("media.rtcp_xr", Choice(&["never", "negotiated", "always"]), Is("\"negotiated\""), "Who is told by RTCP how its sound is received (VoIP metrics, RFC 3611), where the exchange decodes it: in a room, or for a party that has another codec. `negotiated`: who has `a=rtcp-xr` with `voip-metrics` in its description; `always`: everybody, of whom some may not know it and pass it over. Between parties whose packets pass as they are, theirs pass as well."),
    key("media.latch", Choice(&["exact", "port", "nat"]), Is("\"nat\""), "Which source addresses are believed: exactly the negotiated one, that address from any port, or, for a party behind a NAT, also the address its signalling comes from. Behind a NAT is who names a private address that its messages do not come from. The first packet fixes the one address from then on."),
    key("media.srtp", SRTP, Is("\"accept\""), "Is RTP protected (SRTP) between the exchange and a party, where it passes through? `off`: never, and a stream that is offered with keys only is refused; `accept`: when the party offers keys, and it is offered none; `optional`: it is offered keys with streams that it may also take in the clear (RFC 8643); `required`: streams are offered with keys only, and those without are refused. Whatever the other party does. `required` with `direct` is an error, and packets pass through the exchange though the other party has `direct`. Where the keys come from, `media.srtp_keying` says."),
    key("media.srtp_keying", SRTP_KEYING, Is("\"sdes\""), "Where the keys come from that a party is offered. `sdes`: they stand in descriptions (RFC 4568), and protect from nobody who reads the signalling: use TLS with them; `dtls`: from a handshake on the way of the media (RFC 5763), by a certificate that the exchange makes when it starts and whose fingerprint stands in descriptions; who changes the signalling can still take the other's place: use TLS here as well. A party that offers is answered in its own way; one that offers both, in this."),
    key("media.srtp_suites", Choices(&Suite::NAMES), Is("[\"AEAD_AES_256_GCM\", \"AEAD_AES_128_GCM\", \"AES_CM_128_HMAC_SHA1_80\", \"AES_CM_128_HMAC_SHA1_32\"]"), "The crypto suites of SRTP that are offered and accepted with keys in descriptions, best first. Handshakes choose among the two of AES-GCM and AES_CM_128_HMAC_SHA1_80."),
    key("media.dtmf", DTMF, Is("\"auto\""), "How a party tells the keys that it presses on its telephone, and is told those of others, where packets pass through the exchange. `auto`: by events in the stream (RFC 4733) where it has agreed on them; else by SIP INFO if it has sent such, or its Allow names INFO; else by tones in the sound; `rfc4733`: by events, which it is always offered; `info`: it is told by SIP INFO; `inband`: by tones, and its sound is decoded and listened to for them. Events and INFO that a party sends are heard whatever this says, and told the other one in its own way."),
    key("media.transcode", Choice(&["needed", "never"]), Is("\"needed\""), "Is sound coded anew between two parties that share no codec, where it passes through the exchange? `needed`: an offer is passed on with the codecs that can be made of it behind its own; who answers decides, and where both share a codec its packets pass as they are. `never`: such parties are not connected."),
    key("media.sounds", Path, Absent("only tones can be played"), "The folder of the files that are played: WAV, PCM of 16 bit in 1 or 2 channels (which are mixed into one) at 8000, 16000 or 48000 Hz. Those that are named here, at trunks or in routes are read, at the start and at each reload; and with `[ng]` also every other `.wav` of the folder that can be played and for which there is room, for proxies to have it played by its name."),
    key("media.tones", Choice(&["us", "gb", "de", "fr"]), Is("\"us\""), "Whose tones are played where a sound is `tone:dial`, `tone:ringback`, `tone:busy`, `tone:congestion`, `tone:special-information` or `tone:beep` (ITU-T E.180, supplement 2). Those that say the same until something happens last 10 s where they are played once."),
    limit("media.sound_seconds_max", number(1, 600, "s"), Is("300"), "The longest file that is played.", "strowger_media_sound_bytes"),
    limit("media.sound_bytes_max", number(1_000, 4_000_000_000, "bytes"), Is("67108864"), "The memory for all files that are played: two bytes a sample.", "strowger_media_sound_bytes"),
    limit("media.sound_files_max", number(1, 10_000, "files"), Is("200"), "Files that are played.", "strowger_media_sound_files"),
    limit("media.plays_max", number(0, 100_000, "sounds"), Is("1000"), "Sounds that are played at the same time; who would hear another hears nothing, and an announcement is passed over.", "strowger_media_plays"),
    key("media.music_on_hold", SOUND, Absent("nothing"), "What a party hears that is put on hold, over and over again, where its packets pass through the exchange: a file of `media.sounds`, or a tone."),
    key("media.music_on_hold_when", Choice(&["inactive", "always"]), Is("\"inactive\""), "When. `inactive`: when the other party sends nothing, which it says by `a=inactive` or by an address of zeros; one that says `a=sendonly` may have music of its own, which is heard. `always`: also then, and that is not heard: for telephones that say `a=sendonly` and send nothing."),
    key("media.prefer", Choice(&["quality", "bandwidth", "cpu"]), Is("\"quality\""), "Which codecs are named first where an offer gets more of them: those that sound best, take the least of links, or cost the processor least (`strowger codec list`)."),

    key("recording", Section, Absent("no call is recorded"), "Recordings of the calls that the policy has recorded, or an operator (docs/recordings.md). It needs a program that was built with recordings, as it is unless told otherwise."),
    key("recording.folder", Path, Absent("`recordings` in the data directory"), "The directory of the files, made when it is not there. It should have a disk of its own: what fills it ends recordings and nothing else."),
    key("recording.container", Choice(&["wav", "opus"]), Is("\"wav\""), "What the files are: WAV with 16-bit samples, or Ogg/Opus, which takes a tenth of the room and, with two tracks or channels, keeps up with about 50 recordings at a time."),
    key("recording.tracks", Choice(&["stereo", "mixed", "per-leg"]), Is("\"stereo\""), "Which files there are: `stereo`, one with the party that the call comes from in the left channel and the one that it goes to in the right; `mixed`, one with both in one channel; `per-leg`, one for each."),
    key("recording.bandwidth", Choice(&["narrowband", "wideband", "fullband"]), Is("\"narrowband\""), "How much of the sound is kept: 8,000, 16,000 or 48,000 samples a second."),
    key("recording.recipients", Shapes("a public key of age, as age1…"), Is("[]"), "Who can read the files: at most 16 keys of age (X25519), whose owners have the other halves. With none they are in the clear, readable by whoever may read the directory."),
    limit("recording.calls_max", number(1, 10_000, "recordings"), Is("100"), "Recordings at a time, those counted that are brought to their end.", "strowger_recordings"),
    key("recording.required", Flag, Is("true"), "Does a call that has to be recorded and cannot be end, as when there are too many or the disk is full? If not, it goes on without, and the log, the witness log and `strowger_recordings_ended_total` say so."),

    key("ng", Section, NOTHING, "The NG control protocol, by which SIP proxies (Kamailio, OpenSIPS) use the media ports: they pass each description through the exchange, as through rtpengine. Who may send here opens ports and hears of every call: keep it on networks of your own."),
    key("ng.listen_udp", SOCKET, Absent("not over UDP"), "Where requests come by UDP."),
    key("ng.listen_tcp", SOCKET, Absent("not over TCP"), "Where they come by TCP."),
    key("ng.allow", Shapes("an IP address, or address/bits with no bit set after the prefix"), Is("[\"127.0.0.0/8\", \"::1\"]"), "Who may send requests; whatever comes from elsewhere is dropped unread."),
    limit("ng.calls_max", number(1, 1_000_000, "calls"), Is("10000"), "Calls of proxies at a time.", "strowger_ng_calls"),
    key("ng.delete_delay_s", number(0, 86_400, "s"), Is("30"), "How long the ports of a call stay open behind its deletion, unless the proxy says: a message that has crossed the deletion finds them still."),
    key("ng.silence_timeout_s", number(0, 86_400, "s"), Is("60"), "A call that no proxy has deleted ends when none of its parties has sent a packet for this long, up to a quarter more; 0 means never."),
    key("ng.idle_timeout_s", number(0, 604_800, "s"), Is("3600"), "The same for a call in which nobody is expected to send, as on hold, and for an offer that is not answered; 0 means never."),
    key("ng.recording_consent", Choice(&Consent::WORDS), Is("\"one-party\""), "On what ground calls are recorded that proxies have recorded, as it stands beside their recordings (the words are those of `rule[].obligations.consent`, docs/policy.md): no request says, so that whoever runs the proxies does. They are recorded where there is `[recording]`, and else refused."),

    key("trunk", ENTRIES, Is("[]"), "Peers that calls come from and go to."),
    key("trunk[].name", Text, Required, "Its name; unique."),
    key("trunk[].addresses", Entries { short: Some("uri") }, Is("[]"), "Where calls to it go. Empty: it only calls in."),
    key("trunk[].addresses[].uri", URI, Required, "Where."),
    key("trunk[].addresses[].weight", number(1, 65_535, ""), Is("1"), "Its share of calls among addresses of the same priority."),
    key("trunk[].addresses[].priority", number(1, 65_535, ""), Absent("its place in the list, counted from 1"), "Lower ones are tried first."),
    key("trunk[].sources", Shapes("an IP address, or address/bits with no bit set after the prefix"), Is("[]"), "Who may call in as this trunk without digest; where two trunks have an address, the longer prefix wins. All addresses there are (`/0`) only with `danger.any_source`."),
    key("trunk[].username", Text, Absent("its challenges are not answered"), "The username its challenges are answered with."),
    key("trunk[].password", Secret, Absent("none"), "The password; goes with `username`."),
    key("trunk[].register", Section, Absent("the exchange does not register"), "How the exchange registers with it. What then comes from the provider is known by `sources`, and asked for credentials where they do not name its addresses."),
    key("trunk[].register.registrar", URI, Required, "Where REGISTER goes."),
    key("trunk[].register.aor", URI, Required, "The address of record that is registered; has a user."),
    key("trunk[].register.expires_s", number(60, 86_400, "s"), Is("3600"), "The lifetime that is asked for."),
    key("trunk[].options_interval_s", number(0, 3_600, "s"), Is("30"), "How often its addresses are probed with OPTIONS; 0 means never. One that does not answer, or says 408, 502, 503 or 504, and whose calls get no answer either, is probed again after 5 s at most, and is called only where a route has nothing better, twice a second at most; each of its addresses has 4 s then to say anything, and so have those of a trunk that has not answered its first probe yet."),
    limit("trunk[].calls_max", number(1, 1_000_000, "calls"), Absent("`sip.calls_max`"), "Calls at a time, both ways.", "strowger_sip_refused_total{reason=\"overload\"}"),
    limit("trunk[].calls_per_s_max", number(1, 100_000, "calls a second"), Is("100000"), "New calls a second, both ways.", "strowger_attempts_failed_total"),
    key("trunk[].codecs_allowed", Choices(&Codec::NAMES), Is("[]"), "The codecs that may be offered and accepted. Empty: any."),
    key("trunk[].media", MEDIA_MODE, Absent("`media.mode`"), "Do its packets pass through the exchange?"),
    key("trunk[].srtp", SRTP, Absent("`media.srtp`"), "Is its RTP protected? As `media.srtp`."),
    key("trunk[].dtmf", DTMF, Absent("`media.dtmf`"), "How it tells keys and is told them. As `media.dtmf`."),
    key("trunk[].srtp_keying", SRTP_KEYING, Absent("`media.srtp_keying`"), "Where the keys come from that it is offered. As `media.srtp_keying`."),
    key("trunk[].from_user", NUMBER, Absent("the caller's"), "The user part of From in calls to it."),
    key("trunk[].from_domain", HOST, Absent("the main domain"), "The host part of From in calls to it."),
    key("trunk[].asserted_identity", Choice(&["pass", "set", "remove"]), Is("\"pass\""), "P-Asserted-Identity (RFC 3325) in calls to it: passes as it came, is made from the caller's From, or is taken out."),
    key("trunk[].privacy", Choice(&["honour", "ignore"]), Is("\"honour\""), "A caller's wish for privacy (RFC 3323): the identity is withheld, or the trunk is trusted with it."),
    key("trunk[].headers", Section, NOTHING, "Which headers pass beyond those a call needs."),
    key("trunk[].headers.pass", HEADERS, Is("[]"), "Headers that pass."),
    key("trunk[].headers.set", Texts, Is("{}"), "Headers that are set, name = value. Those that carry the call itself (Via, From, Contact, …) cannot be."),
    key("trunk[].headers.remove", HEADERS, Is("[]"), "Headers that do not pass though `pass` has them."),
    key("trunk[].music_on_hold", SOUND, Absent("`media.music_on_hold`"), "What it hears when it is put on hold; `none`: nothing."),
    key("trunk[].early_media", Flag, Is("true"), "Is audio before the answer passed on to the caller?"),
    key("trunk[].reliable_provisional", Choice(&["off", "supported", "required"]), Is("\"supported\""), "Reliable provisional responses (RFC 3262)."),
    key("trunk[].session_timer", Choice(&["off", "on"]), Is("\"on\""), "Session timers (RFC 4028)."),
    key("trunk[].accept_refer", Flag, Is("false"), "May it transfer calls with REFER (RFC 3515)?"),
    key("trunk[].failover_causes", Numbers { min: 1, max: 127 }, Absent("the causes of the cause table that allow another try"), "The Q.850 causes after which another address or target is tried."),

    key("room", ENTRIES, Is("[]"), "Rooms where callers hear each other. The exchange answers by itself whoever a route leads there; their media always passes through it."),
    key("room[].name", Text, Required, "Its name; unique."),
    limit("room[].members_max", number(2, 64, "members"), Is("25"), "Members at the same time, in all workers; whoever comes then is told that it is busy (486).", "strowger_room_members"),
    key("room[].codecs", Choices(&CODED), Is("[\"opus\", \"G722\", \"PCMU\", \"PCMA\"]"), "What it may be spoken to in, of what can be coded here; the order is that of `media.prefer`. Never empty."),

    key("route", ENTRIES, Is("[]"), "Where numbers lead. Of those whose callers and number match, the one with the most specific number is taken; the order in which they are written decides only between equally specific ones. Registered users are reachable without a route."),
    key("route[].name", Text, Required, "Its name; unique."),
    key("route[].from_trunk", Shapes("the name of a trunk"), Absent("users, or any caller where it leads to users, rooms and announcements only; none when `from_users` is given"), "For calls from these trunks. A call from a trunk leaves by another one only where a route says so here."),
    key("route[].from_users", Flag, Absent("`true`, unless `from_trunk` is given"), "Also, or only, for calls from users."),
    key("route[].exact", NUMBER, Absent("any number"), "Only for this number. At most one of `exact`, `prefix` and `pattern` is given."),
    key("route[].prefix", NUMBER, Absent("any number"), "Only for numbers that begin so."),
    key("route[].pattern", Shape("a dial pattern"), Absent("any number"), "Only for numbers of this shape: X is 0 to 9, Z 1 to 9, N 2 to 9, each in either case, `[15-7]` one of those; at the end `.` is one or more characters and `!` none or more; any other ASCII character stands for itself, and a `_` in front means nothing."),
    key("route[].strip", number(0, 64, "characters"), Is("0"), "Characters taken off the front of the number; no more than every number of the route is sure to have."),
    key("route[].prepend", NUMBER, Absent("nothing"), "What is then put in front of it."),
    key("route[].to", ENTRIES, Required, "Where the call goes; each entry has one of `trunk`, `users`, `room`, `announcement`, `uri` and `dialled`. Never empty."),
    key("route[].to[].trunk", Text, NOTHING, "To this trunk."),
    key("route[].to[].users", Flag, NOTHING, "`true`: to the registered user whom the number names."),
    key("route[].to[].room", Text, NOTHING, "To this room."),
    key("route[].to[].announcement", SOUND, NOTHING, "To this announcement: a file of `media.sounds`, or a tone. It is heard before an answer, and then the next target is tried, or the caller is refused; with `answer` the caller is answered, and hung up when it is over. Transferred calls do not reach it."),
    key("route[].to[].answer", Flag, Is("false"), "`true`: a caller is answered to hear the announcement. Goes only with `announcement`."),
    key("route[].to[].cause", number(1, 127, ""), Is("31"), "The Q.850 cause why a caller is refused that has heard the announcement, unless another target has said something better. Goes only with `announcement`."),
    key("route[].to[].uri", URI, NOTHING, "To this URI."),
    key("route[].to[].dialled", Flag, NOTHING, "`true`: to the address that was dialled. The route is then for addresses whose domain is not one of ours."),
    key("route[].to[].weight", number(1, 65_535, ""), Is("1"), "Its share of calls among targets of the same priority."),
    key("route[].to[].priority", number(1, 65_535, ""), Absent("its place in the list, counted from 1"), "Lower ones are tried first."),
    key("route[].to[].user_rewrite", Shape("a user part in which {user} stands for the number"), Is("\"{user}\""), "The user part the trunk is called with."),
    key("route[].ring_timeout_s", number(1, 3_600, "s"), Absent("`sip.ring_timeout_s`"), "How long each target may ring."),

    key("http", Section, NOTHING, "The server for probes and metrics."),
    key("http.listen", SOCKET, Is("\"127.0.0.1:8080\""), "Where it listens. It asks nobody who they are: keep it from the public."),

    key("api", Section, NOTHING, "The management API. Who has a token of `strowger token` may use it."),
    key("api.listen", SOCKET, Is("\"127.0.0.1:8081\""), "Where it listens."),
    key("api.certificate", Path, Absent("it speaks HTTP without TLS"), "The certificate it shows, followed by its intermediates (PEM)."),
    key("api.key", Path, Absent("none"), "Its private key (PEM)."),
    key("api.client_ca", Path, Absent("clients need no certificate"), "The authorities that certificates of clients must come from (PEM)."),
    key("api.cors_origins", Shapes("an origin, as https://console.example.org"), Is("[]"), "Web pages of these origins may use it."),
    limit("api.requests_per_minute", number(1, 1_000_000, "requests"), Is("600"), "Requests of one token in a minute.", "strowger_api_refused_total"),

    key("cdr", Section, NOTHING, "Call detail records."),
    key("cdr.keep_days", number(0, 36_500, "days"), Is("0"), "Records of calls that came longer ago are removed; 0 keeps them for ever. Their room in the database is used again; the file does not shrink."),

    key("edge", Section, NOTHING, "What stands between the network and a request. Trunks have limits of their own and are not counted here."),
    key("edge.window_s", number(1, 600, "s"), Is("10"), "The window in which the requests of a source are counted."),
    limit("edge.requests_max", number(1, 1_000_000, "requests"), Is("30"), "Requests in a window from a source that has not authenticated in the last hour, of each worker. The first beyond is answered 503, then nothing is for `edge.ban_s`.", "strowger_edge_refused_total{layer=\"source_rate\"}"),
    limit("edge.authenticated_requests_max", number(1, 1_000_000, "requests"), Is("600"), "The same for a source that has authenticated.", "strowger_edge_refused_total{layer=\"source_rate\"}"),
    key("edge.ban_s", number(1, 86_400, "s"), Is("300"), "How long a source or an account is banned."),
    key("edge.failures_max", number(1, 254, "failures"), Is("5"), "How many times credentials may be wrong, of a source or of an account, before it is banned."),
    key("edge.failures_window_s", number(1, 86_400, "s"), Is("300"), "In what time they count."),
    key("edge.score_max_percent", number(1, 100, "percent"), Is("80"), "A source that is more suspicious than this is only challenged, or banned for a minute: by its rate, what it sends that is malformed, its failures, the mix of its methods, and the numbers it dials."),
    limit("edge.sources_max", number(1_024, 16_777_216, "sources"), Is("262144"), "Sources that are remembered, of each worker; beyond, the least remarkable are forgotten. Each takes 64 bytes once that many have come.", "strowger_edge_sources"),
    key("edge.ipv4_prefix", number(8, 32, "bits"), Is("32"), "How much of an IPv4 address makes a source."),
    key("edge.ipv6_prefix", number(16, 128, "bits"), Is("64"), "How much of an IPv6 address makes a source."),
    key("edge.scanners", Shapes("a part of a User-Agent, in any case"), Absent("those of the scanners that are known"), "Whoever names itself so is never answered, and banned at once, unless somebody has authenticated from there within the hour. Known are `friendly-scanner`, `friendly-request`, `sipvicious`, `sipcli`, `sip-scan`, `sipscan`, `sundayddr`, `iwar`, `sivus`, `vaxsipuseragent`, `vaxipuseragent`, `pplsip`, `smap`, `siparmyknife`."),
    key("edge.only_organisations", Flag, Is("false"), "Requests are taken from trunks and from networks of an `organisation` only; others get 403."),
    key("edge.geoip_database", Path, Absent("countries are not looked up"), "A database of countries in MaxMind's format (.mmdb)."),
    key("edge.countries_blocked", Shapes("a country's two letters (ISO 3166)"), Is("[]"), "Requests from these countries get 403."),
    key("edge.countries_allowed", Shapes("a country's two letters (ISO 3166)"), Is("[]"), "When there is any: requests from all other countries get 403; addresses that are in no country do not."),

    key("organisation", ENTRIES, Is("[]"), "Who uses the exchange, and from where."),
    key("organisation[].name", Text, Required, "Its name; unique."),
    key("organisation[].networks", Shapes("an IP address, or address/bits with no bit set after the prefix"), Required, "Where its members are. Never empty."),
    key("organisation[].members", Shapes("user@domain, or *@domain for all of a domain"), Is("[]"), "Users who are taken from these networks only."),
    key("organisation[].tls_required", Flag, Is("false"), "Is whatever comes from these networks, and from its members, taken over TLS only?"),

    key("policy", Section, NOTHING, "Who may do what."),
    key("policy.file", Path, Absent("the built-in policy: whoever is authenticated may call"), "The policy (docs/policy.md). Read again with the configuration; a bad one is refused whole, and the old one stays."),

    key("witness", Section, NOTHING, "The log of every decision and of every change of a call, chained, signed and on the disk before a call is answered. It is in `witness/` of the data directory; docs/witness-format.md describes it."),
    key("witness.key", Path, Absent("`witness.key` in the data directory, made at the first start"), "The key that signs: a file with mode 0600, made by `strowger witness keygen`."),
    key("witness.name", Shape("a name without spaces and `+`, as witness.example.org/london"), Absent("the main domain, `/` and `exchange.name`"), "The name of the log and of a key that is made for it."),
    key("witness.checkpoint_records", number(1, 1_000_000, "records"), Is("4096"), "A checkpoint is signed when there are so many records since the last."),
    key("witness.checkpoint_s", number(1, 86_400, "s"), Is("10"), "A checkpoint is signed when the last one is so long ago and there is a record since. What came after the last checkpoint is chained and not signed yet."),
    key("witness.gather_us", number(0, 1_000_000, "µs"), Is("1000"), "How long after one write to the disk the next may begin when a call waits for it to be answered: what comes meanwhile shares the write. Up to three times as long where 16 records come in that time, which is some 760 calls a second."),
    key("witness.delay_ms", number(1, 10_000, "ms"), Is("20"), "How long a record that nobody waits for may wait for others to be written with."),
    key("witness.patience_ms", number(100, 60_000, "ms"), Is("2000"), "How long an answer may wait for the disk. Then its call is refused with 503. A write that takes as long makes the log count as failing, so that new calls are refused at once, until it has ended."),
    limit("witness.buffer_bytes_max", number(65_536, 1_073_741_824, "bytes"), Is("16777216"), "Bytes that may wait to be written while the disk takes nothing. What a worker has gathered in a turn is taken whole where nothing else waits.", "strowger_witness_waiting_bytes"),
    key("witness.segment_bytes_max", number(65_536, 1_073_741_824, "bytes"), Is("67108864"), "A file of the log that has grown to this size is closed and another begun; while that cannot be made it grows on, up to twice the size. Where files are not kept for ever, one is also closed a day after its first record."),
    key("witness.keep_days", number(0, 36_500, "days"), Is("0"), "Closed files whose last record is older are removed, hashes of their records are kept; 0 keeps them for ever. Looked at when the exchange starts, when a file is closed, and once an hour."),
    key("witness.keep_bytes", number(0, 1_000_000_000_000_000, "bytes"), Is("0"), "The oldest closed files are removed when all together are larger; 0 means never."),
    limit("witness.refusals_per_s", number(0, 100_000, "records"), Is("100"), "Refused requests that are recorded one by one in a second, of each worker: so many of users and trunks, and as many of everybody else. What is beyond is counted in a record of their sum, by layer.", "strowger_witness_refusals_summed_total"),
    limit("witness.refusals_per_source", number(0, 100_000, "records"), Is("5"), "Of these, so many in a minute of one source address.", "strowger_witness_refusals_summed_total"),
    key("witness.listen", SOCKET, Absent("nothing is cosigned"), "Where logs of others send their checkpoints to be cosigned (C2SP tlog-witness): `http://ADDRESS/witness/add-checkpoint`, or https with a certificate. Who may is said by `witness.cosigns`; signatures show it, so that this needs no token and no secret passes."),
    key("witness.certificate", Path, Absent("it speaks HTTP without TLS"), "The certificate it shows there, followed by its intermediates (PEM)."),
    key("witness.certificate_key", Path, Absent("none"), "Its private key (PEM)."),
    limit("witness.requests_per_minute", number(1, 1_000_000, "requests"), Is("120"), "Requests of one address there in a minute.", "strowger_witness_cosign_refused_total"),
    key("witness.cosigns", ENTRIES, Is("[]"), "The logs of others that are cosigned. What was cosigned last of each is kept in `cosigned/` of the data directory."),
    key("witness.cosigns[].key", VERIFIER_KEY, Required, "The verifier key of the log, as its `witness/key.pub` has it."),
    key("witness.anchor", ENTRIES, Is("[]"), "Where checkpoints of this log are shown, so that whoever can write its files cannot write its history anew and go unnoticed."),
    key("witness.anchor[].kind", Choice(&["peer", "https", "s3"]), Required, "`peer`: a witness that speaks C2SP tlog-witness, as another exchange does; its cosignature is verified and kept in `checkpoints.jsonl`. `https`: the checkpoint is put to a URL of a service that keeps it. `s3`: the checkpoint becomes an object of a store that speaks as S3 does, under a key of its own, which nobody may overwrite or remove for `retain_days`; the bucket must have been made with object lock."),
    key("witness.anchor[].url", Shape("a URL as https://host[:port]/path"), Required, "Of a peer: what stands before `/add-checkpoint`, with http or https. Of a service: where the checkpoint is put, with https; `{size}` in it becomes the number of records, so that each checkpoint has a place of its own. Of an object store: its endpoint, without a path, as `https://s3.eu-central-1.amazonaws.com`; http is taken on this machine only."),
    key("witness.anchor[].key", VERIFIER_KEY, Absent("none"), "The key that a peer cosigns with; a peer needs it."),
    key("witness.anchor[].trust", Path, Absent("the authorities of the system"), "The authorities that its certificate must come from (PEM)."),
    key("witness.anchor[].method", Choice(&["put", "post"]), Is("\"put\""), "How a checkpoint is sent to a service."),
    key("witness.anchor[].token", Secret, Absent("none"), "A bearer token that is shown to a service."),
    key("witness.anchor[].bucket", Shape("3 to 63 of a-z, 0-9, - and ."), Absent("none"), "The bucket; an object store needs it."),
    key("witness.anchor[].prefix", Shape("a path without control characters, up to 255 bytes"), Absent("none"), "What the keys of objects begin with. A key is `PREFIX/NAME OF THE LOG/RECORDS.note`, with 20 digits."),
    key("witness.anchor[].region", Shape("letters, digits and -"), Absent("none"), "The region that requests to an object store are signed for; it needs it. Many that are not Amazon's take `us-east-1`."),
    key("witness.anchor[].path_style", Flag, Is("false"), "`true`: the bucket is named in the path and not in the host, as most stores of one's own want it."),
    key("witness.anchor[].access_key_id", Shape("visible ASCII characters without / and ,"), Absent("none"), "The public name of the key that requests to an object store are signed with; it needs it. The key must be allowed to put objects with a retention and to read them."),
    key("witness.anchor[].secret_access_key", Secret, Absent("none"), "That key itself; an object store needs it."),
    key("witness.anchor[].retention", Choice(&["compliance", "governance"]), Is("\"compliance\""), "`compliance`: nobody can remove an object before its time, not even who owns the bucket. `governance`: whoever has been given that right can."),
    key("witness.anchor[].retain_days", number(1, 36_500, "days"), Absent("none"), "How long the store must keep each checkpoint; an object store needs it. What was promised cannot be taken back."),
    key("witness.anchor[].every_s", number(1, 86_400, "s"), Is("60"), "How often the latest checkpoint is sent, when there is a newer one. What fails is tried again after 5 s, then after twice as long each time, up to this."),

    key("hep", Section, Absent("no copies are sent"), "Copies of signalling for a capture server (HEP version 3)."),
    key("hep.address", HOST_PORT, Required, "The collector; port 9060 when none is given."),
    key("hep.capture_id", number(0, 4_294_967_295, ""), Is("1"), "The number this exchange is known by there."),
    key("hep.password", Secret, Absent("the collector wants none"), "The collector's password."),

    key("log", Section, NOTHING, "The program's log."),
    key("log.level", Choice(&["error", "warn", "info", "debug", "trace"]), Is("\"info\""), "The least severe level that is written."),
    key("log.format", Choice(&["text", "json"]), Is("\"text\""), "Lines for people, or one JSON object a line."),
    limit("log.refusals_per_minute", number(0, 10_000, "lines"), Is("5"), "Authentications that were refused are logged with their source; of one source address so many in a minute, of each worker. One line then says how many more there were. 0 logs these sums only.", "strowger_sip_refused_total{reason=\"wrong_credentials\"}"),
    limit("log.refusal_sources_max", number(0, 100_000, "addresses"), Is("64"), "Source addresses of refused authentications that are told apart in a minute, of each worker; all others share one sum. An IPv6 network of 64 bits is one address.", "strowger_sip_refused_total{reason=\"wrong_credentials\"}"),

    key("danger", Section, NOTHING, "Settings that give protection away. None belongs on a public network."),
    key("danger.accept_any_certificate", Flag, Is("false"), "Servers we call need no certificate that we trust."),
    key("danger.unauthenticated_calls", Flag, Is("false"), "Calls from users are taken without digest."),
    key("danger.any_source", Flag, Is("false"), "A trunk's `sources` may take in every address there is: whoever calls is that trunk."),
];
