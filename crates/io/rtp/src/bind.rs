//! Sockets of ports, and the addresses of this machine that peers reach them by.

use crate::config::RtpConfig;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use sx_media::TrafficClass;

/// A socket of a port, marked with the class of what it carries.
pub(crate) fn bind(address: SocketAddr, config: &RtpConfig, class: TrafficClass) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    let dscp = match class {
        TrafficClass::Audio => config.dscp_audio,
        TrafficClass::Video => config.dscp_video,
    };
    // The two lowest bits of the octet are for congestion notification.
    let octet = u32::from(dscp) << 2;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_tclass_v6(octet)?;
    } else {
        socket.set_tos_v4(octet)?;
    }
    socket.set_recv_buffer_size(config.receive_buffer_bytes)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

/// The address of this machine that `host` is reached from; without a host of this family, the one that the rest of the
/// world is. No packet is sent: connecting a socket only asks the routing table.
pub(crate) fn facing(host: Option<IpAddr>, ipv6: bool) -> IpAddr {
    // Documentation addresses, which are nobody's: the default route leads there.
    let (any, elsewhere, nowhere) = match ipv6 {
        true => (Ipv6Addr::UNSPECIFIED.into(), ELSEWHERE_V6.into(), IpAddr::from(Ipv6Addr::LOCALHOST)),
        false => (Ipv4Addr::UNSPECIFIED.into(), ELSEWHERE_V4.into(), IpAddr::from(Ipv4Addr::LOCALHOST)),
    };
    let towards = |host: IpAddr| {
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
        socket.connect(SocketAddr::new(host, DISCARD)).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
    };
    let host = host.filter(|host| host.is_ipv6() == ipv6);
    host.and_then(towards).or_else(|| towards(elsewhere)).unwrap_or(nowhere)
}

const ELSEWHERE_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ELSEWHERE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const DISCARD: u16 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_of_this_machine_is_faced_by_its_loopback_address() {
        let loopback = |ip: &str| Some(ip.parse::<IpAddr>().unwrap());
        assert_eq!(Some(facing(loopback("127.0.0.1"), false)), loopback("127.0.0.1"));
        assert_eq!(Some(facing(loopback("::1"), true)), loopback("::1"));
        let elsewhere = facing(None, false);
        assert!(elsewhere.is_ipv4() && !elsewhere.is_unspecified());
        assert_eq!(facing(loopback("::1"), false), elsewhere, "of another family");
    }

    #[test]
    fn packets_are_marked_with_their_class() {
        let config = RtpConfig::default();
        for (class, octet) in [(TrafficClass::Audio, 184), (TrafficClass::Video, 136)] {
            let v4 = Socket::from(bind("127.0.0.1:0".parse().unwrap(), &config, class).unwrap());
            assert_eq!(v4.tos_v4().unwrap(), octet);
            let v6 = Socket::from(bind("[::1]:0".parse().unwrap(), &config, class).unwrap());
            assert_eq!(v6.tclass_v6().unwrap(), octet);
            assert!(v6.only_v6().unwrap());
        }
    }
}
