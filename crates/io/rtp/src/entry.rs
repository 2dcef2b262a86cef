//! An open port on its thread: where its packets leave, and as what.

use crate::converting::{Converting, PacketMeans};
use crate::exchange::Exchange;
use crate::handshakes::Step;
use crate::playing::Told;
use crate::port::{Port, is_unicast};
use crate::port_sockets::PortSockets;
use crate::recording::Tapped;
use crate::relaying::relay;
use crate::seat::{Attending, PlayedOut};
use crate::sys::Chosen;
use crate::told_key::ToldKey;
use crate::totals::ThreadTotals;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use sx_engine::{Rng, Time};
use sx_media::{Conversion, MediaEvent, PortId, PortStats};

/// What a thread has of an open port.
pub(crate) struct Entry {
    pub(crate) id: PortId,
    pub(crate) port: Port,
    pub(crate) sockets: Arc<PortSockets>,
    pub(crate) patch: Patch,
    /// What its peer was last to hear.
    pub(crate) told: Told,
    /// What packets become on the way there; `None` when they pass as they are.
    pub(crate) converting: Option<Box<Converting>>,
    /// A key whose rest is not to pass.
    pub(crate) told_key: Option<ToldKey>,
    /// It is recorded what comes there.
    pub(crate) tapped: Option<Tapped>,
    /// What was counted by those that were there before.
    pub(crate) counted: (u64, u64),
    /// Something is due for keys in its stream.
    pub(crate) is_timed: bool,
    /// When a packet from a wrong source was last logged.
    pub(crate) logged: Time,
}

/// Where the packets of a port leave.
pub(crate) enum Patch {
    Nowhere,
    /// A port that was not open when the patch was made, on a thread that may yet open it.
    Awaiting(PortId),
    To(Arc<PortSockets>),
    /// They are mixed with those of others, on another thread.
    Room(Attending),
}

impl Entry {
    /// What it has counted so far.
    pub(crate) fn stats(&self) -> PortStats {
        let sent = self.sockets.sent();
        let (packets_transcoded, decode_errors) = self.counted();
        PortStats {
            packets_transcoded,
            decode_errors,
            packets_sent: sent.packets,
            bytes_sent: sent.bytes,
            send_errors: sent.errors,
            ..self.port.stats()
        }
    }

    /// Has packets that were received leave.
    pub(crate) fn pass_on(&mut self, means: &mut PacketMeans<'_>, rtp: Chosen, rtcp: Chosen) {
        if let Some(tapped) = &self.tapped {
            // Before it is sent on, which may protect it with another key.
            let dropped = tapped.ear().receive(means.now, means.received, rtp);
            means.totals.recording_packets_dropped.add(dropped);
        }
        let rtp = self.told_key.as_mut().map_or(rtp, |key| key.without(means.received, rtp));
        self.told_key.take_if(|key| key.is_over());
        match (&self.patch, &mut self.converting) {
            (Patch::To(target), _) if target.is_closed() => {}
            (Patch::To(target), Some(converting)) if target.turn().is_playing() => {
                target.withhold();
                converting.overhear(means, (&self.sockets, target), rtp);
            }
            (Patch::To(target), None) if target.turn().is_playing() => target.withhold(),
            (Patch::To(target), None) => {
                relay(means.received, means.totals, (means.now, &self.sockets, target), rtp, rtcp);
            }
            (Patch::To(target), Some(converting)) => converting.forward(means, (&self.sockets, target), rtp, rtcp),
            (Patch::Room(attending), _) => {
                let dropped = attending.seat().receive(means.now, means.received, rtp, rtcp);
                means.totals.room_packets_dropped.add(dropped);
            }
            (Patch::Nowhere | Patch::Awaiting(_), _) => {}
        }
    }

    pub(crate) fn set_patch(&mut self, patch: Patch) {
        if let Patch::To(before) = &self.patch
            && !matches!(&patch, Patch::To(now) if Arc::ptr_eq(before, now))
        {
            before.withhold();
        }
        if let Patch::Room(attending) = std::mem::replace(&mut self.patch, patch) {
            let (decoded, undecodable) = attending.counted();
            self.counted.0 += decoded;
            self.counted.1 += undecodable;
        }
    }

    /// Packets become what is said on their way. What goes on as it was remembers what it knows of the stream.
    pub(crate) fn convert(&mut self, patch: &Patch, conversion: Option<Box<Conversion>>, rng: Rng) {
        let same_end = matches!((&self.patch, patch), (Patch::To(before), Patch::To(now)) if Arc::ptr_eq(before, now));
        match (&mut self.converting, conversion) {
            (Some(converting), Some(conversion)) if same_end && converting.is(&conversion) => return,
            (Some(converting), Some(conversion)) => {
                self.told_key = converting.told_key().or(self.told_key);
                converting.begin_anew(conversion);
            }
            (place @ None, Some(conversion)) => *place = Some(Box::new(Converting::new(conversion, rng))),
            (converting, None) => {
                let Some(gone) = converting.take() else { return self.sockets.set_converted(false) };
                self.told_key = gone.told_key().or(self.told_key);
                let (transcoded, decode_errors) = gone.counted();
                self.counted.0 += transcoded;
                self.counted.1 += decode_errors;
            }
        }
        self.sockets.set_converted(false);
    }

    /// What was coded anew, and what could not be decoded.
    fn counted(&self) -> (u64, u64) {
        let (transcoded, decode_errors) = self.converting.as_ref().map_or((0, 0), |converting| converting.counted());
        let (decoded, undecodable) = match &self.patch {
            Patch::Room(attending) => attending.counted(),
            Patch::Nowhere | Patch::Awaiting(_) | Patch::To(_) => (0, 0),
        };
        (self.counted.0 + transcoded + decoded, self.counted.1 + decode_errors + undecodable)
    }

    /// Tells the port how what its peer sends is played out: in a room by a jitter buffer, and where it is coded anew without one.
    /// What is relayed as it is others play.
    pub(crate) fn mind_played_out(&mut self) {
        let played_out = match (&self.patch, &self.converting) {
            (Patch::Room(attending), _) => attending.played_out(),
            (Patch::To(_), Some(converting)) => PlayedOut { missing: converting.late(), held: None },
            (Patch::To(_) | Patch::Nowhere | Patch::Awaiting(_), _) => PlayedOut::default(),
        };
        self.port.handle_played_out(played_out);
    }

    /// Does what the handshakes of the port want done.
    pub(crate) fn carry_out(&mut self, exchange: &Exchange, totals: &ThreadTotals) {
        while let Some(step) = self.port.poll_step() {
            match step {
                // What is not sent is as what is lost: it is sent again.
                Step::Send(_, to, _) if !is_unicast(to) => {}
                Step::Send(channel, to, bytes) => _ = self.sockets.socket(channel).send_to(&bytes, to),
                Step::Agreed(protects, keys) => {
                    self.sockets.outbound_security().set_agreed(protects, &keys);
                    totals.handshakes.add(1);
                    tracing::debug!(port = self.id.0, ?protects, suite = keys.suite.sdp_name(), "a handshake is over");
                }
                Step::Failed(fault) => {
                    self.sockets.outbound_security().shut();
                    totals.handshakes_failed.add(1);
                    tracing::info!(port = self.id.0, %fault, "there are no keys for the media of a peer");
                    exchange.tell(self.id, MediaEvent::HandshakeFailed { port: self.id, fault });
                }
            }
        }
        if let Some(destinations) = self.port.poll_destinations() {
            self.sockets.set_destinations(&destinations);
        }
    }

    /// Says so at most once a second: an attacker decides how often this happens.
    pub(crate) fn log_wrong_source(&mut self, now: Time, from: SocketAddr) {
        if now.since(self.logged) >= LOG_INTERVAL {
            self.logged = now;
            let rejected = self.port.stats().rejected_source;
            tracing::info!(port = self.id.0, rejected, "packets from an address that is not the peer's are dropped");
            tracing::debug!(port = self.id.0, %from, "the address that is not the peer's");
        }
    }
}

const LOG_INTERVAL: Duration = Duration::from_secs(1);
