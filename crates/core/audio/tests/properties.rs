//! Whatever arrives, every packet is accounted for, and what goes out is a stream of RTP that only goes forward.

mod driver;

use driver::{coding, conversion};
use proptest::prelude::*;
use std::time::Duration;
use sx_audio::{Conference, MemberId, Transcoder};
use sx_engine::{Rng, Time};
use sx_media::{Attendance, Conversion, KeyRules, KeyWay};
use sx_rtp::{Header, Packet, Ssrc};
use sx_types::{Codec, PayloadType};

/// A packet that arrives.
#[derive(Clone, Debug)]
struct Arrival {
    after_ms: u16,
    payload_type: u8,
    /// How far its number and its timestamp are from those of the last.
    sequence: i16,
    timestamp: i32,
    ssrc: u8,
    length: usize,
    byte: u8,
}

impl Arrival {
    /// The packet that arrives, and where the numbers and the time are by then.
    fn follow(&self, sequence: &mut u16, timestamp: &mut u32, now: &mut Time) -> Vec<u8> {
        *sequence = sequence.wrapping_add_signed(self.sequence);
        *timestamp = timestamp.wrapping_add_signed(self.timestamp);
        *now = *now + Duration::from_millis(self.after_ms.into());
        let (payload_type, ssrc) = (PayloadType(self.payload_type), Ssrc(self.ssrc.into()));
        let header = Header { marker: false, payload_type, sequence: *sequence, timestamp: *timestamp, ssrc };
        let mut datagram = Vec::new();
        header.write(&vec![self.byte; self.length], &mut datagram);
        datagram
    }
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let payload_type = prop_oneof![6 => Just(0_u8), 1 => Just(9_u8), 1 => Just(18_u8), 1 => Just(13_u8), 1 => Just(101_u8), 1 => 0..128_u8];
    let sequence = prop_oneof![8 => Just(1_i16), 2 => -3..5_i16, 1 => any::<i16>()];
    let timestamp = prop_oneof![8 => Just(160_i32), 2 => -500..5_000_i32, 1 => any::<i32>()];
    let ssrc = prop_oneof![9 => Just(1_u8), 1 => 0..4_u8];
    let length = prop_oneof![6 => Just(160_usize), 1 => 0..8_usize, 1 => 0..1_700_usize];
    (0..60_u16, payload_type, sequence, timestamp, ssrc, length, any::<u8>()).prop_map(
        |(after_ms, payload_type, sequence, timestamp, ssrc, length, byte)| Arrival {
            after_ms,
            payload_type,
            sequence,
            timestamp,
            ssrc,
            length,
            byte,
        },
    )
}

fn conversions() -> impl Strategy<Value = Conversion> {
    let (keys, noise) = (coding(101, Codec::TelephoneEvent), coding(13, Codec::ComfortNoise));
    let from = vec![coding(0, Codec::Pcmu), coding(9, Codec::G722), coding(18, Codec::G729), keys, noise];
    let to = vec![
        vec![coding(8, Codec::Pcma), coding(110, Codec::TelephoneEvent)],
        vec![coding(9, Codec::G722), noise],
        vec![coding(96, Codec::G729), coding(8, Codec::Pcma)],
        #[cfg(feature = "opus")]
        vec![coding(111, Codec::Opus), keys],
    ];
    let ways = prop_oneof![Just(KeyWay::Events), Just(KeyWay::Told), Just(KeyWay::Tones)];
    let rules = (any::<bool>(), ways).prop_map(|(heard_in_band, to)| KeyRules { heard_in_band, to });
    (proptest::sample::select(to), prop_oneof![Just(10_u16), Just(20), Just(30), Just(60), any::<u16>()], rules)
        .prop_map(move |(to, ptime_ms, keys)| Conversion { keys, ..conversion(&from, &to, ptime_ms) })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_packet_is_accounted_for_and_the_stream_goes_forward(
        conversion in conversions(),
        arrivals in proptest::collection::vec(arrival(), 0..120),
        start in any::<(u16, u32)>(),
    ) {
        let mut transcoder = Transcoder::new(&conversion, Ssrc(77), &mut Rng::from_number(5)).expect("it can be converted");
        let (mut sequence, mut timestamp, mut now) = (start.0, start.1, Time::from_secs(1_700_000_000));
        let (mut last_sequence, mut last_timestamp) = (None, None);
        let mut sent = 0;
        for arrival in &arrivals {
            let datagram = arrival.follow(&mut sequence, &mut timestamp, &mut now);
            transcoder.handle_packet(now, &datagram);
            let mut packets = 0;
            while let Some(datagram) = transcoder.poll_packet() {
                let packet = Packet::parse(datagram).expect("RTP");
                let header = packet.header();
                prop_assert!(datagram.len() <= 1_500 || arrival.length > 1_400, "{} bytes", datagram.len());
                prop_assert_eq!(header.ssrc, Ssrc(77));
                prop_assert!(conversion.to.iter().any(|coding| coding.payload_type == header.payload_type));
                let is_key = conversion.to.iter().any(|coding| {
                    coding.payload_type == header.payload_type && coding.codec == Codec::TelephoneEvent
                });
                if let Some(last) = last_sequence.replace(header.sequence) {
                    let step = header.sequence.wrapping_sub(last);
                    prop_assert!((1..=1_001).contains(&step), "a step of {step}");
                }
                // A key has the time at which it began, and sound goes on beside it.
                if !is_key && let Some(last) = last_timestamp.replace(header.timestamp) {
                    let forward = header.timestamp.wrapping_sub(last).cast_signed() >= 0;
                    prop_assert!(forward || arrival.timestamp.unsigned_abs() > 1 << 20, "{last} {}", header.timestamp);
                }
                packets += 1;
            }
            prop_assert!(packets <= 40, "{packets} packets for one");
            sent += packets;
        }
        prop_assert_eq!(transcoder.stats().packets(), arrivals.len() as u64);
        prop_assert_eq!(transcoder.sent().map_or(0, |sent| sent.packets), sent);
    }

    #[test]
    fn no_bytes_panic(conversion in conversions(), datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..20)) {
        let mut transcoder = Transcoder::new(&conversion, Ssrc(77), &mut Rng::from_number(5)).expect("it can be converted");
        for datagram in &datagrams {
            transcoder.handle_packet(Time::from_secs(1), datagram);
            transcoder.handle_rtcp(Time::from_secs(1), datagram);
        }
        prop_assert_eq!(transcoder.stats().packets(), datagrams.len() as u64);
    }

    /// Whatever a member of a room sends, each is sent a stream without a gap, and is never sent a backlog.
    #[test]
    fn whatever_one_sends_a_room_goes_on(
        conversion in conversions(),
        arrivals in proptest::collection::vec(arrival(), 0..200),
        start in any::<(u16, u32)>(),
    ) {
        let (mut room, mut rng) = (Conference::new(3), Rng::from_number(5));
        let mut now = Time::from_secs(1_700_000_000);
        let Conversion { from, to, ptime_ms, .. } = conversion;
        for id in 1..=3 {
            let attendance = Attendance { room: "r".into(), from: from.clone(), to: to.clone(), ptime_ms, muted: id == 3, keys_in_band: false, sounds: Default::default() };
            room.attend(now, (MemberId(id), Ssrc(id as u32)), &attendance, &mut rng).expect("there is a place");
        }
        let (mut sequence, mut timestamp, mut tick) = (start.0, start.1, now);
        let mut last = [None; 4];
        for arrival in &arrivals {
            let datagram = arrival.follow(&mut sequence, &mut timestamp, &mut now);
            for id in [1, 3] {
                room.handle_packet(now, MemberId(id), &datagram);
                room.handle_rtcp(now, MemberId(id), &datagram);
            }
            while now >= tick + Duration::from_millis(20) {
                tick = tick + Duration::from_millis(20);
                room.mix(tick);
                for id in 1..=3_u8 {
                    let mut packets = 0;
                    while let Some(packet) = room.poll_packet(MemberId(id.into())) {
                        let header = Packet::parse(packet).expect("RTP").header();
                        if let Some(before) = last[usize::from(id)].replace(header.sequence) {
                            prop_assert_eq!(header.sequence.wrapping_sub(before), 1_u16);
                        }
                        packets += 1;
                    }
                    prop_assert!(packets <= 2, "{} packets in a tick", packets);
                }
            }
        }
        prop_assert_eq!(room.counted(MemberId(2)), room.counted(MemberId(3)), "nothing of these was decoded");
    }

    #[test]
    fn no_bytes_panic_in_a_room(conversion in conversions(), datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..20)) {
        let mut room = Conference::new(1);
        let Conversion { from, to, ptime_ms, .. } = conversion;
        let attendance = Attendance { room: "r".into(), from, to, ptime_ms, muted: false, keys_in_band: false, sounds: Default::default() };
        let member = (MemberId(1), Ssrc(1));
        room.attend(Time::from_secs(1), member, &attendance, &mut Rng::from_number(5)).expect("there is a place");
        for (datagram, number) in datagrams.iter().zip(1..) {
            let now = Time::from_secs(1) + Duration::from_millis(20) * number;
            room.handle_packet(now, MemberId(1), datagram);
            room.handle_rtcp(now, MemberId(1), datagram);
            room.mix(now);
        }
    }
}
