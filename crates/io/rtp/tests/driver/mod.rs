//! Relays and telephones over real sockets on the loopback interface. Nothing sleeps: what was not relayed is known not
//! to have been because something sent after it arrived.
#![allow(dead_code, reason = "each test file is a crate of its own and uses its part")]

pub mod srtp;
pub mod voice;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use sx_io_rtp::{Certificate, Local, MediaInterface, PacketThreads, Recordings, RtpConfig};
use sx_media::{
    Coding, Conversion, KeyRules, Latch, MediaCommand, MediaEvent, OpenError, Opened, PortId, PortMemory, PortStats,
    Remote, SoundRule, TrafficClass,
};

pub const WORKER: u64 = 5;
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Numbers that no other test of this file uses.
pub fn numbers(count: u16) -> RangeInclusive<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = std::process::id() as u16;
    // In `epoll.rs` each file counts for itself. Rooms last for seconds, and would be in the way of all others.
    let begin = match module_path!().starts_with("epoll::rooms") {
        true => 30_000 + process % 20 * 130,
        false => 10_000 + process % 100 * 200,
    };
    let first = begin + NEXT.fetch_add(count, Ordering::Relaxed);
    first..=first + count - 1
}

pub fn config(ports: RangeInclusive<u16>) -> RtpConfig {
    let loopback = MediaInterface {
        bind_v4: Some(Ipv4Addr::LOCALHOST),
        bind_v6: Some(Ipv6Addr::LOCALHOST),
        ..MediaInterface::new("loopback")
    };
    let handshakes = Some(local().clone());
    // `epoll.rs` runs the tests of others once more.
    let io_uring = !module_path!().starts_with("epoll::");
    RtpConfig { interfaces: vec![loopback], ports, threads: 2, io_uring, handshakes, ..RtpConfig::default() }
}

/// What the relays make handshakes with.
pub fn local() -> &'static Local {
    static LOCAL: OnceLock<Local> = OnceLock::new();
    LOCAL.get_or_init(|| Local::new(Certificate::self_signed().unwrap()).unwrap())
}

pub fn id(call: u64, stream: u64) -> PortId {
    PortId(WORKER << 48 | call << 8 | stream)
}

pub struct Relay {
    pub threads: PacketThreads,
    pub events: Receiver<(u16, MediaEvent)>,
}

impl Relay {
    pub fn start(config: &RtpConfig) -> Self {
        Self::start_recording(config, None)
    }

    pub fn start_recording(config: &RtpConfig, recordings: Option<Arc<dyn Recordings>>) -> Self {
        let (told, events) = channel();
        let tell = move |worker, event| {
            // A test that has failed receives no more, while its relay still closes its ports.
            let _ = told.send((worker, event));
        };
        Self {
            threads: PacketThreads::start_recording(config, recordings, tell, |error| panic!("{error}")).unwrap(),
            events,
        }
    }

    pub fn event(&self) -> MediaEvent {
        let (worker, event) = self.events.recv_timeout(PATIENCE).unwrap();
        assert_eq!(u64::from(worker), WORKER);
        event
    }

    pub fn open_on(&self, port: PortId, ipv6: bool) -> MediaEvent {
        self.open_at(port, ipv6, None)
    }

    pub fn open_at(&self, port: PortId, ipv6: bool, number: Option<u16>) -> MediaEvent {
        let (interface, class) = ("loopback".into(), TrafficClass::Audio);
        self.threads.send(MediaCommand::Open { port, interface, ipv6, class, host: None, number });
        self.event()
    }

    /// What a port knows of its peer.
    pub fn remember(&self, port: PortId) -> Box<PortMemory> {
        self.threads.send(MediaCommand::Remember { port });
        match self.event() {
            MediaEvent::Remembered { port: of, memory } if of == port => memory,
            other => panic!("{other:?}"),
        }
    }

    pub fn open(&self, port: PortId) -> Opened {
        match self.open_on(port, false) {
            MediaEvent::Opened(opened) if opened.port == port => opened,
            other => panic!("{other:?}"),
        }
    }

    pub fn set_remote(&self, port: PortId, remote: Remote) {
        self.threads.send(MediaCommand::SetRemote { port, remote, keys: None });
    }

    pub fn patch(&self, from: PortId, to: Option<PortId>) {
        self.threads.send(MediaCommand::Patch { from, to, conversion: None });
    }

    /// Patches two ports to each other with what each takes.
    pub fn convert(&self, one: (PortId, &[Coding]), other: (PortId, &[Coding])) {
        for ((from, takes), (to, wants)) in [(one, other), (other, one)] {
            let conversion = Conversion {
                from: takes.to_vec(),
                to: wants.to_vec(),
                ptime_ms: 20,
                keys: KeyRules::default(),
                anew: false,
                sound: SoundRule::Heard,
            };
            let conversion = Some(Box::new(conversion));
            self.threads.send(MediaCommand::Patch { from, to: Some(to), conversion });
        }
    }

    pub fn patch_both(&self, one: PortId, other: PortId) {
        self.patch(one, Some(other));
        self.patch(other, Some(one));
    }

    /// Returns when the threads of these ports have obeyed all that was sent to them.
    pub fn settle(&self, ports: &[PortId]) {
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

    /// Returns what is told meanwhile of a port, when its thread has obeyed all that was sent to it.
    pub fn told_until_settled(&self, port: PortId) -> Vec<MediaEvent> {
        let port = PortId(port.0 | 0xff);
        let (interface, class) = ("none".into(), TrafficClass::Audio);
        self.threads.send(MediaCommand::Open { port, interface, ipv6: false, class, host: None, number: None });
        let settled = MediaEvent::OpenFailed { port, error: OpenError::NoInterface };
        std::iter::from_fn(|| Some(self.event()).filter(|event| *event != settled)).collect()
    }

    /// What a port has counted so far.
    pub fn count(&self, port: PortId) -> PortStats {
        self.threads.send(MediaCommand::Count { port });
        match self.event() {
            MediaEvent::Counted(counted) if counted.port == port => counted.stats,
            other => panic!("{other:?}"),
        }
    }

    pub fn close(&self, port: PortId) -> PortStats {
        self.threads.send(MediaCommand::Close { port });
        match self.event() {
            MediaEvent::Closed(closed) if closed.port == port => closed.stats,
            other => panic!("{other:?}"),
        }
    }
}

/// A telephone's sockets.
pub struct Phone {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
}

impl Phone {
    pub fn new() -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into())
    }

    pub fn at(ip: IpAddr) -> Self {
        let socket = || {
            let socket = UdpSocket::bind((ip, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        Self { rtp: socket(), rtcp: socket() }
    }

    pub fn remote(&self, latch: Latch) -> Remote {
        let (rtp, rtcp) = (self.rtp.local_addr().unwrap(), self.rtcp.local_addr().unwrap());
        Remote { rtp, rtcp, latch, receives: true, sends: true, wants_metrics: false, codec: None }
    }

    pub fn muxing(&self, latch: Latch) -> Remote {
        Remote { rtcp: self.rtp.local_addr().unwrap(), ..self.remote(latch) }
    }
}

pub fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 4096];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => return (buffer[..length].to_vec(), from),
            // The kernel interrupts the thread that a ring was made on for work of its own.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => panic!("{error}"),
        }
    }
}

pub fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 8, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet.extend((0..160).map(|index| (index ^ sequence) as u8));
    packet
}

pub fn rtcp() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 1, 2, 3, 4]
}

/// Two telephones and the ports that face them.
pub struct Call {
    pub relay: Relay,
    numbers: RangeInclusive<u16>,
    pub phones: [Phone; 2],
    pub ports: [PortId; 2],
    pub opened: [Opened; 2],
}

impl Call {
    pub fn new(latch: Latch) -> Self {
        Self::between([id(1, 0), id(1, 1)], latch)
    }

    pub fn between(ports: [PortId; 2], latch: Latch) -> Self {
        let numbers = numbers(8);
        let relay = Relay::start(&config(numbers.clone()));
        let phones = [Phone::new(), Phone::new()];
        let opened = ports.map(|port| relay.open(port));
        for (port, phone) in ports.iter().zip(&phones) {
            relay.set_remote(*port, phone.remote(latch));
        }
        relay.patch_both(ports[0], ports[1]);
        relay.settle(&ports);
        Self { relay, numbers, phones, ports, opened }
    }

    /// Another relay takes the place of this one, as of another process, and knows what this one has known.
    pub fn taken_over(self) -> Self {
        let call = self.taken_over_as(|_, text| text);
        call.relay.settle(&call.ports);
        call
    }

    /// Likewise, with what a port has known as somebody else has written it.
    pub fn taken_over_as(self, edit: impl Fn(PortId, String) -> String) -> Self {
        let Self { relay, numbers, phones, ports, opened } = self;
        let memories = ports.map(|port| serde_json::to_string(&relay.remember(port)).unwrap());
        drop(relay);
        let relay = Relay::start(&config(numbers.clone()));
        for (port, opened) in ports.iter().zip(&opened) {
            let again = relay.open_at(*port, false, Some(opened.rtp.port()));
            assert_eq!(again, MediaEvent::Opened(*opened));
        }
        for (port, memory) in ports.iter().zip(memories) {
            let memory = serde_json::from_str(&edit(*port, memory)).unwrap();
            relay.threads.send(MediaCommand::Resume { port: *port, memory });
        }
        relay.patch_both(ports[0], ports[1]);
        Self { relay, numbers, phones, ports, opened }
    }

    pub fn set_remote(&self, end: usize, remote: Remote) {
        self.relay.set_remote(self.ports[end], remote);
        self.relay.settle(&self.ports);
    }

    /// A packet sent from a socket to the port of one end arrives at the other end's telephone unchanged.
    pub fn check_relayed(&self, socket: &UdpSocket, end: usize, packet: &[u8]) {
        socket.send_to(packet, self.opened[end].rtp).unwrap();
        let far = 1 - end;
        assert_eq!(receive(&self.phones[far].rtp), (packet.to_vec(), self.opened[far].rtp));
    }

    pub fn check_both_ways(&self) {
        for end in [0, 1] {
            for sequence in 0..40 {
                self.check_relayed(&self.phones[end].rtp, end, &rtp(sequence));
            }
        }
    }
}
