//! From bytes to lines and media sections.

use crate::description::{Description, Line, Section};
use crate::media::MediaLine;
use crate::{Connection, Origin};
use smallvec::SmallVec;

/// How much of a description is read before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole text.
    pub bytes: usize,
    /// Lines, blank ones included.
    pub lines: usize,
    /// Media sections (`m=`).
    pub media: usize,
    /// Formats of one media section. RTP cannot name more than 128.
    pub formats: usize,
}

impl Default for Limits {
    /// 64 KiB, 1,000 lines, 64 media sections of 128 formats.
    fn default() -> Self {
        Self { bytes: 64 * 1024, lines: 1_000, media: 64, formats: 128 }
    }
}

/// Why a text is no session description that this exchange reads. Always the fault of whoever wrote it; another
/// route does not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// More bytes than [`Limits::bytes`].
    #[error("the peer's session description is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// More lines than [`Limits::lines`].
    #[error("the peer's session description has more than {limit} lines")]
    TooManyLines {
        /// The limit.
        limit: usize,
    },
    /// More media sections than [`Limits::media`].
    #[error("the peer's session description has more than {limit} media sections")]
    TooManyMedia {
        /// The limit.
        limit: usize,
    },
    /// A media section with more formats than [`Limits::formats`].
    #[error("line {line} of the peer's session description names more than {limit} formats")]
    TooManyFormats {
        /// The line, counted from 1.
        line: usize,
        /// The limit.
        limit: usize,
    },
    /// A line that is not a letter, an equals sign and a value.
    #[error("line {line} of the peer's session description is not of the form letter=value")]
    NotALine {
        /// The line, counted from 1.
        line: usize,
    },
    /// A NUL, or a carriage return that ends no line. Passing one on would let the next reader see other lines
    /// than this one.
    #[error("line {line} of the peer's session description contains a NUL or a lone carriage return")]
    ForbiddenByte {
        /// The line, counted from 1.
        line: usize,
    },
    /// The description does not begin with `v=0`, or `v=` comes twice.
    #[error("line {line} of the peer's session description should, and alone may, be v=0")]
    Version {
        /// The line, counted from 1.
        line: usize,
    },
    /// No `o=` before the first media section.
    #[error("the peer's session description has no origin")]
    NoOrigin,
    /// An `o=` without its six fields, or a second one.
    #[error("line {line} of the peer's session description is no origin, or a second one")]
    Origin {
        /// The line, counted from 1.
        line: usize,
    },
    /// A `c=` without its three fields.
    #[error("line {line} of the peer's session description is no connection address")]
    Connection {
        /// The line, counted from 1.
        line: usize,
    },
    /// An `m=` without kind, port and protocol.
    #[error("line {line} of the peer's session description describes no media")]
    Media {
        /// The line, counted from 1.
        line: usize,
    },
}

impl<'a> Description<'a> {
    /// Reads a description within the default [`Limits`].
    ///
    /// # Errors
    /// The first thing that is wrong with the text.
    pub fn parse(text: &'a [u8]) -> Result<Self, ParseError> {
        Self::parse_within(text, &Limits::default())
    }

    /// Reads a description within the limits given.
    ///
    /// # Errors
    /// The first thing that is wrong with the text.
    pub fn parse_within(text: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        if text.len() > limits.bytes {
            return Err(ParseError::TooLong { limit: limits.bytes });
        }
        let mut reader = Reader { lines: SmallVec::new(), sections: SmallVec::new(), origin: None, number: 0 };
        // Some peers count the NUL that ends their string into the body.
        let mut rest = without_final_nuls(text);
        while !rest.is_empty() {
            reader.number += 1;
            if reader.number > limits.lines {
                return Err(ParseError::TooManyLines { limit: limits.lines });
            }
            let (line, after) = split_line(rest).ok_or(ParseError::ForbiddenByte { line: reader.number })?;
            rest = after;
            if !line.is_empty() {
                reader.take(line, limits)?;
            }
        }
        reader.finish()
    }
}

struct Reader<'a> {
    lines: SmallVec<[Line<'a>; 32]>,
    sections: SmallVec<[Section<'a>; 2]>,
    origin: Option<Origin<'a>>,
    /// The line being read, counted from 1.
    number: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, text: &'a [u8], limits: &Limits) -> Result<(), ParseError> {
        let number = self.number;
        let [kind @ (b'a'..=b'z' | b'A'..=b'Z'), b'=', value @ ..] = text else {
            return Err(ParseError::NotALine { line: number });
        };
        let line = Line { kind: *kind, value };
        //= https://www.rfc-editor.org/rfc/rfc8866#section-5.1
        // The version comes first, and only zero is defined.
        if (line.kind == b'v') != self.lines.is_empty() || (line.kind == b'v' && value.trim_ascii() != b"0") {
            return Err(ParseError::Version { line: number });
        }
        match line.kind {
            b'o' => {
                if self.origin.is_some() || !self.sections.is_empty() {
                    return Err(ParseError::Origin { line: number });
                }
                self.origin = Some(Origin::parse(value).ok_or(ParseError::Origin { line: number })?);
            }
            b'c' => {
                Connection::parse(value).ok_or(ParseError::Connection { line: number })?;
            }
            b'm' => self.begin_section(value, limits)?,
            _ => {}
        }
        self.lines.push(line);
        Ok(())
    }

    fn begin_section(&mut self, value: &'a [u8], limits: &Limits) -> Result<(), ParseError> {
        if self.sections.len() >= limits.media {
            return Err(ParseError::TooManyMedia { limit: limits.media });
        }
        let media = MediaLine::parse(value).ok_or(ParseError::Media { line: self.number })?;
        if media.formats().nth(limits.formats).is_some() {
            return Err(ParseError::TooManyFormats { line: self.number, limit: limits.formats });
        }
        let first = self.lines.len();
        if let Some(previous) = self.sections.last_mut() {
            previous.end = first;
        }
        self.sections.push(Section { first, end: first, media });
        Ok(())
    }

    fn finish(mut self) -> Result<Description<'a>, ParseError> {
        if self.lines.is_empty() {
            return Err(ParseError::Version { line: 1 });
        }
        let origin = self.origin.ok_or(ParseError::NoOrigin)?;
        if let Some(last) = self.sections.last_mut() {
            last.end = self.lines.len();
        }
        Ok(Description { origin, lines: self.lines, sections: self.sections })
    }
}

/// The first line without its end, and what follows it; `None` when it contains a byte that no line may contain.
//= https://www.rfc-editor.org/rfc/rfc8866#section-5
// CRLF ends a line, and parsers accept a bare line feed too.
fn split_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let Some(at) = memchr::memchr3(b'\n', b'\r', 0, text) else {
        return Some((text, &[]));
    };
    let line = &text[..at];
    match text[at..] {
        [b'\n', ref rest @ ..] | [b'\r', b'\n', ref rest @ ..] => Some((line, rest)),
        [b'\r'] => Some((line, &[])),
        _ => None,
    }
}

fn without_final_nuls(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    &text[..end]
}

/// The first word of a line and what follows it; words are separated by one or more blanks.
pub(crate) fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    text.split_at(end)
}

/// The words of a line.
pub(crate) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// A decimal number: digits only, no sign.
pub(crate) fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// A port: a decimal number up to 65,535.
pub(crate) fn port(digits: &[u8]) -> Option<u16> {
    number(digits)?.try_into().ok()
}
