//! The packet threads over real sockets on the loopback interface. Nothing sleeps: what was not relayed is known
//! not to have been because something sent after it arrived.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use sx_io_rtp::{MediaInterface, PacketThreads, RtpConfig, StartError};
use sx_media::{Latch, MediaCommand, MediaEvent, OpenError, Opened, PortId, PortStats, Remote, TrafficClass};

const WORKER: u64 = 5;
const PATIENCE: Duration = Duration::from_secs(10);

/// Numbers that no other test of this process uses.
fn numbers(count: u16) -> RangeInclusive<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (std::process::id() % 100) as u16 * 200 + NEXT.fetch_add(count, Ordering::Relaxed);
    first..=first + count - 1
}

fn config(ports: RangeInclusive<u16>) -> RtpConfig {
    let loopback = MediaInterface {
        bind_v4: Some(Ipv4Addr::LOCALHOST),
        bind_v6: Some(Ipv6Addr::LOCALHOST),
        ..MediaInterface::new("loopback")
    };
    RtpConfig { interfaces: vec![loopback], ports, threads: 2, ..RtpConfig::default() }
}

fn id(call: u64, stream: u64) -> PortId {
    PortId(WORKER << 48 | call << 8 | stream)
}

struct Relay {
    threads: PacketThreads,
    events: Receiver<(u16, MediaEvent)>,
}

impl Relay {
    fn start(config: &RtpConfig) -> Self {
        let (told, events) = channel();
        let tell = move |worker, event| {
            // A test that has failed receives no more, while its relay still closes its ports.
            let _ = told.send((worker, event));
        };
        Self { threads: PacketThreads::start(config, tell).unwrap(), events }
    }

    fn event(&self) -> MediaEvent {
        let (worker, event) = self.events.recv_timeout(PATIENCE).unwrap();
        assert_eq!(u64::from(worker), WORKER);
        event
    }

    fn open_on(&self, port: PortId, ipv6: bool) -> MediaEvent {
        let interface = "loopback".into();
        self.threads.send(MediaCommand::Open {
            port,
            interface,
            ipv6,
            class: TrafficClass::Audio,
            host: None,
            number: None,
        });
        self.event()
    }

    fn open(&self, port: PortId) -> Opened {
        match self.open_on(port, false) {
            MediaEvent::Opened(opened) if opened.port == port => opened,
            other => panic!("{other:?}"),
        }
    }

    fn set_remote(&self, port: PortId, remote: Remote) {
        self.threads.send(MediaCommand::SetRemote { port, remote });
    }

    fn patch(&self, from: PortId, to: Option<PortId>) {
        self.threads.send(MediaCommand::Patch { from, to });
    }

    fn patch_both(&self, one: PortId, other: PortId) {
        self.patch(one, Some(other));
        self.patch(other, Some(one));
    }

    /// Returns when the threads of these ports have obeyed all that was sent to them.
    fn settle(&self, ports: &[PortId]) {
        for port in ports {
            let port = PortId(port.0 | 0xff);
            let interface = "none".into();
            self.threads.send(MediaCommand::Open {
                port,
                interface,
                ipv6: false,
                class: TrafficClass::Audio,
                host: None,
                number: None,
            });
            assert_eq!(self.event(), MediaEvent::OpenFailed { port, error: OpenError::NoInterface });
        }
    }

    fn close(&self, port: PortId) -> PortStats {
        self.threads.send(MediaCommand::Close { port });
        match self.event() {
            MediaEvent::Closed(closed) if closed.port == port => closed.stats,
            other => panic!("{other:?}"),
        }
    }
}

/// A telephone's sockets.
struct Phone {
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

impl Phone {
    fn new() -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into())
    }

    fn at(ip: IpAddr) -> Self {
        let socket = || {
            let socket = UdpSocket::bind((ip, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        Self { rtp: socket(), rtcp: socket() }
    }

    fn remote(&self, latch: Latch) -> Remote {
        let (rtp, rtcp) = (self.rtp.local_addr().unwrap(), self.rtcp.local_addr().unwrap());
        Remote { rtp, rtcp, latch, receives: true, sends: true }
    }

    fn muxing(&self, latch: Latch) -> Remote {
        Remote { rtcp: self.rtp.local_addr().unwrap(), ..self.remote(latch) }
    }
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 4096];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    (buffer[..length].to_vec(), from)
}

fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 8, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet.extend((0..160).map(|index| (index ^ sequence) as u8));
    packet
}

fn rtcp() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 1, 2, 3, 4]
}

/// Two telephones and the ports that face them.
struct Call {
    relay: Relay,
    phones: [Phone; 2],
    ports: [PortId; 2],
    opened: [Opened; 2],
}

impl Call {
    fn new(latch: Latch) -> Self {
        Self::between([id(1, 0), id(1, 1)], latch)
    }

    fn between(ports: [PortId; 2], latch: Latch) -> Self {
        let relay = Relay::start(&config(numbers(8)));
        let phones = [Phone::new(), Phone::new()];
        let opened = ports.map(|port| relay.open(port));
        for (port, phone) in ports.iter().zip(&phones) {
            relay.set_remote(*port, phone.remote(latch));
        }
        relay.patch_both(ports[0], ports[1]);
        relay.settle(&ports);
        Self { relay, phones, ports, opened }
    }

    fn set_remote(&self, end: usize, remote: Remote) {
        self.relay.set_remote(self.ports[end], remote);
        self.relay.settle(&self.ports);
    }

    /// A packet sent from a socket to the port of one end arrives at the other end's telephone unchanged.
    fn check_relayed(&self, socket: &UdpSocket, end: usize, packet: &[u8]) {
        socket.send_to(packet, self.opened[end].rtp).unwrap();
        let far = 1 - end;
        assert_eq!(receive(&self.phones[far].rtp), (packet.to_vec(), self.opened[far].rtp));
    }

    fn check_both_ways(&self) {
        for end in [0, 1] {
            for sequence in 0..40 {
                self.check_relayed(&self.phones[end].rtp, end, &rtp(sequence));
            }
        }
    }
}

#[test]
fn rtp_is_relayed_both_ways_with_its_content_unchanged() {
    let call = Call::new(Latch::Exact);
    call.check_both_ways();
    let stats = call.ports.map(|port| call.relay.close(port));
    for stats in stats {
        assert_eq!((stats.packets_received, stats.bytes_received), (40, 40 * 172));
        assert_eq!((stats.packets_sent, stats.bytes_sent), (40, 40 * 172));
        assert_eq!((stats.packets_lost, stats.rejected_source, stats.send_errors), (0, 0, 0));
        assert_eq!(stats.last_payload_type, 8);
    }
    let totals = call.relay.threads.totals();
    assert_eq!((totals.opened, totals.closed, totals.packets_received, totals.packets_sent), (2, 2, 80, 80));
}

#[test]
fn a_burst_longer_than_a_batch_stays_in_order() {
    let call = Call::new(Latch::Exact);
    for sequence in 0..100 {
        call.phones[0].rtp.send_to(&rtp(sequence), call.opened[0].rtp).unwrap();
    }
    for sequence in 0..100 {
        assert_eq!(receive(&call.phones[1].rtp).0, rtp(sequence));
    }
}

#[test]
fn ports_of_two_calls_on_different_threads_are_relayed() {
    let call = Call::between([id(1, 0), id(2, 0)], Latch::Port);
    call.check_both_ways();
    call.relay.close(call.ports[1]);
    call.phones[0].rtp.send_to(&rtp(1), call.opened[0].rtp).unwrap();
    let late = Phone::new();
    let port = id(4, 0);
    call.relay.open(port);
    call.relay.set_remote(port, late.remote(Latch::Exact));
    call.relay.patch(call.ports[0], Some(port));
    call.relay.settle(&[port, call.ports[0]]);
    call.phones[0].rtp.send_to(&rtp(2), call.opened[0].rtp).unwrap();
    let mut arrived = receive(&late.rtp).0;
    if arrived == rtp(1) {
        arrived = receive(&late.rtp).0;
    }
    assert_eq!(arrived, rtp(2), "patched to a third port after a transfer");
}

#[test]
fn a_patch_to_nowhere_relays_nothing_and_still_counts() {
    let call = Call::new(Latch::Exact);
    call.relay.patch(call.ports[0], None);
    call.relay.settle(&call.ports);
    call.phones[0].rtp.send_to(&rtp(1), call.opened[0].rtp).unwrap();
    call.check_relayed(&call.phones[1].rtp, 1, &rtp(9));
    // Both ports share a thread, but not the order in which it serves them: the patch back waits for the packet.
    while call.relay.threads.totals().packets_received < 2 {
        std::thread::yield_now();
    }
    call.relay.patch(call.ports[0], Some(call.ports[1]));
    call.relay.settle(&call.ports);
    call.check_relayed(&call.phones[0].rtp, 0, &rtp(2));
    assert_eq!(call.relay.close(call.ports[0]).packets_received, 2);
}

#[test]
fn a_peer_on_hold_is_sent_nothing() {
    let call = Call::new(Latch::Exact);
    call.set_remote(1, Remote { receives: false, ..call.phones[1].remote(Latch::Exact) });
    call.phones[0].rtp.send_to(&rtp(1), call.opened[0].rtp).unwrap();
    while call.relay.threads.totals().packets_received < 1 {
        std::thread::yield_now();
    }
    call.set_remote(1, call.phones[1].remote(Latch::Exact));
    call.check_relayed(&call.phones[0].rtp, 0, &rtp(2));
}

#[test]
fn rtcp_uses_the_odd_numbers() {
    let call = Call::new(Latch::Exact);
    for opened in call.opened {
        assert_eq!(opened.rtp.port() % 2, 0);
        assert_eq!(opened.rtcp, SocketAddr::new(opened.rtp.ip(), opened.rtp.port() + 1));
    }
    call.phones[0].rtcp.send_to(&rtcp(), call.opened[0].rtcp).unwrap();
    assert_eq!(receive(&call.phones[1].rtcp), (rtcp(), call.opened[1].rtcp));
    let stats = call.relay.close(call.ports[0]);
    assert_eq!((stats.rtcp_received, stats.packets_received), (1, 0));
    assert_eq!(call.relay.threads.totals().rtcp_sent, 1);
}

#[test]
fn a_muxing_peer_talks_to_one_that_does_not_mux() {
    let call = Call::new(Latch::Exact);
    call.set_remote(0, call.phones[0].muxing(Latch::Exact));
    call.phones[0].rtp.send_to(&rtcp(), call.opened[0].rtp).unwrap();
    assert_eq!(receive(&call.phones[1].rtcp), (rtcp(), call.opened[1].rtcp), "from the odd number to its RTCP port");
    call.phones[1].rtcp.send_to(&rtcp(), call.opened[1].rtcp).unwrap();
    assert_eq!(receive(&call.phones[0].rtp), (rtcp(), call.opened[0].rtp), "from the even number to its only port");
}

#[test]
fn a_packet_injected_from_another_address_is_dropped_and_counted() {
    for latch in [Latch::Exact, Latch::Port] {
        let call = Call::new(latch);
        call.check_relayed(&call.phones[0].rtp, 0, &rtp(1));
        let stranger = Phone::new();
        stranger.rtp.send_to(&rtp(666), call.opened[0].rtp).unwrap();
        call.check_relayed(&call.phones[0].rtp, 0, &rtp(2));
        let stats = call.relay.close(call.ports[0]);
        assert_eq!((stats.rejected_source, stats.packets_received), (1, 2), "{latch:?}");
    }
}

#[test]
fn what_is_neither_rtp_nor_rtcp_is_dropped_and_counted() {
    let call = Call::new(Latch::Exact);
    let too_long = [rtp(1), vec![0; 3000]].concat();
    for noise in [&[][..], &[0x80], &[0; 20], b"OPTIONS sip:a@b SIP/2.0\r\n", &too_long] {
        call.phones[0].rtp.send_to(noise, call.opened[0].rtp).unwrap();
    }
    call.check_relayed(&call.phones[0].rtp, 0, &rtp(2));
    assert_eq!(call.relay.close(call.ports[0]).rejected_format, 5);
}

#[test]
fn a_peer_behind_a_nat_is_sent_to_where_its_packets_come_from() {
    let call = Call::new(Latch::Exact);
    let behind = Remote {
        rtp: "192.0.2.1:4000".parse().unwrap(),
        rtcp: "192.0.2.1:4001".parse().unwrap(),
        ..call.phones[1].remote(Latch::Nat(Ipv4Addr::LOCALHOST.into()))
    };
    call.set_remote(1, behind);
    call.check_relayed(&call.phones[1].rtp, 1, &rtp(1));
    call.check_relayed(&call.phones[0].rtp, 0, &rtp(2));
    let stranger = Phone::new();
    stranger.rtp.send_to(&rtp(666), call.opened[1].rtp).unwrap();
    call.check_relayed(&call.phones[1].rtp, 1, &rtp(3));
    call.set_remote(1, behind);
    call.check_relayed(&call.phones[0].rtp, 0, &rtp(4));
    assert_eq!(call.relay.close(call.ports[1]).rejected_source, 1);
}

/// Where a peer behind a NAT has said it wants its media, where its signalling comes from, and who is neither.
const SAID: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const SIGNALLING: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);

/// What a third host sends is dropped and counted, before the peer is heard and after; whichever of the two the peer
/// is heard from first has the port from then on.
#[test]
fn behind_a_nat_whichever_of_both_addresses_is_heard_first_is_the_peer_and_nobody_else() {
    for (peer, other) in [(SAID, SIGNALLING), (SIGNALLING, SAID)] {
        let mut call = Call::new(Latch::Exact);
        let [said, attacker, other] = [SAID, ATTACKER, other].map(|ip| Phone::at(ip.into()));
        call.phones[1] = Phone::at(peer.into());
        call.set_remote(1, said.remote(Latch::Nat(SIGNALLING.into())));
        let drops = |stranger: &Phone, dropped: u64| {
            stranger.rtp.send_to(&rtp(666), call.opened[1].rtp).unwrap();
            while call.relay.threads.totals().rejected_source < dropped {
                std::thread::yield_now();
            }
        };
        drops(&attacker, 1);
        // The first packet that arrives is the peer's, and the way back leads to where it came from.
        call.check_relayed(&call.phones[1].rtp, 1, &rtp(1));
        call.check_relayed(&call.phones[0].rtp, 0, &rtp(2));
        drops(&attacker, 2);
        drops(&other, 3);
        call.check_relayed(&call.phones[1].rtp, 1, &rtp(3));
        call.check_relayed(&call.phones[0].rtp, 0, &rtp(4));
        let stats = call.relay.close(call.ports[1]);
        assert_eq!((stats.rejected_source, stats.packets_received), (3, 2), "heard from {peer}");
    }
}

#[test]
fn a_changed_remote_latches_again() {
    let mut call = Call::new(Latch::Port);
    call.check_both_ways();
    let old = std::mem::replace(&mut call.phones[0], Phone::new());
    call.set_remote(0, call.phones[0].remote(Latch::Port));
    call.check_relayed(&call.phones[1].rtp, 1, &rtp(1));
    call.check_relayed(&call.phones[0].rtp, 0, &rtp(2));
    old.rtp.send_to(&rtp(3), call.opened[0].rtp).unwrap();
    call.check_relayed(&call.phones[0].rtp, 0, &rtp(4));
    assert_eq!(call.relay.close(call.ports[0]).rejected_source, 1);
}

#[test]
fn a_peer_that_is_gone_harms_nobody() {
    let mut call = Call::new(Latch::Exact);
    call.check_both_ways();
    call.phones[1] = Phone::new();
    for sequence in 0..50 {
        call.phones[0].rtp.send_to(&rtp(sequence), call.opened[0].rtp).unwrap();
    }
    while call.relay.threads.totals().packets_received < 80 + 50 {
        std::thread::yield_now();
    }
    call.set_remote(1, call.phones[1].remote(Latch::Exact));
    call.check_both_ways();
}

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
fn a_silent_peer_is_told_once() {
    let relay = Relay::start(&RtpConfig { silence_timeout: Duration::from_millis(150), ..config(numbers(8)) });
    let (port, other) = (id(1, 0), id(1, 1));
    relay.open(port);
    relay.open(other);
    let phone = Phone::new();
    relay.set_remote(port, phone.remote(Latch::Exact));
    assert_eq!(relay.event(), MediaEvent::Silent { port });
    relay.set_remote(other, phone.remote(Latch::Exact));
    assert_eq!(relay.event(), MediaEvent::Silent { port: other }, "and not the first port once more");
    assert_eq!(relay.threads.totals().silences, 2);
}

#[test]
fn ipv6_is_relayed_to_ipv4() {
    let call = Call::new(Latch::Exact);
    let phone = Phone::at(Ipv6Addr::LOCALHOST.into());
    let port = id(1, 2);
    let MediaEvent::Opened(opened) = call.relay.open_on(port, true) else { panic!("no IPv6 port") };
    assert_eq!(opened.rtp.ip(), Ipv6Addr::LOCALHOST);
    call.relay.set_remote(port, phone.remote(Latch::Nat(Ipv6Addr::LOCALHOST.into())));
    call.relay.patch_both(port, call.ports[1]);
    call.relay.settle(&[port]);
    phone.rtp.send_to(&rtp(1), opened.rtp).unwrap();
    assert_eq!(receive(&call.phones[1].rtp), (rtp(1), call.opened[1].rtp));
    call.phones[1].rtp.send_to(&rtp(2), call.opened[1].rtp).unwrap();
    assert_eq!(receive(&phone.rtp), (rtp(2), opened.rtp));
}

#[test]
fn closing_tells_loss_and_jitter() {
    let call = Call::new(Latch::Exact);
    for sequence in [1, 2, 5, 6, 9] {
        call.check_relayed(&call.phones[0].rtp, 0, &rtp(sequence));
    }
    let stats = call.relay.close(call.ports[0]);
    assert_eq!((stats.packets_received, stats.packets_lost), (5, 4));
    assert!(stats.jitter_us > 1_000, "timestamps of 160 ms came at once: {} µs", stats.jitter_us);
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
