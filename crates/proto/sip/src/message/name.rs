//! Header names: one byte each once recognised.

/// A header field name. Names compare without case; compact forms are recognised.
//= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "each variant is the header of that name")]
pub enum HeaderName {
    Accept,
    AcceptContact,
    AlertInfo,
    Allow,
    AllowEvents,
    Authorization,
    CallId,
    CallInfo,
    Contact,
    ContentDisposition,
    ContentEncoding,
    ContentLanguage,
    ContentLength,
    ContentType,
    CSeq,
    Date,
    Diversion,
    Event,
    Expires,
    From,
    HistoryInfo,
    MaxForwards,
    MimeVersion,
    MinExpires,
    MinSe,
    PAssertedIdentity,
    PPreferredIdentity,
    Path,
    Privacy,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyRequire,
    RAck,
    Reason,
    RecordRoute,
    ReferTo,
    ReferredBy,
    Replaces,
    Require,
    RetryAfter,
    Route,
    RSeq,
    Server,
    ServiceRoute,
    SessionExpires,
    Subject,
    SubscriptionState,
    Supported,
    To,
    Unsupported,
    UserAgent,
    Via,
    Warning,
    WwwAuthenticate,
    /// A name the exchange does not know; its text stands in the message.
    Other,
}

/// How many names are known.
pub(super) const KNOWN: usize = HeaderName::Other as usize;

/// Name and compact form (RFC 3261, 7.3.3 and later RFCs), in the order of the enum.
const NAMES: [(&str, Option<u8>, HeaderName); KNOWN] = [
    ("Accept", None, HeaderName::Accept),
    ("Accept-Contact", Some(b'a'), HeaderName::AcceptContact),
    ("Alert-Info", None, HeaderName::AlertInfo),
    ("Allow", None, HeaderName::Allow),
    ("Allow-Events", Some(b'u'), HeaderName::AllowEvents),
    ("Authorization", None, HeaderName::Authorization),
    ("Call-ID", Some(b'i'), HeaderName::CallId),
    ("Call-Info", None, HeaderName::CallInfo),
    ("Contact", Some(b'm'), HeaderName::Contact),
    ("Content-Disposition", None, HeaderName::ContentDisposition),
    ("Content-Encoding", Some(b'e'), HeaderName::ContentEncoding),
    ("Content-Language", None, HeaderName::ContentLanguage),
    ("Content-Length", Some(b'l'), HeaderName::ContentLength),
    ("Content-Type", Some(b'c'), HeaderName::ContentType),
    ("CSeq", None, HeaderName::CSeq),
    ("Date", None, HeaderName::Date),
    ("Diversion", None, HeaderName::Diversion),
    ("Event", Some(b'o'), HeaderName::Event),
    ("Expires", None, HeaderName::Expires),
    ("From", Some(b'f'), HeaderName::From),
    ("History-Info", None, HeaderName::HistoryInfo),
    ("Max-Forwards", None, HeaderName::MaxForwards),
    ("MIME-Version", None, HeaderName::MimeVersion),
    ("Min-Expires", None, HeaderName::MinExpires),
    ("Min-SE", None, HeaderName::MinSe),
    ("P-Asserted-Identity", None, HeaderName::PAssertedIdentity),
    ("P-Preferred-Identity", None, HeaderName::PPreferredIdentity),
    ("Path", None, HeaderName::Path),
    ("Privacy", None, HeaderName::Privacy),
    ("Proxy-Authenticate", None, HeaderName::ProxyAuthenticate),
    ("Proxy-Authorization", None, HeaderName::ProxyAuthorization),
    ("Proxy-Require", None, HeaderName::ProxyRequire),
    ("RAck", None, HeaderName::RAck),
    ("Reason", None, HeaderName::Reason),
    ("Record-Route", None, HeaderName::RecordRoute),
    ("Refer-To", Some(b'r'), HeaderName::ReferTo),
    ("Referred-By", Some(b'b'), HeaderName::ReferredBy),
    ("Replaces", None, HeaderName::Replaces),
    ("Require", None, HeaderName::Require),
    ("Retry-After", None, HeaderName::RetryAfter),
    ("Route", None, HeaderName::Route),
    ("RSeq", None, HeaderName::RSeq),
    ("Server", None, HeaderName::Server),
    ("Service-Route", None, HeaderName::ServiceRoute),
    ("Session-Expires", Some(b'x'), HeaderName::SessionExpires),
    ("Subject", Some(b's'), HeaderName::Subject),
    ("Subscription-State", None, HeaderName::SubscriptionState),
    ("Supported", Some(b'k'), HeaderName::Supported),
    ("To", Some(b't'), HeaderName::To),
    ("Unsupported", None, HeaderName::Unsupported),
    ("User-Agent", None, HeaderName::UserAgent),
    ("Via", Some(b'v'), HeaderName::Via),
    ("Warning", None, HeaderName::Warning),
    ("WWW-Authenticate", None, HeaderName::WwwAuthenticate),
];

/// For each possible name length and first letter, the names that could be meant: up to four indices into `NAMES`.
static BUCKETS: [[u8; 4]; 32 * 32] = buckets();

const NONE: u8 = u8::MAX;

const fn bucket(length: usize, first: u8) -> usize {
    (length & 31) * 32 + (first & 31) as usize
}

const fn buckets() -> [[u8; 4]; 32 * 32] {
    let mut table = [[NONE; 4]; 32 * 32];
    let mut index = 0;
    while index < KNOWN {
        let name = NAMES[index].0.as_bytes();
        let row = bucket(name.len(), name[0]);
        let mut place = 0;
        while table[row][place] != NONE {
            place += 1;
        }
        table[row][place] = index as u8;
        index += 1;
    }
    table
}

impl HeaderName {
    /// The name these bytes spell, in full or in compact form.
    pub fn from_bytes(name: &[u8]) -> Self {
        match name {
            [] => Self::Other,
            [letter] => Self::from_compact(letter.to_ascii_lowercase()),
            [first, ..] if name.len() < 32 => BUCKETS[bucket(name.len(), *first)]
                .iter()
                .take_while(|index| **index != NONE)
                .map(|index| &NAMES[*index as usize])
                .find(|(text, _, _)| text.as_bytes().eq_ignore_ascii_case(name))
                .map_or(Self::Other, |(_, _, known)| *known),
            _ => Self::Other,
        }
    }

    fn from_compact(letter: u8) -> Self {
        NAMES.iter().find(|(_, compact, _)| *compact == Some(letter)).map_or(Self::Other, |(_, _, known)| *known)
    }

    /// Its full name; empty for a name the exchange does not know.
    pub fn name(self) -> &'static str {
        NAMES.get(self as usize).map_or("", |(text, _, _)| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_in_any_case_and_in_compact_form() {
        for (text, compact, name) in NAMES {
            assert_eq!(HeaderName::from_bytes(text.to_ascii_uppercase().as_bytes()), name);
            assert_eq!(name.name(), text);
            if let Some(letter) = compact {
                assert_eq!(HeaderName::from_bytes(&[letter]), name);
            }
        }
        assert_eq!(HeaderName::from_bytes(b"X-Unknown"), HeaderName::Other);
        assert_eq!(HeaderName::from_bytes(&[b'V'; 300]), HeaderName::Other);
    }
}
