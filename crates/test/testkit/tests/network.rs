//! Two nodes over a virtual network: time, order, loss, duplicates, determinism.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use sx_engine::Time;
use sx_testkit::{Conditions, Datagram, Fate, Network, Node, Rest};

const START: Time = Time::from_secs(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);

/// Sends a numbered datagram every interval and remembers what arrives.
struct Talker {
    address: SocketAddr,
    peer: SocketAddr,
    interval: Duration,
    left: u8,
    next: Option<Time>,
    outbox: VecDeque<Datagram>,
    heard: Vec<(Time, u8)>,
}

impl Talker {
    fn new(host: u8, peer: u8, count: u8, interval: Duration) -> Self {
        Self {
            address: address(host),
            peer: address(peer),
            interval,
            left: count,
            next: (count > 0).then_some(START),
            outbox: VecDeque::new(),
            heard: Vec::new(),
        }
    }

    fn numbers(&self) -> Vec<u8> {
        self.heard.iter().map(|(_, number)| *number).collect()
    }
}

impl Node for Talker {
    fn owns(&self, address: SocketAddr) -> bool {
        address == self.address
    }

    fn handle_datagram(&mut self, now: Time, from: SocketAddr, _: SocketAddr, bytes: &[u8]) {
        assert_eq!(from, self.peer);
        self.heard.push((now, bytes[0]));
    }

    fn handle_timeout(&mut self, now: Time) {
        self.left -= 1;
        self.next = (self.left > 0).then_some(now + self.interval);
        self.outbox.push_back(Datagram::new(self.address, self.peer, &[self.left]));
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.next
    }

    fn poll_transmit(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }
}

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 5060))
}

fn network(seed: u64, conditions: Conditions) -> Network {
    let mut network = Network::new(seed, START);
    network.name(address(1), "alice");
    network.name(address(2), "bob");
    network.set_default(conditions);
    network
}

/// What bob hears of 200 datagrams, one every 20 ms.
fn heard(seed: u64, conditions: Conditions) -> (Vec<(Time, u8)>, Network) {
    let (mut alice, mut bob) = (Talker::new(1, 2, 200, Duration::from_millis(20)), Talker::new(2, 1, 0, SECOND));
    let mut network = network(seed, conditions);
    assert_eq!(network.run(&mut [&mut alice, &mut bob], 100 * SECOND), Rest::Quiet);
    (bob.heard, network)
}

#[test]
fn a_perfect_link_keeps_order_and_takes_no_time() {
    let (heard, network) = heard(1, Conditions::PERFECT);
    assert!(heard.iter().map(|(_, n)| *n).eq((0..200).rev()));
    assert_eq!(heard[199].0.since(START), Duration::from_millis(20 * 199));
    assert_eq!(network.trace().between("alice", "bob").count(), 200);
    assert_eq!(network.trace().between("bob", "alice").count(), 0);
}

#[test]
fn jitter_reorders_and_loses_nothing() {
    let (heard, _) = heard(1, Conditions::PERFECT.jitter(Duration::from_millis(100)));
    let mut numbers: Vec<u8> = heard.iter().map(|(_, n)| *n).collect();
    assert!(!numbers.is_sorted_by(|a, b| a > b), "nothing was reordered");
    assert!(heard.is_sorted_by_key(|(at, _)| *at));
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..200));
}

#[test]
fn what_the_trace_says_arrived_is_what_was_heard() {
    let (heard, network) = heard(3, Conditions::PERFECT.loss(0.2).duplicate(0.2).delay(Duration::from_millis(30)));
    let mut arrivals: Vec<(Time, u8)> = Vec::new();
    let mut lost = 0;
    for packet in network.trace().packets() {
        match &packet.fate {
            Fate::Arrives(times) => arrivals.extend(times.iter().map(|at| (*at, packet.datagram.bytes[0]))),
            Fate::Lost => lost += 1,
            Fate::Unreachable(_) => panic!("both nodes were there"),
        }
    }
    arrivals.sort_by_key(|(at, _)| *at);
    assert_eq!(heard, arrivals);
    assert!((20..60).contains(&lost), "{lost} of 200 lost");
    assert!(heard.len() > 200 - lost, "nothing was duplicated");
}

#[test]
fn the_same_seed_replays_and_another_does_not() {
    let rough = Conditions::PERFECT.loss(0.1).duplicate(0.1).jitter(Duration::from_millis(50));
    let ((one, first), (two, second), (other, _)) = (heard(7, rough), heard(7, rough), heard(8, rough));
    assert_eq!(one, two);
    assert_eq!(first.trace().packets(), second.trace().packets());
    assert_ne!(one, other);
}

#[test]
fn traffic_on_one_link_does_not_change_the_chances_of_another() {
    let rough = Conditions::PERFECT.loss(0.3);
    let (alone, _) = heard(7, rough);
    let mut alice = Talker::new(1, 2, 200, Duration::from_millis(20));
    let mut bob = Talker::new(2, 1, 100, Duration::from_millis(7));
    network(7, rough).run(&mut [&mut alice, &mut bob], 100 * SECOND);
    assert_eq!(bob.heard, alone);
}

#[test]
fn a_cut_link_heals() {
    let (mut alice, mut bob) = (Talker::new(1, 2, 10, SECOND), Talker::new(2, 1, 0, SECOND));
    let mut network = network(1, Conditions::PERFECT);
    network.link_both_ways("alice", "bob", Conditions::CUT);
    assert_eq!(network.run(&mut [&mut alice, &mut bob], 4 * SECOND), Rest::TimeUp);
    assert_eq!(bob.numbers(), [0; 0]);
    assert_eq!(network.now(), START + 4 * SECOND);
    network.link("alice", "bob", Conditions::PERFECT);
    assert_eq!(network.run(&mut [&mut alice, &mut bob], 100 * SECOND), Rest::Quiet);
    assert_eq!(bob.numbers(), [4, 3, 2, 1, 0]);
    assert!(network.trace().to_string().lines().nth(1).is_some_and(|line| line.contains("x -")));
}

#[test]
fn run_until_stops_at_the_instant_of_the_condition() {
    let (mut alice, mut bob) = (Talker::new(1, 2, 10, SECOND), Talker::new(2, 1, 0, SECOND));
    let mut network = network(1, Conditions::PERFECT);
    assert!(network.run_until(&mut [&mut alice, &mut bob], 60 * SECOND, |trace| trace.packets().len() == 3));
    assert_eq!(network.now(), START + 2 * SECOND);
    assert!(!network.run_until(&mut [&mut alice, &mut bob], 2 * SECOND, |trace| trace.packets().len() == 10));
}

#[test]
fn a_datagram_to_nobody_is_unreachable() {
    let mut network = network(1, Conditions::PERFECT.delay(SECOND));
    network.send(Datagram::new(address(1), address(9), b"anybody?"));
    assert_eq!(network.run(&mut [], 60 * SECOND), Rest::Quiet);
    assert_eq!(network.trace().packets()[0].fate, Fate::Unreachable(START + SECOND));
    assert_eq!(network.trace().between("alice", "192.0.2.9:5060").count(), 1);
}

/// A node whose timer never moves on.
struct Stuck;

impl Node for Stuck {
    fn owns(&self, _: SocketAddr) -> bool {
        false
    }
    fn handle_datagram(&mut self, _: Time, _: SocketAddr, _: SocketAddr, _: &[u8]) {}
    fn handle_timeout(&mut self, _: Time) {}
    fn poll_timeout(&self) -> Option<Time> {
        Some(START)
    }
    fn poll_transmit(&mut self) -> Option<Datagram> {
        None
    }
}

#[test]
#[should_panic(expected = "without time passing")]
fn a_node_that_does_not_move_its_timer_is_found_out() {
    Network::new(1, START).run(&mut [&mut Stuck], SECOND);
}
