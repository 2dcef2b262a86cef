//! One port's peer: which packets are believed, where packets go, what is counted. No socket; time comes in.
//!
//! ```text
//!            set_remote            first believed RTP packet
//!  no peer ─────────────► negotiated ───────────────► latched
//!                             ▲                          │
//!                             └── set_remote, elsewhere ─┘
//! ```

use crate::config::RtcpXr;
use crate::handshakes::{HandshakeSettings, Handshakes, Protects, Step};
use crate::quality::{Quality, metrics, microseconds};
use crate::reception::{Packet, Reception};
use crate::seat::PlayedOut;
use crate::secure::InboundSecurity;
use crate::sent_reports::SentReports;
use std::net::SocketAddr;
use std::time::Duration;
use sx_engine::Time;
use sx_media::{Handshake, Keys, Latch, PeerReport, PortMemory, PortStats, QualitySample, Remote};
use sx_rtp::VoipMetrics;
use sx_rtp::srtp::StateError;

/// Which socket of the pair a packet arrived on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Rtp,
    Rtcp,
}

/// What is to become of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is RTP from the peer.
    Rtp,
    /// It is RTCP from the peer.
    Rtcp,
    /// Dropped: it came from an address that is not the peer's.
    WrongSource,
    /// Dropped: it came from the peer, and is neither RTP nor RTCP.
    Malformed,
    /// Dropped: it came from the peer's address, and is not protected with its key, or was repeated.
    NotAuthentic,
    /// It was of a handshake, and was heard.
    Handshake,
    /// Dropped: it was of a handshake, and there is none, or more comes than is looked at.
    NoHandshake,
}

/// Where packets for the peer go; `None` sends nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Destinations {
    pub(crate) rtp: Option<SocketAddr>,
    pub(crate) rtcp: Option<SocketAddr>,
    /// RTP and RTCP share the peer's port: RTCP leaves from the RTP socket.
    pub(crate) mux: bool,
}

/// The state of one port.
pub(crate) struct Port {
    peer: Option<Peer>,
    inbound_security: InboundSecurity,
    /// The handshakes with the peer, and what of one has come before it was known who the peer is.
    handshakes: Option<Box<Handshakes>>,
    early: Option<Box<Early>>,
    /// What another process has known, until it is said who the peer is.
    memory: Option<Box<PortMemory>>,
    hearing: Hearing,
    reception: Reception,
    /// `None`: the peer sends no sound.
    quality: Option<Box<Quality>>,
    stats: PortStats,
    /// The destinations have changed since they were last taken.
    moved: bool,
}

impl Port {
    /// A port that knows no peer yet.
    pub(crate) fn new() -> Self {
        Self {
            peer: None,
            inbound_security: InboundSecurity::Clear,
            handshakes: None,
            early: None,
            memory: None,
            hearing: Hearing::NotExpected,
            reception: Reception::new(),
            quality: None,
            stats: PortStats { last_payload_type: NO_PAYLOAD_TYPE, ..PortStats::default() },
            moved: false,
        }
    }

    /// The peer was negotiated, perhaps anew. One at the same place with the same latch keeps what it latched to.
    pub(crate) fn set_remote(&mut self, now: Time, remote: Remote) {
        let known = self.peer.take().filter(|peer| peer.remote.rtp == remote.rtp && peer.remote.latch == remote.latch);
        self.hearing = match self.hearing {
            _ if !remote.sends => Hearing::NotExpected,
            hearing @ (Hearing::Since(_) | Hearing::Silent) if known.is_some() => hearing,
            _ => Hearing::Since(now),
        };
        let heard = self.memory.take().unwrap_or_default();
        let peer = known.map_or(Peer { remote, rtp: heard.rtp, rtcp: heard.rtcp }, |peer| Peer {
            rtp: peer.rtp,
            rtcp: peer.rtcp.filter(|_| peer.remote.rtcp == remote.rtcp),
            remote,
        });
        self.peer = Some(peer);
        self.moved = true;
        match (&mut self.quality, remote.codec) {
            (Some(quality), Some(codec)) => quality.set_codec(codec),
            (none, Some(codec)) => *none = Quality::new(now, codec).map(Box::new),
            (_, None) => {}
        }
    }

    /// What the peer sends is protected with these keys from now on, or with those of a handshake, or not at all. The handshake
    /// that is to begin, if it is another one than before.
    pub(crate) fn set_keys<'k>(&mut self, keys: Option<&'k Keys>) -> Option<&'k Handshake> {
        let described = match keys {
            Some(Keys::Handshake(terms)) => {
                self.resume_handshake(terms);
                self.inbound_security.await_keys();
                return Some(terms).filter(|terms| !self.handshakes.as_ref().is_some_and(|had| had.is(terms)));
            }
            Some(Keys::Described(keys)) => Some(keys),
            None => None,
        };
        self.handshakes = None;
        self.inbound_security.set_keys(described);
        None
    }

    /// A handshake that another process has had is not had again.
    fn resume_handshake(&mut self, terms: &Handshake) {
        let Some(memory) = &self.memory else { return };
        if let Some(agreed) = memory.agreed.as_deref().filter(|agreed| agreed.terms == *terms) {
            self.inbound_security.resume_agreed(agreed);
            self.handshakes = Some(Box::new(Handshakes::had(terms)));
        }
    }

    /// What it knows of its peer.
    pub(crate) fn remember(&self) -> PortMemory {
        let heard = |place: fn(&Peer) -> Option<SocketAddr>| self.peer.as_ref().and_then(place);
        let mut memory =
            PortMemory { rtp: heard(|peer| peer.rtp), rtcp: heard(|peer| peer.rtcp), ..PortMemory::default() };
        let terms = self.handshakes.as_ref().and_then(|handshakes| handshakes.agreed_terms());
        self.inbound_security.remember(terms, &mut memory);
        memory.shaking = self.handshakes.as_ref().is_some_and(|handshakes| handshakes.go_on());
        memory
    }

    /// Goes on with what another process has known, as soon as it is said who the peer is.
    ///
    /// # Errors
    /// What it has known cannot be: nothing is believed then.
    pub(crate) fn resume(&mut self, memory: Box<PortMemory>) -> Result<(), StateError> {
        self.inbound_security.resume(&memory)?;
        self.memory = Some(memory);
        Ok(())
    }

    /// How far its keys are used is not known: nothing is believed any more.
    pub(crate) fn lose_keys(&mut self) {
        self.inbound_security.lose();
    }

    /// Begins a handshake with the peer, who is known by now.
    pub(crate) fn begin_handshake(&mut self, now: Time, terms: &Handshake, shaker: &HandshakeSettings) {
        let Some(peer) = &self.peer else { return };
        let (rtp, rtcp) = (peer.rtp.unwrap_or(peer.remote.rtp), peer.rtcp.unwrap_or(peer.remote.rtcp));
        let places = (rtp, if peer.mux() { rtp } else { rtcp });
        let begun = Handshakes::begin(terms, self.handshakes.as_deref(), places, shaker, now);
        self.handshakes = Some(Box::new(begun));
        //= https://www.rfc-editor.org/rfc/rfc5763#section-5
        // Whoever has offered is ready for a handshake that begins before the answer has come.
        if let Some(early) = self.early.take() {
            self.receive_handshake(now, Channel::Rtp, early.from, &early.datagram);
        }
    }

    /// What is to be done for the handshakes. What they give the opening of packets is done already.
    pub(crate) fn poll_step(&mut self) -> Option<Step> {
        let handshakes = self.handshakes.as_mut()?;
        let step = handshakes.poll_step()?;
        match &step {
            Step::Send(..) => {}
            Step::Agreed(protects, keys) => {
                self.inbound_security.set_agreed(*protects, keys);
                // It is there where its handshake came from: that it may have said as well.
                let place = handshakes.place(*protects);
                if let Some(peer) = self.peer.as_mut().filter(|peer| peer.remote.latch != Latch::Exact) {
                    self.moved |= match protects {
                        Protects::Both | Protects::Rtp => peer.latch_rtp(place),
                        Protects::Rtcp => peer.latch_rtcp(place),
                    };
                }
            }
            Step::Failed(_) => self.inbound_security.shut(),
        }
        Some(step)
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        if let Some(handshakes) = &mut self.handshakes {
            handshakes.handle_timeout(now);
        }
    }

    /// A datagram of a handshake.
    fn receive_handshake(&mut self, now: Time, channel: Channel, from: SocketAddr, datagram: &[u8]) -> Verdict {
        let Some(peer) = &self.peer else {
            let is_first = self.early.is_none() && channel == Channel::Rtp && datagram.len() <= EARLY_BYTES_MAX;
            if is_first {
                self.early = Some(Box::new(Early { from, datagram: datagram.into() }));
            }
            return Verdict::NoHandshake;
        };
        if !peer.believes(from, channel == Channel::Rtcp) {
            self.stats.rejected_source += 1;
            return Verdict::WrongSource;
        }
        let heard = self.handshakes.as_mut().is_some_and(|own| own.receive(now, channel, from, datagram));
        if heard { Verdict::Handshake } else { Verdict::NoHandshake }
    }

    /// A packet arrived. It is opened in place; what it is then and how long.
    pub(crate) fn receive(
        &mut self,
        now: Time,
        channel: Channel,
        from: SocketAddr,
        bytes: &mut [u8],
    ) -> (Verdict, usize) {
        if sx_dtls::is_dtls(bytes) && (self.handshakes.is_some() || self.peer.is_none()) {
            let verdict = self.receive_handshake(now, channel, from, bytes);
            self.stats.rejected_format += u64::from(verdict == Verdict::NoHandshake);
            return (verdict, bytes.len());
        }
        let is_rtcp = sx_rtp::is_rtcp(bytes);
        let believed = self.peer.as_ref().is_some_and(|peer| peer.believes(from, is_rtcp || channel == Channel::Rtcp));
        if !believed {
            self.stats.rejected_source += 1;
            return (Verdict::WrongSource, bytes.len());
        }
        // Only what its key vouches for teaches anything of the peer.
        let Some(len) = self.inbound_security.open(is_rtcp, bytes) else {
            self.stats.rejected_format += 1;
            return (Verdict::NotAuthentic, bytes.len());
        };
        (self.receive_opened(now, channel, from, &bytes[..len]), len)
    }

    fn receive_opened(&mut self, now: Time, channel: Channel, from: SocketAddr, bytes: &[u8]) -> Verdict {
        let packet = Packet::parse(bytes);
        let Some(peer) = self.peer.as_mut() else { return Verdict::WrongSource };
        let (verdict, moved) = match (packet, channel) {
            (Packet::Rtp(header), Channel::Rtp) => {
                self.reception.receive(now, &header);
                self.stats.packets_received += 1;
                self.stats.bytes_received += bytes.len() as u64;
                self.stats.last_payload_type = header.payload_type.0;
                (Verdict::Rtp, peer.latch_rtp(from))
            }
            (Packet::Rtcp, _) => {
                self.stats.rtcp_received += 1;
                (Verdict::Rtcp, peer.latch_rtcp(from))
            }
            (Packet::Rtp(_), Channel::Rtcp) | (Packet::Malformed, _) => {
                self.stats.rejected_format += 1;
                return Verdict::Malformed;
            }
        };
        self.moved |= moved;
        if self.hearing != Hearing::NotExpected {
            self.hearing = Hearing::Since(now);
        }
        verdict
    }

    /// Where packets for the peer go, when that has changed.
    pub(crate) fn poll_destinations(&mut self) -> Option<Destinations> {
        std::mem::take(&mut self.moved)
            .then(|| self.peer.as_ref().map_or_else(Destinations::default, Peer::destinations))
    }

    /// True once for each time that a peer which should send has been silent for `timeout`.
    pub(crate) fn poll_silence(&mut self, now: Time, timeout: Duration) -> bool {
        let silent = matches!(self.hearing, Hearing::Since(heard) if now.since(heard) >= timeout);
        if silent {
            self.hearing = Hearing::Silent;
        }
        silent
    }

    /// A report of the peer, opened. `sent`: the reports that it may answer.
    pub(crate) fn handle_report(&mut self, now: Time, datagram: &[u8], sent: &SentReports) {
        if let Some(quality) = &mut self.quality {
            quality.handle_report(now, datagram, sent);
        }
    }

    /// How the peer's sound was, each time that an interval is over.
    pub(crate) fn peer_report(&self) -> Option<PeerReport> {
        self.quality.as_ref()?.peer_report()
    }

    /// How what the peer sends is played out here.
    pub(crate) fn handle_played_out(&mut self, played_out: PlayedOut) {
        if let Some(quality) = &mut self.quality {
            quality.handle_played_out(played_out);
        }
    }

    pub(crate) fn poll_quality(&mut self, now: Time) -> Option<QualitySample> {
        self.quality.as_mut()?.poll(now, &mut self.reception, self.stats.last_payload_type)
    }

    /// What the peer is told of that, if it is to be told.
    pub(crate) fn metrics(&self, now: Time, sample: &QualitySample, told: RtcpXr) -> Option<VoipMetrics> {
        let wants = self.peer.as_ref().is_some_and(|peer| peer.remote.wants_metrics);
        let is_told = told == RtcpXr::Always || told == RtcpXr::Negotiated && wants;
        if is_told { metrics(now, sample, &self.reception) } else { None }
    }

    /// How it was in the interval that the end cuts short.
    pub(crate) fn end_quality(&mut self, now: Time) -> Option<QualitySample> {
        self.quality.as_mut()?.end(now, &mut self.reception, self.stats.last_payload_type)
    }

    /// What was received. What was sent is counted where it is sent.
    pub(crate) fn stats(&self) -> PortStats {
        let (packets_lost, jitter_us) = (self.reception.counts().lost, microseconds(self.reception.jitter()));
        let counted = PortStats { packets_lost, jitter_us, ..self.stats };
        self.quality.as_ref().map_or(counted, |quality| quality.stats(counted))
    }
}

/// The first datagram of a handshake with a peer that is not known yet.
struct Early {
    from: SocketAddr,
    datagram: Box<[u8]>,
}

/// What begins a handshake is shorter.
const EARLY_BYTES_MAX: usize = 1500;

/// [`PortStats::last_payload_type`] when there was none.
const NO_PAYLOAD_TYPE: u8 = 255;

/// Whether the peer is heard. RTCP counts: a peer that suppresses silence is not gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hearing {
    NotExpected,
    /// It was last heard then, or is expected since then.
    Since(Time),
    /// It has not been heard for too long, and that has been told.
    Silent,
}

#[derive(Debug)]
struct Peer {
    remote: Remote,
    /// The address its RTP was latched to.
    rtp: Option<SocketAddr>,
    /// The address its RTCP was latched to, where that is not the one of its RTP.
    rtcp: Option<SocketAddr>,
}

impl Peer {
    fn believes(&self, from: SocketAddr, is_rtcp: bool) -> bool {
        if is_rtcp {
            return match (self.rtp, self.remote.latch) {
                (_, Latch::Host) => from.ip() == self.remote.rtcp.ip(),
                (_, Latch::Exact) | (None, _) => same(from, self.remote.rtcp),
                (Some(latched), Latch::Port) => same(from, self.remote.rtcp) || latched.ip() == from.ip(),
                // Of both its addresses the peer has the one that it was heard from.
                (Some(latched), Latch::Nat(_)) => latched.ip() == from.ip(),
            };
        }
        match (self.rtp, self.remote.latch) {
            (Some(latched), _) => same(from, latched),
            (None, Latch::Exact) => same(from, self.remote.rtp),
            (None, Latch::Port | Latch::Host) => from.ip() == self.remote.rtp.ip(),
            (None, Latch::Nat(ip)) => from.ip() == ip || from.ip() == self.remote.rtp.ip(),
        }
    }

    /// A valid RTP packet was believed. True when it was the first that something was learnt from.
    fn latch_rtp(&mut self, from: SocketAddr) -> bool {
        if self.remote.latch == Latch::Host {
            return false;
        }
        let first = self.rtp.is_none();
        self.rtp.get_or_insert(from);
        first
    }

    /// A valid RTCP packet was believed. True when it was the first. An exact latch has nothing to learn, and where
    /// both share a port RTCP goes where RTP goes.
    fn latch_rtcp(&mut self, from: SocketAddr) -> bool {
        let first = self.rtcp.is_none() && !matches!(self.remote.latch, Latch::Exact | Latch::Host) && !self.mux();
        if first {
            self.rtcp = Some(from);
        }
        first
    }

    //= https://www.rfc-editor.org/rfc/rfc5761#section-5.1.1
    // Descriptions that agree on rtcp-mux give both the same address.
    fn mux(&self) -> bool {
        self.remote.rtp == self.remote.rtcp
    }

    //= https://www.rfc-editor.org/rfc/rfc4961#section-4
    // A symmetric peer sends from where it receives: answers go where its packets come from.
    fn destinations(&self) -> Destinations {
        if !self.remote.receives {
            return Destinations::default();
        }
        let rtp = self.rtp.unwrap_or(self.remote.rtp);
        let rtcp = if self.mux() { rtp } else { self.rtcp.unwrap_or(self.remote.rtcp) };
        Destinations {
            rtp: Some(rtp).filter(|address| is_unicast(*address)),
            rtcp: Some(rtcp).filter(|address| is_unicast(*address)),
            mux: self.mux(),
        }
    }
}

/// The same address and port; the flow label and the scope of an IPv6 address are not negotiated.
fn same(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip() == other.ip() && one.port() == other.port()
}

/// One host's address: a description is not to aim packets at many.
pub(crate) fn is_unicast(address: SocketAddr) -> bool {
    let ip = address.ip();
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast()
}

#[cfg(test)]
mod tests;
