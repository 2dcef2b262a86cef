//! Datagrams on a media port: what is read as RTP or RTCP can be written, and is then read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use sx_engine::{Engine, Time};
use sx_rtp::{
    Compound, EventOutput, EventPayload, EventReceiver, Extras, Packet, PacketError, Reception, ReportBlock,
    RtcpPacket, is_rtcp, write_bye, write_receiver_report, write_sender_report,
};

fn read_packet(datagram: &[u8]) {
    let packet = match Packet::parse(datagram) {
        Ok(packet) => packet,
        Err(error) => return assert_eq!(error == PacketError::Rtcp, is_rtcp(datagram) && datagram.len() >= 12),
    };
    let csrcs: Vec<_> = packet.csrcs().collect();
    let extras = Extras { csrcs: &csrcs, extension: packet.extension(), padding: packet.padding() };
    let mut written = Vec::new();
    packet.header().write_with(&extras, packet.payload(), &mut written).expect("what was read fits its fields");
    assert_eq!(Packet::parse(&written), Ok(packet));
    assert_eq!(written.len(), datagram.len());

    for report in EventPayload::parse_all(packet.payload()) {
        assert_eq!(EventPayload::parse(&report.to_bytes()), Some(report));
    }
}

fn read_compound(datagram: &[u8]) {
    let Ok(compound) = Compound::parse(datagram) else { return };
    for packet in compound.packets() {
        let mut written = Vec::new();
        match packet {
            RtcpPacket::SenderReport(report) => {
                let blocks: Vec<ReportBlock> = report.blocks.collect();
                write_sender_report(report.ssrc, &report.info, &blocks, &mut written).expect("what was read fits");
                let again = Compound::parse(&written).expect("own report").packets().next();
                assert_eq!(again, Some(packet));
            }
            RtcpPacket::ReceiverReport(report) => {
                let blocks: Vec<ReportBlock> = report.blocks.collect();
                write_receiver_report(report.ssrc, &blocks, &mut written).expect("what was read fits");
                let again = Compound::parse(&written).expect("own report").packets().next();
                assert_eq!(again, Some(packet));
                for block in blocks {
                    let _ = block.round_trip(u64::MAX);
                }
            }
            RtcpPacket::Sdes(sdes) => {
                for item in sdes.items() {
                    let _ = sdes.cname(item.ssrc);
                }
            }
            RtcpPacket::Bye(bye) => {
                let ssrcs: Vec<_> = bye.ssrcs.collect();
                write_bye(&ssrcs, None, &mut written).expect("what was read fits");
            }
            RtcpPacket::App(app) => assert!(app.subtype < 32),
            // The target `rtcp_xr` looks at them.
            RtcpPacket::ExtendedReport(report) => assert!(report.blocks.count() <= datagram.len() / 4),
        }
    }
}

/// Takes the datagram for a series of sequence numbers.
fn count(datagram: &[u8]) {
    let mut reception = Reception::new(8_000);
    for pair in datagram.chunks_exact(2) {
        let sequence = u16::from_be_bytes([pair[0], pair[1]]);
        reception.handle_packet(Default::default(), sequence, u32::from(sequence) << 16);
    }
    assert!(reception.received() <= datagram.len() as u64 / 2);
}

/// Takes the datagram for a series of packets of telephone events: what begins ends, in this order.
fn hear(datagram: &[u8]) {
    let mut receiver = EventReceiver::new(8_000, EventReceiver::SILENCE);
    let mut now = Time::ZERO;
    let mut sounding = None;
    let mut check = |receiver: &mut EventReceiver| {
        while let Some(output) = receiver.poll_output() {
            match output {
                EventOutput::Began { event } => assert_eq!(sounding.replace(event), None),
                EventOutput::Ended { event, .. } => assert_eq!(sounding.take(), Some(event)),
            }
        }
    };
    for report in datagram.chunks_exact(8) {
        now = now + Duration::from_millis(u64::from(report[0]));
        let header = [0x80, 101, 0, 0, report[1], report[2], report[3], 0, 0, 0, 0, report[0] & 1];
        let bytes = [&header[..], &report[4..]].concat();
        receiver.handle_timeout(now);
        receiver.handle_input(now, Packet::parse(&bytes).expect("a header and a payload"));
        check(&mut receiver);
    }
    receiver.handle_timeout(now + EventReceiver::SILENCE * 2);
    check(&mut receiver);
    assert_eq!(sounding, None);
}

fuzz_target!(|datagram: &[u8]| {
    read_packet(datagram);
    read_compound(datagram);
    count(datagram);
    hear(datagram);
});
