//! Bencode: `i30e`, `4:ping`, `l…e`, `d…e`.

use crate::message::{DecodeError, Room};
use crate::value::{DEPTH_MAX, Dictionary, Value};
use std::borrow::Cow;

/// The value at the beginning of `text`, and what follows it.
pub(crate) fn read<'a>(text: &'a [u8], depth: usize, room: &mut Room) -> Result<(Value<'a>, &'a [u8]), DecodeError> {
    if depth > DEPTH_MAX {
        return Err(DecodeError::TooDeep);
    }
    room.take()?;
    match text.first().ok_or(DecodeError::Incomplete)? {
        b'i' => integer(&text[1..]),
        b'0'..=b'9' => string(text).map(|(string, rest)| (Value::Text(Cow::Borrowed(string)), rest)),
        b'l' => {
            let (mut values, mut rest) = (Vec::new(), &text[1..]);
            loop {
                if let Some(rest) = ended(rest)? {
                    return Ok((Value::List(values), rest));
                }
                let (value, behind) = read(rest, depth + 1, room)?;
                values.push(value);
                rest = behind;
            }
        }
        b'd' => {
            let (mut values, mut rest) = (Dictionary::default(), &text[1..]);
            loop {
                if let Some(rest) = ended(rest)? {
                    return Ok((Value::Dictionary(values), rest));
                }
                let (key, behind) = string(rest)?;
                let (value, behind) = read(behind, depth + 1, room)?;
                values.0.push((Cow::Borrowed(key), value));
                rest = behind;
            }
        }
        _ => Err(DecodeError::Malformed),
    }
}

/// What follows the end of a list or a dictionary, where this is one.
fn ended(text: &[u8]) -> Result<Option<&[u8]>, DecodeError> {
    match text.split_first() {
        Some((b'e', rest)) => Ok(Some(rest)),
        Some(_) => Ok(None),
        None => Err(DecodeError::Incomplete),
    }
}

fn integer(text: &[u8]) -> Result<(Value<'_>, &[u8]), DecodeError> {
    const DIGITS_MAX: usize = 20;
    let end = text.iter().take(DIGITS_MAX + 1).position(|byte| *byte == b'e');
    let Some(end) = end else {
        return Err(if text.len() > DIGITS_MAX { DecodeError::Malformed } else { DecodeError::Incomplete });
    };
    let number = std::str::from_utf8(&text[..end]).ok().and_then(|digits| digits.parse().ok());
    Ok((Value::Integer(number.ok_or(DecodeError::Malformed)?), &text[end + 1..]))
}

fn string(text: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    const DIGITS_MAX: usize = 7;
    let mut length = 0_usize;
    for (place, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' if place < DIGITS_MAX => length = length * 10 + usize::from(byte - b'0'),
            b':' if place > 0 => {
                return text[place + 1..].split_at_checked(length).ok_or(DecodeError::Incomplete);
            }
            _ => return Err(DecodeError::Malformed),
        }
    }
    Err(DecodeError::Incomplete)
}

pub(crate) fn write(value: &Value<'_>, text: &mut Vec<u8>) {
    match value {
        Value::Integer(number) => text.extend(format!("i{number}e").bytes()),
        Value::Text(string) => write_string(string, text),
        Value::List(values) => {
            text.push(b'l');
            values.iter().for_each(|value| write(value, text));
            text.push(b'e');
        }
        Value::Dictionary(values) => {
            text.push(b'd');
            for (key, value) in values.iter() {
                write_string(key, text);
                write(value, text);
            }
            text.push(b'e');
        }
    }
}

fn write_string(string: &[u8], text: &mut Vec<u8>) {
    text.extend(string.len().to_string().bytes());
    text.push(b':');
    text.extend(string);
}
