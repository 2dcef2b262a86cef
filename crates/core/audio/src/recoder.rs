//! From payloads to samples, from their rate to the receiver's, and from samples to packets of the length that it wants.

use crate::route::{Coded, encoder, frame_samples};
use crate::sending::Sending;
use sx_codec::{ComfortNoise, DecodeError, Decoder, Encoder, Resampler};
use sx_media::{Coding, Conversion};
use sx_types::Codec;

/// From decoded samples to packets.
#[derive(Debug)]
pub(crate) struct Recoder {
    coded: Coded,
    encoder: Encoder,
    /// Samples of a packet.
    frame: usize,
    /// The rate of what is decoded, and the way from there.
    resampler: (u32, Option<Resampler>),
    /// What does not fill a packet yet.
    pending: Vec<i16>,
    /// Where that begins.
    pub(crate) pending_at: u64,
    /// What was decoded last.
    pub(crate) decoded: Vec<i16>,
    payload: Vec<u8>,
    /// Samples that the last payload held.
    last_samples: usize,
    noise: ComfortNoise,
    /// What comfort noise is to the receiver.
    pub(crate) silence: Option<Coding>,
}

impl Recoder {
    pub(crate) fn new(coded: Coded, conversion: &Conversion, seed: u32) -> Self {
        let is_silence = |coding: &&Coding| coding.codec == Codec::ComfortNoise;
        Self {
            encoder: encoder(&coded),
            frame: frame_samples(coded.format, conversion.ptime_ms),
            resampler: (coded.format.sample_hz(), None),
            pending: Vec::new(),
            pending_at: 0,
            decoded: Vec::new(),
            payload: Vec::new(),
            last_samples: 0,
            noise: ComfortNoise::new(seed),
            silence: conversion.to.iter().find(is_silence).copied(),
            coded,
        }
    }

    pub(crate) fn frame_ticks(&self) -> u64 {
        self.coded.format.rtp_ticks(self.frame) as u64
    }

    /// Where what is pending ends.
    pub(crate) fn pending_end(&self) -> u64 {
        self.pending_at + self.coded.format.rtp_ticks(self.pending.len()) as u64
    }

    /// What is decoded has this rate from now on.
    pub(crate) fn set_rate(&mut self, sample_hz: u32) {
        if self.resampler.0 != sample_hz {
            self.resampler = (sample_hz, Resampler::new(sample_hz, self.coded.format.sample_hz()));
            self.last_samples = 0;
        }
        if self.last_samples == 0 {
            self.last_samples = sample_hz as usize / 50;
        }
    }

    /// Makes up so many samples that are missing before `next`: from the copy in it where there is one, which is of one
    /// packet.
    pub(crate) fn fill(&mut self, decoder: &mut Decoder, samples: usize, next: &[u8]) {
        self.decoded.clear();
        let copied = samples.min(self.last_samples);
        decoder.conceal(samples - copied, &mut self.decoded);
        decoder.recover(next, copied, &mut self.decoded);
        self.resample();
    }

    pub(crate) fn take_decoded(&mut self, sending: &mut Sending) {
        self.resample();
        self.send(sending);
    }

    /// Decodes a payload; what cannot be decoded is made up.
    pub(crate) fn decode(&mut self, decoder: &mut Decoder, payload: &[u8]) -> Result<(), DecodeError> {
        self.decoded.clear();
        let decoded = decoder.decode(payload, &mut self.decoded);
        match decoded {
            Ok(()) => self.last_samples = self.decoded.len(),
            Err(_) => {
                let longest = decoder.format().sample_hz() as usize / 10;
                decoder.conceal(self.last_samples.min(longest), &mut self.decoded);
            }
        }
        decoded
    }

    /// Sends a packet of the noise that a payload describes.
    pub(crate) fn send_noise(&mut self, payload: &[u8], at: u64, sending: &mut Sending) {
        self.noise.handle_payload(payload);
        self.pending_at = at;
        self.noise.generate(self.frame, &mut self.pending);
        self.send(sending);
    }

    /// Ticks a second of what goes out.
    pub(crate) fn clock_hz(&self) -> u32 {
        self.coded.coding.clock_hz
    }

    fn resample(&mut self) {
        match &mut self.resampler.1 {
            Some(resampler) => resampler.process(&self.decoded, &mut self.pending),
            None => self.pending.extend_from_slice(&self.decoded),
        }
        self.decoded.clear();
    }

    /// Sends as many whole packets as there are.
    fn send(&mut self, sending: &mut Sending) {
        let ticks = self.frame_ticks();
        let whole = self.pending.len() / self.frame * self.frame;
        for samples in self.pending[..whole].chunks_exact(self.frame) {
            self.payload.clear();
            let coded = self.encoder.encode(samples, &mut self.payload).map(|()| &*self.payload);
            sending.coded(self.coded.coding.payload_type, self.pending_at, ticks, coded);
            self.pending_at += ticks;
        }
        self.pending.drain(..whole);
    }

    /// Sends what is left, with silence behind it.
    pub(crate) fn flush(&mut self, sending: &mut Sending) {
        if !self.pending.is_empty() {
            self.pending.resize(self.frame, 0);
            self.send(sending);
        }
    }
}
