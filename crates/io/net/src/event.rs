//! What a [`Net`](crate::Net) reports.

use crate::tls::PeerCertificate;
use std::io;
use sx_sip::frame::FrameError;
use sx_types::{Destination, Flow, Ticket};

/// Something happened on the network. Borrowed bytes are good until the next call.
#[derive(Debug)]
pub enum NetEvent<'a> {
    /// A datagram, or one whole message of a connection. Not looked into: it may be anything.
    Message {
        /// Where it came from, and the way back.
        flow: Flow,
        /// The message.
        bytes: &'a [u8],
    },
    /// A connection is ready, its handshakes done, whoever began it.
    Opened {
        /// The connection.
        flow: Flow,
        /// What the peer has proven to be; on a connection that we opened, its server certificate.
        peer: Option<PeerCertificate>,
        /// The peer has connected to us: its certificate was checked against the authorities of clients. What a server
        /// shows that we connected to was checked against others, and says nothing of what it may ask of us.
        accepted: bool,
    },
    /// A connection that was [`Opened`](Self::Opened) is gone.
    Closed {
        /// The connection.
        flow: Flow,
        /// Why.
        reason: CloseReason,
    },
    /// A message was not sent. Not reported for ticket zero.
    SendFailed {
        /// What the sender gave.
        ticket: Ticket,
        /// Where it should have gone.
        to: Destination,
        /// Why it did not.
        reason: SendFailure,
    },
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The peer closed it in order.
    #[error("closed by the peer")]
    Peer,
    /// The peer or the network broke it.
    #[error("broken: {0}")]
    Broken(io::ErrorKind),
    /// Nothing came for the idle timeout.
    #[error("idle")]
    Idle,
    /// The handshakes took too long.
    #[error("the handshake took too long")]
    HandshakeTimeout,
    /// A message that had begun did not end in time.
    #[error("the peer was too slow in sending a message")]
    SlowSender,
    /// The peer took nothing of what waited for it.
    #[error("the peer takes nothing")]
    SendStalled,
    /// What waited for the peer exceeded the send queue.
    #[error("the send queue is full")]
    SendQueueFull,
    /// The peer sent what is no SIP.
    #[error("malformed: {0}")]
    Malformed(FrameError),
    /// TLS failed.
    #[error("TLS: {0}")]
    Tls(TlsFailure),
    /// The peer broke the rules of WebSocket.
    #[error("WebSocket: {0}")]
    WebSocket(WebSocketFailure),
    /// Too many keep-alives.
    #[error("too many keep-alives")]
    KeepAliveFlood,
    /// [`Net::close`](crate::Net::close) was called.
    #[error("closed by us")]
    Us,
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// There is no way there.
    #[error("unreachable")]
    Unreachable,
    /// The connection did not come about in time.
    #[error("no connection in time")]
    TimedOut,
    /// The flow's connection no longer exists.
    #[error("the connection is gone")]
    FlowGone,
    /// The connection ended before the message was written.
    #[error("the connection ended: {0}")]
    Closed(CloseReason),
    /// Too much waits for this peer already.
    #[error("the send queue is full")]
    QueueFull,
    /// As many connections as allowed are open.
    #[error("too many connections")]
    TooManyConnections,
    /// The message does not fit into a datagram or exceeds the limit.
    #[error("the message is too large")]
    TooLarge,
    /// No local UDP socket reaches this address family, or the one named is none.
    #[error("no local socket for it")]
    NoLocalSocket,
    /// TLS is not configured.
    #[error("TLS is not configured")]
    NoTls,
    /// The name is none that a certificate can carry.
    #[error("no certificate can carry the name")]
    InvalidName,
    /// A WebSocket server cannot connect to a browser.
    #[error("WebSocket connections are only accepted")]
    WebSocketOutgoing,
    /// The system refused for another reason.
    #[error("{0}")]
    Io(io::ErrorKind),
}

impl SendFailure {
    pub(crate) fn from_io(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Self::Refused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => {
                Self::Unreachable
            }
            io::ErrorKind::TimedOut => Self::TimedOut,
            kind => Self::Io(kind),
        }
    }
}

/// What went wrong with TLS, by whose doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TlsFailure {
    /// What the peer sent is no TLS.
    #[error("the peer speaks no TLS")]
    NotTls,
    /// No version, cipher suite or group in common.
    #[error("nothing in common with the peer")]
    Incompatible,
    /// The peer must show a certificate and showed none.
    #[error("the peer showed no certificate")]
    CertificateMissing,
    /// The peer's certificate has expired or is not valid yet.
    #[error("the peer's certificate is out of date")]
    CertificateExpired,
    /// The peer's certificate carries another name.
    #[error("the peer's certificate carries another name")]
    CertificateWrongName,
    /// Nobody we trust has signed the peer's certificate.
    #[error("the peer's certificate is not trusted")]
    CertificateUntrusted,
    /// The peer shows the certificate of an authority, which is not itself among those that are trusted.
    #[error("the peer's certificate is an authority's (CA:TRUE) and not itself trusted")]
    CertificateIsAuthority,
    /// The peer's certificate was revoked by who has signed it.
    #[error("the peer's certificate was revoked")]
    CertificateRevoked,
    /// No revocation list that is in force covers the peer's certificate, and one must.
    #[error("no revocation list covers the peer's certificate")]
    CertificateUncovered,
    /// Too many certificates lie between the peer's and one that is trusted.
    #[error("too many certificates lie between the peer's and a trusted one")]
    CertificateTooDeep,
    /// The peer's certificate is bad in another way.
    #[error("the peer's certificate is bad")]
    CertificateBad,
    /// The peer refused us with an alert.
    #[error("the peer refused with an alert")]
    PeerAlert,
    /// The peer broke the protocol.
    #[error("the peer broke the protocol")]
    PeerMisbehaved,
    /// The fault is on our side.
    #[error("an internal fault")]
    Internal,
}

/// How a peer broke the rules of WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum WebSocketFailure {
    /// The HTTP request was no WebSocket upgrade.
    #[error("not a WebSocket upgrade")]
    BadHandshake,
    /// The client does not offer the subprotocol `sip`.
    #[error("the subprotocol sip was not offered")]
    WrongSubprotocol,
    /// A client must mask its frames.
    #[error("an unmasked frame")]
    Unmasked,
    /// A message in too many frames.
    #[error("too many fragments")]
    TooManyFragments,
    /// A message exceeds the limit.
    #[error("too long a message")]
    TooLong,
    /// Any other breach of RFC 6455.
    #[error("a malformed frame")]
    Malformed,
}
