//! What senders do: other packets, other counts, other sources, wrong timestamps.

use super::*;

/// Packets that arrive each `every` ms, stamped by `stamp`, and how they were played: the gaps, and the delay in the end.
fn steady(test: &mut Test, from: u64, every: u64, count: u16, stamp: impl Fn(u16) -> (u16, u32)) -> JitterStats {
    for n in 0..count {
        let (sequence, timestamp) = stamp(n);
        test.stamped(from + every * u64::from(n), sequence, timestamp);
    }
    test.buffer.stats()
}

#[test]
fn numbers_and_timestamps_wrap() {
    let mut test = Test::new();
    let stats = steady(&mut test, 0, 20, 200, |n| {
        (65_450_u16.wrapping_add(n), (u32::MAX - 10_000).wrapping_add(u32::from(n) * TICKS))
    });
    assert_eq!((stats.concealed, stats.late, stats.discarded, stats.paused), (0, 0, 0, 0));
    assert_eq!((stats.played, stats.delay), (197, Duration::from_millis(40)));
}

/// A consumer that knows how long a payload lasts asks for the next when it is over.
#[track_caller]
fn check_duration(millis: u64) {
    let mut buffer = new();
    let mut asked = START + Duration::from_millis(7);
    for n in 0..200_u16 {
        let now = at(millis * u64::from(n));
        while asked < now {
            asked = asked
                + Duration::from_millis(if let Some(Frame::Payload(_)) = buffer.take(asked) { millis } else { 20 });
        }
        buffer.handle_packet(now, header(n, u32::from(n) * millis as u32 * 8), Content::Speech, &[]);
    }
    let stats = buffer.stats();
    assert_eq!((stats.concealed, stats.late, stats.surplus, stats.discarded), (0, 0, 0, 0), "{millis} ms: {stats:?}");
    assert!(stats.played > 185 && stats.delay < Duration::from_millis(60), "{millis} ms: {stats:?}");
    assert_eq!(buffer.timeline.frame(), i64::try_from(millis).expect("small") * 1_000_000);
}

#[test]
fn packets_of_any_duration_are_played_without_a_gap() {
    for millis in [5, 10, 20, 30, 40, 60, 100, 120] {
        check_duration(millis);
    }
}

#[test]
fn a_duration_that_changes_is_learned_from_two_packets() {
    let mut test = Test::new();
    steady(&mut test, 0, 20, 50, |n| (n, u32::from(n) * TICKS));
    // From here on each holds 40 ms; whoever asks each 20 ms hears every second frame as a pause.
    steady(&mut test, 1_000, 40, 50, |n| (50 + n, 50 * TICKS + u32::from(n) * TICKS * 2));
    assert_eq!(test.buffer.timeline.frame(), 40_000_000);
    let stats = test.buffer.stats();
    assert_eq!((stats.late, stats.discarded, stats.surplus), (0, 0, 0));
    assert_eq!(stats.played + test.buffer.waiting() as u64, 100);
}

#[test]
fn a_new_source_is_played_after_what_waits() {
    let mut test = Test::new();
    test.packets(0, 0..5);
    for n in 0..5_u16 {
        test.until(100 + 20 * u64::from(n));
        let header = Header { ssrc: Ssrc(2), ..header(40_000 + n, 7_000_000 + u32::from(n) * TICKS) };
        test.buffer.handle_packet(at(test.now), header, Content::Speech, &[0, 0]);
        if n == 1 {
            // A straggler of the first source.
            test.buffer.handle_packet(at(test.now), super::header(5, 5 * TICKS), Content::Speech, &[0, 0]);
        }
    }
    test.until(240);
    test.heard(". . 0 1 2 3 4 40000 40001 40002 40003 40004");
    let stats = test.buffer.stats();
    assert_eq!((stats.discarded, stats.concealed, stats.delay), (1, 0, Duration::from_millis(40)));
}

#[test]
fn a_sender_that_counts_anew_is_believed_at_its_second_packet() {
    let mut test = Test::new();
    test.packets(0, 0..5);
    steady(&mut test, 100, 20, 5, |n| (30_000 + n, 1_000_000_000 + u32::from(n) * TICKS));
    test.until(240);
    test.heard(". . 0 1 2 3 4 ~ 30001 30002 30003 30004");
    assert_eq!(test.buffer.stats().discarded, 1);
}

#[test]
fn a_single_packet_of_another_count_disturbs_nothing() {
    let mut test = Test::new();
    test.packets(0, 0..5);
    test.stamped(85, 30_000, 1);
    test.packets(100, 5..8);
    test.until(200);
    test.heard(". . 0 1 2 3 4 5 6 7");
}

#[test]
fn timestamps_that_leap_while_numbers_go_on_change_nothing() {
    for leap in [8_000_u32 * 10, 0_u32.wrapping_sub(8_000 * 10), 0x8000_0000, 8_000 / 2, 0_u32.wrapping_sub(8_000 / 2)]
    {
        let mut test = Test::new();
        steady(&mut test, 0, 20, 20, |n| (n, u32::from(n) * TICKS));
        steady(&mut test, 400, 20, 20, |n| (20 + n, (u32::from(20 + n) * TICKS).wrapping_add(leap)));
        let stats = test.buffer.stats();
        assert_eq!((stats.concealed, stats.paused, stats.late, stats.surplus), (0, 0, 0, 0), "{leap}: {stats:?}");
        assert_eq!((stats.played, stats.delay), (37, Duration::from_millis(40)), "{leap}");
    }
}

#[test]
fn timestamps_that_count_something_else_than_time_are_not_used() {
    // One that stands still, one of another clock, one that counts packets.
    for step in [0, TICKS * 2, TICKS / 2, 1, 960] {
        let mut test = Test::new();
        steady(&mut test, 0, 20, 1_000, |n| (n, u32::from(n) * step));
        let before = test.buffer.stats();
        steady(&mut test, 20_000, 20, 1_000, |n| (1_000 + n, u32::from(1_000 + n) * step));
        let after = test.buffer.stats();
        assert_eq!((after.concealed, after.paused), (before.concealed, before.paused), "{step}");
        assert!(after.played - before.played > 995 && after.delay < Duration::from_millis(60), "{step}: {after:?}");
    }
}

#[test]
fn a_way_that_becomes_longer_for_good_is_learned() {
    let mut test = Test::new();
    test.packets(0, 0..100);
    // 400 ms more, from one packet to the next.
    test.packets(2_400, 100..400);
    let stats = test.buffer.stats();
    assert!(stats.delay <= Duration::from_millis(150) && stats.late == 0, "{stats:?}");
    assert_eq!((stats.played, stats.discarded), (400 - test.buffer.waiting() as u64 - stats.surplus, 0));
    assert!(test.buffer.waiting() >= 1);
}

#[test]
fn a_first_packet_that_was_slow_does_not_set_the_pace() {
    let mut test = Test::new();
    test.packet(400, 0);
    // It has waited somewhere, and so have those behind it.
    for sequence in 1..20 {
        test.packet(400, sequence);
    }
    test.packets(400, 20..100);
    let stats = test.buffer.stats();
    assert!(stats.delay <= Duration::from_millis(150), "{stats:?}");
    assert_eq!(stats.concealed, 0);
}

/// A peer can send numbers, and timestamps that fit them, faster than time goes.
#[test]
fn who_counts_far_ahead_again_and_again_leads_nobody_away_from_now() {
    let mut test = Test::new();
    let (mut sequence, mut timestamp) = (0_u16, 0_u32);
    for millis in 0..20_000 {
        (sequence, timestamp) = (sequence.wrapping_add(2_999), timestamp.wrapping_add(2_999 * TICKS));
        test.stamped(millis, sequence, timestamp);
        let position = test.buffer.waiting.first().expect("something waits").position;
        let away = Duration::from_nanos(position.abs_diff(nanos(at(millis))));
        assert!(away < Duration::from_secs(600), "{away:?} after {millis} ms");
    }
    // As soon as it sends as others do it is heard as they are.
    test.heard.clear();
    for _ in 0..20_000 {
        (sequence, timestamp) = (sequence.wrapping_add(1), timestamp.wrapping_add(TICKS));
        test.stamped(test.now, sequence, timestamp);
        test.until(test.now + 20);
    }
    let heard = test.heard.iter().rev().take_while(|word| word.parse::<u16>().is_ok()).count();
    assert!(heard > 1_000, "{heard} frames in a row, {:?}", test.buffer.stats());
    assert!(test.buffer.stats().delay <= Duration::from_millis(150), "{:?}", test.buffer.stats());
}
