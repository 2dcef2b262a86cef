//! Ogg/Opus (RFC 7845): packets of 20 ms, a page a second.
//!
//! The encoder has one channel. Two channels are therefore two streams that are not coupled, of mapping family 1: a packet
//! of Ogg holds one of each, the first with its length inside (RFC 6716, appendix B).

use crate::FileError;
use crate::sink::Sink;
use ogg::{PacketWriteEndInfo, PacketWriter};
use sx_codec::{Encoder, OpusSettings, Resampler};

/// What goes into the encoder, and how many of the samples that Opus counts, at 48 kHz whatever goes in, each of those is.
const ENCODER_HZ: u32 = 16_000;
const STEP: u64 = 3;
/// Samples of a packet, at 48 kHz: 20 ms.
const PACKET: u64 = 960;
/// The same at the rate of the encoder.
const FRAME: usize = 320;
/// Packets of a page: a second.
const PAGE: u64 = 50;
/// By how many samples at 48 kHz what is decoded is behind what `sx_codec::Encoder` was given: what Opus looks ahead.
/// Measured; a test compares.
const ENCODER_DELAY: f64 = 312.0;
/// A packet that says of 20 ms in wideband that nothing was sent, in the place of one that could not be made.
//= https://www.rfc-editor.org/rfc/rfc6716#section-3.1
const NOTHING: u8 = 9 << 3;

/// An Ogg/Opus file that is being written.
pub(crate) struct OggOpusWriter {
    sink: Sink,
    pages: PacketWriter<'static, Vec<u8>>,
    serial: u32,
    channels: Vec<Channel>,
    pre_skip: u64,
    /// Samples at 48 kHz of each channel that came in.
    taken: u64,
    /// Packets that were made.
    made: u64,
    /// The latest packet, held back because the last one ends the stream.
    held: Option<Vec<u8>>,
    /// Samples at 48 kHz that stand in the file.
    written: u64,
    /// Frames of a channel that could not be encoded.
    not_encoded: u64,
}

struct Channel {
    to_opus: Resampler,
    encoder: Encoder,
    /// What does not fill a packet yet.
    pending: Vec<i16>,
    /// One channel of what came in.
    own: Vec<i16>,
}

impl OggOpusWriter {
    /// `serial` tells this stream from others.
    pub(crate) fn new(
        sink: Sink,
        channels: u16,
        hz: u32,
        settings: OpusSettings,
        serial: u32,
    ) -> Result<Self, FileError> {
        let channel = || {
            let to_opus = Resampler::new(hz, ENCODER_HZ).expect("a SampleRate is one that it knows");
            let encoder = Encoder::opus(settings);
            Channel { to_opus, encoder, pending: Vec::new(), own: Vec::new() }
        };
        let channels: Vec<Channel> = (0..channels).map(|_| channel()).collect();
        let pre_skip = (ENCODER_DELAY + STEP as f64 * channels[0].to_opus.delay_samples()).round() as u16;
        let mut writer = Self {
            sink,
            pages: PacketWriter::new(Vec::new()),
            serial,
            pre_skip: u64::from(pre_skip),
            taken: 0,
            made: 0,
            held: None,
            written: 0,
            not_encoded: 0,
            channels,
        };
        let head = opus_head(writer.channels.len() as u8, pre_skip, hz);
        writer.write(head, PacketWriteEndInfo::EndPage, 0)?;
        writer.write(opus_tags(), PacketWriteEndInfo::EndPage, 0)?;
        Ok(writer)
    }

    /// Appends samples, those of the channels in turn.
    pub(crate) fn append(&mut self, samples: &[i16]) -> Result<(), FileError> {
        let count = self.channels.len();
        for (number, channel) in self.channels.iter_mut().enumerate() {
            channel.own.clear();
            channel.own.extend(samples.iter().skip(number).step_by(count));
            let before = channel.pending.len();
            channel.to_opus.process(&channel.own, &mut channel.pending);
            if number == 0 {
                self.taken += (channel.pending.len() - before) as u64 * STEP;
            }
        }
        self.encode()
    }

    /// Samples at 48 kHz of each channel that stand in the file.
    pub(crate) fn samples(&self) -> u64 {
        self.written
    }

    /// Frames of a channel that could not be encoded, in whose place nothing is heard.
    pub(crate) fn not_encoded(&self) -> u64 {
        self.not_encoded
    }

    /// Encodes what is left, with as much silence behind it as it takes to get it through the encoder, and ends the
    /// stream where the sound ends.
    //= https://www.rfc-editor.org/rfc/rfc7845#section-4.4
    pub(crate) fn end(&mut self) -> Result<(), FileError> {
        let end = self.pre_skip + self.taken;
        let packets = end.div_ceil(PACKET).max(1);
        let silence = (packets - self.made) as usize * FRAME;
        for channel in &mut self.channels {
            channel.pending.resize(silence, 0);
        }
        self.encode()?;
        let last = self.held.take().unwrap_or_default();
        self.write(last, PacketWriteEndInfo::EndStream, end)?;
        self.written = self.taken;
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), FileError> {
        self.sink.finish()
    }

    fn encode(&mut self) -> Result<(), FileError> {
        while self.channels[0].pending.len() >= FRAME {
            let packet = self.packet();
            if let Some(before) = self.held.replace(packet) {
                let ends = if self.made.is_multiple_of(PAGE) {
                    PacketWriteEndInfo::EndPage
                } else {
                    PacketWriteEndInfo::NormalPacket
                };
                self.write(before, ends, self.made * PACKET)?;
            }
            self.made += 1;
        }
        Ok(())
    }

    /// The next packet, of all channels.
    fn packet(&mut self) -> Vec<u8> {
        let mut packet = Vec::new();
        let last = self.channels.len() - 1;
        for (number, channel) in self.channels.iter_mut().enumerate() {
            let mut own = Vec::new();
            // What cannot be encoded comes back empty.
            self.not_encoded += u64::from(channel.encoder.encode(&channel.pending[..FRAME], &mut own).is_err());
            channel.pending.drain(..FRAME);
            if number < last {
                self_delimited(&own, &mut packet);
            } else {
                packet.extend_from_slice(if own.is_empty() { &[NOTHING] } else { &own });
            }
        }
        packet
    }

    /// Hands a packet to its page, and the page to the file when it ends with it.
    //= https://www.rfc-editor.org/rfc/rfc7845#section-4
    // The granule position counts all samples up to the end of the last packet of the page.
    fn write(&mut self, packet: Vec<u8>, ends: PacketWriteEndInfo, granule: u64) -> Result<(), FileError> {
        self.pages.write_packet(packet, self.serial, ends, granule).expect("memory takes what is written");
        let page = std::mem::take(self.pages.inner_mut());
        if !page.is_empty() {
            self.sink.append(&page)?;
            self.written = granule.saturating_sub(self.pre_skip);
        }
        Ok(())
    }
}

/// Appends a packet with its length inside. Only packets of one frame are made; another one is put there as nothing.
//= https://www.rfc-editor.org/rfc/rfc6716#appendix-B
fn self_delimited(packet: &[u8], out: &mut Vec<u8>) {
    match packet.split_first() {
        Some((toc, frame)) if toc & 3 == 0 => {
            out.push(*toc);
            let len = frame.len();
            if len < 252 {
                out.push(len as u8);
            } else {
                let first = 252 + (len & 3);
                out.extend_from_slice(&[first as u8, ((len - first) / 4) as u8]);
            }
            out.extend_from_slice(frame);
        }
        _ => out.extend_from_slice(&[NOTHING, 0]),
    }
}

//= https://www.rfc-editor.org/rfc/rfc7845#section-5.1
fn opus_head(channels: u8, pre_skip: u16, hz: u32) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    head.extend_from_slice(&pre_skip.to_le_bytes());
    head.extend_from_slice(&hz.to_le_bytes());
    // No gain.
    head.extend_from_slice(&[0, 0]);
    match channels {
        1 => head.push(0),
        // Family 1, so many streams, none of them coupled, each in its place.
        _ => {
            head.extend_from_slice(&[1, channels, 0]);
            head.extend(0..channels);
        }
    }
    head
}

//= https://www.rfc-editor.org/rfc/rfc7845#section-5.2
fn opus_tags() -> Vec<u8> {
    let vendor = b"strowger";
    let mut tags = b"OpusTags".to_vec();
    tags.extend_from_slice(&(vendor.len() as u32).to_le_bytes());
    tags.extend_from_slice(vendor);
    tags.extend_from_slice(&[0; 4]);
    tags
}
