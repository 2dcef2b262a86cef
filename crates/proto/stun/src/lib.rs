//! STUN Binding (RFC 8489, and RFC 5389 before it): who asks from where, answered in one datagram.
//!
//! This crate deliberately knows no socket, no retransmission timer and no randomness (a client brings its
//! transaction ids), no credentials (MESSAGE-INTEGRITY is tolerated and not checked) and no ICE: the attributes of
//! connectivity checks are unknown to it, and a request that insists on them is answered 420. Clients of RFC 3489,
//! which lack the magic cookie, are not spoken to.
//!
//! The loop of a server: ask [`is_stun`] before anything else that shares the port, [`Message::parse`], then
//! [`binding_response`], and send what it wrote. A client writes a [`binding_request`], sends it as often as its timer
//! says, and reads what comes back with [`read_binding_response`].
//!
//! ```
//! use sx_stun::{Answered, Message, TransactionId, binding_request, binding_response, is_stun, read_binding_response};
//!
//! let transaction = TransactionId([7; 12]);
//! let mut request = Vec::new();
//! binding_request(transaction, &mut request);
//!
//! assert!(is_stun(&request));
//! let seen = "192.0.2.1:32853".parse().expect("an address");
//! let mut response = Vec::new();
//! assert_eq!(binding_response(&Message::parse(&request)?, seen, &mut response), Ok(Answered::Mapped));
//!
//! assert_eq!(read_binding_response(&response, transaction), Ok(seen));
//! # Ok::<(), sx_stun::ParseError>(())
//! ```

mod address;
mod binding;
mod fingerprint;
mod message;
mod write;

pub use binding::{Answered, NotAnswered, ResponseError, binding_request, binding_response, read_binding_response};
pub use message::{Attribute, Attributes, Class, Fingerprint, Message, Method, ParseError, TransactionId, is_stun};
pub use write::MessageWriter;

/// Attribute types as registered.
pub mod attribute {
    /// The reflexive address in clear (RFC 3489); read from old servers, never written.
    pub const MAPPED_ADDRESS: u16 = 0x0001;
    /// Who asks.
    pub const USERNAME: u16 = 0x0006;
    /// An HMAC-SHA1 over the message before it.
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    /// Why a request was refused.
    pub const ERROR_CODE: u16 = 0x0009;
    /// Which attributes a request was refused for.
    pub const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    /// The realm of a long-term credential.
    pub const REALM: u16 = 0x0014;
    /// The nonce of a long-term credential.
    pub const NONCE: u16 = 0x0015;
    /// An HMAC-SHA256 over the message before it.
    pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
    /// The algorithm a client has chosen.
    pub const PASSWORD_ALGORITHM: u16 = 0x001d;
    /// Who asks, hashed.
    pub const USERHASH: u16 = 0x001e;
    /// The reflexive address, masked so that no NAT rewrites it.
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    /// What the sender runs.
    pub const SOFTWARE: u16 = 0x8022;
    /// A CRC over the message before it.
    pub const FINGERPRINT: u16 = 0x8028;
}
