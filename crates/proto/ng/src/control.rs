//! What is to be done with the media of a call that stands: for whom, and how.

use crate::value::{Dictionary, Value, is_same};

/// Whose media is meant, and what is to be done with it. Whatever a client does not say is as in its absence.
#[derive(Clone, Debug, Default)]
pub struct Control<'a> {
    /// Everybody.
    pub all: bool,
    /// The party whose description names this address.
    pub address: Option<&'a [u8]>,
    /// The party that was given this name.
    pub label: Option<&'a [u8]>,
    /// What is to be played.
    pub media: Option<PlayedMedia<'a>>,
    /// How often, where it is said.
    pub repeat_times: Option<i64>,
    /// The digit that is to be sent.
    pub code: Option<Result<char, CodeError>>,
    /// How long it lasts, in milliseconds.
    pub duration_ms: Option<i64>,
    /// How long what follows it waits, in milliseconds.
    pub pause_ms: Option<i64>,
    /// A recording that is to end is to go on later.
    pub pauses: bool,
    /// A file that a recording is to be written to.
    pub output: Option<&'a [u8]>,
}

/// Where what is to be played is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayedMedia<'a> {
    /// In a file of this name.
    File(&'a [u8]),
    /// In the request.
    Blob,
    /// In a database.
    Database,
}

/// Why a digit is none. The client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// It is no character, or several.
    #[error("Given 'code' is not a single digit")]
    NotSingle,
    /// No telephone has it.
    #[error("Invalid 'code' character")]
    Unknown,
    /// There are events from 0 to 15.
    #[error("Out of range 'code' specified")]
    OutOfRange,
}

/// The digits, each at the place of its event.
//= https://www.rfc-editor.org/rfc/rfc4733#section-3.2
const DIGITS: &[u8; 16] = b"0123456789*#ABCD";

impl<'a> Control<'a> {
    /// What a dictionary says.
    pub(crate) fn read(dictionary: &'a Dictionary<'_>) -> Self {
        let text = |key: &str| dictionary.get(key).and_then(Value::as_bytes);
        let number = |key: &str| dictionary.get(key).and_then(Value::as_integer);
        let has_flag =
            |name: &str| dictionary.get("flags").iter().flat_map(|flags| flags.texts()).any(|flag| is_same(flag, name));
        let file = || text("file").map(PlayedMedia::File);
        let blob = || dictionary.get("blob").map(|_| PlayedMedia::Blob);
        let database = || dictionary.get("db-id").map(|_| PlayedMedia::Database);
        Self {
            all: has_flag("all") || text("all") == Some(b"all"),
            address: text("address"),
            label: text("label"),
            media: file().or_else(blob).or_else(database),
            repeat_times: number("repeat-times"),
            code: dictionary.get("code").or_else(|| dictionary.get("digit")).map(code),
            duration_ms: number("duration"),
            pause_ms: number("pause"),
            pauses: has_flag("pause") || matches!(text("pause"), Some(b"yes" | b"on" | b"true")),
            output: text("output-destination"),
        }
    }
}

fn code(value: &Value<'_>) -> Result<char, CodeError> {
    let at = |place: usize| DIGITS.get(place).map(|digit| char::from(*digit));
    match value {
        Value::Integer(number) => usize::try_from(*number).ok().and_then(at).ok_or(CodeError::OutOfRange),
        Value::Text(text) => match text.as_ref() {
            [digit] => {
                let digit = digit.to_ascii_uppercase();
                DIGITS.contains(&digit).then_some(char::from(digit)).ok_or(CodeError::Unknown)
            }
            // The number of an event, as clients that know no numbers write it.
            [b'1', b'0'..=b'5'] => {
                let number = std::str::from_utf8(text).ok().and_then(|digits| digits.parse().ok());
                number.and_then(at).ok_or(CodeError::OutOfRange)
            }
            _ => Err(CodeError::NotSingle),
        },
        Value::List(_) | Value::Dictionary(_) => Err(CodeError::NotSingle),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_is_a_character_or_the_number_of_its_event() {
        let check = |value: Value<'static>, expected| assert_eq!(code(&value), expected, "{value:?}");
        for (number, digit) in [(0, '0'), (9, '9'), (10, '*'), (11, '#'), (12, 'A'), (15, 'D')] {
            check(Value::Integer(number), Ok(digit));
            check(Value::text(digit.to_string()), Ok(digit));
        }
        check(Value::text("d"), Ok('D'));
        check(Value::text("12"), Ok('A'));
        check(Value::Integer(16), Err(CodeError::OutOfRange));
        check(Value::Integer(-1), Err(CodeError::OutOfRange));
        check(Value::text("x"), Err(CodeError::Unknown));
        for text in ["", "55", "16", "é"] {
            check(Value::text(text), Err(CodeError::NotSingle));
        }
        check(Value::List(vec![Value::Integer(1)]), Err(CodeError::NotSingle));
    }

    #[test]
    fn whom_a_request_means_and_what_it_wants_played() {
        let dictionary = Dictionary::default()
            .with("flags", Value::List(vec![Value::text("all")]))
            .with("file", Value::text("a.wav"))
            .with("repeat times", Value::text("3"))
            .with("pause", Value::text("yes"));
        let control = Control::read(&dictionary);
        assert!(control.all && control.pauses && control.pause_ms.is_none());
        assert_eq!((control.media, control.repeat_times), (Some(PlayedMedia::File(b"a.wav")), Some(3)));
        for (all, means) in [("all", true), ("offer-answer", false), ("none", false)] {
            let dictionary = Dictionary::default().with("all", Value::text(all)).with("blob", Value::text("RIFF"));
            let control = Control::read(&dictionary);
            assert_eq!((control.all, control.media), (means, Some(PlayedMedia::Blob)), "{all}");
        }
    }
}
