//! A stream of frames that others hear, a member's or a source's, at each rate at which somebody listens.

use crate::Rate;
use crate::kernel::{self, Measure, Ramp};
use sx_codec::Resampler;

/// A frame's share in the estimate of the constant part, which so follows in half a second.
const CONSTANT_SHARE: f32 = 1.0 / 32.0;

/// What a stream brings into a tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part {
    /// Its frame, at a gain that begins with that of the last one.
    Frame { from: f32, to: f32 },
    /// No frame came, or none will: what dies away where the last one ended.
    Tail,
}

#[derive(Debug)]
pub(crate) struct Stream {
    rate: Rate,
    frame: Vec<i16>,
    /// What was measured of the frame that came since the last tick.
    fresh: Option<Measure>,
    /// The constant part before this frame and behind it.
    constant: (f32, f32),
    /// The gain at which the last frame ended; 0 when there was none.
    applied: f32,
    lanes: [Option<Lane>; Rate::ALL.len()],
}

/// A stream at one rate.
#[derive(Debug)]
struct Lane {
    /// None at the stream's own rate.
    resampler: Option<Resampler>,
    resampled: Vec<i16>,
    /// The last sample that was placed.
    last: f32,
}

impl Stream {
    pub(crate) fn new(rate: Rate) -> Self {
        let frame = vec![0; rate.frame_samples()];
        Self { rate, frame, fresh: None, constant: (0.0, 0.0), applied: 0.0, lanes: [const { None }; 3] }
    }

    /// Has lanes for the rates that somebody listens at, and no others.
    pub(crate) fn tune(&mut self, listened: [bool; Rate::ALL.len()]) {
        for rate in Rate::ALL {
            let lane = &mut self.lanes[rate.index()];
            if !listened[rate.index()] {
                *lane = None;
            } else if lane.is_none() {
                let resampler = (rate != self.rate).then(|| {
                    Resampler::new(self.rate.hz(), rate.hz()).expect("the resampler knows all rates of a room")
                });
                let resampled = Vec::with_capacity(rate.frame_samples());
                *lane = Some(Lane { resampler, resampled, last: 0.0 });
            }
        }
    }

    pub(crate) const fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes a frame of the right length; one that came since the last tick is replaced.
    pub(crate) fn handle_frame(&mut self, frame: &[i16], removes_constant: bool) {
        self.frame.copy_from_slice(frame);
        let measure = kernel::measure(frame);
        if removes_constant {
            self.constant.1 = self.constant.0 + (measure.mean - self.constant.0) * CONSTANT_SHARE;
        }
        self.fresh = Some(measure);
    }

    pub(crate) const fn fresh(&self) -> Option<&Measure> {
        self.fresh.as_ref()
    }

    /// What it brings into this tick when it is wanted at this gain; nothing if nobody would hear it.
    pub(crate) fn part(&self, gain: f32) -> Option<Part> {
        match self.fresh {
            Some(_) if gain > 0.0 || self.applied > 0.0 => Some(Part::Frame { from: self.applied, to: gain }),
            None if self.applied > 0.0 => Some(Part::Tail),
            _ => None,
        }
    }

    /// The largest sample of a part, or nearly so at other rates.
    pub(crate) fn peak(&self, part: Part) -> f32 {
        match (part, &self.fresh) {
            (Part::Frame { from, to }, Some(measure)) => (measure.peak + self.constant.1.abs()) * from.max(to),
            _ => self.lanes.iter().flatten().map(|lane| lane.last.abs()).fold(0.0, f32::max),
        }
    }

    /// Overwrites a row with a part at a rate.
    pub(crate) fn place(&mut self, part: Part, rate: Rate, row: &mut [f32]) {
        let Some(lane) = &mut self.lanes[rate.index()] else { return row.fill(0.0) };
        let samples = rate.ramp_samples();
        match part {
            Part::Tail => kernel::tail(row, lane.last, samples),
            Part::Frame { from, to } => {
                let frame = match &mut lane.resampler {
                    None => &self.frame,
                    Some(resampler) => {
                        // The filter has something of long ago in it.
                        if from == 0.0 {
                            resampler.reset();
                        }
                        lane.resampled.clear();
                        resampler.process(&self.frame, &mut lane.resampled);
                        &lane.resampled
                    }
                };
                kernel::place(row, frame, self.constant, Ramp { from, to, samples });
                lane.last = row.last().copied().unwrap_or(0.0);
            }
        }
    }

    /// The tick is over.
    pub(crate) fn end_tick(&mut self, part: Option<Part>) {
        self.applied = match part {
            Some(Part::Frame { to, .. }) => to,
            Some(Part::Tail) | None => 0.0,
        };
        self.constant.0 = self.constant.1;
        self.fresh = None;
    }

    /// Would its breaking off be heard?
    pub(crate) fn sounds(&self) -> bool {
        self.applied > 0.0
    }

    /// No frame will come any more.
    pub(crate) fn end(&mut self) {
        self.fresh = None;
    }
}
