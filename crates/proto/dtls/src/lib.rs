//! DTLS handshakes that yield keys of SRTP (RFC 5763, RFC 5764): datagrams and time in; datagrams, keys or a fault out.
//!
//! An [`Association`] is one handshake with one peer, as client or as server. The peer is known by the [`Fingerprint`]s of
//! its certificate, which its session description gave; nothing else is asked of a certificate. DTLS 1.2 and its records are
//! the work of the `dimpl` crate; what is done here is what it leaves to its owner: whom to believe, what to do with a
//! handshake that fails, how long to try, and what a peer can make us do meanwhile.
//!
//! ```text
//!   Shaking ──keys, the certificate is the peer's──► Agreed     (retransmissions are still answered)
//!      │ ▲
//!      │ └─ cannot go on: begun anew, so many times
//!      └──── another certificate, no keys, too late ──► Failed
//! ```
//!
//! This crate deliberately knows no address and no socket: whoever owns an association has it hear only those who may be the
//! peer. It carries no data, since SRTP does not travel in DTLS, and resumes nothing.
//!
//! Loop: [`handle_datagram`](Association::handle_datagram) and [`handle_timeout`](Association::handle_timeout), each followed
//! by [`poll_output`](Association::poll_output) until there is none; then wait until
//! [`poll_timeout`](Association::poll_timeout).
//!
//! ```
//! use std::time::Instant;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sx_dtls::{Anchor, Association, Certificate, Fault, Local, Output};
//! use sx_engine::Time;
//! use sx_types::DtlsRole;
//!
//! let ours = Local::new(Certificate::self_signed()?)?;
//! let theirs = Local::new(Certificate::self_signed()?)?;
//! let now = Time::from_secs(1_800_000_000);
//! let anchor = Anchor { time: now, instant: Instant::now() };
//!
//! let mut client = Association::new(&ours, DtlsRole::Client, vec![theirs.fingerprint().clone()], anchor, now);
//! let mut server = Association::new(&theirs, DtlsRole::Server, vec![ours.fingerprint().clone()], anchor, now);
//! let mut agreed = Vec::new();
//! while agreed.len() < 2 {
//!     for turn in 0..2 {
//!         let (one, other) = if turn == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
//!         while let Some(output) = one.poll_output() {
//!             match output {
//!                 Output::Datagram(bytes) => _ = other.handle_datagram(now, &bytes),
//!                 Output::Agreed(keys) => agreed.push(*keys),
//!                 Output::Failed(fault) => return Err(fault.into()),
//!             }
//!         }
//!     }
//! }
//! assert_eq!((&agreed[0].ours, &agreed[0].theirs), (&agreed[1].theirs, &agreed[1].ours));
//! # Ok(())
//! # }
//! ```

mod association;
mod local;

pub use association::{
    AFTER_ALERT_MAX, Anchor, Association, DATAGRAMS_MAX, Disposition, Fault, HANDSHAKE_MAX, Keys, Output, RESTARTS_MAX,
};
pub use local::{Certificate, Local, LocalError};
pub use sx_types::{DtlsRole, Fingerprint, HashFunction};

/// Is a datagram on a port of media one of DTLS?
//= https://www.rfc-editor.org/rfc/rfc7983#section-7
pub fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}
