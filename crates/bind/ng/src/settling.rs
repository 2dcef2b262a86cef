//! What of an answer comes to whoever has made the offer, where sound between the two may be coded anew; and what packets
//! become then.

use crate::call::Side;
use crate::codecs::{AnswerTerms, arranged, is_codable, is_sound};
use crate::offer::Refusal;
use bytes::Bytes;
use sx_media::{Agreed, Coding, Conversion, conversions, conversions_anew, ours};
use sx_sdp::{Arranged, Description, Format, FormatEdit, Media, NewFormat};
use sx_types::{Codec, PayloadType};

/// How sound is coded for a party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coded {
    /// Milliseconds of sound in its packets, whatever it says.
    pub(crate) ptime_ms: Option<u16>,
    /// Bits a second of its Opus.
    pub(crate) bit_rate: Option<u32>,
    /// How much its encoder of Opus takes pains.
    pub(crate) complexity: Option<u8>,
}

/// The answer as whoever has made the offer is to have it. Each codec that it has offered stays; one that it has not becomes
/// the first of its own that can be coded. Where it is to be answered with certain ones, it is with the first of them.
pub(crate) fn settled(answer: &Bytes, terms: &AnswerTerms, codable: &[Codec]) -> Result<Bytes, Refusal> {
    let (parsed, asked) = (Description::parse(answer)?, Description::parse(&terms.asked)?);
    let edit = |(stream, media): (usize, Media<'_, '_>)| {
        let accepted = terms.accepted.iter().filter(|(of, _)| *of == stream).map(|(_, payload_type)| *payload_type);
        let asked = asked.media_at(stream).filter(|asked| is_sound(&media) && !asked.is_rejected());
        asked.map_or(FormatEdit::Keep, |asked| settle(&media, &asked, &accepted.collect::<Vec<_>>(), codable))
    };
    let edits: Vec<_> = parsed.media().enumerate().map(edit).collect();
    Ok(match edits.iter().all(|edit| *edit == FormatEdit::Keep) {
        true => answer.clone(),
        false => parsed.set_formats(&edits).into(),
    })
}

fn settle(media: &Media<'_, '_>, asked: &Media<'_, '_>, accepted: &[PayloadType], codable: &[Codec]) -> FormatEdit {
    let theirs: Vec<Format<'_>> = media.codecs().collect();
    let mut found = Found { theirs: &theirs, formats: Vec::new(), clock_hz: None };
    let offered: Vec<Format<'_>> = asked.codecs().collect();
    let first = offered.iter().find(|format| is_codable(format, codable));
    let accepted = offered.iter().find(|format| accepted.contains(&format.payload_type));
    let can_code = theirs.iter().any(|format| is_codable(format, codable));
    if let Some(accepted) = accepted.filter(|_| can_code) {
        found.add(accepted, String::new());
    } else {
        for format in theirs.iter().filter(|format| format.is_primary()) {
            let same = offered.iter().find(|known| is_same(known, format));
            let instead = first.filter(|_| is_codable(format, codable));
            same.or(instead).into_iter().for_each(|format| found.add(format, String::new()));
        }
    }
    let Some(clock_hz) = found.clock_hz else { return FormatEdit::Keep };
    for codec in [Codec::TelephoneEvent, Codec::ComfortNoise] {
        let of_kind = || offered.iter().filter(|format| format.codec == Some(codec));
        let with_clock = of_kind().find(|format| format.clock_hz == clock_hz).or_else(|| of_kind().next());
        if let Some(format) = with_clock.filter(|_| theirs.iter().any(|format| format.codec == Some(codec))) {
            let parameters = asked.fmtp(format.payload_type).map(String::from_utf8_lossy).unwrap_or_default();
            found.add(format, parameters.into());
        }
    }
    arranged(found.formats, &theirs)
}

/// What an answer is to have.
struct Found<'f, 'a> {
    theirs: &'f [Format<'a>],
    formats: Vec<Arranged>,
    /// The clock of the first of its sound.
    clock_hz: Option<u32>,
}

impl Found<'_, '_> {
    /// Adds an encoding of the offer: as it was answered, else as it was offered.
    fn add(&mut self, format: &Format<'_>, parameters: String) {
        let number = |known: &Arranged| match known {
            Arranged::Kept(payload_type) => *payload_type,
            Arranged::New(format) => format.payload_type,
        };
        let theirs = self.theirs.iter().find(|known| is_same(known, format));
        let (payload_type, added) = match (theirs, format.codec) {
            (Some(theirs), _) => (theirs.payload_type, Arranged::Kept(theirs.payload_type)),
            (None, Some(codec)) => {
                let of_sound = ours(format.payload_type, codec);
                let parameters = if parameters.is_empty() { of_sound.parameters.clone() } else { parameters };
                (format.payload_type, Arranged::New(NewFormat { clock_hz: format.clock_hz, parameters, ..of_sound }))
            }
            (None, None) => return,
        };
        if self.formats.iter().all(|known| number(known) != payload_type) {
            self.clock_hz = self.clock_hz.or(Some(format.clock_hz));
            self.formats.push(added);
        }
    }
}

/// What packets of a stream become from the one side to the other, and back.
pub(crate) fn both_ways(sides: &[Side; 2], stream: usize, codable: &[Codec]) -> Option<[Conversion; 2]> {
    let agreed = |side: &'_ Side| Some((side.told.clone()?, side.said.clone()?));
    let ((told, said), (others_told, others_said)) = (agreed(&sides[0])?, agreed(&sides[1])?);
    let (one, other) = (Agreed { told: &told, said: &said }, Agreed { told: &others_told, said: &others_said });
    let of_length = sides.iter().any(|side| side.coded.ptime_ms.is_some());
    let anew = of_length.then(|| conversions_anew(one, other, stream, codable)).flatten();
    let mut both = anew.or_else(|| conversions(one, other, stream))?;
    for (way, receiver) in both.iter_mut().zip([&sides[1], &sides[0]]) {
        way.ptime_ms = receiver.coded.ptime_ms.unwrap_or(way.ptime_ms);
        for opus in way.to.iter_mut().filter(|coding: &&mut Coding| coding.codec == Codec::Opus) {
            (opus.opus.bit_rate, opus.opus.complexity) = (receiver.coded.bit_rate, receiver.coded.complexity);
        }
    }
    Some(both)
}

/// The answer with the first codec of each of its streams of sound alone, and what goes beside it.
pub(crate) fn single(answer: &Bytes) -> Result<Bytes, Refusal> {
    let parsed = Description::parse(answer)?;
    let edit = |media: Media<'_, '_>| {
        let first = media.codecs().find(Format::is_primary).map(|format| format.payload_type);
        let stays = |format: &Format<'_>| !format.is_primary() || Some(format.payload_type) == first;
        let formats: Vec<_> = media.codecs().filter(stays).map(|it| Arranged::Kept(it.payload_type)).collect();
        let is_changed = is_sound(&media) && formats.len() != media.codecs().count();
        if is_changed { FormatEdit::Arrange(formats) } else { FormatEdit::Keep }
    };
    let edits: Vec<_> = parsed.media().map(edit).collect();
    let is_same = edits.iter().all(|edit| *edit == FormatEdit::Keep);
    Ok(if is_same { answer.clone() } else { parsed.set_formats(&edits).into() })
}

pub(crate) fn is_same(one: &Format<'_>, other: &Format<'_>) -> bool {
    let named = one.encoding.eq_ignore_ascii_case(other.encoding) && !one.encoding.is_empty();
    let unnamed = one.encoding.is_empty() && other.encoding.is_empty() && one.payload_type == other.payload_type;
    (named || unnamed) && (one.clock_hz, one.channels) == (other.clock_hz, other.channels)
}
