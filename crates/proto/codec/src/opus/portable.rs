//! By opus-rs.

use super::OpusSettings;
use crate::OpusRate;
use opus_rs::{Application, OpusDecoder, OpusEncoder};

pub(super) struct Encoder(Box<OpusEncoder>);

pub(super) struct Decoder(Box<OpusDecoder>);

impl Encoder {
    pub fn new(settings: &OpusSettings) -> Self {
        let mut encoder = OpusEncoder::new(settings.rate.hz().cast_signed(), 1, Application::Voip)
            .expect("8 and 16 kHz in one channel are what every Opus encoder has");
        encoder.bitrate_bps = settings.bits();
        encoder.complexity = settings.complexity();
        encoder.use_inband_fec = settings.fec;
        encoder.packet_loss_perc = settings.expected_loss();
        Self(Box::new(encoder))
    }

    /// The length of the packet.
    pub fn encode(&mut self, samples: &[i16], packet: &mut [u8]) -> Option<usize> {
        self.0.encode_i16(samples, samples.len(), packet).ok()
    }
}

impl Decoder {
    pub fn new(rate: OpusRate) -> Self {
        let decoder = OpusDecoder::new(rate.hz().cast_signed(), 1);
        Self(Box::new(decoder.expect("8 and 16 kHz in one channel are what every Opus decoder has")))
    }

    /// How many samples of a packet there are.
    pub fn decode(&mut self, packet: &[u8], samples: &mut [f32]) -> Option<usize> {
        self.0.decode(packet, samples.len(), samples).ok()
    }

    /// How many of the samples were made up.
    pub fn conceal(&mut self, samples: &mut [f32]) -> Option<usize> {
        self.0.decode(&[], samples.len(), samples).ok()
    }

    /// How many of the samples the copy in the next packet had.
    pub fn recover(&mut self, next: &[u8], samples: &mut [f32]) -> Option<usize> {
        self.0.decode_fec(next, samples.len(), samples).ok()
    }
}
