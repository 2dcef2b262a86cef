//! Drives nodes in virtual time over virtual links.

use crate::link::{Conditions, Link};
use crate::trace::{Datagram, Fate, Packet, Trace};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;
use sx_engine::{Rng, Time};

/// More datagrams at one instant than any test means to send: two nodes are answering each other without end.
const SENDS_AT_ONCE_MAX: usize = 100_000;

/// More timeouts of one node at one instant than any engine needs: it does not move its timer when the timer comes.
const TIMEOUTS_AT_ONCE_MAX: usize = 1_000;

/// What takes datagrams and time in and hands datagrams and timers out.
pub trait Node {
    /// Do datagrams to this address belong to this node?
    fn owns(&self, address: SocketAddr) -> bool;
    /// A datagram has arrived.
    fn handle_datagram(&mut self, now: Time, from: SocketAddr, to: SocketAddr, bytes: &[u8]);
    /// The time that [`poll_timeout`](Self::poll_timeout) named has come.
    fn handle_timeout(&mut self, now: Time);
    /// When [`handle_timeout`](Self::handle_timeout) must be called at the latest.
    fn poll_timeout(&self) -> Option<Time>;
    /// The next datagram to send; `None` when there is none.
    fn poll_transmit(&mut self) -> Option<Datagram>;
}

/// Why a run came to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing is under way and no node waits for a timer.
    Quiet,
    /// The time that was given is over.
    TimeUp,
}

/// A copy of a datagram on its way: arrival, then a serial number, so that what was sent first arrives first when
/// both arrive at the same instant. The last part is its index in the trace.
type UnderWay = Reverse<(Time, u64, usize)>;

/// Endpoints, the links between them, and the clock.
#[derive(Debug)]
pub struct Network {
    now: Time,
    seed: u64,
    default: Conditions,
    links: BTreeMap<(String, String), Link>,
    under_way: BinaryHeap<UnderWay>,
    serial: u64,
    trace: Trace,
}

impl Network {
    /// A network of perfect links whose clock stands at `start`.
    pub fn new(seed: u64, start: Time) -> Self {
        Self {
            now: start,
            seed,
            default: Conditions::PERFECT,
            links: BTreeMap::new(),
            under_way: BinaryHeap::new(),
            serial: 0,
            trace: Trace::default(),
        }
    }

    /// Names an address for links and for the ladder. Several addresses may share a name.
    pub fn name(&mut self, address: SocketAddr, name: &str) {
        self.trace.names.insert(address, name.to_owned());
    }

    /// What links do that [`link`](Self::link) has not been called for and that have not carried anything yet.
    pub fn set_default(&mut self, conditions: Conditions) {
        self.default = conditions;
    }

    /// What the link from one endpoint to another does from now on. The way back is another link.
    pub fn link(&mut self, from: &str, to: &str, conditions: Conditions) {
        self.link_between(from.to_owned(), to.to_owned()).set(conditions);
    }

    /// What the links between two endpoints do from now on, both ways.
    pub fn link_both_ways(&mut self, one: &str, other: &str, conditions: Conditions) {
        self.link(one, other, conditions);
        self.link(other, one, conditions);
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Everything that was sent so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Sends a datagram that comes from no node, for instance an attacker's.
    pub fn send(&mut self, datagram: Datagram) {
        let (from, to) = (self.trace.name_of(datagram.from), self.trace.name_of(datagram.to));
        let now = self.now;
        let arrivals = self.link_between(from, to).arrivals(now);
        let index = self.trace.packets.len();
        for arrival in &arrivals {
            self.serial += 1;
            self.under_way.push(Reverse((*arrival, self.serial, index)));
        }
        let fate = if arrivals.is_empty() { Fate::Lost } else { Fate::Arrives(arrivals) };
        self.trace.packets.push(Packet { sent: now, datagram, fate });
    }

    /// Lets time pass for at most `duration`. After [`Rest::TimeUp`] the clock stands at the end of it, after
    /// [`Rest::Quiet`] at the last thing that happened.
    ///
    /// # Panics
    /// When nodes keep each other or themselves busy without time passing.
    pub fn run(&mut self, nodes: &mut [&mut dyn Node], duration: Duration) -> Rest {
        let end = self.now + duration;
        loop {
            self.collect(nodes);
            match self.next_event(nodes) {
                None => return Rest::Quiet,
                Some(at) if at > end => {
                    self.now = end;
                    return Rest::TimeUp;
                }
                Some(_) => self.step(nodes),
            }
        }
    }

    /// Runs until `done` says so or nothing more happens before `limit` has passed. Did `done` say so?
    /// It is asked after each instant at which something happened. The clock stands as after [`run`](Self::run).
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub fn run_until(
        &mut self,
        nodes: &mut [&mut dyn Node],
        limit: Duration,
        mut done: impl FnMut(&Trace) -> bool,
    ) -> bool {
        let end = self.now + limit;
        loop {
            self.collect(nodes);
            if done(&self.trace) {
                return true;
            }
            match self.next_event(nodes) {
                None => return false,
                Some(at) if at > end => {
                    self.now = end;
                    return false;
                }
                Some(_) => self.step(nodes),
            }
        }
    }

    /// Moves the clock to the next event and lets everything happen that is due then.
    fn step(&mut self, nodes: &mut [&mut dyn Node]) {
        let Some(at) = self.next_event(nodes) else {
            return;
        };
        self.now = self.now.max(at);
        let sent_before = self.trace.packets.len();
        while let Some(index) = self.next_arrival() {
            self.deliver(nodes, index);
            self.collect(nodes);
            let sent = self.trace.packets.len() - sent_before;
            assert!(sent <= SENDS_AT_ONCE_MAX, "{sent} datagrams sent at {} without time passing", self.now);
        }
        for node in nodes.iter_mut() {
            self.expire(*node);
        }
        self.collect(nodes);
    }

    /// The earliest arrival or timer. A timer that is already past counts as due now.
    fn next_event(&self, nodes: &[&mut dyn Node]) -> Option<Time> {
        let arrival = self.under_way.peek().map(|Reverse((at, ..))| *at);
        let timer = nodes.iter().filter_map(|node| node.poll_timeout()).min();
        [arrival, timer].into_iter().flatten().min().map(|at| at.max(self.now))
    }

    fn next_arrival(&mut self) -> Option<usize> {
        match self.under_way.peek() {
            Some(Reverse((at, ..))) if *at <= self.now => self.under_way.pop().map(|Reverse((.., index))| index),
            _ => None,
        }
    }

    fn deliver(&mut self, nodes: &mut [&mut dyn Node], index: usize) {
        let packet = &mut self.trace.packets[index];
        let Datagram { from, to, bytes } = packet.datagram.clone();
        match nodes.iter_mut().find(|node| node.owns(to)) {
            Some(node) => node.handle_datagram(self.now, from, to, &bytes),
            None => packet.fate = Fate::Unreachable(self.now),
        }
    }

    fn expire(&mut self, node: &mut dyn Node) {
        for _ in 0..TIMEOUTS_AT_ONCE_MAX {
            match node.poll_timeout() {
                Some(at) if at <= self.now => node.handle_timeout(self.now),
                _ => return,
            }
        }
        panic!("a node wants {TIMEOUTS_AT_ONCE_MAX} timeouts at {} without time passing", self.now);
    }

    /// Sends what the nodes have to send.
    fn collect(&mut self, nodes: &mut [&mut dyn Node]) {
        for node in nodes.iter_mut() {
            let mut sends = 0;
            while let Some(datagram) = node.poll_transmit() {
                self.send(datagram);
                sends += 1;
                assert!(sends <= SENDS_AT_ONCE_MAX, "a node sends without end at {}", self.now);
            }
        }
    }

    /// The link, made on first use. Its chances depend on the seed and on the two names only, so that what else
    /// goes on in the network does not change them.
    fn link_between(&mut self, from: String, to: String) -> &mut Link {
        let (seed, default) = (self.seed, self.default);
        self.links.entry((from, to)).or_insert_with_key(|(from, to)| {
            let names = [from.as_bytes(), b"\0", to.as_bytes()].concat();
            Link::new(default, Rng::from_number(seed ^ fnv1a(&names)))
        })
    }
}

/// The 64-bit FNV-1a hash, spelt out because a hash from the standard library may differ between its versions.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
