//! What keys a sender presses, as events or in its sound: each once, and not more than anybody can press.

use super::Key;
use super::tone_listener::ToneListener;
use std::collections::VecDeque;
use std::time::Duration;
use sx_codec::Format;
use sx_engine::{Engine, Time};
use sx_media::{KEYS_PER_S_MAX, KEYS_WAITING_MAX};
use sx_rtp::{EventOutput, EventReceiver, Packet};

/// Sound after which nothing comes for so long is over, and so is a key that sounded in it.
const SILENCE: Duration = EventReceiver::SILENCE;

/// Hears the keys of one sender.
#[derive(Debug)]
pub(crate) struct Listening {
    /// Hears events, at the clock of those that came last.
    events: Option<(u32, EventReceiver)>,
    ear: Option<ToneListener>,
    /// When sound was heard last.
    sound_at: Time,
    /// Since when keys are counted, and how many.
    second: (Time, u16),
    heard: VecDeque<Key>,
    dropped: u64,
}

impl Listening {
    /// `in_band`: sound is listened to as well.
    pub(crate) fn new(in_band: bool) -> Self {
        let ear = in_band.then(ToneListener::new);
        let (second, sound_at) = ((Time::ZERO, 0), Time::ZERO);
        Self { events: None, ear, sound_at, second, heard: VecDeque::new(), dropped: 0 }
    }

    /// Does a key sound in what it hears?
    fn is_sounding(&self) -> bool {
        self.ear.as_ref().is_some_and(ToneListener::is_sounding)
    }

    /// Is what was heard last to be silent, since it is of a key, or may be?
    pub(crate) fn silences(&self) -> bool {
        self.ear.as_ref().is_some_and(ToneListener::suspects)
    }

    /// Keys beyond what anybody can press.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A packet of events has come, whose timestamps tick so often.
    pub(crate) fn handle_event(&mut self, now: Time, clock_hz: u32, packet: Packet<'_>) {
        if self.events.as_ref().is_none_or(|(known, _)| *known != clock_hz) {
            self.events = Some((clock_hz, EventReceiver::new(clock_hz, SILENCE)));
        }
        if let Some((_, events)) = &mut self.events {
            events.handle_input(now, packet);
        }
        self.drain(now);
    }

    /// Sound has come, as samples.
    pub(crate) fn handle_samples(&mut self, now: Time, samples: &[i16], sample_hz: u32) {
        self.with_ear(now, |ear, keys| ear.hear(samples, sample_hz, |key| keys.push(key)));
    }

    /// Sound has come that nobody decodes.
    pub(crate) fn handle_payload(&mut self, now: Time, format: Format, payload: &[u8]) {
        self.with_ear(now, |ear, keys| ear.hear_payload(format, payload, |key| keys.push(key)));
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        if let Some((_, events)) = &mut self.events {
            events.handle_timeout(now);
        }
        if self.is_sounding() && self.sound_at + SILENCE <= now {
            let at = self.sound_at;
            self.with_ear(now, |ear, keys| ear.stop(|key| keys.push(key)));
            self.sound_at = at;
        }
        self.drain(now);
    }

    /// When something is over if nothing comes.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let sound = self.is_sounding().then(|| self.sound_at + SILENCE);
        let events = self.events.as_ref().and_then(|(_, events)| events.poll_timeout());
        [sound, events].into_iter().flatten().min()
    }

    /// The next key that is over.
    pub(crate) fn poll(&mut self) -> Option<Key> {
        self.heard.pop_front()
    }

    fn with_ear(&mut self, now: Time, work: impl FnOnce(&mut ToneListener, &mut Vec<Key>)) {
        let Some(ear) = &mut self.ear else { return };
        // Nothing is in there but when a key is over.
        let mut keys = Vec::new();
        work(ear, &mut keys);
        self.sound_at = now;
        keys.into_iter().for_each(|key| self.admit(now, key));
    }

    fn drain(&mut self, now: Time) {
        while let Some(output) = self.events.as_mut().and_then(|(_, events)| events.poll_output()) {
            if let EventOutput::Ended { event, duration, .. } = output
                && let Some(key) = event.key()
            {
                self.admit(now, Key::new(key, duration));
            }
        }
    }

    fn admit(&mut self, now: Time, key: Key) {
        if now.since(self.second.0) >= Duration::from_secs(1) {
            self.second = (now, 0);
        }
        if self.second.1 >= KEYS_PER_S_MAX || self.heard.len() >= KEYS_WAITING_MAX {
            self.dropped += 1;
        } else {
            self.second.1 += 1;
            self.heard.push_back(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_codec::{Digit, DtmfTone};
    use sx_rtp::{Event, EventSender, Header, Ssrc};
    use sx_types::PayloadType;

    const START: Time = Time::from_secs(1_700_000_000);

    fn press(listening: &mut Listening, at: Time, millis: u64, timestamp: u32) {
        for packet in EventSender::new(Event(5), 10, Duration::from_millis(millis), timestamp, 8_000) {
            let mut datagram = Vec::new();
            let payload_type = PayloadType(101);
            let header =
                Header { marker: false, payload_type, sequence: 0, timestamp: packet.timestamp, ssrc: Ssrc(1) };
            header.write(&packet.payload.to_bytes(), &mut datagram);
            listening.handle_event(at + packet.offset, 8_000, Packet::parse(&datagram).expect("RTP"));
        }
    }

    #[test]
    fn a_flood_of_keys_is_counted_and_dropped() {
        let mut listening = Listening::new(false);
        for number in 0..100_u32 {
            press(&mut listening, START, 1, number * 1_000);
        }
        let taken = std::iter::from_fn(|| listening.poll()).count();
        assert_eq!((taken, listening.dropped()), (25, 75));
        press(&mut listening, START + Duration::from_secs(1), 1, 200_000);
        assert!(listening.poll().is_some_and(|key| key.key == '5'));
    }

    #[test]
    fn a_key_whose_sound_stops_with_it_is_over_when_nothing_comes() {
        let mut listening = Listening::new(true);
        let tone = DtmfTone::new(Digit::from_key('9').expect("a key"), -10.0, -10.0);
        for (number, packet) in (0..).zip(tone.take(800).collect::<Vec<_>>().chunks(160)) {
            listening.handle_samples(START + Duration::from_millis(20) * number, packet, 8_000);
        }
        assert!(listening.is_sounding() && listening.poll().is_none());
        let due = listening.poll_timeout().expect("something sounds");
        assert_eq!(due, START + Duration::from_millis(280));
        listening.handle_timeout(due);
        let key = listening.poll().expect("it is over");
        assert!(key.key == '9' && (80..=120).contains(&key.duration_ms), "{key:?}");
        assert_eq!(listening.poll_timeout(), None);
    }
}
