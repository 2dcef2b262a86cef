//! Two parties on one clock: what is there of both is handed out, what is missing is silence.

use crate::Party;

/// Samples from the place up to which everything was handed out.
pub(crate) struct Timeline {
    /// Samples of the clock that were handed out or cut.
    handed_out: u64,
    lanes: [Vec<i16>; 2],
    /// How many samples one party is waited for.
    lag_max: usize,
}

impl Timeline {
    pub(crate) fn new(lag_max: usize) -> Self {
        Self { handed_out: 0, lanes: [Vec::new(), Vec::new()], lag_max }
    }

    /// Puts samples in their place. Those whose time was handed out, or that are there, are left out and counted.
    pub(crate) fn place(&mut self, party: Party, at: u64, samples: &[i16]) -> usize {
        let handed_out = self.handed_out;
        let lane = &mut self.lanes[party as usize];
        let begin = handed_out.saturating_add(lane.len() as u64);
        let late = usize::try_from(begin.saturating_sub(at)).unwrap_or(usize::MAX).min(samples.len());
        if late < samples.len() {
            let gap = at.saturating_sub(begin) as usize;
            lane.resize(lane.len() + gap, 0);
            lane.extend_from_slice(&samples[late..]);
        }
        late
    }

    /// The end of what is there of either.
    pub(crate) fn end(&self) -> u64 {
        self.handed_out.saturating_add(self.lanes.iter().map(Vec::len).max().unwrap_or(0) as u64)
    }

    /// How many samples can be handed out: what is there of both, and what one has waited for long enough.
    pub(crate) fn ready(&self) -> usize {
        let (a, b) = (self.lanes[0].len(), self.lanes[1].len());
        a.min(b).max(a.max(b).saturating_sub(self.lag_max))
    }

    /// Hands out so many samples of each party.
    pub(crate) fn take(&mut self, count: usize, out: &mut [Vec<i16>; 2]) {
        for (lane, out) in self.lanes.iter_mut().zip(out) {
            out.clear();
            let there = lane.len().min(count);
            out.extend(lane.drain(..there));
            out.resize(count, 0);
            lane.shrink_to(self.lag_max * 2);
        }
        self.handed_out = self.handed_out.saturating_add(count as u64);
    }

    /// Hands out all up to this time, silence where nothing is, and forgets what is behind it.
    pub(crate) fn take_until(&mut self, at: u64, out: &mut [Vec<i16>; 2]) {
        let count = at.saturating_sub(self.handed_out) as usize;
        self.take(count, out);
        self.lanes.iter_mut().for_each(Vec::clear);
    }

    /// Goes on at this time, and leaves out what lies before it.
    pub(crate) fn skip_to(&mut self, at: u64) {
        self.lanes.iter_mut().for_each(Vec::clear);
        self.handed_out = self.handed_out.max(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(timeline: &mut Timeline) -> [Vec<i16>; 2] {
        let mut out = [Vec::new(), Vec::new()];
        timeline.take(timeline.ready(), &mut out);
        out
    }

    #[test]
    fn what_is_there_of_both_is_handed_out() {
        let mut timeline = Timeline::new(4);
        timeline.place(Party::Caller, 0, &[1, 2, 3]);
        timeline.place(Party::Callee, 0, &[7]);
        assert_eq!(taken(&mut timeline), [vec![1], vec![7]]);
        timeline.place(Party::Callee, 1, &[8, 9]);
        assert_eq!(taken(&mut timeline), [vec![2, 3], vec![8, 9]]);
    }

    #[test]
    fn who_is_silent_is_waited_for_only_so_long() {
        let mut timeline = Timeline::new(4);
        timeline.place(Party::Caller, 0, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(taken(&mut timeline), [vec![1, 2], vec![0, 0]]);
        assert_eq!(timeline.place(Party::Callee, 0, &[7, 7, 8]), 2);
        assert_eq!(taken(&mut timeline), [vec![3], vec![8]]);
    }

    #[test]
    fn a_gap_is_silence_and_what_comes_twice_is_left_out() {
        let mut timeline = Timeline::new(0);
        timeline.place(Party::Caller, 2, &[3]);
        assert_eq!(timeline.place(Party::Caller, 2, &[9, 4]), 1);
        assert_eq!(taken(&mut timeline), [vec![0, 0, 3, 4], vec![0; 4]]);
    }

    #[test]
    fn a_cut_takes_what_is_before_it_and_nothing_behind() {
        let mut timeline = Timeline::new(100);
        timeline.place(Party::Caller, 0, &[1, 2, 3, 4]);
        let mut out = [Vec::new(), Vec::new()];
        timeline.take_until(2, &mut out);
        assert_eq!(out, [vec![1, 2], vec![0, 0]]);
        timeline.skip_to(10);
        assert_eq!(timeline.place(Party::Caller, 9, &[5, 6]), 1);
        assert_eq!(timeline.end(), 11);
        timeline.take_until(11, &mut out);
        assert_eq!(out, [vec![6], vec![0]]);
    }
}
