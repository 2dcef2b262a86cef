//! A room against the plainest mixer there is: for each listener, sample by sample, the sum of all that it may hear.

use proptest::prelude::*;
use sx_mix::{Gain, MemberId, MemberSettings, Rate, Room, RoomSettings};

const MEMBERS: usize = 6;
/// So loud that six of them, each twice as loud as it was, fit.
const PEAK: i16 = 2_700;

/// What is done before a tick.
#[derive(Clone, Debug)]
enum Doing {
    Gain(usize, f32),
    Muted(usize, bool),
    Deaf(usize, bool),
    Whisper(usize, Vec<usize>),
    Aloud(usize),
    Leave(usize),
    Join(usize),
    Nothing,
}

fn doing() -> impl Strategy<Value = Doing> {
    let member = || 0..MEMBERS;
    prop_oneof![
        (member(), -20f32..6.0).prop_map(|(member, db)| Doing::Gain(member, db)),
        (member(), any::<bool>()).prop_map(|(member, muted)| Doing::Muted(member, muted)),
        (member(), any::<bool>()).prop_map(|(member, deaf)| Doing::Deaf(member, deaf)),
        (member(), proptest::collection::vec(member(), 0..4)).prop_map(|(member, to)| Doing::Whisper(member, to)),
        member().prop_map(Doing::Aloud),
        member().prop_map(Doing::Leave),
        member().prop_map(Doing::Join),
        Just(Doing::Nothing),
    ]
}

/// A member as the plain mixer knows it: now, and as it was in the last tick.
#[derive(Clone, Debug)]
struct Plain {
    there: bool,
    gain: f64,
    muted: bool,
    deaf: bool,
    to: Option<Vec<usize>>,
}

const ABSENT: Plain = Plain { there: false, gain: 1.0, muted: false, deaf: false, to: None };

fn may_hear(speaker: &Plain, listener: &Plain, number: usize) -> bool {
    listener.there && !listener.deaf && speaker.to.as_ref().is_none_or(|to| to.contains(&number))
}

struct Mixer {
    before: Vec<Plain>,
    now: Vec<Plain>,
    /// The gain and the sample with which each has ended.
    ends: Vec<(f64, f64)>,
    ramp: usize,
}

impl Mixer {
    fn ramp(&self, from: f64, to: f64, i: usize) -> f64 {
        if i < self.ramp { from + (to - from) * (i + 1) as f64 / self.ramp as f64 } else { to }
    }

    fn mix(&mut self, frames: &[Option<Vec<i16>>], len: usize) -> Vec<Vec<f64>> {
        let mut mixes = vec![vec![0.0; len]; MEMBERS];
        let mut ends = vec![(0.0, 0.0); MEMBERS];
        for speaker in 0..MEMBERS {
            let (was, is) = (&self.before[speaker], &self.now[speaker]);
            let (gain_before, last) = self.ends[speaker];
            let frame = frames[speaker].as_ref().filter(|_| is.there);
            let gain = if is.muted { 0.0 } else { is.gain };
            let said: Vec<f64> = match frame {
                Some(frame) => (0..len).map(|i| f64::from(frame[i]) * self.ramp(gain_before, gain, i)).collect(),
                None => (0..len).map(|i| self.ramp(last, 0.0, i)).collect(),
            };
            if frame.is_some() {
                ends[speaker] = (gain, said[len - 1]);
            }
            for listener in (0..MEMBERS).filter(|listener| *listener != speaker) {
                let (heard, hears) = (&self.before[listener], &self.now[listener]);
                let from = f64::from(u8::from(may_hear(was, heard, listener)));
                // Who has gone is heard by those who heard it.
                let to = f64::from(u8::from(may_hear(if is.there { is } else { was }, hears, listener)));
                for i in 0..len {
                    mixes[listener][i] += said[i] * self.ramp(from, to, i);
                }
            }
        }
        self.ends = ends;
        self.before = self.now.clone();
        mixes
    }
}

fn apply(doing: &Doing, room: &mut Room, mixer: &mut Mixer, settings: &MemberSettings) {
    let id = |member: usize| MemberId(member as u64);
    match doing.clone() {
        Doing::Gain(member, db) if mixer.now[member].there => {
            let gain = Gain::from_db(db);
            room.set_gain(id(member), gain).expect("a member");
            mixer.now[member].gain = f64::from(gain.factor());
        }
        Doing::Muted(member, muted) if mixer.now[member].there => {
            room.set_muted(id(member), muted).expect("a member");
            mixer.now[member].muted = muted;
        }
        Doing::Deaf(member, deaf) if mixer.now[member].there => {
            room.set_deaf(id(member), deaf).expect("a member");
            mixer.now[member].deaf = deaf;
        }
        Doing::Whisper(member, to) if mixer.now[member].there => {
            room.whisper(id(member), &to.iter().map(|to| id(*to)).collect::<Vec<_>>()).expect("a member");
            let present = to.into_iter().filter(|to| mixer.now[*to].there).collect();
            mixer.now[member].to = Some(present);
        }
        Doing::Aloud(member) if mixer.now[member].there => {
            room.end_whisper(id(member)).expect("a member");
            mixer.now[member].to = None;
        }
        Doing::Leave(member) if mixer.now[member].there => {
            room.leave(id(member)).expect("a member");
            mixer.now[member].there = false;
            for other in &mut mixer.now {
                if let Some(to) = &mut other.to {
                    to.retain(|to| *to != member);
                }
            }
        }
        // Not one who has left just now: it would be two.
        Doing::Join(member) if !mixer.now[member].there && !mixer.before[member].there => {
            room.join(id(member), settings).expect("there is room");
            mixer.now[member] = Plain { there: true, ..ABSENT };
            mixer.before[member] = ABSENT;
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_room_is_the_plainest_mixer(
        rate in prop::sample::select(Rate::ALL.to_vec()),
        doings in proptest::collection::vec(proptest::collection::vec(doing(), 0..4), 1..20),
        seed in any::<u32>(),
    ) {
        let settings = RoomSettings { gate_dbov: f32::NEG_INFINITY, removes_constant: false, ..RoomSettings::default() };
        let member = MemberSettings::new(rate);
        let (mut room, len) = (Room::new(settings), rate.frame_samples());
        let plain = vec![ABSENT; MEMBERS];
        let ends = vec![(0.0, 0.0); MEMBERS];
        let mut mixer = Mixer { before: plain.clone(), now: plain, ends, ramp: len / 4 };
        let mut seed = seed;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 16
        };
        for number in 0..MEMBERS / 2 {
            apply(&Doing::Join(number), &mut room, &mut mixer, &member);
        }
        for doings in doings {
            for doing in &doings {
                apply(doing, &mut room, &mut mixer, &member);
            }
            let frames: Vec<Option<Vec<i16>>> = (0..MEMBERS)
                .map(|_| (random() % 5 > 0).then(|| (0..len).map(|_| random() as i16 % PEAK).collect()))
                .collect();
            for number in (0..MEMBERS).filter(|number| mixer.now[*number].there) {
                if let Some(frame) = &frames[number] {
                    room.handle_frame(MemberId(number as u64), frame).expect("a frame");
                }
            }
            let tick = room.mix();
            let expected = mixer.mix(&frames, len);
            for (id, number) in tick.hearers() {
                let mix = tick.mix(number).expect("a mix");
                let expected = &expected[id.0 as usize];
                for (i, (got, wanted)) in mix.samples.iter().zip(expected).enumerate() {
                    let error = (f64::from(*got) - wanted).abs();
                    prop_assert!(error <= 0.52, "{id:?}: {got} for {wanted} at {i}, {doings:?}");
                }
                prop_assert!(!mix.silent || expected.iter().all(|sample| *sample == 0.0));
            }
        }
    }

    /// However loud, no sample has another sign than the sum, as one that wrapped would have.
    #[test]
    fn nothing_wraps(levels in proptest::collection::vec(any::<i16>(), 2..25), ticks in 1..5usize) {
        let settings = RoomSettings { gate_dbov: f32::NEG_INFINITY, removes_constant: false, ..RoomSettings::default() };
        let mut room = Room::new(settings);
        for id in 0..levels.len() as u64 {
            let gain = Gain::from_db(id as f32);
            room.join(MemberId(id), &MemberSettings { gain, ..MemberSettings::new(Rate::Hz8000) }).expect("there is room");
        }
        let gains: Vec<f64> = (0..levels.len()).map(|id| f64::from(Gain::from_db(id as f32).factor())).collect();
        for number in 0..ticks {
            for (id, level) in levels.iter().enumerate() {
                room.handle_frame(MemberId(id as u64), &[*level; 160]).expect("a frame");
            }
            let tick = room.mix();
            for (id, mix) in tick.hearers() {
                let others = levels.iter().zip(&gains).enumerate().filter(|(other, _)| *other != id.0 as usize);
                let sum: f64 = others.map(|(_, (level, gain))| f64::from(*level) * gain).sum();
                let samples = tick.mix(mix).expect("a mix").samples;
                let samples = if number == 0 { &samples[40..] } else { samples };
                prop_assert!(samples.iter().all(|sample| f64::from(*sample) * sum >= 0.0 || sum.abs() < 1.0));
            }
        }
    }
}
