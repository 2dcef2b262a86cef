//! The addresses that this host reaches others from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The address this host reaches others from.
pub fn outward_ip() -> IpAddr {
    outward_v4().into()
}

/// The address this host reaches others from. No packet is sent: connecting a UDP socket only asks the routing table.
pub(super) fn outward_v4() -> Ipv4Addr {
    match facing("192.0.2.1:9") {
        Some(IpAddr::V4(v4)) => v4,
        _ => Ipv4Addr::LOCALHOST,
    }
}

pub(super) fn outward_v6() -> Ipv6Addr {
    match facing("[2001:db8::1]:9") {
        Some(IpAddr::V6(v6)) => v6,
        _ => Ipv6Addr::LOCALHOST,
    }
}

fn facing(remote: &str) -> Option<IpAddr> {
    let remote: SocketAddr = remote.parse().ok()?;
    let any = if remote.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(remote).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}
