//! The RTP relay's shell: the pool of port pairs and the packet threads.
//!
//! A *port* is a pair of UDP sockets, RTP on an even number and RTCP on the odd one above it, that faces one stream of
//! one leg. [`MediaCommand`](sx_media::MediaCommand)s open ports, say where their peers are and patch one port to
//! another; [`MediaEvent`](sx_media::MediaEvent)s answer. What arrives on a port from its peer leaves from the port it is
//! patched to: byte for byte unchanged, until something else was sent to that peer before. From then on the numbers,
//! timestamps and source of sound, and what RTCP says of them, are those of the one stream that the peer hears
//! ([`Succession`](sx_audio::Succession)); pictures stay as they are.
//!
//! This crate deliberately knows no call, no session description and no codec. It neither orders packets nor plays them. Where
//! two sides have no codec in common, a patch has a [`Conversion`](sx_media::Conversion): `sx-audio` makes other packets of
//! those that arrive, and reports of its own take the place of RTCP. By its name alone a codec says what losses do to sound: of
//! each peer that sends some, `sx-media` makes a score every five seconds.
//!
//! The peers of ports that attend the same room ([`MediaCommand::Attend`](sx_media::MediaCommand)) hear each other: the room
//! is mixed by `sx-audio` on a thread of its own, each 20 ms, which takes what has arrived and sends what each of them hears.
//!
//! The peer of a port may hear a sound in place of what is patched there ([`MediaCommand::Play`](sx_media::MediaCommand)); the
//! same threads play it.
//!
//! What the peer of a port sends can be recorded besides ([`MediaCommand::Tap`](sx_media::MediaCommand)): it is decoded on a thread
//! of its own and handed to whoever makes recordings ([`Recordings`]), of whom this crate knows nothing else.
//!
//! # Who owns what
//!
//! Each packet thread owns an io_uring (or an epoll instance, where the kernel has none for us) and a table of ports, and
//! handles whatever concerns a port alone. Port numbers are handed out by one pool per local address. A port's sockets and the
//! address they send to may be read by every thread, so a port may be patched to a port of another thread: the thread on which
//! a packet arrives sends it. There are as many threads that mix rooms and play sounds, and as many that hear what is recorded:
//! they have no sockets of their own, take what packet threads have copied for them, and send through the sockets of ports.
//!
//! ```text
//!  MediaCommand ──► queue ──► packet thread ◄──────────── sockets ◄─────────────┐
//!                                 │  ▲  │                                       │
//!            events(worker, …) ◄──┘  │  ├── copies, orders ──► mixing thread ───┘
//!                                    │  └── copies, orders ──► recording thread ──► RecordingSink
//!                                    └── every 100 ms: silence, patches to ports that are gone
//! ```
//!
//! # How a port finds its thread
//!
//! The worker that allocates a [`PortId`](sx_media::PortId) composes it as `worker (16 bits) | call (40 bits) |
//! stream (8 bits)`. The thread is `(id >> 8) % threads`, so all ports of one call share one, and forwarding between
//! them touches no other processor's memory. Only a transfer that patches ports of two calls crosses threads. Events
//! about a port go to the worker in its upper 16 bits.
//!
//! # Which packets are believed
//!
//! Before a port is told its [`Remote`](sx_media::Remote) nothing is. Afterwards [`Latch`](sx_media::Latch) says which
//! RTP packet may fix the peer's address; from then on RTP from any other address is dropped and counted. RTCP is
//! believed from its negotiated address, and, unless the latch is exact, from the IP address that RTP latched to.
//! Packets go to the address the peer was latched to, and to the negotiated one until then.
//!
//! # Example
//!
//! ```
//! use std::net::Ipv4Addr;
//! use std::sync::mpsc;
//! use sx_io_rtp::{MediaInterface, PacketThreads, RtpConfig};
//! use sx_media::{MediaCommand, MediaEvent, PortId, TrafficClass};
//!
//! let lan = MediaInterface { bind_v4: Some(Ipv4Addr::LOCALHOST), ..MediaInterface::new("lan") };
//! let config = RtpConfig { interfaces: vec![lan], ports: 20_000..=20_999, threads: 1, ..RtpConfig::default() };
//! let (told, events) = mpsc::channel();
//! let threads = PacketThreads::start(&config, move |worker, event| {
//!     let _ = told.send((worker, event));
//! })?;
//!
//! let port = PortId(3 << 48 | 1 << 8);
//! threads.send(MediaCommand::Open { port, interface: "lan".into(), ipv6: false, class: TrafficClass::Audio, host: None, number: None });
//! let Ok((3, MediaEvent::Opened(opened))) = events.recv() else { panic!("the port was not opened") };
//! assert_eq!(opened.rtp.port() + 1, opened.rtcp.port());
//!
//! threads.stop();
//! assert!(matches!(events.recv(), Ok((3, MediaEvent::Closed(closed))) if closed.port == port));
//! # Ok::<(), sx_io_rtp::StartError>(())
//! ```

mod bind;
mod clock;
mod commands;
mod config;
mod converting;
mod destination_cell;
mod engine;
mod entry;
mod exchange;
mod forwarding;
mod handshakes;
mod load;
mod metrics;
mod mixing;
mod orders;
mod playing;
mod pool;
mod port;
mod port_sockets;
mod quality;
mod quality_totals;
mod reception;
mod recording;
mod relaying;
mod schedule;
mod seat;
mod secure;
mod sent_reports;
mod sys;
mod thread;
mod told_key;
mod totals;

pub use config::{MediaInterface, Priority, RtcpXr, RtpConfig, StartError, ThreadError};
pub use engine::PacketThreads;
pub use quality_totals::{Distribution, HELD_BOUNDS, MOS_BOUNDS, QualityTotals, ROUND_TRIP_BOUNDS};
pub use recording::{RecordingSink, Recordings};
pub use sx_audio::{Country, Recorded, Sounds, WavError, read_wav};
pub use sx_dtls::{Certificate, Local};
pub use totals::{PoolUse, Totals};
