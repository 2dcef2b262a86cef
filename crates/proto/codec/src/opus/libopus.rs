//! By libopus, the reference library.

use super::OpusSettings;
use crate::OpusRate;
use opus::{Application, Bandwidth, Bitrate, Channels};

pub(super) struct Encoder(opus::Encoder);

pub(super) struct Decoder(opus::Decoder);

impl Encoder {
    pub fn new(settings: &OpusSettings) -> Self {
        let encoder = opus::Encoder::new(settings.rate.hz(), Channels::Mono, Application::Voip);
        let mut encoder = encoder.expect("8 and 16 kHz in one channel are what every Opus encoder has");
        let set = [
            encoder.set_max_bandwidth(match settings.rate {
                OpusRate::Hz8000 => Bandwidth::Narrowband,
                OpusRate::Hz16000 => Bandwidth::Wideband,
            }),
            encoder.set_bitrate(Bitrate::Bits(settings.bits())),
            encoder.set_complexity(settings.complexity()),
            encoder.set_inband_fec(settings.fec),
            encoder.set_packet_loss_perc(settings.expected_loss()),
        ];
        debug_assert!(set.iter().all(Result::is_ok), "all of them are in their ranges");
        Self(encoder)
    }

    /// The length of the packet.
    pub fn encode(&mut self, samples: &[i16], packet: &mut [u8]) -> Option<usize> {
        self.0.encode(samples, packet).ok()
    }
}

impl Decoder {
    pub fn new(rate: OpusRate) -> Self {
        let decoder = opus::Decoder::new(rate.hz(), Channels::Mono);
        Self(decoder.expect("8 and 16 kHz in one channel are what every Opus decoder has"))
    }

    /// How many samples of a packet there are.
    pub fn decode(&mut self, packet: &[u8], samples: &mut [f32]) -> Option<usize> {
        self.0.decode_float(packet, samples, false).ok()
    }

    /// How many of the samples were made up.
    pub fn conceal(&mut self, samples: &mut [f32]) -> Option<usize> {
        self.0.decode_float(&[], samples, false).ok()
    }

    /// How many of the samples the copy in the next packet had.
    pub fn recover(&mut self, next: &[u8], samples: &mut [f32]) -> Option<usize> {
        self.0.decode_float(next, samples, true).ok()
    }
}
