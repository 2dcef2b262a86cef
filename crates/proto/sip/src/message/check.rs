//! What is wrong with a message that parsed: the status a request is refused with, the reason a response is dropped.

use super::{CSeq, HeaderName, Message, Method, NameAddr, StartLine, Uri, UriError, ValueError, Via, elements};
use std::fmt;

/// Why a message cannot be handled. The peer's fault, each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The version is not 2.0.
    #[error("version not supported")]
    Version,
    /// A mandatory header is missing.
    #[error("no {} header", .0.name())]
    Missing(HeaderName),
    /// A header that may stand only once stands more often.
    #[error("more than one {} header", .0.name())]
    Repeated(HeaderName),
    /// A header's value does not follow its grammar.
    #[error("malformed {0}: {1}")]
    Malformed(HeaderName, ValueError),
    /// The request URI is malformed.
    #[error("malformed request URI: {0}")]
    RequestUri(UriError),
    /// The CSeq names another method than the request line.
    #[error("the CSeq names another method")]
    MethodMismatch,
    /// The body is shorter than `Content-Length` says.
    #[error("the body is shorter than Content-Length says")]
    BodyTruncated,
    /// `Content-Length` is no number, or several of them disagree.
    #[error("Content-Length is malformed or ambiguous")]
    ContentLength,
}

impl Defect {
    /// The status a request with this defect is answered with.
    pub fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            _ => 400,
        }
    }

    /// What this message, which has the defect, is answered with; `None`: it is dropped.
    //= https://www.rfc-editor.org/rfc/rfc4475#section-3.3.1
    // Without a Via nobody waits for the answer; whatever else is missing, a 400 helps to find out what.
    pub fn answered_with<B: AsRef<[u8]>>(self, message: &Message<B>) -> Option<u16> {
        let waits = message.method().is_some_and(|method| method != Method::Ack);
        (waits && message.value(HeaderName::Via).is_some()).then(|| self.status())
    }
}

/// Headers that stand at most once, a bit for each.
const SINGLE: u64 = bits([
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::From,
    HeaderName::To,
    HeaderName::MaxForwards,
    HeaderName::ContentType,
    HeaderName::Expires,
]);

const fn bits(names: [HeaderName; 7]) -> u64 {
    let (mut bits, mut at) = (0, 0);
    while at < names.len() {
        bits |= 1 << names[at] as u8;
        at += 1;
    }
    bits
}

impl<B: AsRef<[u8]>> Message<B> {
    /// Checks what every message must have.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1
    pub fn check(&self) -> Result<(), Defect> {
        if !self.version().eq_ignore_ascii_case(b"SIP/2.0") {
            return Err(Defect::Version);
        }
        self.check_single()?;
        self.check_length()?;
        self.check_via()?;
        let call_id = self.value(HeaderName::CallId).ok_or(Defect::Missing(HeaderName::CallId))?;
        if call_id.is_empty() || call_id.iter().any(|b| *b <= b' ') {
            return Err(Defect::Malformed(HeaderName::CallId, ValueError::Malformed));
        }
        for name in [HeaderName::From, HeaderName::To] {
            let value = self.value(name).ok_or(Defect::Missing(name))?;
            NameAddr::parse(value).map_err(|e| Defect::Malformed(name, e))?;
        }
        let cseq = self.value(HeaderName::CSeq).ok_or(Defect::Missing(HeaderName::CSeq))?;
        let cseq = CSeq::parse(cseq).map_err(|e| Defect::Malformed(HeaderName::CSeq, e))?;
        if let StartLine::Request { method_text, uri, method } = self.start_line() {
            if method_text != cseq.method_text {
                return Err(Defect::MethodMismatch);
            }
            let uri = Uri::parse(uri).map_err(Defect::RequestUri)?;
            //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
            // The header component may not stand in a request URI; the peer that leaves it there means a Contact.
            if !uri.headers.is_empty() && method == Method::Register {
                return Err(Defect::RequestUri(UriError::Headers));
            }
            self.check_numbers()?;
        }
        Ok(())
    }

    fn check_single(&self) -> Result<(), Defect> {
        let mut seen = 0u64;
        for name in self.names() {
            let bit = 1u64 << name as u8 & SINGLE;
            if seen & bit != 0 {
                return Err(Defect::Repeated(name));
            }
            seen |= bit;
        }
        Ok(())
    }

    /// The topmost Via is ours to read. What stands in the same header must be Vias as well: a stray separator there
    /// leaves open who is to get the response.
    //= https://www.rfc-editor.org/rfc/rfc4475#section-3.1.2.1
    fn check_via(&self) -> Result<(), Defect> {
        let value = self.value(HeaderName::Via).ok_or(Defect::Missing(HeaderName::Via))?;
        let mut vias = elements(value).peekable();
        if vias.peek().is_none() {
            return Err(Defect::Missing(HeaderName::Via));
        }
        vias.try_for_each(|via| Via::parse(via).map(drop)).map_err(|e| Defect::Malformed(HeaderName::Via, e))
    }

    fn check_length(&self) -> Result<(), Defect> {
        let mut values = self.values(HeaderName::ContentLength);
        let Some(first) = values.next() else { return Ok(()) };
        let length = super::decimal(first).ok_or(Defect::ContentLength)?;
        if values.any(|other| super::decimal(other) != Some(length)) {
            return Err(Defect::ContentLength);
        }
        if length as usize > self.bytes_after_headers() { Err(Defect::BodyTruncated) } else { Ok(()) }
    }

    fn check_numbers(&self) -> Result<(), Defect> {
        let malformed = |name| Defect::Malformed(name, ValueError::Number);
        if let Some(value) = self.value(HeaderName::MaxForwards)
            && super::decimal(value).is_none_or(|hops| hops > 255)
        {
            return Err(malformed(HeaderName::MaxForwards));
        }
        Ok(())
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
