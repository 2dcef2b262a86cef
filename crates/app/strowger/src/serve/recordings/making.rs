//! Recordings made by sx-record.

use super::RecordingCounts;
use crate::serve::clock::Clock;
use crate::serve::mailbox::{Mail, Mailbox};
use crate::serve::ng::{NG_WORKER, NgMailbox};
use anyhow::Context as _;
use std::collections::{BTreeMap, HashMap};
use std::fs::DirBuilder;
use std::num::NonZero;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use sx_call::{CallRecord, CallRecording, RecordingFile};
use sx_config::{Recording, RecordingBandwidth, RecordingContainer, RecordingTracks};
use sx_io_rtp::RecordingSink;
use sx_media::{MediaEvent, RecordingId, RecordingSide, RecordingTerms};
use sx_record::{
    Container, Layout, Outcome, Party, Recipient, RecordedFile, Recorder, RecorderLimits, RecordingEnded,
    RecordingHandle, RecordingSettings, RecordingsEnded, SampleRate, Tracks, hex,
};
use sx_store::{CdrWriter, WitnessLog};
use sx_witness::{Draft, Facts, Kind, Value};
use tracing::{error, info, warn};

/// Who is told what has become of recordings.
pub struct Told {
    pub mailboxes: Vec<Mailbox>,
    pub ng: Option<NgMailbox>,
    pub log: WitnessLog,
    /// Beside the records of calls.
    pub records: Mutex<CdrWriter>,
    pub clock: Clock,
    pub counts: Arc<RecordingCounts>,
}

/// The recorder, and the thread that takes note of what has ended.
pub struct Making {
    desk: Arc<Desk>,
    is_over: Arc<AtomicBool>,
    noting: JoinHandle<()>,
}

/// Where recordings are begun.
struct Desk {
    recorder: Mutex<Option<Recorder>>,
    /// Those whose end was not noted, by their number in the recorder.
    known: Arc<Mutex<HashMap<sx_record::RecordingId, Known>>>,
    pattern: Pattern,
    clock: Clock,
    counts: Arc<RecordingCounts>,
}

/// What all recordings have in common.
struct Pattern {
    folder: PathBuf,
    tracks: Tracks,
    container: Container,
    rate: SampleRate,
    recipients: Vec<Recipient>,
    exchange: Arc<str>,
}

struct Known {
    recording: RecordingId,
    terms: RecordingTerms,
}

/// Threads that write, where nothing is said: more of them than this want a disk that is said to be worth it.
const THREADS_MAX: NonZero<usize> = NonZero::new(4).unwrap();
/// How long the thread that takes note waits for the witness log, and how often it looks whether it is to end.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(200);
/// Of what the parties are called no more is kept beside a recording.
const NAME_CHARS_MAX: usize = 200;
/// What may wait for the disk, of each recording: so many seconds of both parties.
const QUEUE_S: usize = 5;

impl Making {
    pub fn start(wanted: &Recording, exchange: &Arc<str>, told: Told) -> anyhow::Result<Self> {
        let pattern = Pattern::of(wanted, exchange)?;
        let folder = &pattern.folder;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("cannot make the folder of recordings {}", folder.display()))?;
        let samples = wanted.calls_max.saturating_mul(2 * QUEUE_S * pattern.rate.hz() as usize);
        let defaults = RecorderLimits::default();
        let queue_samples_max = samples.clamp(defaults.queue_samples_max, 8 * defaults.queue_samples_max);
        let threads = wanted.threads.unwrap_or_else(|| {
            let there = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
            there.min(THREADS_MAX)
        });
        let limits = RecorderLimits { recordings_max: wanted.calls_max, queue_samples_max, threads, ..defaults };
        let (recorder, ended) = Recorder::start(limits)?;
        let (known, is_over) = (Arc::<Mutex<_>>::default(), Arc::<AtomicBool>::default());
        let noting = Noting { known: Arc::clone(&known), kind: pattern.kind(), is_over: is_over.clone(), told };
        let (clock, counts) = (noting.told.clock, noting.told.counts.clone());
        let desk = Arc::new(Desk { recorder: Mutex::new(Some(recorder)), known, pattern, clock, counts });
        let noting = std::thread::Builder::new().name("recordings".to_owned()).spawn(move || noting.run(&ended))?;
        Ok(Self { desk, is_over, noting })
    }

    pub fn door(&self) -> Arc<dyn sx_io_rtp::Recordings> {
        self.desk.clone()
    }

    pub fn stop(self) {
        // It waits until the files are complete.
        drop(locked(&self.desk.recorder).take());
        self.is_over.store(true, Ordering::Release);
        if self.noting.join().is_err() {
            error!("the thread that takes note of recordings had panicked");
        }
    }
}

impl Pattern {
    fn of(wanted: &Recording, exchange: &Arc<str>) -> anyhow::Result<Self> {
        let recipient = |text: &Arc<str>| text.parse().with_context(|| format!("recording.recipients: {text}"));
        Ok(Self {
            folder: wanted.folder.clone(),
            tracks: match wanted.tracks {
                RecordingTracks::Stereo => Tracks::Together(Layout::Stereo),
                RecordingTracks::Mixed => Tracks::Together(Layout::Mixed),
                RecordingTracks::PerLeg => Tracks::PerLeg,
            },
            container: container(wanted.container)?,
            rate: match wanted.bandwidth {
                RecordingBandwidth::Narrowband => SampleRate::Hz8000,
                RecordingBandwidth::Wideband => SampleRate::Hz16000,
                RecordingBandwidth::Fullband => SampleRate::Hz48000,
            },
            recipients: wanted.recipients.iter().map(recipient).collect::<anyhow::Result<_>>()?,
            exchange: exchange.clone(),
        })
    }

    fn settings(&self, terms: &RecordingTerms, began: sx_engine::Time) -> RecordingSettings {
        let shortened = |text: &str| text.chars().take(NAME_CHARS_MAX).collect::<String>();
        let facts = [
            ("call", terms.call.to_string()),
            ("trace", terms.trace.to_string()),
            ("consent", terms.consent.to_string()),
            ("caller", shortened(&terms.caller)),
            ("dialled", shortened(&terms.dialled)),
            ("exchange", self.exchange.to_string()),
        ];
        let signalled_as = terms.signalled_as.as_deref().map(|name| ("signalled_as", shortened(name)));
        RecordingSettings {
            folder: self.folder.clone(),
            name: format!("{}-{}", terms.call, terms.number),
            tracks: self.tracks,
            container: self.container,
            rate: self.rate,
            recipients: self.recipients.clone(),
            began,
            facts: facts
                .into_iter()
                .chain(signalled_as)
                // Of a call of a proxy it is not known who calls whom.
                .filter(|(_, text)| !text.is_empty())
                .map(|(name, text)| (name.to_owned(), text))
                .collect::<BTreeMap<_, _>>(),
        }
    }

    /// What its files are, for a record.
    fn kind(&self) -> Facts<'static> {
        let tracks = match self.tracks {
            Tracks::Together(Layout::Stereo) => "stereo",
            Tracks::Together(Layout::Mixed) => "mixed",
            Tracks::PerLeg => "per-leg",
        };
        Facts::new()
            .with("container", self.container.extension())
            .with("tracks", tracks)
            .with("encrypted", !self.recipients.is_empty())
    }
}

/// Speech in each channel at what a party of a call sends itself, and the least work that takes.
#[cfg(feature = "opus")]
const OPUS: Container = Container::OggOpus { bit_rate: 24_000, complexity: 0 };

fn container(wanted: RecordingContainer) -> anyhow::Result<Container> {
    match wanted {
        RecordingContainer::Wav => Ok(Container::Wav),
        #[cfg(feature = "opus")]
        RecordingContainer::Opus => Ok(OPUS),
        #[cfg(not(feature = "opus"))]
        RecordingContainer::Opus => anyhow::bail!("recording.container: this program was built without Opus"),
    }
}

impl sx_io_rtp::Recordings for Desk {
    fn begin(&self, recording: RecordingId, terms: &RecordingTerms) -> Option<Box<dyn RecordingSink>> {
        let settings = self.pattern.settings(terms, self.clock.now());
        // Held over both, so that its end is not looked for before it is known.
        let mut known = locked(&self.known);
        let opened = locked(&self.recorder).as_mut()?.open(settings);
        match opened {
            Ok(handle) => {
                known.insert(handle.id(), Known { recording, terms: terms.clone() });
                self.counts.begun.fetch_add(1, Ordering::Relaxed);
                Some(Box::new(Sink { handle, rate: self.pattern.rate }))
            }
            Err(error) => {
                warn!(call = %terms.call, %error, "a recording could not be begun");
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

/// A recording, as the thread that has the sound sees it. What the queue does not take is counted with its end.
struct Sink {
    handle: RecordingHandle,
    rate: SampleRate,
}

impl RecordingSink for Sink {
    fn sample_hz(&self) -> u32 {
        self.rate.hz()
    }

    fn push(&mut self, side: RecordingSide, at: u64, samples: &[i16]) {
        let party = match side {
            RecordingSide::Caller => Party::Caller,
            RecordingSide::Called => Party::Callee,
        };
        self.handle.push(party, at, samples);
    }

    fn pause(&mut self, at: u64) {
        if let Err(error) = self.handle.pause(at, "paused as asked for", None) {
            // Rather too little is recorded than too much.
            warn!(%error, "a recording could not be paused");
        }
    }

    fn resume(&mut self, at: u64) {
        if let Err(error) = self.handle.resume(at) {
            warn!(%error, "a recording could not go on");
        }
    }
}

/// What the thread that takes note has.
struct Noting {
    known: Arc<Mutex<HashMap<sx_record::RecordingId, Known>>>,
    kind: Facts<'static>,
    is_over: Arc<AtomicBool>,
    told: Told,
}

impl Noting {
    /// Runs until the recorder has gone and all is noted.
    fn run(self, ended: &RecordingsEnded) {
        loop {
            // Looked at first: what has ended before that is found behind it.
            let is_over = self.is_over.load(Ordering::Acquire);
            match ended.wait(LOOK) {
                Some(one) => self.note(one),
                None if is_over => return,
                None => {}
            }
        }
    }

    fn note(&self, RecordingEnded { id, outcome }: RecordingEnded) {
        let Some(Known { recording, terms }) = locked(&self.known).remove(&id) else { return };
        let counts = &self.told.counts;
        let complete = outcome.error.is_none();
        let counter: &AtomicU64 = if complete { &counts.complete } else { &counts.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        counts.frames_lost.fetch_add(outcome.lost_frames, Ordering::Relaxed);
        match &outcome.error {
            None => info!(call = %terms.call, ms = outcome.duration_ms, "a recording is complete"),
            Some(error) => error!(call = %terms.call, %error, "a recording has ended early"),
        }
        self.witness(&terms, &outcome);
        let worker = u16::try_from(recording.0 >> 48).unwrap_or_default();
        // The calls of proxies have no records of ours.
        if worker != NG_WORKER {
            self.record(&terms, &outcome);
        }
        let event = MediaEvent::RecordingEnded { recording, complete };
        match (self.told.mailboxes.get(usize::from(worker)), &self.told.ng) {
            (Some(mailbox), _) => mailbox.post(Mail::Media(event)),
            (None, Some(ng)) if worker == NG_WORKER => ng.media(event),
            (None, _) => {}
        }
    }

    /// Has the files stand beside the call's record.
    fn record(&self, terms: &RecordingTerms, outcome: &Outcome) {
        let file = |file: &RecordedFile| RecordingFile {
            name: file.name.as_str().into(),
            bytes: file.bytes,
            sha256: file.sha256,
        };
        let recording = CallRecording {
            call: terms.call,
            number: terms.number,
            at: self.told.clock.now().as_nanos(),
            complete: outcome.error.is_none(),
            files: outcome.files.iter().map(file).collect(),
        };
        let mut records = locked(&self.told.records);
        if let Err(error) = records.append(&CallRecord::Recorded(Box::new(recording))) {
            error!(call = %terms.call, %error, "the files of a recording do not stand beside the record of its call");
        }
        // What is not written now is with the next one, or at the end.
        if let Err(error) = records.commit() {
            error!(call = %terms.call, %error, "the files of a recording are not written beside the record of its call yet");
        }
    }

    /// Writes down which files there are, and what they hash to.
    fn witness(&self, terms: &RecordingTerms, outcome: &Outcome) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let file = |file: &RecordedFile| {
            Value::Facts(
                Facts::new()
                    .with("name", file.name.clone())
                    .with("sha256", hex(&file.sha256))
                    .with("bytes", number(file.bytes))
                    .with("duration_ms", number(file.duration_ms)),
            )
        };
        let facts = self
            .kind
            .clone()
            .with("recording", i64::from(terms.number))
            .with("files", Value::List(outcome.files.iter().map(file).collect()))
            .with("duration_ms", number(outcome.duration_ms))
            .with("pauses", number(outcome.pauses.len() as u64))
            .with("lost_frames", number(outcome.lost_frames))
            .with("late_samples", number(outcome.late_samples));
        let reason = outcome.error.as_ref().map(ToString::to_string).unwrap_or_default();
        let now = self.told.clock.now();
        let is_durable = self.told.log.record(
            &Draft {
                outcome: if outcome.error.is_none() { "complete" } else { "cut_short" },
                reason: &reason,
                call: Some(terms.call),
                trace: Some(terms.trace),
                facts,
                ..Draft::new(now, Kind::Recording)
            },
            now,
            PATIENCE,
        );
        if !is_durable {
            error!(call = %terms.call, "what a recording hashes to is not in the witness log yet");
        }
    }
}

/// A thread that panics ends the process; what it leaves behind is read by nobody.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
