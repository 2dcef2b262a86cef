//! One track of a recording: a file, and the next when it is full.

#[cfg(feature = "opus")]
use crate::ogg_opus::OggOpusWriter;
use crate::sink::{Create, Sink};
use crate::wav::WavWriter;
use crate::{Container, FileError, RecordingSettings};
#[cfg(feature = "opus")]
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;
#[cfg(feature = "opus")]
use sx_codec::OpusSettings;

/// What a file is called until it is complete.
pub(crate) const PART: &str = ".part";

/// A file that nothing more is written into, still under its temporary name.
#[derive(Clone, Debug)]
pub(crate) struct WrittenPart {
    /// Its name to be.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// Milliseconds of sound in it.
    pub(crate) millis: u64,
    /// Frames of it that could not be encoded.
    pub(crate) not_encoded: u64,
}

pub(crate) struct Track {
    /// What the file's name has behind the recording's.
    suffix: &'static str,
    channels: u16,
    part_bytes_max: u32,
    number: u32,
    /// `None` when a file could not be made.
    writing: Option<(String, Coding)>,
    written: Vec<WrittenPart>,
}

enum Coding {
    Wav(Box<WavWriter>),
    #[cfg(feature = "opus")]
    Opus(Box<OggOpusWriter>),
}

impl Track {
    pub(crate) fn new(suffix: &'static str, channels: u16, part_bytes_max: u32) -> Self {
        // A bound below a sample would begin files without end.
        let part_bytes_max = part_bytes_max.max(1_024);
        Self { suffix, channels, part_bytes_max, number: 0, writing: None, written: Vec::new() }
    }

    /// Begins the next file.
    pub(crate) fn open(&mut self, settings: &RecordingSettings, create: &Create) -> Result<(), FileError> {
        self.number += 1;
        let name = self.file_name(settings);
        let path = settings.folder.join(&name);
        // Said now and not when the recording ends: nothing is overwritten.
        if path.try_exists().unwrap_or(false) {
            return Err(FileError::at("create", &path)(std::io::ErrorKind::AlreadyExists.into()));
        }
        let sink = Sink::create(create, &settings.folder.join(format!("{name}{PART}")), &settings.recipients)?;
        let hz = settings.rate.hz();
        let coding = match settings.container {
            Container::Wav => WavWriter::new(sink, self.channels, hz).map(|wav| Coding::Wav(Box::new(wav))),
            #[cfg(feature = "opus")]
            Container::OggOpus { bit_rate, complexity } => {
                let opus = OpusSettings { bit_rate, complexity, ..OpusSettings::default() };
                OggOpusWriter::new(sink, self.channels, hz, opus, serial(&name))
                    .map(|opus| Coding::Opus(Box::new(opus)))
            }
        };
        match coding {
            Ok(coding) => self.writing = Some((name, coding)),
            Err(error) => {
                // Not even the header found room.
                let _ = std::fs::remove_file(settings.folder.join(format!("{name}{PART}")));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Appends samples, those of the channels in turn.
    pub(crate) fn append(
        &mut self,
        settings: &RecordingSettings,
        create: &Create,
        mut samples: &[i16],
    ) -> Result<(), FileError> {
        let channels = usize::from(self.channels);
        while !samples.is_empty() {
            let Some((_, coding)) = &mut self.writing else { return Ok(()) };
            let room = coding.room(self.part_bytes_max) * channels;
            let fits = room.min(samples.len());
            coding.append(&samples[..fits])?;
            samples = &samples[fits..];
            if !samples.is_empty() {
                self.end_part(settings)?;
                self.open(settings, create)?;
            }
        }
        Ok(())
    }

    /// Ends the file in order.
    pub(crate) fn end_part(&mut self, settings: &RecordingSettings) -> Result<(), FileError> {
        let Some((name, mut coding)) = self.writing.take() else { return Ok(()) };
        let ended = coding.end();
        self.written.push(part(name, settings, &coding));
        ended?;
        coding.finish()
    }

    /// Leaves the file as it is.
    pub(crate) fn abandon(&mut self, settings: &RecordingSettings) {
        if let Some((name, coding)) = self.writing.take() {
            self.written.push(part(name, settings, &coding));
        }
    }

    /// The files, when none is being written any more.
    pub(crate) fn into_parts(self) -> Vec<WrittenPart> {
        self.written
    }

    fn file_name(&self, settings: &RecordingSettings) -> String {
        let number = if self.number > 1 { format!("-{}", self.number) } else { String::new() };
        let sealed = if settings.recipients.is_empty() { "" } else { ".age" };
        format!("{}{}{number}.{}{sealed}", settings.name, self.suffix, settings.container.extension())
    }
}

fn part(name: String, settings: &RecordingSettings, coding: &Coding) -> WrittenPart {
    let (millis, not_encoded) = (coding.millis(settings), coding.not_encoded());
    WrittenPart { name, folder: settings.folder.clone(), millis, not_encoded }
}

/// Streams of one recording have different numbers, and the same name has the same.
#[cfg(feature = "opus")]
fn serial(name: &str) -> u32 {
    let hash = Sha256::digest(name.as_bytes());
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

impl Coding {
    fn room(&self, bytes_max: u32) -> usize {
        match self {
            Self::Wav(wav) => wav.room(bytes_max),
            // Pages of Ogg have no length of the whole.
            #[cfg(feature = "opus")]
            Self::Opus(_) => usize::MAX / 2,
        }
    }

    fn append(&mut self, samples: &[i16]) -> Result<(), FileError> {
        match self {
            Self::Wav(wav) => wav.append(samples),
            #[cfg(feature = "opus")]
            Self::Opus(opus) => opus.append(samples),
        }
    }

    fn end(&mut self) -> Result<(), FileError> {
        match self {
            Self::Wav(wav) => wav.flush(),
            #[cfg(feature = "opus")]
            Self::Opus(opus) => opus.end(),
        }
    }

    fn finish(self) -> Result<(), FileError> {
        match self {
            Self::Wav(wav) => wav.finish(),
            #[cfg(feature = "opus")]
            Self::Opus(opus) => opus.finish(),
        }
    }

    fn not_encoded(&self) -> u64 {
        match self {
            Self::Wav(_) => 0,
            #[cfg(feature = "opus")]
            Self::Opus(opus) => opus.not_encoded(),
        }
    }

    fn millis(&self, settings: &RecordingSettings) -> u64 {
        match self {
            Self::Wav(wav) => settings.rate.millis(wav.samples()),
            #[cfg(feature = "opus")]
            Self::Opus(opus) => crate::SampleRate::Hz48000.millis(opus.samples()),
        }
    }
}
