//! Who may come from where, and over what.

use crate::Networks;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use sx_types::{Network, Transport};

/// A customer, a department, a carrier: whoever is to come from certain networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// What it is called; identities name it so.
    pub name: Arc<str>,
    /// Where its members come from. Empty: from anywhere.
    pub networks: Vec<Network>,
    /// Its members may only come over a transport that is encrypted.
    pub tls_required: bool,
}

impl Organisation {
    /// May its members come over this transport?
    pub fn is_heard_over(&self, transport: Transport) -> bool {
        !self.tls_required || transport.is_secure()
    }
}

/// Who is refused by an [`Allowlist`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The identity belongs to an organisation that does not come from there, or to one that is not known.
    #[error("the address is in no network of the organisation")]
    NotInNetwork,
    /// The organisation is only heard over TLS.
    #[error("the organisation is only heard over TLS")]
    TlsRequired,
}

/// Why organisations make no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowlistError {
    /// Two have a name.
    #[error("{0} is the name of two organisations")]
    SameName(Arc<str>),
    /// Two have a network: whoever came from there could be either.
    #[error("{network} is a network of {first} and of {second}")]
    SameNetwork {
        /// The network.
        network: Network,
        /// One of them.
        first: Arc<str>,
        /// The other.
        second: Arc<str>,
    },
}

/// Organisations, found by the address that somebody comes from and by their name. Built once, then only read.
#[derive(Debug, Default)]
pub struct Allowlist {
    organisations: Vec<Organisation>,
    by_name: BTreeMap<Arc<str>, usize>,
    by_network: Networks<usize>,
}

impl Allowlist {
    /// The list of these; the first thing that is wrong, otherwise.
    pub fn build(organisations: Vec<Organisation>) -> Result<Self, AllowlistError> {
        let mut list = Self { organisations, ..Self::default() };
        for (place, organisation) in list.organisations.iter().enumerate() {
            if list.by_name.insert(organisation.name.clone(), place).is_some() {
                return Err(AllowlistError::SameName(organisation.name.clone()));
            }
            for network in &organisation.networks {
                let other = list.by_network.insert(*network, place).filter(|other| *other != place);
                if let Some(other) = other {
                    let (first, second) = (list.organisations[other].name.clone(), organisation.name.clone());
                    return Err(AllowlistError::SameNetwork { network: *network, first, second });
                }
            }
        }
        Ok(list)
    }

    /// Whose network the address is in; before anybody has authenticated, that is who it could be.
    pub fn at(&self, address: IpAddr) -> Option<&Organisation> {
        self.by_network.find(address).map(|place| &self.organisations[*place])
    }

    /// Which organisation is this, and may it come so?
    ///
    /// `identity` is the organisation of whoever has authenticated; then the address must be one of its own. Before
    /// anybody has authenticated, the address alone says who it could be: `None` is nobody's network, which
    /// is no reason to refuse.
    pub fn decide(
        &self,
        address: IpAddr,
        transport: Transport,
        identity: Option<&str>,
    ) -> Result<Option<&Organisation>, Refused> {
        let organisation = match identity {
            Some(name) => Some(self.at_home(name, address)?),
            None => self.at(address),
        };
        if organisation.is_some_and(|organisation| !organisation.is_heard_over(transport)) {
            return Err(Refused::TlsRequired);
        }
        Ok(organisation)
    }

    /// The organisations, in the order given.
    pub fn organisations(&self) -> &[Organisation] {
        &self.organisations
    }

    /// The organisation of that name, when the address is in one of its networks. What is not known comes from nowhere:
    /// a name that was mistyped in the directory must not open a door.
    fn at_home(&self, name: &str, address: IpAddr) -> Result<&Organisation, Refused> {
        let organisation = &self.organisations[*self.by_name.get(name).ok_or(Refused::NotInNetwork)?];
        // All of its own networks are asked, and not which organisation has the smallest: it may have let a part of a network to
        // another and still have people there.
        let networks = &organisation.networks;
        let at_home = networks.is_empty() || networks.iter().any(|network| network.contains(address));
        if at_home { Ok(organisation) } else { Err(Refused::NotInNetwork) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organisation(name: &str, networks: &[&str], tls_required: bool) -> Organisation {
        let networks = networks.iter().map(|text| text.parse().expect(text)).collect();
        Organisation { name: name.into(), networks, tls_required }
    }

    fn list() -> Allowlist {
        Allowlist::build(vec![
            organisation("acme", &["10.0.0.0/8", "2001:db8::/32"], false),
            organisation("bank", &["10.9.0.0/16"], true),
            organisation("nomads", &[], false),
        ])
        .expect("no name and no network twice")
    }

    fn check(address: &str, transport: Transport, identity: Option<&str>, expected: Result<Option<&str>, Refused>) {
        let list = list();
        let decided = list.decide(address.parse().expect(address), transport, identity);
        let named = decided.map(|organisation| organisation.map(|organisation| &*organisation.name));
        assert_eq!(named, expected, "{address} {transport} {identity:?}");
    }

    #[test]
    fn an_address_says_whose_network_it_is() {
        check("10.1.0.1", Transport::Udp, None, Ok(Some("acme")));
        check("::ffff:10.1.0.1", Transport::Udp, None, Ok(Some("acme")));
        check("2001:db8::1", Transport::Udp, None, Ok(Some("acme")));
        check("10.9.0.1", Transport::Tls, None, Ok(Some("bank")));
        check("192.0.2.1", Transport::Udp, None, Ok(None));
    }

    #[test]
    fn an_identity_must_come_from_its_own_network() {
        check("10.1.0.1", Transport::Udp, Some("acme"), Ok(Some("acme")));
        check("192.0.2.1", Transport::Udp, Some("acme"), Err(Refused::NotInNetwork));
        check("10.1.0.1", Transport::Tls, Some("bank"), Err(Refused::NotInNetwork));
        check("192.0.2.1", Transport::Udp, Some("nomads"), Ok(Some("nomads")));
        check("10.9.0.1", Transport::Udp, Some("acme"), Ok(Some("acme")));
        check("10.1.0.1", Transport::Udp, Some("acmee"), Err(Refused::NotInNetwork));
    }

    #[test]
    fn who_needs_tls_is_not_heard_without() {
        for (transport, secure) in [(Transport::Udp, false), (Transport::Tcp, false), (Transport::Wss, true)] {
            let expected = if secure { Ok(Some("bank")) } else { Err(Refused::TlsRequired) };
            check("10.9.0.1", transport, None, expected);
            check("10.9.0.1", transport, Some("bank"), expected);
        }
    }

    #[test]
    fn a_name_or_a_network_belongs_to_one() {
        let twice = vec![organisation("acme", &[], false), organisation("acme", &[], true)];
        assert_eq!(Allowlist::build(twice).err(), Some(AllowlistError::SameName("acme".into())));
        let shared = vec![organisation("acme", &["10.0.0.0/8"], false), organisation("bank", &["10.0.0.0/8"], true)];
        let error = Allowlist::build(shared).expect_err("both have the network");
        assert_eq!(error.to_string(), "10.0.0.0/8 is a network of acme and of bank");
        // Whose it is stays clear when one names it twice.
        assert!(Allowlist::build(vec![organisation("acme", &["10.0.0.0/8", "10.0.0.0/8"], false)]).is_ok());
    }
}
