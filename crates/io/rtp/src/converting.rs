//! Packets that become others on their way from a port to the one it is patched to.
//!
//! ```text
//!   Relaying ──a packet that the other side does not take──► Converting, and so is the way back
//! ```
//!
//! Where the two sides share a codec, packets in it pass byte for byte, and RTCP with them, until one comes in another: an
//! endpoint may change among those it has agreed to. From then on both ways have numbers of our own, and so reports.

use crate::forwarding::forward;
use crate::port_sockets::PortSockets;
use crate::relaying::relay;
use crate::sys::{BATCH, Chosen, Intake, Written};
use crate::told_key::ToldKey;
use crate::totals::ThreadTotals;
use std::sync::Arc;
use sx_audio::{Key, Reporter, Stats, Transcoder};
use sx_engine::{Rng, Time};
use sx_media::{Conversion, KeyWay};
use sx_rtp::{Packet, Ssrc};

/// One direction of a stream whose sides do not take the same.
pub(crate) struct Converting {
    conversion: Box<Conversion>,
    state: State,
    transcoded: u64,
    decode_errors: u64,
    late: u64,
    /// The last key that was told, as far as it came by events.
    told_key: Option<ToldKey>,
    rng: Rng,
}

enum State {
    Relaying,
    Converting(Box<(Transcoder, Reporter)>),
    /// It was asked for what cannot be.
    Impossible,
}

/// What one packet, or a report, is sent with.
pub(crate) struct PacketMeans<'m> {
    pub(crate) now: Time,
    /// Its packets are used up.
    pub(crate) received: &'m mut Intake,
    /// Where what is to be sent is written.
    pub(crate) written: &'m mut Written,
    pub(crate) totals: &'m ThreadTotals,
}

/// Packets that were made, on their way out: as many at a time as can be written.
#[derive(Default)]
struct Leaving(Chosen);

impl Leaving {
    fn take(
        &mut self,
        transcoder: &mut Transcoder,
        now: Time,
        written: &mut Written,
        totals: &ThreadTotals,
        target: &Arc<PortSockets>,
    ) {
        while let Some(packet) = transcoder.poll_packet() {
            if self.0.count() == BATCH as u64 {
                self.send(now, written, totals, target);
            }
            let place = self.0.count() as usize;
            written.put(place, packet);
            self.0.add(place);
        }
    }

    fn send(&mut self, now: Time, written: &mut Written, totals: &ThreadTotals, target: &Arc<PortSockets>) {
        let chosen = std::mem::take(&mut self.0);
        forward(written, totals, (now, target), chosen, Chosen::default());
    }
}

impl Converting {
    pub(crate) fn new(conversion: Box<Conversion>, rng: Rng) -> Self {
        Self { conversion, state: State::Relaying, transcoded: 0, decode_errors: 0, late: 0, told_key: None, rng }
    }

    /// Is this what is being done?
    pub(crate) fn is(&self, conversion: &Conversion) -> bool {
        *self.conversion == *conversion
    }

    /// The last key that the call was told of.
    pub(crate) fn told_key(&self) -> Option<ToldKey> {
        self.told_key
    }

    /// Another source of packets, or another end, takes over.
    pub(crate) fn begin_anew(&mut self, conversion: Box<Conversion>) {
        self.told_key = None;
        self.conversion = conversion;
        self.state = State::Relaying;
    }

    /// Something else is sent from the same source: keys that are not over end, and what goes on begins behind it.
    pub(crate) fn interrupt(&mut self) {
        self.state = State::Relaying;
    }

    /// What was coded anew, and what could not be decoded.
    pub(crate) fn counted(&self) -> (u64, u64) {
        (self.transcoded, self.decode_errors)
    }

    /// Packets that came when those after them had been coded, or twice.
    pub(crate) fn late(&self) -> u64 {
        self.late
    }

    /// Sends packets that have arrived at a port on to the peer of another one.
    pub(crate) fn forward(
        &mut self,
        means: &mut PacketMeans<'_>,
        (own, target): (&PortSockets, &Arc<PortSockets>),
        rtp: Chosen,
        rtcp: Chosen,
    ) {
        if matches!(self.state, State::Relaying) && !self.must_convert(means.received, own, rtp) {
            relay(means.received, means.totals, (means.now, own, target), rtp, rtcp);
            return;
        }
        if matches!(self.state, State::Relaying) {
            self.state = self.begin(means.now, own, target);
        }
        if let State::Converting(both) = &self.state
            && target.sending().map(|sent| sent.sequence) != both.0.sent().map(|sent| sent.sequence)
        {
            // Something else was heard meanwhile, from the same source: whoever goes on must not say its numbers again.
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
        let mut leaving = Leaving::default();
        for index in rtp.indices() {
            let (_, packet) = means.received.batch().packet(index);
            self.told_key = told_key(&self.conversion, packet).or(self.told_key);
            transcoder.handle_packet(means.now, packet);
            leaving.take(transcoder, means.now, means.written, means.totals, target);
        }
        // Whoever has received it may have another thread go on with the stream, or ask what was counted.
        target.set_sending(transcoder.sent());
        let after = transcoder.stats();
        means.totals.encode_errors.add(transcoder.take_encode_errors());
        self.count(means.totals, &before, &after);
        leaving.send(means.now, means.written, means.totals, target);
    }

    /// The peer of the other port hears something else now: of the packets that have arrived only the keys are told that
    /// are not for it. What would have been made of them is thrown away, as are their numbers.
    pub(crate) fn overhear(
        &mut self,
        means: &mut PacketMeans<'_>,
        (own, target): (&PortSockets, &Arc<PortSockets>),
        rtp: Chosen,
    ) {
        if self.conversion.keys.to != KeyWay::Told {
            return;
        }
        let conversion = &self.conversion;
        let mut key = |index: usize| told_key(conversion, means.received.batch().packet(index).1);
        // Keys that are tones are in the sound.
        let in_band = conversion.keys.heard_in_band;
        let heard: Vec<usize> = rtp.indices().filter(|index| in_band || key(*index).is_some()).collect();
        self.told_key = heard.iter().rev().find_map(|index| key(*index)).or(self.told_key);
        if !heard.is_empty() && matches!(self.state, State::Relaying) {
            self.state = self.begin(means.now, own, target);
        }
        let State::Converting(both) = &mut self.state else { return };
        for index in heard {
            both.0.handle_packet(means.now, means.received.batch().packet(index).1);
            while both.0.poll_packet().is_some() {}
        }
    }

    /// A key is pressed in what goes to the peer of the other port.
    pub(crate) fn press(
        &mut self,
        (now, written, totals): (Time, &mut Written, &ThreadTotals),
        (own, target): (&PortSockets, &Arc<PortSockets>),
        key: Key,
    ) {
        if matches!(self.state, State::Relaying) {
            self.state = self.begin(now, own, target);
        }
        self.carry_on((now, written, totals), target, |transcoder| transcoder.press(now, key));
    }

    /// Time has passed: sends what is due of keys.
    pub(crate) fn handle_timeout(
        &mut self,
        (now, written, totals): (Time, &mut Written, &ThreadTotals),
        target: &Arc<PortSockets>,
    ) {
        self.carry_on((now, written, totals), target, |transcoder| transcoder.handle_timeout(now));
    }

    /// When something is due although nothing arrives.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let State::Converting(both) = &self.state else { return None };
        both.0.poll_timeout()
    }

    /// A key that the peer of the port has pressed, and that is to be told.
    pub(crate) fn poll_key(&mut self) -> Option<Key> {
        let State::Converting(both) = &mut self.state else { return None };
        both.0.poll_key()
    }

    fn carry_on(
        &mut self,
        (now, written, totals): (Time, &mut Written, &ThreadTotals),
        target: &Arc<PortSockets>,
        work: impl FnOnce(&mut Transcoder),
    ) {
        let State::Converting(both) = &mut self.state else { return };
        target.set_converted(true);
        let (transcoder, _) = &mut **both;
        let before = transcoder.stats();
        work(transcoder);
        let mut leaving = Leaving::default();
        leaving.take(transcoder, now, written, totals, target);
        // Whoever has received it may have another thread go on with the stream, or ask what was counted.
        target.set_sending(transcoder.sent());
        let after = transcoder.stats();
        totals.encode_errors.add(transcoder.take_encode_errors());
        self.count(totals, &before, &after);
        leaving.send(now, written, totals, target);
    }

    fn count(&mut self, totals: &ThreadTotals, before: &Stats, after: &Stats) {
        let transcoded = after.transcoded - before.transcoded;
        let decode_errors = after.undecodable - before.undecodable;
        self.transcoded += transcoded;
        self.decode_errors += decode_errors;
        self.late += after.late - before.late;
        totals.packets_transcoded.add(transcoded);
        totals.decode_errors.add(decode_errors);
        totals.keys_dropped.add(after.keys_dropped - before.keys_dropped);
    }

    /// Tells the peer of the port, if it is time, what was sent to it and received from it.
    pub(crate) fn report(&mut self, means: &mut PacketMeans<'_>, own: &PortSockets) {
        let State::Converting(both) = &mut self.state else { return };
        let (transcoder, reporter) = &mut **both;
        if !reporter.is_due(means.now) {
            return;
        }
        let mut report = Vec::with_capacity(128);
        reporter.write(means.now, own.sending().as_ref(), transcoder.report(means.now), &mut report);
        own.metrics().append(None, &mut report);
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

/// The key that a packet is of, where keys are told to the call alone.
fn told_key(conversion: &Conversion, packet: &[u8]) -> Option<ToldKey> {
    if conversion.keys.to != KeyWay::Told {
        return None;
    }
    let header = Packet::parse(packet).ok()?.header();
    let is_event = |coding: &sx_media::Coding| coding.payload_type == header.payload_type && !coding.is_sound();
    conversion.from.iter().any(is_event).then(|| ToldKey::of(header))
}
