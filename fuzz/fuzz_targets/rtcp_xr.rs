//! Extended reports: what is read of one can be written, and is then read as the same; losses in any order; and reports that are
//! translated for who knows their streams by other sources and numbers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_rtp::{
    BurstTracker, Compound, Dlrr, RtcpPacket, Ssrc, Translated, VoipMetrics, XrBlock, translate_rtcp,
    write_extended_report, write_receiver_report,
};

/// A compound packet, for an extended report may not come first.
fn compound(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut datagram = Vec::new();
    write_receiver_report(Ssrc(7), &[], &mut datagram).expect("no blocks");
    write(&mut datagram);
    datagram
}

#[derive(Debug, Default, PartialEq)]
struct Said {
    references: Vec<u64>,
    answers: Vec<Dlrr>,
    metrics: Vec<VoipMetrics>,
}

fn read(datagram: &[u8]) -> Option<Vec<(Ssrc, Said)>> {
    let compound = Compound::parse(datagram).ok()?;
    let reports = compound.packets().filter_map(|packet| match packet {
        RtcpPacket::ExtendedReport(report) => Some(report),
        _ => None,
    });
    let said = reports.map(|report| {
        let mut said = Said::default();
        for block in report.blocks {
            match block {
                XrBlock::ReceiverReferenceTime(ntp) => said.references.push(ntp),
                XrBlock::Dlrr(answers) => said.answers.extend(answers),
                XrBlock::VoipMetrics(metrics) => said.metrics.push(metrics),
            }
        }
        (report.ssrc, said)
    });
    Some(said.collect())
}

fn read_reports(bytes: &[u8]) {
    // As a datagram, and as the blocks of a report.
    let mut blocks = bytes.to_vec();
    blocks.resize(bytes.len().next_multiple_of(4).min(65_532), 0);
    let words = (blocks.len() / 4) as u16 + 1;
    let wrapped = compound(|out| {
        out.extend_from_slice(&[0x80, 207]);
        out.extend_from_slice(&words.to_be_bytes());
        out.extend_from_slice(&[0, 0, 0, 7]);
        out.extend_from_slice(&blocks);
    });
    for datagram in [bytes, &wrapped[..]] {
        for (ssrc, said) in read(datagram).unwrap_or_default() {
            for answer in &said.answers {
                let _ = answer.round_trip(u64::MAX);
            }
            let reference = said.references.last().copied();
            let (answers, metrics) = (&said.answers, &said.metrics);
            let mut own = Vec::new();
            let written = write_extended_report(ssrc, reference, answers, metrics, &mut own);
            assert_eq!(written.is_err(), answers.len() > 31 || metrics.len() > 31);
            if written.is_ok() {
                let again = read(&compound(|out| out.extend_from_slice(&own))).expect("own report");
                let references = reference.into_iter().collect();
                assert_eq!(again, [(ssrc, Said { references, ..said })]);
            }
        }
    }
}

/// Takes the bytes for packets in a row that were received, or lost.
fn track(bytes: &[u8]) {
    let mut tracker = BurstTracker::new(bytes.first().copied().unwrap_or_default());
    for byte in bytes {
        match byte & 0x80 {
            0 => tracker.handle_received(u64::from(*byte)),
            _ => tracker.handle_lost(u64::from(byte & 0x7f)),
        }
    }
    let found = tracker.burstiness();
    assert_eq!(found.packets, bytes.iter().map(|byte| u64::from(byte & 0x7f)).sum::<u64>());
    assert!((0.0..=1.0).contains(&found.burst_density) && (0.0..=1.0).contains(&found.gap_density));
    assert!(found.burst_ratio.is_finite() && found.burst_ratio >= 0.0);
}

/// Has them pass to somebody who knows the streams otherwise.
fn translate(bytes: &[u8]) {
    let [sent, heard] = [(7, 70), (9, 90)].map(|(from, to)| Translated {
        from: Ssrc(from),
        to: Ssrc(to),
        sequence: 0xff00,
        timestamp: 0x8000_0000,
    });
    let mut datagram = bytes.to_vec();
    translate_rtcp(&mut datagram, Some(&sent), Some(&heard), Some((1, 2)));
    assert_eq!(datagram.len(), bytes.len());
    assert_eq!(Compound::parse(&datagram).is_ok(), Compound::parse(bytes).is_ok());
}

fuzz_target!(|bytes: &[u8]| {
    read_reports(bytes);
    translate(bytes);
    track(bytes);
});
