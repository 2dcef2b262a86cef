//! What telephones say and hear.

use sx_codec::{Decoder, Encoder, Format, Resampler};
use sx_media::Coding;
use sx_rtp::{Header, Packet, Ssrc};
use sx_types::{Codec, PayloadType};

pub fn coding(payload_type: u8, codec: Codec) -> Coding {
    Coding::new(PayloadType(payload_type), codec)
}

/// A telephone that speaks and listens in one format.
pub struct Voice {
    pub format: Format,
    pub payload_type: u8,
    encoder: Encoder,
    decoder: Decoder,
    up: Resampler,
    down: Resampler,
    /// Packets so far: the sequence number is its lower half.
    number: u32,
}

impl Voice {
    pub fn new(format: Format, payload_type: u8) -> Self {
        Self {
            format,
            payload_type,
            encoder: Encoder::new(format),
            decoder: Decoder::new(format),
            up: Resampler::new(8_000, format.sample_hz()).unwrap(),
            down: Resampler::new(format.sample_hz(), 8_000).unwrap(),
            number: 0,
        }
    }

    pub fn says(&mut self, samples: &[i16]) -> Vec<u8> {
        let (mut wide, mut payload, mut packet) = (Vec::new(), Vec::new(), Vec::new());
        self.up.process(samples, &mut wide);
        self.encoder.encode(&wide, &mut payload).unwrap();
        let timestamp = self.number * (self.format.rtp_clock_hz() / 50);
        let payload_type = PayloadType(self.payload_type);
        Header { marker: false, payload_type, sequence: self.number as u16, timestamp, ssrc: Ssrc(7) }
            .write(&payload, &mut packet);
        self.number += 1;
        packet
    }

    /// Its next packet has this number.
    pub fn skip_to(&mut self, number: u32) {
        self.number = number;
    }

    pub fn hears(&mut self, packet: &[u8], heard: &mut Vec<i16>) -> Header {
        let packet = Packet::parse(packet).unwrap();
        let mut samples = Vec::new();
        self.decoder.decode(packet.payload(), &mut samples).unwrap();
        self.down.process(&samples, heard);
        assert_eq!(packet.payload_type().0, self.payload_type);
        packet.header()
    }
}
