//! What threads have of a port that they send for: its sockets, where they send to, and what its peer was sent.

use crate::destination_cell::DestinationCell;
use crate::exchange::{Lease, locked};
use crate::metrics::Metrics;
use crate::playing::Turn;
use crate::port::{Channel, Destinations};
use crate::secure::OutboundSecurity;
use crate::sent_reports::SentReports;
use crate::sys::{Chosen, Failure, Intake, RawAddress, Sent};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::UdpSocket;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use sx_audio::{Sent as Sending, Succession};
use sx_engine::Time;
use sx_media::{PortId, PortStats, StreamMemory, TrafficClass};
use sx_rtp::Translated;

/// The pair of sockets of a port, where they send to, and what was sent. Every thread that has something to send to the port's
/// peer has them; who writes what stands with each field. "The sender" is whichever thread sends to the peer: that of the port
/// that is patched here, the port's own, or one that mixes or plays.
pub(crate) struct PortSockets {
    id: PortId,
    rtp: UdpSocket,
    rtcp: UdpSocket,
    /// Written by the port's own thread; read by the sender, without a lock.
    destinations: DestinationCell,
    /// Keys come from the port's own thread. The sender locks it for each batch that is protected, and for none in the clear.
    outbound_security: OutboundSecurity,
    /// Written by the sender, locked for each sender report; read by the port's own thread, for each block that names one.
    sent_reports: SentReports,
    /// Written by the port's own thread; taken by whichever makes reports for the peer.
    metrics: Metrics,
    /// Set once, by the port's own thread.
    closed: AtomicBool,
    /// These three are counted by the sender.
    packets_sent: AtomicU64,
    bytes_sent: AtomicU64,
    send_errors: AtomicU64,
    /// The source of what is made for the peer here, unless it was sent something before.
    ssrc: u32,
    /// What the peer is sent as one stream, by whomever. `None`: it is pictures, of which there may be several streams at once.
    /// The sender locks it for each batch; the port's own thread for commands, and for RTCP that has arrived.
    stream: Option<Mutex<Succession>>,
    /// What goes to the peer, or comes from it, is coded anew. Set by the thread of either port of the patch; taken back by the
    /// port's own.
    converted: AtomicBool,
    /// Begun by the port's own thread; ended by it, by the thread of a port that is patched here, or by who plays when there is
    /// no more. Who plays locks it for each 20 ms that it sends.
    turn: Turn,
    /// The last: fields are dropped in their order, and the numbers are free when the sockets are closed.
    lease: Lease,
}

impl PortSockets {
    pub(crate) fn new(id: PortId, class: TrafficClass, (rtp, rtcp): (UdpSocket, UdpSocket), lease: Lease) -> Self {
        Self {
            id,
            rtp,
            rtcp,
            destinations: DestinationCell::default(),
            outbound_security: OutboundSecurity::default(),
            sent_reports: SentReports::default(),
            metrics: Metrics::default(),
            closed: AtomicBool::new(false),
            packets_sent: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            send_errors: AtomicU64::new(0),
            ssrc: RandomState::new().build_hasher().finish() as u32,
            stream: (class == TrafficClass::Audio).then(Mutex::default),
            converted: AtomicBool::new(false),
            turn: Turn::default(),
            lease,
        }
    }

    /// The port that they are of.
    pub(crate) fn id(&self) -> PortId {
        self.id
    }

    /// The socket of a channel.
    pub(crate) fn socket(&self, channel: Channel) -> &UdpSocket {
        match channel {
            Channel::Rtp => &self.rtp,
            Channel::Rtcp => &self.rtcp,
        }
    }

    /// What protects packets for the peer.
    pub(crate) fn outbound_security(&self) -> &OutboundSecurity {
        &self.outbound_security
    }

    /// The sender reports that the peer may answer.
    pub(crate) fn sent_reports(&self) -> &SentReports {
        &self.sent_reports
    }

    /// What the peer is to be told of its sound.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// From now on packets go there. For the port's own thread only.
    pub(crate) fn set_destinations(&self, destinations: &Destinations) {
        self.destinations.write(destinations);
    }

    /// The socket that RTP leaves from and where it goes; `None` when nothing is to be sent.
    pub(crate) fn towards_rtp(&self) -> Option<(&UdpSocket, RawAddress)> {
        let (words, _) = self.destinations.read(0);
        words.map(|words| (&self.rtp, RawAddress::from_words(words)))
    }

    /// The same for RTCP.
    pub(crate) fn towards_rtcp(&self) -> Option<(&UdpSocket, RawAddress)> {
        let (words, mux) = self.destinations.read(4);
        let socket = if mux { &self.rtp } else { &self.rtcp };
        words.map(|words| (socket, RawAddress::from_words(words)))
    }

    /// The port is closed, and has counted so much; `None`: nothing that is told.
    pub(crate) fn close(&self, counted: Option<PortStats>) {
        self.closed.store(true, Ordering::Release);
        if let Some(counted) = counted {
            self.lease.count(counted);
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// RTP was sent.
    pub(crate) fn count_rtp(&self, sent: Sent) {
        self.packets_sent.fetch_add(sent.packets, Ordering::Relaxed);
        self.bytes_sent.fetch_add(sent.bytes, Ordering::Relaxed);
        self.count_errors(sent);
    }

    /// Something was not sent.
    pub(crate) fn count_errors(&self, sent: Sent) {
        if sent.errors > 0 {
            self.send_errors.fetch_add(sent.errors, Ordering::Relaxed);
        }
    }

    /// A packet was counted as sent, and was not.
    pub(crate) fn count_not_sent(&self, Failure { label, bytes }: Failure) {
        if label.is_rtp {
            self.packets_sent.fetch_sub(1, Ordering::Relaxed);
            self.bytes_sent.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.send_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Whose turn it is to send to the peer.
    pub(crate) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// The source of what is made for the peer here, unless it was sent something before.
    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// So much was sent of what is coded anew.
    pub(crate) fn set_sending(&self, sent: Option<Sending>) {
        if let Some(stream) = &self.stream {
            locked(stream).set_sent(sent);
        }
    }

    /// What was sent to the peer, by whomever.
    pub(crate) fn sending(&self) -> Option<Sending> {
        locked(self.stream.as_ref()?).sent()
    }

    /// Makes packets that have arrived at a port part of the stream to the peer of this one. Gives those that are.
    pub(crate) fn join(&self, now: Time, from: &Self, received: &mut Intake, rtp: Chosen) -> Chosen {
        let Some(stream) = self.stream.as_ref().filter(|_| !rtp.is_empty()) else { return rtp };
        let (mut stream, mut joined) = (locked(stream), Chosen::default());
        if self.towards_rtp().is_none() {
            stream.withhold();
            return joined;
        }
        for index in rtp.indices() {
            if stream.pass(now, from.id.0, received.batch().packet(index).1) {
                joined.add(index);
            }
        }
        joined
    }

    /// Packets for the peer go nowhere: what comes next follows what was sent.
    pub(crate) fn withhold(&self) {
        if let Some(stream) = &self.stream {
            locked(stream).withhold();
        }
    }

    /// As what the peer knows the stream of a port.
    pub(crate) fn translated(&self, from: &Self) -> Option<Translated> {
        locked(self.stream.as_ref()?).translated(from.id.0)
    }

    /// What the peer takes has a clock.
    pub(crate) fn set_clock(&self, clock_hz: u32) {
        if let Some(stream) = &self.stream {
            locked(stream).set_clock(clock_hz);
        }
    }

    /// How far the stream to the peer has come.
    pub(crate) fn remember_stream(&self) -> Option<StreamMemory> {
        locked(self.stream.as_ref()?).remember()
    }

    /// Another process has come so far.
    pub(crate) fn resume_stream(&self, memory: &StreamMemory) {
        if let Some(stream) = &self.stream {
            locked(stream).resume(memory);
        }
    }

    /// What goes to the peer, or comes from it, is coded anew, or is so no more.
    pub(crate) fn set_converted(&self, converted: bool) {
        self.converted.store(converted, Ordering::Relaxed);
    }

    /// Is it coded anew?
    pub(crate) fn is_converted(&self) -> bool {
        self.converted.load(Ordering::Relaxed)
    }

    /// RTP packets and bytes sent, and packets that could not be.
    pub(crate) fn sent(&self) -> Sent {
        Sent {
            packets: self.packets_sent.load(Ordering::Relaxed),
            bytes: self.bytes_sent.load(Ordering::Relaxed),
            errors: self.send_errors.load(Ordering::Relaxed),
        }
    }
}
