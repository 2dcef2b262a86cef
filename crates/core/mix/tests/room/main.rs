//! Rooms, by what is heard in them.

mod changes;
mod hearing;
mod naive;
mod speakers;

use std::collections::BTreeMap;
use sx_mix::{MemberId, MemberSettings, Mix, Rate, Room, RoomEvent, RoomSettings, SourceId};

/// Samples of a voice, from the first tick on, as many as are wanted.
type Voice = Box<dyn FnMut(usize) -> Vec<i16>>;

/// A room with voices, and what each member has heard.
struct Party {
    room: Room,
    voices: BTreeMap<MemberId, (Rate, Voice)>,
    sources: BTreeMap<SourceId, (Rate, Voice)>,
    heard: BTreeMap<MemberId, Vec<i16>>,
    events: Vec<RoomEvent>,
    /// The distinct mixes of the last tick.
    mixes: usize,
}

impl Party {
    fn new(settings: RoomSettings) -> Self {
        Self {
            room: Room::new(settings),
            voices: BTreeMap::new(),
            sources: BTreeMap::new(),
            heard: BTreeMap::new(),
            events: Vec::new(),
            mixes: 0,
        }
    }

    fn join(&mut self, id: u64, rate: Rate, voice: Voice) {
        self.join_as(id, MemberSettings::new(rate), voice);
    }

    fn join_as(&mut self, id: u64, settings: MemberSettings, voice: Voice) {
        self.room.join(MemberId(id), &settings).expect("there is room");
        self.voices.insert(MemberId(id), (settings.rate, voice));
        self.heard.insert(MemberId(id), Vec::new());
    }

    /// From now on somebody says something else.
    fn say(&mut self, id: u64, voice: Voice) {
        self.voices.get_mut(&MemberId(id)).expect("a member").1 = voice;
    }

    fn leave(&mut self, id: u64) {
        self.room.leave(MemberId(id)).expect("a member");
        self.voices.remove(&MemberId(id));
    }

    fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            for (id, (rate, voice)) in &mut self.voices {
                let frame = voice(rate.frame_samples());
                if !frame.is_empty() {
                    self.room.handle_frame(*id, &frame).expect("a frame");
                }
            }
            for (id, (rate, voice)) in &mut self.sources {
                self.room.handle_source_frame(*id, &voice(rate.frame_samples())).expect("a frame");
            }
            let tick = self.room.mix();
            let mixes: Vec<Mix> = tick.mixes().collect();
            self.mixes = mixes.len();
            for (id, number) in tick.hearers() {
                self.heard.get_mut(&id).expect("a member").extend_from_slice(mixes[number].samples);
            }
            self.events.extend_from_slice(tick.events());
        }
    }

    /// What a member has heard since this was asked last.
    fn heard(&mut self, id: u64) -> Vec<i16> {
        std::mem::take(self.heard.get_mut(&MemberId(id)).expect("a member"))
    }

    fn forget(&mut self) {
        self.heard.values_mut().for_each(Vec::clear);
        self.events.clear();
    }
}

/// A sine of this frequency and amplitude.
fn tone(hz: f64, amplitude: f64, rate: Rate) -> Voice {
    let mut at = 0;
    Box::new(move |samples| {
        let angle = |i: usize| std::f64::consts::TAU * hz * i as f64 / f64::from(rate.hz());
        at += samples;
        (at - samples..at).map(|i| (angle(i).sin() * amplitude).round() as i16).collect()
    })
}

/// Frames of silence.
fn silence() -> Voice {
    Box::new(|samples| vec![0; samples])
}

/// No frames at all.
fn nothing() -> Voice {
    Box::new(|_| Vec::new())
}

/// The largest step from one sample to the next.
fn largest_step(samples: &[i16]) -> i32 {
    samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
}
