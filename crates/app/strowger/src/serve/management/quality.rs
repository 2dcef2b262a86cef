//! How the media of a call is, in the numbers that an operator reads.

use serde_json::{Value, json};
use sx_call::{CallCounts, Side, StreamCounts};
use sx_media::{PeerReport, PortStats, TrafficClass};
use sx_types::Codec;

/// The parties of a call whose media passes through here, each with its streams.
pub(super) fn legs(counts: &CallCounts) -> Value {
    let legs = counts.streams.chunk_by(|one, next| one.side == next.side);
    let leg = |streams: &[StreamCounts]| {
        let party = match streams[0].side {
            Side::Caller => "caller",
            Side::Called => "called",
        };
        json!({ "party": party, "streams": streams.iter().map(stream).collect::<Vec<_>>() })
    };
    legs.map(leg).collect()
}

fn stream(stream: &StreamCounts) -> Value {
    let PortStats { packets_received, bytes_received, packets_sent, bytes_sent, packets_lost, .. } = stream.stats;
    let counted = |value: Value| if stream.at.is_some() { value } else { Value::Null };
    json!({
        "kind": match stream.class {
            TrafficClass::Audio => "audio",
            TrafficClass::Video => "video",
        },
        "codec": stream.codec.map(Codec::name),
        "counted": stream.at.map(|at| at.to_string()),
        "packets_received": counted(packets_received.into()),
        "bytes_received": counted(bytes_received.into()),
        "packets_sent": counted(packets_sent.into()),
        "bytes_sent": counted(bytes_sent.into()),
        "packets_lost": counted(packets_lost.into()),
        "loss_percent": counted(loss_percent(&stream.stats).into()),
        "jitter_ms": counted(milliseconds(stream.stats.jitter_us).into()),
        "round_trip_ms": (stream.stats.round_trip_us > 0).then(|| milliseconds(stream.stats.round_trip_us)),
        "mos": score(&stream.stats),
        "peer": stream.peer.as_ref().map(peer),
    })
}

/// Of those that should have come; `None` when none should have.
fn loss_percent(stats: &PortStats) -> Option<f64> {
    let expected = stats.packets_received + stats.packets_lost;
    (expected > 0).then(|| rounded(stats.packets_lost as f64 * 100.0 / expected as f64))
}

fn score(stats: &PortStats) -> Option<Value> {
    // Where no score was measured, the others say nothing.
    let hundredths = |value: u16| f64::from(value) / 100.0;
    (stats.mos_mean_x100 > 0).then(|| {
        json!({
            "least": hundredths(stats.mos_min_x100),
            "mean": hundredths(stats.mos_mean_x100),
            "latest": hundredths(stats.mos_last_x100),
            "r_latest": f64::from(stats.r_last_x10) / 10.0,
            "loss_percent_worst": f64::from(stats.loss_max_permille) / 10.0,
        })
    })
}

fn peer(peer: &PeerReport) -> Value {
    let over = |value: Option<u16>, factor: f64| value.map(|value| f64::from(value) / factor);
    json!({
        "loss_percent": over(peer.loss_permille, 10.0),
        "r": over(peer.r_x10, 10.0),
        "mos_listening": over(peer.mos_listening_x100, 100.0),
        "mos_conversational": over(peer.mos_conversational_x100, 100.0),
    })
}

fn milliseconds(us: u32) -> f64 {
    rounded(f64::from(us) / 1_000.0)
}

/// To two places.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_engine::Time;

    fn counted(side: Side, at: Option<Time>, stats: PortStats, peer: Option<PeerReport>) -> StreamCounts {
        StreamCounts { side, stream: 0, class: TrafficClass::Audio, codec: Some(Codec::Pcma), at, stats, peer }
    }

    #[test]
    fn what_was_measured_has_numbers_and_what_was_not_has_none() {
        let stats = PortStats {
            packets_received: 990,
            packets_lost: 10,
            jitter_us: 1_234,
            round_trip_us: 40_000,
            mos_min_x100: 392,
            mos_mean_x100: 430,
            mos_last_x100: 441,
            r_last_x10: 932,
            loss_max_permille: 50,
            ..PortStats::default()
        };
        let peer = PeerReport { loss_permille: Some(15), r_x10: Some(870), ..PeerReport::default() };
        let streams = vec![
            counted(Side::Caller, Some(Time::from_secs(1_800_000_000)), stats, Some(peer)),
            counted(Side::Called, None, PortStats::default(), None),
        ];
        let legs = legs(&CallCounts { streams, complete: false });
        let (caller, called) = (&legs[0]["streams"][0], &legs[1]["streams"][0]);
        assert_eq!((&legs[0]["party"], &legs[1]["party"]), (&json!("caller"), &json!("called")));
        assert_eq!((&caller["loss_percent"], &caller["jitter_ms"]), (&json!(1.0), &json!(1.23)));
        assert_eq!(caller["round_trip_ms"], 40.0);
        let mos = json!({ "least": 3.92, "mean": 4.3, "latest": 4.41, "r_latest": 93.2, "loss_percent_worst": 5.0 });
        assert_eq!(caller["mos"], mos);
        let peer = json!({ "loss_percent": 1.5, "r": 87.0, "mos_listening": null, "mos_conversational": null });
        assert_eq!(caller["peer"], peer);
        assert_eq!(called["codec"], "PCMA");
        for name in ["counted", "packets_received", "packets_lost", "loss_percent", "jitter_ms", "mos", "peer"] {
            assert_eq!(called[name], Value::Null, "{name}");
        }
    }
}
