//! Opening a log: where did it end, and is what is there its own?

mod aside;
mod gone;
mod indexes;
mod links;
mod signed;

use super::blocks::BLOCK_BYTES;
use super::chores::Chores;
use super::disk::{Disk, disk_for};
use super::files::{self, Numbered};
use super::keys::{KeyError, read_verifying_key};
use super::log::{Opened, WitnessLog, WitnessOptions};
use super::ports::Ports;
use super::segment::{Closed, Segment};
use super::sequencer::Parts;
use crate::folder::create_folder;
use crate::{DataFolder, FileError};
use aside::{TORN, mend_checkpoints, set_aside};
use indexes::Indexes;
use links::{check_links, index_missing};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use sx_engine::Time;
use sx_witness::{
    Chain, Checkpoint, Draft, Facts, Frontier, Hash, IndexEntry, Kind, Line, RECORD_BYTES_MAX, SigningKey, Tail,
    VerifyingKey, parse_checkpoint_line,
};

/// Why a log cannot be opened. The exchange does not start then: a call that nobody could account for is not begun.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The log was signed with another key.
    #[error(
        "the witness log in {} is signed by the key {theirs}, and this exchange has the key {ours}; restore the key of the \
         log, or move the log's folder away to begin another",
        folder.display()
    )]
    OtherKey {
        /// The log's folder.
        folder: PathBuf,
        /// The name and hash of the log's key.
        theirs: String,
        /// The name and hash of the key that was given.
        ours: String,
    },
    /// A record that was acknowledged is not as it was written.
    #[error(
        "the witness log is damaged: record {record} in {} is missing or changed, and a checkpoint of {signed} records was \
         signed; `strowger witness verify` says more. Put its files back as they were, or move the log's folder away to begin another",
        path.display()
    )]
    Damaged {
        /// The first record that is not as it was.
        record: u64,
        /// How many records the latest checkpoint covers.
        signed: u64,
        /// The segment or the index, or the folder where that cannot be told.
        path: PathBuf,
    },
    /// A record's hash is not the one that the next one names, or what stands in its place is no record, and no torn write either.
    #[error("the witness log is damaged: record {record} in {} was changed; `strowger witness verify` says more", path.display())]
    Broken {
        /// The record.
        record: u64,
        /// The segment.
        path: PathBuf,
    },
    /// The records that a checkpoint covers are not those that it was signed for.
    #[error(
        "the witness log is damaged: the first {signed} records in {} are not those of the last checkpoint in checkpoints.jsonl; \
         `strowger witness verify` says more. Move the log's folder away to begin another",
        folder.display()
    )]
    Rewritten {
        /// How many records the checkpoint covers.
        signed: u64,
        /// The log's folder.
        folder: PathBuf,
    },
    /// None of the checkpoints that there are is by this exchange, and the log does not verify either.
    #[error(
        "the witness log in {} is not one that this exchange has signed, and is not gone on with: {why}; `strowger witness verify` \
         says more. Move the log's folder away to begin another",
        folder.display()
    )]
    NotOurs {
        /// The log's folder.
        folder: PathBuf,
        /// The first thing that is wrong with it.
        why: String,
    },
    /// No thread, or no event, can be had.
    #[error("the witness log cannot be opened: {0}")]
    System(#[from] std::io::Error),
}

/// The name of the log's folder in the data folder.
pub(crate) const FOLDER: &str = "witness";

impl WitnessLog {
    /// Opens the log in the data folder, or begins one.
    ///
    /// # Errors
    /// When it cannot be read or written, belongs to another key, or has lost a record that was acknowledged.
    pub fn open(
        data: &DataFolder,
        key: SigningKey,
        options: WitnessOptions,
        now: Time,
    ) -> Result<(Self, Opened), WitnessError> {
        let folder = data.path().join(FOLDER);
        create_folder(&folder)?;
        let disk = disk_for(&folder)?;
        Self::open_on(&folder, disk, key, options, now)
    }

    /// The same in any folder and on any disk.
    pub(crate) fn open_on(
        folder: &Path,
        disk: Box<dyn Disk>,
        key: SigningKey,
        options: WitnessOptions,
        now: Time,
    ) -> Result<(Self, Opened), WitnessError> {
        Self::open_within(PATIENCE, folder, disk, key, options, now)
    }

    /// The same; the first record may take so long.
    pub(super) fn open_within(
        patience: Duration,
        folder: &Path,
        mut disk: Box<dyn Disk>,
        key: SigningKey,
        options: WitnessOptions,
        now: Time,
    ) -> Result<(Self, Opened), WitnessError> {
        take_key(folder, &key)?;
        let segments = files::list(folder, files::SEGMENT)?;
        let checkpoints_cut_bytes = mend_checkpoints(folder)?;
        // A last segment without a record goes on where the index of the one before it ends.
        let indexed = index_missing(folder, &segments)?;
        let filed = last_filed(folder, &key.verifying_key())?;
        let mut indexes = Indexes::of(folder, &segments)?;
        // What the last checkpoint does not cover has no root to be compared with.
        indexes.compare(&segments, filed.as_ref().map_or(0, |filed| filed.size))?;
        match check_links(&indexes, &segments) {
            // It may be the last entry of an index that is wrong, and not the record behind it.
            Err(WitnessError::Broken { .. }) if indexes.compare(&segments, 0)? => check_links(&indexes, &segments)?,
            linked => linked?,
        }
        let mut found = Found::read(folder, &segments, &indexes, filed.as_ref())?;
        let entries = std::mem::take(&mut found.index);
        let tree = match found.tree(folder, &indexes, &entries, filed.as_ref()) {
            // The segments may have the root that the indexes have not.
            Err(WitnessError::Rewritten { .. }) if indexes.compare(&segments, 0)? => {
                check_links(&indexes, &segments)?;
                found.tree(folder, &indexes, &entries, filed.as_ref())?
            }
            tree => tree?,
        };
        let indexed = indexed + indexes.write(folder)?;
        let signed = signed::check(folder, &key.verifying_key(), filed.as_ref(), found.size)?;
        let unsigned = found.size - signed;
        if unsigned > options.checkpoint_records {
            tracing::warn!(
                unsigned,
                "more records of the witness log are behind its last checkpoint than a crash leaves"
            );
        }
        let chain = if found.size == 0 { Chain::new() } else { Chain::resume(found.size, found.last, tree) };
        let segment = Segment::open(&mut *disk, folder, found.first, found.end, found.tail, entries)?;
        let closed = closed_of(folder, &segments)?;
        let missing = gone::tell(folder, &segments)?;
        let opened = Opened { records: found.size, cut_bytes: found.cut_bytes, indexed, last: found.time, missing };
        let ports = Arc::new(Ports::default());
        let chores = Chores::start(folder, ports.clone())?;
        let public = key.verifying_key().to_string();
        let parts =
            Parts { options, folder: folder.to_owned(), key, chain, disk, segment, closed, covered: found.covered };
        let log = Self::over(parts, now, ports, chores);
        let draft = match found.size {
            0 => Draft {
                outcome: "begun",
                facts: Facts::new().with("format", 1).with("key", public.as_str()),
                ..Draft::new(now, Kind::Log)
            },
            _ => Draft {
                outcome: "resumed",
                reason: if found.closed { "started" } else { "started after a crash" },
                facts: cut(&opened, checkpoints_cut_bytes).with("unsigned", unsigned as i64),
                ..Draft::new(now, Kind::Log)
            },
        };
        // What no checkpoint has signed yet may be the lone first record: it is signed before anything follows it.
        let is_unsigned = found.size > 0 && found.covered == 0;
        if !log.begin(&draft, is_unsigned, now, patience) {
            let path = files::path_of(folder, found.first, files::SEGMENT);
            let timed_out = || FileError::at("write", &path)(std::io::ErrorKind::TimedOut.into());
            let refusal = log.shared.lock().refusal();
            return Err(refusal.unwrap_or_else(timed_out).into());
        }
        Ok((log, opened))
    }
}

/// What was cut off and what is missing, in the record that says that the log goes on.
fn cut(opened: &Opened, checkpoints_bytes: u64) -> Facts<'static> {
    let facts = Facts::new().with("cut_bytes", opened.cut_bytes as i64);
    let others = [("checkpoints_cut_bytes", checkpoints_bytes), ("missing", opened.missing)];
    let others = others.into_iter().filter(|(_, number)| *number > 0);
    others.fold(facts, |facts, (name, number)| facts.with(name, number as i64))
}

/// How long the first record may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Is the log signed with this key? A new one is from now on.
fn take_key(folder: &Path, key: &SigningKey) -> Result<(), WitnessError> {
    let path = folder.join(files::PUBLIC_KEY);
    let ours = key.verifying_key();
    if !path.try_exists().map_err(FileError::at("read", &path))? {
        files::write_whole(&path, format!("{ours}\n").as_bytes())?;
        return Ok(());
    }
    let theirs = read_verifying_key(&path)?;
    if theirs == ours {
        return Ok(());
    }
    Err(WitnessError::OtherKey { folder: folder.to_owned(), theirs: theirs.to_string(), ours: ours.to_string() })
}

/// What stands in the last segment.
#[derive(Default)]
struct Found {
    first: u64,
    /// Records in the log.
    size: u64,
    last: Hash,
    end: u64,
    tail: Vec<u8>,
    index: Vec<IndexEntry>,
    cut_bytes: u64,
    /// Records that checkpoints of this segment cover.
    covered: u64,
    /// It was ended in order.
    closed: bool,
    /// When the last record was made.
    time: Option<Time>,
}

impl Found {
    fn read(
        folder: &Path,
        segments: &[Numbered],
        indexes: &Indexes,
        filed: Option<&Checkpoint>,
    ) -> Result<Self, WitnessError> {
        let Some(segment) = segments.last() else {
            let path = files::path_of(folder, 0, files::SEGMENT);
            let damaged = |filed: &Checkpoint| WitnessError::Damaged { record: 0, signed: filed.size, path };
            return filed.map_or(Ok(Self::default()), |filed| Err(damaged(filed)));
        };
        let bytes = fs::read(&segment.path).map_err(FileError::at("read", &segment.path))?;
        let mut found = Self { first: segment.first, size: segment.first, covered: segment.first, ..Self::default() };
        let mut previous = None;
        let mut at = 0;
        while let Some(length) = memchr::memchr(b'\n', &bytes[at..]) {
            let text = &bytes[at..at + length];
            let Ok(line) = Line::parse(text) else { break };
            if line.seq() != found.size {
                break;
            }
            if previous.is_some_and(|hash| hash != line.prev_hash()) {
                return Err(WitnessError::Broken { record: found.size - 1, path: segment.path.clone() });
            }
            let hash = Hash::of(text);
            if line.kind() == Kind::Checkpoint {
                found.covered = found.size + 1;
            }
            found.closed =
                line.kind() == Kind::Checkpoint && found.closed || line.outcome().as_deref() == Some("closed");
            found.index.push(IndexEntry { offset: at as u64, hash });
            found.size += 1;
            found.time = Some(line.time());
            previous = Some(hash);
            at += length + 1;
        }
        found.end = at as u64;
        found.tail = bytes[at - at % BLOCK_BYTES..at].to_vec();
        found.last = match (previous, segment.first) {
            (Some(hash), _) => hash,
            (None, 0) => Hash::ZERO,
            (None, _) => last_before(indexes, segment)?,
        };
        found.cut(filed, segment, &bytes[at..])?;
        Ok(found)
    }

    /// What is behind the last record: nothing but room, or the rest of a write that power has cut short. What a
    /// checkpoint has covered cannot be missing, nor can the record that holds it.
    fn cut(&mut self, filed: Option<&Checkpoint>, segment: &Numbered, rest: &[u8]) -> Result<(), WitnessError> {
        if let Some(Checkpoint { size: signed, .. }) = filed.filter(|filed| filed.size >= self.size) {
            return Err(WitnessError::Damaged { record: self.size, signed: *signed, path: segment.path.clone() });
        }
        let mut tail = Tail::new(self.end, RECORD_BYTES_MAX);
        tail.feed(rest);
        let broken = || WitnessError::Broken { record: self.size, path: segment.path.clone() };
        self.cut_bytes = tail.torn_bytes().ok_or_else(broken)?;
        set_aside(&segment.path, &TORN, &rest[..self.cut_bytes as usize])?;
        Ok(())
    }

    /// The right edge of the tree over all records, which has the root of the latest checkpoint at its size.
    fn tree(
        &self,
        folder: &Path,
        indexes: &Indexes,
        entries: &[IndexEntry],
        filed: Option<&Checkpoint>,
    ) -> Result<Frontier, WitnessError> {
        let (mut tree, mut root) = (Frontier::default(), None);
        let mut push = |tree: &mut Frontier, entry: &IndexEntry| {
            if filed.is_some_and(|filed| filed.size == tree.size()) {
                root = Some(tree.root());
            }
            tree.push_record(&entry.hash);
        };
        // Which of the files lacks it, or is not there, cannot be told.
        let damaged = |record| WitnessError::Damaged { record, signed: self.covered, path: folder.to_owned() };
        for index in indexes.before(self.first) {
            if index.first != tree.size() {
                return Err(damaged(tree.size()));
            }
            indexes.entries(index)?.iter().for_each(|entry| push(&mut tree, entry));
        }
        entries.iter().for_each(|entry| push(&mut tree, entry));
        if let Some(filed) = filed.filter(|filed| root.is_some_and(|root| root != filed.root)) {
            return Err(WitnessError::Rewritten { signed: filed.size, folder: folder.to_owned() });
        }
        match tree.size() == self.size {
            true => Ok(tree),
            false => Err(damaged(tree.size())),
        }
    }
}

/// The latest checkpoint of ours that readers were told of.
fn last_filed(folder: &Path, key: &VerifyingKey) -> Result<Option<Checkpoint>, FileError> {
    let path = folder.join(files::CHECKPOINTS);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::at("read", &path)(error)),
    };
    let last = text.split(|byte| *byte == b'\n').rev().filter(|line| !line.is_empty());
    // Older checkpoints stand there again when they are cosigned.
    let filed = last.filter_map(|line| parse_checkpoint_line(std::str::from_utf8(line).ok()?)).take(LAST_LINES);
    let checkpoints = filed.filter_map(|(note, _)| Checkpoint::parse(&note).ok());
    Ok(checkpoints.filter(|checkpoint| checkpoint.verify(key).is_ok()).max_by_key(|checkpoint| checkpoint.size))
}

/// Among so many of the last lines stands one with the latest checkpoint.
const LAST_LINES: usize = 100;

/// The hash of the last record before a segment that has none.
fn last_before(indexes: &Indexes, segment: &Numbered) -> Result<Hash, WitnessError> {
    let damaged = || WitnessError::Damaged { record: segment.first, signed: segment.first, path: segment.path.clone() };
    let before = indexes.before(segment.first).last().ok_or_else(damaged)?;
    indexes.last_hash(before)?.ok_or_else(damaged)
}

fn closed_of(folder: &Path, segments: &[Numbered]) -> Result<Vec<Closed>, FileError> {
    let all_but_last = segments.split_last().map_or(&[][..], |(_, closed)| closed);
    let closed = |segment: &Numbered| {
        let about = fs::metadata(&segment.path).map_err(FileError::at("read", &segment.path))?;
        let index = files::path_of(folder, segment.first, files::INDEX);
        let entries =
            fs::metadata(&index).map_err(FileError::at("read", &index))?.len() / files::INDEX_ENTRY_BYTES as u64;
        let modified = about.modified().map_err(FileError::at("read", &segment.path))?;
        let nanos = modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let at = Time::from_nanos(nanos);
        Ok(Closed { first: segment.first, records: entries, bytes: about.len(), at, path: segment.path.clone() })
    };
    all_but_last.iter().map(closed).collect()
}

#[cfg(test)]
mod tests;
