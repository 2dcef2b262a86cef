//! A tick allocates nothing, whoever speaks.

use sx_mix::{HeardBy, MemberId, MemberSettings, Rate, Room, RoomSettings, SourceId, SourceSettings};
use sx_testkit::{CountingAllocator, allocations};

#[global_allocator]
static COUNTING: CountingAllocator = CountingAllocator;

#[test]
fn a_room_allocates_nothing_while_it_mixes() {
    let mut room = Room::new(RoomSettings { speakers_max: 20, ..RoomSettings::default() });
    let rate = |id: u64| Rate::ALL[id as usize % 3];
    for id in 0..25 {
        room.join(MemberId(id), &MemberSettings::new(rate(id))).expect("there is room");
    }
    let gain = sx_mix::Gain::UNITY;
    let music = SourceSettings { rate: Rate::Hz8000, gain, heard_by: HeardBy::Everybody };
    room.add_source(SourceId(1), music).expect("there is room");
    room.whisper(MemberId(3), &[MemberId(4), MemberId(5)]).expect("a member");
    let loud: Vec<i16> = (0..960).map(|i| if i / 20 % 2 == 0 { 9_000 } else { -9_000 }).collect();
    // The resamplers keep what they have taken in one buffer, whose first frames find out how long it is.
    for speakers in [25, 25] {
        tick(&mut room, speakers, &loud, rate);
    }
    let before = allocations();
    assert!(before > 0, "the count counts");
    for number in 0..200 {
        tick(&mut room, number % 26, &loud, rate);
    }
    assert_eq!(allocations() - before, 0);
}

fn tick(room: &mut Room, speakers: u64, loud: &[i16], rate: impl Fn(u64) -> Rate) {
    for id in 0..speakers {
        room.handle_frame(MemberId(id), &loud[..rate(id).frame_samples()]).expect("a frame");
    }
    room.handle_source_frame(SourceId(1), &loud[..160]).expect("a frame");
    assert!(room.mix().mixes().len() >= 3);
}
