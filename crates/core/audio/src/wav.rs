//! WAV files: sound as operators keep it.

use std::time::Duration;

/// Sound that was recorded: one channel of 16 bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Samples a second: 8,000, 16,000 or 48,000.
    pub sample_hz: u32,
    /// The samples.
    pub samples: Box<[i16]>,
    /// The file says that there is more, which is not in it.
    pub is_cut: bool,
}

impl Recorded {
    /// How long it is.
    pub fn lasts(&self) -> Duration {
        Duration::from_secs(1) * u32::try_from(self.samples.len()).unwrap_or(u32::MAX) / self.sample_hz.max(1)
    }
}

/// Why bytes are not sound that can be played. The fault of whoever keeps the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// It does not begin as a WAV file does.
    #[error("it is no WAV file")]
    NotWav,
    /// The file ends before its sound, or the sound stands before its format.
    #[error("it ends before there is any sound")]
    Incomplete,
    /// It holds sound of another kind.
    #[error(
        "it has {channels} channel(s) of {bits} bit at {sample_hz} Hz (format {format}); what is played is PCM of 16 bit in \
         1 or 2 channels at 8000, 16000 or 48000 Hz (sox IN -r 16000 -b 16 -c 1 OUT.wav)"
    )]
    Unsuitable {
        /// What its samples are; 1 is PCM.
        format: u16,
        /// Its channels.
        channels: u16,
        /// Bits of a sample.
        bits: u16,
        /// Samples a second.
        sample_hz: u32,
    },
    /// It holds more than is allowed.
    #[error("it lasts {seconds} s, and {seconds_max} s is the most")]
    TooLong {
        /// How long it is.
        seconds: u32,
        /// How long it may be.
        seconds_max: u32,
    },
}

/// Reads a WAV file of PCM with 16 bit; two channels are mixed into one.
///
/// # Errors
/// When it is none, holds nothing, or more than `seconds_max` seconds.
pub fn read_wav(bytes: &[u8], seconds_max: u32) -> Result<Recorded, WavError> {
    let magic = |at: usize, expected: &[u8]| bytes.get(at..at + 4) == Some(expected);
    if !magic(0, b"RIFF") || !magic(8, b"WAVE") {
        return Err(WavError::NotWav);
    }
    let mut format = None;
    let mut rest = &bytes[12..];
    while let Some(Chunk { name, content, is_cut, behind }) = chunk(rest) {
        match name {
            b"fmt " => format = Some(Format::read(content)?),
            b"data" => return format.ok_or(WavError::Incomplete)?.samples(content, is_cut, seconds_max),
            _ => {}
        }
        rest = behind;
    }
    Err(WavError::Incomplete)
}

/// A chunk of a file, and what follows.
struct Chunk<'a> {
    name: &'a [u8; 4],
    content: &'a [u8],
    /// It is said to be longer than the file, by somebody who knew.
    is_cut: bool,
    behind: &'a [u8],
}

/// The first chunk. Who writes a file as it comes does not know how long it gets, and says more than a file can have; then
/// the rest of the file is meant.
fn chunk(bytes: &[u8]) -> Option<Chunk<'_>> {
    let (name, rest) = bytes.split_first_chunk::<4>()?;
    let (said, rest) = rest.split_first_chunk::<4>()?;
    let said = u32::from_le_bytes(*said);
    let len = (said as usize).min(rest.len());
    let (content, behind) = rest.split_at(len);
    // A chunk of odd length is followed by a byte that says nothing.
    let behind = behind.get(len % 2..).unwrap_or_default();
    Some(Chunk { name, content, is_cut: len < said as usize && said < UNKNOWN, behind })
}

/// Lengths from here on say that the length is not known: sox writes 2 GiB less what goes before, ffmpeg 4 GiB.
const UNKNOWN: u32 = 0x7fff_0000;

/// What the samples of a file are.
#[derive(Clone, Copy, Debug)]
struct Format {
    channels: usize,
    sample_hz: u32,
}

impl Format {
    fn read(content: &[u8]) -> Result<Self, WavError> {
        let half = |at: usize| content.get(at..at + 2).map(|two| u16::from_le_bytes([two[0], two[1]]));
        let (tag, channels, low, high, bits) = (half(0), half(2), half(4), half(6), half(14));
        let (Some(tag), Some(channels), Some(low), Some(high), Some(bits)) = (tag, channels, low, high, bits) else {
            return Err(WavError::Incomplete);
        };
        // An extended format has its tag at the beginning of a longer name.
        let format = if tag == EXTENSIBLE { half(24).unwrap_or(tag) } else { tag };
        let sample_hz = u32::from(high) << 16 | u32::from(low);
        let fits = format == PCM && matches!(channels, 1 | 2) && bits == 16 && SAMPLE_RATES.contains(&sample_hz);
        match fits {
            true => Ok(Self { channels: channels.into(), sample_hz }),
            false => Err(WavError::Unsuitable { format, channels, bits, sample_hz }),
        }
    }

    fn samples(self, content: &[u8], is_cut: bool, seconds_max: u32) -> Result<Recorded, WavError> {
        let count = content.len() / 2 / self.channels;
        if count == 0 {
            return Err(WavError::Incomplete);
        }
        let seconds = u32::try_from(count.div_ceil(self.sample_hz as usize)).unwrap_or(u32::MAX);
        if seconds > seconds_max {
            return Err(WavError::TooLong { seconds, seconds_max });
        }
        let sample = |bytes: &[u8; 2]| i16::from_le_bytes(*bytes);
        let samples = match self.channels {
            1 => content.as_chunks::<2>().0.iter().map(sample).collect(),
            // The mean of two samples is a sample again.
            _ => content.as_chunks::<4>().0.iter().map(mean).collect(),
        };
        Ok(Recorded { sample_hz: self.sample_hz, samples, is_cut })
    }
}

fn mean([a, b, c, d]: &[u8; 4]) -> i16 {
    ((i32::from(i16::from_le_bytes([*a, *b])) + i32::from(i16::from_le_bytes([*c, *d]))) / 2) as i16
}

const PCM: u16 = 1;
const EXTENSIBLE: u16 = 0xfffe;
const SAMPLE_RATES: [u32; 3] = [8_000, 16_000, 48_000];

#[cfg(test)]
mod tests {
    use super::*;

    fn file(format: &[u16; 8], chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        format.iter().for_each(|half| bytes.extend(half.to_le_bytes()));
        for (name, content) in chunks {
            bytes.extend(*name);
            bytes.extend((content.len() as u32).to_le_bytes());
            bytes.extend(*content);
            bytes.resize(bytes.len() + content.len() % 2, 0);
        }
        bytes
    }

    fn pcm(channels: u16, hz: u32, bits: u16) -> [u16; 8] {
        [PCM, channels, hz as u16, (hz >> 16) as u16, 0, 0, 2 * channels, bits]
    }

    fn bytes(samples: &[i16]) -> Vec<u8> {
        samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    #[test]
    fn the_samples_of_a_file_are_read() {
        for hz in SAMPLE_RATES {
            let wav = file(&pcm(1, hz, 16), &[(b"LIST", b"odd"), (b"data", &bytes(&[1, -2, i16::MIN]))]);
            let read = read_wav(&wav, 60).expect("sound");
            assert_eq!((read.sample_hz, &*read.samples), (hz, [1, -2, i16::MIN].as_slice()));
        }
    }

    #[test]
    fn two_channels_become_their_mean() {
        let wav =
            file(&pcm(2, 8_000, 16), &[(b"data", &bytes(&[100, 200, i16::MIN, i16::MIN, i16::MAX, i16::MAX, 7]))]);
        assert_eq!(&*read_wav(&wav, 60).expect("sound").samples, [150, i16::MIN, i16::MAX]);
    }

    #[test]
    fn a_file_that_was_written_as_it_came_is_read_to_its_end() {
        let mut wav = file(&pcm(1, 8_000, 16), &[(b"data", &bytes(&[1, 2, 3]))]);
        let at = wav.len() - 10;
        wav[at..at + 4].fill(0xff);
        assert_eq!(&*read_wav(&wav, 60).expect("sound").samples, [1, 2, 3]);
    }

    #[test]
    fn a_file_that_was_cut_off_says_so() {
        let wav = file(&pcm(1, 8_000, 16), &[(b"data", &bytes(&[1, 2, 3]))]);
        let is_cut = |wav: &[u8]| read_wav(wav, 60).expect("sound").is_cut;
        assert!(!is_cut(&wav) && is_cut(&wav[..wav.len() - 2]));
        let mut as_it_came = wav.clone();
        let at = wav.len() - 10;
        as_it_came[at..at + 4].copy_from_slice(&0x7fff_f000_u32.to_le_bytes());
        assert!(!is_cut(&as_it_came));
    }

    #[test]
    fn what_cannot_be_played_is_told_with_a_way_out() {
        let sound = bytes(&[0; 8_001]);
        let check = |wav: &[u8], expected: &str| {
            let error = read_wav(wav, 1).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(b"ID3 is no WAV, or not any more", "no WAV file");
        check(b"RIFF\0\0\0\0WAVE", "ends before");
        check(&file(&pcm(1, 8_000, 16), &[]), "ends before");
        check(&file(&pcm(1, 8_000, 16), &[(b"data", b"1")]), "ends before");
        check(&file(&pcm(1, 44_100, 16), &[(b"data", &sound)]), "at 44100 Hz (format 1); what is played");
        check(&file(&pcm(6, 8_000, 16), &[(b"data", &sound)]), "6 channel(s)");
        check(&file(&pcm(1, 8_000, 24), &[(b"data", &sound)]), "24 bit");
        let float = [3, 1, 8_000, 0, 0, 0, 4, 16];
        check(&file(&float, &[(b"data", &sound)]), "format 3");
        check(&file(&pcm(1, 8_000, 16), &[(b"data", &sound)]), "lasts 2 s, and 1 s is the most");
    }
}
