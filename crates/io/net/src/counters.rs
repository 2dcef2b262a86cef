//! What one network shell has counted, read by other threads without a lock.

use crate::event::{CloseReason, TlsFailure, WebSocketFailure};
use std::sync::atomic::{AtomicU64, Ordering};
use sx_sip::frame::FrameError;

/// One count. Only the thread that owns the [`Net`](crate::Net) writes it.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The count now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// One writer only, so no atomic read-modify-write is needed.
    pub(crate) fn add(&self, more: u64) {
        self.0.store(self.value().wrapping_add(more), Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $field:ident, $name:literal, $label:literal;)+) => {
        /// Counts since the shell was opened; `connections_open` is a gauge.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct NetCounters {
            $($(#[doc = $doc])+ pub $field: Counter,)+
        }

        impl NetCounters {
            /// Every count as (metric, label, value); rows of one metric differ in the label. The first
            /// line of the field's documentation says what it means.
            pub fn rows(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$(($name, $label, self.$field.value()),)+]
            }
        }
    };
}

counters! {
    /// Datagrams received.
    datagrams_in, "datagrams", "in";
    /// Datagrams given to the kernel.
    datagrams_out, "datagrams", "out";
    /// Messages received on connections.
    stream_messages_in, "stream_messages", "in";
    /// Messages written to connections.
    stream_messages_out, "stream_messages", "out";
    /// Bytes received, after decryption.
    bytes_in, "bytes", "in";
    /// Bytes sent, before encryption.
    bytes_out, "bytes", "out";
    /// Messages dropped because they were longer than allowed; a connection ends with one.
    dropped_too_long, "dropped", "too_long";
    /// Datagrams dropped because they were empty or from port 0.
    dropped_empty, "dropped", "empty";
    /// STUN messages dropped because they were no Binding requests.
    dropped_stun, "dropped", "stun";
    /// Messages not sent because the send queue was full.
    dropped_queue_full, "dropped", "queue_full";
    /// Messages not sent because the system refused or there was no way there.
    dropped_unsendable, "dropped", "unsendable";
    /// Connections open now.
    connections_open, "connections_open", "";
    /// Connections accepted.
    connections_accepted, "connections", "accepted";
    /// Connections that we opened.
    connections_opened, "connections", "opened";
    /// Connections that we tried to open in vain.
    connections_failed, "connections", "failed";
    /// Connections refused because too many were open.
    refused_total, "connections_refused", "total";
    /// Connections refused because too many came from one address.
    refused_per_address, "connections_refused", "per_address";
    /// Times that accepting failed in the system (out of file descriptors).
    accept_errors, "accept_errors", "system";
    /// Connections closed by the peer.
    closed_peer, "connections_closed", "peer";
    /// Connections broken by the peer or the network.
    closed_broken, "connections_closed", "broken";
    /// Connections closed for idleness.
    closed_idle, "connections_closed", "idle";
    /// Connections cut because the handshakes took too long.
    closed_handshake_timeout, "connections_closed", "handshake_timeout";
    /// Connections cut because a message did not end in time.
    closed_slow_sender, "connections_closed", "slow_sender";
    /// Connections cut because the peer took nothing.
    closed_send_stalled, "connections_closed", "send_stalled";
    /// Connections cut because too much waited for the peer.
    closed_queue_full, "connections_closed", "queue_full";
    /// Connections cut because of too many keep-alives.
    closed_keep_alive_flood, "connections_closed", "keep_alive_flood";
    /// Connections cut because a frame was malformed.
    closed_malformed, "connections_closed", "malformed";
    /// Connections ended by TLS.
    closed_tls, "connections_closed", "tls";
    /// Connections ended by a breach of WebSocket.
    closed_websocket, "connections_closed", "websocket";
    /// Connections that the owner closed.
    closed_us, "connections_closed", "us";
    /// Double-CRLF pings answered.
    keep_alives_crlf, "keep_alives", "crlf";
    /// STUN Binding requests answered.
    keep_alives_stun, "keep_alives", "stun";
    /// WebSocket pings answered.
    keep_alives_websocket, "keep_alives", "websocket";
    /// TLS: the peer speaks none.
    tls_not_tls, "tls_failures", "not_tls";
    /// TLS: no version, suite or group in common.
    tls_incompatible, "tls_failures", "incompatible";
    /// TLS: the peer showed no certificate.
    tls_certificate_missing, "tls_failures", "certificate_missing";
    /// TLS: the peer's certificate is out of date.
    tls_certificate_expired, "tls_failures", "certificate_expired";
    /// TLS: the peer's certificate carries another name.
    tls_certificate_wrong_name, "tls_failures", "certificate_wrong_name";
    /// TLS: the peer's certificate is not trusted.
    tls_certificate_untrusted, "tls_failures", "certificate_untrusted";
    /// TLS: the peer's certificate is an authority's.
    tls_certificate_is_authority, "tls_failures", "certificate_is_authority";
    /// Handshakes that failed: the peer's certificate was revoked.
    tls_certificate_revoked, "tls_failures", "certificate_revoked";
    /// Handshakes that failed: no revocation list covers the peer's certificate.
    tls_certificate_uncovered, "tls_failures", "certificate_uncovered";
    /// Handshakes that failed: too many certificates lie between the peer's and a trusted one.
    tls_certificate_too_deep, "tls_failures", "certificate_too_deep";
    /// TLS: the peer's certificate is bad in another way.
    tls_certificate_bad, "tls_failures", "certificate_bad";
    /// TLS: the peer refused with an alert.
    tls_peer_alert, "tls_failures", "peer_alert";
    /// TLS: the peer broke the protocol.
    tls_peer_misbehaved, "tls_failures", "peer_misbehaved";
    /// TLS: a fault of ours.
    tls_internal, "tls_failures", "internal";
    /// WebSocket: no upgrade.
    websocket_bad_handshake, "websocket_failures", "bad_handshake";
    /// WebSocket: the subprotocol `sip` was not offered.
    websocket_wrong_subprotocol, "websocket_failures", "wrong_subprotocol";
    /// WebSocket: an unmasked frame from a client.
    websocket_unmasked, "websocket_failures", "unmasked";
    /// WebSocket: a message in too many fragments.
    websocket_fragments, "websocket_failures", "too_many_fragments";
    /// WebSocket: a message too long.
    websocket_too_long, "websocket_failures", "too_long";
    /// WebSocket: another breach of the rules.
    websocket_malformed, "websocket_failures", "malformed";
}

impl NetCounters {
    pub(crate) fn closed(&self, reason: CloseReason) {
        match reason {
            CloseReason::Peer => &self.closed_peer,
            CloseReason::Broken(_) => &self.closed_broken,
            CloseReason::Idle => &self.closed_idle,
            CloseReason::HandshakeTimeout => &self.closed_handshake_timeout,
            CloseReason::SlowSender => &self.closed_slow_sender,
            CloseReason::SendStalled => &self.closed_send_stalled,
            CloseReason::SendQueueFull => &self.closed_queue_full,
            CloseReason::KeepAliveFlood => &self.closed_keep_alive_flood,
            CloseReason::Malformed(error) => {
                if matches!(error, FrameError::HeaderTooLong { .. } | FrameError::MessageTooLong { .. }) {
                    self.dropped_too_long.one();
                }
                &self.closed_malformed
            }
            CloseReason::Us => &self.closed_us,
            CloseReason::Tls(failure) => {
                self.tls(failure).one();
                &self.closed_tls
            }
            CloseReason::WebSocket(failure) => {
                self.websocket(failure).one();
                if failure == WebSocketFailure::TooLong {
                    self.dropped_too_long.one();
                }
                &self.closed_websocket
            }
        }
        .one();
    }

    fn tls(&self, failure: TlsFailure) -> &Counter {
        match failure {
            TlsFailure::NotTls => &self.tls_not_tls,
            TlsFailure::Incompatible => &self.tls_incompatible,
            TlsFailure::CertificateMissing => &self.tls_certificate_missing,
            TlsFailure::CertificateExpired => &self.tls_certificate_expired,
            TlsFailure::CertificateWrongName => &self.tls_certificate_wrong_name,
            TlsFailure::CertificateUntrusted => &self.tls_certificate_untrusted,
            TlsFailure::CertificateIsAuthority => &self.tls_certificate_is_authority,
            TlsFailure::CertificateRevoked => &self.tls_certificate_revoked,
            TlsFailure::CertificateUncovered => &self.tls_certificate_uncovered,
            TlsFailure::CertificateTooDeep => &self.tls_certificate_too_deep,
            TlsFailure::CertificateBad => &self.tls_certificate_bad,
            TlsFailure::PeerAlert => &self.tls_peer_alert,
            TlsFailure::PeerMisbehaved => &self.tls_peer_misbehaved,
            TlsFailure::Internal => &self.tls_internal,
        }
    }

    fn websocket(&self, failure: WebSocketFailure) -> &Counter {
        match failure {
            WebSocketFailure::BadHandshake => &self.websocket_bad_handshake,
            WebSocketFailure::WrongSubprotocol => &self.websocket_wrong_subprotocol,
            WebSocketFailure::Unmasked => &self.websocket_unmasked,
            WebSocketFailure::TooManyFragments => &self.websocket_fragments,
            WebSocketFailure::TooLong => &self.websocket_too_long,
            WebSocketFailure::Malformed => &self.websocket_malformed,
        }
    }
}
