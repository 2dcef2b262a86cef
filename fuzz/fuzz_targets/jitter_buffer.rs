//! Packets of any number, timestamp, source and content at any time, and a consumer that asks when it likes: each packet is
//! accounted for, what waits is bounded, and asking ends. A step is eight bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use sx_engine::Time;
use sx_rtp::{Content, Frame, Header, JitterBuffer, JitterConfig, JitterStats, Ssrc};
use sx_types::PayloadType;

/// Frames that one step may be owed: it lasts half a second at most, and frames 2.5 ms at least.
const FRAMES_MAX: u32 = 400;

fn check(buffer: &JitterBuffer, config: &JitterConfig) {
    let JitterStats { received, played, surplus, silent, late, duplicates, discarded, .. } = buffer.stats();
    let gone = played + surplus + silent + late + duplicates + discarded;
    assert_eq!(received, gone + buffer.waiting() as u64);
    assert!(buffer.waiting() <= config.packets_max);
    let target = buffer.stats().target;
    assert!(target >= config.delay_min && target <= config.delay_max);
}

fuzz_target!(|input: &[u8]| {
    let Some((&[setting, clock], steps)) = input.split_first_chunk() else { return };
    let config = JitterConfig {
        packets_max: usize::from(setting >> 2) + 1,
        bytes_max: 4_000,
        ..JitterConfig::new([8_000, 16_000, 48_000, 1][usize::from(clock & 3)])
    };
    let polls = setting & 1 == 1;
    let mut buffer = JitterBuffer::new(config);
    let (mut now, mut sequence, mut timestamp) = (Time::from_secs(1_800_000_000), 0_u16, 0_u32);
    for step in steps.chunks_exact(8) {
        now = now + Duration::from_millis(u64::from(step[0]) * 2);
        let mut asked = 0;
        while let Some(frame) = if polls { buffer.poll_frame(now) } else { buffer.take(now) } {
            asked += 1;
            assert!(asked <= FRAMES_MAX);
            if !polls && !matches!(frame, Frame::Surplus(_)) {
                break;
            }
        }
        // Small numbers go on from where the sender was.
        let (by, ticks) = (u16::from_be_bytes([step[1], step[2]]), u32::from_be_bytes([step[3], step[4], step[5], 0]));
        sequence = sequence.wrapping_add(by);
        timestamp = timestamp.wrapping_add(ticks >> (step[6] & 31));
        let content =
            [Content::Speech, Content::ComfortNoise, Content::Nothing, Content::Speech][usize::from(step[6] >> 6)];
        let header = Header {
            marker: step[6] & 32 != 0,
            payload_type: PayloadType(0),
            sequence,
            timestamp,
            ssrc: Ssrc(u32::from(step[7] & 3)),
        };
        buffer.handle_packet(now, header, content, &[0x55; 1_024][..usize::from(step[7]) * 4]);
        check(&buffer, &config);
    }
});
