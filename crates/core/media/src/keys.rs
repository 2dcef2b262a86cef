//! Keys that a party presses on its telephone (DTMF), and how they reach the other one.
//!
//! ```text
//!  pressed as …                                      heard as …
//!  events in the stream (RFC 4733) ─┐              ┌─► events in the stream, at the receiver's clock
//!  tones in the sound, listened for ├─► a key ─────┼─► tones in the sound
//!  a word of signalling (Press) ────┘              └─► told to the call (Pressed), which says it by signalling
//! ```

use crate::MediaError;
use crate::transcoding::{FIRST_DYNAMIC, is_sound};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sx_sdp::{Description, Format, FormatEdit, Media, NewFormat};
use sx_types::{Codec, PayloadType};

/// What becomes of the keys in one direction of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRules {
    /// The sender's sound is listened to for the tones of keys. It is decoded for that, and silent while a key sounds.
    pub heard_in_band: bool,
    /// How the receiver is told.
    pub to: KeyWay,
}

/// How somebody is told of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyWay {
    /// By events in the stream (RFC 4733); not at all where it takes none.
    #[default]
    Events,
    /// By whoever has asked for the stream: it is told each key once, when it is over.
    Told,
    /// By tones in the sound.
    Tones,
}

/// Keys that one port takes from its peer in a second, and lets wait for their turn. A hand presses twelve at most, since each
/// lasts for 40 ms and so does what follows it.
pub const KEYS_PER_S_MAX: u16 = 25;
/// See [`KEYS_PER_S_MAX`].
pub const KEYS_WAITING_MAX: usize = 32;

/// An offer in which each stream of sound has telephone events, so that whoever it goes to can be told keys by them.
///
/// # Errors
/// [`MediaError::Description`] when it cannot be read.
pub fn offer_events(offer: &Bytes) -> Result<Bytes, MediaError> {
    let parsed = Description::parse(offer)?;
    let edits: Vec<_> = parsed
        .media()
        .map(|media| match is_sound(&media) && events_of(&media).next().is_none() {
            true => clock_of(&media).and_then(|clock_hz| events(&media, None, clock_hz)),
            false => None,
        })
        .map(|added| added.map_or(FormatEdit::Keep, |format| FormatEdit::Append(vec![format])))
        .collect();
    Ok(edited(offer, &parsed, &edits))
}

/// An answer with the telephone events that its offer has, whatever the party that has answered takes: the exchange hears them,
/// and tells that one in another way. Those that were not offered are left out.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read.
pub fn answer_events(answer: &Bytes, offer: &Bytes) -> Result<Bytes, MediaError> {
    let (parsed, asked) = (Description::parse(answer)?, Description::parse(offer)?);
    let offered = |stream: usize, clock_hz: u32| {
        asked.media_at(stream).is_none_or(|asked| events_of(&asked).any(|known| known.clock_hz == clock_hz))
    };
    let is_strange = |stream: usize, media: &Media<'_, '_>| {
        is_sound(media) && events_of(media).any(|format| !offered(stream, format.clock_hz))
    };
    let kept: Bytes = match parsed.media().enumerate().any(|(stream, media)| is_strange(stream, &media)) {
        true => {
            let is_event = |format: &Format<'_>| format.codec == Some(Codec::TelephoneEvent);
            parsed.retain_codecs(|stream, format| !is_event(format) || offered(stream, format.clock_hz)).into()
        }
        false => answer.clone(),
    };
    let parsed = Description::parse(&kept)?;
    let missing = |(media, asked): (Media<'_, '_>, Media<'_, '_>)| {
        if !is_sound(&media) || !is_sound(&asked) || events_of(&media).next().is_some() {
            return None;
        }
        let clock_hz = clock_of(&media)?;
        let known =
            events_of(&asked).find(|format| format.clock_hz == clock_hz).or_else(|| events_of(&asked).next())?;
        events(&media, Some(known.payload_type), known.clock_hz)
    };
    let added = parsed.media().zip(asked.media()).map(missing);
    let edits: Vec<_> =
        added.map(|added| added.map_or(FormatEdit::Keep, |format| FormatEdit::Append(vec![format]))).collect();
    Ok(edited(&kept, &parsed, &edits))
}

/// What needs no change keeps its bytes, by which a description is known to be the same.
fn edited(text: &Bytes, parsed: &Description<'_>, edits: &[FormatEdit]) -> Bytes {
    if edits.iter().all(|edit| *edit == FormatEdit::Keep) { text.clone() } else { parsed.set_formats(edits).into() }
}

fn events_of<'t>(media: &Media<'_, 't>) -> impl Iterator<Item = Format<'t>> {
    media.codecs().filter(|format| format.codec == Some(Codec::TelephoneEvent))
}

/// The clock of the sound that is best.
fn clock_of(media: &Media<'_, '_>) -> Option<u32> {
    media.codecs().find(Format::is_primary).map(|format| format.clock_hz)
}

/// Telephone events under a payload type that is free, this one if it is.
fn events(media: &Media<'_, '_>, wanted: Option<PayloadType>, clock_hz: u32) -> Option<NewFormat> {
    let taken = media.codecs().fold(0_u128, |taken, format| taken | 1 << format.payload_type.0);
    let numbers = wanted.map(|wanted| wanted.0).into_iter().chain([USUAL]).chain((FIRST_DYNAMIC..128).rev());
    let payload_type = PayloadType(numbers.into_iter().find(|number| taken >> number & 1 == 0)?);
    Some(NewFormat { payload_type, codec: Codec::TelephoneEvent, clock_hz, parameters: KEYS.to_owned() })
}

/// Under which number most parties know telephone events.
const USUAL: u8 = 101;
/// The keys of a telephone, and nothing else.
//= https://www.rfc-editor.org/rfc/rfc4733#section-2.4.1
const KEYS: &str = "0-15";

#[cfg(test)]
mod tests {
    use super::*;

    fn description(formats: &str) -> Bytes {
        let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
        format!("{head}m=audio 4000 RTP/AVP {formats}").into()
    }

    const AT_101: &str = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n";

    #[test]
    fn an_offer_without_events_has_them_and_one_with_them_keeps_its_bytes() {
        let with = description(&format!("0 101\r\n{AT_101}"));
        assert_eq!(offer_events(&description("0\r\n")).as_ref(), Ok(&with));
        assert_eq!(offer_events(&with).as_ref(), Ok(&with));
        let taken = "0 101\r\na=rtpmap:101 speex/8000\r\n";
        let text = offer_events(&description(taken)).expect("a description");
        assert!(String::from_utf8_lossy(&text).contains("RTP/AVP 0 101 127\r\n"), "{text:?}");
    }

    #[test]
    fn an_answer_has_the_events_of_its_offer_and_no_others() {
        let check = |answer: &str, offer: &str, expected: &str| {
            let told = answer_events(&description(answer), &description(offer));
            assert_eq!(told, Ok(description(expected)), "{answer} to {offer}");
        };
        let with = format!("0 101\r\n{AT_101}");
        check("0\r\n", "0\r\n", "0\r\n");
        check("0\r\n", &with, &with);
        check(&with, &with, &with);
        check(&with, "0\r\n", "0\r\n");
        // The clock is that of the sound that was chosen, where it is offered.
        let two = "0 111 110 101\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\n\
            a=rtpmap:101 telephone-event/8000\r\n";
        check("0\r\n", two, &with);
        let opus = "111\r\na=rtpmap:111 opus/48000/2\r\n";
        let expected =
            "111 110\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\na=fmtp:110 0-15\r\n";
        check(opus, two, expected);
    }
}
