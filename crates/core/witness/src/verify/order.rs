//! In which order the records of a segment stand, and what must have been done to them when it is not the right one.

use super::problem::{Place, Problem};
use std::ops::Range;

/// Lines whose numbers follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The first of them, from 1.
    pub(super) line: u64,
    /// The number of its record; `None` for lines that are no records.
    pub(super) seq: Option<u64>,
    /// How many.
    pub(super) len: u64,
}

impl Run {
    fn holds(&self, record: u64) -> bool {
        self.seq.is_some_and(|seq| (seq..seq.saturating_add(self.len)).contains(&record))
    }
}

/// A segment's runs that are not one, from the number that its first line must have.
pub(super) struct Order<'a> {
    pub(super) runs: &'a [Run],
    pub(super) segment: u64,
    pub(super) next: u64,
    pub(super) problems: Vec<Problem>,
    /// Records found out of their place already, and whose place they stand in, if in any.
    settled: Vec<(u64, Option<u64>)>,
}

impl<'a> Order<'a> {
    /// Names what is wrong; then [`next`](Self::next) is the number that the record behind the segment must have.
    pub(super) fn judge(runs: &'a [Run], segment: u64, next: u64) -> Self {
        let mut order = Self { runs, segment, next, problems: Vec::new(), settled: Vec::new() };
        let mut place = 0;
        let mut behind_unreadable = false;
        while let Some(run) = runs.get(place) {
            place += 1;
            let following = runs.get(place).copied();
            let Some(seq) = run.seq else {
                order.pass_unreadable(run, following);
                behind_unreadable = true;
                continue;
            };
            if seq == order.next {
                order.next = seq.saturating_add(run.len);
            } else if order.swap_of_neighbours(run, seq, following) {
                place += 1;
            } else if !(order.settled_before(run, seq) || order.stands_for_another(run, seq, following)) {
                order.judge_gap(run, seq, following, behind_unreadable);
            }
            behind_unreadable = false;
        }
        order
    }

    /// Lines that are no records were named when they were read. They stand for as many records as are missing there.
    fn pass_unreadable(&mut self, run: &Run, following: Option<Run>) {
        let behind = self.next.saturating_add(run.len);
        match following.and_then(|run| run.seq) {
            Some(seq) if seq <= self.next => {}
            Some(seq) => self.next = seq.min(behind),
            None => self.next = behind,
        }
    }

    fn swap_of_neighbours(&mut self, run: &Run, seq: u64, following: Option<Run>) -> bool {
        let swapped = following.is_some_and(|run| run.seq == Some(self.next) && run.len == 1);
        if run.len != 1 || seq != self.next.saturating_add(1) || !swapped {
            return false;
        }
        self.problems.push(Problem::Swapped { first: self.next, second: seq, at: self.place(run) });
        self.next = self.next.saturating_add(2);
        true
    }

    /// The other half of what was named before.
    fn settled_before(&mut self, run: &Run, seq: u64) -> bool {
        let Some((_, stands_for)) = self.settled.iter().find(|(record, _)| *record == seq && run.len == 1) else {
            return false;
        };
        if *stands_for == Some(self.next) {
            self.next = self.next.saturating_add(1);
        }
        true
    }

    /// One line with a number of its own, between two that leave room for just one.
    fn stands_for_another(&mut self, run: &Run, seq: u64, following: Option<Run>) -> bool {
        let behind = self.next.saturating_add(1);
        if run.len != 1 || following.and_then(|run| run.seq) != Some(behind) {
            return false;
        }
        let (record, at) = (self.next, self.place(run));
        match self.runs.iter().find(|run| run.holds(record)) {
            None => self.problems.push(Problem::Renumbered { record, at, says: seq }),
            Some(elsewhere) if elsewhere.len == 1 => {
                self.problems.push(Problem::Swapped { first: record.min(seq), second: record.max(seq), at });
                self.settled.push((record, Some(seq)));
            }
            Some(_) => self.problems.push(Problem::Moved { record: seq, at }),
        }
        self.next = behind;
        true
    }

    fn judge_gap(&mut self, run: &Run, seq: u64, following: Option<Run>, behind_unreadable: bool) {
        let (next, end, at) = (self.next, seq.saturating_add(run.len), self.place(run));
        if seq < next {
            self.problems.push(Problem::Doubled { first: seq, last: end.min(next) - 1, at });
            self.next = next.max(end);
            return;
        }
        if run.len == 1 && following.and_then(|run| run.seq) == Some(next) {
            // A line too many: what must stand here comes right behind it.
            let copies = self.runs.iter().filter(|run| run.holds(seq)).count();
            self.problems.push(if copies > 1 {
                Problem::Doubled { first: seq, last: seq, at }
            } else {
                self.settled.push((seq, None));
                Problem::Moved { record: seq, at }
            });
            return;
        }
        if self.runs.iter().any(|run| run.holds(next)) {
            self.problems.push(Problem::Moved { record: next, at });
            self.settled.push((next, None));
        } else if !behind_unreadable {
            self.problems.push(Problem::Missing { first: next, last: seq - 1, at });
        }
        self.next = end;
    }

    /// Is every record there in its place, whatever stands there besides?
    pub(super) fn is_complete(&self) -> bool {
        self.problems.iter().all(|problem| matches!(problem, Problem::Doubled { .. }))
    }

    /// The lines that stand there besides.
    pub(super) fn repeats(&self) -> Repeats {
        let lines = self.problems.iter().filter_map(|problem| match problem {
            Problem::Doubled { first, last, at } => {
                let from = (at.line - 1) as usize;
                Some(from..from.saturating_add((last - first) as usize + 1))
            }
            _ => None,
        });
        Repeats(lines.collect())
    }

    fn place(&self, run: &Run) -> Place {
        Place { segment: self.segment, line: run.line }
    }
}

/// Lines, from 0, that repeat what has been before, in ranges that ascend.
pub(super) struct Repeats(Vec<Range<usize>>);

impl Repeats {
    pub(super) fn has(&self, line: usize) -> bool {
        let at = self.0.partition_point(|lines| lines.start <= line);
        at.checked_sub(1).is_some_and(|at| self.0[at].contains(&line))
    }

    /// How many of them stand before this line.
    pub(super) fn before(&self, line: usize) -> usize {
        self.0.iter().map(|lines| lines.end.min(line).saturating_sub(lines.start)).sum()
    }

    /// The last of so many lines that is none of them.
    pub(super) fn last_but(&self, count: usize) -> Option<usize> {
        (0..count).rev().find(|line| !self.has(*line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The runs of lines with these numbers.
    fn runs_of(numbers: &[u64]) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (line, number) in (1..).zip(numbers) {
            match runs.last_mut() {
                Some(run) if run.seq.is_some_and(|seq| seq + run.len == *number) => run.len += 1,
                _ => runs.push(Run { line, seq: Some(*number), len: 1 }),
            }
        }
        runs
    }

    #[test]
    fn what_was_done_to_the_order_is_named() {
        let at = |line| Place { segment: 3, line };
        let cases: [(&[u64], Problem, u64); 8] = [
            (&[3, 4, 6, 7], Problem::Missing { first: 5, last: 5, at: at(3) }, 8),
            (&[5, 6, 7], Problem::Missing { first: 3, last: 4, at: at(1) }, 8),
            (&[3, 4, 4, 5], Problem::Doubled { first: 4, last: 4, at: at(3) }, 6),
            (&[3, 4, 5, 3, 6], Problem::Doubled { first: 3, last: 3, at: at(4) }, 7),
            (&[3, 5, 4, 6], Problem::Swapped { first: 4, second: 5, at: at(2) }, 7),
            (&[3, 7, 5, 6, 4, 8], Problem::Swapped { first: 4, second: 7, at: at(2) }, 9),
            (&[3, 90, 5, 6], Problem::Renumbered { record: 4, at: at(2), says: 90 }, 7),
            (&[3, 5, 6, 4, 7], Problem::Moved { record: 4, at: at(2) }, 8),
        ];
        for (numbers, problem, next) in cases {
            let runs = runs_of(numbers);
            let order = Order::judge(&runs, 3, 3);
            assert_eq!((order.problems, order.next), (vec![problem], next), "{numbers:?}");
        }
    }
}
