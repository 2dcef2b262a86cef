//! One segment for itself: its lines, the links between them, and what they say about the log.

use super::notice::Notice;
use super::order::Run;
use super::problem::{PROBLEMS_MAX, Place, Problem};
use super::tail::{self, Tail, is_hole};
use crate::hash::Hash;
use crate::kind::Kind;
use crate::line::{Line, Malformed};
use crate::render::RECORD_BYTES_MAX;
use sx_engine::Time;

/// Reads a segment in pieces of any size. Segments may be checked on several threads; their reports are taken in order by
/// a [`Verification`](super::Verification).
#[derive(Debug)]
pub struct SegmentCheck {
    is_last: bool,
    /// The beginning of a line whose end has not come yet, without the zero bytes at its end.
    pending: Vec<u8>,
    /// How many zero bytes have come behind it.
    zeros: u64,
    /// What is wrong with it already, so that it is not kept.
    fault: Option<Malformed>,
    /// What stands behind the lines of the last segment, once a hole has shown that a write was torn.
    tail: Option<Tail>,
    /// Where the line begins that is being read.
    line_start: u64,
    /// How many bytes have come.
    offset: u64,
    /// The last line, if it was a record: its number and hash.
    before: Option<(u64, Hash)>,
    report: SegmentReport,
}

/// What one segment has shown. Its size grows with the number of records, not with what they say.
#[derive(Debug)]
pub struct SegmentReport {
    pub(super) first: u64,
    pub(super) hashes: Vec<Hash>,
    pub(super) offsets: Vec<u64>,
    pub(super) runs: Vec<Run>,
    /// The hash that the first line names, if it is a record.
    pub(super) first_link: Option<Hash>,
    /// Lines that do not name the hash of the line before, although their numbers follow each other.
    pub(super) breaks: Vec<Break>,
    pub(super) statements: Vec<Said>,
    /// When the first and the last of its records were made.
    pub(super) times: Option<(Time, Time)>,
    pub(super) problems: Vec<Problem>,
    pub(super) notice: Option<Notice>,
    /// So many bytes of a write that was torn stand behind its lines.
    pub(super) torn_bytes: u64,
    /// Problems beyond the limit.
    pub(super) more: u64,
}

/// A record that does not name the hash of the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Break {
    pub(super) record: u64,
    pub(super) at: Place,
    /// Where the one before stands.
    pub(super) before: Place,
}

/// Something a record says about the log itself.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) record: u64,
    pub(super) at: Place,
    pub(super) what: Statement,
}

#[derive(Debug)]
pub(super) enum Statement {
    /// Record 0, with the key it names, if it begins a log of this format.
    Begun {
        key: Option<String>,
    },
    KeyChanged {
        key: String,
    },
    Retired {
        first: u64,
        last: u64,
    },
    /// A place has taken a checkpoint, and a witness may have cosigned it.
    Anchored {
        place: String,
        size: u64,
        by: Option<String>,
    },
    /// A place has refused a checkpoint for what it had seen of the log: more records than there were, or other ones.
    AnchorRefused {
        place: String,
        cosigned: Option<u64>,
    },
    Checkpoint {
        note: Option<String>,
        time: Time,
        /// When the record behind it was made.
        next: Option<Time>,
    },
    /// One of these that does not say what it must.
    Wrong,
}

/// So many runs of numbers are looked at in a segment; in more there is no order to be found.
const RUNS_MAX: usize = 1024;

impl SegmentReport {
    /// The hash of each line, in order.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Where each line begins, in bytes.
    pub fn offsets(&self) -> &[u64] {
        &self.offsets
    }

    /// The number in the segment's name.
    pub fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn place(&self, line: u64) -> Place {
        Place { segment: self.first, line }
    }

    /// Where the line behind all others would stand.
    fn next_place(&self) -> Place {
        self.place(self.hashes.len() as u64 + 1)
    }

    fn push(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX { self.problems.push(problem) } else { self.more += 1 }
    }

    fn count_line(&mut self, line: u64, seq: Option<u64>) {
        let room = self.runs.len() < RUNS_MAX;
        match (self.runs.last_mut(), seq) {
            (Some(run), Some(seq)) if run.seq.is_some_and(|first| first.checked_add(run.len) == Some(seq)) => {
                run.len += 1;
            }
            (Some(Run { seq: None, len, .. }), None) => *len += 1,
            _ if room => self.runs.push(Run { line, seq, len: 1 }),
            _ => self.more += 1,
        }
    }
}

impl SegmentCheck {
    /// For the segment whose name begins with this number. The last one of a log may end within a line.
    pub fn new(first_seq: u64, is_last: bool) -> Self {
        let report = SegmentReport {
            first: first_seq,
            hashes: Vec::new(),
            offsets: Vec::new(),
            runs: Vec::new(),
            first_link: None,
            breaks: Vec::new(),
            statements: Vec::new(),
            times: None,
            problems: Vec::new(),
            notice: None,
            torn_bytes: 0,
            more: 0,
        };
        Self {
            is_last,
            pending: Vec::new(),
            zeros: 0,
            fault: None,
            tail: None,
            line_start: 0,
            offset: 0,
            before: None,
            report,
        }
    }

    /// Reads what comes next.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let end = memchr::memchr(b'\n', bytes);
            if self.tail.is_some() || self.is_torn_in(&bytes[..end.unwrap_or(bytes.len())], end.is_some()) {
                self.feed_tail(bytes);
                return;
            }
            let Some(end) = end else {
                self.keep(bytes);
                self.offset += bytes.len() as u64;
                return;
            };
            self.end_line(&bytes[..end]);
            self.offset += end as u64 + 1;
            self.line_start = self.offset;
            bytes = &bytes[end + 1..];
        }
    }

    fn end_line(&mut self, rest: &[u8]) {
        if self.pending.is_empty() && self.zeros == 0 && self.fault.is_none() && memchr::memchr(0, rest).is_none() {
            return self.take_line(rest, None);
        }
        self.keep(rest);
        let fault = self.fault.take().or((self.zeros > 0).then_some(Malformed::Zeros));
        let pending = std::mem::take(&mut self.pending);
        self.take_line(&pending, fault);
        // The buffer is kept, so that a caller with small pieces allocates once.
        self.pending = pending;
        self.pending.clear();
        self.zeros = 0;
    }

    /// Does the first hole in the line that is being read end in this part of it, behind which its newline comes if it `ends`, and
    /// is it one that a torn write leaves?
    fn is_torn_in(&self, part: &[u8], ends: bool) -> bool {
        if !self.is_last || self.fault.is_some() {
            return false;
        }
        let begins = if self.zeros > 0 { Some(0) } else { memchr::memchr(0, part) };
        let Some(begins) = begins else { return false };
        let written = part[begins..].iter().position(|byte| *byte != 0).map(|zeros| begins + zeros);
        let Some(written) = written.or(ends.then_some(part.len())) else { return false };
        let from = self.offset - self.zeros + begins as u64;
        let fits = from - self.line_start <= RECORD_BYTES_MAX as u64;
        fits && is_hole(self.line_start, from, self.offset + written as u64)
    }

    fn feed_tail(&mut self, bytes: &[u8]) {
        let tail = self.tail.get_or_insert_with(|| {
            let mut tail = tail::of_segment(self.line_start);
            tail.feed(&self.pending);
            tail.skip(self.zeros);
            tail
        });
        tail.feed(bytes);
        self.offset += bytes.len() as u64;
    }

    /// The segment ends here.
    pub fn finish(mut self) -> SegmentReport {
        // Zero bytes at the end are room that was never written to.
        let written = self.offset - self.zeros - self.line_start;
        let at = self.report.next_place();
        let record = self.expected();
        match self.tail.as_ref().map(Tail::torn_bytes) {
            Some(Some(bytes)) => self.report.torn_bytes = bytes,
            Some(None) => self.report.push(Problem::Unreadable { record, at, fault: Malformed::Zeros }),
            None if written == 0 => {}
            // No write that was cut short leaves more of a line than a record has.
            None if self.is_last && self.fault.is_none() => self.report.torn_bytes = written,
            None => self.report.push(Problem::Unfinished { record, at }),
        }
        if self.report.torn_bytes > 0 {
            self.report.notice = Some(Notice::TornTail { at, bytes: self.report.torn_bytes });
        }
        self.report
    }

    /// The number that the next line must have.
    fn expected(&self) -> u64 {
        let last = self.report.runs.iter().rev().find_map(|run| Some(run.seq?.saturating_add(run.len)));
        let unreadable = self.report.runs.last().filter(|run| run.seq.is_none()).map_or(0, |run| run.len);
        last.unwrap_or(self.report.first).saturating_add(unreadable)
    }

    /// Keeps a part of a line.
    fn keep(&mut self, bytes: &[u8]) {
        let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        if written > 0 {
            let length = self.offset + written as u64 - self.line_start;
            if self.zeros > 0 || memchr::memchr(0, &bytes[..written]).is_some() || self.fault == Some(Malformed::Zeros)
            {
                self.fault = Some(Malformed::Zeros);
            } else if length > RECORD_BYTES_MAX as u64 {
                self.fault = Some(Malformed::TooLong { bytes: length });
            }
            if self.fault.is_none() {
                self.pending.extend_from_slice(&bytes[..written]);
            }
            self.zeros = 0;
        }
        self.zeros += (bytes.len() - written) as u64;
    }

    fn take_line(&mut self, bytes: &[u8], fault: Option<Malformed>) {
        let at = self.report.next_place();
        // Of what is too long or has zero bytes in it not all was kept.
        let hash = if fault.is_some() || bytes.len() > RECORD_BYTES_MAX { Hash::ZERO } else { Hash::of(bytes) };
        let parsed = fault.map_or_else(|| Line::parse(bytes), Err);
        match parsed {
            Ok(line) => self.take_record(&line, hash, at),
            Err(fault) => {
                let record = self.expected();
                self.report.push(Problem::Unreadable { record, at, fault });
                self.report.count_line(at.line, None);
                self.before = None;
            }
        }
        self.report.hashes.push(hash);
        self.report.offsets.push(self.line_start);
    }

    fn take_record(&mut self, line: &Line<'_>, hash: Hash, at: Place) {
        let record = line.seq();
        self.report.count_line(at.line, Some(record));
        if at.line == 1 {
            self.report.first_link = Some(line.prev_hash());
        }
        // Where the numbers do not follow each other, the order is what is wrong, and the link says nothing more.
        let broken = self.before.is_some_and(|(before, hash)| before + 1 == record && line.prev_hash() != hash);
        if broken && self.report.breaks.len() < 2 * PROBLEMS_MAX {
            self.report.breaks.push(Break { record, at, before: Place { line: at.line - 1, ..at } });
        } else if broken {
            self.report.more += 1;
        }
        let time = line.time();
        if let Some(Said { at: before, what: Statement::Checkpoint { next, .. }, .. }) =
            self.report.statements.last_mut()
            && before.line + 1 == at.line
        {
            *next = Some(time);
        }
        self.report.times = Some((self.report.times.map_or(time, |(first, _)| first), time));
        if let Some(what) = statement_of(line) {
            self.report.statements.push(Said { record, at, what });
        }
        self.before = Some((record, hash));
    }
}

/// What a record says about the log itself, if it is about that.
fn statement_of(line: &Line<'_>) -> Option<Statement> {
    let text = |facts: &serde_json::Value, name| facts.get(name).and_then(|text| text.as_str()).map(str::to_owned);
    match line.kind() {
        _ if line.seq() == 0 => {
            let facts = line.facts();
            let begun = line.kind() == Kind::Log && line.has_outcome("begun") && facts["format"] == 1;
            Some(Statement::Begun { key: text(&facts, "key").filter(|_| begun) })
        }
        Kind::Checkpoint => {
            let facts = line.facts();
            let only = facts.as_object().is_some_and(|facts| facts.len() == 1) && line.is_bare();
            Some(Statement::Checkpoint { note: text(&facts, "note").filter(|_| only), time: line.time(), next: None })
        }
        // A log begins once.
        Kind::Log if line.has_outcome("begun") => Some(Statement::Wrong),
        Kind::Log if line.has_outcome("key_changed") => {
            Some(text(&line.facts(), "key").map_or(Statement::Wrong, |key| Statement::KeyChanged { key }))
        }
        Kind::Log if line.has_outcome("anchored") => {
            let facts = line.facts();
            let place = line.subject().map(std::borrow::Cow::into_owned)?;
            Some(Statement::Anchored { place, size: facts["size"].as_u64()?, by: text(&facts, "cosigned_by") })
        }
        Kind::Log if line.has_outcome("anchor_failed") => {
            let facts = line.facts();
            let place = line.subject().map(std::borrow::Cow::into_owned)?;
            let cosigned = facts["ahead"].as_u64();
            let is_refused = cosigned.is_some() || facts["other_history"] == true;
            is_refused.then_some(Statement::AnchorRefused { place, cosigned })
        }
        Kind::Log if line.has_outcome("retired") => {
            let facts = line.facts();
            let range = (facts["first"].as_u64(), facts["last"].as_u64());
            Some(match range {
                (Some(first), Some(last)) if first <= last && last < line.seq() => Statement::Retired { first, last },
                _ => Statement::Wrong,
            })
        }
        _ => None,
    }
}
