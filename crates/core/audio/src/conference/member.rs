//! A member of a room: what comes from it, and what goes to it.

use super::playout::Playout;
use super::stream::{Kind, Stream, rate_of};
use crate::NotConvertible;
use crate::keys::{Key, Listening};
use crate::reports::Reporter;
use crate::route::{Coded, coded};
use crate::sending::{Sending, Sent};
use crate::source::Source;
use sx_engine::{Rng, Time};
use sx_media::Attendance;
use sx_mix::{MemberId, Mix, MixKind, Rate};
use sx_rtp::{Compound, Packet, RtcpPacket, Ssrc};

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: MemberId,
    attendance: Attendance,
    pub(super) playout: Playout,
    source: Source,
    listening: Listening,
    terms: Terms,
    pub(super) sending: Sending,
    reporter: Reporter,
    report: Vec<u8>,
    voice: Voice,
    /// Ticks in which its mix was silent, in a row, and ticks since it had one of its own alone.
    silent: u32,
    apart: u32,
}

/// What a member is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    coded: Coded,
    pub(super) kind: Kind,
    pub(super) rate: Rate,
}

/// Which stream a member is sent.
#[derive(Debug)]
enum Voice {
    /// The one of all who add nothing to it.
    Common,
    /// One of its own.
    Own(Box<Stream>),
    /// None yet. Who comes in while others speak hears them rise in its first tick, which nobody else does: it is sent
    /// nothing then, since an encoder for that would be kept for as long as they go on speaking.
    Awaited,
}

impl Terms {
    pub(super) fn new(attendance: &Attendance) -> Result<Self, NotConvertible> {
        let coded = coded(&attendance.to).ok_or(NotConvertible)?;
        let rate = rate_of(coded.format).ok_or(NotConvertible)?;
        Ok(Self { coded, kind: Kind::new(&coded, attendance.ptime_ms), rate })
    }
}

impl Member {
    pub(super) fn new(
        now: Time,
        (id, ssrc): (MemberId, Ssrc),
        attendance: &Attendance,
        terms: Terms,
        rng: &mut Rng,
    ) -> Self {
        Self {
            id,
            playout: Playout::new(&attendance.from, terms.rate),
            source: Source::default(),
            listening: Listening::new(attendance.keys_in_band),
            sending: Sending::new(ssrc, terms.coded.coding.clock_hz, rng),
            reporter: Reporter::new(now, ssrc, rng),
            report: Vec::new(),
            voice: Voice::Awaited,
            silent: 0,
            apart: 0,
            attendance: attendance.clone(),
            terms,
        }
    }

    /// It goes on with what was sent to it before, from elsewhere.
    pub(super) fn resume(&mut self, now: Time, sent: &Sent) {
        self.sending.resume(now, sent);
    }

    pub(super) fn rate(&self) -> Rate {
        self.terms.rate
    }

    pub(super) fn is_muted(&self) -> bool {
        self.attendance.muted
    }

    /// Takes part in another way from now on.
    pub(super) fn change(&mut self, attendance: &Attendance, terms: Terms) {
        if self.attendance.from != attendance.from {
            self.playout.set_codings(&attendance.from);
        }
        if self.terms.kind != terms.kind {
            self.voice = Voice::Common;
        }
        if self.attendance.keys_in_band != attendance.keys_in_band {
            self.listening = Listening::new(attendance.keys_in_band);
        }
        if attendance.muted && !self.attendance.muted {
            self.playout.clear();
        }
        self.playout.set_rate(terms.rate);
        self.sending.set_clock(terms.coded.coding.clock_hz);
        self.terms = terms;
        self.attendance.clone_from(attendance);
    }

    pub(super) fn handle_packet(&mut self, now: Time, datagram: &[u8]) {
        let Ok(packet) = Packet::parse(datagram) else { return };
        let Some((clock_hz, is_sound)) = self.playout.clock_of(packet.payload_type()) else { return };
        self.source.place(now, &packet.header(), clock_hz, is_sound);
        if self.playout.is_event(packet.payload_type()) {
            self.listening.handle_event(now, clock_hz, packet);
        }
        // Of whom nobody hears nothing is decoded.
        if !self.attendance.muted && !packet.payload().is_empty() {
            self.playout.handle_packet(now, &packet);
        }
    }

    /// What it says in the tick that begins now. While a key sounds, which is for the exchange, the others hear nothing of it.
    pub(super) fn says(&mut self, now: Time) -> Option<&[i16]> {
        let frame = self.playout.take(now)?;
        self.listening.handle_samples(now, frame, self.terms.rate.hz());
        if self.listening.silences() {
            frame.fill(0);
        }
        Some(frame)
    }

    /// The next key that it has pressed, and that is over.
    pub(super) fn poll_key(&mut self, now: Time) -> Option<Key> {
        self.listening.handle_timeout(now);
        self.listening.poll()
    }

    pub(super) fn keys_dropped(&self) -> u64 {
        self.listening.dropped()
    }

    pub(super) fn handle_rtcp(&mut self, now: Time, datagram: &[u8]) {
        let Ok(compound) = Compound::parse(datagram) else { return };
        for packet in compound.packets() {
            if let RtcpPacket::SenderReport(report) = packet {
                self.source.handle_sender_report(now, report.ssrc, &report.info);
            }
        }
    }

    /// Makes packets of the mix that it hears in this tick.
    pub(super) fn hear(&mut self, tick: u64, mix: &Mix<'_>, shared: &mut Vec<Stream>) {
        let Terms { coded, kind, .. } = self.terms;
        if matches!(self.voice, Voice::Awaited) {
            self.voice = Voice::Common;
            return self.pass(1);
        }
        let stream = match &mut self.voice {
            Voice::Own(stream) => {
                stream.encode(mix.samples);
                &**stream
            }
            Voice::Common | Voice::Awaited => {
                let known = shared.iter().position(|stream| stream.kind == kind);
                let place = known.unwrap_or_else(|| {
                    shared.push(Stream::new(&coded, kind, tick));
                    shared.len() - 1
                });
                let stream = &mut shared[place];
                // The first who hears it has it encoded, for all.
                if !std::mem::replace(&mut stream.heard, true) {
                    stream.encode(mix.samples);
                }
                stream
            }
        };
        let ticks = kind.frame_ticks();
        for payload in stream.payloads() {
            self.sending.coded(coded.coding.payload_type, self.sending.end(), ticks, payload);
        }
    }

    /// Ticks have passed in which nothing was mixed.
    pub(super) fn skip(&mut self, ticks: u64) {
        self.pass(ticks);
        self.sending.pause();
    }

    /// Ticks pass without a packet.
    fn pass(&mut self, ticks: u64) {
        let hz = u64::from(self.terms.coded.coding.clock_hz);
        self.sending.pass(ticks * hz * sx_mix::FRAME_MS as u64 / 1_000);
    }

    /// A report for it, if it is time.
    pub(super) fn poll_report(&mut self, now: Time) -> Option<&[u8]> {
        if !self.reporter.is_due(now) {
            return None;
        }
        self.report.clear();
        self.reporter.write(now, self.sending.sent().as_ref(), self.source.report(now), &mut self.report);
        Some(&self.report)
    }

    /// Chooses between the common stream and one of its own, before any is encoded in this tick.
    pub(super) fn choose(&mut self, tick: u64, mix: &Mix<'_>, shared: &[Stream]) {
        let Terms { coded, kind, .. } = self.terms;
        let is_common = mix.kind == MixKind::Common;
        self.silent = if mix.silent { self.silent.saturating_add(1) } else { 0 };
        match &self.voice {
            Voice::Awaited if is_common => self.voice = Voice::Common,
            Voice::Common if !is_common => {
                let before = shared.iter().find(|stream| stream.kind == kind);
                let own = before.map_or_else(|| Stream::new(&coded, kind, tick), |stream| stream.fork(&coded));
                self.voice = Voice::Own(Box::new(own));
                self.apart = 0;
            }
            Voice::Own(_) if is_common => {
                self.apart = self.apart.saturating_add(1);
                let settled = !kind.remembers() || self.silent >= SETTLED_TICKS || self.apart >= APART_TICKS_MAX;
                if settled && kind.pending_at(tick) == 0 {
                    self.voice = Voice::Common;
                }
            }
            Voice::Own(_) => self.apart = 0,
            Voice::Common | Voice::Awaited => {}
        }
    }

    #[cfg(test)]
    pub(super) fn has_own_stream(&self) -> bool {
        matches!(self.voice, Voice::Own(_))
    }
}

/// In so much silence two encoders of one kind come to remember the same, so that nobody hears the step from one to the
/// other: 100 ms.
const SETTLED_TICKS: u32 = 5;
/// Who listens to others who are never silent steps over all the same, after 2 s: an encoder for each costs more than a step
/// is heard.
const APART_TICKS_MAX: u32 = 100;
