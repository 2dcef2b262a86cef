//! What the links, the checkpoints and the other statements of a log come to.

use super::Verification;
use super::filed::note_hash;
use super::notice::Notice;
use super::order::Repeats;
use super::problem::{Cover, Place, Problem};
use super::segment::{Break, Said, SegmentReport, Statement};
use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use std::ops::Range;
use std::time::Duration;
use sx_engine::Time;

impl Verification {
    /// Finds out which records were changed from the links that do not hold.
    pub(super) fn judge_links(&mut self, report: &SegmentReport, start: u64) {
        let in_place = report.runs.first().is_some_and(|run| run.seq == Some(start));
        if let (Some(link), Some(last), true) = (report.first_link, self.last, in_place)
            && link != last
        {
            self.judge_break(Break { record: start, at: report.place(1), before: self.last_place });
        }
        report.breaks.iter().for_each(|broken| self.judge_break(*broken));
        let end = report.runs.last().and_then(|run| Some(run.seq? + run.len));
        // Whether the record behind the last one of the segment names it rightly, is not known yet.
        if self.pending.is_some_and(|pending| Some(pending.record + 1) != end) {
            self.settle_pending();
        }
    }

    /// One link that does not hold accuses the record before it; two that follow each other accuse the one between.
    fn judge_break(&mut self, broken: Break) {
        self.sound = self.sound.min(broken.record.saturating_sub(1));
        match self.pending.take() {
            Some(pending) if pending.record + 1 == broken.record => {
                self.push(Problem::ChangedWithLink { record: pending.record, at: pending.at });
            }
            earlier => {
                self.pending = earlier;
                self.settle_pending();
                self.pending = Some(broken);
            }
        }
    }

    /// No link follows the last one that did not hold, so it stands alone.
    pub(super) fn settle_pending(&mut self) {
        match self.pending.take() {
            // Nothing comes before record 0, so that it is itself what was changed.
            Some(Break { record: 0, at, .. }) => self.push(Problem::ChangedWithLink { record: 0, at }),
            Some(Break { record, before, .. }) => self.push(Problem::Changed { record: record - 1, at: before }),
            None => {}
        }
    }

    /// Lets the tree grow over a segment's records, and hears on the way what they say about the log.
    pub(super) fn read_records(&mut self, report: &SegmentReport, start: u64, repeats: &Repeats) {
        let mut grown = 0;
        for said in &report.statements {
            // The lines before the one that speaks.
            let before = (said.at.line - 1) as usize;
            self.grow_over(report, grown..before, repeats);
            grown = before;
            let record = start.checked_add((before - repeats.before(before)) as u64);
            let in_its_place = record == Some(said.record) && !repeats.has(before);
            // What is retired is heard wherever it stands, lest what is gone be held against the log as well.
            if in_its_place || matches!(said.what, Statement::Retired { .. }) {
                self.hear(said);
            }
        }
        self.grow_over(report, grown..report.hashes.len(), repeats);
    }

    fn grow_over(&mut self, report: &SegmentReport, lines: Range<usize>, repeats: &Repeats) {
        lines.filter(|line| !repeats.has(*line)).for_each(|line| self.grow(&report.hashes[line]));
    }

    fn hear(&mut self, said: &Said) {
        let Said { record, at, what } = said;
        let (record, at) = (*record, *at);
        match what {
            Statement::Begun { key } => self.hear_begun(at, key.as_deref()),
            Statement::KeyChanged { key } => self.hear_key_changed(record, at, key),
            Statement::Retired { first, last } => self.hear_retired(record, at, (*first, *last)),
            Statement::Anchored { place, size, by } => self.hear_anchored((record, at), place, *size, by.as_deref()),
            Statement::AnchorRefused { place, cosigned } => {
                let (by, cosigned) = (place.as_str().into(), *cosigned);
                self.notices.push(Notice::AnchorRefused { record, by, cosigned });
            }
            Statement::Checkpoint { note, time, next } => {
                let known = self.checkpoints;
                self.hear_checkpoint(record, at, note.as_deref(), *time);
                if self.checkpoints > known {
                    self.unsigned_since = *next;
                }
            }
            Statement::Wrong => self.push(Problem::Statement { record, at }),
        }
    }

    fn hear_retired(&mut self, record: u64, at: Place, (first, last): (u64, u64)) {
        if self.retired.len() >= RETIRED_MAX {
            let (what, max) = ("range of retired records", RETIRED_MAX as u64);
            return self.push(Problem::TooMany { record, at, what, max });
        }
        self.retired.push((first, last, record));
    }

    fn hear_checkpoint(&mut self, record: u64, at: Place, note: Option<&str>, time: Time) {
        let parsed = note.and_then(|note| Checkpoint::parse(note).ok());
        let of_this_record = |checkpoint: &Checkpoint| checkpoint.is_of_a_record() && checkpoint.time == Some(time);
        let Some(checkpoint) = parsed.filter(of_this_record) else {
            return self.push(Problem::CheckpointForm { record, at });
        };
        self.recorded.insert(record, note_hash(&checkpoint));
        if !self.hear_signature(record, at, &checkpoint) {
            return;
        }
        if checkpoint.size != record {
            return self.push(Problem::CheckpointSize { record, at, says: checkpoint.size });
        }
        if self.sound < record {
            return;
        }
        if self.tree.root() != checkpoint.root {
            let since = self.last_signed.as_ref().map_or(0, |checkpoint| checkpoint.size);
            return self.push(Problem::CheckpointRoot { record, at, since, indexed: None });
        }
        self.checkpoints += 1;
        self.lacking_signed = self.lacking;
        self.last_signed = Some(checkpoint);
    }

    /// A writer signs with its first write, of which a crash leaves one record at most without the checkpoint behind it. Where
    /// anything else is wrong, that is why nothing holds.
    pub(super) fn judge_unsigned(&mut self) {
        let is_begun_at_most = self.next <= 1 && self.absent.is_empty();
        let nothing_holds = self.checkpoints == 0 && self.unread.is_none();
        if nothing_holds && !is_begun_at_most && self.problems.is_empty() && self.more == 0 {
            self.push(Problem::Unsigned);
        }
    }

    /// Is more unsigned than a writer leaves? Where something is wrong, that is why.
    pub(super) fn look_at_tail(&mut self) {
        let records = self.unsigned_tail();
        let times = self.unsigned_since.zip(self.last_time);
        let age = times.map_or(Duration::ZERO, |(since, last)| last.since(since));
        if is_long(records, age) && self.problems.is_empty() {
            self.notices.push(Notice::LongTail { records, seconds: age.as_secs() });
        }
    }

    /// Indexes that do not agree with their segments, unless something else says already that it is the segment.
    pub(super) fn judge_indexes(&mut self) {
        for (segment, record) in std::mem::take(&mut self.index_faults) {
            let changed = self.problems.iter_mut().find_map(|problem| match problem {
                Problem::CheckpointRoot { record: covered, since, indexed, .. } => {
                    (*since..*covered).contains(&record).then_some(indexed)
                }
                _ => None,
            });
            if let Some(indexed) = changed {
                indexed.get_or_insert(record);
            } else if self.problems.iter().all(|problem| problem.record() != record) {
                self.push(Problem::Index { segment, record });
            }
        }
    }

    pub(super) fn judge_anchors(&mut self) {
        let there = self.next;
        let short = |size: &u64| *size > there;
        if let Some(had) = self.options.expect_size.filter(short) {
            self.cut.entry(had).or_insert(Cover::ExpectedSize);
        }
        let anchors: Vec<(u64, Hash)> = self.options.anchors.iter().map(|anchor| (anchor.size, anchor.root)).collect();
        for (size, root) in anchors {
            if short(&size) {
                self.cut.entry(size).or_insert(Cover::Anchor);
            } else if self.roots.get(&size).is_some_and(|found| *found != root) {
                self.push(Problem::Anchor { size });
            }
        }
    }

    /// One cut of the log is one problem, however many checkpoints stand behind it.
    pub(super) fn judge_cut(&mut self) {
        let more = self.cut.len().saturating_sub(1) as u64;
        // Where the last segment is another one, what it had is lacking, and is named already.
        if let Some((had, cover)) = self.cut.pop_last().filter(|_| !self.is_gap_open) {
            let at = self.ending.place();
            self.push(Problem::Truncated { cover, had, there: self.next, at, more });
        }
    }

    /// What is gone must have been retired, and what was retired should be gone.
    pub(super) fn judge_retired(&mut self) {
        let signed = self.last_signed.as_ref().map_or(0, |checkpoint| checkpoint.size);
        self.retired.sort_unstable();
        for (first, last) in std::mem::take(&mut self.absent) {
            let mut next = first;
            for (from, to, _) in &self.retired {
                if *from <= next && next <= *to {
                    next = to.saturating_add(1);
                }
            }
            if next <= last {
                // The one that holds the first of them, and those that begin among them.
                let holder = self.gone.range(..=next).next_back().copied().unwrap_or(next);
                let segments = self.gone.range(holder..=last).count() as u64;
                self.push(Problem::NotRetired { first: next, last, segment: holder, segments });
            }
        }
        let present = self.first_present.unwrap_or(self.next);
        for (first, last, record) in std::mem::take(&mut self.retired) {
            if last >= present {
                self.notices.push(Notice::StillThere { first: first.max(present), last });
            }
            if record >= signed {
                self.notices.push(Notice::RetiredUnsigned { record });
            }
        }
    }
}

/// So many records of a log may retire others.
pub const RETIRED_MAX: usize = 100_000;

/// A writer signs when so many records have come since the last checkpoint at the latest, or the first of them is so old: these are
/// the largest numbers that it can be told.
const UNSIGNED_RECORDS_MAX: u64 = 1_000_000;
const UNSIGNED_AGE_MAX: Duration = Duration::from_secs(86_400);

fn is_long(records: u64, age: Duration) -> bool {
    records > UNSIGNED_RECORDS_MAX || age > UNSIGNED_AGE_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_long_beyond_what_a_writer_can_be_told() {
        let day = Duration::from_secs(86_400);
        assert!(!is_long(0, Duration::ZERO) && !is_long(1_000_000, day));
        assert!(is_long(1_000_001, Duration::ZERO) && is_long(1, day + Duration::from_micros(1)));
    }
}
