//! The recorder: threads that write recordings, each its own, and handles that never wait for them.

use crate::closing::{self, Closing};
use crate::recording::{PAUSES_MAX, Recording};
use crate::settings::TEXT_MAX;
use crate::side_car::Outcome;
use crate::sink::{Create, on_disk};
use crate::{Party, PauseError, RecorderLimits, RecordingSettings, StartError};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Samples of the longest frame that waits in the queue as one: 120 ms at 48 kHz.
const FRAME_MAX: usize = 5_760;
/// What a frame takes of the queue besides its samples, in samples.
const FRAME_COST: usize = 64;

/// A recording of this recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingId(pub u64);

/// A recording has ended, as it was asked to or by an error. Each ends once.
#[derive(Debug)]
pub struct RecordingEnded {
    /// Which.
    pub id: RecordingId,
    /// What there is of it.
    pub outcome: Outcome,
}

/// Writes recordings on threads of its own, and ends them on another. Dropped, it ends those that go on and waits for
/// all.
#[derive(Debug)]
pub struct Recorder {
    limits: RecorderLimits,
    /// To each thread that writes.
    writers: Vec<Sender<Message>>,
    shared: Arc<Shared>,
    next: u64,
    threads: Vec<JoinHandle<()>>,
}

/// What has become of recordings. Whoever owns it must take note of it: only then another one may take the place.
#[derive(Debug)]
pub struct RecordingsEnded {
    ended: Receiver<RecordingEnded>,
    shared: Arc<Shared>,
}

/// A recording that goes on; dropped, it ends. It belongs to the thread that has the sound, and nothing in it waits.
///
/// Times are samples since the recording began, on the clock by which the sound is played out; what is missing of them is
/// silence, and what was written stays.
#[derive(Debug)]
pub struct RecordingHandle {
    id: RecordingId,
    messages: Sender<Message>,
    shared: Arc<Shared>,
    queue_samples_max: usize,
    /// The end of what was handed in.
    end: u64,
    /// The thread that writes has it as well: a recording may end without a word from here.
    lost_frames: Arc<AtomicU64>,
    pauses: usize,
    paused: bool,
}

/// What has become of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// It will be written.
    Queued,
    /// It will not, for the recording is paused.
    Paused,
    /// The queue had no room, or the recorder has stopped: there will be silence in its place. Counted.
    Lost,
}

#[derive(Debug, Default)]
struct Shared {
    /// Samples that wait for the thread.
    queued: AtomicUsize,
    /// Recordings whose end was not taken note of.
    recordings: AtomicUsize,
}

#[derive(Debug)]
enum Message {
    Open(RecordingId, Box<RecordingSettings>, Arc<AtomicU64>),
    Frame(RecordingId, Party, u64, Box<[i16]>),
    Pause(RecordingId, u64, String, Option<String>),
    Resume(RecordingId, u64),
    Close(RecordingId, u64),
    Stop,
}

impl Recorder {
    /// Starts its threads.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(limits: RecorderLimits) -> io::Result<(Self, RecordingsEnded)> {
        Self::start_on(limits, &on_disk())
    }

    pub(crate) fn start_on(limits: RecorderLimits, create: &Create) -> io::Result<(Self, RecordingsEnded)> {
        let shared = Arc::new(Shared::default());
        let (closings, closing) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let mut recorder =
            Self { limits, writers: Vec::new(), shared: Arc::clone(&shared), next: 0, threads: Vec::new() };
        for number in 0..limits.threads.get() {
            let (messages, received) = mpsc::channel();
            let writing = Writing {
                part_bytes_max: limits.part_bytes_max,
                create: Arc::clone(create),
                shared: Arc::clone(&shared),
                recordings: HashMap::new(),
                closings: closings.clone(),
            };
            let writer = thread::Builder::new().name(format!("recorder-{number}"));
            recorder.threads.push(writer.spawn(move || writing.run(&received))?);
            recorder.writers.push(messages);
        }
        let closer = thread::Builder::new().name("recorder-close".to_owned());
        recorder.threads.push(closer.spawn(move || closing::run(&closing, &end))?);
        Ok((recorder, RecordingsEnded { ended, shared }))
    }

    /// Begins a recording. Its files are made on the thread; that they cannot be is said by its end.
    ///
    /// # Errors
    /// When the settings do not fit together, or no more recordings are allowed.
    pub fn open(&mut self, settings: RecordingSettings) -> Result<RecordingHandle, StartError> {
        settings.check()?;
        if self.shared.recordings.load(Ordering::Relaxed) >= self.limits.recordings_max {
            return Err(StartError::TooMany(self.limits.recordings_max));
        }
        self.next += 1;
        // One after the other: what a recording costs is much the same.
        let messages = self.writers[(self.next % self.writers.len() as u64) as usize].clone();
        let id = RecordingId(self.next);
        self.shared.recordings.fetch_add(1, Ordering::Relaxed);
        let lost_frames = Arc::<AtomicU64>::default();
        if messages.send(Message::Open(id, Box::new(settings), Arc::clone(&lost_frames))).is_err() {
            self.shared.recordings.fetch_sub(1, Ordering::Relaxed);
            return Err(StartError::Stopped);
        }
        Ok(RecordingHandle {
            id,
            messages,
            shared: Arc::clone(&self.shared),
            queue_samples_max: self.limits.queue_samples_max,
            end: 0,
            lost_frames,
            pauses: 0,
            paused: false,
        })
    }

    /// Ends all recordings with what was handed in so far, and waits until they have.
    pub fn stop(self) {}
}

impl Drop for Recorder {
    fn drop(&mut self) {
        for writer in &self.writers {
            // Its thread may have ended by a panic.
            let _ = writer.send(Message::Stop);
        }
        for thread in self.threads.drain(..) {
            // A thread that has panicked has said so; its recordings remain under their temporary names.
            let _ = thread.join();
        }
    }
}

impl RecordingsEnded {
    /// The next recording that has ended, if there is one.
    pub fn poll(&self) -> Option<RecordingEnded> {
        self.ended.try_recv().ok().inspect(|_| self.noted())
    }

    /// Waits for the next so long; `None` also when the recorder has stopped and all were taken note of.
    pub fn wait(&self, timeout: Duration) -> Option<RecordingEnded> {
        self.ended.recv_timeout(timeout).ok().inspect(|_| self.noted())
    }

    fn noted(&self) {
        self.shared.recordings.fetch_sub(1, Ordering::Relaxed);
    }
}

impl RecordingHandle {
    /// Which it is.
    pub fn id(&self) -> RecordingId {
        self.id
    }

    /// Hands in samples of a party that are heard at this time, in samples since the recording began.
    pub fn push(&mut self, party: Party, at: u64, samples: &[i16]) -> Handed {
        if self.paused {
            return Handed::Paused;
        }
        let mut handed = Handed::Queued;
        for (number, part) in samples.chunks(FRAME_MAX).enumerate() {
            let at = at.saturating_add((number * FRAME_MAX) as u64);
            if !self.push_part(party, at, part) {
                self.lost_frames.fetch_add(1, Ordering::Relaxed);
                handed = Handed::Lost;
            }
            self.end = self.end.max(at.saturating_add(part.len() as u64));
        }
        handed
    }

    fn push_part(&self, party: Party, at: u64, samples: &[i16]) -> bool {
        let cost = samples.len() + FRAME_COST;
        let before = self.shared.queued.fetch_add(cost, Ordering::Relaxed);
        let sent = before + cost <= self.queue_samples_max
            && self.messages.send(Message::Frame(self.id, party, at, samples.into())).is_ok();
        if !sent {
            self.shared.queued.fetch_sub(cost, Ordering::Relaxed);
        }
        sent
    }

    /// Leaves out what is heard from this time on. The reason and what refers to a consent stand in the side-car.
    ///
    /// # Errors
    /// When it is paused, was paused too often, or the texts are too long.
    pub fn pause(&mut self, at: u64, reason: &str, consent: Option<&str>) -> Result<(), PauseError> {
        if self.paused {
            return Err(PauseError::AsBefore);
        }
        if self.pauses >= PAUSES_MAX {
            return Err(PauseError::TooMany(PAUSES_MAX));
        }
        if reason.len() > TEXT_MAX || consent.is_some_and(|consent| consent.len() > TEXT_MAX) {
            return Err(PauseError::TextTooLong);
        }
        self.pauses += 1;
        self.paused = true;
        self.end = at;
        // A recorder that has stopped leaves out everything anyhow.
        let _ = self.messages.send(Message::Pause(self.id, at, reason.to_owned(), consent.map(ToOwned::to_owned)));
        Ok(())
    }

    /// Goes on with what is heard from this time on.
    ///
    /// # Errors
    /// When it is not paused.
    pub fn resume(&mut self, at: u64) -> Result<(), PauseError> {
        if !self.paused {
            return Err(PauseError::AsBefore);
        }
        self.paused = false;
        self.end = at;
        let _ = self.messages.send(Message::Resume(self.id, at));
        Ok(())
    }

    /// Frames that found no room in the queue.
    pub fn lost_frames(&self) -> u64 {
        self.lost_frames.load(Ordering::Relaxed)
    }

    /// Ends the recording with what was handed in; [`RecordingsEnded`] says what has become of it.
    pub fn close(self) {}
}

impl Drop for RecordingHandle {
    fn drop(&mut self) {
        let _ = self.messages.send(Message::Close(self.id, self.end));
    }
}

/// What a writing thread owns.
struct Writing {
    part_bytes_max: u32,
    create: Create,
    shared: Arc<Shared>,
    recordings: HashMap<RecordingId, Recording>,
    closings: Sender<Closing>,
}

impl Writing {
    /// Runs until the recorder is gone, and ends what goes on then.
    fn run(mut self, received: &Receiver<Message>) {
        for message in received {
            match message {
                Message::Stop => break,
                message => self.handle(message),
            }
        }
        let left: Vec<RecordingId> = self.recordings.keys().copied().collect();
        for id in left {
            self.close(id, 0);
        }
    }

    fn handle(&mut self, message: Message) {
        let create = &self.create;
        let (id, done) = match message {
            Message::Open(id, settings, lost_frames) => return self.open(id, *settings, lost_frames),
            Message::Stop => return,
            Message::Close(id, end) => return self.close(id, end),
            Message::Frame(id, party, at, samples) => {
                self.shared.queued.fetch_sub(samples.len() + FRAME_COST, Ordering::Relaxed);
                (id, self.recordings.get_mut(&id).map(|recording| recording.frame(party, at, &samples, create)))
            }
            Message::Pause(id, at, reason, consent) => {
                (id, self.recordings.get_mut(&id).map(|recording| recording.pause(at, reason, consent, create)))
            }
            Message::Resume(id, at) => {
                if let Some(recording) = self.recordings.get_mut(&id) {
                    recording.resume(at);
                }
                return;
            }
        };
        // What comes for a recording that has failed finds none: it is reported once.
        if let Some(Err(error)) = done
            && let Some(recording) = self.recordings.remove(&id)
        {
            self.hand_on(Closing { id, remains: recording.fail(error) });
        }
    }

    fn open(&mut self, id: RecordingId, settings: RecordingSettings, lost_frames: Arc<AtomicU64>) {
        match Recording::open(settings, lost_frames, self.part_bytes_max, &self.create) {
            Ok(recording) => {
                self.recordings.insert(id, recording);
            }
            Err(remains) => self.hand_on(Closing { id, remains: *remains }),
        }
    }

    fn close(&mut self, id: RecordingId, end: u64) {
        if let Some(recording) = self.recordings.remove(&id) {
            let remains = recording.close(end, &self.create);
            self.hand_on(Closing { id, remains });
        }
    }

    fn hand_on(&self, closing: Closing) {
        // The thread that takes them ends after all of these.
        let _ = self.closings.send(closing);
    }
}
