//! A tick's mixes: which there are, and their sums.

use crate::kernel::{self, Ramp};
use crate::limiter::{self, PIECES};
use crate::member::{Audience, Member, Source, names};
use crate::settings::{Gain, HeardBy, MemberId};
use crate::stream::{Part, Stream};
use crate::tick::{Mix, MixKind};
use crate::{Rate, Room};

/// A bit for each stream that brings something into a tick.
type Set = u128;
/// So many can.
const STREAMS_MAX: usize = Set::BITS as usize;

/// The streams that a listener hears in a tick, and those that it was allowed to hear in the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Heard {
    now: Set,
    before: Set,
}

/// What is mixed: equal for all who hear the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    rate: Rate,
    heard: Heard,
    common: bool,
}

/// Something that is heard in this tick.
#[derive(Clone, Copy, Debug)]
struct Sound {
    who: Who,
    part: Part,
}

#[derive(Clone, Copy, Debug)]
enum Who {
    Member(usize),
    Source(usize),
    Leaving(usize),
}

/// What a tick works with. It is kept, so that nothing is allocated for it.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Loudness and place of those who would be heard.
    pub(crate) ranks: Vec<(f32, usize)>,
    sounds: Vec<Sound>,
    pub(crate) mixes: Vec<Recipe>,
    /// The sounds at one rate, one behind the other, and their sum.
    rows: Vec<f32>,
    total: Vec<f32>,
    /// The mixes before they are rounded, and afterwards, one behind the other.
    sums: Vec<f32>,
    samples: Vec<i16>,
    /// Where each mix begins.
    starts: Vec<usize>,
}

impl Work {
    /// Makes room for a tick of so many members and sources, so many of them listening at each rate.
    pub(crate) fn reserve(&mut self, members: usize, sources: usize, listened: [usize; Rate::ALL.len()]) {
        let fit = |len: usize, needed: usize| needed.saturating_sub(len);
        let samples: usize = Rate::ALL.iter().map(|rate| rate.frame_samples() * listened[rate.index()]).sum();
        let longest = Rate::ALL.iter().filter(|rate| listened[rate.index()] > 0).map(|rate| rate.frame_samples()).max();
        let (sounds, longest) = ((members + sources).min(STREAMS_MAX), longest.unwrap_or(0));
        self.ranks.reserve(fit(self.ranks.len(), members));
        self.sounds.reserve(fit(self.sounds.len(), sounds));
        self.mixes.reserve(fit(self.mixes.len(), members));
        self.starts.reserve(fit(self.starts.len(), members));
        self.rows.reserve(fit(self.rows.len(), sounds * longest));
        self.total.reserve(fit(self.total.len(), longest));
        self.sums.reserve(fit(self.sums.len(), samples));
        self.samples.reserve(fit(self.samples.len(), samples));
    }

    pub(crate) fn mix(&self, number: usize) -> Mix<'_> {
        let recipe = self.mixes[number];
        Mix {
            rate: recipe.rate,
            kind: if recipe.common { MixKind::Common } else { MixKind::Particular },
            silent: recipe.heard.now | recipe.heard.before == 0,
            samples: &self.samples[self.starts[number]..][..recipe.rate.frame_samples()],
        }
    }

    /// The place of a mix, which is a new one if there is none like it.
    fn find(&mut self, recipe: Recipe) -> usize {
        self.mixes.iter().position(|mix| *mix == recipe).unwrap_or_else(|| {
            self.mixes.push(recipe);
            self.mixes.len() - 1
        })
    }
}

impl Room {
    /// Mixes what the chosen ones say.
    pub(crate) fn mix_down(&mut self) {
        let lonely = self.members.len() == 1;
        let peak = self.gather(lonely);
        self.assign(lonely);
        let mut end = 0;
        self.work.starts.clear();
        for mix in &self.work.mixes {
            self.work.starts.push(end);
            end += mix.rate.frame_samples();
        }
        self.work.sums.resize(end, 0.0);
        self.work.samples.resize(end, 0);
        let listened = self.listened;
        for rate in Rate::ALL.into_iter().filter(|rate| listened[rate.index()] > 0) {
            self.place(rate);
            self.work.sum(rate);
        }
        self.round(peak);
        self.members.iter_mut().for_each(Member::end_tick);
        self.sources.iter_mut().for_each(Source::end_tick);
        self.leaving.clear();
        self.was_lonely = lonely;
    }

    /// Finds what is to be heard, and gives the most that its sum can be.
    fn gather(&mut self, lonely: bool) -> f32 {
        let sounds = &mut self.work.sounds;
        sounds.clear();
        let mut peak = 0.0;
        let mut take = |who: Who, stream: &Stream, part: Option<Part>| {
            let part = part.filter(|_| sounds.len() < STREAMS_MAX)?;
            peak += stream.peak(part);
            sounds.push(Sound { who, part });
            Some(part)
        };
        self.work.starts.clear();
        for (place, member) in self.members.iter_mut().enumerate() {
            let gain = if member.chosen { member.gain } else { Gain::SILENCE };
            member.part = take(Who::Member(place), &member.stream, member.stream.part(gain.factor()));
        }
        for (place, source) in self.sources.iter_mut().enumerate() {
            let heard = source.audience.now != HeardBy::Lonely || lonely || self.was_lonely;
            let gain = if heard { source.gain } else { Gain::SILENCE };
            source.part = take(Who::Source(place), &source.stream, source.stream.part(gain.factor()));
        }
        for (place, leaving) in self.leaving.iter().enumerate() {
            take(Who::Leaving(place), &leaving.stream, leaving.stream.part(0.0));
        }
        peak
    }

    /// Finds out who hears what, and which mixes there are to be.
    fn assign(&mut self, lonely: bool) {
        let mut all = Heard { now: 0, before: 0 };
        let mut whispered: Set = 0;
        self.members.iter_mut().for_each(|member| member.place = None);
        for (place, sound) in self.work.sounds.iter().enumerate() {
            let bit = 1 << place;
            if let Who::Member(member) = sound.who {
                self.members[member].place = Some(place);
            }
            let audience = self.audience(sound.who);
            let public = |heard_by: &HeardBy, lonely: bool| match heard_by {
                HeardBy::Everybody => bit,
                HeardBy::Lonely if lonely => bit,
                HeardBy::Lonely | HeardBy::Only(_) => 0,
            };
            all.now |= public(&audience.now, lonely);
            all.before |= public(&audience.before, self.was_lonely);
            if matches!(audience.now, HeardBy::Only(_)) || matches!(audience.before, HeardBy::Only(_)) {
                whispered |= bit;
            }
        }
        self.work.mixes.clear();
        for place in 0..self.members.len() {
            let member = &self.members[place];
            let own = member.place.map_or(0, |place| 1 << place);
            let mut heard = Heard { now: all.now & !own, before: all.before & !own };
            if whispered != 0 {
                let named = self.named(member.id, whispered & !own);
                heard = Heard { now: heard.now | named.now, before: heard.before | named.before };
            }
            heard.now = if member.hears { heard.now } else { 0 };
            heard.before = if member.heard { heard.before } else { 0 };
            let recipe = Recipe { rate: member.rate(), heard, common: heard == all };
            self.members[place].mix = self.work.find(recipe);
        }
    }

    /// Which of these streams name a listener.
    fn named(&self, id: MemberId, mut among: Set) -> Heard {
        let mut named = Heard { now: 0, before: 0 };
        while among != 0 {
            let place = among.trailing_zeros() as usize;
            let audience = self.audience(self.work.sounds[place].who);
            named.now |= Set::from(names(&audience.now, id)) << place;
            named.before |= Set::from(names(&audience.before, id)) << place;
            among &= among - 1;
        }
        named
    }

    fn audience(&self, who: Who) -> &Audience {
        match who {
            Who::Member(place) => &self.members[place].audience,
            Who::Source(place) => &self.sources[place].audience,
            Who::Leaving(place) => &self.leaving[place].audience,
        }
    }

    /// Lays the sounds out at a rate.
    fn place(&mut self, rate: Rate) {
        let len = rate.frame_samples();
        let work = &mut self.work;
        work.rows.resize(work.sounds.len() * len, 0.0);
        for (sound, row) in work.sounds.iter().zip(work.rows.chunks_exact_mut(len)) {
            let stream = match sound.who {
                Who::Member(place) => &mut self.members[place].stream,
                Who::Source(place) => &mut self.sources[place].stream,
                Who::Leaving(place) => &mut self.leaving[place].stream,
            };
            stream.place(sound.part, rate, row);
        }
    }

    /// Limits and rounds the sums, which are at most `peak`.
    fn round(&mut self, peak: f32) {
        let work = &mut self.work;
        if !self.limiter.idle(peak) {
            let mut peaks = [0.0; PIECES];
            for (mix, start) in work.mixes.iter().zip(&work.starts) {
                limiter::raise(&mut peaks, &work.sums[*start..][..mix.rate.frame_samples()]);
            }
            let gains = self.limiter.advance(&peaks);
            if gains != [1.0; PIECES + 1] {
                for (mix, start) in work.mixes.iter().zip(&work.starts) {
                    limiter::apply(&gains, &mut work.sums[*start..][..mix.rate.frame_samples()]);
                }
            }
        }
        kernel::round(&work.sums, &mut work.samples);
    }
}

impl Work {
    /// Sums up the mixes at a rate, of which the sounds lie in their rows.
    fn sum(&mut self, rate: Rate) {
        let len = rate.frame_samples();
        let all: Set = (0..self.sounds.len()).map(|place| 1 << place).sum();
        self.total.clear();
        self.total.resize(len, 0.0);
        self.rows.chunks_exact(len).for_each(|row| kernel::add(&mut self.total, row));
        let at_rate = self.mixes.iter().zip(&self.starts).filter(|(mix, _)| mix.rate == rate);
        for (Recipe { heard, .. }, start) in at_rate {
            let sum = &mut self.sums[*start..][..len];
            let (steady, missing) = (heard.now & heard.before, all & !(heard.now & heard.before));
            if missing.count_ones() < steady.count_ones() {
                sum.copy_from_slice(&self.total);
                each(missing, &self.rows, len, |row| kernel::subtract(sum, row));
            } else {
                sum.fill(0.0);
                each(steady, &self.rows, len, |row| kernel::add(sum, row));
            }
            let rising = Ramp { from: 0.0, to: 1.0, samples: rate.ramp_samples() };
            each(heard.now & !heard.before, &self.rows, len, |row| kernel::add_ramped(sum, row, rising));
            let falling = Ramp { from: 1.0, to: 0.0, samples: rate.ramp_samples() };
            each(heard.before & !heard.now, &self.rows, len, |row| kernel::add_ramped(sum, row, falling));
        }
    }
}

/// Does something with the row of each stream of a set.
fn each(mut set: Set, rows: &[f32], len: usize, mut with: impl FnMut(&[f32])) {
    while set != 0 {
        let place = set.trailing_zeros() as usize;
        with(&rows[place * len..(place + 1) * len]);
        set &= set - 1;
    }
}
