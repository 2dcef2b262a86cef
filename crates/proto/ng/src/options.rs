//! How an offer, an answer or a deletion is to be done.

use crate::codecs::CodecWishes;
use crate::value::{Dictionary, Value, is_same};
use std::net::IpAddr;
use std::time::Duration;

/// What a client wishes. Whatever it does not say is as in its absence.
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// How the media of whoever receives the description is to travel; `None`: as that of its author.
    pub transport: Option<TransportProtocol>,
    /// What becomes of ICE; `None`: nothing is said.
    pub ice: Option<Ice>,
    /// Do RTP and RTCP share a port?
    pub rtcp_mux: RtcpMux,
    /// Which keys may be offered.
    pub sdes: Sdes<'a>,
    /// DTLS is not wanted.
    pub dtls_off: bool,
    /// The author sends from elsewhere than it receives: no address is to be learnt.
    pub asymmetric: bool,
    /// What does not come from the address that was learnt is to be dropped.
    pub strict_source: bool,
    /// Not the addresses of the description, but where the SIP message came from is to be believed.
    pub sip_source_address: bool,
    /// A description that this engine has passed on before is to stay as it is.
    pub loop_protect: bool,
    /// The call is to be recorded.
    pub record_call: bool,
    /// A deletion of something unknown is an error.
    pub fatal: bool,
    /// Where the SIP message came from.
    pub received_from: Option<IpAddr>,
    /// Where the author's media is to go, whatever its description says.
    pub media_address: Option<IpAddr>,
    /// Is whoever receives the description to be told an IPv6 address?
    pub ipv6: Option<bool>,
    /// The interfaces that face the author and whoever receives the description.
    pub direction: [Option<&'a [u8]>; 2],
    /// Which codecs whoever receives the description is offered.
    pub codecs: CodecWishes<'a>,
    /// Milliseconds of sound in the packets of whoever receives the description.
    pub ptime_ms: Option<u16>,
    /// The same of its author.
    pub ptime_reverse_ms: Option<u16>,
    /// Of an answer its first codec alone.
    pub single_codec: bool,
    /// How long the ports of a call stay behind its end.
    pub delete_delay: Option<Duration>,
    /// How many calls may be listed.
    pub limit: Option<i64>,
    /// The client knows what to make of an engine without room.
    pub supports_load_limit: bool,
}

/// How media travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportProtocol {
    /// RTP: `RTP/AVP`, and with feedback `RTP/AVPF`; protected: `RTP/SAVP` and `RTP/SAVPF`.
    Rtp {
        /// With the key in the description.
        secure: bool,
        /// RFC 4585.
        feedback: bool,
    },
    /// RTP with the keys of a DTLS handshake: `UDP/TLS/RTP/SAVP`, and with feedback `UDP/TLS/RTP/SAVPF`.
    Dtls {
        /// RFC 4585.
        feedback: bool,
    },
    /// As it was answered.
    Accept,
    /// Another.
    Other,
}

/// What becomes of ICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ice {
    /// What the description says of it is taken out.
    Remove,
    /// As it was offered, with the engine as the only candidate.
    Default,
    /// The engine is to take part in it.
    Force,
}

/// What becomes of `a=rtcp-mux`. Nothing: as the parties wish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtcpMux {
    /// It is offered, whatever the author wishes.
    pub offer: bool,
    /// It is not offered, and accepted towards the author.
    pub demux: bool,
    /// It is accepted towards the author, whatever the other party wishes.
    pub accept: bool,
    /// It is refused to the author.
    pub reject: bool,
}

/// Which suites of SRTP may be offered.
#[derive(Clone, Debug, Default)]
pub struct Sdes<'a> {
    /// None.
    pub off: bool,
    /// These alone; empty: any.
    pub only: Vec<&'a [u8]>,
    /// Not these.
    pub without: Vec<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// What a dictionary says.
    pub fn read(dictionary: &'a Dictionary<'_>) -> Self {
        let mut options = Self::default();
        for (key, value) in dictionary.iter() {
            options.read_key(key, value);
        }
        for flag in dictionary.get("flags").iter().flat_map(|flags| flags.texts()) {
            options.read_flag(flag);
        }
        options
    }

    fn read_key(&mut self, key: &[u8], value: &'a Value<'_>) {
        let is = |name: &str| is_same(key, name);
        let text = || value.as_bytes().unwrap_or_default();
        if is("transport-protocol") {
            self.transport = Some(TransportProtocol::named(text()));
        } else if is("ICE") {
            self.ice = Ice::named(text());
        } else if is("rtcp-mux") {
            value.texts().for_each(|word| self.rtcp_mux.read(word));
        } else if is("SDES") {
            value.texts().for_each(|word| self.sdes.read(word));
        } else if is("DTLS") {
            self.dtls_off = matches!(text(), b"off" | b"no" | b"disable");
        } else if is("received-from") {
            self.received_from = value.texts().last().and_then(address);
        } else if is("media-address") {
            self.media_address = address(text());
        } else if is("address-family") {
            self.ipv6 = ipv6(text());
        } else if is("direction") {
            let mut named = value.texts();
            self.direction = [named.next(), named.next()];
        } else if is("interface") {
            self.direction[0] = value.as_bytes();
        } else if is("record-call") {
            self.record_call = matches!(text(), b"yes" | b"on");
        } else if is("delete-delay") {
            self.delete_delay = value.as_integer().and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs);
        } else if is("ptime") {
            self.ptime_ms = milliseconds(value);
        } else if is("ptime-reverse") {
            self.ptime_reverse_ms = milliseconds(value);
        } else if is("limit") {
            self.limit = value.as_integer();
        } else if is("supports") {
            self.supports_load_limit = value.texts().any(|word| is_same(word, "load-limit"));
        } else if let (true, Value::Dictionary(codec)) = (is("codec"), value) {
            codec.iter().for_each(|(list, names)| names.texts().for_each(|name| self.codecs.add(list, name)));
        }
    }

    fn read_flag(&mut self, flag: &'a [u8]) {
        let is = |name: &str| is_same(flag, name);
        let set = [
            ("asymmetric", &mut self.asymmetric),
            ("strict-source", &mut self.strict_source),
            ("SIP-source-address", &mut self.sip_source_address),
            ("loop-protect", &mut self.loop_protect),
            ("record-call", &mut self.record_call),
            ("fatal", &mut self.fatal),
            ("single-codec", &mut self.single_codec),
        ];
        for (name, value) in set {
            *value |= is(name);
        }
        if is("trust-address") {
            self.sip_source_address = false;
        } else if is("DTLS-off") {
            self.dtls_off = true;
        } else if let Some(word) = flag.strip_prefix(b"SDES-") {
            self.sdes.read(word);
        } else if let Some(word) = flag.strip_prefix(b"rtcp-mux-") {
            self.rtcp_mux.read(word);
        } else if let Some(named) = flag.strip_prefix(b"codec-") {
            self.codecs.read(named);
        } else if flag.starts_with(b"transcode-") || flag.starts_with(b"transcode=") {
            self.codecs.read(flag);
        } else if is("always-transcode") {
            self.codecs.add(b"accept", b"all");
        }
    }
}

impl TransportProtocol {
    fn named(name: &[u8]) -> Self {
        let rtp = |secure, feedback| Self::Rtp { secure, feedback };
        match name {
            b"RTP/AVP" => rtp(false, false),
            b"RTP/AVPF" => rtp(false, true),
            b"RTP/SAVP" => rtp(true, false),
            b"RTP/SAVPF" => rtp(true, true),
            b"UDP/TLS/RTP/SAVP" => Self::Dtls { feedback: false },
            b"UDP/TLS/RTP/SAVPF" => Self::Dtls { feedback: true },
            b"accept" => Self::Accept,
            _ => Self::Other,
        }
    }
}

impl Ice {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"remove" => Some(Self::Remove),
            b"default" => Some(Self::Default),
            b"force" | b"force-relay" | b"force relay" | b"optional" => Some(Self::Force),
            _ => None,
        }
    }
}

impl RtcpMux {
    fn read(&mut self, word: &[u8]) {
        match word {
            b"offer" | b"require" => self.offer = true,
            b"demux" => self.demux = true,
            b"accept" => self.accept = true,
            b"reject" => self.reject = true,
            _ => {}
        }
    }
}

impl<'a> Sdes<'a> {
    fn read(&mut self, word: &'a [u8]) {
        match word {
            b"off" | b"no" | b"disable" => self.off = true,
            _ => {
                self.only.extend(word.strip_prefix(b"only-"));
                self.without.extend(word.strip_prefix(b"no-"));
            }
        }
    }
}

fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

fn milliseconds(value: &Value<'_>) -> Option<u16> {
    value.as_integer().and_then(|ms| u16::try_from(ms).ok()).filter(|ms| *ms > 0)
}

fn ipv6(family: &[u8]) -> Option<bool> {
    match family {
        b"IP6" | b"ip6" => Some(true),
        b"IP4" | b"ip4" => Some(false),
        _ => None,
    }
}
