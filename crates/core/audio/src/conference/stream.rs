//! A mix that is encoded, once for all who hear it.

use crate::route::{Coded, encoder, frame_samples};
use sx_codec::{EncodeError, Encoder, Format};
use sx_media::OpusParameters;
use sx_mix::{FRAME_MS, Rate};

/// What a stream is encoded as: members whose kinds are equal may share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    format: Format,
    opus: OpusParameters,
    /// Samples of a packet.
    frame: usize,
}

/// Payloads of one mix.
///
/// All streams of a room begin their packets at the same ticks, counted from its beginning, so that a member goes from one to
/// another without a gap.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) kind: Kind,
    encoder: Encoder,
    /// What does not fill a packet yet.
    pending: Vec<i16>,
    payloads: Vec<u8>,
    /// Where each of them ends, and why there is none.
    ends: Vec<Result<usize, EncodeError>>,
    /// Does anybody hear it in this tick?
    pub(super) heard: bool,
}

impl Kind {
    pub(super) fn new(coded: &Coded, ptime_ms: u16) -> Self {
        let frame = frame_samples(coded.format, ptime_ms);
        Self { format: coded.format, opus: coded.coding.opus, frame }
    }

    /// Ticks of the timestamp that a packet lasts.
    pub(super) fn frame_ticks(&self) -> u64 {
        self.format.rtp_ticks(self.frame) as u64
    }

    /// Does what was encoded change what is encoded after it?
    pub(super) fn remembers(&self) -> bool {
        !matches!(self.format, Format::G711(_) | Format::L16(_))
    }

    /// How many samples of a packet are there before a tick.
    pub(super) fn pending_at(&self, tick: u64) -> usize {
        let samples = self.format.sample_hz() as u64 / 1_000 * FRAME_MS as u64;
        (tick * samples % self.frame as u64) as usize
    }
}

impl Stream {
    /// One that begins with this tick, in the middle of a packet if need be.
    pub(super) fn new(coded: &Coded, kind: Kind, tick: u64) -> Self {
        let pending = vec![0; kind.pending_at(tick)];
        Self { kind, encoder: encoder(coded), pending, payloads: Vec::new(), ends: Vec::new(), heard: false }
    }

    /// One that goes on as this one would have, as far as the encoder can be doubled.
    pub(super) fn fork(&self, coded: &Coded) -> Self {
        let encoder = match &self.encoder {
            Encoder::G722(same) => Encoder::G722(same.clone()),
            _ => encoder(coded),
        };
        let pending = self.pending.clone();
        Self { kind: self.kind, encoder, pending, payloads: Vec::new(), ends: Vec::new(), heard: false }
    }

    /// Takes the mix of a tick.
    pub(super) fn encode(&mut self, mix: &[i16]) {
        self.payloads.clear();
        self.ends.clear();
        self.pending.extend_from_slice(mix);
        let whole = self.pending.len() / self.kind.frame * self.kind.frame;
        for samples in self.pending[..whole].chunks_exact(self.kind.frame) {
            let encoded = self.encoder.encode(samples, &mut self.payloads);
            self.ends.push(encoded.map(|()| self.payloads.len()));
        }
        self.pending.drain(..whole);
    }

    /// The payloads of this tick, empty where the encoder found a pause.
    pub(super) fn payloads(&self) -> impl Iterator<Item = Result<&[u8], EncodeError>> {
        let mut begin = 0;
        self.ends.iter().map(move |end| {
            let end = (*end)?;
            let payload = &self.payloads[begin..end];
            begin = end;
            Ok(payload)
        })
    }
}

/// The rate at which something is mixed for a codec.
pub(super) fn rate_of(format: Format) -> Option<Rate> {
    Rate::from_hz(format.sample_hz())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::coded;
    use sx_media::Coding;
    use sx_types::{Codec, PayloadType};

    #[test]
    fn a_payload_that_could_not_be_made_is_none_of_a_pause_and_takes_none_of_the_next() {
        let coded = coded(&[Coding::new(PayloadType(9), Codec::G722)]).expect("G.722");
        let mut stream = Stream::new(&coded, Kind::new(&coded, 20), 0);
        // Of an odd number of samples G.722 makes nothing.
        stream.kind.frame = 161;
        stream.encode(&[0; 322]);
        assert_eq!(stream.payloads().collect::<Vec<_>>(), [Err(EncodeError::FrameLength { samples: 161 }); 2]);
        stream.kind.frame = 160;
        stream.encode(&[0; 320]);
        assert_eq!(stream.payloads().map(|payload| payload.map(<[u8]>::len)).collect::<Vec<_>>(), [Ok(80); 2]);
    }
}
