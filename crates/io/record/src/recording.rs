//! One recording on the recorder's thread: samples in, files out.
//!
//! ```text
//!   Going ──pause──► Paused, perhaps noted ──resume──► Going
//!     └──── an error of a file, or the end ────► its parts, for the closing thread
//! ```

use crate::side_car::side_car_path;
use crate::sink::Create;
use crate::timeline::Timeline;
use crate::track::{Track, WrittenPart};
use crate::{FileError, Layout, Party, Pause, RecordingSettings, Tracks};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use sx_engine::Time;

/// How long one party is waited for, in milliseconds.
const LAG_MS: u64 = 500;
/// A longer time in which nothing was handed in is cut and noted as a pause, for silence of hours is no sound.
const GAP_SECS: u64 = 30;
const GAP_REASON: &str = "no sound was handed in";
/// More pauses than this are not noted. A caller of ours is refused more than these; but what is cut for want of sound is
/// noted among them, so that a pause of a caller may find no room.
pub(crate) const PAUSES_MAX: usize = 1_000;

pub(crate) struct Recording {
    settings: RecordingSettings,
    timeline: Timeline,
    tracks: Vec<Track>,
    /// Samples of each channel that were handed to the files.
    recorded: u64,
    pauses: Vec<Pause>,
    state: State,
    late_samples: u64,
    lost_frames: Arc<AtomicU64>,
    taken: [Vec<i16>; 2],
    interleaved: Vec<i16>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Going,
    Paused {
        /// Where among the pauses it is noted; `None`: there was no room.
        noted: Option<usize>,
    },
}

/// What a recording leaves for the closing thread.
pub(crate) struct Remains {
    pub(crate) settings: RecordingSettings,
    pub(crate) parts: Vec<WrittenPart>,
    pub(crate) pauses: Vec<Pause>,
    pub(crate) late_samples: u64,
    /// Whoever hands in may still count.
    pub(crate) lost_frames: Arc<AtomicU64>,
    pub(crate) error: Option<FileError>,
}

impl Recording {
    /// Makes the files. With an error, what was made of them.
    pub(crate) fn open(
        settings: RecordingSettings,
        lost_frames: Arc<AtomicU64>,
        part_bytes_max: u32,
        create: &Create,
    ) -> Result<Self, Box<Remains>> {
        let track = |&(suffix, channels): &(&'static str, u16)| Track::new(suffix, channels, part_bytes_max);
        let hz = u64::from(settings.rate.hz());
        let mut recording = Self {
            timeline: Timeline::new((hz * LAG_MS / 1_000) as usize),
            tracks: settings.tracks.files().iter().map(track).collect(),
            settings,
            recorded: 0,
            pauses: Vec::new(),
            state: State::Going,
            late_samples: 0,
            lost_frames,
            taken: [Vec::new(), Vec::new()],
            interleaved: Vec::new(),
        };
        let side_car = side_car_path(&recording.settings);
        if side_car.try_exists().unwrap_or(false) {
            let error = FileError::at("create", &side_car)(std::io::ErrorKind::AlreadyExists.into());
            return Err(Box::new(recording.fail(error)));
        }
        for track in &mut recording.tracks {
            if let Err(error) = track.open(&recording.settings, create) {
                return Err(Box::new(recording.fail(error)));
            }
        }
        Ok(recording)
    }

    pub(crate) fn frame(&mut self, party: Party, at: u64, samples: &[i16], create: &Create) -> Result<(), FileError> {
        if self.is_paused() {
            return Ok(());
        }
        self.bridge(at, create)?;
        self.late_samples += self.timeline.place(party, at, samples) as u64;
        let ready = self.timeline.ready();
        let mut taken = std::mem::take(&mut self.taken);
        self.timeline.take(ready, &mut taken);
        self.write(taken, create)
    }

    pub(crate) fn pause(
        &mut self,
        at: u64,
        reason: String,
        consent: Option<String>,
        create: &Create,
    ) -> Result<(), FileError> {
        if self.is_paused() {
            return Ok(());
        }
        self.bridge(at, create)?;
        self.write_until(at, create)?;
        self.state = State::Paused { noted: self.note_pause(at, None, reason, consent) };
        Ok(())
    }

    pub(crate) fn resume(&mut self, at: u64) {
        let State::Paused { noted } = std::mem::replace(&mut self.state, State::Going) else { return };
        self.timeline.skip_to(at);
        let ended = self.wall_time(at);
        if let Some(pause) = noted.and_then(|place| self.pauses.get_mut(place)) {
            pause.ended = Some(ended);
        }
    }

    fn is_paused(&self) -> bool {
        self.state != State::Going
    }

    /// Writes all up to this time and ends the files.
    pub(crate) fn close(mut self, end: u64, create: &Create) -> Remains {
        match self.end(end, create) {
            Ok(()) => self.remains(None),
            Err(error) => self.fail(error),
        }
    }

    /// Leaves the files as they are.
    pub(crate) fn fail(mut self, error: FileError) -> Remains {
        for track in &mut self.tracks {
            track.abandon(&self.settings);
        }
        self.remains(Some(error))
    }

    fn end(&mut self, end: u64, create: &Create) -> Result<(), FileError> {
        if !self.is_paused() {
            let end = end.max(self.timeline.end());
            self.bridge(end, create)?;
            self.write_until(end, create)?;
        }
        // One track that cannot be ended keeps no other from it.
        let ended: Vec<_> = self.tracks.iter_mut().map(|track| track.end_part(&self.settings)).collect();
        ended.into_iter().collect()
    }

    fn remains(self, error: Option<FileError>) -> Remains {
        let parts = self.tracks.into_iter().flat_map(Track::into_parts).collect();
        let Self { settings, pauses, late_samples, lost_frames, .. } = self;
        Remains { settings, parts, pauses, late_samples, lost_frames, error }
    }

    /// Cuts a time without sound that is too long to be written.
    fn bridge(&mut self, at: u64, create: &Create) -> Result<(), FileError> {
        let end = self.timeline.end();
        if at.saturating_sub(end) > GAP_SECS * u64::from(self.settings.rate.hz()) {
            self.write_until(end, create)?;
            let resumed = self.wall_time(at);
            self.note_pause(end, Some(resumed), GAP_REASON.to_owned(), None);
            self.timeline.skip_to(at);
        }
        Ok(())
    }

    /// Where it is noted, if there is room.
    fn note_pause(&mut self, at: u64, ended: Option<Time>, reason: String, consent: Option<String>) -> Option<usize> {
        if self.pauses.len() >= PAUSES_MAX {
            return None;
        }
        let (offset_ms, began) = (self.settings.rate.millis(self.recorded), self.wall_time(at));
        self.pauses.push(Pause { offset_ms, began, ended, reason, consent });
        Some(self.pauses.len() - 1)
    }

    fn wall_time(&self, at: u64) -> Time {
        self.settings.began + Duration::from_millis(self.settings.rate.millis(at))
    }

    fn write_until(&mut self, at: u64, create: &Create) -> Result<(), FileError> {
        let mut taken = std::mem::take(&mut self.taken);
        self.timeline.take_until(at, &mut taken);
        self.write(taken, create)
    }

    /// Writes what was handed out of both parties, and keeps the buffers.
    fn write(&mut self, taken: [Vec<i16>; 2], create: &Create) -> Result<(), FileError> {
        let [a, b] = &taken;
        let pairs = a.iter().zip(b);
        self.interleaved.clear();
        match (self.settings.tracks, &mut self.tracks[..]) {
            (Tracks::PerLeg, [first, second]) => {
                first.append(&self.settings, create, a)?;
                second.append(&self.settings, create, b)?;
            }
            (Tracks::Together(Layout::Stereo), [both, ..]) => {
                self.interleaved.extend(pairs.flat_map(|(a, b)| [*a, *b]));
                both.append(&self.settings, create, &self.interleaved)?;
            }
            (_, [both, ..]) => {
                self.interleaved.extend(pairs.map(|(a, b)| a.saturating_add(*b)));
                both.append(&self.settings, create, &self.interleaved)?;
            }
            (_, []) => {}
        }
        self.recorded += a.len() as u64;
        self.taken = taken;
        Ok(())
    }
}
