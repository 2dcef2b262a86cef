//! The one shape of all codecs: frames of samples to payloads, and payloads, or what is known of their absence, to samples.

use crate::concealment::Concealment;
use crate::g722::{G722Decoder, G722Encoder};
#[cfg(feature = "opus")]
use crate::opus::{OpusDecoder, OpusEncoder, OpusSettings};
use crate::{DecodeError, EncodeError, Format, L16Rate, Law, l16};

/// From samples to payloads, frame by frame; one for each stream that is sent.
///
/// What it remembers of the stream (G.722, Opus) is not kept over the end of the process: when another one takes a call
/// over, it begins anew, and the other side hears that for less than a tenth of a second.
#[derive(Debug)]
pub enum Encoder {
    /// G.711, which remembers nothing.
    G711(Law),
    /// G.722.
    G722(Box<G722Encoder>),
    /// L16, which remembers nothing.
    L16(L16Rate),
    /// Opus.
    #[cfg(feature = "opus")]
    Opus(OpusEncoder),
}

/// From payloads to samples; one for each stream that is received. As for an [`Encoder`], what it remembers may be lost
/// with the process.
#[derive(Debug)]
pub enum Decoder {
    /// G.711.
    G711(Law, Concealment),
    /// G.722.
    G722(Box<G722Decoder>, Concealment),
    /// L16.
    L16(L16Rate, Concealment),
    /// Opus, which has a concealment of its own.
    #[cfg(feature = "opus")]
    Opus(OpusDecoder),
}

impl Encoder {
    /// An encoder at the beginning of a stream; Opus is set as by default.
    pub fn new(format: Format) -> Self {
        match format {
            Format::G711(law) => Self::G711(law),
            Format::G722 => Self::G722(Box::new(G722Encoder::new())),
            Format::L16(rate) => Self::L16(rate),
            #[cfg(feature = "opus")]
            Format::Opus(rate) => Self::opus(OpusSettings { rate, ..OpusSettings::default() }),
        }
    }

    /// An encoder of Opus at the beginning of a stream.
    #[cfg(feature = "opus")]
    pub fn opus(settings: OpusSettings) -> Self {
        Self::Opus(OpusEncoder::new(settings))
    }

    /// What it makes.
    pub fn format(&self) -> Format {
        match self {
            Self::G711(law) => Format::G711(*law),
            Self::G722(_) => Format::G722,
            Self::L16(rate) => Format::L16(*rate),
            #[cfg(feature = "opus")]
            Self::Opus(encoder) => Format::Opus(encoder.rate()),
        }
    }

    /// Appends the payload of a frame, of a length that [`Format::is_frame`] has. Nothing is appended when nothing is to be
    /// sent: an empty frame, or a pause with `OpusSettings::dtx`.
    ///
    /// # Errors
    /// [`EncodeError`], also when the library that codes Opus has failed: that is no pause.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if !self.format().is_frame(samples.len()) {
            return Err(EncodeError::FrameLength { samples: samples.len() });
        }
        match self {
            Self::G711(law) => law.encode(samples, out),
            Self::G722(encoder) => encoder.encode(samples, out),
            Self::L16(_) => l16::encode(samples, out),
            #[cfg(feature = "opus")]
            Self::Opus(encoder) => encoder.encode(samples, out)?,
        }
        Ok(())
    }
}

impl Decoder {
    /// A decoder at the beginning of a stream; one of Opus has 16 kHz, whatever is asked for.
    pub fn new(format: Format) -> Self {
        let concealment = || Concealment::new(format.sample_hz());
        match format {
            Format::G711(law) => Self::G711(law, concealment()),
            Format::G722 => Self::G722(Box::new(G722Decoder::new()), concealment()),
            Format::L16(rate) => Self::L16(rate, concealment()),
            #[cfg(feature = "opus")]
            Format::Opus(_) => Self::Opus(OpusDecoder::new()),
        }
    }

    /// What it reads.
    pub fn format(&self) -> Format {
        match self {
            Self::G711(law, _) => Format::G711(*law),
            Self::G722(..) => Format::G722,
            Self::L16(rate, _) => Format::L16(*rate),
            #[cfg(feature = "opus")]
            Self::Opus(decoder) => Format::Opus(decoder.rate()),
        }
    }

    /// Samples by which what is appended is behind what was decoded, so that a loss can be blended in: 3.75 ms. For Opus
    /// none beyond what its packets bring along from their encoder.
    pub fn delay_samples(&self) -> usize {
        match self {
            Self::G711(_, concealment) | Self::G722(_, concealment) | Self::L16(_, concealment) => concealment.delay(),
            #[cfg(feature = "opus")]
            Self::Opus(_) => 0,
        }
    }

    /// Appends the samples of a payload: as many as it holds.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Result<(), DecodeError> {
        let format = self.format();
        match self {
            #[cfg(feature = "opus")]
            Self::Opus(decoder) => return decoder.decode(payload, out),
            _ if payload.len() > format.payload_max() => return Err(DecodeError::TooLong),
            Self::G711(law, concealment) => concealment.accept(out, |past| law.decode(payload, past)),
            Self::G722(decoder, concealment) => concealment.accept(out, |past| decoder.decode(payload, past)),
            Self::L16(..) if !payload.len().is_multiple_of(2) => return Err(DecodeError::Cut),
            Self::L16(_, concealment) => concealment.accept(out, |past| l16::decode(payload, past)),
        }
        Ok(())
    }

    /// Appends so many samples in place of a frame that did not come, made up from what came before: fading to silence,
    /// after 60 ms at most where the codec has no way of its own.
    pub fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        match self {
            Self::G711(_, concealment) | Self::G722(_, concealment) | Self::L16(_, concealment) => {
                concealment.conceal(samples, out);
            }
            #[cfg(feature = "opus")]
            Self::Opus(decoder) => decoder.conceal(samples, out),
        }
    }

    /// Appends so many samples in place of a frame that did not come, when the payload after it is there: from the copy
    /// that a packet of Opus may hold (`OpusSettings::fec`), else as [`conceal`](Self::conceal) does.
    /// `next` is decoded afterwards as always.
    pub fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<i16>) {
        match self {
            #[cfg(feature = "opus")]
            Self::Opus(decoder) => decoder.recover(next, samples, out),
            _ => {
                let _ = next;
                self.conceal(samples, out);
            }
        }
    }
}
