//! The header index: one pass over the bytes, nothing copied.

use super::token::{TOKEN, all_of, decimal, elements, is_space, is_token, trim};
use super::{HeaderName, Method};
use bytes::Bytes;
use smallvec::SmallVec;
use std::ops::Range;

/// A message and the index of its headers. `B` is what holds the bytes: a borrowed datagram while the message is
/// handled, [`Bytes`] when it has to be kept.
///
/// ```
/// use sx_sip::message::{HeaderName, Message, Method};
/// let bytes = b"OPTIONS sip:example.org SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bK1\r\nl: 0\r\n\r\n";
/// let message = Message::parse(&bytes[..]).expect("well formed");
/// assert_eq!(message.method(), Some(Method::Options));
/// assert_eq!(message.value(HeaderName::ContentLength), Some(&b"0"[..]));
/// ```
#[derive(Clone, Debug)]
pub struct Message<B> {
    raw: B,
    start: Start,
    headers: SmallVec<[Entry; 24]>,
    body: Range<u32>,
}

/// A message that keeps its bytes.
pub type OwnedMessage = Message<Bytes>;

#[derive(Clone, Debug)]
enum Start {
    Request { method: Method, text: Range<u32>, uri: Range<u32>, version: Range<u32> },
    Response { status: u16, reason: Range<u32>, version: Range<u32> },
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    name: HeaderName,
    line: u32,
    name_length: u16,
    value: u32,
    value_end: u32,
}

/// The first line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// A request.
    Request {
        /// The method.
        method: Method,
        /// The method as written.
        method_text: &'a [u8],
        /// The request URI as written.
        uri: &'a [u8],
    },
    /// A response.
    Response {
        /// The status code, 100 to 699.
        status: u16,
        /// The reason phrase as written.
        reason: &'a [u8],
    },
}

/// One header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name when it is a known one.
    pub name: HeaderName,
    /// Its name as written.
    pub text: &'a [u8],
    /// Its value without white space at the ends; may contain line folding.
    pub value: &'a [u8],
}

/// The bytes are no SIP message, and no answer can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing but line ends.
    #[error("empty")]
    Empty,
    /// The first line is neither a request line nor a status line.
    #[error("the first line is neither a request line nor a status line")]
    StartLine,
    /// A header line has no colon, or its name is not a token.
    #[error("a header line without a name")]
    HeaderLine,
    /// The header section does not end.
    #[error("the header section does not end")]
    Truncated,
    /// More than 512 header lines.
    #[error("more than {HEADERS_MAX} header lines")]
    TooManyHeaders,
    /// More than 1 MiB.
    #[error("more than {BYTES_MAX} bytes")]
    TooLong,
}

/// The most header lines a message may have.
pub const HEADERS_MAX: usize = 512;

/// The most bytes a message may have.
pub const BYTES_MAX: usize = 1 << 20;

impl<B: AsRef<[u8]>> Message<B> {
    /// Indexes a message. The body is what follows the empty line, cut to `Content-Length` where that is smaller;
    /// a length beyond the end is left to [`check`](Self::check).
    pub fn parse(raw: B) -> Result<Self, ParseError> {
        let bytes = raw.as_ref();
        if bytes.len() > BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let begin = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).ok_or(ParseError::Empty)?;
        let (first, mut at) = line(bytes, begin).ok_or(ParseError::Truncated)?;
        let start = parse_start(bytes, first)?;
        let mut headers: SmallVec<[Entry; 24]> = SmallVec::new();
        loop {
            let (span, next) = line(bytes, at).ok_or(ParseError::Truncated)?;
            at = next;
            if span.is_empty() {
                break;
            }
            if matches!(bytes[span.start], b' ' | b'\t') {
                // A folded line goes on with the value before it.
                let last = headers.last_mut().ok_or(ParseError::HeaderLine)?;
                let whole = trim(&bytes[last.value as usize..span.end]);
                if !whole.is_empty() {
                    let offset = whole.as_ptr() as usize - bytes.as_ptr() as usize;
                    (last.value, last.value_end) = (offset as u32, (offset + whole.len()) as u32);
                }
                continue;
            }
            if headers.len() == HEADERS_MAX {
                return Err(ParseError::TooManyHeaders);
            }
            headers.push(parse_header(bytes, span)?);
        }
        let mut message = Self { body: at as u32..bytes.len() as u32, raw, start, headers };
        if let Some(length) = message.content_length()
            && let Some(end) = message.body.start.checked_add(length)
            && end < message.body.end
        {
            message.body.end = end;
        }
        Ok(message)
    }

    /// All bytes, as received.
    pub fn bytes(&self) -> &[u8] {
        self.raw.as_ref()
    }

    fn slice(&self, range: Range<u32>) -> &[u8] {
        &self.bytes()[range.start as usize..range.end as usize]
    }

    /// The first line.
    pub fn start_line(&self) -> StartLine<'_> {
        match &self.start {
            Start::Request { method, text, uri, .. } => StartLine::Request {
                method: *method,
                method_text: self.slice(text.clone()),
                uri: self.slice(uri.clone()),
            },
            Start::Response { status, reason, .. } => {
                StartLine::Response { status: *status, reason: self.slice(reason.clone()) }
            }
        }
    }

    /// The method of a request; `None` for a response.
    pub fn method(&self) -> Option<Method> {
        match self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The method of a request as written; empty for a response.
    pub fn method_text(&self) -> &[u8] {
        match &self.start {
            Start::Request { text, .. } => self.slice(text.clone()),
            Start::Response { .. } => &[],
        }
    }

    /// The request URI as written; empty for a response.
    pub fn request_uri(&self) -> &[u8] {
        match &self.start {
            Start::Request { uri, .. } => self.slice(uri.clone()),
            Start::Response { .. } => &[],
        }
    }

    /// The status of a response; `None` for a request.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Response { status, .. } => Some(status),
            Start::Request { .. } => None,
        }
    }

    /// The version as written, `SIP/2.0` if all is well.
    pub fn version(&self) -> &[u8] {
        match &self.start {
            Start::Request { version, .. } | Start::Response { version, .. } => self.slice(version.clone()),
        }
    }

    /// The body, as long as `Content-Length` says, or to the end of the datagram when it says nothing.
    pub fn body(&self) -> &[u8] {
        self.slice(self.body.clone())
    }

    /// The bytes that follow the header section, whatever `Content-Length` says.
    pub(super) fn bytes_after_headers(&self) -> usize {
        self.bytes().len() - self.body.start as usize
    }

    /// Every header field in order.
    pub fn headers(&self) -> impl DoubleEndedIterator<Item = Header<'_>> + ExactSizeIterator {
        self.headers.iter().map(|entry| self.header_of(entry))
    }

    fn header_of(&self, entry: &Entry) -> Header<'_> {
        Header {
            name: entry.name,
            text: self.slice(entry.line..entry.line + u32::from(entry.name_length)),
            value: self.slice(entry.value..entry.value_end),
        }
    }

    /// The name of every header field in order.
    pub(super) fn names(&self) -> impl Iterator<Item = HeaderName> {
        self.headers.iter().map(|entry| entry.name)
    }

    /// The values of every header with this name, in order, each as written (it may hold several elements).
    pub fn values(&self, name: HeaderName) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.headers
            .iter()
            .filter(move |entry| entry.name == name)
            .map(|entry| self.slice(entry.value..entry.value_end))
    }

    /// The value of the first header with this name.
    pub fn value(&self, name: HeaderName) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// The value of the first header with this name, when it is UTF-8.
    pub fn text(&self, name: HeaderName) -> Option<&str> {
        std::str::from_utf8(self.value(name)?).ok()
    }

    /// The value of the first header with this name that the exchange does not know.
    pub fn other(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|h| h.text.eq_ignore_ascii_case(name.as_bytes())).map(|h| h.value)
    }

    /// The elements of every header with this name, in order: of `Route: <a>, <b>` and `Route: <c>`, all three.
    pub fn elements(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        self.values(name).flat_map(elements)
    }

    /// Does a comma list of tokens (`Supported`, `Require`, `Allow` …) name this one? Compares without case.
    pub fn lists(&self, name: HeaderName, token: &str) -> bool {
        self.elements(name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The value of a header that is a decimal number, when it is one.
    pub fn number(&self, name: HeaderName) -> Option<u32> {
        let value = self.value(name)?;
        let end = value.iter().position(|b| is_space(*b) || *b == b';' || *b == b'(').unwrap_or(value.len());
        decimal(&value[..end])
    }

    /// `Content-Length`, when there is one and it is a number.
    pub fn content_length(&self) -> Option<u32> {
        decimal(self.value(HeaderName::ContentLength)?)
    }

    /// The same message with bytes of its own.
    pub fn detach(&self) -> OwnedMessage {
        Message {
            raw: Bytes::copy_from_slice(self.bytes()),
            start: self.start.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
        }
    }
}

/// The line that starts at `at`, without its end, and where the next one starts.
fn line(bytes: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    let newline = at + memchr::memchr(b'\n', bytes.get(at..)?)?;
    let end = if newline > at && bytes[newline - 1] == b'\r' { newline - 1 } else { newline };
    Some((at..end, newline + 1))
}

fn parse_header(bytes: &[u8], span: Range<usize>) -> Result<Entry, ParseError> {
    let text = &bytes[span.clone()];
    let colon = memchr::memchr(b':', text).ok_or(ParseError::HeaderLine)?;
    // White space before the name is a stray CR.
    let before = text.iter().take_while(|b| is_space(**b)).count().min(colon);
    let text = trim(&text[before..colon]);
    let name = HeaderName::from_bytes(text);
    // A name that is known is a token.
    if name == HeaderName::Other && (text.is_empty() || text.len() > usize::from(u16::MAX) || !all_of(text, TOKEN)) {
        return Err(ParseError::HeaderLine);
    }
    let mut value = span.start + colon + 1;
    let mut value_end = span.end;
    while value < value_end && is_space(bytes[value]) {
        value += 1;
    }
    while value_end > value && is_space(bytes[value_end - 1]) {
        value_end -= 1;
    }
    Ok(Entry {
        name,
        line: (span.start + before) as u32,
        name_length: text.len() as u16,
        value: value as u32,
        value_end: value_end as u32,
    })
}

fn parse_start(bytes: &[u8], span: Range<usize>) -> Result<Start, ParseError> {
    let text = &bytes[span.clone()];
    if text.len() > 4 && text[..4].eq_ignore_ascii_case(b"SIP/") {
        return parse_status_line(text, span.start);
    }
    let method_length = text.iter().position(|b| !is_token(*b)).ok_or(ParseError::StartLine)?;
    let trimmed = trim(text);
    let version_length = trimmed.iter().rev().position(|b| is_space(*b)).ok_or(ParseError::StartLine)?;
    let version_start =
        span.start + (trimmed.as_ptr() as usize - text.as_ptr() as usize) + trimmed.len() - version_length;
    let version = &bytes[version_start..version_start + version_length];
    if method_length == 0
        || !is_space(text[method_length])
        || !version.get(..4).is_some_and(|v| v.eq_ignore_ascii_case(b"SIP/"))
    {
        return Err(ParseError::StartLine);
    }
    // White space within the URI is kept here and refused by the check of the message.
    let (mut uri_start, mut uri_end) = (span.start + method_length, version_start);
    while uri_start < uri_end && is_space(bytes[uri_start]) {
        uri_start += 1;
    }
    while uri_end > uri_start && is_space(bytes[uri_end - 1]) {
        uri_end -= 1;
    }
    if uri_start == uri_end {
        return Err(ParseError::StartLine);
    }
    Ok(Start::Request {
        method: Method::from_bytes(&text[..method_length]),
        text: span.start as u32..(span.start + method_length) as u32,
        uri: uri_start as u32..uri_end as u32,
        version: version_start as u32..(version_start + version_length) as u32,
    })
}

fn parse_status_line(text: &[u8], offset: usize) -> Result<Start, ParseError> {
    let version_end = text.iter().position(|b| *b == b' ').ok_or(ParseError::StartLine)?;
    let code_start = version_end + text[version_end..].iter().position(|b| *b != b' ').ok_or(ParseError::StartLine)?;
    let code = text.get(code_start..code_start + 3).and_then(decimal).ok_or(ParseError::StartLine)?;
    let after = text.get(code_start + 3);
    if !(100..=699).contains(&code) || !matches!(after, None | Some(b' ')) {
        return Err(ParseError::StartLine);
    }
    let reason = (code_start + 4).min(text.len());
    Ok(Start::Response {
        status: code as u16,
        reason: (offset + reason) as u32..(offset + text.len()) as u32,
        version: offset as u32..(offset + version_end) as u32,
    })
}
