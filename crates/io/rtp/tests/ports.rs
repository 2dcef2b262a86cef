//! The ports: their numbers, the addresses that are told, their end.

mod driver;

use driver::{Phone, Relay, config, id, numbers, receive, rtp};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;
use sx_io_rtp::{MediaInterface, PacketThreads, RtpConfig, StartError};
use sx_media::{Latch, MediaCommand, MediaEvent, OpenError, Opened, PortId, Remote, TrafficClass};

#[test]
fn an_exhausted_pool_refuses_and_numbers_rest_after_a_call() {
    let relay = Relay::start(&config(numbers(6)));
    let opened: Vec<MediaEvent> = (0..4).map(|stream| relay.open_on(id(1, stream), false)).collect();
    assert!(matches!(opened[0], MediaEvent::Opened(_)));
    let refused = |stream| MediaEvent::OpenFailed { port: id(1, stream), error: OpenError::PoolExhausted };
    assert_eq!(opened[3], refused(3));
    relay.close(id(1, 0));
    assert_eq!(relay.open_on(id(1, 4), false), refused(4), "its numbers are in quarantine");
    let totals = relay.threads.totals();
    assert_eq!((totals.opened, totals.open_failed, totals.closed), (3, 2, 1));
    let pool = totals.pools.iter().find(|pool| pool.address == Ipv4Addr::LOCALHOST).unwrap();
    assert_eq!((pool.pairs, pool.in_use, pool.resting), (3, 2, 1));
}

#[test]
fn numbers_held_by_another_program_are_skipped() {
    let range = numbers(4);
    let other_rtp = UdpSocket::bind((Ipv4Addr::LOCALHOST, *range.start()));
    let other_rtcp = UdpSocket::bind((Ipv4Addr::LOCALHOST, *range.start() + 1));
    let relay = Relay::start(&config(range.clone()));
    assert_eq!(relay.open(id(1, 0)).rtp.port(), *range.start() + 2);
    let error = OpenError::PoolExhausted;
    assert_eq!(relay.open_on(id(1, 1), false), MediaEvent::OpenFailed { port: id(1, 1), error });
    drop((other_rtp, other_rtcp));
}

/// A call goes on here whose peers know its numbers: other threads, as in another process, relay it on.
#[test]
fn a_call_goes_on_at_the_numbers_its_peers_know() {
    let range = numbers(8);
    let first = Relay::start(&config(range.clone()));
    let told = [first.open(id(1, 0)), first.open(id(1, 1))].map(|opened| opened.rtp);
    let open = |relay: &Relay, port: PortId, number: u16| {
        let (interface, class, number) = ("loopback".into(), TrafficClass::Audio, Some(number));
        relay.threads.send(MediaCommand::Open { port, interface, ipv6: false, class, host: None, number });
        relay.event()
    };
    let next = Relay::start(&config(range.clone()));
    let taken = MediaEvent::OpenFailed { port: id(7, 0), error: OpenError::NumberTaken };
    assert_eq!(open(&next, id(7, 0), told[0].port()), taken, "the first still has it");
    assert_eq!(open(&next, id(7, 0), range.end() + 2), taken, "it is outside of the range");
    first.threads.stop();
    let next = Relay::start(&config(range));
    let phones = [Phone::new(), Phone::new()];
    for (port, (rtp, phone)) in [id(7, 0), id(7, 1)].into_iter().zip(told.iter().zip(&phones)) {
        let opened = open(&next, port, rtp.port());
        assert!(matches!(opened, MediaEvent::Opened(opened) if opened.rtp == *rtp), "{opened:?}");
        next.set_remote(port, phone.remote(Latch::Port));
    }
    next.patch_both(id(7, 0), id(7, 1));
    next.settle(&[id(7, 0)]);
    for (from, to) in [(0, 1), (1, 0)] {
        phones[from].rtp.send_to(&rtp(from as u16), told[from]).unwrap();
        assert_eq!(receive(&phones[to].rtp), (rtp(from as u16), told[to]));
    }
}

#[test]
fn without_quarantine_the_numbers_of_a_closed_port_are_bound_again() {
    let relay = Relay::start(&RtpConfig { quarantine: Duration::ZERO, ..config(numbers(2)) });
    for call in 0..20 {
        relay.open(id(call, 0));
        relay.close(id(call, 0));
    }
}

#[test]
fn the_advertised_address_is_told() {
    let mut config = config(numbers(4));
    config.interfaces[0].advertise_v4 = Some(Ipv4Addr::new(203, 0, 113, 5));
    assert_eq!(Relay::start(&config).open(id(1, 0)).rtp.ip(), Ipv4Addr::new(203, 0, 113, 5));
}

/// A phone on this machine and one elsewhere are each told the address that packets to them come from.
#[test]
fn an_interface_with_every_address_tells_each_peer_the_one_that_faces_it() {
    let mut config = config(numbers(8));
    config.interfaces[0] = MediaInterface { bind_v4: Some(Ipv4Addr::UNSPECIFIED), ..MediaInterface::new("any") };
    let relay = Relay::start(&config);
    let open = |stream, host: Option<IpAddr>| {
        let (port, interface, class) = (id(1, stream), "any".into(), TrafficClass::Audio);
        relay.threads.send(MediaCommand::Open { port, interface, ipv6: false, class, host, number: None });
        match relay.event() {
            MediaEvent::Opened(opened) => opened.rtp.ip(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(open(0, Some(Ipv4Addr::LOCALHOST.into())), Ipv4Addr::LOCALHOST);
    assert!(!open(1, None).is_unspecified());
}

#[test]
fn commands_about_ports_that_are_not_open_are_ignored() {
    let relay = Relay::start(&config(numbers(4)));
    relay.set_remote(id(1, 0), Phone::new().remote(Latch::Exact));
    relay.patch_both(id(1, 0), id(1, 1));
    relay.threads.send(MediaCommand::Close { port: id(1, 0) });
    relay.settle(&[id(1, 0)]);
    relay.open(id(1, 0));
    let again = MediaEvent::OpenFailed { port: id(1, 0), error: OpenError::System };
    assert_eq!(relay.open_on(id(1, 0), false), again, "an id is open once");
}

#[test]
fn stopping_closes_every_port() {
    let relay = Relay::start(&config(numbers(8)));
    relay.open(id(1, 0));
    relay.open(id(2, 0));
    relay.threads.stop();
    let closed: Vec<_> = relay.events.iter().collect();
    assert_eq!(closed.len(), 2);
    assert!(closed.iter().all(|(_, event)| matches!(event, MediaEvent::Closed(_))));
}

#[test]
fn an_address_that_is_not_the_machines_is_an_error_at_start() {
    let mut config = config(numbers(4));
    config.interfaces[0].bind_v4 = Some(Ipv4Addr::new(192, 0, 2, 1));
    let error = PacketThreads::start(&config, |_, _| {}).unwrap_err();
    assert!(matches!(error, StartError::Bind { address: IpAddr::V4(_), .. }), "{error}");
}

/// No router is needed between two ports of ours that know each other by the address the world knows them by.
#[test]
fn ports_that_face_each_other_by_their_advertised_address_find_each_other() {
    for bind in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
        let mut config = config(numbers(16));
        config.interfaces[0].bind_v4 = Some(bind);
        config.interfaces[0].advertise_v4 = Some(Ipv4Addr::new(192, 0, 2, 99));
        assert_calls_find_each_other(&config);
    }
}

/// Sound passes both ways through two calls, each of which has a port that faces one of the other.
fn assert_calls_find_each_other(config: &RtpConfig) {
    let relay = Relay::start(config);
    let phones = [Phone::new(), Phone::new()];
    let ports = [[id(1, 0), id(1, 1)], [id(2, 0), id(2, 1)]];
    let opened = ports.map(|call| call.map(|port| relay.open(port)));
    for (call, phone) in phones.iter().enumerate() {
        let other = opened[1 - call][1];
        let facing = Remote { rtp: other.rtp, rtcp: other.rtcp, ..phone.remote(Latch::Exact) };
        relay.set_remote(ports[call][0], phone.remote(Latch::Exact));
        relay.set_remote(ports[call][1], facing);
        relay.patch_both(ports[call][0], ports[call][1]);
    }
    relay.settle(&[ports[0][0], ports[1][0]]);
    for (call, phone) in phones.iter().enumerate() {
        let local = |opened: Opened| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), opened.rtp.port());
        phone.rtp.send_to(&rtp(7), local(opened[call][0])).unwrap();
        assert_eq!(receive(&phones[1 - call].rtp), (rtp(7), local(opened[1 - call][0])));
    }
}

/// What sends to it may be there for longer, and have its sockets.
#[test]
fn the_numbers_of_a_port_are_free_as_soon_as_its_end_is_told_whoever_sends_to_it() {
    let relay = Relay::start(&config(numbers(8)));
    // The first two send to each other; the third, of another thread, to the first.
    let ports = [id(1, 0), id(1, 1), id(2, 0)];
    let opened = ports.map(|port| relay.open(port));
    for _ in 0..8 {
        relay.patch_both(ports[0], ports[1]);
        relay.patch(ports[2], Some(ports[0]));
        relay.settle(&[ports[0], ports[2]]);
        relay.close(ports[0]);
        let again = relay.open_at(ports[0], false, Some(opened[0].rtp.port()));
        assert_eq!(again, MediaEvent::Opened(opened[0]));
    }
}
