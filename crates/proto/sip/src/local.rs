//! The addresses the exchange tells others to reach it at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use sx_types::{Destination, Flow, LinkId, Transport};

/// One listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalLink {
    /// The link messages arrive on and, over UDP, leave by.
    pub link: LinkId,
    /// The transport.
    pub transport: Transport,
    /// What it is bound to; may be the unspecified address.
    pub bound: SocketAddr,
    /// The `host:port` peers are told, where that differs from what it is bound to.
    pub advertised: Option<Box<str>>,
}

/// The listening sockets of one worker, and the addresses that stand for "any".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locals {
    /// This worker.
    pub worker: u16,
    /// The sockets.
    pub links: Vec<LocalLink>,
    /// What is told to an IPv4 peer when a socket is bound to `0.0.0.0`.
    pub outward_v4: Ipv4Addr,
    /// What is told to an IPv6 peer when a socket is bound to `::`.
    pub outward_v6: Ipv6Addr,
}

impl Locals {
    /// The `host:port` to name in Via and Contact towards `remote`: of the link, when it is a listening one, else of the
    /// listening socket of that transport.
    pub fn sent_by(&self, transport: Transport, link: Option<LinkId>, remote: IpAddr) -> String {
        let found = self
            .links
            .iter()
            .find(|local| Some(local.link) == link && local.transport == transport)
            .or_else(|| self.links.iter().find(|l| l.transport == transport && l.bound.is_ipv6() == remote.is_ipv6()))
            .or_else(|| self.links.iter().find(|local| local.transport == transport));
        match found {
            Some(LocalLink { advertised: Some(text), .. }) => text.to_string(),
            Some(LocalLink { bound, .. }) => {
                SocketAddr::new(self.concrete(bound.ip(), remote), bound.port()).to_string()
            }
            // A transport nobody listens on: whoever answers does so along the connection.
            None => SocketAddr::new(self.concrete(unspecified(remote), remote), transport.default_port()).to_string(),
        }
    }

    fn concrete(&self, bound: IpAddr, remote: IpAddr) -> IpAddr {
        match (bound, remote) {
            (bound, _) if !bound.is_unspecified() => bound,
            (IpAddr::V4(_), remote) if remote.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            (IpAddr::V6(_), remote) if remote.is_loopback() => Ipv6Addr::LOCALHOST.into(),
            (IpAddr::V4(_), _) => self.outward_v4.into(),
            (IpAddr::V6(_), _) => self.outward_v6.into(),
        }
    }

    /// The way to an address: over UDP from our listening socket of that family, so that the answer comes back to it.
    pub fn way_to(&self, transport: Transport, remote: SocketAddr, name: Option<&str>) -> Destination {
        if !transport.is_reliable()
            && let Some(local) =
                self.links.iter().find(|l| l.transport == transport && l.bound.is_ipv6() == remote.is_ipv6())
        {
            return Destination::Flow(Flow { worker: self.worker, link: local.link, transport, remote });
        }
        Destination::Address { transport, remote, name: name.map(Into::into) }
    }

    /// The place of the listening socket a datagram came to; `None` for what came on a connection.
    pub fn socket_of(&self, flow: Flow) -> Option<usize> {
        let is_it = |local: &LocalLink| local.link == flow.link && !local.transport.is_reliable();
        self.links.iter().position(is_it)
    }

    /// The way from this worker's socket at that place to `remote`.
    pub fn flow_from(&self, place: usize, remote: SocketAddr) -> Option<Flow> {
        let local = self.links.get(place).filter(|local| !local.transport.is_reliable())?;
        Some(Flow { worker: self.worker, link: local.link, transport: local.transport, remote })
    }

    /// The `host:port` to name towards a destination.
    pub fn sent_by_towards(&self, to: &Destination) -> String {
        let link = match to {
            Destination::Flow(flow) => Some(flow.link),
            Destination::Address { .. } => None,
        };
        self.sent_by(to.transport(), link, to.remote().ip())
    }
}

fn unspecified(remote: IpAddr) -> IpAddr {
    if remote.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locals() -> Locals {
        let link = |link, transport, bound: &str, advertised: Option<&str>| LocalLink {
            link: LinkId(link),
            transport,
            bound: bound.parse().expect("an address"),
            advertised: advertised.map(Into::into),
        };
        Locals {
            worker: 2,
            links: vec![
                link(1, Transport::Udp, "0.0.0.0:5060", None),
                link(2, Transport::Udp, "[::]:5060", None),
                link(3, Transport::Tls, "10.0.0.1:5061", Some("sip.example.org:5061")),
            ],
            outward_v4: "198.51.100.7".parse().expect("an address"),
            outward_v6: "2001:db8::7".parse().expect("an address"),
        }
    }

    #[test]
    fn an_unspecified_address_is_never_told_to_anybody() {
        let locals = locals();
        for (transport, remote, expected) in [
            (Transport::Udp, "192.0.2.1", "198.51.100.7:5060"),
            (Transport::Udp, "127.0.0.9", "127.0.0.1:5060"),
            (Transport::Udp, "2001:db8::1", "[2001:db8::7]:5060"),
            (Transport::Tls, "192.0.2.1", "sip.example.org:5061"),
            (Transport::Ws, "192.0.2.1", "198.51.100.7:80"),
        ] {
            assert_eq!(locals.sent_by(transport, None, remote.parse().expect("an address")), expected);
        }
    }

    #[test]
    fn datagrams_leave_from_the_listening_socket_of_their_family() {
        let to = locals().way_to(Transport::Udp, "[2001:db8::1]:5060".parse().expect("an address"), None);
        assert!(matches!(to, Destination::Flow(Flow { link: LinkId(2), worker: 2, .. })));
        let to = locals().way_to(Transport::Tcp, "192.0.2.1:5060".parse().expect("an address"), Some("x"));
        assert!(matches!(to, Destination::Address { name: Some(_), .. }));
    }

    #[test]
    fn a_datagram_that_came_to_another_worker_is_answered_from_the_same_address() {
        let there = locals();
        let here = Locals {
            worker: 5,
            links: there.links.iter().map(|l| LocalLink { link: LinkId(l.link.0 + 10), ..l.clone() }).collect(),
            ..there.clone()
        };
        let remote = "[2001:db8::1]:5060".parse().expect("an address");
        let came = Flow { worker: 2, link: LinkId(2), transport: Transport::Udp, remote };
        let place = there.socket_of(came).expect("a socket");
        assert_eq!(here.flow_from(place, remote), Some(Flow { worker: 5, link: LinkId(12), ..came }));
        let connection = Flow { link: LinkId(99), transport: Transport::Tls, ..came };
        assert_eq!(there.socket_of(connection), None);
        assert_eq!(here.flow_from(2, remote), None, "no datagrams leave from a socket for connections");
    }
}
