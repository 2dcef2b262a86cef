//! Recordings of calls: where the recording threads of the media find somebody who makes them, and what becomes of each.
//!
//! ```text
//!  worker ──Record, Tap──► packet threads ──► recording threads ──samples──► sx-record ──► files
//!    ▲                                                                          │
//!    └── RecordingEnded ◄──── the thread that takes note ◄──────────────────────┘
//!                                   └──► witness log: each file's name and SHA-256
//! ```
//!
//! A program that is built without recordings has this and nothing behind it.

#[cfg(feature = "recordings")]
mod making;

use super::clock::Clock;
use super::mailbox::Mailbox;
use super::ng::NgMailbox;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use sx_config::Config;
use sx_http::MetricsText;
use sx_store::{CdrStore, WitnessLog};

/// What has become of recordings.
#[derive(Debug, Default)]
pub struct RecordingCounts {
    /// Begun.
    pub begun: AtomicU64,
    /// Could not be begun: as many as are allowed go on.
    pub refused: AtomicU64,
    /// Ended, and all of it is there.
    pub complete: AtomicU64,
    /// Ended by a fault.
    pub failed: AtomicU64,
    /// Frames of sound that found no room on their way to the disk, or could not be encoded.
    pub frames_lost: AtomicU64,
}

impl RecordingCounts {
    /// What scrapers are told.
    pub fn write(&self, out: &mut MetricsText) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (complete, failed) = (read(&self.complete), read(&self.failed));
        out.gauge("strowger_recordings", "", "Recordings of calls that are made or brought to their end.")
            .sample(&[], read(&self.begun).saturating_sub(complete + failed));
        out.counter("strowger_recordings_ended", "", "Recordings that have ended, or could not begin.")
            .sample(&[("result", "complete")], complete)
            .sample(&[("result", "failed")], failed)
            .sample(&[("result", "refused")], read(&self.refused));
        let help = "Frames of sound that found no room on their way to a recording, or could not be encoded.";
        out.counter("strowger_recording_frames_lost", "", help).sample(&[], read(&self.frames_lost));
    }
}

/// The journal in which the files of recordings stand beside the records of calls.
#[cfg(feature = "recordings")]
const JOURNAL: &str = "recordings";

/// Who makes recordings, if anybody does.
#[derive(Default)]
pub struct Recordings {
    counts: Arc<RecordingCounts>,
    #[cfg(feature = "recordings")]
    making: Option<making::Making>,
}

/// Why a configuration cannot be had by this program.
pub fn unbuilt(config: &Config) -> Option<&'static str> {
    let lacks = config.recording.is_some() && !cfg!(feature = "recordings");
    lacks.then_some("recording: this program was built without recordings, and cannot record calls")
}

impl Recordings {
    /// Starts what the configuration wants. `log`: where the hashes of files go, and `records` beside the calls' own; `mailboxes`:
    /// the workers that are told, and who is told of calls of proxies.
    ///
    /// # Errors
    /// The folder cannot be made, a recipient is none, or the program was built without.
    pub fn start(
        config: &Config,
        (mailboxes, ng): (&[Mailbox], Option<NgMailbox>),
        log: &WitnessLog,
        records: &mut CdrStore,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        if let Some(why) = unbuilt(config) {
            anyhow::bail!(why);
        }
        #[cfg(not(feature = "recordings"))]
        let _ = (mailboxes, ng, log, records, clock);
        #[cfg(feature = "recordings")]
        if let Some(wanted) = &config.recording {
            let counts = Arc::<RecordingCounts>::default();
            let records = std::sync::Mutex::new(records.writer(JOURNAL)?);
            let (mailboxes, log) = (mailboxes.to_vec(), log.clone());
            let told = making::Told { mailboxes, ng, log, records, clock, counts: counts.clone() };
            let making = making::Making::start(wanted, &config.exchange.name, told)?;
            return Ok(Self { counts, making: Some(making) });
        }
        Ok(Self::default())
    }

    /// Where the recording threads find it.
    pub fn door(&self) -> Option<Arc<dyn sx_io_rtp::Recordings>> {
        #[cfg(feature = "recordings")]
        let door = self.making.as_ref().map(making::Making::door);
        #[cfg(not(feature = "recordings"))]
        let door = None;
        door
    }

    /// What has become of them.
    pub fn counts(&self) -> Arc<RecordingCounts> {
        self.counts.clone()
    }

    /// Brings all that go on to their end, and waits until that is written down.
    pub fn stop(self) {
        #[cfg(feature = "recordings")]
        if let Some(making) = self.making {
            making.stop();
        }
    }
}
