//! What a log has done behind its back, so that no worker waits for it: room ahead, the next segment, indexes, checkpoints
//! for readers, the end of old segments. What fails is said, tried again where nobody else does, and the log goes on.

use super::disk::Opener;
use super::files;
use super::index::{close, remove};
use super::lines::Lines;
use super::next::Next;
use super::ports::Ports;
use super::room::Room;
use crate::FileError;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use sx_witness::{CHECKPOINT_LINE_BYTES_MAX, CHECKPOINTS_APPEND_BYTES_MAX, IndexEntry, checkpoint_line};

/// One of them.
pub(crate) enum Chore {
    /// Give the next segment its name. Writes wait for it, so it comes before all others.
    Name { next: Arc<Next>, path: PathBuf },
    /// Fill a segment's file with zeros up to here, so that writes find room and never change the file's length.
    MakeRoom { opener: Opener, path: PathBuf, to: u64, room: Arc<Room> },
    /// Make the file of the next segment.
    Make { next: Arc<Next>, opener: Opener },
    /// Write the index of a closed segment, whose file ends here.
    Close { path: PathBuf, first: u64, bytes: u64, entries: Vec<IndexEntry> },
    /// Append a line to the file of checkpoints.
    Checkpoint { line: Vec<u8> },
    /// Remove a segment that has been kept for long enough.
    Remove { path: PathBuf, first: u64, records: u64 },
}

impl Chore {
    /// To append this checkpoint, and what witnesses have cosigned of it: of more than a line holds, which no honest witness sends, the
    /// first half, or the first half of that.
    pub(crate) fn checkpoint(note: &str, mut cosignatures: &[String]) -> Self {
        let mut line = checkpoint_line(note, cosignatures);
        while line.len() > CHECKPOINT_LINE_BYTES_MAX && !cosignatures.is_empty() {
            let (kept, left_out) = cosignatures.split_at(cosignatures.len() / 2);
            tracing::warn!(left_out = left_out.len(), "a checkpoint has more cosignatures than a line holds");
            cosignatures = kept;
            line = checkpoint_line(note, cosignatures);
        }
        let mut line = line.into_bytes();
        line.push(b'\n');
        Self::Checkpoint { line }
    }
}

impl Chore {
    /// The lines that are to be appended to the file of checkpoints.
    fn into_lines(self) -> Vec<u8> {
        if let Self::Checkpoint { line } = self { line } else { Vec::new() }
    }
}

/// The thread that does them.
pub(crate) struct Chores {
    jobs: Option<Sender<Chore>>,
    thread: Option<JoinHandle<()>>,
}

impl Chores {
    pub(crate) fn start(folder: &Path, ports: Arc<Ports>) -> io::Result<Self> {
        let (jobs, inbox) = channel();
        let lines = Lines::of(folder.join(files::CHECKPOINTS));
        let round = Round { folder: folder.to_owned(), ports, lines, queue: VecDeque::new(), failed: Vec::new() };
        let thread = std::thread::Builder::new().name("witness-chores".into()).spawn(move || round.run(&inbox))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(crate) fn push(&self, chore: Chore) {
        if let Some(jobs) = &self.jobs
            && jobs.send(chore).is_err()
        {
            tracing::error!("the thread that looks after the witness log has ended");
        }
    }
}

impl Drop for Chores {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that looks after the witness log had panicked");
        }
    }
}

/// What the thread has to do.
struct Round {
    folder: PathBuf,
    ports: Arc<Ports>,
    lines: Lines,
    queue: VecDeque<Chore>,
    failed: Vec<Failed>,
}

/// A chore that is to be tried again.
struct Failed {
    chore: Chore,
    at: Instant,
    pause: Duration,
}

/// After so long a chore is tried again that has failed,
const PAUSE: Duration = Duration::from_secs(1);
/// and after twice as long each time, up to this.
const PAUSE_MAX: Duration = Duration::from_secs(600);

impl Round {
    fn run(mut self, inbox: &Receiver<Chore>) {
        if let Err(error) = rustix::process::nice(STEP_BACK) {
            tracing::debug!(%error, "a background thread keeps the priority of the others");
        }
        while self.wait(inbox) {
            self.queue.extend(inbox.try_iter());
            let now = Instant::now();
            let due = self.failed.extract_if(.., |failed| failed.at <= now).collect::<Vec<_>>();
            due.into_iter().for_each(|Failed { chore, pause, .. }| self.take(chore, (pause * 2).min(PAUSE_MAX)));
            if let Some(chore) = self.next() {
                self.take(chore, PAUSE);
            }
        }
        // The log ends: what has failed before gets its last chance.
        for Failed { chore, .. } in std::mem::take(&mut self.failed) {
            self.take(chore, PAUSE_MAX);
        }
    }

    /// Waits until there is something to do; false when the log has ended and all is done.
    fn wait(&mut self, inbox: &Receiver<Chore>) -> bool {
        if !self.queue.is_empty() {
            return true;
        }
        let due = self.failed.iter().map(|failed| failed.at).min();
        let came = match due {
            Some(due) => inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match came {
            Ok(chore) => self.queue.push_back(chore),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        true
    }

    /// The first, but for what writes wait for.
    fn next(&mut self) -> Option<Chore> {
        let urgent = self.queue.iter().position(|chore| matches!(chore, Chore::Name { .. }));
        self.queue.remove(urgent.unwrap_or(0))
    }

    /// Does one; what fails and is nobody else's to try again is kept for later.
    fn take(&mut self, chore: Chore, mut pause: Duration) {
        let (done, again) = match chore {
            Chore::Name { next, path } => {
                next.name(&self.folder, path);
                self.ports.raise_all();
                (Ok(()), None)
            }
            Chore::Make { next, opener } => {
                next.make(&self.folder, &opener);
                self.ports.raise_all();
                (Ok(()), None)
            }
            Chore::MakeRoom { opener, path, to, room } => (self.make_room(opener, path, to, room), None),
            Chore::Checkpoint { line } => {
                let (lines, paused) = all_lines(line, &mut self.failed, &mut self.queue);
                pause = pause.max(paused);
                (self.lines.append(&lines), Some(Chore::Checkpoint { line: lines }))
            }
            Chore::Close { path, first, bytes, entries } => {
                let closed = close(&self.folder, &path, first, bytes, &entries);
                (closed, Some(Chore::Close { path, first, bytes, entries }))
            }
            Chore::Remove { path, first, records } => {
                let removed = remove(&self.folder, &path, first, records);
                (removed, Some(Chore::Remove { path, first, records }))
            }
        };
        let Err(error) = done else { return };
        let again_s = again.is_some().then_some(pause.as_secs());
        tracing::warn!(%error, again_s, "the witness log goes on without this");
        if let Some(chore) = again {
            self.failed.push(Failed { chore, at: Instant::now() + pause, pause });
        }
    }

    /// A step of it; the others come behind that.
    fn make_room(&mut self, opener: Opener, path: PathBuf, to: u64, room: Arc<Room>) -> Result<(), FileError> {
        if room.is_given_up() {
            return Ok(());
        }
        let made = opener(&path).and_then(|file| room.grow_a_step(&file, to)).inspect_err(|_| room.fail());
        self.ports.raise_all();
        match made {
            Ok(true) => self.queue.push_front(Chore::MakeRoom { opener, path, to, room }),
            Ok(false) => {}
            Err(error) => return Err(FileError::at("extend", &path)(error)),
        }
        Ok(())
    }
}

/// This and all other lines that wait, those that have failed before first, for one sync, and the pause that
/// those had. Where they are too many the oldest are left out: the checkpoints themselves stand in the segments, and a later one covers
/// what they cover.
fn all_lines(line: Vec<u8>, failed: &mut Vec<Failed>, queue: &mut VecDeque<Chore>) -> (Vec<u8>, Duration) {
    let (mut lines, mut paused) = (Vec::new(), Duration::ZERO);
    for Failed { chore, pause, .. } in failed.extract_if(.., |failed| matches!(failed.chore, Chore::Checkpoint { .. }))
    {
        lines.extend(chore.into_lines());
        paused = paused.max(pause);
    }
    lines.extend(line);
    queue.retain_mut(|chore| match chore {
        Chore::Checkpoint { line } => {
            lines.append(line);
            false
        }
        _ => true,
    });
    let over = lines.len().saturating_sub(CHECKPOINTS_APPEND_BYTES_MAX);
    if over > 0 {
        // As much as is left of a line that is cut goes with it.
        let end = memchr::memchr(b'\n', &lines[over - 1..]).map_or(lines.len(), |newline| over + newline);
        let left_out = memchr::memchr_iter(b'\n', &lines[..end]).count();
        tracing::error!(
            left_out,
            "lines of the file of checkpoints could not be written for too long, and are left out"
        );
        lines.drain(..end);
    }
    (lines, paused)
}

/// A ninth of the processor where all of it is wanted.
const STEP_BACK: i32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_cannot_be_appended_are_one_chore_within_bounds_and_the_newest_are_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("folder");
        let path = folder.join(files::CHECKPOINTS);
        let (ports, lines) = (Arc::default(), Lines::of(path.clone()));
        let mut round = Round { folder: folder.clone(), ports, lines, queue: VecDeque::new(), failed: Vec::new() };
        let line = |number: usize| format!("{number:0>10000}\n").into_bytes();
        for number in 0..300 {
            round.take(Chore::Checkpoint { line: line(number) }, PAUSE * 4);
            let kept = round.failed.iter().map(|failed| match &failed.chore {
                Chore::Checkpoint { line } => line.len(),
                _ => 0,
            });
            let kept: Vec<usize> = kept.collect();
            let all = (number + 1) * 10_001;
            let (most, least) = (CHECKPOINTS_APPEND_BYTES_MAX, CHECKPOINTS_APPEND_BYTES_MAX - 10_001);
            assert!(matches!(kept[..], [bytes] if bytes == all || (least..=most).contains(&bytes)), "{kept:?}");
        }
        round.queue.push_back(Chore::Checkpoint { line: line(301) });
        round.take(Chore::Checkpoint { line: line(300) }, PAUSE);
        assert_eq!(round.failed[0].pause, PAUSE * 4, "it is not asked more often");
        std::fs::create_dir(&folder).expect("a folder");
        round.take(Chore::Checkpoint { line: line(302) }, PAUSE);
        assert!(round.failed.is_empty());
        let expected: Vec<u8> = (303 - CHECKPOINTS_APPEND_BYTES_MAX / 10_001..303).flat_map(line).collect();
        assert!(std::fs::read(&path).expect("the file") == expected, "in the order in which they came");
    }

    #[test]
    fn no_line_is_longer_than_a_verifier_takes_however_many_cosignatures_there_are() {
        for count in [0, 1, 3, 30_000] {
            let cosignature = format!("\u{2014} witness {}", "A".repeat(100));
            let Chore::Checkpoint { line } = Chore::checkpoint("a note\n", &vec![cosignature; count]) else {
                panic!("a line")
            };
            let line = std::str::from_utf8(&line).expect("text").strip_suffix('\n').expect("a line");
            let (note, kept) = sx_witness::parse_checkpoint_line(line).expect("a line that is taken");
            assert_eq!((note.as_str(), kept.len()), ("a note\n", if count == 30_000 { 7_500 } else { count }));
        }
    }
}
