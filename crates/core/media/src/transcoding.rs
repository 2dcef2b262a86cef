//! Codecs for two parties that may share none: what is offered besides, what is answered, and what packets become.
//!
//! ```text
//!   Alice ── her codecs ──► extend_offer ── hers, then what we can code ──► Bob
//!         ◄── those that both have, else one of hers ── settle_answer ◄── his answer ─┘
//!                         conversions: nothing when they share one, else what packets become each way
//! ```
//!
//! Everything follows from what each party was told and has said, so that nothing else is remembered. A party's payload
//! types in what we told it are those that it sends, those in what it has said are those that it is sent.

use crate::{Coding, Conversion, KeyRules, MediaError, OpusParameters, SoundRule};
use bytes::Bytes;
use sx_sdp::{Description, Format, FormatEdit, Media, MediaKind, NewFormat};
use sx_types::{Codec, PayloadType};

/// An offer with the codecs that can be made of what it has, behind its own, best first. A stream of which nothing can be
/// coded, and one that is no sound or whose keys come from DTLS, stays as it is.
///
/// # Errors
/// [`MediaError::Description`] when it cannot be read.
pub fn extend_offer(offer: &Bytes, codable: &[Codec]) -> Result<Bytes, MediaError> {
    if codable.is_empty() {
        return Ok(offer.clone());
    }
    let parsed = Description::parse(offer)?;
    let edits: Vec<_> = parsed.media().map(|media| extension(&media, codable)).collect();
    // What needs no change keeps its bytes, by which a description is known to be the same.
    match edits.iter().all(|edit| *edit == FormatEdit::Keep) {
        true => Ok(offer.clone()),
        false => Ok(parsed.set_formats(&edits).into()),
    }
}

fn extension(media: &Media<'_, '_>, codable: &[Codec]) -> FormatEdit {
    if !is_sound(media) || !media.codecs().any(|format| is_codable(&format, codable)) {
        return FormatEdit::Keep;
    }
    let mut taken = media.codecs().fold(0_u128, |taken, format| taken | 1 << format.payload_type.0);
    let mut formats = Vec::new();
    for codec in codable.iter().copied() {
        if media.codecs().any(|format| format.codec == Some(codec) && is_registered(&format, codec)) {
            continue;
        }
        let free = |number: &u8| taken >> number & 1 == 0;
        let fixed = (0..FIRST_DYNAMIC).filter(|number| Codec::from_static(PayloadType(*number)) == Some(codec));
        let dynamic = (FIRST_DYNAMIC..=FIRST_TRIED).rev().chain(FIRST_TRIED + 1..128);
        let is_fixed = fixed.clone().next().is_some();
        // Under its fixed number or none: one that means something else there is rare.
        let number = if is_fixed { fixed.clone().find(free) } else { dynamic.clone().find(free) };
        if let Some(number) = number {
            taken |= 1 << number;
            formats.push(ours(PayloadType(number), codec));
        }
    }
    if formats.is_empty() { FormatEdit::Keep } else { FormatEdit::Append(formats) }
}

/// Payload types that mean nothing by themselves begin here, and are looked for from above: most parties begin below.
//= https://www.rfc-editor.org/rfc/rfc3551#section-6
pub(crate) const FIRST_DYNAMIC: u8 = 96;
const FIRST_TRIED: u8 = 120;

/// The answer to an extended offer as the party that made the offer is to have it: of each stream of sound the codecs that
/// both have; where they share none, the first of the offer that can be coded.
///
/// `offer` is the offer as its party made it.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read.
pub fn settle_answer(answer: &Bytes, offer: &Bytes, codable: &[Codec]) -> Result<Bytes, MediaError> {
    if codable.is_empty() {
        return Ok(answer.clone());
    }
    let (parsed, asked) = (Description::parse(answer)?, Description::parse(offer)?);
    let edits: Vec<_> = parsed
        .media()
        .enumerate()
        .map(|(stream, media)| {
            asked.media_at(stream).map_or(FormatEdit::Keep, |asked| settled(&media, &asked, codable))
        })
        .collect();
    let replaced: Bytes = match edits.iter().all(|edit| *edit == FormatEdit::Keep) {
        true => answer.clone(),
        false => parsed.set_formats(&edits).into(),
    };
    let parsed = Description::parse(&replaced)?;
    // Where nothing of ours was taken nothing changes. A stream that shares nothing, and of which nothing can be coded, is as
    // wrong as it was.
    let strange: Vec<_> = parsed.media().zip(asked.media()).map(|(media, asked)| strange_to(&media, &asked)).collect();
    if strange.iter().all(Option::is_none) {
        return Ok(replaced.clone());
    }
    let kept = parsed.retain_codecs(|stream, format| {
        strange.get(stream).and_then(Option::as_ref).is_none_or(|asked| has(asked, format))
    });
    Ok(kept.into())
}

/// What was asked for in a stream whose answer shares some of it, and has something else besides.
fn strange_to<'a>(media: &Media<'_, '_>, asked: &Media<'_, 'a>) -> Option<Vec<Format<'a>>> {
    let asked: Vec<_> = asked.codecs().collect();
    let shares = media.codecs().any(|format| format.is_primary() && has(&asked, &format));
    let is_strange = is_sound(media) && shares && media.codecs().any(|format| !has(&asked, &format));
    is_strange.then_some(asked)
}

/// What becomes of the encodings of an answer's stream.
fn settled(media: &Media<'_, '_>, asked: &Media<'_, '_>, codable: &[Codec]) -> FormatEdit {
    let known: Vec<_> = asked.codecs().collect();
    let shares = media.codecs().any(|format| format.is_primary() && has(&known, &format));
    let can_code = media.codecs().any(|format| is_codable(&format, codable));
    if !is_sound(media) || asked.is_rejected() || shares || !can_code {
        return FormatEdit::Keep;
    }
    let Some(chosen) = known.iter().find(|format| is_codable(format, codable)) else { return FormatEdit::Keep };
    let mut formats: Vec<NewFormat> = chosen.codec.map(|codec| ours(chosen.payload_type, codec)).into_iter().collect();
    for codec in [Codec::TelephoneEvent, Codec::ComfortNoise] {
        let of_kind = || known.iter().filter(|format| format.codec == Some(codec));
        let theirs = media.codecs().any(|format| format.codec == Some(codec));
        let with_clock = of_kind().find(|format| format.clock_hz == chosen.clock_hz).or_else(|| of_kind().next());
        if let Some(format) = with_clock.filter(|_| theirs) {
            let parameters = asked.fmtp(format.payload_type).map(String::from_utf8_lossy).unwrap_or_default().into();
            let Format { payload_type, clock_hz, .. } = *format;
            formats.push(NewFormat { payload_type, codec, clock_hz, parameters });
        }
    }
    FormatEdit::Replace(formats)
}

/// Has each stream of sound that an answer takes a codec that was asked for? `told` is the offer that it answers.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read; [`MediaError::NothingInCommon`] when it has none.
//= https://www.rfc-editor.org/rfc/rfc3264#section-6.1
// Each stream of an answer has at least one format of the offer.
pub fn check_codecs(told: &[u8], answer: &[u8]) -> Result<(), MediaError> {
    let (told, answer) = (Description::parse(told)?, Description::parse(answer)?);
    let is_known = |(asked, taken): (Media<'_, '_>, Media<'_, '_>)| {
        let asked: Vec<_> = asked.codecs().filter(Format::is_primary).collect();
        // Who leaves the channels out, or says another clock, means the same: its number says so, or its name.
        let same = |one: &Format<'_>, other: &Format<'_>| {
            let named = !one.encoding.is_empty() && one.encoding.eq_ignore_ascii_case(other.encoding);
            named || one.payload_type == other.payload_type
        };
        asked.is_empty() || taken.codecs().any(|format| asked.iter().any(|known| same(known, &format)))
    };
    let mut streams = told.media().zip(answer.media()).filter(|(asked, taken)| is_sound(asked) && is_sound(taken));
    if streams.all(is_known) { Ok(()) } else { Err(MediaError::NothingInCommon) }
}

/// What a party was told last, and has said last: one of them is the answer to the other.
#[derive(Clone, Copy, Debug)]
pub struct Agreed<'a> {
    /// What it was told.
    pub told: &'a [u8],
    /// What it has said.
    pub said: &'a [u8],
}

/// What packets of a stream become from the one to the other, and back. `None`: everything can pass as it is, or it is not
/// known what it becomes.
pub fn conversions(one: Agreed<'_>, other: Agreed<'_>, stream: usize) -> Option<[Conversion; 2]> {
    let ways = ways(one, other, stream)?;
    ways.iter().any(|way| !way.relays_all()).then_some(ways)
}

/// The same, also where everything can pass as it is.
pub fn ways(one: Agreed<'_>, other: Agreed<'_>, stream: usize) -> Option<[Conversion; 2]> {
    let told = |agreed: Agreed<'_>| codings(agreed.told, agreed.said, stream);
    let said = |agreed: Agreed<'_>| codings(agreed.said, agreed.told, stream);
    let (sent, taken) = ([told(one)?, told(other)?], [said(one)?, said(other)?]);
    let [one_sends, other_sends] = sent;
    let [one_takes, other_takes] = taken;
    let (keys, sound) = (KeyRules::default(), SoundRule::default());
    let there = Conversion { from: one_sends.0, to: other_takes.0, ptime_ms: other_takes.1, keys, anew: false, sound };
    let back = Conversion { from: other_sends.0, to: one_takes.0, ptime_ms: one_takes.1, keys, anew: false, sound };
    let known = [&there, &back].iter().all(|way| way.from.iter().any(Coding::is_sound));
    known.then_some([there, back])
}

/// The same where also what both have is coded anew. `None`: it is not known what it becomes, or not all of it is among
/// what can be coded.
pub fn conversions_anew(
    one: Agreed<'_>,
    other: Agreed<'_>,
    stream: usize,
    codable: &[Codec],
) -> Option<[Conversion; 2]> {
    let [mut there, mut back] = ways(one, other, stream)?;
    let sound = [&there, &back].into_iter().flat_map(|way| way.from.iter().chain(&way.to)).filter(|way| way.is_sound());
    let all = sound.into_iter().all(|coding| codable.contains(&coding.codec));
    (there.anew, back.anew) = (true, true);
    all.then_some([there, back])
}

/// What a stream of a description has that another one has as well, and the packet length it asks for.
pub(crate) fn codings(of: &[u8], with: &[u8], stream: usize) -> Option<(Vec<Coding>, u16)> {
    let (of, with) = (Description::parse(of).ok()?, Description::parse(with).ok()?);
    let (media, with) = (of.media_at(stream)?, with.media_at(stream)?);
    if !is_sound(&media) || !is_sound(&with) {
        return None;
    }
    let known: Vec<_> = with.codecs().collect();
    let shared = media.codecs().filter(|format| has(&known, format));
    let codings = shared.filter_map(|format| {
        let Format { payload_type, codec, clock_hz, channels, .. } = format;
        let codec = codec?;
        let parameters = media.fmtp(payload_type).filter(|_| codec == Codec::Opus);
        Some(Coding {
            payload_type,
            codec,
            clock_hz,
            channels,
            opus: parameters.map(opus_parameters).unwrap_or_default(),
        })
    });
    let ptime_ms = media.ptime_ms().unwrap_or(PTIME_MS).min(media.max_ptime_ms().unwrap_or(u32::MAX));
    Some((codings.collect(), ptime_ms.try_into().unwrap_or(u16::MAX)))
}

/// Milliseconds of sound in a packet when nobody asks for more or less.
//= https://www.rfc-editor.org/rfc/rfc3551#section-4.2
const PTIME_MS: u32 = 20;

/// Reads the parameters of Opus; those that are not known here are passed over.
//= https://www.rfc-editor.org/rfc/rfc7587#section-6.1
fn opus_parameters(parameters: &[u8]) -> OpusParameters {
    let mut opus = OpusParameters::default();
    for parameter in parameters.split(|byte| *byte == b';') {
        let Some(at) = parameter.iter().position(|byte| *byte == b'=') else { continue };
        let (name, value) = (parameter[..at].trim_ascii(), parameter[at + 1..].trim_ascii());
        match name {
            b"useinbandfec" => opus.fec = value == b"1",
            b"usedtx" => opus.dtx = value == b"1",
            b"maxaveragebitrate" => {
                opus.bit_rate_max = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
            }
            _ => {}
        }
    }
    opus
}

/// What we say of an encoding of ours: Opus in one channel, with copies of what may be lost.
pub fn ours(payload_type: PayloadType, codec: Codec) -> NewFormat {
    let parameters = if codec == Codec::Opus { OPUS_PARAMETERS } else { "" };
    NewFormat { payload_type, codec, clock_hz: codec.clock_hz(), parameters: parameters.to_owned() }
}

/// One channel, with copies of what may be lost.
pub(crate) const OPUS_PARAMETERS: &str = "useinbandfec=1;stereo=0";

/// A stream of sound whose packets can be read here.
pub(crate) fn is_sound(media: &Media<'_, '_>) -> bool {
    media.kind() == MediaKind::Audio && media.profile().is_rtp() && !media.is_rejected()
}

fn is_codable(format: &Format<'_>, codable: &[Codec]) -> bool {
    format.codec.is_some_and(|codec| codable.contains(&codec) && is_registered(format, codec))
}

fn is_registered(format: &Format<'_>, codec: Codec) -> bool {
    format.clock_hz == codec.clock_hz() && format.channels == codec.channels()
}

/// Do the encodings of a stream have this one, under whatever number?
fn has(known: &[Format<'_>], format: &Format<'_>) -> bool {
    let same = |other: &Format<'_>| {
        let named = other.encoding.eq_ignore_ascii_case(format.encoding) && !format.encoding.is_empty();
        let unnamed = format.encoding.is_empty() && other.payload_type == format.payload_type;
        (named || unnamed) && (other.clock_hz, other.channels) == (format.clock_hz, format.channels)
    };
    known.iter().any(same)
}
