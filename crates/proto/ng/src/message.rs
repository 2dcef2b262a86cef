//! A message: its cookie, and a dictionary.

use crate::value::{Dictionary, VALUES_MAX, Value};
use crate::{bencode, json};

/// A message, of either direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What tells a request from others, and is repeated in its answer.
    pub cookie: &'a [u8],
    /// How it is written.
    pub notation: Notation,
    /// What it says.
    pub dictionary: Dictionary<'a>,
}

/// How a dictionary is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// Bencode.
    Bencode,
    /// JSON.
    Json,
}

/// Where the first message of a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// It has so many bytes, those before its cookie counted.
    Whole(usize),
    /// More is to come.
    Incomplete,
}

/// Why bytes are no message. The sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// There is no cookie, or no space behind it: nobody knows what to answer with.
    #[error("the message has no cookie")]
    NoCookie,
    /// The message is longer than any may be.
    #[error("the message is too long")]
    TooLong,
    /// There is a cookie, and no dictionary that can be read.
    #[error("the message is no dictionary: {0}")]
    Dictionary(#[from] DecodeError),
}

/// What is wrong with a dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It ends too early.
    #[error("it is incomplete")]
    Incomplete,
    /// It is neither bencode nor JSON.
    #[error("it is malformed")]
    Malformed,
    /// Its values lie too deep within each other.
    #[error("it is too deep")]
    TooDeep,
    /// It has too many values.
    #[error("it has too many values")]
    TooMany,
}

/// The longest message: what fits into a datagram.
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// The longest cookie.
pub const COOKIE_BYTES_MAX: usize = 255;

impl<'a> Message<'a> {
    /// Reads a message. What follows the dictionary is passed over.
    ///
    /// # Errors
    /// A [`MessageError`]; with [`MessageError::Dictionary`] there is a [`cookie`](Self::cookie_of) to answer with.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(MessageError::TooLong);
        }
        let (cookie, text) = split(bytes)?.ok_or(MessageError::NoCookie)?;
        let (notation, value, _) = decode(text)?;
        match value {
            Value::Dictionary(dictionary) => Ok(Self { cookie, notation, dictionary }),
            Value::Integer(_) | Value::Text(_) | Value::List(_) => Err(DecodeError::Malformed.into()),
        }
    }

    /// The cookie of a message, though nothing else of it can be read.
    pub fn cookie_of(bytes: &'a [u8]) -> Option<&'a [u8]> {
        Some(split(bytes).ok()??.0)
    }

    /// How a message is written, though nothing of it can be read.
    pub fn notation_of(bytes: &[u8]) -> Notation {
        let text = split(bytes).ok().flatten().map(|(_, text)| text);
        if text.is_some_and(|text| text.starts_with(b"{")) { Notation::Json } else { Notation::Bencode }
    }

    /// Where the first message of a stream ends. Line breaks between messages belong to the one that follows.
    ///
    /// # Errors
    /// A [`MessageError`]: where the next message begins is not known any more.
    pub fn length_in(stream: &[u8]) -> Result<Frame, MessageError> {
        let incomplete =
            if stream.len() > MESSAGE_BYTES_MAX { Err(MessageError::TooLong) } else { Ok(Frame::Incomplete) };
        let begun = stream.trim_ascii_start();
        let Some((_, text)) = split(begun)? else { return incomplete };
        match decode(text) {
            Ok((_, Value::Dictionary(_), rest)) if stream.len() - rest.len() <= MESSAGE_BYTES_MAX => {
                Ok(Frame::Whole(stream.len() - rest.len()))
            }
            Ok((_, Value::Dictionary(_), _)) => Err(MessageError::TooLong),
            Err(DecodeError::Incomplete) => incomplete,
            Err(error) => Err(error.into()),
            Ok(_) => Err(DecodeError::Malformed.into()),
        }
    }
}

/// A cookie, and what follows it.
type Parts<'a> = (&'a [u8], &'a [u8]);

/// The cookie and what follows the space behind it; `None` when the space may still come.
fn split(bytes: &[u8]) -> Result<Option<Parts<'_>>, MessageError> {
    let bytes = bytes.trim_ascii_start();
    match bytes.iter().take(COOKIE_BYTES_MAX + 1).position(|byte| *byte == b' ') {
        Some(space) if space > 0 => Ok(Some((&bytes[..space], &bytes[space + 1..]))),
        None if bytes.len() <= COOKIE_BYTES_MAX => Ok(None),
        _ => Err(MessageError::NoCookie),
    }
}

fn decode(text: &[u8]) -> Result<(Notation, Value<'_>, &[u8]), DecodeError> {
    let mut room = Room(VALUES_MAX);
    match text.first().ok_or(DecodeError::Incomplete)? {
        b'd' => bencode::read(text, 1, &mut room).map(|(value, rest)| (Notation::Bencode, value, rest)),
        b'{' => json::read(text, 1, &mut room).map(|(value, rest)| (Notation::Json, value, rest)),
        _ => Err(DecodeError::Malformed),
    }
}

/// How many more values there may be.
pub(crate) struct Room(usize);

impl Room {
    pub(crate) fn take(&mut self) -> Result<(), DecodeError> {
        self.0 = self.0.checked_sub(1).ok_or(DecodeError::TooMany)?;
        Ok(())
    }
}
