//! Virtual time and virtual links: several nodes talk to each other over a network that loses, delays, reorders and
//! duplicates datagrams as a seed says. A day of calls takes a second, and every run replays.
//!
//! A [`Node`] is whatever takes datagrams and time in and hands datagrams and timers out; an adapter of a few lines
//! makes one of any [`sx_engine::Engine`]. The test keeps its nodes and lends them to [`Network::run`], so between
//! two runs it can look at them and ask things of them.
//!
//! For a stream of packets alone [`Route`] says what becomes of each on several kinds of real networks.
//!
//! This crate deliberately knows no protocol: a datagram is bytes between two addresses. It is a dev-dependency only.
//!
//! The loop: lend the nodes, let time pass, look at the nodes and at the [`Trace`].
//!
//! ```
//! use std::net::SocketAddr;
//! use std::time::Duration;
//! use sx_engine::Time;
//! use sx_testkit::{Conditions, Datagram, Network, Node, Rest};
//!
//! /// Answers every datagram with the same bytes.
//! struct Echo(SocketAddr, Vec<Datagram>);
//!
//! impl Node for Echo {
//!     fn owns(&self, address: SocketAddr) -> bool { address == self.0 }
//!     fn handle_datagram(&mut self, _: Time, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
//!         self.1.push(Datagram::new(to, from, bytes));
//!     }
//!     fn handle_timeout(&mut self, _: Time) {}
//!     fn poll_timeout(&self) -> Option<Time> { None }
//!     fn poll_transmit(&mut self) -> Option<Datagram> { self.1.pop() }
//! }
//!
//! let [alice, bob] = ["192.0.2.1:5060", "192.0.2.2:5060"].map(|a| a.parse().expect("an address"));
//! let mut network = Network::new(7, Time::from_secs(1_800_000_000));
//! network.name(alice, "alice");
//! network.name(bob, "bob");
//! network.set_default(Conditions::PERFECT.delay(Duration::from_millis(20)));
//! network.send(Datagram::new(alice, bob, b"hello"));
//! assert_eq!(network.run(&mut [&mut Echo(bob, vec![])], Duration::from_secs(1)), Rest::Quiet);
//! assert_eq!(network.trace().between("alice", "bob").count(), 1);
//! println!("{}", network.trace());
//! ```

mod allocations;
mod ladder;
mod link;
mod network;
mod route;
mod trace;

pub use allocations::{CountingAllocator, allocations};
pub use link::{Conditions, Link};
pub use network::{Network, Node, Rest};
pub use route::{Arrived, JourneyError, Journeys, Route, read_journeys};
pub use trace::{Datagram, Fate, Packet, Trace};
