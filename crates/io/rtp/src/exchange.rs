//! What all threads share: the configuration, the pools of port numbers, the open ports, and the way to tell events.

use crate::bind::{bind, facing};
use crate::clock::Clock;
use crate::config::{MediaInterface, RtpConfig, StartError, ThreadError};
use crate::mixing::Rooms;
use crate::playing::Stage;
use crate::pool::Pool;
use crate::port_sockets::PortSockets;
use crate::recording::{RecordingThreads, Recordings};
use crate::totals::PoolUse;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use sx_engine::{Rng, Time};
use sx_media::{Closed, MediaEvent, OpenError, PortId, PortStats, TrafficClass};

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
pub(crate) struct Lease {
    exchange: Weak<Exchange>,
    id: PortId,
    pool: usize,
    number: u16,
    /// What the port has counted, once it is closed.
    counted: OnceLock<PortStats>,
}

impl Lease {
    /// So much the port has counted.
    pub(crate) fn count(&self, stats: PortStats) {
        self.counted.get_or_init(|| stats);
    }
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
            sockets.close(counted);
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

/// A lock whose holder panicked guards counts and tables that are whole all the same.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
