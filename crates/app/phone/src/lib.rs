//! A soft telephone with one line: it registers, calls, answers, holds, transfers, says and hears.
//!
//! A [`Phone`] is the handle of a thread that drives the user agent core of `sx-sip` over the shell of `sx-net`, with
//! a pair of UDP sockets for the sound of each call. It deliberately knows nothing of the exchange: it speaks SIP, RTP
//! and G.711 with whatever is at the other end, and has neither microphone nor loudspeaker; it plays tones or a file,
//! and keeps what it hears.
//!
//! The loop of its user: tell it something, then [`wait_for`](Phone::wait_for) what comes of it.
//!
//! ```
//! use std::time::Duration;
//! use sx_phone::{AnswerMode, AudioSource, Phone, PhoneConfig, PhoneEvent, Server};
//! use sx_types::Transport;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Two telephones that call each other directly.
//! let nobody = Server::new(Transport::Udp, "127.0.0.1:9".parse()?);
//! let bob = PhoneConfig {
//!     answer: AnswerMode::Auto { after: Duration::ZERO },
//!     source: AudioSource::Tone(vec![(440.0, -10.0)]),
//!     ..PhoneConfig::new(nobody, "example.com", "bob")
//! };
//! let bob = Phone::start(bob)?;
//! let alice = PhoneConfig::new(Server::new(Transport::Udp, bob.address()), "example.com", "alice");
//! let alice = Phone::start(alice)?;
//!
//! let patience = Duration::from_secs(10);
//! alice.call("bob");
//! alice.wait_for(|event| *event == PhoneEvent::Established, patience)?;
//! alice.hangup();
//! bob.wait_for(PhoneEvent::is_end, patience)?;
//! # Ok(()) }
//! ```

mod call;
mod config;
mod event;
mod handle;
mod media;
mod negotiation;
mod registration;
mod request;
mod run;
mod session;
mod setup;
mod shared;
mod source;
mod wav;

pub use config::{AnswerMode, AudioSource, Pem, PhoneConfig, PhoneError, Server, Tls, TrustAnchors};
pub use event::{DtmfMode, MediaStats, PhoneEvent, TraceEntry};
pub use handle::Phone;
pub use shared::WaitError;
pub use wav::WavError;
