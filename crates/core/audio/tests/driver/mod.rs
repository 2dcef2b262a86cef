//! A sender on one side of a transcoder, a listener on the other.
#![allow(dead_code, reason = "each test file is a crate of its own and uses its part")]

use std::time::Duration;
use sx_audio::{Conversion, Key, Transcoder};
use sx_codec::{Decoder, Encoder, Format, Resampler, Tone};
use sx_engine::{Rng, Time};
use sx_media::{Coding, KeyRules, SoundRule};
use sx_rtp::{Header, Packet, Ssrc};
use sx_types::{Codec, PayloadType};

pub fn coding(payload_type: u8, codec: Codec) -> Coding {
    Coding::new(PayloadType(payload_type), codec)
}

pub fn conversion(from: &[Coding], to: &[Coding], ptime_ms: u16) -> Conversion {
    Conversion {
        from: from.to_vec(),
        to: to.to_vec(),
        ptime_ms,
        keys: KeyRules::default(),
        anew: false,
        sound: SoundRule::Heard,
    }
}

pub fn of_type(header: Header, payload_type: u8) -> Header {
    Header { payload_type: PayloadType(payload_type), ..header }
}

/// A packet that came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Out {
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub marker: bool,
    pub ssrc: u32,
    pub payload: Vec<u8>,
}

pub struct Stream {
    pub transcoder: Transcoder,
    from: Coding,
    to: Vec<Coding>,
    encoder: Encoder,
    up: Resampler,
    header: Header,
    now: Time,
    silent: bool,
    /// What went in.
    pub sent: Vec<Vec<u8>>,
    /// What came out.
    pub sent_on: Vec<Vec<u8>>,
}

impl Stream {
    pub fn new(conversion: &Conversion) -> Self {
        let is_coded = |coding: &&Coding| Format::from_codec(coding.codec, coding.clock_hz).is_some();
        let from = *conversion.from.iter().find(is_coded).expect("a codec that is known");
        let format = Format::from_codec(from.codec, from.clock_hz).expect("it is known");
        let payload_type = from.payload_type;
        Self {
            transcoder: Transcoder::new(conversion, Ssrc(99), &mut Rng::from_number(3)).expect("it can be converted"),
            from,
            to: conversion.to.clone(),
            encoder: Encoder::new(format),
            up: Resampler::new(8_000, format.sample_hz()).expect("rates that are known"),
            header: Header { marker: true, payload_type, sequence: 65_500, timestamp: u32::MAX - 700, ssrc: Ssrc(1) },
            now: Time::from_secs(1_700_000_000),
            silent: false,
            sent: Vec::new(),
            sent_on: Vec::new(),
        }
    }

    /// Packets of 20 ms with a tone; gives the samples, at 8 kHz.
    pub fn tone(&mut self, hz: f64, packets: usize) -> Vec<i16> {
        let samples: Vec<i16> = Tone::new(hz, -10.0).take(160 * packets).collect();
        self.says(&samples);
        samples
    }

    /// Packets of 20 ms with these samples, at 8 kHz.
    pub fn says(&mut self, samples: &[i16]) {
        for frame in samples.chunks(160) {
            let (mut wide, mut payload) = (Vec::new(), Vec::new());
            self.up.process(frame, &mut wide);
            self.encoder.encode(&wide, &mut payload).expect("20 ms is a frame");
            let header = self.next_header(self.from.clock_hz / 50);
            self.send_payload(header, &payload);
        }
    }

    /// Presses a key in the stream.
    pub fn press(&mut self, key: char, duration_ms: u16) {
        self.transcoder.press(self.now, Key { key, duration_ms });
        self.take();
    }

    /// Lets time pass in which nothing arrives; the sender's clock goes on.
    pub fn run(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(due) = self.transcoder.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.transcoder.handle_timeout(self.now);
            self.take();
        }
        self.now = until;
        let ticks = span.as_nanos() * u128::from(self.from.clock_hz) / 1_000_000_000;
        self.header.timestamp = self.header.timestamp.wrapping_add(ticks as u32);
    }

    pub fn now(&self) -> Time {
        self.now
    }

    /// Ticks a second of the sender's sound.
    pub fn sound_hz(&self) -> u32 {
        self.from.clock_hz
    }

    fn take(&mut self) {
        while let Some(packet) = self.transcoder.poll_packet() {
            self.sent_on.push(packet.to_vec());
        }
    }

    /// The header of the next packet, which lasts for so many ticks.
    pub fn next_header(&mut self, ticks: u32) -> Header {
        let header = self.header;
        self.header.marker = false;
        self.skip(if ticks > 0 { 1 } else { 0 }, ticks);
        header
    }

    pub fn skip(&mut self, packets: u16, ticks: u32) -> &mut Self {
        self.header.sequence = self.header.sequence.wrapping_add(packets);
        self.header.timestamp = self.header.timestamp.wrapping_add(ticks);
        self.now = self.now + Duration::from_secs(1) * ticks / self.from.clock_hz;
        self
    }

    pub fn lose(&mut self, packets: u16) -> &mut Self {
        self.skip(packets, u32::from(packets) * self.from.clock_hz / 50)
    }

    pub fn pause(&mut self, packets: u16) -> &mut Self {
        self.skip(0, u32::from(packets) * self.from.clock_hz / 50)
    }

    pub fn change_source(&mut self) -> &mut Self {
        (self.header.ssrc, self.header.sequence, self.header.timestamp) = (Ssrc(2), 7, 12_345);
        self
    }

    pub fn send_payload(&mut self, header: Header, payload: &[u8]) {
        let mut datagram = Vec::new();
        header.write(payload, &mut datagram);
        self.send(&datagram);
    }

    pub fn send(&mut self, datagram: &[u8]) {
        self.sent.push(datagram.to_vec());
        self.transcoder.handle_packet(self.now, datagram);
        self.take();
    }

    pub fn clock_hz(&self) -> u32 {
        self.to[0].clock_hz
    }

    pub fn packets(&self) -> Vec<Out> {
        let out = |datagram: &Vec<u8>| {
            let packet = Packet::parse(datagram).expect("a packet of RTP");
            let Header { marker, payload_type, sequence, timestamp, ssrc } = packet.header();
            let (payload_type, ssrc, payload) = (payload_type.0, ssrc.0, packet.payload().to_vec());
            Out { payload_type, sequence, timestamp, marker, ssrc, payload }
        };
        self.sent_on.iter().map(out).collect()
    }

    /// What the listener hears, at 8 kHz.
    pub fn heard(&self) -> Vec<i16> {
        self.heard_until(usize::MAX)
    }

    /// The same of so many packets.
    pub fn heard_until(&self, packets: usize) -> Vec<i16> {
        let format = Format::from_codec(self.to[0].codec, self.to[0].clock_hz).expect("it is known");
        let mut decoder = Decoder::new(format);
        let mut down = Resampler::new(format.sample_hz(), 8_000).expect("rates that are known");
        let (mut samples, mut heard) = (Vec::new(), Vec::new());
        for packet in self.packets().into_iter().take(packets) {
            samples.clear();
            decoder.decode(&packet.payload, &mut samples).expect("well-formed");
            down.process(&samples, &mut heard);
        }
        heard
    }
}
