//! A tick of a room allocates nothing, and a packet neither, as long as the same members speak.

mod driver;

use driver::coding;
use std::time::Duration;
use sx_audio::{Conference, MemberId};
use sx_engine::{Rng, Time};
use sx_media::Attendance;
use sx_rtp::{Header, Ssrc};
use sx_testkit::{CountingAllocator, allocations};
use sx_types::{Codec, PayloadType};

#[global_allocator]
static COUNTING: CountingAllocator = CountingAllocator;

const MEMBERS: u64 = 12;

/// A second, in which the first three speak. Gives how many packets were sent.
fn second(room: &mut Conference, second: u32, datagram: &mut Vec<u8>) -> usize {
    let mut packets = 0;
    for tick in second * 50..second * 50 + 50 {
        let now = Time::from_secs(1_800_000_000) + Duration::from_millis(20) * tick;
        for id in 0..MEMBERS {
            let payload_type = PayloadType(if id % 2 == 0 { 0 } else { 9 });
            let (sequence, timestamp, ssrc) = (tick as u16, tick * 160, Ssrc(id as u32));
            datagram.clear();
            let loud = |index: usize| if (index / 10).is_multiple_of(2) { 0x2a } else { 0xaa };
            let payload: [u8; 160] = std::array::from_fn(|index| if id < 3 { loud(index) } else { 0xff });
            Header { marker: false, payload_type, sequence, timestamp, ssrc }.write(&payload, datagram);
            room.handle_packet(now, MemberId(id), datagram);
        }
        room.mix(now);
        packets += (0..MEMBERS)
            .map(|id| std::iter::from_fn(|| room.poll_packet(MemberId(id)).map(drop)).count())
            .sum::<usize>();
    }
    packets
}

#[test]
fn a_room_that_is_warm_allocates_nothing() {
    let (mut room, mut rng, mut datagram) = (Conference::new(MEMBERS as usize), Rng::from_number(1), Vec::new());
    for id in 0..MEMBERS {
        let codings = vec![if id % 2 == 0 { coding(0, Codec::Pcmu) } else { coding(9, Codec::G722) }];
        let attendance = Attendance {
            room: "8000".into(),
            from: codings.clone(),
            to: codings,
            ptime_ms: 20,
            muted: false,
            keys_in_band: false,
            sounds: Default::default(),
        };
        room.attend(Time::from_secs(1_800_000_000), (MemberId(id), Ssrc(id as u32)), &attendance, &mut rng)
            .expect("a place");
    }
    (0..5).for_each(|number| _ = second(&mut room, number, &mut datagram));
    let before = allocations();
    assert!(before > 0, "the count counts");
    let packets: usize = (5..15).map(|number| second(&mut room, number, &mut datagram)).sum();
    assert_eq!((allocations() - before, packets), (0, 500 * MEMBERS as usize));
}
