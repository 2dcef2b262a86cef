//! That a jitter buffer which has seen a spike or two allocates nothing.

use std::time::Duration;
use sx_engine::Time;
use sx_rtp::{Content, Frame, Header, JitterBuffer, JitterConfig, Ssrc};
use sx_testkit::{CountingAllocator, allocations};
use sx_types::PayloadType;

#[global_allocator]
static COUNTING: CountingAllocator = CountingAllocator;

/// A second of packets: most come as they are sent, some are late, some come twice, some never.
fn second(buffer: &mut JitterBuffer, second: u32) {
    for n in 0..50 {
        let number = second * 50 + n;
        let now = Time::from_secs(1_800_000_000) + Duration::from_millis(20) * number;
        let header = |number: u32| Header {
            marker: false,
            payload_type: PayloadType(0),
            sequence: number as u16,
            timestamp: number * 160,
            ssrc: Ssrc(1),
        };
        match n {
            // What was sent in the last 100 ms comes now.
            15 => (number - 5..=number).for_each(|late| {
                buffer.handle_packet(now, header(late), Content::Speech, &[0x55; 160]);
            }),
            10..15 | 30 => {}
            40 => (0..2).for_each(|_| buffer.handle_packet(now, header(number), Content::Speech, &[0x55; 160])),
            _ => buffer.handle_packet(now, header(number), Content::Speech, &[0x55; 160]),
        }
        while let Some(Frame::Surplus(_)) = buffer.take(now) {}
    }
}

#[test]
fn a_buffer_that_is_warm_allocates_nothing() {
    let mut buffer = JitterBuffer::new(JitterConfig::new(8_000));
    (0..10).for_each(|n| second(&mut buffer, n));
    let before = allocations();
    assert!(before > 0, "the count counts");
    (10..100).for_each(|n| second(&mut buffer, n));
    assert_eq!(allocations() - before, 0);
    assert!(buffer.stats().played > 4_500, "{:?}", buffer.stats());
}
