//! Takes what a journal holds into the database, in batches, and removes segments that are taken in.
//!
//! ```text
//!  segment 7 (closed) ──batches──► cdr ──► one transaction: calls still open ──► cdr_open, position := 8
//!                                          └─► only then the file is removed
//!  segment 8 (growing) ──batches, up to what is published──► cdr
//! ```
//!
//! A crash at any point leads to records being read again, and a call that is in the database stays as it is. Each batch
//! also says how far the segment is folded: of what lies before that, only the calls that are open are wanted again.

use super::encoding::{Kind, Malformed, decode, peek};
use super::{CdrCounters, recordings, table};
use crate::journal::{FrameReader, Progress, ReadError, TornTail, add, path_of, remove, set_aside};
use crate::{DatabaseError, FileError};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use sx_call::{Attempt, CallRecord, CallRecording, Cdr, Ender};
use sx_types::{CallId, Cause};

/// What one transaction takes in at most.
const BATCH_RECORDS: u64 = 10_000;
const BATCH_BYTES: usize = 8 << 20;

/// Why a journal was not folded further; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A call whose end is not in the journal yet: its records as they stand there.
#[derive(Clone, Debug)]
struct OpenCall {
    begun: Box<[u8]>,
    answered: Option<Box<[u8]>>,
}

/// One journal and how far it is folded.
pub(super) struct Fold {
    name: String,
    dir: PathBuf,
    /// Everything before this segment is in the database, and nothing of it is needed any more.
    pub(super) segment: u32,
    /// How far this segment is folded.
    offset: u64,
    /// How far which segment was folded by an earlier run: the calls that have ended there are in the database, unless
    /// somebody has removed them since.
    known: (u32, u64),
    /// What of this segment is no record.
    unreadable: Unreadable,
    open: HashMap<CallId, OpenCall>,
    /// Empty between two batches; kept for its room, of `BATCH_RECORDS` at most.
    changes: Vec<Change>,
    /// The time of the last record, be it only a sign of life.
    pub(super) last_at: u64,
}

/// Bytes of a segment that are no records.
#[derive(Clone, Copy, Default)]
struct Unreadable {
    /// In the midst of records.
    damaged: bool,
    /// Behind the last one.
    torn: bool,
}

/// What a batch has come to.
pub(super) struct Batch {
    pub(super) records: u64,
    pub(super) damaged: u64,
    /// What stands behind the last record, when the batch has reached the end.
    pub(super) torn: Option<TornTail>,
    /// There is more to read.
    pub(super) more: bool,
}

/// What a batch changes in the calls that are open, once the database has taken it.
enum Change {
    Begun(CallId, Box<[u8]>),
    Answered(CallId, Box<[u8]>),
    Ended(CallId),
    /// Nothing; but the process was alive.
    Nothing,
}

impl Fold {
    /// A journal that begins at `segment` with no call open.
    pub(super) fn new(name: &str, dir: PathBuf, segment: u32) -> Self {
        Self {
            name: name.to_owned(),
            dir,
            segment,
            offset: 0,
            known: (0, 0),
            unreadable: Unreadable::default(),
            open: HashMap::new(),
            changes: Vec::new(),
            last_at: 0,
        }
    }

    /// A journal as the database remembers it.
    fn load(connection: &Connection, name: &str, dir: PathBuf) -> rusqlite::Result<Self> {
        let mut fold = Self::new(name, dir, 0);
        let known = "SELECT segment, last_ns FROM cdr_journal WHERE name = ?";
        if let Some((segment, last_at)) =
            connection.query_row(known, [name], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).optional()?
        {
            (fold.segment, fold.last_at) = (segment, last_at.cast_unsigned());
        }
        let known = "SELECT segment, offset FROM cdr_folded WHERE journal = ?";
        let known = connection.query_row(known, [name], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).optional()?;
        fold.known = known.map_or((0, 0), |(segment, offset)| (segment, offset.cast_unsigned()));
        let mut open = connection.prepare("SELECT call, begun, answered FROM cdr_open WHERE journal = ?")?;
        let rows = open.query_map([name], |row| {
            let call = CallId::from_u128(u128::from_be_bytes(row.get(0)?));
            let answered = row.get::<_, Option<Vec<u8>>>(2)?.map(Vec::into_boxed_slice);
            Ok((call, OpenCall { begun: row.get::<_, Vec<u8>>(1)?.into_boxed_slice(), answered }))
        })?;
        fold.open = rows.collect::<rusqlite::Result<_>>()?;
        Ok(fold)
    }

    /// The last segment that the database has heard of.
    pub(super) fn last_known(&self) -> u32 {
        self.segment.max(self.known.0)
    }

    /// Folds what is written. True: the journal is closed and folded to its end.
    pub(super) fn advance(
        &mut self,
        database: &mut Database,
        progress: &Progress,
        counters: &CdrCounters,
    ) -> Result<bool, FoldError> {
        loop {
            let closed = progress.is_closed();
            let (current, written) = progress.position();
            if self.segment > current {
                return Ok(closed);
            }
            let limit = if self.segment < current { u64::MAX } else { written };
            // A segment nothing was written to has no file yet.
            if limit > self.offset {
                let batch = self.batch(database, limit)?;
                add(&counters.folded, batch.records);
                add(&counters.journal.damaged, batch.damaged);
                if batch.more {
                    continue;
                }
            }
            if self.segment == current && !closed {
                return Ok(false);
            }
            if self.unreadable.torn {
                add(&counters.journal.torn_tails, 1);
            }
            let whole = !self.is_unreadable();
            self.seal(database)?;
            add(if whole { &counters.segments_removed } else { &counters.segments_set_aside }, 1);
        }
    }

    /// Folds one batch of the segment, up to the offset `limit`.
    pub(super) fn batch(&mut self, database: &mut Database, limit: u64) -> Result<Batch, FoldError> {
        let path = path_of(&self.dir, self.segment);
        let mut reader = FrameReader::open(&path, self.offset, limit)?;
        let transaction = database.begin()?;
        let (mut changes, mut last_at) = (std::mem::take(&mut self.changes), self.last_at);
        let mut batch = Batch { records: 0, damaged: 0, torn: None, more: true };
        let known = if self.known.0 == self.segment { self.known.1 } else { 0 };
        let mut bytes = 0;
        while batch.records < BATCH_RECORDS && bytes < BATCH_BYTES {
            let is_known = reader.good_offset() < known;
            let Some(record) = reader.next().map_err(ReadError::from)? else {
                batch.more = false;
                break;
            };
            batch.records += 1;
            bytes += record.len();
            match take(record, |complete| if is_known { Ok(false) } else { transaction.insert(complete) }) {
                Ok((at, change)) => {
                    last_at = last_at.max(at);
                    changes.push(change);
                }
                Err(TakeError::Malformed(error)) => {
                    batch.damaged += 1;
                    tracing::error!(path = %path.display(), offset = reader.good_offset(), %error, "a record is lost");
                }
                Err(TakeError::Database(error)) => return Err(error.into()),
            }
        }
        let folded = reader.good_offset().max(known);
        transaction.run("remember how far a journal is taken into", |connection| {
            let upsert = "INSERT OR REPLACE INTO cdr_folded VALUES (?, ?, ?)";
            let mut upsert = connection.prepare_cached(upsert)?;
            upsert.execute(params![self.name, self.segment, folded.cast_signed()])
        })?;
        transaction.commit()?;
        // Only now, since a batch that the database has refused is read again.
        changes.drain(..).for_each(|change| self.apply(change));
        self.changes = changes;
        self.last_at = last_at;
        self.offset = reader.good_offset();
        batch.damaged += reader.damaged();
        batch.torn = if batch.more { None } else { reader.torn_tail() };
        self.unreadable.damaged |= batch.damaged > 0;
        self.unreadable.torn = batch.torn.is_some();
        Ok(batch)
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Begun(call, begun) => {
                self.open.insert(call, OpenCall { begun, answered: None });
            }
            Change::Answered(call, answered) => {
                if let Some(open) = self.open.get_mut(&call) {
                    open.answered = Some(answered);
                }
            }
            Change::Ended(call) => {
                self.open.remove(&call);
            }
            Change::Nothing => {}
        }
    }

    /// Are there bytes in the segment that are no records, as far as it is folded?
    pub(super) fn is_unreadable(&self) -> bool {
        self.unreadable.damaged || self.unreadable.torn
    }

    /// The segment is folded to its end: keeps what is known of open calls in the database and removes the file, or
    /// sets it aside when not all of it could be read.
    pub(super) fn seal(&mut self, database: &mut Database) -> Result<(), FoldError> {
        let transaction = database.begin()?;
        transaction.run("remember open calls in", |connection| {
            connection.execute("DELETE FROM cdr_open WHERE journal = ?", [&self.name])?;
            let mut insert = connection.prepare_cached("INSERT INTO cdr_open VALUES (?, ?, ?, ?)")?;
            for (call, open) in &self.open {
                insert.execute(params![self.name, table::call_key(*call), open.begun, open.answered])?;
            }
            remember(connection, &self.name, self.segment + 1, self.last_at)
        })?;
        transaction.commit()?;
        let path = path_of(&self.dir, self.segment);
        if let Err(error) = if self.is_unreadable() { set_aside(&path) } else { remove(&path) } {
            tracing::warn!(%error, "a journal segment that is no longer needed stays until the next start");
        }
        self.skip_to(self.segment + 1);
        Ok(())
    }

    /// Goes on to the beginning of a later segment.
    pub(super) fn skip_to(&mut self, segment: u32) {
        (self.segment, self.offset, self.unreadable) = (segment, 0, Unreadable::default());
    }

    /// Ends every open call at `end`, the process that had them being gone, and closes the account of the journal
    /// before the segment `next`. Returns how many calls that were.
    pub(super) fn cut_off(&mut self, transaction: &Transaction, end: u64, next: u32) -> Result<u64, DatabaseError> {
        let mut calls = 0;
        for open in std::mem::take(&mut self.open).into_values() {
            match cut_off_cdr(&open, end) {
                Ok(cdr) => calls += u64::from(transaction.insert(Complete::Call(&cdr))?),
                Err(error) => tracing::error!(%error, "a call that was cut off is lost"),
            }
        }
        transaction.run("remember open calls in", |connection| {
            connection.execute("DELETE FROM cdr_open WHERE journal = ?", [&self.name])?;
            remember(connection, &self.name, next, self.last_at)
        })?;
        Ok(calls)
    }
}

/// Does a segment hold bytes that are no records, or records that say nothing?
pub(super) fn is_damaged(path: &Path) -> Result<bool, FileError> {
    let mut reader = match FrameReader::open(path, 0, u64::MAX) {
        Ok(reader) => reader,
        Err(ReadError::Foreign { .. }) => return Ok(true),
        Err(ReadError::File(error)) => return Err(error),
    };
    while let Some(record) = reader.next()? {
        if take(record, |_| Ok(true)).is_err() {
            return Ok(true);
        }
    }
    Ok(reader.damaged() > 0 || reader.torn_tail().is_some())
}

/// Everything before `segment` is in the database, and nothing of it is.
fn remember(connection: &Connection, name: &str, segment: u32, last_at: u64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM cdr_folded WHERE journal = ?")?.execute([name])?;
    let upsert = "INSERT OR REPLACE INTO cdr_journal VALUES (?, ?, ?)";
    connection.prepare_cached(upsert)?.execute(params![name, segment, last_at.cast_signed()])?;
    Ok(())
}

/// Something to which nothing is added any more.
#[derive(Clone, Copy)]
enum Complete<'a> {
    Call(&'a Cdr),
    Recording(&'a CallRecording),
}

enum TakeError {
    Malformed(Malformed),
    Database(DatabaseError),
}

impl From<Malformed> for TakeError {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

/// What a record says: when, and what it changes. A record that is complete goes to `insert` at once.
fn take(
    record: &[u8],
    insert: impl FnOnce(Complete<'_>) -> Result<bool, DatabaseError>,
) -> Result<(u64, Change), TakeError> {
    let head = peek(record)?;
    let change = match head.kind {
        Kind::Begun => Change::Begun(head.call, record.into()),
        Kind::Answered => Change::Answered(head.call, record.into()),
        Kind::Alive => decode(record).map(|_| Change::Nothing)?,
        Kind::Recorded => {
            if let CallRecord::Recorded(recording) = decode(record)? {
                insert(Complete::Recording(&recording)).map_err(TakeError::Database)?;
            }
            Change::Nothing
        }
        Kind::Moved => decode(record).map(|_| Change::Ended(head.call))?,
        Kind::Ended => {
            if let CallRecord::Ended(cdr) = decode(record)? {
                insert(Complete::Call(&cdr)).map_err(TakeError::Database)?;
            }
            Change::Ended(head.call)
        }
    };
    Ok((head.at, change))
}

/// The record of a call that a crash has cut off.
fn cut_off_cdr(open: &OpenCall, end: u64) -> Result<Cdr, Malformed> {
    let CallRecord::Begun(mut cdr) = decode(&open.begun)? else { return Err(Malformed) };
    cdr.end = end.max(cdr.start);
    cdr.cause = Cause::TEMPORARY_FAILURE;
    cdr.ended_by = Ender::Process;
    if let Some(CallRecord::Answered { at, by, .. }) = open.answered.as_deref().map(decode).transpose()? {
        cdr.answer = Some(at);
        cdr.end = cdr.end.max(at);
        // Who answered must be known to whoever pays for the call. The journal does not say what was asked there
        // after the dial plan, nor since when, so the attempt repeats what was dialled and when the call came.
        cdr.attempts.push(Attempt {
            target: by,
            routed: cdr.dialled.clone(),
            start: cdr.start,
            ring: None,
            answer: Some(at),
            end: cdr.end,
            cause: Cause::TEMPORARY_FAILURE,
            status: 0,
        });
    }
    Ok(*cdr)
}

/// The database records are folded into.
pub(super) struct Database {
    connection: Connection,
    path: Arc<Path>,
}

/// A transaction on it; dropped without a commit, it has changed nothing.
pub(super) struct Transaction<'a> {
    inner: rusqlite::Transaction<'a>,
    path: Arc<Path>,
}

impl Database {
    pub(super) fn new(connection: Connection, path: &Path) -> Self {
        Self { connection, path: path.into() }
    }

    /// A journal as the database remembers it.
    pub(super) fn fold(&self, name: &str, dir: PathBuf) -> Result<Fold, DatabaseError> {
        Fold::load(&self.connection, name, dir).map_err(DatabaseError::at("read", &self.path))
    }

    pub(super) fn begin(&mut self) -> Result<Transaction<'_>, DatabaseError> {
        // At once, since another process may be removing records: its turn is waited for here, and not refused later.
        let behavior = rusqlite::TransactionBehavior::Immediate;
        let inner =
            self.connection.transaction_with_behavior(behavior).map_err(DatabaseError::at("write", &self.path))?;
        Ok(Transaction { inner, path: Arc::clone(&self.path) })
    }
}

impl Transaction<'_> {
    fn insert(&self, complete: Complete<'_>) -> Result<bool, DatabaseError> {
        self.run("add a call detail record to", |connection| match complete {
            Complete::Call(cdr) => table::insert(connection, cdr),
            Complete::Recording(recording) => recordings::insert(connection, recording),
        })
    }

    fn run<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, DatabaseError> {
        work(&self.inner).map_err(DatabaseError::at(doing, &self.path))
    }

    pub(super) fn purge(&self, before: u64, calls_max: u64) -> Result<u64, DatabaseError> {
        self.run("remove old call detail records from", |connection| table::purge(connection, before, calls_max))
    }

    pub(super) fn commit(self) -> Result<(), DatabaseError> {
        self.inner.commit().map_err(DatabaseError::at("write", &self.path))
    }
}
