//! What is heard in place of a frame that was lost: the last period of the voice, again and again, fading.
//!
//! The algorithm of ITU-T G.711, appendix I, written from its description. At other rates than 8 kHz all lengths are
//! multiplied, so that they last as long. What comes out is 3.75 ms late: that much is held back, for its end is blended
//! with the repetition when a frame is lost.
//!
//! ```text
//!            conceal                           60 ms without a frame
//!   Heard ────────────► Erased: fading by 20 % each 10 ms ────────────► Erased: silence
//!     ▲                   │                                                 │
//!     └───────────────────┴──── a frame, blended in at its start ◄──────────┘
//! ```

/// Samples at 8 kHz in what is handled at a time: 10 ms.
const STRETCH: usize = 80;
/// The periods that are looked for: 200 down to 66 Hz.
const PITCH_MIN: usize = 40;
const PITCH_MAX: usize = 120;
/// Samples that are compared with those a period before.
const CORRELATION: usize = 160;
/// What is known of the past: three of the longest periods, and what is blended with them.
const HISTORY: usize = 3 * PITCH_MAX + OVERLAP_MAX;
/// A quarter of the longest period.
const OVERLAP_MAX: usize = PITCH_MAX / 4;
/// How much longer the blending at the end is for each 10 ms that were lost.
const OVERLAP_STEP: usize = 32;
/// The decimation of the first search.
const COARSE: usize = 2;
/// Below this power the past counts as silence.
const POWER_MIN: f32 = 250.0;
/// What is left of the level after each 10 ms but the first.
const FADE: f32 = 0.2;
/// Stretches that get periods added to what is repeated, so that it does not buzz.
const PERIODS_MAX: usize = 3;

/// Holds the past of a stream of samples and makes up what is lost of it.
#[derive(Clone, Debug)]
pub struct Concealment {
    /// Samples a second, in multiples of 8,000.
    scale: usize,
    /// The last samples, those that were made up as well; the last `OVERLAP_MAX` have not been handed out.
    history: Vec<i16>,
    /// Samples that were made up since the last that arrived.
    erased: usize,
    repetition: Repetition,
    /// What continues when more periods begin to be repeated.
    blend: Vec<f32>,
}

/// The end of the past, of which the last `len` samples are repeated.
#[derive(Clone, Debug)]
struct Repetition {
    past: Vec<f32>,
    /// The last quarter of a period as it was before it was blended with the one before.
    tail: Vec<f32>,
    pitch: usize,
    len: usize,
    place: usize,
}

impl Concealment {
    /// For a multiple of 8,000 samples a second.
    pub(crate) fn new(sample_hz: u32) -> Self {
        let scale = sample_hz as usize / 8_000;
        let history = Vec::with_capacity(scale * (HISTORY + 1_600));
        let past = vec![0.0; scale * HISTORY];
        let tail = Vec::with_capacity(scale * OVERLAP_MAX);
        let repetition = Repetition { past, pitch: scale * PITCH_MAX, len: scale * PITCH_MAX, place: 0, tail };
        let blend = Vec::with_capacity(scale * OVERLAP_MAX);
        let mut concealment = Self { scale, history, erased: 0, repetition, blend };
        concealment.history.resize(scale * HISTORY, 0);
        concealment
    }

    /// Samples by which the output is behind.
    pub(crate) fn delay(&self) -> usize {
        self.scale * OVERLAP_MAX
    }

    /// Appends as many samples as `decode` appends to the past: the older ones, from before the delay.
    pub(crate) fn accept(&mut self, out: &mut Vec<i16>, decode: impl FnOnce(&mut Vec<i16>)) {
        let before = self.history.len();
        decode(&mut self.history);
        if self.erased > 0 && self.history.len() > before {
            self.blend_in(before);
            self.erased = 0;
        }
        self.hand_out(before, out);
    }

    /// Appends so many samples for what was lost.
    pub(crate) fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        let stretch = self.scale * STRETCH;
        let mut left = samples;
        while left > 0 {
            let within = self.erased % stretch;
            let len = left.min(stretch - within);
            let before = self.history.len();
            if within == 0 {
                self.begin_stretch(self.erased / stretch);
            }
            self.make_up(len);
            self.erased += len;
            self.hand_out(before, out);
            left -= len;
        }
    }

    fn hand_out(&mut self, before: usize, out: &mut Vec<i16>) {
        let delay = self.delay();
        out.extend_from_slice(&self.history[before - delay..self.history.len() - delay]);
        self.history.drain(..self.history.len() - self.scale * HISTORY);
    }

    /// The first stretch finds the period; the next two repeat more of them.
    fn begin_stretch(&mut self, stretch: usize) {
        self.blend.clear();
        if stretch == 0 {
            self.repetition.begin(&self.history, self.scale);
            let from = self.history.len() - self.repetition.overlap();
            for (sample, blended) in self.history[from..].iter_mut().zip(self.repetition.last_overlap()) {
                *sample = round(*blended);
            }
        } else if stretch < PERIODS_MAX {
            let place = self.repetition.place;
            for _ in 0..self.repetition.overlap() {
                let sample = self.repetition.next();
                self.blend.push(sample);
            }
            self.repetition.extend(place);
        }
    }

    fn make_up(&mut self, len: usize) {
        let within = self.erased % (self.scale * STRETCH);
        for i in within..within + len {
            let mut sample = self.repetition.next();
            if let Some(old) = self.blend.get(i) {
                let share = (i + 1) as f32 / self.blend.len() as f32;
                sample = old * (1.0 - share) + sample * share;
            }
            let gain = self.gain(self.erased - within + i);
            self.history.push(round(sample * gain));
        }
    }

    /// How loud what is made up is after so many samples: all of it for 10 ms, nothing after 60.
    fn gain(&self, erased: usize) -> f32 {
        let stretches = erased as f32 / (self.scale * STRETCH) as f32;
        (1.0 - (stretches - 1.0).max(0.0) * FADE).max(0.0)
    }

    /// The repetition goes on beneath the first samples that arrive again, for longer after a longer loss.
    fn blend_in(&mut self, from: usize) {
        let stretch = self.scale * STRETCH;
        let stretches = self.erased.div_ceil(stretch);
        let len = self.repetition.overlap() + (stretches - 1) * self.scale * OVERLAP_STEP;
        let len = len.min(stretch).min(self.history.len() - from);
        for i in 0..len {
            let made_up = self.repetition.next() * self.gain(self.erased + i);
            let share = (i + 1) as f32 / len as f32;
            let arrived = f32::from(self.history[from + i]);
            self.history[from + i] = round(made_up * (1.0 - share) + arrived * share);
        }
    }
}

impl Repetition {
    /// Takes the end of the past and finds its period.
    fn begin(&mut self, history: &[i16], scale: usize) {
        let from = history.len() - self.past.len();
        for (past, sample) in self.past.iter_mut().zip(&history[from..]) {
            *past = f32::from(*sample);
        }
        self.pitch = find_pitch(&self.past, scale);
        self.tail.clear();
        let end = self.past.len();
        self.tail.extend_from_slice(&self.past[end - self.overlap()..]);
        self.len = 0;
        self.extend(0);
    }

    /// Repeats one period more, going on from a place in what was repeated.
    fn extend(&mut self, place: usize) {
        self.place = if place == 0 { 0 } else { (place - 1) % self.pitch + 1 };
        self.len += self.pitch;
        // The end of what is repeated goes over into its beginning: what stands before the beginning.
        let (end, overlap) = (self.past.len(), self.overlap());
        for i in 0..overlap {
            let share = (i + 1) as f32 / overlap as f32;
            let before = self.past[end - self.len - overlap + i];
            self.past[end - overlap + i] = self.tail[i] * (1.0 - share) + before * share;
        }
    }

    /// A quarter of the period: what is blended.
    fn overlap(&self) -> usize {
        self.pitch / 4
    }

    fn last_overlap(&self) -> &[f32] {
        &self.past[self.past.len() - self.overlap()..]
    }

    fn next(&mut self) -> f32 {
        let sample = self.past[self.past.len() - self.len + self.place];
        self.place = if self.place + 1 == self.len { 0 } else { self.place + 1 };
        sample
    }
}

/// The period, in samples, at which the past resembles itself most: first roughly, then each one nearby.
fn find_pitch(past: &[f32], scale: usize) -> usize {
    let coarse = COARSE * scale;
    let (shortest, longest) = (PITCH_MIN * scale, PITCH_MAX * scale);
    let all = (shortest..=longest).step_by(coarse);
    let rough = best_pitch(past, scale, all, coarse);
    best_pitch(past, scale, shortest.max(rough - coarse + 1)..=longest.min(rough + coarse - 1), 1)
}

fn best_pitch(past: &[f32], scale: usize, pitches: impl Iterator<Item = usize>, step: usize) -> usize {
    let len = CORRELATION * scale;
    let end = past.len();
    let recent = &past[end - len..];
    let mut best = (f32::NEG_INFINITY, PITCH_MIN * scale);
    for pitch in pitches {
        let before = &past[end - len - pitch..end - pitch];
        let (mut product, mut power) = (0.0, 0.0);
        for (a, b) in recent.iter().step_by(step).zip(before.iter().step_by(step)) {
            product += a * b;
            power += b * b;
        }
        let resemblance = product / power.max(POWER_MIN).sqrt();
        // Of equals the longest, which repeats less.
        if resemblance >= best.0 {
            best = (resemblance, pitch);
        }
    }
    best.1
}

fn round(sample: f32) -> i16 {
    sample.round() as i16
}
