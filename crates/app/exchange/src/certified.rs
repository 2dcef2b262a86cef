//! Users who are known by the certificate that their connection was opened with, and need no password along it.

use crate::worker::Worker;
use std::sync::Arc;
use sx_leg::Address;
use sx_sip::message::{HeaderName, Message, Method, NameAddr, Scheme, Uri};

/// The users that the certificate of one connection names; nobody, where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertifiedUsers(Option<Arc<[Address]>>);

impl CertifiedUsers {
    /// The users that these subject alternative names stand for. What is no address of a user is left out.
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.1
    pub fn named(uris: &[Box<str>]) -> Self {
        let users: Vec<Address> = uris.iter().filter_map(|uri| user_of(uri)).take(USERS_MAX).collect();
        Self((!users.is_empty()).then(|| users.into()))
    }

    /// Does it name nobody?
    pub fn is_nobody(&self) -> bool {
        self.0.is_none()
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.4
    // Case matters in the user part, and not in the domain.
    pub(crate) fn include(&self, user: &str, domain: &str) -> bool {
        let is_it = |named: &Address| &*named.user == user && named.domain.eq_ignore_ascii_case(domain);
        self.0.as_ref().is_some_and(|users| users.iter().any(is_it))
    }
}

/// A user's address is `sip:user@domain` and nothing else: with a port, a password or parameters it is a place.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
fn user_of(uri: &str) -> Option<Address> {
    let uri = Uri::parse(uri.as_bytes()).ok()?;
    let is_sip = matches!(uri.scheme, Scheme::Sip | Scheme::Sips);
    let is_bare = uri.password.is_none() && uri.port.is_none() && !uri.text.contains([';', '?']);
    (is_sip && is_bare && !uri.user.is_empty()).then(|| Address::new(&uri.user_unescaped(), uri.host.as_str()))
}

impl Worker {
    /// The user, `name@domain`, whom a request claims to come from, when the certificate of its connection names it: the
    /// one in From, of a REGISTER the one in To. Whom the directory does not know no certificate makes a user.
    pub(crate) fn certified_user<B: AsRef<[u8]>>(
        &self,
        certified: &CertifiedUsers,
        request: &Message<B>,
    ) -> Option<Box<str>> {
        if certified.is_nobody() {
            return None;
        }
        let name = if request.method() == Some(Method::Register) { HeaderName::To } else { HeaderName::From };
        let claimed = NameAddr::parse(request.value(name)?).ok()?;
        let is_sip = matches!(claimed.uri.scheme, Scheme::Sip | Scheme::Sips);
        let domain = self.tables.domain_of_host(claimed.uri.host.as_str()).filter(|_| is_sip)?;
        let user = claimed.user();
        let address = format!("{user}@{domain}");
        let is_user = certified.include(&user, domain) && self.directory.find(&address).is_some();
        is_user.then(|| address.into())
    }
}

/// So many users of one certificate are heard; whoever signs it may write down any number.
const USERS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_s_users_are_compared_as_addresses_are() {
        let check = |uri: &str, user: &str, domain: &str, expected: bool| {
            assert_eq!(CertifiedUsers::named(&[uri.into()]).include(user, domain), expected, "{uri} {user}@{domain}");
        };
        check("sip:alice@example.org", "alice", "example.org", true);
        check("SIPS:alice@Example.ORG", "alice", "example.org", true);
        check("sip:%61lice@example.org", "alice", "EXAMPLE.org", true);
        check("sip:Alice@example.org", "alice", "example.org", false);
        check("sip:alice@example.com", "alice", "example.org", false);
        for place in [
            "sip:example.org",
            "sip:alice@example.org:5060",
            "sip:alice:secret@example.org",
            "tel:alice",
            "sip:alice@example.org;transport=tls",
            "sip:alice@example.org?x=y",
            "mailto:alice@example.org",
            "",
        ] {
            assert!(CertifiedUsers::named(&[place.into()]).is_nobody(), "{place}");
        }
    }

    #[test]
    fn no_certificate_names_more_users_than_are_heard() {
        let uris: Vec<Box<str>> = (0..100).map(|number| format!("sip:u{number}@example.org").into()).collect();
        let users = CertifiedUsers::named(&uris);
        assert!(users.include("u15", "example.org") && !users.include("u16", "example.org"));
    }
}
