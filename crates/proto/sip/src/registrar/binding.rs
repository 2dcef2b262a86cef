//! One binding, packed: a registrar holds a great many of them.

use crate::dialog::is_private;
use crate::message::{NameAddr, Scheme, Uri};
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use sx_types::{Flow, LinkId, Transport};

/// One contact of a user, 88 bytes and one piece of text.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    /// The contact's URI, the path and the instance, one after the other.
    text: Box<str>,
    /// Keyed hash of the Call-ID.
    pub call: u64,
    remote: SocketAddr,
    /// Seconds since the Unix epoch from which on it is no more.
    pub expires: u32,
    /// The registrar's count of updates when this one was updated: the higher, the more recent.
    pub updated: u32,
    pub cseq: u32,
    /// Of an outbound registration; zero for another.
    pub reg_id: u32,
    link: LinkId,
    uri_end: u16,
    path_end: u16,
    /// Thousandths.
    pub q: u16,
    worker: u16,
    transport: Transport,
    pub reach: Reach,
}

/// How a contact is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// By its path, or by its URI.
    Uri,
    /// Along the connection while there is one, then by its URI.
    Connection,
    /// Along the flow and no other way: behind a NAT, or outbound.
    Flow,
    /// By datagrams to the address it registered from; the link it came in by is of an earlier run.
    Remote,
}

/// What a binding is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    pub uri: &'a str,
    pub path: &'a str,
    pub instance: &'a str,
    pub reg_id: u32,
    pub q: u16,
    pub call: u64,
    pub cseq: u32,
    pub expires: u32,
    pub updated: u32,
    pub reach: Reach,
    pub flow: Flow,
}

impl Binding {
    /// The texts together are shorter than 64 KiB; whoever reads them from a request or a record sees to that.
    pub fn new(parts: &Parts<'_>) -> Self {
        let mut text = String::with_capacity(parts.uri.len() + parts.path.len() + parts.instance.len());
        text.push_str(parts.uri);
        text.push_str(parts.path);
        text.push_str(parts.instance);
        Self {
            text: text.into_boxed_str(),
            call: parts.call,
            remote: parts.flow.remote,
            expires: parts.expires,
            updated: parts.updated,
            cseq: parts.cseq,
            reg_id: parts.reg_id,
            link: parts.flow.link,
            uri_end: parts.uri.len() as u16,
            path_end: (parts.uri.len() + parts.path.len()) as u16,
            q: parts.q,
            worker: parts.flow.worker,
            transport: parts.flow.transport,
            reach: parts.reach,
        }
    }

    /// Takes over what a request says of a contact that is bound already. A refresh that changes no text keeps it.
    pub fn update(&mut self, parts: &Parts<'_>) {
        if (self.uri(), self.path(), self.instance()) == (parts.uri, parts.path, parts.instance) {
            let text = std::mem::take(&mut self.text);
            let (uri_end, path_end) = (self.uri_end, self.path_end);
            *self = Self { text, uri_end, path_end, ..Self::new(&Parts { uri: "", path: "", instance: "", ..*parts }) };
        } else {
            *self = Self::new(parts);
        }
    }

    pub fn uri(&self) -> &str {
        &self.text[..usize::from(self.uri_end)]
    }

    /// The elements of the path with commas between them, as a Route header has them; empty for none.
    pub fn path(&self) -> &str {
        &self.text[usize::from(self.uri_end)..usize::from(self.path_end)]
    }

    /// The instance id without its brackets; empty for none.
    pub fn instance(&self) -> &str {
        &self.text[usize::from(self.path_end)..]
    }

    pub fn flow(&self) -> Flow {
        Flow { worker: self.worker, link: self.link, transport: self.transport, remote: self.remote }
    }

    /// The connection it hangs on; `None` when it needs none.
    pub fn connection(&self) -> Option<LinkId> {
        let hangs = self.transport.is_reliable() && matches!(self.reach, Reach::Connection | Reach::Flow);
        hangs.then_some(self.link)
    }

    pub fn is_live(&self, at: u32) -> bool {
        self.expires > at
    }
}

/// Do two contact URIs mean the same? Compared are scheme, user, host, port and transport; a missing transport is UDP
/// (TLS for `sips:`), a missing port is not the same as the default one. Passwords, headers and other parameters are
/// not looked at. So it is an equivalence, which the comparison of the RFC is not.
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.4
pub(super) fn same_uri(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (Ok(a), Ok(b)) = (Uri::parse(a.as_bytes()), Uri::parse(b.as_bytes())) else { return false };
    let plain = |uri: &Uri<'_>| !uri.user.contains('%');
    let same_user = if plain(&a) && plain(&b) { a.user == b.user } else { a.user_unescaped() == b.user_unescaped() };
    a.scheme == b.scheme
        && same_user
        && a.port == b.port
        && a.host.as_str().eq_ignore_ascii_case(b.host.as_str())
        && transport(&a).eq_ignore_ascii_case(transport(&b))
}

fn transport<'a>(uri: &Uri<'a>) -> &'a str {
    uri.param("transport").unwrap_or(if uri.scheme == Scheme::Sips { "tls" } else { "udp" })
}

/// How a contact that registered along this flow is reached. `direct`: no proxy stands between.
pub(super) fn reach(flow: &Flow, direct: bool, outbound: bool, uri: &Uri<'_>) -> Reach {
    if !direct {
        return Reach::Uri;
    }
    // Browsers cannot be connected to, and an outbound client asks for its flow.
    if outbound || flow.transport.is_opened_by_peers_only() || unresolvable(uri.host.as_str()) {
        return Reach::Flow;
    }
    // A private address that is not the one the request came from lies behind a NAT. A public one can be reached, whoever
    // registers it; where only the port differs, the client sends from another port than it listens on.
    let source = flow.remote.ip().to_canonical();
    let behind_nat = |ip: IpAddr| ip != source && is_private(ip) && !(ip.is_loopback() && source.is_loopback());
    if uri.host.ip().map(|ip| ip.to_canonical()).is_some_and(behind_nat) {
        return Reach::Flow;
    }
    let datagrams = uri.param("transport").map(|token| token.eq_ignore_ascii_case("udp"));
    match (flow.transport.is_reliable(), datagrams) {
        (true, Some(true)) | (false, _) => Reach::Uri,
        (true, _) => Reach::Connection,
    }
}

/// A name that is made never to resolve (RFC 2606), as WebSocket clients give one.
fn unresolvable(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).as_bytes();
    host.len() >= 8 && host[host.len() - 8..].eq_ignore_ascii_case(b".invalid")
}

/// Does the URI name the same user at the same domain, or at one of the others that stand for it?
pub(super) fn is_aor(address: &NameAddr<'_>, aor: &str, domains: &[Box<str>]) -> bool {
    let (user, domain) = split_aor(aor);
    let host = address.uri.host.as_str();
    let unescaped: Cow<'_, str> = address.user();
    matches!(address.uri.scheme, Scheme::Sip | Scheme::Sips)
        && unescaped == user
        && (host.eq_ignore_ascii_case(domain) || domains.iter().any(|other| host.eq_ignore_ascii_case(other)))
}

/// User and domain of an address of record.
pub(super) fn split_aor(aor: &str) -> (&str, &str) {
    aor.rsplit_once('@').unwrap_or(("", aor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_stays_small() {
        assert_eq!(size_of::<Binding>(), 88);
    }

    #[test]
    fn contacts_compare_by_where_they_lead() {
        for (a, b, expected) in [
            ("sip:a@192.0.2.1:5060", "SIP:a@192.0.2.1:5060", true),
            ("sip:a@Host.example", "sip:a@host.EXAMPLE;line=7", true),
            ("sip:%61@h", "sip:a@h", true),
            ("sip:a@h", "sip:A@h", false),
            ("sip:a@h", "sip:a@h:5060", false),
            ("sip:a@h", "sips:a@h", false),
            ("sip:a@h", "sip:a@h;transport=UDP", true),
            ("sip:a@h", "sip:a@h;transport=tcp", false),
            ("sip:h", "sip:h", true),
            ("sip:h", "sip:a@h", false),
        ] {
            assert_eq!(same_uri(a, b), expected, "{a} {b}");
            assert_eq!(same_uri(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn a_nat_a_browser_and_an_outbound_client_are_reached_along_their_flow() {
        use {Reach::*, Transport::*};
        for (transport, direct, outbound, uri, expected) in [
            (Udp, true, false, "sip:a@192.0.2.1:5060", Uri),
            (Udp, true, false, "sip:a@192.0.2.1:6000", Uri),
            (Udp, true, false, "sip:a@phone.example", Uri),
            (Udp, true, false, "sip:a@10.0.0.1:5060", Flow),
            (Udp, true, false, "sip:a@198.51.100.7:5060", Uri),
            (Udp, false, false, "sip:a@10.0.0.1:5060", Uri),
            (Udp, true, true, "sip:a@192.0.2.1:5060", Flow),
            (Tcp, true, false, "sip:a@192.0.2.1:5060;transport=tcp", Connection),
            (Tcp, true, false, "sip:a@192.0.2.1;transport=udp", Uri),
            (Tls, true, false, "sip:a@phone.example;transport=tls", Connection),
            (Tls, true, false, "sip:a@10.0.0.1:5061;transport=tls", Flow),
            (Wss, true, false, "sip:a@192.0.2.1;transport=ws", Flow),
            (Tcp, true, false, "sip:a@df7jal23ls0d.INVALID;transport=tcp", Flow),
        ] {
            let remote = "192.0.2.1:5060".parse().expect("an address");
            let flow = sx_types::Flow { worker: 0, link: LinkId(1), transport, remote };
            let parsed = crate::message::Uri::parse(uri.as_bytes()).expect("valid");
            assert_eq!(reach(&flow, direct, outbound, &parsed), expected, "{uri}");
        }
    }

    #[test]
    fn another_loopback_address_is_no_nat() {
        let remote = "127.10.0.1:5070".parse().expect("an address");
        let flow = Flow { worker: 0, link: LinkId(1), transport: Transport::Udp, remote };
        let contact = Uri::parse(b"sip:u1@127.0.0.11:5090").expect("valid");
        assert_eq!(reach(&flow, true, false, &contact), Reach::Uri);
    }
}
