//! Where the packets of a branch go and what becomes of them on the way, as far as the packet threads do not know it.

use crate::blocking::Blocks;
use crate::call::{Branch, Side};
use crate::engine::{NgCalls, Output};
use crate::settling::both_ways;
use sx_media::{Conversion, KeyWay, MediaCommand, PortId, ways};
use sx_types::Codec;

/// Where the packets of a port go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patched {
    /// `None`: nowhere.
    pub(crate) to: Option<PortId>,
    /// What they become.
    pub(crate) conversion: Option<Box<Conversion>>,
}

impl NgCalls {
    /// Tells the packet threads of a branch what has changed for them; what is played in it goes on.
    pub(crate) fn patch(&mut self, blocks: Blocks, branch: &mut Branch) {
        let held_back = [0, 1].map(|side| blocks.with(branch.sides[side].blocks));
        branch.governed |= held_back.iter().any(Blocks::any);
        let streams: Vec<usize> = branch.sides[0].ports.iter().map(|port| port.stream).collect();
        let mut recoded = 0;
        for stream in streams {
            let [Some(one), Some(other)] = [0, 1].map(|side| branch.sides[side].port(stream).map(|port| port.id))
            else {
                continue;
            };
            let asked = branch.recodes.then(|| both_ways(&branch.sides, stream, &self.settings.codable)).flatten();
            recoded += usize::from(asked.is_some());
            let governed = || self.governed(&branch.sides, stream).filter(|_| branch.governed);
            let mut both = asked.or_else(governed);
            for (way, blocks) in both.iter_mut().flatten().zip(held_back) {
                if branch.governed {
                    way.sound = blocks.sound();
                    way.keys.to = self.key_way(way, blocks);
                }
            }
            let [there, back] = both.map_or([None, None], |ways| ways.map(|way| Some(Box::new(way))));
            for (side, to, conversion) in [(0, other, there), (1, one, back)] {
                // What cannot be looked into is held back whole.
                let nowhere = held_back[side].media && conversion.is_none();
                let patched = Patched { to: (!nowhere).then_some(to), conversion };
                self.patch_port(branch, (side, stream), patched);
            }
        }
        branch.recoded = recoded;
    }

    fn patch_port(&mut self, branch: &mut Branch, (side, stream): (usize, usize), patched: Patched) {
        let Some(port) = branch.sides[side].port_mut(stream) else { return };
        if port.patched.as_ref() == Some(&patched) {
            return;
        }
        let Patched { to, conversion } = patched.clone();
        port.patched = Some(patched);
        self.out.push_back(Output::Media(MediaCommand::Patch { from: port.id, to, conversion }));
        if to.is_some() {
            // It has ended what was played there.
            branch.sides[1 - side].plays.interrupted(to);
        }
    }

    /// What packets of a stream become where something is to be put into it, or taken out. `None`: nobody here can.
    pub(crate) fn governed(&self, sides: &[Side; 2], stream: usize) -> Option<[Conversion; 2]> {
        let both = ways(sides[0].agreed()?, sides[1].agreed()?, stream)?;
        // Where nothing may be coded anew, only what passes does.
        (!self.settings.codable.is_empty() || both.iter().all(Conversion::passes_sound)).then_some(both)
    }

    /// How the receiver hears keys of the sender.
    pub(crate) fn key_way(&self, way: &Conversion, blocks: Blocks) -> KeyWay {
        match blocks.dtmf {
            // Whoever asks for the stream is told, and that is all that becomes of them.
            true => KeyWay::Told,
            false if !way.takes_events() && self.codes(way) => KeyWay::Tones,
            false => KeyWay::Events,
        }
    }

    /// Does the receiver take something that can be coded here? What is coded without effort always can.
    pub(crate) fn codes(&self, way: &Conversion) -> bool {
        way.to.iter().any(|coding| self.can_code(coding.codec))
    }

    pub(crate) fn can_code(&self, codec: Codec) -> bool {
        matches!(codec, Codec::Pcmu | Codec::Pcma | Codec::G722) || self.settings.codable.contains(&codec)
    }
}
