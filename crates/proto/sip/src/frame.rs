//! Cuts a byte stream into SIP messages (TCP and TLS), without the stream.
//!
//! It looks at line ends and at Content-Length and deliberately knows nothing else of a message. What is pushed is
//! scanned once, however small the pieces are, and what is kept between two pushes is one unfinished message.
//!
//! ```
//! use sx_sip::frame::{Frame, Framer};
//! let mut framer = Framer::new(65_535);
//! framer.push(b"\r\n\r\nBYE sip:a@b SIP/2.0\r\nl: 0\r\n\r\nACK sip:a@");
//! assert_eq!(framer.next(), Ok(Some(Frame::Ping)));
//! assert_eq!(framer.next(), Ok(Some(Frame::Message(b"BYE sip:a@b SIP/2.0\r\nl: 0\r\n\r\n"))));
//! assert_eq!(framer.next(), Ok(None));
//! ```

use std::ops::Range;

/// One thing found in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole message: start line, headers, empty line, and as many bytes as its Content-Length says.
    Message(&'a [u8]),
    /// The double CRLF that asks for a [`Pong`](Self::Pong).
    Ping,
    /// A single CRLF.
    Pong,
}

/// What [`Framer::advance`] found; the message itself is at [`Framer::message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A whole message.
    Message,
    /// A double CRLF.
    Ping,
    /// A single CRLF.
    Pong,
}

/// The peer sent what cannot be framed. Nothing after it can be trusted: close the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FrameError {
    /// A message starts with a byte that starts no SIP message.
    #[error("a message starts with byte {byte:#04x}: this is not SIP")]
    NotSip {
        /// The byte.
        byte: u8,
    },
    /// The empty line after the headers did not come within the limit.
    #[error("the headers are longer than {max} bytes")]
    HeaderTooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// Headers and body together exceed the limit.
    #[error("a message of {length} bytes exceeds the limit of {max}")]
    MessageTooLong {
        /// Bytes announced, headers included.
        length: u64,
        /// The limit in bytes.
        max: usize,
    },
    /// A message on a stream must carry Content-Length.
    #[error("a message on a stream without Content-Length")]
    ContentLengthMissing,
    /// Content-Length is not a number.
    #[error("a Content-Length that is not a number")]
    ContentLengthInvalid,
    /// Two Content-Lengths that differ.
    #[error("Content-Length {first} and Content-Length {second} in one message")]
    ContentLengthConflicting {
        /// The first value.
        first: u64,
        /// The other one.
        second: u64,
    },
}

/// Cuts one stream. [`push`](Self::push) what was read, then call [`next`](Self::next) until it gives `None`.
#[derive(Clone, Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where what has not been handed out begins.
    start: usize,
    state: State,
    /// The message handed out last, within `buffer`.
    message: Range<usize>,
    message_bytes_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between messages. `half` says that a single CRLF was the last thing seen there.
    Between { half: bool },
    /// In the headers; the empty line does not end before this many bytes after `start`.
    Headers { scanned: usize },
    /// The headers are whole; the message has this many bytes in all.
    Body { length: usize },
    /// Nothing can follow.
    Broken(FrameError),
}

impl Framer {
    /// A framer for a new stream. A message longer than `message_bytes_max`, headers included, is an error.
    pub fn new(message_bytes_max: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, state: State::Between { half: false }, message: 0..0, message_bytes_max }
    }

    /// Takes what was read. After an error it is thrown away.
    pub fn push(&mut self, bytes: &[u8]) {
        if matches!(self.state, State::Broken(_)) {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
            self.message = 0..0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame; `None` when more bytes are needed. An error is final and is returned again.
    #[expect(clippy::should_implement_trait, reason = "the frame borrows from the framer, as no Iterator's item can")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        Ok(match self.advance()? {
            Some(Found::Message) => Some(Frame::Message(self.message())),
            Some(Found::Ping) => Some(Frame::Ping),
            Some(Found::Pong) => Some(Frame::Pong),
            None => None,
        })
    }

    /// Like [`next`](Self::next) for a caller who cannot hold the borrow yet.
    pub fn advance(&mut self) -> Result<Option<Found>, FrameError> {
        loop {
            match self.state {
                State::Between { half } => match self.keep_alive(half) {
                    KeepAlive::Found(found) => return Ok(Some(found)),
                    KeepAlive::MoreNeeded => {
                        self.release();
                        return Ok(None);
                    }
                    KeepAlive::MessageBegins(byte) if is_token(byte) => self.state = State::Headers { scanned: 0 },
                    KeepAlive::MessageBegins(byte) => return self.broken(FrameError::NotSip { byte }),
                },
                State::Headers { scanned } => match self.headers(scanned) {
                    Ok(Some(length)) => self.state = State::Body { length },
                    Ok(None) => return Ok(None),
                    Err(error) => return self.broken(error),
                },
                State::Body { length } => {
                    if self.buffer.len() - self.start < length {
                        return Ok(None);
                    }
                    self.message = self.start..self.start + length;
                    self.start += length;
                    self.state = State::Between { half: false };
                    return Ok(Some(Found::Message));
                }
                State::Broken(error) => return Err(error),
            }
        }
    }

    /// The message that [`advance`](Self::advance) found last; empty after the next [`push`](Self::push).
    pub fn message(&self) -> &[u8] {
        &self.buffer[self.message.clone()]
    }

    /// Has a message begun that is not whole yet? A peer that leaves it so for long is a slow sender.
    pub fn is_partial(&self) -> bool {
        matches!(self.state, State::Headers { .. } | State::Body { .. })
    }

    /// Eats line ends between messages.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
    // A double CRLF is a ping, a single one a pong. A ping may come in two pieces: its first half was reported as
    // a pong then, and the whole is reported as a ping, so that a ping never stays without its answer.
    fn keep_alive(&mut self, half: bool) -> KeepAlive {
        loop {
            match &self.buffer[self.start..] {
                [b'\r', b'\n', b'\r', b'\n', ..] if !half => {
                    self.start += 4;
                    return KeepAlive::Found(Found::Ping);
                }
                // The second half of a ping may still be on its way, one byte of it may be here.
                [b'\r', b'\n', ..] => {
                    self.start += 2;
                    self.state = State::Between { half: !half };
                    return KeepAlive::Found(if half { Found::Ping } else { Found::Pong });
                }
                [] | [b'\r'] => return KeepAlive::MoreNeeded,
                //= https://www.rfc-editor.org/rfc/rfc3261#section-7.5
                // Empty lines before the start line are ignored; half an empty line is as harmless.
                [b'\r' | b'\n', ..] => self.start += 1,
                [byte, ..] => return KeepAlive::MessageBegins(*byte),
            }
        }
    }

    /// Looks for the empty line and reads Content-Length; the length of the message when it is known.
    fn headers(&mut self, scanned: usize) -> Result<Option<usize>, FrameError> {
        let max = self.message_bytes_max;
        let pending = &self.buffer[self.start..];
        let Some(header) = headers_end(pending, scanned) else {
            if pending.len() > max {
                return Err(FrameError::HeaderTooLong { max });
            }
            // The last three bytes may be the beginning of the empty line.
            self.state = State::Headers { scanned: pending.len().saturating_sub(3).max(scanned) };
            return Ok(None);
        };
        if header > max {
            return Err(FrameError::HeaderTooLong { max });
        }
        let length = header as u64 + content_length(&pending[..header])?.min(u64::MAX / 2);
        match usize::try_from(length) {
            Ok(length) if length <= max => Ok(Some(length)),
            _ => Err(FrameError::MessageTooLong { length, max }),
        }
    }

    fn broken<T>(&mut self, error: FrameError) -> Result<T, FrameError> {
        self.state = State::Broken(error);
        self.buffer = Vec::new();
        self.start = 0;
        self.message = 0..0;
        Err(error)
    }

    /// An idle connection keeps no buffer: thousands of them wait between two messages.
    fn release(&mut self) {
        if self.start == self.buffer.len() {
            self.buffer = Vec::new();
            self.start = 0;
            self.message = 0..0;
        }
    }
}

enum KeepAlive {
    Found(Found),
    MoreNeeded,
    MessageBegins(u8),
}

/// A byte of an RFC 3261 `token`: methods and `SIP/2.0` are made of these.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// The value of Content-Length in these headers, which end with the empty line.
//= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
// On a stream the Content-Length is what locates the end of a message, so it must be there.
fn content_length(headers: &[u8]) -> Result<u64, FrameError> {
    let mut found = None;
    // The start line has no name and is passed over.
    let mut at = line_end(headers, 0);
    while at < headers.len() {
        let end = line_end(headers, at);
        if let Some(value) = value_of_content_length(&headers[at..end]) {
            let value = number(value)?;
            match found {
                Some(first) if first != value => {
                    return Err(FrameError::ContentLengthConflicting { first, second: value });
                }
                _ => found = Some(value),
            }
        }
        at = end;
    }
    found.ok_or(FrameError::ContentLengthMissing)
}

/// Where the headers end, their empty line included; looks from `from` on. A searcher for the four bytes would cost more
/// to set up than a look at each line.
fn headers_end(bytes: &[u8], from: usize) -> Option<usize> {
    let newlines = memchr::memchr_iter(b'\n', &bytes[from..]);
    newlines.map(|at| from + at + 1).find(|end| bytes[from..*end].ends_with(b"\r\n\r\n"))
}

/// Where the line that begins at `from` ends, its CRLF and its continuation lines included.
fn line_end(headers: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        let Some(newline) = memchr::memchr(b'\n', &headers[at..]) else { return headers.len() };
        at += newline + 1;
        // A bare line feed ends nothing.
        if !headers[from..at].ends_with(b"\r\n") {
            continue;
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
        // A line that begins with white space continues the one before.
        if !matches!(headers.get(at), Some(b' ' | b'\t')) {
            return at;
        }
    }
}

fn value_of_content_length(line: &[u8]) -> Option<&[u8]> {
    // A cheap look at the first byte spares most lines the search for the colon.
    if !matches!(line.first(), Some(b'c' | b'C' | b'l' | b'L')) {
        return None;
    }
    let colon = memchr::memchr(b':', line)?;
    let name = line[..colon].trim_ascii_end();
    (name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l")).then_some(&line[colon + 1..])
}

/// Digits only. A number past `u64` is as much too long as the greatest one.
fn number(value: &[u8]) -> Result<u64, FrameError> {
    let digits = value.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(FrameError::ContentLengthInvalid);
    }
    Ok(digits.iter().fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 400;

    /// What the framer makes of `input` when it comes in pieces of `piece` bytes; pings are `<ping>`, errors `!…`.
    fn frames(input: &[u8], piece: usize) -> Vec<String> {
        let mut framer = Framer::new(MAX);
        let mut found = Vec::new();
        for piece in input.chunks(piece.max(1)) {
            framer.push(piece);
            loop {
                match framer.next() {
                    Ok(Some(Frame::Message(bytes))) => found.push(String::from_utf8_lossy(bytes).into_owned()),
                    Ok(Some(Frame::Ping)) => found.push("<ping>".into()),
                    Ok(Some(Frame::Pong)) => found.push("<pong>".into()),
                    Ok(None) => break,
                    Err(error) => {
                        found.push(format!("!{error}"));
                        return found;
                    }
                }
            }
        }
        found
    }

    /// However the input is cut, the messages and the error are the same.
    fn check(input: &str, expected: &[&str]) {
        for piece in [1, 2, 3, 7, 64, input.len()] {
            let mut messages = frames(input.as_bytes(), piece);
            messages.retain(|m| !m.starts_with('<'));
            assert_eq!(messages, expected, "in pieces of {piece}");
        }
    }

    const BYE: &str = "BYE sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn messages_are_cut_at_their_content_length() {
        let body = "MESSAGE sip:a@b SIP/2.0\r\nl:4\r\nTo: x\r\n\r\nabcd";
        check(&format!("{BYE}{body}{BYE}"), &[BYE, body, BYE]);
        let folded = "BYE sip:a@b SIP/2.0\r\ncontent-length :\r\n  2\r\n\r\nok";
        check(&format!("\r\n\r\n{folded}\r\n{BYE}"), &[folded, BYE]);
        let twice = "BYE sip:a@b SIP/2.0\r\nl: 1\r\nContent-Length: 01\r\n\r\nx";
        check(twice, &[twice]);
        let lookalikes = "BYE sip:a@b SIP/2.0\r\nContent-Type: l\r\nX: y\r\n l: 9\r\nl: 0\r\n\r\n";
        check(lookalikes, &[lookalikes]);
    }

    #[test]
    fn what_cannot_be_framed_is_named() {
        let with = |header: &str| format!("BYE sip:a@b SIP/2.0\r\n{header}\r\n\r\n");
        check(&with("To: x"), &["!a message on a stream without Content-Length"]);
        for bad in ["-1", "", "1 2", "1,1", "0x10", "+1", "١"] {
            check(&with(&format!("l: {bad}")), &["!a Content-Length that is not a number"]);
        }
        check(&with("l: 1\r\nl: 2"), &["!Content-Length 1 and Content-Length 2 in one message"]);
        check(&with("l: 400"), &["!a message of 431 bytes exceeds the limit of 400"]);
        assert!(frames(with("l: 99999999999999999999999").as_bytes(), 9)[0].starts_with("!a message of"));
        check(&format!("{BYE}{}", "A".repeat(500)), &[BYE, "!the headers are longer than 400 bytes"]);
        check("\u{16}\u{3}\u{1}", &["!a message starts with byte 0x16: this is not SIP"]);
        check("\r\n {}", &["!a message starts with byte 0x20: this is not SIP"]);
    }

    #[test]
    fn the_limit_is_inclusive() {
        let head = "BYE sip:a@b SIP/2.0\r\nl: 369\r\n\r\n";
        let whole = format!("{head}{}", "x".repeat(MAX - head.len()));
        assert_eq!((head.len(), whole.len()), (31, MAX));
        check(&whole, &[&whole]);
    }

    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
    //= type=test
    #[test]
    fn every_double_crlf_is_a_ping_even_in_pieces() {
        assert_eq!(frames(b"\r\n\r\n", 4), ["<ping>"]);
        assert_eq!(frames(b"\r\n\r\n", 2), ["<pong>", "<ping>"]);
        assert_eq!(frames(b"\r\n\r\n", 1), ["<pong>", "<ping>"]);
        assert_eq!(frames(b"\r\n\r\n\r\n", 6), ["<ping>", "<pong>"]);
        assert_eq!(frames(b"\r\n", 2), ["<pong>"]);
        assert_eq!(frames(b"\n\r", 2), [""; 0]);
        assert_eq!(frames(format!("\r\n{BYE}").as_bytes(), 99), ["<pong>", BYE]);
    }

    #[test]
    fn a_started_message_is_partial_and_an_idle_stream_keeps_no_buffer() {
        let mut framer = Framer::new(MAX);
        framer.push(b"\r\n\r");
        while framer.next().expect("keep-alives").is_some() {}
        assert!(!framer.is_partial());
        framer.push(b"\nB");
        while framer.next().expect("keep-alives").is_some() {}
        assert!(framer.is_partial());
        framer.push(&BYE.as_bytes()[1..]);
        assert_eq!(framer.next(), Ok(Some(Frame::Message(BYE.as_bytes()))));
        assert_eq!(framer.next(), Ok(None));
        assert!(!framer.is_partial());
        assert_eq!(framer.buffer.capacity(), 0);
    }

    #[test]
    fn an_error_is_final_and_keeps_nothing() {
        let mut framer = Framer::new(MAX);
        framer.push(b"?");
        let error = framer.next().expect_err("not SIP");
        framer.push(BYE.as_bytes());
        assert_eq!(framer.next(), Err(error));
        assert_eq!(framer.buffer.capacity(), 0);
    }
}
