//! JSON (RFC 8259). Messages need objects, arrays, strings and whole numbers: a fraction loses what it has behind its point, a
//! number that is too great is the greatest, and what is true is 1.

use crate::message::{DecodeError, Room};
use crate::value::{DEPTH_MAX, Dictionary, Value};
use std::borrow::Cow;

/// The value at the beginning of `text`, and what follows it.
pub(crate) fn read<'a>(text: &'a [u8], depth: usize, room: &mut Room) -> Result<(Value<'a>, &'a [u8]), DecodeError> {
    if depth > DEPTH_MAX {
        return Err(DecodeError::TooDeep);
    }
    room.take()?;
    let text = text.trim_ascii_start();
    match text.first().ok_or(DecodeError::Incomplete)? {
        b'"' => string(&text[1..]).map(|(string, rest)| (Value::Text(string), rest)),
        b'-' | b'0'..=b'9' => number(text),
        b't' => literal(text, b"true", Value::Integer(1)),
        b'f' => literal(text, b"false", Value::Integer(0)),
        b'n' => literal(text, b"null", Value::Text(Cow::Borrowed(b""))),
        b'[' => {
            let mut values = Vec::new();
            let rest = elements(&text[1..], b']', |text| {
                let (value, rest) = read(text, depth + 1, room)?;
                values.push(value);
                Ok(rest)
            })?;
            Ok((Value::List(values), rest))
        }
        b'{' => {
            let mut values = Dictionary::default();
            let rest = elements(&text[1..], b'}', |text| {
                let (key, rest) = string(expect(text, b'"')?)?;
                let (value, rest) = read(expect(rest, b':')?, depth + 1, room)?;
                values.0.push((key, value));
                Ok(rest)
            })?;
            Ok((Value::Dictionary(values), rest))
        }
        _ => Err(DecodeError::Malformed),
    }
}

/// Reads elements with commas between them, up to the end of what they are in.
fn elements<'a>(
    text: &'a [u8],
    end: u8,
    mut element: impl FnMut(&'a [u8]) -> Result<&'a [u8], DecodeError>,
) -> Result<&'a [u8], DecodeError> {
    let mut rest = text.trim_ascii_start();
    if rest.first() == Some(&end) {
        return Ok(&rest[1..]);
    }
    loop {
        rest = element(rest)?.trim_ascii_start();
        match rest.split_first().ok_or(DecodeError::Incomplete)? {
            (b',', behind) => rest = behind,
            (byte, behind) if *byte == end => return Ok(behind),
            _ => return Err(DecodeError::Malformed),
        }
    }
}

fn expect(text: &[u8], wanted: u8) -> Result<&[u8], DecodeError> {
    match text.trim_ascii_start().split_first() {
        Some((byte, rest)) if *byte == wanted => Ok(rest),
        Some(_) => Err(DecodeError::Malformed),
        None => Err(DecodeError::Incomplete),
    }
}

fn number(text: &[u8]) -> Result<(Value<'_>, &[u8]), DecodeError> {
    let is_of_it = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    let (digits, rest) = text.split_at(text.iter().position(|byte| !is_of_it(byte)).unwrap_or(text.len()));
    if rest.is_empty() {
        // No message ends with a number, so that more of it may come.
        return Err(DecodeError::Incomplete);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| DecodeError::Malformed)?;
    let whole = digits.parse().or_else(|_| digits.parse().map(|fraction: f64| fraction as i64));
    Ok((Value::Integer(whole.map_err(|_| DecodeError::Malformed)?), rest))
}

fn literal<'a>(text: &'a [u8], word: &[u8], value: Value<'a>) -> Result<(Value<'a>, &'a [u8]), DecodeError> {
    match text.strip_prefix(word) {
        Some(rest) => Ok((value, rest)),
        None if word.starts_with(text) => Err(DecodeError::Incomplete),
        None => Err(DecodeError::Malformed),
    }
}

/// A string, behind its first quotation mark. One without escapes is borrowed.
fn string(text: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), DecodeError> {
    let mut owned: Option<Vec<u8>> = None;
    let mut rest = text;
    loop {
        let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).ok_or(DecodeError::Incomplete)?;
        if rest[plain] == b'"' {
            let behind = &rest[plain + 1..];
            return Ok(match owned {
                None => (Cow::Borrowed(&rest[..plain]), behind),
                Some(mut string) => {
                    string.extend(&rest[..plain]);
                    (Cow::Owned(string), behind)
                }
            });
        }
        let string = owned.get_or_insert_default();
        string.extend(&rest[..plain]);
        rest = escape(&rest[plain + 1..], string)?;
    }
}

/// What a reverse solidus stands before.
//= https://www.rfc-editor.org/rfc/rfc8259#section-7
fn escape<'a>(text: &'a [u8], string: &mut Vec<u8>) -> Result<&'a [u8], DecodeError> {
    let (escaped, rest) = text.split_first().ok_or(DecodeError::Incomplete)?;
    string.push(match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'f' => 12,
        b'"' | b'\\' | b'/' => *escaped,
        b'u' => {
            let (first, mut rest) = code_unit(rest)?;
            let character = match first {
                0xd800..=0xdbff => {
                    let low = rest.strip_prefix(b"\\u").ok_or(DecodeError::Malformed)?;
                    let (second, behind) = code_unit(low)?;
                    rest = behind;
                    let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400).ok_or(DecodeError::Malformed)?;
                    0x1_0000 + ((first - 0xd800) << 10) + low
                }
                other => other,
            };
            let character = char::from_u32(character).ok_or(DecodeError::Malformed)?;
            string.extend(character.encode_utf8(&mut [0; 4]).bytes());
            return Ok(rest);
        }
        _ => return Err(DecodeError::Malformed),
    });
    Ok(rest)
}

fn code_unit(text: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    let (digits, rest) = text.split_at_checked(4).ok_or(DecodeError::Incomplete)?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    Ok((unit.ok_or(DecodeError::Malformed)?, rest))
}

pub(crate) fn write(value: &Value<'_>, text: &mut Vec<u8>) {
    match value {
        Value::Integer(number) => text.extend(number.to_string().bytes()),
        Value::Text(string) => write_string(string, text),
        Value::List(values) => {
            text.push(b'[');
            for (place, value) in values.iter().enumerate() {
                if place > 0 {
                    text.push(b',');
                }
                write(value, text);
            }
            text.push(b']');
        }
        Value::Dictionary(values) => {
            text.push(b'{');
            for (place, (key, value)) in values.iter().enumerate() {
                if place > 0 {
                    text.push(b',');
                }
                write_string(key, text);
                text.push(b':');
                write(value, text);
            }
            text.push(b'}');
        }
    }
}

/// Bytes that are no UTF-8 come out as the replacement character: JSON has no other.
fn write_string(string: &[u8], text: &mut Vec<u8>) {
    text.push(b'"');
    for character in String::from_utf8_lossy(string).chars() {
        match character {
            '"' => text.extend(b"\\\""),
            '\\' => text.extend(b"\\\\"),
            '\n' => text.extend(b"\\n"),
            '\r' => text.extend(b"\\r"),
            '\t' => text.extend(b"\\t"),
            control if control < ' ' => text.extend(format!("\\u{:04x}", u32::from(control)).bytes()),
            other => text.extend(other.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    text.push(b'"');
}
