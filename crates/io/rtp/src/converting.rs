//! Packets that become others on their way from a port to the one it is patched to.
//!
//! ```text
//!   Relaying ──a packet that the other side does not take──► Converting, and so is the way back
//! ```
//!
//! Where the two sides share a codec, packets in it pass byte for byte, and RTCP with them, until one comes in another: an
//! endpoint may change among those it has agreed to. From then on both ways have sources of our own, and so reports.

use crate::forwarding::forward;
use crate::shared::PortSockets;
use crate::sys::{BATCH, Chosen, Intake, Written};
use crate::totals::ThreadTotals;
use std::sync::Arc;
use sx_audio::{Reporter, Transcoder};
use sx_engine::{Rng, Time};
use sx_media::Conversion;
use sx_rtp::{Packet, Ssrc};

/// One direction of a stream whose sides do not take the same.
pub(crate) struct Converting {
    conversion: Box<Conversion>,
    state: State,
    transcoded: u64,
    decode_errors: u64,
    rng: Rng,
}

enum State {
    Relaying,
    Converting(Box<(Transcoder, Reporter)>),
    /// It was asked for what cannot be.
    Impossible,
}

/// What one packet, or a report, is sent with.
pub(crate) struct Means<'m> {
    pub(crate) now: Time,
    /// Its packets are used up.
    pub(crate) received: &'m mut Intake,
    /// Where what is to be sent is written.
    pub(crate) written: &'m mut Written,
    pub(crate) totals: &'m ThreadTotals,
}

impl Converting {
    pub(crate) fn new(conversion: Box<Conversion>, rng: Rng) -> Self {
        Self { conversion, state: State::Relaying, transcoded: 0, decode_errors: 0, rng }
    }

    /// Is this what is being done?
    pub(crate) fn is(&self, conversion: &Conversion) -> bool {
        *self.conversion == *conversion
    }

    /// Another source of packets, or another end, takes over.
    pub(crate) fn begin_anew(&mut self, conversion: Box<Conversion>) {
        self.conversion = conversion;
        self.state = State::Relaying;
    }

    /// What was coded anew, and what could not be decoded.
    pub(crate) fn counted(&self) -> (u64, u64) {
        (self.transcoded, self.decode_errors)
    }

    /// Sends packets that have arrived at a port on to the peer of another one.
    pub(crate) fn forward(
        &mut self,
        means: &mut Means<'_>,
        (own, target): (&PortSockets, &Arc<PortSockets>),
        rtp: Chosen,
        rtcp: Chosen,
    ) {
        if matches!(self.state, State::Relaying) && !self.must_convert(means.received, own, rtp) {
            forward(means.received, means.totals, (means.now, target), rtp, rtcp);
            return;
        }
        if matches!(self.state, State::Relaying) {
            self.state = self.begin(means.now, own, target);
        }
        let State::Converting(both) = &mut self.state else { return };
        target.set_converted(true);
        let (transcoder, _) = &mut **both;
        let before = transcoder.stats();
        for index in rtcp.indices() {
            let (_, report) = means.received.batch().packet(index);
            transcoder.handle_rtcp(means.now, report);
        }
        let mut written = Chosen::default();
        for index in rtp.indices() {
            let (_, packet) = means.received.batch().packet(index);
            transcoder.handle_packet(means.now, packet);
            while let Some(packet) = transcoder.poll_packet() {
                if written.count() == BATCH as u64 {
                    forward(means.written, means.totals, (means.now, target), written, Chosen::default());
                    written = Chosen::default();
                }
                let place = written.count() as usize;
                means.written.put(place, packet);
                written.add(place);
            }
        }
        target.set_sending(transcoder.sent());
        let after = transcoder.stats();
        let transcoded = after.transcoded - before.transcoded;
        let decode_errors = after.undecodable - before.undecodable;
        self.transcoded += transcoded;
        self.decode_errors += decode_errors;
        means.totals.packets_transcoded.add(transcoded);
        means.totals.decode_errors.add(decode_errors);
        forward(means.written, means.totals, (means.now, target), written, Chosen::default());
    }

    /// Tells the peer of the port, if it is time, what was sent to it and received from it.
    pub(crate) fn report(&mut self, means: &mut Means<'_>, own: &PortSockets) {
        let State::Converting(both) = &mut self.state else { return };
        let (transcoder, reporter) = &mut **both;
        if !reporter.is_due(means.now) {
            return;
        }
        let mut report = Vec::with_capacity(128);
        reporter.write(means.now, own.sending().as_ref(), transcoder.report(means.now), &mut report);
        means.written.put(0, &report);
        let mut chosen = Chosen::default();
        chosen.add(0);
        forward(means.written, means.totals, (means.now, own), Chosen::default(), chosen);
    }

    /// Is there something that cannot pass as it is?
    fn must_convert(&self, received: &mut Intake, own: &PortSockets, rtp: Chosen) -> bool {
        let strange = |index| {
            let (_, packet) = received.batch().packet(index);
            let payload_type = Packet::parse(packet).map(|packet| packet.payload_type());
            payload_type.is_ok_and(|payload_type| {
                let is_agreed = |coding: &sx_media::Coding| coding.payload_type == payload_type;
                self.conversion.from.iter().any(is_agreed) && !self.conversion.relays(payload_type)
            })
        };
        own.is_converted() || !self.conversion.relays_sound() || rtp.indices().any(strange)
    }

    fn begin(&mut self, now: Time, own: &PortSockets, target: &PortSockets) -> State {
        match Transcoder::new(&self.conversion, Ssrc(target.ssrc()), &mut self.rng) {
            Ok(mut transcoder) => {
                if let Some(sent) = target.sending() {
                    transcoder.resume(now, &sent);
                }
                own.set_converted(true);
                let reporter = Reporter::new(now, Ssrc(own.ssrc()), &mut self.rng);
                State::Converting(Box::new((transcoder, reporter)))
            }
            Err(error) => {
                tracing::error!(%error, "a stream goes nowhere");
                State::Impossible
            }
        }
    }
}
