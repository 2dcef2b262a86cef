//! What a port has counted, as numbers in a row: those of a record, and of the columns of a table.

use sx_media::PortStats;

/// How many numbers a port counts.
pub(crate) const STATS: usize = 19;

/// What a port has counted, in the order of the columns of the database.
pub(crate) fn stats_numbers(stats: &PortStats) -> [u64; STATS] {
    let PortStats {
        packets_received,
        bytes_received,
        packets_sent,
        bytes_sent,
        rtcp_received,
        packets_lost,
        jitter_us,
        rejected_source,
        rejected_format,
        send_errors,
        last_payload_type,
        packets_transcoded,
        decode_errors,
        round_trip_us,
        mos_min_x100,
        mos_mean_x100,
        mos_last_x100,
        r_last_x10,
        loss_max_permille,
    } = *stats;
    [
        packets_received,
        bytes_received,
        packets_sent,
        bytes_sent,
        rtcp_received,
        packets_lost,
        jitter_us.into(),
        rejected_source,
        rejected_format,
        send_errors,
        last_payload_type.into(),
        packets_transcoded,
        decode_errors,
        round_trip_us.into(),
        mos_min_x100.into(),
        mos_mean_x100.into(),
        mos_last_x100.into(),
        r_last_x10.into(),
        loss_max_permille.into(),
    ]
}

/// The inverse of [`stats_numbers`]; `None` when a number does not fit.
pub(crate) fn stats_from(numbers: [u64; STATS]) -> Option<PortStats> {
    let (packets, rest) = numbers.split_first_chunk()?;
    let [packets_received, bytes_received, packets_sent, bytes_sent, rtcp_received, packets_lost] = *packets;
    let (others, quality) = rest.split_first_chunk()?;
    let [
        jitter_us,
        rejected_source,
        rejected_format,
        send_errors,
        last_payload_type,
        packets_transcoded,
        decode_errors,
    ] = *others;
    let [round_trip_us, mos_min, mos_mean, mos_last, r_last, loss_max] = *quality else { return None };
    Some(PortStats {
        packets_received,
        bytes_received,
        packets_sent,
        bytes_sent,
        rtcp_received,
        packets_lost,
        jitter_us: jitter_us.try_into().ok()?,
        rejected_source,
        rejected_format,
        send_errors,
        last_payload_type: last_payload_type.try_into().ok()?,
        packets_transcoded,
        decode_errors,
        round_trip_us: round_trip_us.try_into().ok()?,
        mos_min_x100: mos_min.try_into().ok()?,
        mos_mean_x100: mos_mean.try_into().ok()?,
        mos_last_x100: mos_last.try_into().ok()?,
        r_last_x10: r_last.try_into().ok()?,
        loss_max_permille: loss_max.try_into().ok()?,
    })
}
