//! SRTP and SRTCP (RFC 3711), with AES in counter mode and HMAC-SHA1, or AES-GCM (RFC 7714): packets in, packets out,
//! in place.
//!
//! A [`Protector`] is the sending side of one media stream, an [`Unprotector`] the receiving one; each has a
//! [`MasterKey`], which comes from a session description (RFC 4568) or from DTLS (RFC 5764), and counts the packets of
//! each sender. Both work in the caller's buffer and allocate nothing for a packet, unless it is a sender's first. What
//! they know is a value that can be kept and gone on with elsewhere: [`ProtectorState`], [`UnprotectorState`].
//!
//! This module deliberately makes no keys, since it knows no randomness, and negotiates none. It knows no clock: how long
//! the old key is taken besides a new one is counted in packets. Header extensions are not encrypted (RFC 6904), the key
//! derivation rate is zero, and each direction has one key at a time.
//!
//! ```
//! use sx_rtp::srtp::{MasterKey, Protector, SrtpError, Suite, Unprotector};
//!
//! let suite = Suite::from_sdp_name("AES_CM_128_HMAC_SHA1_80").ok_or("unknown suite")?;
//! let key = MasterKey::from_inline(suite, "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj")?;
//! let mut protector = Protector::new(suite, &key)?;
//! let mut unprotector = Unprotector::new(suite, &key)?;
//!
//! let packet = [0x80, 0, 0, 7, 0, 0, 0, 160, 0x12, 0x34, 0x56, 0x78, b'v', b'o', b'i', b'c', b'e'];
//! let mut buffer = [0; 1500];
//! buffer[..packet.len()].copy_from_slice(&packet);
//! let sent = protector.protect_rtp(&mut buffer, packet.len())?;
//! assert_eq!(sent, packet.len() + protector.rtp_overhead());
//! assert_ne!(buffer[12..17], packet[12..]);
//!
//! let mut again = buffer;
//! let received = unprotector.unprotect_rtp(&mut buffer[..sent])?;
//! assert_eq!(buffer[..received], packet);
//! assert_eq!(unprotector.unprotect_rtp(&mut again[..sent]), Err(SrtpError::Replayed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aes_cm;
mod aes_gcm;
mod derivation;
mod master_key;
mod packet;
mod protector;
mod replay;
mod session_keys;
mod sources;
mod state;
mod suite;
#[cfg(test)]
mod tests;
mod unprotector;

pub use master_key::{DtlsKeys, KeyError, MasterKey};
pub use protector::{MKI_BYTES_MAX, Protector};
pub use sources::SOURCES_MAX;
pub use state::{ProtectorState, StateError, UnprotectorState};
pub use suite::Suite;
pub use unprotector::Unprotector;

use thiserror::Error;

/// Why a packet was not protected, or not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum SrtpError {
    /// Shorter than its headers, or than those and what protects it.
    #[error("shorter than its headers and its tag")]
    TooShort,
    /// Longer than a datagram. The caller's fault.
    #[error("longer than a datagram")]
    TooLong,
    /// The buffer has no room behind the packet for what protects it. The caller's fault.
    #[error("no room behind the packet for its tag")]
    NoRoom,
    /// Not an RTP packet.
    #[error("not an RTP packet")]
    NotRtp,
    /// Not an RTCP packet.
    #[error("not an RTCP packet")]
    NotRtcp,
    /// The tag is not what the key makes of the packet: another key, another rollover counter, or forged.
    #[error("the authentication tag is wrong")]
    NotAuthentic,
    /// A packet with this index has come already.
    #[error("a packet with this index has come already")]
    Replayed,
    /// The index is so far behind the highest that nobody knows whether such a packet has come.
    #[error("the packet's index is behind the replay window")]
    TooOld,
    /// A packet with this index has been sent already, or may have been. The fault of whoever numbers the packets.
    #[error("a packet with this index has been sent already, or may have been")]
    IndexUsed,
    /// The key has protected as many packets as it may, or a sender has used all its indexes.
    #[error("the master key is at the end of its life")]
    KeyExhausted,
    /// The key has been used with as many SSRCs as can be counted.
    #[error("more senders than can be counted under one key")]
    TooManySources,
}
