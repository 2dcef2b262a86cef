//! What packets become on their way from one party to the other, where the two have no codec in common.

use crate::{KeyRules, KeyWay};
use serde::{Deserialize, Serialize};
use sx_types::{Codec, Kind, PayloadType};

/// One direction of a stream between two parties: what the one may send, and what the other takes.
///
/// What both have passes as it is, under the other's payload type. All other sound is decoded and coded anew as the first
/// of `to` that can be, in packets of `ptime_ms`. Telephone events and comfort noise become what the other calls them, or
/// what it can hear instead. Who can code what is known to whoever converts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversion {
    /// What the sender may send.
    pub from: Vec<Coding>,
    /// What the receiver takes, best first.
    pub to: Vec<Coding>,
    /// Milliseconds of sound in a packet that is coded anew; one that the codec has not becomes 20.
    pub ptime_ms: u16,
    /// What becomes of keys that the sender presses.
    #[serde(default)]
    pub keys: KeyRules,
    /// Also sound that both have is coded anew: its packets are to be of another length.
    #[serde(default)]
    pub anew: bool,
    /// Is the sender's sound heard?
    #[serde(default)]
    pub sound: SoundRule,
}

/// What the receiver hears of the sender's sound. Keys go their own way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SoundRule {
    /// All of it.
    #[default]
    Heard,
    /// Silence in its place, in packets at its pace.
    Silent,
    /// Nothing: no packet of it goes on.
    Withheld,
}

/// A payload type and what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coding {
    /// The payload type.
    pub payload_type: PayloadType,
    /// The encoding.
    pub codec: Codec,
    /// Ticks of the RTP timestamp a second.
    pub clock_hz: u32,
    /// Channels of sound, as its `rtpmap` has them.
    pub channels: u8,
    /// What its receiver wants, where it is Opus.
    pub opus: OpusParameters,
}

/// What a receiver of Opus wants to be sent.
//= https://www.rfc-editor.org/rfc/rfc7587#section-6.1
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpusParameters {
    /// It can use copies of lost frames (`useinbandfec`).
    pub fec: bool,
    /// It would have nothing sent in pauses (`usedtx`).
    pub dtx: bool,
    /// Bits a second that it wants at most (`maxaveragebitrate`).
    pub bit_rate_max: Option<u32>,
    /// Bits a second that it is to be sent by what whoever runs the call has set; `None`: as the encoder has it.
    #[serde(default)]
    pub bit_rate: Option<u32>,
    /// From 0 to 10, as whoever runs the call has set it: how much the encoder takes pains.
    #[serde(default)]
    pub complexity: Option<u8>,
}

impl Conversion {
    /// Which payload type of the receiver a coding of the sender passes under as it is.
    pub fn passes(&self, coding: &Coding) -> Option<PayloadType> {
        let is_passed = !(self.anew || self.sound == SoundRule::Silent) || !coding.is_sound();
        self.to.iter().find(|taken| is_passed && taken.is_same(coding)).map(|taken| taken.payload_type)
    }

    /// Can a packet of this payload type go on without a byte being changed?
    pub fn relays(&self, payload_type: PayloadType) -> bool {
        let mut sent = self.from.iter().filter(|coding| coding.payload_type == payload_type);
        let is_for_us = |coding: &Coding| match coding.codec {
            Codec::TelephoneEvent => self.keys.to != KeyWay::Events,
            _ => self.sound != SoundRule::Heard,
        };
        sent.any(|coding| self.passes(coding) == Some(payload_type) && !is_for_us(coding))
    }

    /// Is there sound that can go on without a byte being changed?
    pub fn relays_sound(&self) -> bool {
        let relays = |coding: &Coding| coding.is_sound() && self.relays(coding.payload_type);
        !self.keys.heard_in_band && self.from.iter().any(relays)
    }

    /// Can everything? Then there is nothing to convert.
    pub fn relays_all(&self) -> bool {
        !self.keys.heard_in_band && self.from.iter().all(|coding| self.relays(coding.payload_type))
    }

    /// Can all sound be sent on without being coded anew?
    pub fn passes_sound(&self) -> bool {
        self.from.iter().filter(|coding| coding.is_sound()).all(|coding| self.passes(coding).is_some())
    }

    /// Does the receiver take telephone events?
    pub fn takes_events(&self) -> bool {
        self.to.iter().any(|coding| coding.codec == Codec::TelephoneEvent)
    }
}

impl Coding {
    /// A codec under a payload type, with its registered clock and channels.
    pub fn new(payload_type: PayloadType, codec: Codec) -> Self {
        let (clock_hz, channels) = (codec.clock_hz(), codec.channels());
        Self { payload_type, codec, clock_hz, channels, opus: OpusParameters::default() }
    }

    /// Is it sound, rather than something that goes beside it?
    pub fn is_sound(&self) -> bool {
        self.codec.kind() == Kind::Audio
    }

    /// Do both stand for the same bytes?
    pub fn is_same(&self, other: &Self) -> bool {
        (self.codec, self.clock_hz, self.channels) == (other.codec, other.clock_hz, other.channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coding(payload_type: u8, codec: Codec) -> Coding {
        Coding::new(PayloadType(payload_type), codec)
    }

    #[test]
    fn what_both_have_under_one_number_is_relayed() {
        let from = vec![coding(0, Codec::Pcmu), coding(111, Codec::Opus), coding(101, Codec::TelephoneEvent)];
        let to = vec![coding(0, Codec::Pcmu), coding(96, Codec::Opus), coding(101, Codec::TelephoneEvent)];
        let conversion =
            Conversion { from, to, ptime_ms: 20, keys: KeyRules::default(), anew: false, sound: SoundRule::Heard };
        for (number, relays) in [(0, true), (111, false), (96, false), (101, true), (9, false)] {
            assert_eq!(conversion.relays(PayloadType(number)), relays, "{number}");
        }
        assert_eq!(conversion.passes(&conversion.from[1]), Some(PayloadType(96)));
        assert!(conversion.relays_sound() && !conversion.relays_all());
    }

    #[test]
    fn sound_that_is_not_to_be_heard_is_not_relayed_and_events_are() {
        let both = vec![coding(0, Codec::Pcmu), coding(13, Codec::ComfortNoise), coding(101, Codec::TelephoneEvent)];
        let check = |sound: SoundRule, passes: bool| {
            let keys = KeyRules::default();
            let conversion =
                Conversion { from: both.clone(), to: both.clone(), ptime_ms: 20, keys, anew: false, sound };
            let relays = [0, 13, 101].map(|number| conversion.relays(PayloadType(number)));
            assert_eq!(relays, [passes, passes, true], "{sound:?}");
            assert_eq!((conversion.relays_sound(), conversion.relays_all()), (passes, passes), "{sound:?}");
        };
        check(SoundRule::Heard, true);
        check(SoundRule::Silent, false);
        check(SoundRule::Withheld, false);
    }

    #[test]
    fn events_that_are_not_for_the_receiver_and_sound_that_is_listened_to_are_not_relayed() {
        let both = vec![coding(0, Codec::Pcmu), coding(101, Codec::TelephoneEvent)];
        let keys = |heard_in_band, to| KeyRules { heard_in_band, to };
        let check = |keys: KeyRules, expected: [bool; 3]| {
            let conversion = Conversion {
                from: both.clone(),
                to: both.clone(),
                ptime_ms: 20,
                keys,
                anew: false,
                sound: SoundRule::Heard,
            };
            let events = conversion.relays(PayloadType(101));
            assert_eq!([conversion.relays_all(), conversion.relays_sound(), events], expected, "{keys:?}");
        };
        check(keys(false, KeyWay::Events), [true, true, true]);
        check(keys(false, KeyWay::Told), [false, true, false]);
        check(keys(false, KeyWay::Tones), [false, true, false]);
        check(keys(true, KeyWay::Events), [false, false, true]);
    }
}
