//! Which codecs a party is offered, and with which of its own the one who offers may be answered.
//!
//! ```text
//!   what A has said ── strip ──► what A may be answered with ── mask, consume ──► stays ──┬── offer, except ──► what B is told
//!                                                                  transcode, re-offers ──┘
//! ```

use crate::offer::Refusal;
use bytes::Bytes;
use sx_media::ours;
use sx_ng::{CodecName, CodecWishes};
use sx_sdp::{Arranged, Description, Format, FormatEdit, Media, MediaKind, NewFormat};
use sx_types::{Codec, Kind, PayloadType};

/// What is known besides the offer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    /// What can be coded.
    pub(crate) codable: &'a [Codec],
    /// What the other party has said last, where sound between the two is coded anew.
    pub(crate) agreed: Option<&'a Bytes>,
}

/// An offer as it is passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    /// With the codecs that the other party is offered.
    pub(crate) told: Bytes,
    /// How its answer comes to whoever has made it.
    pub(crate) terms: AnswerTerms,
    /// Sound may have to be coded anew.
    pub(crate) recodes: bool,
}

/// How the answer to an offer comes to whoever has made the offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnswerTerms {
    /// The offer with the codecs that may be answered.
    pub(crate) asked: Bytes,
    /// Of its streams those payload types that are to be answered, whatever the other party takes.
    pub(crate) accepted: Vec<(usize, PayloadType)>,
}

/// The offer with those of its codecs, and those that can be made of them, that the client wants it to have.
pub(crate) fn wanted(offer: &Bytes, wishes: &CodecWishes<'_>, known: Known<'_>) -> Result<Offered, Refusal> {
    let parsed = Description::parse(offer)?;
    let offered = |name: &CodecName<'_>| {
        let mut formats = parsed.media().filter(|media| media.profile().is_rtp()).flat_map(|media| media.codecs());
        formats.any(|format| names(name, &format))
    };
    // A codec that the author has offered needs no conversion. Any other does.
    let strange = |name: &&CodecName<'_>| codec_of(name, known.codable).is_none() && !offered(name);
    if let Some(name) = wishes.transcode.iter().find(strange) {
        return Err(Refusal::Transcoding(String::from_utf8_lossy(name.name).into_owned()));
    }
    let agreed = known.agreed.and_then(|agreed| Description::parse(agreed).ok());
    let plans = parsed.media().enumerate().map(|(stream, media)| {
        let agreed = agreed.as_ref().and_then(|agreed| agreed.media_at(stream));
        Plan::of(&media, wishes, known.codable, agreed)
    });
    let plans: Vec<Plan> = plans.collect();
    let accepted =
        |(stream, plan): (usize, &Plan)| plan.accepted.iter().map(move |it| (stream, *it)).collect::<Vec<_>>();
    let told: Vec<_> = plans.iter().map(|plan| plan.told.clone()).collect();
    let asked: Vec<_> = plans.iter().map(|plan| plan.asked.clone()).collect();
    Ok(Offered {
        told: edited(offer, &parsed, &told),
        terms: AnswerTerms {
            asked: edited(offer, &parsed, &asked),
            accepted: plans.iter().enumerate().flat_map(accepted).collect(),
        },
        recodes: plans.iter().any(|plan| plan.recodes),
    })
}

fn edited(text: &Bytes, parsed: &Description<'_>, edits: &[FormatEdit]) -> Bytes {
    match edits.iter().all(|edit| *edit == FormatEdit::Keep) {
        true => text.clone(),
        false => parsed.set_formats(edits).into(),
    }
}

/// What becomes of the codecs of a stream.
#[derive(Default)]
struct Plan {
    told: FormatEdit,
    asked: FormatEdit,
    accepted: Vec<PayloadType>,
    recodes: bool,
}

/// Where an encoding stands among those that are told: those that stay, those that are brought back, those that are made,
/// those that were agreed on before; what goes beside sound is last.
type Rank = (u8, usize);

const STAYS: u8 = 0;
const BROUGHT_BACK: u8 = 1;
const MADE: u8 = 2;
const AGREED: u8 = 3;
const BESIDE: u8 = 4;

impl Plan {
    fn of(media: &Media<'_, '_>, wishes: &CodecWishes<'_>, codable: &[Codec], agreed: Option<Media<'_, '_>>) -> Self {
        let is_plain = wishes == &CodecWishes::default() && agreed.is_none();
        if is_plain || !media.profile().is_rtp() || media.is_rejected() {
            return Self::default();
        }
        let formats: Vec<Format<'_>> = media.codecs().collect();
        let is_codable = |format: &Format<'_>| is_codable(format, codable);
        let mut asked = formats.clone();
        asked.retain(|format| removed(&wishes.strip, wishes, format).is_none());
        if !has_sound(&asked) {
            // Who wants to have none left is not heard.
            asked.clone_from(&formats);
        }
        let can_code = is_sound(media) && asked.iter().any(is_codable);
        let hidden = |format: &Format<'_>| {
            [&wishes.strip, &wishes.mask, &wishes.consume]
                .into_iter()
                .any(|list| removed(list, wishes, format).is_some())
        };
        let mut told: Vec<Format<'_>> = formats.iter().copied().filter(|format| !hidden(format)).collect();
        let mut made = if can_code { made(wishes, &told, &formats, codable) } else { Vec::new() };
        if let Some(agreed) = agreed.filter(|_| can_code) {
            made.extend(agreed_before(&agreed, &told, &made, &formats, codable));
        }
        if !made.is_empty() {
            // What cannot be coded could not be made of what else is told.
            told.retain(|format| is_codable(format) || !format.is_primary());
            made.extend(events_beside(media, &told, &made, &formats));
        } else if !has_sound(&told) {
            told.clone_from(&formats);
        }
        let accepts = |format: &&Format<'_>| {
            let mut names_it = wishes.accept.iter().chain(&wishes.consume);
            can_code && is_codable(format) && names_it.any(|name| name.is_all() || names(name, format))
        };
        let accepted: Vec<_> = asked.iter().filter(accepts).map(|format| format.payload_type).collect();
        let recodes = !made.is_empty() || !accepted.is_empty();
        Self {
            told: arranged(ranked(wishes, &formats, &told, made), &formats),
            asked: arranged(asked.iter().map(|format| Arranged::Kept(format.payload_type)).collect(), &formats),
            accepted,
            recodes,
        }
    }
}

/// Does a list take this encoding out, and if so by its own name? `None`: it stays.
fn removed(list: &[CodecName<'_>], wishes: &CodecWishes<'_>, format: &Format<'_>) -> Option<bool> {
    let by_name = list.iter().any(|name| names(name, format));
    let by_all = list.iter().any(CodecName::is_all);
    let named = |list: &[CodecName<'_>]| list.iter().any(|name| names(name, format));
    let is_full = list.iter().any(|name| name.name == b"full");
    let comes_back = named(&wishes.except) || named(&wishes.offer) || named(&wishes.transcode) && !by_name && !is_full;
    (!comes_back && (by_name || by_all)).then_some(by_name)
}

/// What the client wants to have made.
fn made(
    wishes: &CodecWishes<'_>,
    told: &[Format<'_>],
    formats: &[Format<'_>],
    codable: &[Codec],
) -> Vec<(Rank, NewFormat)> {
    let mut made: Vec<(Rank, NewFormat)> = Vec::new();
    for (place, name) in wishes.transcode.iter().enumerate() {
        let Some(codec) = codec_of(name, codable).filter(|_| !told.iter().any(|format| names(name, format))) else {
            continue;
        };
        if made.iter().all(|(_, format)| format.codec != codec)
            && let Some(number) = free_number(codec, None, formats, &made)
        {
            let mut format = ours(number, codec);
            if !name.parameters.is_empty() {
                format.parameters.clone_from(&name.parameters);
            }
            made.push(((MADE, place), format));
        }
    }
    made
}

/// What the other party has agreed on before, where it has nothing else of what it would be told.
fn agreed_before(
    agreed: &Media<'_, '_>,
    told: &[Format<'_>],
    made: &[(Rank, NewFormat)],
    formats: &[Format<'_>],
    codable: &[Codec],
) -> Vec<(Rank, NewFormat)> {
    let mut codecs = agreed.codecs().filter(Format::is_primary);
    let is_told = |format: Format<'_>| {
        told.iter().any(|known| known.codec == format.codec && known.encoding.eq_ignore_ascii_case(format.encoding))
            || made.iter().any(|(_, known)| Some(known.codec) == format.codec)
    };
    if codecs.any(is_told) || agreed.is_rejected() {
        return Vec::new();
    }
    let mut all = made.to_vec();
    for (place, format) in agreed.codecs().filter(|format| is_codable(format, codable)).enumerate() {
        let Some(codec) = format.codec else { continue };
        if let Some(number) = free_number(codec, Some(format.payload_type), formats, &all) {
            all.push(((AGREED, place), ours(number, codec)));
        }
    }
    all.split_off(made.len())
}

/// Telephone events with the clock of what is made, where the author has some.
//= https://www.rfc-editor.org/rfc/rfc4733#section-2.1
// Events share the timestamps of the sound beside them.
fn events_beside(
    media: &Media<'_, '_>,
    told: &[Format<'_>],
    made: &[(Rank, NewFormat)],
    formats: &[Format<'_>],
) -> Vec<(Rank, NewFormat)> {
    let mut events = told.iter().filter(|format| format.codec == Some(Codec::TelephoneEvent));
    let Some(known) = events.clone().next() else { return Vec::new() };
    let strange = made.iter().map(|(_, format)| format.clock_hz).find(|hz| !events.any(|event| event.clock_hz == *hz));
    let number = strange.and_then(|_| free_number(Codec::TelephoneEvent, None, formats, made));
    let Some((clock_hz, payload_type)) = strange.zip(number) else { return Vec::new() };
    let parameters = media.fmtp(known.payload_type).map(String::from_utf8_lossy).unwrap_or("0-15".into()).into();
    vec![((BESIDE, 0), NewFormat { payload_type, codec: Codec::TelephoneEvent, clock_hz, parameters })]
}

/// A payload type that the author has given to nothing else: the one that is fixed for a codec, or the one it had before, or the first that is
/// free.
//= https://www.rfc-editor.org/rfc/rfc3551#section-6
fn free_number(
    codec: Codec,
    before: Option<PayloadType>,
    formats: &[Format<'_>],
    made: &[(Rank, NewFormat)],
) -> Option<PayloadType> {
    let fixed = (0..FIRST_DYNAMIC).filter(|number| Codec::from_static(PayloadType(*number)) == Some(codec));
    let before = before.map(|before| before.0).filter(|number| (FIRST_DYNAMIC..128).contains(number));
    let mut numbers = fixed.chain(before).chain(FIRST_DYNAMIC..128).map(PayloadType);
    numbers.find(|number| {
        let is_said = formats.iter().any(|known| known.payload_type == *number && known.codec != Some(codec));
        !is_said && made.iter().all(|(_, format)| format.payload_type != *number)
    })
}

const FIRST_DYNAMIC: u8 = 96;

/// What is told, in its order.
fn ranked(
    wishes: &CodecWishes<'_>,
    formats: &[Format<'_>],
    told: &[Format<'_>],
    made: Vec<(Rank, NewFormat)>,
) -> Vec<Arranged> {
    let lists = [&wishes.strip, &wishes.mask, &wishes.consume];
    let all_removed = lists.into_iter().any(|list| list.iter().any(CodecName::is_all));
    let is_arranged = all_removed || !made.is_empty();
    let within = |list: &[CodecName<'_>], format: &Format<'_>| list.iter().position(|name| names(name, format));
    let rank = |format: &Format<'_>| {
        let place = formats.iter().position(|known| known.payload_type == format.payload_type).unwrap_or_default();
        let brought_back = within(&wishes.offer, format).map(|place| (BROUGHT_BACK, place));
        let restored = within(&wishes.transcode, format).map(|place| (MADE, place));
        match brought_back.or(restored).filter(|_| all_removed) {
            _ if is_arranged && !format.is_primary() => (BESIDE, place + 1),
            Some(rank) => rank,
            None => (STAYS, place),
        }
    };
    let kept = told.iter().map(|format| (rank(format), Arranged::Kept(format.payload_type)));
    let made = made.into_iter().map(|(rank, format)| (rank, Arranged::New(format)));
    let mut ranked: Vec<_> = kept.chain(made).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, format)| format).collect()
}

/// The edit that leaves these of those that are there.
pub(crate) fn arranged(formats: Vec<Arranged>, there: &[Format<'_>]) -> FormatEdit {
    let kept = there.iter().map(|format| Arranged::Kept(format.payload_type));
    if kept.eq(formats.iter().cloned()) { FormatEdit::Keep } else { FormatEdit::Arrange(formats) }
}

/// The codec that is named, if it can be coded as it is named.
fn codec_of(name: &CodecName<'_>, codable: &[Codec]) -> Option<Codec> {
    let codec = std::str::from_utf8(name.name).ok().and_then(Codec::from_name)?;
    let has_clock = name.clock_hz.is_none_or(|hz| hz == codec.clock_hz());
    // Opus of one channel is not written otherwise than that of two.
    let has_channels =
        codec == Codec::Opus || name.channels.is_none_or(|channels| channels == u32::from(codec.channels()));
    (codable.contains(&codec) && codec.kind() == Kind::Audio && has_clock && has_channels).then_some(codec)
}

/// Is this format meant by a name, with its rate and channels where they are said, or by its payload type?
pub(crate) fn names(name: &CodecName<'_>, format: &Format<'_>) -> bool {
    let number = std::str::from_utf8(name.name).ok().and_then(|digits| digits.parse::<u8>().ok());
    let same_name = !name.name.is_empty() && name.name.eq_ignore_ascii_case(format.encoding)
        || number == Some(format.payload_type.0);
    same_name
        && name.clock_hz.is_none_or(|hz| hz == format.clock_hz)
        && name.channels.is_none_or(|channels| channels == u32::from(format.channels))
}

pub(crate) fn is_codable(format: &Format<'_>, codable: &[Codec]) -> bool {
    let registered = |codec: Codec| format.clock_hz == codec.clock_hz() && format.channels == codec.channels();
    format.codec.is_some_and(|codec| codable.contains(&codec) && registered(codec))
}

/// A stream of sound whose packets can be read here.
pub(crate) fn is_sound(media: &Media<'_, '_>) -> bool {
    media.kind() == MediaKind::Audio && media.profile().is_rtp() && !media.is_rejected()
}

fn has_sound(formats: &[Format<'_>]) -> bool {
    formats.iter().any(Format::is_primary)
}
