//! What becomes of packets between two ports whose peers have no codec in common, over real sockets.

mod driver;

use driver::voice::{Voice, coding};
use driver::{Call, receive, rtp};
use std::net::UdpSocket;
use std::time::Duration;
use sx_codec::{Format, Law, Tone, hears};
use sx_media::{Coding, Latch, Remote};
use sx_rtp::{
    Compound, Header, Packet, ReportBlock, RtcpPacket, SenderInfo, Ssrc, write_receiver_report, write_sdes_cname,
    write_sender_report,
};
use sx_types::{Codec, PayloadType};

/// The first telephone takes these, the second those.
fn call(one: &[Coding], other: &[Coding]) -> Call {
    let call = Call::new(Latch::Exact);
    call.relay.convert((call.ports[0], one), (call.ports[1], other));
    call.relay.settle(&call.ports);
    call
}

fn pcmu_and_g722() -> Call {
    call(&[coding(0, Codec::Pcmu)], &[coding(9, Codec::G722)])
}

fn says_and_hears(call: &Call, voices: &mut [Voice; 2], from: usize, hz: f64) -> Vec<i16> {
    let (mut heard, mut headers) = (Vec::new(), Vec::new());
    for samples in Tone::new(hz, -10.0).take(160 * 50).collect::<Vec<_>>().chunks(160) {
        call.phones[from].rtp.send_to(&voices[from].says(samples), call.opened[from].rtp).unwrap();
        let (packet, _) = receive(&call.phones[1 - from].rtp);
        headers.push(voices[1 - from].hears(&packet, &mut heard));
    }
    assert!(headers.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
    assert!(headers.iter().all(|header| header.ssrc == headers[0].ssrc && header.ssrc != Ssrc(7)));
    heard
}

#[test]
fn two_telephones_without_a_common_codec_hear_each_other() {
    let call = pcmu_and_g722();
    let mut voices = [Voice::new(Format::G711(Law::Mu), 0), Voice::new(Format::G722, 9)];
    for (from, hz, other) in [(0, 500.0, 900.0), (1, 900.0, 500.0)] {
        let heard = says_and_hears(&call, &mut voices, from, hz);
        assert!(hears(&heard[800..], hz) && !hears(&heard[800..], other), "{from}");
    }
    // What cannot be decoded is made up.
    let header = Header { sequence: 50, timestamp: 50 * 160, ..Packet::parse(&rtp(0)).unwrap().header() };
    let mut strange = Vec::new();
    Header { payload_type: PayloadType(0), ssrc: Ssrc(7), ..header }.write(&[0; 1_700], &mut strange);
    call.phones[0].rtp.send_to(&strange, call.opened[0].rtp).unwrap();
    assert_eq!(receive(&call.phones[1].rtp).0.len(), 172);
    let totals = call.relay.threads.totals();
    assert_eq!((totals.packets_transcoded, totals.decode_errors), (100, 1));
    let stats = call.ports.map(|port| call.relay.close(port));
    assert_eq!(stats.map(|stats| (stats.packets_transcoded, stats.decode_errors)), [(50, 1), (50, 0)]);
    assert_eq!(stats.map(|stats| (stats.packets_received, stats.packets_sent)), [(51, 50), (50, 51)]);
}

#[test]
fn a_patch_that_is_repeated_goes_on_in_the_same_stream() {
    let call = pcmu_and_g722();
    let mut voice = Voice::new(Format::G711(Law::Mu), 0);
    let mut send = || {
        call.phones[0].rtp.send_to(&voice.says(&[0; 160]), call.opened[0].rtp).unwrap();
        Packet::parse(&receive(&call.phones[1].rtp).0).unwrap().header()
    };
    let before = send();
    let both = [vec![coding(0, Codec::Pcmu)], vec![coding(9, Codec::G722)]];
    call.relay.convert((call.ports[0], &both[0]), (call.ports[1], &both[1]));
    call.relay.settle(&call.ports);
    let after = send();
    assert_eq!(after.sequence, before.sequence.wrapping_add(1));
    assert_eq!(after.timestamp, before.timestamp.wrapping_add(160));
}

/// Keys of SRTP let no sequence number come again.
#[test]
fn what_another_sends_goes_on_with_the_numbers_of_who_was_there_before() {
    let call = pcmu_and_g722();
    let mut voice = Voice::new(Format::G711(Law::Mu), 0);
    let mut receives = |port: std::net::SocketAddr| {
        call.phones[0].rtp.send_to(&voice.says(&[0; 160]), port).unwrap();
        Packet::parse(&receive(&call.phones[1].rtp).0).unwrap().header()
    };
    let before = receives(call.opened[0].rtp);
    let third = driver::id(7, 0);
    let opened = call.relay.open(third);
    call.relay.set_remote(third, call.phones[0].remote(Latch::Exact));
    call.relay.patch(call.ports[0], None);
    call.relay.convert((third, &[coding(0, Codec::Pcmu)]), (call.ports[1], &[coding(9, Codec::G722)]));
    call.relay.settle(&[call.ports[0], third]);
    let after = receives(opened.rtp);
    assert_eq!((after.sequence, after.ssrc), (before.sequence.wrapping_add(1), before.ssrc));
    assert!(after.timestamp.wrapping_sub(before.timestamp) < 8_000 * 10, "{after:?} after {before:?}");
}

#[test]
fn a_codec_that_both_have_passes_unchanged_until_one_comes_that_they_have_not() {
    let call = call(&[coding(8, Codec::Pcma)], &[coding(9, Codec::G722), coding(8, Codec::Pcma)]);
    call.check_both_ways();
    call.phones[0].rtcp.send_to(&driver::rtcp(), call.opened[0].rtcp).unwrap();
    assert_eq!(receive(&call.phones[1].rtcp).0, driver::rtcp());
    assert_eq!(call.relay.threads.totals().packets_transcoded, 0, "nothing was decoded");
    let mut voice = Voice::new(Format::G722, 9);
    call.phones[1].rtp.send_to(&voice.says(&[0; 160]), call.opened[1].rtp).unwrap();
    let (packet, _) = receive(&call.phones[0].rtp);
    let header = Packet::parse(&packet).unwrap().header();
    assert_eq!((header.payload_type, packet.len()), (PayloadType(8), 172));
    // It goes on with what was passed on before.
    assert_eq!((header.sequence, header.ssrc.0), (40, 0x0102_0304));
    // The other way still is not decoded, but has numbers of ours from now on.
    call.phones[0].rtp.send_to(&rtp(41), call.opened[0].rtp).unwrap();
    let (packet, _) = receive(&call.phones[1].rtp);
    assert_eq!(packet[12..], rtp(41)[12..]);
    assert_eq!((&packet[2..4], &packet[8..12]), (&[0, 40][..], &rtp(41)[8..12]), "one stream");
    assert_eq!(call.relay.threads.totals().packets_transcoded, 1);
}

/// The next report on a socket that is one of ours.
fn report(socket: &UdpSocket) -> Vec<u8> {
    receive(socket).0
}

#[test]
fn both_ends_get_reports_about_the_streams_that_they_see() {
    let call = pcmu_and_g722();
    for (end, codec) in [Codec::Pcmu, Codec::G722].into_iter().enumerate() {
        call.set_remote(end, Remote { codec: Some(codec), ..call.phones[end].remote(Latch::Exact) });
    }
    let mut voices = [Voice::new(Format::G711(Law::Mu), 0), Voice::new(Format::G722, 9)];
    let mut seen = Vec::new();
    for from in [0, 1] {
        for _ in 0..10 {
            call.phones[from].rtp.send_to(&voices[from].says(&[0; 160]), call.opened[from].rtp).unwrap();
            let (packet, _) = receive(&call.phones[1 - from].rtp);
            seen.push((1 - from, Packet::parse(&packet).unwrap().header()));
        }
    }
    // What a telephone reports goes no further, and comes back in what it is told.
    let info = SenderInfo { ntp: 0x1234_5678_9abc_def0, rtp_timestamp: 5, packet_count: 10, octet_count: 1_600 };
    let mut own = Vec::new();
    write_sender_report(Ssrc(7), &info, &[], &mut own).unwrap();
    write_sdes_cname(Ssrc(7), "a@b", &mut own).unwrap();
    call.phones[0].rtcp.send_to(&own, call.opened[0].rtcp).unwrap();
    for (end, phone) in call.phones.iter().enumerate() {
        phone.rtcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let datagram = report(&phone.rtcp);
        assert_ne!(datagram, own);
        let packets: Vec<_> = Compound::parse(&datagram).unwrap().packets().collect();
        let RtcpPacket::SenderReport(report) = packets[0] else { panic!("{packets:?}") };
        let (_, last) = seen.iter().rev().find(|(to, _)| *to == end).unwrap();
        assert_eq!((report.ssrc, report.info.packet_count, report.info.octet_count), (last.ssrc, 10, 1_600));
        let ahead = report.info.rtp_timestamp.wrapping_sub(last.timestamp);
        assert!(ahead < 8_000 * 20, "{ahead}");
        let blocks: Vec<_> = report.blocks.collect();
        assert_eq!(
            (blocks.len(), blocks[0].ssrc, blocks[0].highest_sequence, blocks[0].cumulative_lost),
            (1, Ssrc(7), 9, 0)
        );
        assert_eq!(blocks[0].last_sr, if end == 0 { 0x5678_9abc } else { 0 });
        assert!(matches!(packets[1], RtcpPacket::Sdes(names) if names.cname(last.ssrc).is_some()));
        // The answer to it tells the round trip.
        assert_eq!(call.relay.count(call.ports[end]).round_trip_us, 0);
        let block = ReportBlock { last_sr: report.info.ntp_middle(), delay_since_last_sr: 0, ..blocks[0] };
        let (mut answer, before) = (Vec::new(), call.relay.threads.totals().rtcp_received);
        write_receiver_report(Ssrc(7), &[block], &mut answer).unwrap();
        phone.rtcp.send_to(&answer, call.opened[end].rtcp).unwrap();
        while call.relay.threads.totals().rtcp_received == before {
            std::thread::yield_now();
        }
        assert!(call.relay.count(call.ports[end]).round_trip_us > 0);
    }
}
