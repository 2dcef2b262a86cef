//! What holds whatever comes.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Nothing that was handed in is forgotten, and nothing is held without bound.
fn check_account(buffer: &JitterBuffer) {
    let JitterStats { received, played, surplus, silent, late, duplicates, discarded, .. } = buffer.stats();
    let waiting = buffer.waiting() as u64;
    assert_eq!(received, played + surplus + silent + late + duplicates + discarded + waiting);
    assert!(buffer.waiting() <= buffer.config.packets_max);
    assert!(buffer.stats().grown <= buffer.stats().concealed);
}

proptest! {
    #[test]
    fn any_packets_at_any_times_are_accounted_for(
        clock_hz in prop_oneof![Just(8_000_u32), Just(48_000), any::<u32>()],
        packets_max in 1..20_usize,
        steps in vec((0..100_000_000_u64, any::<u16>(), any::<u32>(), 0..3_u32, 0..4_u8, 0..400_usize), 0..200),
    ) {
        let config = JitterConfig { packets_max, bytes_max: 2_000, ..JitterConfig::new(clock_hz) };
        let mut buffer = JitterBuffer::new(config);
        let mut now = START;
        for (nanos, sequence, timestamp, ssrc, kind, len) in steps {
            now = now + Duration::from_nanos(nanos);
            let content = [Content::Speech, Content::ComfortNoise, Content::Nothing, Content::Speech][usize::from(kind)];
            // Most go on as they should, more or less.
            let sequence = if kind == 3 { sequence } else { (buffer.stats().received as u16).wrapping_add(sequence % 4) };
            let header = Header { ssrc: Ssrc(ssrc / 2), ..header(sequence, timestamp) };
            buffer.handle_packet(now, header, content, &vec![7; len]);
            for _ in 0..nanos / 20_000_000 {
                while let Some(Frame::Surplus(_)) = buffer.take(now) {}
            }
            check_account(&buffer);
            assert!(buffer.waiting.bytes() <= 2_000);
        }
    }

    #[test]
    fn polling_ends_at_any_time(
        steps in vec((0..2_000_000_000_u64, 0..50_u16, any::<u32>()), 0..100),
    ) {
        let mut buffer = new();
        let mut now = START;
        for (nanos, sequence, timestamp) in steps {
            now = now + Duration::from_nanos(nanos);
            let mut asked = 0;
            while buffer.poll_frame(now).is_some() {
                asked += 1;
                assert!(asked < 200);
            }
            assert!(buffer.poll_timeout().is_none_or(|due| due > now), "{now}: {buffer:?}");
            buffer.handle_packet(now, header(sequence, timestamp), Content::Speech, &[]);
            check_account(&buffer);
        }
    }

    /// Packets of a sender that counts as it should, through a network that delays, loses, reorders and doubles.
    #[test]
    fn what_is_played_is_in_order_and_within_the_longest_delay(
        delays in vec(prop_oneof![4 => 0..20_u64, 1 => 0..300_u64], 50..300),
        fates in vec(0..20_u8, 300),
        base in any::<u16>(),
    ) {
        let sent = |n: usize| 20 * n as u64;
        let mut arrivals = Vec::new();
        for (n, delay) in delays.iter().enumerate() {
            let copies = match fates[n] { 0 => 0, 1 => 2, _ => 1 };
            arrivals.extend((0..copies).map(|copy| (sent(n) + delay + copy * 7, n)));
        }
        arrivals.sort_unstable();
        let mut buffer = new();
        let mut arrivals = arrivals.into_iter().peekable();
        let mut came = vec![None; delays.len()];
        let mut last = None;
        for tick in (0..sent(delays.len()) + 2_000).step_by(20) {
            while let Some((millis, n)) = arrivals.next_if(|(millis, _)| *millis <= tick) {
                let header = header(base.wrapping_add(n as u16), u32::from(base) * 99 + n as u32 * TICKS);
                buffer.handle_packet(at(millis), header, Content::Speech, &(n as u32).to_be_bytes());
                came[n].get_or_insert(millis);
            }
            while let Some(frame) = buffer.take(at(tick)) {
                if let Frame::Payload(payload) | Frame::Surplus(payload) = frame {
                    let n = u32::from_be_bytes(payload.bytes.try_into().expect("four bytes")) as usize;
                    prop_assert!(last.is_none_or(|last| last < n), "{n} after {last:?}");
                    last = Some(n);
                    let waited = tick - came[n].expect("it came");
                    prop_assert!(waited <= 150 + 20, "{n} waited {waited}");
                }
                if !matches!(frame, Frame::Surplus(_)) {
                    break;
                }
            }
            check_account(&buffer);
            let target = buffer.stats().target;
            prop_assert!(target >= Duration::from_millis(20) && target <= Duration::from_millis(130));
        }
        prop_assert_eq!(buffer.waiting(), 0);
    }
}
