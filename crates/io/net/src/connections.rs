//! The connections of one shell, by link, by peer and by address.

use crate::connection::{Connection, Origin};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use sx_types::{LinkId, Transport};

/// What a destination must agree in for a connection to be reused.
pub(crate) type PeerKey = (Transport, SocketAddr, Option<Arc<str>>);

#[derive(Default)]
pub(crate) struct Connections {
    by_link: HashMap<LinkId, Box<Connection>>,
    by_peer: HashMap<PeerKey, LinkId>,
    accepted_from: HashMap<IpAddr, usize>,
}

impl Connections {
    pub fn len(&self) -> usize {
        self.by_link.len()
    }

    pub fn of(&self, link: LinkId) -> Option<&Connection> {
        self.by_link.get(&link).map(Box::as_ref)
    }

    pub fn of_mut(&mut self, link: LinkId) -> Option<&mut Connection> {
        self.by_link.get_mut(&link).map(Box::as_mut)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.by_link.values().map(Box::as_ref)
    }

    /// How many were accepted from this peer's address.
    pub fn accepted_from(&self, peer: SocketAddr) -> usize {
        self.accepted_from.get(&one_address(peer.ip())).copied().unwrap_or(0)
    }

    /// The connection that leads there.
    pub fn to_peer(&self, key: &PeerKey) -> Option<LinkId> {
        self.by_peer.get(key).copied()
    }

    pub fn insert(&mut self, connection: Connection) {
        let link = connection.flow.link;
        if connection.origin == Origin::Accepted {
            *self.accepted_from.entry(one_address(connection.flow.remote.ip())).or_default() += 1;
        }
        self.by_peer.insert(key(&connection), link);
        self.by_link.insert(link, Box::new(connection));
    }

    pub fn remove(&mut self, link: LinkId) -> Option<Box<Connection>> {
        let connection = self.by_link.remove(&link)?;
        let key = key(&connection);
        // A newer connection of the same peer may have taken the place.
        if self.by_peer.get(&key) == Some(&link) {
            self.by_peer.remove(&key);
        }
        if connection.origin == Origin::Accepted {
            let address = one_address(connection.flow.remote.ip());
            if let Some(count) = self.accepted_from.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    self.accepted_from.remove(&address);
                }
            }
        }
        Some(connection)
    }
}

/// Who connected has proven no name, so its connection serves only those who ask for none.
fn key(connection: &Connection) -> PeerKey {
    let name = match &connection.origin {
        Origin::Accepted => None,
        Origin::Opened(name) => name.clone(),
    };
    (connection.flow.transport, connection.flow.remote, name)
}

/// A subscriber has a whole IPv6 /64, so that is what counts as one address.
fn one_address(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}
