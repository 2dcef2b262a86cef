//! Finding records: of a call, of a story, of a time.

use super::lines::{lines_of, whole_lines};
use super::order::in_order;
use super::{LogPart, ReadError, ReadProgress, WitnessFolder, has_gone};
use crate::FileError;
use crate::witness::files;
use memchr::memmem::Finder;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};
use sx_engine::Time;
use sx_types::{CallId, TraceId};
use sx_witness::Line;

/// What names a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordId {
    /// The call it belongs to.
    Call(CallId),
    /// The story it belongs to.
    Trace(TraceId),
    /// The Call-ID of the SIP request that it is about, as its facts have it.
    Sip(Box<str>),
}

/// Which records; those that meet all that is said.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// They have one of these; `None`: any.
    pub ids: Option<Vec<RecordId>>,
    /// They are of this time or later.
    pub from: Option<Time>,
    /// They are of before this time.
    pub to: Option<Time>,
    /// On no more threads than these; `None`: as many as there are cores.
    pub threads_max: Option<usize>,
    /// Then the search ends, found or not; `None`: it takes as long as it takes.
    pub deadline: Option<Instant>,
}

/// What a search has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// So many records.
    pub records: u64,
    /// So many lines that would have been looked at are no records.
    pub unreadable: u64,
    /// The segments that what was found depends on, by the numbers in their names: those of its time, or those with a hit.
    pub segments: BTreeSet<u64>,
}

/// What was found in one segment.
#[derive(Default)]
struct Hits {
    /// Whole lines.
    lines: Vec<u8>,
    found: Found,
    /// There was no time to look at all of it.
    late: bool,
}

/// Records of several workers, and of calls that wait, are not exactly in the order of their times.
const DISORDER_MAX: Duration = Duration::from_secs(60);

impl WitnessFolder {
    /// Finds records, in the order of their numbers, and hands over the lines of each segment as they stand there, each with its
    /// newline. `each` says whether to go on. Segments of another time are passed over.
    ///
    /// # Errors
    /// When the folder cannot be read, or the deadline passes.
    pub fn search(
        &self,
        search: &Search,
        progress: &ReadProgress,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<Found, ReadError> {
        let parts: Vec<LogPart> = self.parts()?.into_iter().filter(|part| part.segment.is_some()).collect();
        let segments = search.of_its_time(&parts)?;
        progress.begin(segments.iter().map(|part| part.bytes).sum());
        let needles = search.needles();
        let (mut found, mut outcome) = (Found::default(), Ok(()));
        let work = |at: usize| match segments[at].segment.as_deref() {
            Some(path) => search.in_segment(path, &needles, progress),
            None => Ok(Hits::default()),
        };
        in_order(segments.len(), search.threads_max, work, |at, hits| match hits {
            Ok(Hits { late: true, .. }) => {
                outcome = Err(ReadError::OutOfTime);
                false
            }
            Ok(hits) => {
                found.records += hits.found.records;
                found.unreadable += hits.found.unreadable;
                if needles.is_none() || hits.found != Found::default() {
                    found.segments.insert(segments[at].first);
                }
                hits.lines.is_empty() || each(&hits.lines)
            }
            Err(error) => {
                outcome = Err(error);
                false
            }
        });
        outcome?;
        Ok(found)
    }
}

impl RecordId {
    /// Its text in a record.
    fn member(&self) -> String {
        match self {
            // Written as the canonical form has it, in which a text is escaped as little as can be.
            Self::Sip(id) => format!("\"sip_call_id\":{}", serde_json::Value::from(&**id)),
            Self::Call(call) => format!("\"call_id\":\"{call}\""),
            Self::Trace(trace) => format!("\"trace_id\":\"{trace}\""),
        }
    }

    fn names(&self, line: &Line<'_>) -> bool {
        match self {
            Self::Call(call) => line.call_id() == Some(*call),
            Self::Trace(trace) => line.trace_id() == Some(*trace),
            Self::Sip(id) => line.facts().get("sip_call_id").is_some_and(|named| named == &**id),
        }
    }
}

impl Search {
    fn needles(&self) -> Option<Vec<Finder<'static>>> {
        let finder = |id: &RecordId| Finder::new(id.member().as_bytes()).into_owned();
        self.ids.as_ref().map(|ids| ids.iter().map(finder).collect())
    }

    /// The segments that may have records of the time. A segment lies between the times of its first record
    /// and of the next segment's; a clock that was set back makes no difference to that.
    fn of_its_time<'a>(&self, parts: &'a [LogPart]) -> Result<Vec<&'a LogPart>, ReadError> {
        let mut times = Vec::with_capacity(parts.len() + 1);
        for path in parts.iter().filter_map(|part| part.segment.as_deref()) {
            times.push(if self.from.or(self.to).is_some() { time_of_first(path)? } else { None });
        }
        times.push(None);
        let is_of_it = |at: usize| {
            let (first, next) = (times[at].or(times[at + 1]), times[at + 1]);
            let (Some(first), last) = (first, next) else { return true };
            let begins = last.map_or(first, |last| last.min(first));
            let ends = last.map(|last| last.max(first) + DISORDER_MAX);
            // The time before: what cannot be told from the first record is searched.
            let too_late = self.to.is_some_and(|to| begins >= to + DISORDER_MAX);
            let too_early = self.from.zip(ends).is_some_and(|(from, ends)| ends < from);
            !too_late && !too_early
        };
        let chosen = parts.iter().enumerate().filter(|(at, _)| is_of_it(*at));
        Ok(chosen.map(|(_, part)| part).collect())
    }

    fn in_segment(
        &self,
        path: &Path,
        needles: &Option<Vec<Finder<'static>>>,
        progress: &ReadProgress,
    ) -> Result<Hits, ReadError> {
        let mut hits = Hits::default();
        let searched = whole_lines(path, progress, |_, lines| {
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                hits.late = true;
                return false;
            }
            match needles {
                Some(needles) => self.with_needles(lines, needles, &mut hits),
                None => lines_of(lines).for_each(|(_, line)| self.judge(line, &mut hits)),
            }
            true
        });
        match searched {
            Err(error) if !has_gone(&error) => Err(error.into()),
            // One that was retired since it was listed holds nothing any more.
            _ => Ok(hits),
        }
    }

    fn with_needles(&self, lines: &[u8], needles: &[Finder<'static>], hits: &mut Hits) {
        let mut places: Vec<usize> = needles.iter().flat_map(|needle| needle.find_iter(lines)).collect();
        places.sort_unstable();
        let mut behind = 0;
        for place in places {
            if place < behind {
                continue;
            }
            let start = memchr::memrchr(b'\n', &lines[..place]).map_or(0, |at| at + 1);
            behind = memchr::memchr(b'\n', &lines[place..]).map_or(lines.len(), |at| place + at);
            self.judge(&lines[start..behind], hits);
        }
    }

    fn judge(&self, line: &[u8], hits: &mut Hits) {
        let Ok(read) = Line::parse(line) else {
            hits.found.unreadable += 1;
            return;
        };
        let named = self.ids.as_ref().is_none_or(|ids| ids.iter().any(|id| id.names(&read)));
        let timely = self.from.is_none_or(|from| read.time() >= from) && self.to.is_none_or(|to| read.time() < to);
        if named && timely {
            hits.found.records += 1;
            hits.lines.extend_from_slice(line);
            hits.lines.push(b'\n');
        }
    }
}

fn time_of_first(path: &Path) -> Result<Option<Time>, FileError> {
    match files::first_line(path) {
        Ok(line) => Ok(line.and_then(|line| Line::parse(&line).map(|line| line.time()).ok())),
        Err(error) if has_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
