//! Reading, writing and refusing compound packets.

use super::compound::{Compound, CompoundError, ReportBlock, RtcpPacket, SenderInfo};
use super::ntp_from_time;
use super::write::{RtcpWriteError, write_bye, write_receiver_report, write_sdes_cname, write_sender_report};
use crate::packet::Ssrc;
use proptest::prelude::*;
use std::time::Duration;
use sx_engine::Time;

fn block(number: u32) -> ReportBlock {
    ReportBlock {
        ssrc: Ssrc(number),
        fraction_lost: 3,
        cumulative_lost: -5,
        highest_sequence: 0x0001_0203,
        jitter: 9,
        last_sr: 0x1000_0000,
        delay_since_last_sr: 0x8000,
    }
}

fn compound() -> Vec<u8> {
    let mut out = Vec::new();
    let info = SenderInfo { ntp: 1 << 40, rtp_timestamp: 2, packet_count: 3, octet_count: 480 };
    write_sender_report(Ssrc(7), &info, &[block(8), block(9)], &mut out).expect("within limits");
    write_sdes_cname(Ssrc(7), "alice@example.com", &mut out).expect("within limits");
    out.extend_from_slice(&[0x81, 205, 0, 1, 0, 0, 0, 0]);
    out.extend_from_slice(&[0x85, 204, 0, 3, 0, 0, 0, 7, b'q', b'o', b's', b' ', 1, 2, 3, 4]);
    write_bye(&[Ssrc(7), Ssrc(8)], Some("done"), &mut out).expect("within limits");
    out
}

#[track_caller]
fn refused(datagram: &[u8], expected: CompoundError) {
    assert_eq!(Compound::parse(datagram), Err(expected));
}

#[test]
fn a_compound_packet_is_walked_and_unknown_types_are_left_out() {
    let bytes = compound();
    let packets: Vec<_> = Compound::parse(&bytes).expect("valid").packets().collect();
    let [RtcpPacket::SenderReport(sr), RtcpPacket::Sdes(sdes), RtcpPacket::App(app), RtcpPacket::Bye(bye)] =
        packets[..]
    else {
        panic!("{packets:?}")
    };
    assert_eq!((sr.ssrc, sr.info.octet_count), (Ssrc(7), 480));
    assert!(sr.blocks.eq([block(8), block(9)]));
    assert_eq!(sdes.cname(Ssrc(7)), Some(&b"alice@example.com"[..]));
    assert_eq!(sdes.cname(Ssrc(8)), None);
    assert_eq!((app.subtype, &app.name, app.data), (5, b"qos ", &[1, 2, 3, 4][..]));
    assert!(bye.ssrcs.eq([Ssrc(7), Ssrc(8)]));
    assert_eq!(bye.reason, Some(&b"done"[..]));
}

#[test]
fn a_description_may_speak_of_several_sources() {
    let mut bytes = vec![0x80, 201, 0, 1, 0, 0, 0, 1];
    bytes.extend_from_slice(&[0x82, 202, 0, 5]);
    bytes.extend_from_slice(&[0, 0, 0, 1, 1, 1, b'a', 2, 0, 0, 0, 0]);
    bytes.extend_from_slice(&[0, 0, 0, 2, 1, 1, b'b', 0]);
    let parsed = Compound::parse(&bytes).expect("valid");
    let Some(RtcpPacket::Sdes(sdes)) = parsed.packets().nth(1) else { panic!("no description") };
    assert_eq!(sdes.items().map(|item| (item.ssrc.0, item.kind)).collect::<Vec<_>>(), [(1, 1), (1, 2), (2, 1)]);
    assert_eq!(sdes.cname(Ssrc(2)), Some(&b"b"[..]));
}

#[test]
fn what_appendix_a_2_forbids_is_refused() {
    let rr = [0x80, 201, 0, 1, 0, 0, 0, 1];
    let after_rr = |tail: &[u8]| [&rr[..], tail].concat();
    assert!(Compound::parse(&rr).is_ok());
    refused(&[], CompoundError::TooShort);
    refused(&after_rr(&[0x80]), CompoundError::TooShort);
    refused(&[0x40, 201, 0, 1, 0, 0, 0, 1], CompoundError::Version);
    refused(&after_rr(&[0x00, 203, 0, 0]), CompoundError::Version);
    refused(&[0x80, 203, 0, 0], CompoundError::NotAReport);
    refused(&[0x80, 201, 0, 2, 0, 0, 0, 1], CompoundError::Length);
    refused(&[0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4], CompoundError::Padding);
    refused(&after_rr(&[0xa0, 203, 0, 1, 0, 0, 0, 4, 0x80, 203, 0, 0]), CompoundError::Padding);
    refused(&after_rr(&[0xa0, 203, 0, 1, 0, 0, 0, 3]), CompoundError::Padding);
    refused(&after_rr(&[0xa0, 203, 0, 1, 0, 0, 0, 8]), CompoundError::Padding);
    assert!(Compound::parse(&after_rr(&[0xa0, 203, 0, 1, 0, 0, 0, 4])).is_ok());
}

#[test]
fn contents_that_exceed_their_packet_are_refused() {
    let after_rr = |tail: &[u8]| [&[0x80, 201, 0, 1, 0, 0, 0, 1], tail].concat();
    refused(&[0x80, 201, 0, 0], CompoundError::Malformed(201));
    refused(&[0x81, 201, 0, 1, 0, 0, 0, 1], CompoundError::Malformed(201));
    refused(&[0x80, 200, 0, 1, 0, 0, 0, 1], CompoundError::Malformed(200));
    refused(&after_rr(&[0x81, 203, 0, 0]), CompoundError::Malformed(203));
    refused(&after_rr(&[0x80, 203, 0, 1, 4, b'a', b'b', b'c']), CompoundError::Malformed(203));
    refused(&after_rr(&[0x80, 204, 0, 1, 0, 0, 0, 1]), CompoundError::Malformed(204));
    refused(&after_rr(&[0x81, 202, 0, 0]), CompoundError::Malformed(202));
    refused(&after_rr(&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 2, b'a', b'b']), CompoundError::Malformed(202));
    refused(&after_rr(&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, b'a', b'b']), CompoundError::Malformed(202));
}

#[test]
fn ntp_time_counts_from_1900() {
    assert_eq!(ntp_from_time(Time::ZERO), 0x83aa_7e80_0000_0000);
    assert_eq!(ntp_from_time(Time::from_millis(1500)), 0x83aa_7e81_8000_0000);
}

#[test]
fn the_round_trip_is_arrival_less_report_less_delay() {
    let arrival = (0x1000_0000u64 + 0x8000 + 0x4000) << 16;
    assert_eq!(block(1).round_trip(arrival), Some(Duration::from_millis(250)));
    assert_eq!(block(1).round_trip(0x1000_0000 << 16), None, "before the report was sent");
    assert_eq!(ReportBlock { last_sr: 0, ..block(1) }.round_trip(arrival), None);
}

#[test]
fn what_does_not_fit_is_not_written() {
    let mut out = Vec::new();
    assert_eq!(write_receiver_report(Ssrc(1), &[block(1); 32], &mut out), Err(RtcpWriteError::TooMany));
    assert_eq!(write_sdes_cname(Ssrc(1), &"x".repeat(256), &mut out), Err(RtcpWriteError::TextTooLong));
    assert_eq!(write_bye(&[Ssrc(1); 32], None, &mut out), Err(RtcpWriteError::TooMany));
    assert!(out.is_empty());
}

prop_compose! {
    fn any_block()(
        (ssrc, fraction_lost, cumulative_lost) in (any::<u32>(), any::<u8>(), -0x80_0000..=0x7f_ffff_i32),
        (highest_sequence, jitter, last_sr, delay_since_last_sr) in any::<(u32, u32, u32, u32)>(),
    ) -> ReportBlock {
        ReportBlock {
            ssrc: Ssrc(ssrc), fraction_lost, cumulative_lost, highest_sequence, jitter, last_sr, delay_since_last_sr,
        }
    }
}

fn walk(bytes: &[u8]) {
    let Ok(parsed) = Compound::parse(bytes) else { return };
    for packet in parsed.packets() {
        match packet {
            RtcpPacket::SenderReport(report) => report.blocks.for_each(drop),
            RtcpPacket::ReceiverReport(report) => report.blocks.for_each(drop),
            RtcpPacket::Sdes(sdes) => sdes.items().for_each(drop),
            RtcpPacket::Bye(bye) => bye.ssrcs.for_each(drop),
            RtcpPacket::App(_) => {}
            RtcpPacket::ExtendedReport(report) => drop(report.blocks.count()),
        }
    }
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
        walk(&bytes);
    }

    #[test]
    fn damaged_packets_never_panic(at in 0..200usize, value in any::<u8>(), cut in 0..200usize) {
        let mut bytes = compound();
        let at = at % bytes.len();
        bytes[at] = value;
        bytes.truncate(bytes.len() - cut % bytes.len());
        walk(&bytes);
    }

    #[test]
    fn what_is_written_is_read(
        (ntp, rtp_timestamp, packet_count, octet_count) in any::<(u64, u32, u32, u32)>(),
        blocks in proptest::collection::vec(any_block(), 0..=31),
        cname in "[a-z@.]{0,255}",
        ssrcs in proptest::collection::vec(any::<u32>().prop_map(Ssrc), 0..=31),
        reason in proptest::option::of("[ -~]{0,255}"),
    ) {
        let info = SenderInfo { ntp, rtp_timestamp, packet_count, octet_count };
        let mut out = Vec::new();
        write_sender_report(Ssrc(1), &info, &blocks, &mut out).expect("within limits");
        write_receiver_report(Ssrc(2), &blocks, &mut out).expect("within limits");
        write_sdes_cname(Ssrc(1), &cname, &mut out).expect("within limits");
        write_bye(&ssrcs, reason.as_deref(), &mut out).expect("within limits");
        let packets: Vec<_> = Compound::parse(&out).expect("own packets").packets().collect();
        let [RtcpPacket::SenderReport(sr), RtcpPacket::ReceiverReport(rr), RtcpPacket::Sdes(sdes), RtcpPacket::Bye(bye)]
            = packets[..] else { panic!("{packets:?}") };
        prop_assert_eq!((sr.ssrc, sr.info, rr.ssrc), (Ssrc(1), info, Ssrc(2)));
        prop_assert!(sr.blocks.eq(blocks.iter().copied()) && rr.blocks.eq(blocks.iter().copied()));
        prop_assert_eq!(sdes.cname(Ssrc(1)), Some(cname.as_bytes()));
        prop_assert!(bye.ssrcs.eq(ssrcs.iter().copied()));
        prop_assert_eq!(bye.reason, reason.as_deref().map(str::as_bytes));
    }
}
