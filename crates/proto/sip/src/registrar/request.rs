//! What a REGISTER asks for, read and held against the rules that need no binding to be known.

use super::RegistrarConfig;
use super::binding::{Binding, Reach, is_aor, reach, same_uri, split_aor};
use super::record::Q_DEFAULT;
use crate::message::{CSeq, HeaderName, Message, NameAddr, Scheme, Uri, decimal, trim};
use smallvec::SmallVec;
use sx_types::Flow;

/// Why a REGISTER is refused. But for [`Full`](Self::Full) the client's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header is missing, malformed or too long.
    #[error("{} is missing, malformed or too long", .0.name())]
    Malformed(HeaderName),
    /// `Contact: *` stands beside other contacts or without `Expires: 0`.
    #[error("Contact: * stands beside other contacts or without Expires: 0")]
    Wildcard,
    /// From or To name somebody else than the user who is authenticated.
    #[error("a user registers somebody else")]
    ThirdParty,
    /// A contact leads back to the registrar: it is the address of record, or one of its GRUUs.
    #[error("a contact leads back to the registrar")]
    Loop,
    /// The user would have more contacts than [`RegistrarConfig::contacts_max`], or the request speaks of more than
    /// twice as many.
    #[error("the user has too many contacts")]
    TooManyContacts,
    /// Extensions are required that the registrar does not have; their names with commas between them.
    #[error("not supported: {0}")]
    Extension(Box<str>),
    /// The lifetime asked for is shorter than [`RegistrarConfig::expires_min_s`].
    #[error("the lifetime is too short")]
    TooBrief,
    /// The client wants to be reached along its flow, and the proxy next to it cannot do that.
    #[error("the proxy next to the client does not support outbound")]
    FirstHop,
    /// The request is older than one that was carried out.
    #[error("the request is older than one that was carried out")]
    OutOfOrder,
    /// There are [`RegistrarConfig::bindings_max`] bindings.
    #[error("the registrar is full")]
    Full,
}

impl Refusal {
    /// The status that tells the client. A user with too many contacts is answered 403 and not 503: asking again, or
    /// asking another server, would not help.
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::Wildcard => 400,
            Self::ThirdParty | Self::Loop | Self::TooManyContacts => 403,
            Self::Extension(_) => 420,
            Self::TooBrief => 423,
            Self::FirstHop => 439,
            Self::OutOfOrder => 500,
            Self::Full => 503,
        }
    }
}

/// The most bytes of a contact's URI.
pub const CONTACT_BYTES_MAX: usize = 1_024;
/// The most bytes of an instance id.
pub const INSTANCE_BYTES_MAX: usize = 256;
/// The most bytes of a path, all its elements together.
pub const PATH_BYTES_MAX: usize = 4_096;

/// The most extensions that are told not to be supported.
const UNSUPPORTED_MAX: usize = 16;

/// A lifetime of this long or longer may not be called too brief.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
const HOUR_S: u32 = 3_600;

/// A REGISTER that is well formed and may be carried out, as far as can be said without the bindings.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub call_id: &'a [u8],
    pub cseq: u32,
    pub wants: Wants<'a>,
    pub path: String,
    pub supports_path: bool,
    pub supports_gruu: bool,
}

#[derive(Debug)]
pub(super) enum Wants<'a> {
    /// No contact: what is bound?
    Nothing,
    /// `Contact: *`: remove all.
    RemoveAll,
    /// Each of these.
    Contacts(SmallVec<[Wish<'a>; 1]>),
}

/// What is asked for one contact.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub uri: &'a str,
    /// Seconds; zero removes.
    pub lifetime: u32,
    pub q: u16,
    pub instance: &'a str,
    /// As written, when there is an instance; else zero.
    pub reg_id: u32,
    /// Is this an outbound registration?
    pub outbound: bool,
    pub reach: Reach,
}

impl Wish<'_> {
    /// Does it make or refresh an outbound registration?
    pub fn binds_flow(&self) -> bool {
        self.outbound && self.lifetime > 0
    }

    /// Is this the binding that the wish is about?
    //= https://www.rfc-editor.org/rfc/rfc5626#section-6
    // An outbound registration replaces the one of the same instance and flow, whatever its contact; any other
    // the one of the same contact.
    pub fn names(&self, binding: &Binding) -> bool {
        match (self.reg_id > 0, binding.reg_id > 0) {
            (true, true) => self.reg_id == binding.reg_id && self.instance == binding.instance(),
            (true, false) if self.binds_flow() => false,
            (false, true) if self.lifetime > 0 => false,
            _ => same_uri(self.uri, binding.uri()),
        }
    }
}

/// What holds for every contact of a request.
struct Frame<'c> {
    config: &'c RegistrarConfig,
    aor: &'c str,
    flow: Flow,
    /// No proxy stands between.
    direct: bool,
    /// The client asks for outbound.
    outbound: bool,
    /// The proxy next to the client can do it.
    first_hop: bool,
    expires: Option<u32>,
}

impl<'a> Asked<'a> {
    pub fn read<B: AsRef<[u8]>>(
        config: &RegistrarConfig,
        aor: &str,
        flow: Flow,
        request: &'a Message<B>,
    ) -> Result<Self, Refusal> {
        check_extensions(config, request)?;
        check_parties(config, aor, request)?;
        let missing = |name| move || Refusal::Malformed(name);
        let call_id = request.value(HeaderName::CallId).ok_or_else(missing(HeaderName::CallId))?;
        let cseq = request.value(HeaderName::CSeq).and_then(|value| CSeq::parse(value).ok());
        let cseq = cseq.ok_or_else(missing(HeaderName::CSeq))?.number;
        let (path, path_outbound) = read_path(request)?;
        let direct = path.is_empty() && request.elements(HeaderName::Via).nth(1).is_none();
        let (mut supports_path, mut supports_gruu, mut outbound) = (false, false, false);
        for token in request.elements(HeaderName::Supported).chain(request.elements(HeaderName::Require)) {
            supports_path |= token.eq_ignore_ascii_case(b"path");
            supports_gruu |= token.eq_ignore_ascii_case(b"gruu");
            outbound |= token.eq_ignore_ascii_case(b"outbound");
        }
        let frame = Frame {
            config,
            aor,
            flow,
            direct,
            outbound: outbound && config.outbound,
            first_hop: direct || path_outbound,
            expires: request.value(HeaderName::Expires).map(|value| lifetime(config, value)),
        };
        let wants = frame.read_contacts(request)?;
        Ok(Self { call_id, cseq, wants, path, supports_path, supports_gruu: supports_gruu && config.gruu })
    }
}

/// Every extension that is required must be one that is done here.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
fn check_extensions<B: AsRef<[u8]>>(config: &RegistrarConfig, request: &Message<B>) -> Result<(), Refusal> {
    let known = |token: &[u8]| config.extensions().any(|name| token.eq_ignore_ascii_case(name.as_bytes()));
    let mut unknown = String::new();
    for token in request.elements(HeaderName::Require).filter(|token| !known(token)).take(UNSUPPORTED_MAX) {
        if !unknown.is_empty() {
            unknown.push_str(", ");
        }
        unknown.extend(token.iter().filter(|byte| byte.is_ascii_graphic()).map(|byte| char::from(*byte)));
    }
    if unknown.is_empty() { Ok(()) } else { Err(Refusal::Extension(unknown.into())) }
}

/// To names whose bindings are meant, From who asks; both must be the user who is authenticated.
fn check_parties<B: AsRef<[u8]>>(config: &RegistrarConfig, aor: &str, request: &Message<B>) -> Result<(), Refusal> {
    for name in [HeaderName::To, HeaderName::From] {
        let value = request.value(name).ok_or(Refusal::Malformed(name))?;
        let address = NameAddr::parse(value).map_err(|_| Refusal::Malformed(name))?;
        if !is_aor(&address, aor, &config.domains) {
            return Err(Refusal::ThirdParty);
        }
    }
    Ok(())
}

/// The path as a Route header will have it, and whether the proxy next to the client, who wrote the last element,
/// keeps flows.
//= https://www.rfc-editor.org/rfc/rfc3327#section-5.3
fn read_path<B: AsRef<[u8]>>(request: &Message<B>) -> Result<(String, bool), Refusal> {
    const BAD: Refusal = Refusal::Malformed(HeaderName::Path);
    let (mut path, mut outbound) = (String::new(), false);
    for element in request.elements(HeaderName::Path) {
        let uri = NameAddr::parse(element).map_err(|_| BAD)?.uri;
        if path.len() + uri.text.len() + 3 > PATH_BYTES_MAX || !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
            return Err(BAD);
        }
        if !path.is_empty() {
            path.push(',');
        }
        path.extend(["<", uri.text, ">"]);
        outbound = uri.params.has("ob");
    }
    Ok((path, outbound))
}

/// A lifetime in seconds. One that is malformed counts as if none were given.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.19
fn lifetime(config: &RegistrarConfig, value: &[u8]) -> u32 {
    match decimal(value) {
        Some(seconds) => seconds,
        None if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => u32::MAX,
        None => config.expires_default_s,
    }
}

/// A priority in thousandths.
fn priority(value: &[u8]) -> Option<u16> {
    let (whole, rest) = value.split_first()?;
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] if digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) => digits,
        _ => return None,
    };
    let mut thousandths = match whole {
        b'0' => 0,
        b'1' => 1_000,
        _ => return None,
    };
    for (digit, scale) in digits.iter().zip([100, 10, 1]) {
        thousandths += u16::from(digit - b'0') * scale;
    }
    (thousandths <= 1_000).then_some(thousandths)
}

const CONTACT: Refusal = Refusal::Malformed(HeaderName::Contact);

impl Frame<'_> {
    fn read_contacts<'a, B: AsRef<[u8]>>(&self, request: &'a Message<B>) -> Result<Wants<'a>, Refusal> {
        let mut wishes = SmallVec::new();
        let mut wildcard = false;
        for element in request.elements(HeaderName::Contact) {
            if element == b"*" {
                wildcard = true;
            } else if wishes.len() / 2 < self.config.contacts_max {
                wishes.push(self.read_contact(element)?);
            } else {
                return Err(Refusal::TooManyContacts);
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.2
        match (wildcard, wishes.is_empty()) {
            (false, true) => Ok(Wants::Nothing),
            (false, false) => Ok(Wants::Contacts(wishes)),
            (true, true) if self.expires == Some(0) => Ok(Wants::RemoveAll),
            (true, _) => Err(Refusal::Wildcard),
        }
    }

    fn read_contact<'a>(&self, element: &'a [u8]) -> Result<Wish<'a>, Refusal> {
        let address = NameAddr::parse(element).map_err(|_| CONTACT)?;
        let uri = address.uri;
        if uri.text.len() > CONTACT_BYTES_MAX || !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
            return Err(CONTACT);
        }
        if self.is_loop(&uri) {
            return Err(Refusal::Loop);
        }
        let mut wish = Wish {
            uri: uri.text,
            lifetime: self.expires.unwrap_or(self.config.expires_default_s),
            q: Q_DEFAULT,
            instance: "",
            reg_id: 0,
            outbound: false,
            reach: Reach::Uri,
        };
        for (name, value) in address.params.iter() {
            let value = value.unwrap_or_default();
            if name.eq_ignore_ascii_case(b"expires") {
                wish.lifetime = lifetime(self.config, value);
            } else if name.eq_ignore_ascii_case(b"q") {
                wish.q = priority(value).ok_or(CONTACT)?;
            } else if name.eq_ignore_ascii_case(b"+sip.instance") {
                wish.instance = instance(value).ok_or(CONTACT)?;
            } else if name.eq_ignore_ascii_case(b"reg-id") {
                //= https://www.rfc-editor.org/rfc/rfc5626#section-4.2
                wish.reg_id = decimal(value).filter(|id| *id > 0 && *id < 1 << 31).ok_or(CONTACT)?;
            }
        }
        self.judge(wish, &uri)
    }

    fn judge<'a>(&self, mut wish: Wish<'a>, uri: &Uri<'_>) -> Result<Wish<'a>, Refusal> {
        let config = self.config;
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
        if wish.lifetime > 0 && wish.lifetime < HOUR_S.min(config.expires_min_s) {
            return Err(Refusal::TooBrief);
        }
        wish.lifetime = wish.lifetime.min(config.expires_max_s);
        //= https://www.rfc-editor.org/rfc/rfc5626#section-6
        // A flow's number without an instance means nothing.
        if wish.instance.is_empty() {
            wish.reg_id = 0;
        }
        wish.outbound = self.outbound && wish.reg_id > 0;
        if wish.outbound && !self.first_hop {
            return Err(Refusal::FirstHop);
        }
        wish.reach = reach(&self.flow, self.direct, wish.outbound, uri);
        Ok(wish)
    }

    /// Would a call to the contact come back here?
    fn is_loop(&self, uri: &Uri<'_>) -> bool {
        let host = uri.host.as_str();
        let domains = self.config.domains.iter().map(|domain| &**domain).chain([split_aor(self.aor).1]);
        let ours = || domains.into_iter().any(|domain| host.eq_ignore_ascii_case(domain));
        uri.port.is_none() && ours() && (uri.params.has("gr") || uri.user_unescaped() == split_aor(self.aor).0)
    }
}

/// The instance id within its quotes and brackets.
fn instance(value: &[u8]) -> Option<&str> {
    let inner = trim(crate::message::unquote(value));
    let inner = inner.strip_prefix(b"<")?.strip_suffix(b">")?;
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b'\\');
    if inner.is_empty() || inner.len() > INSTANCE_BYTES_MAX || !inner.iter().all(plain) {
        return None;
    }
    std::str::from_utf8(inner).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_between_nought_and_one() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1", Some(1_000)),
            ("0.", Some(0)),
            ("0.7", Some(700)),
            ("0.05", Some(50)),
            ("1.000", Some(1_000)),
            ("1.001", None),
            ("0.1234", None),
            ("2", None),
            ("", None),
            (".5", None),
            ("0,5", None),
            ("-1", None),
        ] {
            assert_eq!(priority(text.as_bytes()), expected, "{text}");
        }
    }
}
