//! HEP version 3, the encapsulation in which copies of signalling travel to a collector such as HOMER.
//!
//! A copy is one datagram: the bytes of a SIP message, and around them who sent it to whom, how and when. This crate
//! deliberately knows nothing of what is copied but that it is SIP, has no socket and no clock, and does not compress.
//! There is no state: [`encode`] writes a [`Packet`], [`decode`] reads one.
//!
//! The format is that of "The Homer Encapsulation Protocol, EEP/HEP 3" (sipcapture/HEP, `docs/HEP3_rev12.pdf`):
//! `HEP3`, the length of everything as two bytes, then chunks, each of a vendor, a type and a length of two bytes
//! and its value. All numbers are big-endian, all lengths count their own header.
//!
//! ```
//! let packet = sx_hep::Packet {
//!     source: "192.0.2.1:5060".parse().expect("an address"),
//!     destination: "192.0.2.2:5060".parse().expect("an address"),
//!     transport: sx_hep::UDP,
//!     time_nanos: 1_795_176_000_000_000_000,
//!     capture_id: 2001,
//!     password: None,
//!     correlation: "a84b4c76e66710@pc33.example.com",
//!     payload: b"OPTIONS sip:192.0.2.2 SIP/2.0\r\n\r\n",
//! };
//! let mut datagram = Vec::new();
//! sx_hep::encode(&packet, &mut datagram);
//! assert_eq!(sx_hep::decode(&datagram), Ok(packet));
//! ```

mod read;
mod write;

pub use read::{DecodeError, decode};
pub use write::encode;

use std::fmt;
use std::net::SocketAddr;

/// A copy of one SIP message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Who sent the message.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// The IP protocol it travelled in: [`UDP`] or [`TCP`]; TLS and WebSocket count as TCP.
    pub transport: u8,
    /// When, in nanoseconds since the Unix epoch; only whole microseconds travel, and no later than the year 2106.
    pub time_nanos: u64,
    /// The number the sender of copies is known by at the collector.
    pub capture_id: u32,
    /// The collector's password, at most [`PASSWORD_BYTES_MAX`]; `None`: none is sent.
    pub password: Option<&'a str>,
    /// What all copies of one call have in common: its Call-ID, at most [`CORRELATION_BYTES_MAX`]; empty: not sent.
    pub correlation: &'a str,
    /// The bytes of the message.
    pub payload: &'a [u8],
}

impl fmt::Debug for Packet<'_> {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("source", &self.source)
            .field("destination", &self.destination)
            .field("transport", &self.transport)
            .field("time_nanos", &self.time_nanos)
            .field("capture_id", &self.capture_id)
            .field("correlation", &self.correlation)
            .field("payload", &String::from_utf8_lossy(self.payload))
            .finish_non_exhaustive()
    }
}

/// The number of UDP as an IP protocol.
pub const UDP: u8 = 17;
/// The number of TCP as an IP protocol.
pub const TCP: u8 = 6;

/// The longest password that is sent, in bytes; a longer one is cut.
pub const PASSWORD_BYTES_MAX: usize = 255;
/// The longest correlation that is sent, in bytes; a longer one is cut.
pub const CORRELATION_BYTES_MAX: usize = 1024;
/// The longest datagram that is made: the most that UDP carries over IPv4. A longer message is cut to fit.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

/// What every datagram begins with.
const MAGIC: &[u8; 4] = b"HEP3";
/// The magic and the length of everything.
const HEADER_BYTES: usize = 6;
/// The vendor, the type and the length of a chunk.
const CHUNK_HEADER_BYTES: usize = 6;
/// The vendor of the chunks that everybody knows.
const VENDOR_GENERIC: u16 = 0;

/// The types of chunks that are written and read here.
mod chunk {
    pub(crate) const FAMILY: u16 = 1;
    pub(crate) const TRANSPORT: u16 = 2;
    pub(crate) const SOURCE_V4: u16 = 3;
    pub(crate) const DESTINATION_V4: u16 = 4;
    pub(crate) const SOURCE_V6: u16 = 5;
    pub(crate) const DESTINATION_V6: u16 = 6;
    pub(crate) const SOURCE_PORT: u16 = 7;
    pub(crate) const DESTINATION_PORT: u16 = 8;
    pub(crate) const SECONDS: u16 = 9;
    pub(crate) const MICROSECONDS: u16 = 10;
    pub(crate) const PROTOCOL_TYPE: u16 = 11;
    pub(crate) const CAPTURE_ID: u16 = 12;
    pub(crate) const PASSWORD: u16 = 14;
    pub(crate) const PAYLOAD: u16 = 15;
    pub(crate) const COMPRESSED_PAYLOAD: u16 = 16;
    pub(crate) const CORRELATION: u16 = 17;
}

/// The families of addresses, by the numbers Linux has for them.
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 10;
/// The protocol type of SIP.
const PROTOCOL_SIP: u8 = 1;
