//! Dialogs: the state two parties share, and the requests sent within it.

use crate::message::{HeaderName, Message, Method, NameAddr, Scheme, Uri, Writer};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use sx_types::{Destination, Flow, Transport};

use crate::local::Locals;

/// A dialog, seen from our side.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    /// The Call-ID.
    pub call_id: Box<str>,
    /// Our From or To value, tag included.
    pub local: Box<str>,
    /// The peer's From or To value, tag included once there is one.
    pub remote: Box<str>,
    /// The number of the last request we sent.
    pub local_seq: u32,
    /// The number of the last request the peer sent.
    pub remote_seq: Option<u32>,
    /// The route set, in the order our requests travel.
    pub routes: Vec<Box<str>>,
    /// The URI of the peer's Contact.
    pub target: Box<str>,
    /// The value of our Contact.
    pub contact: Box<str>,
    /// Where our requests go.
    pub to: Destination,
    /// Did we make the Call-ID?
    pub ours: bool,
}

impl Dialog {
    /// The dialog that an incoming INVITE would begin, with our tag.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
    pub fn answering<B: AsRef<[u8]>>(invite: &Message<B>, flow: Flow, local_tag: &str, locals: &Locals) -> Self {
        let text = |name| String::from_utf8_lossy(invite.value(name).unwrap_or_default()).into_owned();
        let routes: Vec<Box<str>> = invite.elements(HeaderName::RecordRoute).map(owned).collect();
        let contact = contact_uri(invite);
        // A caller of RFC 2543 may send no Contact: then From names it, and the INVITE's path leads to it.
        let to = next_hop(&routes, contact.as_deref().unwrap_or_default(), Destination::Flow(flow), locals);
        let target = contact.or_else(|| from_uri(invite)).unwrap_or_default();
        let sent_by = locals.sent_by(flow.transport, Some(flow.link), flow.remote.ip());
        Self {
            call_id: text(HeaderName::CallId).into(),
            local: format!("{};tag={local_tag}", text(HeaderName::To)).into(),
            remote: text(HeaderName::From).into(),
            local_seq: 0,
            remote_seq: invite.number(HeaderName::CSeq),
            routes,
            target,
            contact: contact_value(local_user(invite).as_deref(), &sent_by, flow.transport),
            to,
            ours: false,
        }
    }

    /// The dialog that a 2xx begins when nothing else is kept of it: what the INVITE said of us is repeated there. `target`
    /// is whom the INVITE was for, should the peer not name a Contact.
    pub(crate) fn begun_by<B: AsRef<[u8]>>(response: &Message<B>, to: Destination, target: Option<Box<str>>) -> Self {
        // Requests of an early dialog may have had the numbers that follow.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
        const LEAP: u32 = 1_000;
        let text = |name| response.value(name).map(owned).unwrap_or_default();
        let number = response.number(HeaderName::CSeq).unwrap_or_default();
        let called = || NameAddr::parse(response.value(HeaderName::To)?).ok().map(|to| to.uri.text.into());
        Self {
            call_id: text(HeaderName::CallId),
            local: text(HeaderName::From),
            remote: text(HeaderName::To),
            local_seq: number.saturating_add(LEAP).min(i32::MAX as u32),
            remote_seq: None,
            routes: Vec::new(),
            target: target.or_else(called).unwrap_or_default(),
            contact: "".into(),
            to,
            ours: true,
        }
    }

    /// Takes over what the peer's response says: its tag, its Contact and the route set.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
    pub fn take_response<B: AsRef<[u8]>>(&mut self, response: &Message<B>, locals: &Locals) {
        if let Some(to) = response.value(HeaderName::To) {
            self.remote = owned(to);
        }
        self.routes = response.elements(HeaderName::RecordRoute).map(owned).collect();
        self.routes.reverse();
        self.refresh_target(response, locals);
    }

    /// Takes over the peer's Contact, as every request and response that refreshes the target does.
    pub fn refresh_target<B: AsRef<[u8]>>(&mut self, message: &Message<B>, locals: &Locals) {
        if let Some(target) = contact_uri(message) {
            self.to = next_hop(&self.routes, &target, self.to.clone(), locals);
            self.target = target;
        }
    }

    /// The tag of the peer, when it has given one.
    pub fn remote_tag(&self) -> Option<&str> {
        NameAddr::parse(self.remote.as_bytes()).ok()?.tag()
    }

    /// Our tag.
    pub fn local_tag(&self) -> Option<&str> {
        NameAddr::parse(self.local.as_bytes()).ok()?.tag()
    }

    /// Is this message's sender the peer of this dialog?
    pub fn matches<B: AsRef<[u8]>>(&self, request: &Message<B>) -> bool {
        let from = request.value(HeaderName::From).and_then(|from| NameAddr::parse(from).ok()?.tag());
        request.value(HeaderName::CallId) == Some(self.call_id.as_bytes()) && from == self.remote_tag()
    }

    /// The number for the next request.
    pub fn next_seq(&mut self) -> u32 {
        self.local_seq += 1;
        self.local_seq
    }

    /// Writes a request of this dialog.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
    pub fn request(&self, part: &RequestPart<'_>, branch: &str, locals: &Locals) -> Bytes {
        let strict = self.routes.first().and_then(|first| NameAddr::parse(first.as_bytes()).ok());
        let strict = strict.filter(|first| !first.uri.params.has("lr"));
        let uri = strict.map_or(&*self.target, |first| first.uri.text);
        let mut writer = Writer::request(part.method.name(), uri);
        via(&mut writer, &self.to, branch, locals);
        writer.header(HeaderName::MaxForwards, format_args!("{}", part.hops));
        for route in self.routes.iter().skip(usize::from(strict.is_some())) {
            writer.header(HeaderName::Route, format_args!("{route}"));
        }
        if strict.is_some() {
            writer.header(HeaderName::Route, format_args!("<{}>", self.target));
        }
        writer.header(HeaderName::From, format_args!("{}", self.local));
        writer.header(HeaderName::To, format_args!("{}", self.remote));
        writer.header(HeaderName::CallId, format_args!("{}", self.call_id));
        writer.header(HeaderName::CSeq, format_args!("{} {}", part.seq, part.method));
        if matches!(part.method, Method::Invite | Method::Update | Method::Refer | Method::Subscribe | Method::Notify) {
            writer.header(HeaderName::Contact, format_args!("{}", self.contact));
        }
        if let Some(headers) = part.headers {
            headers(&mut writer);
        }
        writer.finish(part.body)
    }
}

/// What a request within a dialog has of its own.
pub struct RequestPart<'a> {
    /// The method.
    pub method: Method,
    /// The CSeq number: of an ACK, that of its INVITE.
    pub seq: u32,
    /// Max-Forwards.
    pub hops: u8,
    /// Further headers.
    pub headers: Option<&'a dyn Fn(&mut Writer)>,
    /// The body and its type.
    pub body: Option<(&'a str, &'a [u8])>,
}

/// Writes our Via.
pub(crate) fn via(writer: &mut Writer, to: &Destination, branch: &str, locals: &Locals) {
    let sent_by = locals.sent_by_towards(to);
    let token = to.transport().via_token();
    writer.header(HeaderName::Via, format_args!("SIP/2.0/{token} {sent_by};rport;branch={branch}"));
}

/// The value of our Contact.
pub(crate) fn contact_value(user: Option<&str>, sent_by: &str, transport: Transport) -> Box<str> {
    let at = user.filter(|user| !user.is_empty()).map(|user| format!("{user}@")).unwrap_or_default();
    format!("<sip:{at}{sent_by}{}>", transport.uri_parameter()).into()
}

/// Where a request of a dialog goes: to the first route, or to the peer's Contact, when that is an address that can be
/// reached from here; else back along the path the dialog began on.
fn next_hop(routes: &[Box<str>], target: &str, fallback: Destination, locals: &Locals) -> Destination {
    // A connection is used as long as it stands: it may be the only way through a NAT.
    //= https://www.rfc-editor.org/rfc/rfc5923#section-5
    if fallback.transport().is_reliable() {
        return fallback;
    }
    let route = routes.first().and_then(|first| NameAddr::parse(first.as_bytes()).ok()).map(|first| first.uri);
    let Some(uri) = route.or_else(|| Uri::parse(target.as_bytes()).ok()) else { return fallback };
    let Some(ip) = uri.host.ip() else { return fallback };
    let transport = Transport::of_uri(uri.param("transport").and_then(|t| t.parse().ok()), uri.scheme == Scheme::Sips);
    if is_nowhere(ip) {
        return fallback;
    }
    let remote = SocketAddr::new(ip, uri.port.unwrap_or(transport.default_port()));
    //= https://www.rfc-editor.org/rfc/rfc3581#section-6
    // Far-end NAT: a private address that is not where the message came from cannot be reached; its NAT can.
    if routes.is_empty() && fallback.remote().ip() != ip && is_private(ip) && !is_private(fallback.remote().ip()) {
        return fallback;
    }
    locals.way_to(transport, remote, None)
}

/// Does a request's Contact name a private address that it did not come from? Then its sender is behind a NAT.
pub fn is_behind_nat<B: AsRef<[u8]>>(request: &Message<B>, flow: Flow) -> bool {
    contact_uri(request).is_some_and(|uri| is_contact_behind_nat(&uri, flow))
}

/// Does a contact name a private address, and its messages come from another one?
pub fn is_contact_behind_nat(contact: &str, flow: Flow) -> bool {
    let named = Uri::parse(contact.as_bytes()).ok().and_then(|uri| uri.host.ip());
    named.is_some_and(|ip| ip != flow.remote.ip() && is_private(ip))
}

pub(crate) fn is_private(ip: std::net::IpAddr) -> bool {
    match ip.to_canonical() {
        _ if is_nowhere(ip) => true,
        std::net::IpAddr::V4(v4) => {
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64
        }
        std::net::IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Does the address name no host at all? Nothing can be sent there, whoever says so.
fn is_nowhere(ip: std::net::IpAddr) -> bool {
    match ip.to_canonical() {
        std::net::IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.is_broadcast() || v4.is_multicast(),
        std::net::IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast(),
    }
}

fn contact_uri<B: AsRef<[u8]>>(message: &Message<B>) -> Option<Box<str>> {
    let element = message.elements(HeaderName::Contact).next()?;
    NameAddr::parse(element).ok().map(|contact| contact.uri.text.into())
}

fn from_uri<B: AsRef<[u8]>>(message: &Message<B>) -> Option<Box<str>> {
    NameAddr::parse(message.value(HeaderName::From)?).ok().map(|from| from.uri.text.into())
}

fn local_user<B: AsRef<[u8]>>(invite: &Message<B>) -> Option<String> {
    Uri::parse(invite.request_uri()).ok().map(|uri| uri.user.to_owned())
}

fn owned(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}
