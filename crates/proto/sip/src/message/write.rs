//! Writing messages: strict, in one buffer.

use super::{HeaderName, reason_phrase};
use bytes::Bytes;
use std::fmt::{self, Write as _};

/// Builds one message. Values are written as given, except that a line end within one becomes a space: what comes from a
/// peer can never start a header of its own.
///
/// ```
/// use sx_sip::message::{HeaderName, Writer};
/// let mut writer = Writer::request("OPTIONS", "sip:example.org");
/// writer.header(HeaderName::MaxForwards, format_args!("{}", 70));
/// let bytes = writer.finish(None);
/// assert_eq!(&bytes[..], b"OPTIONS sip:example.org SIP/2.0\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n");
/// ```
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
}

/// Most messages fit; a longer one grows the buffer.
const CAPACITY: usize = 1_280;

impl Writer {
    /// Begins a request.
    pub fn request(method: &str, uri: &str) -> Self {
        let mut writer = Self { bytes: Vec::with_capacity(CAPACITY) };
        writer.push_clean(method.as_bytes());
        writer.bytes.push(b' ');
        writer.push_clean(uri.as_bytes());
        writer.bytes.extend_from_slice(b" SIP/2.0\r\n");
        writer
    }

    /// Begins a response; an empty reason gives the usual phrase.
    pub fn response(status: u16, reason: &str) -> Self {
        let mut writer = Self { bytes: Vec::with_capacity(CAPACITY) };
        let reason = if reason.is_empty() { reason_phrase(status) } else { reason };
        let _ = write!(writer, "SIP/2.0 {status} ");
        writer.push_clean(reason.as_bytes());
        writer.bytes.extend_from_slice(b"\r\n");
        writer
    }

    /// Adds a header from pieces of text.
    pub fn header(&mut self, name: HeaderName, value: fmt::Arguments<'_>) -> &mut Self {
        self.begin(name.name().as_bytes());
        let _ = self.write_fmt(value);
        self.end_line()
    }

    /// Adds a header from bytes.
    pub fn header_bytes(&mut self, name: HeaderName, value: &[u8]) -> &mut Self {
        self.raw_header(name.name().as_bytes(), value)
    }

    /// Adds a header whose name is given as text. A name that is no token is left out.
    pub fn raw_header(&mut self, name: &[u8], value: &[u8]) -> &mut Self {
        if name.is_empty() || !name.iter().all(|b| super::is_token(*b)) {
            return self;
        }
        self.begin(name);
        self.push_clean(value);
        self.end_line()
    }

    /// Adds header lines that this crate wrote before, each with its line end.
    pub(crate) fn lines(&mut self, lines: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(lines);
        self
    }

    /// Adds the body and what tells of it, and ends the message.
    pub fn finish(mut self, body: Option<(&str, &[u8])>) -> Bytes {
        let (content_type, body) = body.unwrap_or_default();
        if !body.is_empty() {
            self.header(HeaderName::ContentType, format_args!("{content_type}"));
        }
        self.bytes.extend_from_slice(b"Content-Length: ");
        let _ = write!(self, "{}", body.len());
        self.bytes.extend_from_slice(b"\r\n\r\n");
        self.bytes.extend_from_slice(body);
        Bytes::from(self.bytes)
    }

    /// How many bytes there are so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Is nothing written yet? Never so once a message has begun.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn begin(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(b": ");
    }

    fn end_line(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    fn push_clean(&mut self, text: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        if memchr::memchr3(b'\r', b'\n', 0, text).is_some() {
            for byte in &mut self.bytes[start..] {
                if matches!(byte, b'\r' | b'\n' | 0) {
                    *byte = b' ';
                }
            }
        }
    }
}

impl fmt::Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_clean(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    #[test]
    fn a_line_end_in_a_value_cannot_start_a_header() {
        let mut writer = Writer::response(200, "OK\r\nEvil: 1");
        writer.header(HeaderName::Subject, format_args!("a\r\nEvil: {}", "2\r\n\r\n"));
        writer.raw_header(b"X-A\r\nEvil", b"3").raw_header(b"X-B", b"4\nEvil: 5");
        let bytes = writer.finish(Some(("text/plain", b"hello")));
        let message = Message::parse(bytes).expect("well formed");
        assert_eq!(message.status(), Some(200));
        assert_eq!(message.other("Evil"), None);
        assert_eq!((message.headers().len(), message.body()), (4, &b"hello"[..]));
    }
}
