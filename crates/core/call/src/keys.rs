//! Keys that the parties of a call press on their telephones, however each tells them and is told.
//!
//! ```text
//!  by signalling: LegEvent::Digit ──┐                         ┌──► LegCommand::Digit: by signalling
//!                                   ├─► how is it told? ──────┤
//!  in the stream: MediaEvent::Pressed ┘                       └──► MediaCommand::Press: in the stream
//! ```
//!
//! A key that the packet threads can pass on by themselves is never heard of here: what they do with keys stands in the
//! conversions of streams, which follow from what the parties have said and how they are set. Keys are digits of cards and
//! of passwords: they stand in no note, no record and no log.

use crate::engine::Calls;
use crate::interface::{Note, Output};
use crate::ports::agreed;
use crate::state::{Body, Call, Party, PortState, State, relayed};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use sx_engine::Time;
use sx_leg::LegCommand;
use sx_media::{Conversion, KEYS_PER_S_MAX, KeyRules, KeyWay, MediaCommand, PortId, ways};
use sx_types::{Codec, Dtmf, LegId};

/// Does a party take keys by signalling?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Signalling {
    /// It has not said.
    #[default]
    Unknown,
    /// It says that it takes none.
    Refused,
    /// It says that it takes what they come in.
    Taken,
    /// It has sent some.
    Used,
}

impl Signalling {
    /// What a party has said of itself is known from now on; what it has done says more.
    pub(crate) fn learn(&mut self, takes: Option<bool>) {
        match takes {
            Some(_) if *self == Self::Used => {}
            Some(true) => *self = Self::Taken,
            Some(false) => *self = Self::Refused,
            None => {}
        }
    }
}

/// Keys in the last second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    since: Time,
    keys: u16,
}

impl Pace {
    /// May there be another one?
    fn admits(&mut self, now: Time) -> bool {
        if now.since(self.since) >= Duration::from_secs(1) {
            *self = Self { since: now, keys: 0 };
        }
        self.keys = self.keys.saturating_add(1);
        self.keys <= KEYS_PER_S_MAX
    }
}

impl Calls {
    /// One of two connected parties has pressed a key by signalling.
    pub(crate) fn key_signalled(
        &mut self,
        call: &mut Call,
        parties: &mut [Party; 2],
        index: usize,
        (digit, duration_ms): (char, u16),
    ) {
        if !self.admit_key(call) || self.answers_by_key(&mut call.body, parties[index].leg, digit) {
            return;
        }
        let is_first = std::mem::replace(&mut parties[index].signalling, Signalling::Used) != Signalling::Used;
        let (from, to) = (&parties[index], &parties[1 - index]);
        let Some(port) = self.pressed_at(&call.body, from, to) else {
            return self.say(to.leg, LegCommand::Digit { digit, duration_ms });
        };
        if is_first {
            // Until now nothing had to be put into the stream.
            self.patch(&call.body, from, to);
        }
        self.out.push_back(Output::Media(MediaCommand::Press { port, key: digit, duration_ms }));
    }

    /// The peer of a port has pressed a key in its stream, which the other party cannot be told there.
    pub(crate) fn key_pressed(&mut self, call: &mut Call, port: PortId, key: char, duration_ms: u16) {
        if !self.admit_key(call) {
            return;
        }
        let leg = call.body.ports.iter().find(|known| known.id == port).map(|known| known.leg);
        let to = leg.and_then(|leg| other_of(&call.state, leg));
        if leg.is_some_and(|leg| self.answers_by_key(&mut call.body, leg, key)) {
            return;
        }
        // A member of a room presses its keys for the exchange, which has nothing to do with them yet.
        if let Some(to) = to {
            self.say(to, LegCommand::Digit { digit: key, duration_ms });
        }
    }

    fn admit_key(&mut self, call: &mut Call) -> bool {
        let admitted = call.body.pace.admits(self.now);
        if !admitted {
            self.note(Note::KeyDropped { call: call.body.cdr.call });
        }
        admitted
    }

    /// The port in whose stream a key of `from` reaches `to`; `None` when it is told by signalling.
    fn pressed_at(&self, body: &Body, from: &Party, to: &Party) -> Option<PortId> {
        let open = |port: &&crate::state::Port| port.leg == from.leg && matches!(port.state, PortState::Open(_));
        if !relayed(from, to) {
            return None;
        }
        let (port, way) = body.ports.iter().filter(open).find_map(|port| {
            let [way, _] = self.ways_between(from, to, port.stream.into())?;
            Some((port.id, way))
        })?;
        let is_unknown = to.access.dtmf == Dtmf::Auto && to.signalling == Signalling::Unknown;
        match way.keys.to {
            KeyWay::Told => None,
            // Who has said nothing of itself is told as the other one tells.
            KeyWay::Tones if is_unknown => None,
            KeyWay::Events if !way.takes_events() => None,
            KeyWay::Events | KeyWay::Tones => Some(port),
        }
    }

    /// What packets become between two parties, each way; `None` when all pass as they are, or nothing can be done.
    pub(crate) fn conversions_between(&self, one: &Party, other: &Party, stream: usize) -> Option<[Conversion; 2]> {
        let ways = self.ways_between(one, other, stream)?;
        // Keys that come by signalling are put into a stream, which is one of ours then.
        let presses = [one, other].iter().any(|party| party.signalling == Signalling::Used);
        (presses || ways.iter().any(|way| !way.relays_all())).then_some(ways)
    }

    /// As [`conversions_between`](Self::conversions_between), but that all keys are told to the call and nobody else. Who has no
    /// events to press them by presses tones.
    pub(crate) fn conversions_asked(&self, one: &Party, other: &Party, stream: usize) -> Option<[Conversion; 2]> {
        let mut ways = self.ways_between(one, other, stream)?;
        for way in &mut ways {
            let has_events = way.from.iter().any(|coding| coding.codec == Codec::TelephoneEvent);
            way.keys = KeyRules { heard_in_band: way.keys.heard_in_band || !has_events, to: KeyWay::Told };
        }
        Some(ways)
    }

    fn ways_between(&self, one: &Party, other: &Party, stream: usize) -> Option<[Conversion; 2]> {
        let mut ways = ways(agreed(one)?, agreed(other)?, stream)?;
        for (way, (from, to)) in ways.iter_mut().zip([(one, other), (other, one)]) {
            way.keys = self.rules(from, to, way);
        }
        // Where nothing may be coded anew, only what passes does.
        let passes = !self.settings.transcode.is_empty() || ways.iter().all(Conversion::passes_sound);
        passes.then_some(ways)
    }

    fn rules(&self, from: &Party, to: &Party, way: &Conversion) -> KeyRules {
        let can_sound = || way.to.iter().any(|coding| self.makes_tones_in(coding.codec));
        let by_tones = || if can_sound() { KeyWay::Tones } else { KeyWay::Told };
        let way = match to.access.dtmf {
            Dtmf::Rfc4733 => KeyWay::Events,
            Dtmf::Info => KeyWay::Told,
            Dtmf::Inband => by_tones(),
            Dtmf::Auto if way.takes_events() => KeyWay::Events,
            Dtmf::Auto => match to.signalling {
                Signalling::Taken | Signalling::Used => KeyWay::Told,
                Signalling::Unknown | Signalling::Refused => by_tones(),
            },
        };
        // Between two who both have them in the sound it is left alone.
        KeyRules { heard_in_band: from.access.dtmf == Dtmf::Inband && way != KeyWay::Tones, to: way }
    }

    /// Can tones be put into sound of this codec? They can into any that is coded without effort, whatever else may be.
    fn makes_tones_in(&self, codec: Codec) -> bool {
        matches!(codec, Codec::Pcmu | Codec::Pcma | Codec::G722) || self.settings.transcode.contains(&codec)
    }
}

/// The leg that is connected with another one.
fn other_of(state: &State, leg: LegId) -> Option<LegId> {
    let (one, other) = state.connected()?;
    match leg {
        _ if leg == one.leg => Some(other.leg),
        _ if leg == other.leg => Some(one.leg),
        _ => None,
    }
}
