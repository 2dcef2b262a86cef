//! What the packet threads count, as metrics.

use sx_http::MetricsText;
use sx_io_rtp::{HELD_BOUNDS, MOS_BOUNDS, QualityTotals, ROUND_TRIP_BOUNDS, Totals};

/// What the mixing threads have counted.
fn write_rooms(out: &mut MetricsText, totals: &Totals) {
    out.gauge("strowger_media_rooms", "", "Rooms in which somebody is.").sample(&[], totals.rooms);
    out.gauge("strowger_media_room_members", "", "Parties that are in a room.").sample(&[], totals.room_members);
    out.counter("strowger_media_room_refusals", "", "Parties for which there was no room, or no place in it.")
        .sample(&[], totals.room_refused);
    out.counter(
        "strowger_media_room_packets_dropped",
        "",
        "Packets that came to a room faster than it could mix them.",
    )
    .sample(&[], totals.room_packets_dropped);
    out.counter(
        "strowger_media_room_ticks_missed",
        "",
        "Times of 20 ms for which a thread had no time to mix its rooms.",
    )
    .sample(&[], totals.room_ticks_missed);
}

/// What the mixing threads play.
fn write_sounds(out: &mut MetricsText, totals: &Totals) {
    out.gauge("strowger_media_plays", "", "Sounds that are being played.").sample(&[], totals.plays);
    out.counter("strowger_media_plays_refused", "", "Sounds that were to be played and were not.")
        .sample(&[], totals.play_refused);
    out.gauge("strowger_media_sound_files", "", "Files that can be played.").sample(&[], totals.sound_files);
    out.gauge("strowger_media_sound_bytes", "", "Memory that they take.").sample(&[], totals.sound_bytes);
}

/// What was heard for recordings.
fn write_heard(out: &mut MetricsText, totals: &Totals) {
    out.counter("strowger_recording_packets", "", "RTP packets for recordings of calls, by what has become of them.")
        .sample(&[("result", "decoded")], totals.recording_decoded)
        .sample(&[("result", "undecodable")], totals.recording_undecodable)
        .sample(&[("result", "left_out")], totals.recording_left_out)
        .sample(&[("result", "dropped")], totals.recording_packets_dropped);
}

/// How busy packet threads are.
pub(super) fn write_busy(out: &mut MetricsText, totals: &Totals) {
    let help = "Processor time of the packet threads: media.threads are as many seconds a second at most.";
    out.counter("strowger_media_threads_busy_seconds", "seconds", help).sample(&[], totals.busy_ns as f64 / 1e9);
    let help = "Packet threads that have little time left, and let packets gather for media.coalesce_us at most.";
    out.gauge("strowger_media_threads_gathering", "", help).sample(&[], totals.gathering);
}

/// What the packet threads have counted.
pub(super) fn write_totals(out: &mut MetricsText, totals: Totals) {
    out.counter("strowger_media_packets", "", "RTP and RTCP packets.")
        .sample(&[("kind", "rtp"), ("direction", "in")], totals.packets_received)
        .sample(&[("kind", "rtp"), ("direction", "out")], totals.packets_sent)
        .sample(&[("kind", "rtcp"), ("direction", "in")], totals.rtcp_received)
        .sample(&[("kind", "rtcp"), ("direction", "out")], totals.rtcp_sent);
    out.counter("strowger_media_packets_rejected", "", "Packets dropped at a media port.")
        .sample(&[("reason", "source")], totals.rejected_source)
        .sample(&[("reason", "format")], totals.rejected_format)
        .sample(&[("reason", "srtp")], totals.rejected_srtp)
        .sample(&[("reason", "dtls")], totals.rejected_dtls);
    out.counter("strowger_media_handshakes", "", "DTLS handshakes for keys of media, by their outcome.")
        .sample(&[("outcome", "keys")], totals.handshakes)
        .sample(&[("outcome", "failed")], totals.handshakes_failed);
    out.counter(
        "strowger_media_keys_lost",
        "",
        "Media ports of calls taken over that send nothing, since it is not known how far their keys are used.",
    )
    .sample(&[], totals.keys_lost);
    out.counter("strowger_media_ports_opened", "", "Media ports opened.").sample(&[], totals.opened);
    out.counter("strowger_media_ports_refused", "", "Media ports that could not be opened.")
        .sample(&[], totals.open_failed);
    out.counter("strowger_media_ports_closed", "", "Media ports closed.").sample(&[], totals.closed);
    out.counter("strowger_media_send_errors", "", "RTP and RTCP packets that could not be sent.")
        .sample(&[], totals.send_errors);
    out.counter("strowger_media_packets_transcoded", "", "RTP packets whose sound was coded anew.")
        .sample(&[], totals.packets_transcoded);
    out.counter("strowger_media_decode_errors", "", "RTP packets that could not be decoded.")
        .sample(&[], totals.decode_errors);
    let help = "RTP packets that were not sent because their sound could not be encoded.";
    out.counter("strowger_media_encode_errors", "", help).sample(&[], totals.encode_errors);
    out.counter("strowger_media_keys", "", "Keys that parties pressed in streams, and that calls were told of.")
        .sample(&[], totals.keys_told);
    out.counter(
        "strowger_media_keys_dropped",
        "",
        "Keys pressed faster than anybody can, or for which there was no room.",
    )
    .sample(&[], totals.keys_dropped);
    out.counter("strowger_media_silences", "", "Times that a party was silent for too long.")
        .sample(&[], totals.silences);
    write_rooms(out, &totals);
    write_sounds(out, &totals);
    write_heard(out, &totals);
    let help = "Mean opinion scores of conversing (ITU-T G.107) of what parties sent, every five seconds of each.";
    let QualityTotals { mos, round_trip, held } = totals.quality;
    out.histogram("strowger_media_mos", "", help).sample(&[], &MOS_BOUNDS, &mos.counts, mos.sum);
    let help = "Round trips to parties and back, by the reports of RTCP, likewise.";
    out.histogram("strowger_media_round_trip_seconds", "seconds", help).sample(
        &[],
        &ROUND_TRIP_BOUNDS,
        &round_trip.counts,
        round_trip.sum,
    );
    let help = "What jitter buffers held of what parties sent, where it is mixed, likewise.";
    out.histogram("strowger_media_jitter_buffer_seconds", "seconds", help).sample(
        &[],
        &HELD_BOUNDS,
        &held.counts,
        held.sum,
    );
    let mut ports = out.gauge("strowger_media_ports", "", "Pairs of media port numbers by address and state.");
    for pool in totals.pools {
        let address = pool.address.to_string();
        let free = pool.pairs.saturating_sub(pool.in_use + pool.resting);
        ports.sample(&[("address", &address), ("state", "in_use")], pool.in_use as u64);
        ports.sample(&[("address", &address), ("state", "resting")], pool.resting as u64);
        ports.sample(&[("address", &address), ("state", "free")], free as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_io_rtp::Distribution;

    /// Each of these counts something else, so that no two can be taken for each other.
    #[test]
    fn everything_that_is_counted_is_shown() {
        let mut out = MetricsText::default();
        let (packets_transcoded, decode_errors) = (904, 905);
        let counted = Totals { closed: 901, send_errors: 902, silences: 903, ..Totals::default() };
        let (rooms, room_members, room_refused) = (906, 907, 908);
        let (room_packets_dropped, room_ticks_missed) = (909, 910);
        let counted = Totals { rooms, room_members, room_refused, room_packets_dropped, room_ticks_missed, ..counted };
        let counted = Totals { keys_told: 911, keys_dropped: 912, ..counted };
        let (plays, play_refused, sound_files, sound_bytes) = (913, 914, 915, 916);
        let counted = Totals { plays, play_refused, sound_files, sound_bytes, ..counted };
        let counted = Totals { encode_errors: 917, ..counted };
        write_totals(&mut out, Totals { packets_transcoded, decode_errors, ..counted });
        let text = out.finish();
        for value in 901..=917 {
            assert_eq!(text.lines().filter(|line| line.ends_with(&format!(" {value}"))).count(), 1, "{value}: {text}");
        }
    }

    #[test]
    fn how_parties_were_heard_is_shown_by_score_and_by_round_trip() {
        let mos = Distribution { counts: [0, 0, 1, 0, 0, 2, 0, 7, 0], sum: 40.5 };
        let round_trip = Distribution { counts: [0, 3, 0, 0, 0, 0, 0, 0, 1], sum: 2.5 };
        let held = Distribution { counts: [5, 0, 1, 0, 0, 0, 0, 0, 0], sum: 0.14 };
        let mut out = MetricsText::default();
        write_totals(&mut out, Totals { quality: QualityTotals { mos, round_trip, held }, ..Totals::default() });
        let text = out.finish();
        for line in [
            "strowger_media_mos_bucket{le=\"2.5\"} 1",
            "strowger_media_mos_bucket{le=\"4.0\"} 3",
            "strowger_media_mos_bucket{le=\"4.5\"} 10",
            "strowger_media_mos_count 10",
            "strowger_media_mos_sum 40.5",
            "strowger_media_round_trip_seconds_bucket{le=\"0.05\"} 3",
            "strowger_media_round_trip_seconds_bucket{le=\"+Inf\"} 4",
            "strowger_media_round_trip_seconds_sum 2.5",
            "strowger_media_jitter_buffer_seconds_bucket{le=\"0.03\"} 5",
            "strowger_media_jitter_buffer_seconds_bucket{le=\"0.04\"} 6",
            "strowger_media_jitter_buffer_seconds_sum 0.14",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
