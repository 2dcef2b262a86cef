//! Reading JSON that must be canonical, and finding the first byte where it is not.

use crate::line::Malformed;
use crate::record::by_utf16;
use crate::render::DEPTH_MAX;
use std::borrow::Cow;

/// What a string holds, between its quotation marks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Text<'a> {
    /// As it is written; equal to what it means when nothing in it is escaped.
    pub(crate) fn raw(self) -> &'a str {
        self.raw
    }

    /// What it means.
    pub(crate) fn meant(self) -> Cow<'a, str> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut text = String::with_capacity(self.raw.len());
        let mut characters = self.raw.chars();
        while let Some(c) = characters.next() {
            text.push(if c == '\\' { unescape(&mut characters) } else { c });
        }
        Cow::Owned(text)
    }
}

/// The character behind a `\` of a string that was checked.
fn unescape(characters: &mut std::str::Chars<'_>) -> char {
    match characters.next() {
        Some('b') => '\u{8}',
        Some('t') => '\t',
        Some('n') => '\n',
        Some('f') => '\u{c}',
        Some('r') => '\r',
        Some('u') => {
            let code = characters.by_ref().take(4).fold(0, |code, c| code << 4 | c.to_digit(16).unwrap_or(0));
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        Some(c) => c,
        None => char::REPLACEMENT_CHARACTER,
    }
}

/// A place in a text.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes this byte.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(Malformed::Syntax { at: self.at });
        }
        self.at += 1;
        Ok(())
    }

    /// Passes a name that needs no escape, with its quotation marks and the colon behind it, if that stands here.
    pub(crate) fn pass_name(&mut self, name: &str) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        let stands = rest.strip_prefix(b"\"").and_then(|rest| rest.strip_prefix(name.as_bytes()));
        let passes = stands.is_some_and(|rest| rest.starts_with(b"\":"));
        if passes {
            self.at += name.len() + 3;
        }
        passes
    }

    /// Passes what ends a list or an object, or the comma before its next member: does another follow?
    pub(crate) fn another(&mut self, end: u8) -> Result<bool, Malformed> {
        match self.peek() {
            Some(b',') => self.at += 1,
            Some(byte) if byte == end => {
                self.at += 1;
                return Ok(false);
            }
            _ => return Err(Malformed::Syntax { at: self.at }),
        }
        Ok(true)
    }

    /// A string whose escapes are those that canonical JSON has, and no others.
    //= https://www.rfc-editor.org/rfc/rfc8785#section-3.2.2.2
    pub(crate) fn string(&mut self) -> Result<Text<'a>, Malformed> {
        self.expect(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            self.at = plain_end(bytes, self.at);
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += escape_bytes(&bytes[self.at..]).ok_or(Malformed::Escape { at: self.at })?;
                    escaped = true;
                }
                _ => return Err(Malformed::Syntax { at: self.at }),
            }
        }
        let raw = self.since(start);
        self.at += 1;
        Ok(Text { raw, escaped })
    }

    /// An integer that everybody reads alike.
    //= https://www.rfc-editor.org/rfc/rfc8785#section-3.2.2.3
    pub(crate) fn number(&mut self) -> Result<i64, Malformed> {
        let start = self.at;
        let fault = Malformed::Number { at: start };
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let digits = self.at;
        let mut number: i64 = 0;
        while let Some(digit) = self.peek().map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            number = number * 10 + i64::from(digit);
            self.at += 1;
            if number > crate::record::NUMBER_MAX {
                return Err(fault);
            }
        }
        let zero_in_front = self.text.as_bytes().get(digits) == Some(&b'0') && (negative || self.at - digits > 1);
        if self.at == digits || zero_in_front || matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return Err(fault);
        }
        Ok(if negative { -number } else { number })
    }

    /// An object: its names ascend, so that none stands twice. `depth` is how deep the object lies, from 1.
    //= https://www.rfc-editor.org/rfc/rfc8785#section-3.2.3
    pub(crate) fn object(&mut self, depth: usize) -> Result<(), Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed::Depth { at: self.at });
        }
        self.expect(b'{')?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut previous: Option<Text<'a>> = None;
        loop {
            let at = self.at;
            let name = self.string()?;
            if previous.is_some_and(|previous| by_utf16(&previous.meant(), &name.meant()).is_ge()) {
                return Err(Malformed::Order { at });
            }
            previous = Some(name);
            self.expect(b':')?;
            self.value(depth)?;
            if !self.another(b'}')? {
                return Ok(());
            }
        }
    }

    /// A value in an object or a list of this depth.
    pub(crate) fn value(&mut self, depth: usize) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.list(depth + 1),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => Err(Malformed::Null { at: self.at }),
            _ => Err(Malformed::Syntax { at: self.at }),
        }
    }

    fn list(&mut self, depth: usize) -> Result<(), Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed::Depth { at: self.at });
        }
        self.expect(b'[')?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth)?;
            if !self.another(b']')? {
                return Ok(());
            }
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Malformed> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Malformed::Syntax { at: self.at });
        }
        self.at += word.len();
        Ok(())
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

/// Where the characters that stand for themselves end: at a quotation mark, a `\`, a control character, or the end.
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    // Eight bytes at a time. A borrow may mark a byte above one that is marked rightly, so only the lowest mark counts.
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let (quote, slash) = (word ^ (ONES * b'"' as u64), word ^ (ONES * b'\\' as u64));
        let marks = (word.wrapping_sub(ONES * 0x20) & !word)
            | (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash);
        if marks & HIGHS != 0 {
            return at + ((marks & HIGHS).trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\') {
        at += 1;
    }
    at
}

/// How many bytes the escape has that stands here; `None` when canonical JSON has no such escape.
fn escape_bytes(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [_, b'"' | b'\\' | b'b' | b't' | b'n' | b'f' | b'r', ..] => Some(2),
        [_, b'u', b'0', b'0', high @ (b'0' | b'1'), low, ..] => {
            let low_digit = crate::hash::hex_value(&[*low])?;
            // Those that have an escape of one letter are written with it.
            let short = *high == b'0' && matches!(low_digit, 0x8 | 0x9 | 0xa | 0xc | 0xd);
            (!short).then_some(6)
        }
        _ => None,
    }
}
