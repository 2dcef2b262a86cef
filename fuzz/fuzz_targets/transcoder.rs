//! Packets of one codec that become packets of another. The first byte says which codecs; then come packets, each behind a byte
//! for its length and one that says how it follows the last: in order, or as its own bytes have it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use sx_audio::Transcoder;
use sx_engine::{Rng, Time};
use sx_media::{Coding, Conversion, KeyRules, KeyWay, SoundRule};
use sx_rtp::{Header, Packet, Ssrc};
use sx_types::{Codec, PayloadType};

const CODECS: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];
const PTIMES_MS: [u16; 4] = [20, 10, 30, 60];

fn conversion(how: u8) -> Conversion {
    let coding = |number, codec| Coding::new(PayloadType(number), codec);
    let (keys, noise) = (coding(101, Codec::TelephoneEvent), coding(13, Codec::ComfortNoise));
    let from = vec![coding(0, CODECS[usize::from(how & 3)]), coding(18, Codec::G729), keys, noise];
    let mut to =
        vec![coding(96, CODECS[usize::from(how >> 2 & 3)]), coding(97, Codec::G729), coding(98, Codec::TelephoneEvent)];
    to[0].opus.fec = how & 0x10 != 0;
    if how & 0x20 != 0 {
        to.push(noise);
    }
    let way = [KeyWay::Events, KeyWay::Told, KeyWay::Tones][usize::from(how % 3)];
    let keys = KeyRules { heard_in_band: how.count_ones() % 2 == 1, to: way };
    let sound = [SoundRule::Heard, SoundRule::Silent, SoundRule::Withheld][usize::from((how >> 3) % 3)];
    Conversion { from, to, ptime_ms: PTIMES_MS[usize::from(how >> 6)], keys, anew: how & 1 == 1, sound }
}

fuzz_target!(|input: &[u8]| {
    let Some((how, mut input)) = input.split_first() else { return };
    let conversion = conversion(*how);
    let Ok(mut transcoder) = Transcoder::new(&conversion, Ssrc(7), &mut Rng::from_number(1)) else { return };
    let (mut now, mut header) = (Time::from_secs(1_700_000_000), None::<Header>);
    let (mut arrived, mut sent) = (0_u64, 0_u32);
    for _ in 0..64 {
        let Some((&[length, follows], rest)) = input.split_first_chunk() else { break };
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(length) * 2));
        input = rest;
        now = now + Duration::from_millis(u64::from(follows >> 4) * 10);
        let mut datagram = bytes.to_vec();
        if let (0..12, Some(last)) = (follows & 15, header) {
            let sequence = last.sequence.wrapping_add(u16::from(follows & 3) + 1);
            let timestamp = last.timestamp.wrapping_add(u32::from(follows & 15) * 160);
            let payload_type = PayloadType([0, 0, 18, 101, 13, 0, 0, 0][usize::from(follows >> 5)]);
            datagram.clear();
            Header { sequence, timestamp, payload_type, ..last }.write(bytes, &mut datagram);
        }
        header = Packet::parse(&datagram).map(|packet| packet.header()).ok().or(header);
        transcoder.handle_packet(now, &datagram);
        transcoder.handle_rtcp(now, bytes);
        let _ = transcoder.report(now);
        arrived += 1;
        let mut packets = 0;
        while let Some(datagram) = transcoder.poll_packet() {
            let packet = Packet::parse(datagram).expect("what is sent is RTP");
            assert!(conversion.to.iter().any(|coding| coding.payload_type == packet.payload_type()));
            packets += 1;
        }
        assert!(packets <= 40);
        sent += packets;
    }
    assert_eq!(transcoder.stats().packets(), arrived);
    assert_eq!(transcoder.sent().map_or(0, |sent| sent.packets), sent);
});
