//! Descriptions of our own, for a party that ends its media here: one audio stream, in the clear.

use crate::write::Text;
use crate::{Description, Direction, Format, Media, MediaKind, Profile};
use std::net::SocketAddr;
use sx_types::{Codec, PayloadType};

/// What we say of our side of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    /// The session; the same for as long as the dialogue lasts.
    pub session: u64,
    /// The version of its description: one more than the last whenever anything in it has changed.
    pub version: u64,
    /// Where we receive RTP. RTCP goes to the port above.
    pub rtp: SocketAddr,
    /// What we send and receive, best first.
    pub formats: Vec<OurFormat>,
    /// Which way sound is to flow, seen from us.
    pub direction: Direction,
    /// Milliseconds of sound we want in a packet; 0 to leave it to the peer.
    pub ptime_ms: u16,
}

/// An encoding that we send and receive, in one channel, or two for Opus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OurFormat {
    /// The payload type that we offer it under.
    pub payload_type: PayloadType,
    /// The encoding.
    pub codec: Codec,
    /// Its parameters (`a=fmtp`); empty for none.
    pub parameters: &'static str,
}

/// An answer, and what was agreed by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The text of the answer.
    pub text: Vec<u8>,
    /// The stream that was accepted; `None` when every stream had to be refused.
    pub chosen: Option<Chosen>,
}

/// The audio stream of a description, as far as one who sends to it needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The place of the media section, counted from 0.
    pub stream: usize,
    /// The encoding to send.
    pub codec: Codec,
    /// The payload type to send it under.
    pub payload_type: PayloadType,
    /// The payload type to send telephone events under; `None` when the peer takes none.
    pub telephone_event: Option<PayloadType>,
    /// Where to send RTP; `None` when the address is not known by number, or is the one that means "nowhere".
    pub rtp: Option<SocketAddr>,
    /// Which way sound flows, seen from the party that wrote the description.
    pub direction: Direction,
}

/// Why there is no answer to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The offer has no stream that we could accept. The peer may offer something else (SIP 488).
    #[error("the peer offers no audio stream in a format that we have")]
    NothingInCommon,
}

impl OurFormat {
    /// G.711 µ-law under its static type.
    pub const PCMU: Self = Self { payload_type: PayloadType(0), codec: Codec::Pcmu, parameters: "" };
    /// G.711 A-law under its static type.
    pub const PCMA: Self = Self { payload_type: PayloadType(8), codec: Codec::Pcma, parameters: "" };
    /// The sixteen keys of a telephone, under the type that most equipment expects.
    pub const TELEPHONE_EVENT: Self =
        Self { payload_type: PayloadType(101), codec: Codec::TelephoneEvent, parameters: "0-15" };

    /// Does the format of a peer mean the same encoding?
    fn matches(&self, theirs: &Format<'_>) -> bool {
        theirs.codec == Some(self.codec)
            && theirs.clock_hz == self.codec.clock_hz()
            && theirs.channels == self.codec.channels()
    }
}

impl Chosen {
    /// Reads the first audio stream of RTP that is not refused: its first encoding that the exchange knows. Of an
    /// answer, that is what was agreed. `None` when there is no such stream.
    pub fn from(description: &Description<'_>) -> Option<Self> {
        description.media().enumerate().find_map(|(stream, media)| {
            let usable = media.kind() == MediaKind::Audio && media.profile().is_rtp() && !media.is_rejected();
            usable.then(|| Self::of(stream, &media, |_| true)).flatten()
        })
    }

    fn of(stream: usize, media: &Media<'_, '_>, takes: impl Fn(&Format<'_>) -> bool) -> Option<Self> {
        let primary = media.codecs().find(|format| format.is_primary() && format.codec.is_some() && takes(format))?;
        let is_event = |format: &Format<'_>| {
            format.codec == Some(Codec::TelephoneEvent) && format.clock_hz == primary.clock_hz && takes(format)
        };
        Some(Self {
            stream,
            codec: primary.codec?,
            payload_type: primary.payload_type,
            telephone_event: media.codecs().find(is_event).map(|format| format.payload_type),
            rtp: media.rtp_address().filter(|address| !address.ip().is_unspecified()),
            direction: media.direction(),
        })
    }
}

/// Writes an offer of one audio stream.
pub fn offer(ours: &Ours) -> Vec<u8> {
    let mut text = begin(ours);
    text.line(b't', "0 0");
    let formats: Vec<_> = ours.formats.iter().map(|format| (format.payload_type, *format)).collect();
    write_audio(&mut text, ours, b"RTP/AVP", &formats, ours.direction);
    text.into_bytes()
}

/// Answers an offer: accepts its first audio stream that has an encoding of ours, and refuses every other.
///
/// The formats of the accepted stream are those that both sides have, in the order and under the payload types of
/// the offer. Streams that ask for SRTP are refused.
///
/// # Errors
/// [`AnswerError::NothingInCommon`] when the offer has streams and none can be accepted. An offer without any stream
/// is answered without any.
pub fn answer(offer: &Description<'_>, ours: &Ours) -> Result<Answered, AnswerError> {
    let accepts = |media: &Media<'_, '_>| {
        media.kind() == MediaKind::Audio && media.profile() == Profile::Rtp && !media.is_rejected()
    };
    let has = |theirs: &Format<'_>| ours.formats.iter().any(|format| format.matches(theirs));
    let mut candidates = offer.media().enumerate().filter(|(_, media)| accepts(media));
    let chosen = candidates.find_map(|(stream, media)| Chosen::of(stream, &media, has));
    if chosen.is_none() && offer.media().len() > 0 {
        return Err(AnswerError::NothingInCommon);
    }

    let mut text = begin(ours);
    //= https://www.rfc-editor.org/rfc/rfc3264#section-6
    // The time of the answer is that of the offer.
    let times: Vec<_> = offer.session_lines().iter().filter(|line| matches!(line.kind, b't' | b'r' | b'z')).collect();
    if times.iter().all(|line| line.kind != b't') {
        text.line(b't', "0 0");
    }
    times.into_iter().for_each(|line| text.copy(line));

    //= https://www.rfc-editor.org/rfc/rfc3264#section-6
    // As many media sections as the offer has, in its order.
    for (stream, media) in offer.media().enumerate() {
        if chosen.is_some_and(|chosen| chosen.stream == stream) {
            let direction = ours.direction.and(media.direction().reversed());
            write_audio(&mut text, ours, media.protocol(), &in_common(&media, ours), direction);
        } else {
            text.bytes(&media.refusal());
        }
    }
    Ok(Answered { text: text.into_bytes(), chosen })
}

/// Formats of the offer that are ours as well.
//= https://www.rfc-editor.org/rfc/rfc3264#section-6.1
// An encoding keeps the payload type under which it was offered, and its place.
fn in_common(media: &Media<'_, '_>, ours: &Ours) -> Vec<(PayloadType, OurFormat)> {
    let find = |theirs: &Format<'_>| ours.formats.iter().find(|format| format.matches(theirs)).copied();
    media.codecs().filter_map(|theirs| Some((theirs.payload_type, find(&theirs)?))).collect()
}

fn begin(ours: &Ours) -> Text {
    let mut text = Text::with_capacity(512);
    let ip = ours.rtp.ip();
    text.line(b'v', "0");
    text.begin(b'o').bytes(b"- ").number(ours.session).bytes(b" ").number(ours.version).bytes(b" ").address(ip).end();
    text.line(b's', "-");
    text.begin(b'c').address(ip).end();
    text
}

fn write_audio(
    text: &mut Text,
    ours: &Ours,
    protocol: &[u8],
    formats: &[(PayloadType, OurFormat)],
    direction: Direction,
) {
    text.begin(b'm').bytes(b"audio ").number(u64::from(ours.rtp.port())).bytes(b" ").bytes(protocol);
    for (payload_type, _) in formats {
        text.bytes(b" ").number(u64::from(payload_type.0));
    }
    text.end();
    for (payload_type, format) in formats {
        let number = u64::from(payload_type.0);
        text.begin(b'a').bytes(b"rtpmap:").number(number).bytes(b" ").bytes(format.codec.name().as_bytes());
        text.bytes(b"/").number(u64::from(format.codec.clock_hz()));
        if format.codec.channels() > 1 {
            text.bytes(b"/").number(u64::from(format.codec.channels()));
        }
        text.end();
        if !format.parameters.is_empty() {
            text.begin(b'a').bytes(b"fmtp:").number(number).bytes(b" ").bytes(format.parameters.as_bytes()).end();
        }
    }
    if ours.ptime_ms > 0 {
        text.begin(b'a').bytes(b"ptime:").number(u64::from(ours.ptime_ms)).end();
    }
    text.line(b'a', direction.name());
}
