//! The signalling sockets of one worker thread: UDP in batches, TCP, TLS and WebSocket, over IPv4 and IPv6.
//!
//! A [`Net`] is synchronous and never blocks except in [`Net::wait`]. It deliberately knows no SIP beyond where one
//! message ends and the next begins, and that an ACK can wait: keep-alives are answered here, everything else is handed out as bytes, and bytes
//! are what it is given to send. It opens, reuses and cuts connections, and holds peers to [`NetLimits`].
//!
//! The loop of a worker:
//!
//! ```
//! use std::time::Duration;
//! use sx_engine::Time;
//! use sx_net::{Listener, Net, NetConfig, NetEvent};
//! use sx_types::{Destination, Ticket, Transport};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = Listener { transport: Transport::Udp, address: "127.0.0.1:0".parse()? };
//! let config = NetConfig { listeners: vec![listener], ..NetConfig::default() };
//! let mut now = Time::from_secs(1_795_219_199); // a wall clock that never steps
//! let mut net = Net::open(0, &config, now)?;
//! for _ in 0..2 {
//!     now = net.wait(now, Some(Duration::from_millis(1)))?;
//!     while let Some(event) = net.poll_event() {
//!         let NetEvent::Message { flow, bytes } = event else { continue };
//!         let echo = bytes.to_vec().into();
//!         net.send(&Destination::Flow(flow), None, echo, Ticket::default());
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! Each link gets one turn between two waits (a batch of datagrams, a buffer of bytes), so none starves the others.

mod config;
mod connection;
mod connections;
mod counters;
mod event;
mod link;
mod listen;
pub mod mdns;
mod mmsg;
mod net;
mod pipe;
pub mod resolve;
pub mod tls;
mod udp;
mod websocket;

pub use config::{Listener, NetConfig, NetError, NetLimits};
pub use counters::{Counter, NetCounters};
pub use event::{CloseReason, NetEvent, SendFailure, TlsFailure, WebSocketFailure};
pub use net::{Net, Waker};
pub use tls::{PeerCertificate, TlsConfig};
