//! Keys of SRTP by DTLS, on the sockets that the media has.

mod driver;

use driver::voice::coding;
use driver::{Call, local, rtcp, rtp};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use sx_dtls::{Anchor, Association, Certificate, DtlsRole, Fingerprint, Local, Output};
use sx_engine::Time;
use sx_media::{
    AssociationName, Conversion, Handshake, HandshakeFault, KeyRules, KeyWay, Keys, Latch, MediaCommand, MediaEvent,
    Remote, SoundRule,
};
use sx_rtp::srtp::{Protector, Unprotector};
use sx_rtp::{Event, EventPayload, EventSender, Header, Packet, Ssrc};
use sx_types::{Codec, PayloadType};

/// A telephone's certificate.
fn certificate() -> Local {
    Local::new(Certificate::self_signed().unwrap()).unwrap()
}

fn other(role: DtlsRole) -> DtlsRole {
    match role {
        DtlsRole::Client => DtlsRole::Server,
        DtlsRole::Server => DtlsRole::Client,
    }
}

/// What the exchange has agreed on with a telephone.
fn terms(role: DtlsRole, peer: &Fingerprint, name: &str) -> Handshake {
    let name = AssociationName::Said("ours".into(), name.into());
    Handshake { role, peer: vec![peer.clone()], ours: local().fingerprint().clone(), name }
}

fn agree(call: &Call, end: usize, terms: &Handshake, remote: Remote) {
    let keys = Some(Box::new(Keys::Handshake(terms.clone())));
    call.relay.threads.send(MediaCommand::SetRemote { port: call.ports[end], remote, keys });
    call.relay.settle(&call.ports);
}

/// A telephone's side of a handshake, begun.
struct Shaking<'s> {
    association: Association,
    socket: &'s UdpSocket,
    port: SocketAddr,
    started: Instant,
}

const BEGUN: Time = Time::from_secs(1_800_000_000);

impl<'s> Shaking<'s> {
    fn begin(own: &Local, role: DtlsRole, socket: &'s UdpSocket, port: SocketAddr) -> Self {
        let started = Instant::now();
        let anchor = Anchor { time: BEGUN, instant: started };
        let peer = vec![local().fingerprint().clone()];
        Self { association: Association::new(own, role, peer, anchor, BEGUN), socket, port, started }
    }

    fn send(&mut self) -> Option<Ends> {
        while let Some(output) = self.association.poll_output() {
            match output {
                Output::Datagram(bytes) => _ = self.socket.send_to(&bytes, self.port).unwrap(),
                Output::Agreed(keys) => {
                    return Some(Ends {
                        protector: Protector::new(keys.suite, &keys.ours).unwrap(),
                        unprotector: Unprotector::new(keys.suite, &keys.theirs).unwrap(),
                    });
                }
                Output::Failed(fault) => panic!("{fault}"),
            }
        }
        None
    }

    /// To its end.
    fn finish(mut self) -> Ends {
        loop {
            if let Some(ends) = self.send() {
                // What follows the keys is the last flight.
                assert!(self.send().is_none());
                self.socket.set_read_timeout(Some(driver::PATIENCE)).unwrap();
                return ends;
            }
            let now = BEGUN + self.started.elapsed();
            let wait = self.association.poll_timeout().expect("a timer").since(now).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(wait)).unwrap();
            let mut buffer = [0; 4096];
            let received = self.socket.recv_from(&mut buffer);
            let now = BEGUN + self.started.elapsed();
            match received {
                Ok((length, from)) => {
                    assert_eq!(from, self.port);
                    self.association.handle_datagram(now, &buffer[..length]);
                }
                Err(_) => self.association.handle_timeout(now),
            }
        }
    }
}

struct Ends {
    protector: Protector,
    unprotector: Unprotector,
}

impl Ends {
    fn protect(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = [packet, &[0; 40]].concat();
        let len = match sx_rtp::is_rtcp(packet) {
            true => self.protector.protect_rtcp(&mut buffer, packet.len()),
            false => self.protector.protect_rtp(&mut buffer, packet.len()),
        };
        buffer.truncate(len.unwrap());
        buffer
    }

    fn open(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        let len = match sx_rtp::is_rtcp(&packet) {
            true => self.unprotector.unprotect_rtcp(&mut packet),
            false => self.unprotector.unprotect_rtp(&mut packet),
        };
        packet.truncate(len.unwrap());
        packet
    }
}

/// A packet each way between the telephone with these keys, the first, and the other, which has none.
fn check_both_ways(call: &Call, phone: &mut Ends, number: u16) {
    call.phones[0].rtp.send_to(&phone.protect(&rtp(number)), call.opened[0].rtp).unwrap();
    assert_eq!(driver::receive(&call.phones[1].rtp).0, rtp(number));
    call.phones[1].rtp.send_to(&rtp(number), call.opened[1].rtp).unwrap();
    assert_eq!(phone.open(driver::receive(&call.phones[0].rtp).0), rtp(number));
}

#[test]
fn either_side_may_begin() {
    for role in [DtlsRole::Client, DtlsRole::Server] {
        let call = Call::new(Latch::Port);
        let own = certificate();
        agree(&call, 0, &terms(role, own.fingerprint(), "one"), call.phones[0].muxing(Latch::Port));
        let mut phone = Shaking::begin(&own, other(role), &call.phones[0].rtp, call.opened[0].rtp).finish();
        for number in [65_535, 0, 1] {
            check_both_ways(&call, &mut phone, number);
        }
        // RTCP has the same keys where it shares the port.
        call.phones[0].rtp.send_to(&phone.protect(&rtcp()), call.opened[0].rtp).unwrap();
        assert_eq!(driver::receive(&call.phones[1].rtcp).0, rtcp());
        assert_eq!(call.relay.threads.totals().handshakes, 1);
    }
}

#[test]
fn rtcp_on_a_port_of_its_own_has_a_handshake_and_keys_of_its_own() {
    let call = Call::new(Latch::Port);
    let own = certificate();
    agree(&call, 0, &terms(DtlsRole::Server, own.fingerprint(), "one"), call.phones[0].remote(Latch::Port));
    let mut media = Shaking::begin(&own, DtlsRole::Client, &call.phones[0].rtp, call.opened[0].rtp).finish();
    let mut control = Shaking::begin(&own, DtlsRole::Client, &call.phones[0].rtcp, call.opened[0].rtcp).finish();
    check_both_ways(&call, &mut media, 1);
    call.phones[0].rtcp.send_to(&media.protect(&rtcp()), call.opened[0].rtcp).unwrap();
    call.phones[0].rtcp.send_to(&control.protect(&rtcp()), call.opened[0].rtcp).unwrap();
    assert_eq!(driver::receive(&call.phones[1].rtcp).0, rtcp());
    call.phones[1].rtcp.send_to(&rtcp(), call.opened[1].rtcp).unwrap();
    assert_eq!(control.open(driver::receive(&call.phones[0].rtcp).0), rtcp());
    let totals = call.relay.threads.totals();
    assert_eq!((totals.handshakes, totals.rejected_srtp, totals.rtcp_received), (2, 1, 2));
}

#[test]
fn until_there_are_keys_nothing_passes_and_nothing_leaves() {
    let call = Call::new(Latch::Port);
    let own = certificate();
    agree(&call, 0, &terms(DtlsRole::Server, own.fingerprint(), "one"), call.phones[0].muxing(Latch::Port));
    call.phones[0].rtp.send_to(&rtp(1), call.opened[0].rtp).unwrap();
    call.phones[1].rtp.send_to(&rtp(1), call.opened[1].rtp).unwrap();
    call.relay.settle(&call.ports);
    // The first that comes to the telephone is of the handshake.
    let mut phone = Shaking::begin(&own, DtlsRole::Client, &call.phones[0].rtp, call.opened[0].rtp).finish();
    check_both_ways(&call, &mut phone, 2);
    call.relay.settle(&call.ports);
    let totals = call.relay.threads.totals();
    assert_eq!((totals.rejected_srtp, totals.packets_received, totals.packets_sent), (1, 3, 2));
}

#[test]
fn a_handshake_that_begins_before_the_answer_is_not_lost() {
    let relay = driver::Relay::start(&driver::config(driver::numbers(8)));
    let (phone, port) = (driver::Phone::new(), driver::id(1, 0));
    let opened = relay.open(port);
    let own = certificate();
    let mut shaking = Shaking::begin(&own, DtlsRole::Client, &phone.rtp, opened.rtp);
    assert!(shaking.send().is_none(), "its first flight is under way");
    relay.settle(&[port]);
    let keys = Some(Box::new(Keys::Handshake(terms(DtlsRole::Server, own.fingerprint(), "one"))));
    relay.threads.send(MediaCommand::SetRemote { port, remote: phone.muxing(Latch::Port), keys });
    // It is answered without being sent again.
    let answer = driver::receive(&phone.rtp);
    assert!(sx_dtls::is_dtls(&answer.0) && shaking.started.elapsed() < Duration::from_millis(390));
    shaking.association.handle_datagram(BEGUN, &answer.0);
    shaking.finish();
}

#[test]
fn another_certificate_is_told_and_nothing_passes_by_its_keys() {
    let call = Call::new(Latch::Port);
    let (own, expected) = (certificate(), certificate());
    agree(&call, 0, &terms(DtlsRole::Client, expected.fingerprint(), "one"), call.phones[0].muxing(Latch::Port));
    let mut shaking = Shaking::begin(&own, DtlsRole::Server, &call.phones[0].rtp, call.opened[0].rtp);
    let failed = MediaEvent::HandshakeFailed { port: call.ports[0], fault: HandshakeFault::Certificate };
    call.phones[0].rtp.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut buffer = [0; 4096];
    let told = loop {
        // Which datagram is the last is not known before the handshake is told to have failed.
        if let Ok(length) = call.phones[0].rtp.recv(&mut buffer) {
            shaking.association.handle_datagram(BEGUN, &buffer[..length]);
            assert!(shaking.send().is_none());
        }
        if let Ok((_, event)) = call.relay.events.try_recv() {
            break event;
        }
        if call.relay.threads.totals().handshakes_failed == 1 {
            break call.relay.event();
        }
    };
    assert_eq!(told, failed);
    call.phones[0].rtp.send_to(&rtp(1), call.opened[0].rtp).unwrap();
    let stats = call.relay.close(call.ports[0]);
    assert_eq!((stats.packets_received, stats.rejected_format), (0, 1));
}

#[test]
fn strangers_begin_no_handshake() {
    let call = Call::new(Latch::Exact);
    let own = certificate();
    agree(&call, 0, &terms(DtlsRole::Server, own.fingerprint(), "one"), call.phones[0].muxing(Latch::Exact));
    let stranger = driver::Phone::new();
    let mut shaking = Shaking::begin(&own, DtlsRole::Client, &stranger.rtp, call.opened[0].rtp);
    assert!(shaking.send().is_none());
    Shaking::begin(&own, DtlsRole::Client, &call.phones[0].rtp, call.opened[0].rtp).finish();
    assert_eq!(call.relay.close(call.ports[0]).rejected_source, 1);
}

#[test]
fn a_new_association_takes_over_without_a_gap_and_the_same_one_goes_on() {
    let call = Call::new(Latch::Port);
    let own = certificate();
    let remote = call.phones[0].muxing(Latch::Port);
    let first = terms(DtlsRole::Server, own.fingerprint(), "one");
    agree(&call, 0, &first, remote);
    let mut phone = Shaking::begin(&own, DtlsRole::Client, &call.phones[0].rtp, call.opened[0].rtp).finish();
    check_both_ways(&call, &mut phone, 65_535);
    check_both_ways(&call, &mut phone, 0);
    agree(&call, 0, &first, Remote { receives: false, ..remote });
    agree(&call, 0, &first, remote);
    check_both_ways(&call, &mut phone, 1);
    // Another certificate: until its handshake is over the old keys go on.
    let newer = certificate();
    agree(&call, 0, &terms(DtlsRole::Server, newer.fingerprint(), "one"), remote);
    check_both_ways(&call, &mut phone, 2);
    let mut again = Shaking::begin(&newer, DtlsRole::Client, &call.phones[0].rtp, call.opened[0].rtp).finish();
    // What was on its way arrives yet.
    call.phones[0].rtp.send_to(&phone.protect(&rtp(3)), call.opened[0].rtp).unwrap();
    assert_eq!(driver::receive(&call.phones[1].rtp).0, rtp(3));
    check_both_ways(&call, &mut again, 4);
    assert_eq!(call.relay.threads.totals().handshakes, 2);
}

#[test]
fn another_process_goes_on_with_the_keys_of_a_handshake_that_the_first_has_had() {
    let mut call = Call::new(Latch::Port);
    let phone = certificate();
    let agreed = terms(DtlsRole::Server, phone.fingerprint(), "theirs");
    agree(&call, 0, &agreed, call.phones[0].muxing(Latch::Port));
    let mut ends = Shaking::begin(&phone, DtlsRole::Client, &call.phones[0].rtp, call.opened[0].rtp).finish();
    let mut talk = |call: &Call, number| {
        call.phones[0].rtp.send_to(&ends.protect(&rtp(number)), call.opened[0].rtp).unwrap();
        assert_eq!(driver::receive(&call.phones[1].rtp).0, rtp(number));
        call.phones[1].rtp.send_to(&rtp(number), call.opened[1].rtp).unwrap();
        assert_eq!(ends.open(driver::receive(&call.phones[0].rtp).0), rtp(number));
        call.phones[1].rtcp.send_to(&rtcp(), call.opened[1].rtcp).unwrap();
        assert_eq!(ends.open(driver::receive(&call.phones[0].rtp).0), rtcp());
    };
    talk(&call, 65_535);
    talk(&call, 0);
    call = call.taken_over();
    agree(&call, 0, &agreed, call.phones[0].muxing(Latch::Port));
    call.set_remote(1, call.phones[1].remote(Latch::Port));
    talk(&call, 1);
    assert_eq!(call.relay.threads.totals().handshakes, 0);
    // One that is agreed on anew is had.
    let next = terms(DtlsRole::Server, phone.fingerprint(), "others");
    agree(&call, 0, &next, call.phones[0].muxing(Latch::Port));
    Shaking::begin(&phone, DtlsRole::Client, &call.phones[0].rtp, call.opened[0].rtp).finish();
}

#[test]
fn a_port_says_that_a_handshake_is_going_on() {
    let call = Call::new(Latch::Port);
    let phone = certificate();
    let agreed = terms(DtlsRole::Server, phone.fingerprint(), "theirs");
    let knows = |call: &Call| {
        let memory = call.relay.remember(call.ports[0]);
        (memory.shaking, memory.agreed.is_some())
    };
    assert_eq!(knows(&call), (false, false));
    agree(&call, 0, &agreed, call.phones[0].muxing(Latch::Port));
    assert_eq!(knows(&call), (true, false));
    Shaking::begin(&phone, DtlsRole::Client, &call.phones[0].rtp, call.opened[0].rtp).finish();
    assert_eq!(knows(&call), (false, true));
}

/// A telephone whose keys of SRTP come from a handshake presses all keys as events, and is told some by them.
#[test]
fn keys_of_telephones_pass_under_the_keys_of_a_handshake() {
    let call = Call::new(Latch::Port);
    let own = certificate();
    agree(&call, 0, &terms(DtlsRole::Server, own.fingerprint(), "one"), call.phones[0].muxing(Latch::Port));
    let mut phone = Shaking::begin(&own, DtlsRole::Client, &call.phones[0].rtp, call.opened[0].rtp).finish();
    let [sound, events] = [coding(8, Codec::Pcma), coding(EVENTS, Codec::TelephoneEvent)];
    let ways = [(call.ports[0], vec![sound], KeyWay::Told), (call.ports[1], vec![sound, events], KeyWay::Events)];
    for ((from, to, way), other) in ways.into_iter().zip([1, 0]) {
        let keys = KeyRules { to: way, heard_in_band: false };
        let (from_codings, to_port) = (vec![sound, events], call.ports[other]);
        let conversion =
            Conversion { from: from_codings, to, ptime_ms: 20, keys, anew: false, sound: SoundRule::Heard };
        call.relay.threads.send(MediaCommand::Patch {
            from,
            to: Some(to_port),
            conversion: Some(Box::new(conversion)),
        });
    }
    call.relay.settle(&call.ports);
    let mut sequence = 0;
    for (number, key) in (0..).zip("0123456789*#ABCD".chars()) {
        let (event, timestamp) = (Event::from_key(key).unwrap(), number * 1_600);
        for packet in EventSender::new(event, 10, Duration::from_millis(80), timestamp, 8_000) {
            let (payload_type, marker, mut datagram) = (PayloadType(EVENTS), packet.marker, Vec::new());
            Header { marker, payload_type, sequence, timestamp, ssrc: Ssrc(7) }
                .write(&packet.payload.to_bytes(), &mut datagram);
            call.phones[0].rtp.send_to(&phone.protect(&datagram), call.opened[0].rtp).unwrap();
            sequence += 1;
        }
        let told = MediaEvent::Pressed { port: call.ports[0], key, duration_ms: 80 };
        assert_eq!(call.relay.event(), told);
    }
    // The other way, by signalling.
    call.relay.threads.send(MediaCommand::Press { port: call.ports[1], key: '7', duration_ms: 60 });
    let mut ends = 0;
    while ends < 3 {
        let packet = phone.open(driver::receive(&call.phones[0].rtp).0);
        let packet = Packet::parse(&packet).unwrap();
        let payload = EventPayload::parse(packet.payload()).unwrap();
        assert_eq!((packet.payload_type(), payload.event.key()), (PayloadType(EVENTS), Some('7')));
        ends += usize::from(payload.end);
    }
    let totals = call.relay.threads.totals();
    assert_eq!((totals.keys_told, totals.keys_dropped, totals.rejected_srtp), (16, 0, 0));
}

const EVENTS: u8 = 101;
