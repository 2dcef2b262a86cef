//! WAV: 16-bit samples behind a header whose lengths are right after every write.
//!
//! ```text
//!   0 "RIFF"  4 length less 8   8 "WAVE"
//!  12 "fmt "  16 16   20 1 (PCM)   22 channels   24 rate   28 bytes a second   32 bytes a sample   34 16 bits
//!  36 "data"  40 length   44 samples …
//! ```
//!
//! Numbers have their lowest byte first. In an encrypted file nothing can be written over, so both lengths are 2^32-1
//! there, which readers take for "to the end of the file"; decrypting puts the right ones in their place.

use crate::FileError;
use crate::sink::Sink;

/// Bytes before the samples.
pub(crate) const HEADER: usize = 44;
/// Where the lengths stand.
pub(crate) const RIFF_LENGTH_AT: u64 = 4;
pub(crate) const DATA_LENGTH_AT: u64 = 40;
/// The length when it is not known.
pub(crate) const UNKNOWN: u32 = u32::MAX;

/// A WAV file that is being written.
pub(crate) struct WavWriter {
    sink: Sink,
    channels: u16,
    /// What is written at a time: a second.
    second: usize,
    pending: Vec<u8>,
    /// Bytes of samples that are written.
    written: u32,
}

impl WavWriter {
    pub(crate) fn new(mut sink: Sink, channels: u16, hz: u32) -> Result<Self, FileError> {
        let length = if sink.is_sealed() { UNKNOWN } else { 0 };
        sink.append(&header(channels, hz, length))?;
        let second = usize::from(channels) * 2 * hz as usize;
        Ok(Self { sink, channels, second, pending: Vec::with_capacity(second), written: 0 })
    }

    /// How many samples of each channel can still be appended before the file has so many bytes.
    pub(crate) fn room(&self, bytes_max: u32) -> usize {
        let used = HEADER + self.written as usize + self.pending.len();
        (bytes_max as usize).saturating_sub(used) / self.frame()
    }

    /// Appends samples, those of the channels in turn.
    pub(crate) fn append(&mut self, samples: &[i16]) -> Result<(), FileError> {
        for part in samples.chunks(self.second / 2) {
            self.pending.extend(part.iter().flat_map(|sample| sample.to_le_bytes()));
            if self.pending.len() >= self.second {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Samples of each channel that are written.
    pub(crate) fn samples(&self) -> u64 {
        u64::from(self.written) / self.frame() as u64
    }

    pub(crate) fn flush(&mut self) -> Result<(), FileError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.sink.append(&self.pending)?;
        self.written += self.pending.len() as u32;
        self.pending.clear();
        self.sink.overwrite(RIFF_LENGTH_AT, &riff_length(self.written).to_le_bytes())?;
        self.sink.overwrite(DATA_LENGTH_AT, &self.written.to_le_bytes())
    }

    pub(crate) fn finish(self) -> Result<(), FileError> {
        self.sink.finish()
    }

    fn frame(&self) -> usize {
        usize::from(self.channels) * 2
    }
}

/// The first length, of a file with so many bytes of samples.
pub(crate) fn riff_length(data: u32) -> u32 {
    data.saturating_add(HEADER as u32 - 8)
}

fn header(channels: u16, hz: u32, data: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"RIFF");
    put(4, &riff_length(data).to_le_bytes());
    put(8, b"WAVEfmt ");
    put(16, &16_u32.to_le_bytes());
    put(20, &1_u16.to_le_bytes());
    put(22, &channels.to_le_bytes());
    put(24, &hz.to_le_bytes());
    put(28, &(hz * u32::from(channels) * 2).to_le_bytes());
    put(32, &(channels * 2).to_le_bytes());
    put(34, &16_u16.to_le_bytes());
    put(36, b"data");
    put(40, &data.to_le_bytes());
    header
}
