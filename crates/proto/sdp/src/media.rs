//! Media sections: what is offered, where it goes, and how it is encoded.

use crate::description::{self, Section};
use crate::parse::{number, port, word, words};
use crate::write::Text;
use crate::{Connection, Crypto, CryptoError, Description, Direction, Line, RtcpAttribute};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use sx_types::{Codec, Kind, PayloadType};

/// One media section of a description.
#[derive(Clone, Copy, Debug)]
pub struct Media<'d, 'a> {
    pub(crate) description: &'d Description<'a>,
    pub(crate) section: &'d Section<'a>,
}

/// What a media section carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MediaKind {
    /// Voice and other sound.
    Audio,
    /// Moving pictures.
    Video,
    /// Text as it is typed (RFC 4103).
    Text,
    /// Still pictures, in practice fax (T.38).
    Image,
    /// Anything else: `application`, `message` and what is yet to come.
    Other,
}

/// How a media section travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Profile {
    /// RTP in the clear: `RTP/AVP`, `RTP/AVPF`.
    Rtp,
    /// SRTP with keys in the description or none: `RTP/SAVP`, `RTP/SAVPF`.
    SecureRtp,
    /// SRTP with keys from a DTLS handshake: `UDP/TLS/RTP/SAVP`, `UDP/TLS/RTP/SAVPF`.
    DtlsRtp,
    /// Not RTP over UDP.
    Other,
}

/// An RTP payload type of a media section and the encoding it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format<'a> {
    /// The payload type.
    pub payload_type: PayloadType,
    /// The encoding, when it is one the exchange knows.
    pub codec: Option<Codec>,
    /// The name of the encoding; empty for a payload type that nothing explains.
    pub encoding: &'a [u8],
    /// Ticks of the RTP timestamp a second; 0 when unknown.
    pub clock_hz: u32,
    /// Channels of sound; 1 when nothing is said.
    pub channels: u8,
}

/// The fields of an `m=` line.
#[derive(Clone, Debug)]
pub(crate) struct MediaLine<'a> {
    pub(crate) kind: &'a [u8],
    pub(crate) port: u16,
    pub(crate) port_count: u16,
    pub(crate) protocol: &'a [u8],
    pub(crate) format_list: &'a [u8],
}

impl<'a> MediaLine<'a> {
    /// Reads the value of an `m=` line. Peers that refuse a stream may leave out its formats.
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let (kind, rest) = word(value);
        let (ports, rest) = word(rest);
        let (protocol, format_list) = word(rest);
        let (port_digits, count_digits) = match memchr::memchr(b'/', ports) {
            Some(at) => (&ports[..at], &ports[at + 1..]),
            None => (ports, &b"1"[..]),
        };
        let port_count = port(count_digits)?;
        let port = port(port_digits)?;
        let format_list = format_list.trim_ascii();
        let complete = !protocol.is_empty() && (port == 0 || !format_list.is_empty());
        complete.then_some(Self { kind, port, port_count, protocol, format_list })
    }

    /// Writes an `m=` line with another port and count of ports, and of its formats only those that are wanted.
    pub(crate) fn write(&self, text: &mut Text, ports: (u16, u16), wanted: impl Fn(&[u8]) -> bool) {
        self.write_as(text, self.protocol, ports, wanted);
    }

    /// The same with another protocol.
    pub(crate) fn write_as(
        &self,
        text: &mut Text,
        protocol: &[u8],
        (port, count): (u16, u16),
        wanted: impl Fn(&[u8]) -> bool,
    ) {
        text.begin(b'm').bytes(self.kind).bytes(b" ").number(u64::from(port));
        if count > 1 {
            text.bytes(b"/").number(u64::from(count));
        }
        text.bytes(b" ").bytes(protocol);
        for format in self.formats().filter(|format| wanted(format)) {
            text.bytes(b" ").bytes(format);
        }
        //= https://www.rfc-editor.org/rfc/rfc8866#section-5.14
        // A media section names a format, also one that is refused and came without.
        if self.format_list.is_empty() {
            text.bytes(b" 0");
        }
        text.end();
    }

    /// Writes the `m=` line with some of its formats, and others behind them.
    pub(crate) fn write_formats(
        &self,
        text: &mut Text,
        old: impl Iterator<Item = &'a [u8]>,
        new: impl Iterator<Item = PayloadType>,
    ) {
        text.begin(b'm').bytes(self.kind).bytes(b" ").number(u64::from(self.port));
        if self.port_count > 1 {
            text.bytes(b"/").number(u64::from(self.port_count));
        }
        text.bytes(b" ").bytes(self.protocol);
        for format in old {
            text.bytes(b" ").bytes(format);
        }
        for payload_type in new {
            text.bytes(b" ").number(u64::from(payload_type.0));
        }
        text.end();
    }

    pub(crate) fn formats(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        words(self.format_list)
    }
}

impl<'d, 'a> Media<'d, 'a> {
    /// The `m=` line and those that follow it.
    pub fn lines(&self) -> &'d [Line<'a>] {
        &self.description.lines[self.section.first..self.section.end]
    }

    /// What it carries.
    pub fn kind(&self) -> MediaKind {
        match self.section.media.kind {
            b"audio" => MediaKind::Audio,
            b"video" => MediaKind::Video,
            b"text" => MediaKind::Text,
            b"image" => MediaKind::Image,
            _ => MediaKind::Other,
        }
    }

    /// The port its media is to be sent to; 0 when the stream is refused or taken away.
    pub fn port(&self) -> u16 {
        self.section.media.port
    }

    /// How many ports, or pairs of ports, it spans; 1 when nothing is said.
    pub fn port_count(&self) -> u16 {
        self.section.media.port_count
    }

    /// Is the stream refused or taken away?
    //= https://www.rfc-editor.org/rfc/rfc3264#section-8.2
    pub fn is_rejected(&self) -> bool {
        self.port() == 0
    }

    /// How it travels, as written: `RTP/AVP`, `udptl` …
    pub fn protocol(&self) -> &'a [u8] {
        self.section.media.protocol
    }

    /// How it travels.
    pub fn profile(&self) -> Profile {
        const PROFILES: [(&[u8], Profile); 6] = [
            (b"RTP/AVP", Profile::Rtp),
            (b"RTP/AVPF", Profile::Rtp),
            (b"RTP/SAVP", Profile::SecureRtp),
            (b"RTP/SAVPF", Profile::SecureRtp),
            (b"UDP/TLS/RTP/SAVP", Profile::DtlsRtp),
            (b"UDP/TLS/RTP/SAVPF", Profile::DtlsRtp),
        ];
        let protocol = self.protocol();
        PROFILES.iter().find(|(name, _)| name.eq_ignore_ascii_case(protocol)).map_or(Profile::Other, |row| row.1)
    }

    /// The formats as written; for RTP, payload types.
    pub fn formats(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.section.media.formats()
    }

    /// The payload types of an RTP stream and what they stand for, best first. Words that are no payload types are
    /// passed over.
    pub fn codecs(&self) -> impl Iterator<Item = Format<'a>> + use<'a> {
        // Each line is looked at once, however many payload types a peer names.
        let mut mappings = [None; PAYLOAD_TYPES];
        for (payload_type, mapping) in self.lines().iter().filter_map(|line| line.described("rtpmap")) {
            mappings[usize::from(payload_type.0) % PAYLOAD_TYPES].get_or_insert(mapping);
        }
        let mapping = move |payload_type: PayloadType| mappings[usize::from(payload_type.0) % PAYLOAD_TYPES];
        self.formats()
            .filter_map(payload_type)
            .map(move |payload_type| Format::new(payload_type, mapping(payload_type)))
    }

    /// What a payload type stands for in this section: its `rtpmap`, else what RFC 3551 fixes.
    pub fn format(&self, payload_type: PayloadType) -> Format<'a> {
        Format::new(payload_type, self.described("rtpmap", payload_type))
    }

    /// The parameters of a payload type (`a=fmtp`), as written.
    pub fn fmtp(&self, payload_type: PayloadType) -> Option<&'a [u8]> {
        self.described("fmtp", payload_type).map(<[u8]>::trim_ascii)
    }

    /// Where its media goes: its own connection, else that of the session. `None` when there is neither.
    pub fn connection(&self) -> Option<Connection<'a>> {
        description::connection(self.lines()).or_else(|| self.description.connection())
    }

    /// Which way its media flows: its own direction, else that of the session, else both ways.
    //= https://www.rfc-editor.org/rfc/rfc8866#section-6.7
    pub fn direction(&self) -> Direction {
        description::direction(self.lines()).or_else(|| self.description.direction()).unwrap_or_default()
    }

    /// Does the party that wrote this refuse to receive: by its direction, or as RFC 2543 had it, by an address of
    /// zeros?
    //= https://www.rfc-editor.org/rfc/rfc3264#section-8.4
    pub fn is_held(&self) -> bool {
        !self.direction().receives() || self.connection().is_some_and(|connection| connection.is_unspecified())
    }

    /// The address to send RTP to; `None` when the stream is refused or the address is no number.
    pub fn rtp_address(&self) -> Option<SocketAddr> {
        let ip = self.connection()?.host.ip()?;
        (!self.is_rejected()).then(|| SocketAddr::new(ip, self.port()))
    }

    /// The address to send RTCP to: that of RTP when both share it, else what `a=rtcp` says, else one port above RTP.
    pub fn rtcp_address(&self) -> Option<SocketAddr> {
        let rtp = self.rtp_address()?;
        //= https://www.rfc-editor.org/rfc/rfc5761#section-5.1.1
        if self.rtcp_mux() {
            return Some(rtp);
        }
        //= https://www.rfc-editor.org/rfc/rfc3605#section-2.1
        if let Some(rtcp) = self.rtcp() {
            let ip = rtcp.host.and_then(|host| host.ip()).unwrap_or(rtp.ip());
            return Some(SocketAddr::new(ip, rtcp.port));
        }
        // The highest port has none above it; then the peer can only mean that RTCP shares it.
        Some(SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1)))
    }

    /// Where the party wants RTCP, when it says so (`a=rtcp`).
    pub fn rtcp(&self) -> Option<RtcpAttribute<'a>> {
        RtcpAttribute::parse(self.attribute("rtcp")?)
    }

    /// Can RTP and RTCP share a port (`a=rtcp-mux`)?
    pub fn rtcp_mux(&self) -> bool {
        self.attribute("rtcp-mux").is_some() || self.attribute("rtcp-mux-only").is_some()
    }

    /// Milliseconds of sound the party wants in a packet (`a=ptime`).
    pub fn ptime_ms(&self) -> Option<u32> {
        number(self.attribute("ptime")?.trim_ascii())
    }

    /// Milliseconds of sound a packet may have at most (`a=maxptime`).
    pub fn max_ptime_ms(&self) -> Option<u32> {
        number(self.attribute("maxptime")?.trim_ascii())
    }

    /// Does it carry SRTP keys (`a=crypto`, RFC 4568)?
    pub fn has_crypto(&self) -> bool {
        self.attribute("crypto").is_some()
    }

    /// Its SRTP keys (`a=crypto`, RFC 4568), best first; those that cannot be used, with the reason.
    pub fn cryptos(&self) -> impl Iterator<Item = Result<Crypto<'a>, CryptoError>> + use<'d, 'a> {
        self.lines().iter().filter_map(|line| line.attribute("crypto")).map(Crypto::parse)
    }

    /// Does it, or the session, name a certificate for DTLS (`a=fingerprint`, RFC 8122)?
    pub fn has_fingerprint(&self) -> bool {
        self.inherited("fingerprint").is_some()
    }

    /// Does it, or the session, offer ICE (`a=ice-ufrag`, RFC 8839)?
    pub fn has_ice(&self) -> bool {
        self.inherited("ice-ufrag").is_some()
    }

    /// The value of its first attribute of this name; empty for an attribute without value.
    pub fn attribute(&self, name: &str) -> Option<&'a [u8]> {
        description::attribute(self.lines(), name)
    }

    /// A media section that refuses this one: its `m=` line with port 0.
    //= https://www.rfc-editor.org/rfc/rfc3264#section-6
    pub fn refusal(&self) -> Vec<u8> {
        let mut text = Text::with_capacity(64);
        self.section.media.write(&mut text, (0, 1), |_| true);
        text.into_bytes()
    }

    /// What the first attribute of this name says of a payload type.
    fn described(&self, name: &str, payload_type: PayloadType) -> Option<&'a [u8]> {
        let mut described = self.lines().iter().filter_map(|line| line.described(name));
        described.find(|(of, _)| *of == payload_type).map(|(_, rest)| rest)
    }

    pub(crate) fn inherited(&self, name: &str) -> Option<&'a [u8]> {
        self.attribute(name).or_else(|| self.description.attribute(name))
    }
}

impl Profile {
    /// Is it RTP over UDP, of whatever protection?
    pub fn is_rtp(self) -> bool {
        self != Self::Other
    }

    /// Is it SRTP?
    pub fn is_secure(self) -> bool {
        matches!(self, Self::SecureRtp | Self::DtlsRtp)
    }
}

impl<'a> Format<'a> {
    /// Is it a way to carry sound or pictures, rather than telephone events or comfort noise beside one?
    pub fn is_primary(&self) -> bool {
        self.codec.is_none_or(|codec| codec.kind() != Kind::BesideAudio)
    }

    fn new(payload_type: PayloadType, mapping: Option<&'a [u8]>) -> Self {
        mapping.map_or_else(|| Self::from_static(payload_type), |mapping| Self::from_rtpmap(payload_type, mapping))
    }

    /// Reads what an `a=rtpmap` attribute says of a payload type.
    //= https://www.rfc-editor.org/rfc/rfc8866#section-6.6
    fn from_rtpmap(payload_type: PayloadType, mapping: &'a [u8]) -> Self {
        let mut parts = mapping.trim_ascii().split(|byte| *byte == b'/');
        let encoding = parts.next().unwrap_or_default().trim_ascii();
        let codec = std::str::from_utf8(encoding).ok().and_then(Codec::from_name);
        let clock_hz = parts.next().and_then(number).unwrap_or(0);
        let channels = parts.next().and_then(number).and_then(|count| u8::try_from(count).ok()).unwrap_or(1);
        Self { payload_type, codec, encoding, clock_hz, channels }
    }

    fn from_static(payload_type: PayloadType) -> Self {
        let codec = Codec::from_static(payload_type);
        Self {
            payload_type,
            codec,
            encoding: codec.map_or(&[], |codec| codec.name().as_bytes()),
            clock_hz: codec.map_or(0, Codec::clock_hz),
            //= https://www.rfc-editor.org/rfc/rfc3551#section-6
            // Type 10 is L16 in stereo, type 11 the same in mono.
            channels: if payload_type.0 == 10 { 2 } else { 1 },
        }
    }
}

/// A payload type: seven bits.
pub(crate) fn payload_type(digits: &[u8]) -> Option<PayloadType> {
    let value = number(digits)?;
    (value < PAYLOAD_TYPES as u32).then_some(PayloadType(value as u8))
}

/// So many values have seven bits.
const PAYLOAD_TYPES: usize = 128;
