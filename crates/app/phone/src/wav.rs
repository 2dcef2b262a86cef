//! WAV files: what is played, and what was heard.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use sx_codec::SAMPLE_HZ;

/// The most samples of a file that is played: an hour.
const SAMPLES_MAX: u32 = 3_600 * SAMPLE_HZ;

/// Why a WAV file cannot be played or written.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// It cannot be opened, or is no WAV file.
    #[error("{} cannot be read as WAV: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: hound::Error,
    },
    /// It holds sound of another kind.
    #[error(
        "{} has {channels} channel(s) of {bits} bit at {hz} Hz; a telephone plays 1 or 2 channels of 16 bit at 8000 Hz \
         (sox IN -r 8000 -b 16 -c 1 OUT.wav)", .path.display()
    )]
    Unsuitable {
        /// The file.
        path: PathBuf,
        /// Its channels.
        channels: u16,
        /// Bits of a sample.
        bits: u16,
        /// Samples a second.
        hz: u32,
    },
    /// It holds no sound, or too much.
    #[error("{} holds {samples} samples; a telephone plays 1 to {SAMPLES_MAX} (an hour)", .path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Samples of one channel.
        samples: u32,
    },
    /// It cannot be written.
    #[error("{} cannot be written: {source}", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: hound::Error,
    },
}

/// Reads a whole file; two channels are mixed into one.
pub(crate) fn read(path: &Path) -> Result<Vec<i16>, WavError> {
    let unreadable = |source| WavError::Unreadable { path: path.to_owned(), source };
    let mut reader = hound::WavReader::open(path).map_err(unreadable)?;
    let spec = reader.spec();
    let fits = spec.sample_rate == SAMPLE_HZ
        && spec.bits_per_sample == 16
        && spec.sample_format == hound::SampleFormat::Int
        && matches!(spec.channels, 1 | 2);
    if !fits {
        let (channels, bits, hz) = (spec.channels, spec.bits_per_sample, spec.sample_rate);
        return Err(WavError::Unsuitable { path: path.to_owned(), channels, bits, hz });
    }
    let samples = reader.duration();
    if samples == 0 || samples > SAMPLES_MAX {
        return Err(WavError::Length { path: path.to_owned(), samples });
    }
    let all: Vec<i16> = reader.samples().collect::<Result<_, _>>().map_err(unreadable)?;
    if spec.channels == 1 {
        return Ok(all);
    }
    // The mean of two samples is a sample again.
    Ok(all.as_chunks::<2>().0.iter().map(|[left, right]| ((i32::from(*left) + i32::from(*right)) / 2) as i16).collect())
}

/// A file that is being written: one channel of 16 bit at 8,000 samples a second.
pub(crate) struct Recording {
    path: PathBuf,
    writer: hound::WavWriter<BufWriter<File>>,
}

impl Recording {
    pub fn create(path: &Path) -> Result<Self, WavError> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: SAMPLE_HZ,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let writer = hound::WavWriter::create(path, spec)
            .map_err(|source| WavError::Unwritable { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), writer })
    }

    pub fn write(&mut self, samples: &[i16]) -> Result<(), WavError> {
        let written = samples.iter().try_for_each(|sample| self.writer.write_sample(*sample));
        written.map_err(|source| self.unwritable(source))
    }

    /// Brings the header up to date, so that the file can be played as it is.
    pub fn flush(&mut self) -> Result<(), WavError> {
        self.writer.flush().map_err(|source| self.unwritable(source))
    }

    pub fn finish(self) -> Result<(), WavError> {
        self.writer.finalize().map_err(|source| WavError::Unwritable { path: self.path, source })
    }

    fn unwritable(&self, source: hound::Error) -> WavError {
        WavError::Unwritable { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, channels: u16, hz: u32, samples: &[i16]) {
        let spec =
            hound::WavSpec { channels, sample_rate: hz, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
        let mut writer = hound::WavWriter::create(path, spec).expect("creates");
        samples.iter().for_each(|sample| writer.write_sample(*sample).expect("writes"));
        writer.finalize().expect("ends");
    }

    #[test]
    fn what_was_recorded_is_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("heard.wav");
        let mut recording = Recording::create(&path).expect("creates");
        recording.write(&[1, -2, 3]).expect("writes");
        recording.flush().expect("flushes");
        assert_eq!(read(&path).expect("reads while it is written"), [1, -2, 3]);
        recording.write(&[4]).expect("writes");
        recording.finish().expect("ends");
        assert_eq!(read(&path).expect("reads"), [1, -2, 3, 4]);
    }

    #[test]
    fn two_channels_become_their_mean() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("stereo.wav");
        write(&path, 2, SAMPLE_HZ, &[100, 200, i16::MIN, i16::MIN, i16::MAX, i16::MAX]);
        assert_eq!(read(&path).expect("reads"), [150, i16::MIN, i16::MAX]);
    }

    #[test]
    fn another_rate_is_refused_with_a_way_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("music.wav");
        write(&path, 2, 44_100, &[0, 0]);
        let error = read(&path).expect_err("refused").to_string();
        assert!(error.contains("2 channel(s) of 16 bit at 44100 Hz") && error.contains("sox"), "{error}");
        write(&path, 1, SAMPLE_HZ, &[]);
        assert!(matches!(read(&path), Err(WavError::Length { samples: 0, .. })));
        std::fs::write(&path, b"ID3 is no WAV").expect("writes");
        assert!(matches!(read(&path), Err(WavError::Unreadable { .. })));
    }
}
