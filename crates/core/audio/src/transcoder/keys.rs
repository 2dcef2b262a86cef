//! Keys in one direction of a stream: relayed as events, told, or pressed anew.

use super::Transcoder;
use crate::keys::{As, Key};
use sx_engine::Time;
use sx_media::{Coding, KeyWay};
use sx_rtp::{EventPayload, Header, Packet};

impl Transcoder {
    /// A key is pressed in the stream, as if the sender had pressed it. [`poll_packet`](Self::poll_packet) gives what is to be
    /// sent for it at once, [`poll_timeout`](Self::poll_timeout) when there will be more.
    pub fn press(&mut self, now: Time, key: Key) {
        self.sending.begin(now);
        self.pressing.push(key);
        self.advance_keys(now);
    }

    /// Time has passed: what is due of keys is sent.
    pub fn handle_timeout(&mut self, now: Time) {
        self.sending.begin(now);
        self.advance_keys(now);
    }

    /// When something is due although nothing arrives.
    pub fn poll_timeout(&self) -> Option<Time> {
        [self.pressing.poll_timeout(), self.listening.poll_timeout()].into_iter().flatten().min()
    }

    /// A key that the sender has pressed, which is to be told.
    pub fn poll_key(&mut self) -> Option<Key> {
        if self.keys == KeyWay::Told { self.listening.poll() } else { None }
    }

    /// Carries on what is due of keys. The receiver hears nothing else meanwhile.
    pub(super) fn advance_keys(&mut self, now: Time) {
        if self.listening.poll_timeout().is_some_and(|due| due <= now) {
            self.listening.handle_timeout(now);
        }
        if self.keys != KeyWay::Told {
            while let Some(key) = self.listening.poll() {
                self.pressing.push(key);
            }
        }
        if !self.pressing.is_active() {
            return;
        }
        let Some(how) = self.how() else {
            self.pressing.clear();
            return;
        };
        if self.pressing.advance(now, how, &mut self.sending, &mut self.recoder) {
            self.expected = None;
        }
    }

    /// How the receiver hears keys; `None` when it cannot.
    fn how(&self) -> Option<As> {
        let events = || self.event_coding().map(As::Events);
        let tones = || self.recoder.is_some().then_some(As::Tones);
        match self.keys {
            KeyWay::Tones => tones(),
            KeyWay::Events | KeyWay::Told => events().or_else(tones),
        }
    }

    /// The events that the receiver takes: those with the clock of the sound that it hears, else any.
    //= https://www.rfc-editor.org/rfc/rfc4733#section-2.1
    // Events share the timestamps of the sound beside them, so their clock should be that of the sound.
    fn event_coding(&self) -> Option<Coding> {
        let clock_hz = self.sending.clock_hz();
        self.events.iter().find(|coding| coding.clock_hz == clock_hz).or(self.events.first()).copied()
    }

    /// A telephone event. All its packets have the timestamp at which it began.
    //= https://www.rfc-editor.org/rfc/rfc4733#section-2.5.1.2
    pub(super) fn pass_event(&mut self, header: &Header, in_hz: u32, payload: &[u8]) {
        // Older events that are repeated behind it have the old clock: they are left out.
        let Some(report) = EventPayload::parse(payload) else {
            self.stats.undecodable += 1;
            return;
        };
        self.stats.events += 1;
        self.lost = 0;
        if !self.relayed.is_known(header.timestamp, report.event) {
            // A clock that is not that of the sound says nothing of where it belongs; it belongs to now.
            let position = self.timeline.glance(header.timestamp, in_hz);
            let at = position.map_or_else(|| self.sending.position_now(), |position| self.timeline.out(position));
            let at = at.max(self.sending.last_position());
            let Some(coding) = self.event_coding() else { return };
            self.relayed.begin(report.event, header.timestamp, in_hz, (coding, at));
        }
        for relayed in self.relayed.relay(header.timestamp, report).into_iter().flatten() {
            self.sending.beside(relayed.payload_type, relayed.at, header.marker, &relayed.payload.to_bytes());
        }
    }

    /// A telephone event that ends here.
    pub(super) fn hear_event(&mut self, now: Time, in_hz: u32, packet: Packet<'_>) {
        self.stats.events += 1;
        self.lost = 0;
        self.listening.handle_event(now, in_hz, packet);
    }
}
