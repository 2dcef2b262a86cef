//! Segments that hold the records of other segments, as when a file was copied, over another or beside it.

use super::ending::Ending;
use super::order::Run;
use super::problem::{Place, Problem};
use super::segment::SegmentReport;
use super::{Indexed, Verification};
use crate::hash::Hash;

impl Verification {
    /// The next part of the log begins with this record, or there is none: now it can be said what became of a segment whose first
    /// record is not the one in its name, and how many records are lacking where another segment's stand.
    pub(super) fn arrive(&mut self, first: Option<u64>) {
        if let Some(report) = self.held.take() {
            match (first, only_run(&report)) {
                // It goes on into the next one: these records are that one's.
                (Some(first), Some((begins, _))) if first <= begins => self.exchanged(&report),
                _ => self.place(*report),
            }
        }
        if let Some(first) = first
            && std::mem::take(&mut self.is_gap_open)
        {
            self.lacking = self.lacking.saturating_add(first.saturating_sub(self.next));
            self.next = self.next.max(first);
        }
    }

    /// Takes a segment that has the records of another, or may have; gives it back when it does not.
    pub(super) fn take_exchanged(&mut self, report: SegmentReport) -> Option<SegmentReport> {
        match only_run(&report) {
            Some((_, last)) if report.first == self.next && last < report.first => self.exchanged(&report),
            // It is another's, or the lines before were removed: the next one's name tells.
            Some((begins, _)) if report.first == self.next && begins > report.first => {
                self.doubt_index(report.first);
                self.held = Some(Box::new(report));
            }
            _ => return Some(report),
        }
        None
    }

    /// Takes a segment all records of which have been there, so that the log goes on behind it as if it were not; gives any other back.
    pub(super) fn take_copy(&mut self, report: SegmentReport) -> Option<SegmentReport> {
        match only_run(&report) {
            Some((first, last)) if last < self.next && report.first != self.next => {
                self.push(Problem::Copied { segment: report.first, first, last });
                self.doubt_index(report.first);
                None
            }
            _ => Some(report),
        }
    }

    fn exchanged(&mut self, report: &SegmentReport) {
        let Some((first, last)) = only_run(report) else { return };
        self.push(Problem::Exchanged { segment: report.first, first, last });
        self.keys.lose_track();
        self.doubt_index(report.first);
        self.first_present.get_or_insert(report.first);
        self.last = None;
        self.last_place = Place { segment: report.first, line: report.hashes.len() as u64 };
        self.is_gap_open = true;
        self.ending = Ending::Unknown;
    }

    fn doubt_index(&mut self, segment: u64) {
        self.entries_of = u64::MAX;
        self.indexes.insert(segment, Indexed { hash: Hash::ZERO, in_doubt: true });
    }
}

/// The first and the last record of a segment with nothing wrong in itself.
fn only_run(report: &SegmentReport) -> Option<(u64, u64)> {
    match report.runs[..] {
        [Run { seq: Some(first), len, .. }] if report.problems.is_empty() && report.more == 0 => {
            Some((first, first.saturating_add(len) - 1))
        }
        _ => None,
    }
}
