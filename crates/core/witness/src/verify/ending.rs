//! What is gone between two parts of a log, and which file has lost it.
//!
//! A part does not say where it ends: the name of the next one does, and the index of a segment as well. Where both are known,
//! a segment that was cut off can be told from one that was removed.

use super::Verification;
use super::problem::{PROBLEMS_MAX, Place, Problem};
use super::segment::SegmentReport;

/// The part of the log that was taken last.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// None, or one that says nothing about where it must end.
    Unknown,
    /// A segment.
    Segment {
        /// The number in its name.
        segment: u64,
        lines: u64,
        /// The number that follows its last record, as its index has it.
        indexed: Option<u64>,
        /// Its index is the one to blame, should the next part begin where the lines end.
        is_index_longer: bool,
    },
    /// An index without its segment.
    Index {
        /// The number in its name.
        segment: u64,
        /// It is empty, or ends within an entry.
        is_cut: bool,
    },
}

/// A segment without a record, of a larger number than a segment must have there.
#[derive(Debug)]
pub(super) struct Stray {
    report: Box<SegmentReport>,
    /// How many records its index has.
    indexed: u64,
}

impl Ending {
    pub(super) fn of(report: &SegmentReport) -> Self {
        let (segment, lines) = (report.first(), report.hashes().len() as u64);
        Self::Segment { segment, lines, indexed: None, is_index_longer: false }
    }

    /// The last line, or line 0 of a segment without any.
    pub(super) fn place(&self) -> Option<Place> {
        match self {
            Self::Segment { segment, lines, .. } => Some(Place { segment: *segment, line: *lines }),
            Self::Unknown | Self::Index { .. } => None,
        }
    }
}

impl Verification {
    /// A segment of a later number holds no record: it was emptied, or is none of the log's. What comes later tells.
    pub(super) fn keep_stray(&mut self, report: SegmentReport) {
        if self.strays.len() < PROBLEMS_MAX {
            self.strays.push(Stray { report: Box::new(report), indexed: 0 });
        } else {
            self.push(Problem::Stray { segment: report.first, next: self.next });
        }
    }

    /// Is this the index of a segment that may be a stray file?
    pub(super) fn is_of_stray(&mut self, segment: u64, entries: u64) -> bool {
        let stray = self.strays.iter_mut().find(|stray| stray.report.first == segment);
        stray.map(|stray| stray.indexed = entries).is_some()
    }

    /// The next part begins with this record, so that what has no record before it stood for those that are gone.
    pub(super) fn place_strays(&mut self) {
        for stray in std::mem::take(&mut self.strays) {
            self.place_emptied(stray);
        }
    }

    /// Nothing comes behind them: those that an index speaks for are the log's.
    pub(super) fn judge_strays(&mut self) {
        for stray in std::mem::take(&mut self.strays) {
            self.lack_indexed();
            let segment = stray.report.first;
            if stray.indexed > 0 || segment == self.next {
                self.place_emptied(stray);
            } else {
                self.push(Problem::Stray { segment, next: self.next });
            }
        }
        self.lack_indexed();
        if let Ending::Index { segment, is_cut: true } = self.ending {
            self.push(Problem::NoIndex { segment, first: self.next, last: self.next });
        }
    }

    fn place_emptied(&mut self, stray: Stray) {
        let Stray { report, indexed } = stray;
        let begins = report.first;
        self.place(*report);
        if let Ending::Segment { indexed: end, .. } = &mut self.ending {
            *end = (indexed > 0).then(|| begins.saturating_add(indexed));
        }
    }

    /// The index of the segment taken last has records behind its lines.
    fn lack_indexed(&mut self) {
        if let Ending::Segment { indexed: Some(end), .. } = self.ending
            && end > self.next
        {
            self.lack(end);
            self.next = end;
        }
    }

    /// No record is there from the next one on up to this one: whose were they?
    pub(super) fn lack(&mut self, end: u64) {
        let (first, last) = (self.next, end - 1);
        self.lacking = self.lacking.saturating_add(end - first);
        self.keys.lose_track();
        self.last = None;
        match self.ending {
            Ending::Unknown => self.push(Problem::SegmentMissing { first, last }),
            Ending::Index { segment, .. } => self.push(Problem::NoIndex { segment, first, last }),
            Ending::Segment { segment, lines, indexed, .. } => {
                let behind = Place { segment, line: lines };
                let is_cut_within = self.forget_unfinished(Place { line: lines + 1, ..behind });
                match indexed {
                    Some(its) if its <= first => self.push(Problem::SegmentMissing { first, last }),
                    Some(its) => {
                        self.push(Problem::Cut { behind, first, last: last.min(its - 1) });
                        if its <= last {
                            self.push(Problem::SegmentMissing { first: its, last });
                        }
                    }
                    None if is_cut_within || lines == 0 => self.push(Problem::Cut { behind, first, last }),
                    None => self.push(Problem::Lost { behind, first, last }),
                }
            }
        }
    }

    /// The next part begins where the last one ends: an index that says otherwise is wrong.
    pub(super) fn judge_ending(&mut self) {
        match self.ending {
            Ending::Segment { segment, is_index_longer: true, .. } | Ending::Index { segment, is_cut: true } => {
                self.index_faults.push((segment, self.next));
            }
            _ => {}
        }
    }

    /// That a line does not end is the same as that the segment was cut off.
    fn forget_unfinished(&mut self, place: Place) -> bool {
        let is_it = |problem: &Problem| matches!(problem, Problem::Unfinished { at, .. } if *at == place);
        let known = self.problems.len();
        self.problems.retain(|problem| !is_it(problem));
        self.problems.len() < known
    }
}
