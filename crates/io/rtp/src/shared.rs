//! What packet threads share: the sockets of each port and where they send to, the pools, the way to tell events.

use crate::clock::Clock;
use crate::config::{MediaInterface, RtpConfig, StartError, ThreadError};
use crate::metrics::Metrics;
use crate::mixing::Rooms;
use crate::playing::{Stage, Turn};
use crate::pool::Pool;
use crate::port::{Channel, Destinations};
use crate::recording::{RecordingThreads, Recordings};
use crate::secure::Sealer;
use crate::sent_reports::SentReports;
use crate::sys::{Chosen, Failure, Intake, RawAddress, Sent};
use crate::totals::PoolUse;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use sx_audio::{Sent as Sending, Succession};
use sx_engine::{Rng, Time};
use sx_media::{Closed, MediaEvent, OpenError, PortId, PortStats, StreamMemory, TrafficClass};
use sx_rtp::Translated;

/// Who has started the threads.
pub(crate) struct Owner {
    /// How events reach the worker whose number is given.
    pub(crate) events: Box<dyn Fn(u16, MediaEvent) + Send + Sync>,
    /// What is done about a thread that cannot go on, by that thread.
    pub(crate) failed: Box<dyn Fn(&ThreadError) + Send + Sync>,
}

/// What every thread can reach. Its locks are taken for commands and metrics, and for a packet only when the system says that
/// it was not sent.
pub(crate) struct Exchange {
    pub(crate) config: RtpConfig,
    pub(crate) clock: Clock,
    pub(crate) rooms: Rooms,
    pub(crate) stage: Stage,
    pub(crate) recorders: RecordingThreads,
    /// Where recordings are made; `None`: nowhere.
    pub(crate) recordings: Option<Arc<dyn Recordings>>,
    /// Locked when a port opens, when its numbers are free again, and by whoever reads metrics.
    pools: Vec<AddressPool>,
    /// Locked when a port opens, closes or is patched to, each 100 ms for a patch to a port that is not there yet, and for each
    /// packet that was not sent.
    ports: Mutex<HashMap<PortId, Arc<PortSockets>>>,
    owner: Owner,
}

/// The pool of one local address.
struct AddressPool {
    address: IpAddr,
    pool: Mutex<Pool>,
}

/// The sockets of a new port.
pub(crate) struct Bound {
    pub(crate) sockets: Arc<PortSockets>,
    /// The addresses peers are told for RTP and RTCP.
    pub(crate) advertised: (SocketAddr, SocketAddr),
}

/// What is asked of a new port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) interface: &'a str,
    pub(crate) ipv6: bool,
    pub(crate) class: TrafficClass,
    pub(crate) host: Option<IpAddr>,
    /// This number and its successor, or any pair.
    pub(crate) number: Option<u16>,
}

/// The number of RTP, its socket and that of RTCP.
type BoundPair = (u16, UdpSocket, UdpSocket);

/// A pair of numbers in use, until nobody has the sockets any more: whoever hears that a port is closed may bind them anew.
struct Lease {
    exchange: Weak<Exchange>,
    id: PortId,
    pool: usize,
    number: u16,
    /// What the port has counted, once it is closed.
    counted: OnceLock<PortStats>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(exchange) = self.exchange.upgrade() else { return };
        locked(&exchange.pools[self.pool].pool).release(exchange.clock.now(), self.number);
        if let Some(stats) = self.counted.get().copied() {
            exchange.tell(self.id, MediaEvent::Closed(Closed { port: self.id, stats }));
        }
    }
}

impl Exchange {
    pub(crate) fn new(
        config: RtpConfig,
        recordings: Option<Arc<dyn Recordings>>,
        owner: Owner,
    ) -> Result<Self, StartError> {
        config.check()?;
        // The keys of the standard hasher are the operating system's randomness.
        let mut rng = Rng::from_number(RandomState::new().build_hasher().finish());
        let mut pools: Vec<AddressPool> = Vec::new();
        for interface in &config.interfaces {
            for (address, _) in interface.addresses() {
                bind(SocketAddr::new(address, 0), &config, TrafficClass::Audio).map_err(|source| StartError::Bind {
                    interface: interface.name.clone(),
                    address,
                    source,
                })?;
                if pools.iter().all(|pool| pool.address != address) {
                    let pool = Mutex::new(Pool::new(&config.ports, config.quarantine, &mut rng));
                    pools.push(AddressPool { address, pool });
                }
            }
        }
        let (rooms, recorders) = (Rooms::new(config.threads), RecordingThreads::new(config.threads));
        let stage = Stage::new(config.sounds.clone());
        let (clock, ports) = (Clock::start(), Mutex::new(HashMap::new()));
        Ok(Self { config, clock, rooms, stage, recorders, recordings, pools, ports, owner })
    }

    /// Tells the worker that allocated the port.
    pub(crate) fn tell(&self, port: PortId, event: MediaEvent) {
        (self.owner.events)((port.0 >> 48) as u16, event);
    }

    /// Tells whoever has started the threads that this one ends by itself.
    pub(crate) fn fail(&self, error: &ThreadError) {
        (self.owner.failed)(error);
    }

    /// Binds a pair of an interface and makes it known to every thread.
    pub(crate) fn open(self: &Arc<Self>, now: Time, port: PortId, wanted: &Wanted<'_>) -> Result<Bound, OpenError> {
        let Wanted { interface, ipv6, class, host, number } = *wanted;
        let interface = self.config.interfaces.iter().find(|known| *known.name == *interface);
        let (address, advertised) = interface
            .and_then(|interface| interface.addresses().find(|(bound, _)| bound.is_ipv6() == ipv6))
            .ok_or(OpenError::NoInterface)?;
        let advertised = if advertised.is_unspecified() { facing(host, ipv6) } else { advertised };
        let pool = self.pools.iter().position(|pool| pool.address == address).ok_or(OpenError::NoInterface)?;
        let (number, rtp, rtcp) = match number {
            Some(number) => self.bind_number(now, &self.pools[pool], class, number)?,
            None => self.bind_free(now, &self.pools[pool], class)?,
        };
        let (exchange, counted) = (Arc::downgrade(self), OnceLock::new());
        let lease = Lease { exchange, id: port, pool, number, counted };
        let sockets = Arc::new(PortSockets::new(port, class, (rtp, rtcp), lease));
        locked(&self.ports).insert(port, sockets.clone());
        let advertised = (SocketAddr::new(advertised, number), SocketAddr::new(advertised, number + 1));
        Ok(Bound { sockets, advertised })
    }

    /// Where a peer's address is reached from here. One that we advertise for ports of ours leads back to us, to a call that
    /// another worker has. Few routers take a packet back that way: it goes to where the port is bound.
    pub(crate) fn seen_from_here(&self, address: SocketAddr) -> SocketAddr {
        let leads_back = |(_, advertised): &(IpAddr, IpAddr)| {
            *advertised == address.ip() && !advertised.is_unspecified() && self.config.ports.contains(&address.port())
        };
        let bound = self.config.interfaces.iter().flat_map(MediaInterface::addresses).find(leads_back);
        bound.map_or(address, |(bound, _)| {
            // Of a port that is bound to every address, any one of the machine will do, if both sides take the same.
            let ip = if bound.is_unspecified() { facing(None, bound.is_ipv6()) } else { bound };
            SocketAddr::new(ip, address.port())
        })
    }

    /// Tries each pair at most once: numbers that another program holds are set aside.
    fn bind_free(&self, now: Time, pool: &AddressPool, class: TrafficClass) -> Result<BoundPair, OpenError> {
        let pairs = locked(&pool.pool).len();
        for _ in 0..pairs {
            let number = locked(&pool.pool).take(now).ok_or(OpenError::PoolExhausted)?;
            match self.bind_pair(pool, class, number) {
                Ok(pair) => return Ok(pair),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    tracing::debug!(number, "port numbers held by another program set aside");
                    locked(&pool.pool).set_aside(now, number);
                }
                Err(error) => {
                    tracing::error!(%error, "the operating system refused a media port");
                    locked(&pool.pool).release(now, number);
                    return Err(OpenError::System);
                }
            }
        }
        Err(OpenError::PoolExhausted)
    }

    /// These numbers and no others.
    fn bind_number(
        &self,
        now: Time,
        pool: &AddressPool,
        class: TrafficClass,
        number: u16,
    ) -> Result<BoundPair, OpenError> {
        if !locked(&pool.pool).take_number(number) {
            return Err(OpenError::NumberTaken);
        }
        self.bind_pair(pool, class, number).map_err(|error| {
            tracing::error!(%error, number, "the numbers of a call that goes on here cannot be bound");
            locked(&pool.pool).release(now, number);
            if error.kind() == io::ErrorKind::AddrInUse { OpenError::NumberTaken } else { OpenError::System }
        })
    }

    fn bind_pair(&self, pool: &AddressPool, class: TrafficClass, number: u16) -> io::Result<BoundPair> {
        let rtp = bind(SocketAddr::new(pool.address, number), &self.config, class)?;
        Ok((number, rtp, bind(SocketAddr::new(pool.address, number + 1), &self.config, class)?))
    }

    /// The sockets of an open port of any thread.
    pub(crate) fn find(&self, port: PortId) -> Option<Arc<PortSockets>> {
        locked(&self.ports).get(&port).cloned()
    }

    /// Forgets a port. Its sockets close as soon as no thread is patched to it any more and no room has it; that is told then,
    /// if it has counted anything.
    pub(crate) fn close(&self, port: PortId, counted: Option<PortStats>) {
        let sockets = locked(&self.ports).remove(&port);
        if let Some(sockets) = sockets {
            sockets.closed.store(true, Ordering::Release);
            if let Some(counted) = counted {
                sockets.lease.counted.get_or_init(|| counted);
            }
        }
    }

    /// How full each pool is.
    pub(crate) fn pool_use(&self) -> Vec<PoolUse> {
        self.pools
            .iter()
            .map(|AddressPool { address, pool }| {
                let pool = locked(pool);
                let (in_use, resting) = pool.in_use_and_resting();
                PoolUse { address: *address, pairs: pool.len(), in_use, resting }
            })
            .collect()
    }
}

/// The pair of sockets of a port, where they send to, and what was sent. Every thread that has something to send to the port's
/// peer has them; who writes what stands with each field. "The sender" is whichever thread sends to the peer: that of the port
/// that is patched here, the port's own, or one that mixes or plays.
pub(crate) struct PortSockets {
    id: PortId,
    rtp: UdpSocket,
    rtcp: UdpSocket,
    /// Written by the port's own thread; read by the sender, without a lock.
    destinations: DestinationCell,
    /// Keys come from the port's own thread. The sender locks it for each batch that is protected, and for none in the clear.
    sealer: Sealer,
    /// Written by the sender, locked for each sender report; read by the port's own thread, for each block that names one.
    sent_reports: SentReports,
    /// Written by the port's own thread; taken by whichever makes reports for the peer.
    metrics: Metrics,
    /// Set once, by the port's own thread.
    closed: AtomicBool,
    /// These three are counted by the sender.
    packets_sent: AtomicU64,
    bytes_sent: AtomicU64,
    send_errors: AtomicU64,
    /// The source of what is made for the peer here, unless it was sent something before.
    ssrc: u32,
    /// What the peer is sent as one stream, by whomever. `None`: it is pictures, of which there may be several streams at once.
    /// The sender locks it for each batch; the port's own thread for commands, and for RTCP that has arrived.
    stream: Option<Mutex<Succession>>,
    /// What goes to the peer, or comes from it, is coded anew. Set by the thread of either port of the patch; taken back by the
    /// port's own.
    converted: AtomicBool,
    /// Begun by the port's own thread; ended by it, by the thread of a port that is patched here, or by who plays when there is
    /// no more. Who plays locks it for each 20 ms that it sends.
    turn: Turn,
    /// The last: fields are dropped in their order, and the numbers are free when the sockets are closed.
    lease: Lease,
}

impl PortSockets {
    fn new(id: PortId, class: TrafficClass, (rtp, rtcp): (UdpSocket, UdpSocket), lease: Lease) -> Self {
        Self {
            id,
            rtp,
            rtcp,
            destinations: DestinationCell::default(),
            sealer: Sealer::default(),
            sent_reports: SentReports::default(),
            metrics: Metrics::default(),
            closed: AtomicBool::new(false),
            packets_sent: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            send_errors: AtomicU64::new(0),
            ssrc: RandomState::new().build_hasher().finish() as u32,
            stream: (class == TrafficClass::Audio).then(Mutex::default),
            converted: AtomicBool::new(false),
            turn: Turn::default(),
            lease,
        }
    }

    /// The port that they are of.
    pub(crate) fn id(&self) -> PortId {
        self.id
    }

    /// The socket of a channel.
    pub(crate) fn socket(&self, channel: Channel) -> &UdpSocket {
        match channel {
            Channel::Rtp => &self.rtp,
            Channel::Rtcp => &self.rtcp,
        }
    }

    /// What protects packets for the peer.
    pub(crate) fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// The sender reports that the peer may answer.
    pub(crate) fn sent_reports(&self) -> &SentReports {
        &self.sent_reports
    }

    /// What the peer is to be told of its sound.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// From now on packets go there. For the port's own thread only.
    pub(crate) fn set_destinations(&self, destinations: &Destinations) {
        self.destinations.write(destinations);
    }

    /// The socket that RTP leaves from and where it goes; `None` when nothing is to be sent.
    pub(crate) fn towards_rtp(&self) -> Option<(&UdpSocket, RawAddress)> {
        let (words, _) = self.destinations.read(0);
        words.map(|words| (&self.rtp, RawAddress::from_words(words)))
    }

    /// The same for RTCP.
    pub(crate) fn towards_rtcp(&self) -> Option<(&UdpSocket, RawAddress)> {
        let (words, mux) = self.destinations.read(4);
        let socket = if mux { &self.rtp } else { &self.rtcp };
        words.map(|words| (socket, RawAddress::from_words(words)))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// RTP was sent.
    pub(crate) fn count_rtp(&self, sent: Sent) {
        self.packets_sent.fetch_add(sent.packets, Ordering::Relaxed);
        self.bytes_sent.fetch_add(sent.bytes, Ordering::Relaxed);
        self.count_errors(sent);
    }

    /// Something was not sent.
    pub(crate) fn count_errors(&self, sent: Sent) {
        if sent.errors > 0 {
            self.send_errors.fetch_add(sent.errors, Ordering::Relaxed);
        }
    }

    /// A packet was counted as sent, and was not.
    pub(crate) fn count_not_sent(&self, Failure { label, bytes }: Failure) {
        if label.is_rtp {
            self.packets_sent.fetch_sub(1, Ordering::Relaxed);
            self.bytes_sent.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.send_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Whose turn it is to send to the peer.
    pub(crate) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// The source of what is made for the peer here, unless it was sent something before.
    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// So much was sent of what is coded anew.
    pub(crate) fn set_sending(&self, sent: Option<Sending>) {
        if let Some(stream) = &self.stream {
            locked(stream).set_sent(sent);
        }
    }

    /// What was sent to the peer, by whomever.
    pub(crate) fn sending(&self) -> Option<Sending> {
        locked(self.stream.as_ref()?).sent()
    }

    /// Makes packets that have arrived at a port part of the stream to the peer of this one. Gives those that are.
    pub(crate) fn join(&self, now: Time, from: &Self, received: &mut Intake, rtp: Chosen) -> Chosen {
        let Some(stream) = self.stream.as_ref().filter(|_| !rtp.is_empty()) else { return rtp };
        let (mut stream, mut joined) = (locked(stream), Chosen::default());
        if self.towards_rtp().is_none() {
            stream.withhold();
            return joined;
        }
        for index in rtp.indices() {
            if stream.pass(now, from.id.0, received.batch().packet(index).1) {
                joined.add(index);
            }
        }
        joined
    }

    /// Packets for the peer go nowhere: what comes next follows what was sent.
    pub(crate) fn withhold(&self) {
        if let Some(stream) = &self.stream {
            locked(stream).withhold();
        }
    }

    /// As what the peer knows the stream of a port.
    pub(crate) fn translated(&self, from: &Self) -> Option<Translated> {
        locked(self.stream.as_ref()?).translated(from.id.0)
    }

    /// What the peer takes has a clock.
    pub(crate) fn set_clock(&self, clock_hz: u32) {
        if let Some(stream) = &self.stream {
            locked(stream).set_clock(clock_hz);
        }
    }

    /// How far the stream to the peer has come.
    pub(crate) fn remember_stream(&self) -> Option<StreamMemory> {
        locked(self.stream.as_ref()?).remember()
    }

    /// Another process has come so far.
    pub(crate) fn resume_stream(&self, memory: &StreamMemory) {
        if let Some(stream) = &self.stream {
            locked(stream).resume(memory);
        }
    }

    /// What goes to the peer, or comes from it, is coded anew, or is so no more.
    pub(crate) fn set_converted(&self, converted: bool) {
        self.converted.store(converted, Ordering::Relaxed);
    }

    /// Is it coded anew?
    pub(crate) fn is_converted(&self) -> bool {
        self.converted.load(Ordering::Relaxed)
    }

    /// RTP packets and bytes sent, and packets that could not be.
    pub(crate) fn sent(&self) -> Sent {
        Sent {
            packets: self.packets_sent.load(Ordering::Relaxed),
            bytes: self.bytes_sent.load(Ordering::Relaxed),
            errors: self.send_errors.load(Ordering::Relaxed),
        }
    }
}

/// Two addresses and a flag that one thread writes and any thread reads without a lock: a sequence lock, whose
/// version is odd while it is written.
#[derive(Default)]
struct DestinationCell {
    version: AtomicU64,
    /// RTP in the first four, RTCP in the last four; all zeros is nowhere.
    words: [AtomicU64; 8],
    mux: AtomicBool,
}

impl DestinationCell {
    fn write(&self, destinations: &Destinations) {
        let raw = |address: Option<SocketAddr>| address.map_or_else(RawAddress::default, RawAddress::from).words();
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (cell, word) in self.words.iter().zip([raw(destinations.rtp), raw(destinations.rtcp)].as_flattened()) {
            cell.store(*word, Ordering::Relaxed);
        }
        self.mux.store(destinations.mux, Ordering::Relaxed);
        self.version.store(version + 2, Ordering::Release);
    }

    /// The four words from `at`, and the flag.
    fn read(&self, at: usize) -> (Option<[u64; 4]>, bool) {
        loop {
            let before = self.version.load(Ordering::Acquire);
            let words = std::array::from_fn(|index| self.words[at + index].load(Ordering::Relaxed));
            let mux = self.mux.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == before {
                return (Some(words).filter(|words| *words != [0; 4]), mux);
            }
            std::hint::spin_loop();
        }
    }
}

fn bind(address: SocketAddr, config: &RtpConfig, class: TrafficClass) -> io::Result<UdpSocket> {
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
fn facing(host: Option<IpAddr>, ipv6: bool) -> IpAddr {
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

/// A lock whose holder panicked guards counts and tables that are whole all the same.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_never_sees_half_an_address() {
        let cell = DestinationCell::default();
        let address = |number: u16| Some(SocketAddr::from(([number; 8], number)));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut last = 0;
                while last < 20_000 {
                    let Some(rtcp) = cell.read(4).0.and_then(|words| RawAddress::from_words(words).socket_addr())
                    else {
                        continue;
                    };
                    assert_eq!(Some(rtcp), address(rtcp.port()));
                    assert!(rtcp.port() >= last);
                    last = rtcp.port();
                }
            });
            for number in 1..=20_000 {
                cell.write(&Destinations { rtp: None, rtcp: address(number), mux: false });
            }
            reader.join().unwrap();
        });
        assert_eq!(cell.read(0).0, None);
    }

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
