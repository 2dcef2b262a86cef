//! What a room says to its members by itself: one sound after the other, mixed with what they say.

use crate::sounds::{Sound, Voice};
use std::collections::VecDeque;
use sx_mix::{FRAME_MS, Gain, HeardBy, Rate, Room, SourceId, SourceSettings};

/// Who is to hear a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptTo {
    /// All who are there.
    Everybody,
    /// Who is alone; as soon as it is not any more, the prompt is over.
    Lonely,
}

/// Prompts that are still to be heard, the one that is heard now first.
#[derive(Debug, Default)]
pub(super) struct Prompts {
    waiting: VecDeque<Prompt>,
    frame: Vec<i16>,
}

#[derive(Debug)]
struct Prompt {
    voice: Voice,
    rate: Rate,
    to: PromptTo,
    begun: bool,
}

impl Prompts {
    /// Takes one in. False when too many wait, or it cannot be mixed.
    pub(super) fn push(&mut self, sound: &Sound, to: PromptTo) -> bool {
        let voice = Voice::new(sound, false);
        let rate = Rate::from_hz(voice.sample_hz()).filter(|_| self.waiting.len() < PROMPTS_MAX);
        self.waiting.extend(rate.map(|rate| Prompt { voice, rate, to, begun: false }));
        rate.is_some()
    }

    /// Gives the room the next 20 ms of what is heard now, of so many members.
    pub(super) fn tick(&mut self, room: &mut Room, members: usize) {
        while let Some(prompt) = self.waiting.front_mut() {
            if prompt.voice.is_over() || (prompt.to == PromptTo::Lonely && members != 1) {
                if prompt.begun {
                    let _ = room.remove_source(PROMPT);
                }
                self.waiting.pop_front();
                continue;
            }
            if !prompt.begun {
                prompt.begun = true;
                let heard_by = match prompt.to {
                    PromptTo::Everybody => HeardBy::Everybody,
                    PromptTo::Lonely => HeardBy::Lonely,
                };
                let added = room.add_source(PROMPT, SourceSettings { rate: prompt.rate, gain: Gain::UNITY, heard_by });
                debug_assert!(added.is_ok(), "a room has one prompt at a time, and no other source");
            }
            self.frame.clear();
            let wanted = prompt.rate.hz() as usize / 1_000 * FRAME_MS;
            prompt.voice.take(wanted, &mut self.frame);
            self.frame.resize(wanted, 0);
            let taken = room.handle_source_frame(PROMPT, &self.frame);
            debug_assert!(taken.is_ok(), "the source is there, at this rate");
            return;
        }
    }
}

const PROMPT: SourceId = SourceId(0);
/// Prompts that wait, the one that is heard included: whoever comes in a crowd is not announced one by one for minutes.
const PROMPTS_MAX: usize = 4;
