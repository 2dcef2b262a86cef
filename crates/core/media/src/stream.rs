//! What a party's description says of its streams.

use crate::{Latch, MediaError, Remote, TrafficClass};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use sx_sdp::{Chosen, Description, Direction, Format, Media, MediaKind, Profile};
use sx_types::{Codec, PayloadType};

/// One stream of a description, as far as the plan of a call depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSummary {
    /// What it carries.
    pub kind: MediaKind,
    /// The port the party wants its media on; 0 when it is refused.
    pub port: u16,
    /// Is it refused, or taken away?
    pub rejected: bool,
    /// Where the party wants RTP; `None` when the stream is refused or its address is not known by number.
    pub address: Option<SocketAddr>,
    /// Does the party want its media by IPv6?
    pub ipv6: bool,
    /// The payload types of an RTP stream, best first.
    pub codecs: Vec<StreamCodec>,
    /// Which way media flows, seen from the party.
    pub direction: Direction,
    /// Does the party refuse to receive: by its direction, or by an address of zeros?
    pub held: bool,
    /// How it travels. Packet threads relay RTP only; a stream of [`Profile::Other`] should be given no port.
    pub profile: Profile,
    /// Can RTP and RTCP share a port?
    pub rtcp_mux: bool,
}

/// A payload type of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamCodec {
    /// The payload type.
    pub payload_type: PayloadType,
    /// What it stands for, when the exchange knows it.
    pub codec: Option<Codec>,
}

impl StreamSummary {
    /// Is it protected (SRTP)?
    pub fn is_secure(&self) -> bool {
        self.profile.is_secure()
    }

    /// How its packets are marked: pictures as video, everything else as voice.
    pub fn traffic_class(&self) -> TrafficClass {
        if self.kind == MediaKind::Video { TrafficClass::Video } else { TrafficClass::Audio }
    }

    fn of(media: &Media<'_, '_>) -> Self {
        let host = media.connection().map(|connection| connection.host);
        let codecs =
            media.codecs().map(|format| StreamCodec { payload_type: format.payload_type, codec: format.codec });
        let profile = media.profile();
        Self {
            kind: media.kind(),
            port: media.port(),
            rejected: media.is_rejected(),
            address: media.rtp_address(),
            ipv6: host.and_then(|host| host.ip()).is_some_and(|ip| ip.is_ipv6()),
            codecs: if profile.is_rtp() { codecs.collect() } else { Vec::new() },
            direction: media.direction(),
            held: media.is_held(),
            profile,
            rtcp_mux: media.rtcp_mux(),
        }
    }
}

/// What a description says of its streams, in their order.
///
/// # Errors
/// [`MediaError::Description`] when it cannot be read.
pub fn streams(description: &[u8]) -> Result<Vec<StreamSummary>, MediaError> {
    let description = Description::parse(description)?;
    Ok(description.media().map(|media| StreamSummary::of(&media)).collect())
}

/// Where the party that wrote a description is, for the stream at this place: the peer of the port that faces it.
/// `None` where [`try_remote`] gives an error; then packets for it cannot be sent.
pub fn remote(description: &[u8], stream: usize, latch: Latch) -> Option<Remote> {
    try_remote(description, stream, latch).ok()
}

/// As [`remote`], with the reason why there is none.
///
/// A party that puts others on hold in the manner of RFC 2543, by an address of zeros, neither receives nor is
/// expected to send. An `a=rtcp` that names its host by name is taken as of the host of RTP.
///
/// # Errors
/// The description cannot be read, or has no such stream, or the stream is refused, or its address is missing or
/// given by name.
pub fn try_remote(description: &[u8], stream: usize, latch: Latch) -> Result<Remote, MediaError> {
    let description = Description::parse(description)?;
    let media = description.media_at(stream).ok_or(MediaError::NoSuchStream { stream })?;
    remote_of(&description, &media, stream, latch)
}

fn remote_of(
    description: &Description<'_>,
    media: &Media<'_, '_>,
    stream: usize,
    latch: Latch,
) -> Result<Remote, MediaError> {
    if media.is_rejected() {
        return Err(MediaError::Refused { stream });
    }
    let connection = media.connection().ok_or(MediaError::NoAddress { stream })?;
    let (Some(rtp), Some(rtcp)) = (media.rtp_address(), media.rtcp_address()) else {
        return Err(MediaError::AddressNotNumeric { stream });
    };
    let direction = media.direction();
    //= https://www.rfc-editor.org/rfc/rfc3264#section-8.4
    // An address of zeros says that neither RTP nor RTCP is to be sent.
    let reachable = !connection.is_unspecified();
    let (receives, sends) = (direction.receives() && reachable, direction.sends() && reachable);
    let codec = sound_codec(media, |_| true);
    let wants_metrics = wants_metrics(description, media);
    Ok(Remote { rtp, rtcp, latch, receives, sends, wants_metrics, codec })
}

/// Can packets of every RTP stream of a description be relayed, as far as it says?
///
/// # Errors
/// Those of [`try_remote`]; [`MediaError::NoPayloadType`] when a stream names none.
pub fn check_streams(description: &[u8]) -> Result<(), MediaError> {
    let parsed = Description::parse(description)?;
    let relayed = parsed.media().enumerate().filter(|(_, media)| media.profile().is_rtp() && !media.is_rejected());
    for (stream, media) in relayed {
        remote_of(&parsed, &media, stream, Latch::Port)?;
        if media.codecs().next().is_none() {
            return Err(MediaError::NoPayloadType { stream });
        }
    }
    Ok(())
}

/// Has an offer a stream that can be relayed, if it has any?
///
/// # Errors
/// Those of [`check_streams`]; [`MediaError::NothingRelayed`] when it has none.
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.3
// An offer of which nothing can be accepted is refused as such; it is not accepted with every stream refused.
pub fn check_offer(description: &[u8]) -> Result<(), MediaError> {
    check_streams(description)?;
    let parsed = Description::parse(description)?;
    let mut open = parsed.media().filter(|media| !media.is_rejected()).peekable();
    let has_none = open.peek().is_none();
    if has_none || open.any(|media| media.profile().is_rtp()) { Ok(()) } else { Err(MediaError::NothingRelayed) }
}

/// Does a party want VoIP metrics about a stream? It says so of the stream, or of all of them.
//= https://www.rfc-editor.org/rfc/rfc3611#section-5.1
// The attribute lists the blocks that may be sent to whoever has written the description.
fn wants_metrics(description: &Description<'_>, media: &Media<'_, '_>) -> bool {
    let said = media.attribute("rtcp-xr").or_else(|| description.attribute("rtcp-xr"));
    said.is_some_and(|said| said.split(u8::is_ascii_whitespace).any(|block| block == b"voip-metrics"))
}

/// What a party likely sends the sound of a stream in: the first codec that it has said and was told as well. `None` when the
/// stream is no sound, or they share none.
pub fn agreed_sound(told: &[u8], said: &[u8], stream: usize) -> Option<Codec> {
    let (told, said) = (Description::parse(told).ok()?, Description::parse(said).ok()?);
    let (told, said) = (told.media_at(stream)?, said.media_at(stream)?);
    sound_codec(&said, |codec| told.codecs().any(|format| format.codec == Some(codec)))
}

fn sound_codec(media: &Media<'_, '_>, takes: impl Fn(Codec) -> bool) -> Option<Codec> {
    let is_sound = media.kind() == MediaKind::Audio && media.profile().is_rtp() && !media.is_rejected();
    let mut known = media.codecs().filter(Format::is_primary).filter_map(|format| format.codec);
    is_sound.then(|| known.find(|codec| takes(*codec))).flatten()
}

/// The description with these codecs alone, known by their names. A stream that has none of them left is refused; one
/// that is not RTP stays as it is.
///
/// # Errors
/// [`MediaError::Description`] when it cannot be read; [`MediaError::NothingAllowed`] when it had streams and every one
/// is refused now.
pub fn allow_codecs(description: &Bytes, allowed: &[Codec]) -> Result<Bytes, MediaError> {
    let parsed = Description::parse(description)?;
    let is_allowed = |format: &Format<'_>| format.codec.is_some_and(|codec| allowed.contains(&codec));
    // What needs no change keeps its bytes, by which a description is known to be the same.
    let all = |media: Media<'_, '_>| !media.profile().is_rtp() || media.codecs().all(|format| is_allowed(&format));
    if parsed.media().all(all) {
        return Ok(description.clone());
    }
    let text = Bytes::from(parsed.retain_codecs(|_, format| is_allowed(format)));
    let open = |description: &Description<'_>| description.media().any(|media| !media.is_rejected());
    if open(&parsed) && !open(&Description::parse(&text)?) {
        return Err(MediaError::NothingAllowed);
    }
    Ok(text)
}

/// What the RTP streams of a description can be coded in, each once, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedCodecs {
    /// Those that the exchange knows.
    pub known: Vec<Codec>,
    /// The names of the others, as they are written; of one without a name its payload type.
    pub others: Vec<Box<str>>,
}

/// The codecs that a description names; none when it cannot be read.
pub fn offered_codecs(description: &[u8]) -> OfferedCodecs {
    let mut offered = OfferedCodecs::default();
    let Ok(parsed) = Description::parse(description) else { return offered };
    for media in parsed.media().filter(|media| media.profile().is_rtp()) {
        for format in media.codecs() {
            match format.codec {
                Some(codec) if !offered.known.contains(&codec) => offered.known.push(codec),
                Some(_) => {}
                None => offered.other(&format),
            }
        }
    }
    offered
}

/// How many names of other codecs are told, and how much of each.
const OTHERS_MAX: usize = 32;
const NAME_BYTES_MAX: usize = 32;

impl OfferedCodecs {
    fn other(&mut self, format: &Format<'_>) {
        let name: Box<str> = match format.encoding {
            [] => format.payload_type.0.to_string().into(),
            encoding => String::from_utf8_lossy(&encoding[..encoding.len().min(NAME_BYTES_MAX)]).into(),
        };
        // They are told in a record and no more: of a description that names a thousand not all are.
        if self.others.len() < OTHERS_MAX && !self.others.contains(&name) {
            self.others.push(name);
        }
    }
}

/// A description as the answer to an offer that its party has not seen: of each stream the codecs that both have, under
/// the payload types of the description. A stream that has none, or is of another kind, is refused.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read; [`MediaError::TooManyAnswered`] when the description has
/// more streams than the offer; [`MediaError::NothingInCommon`] when every stream is refused.
pub fn answer_from(description: &Bytes, offer: &Bytes) -> Result<Bytes, MediaError> {
    let (ours, asked) = (Description::parse(description)?, Description::parse(offer)?);
    let (answered, offered) = (ours.media().len(), asked.media().len());
    if answered > offered {
        return Err(MediaError::TooManyAnswered { answered, offered });
    }
    let theirs = |(media, asked): (Media<'_, '_>, Media<'_, '_>)| -> Vec<_> {
        let matches = media.kind() == asked.kind() && !asked.is_rejected();
        asked.codecs().filter(|_| matches).map(|format| (format.codec, format.clock_hz)).collect()
    };
    let theirs: Vec<_> = ours.media().zip(asked.media()).map(theirs).collect();
    let text = ours.retain_codecs(|stream, format| {
        let same = (format.codec, format.clock_hz);
        format.codec.is_some() && theirs.get(stream).is_some_and(|theirs| theirs.contains(&same))
    });
    let text = Bytes::from(text);
    let open = Description::parse(&text)?.media().any(|media| media.profile().is_rtp() && !media.is_rejected());
    if open { Ok(text) } else { Err(MediaError::NothingInCommon) }
}

/// The codec that an answer settles on: the first of its first audio stream that the exchange knows and that is not
/// telephone events or comfort noise.
pub fn agreed_codec(answer: &[u8]) -> Option<Codec> {
    let answer = Description::parse(answer).ok()?;
    Chosen::from(&answer).map(|chosen| chosen.codec)
}
