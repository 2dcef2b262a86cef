//! How the round trip to a peer is known, over real sockets on the loopback interface.

mod driver;

use driver::{Call, receive, rtp};
use sx_media::{Latch, Remote};
use sx_rtp::{ReportBlock, SenderInfo, Ssrc, write_receiver_report, write_sender_report};
use sx_types::Codec;

#[test]
fn a_peer_that_answers_the_report_of_the_other_one_tells_its_round_trip() {
    let call = Call::new(Latch::Exact);
    for end in [0, 1] {
        call.set_remote(end, Remote { codec: Some(Codec::Pcma), ..call.phones[end].remote(Latch::Exact) });
    }
    let info = SenderInfo { ntp: 0x1111_2222_3333_4444, rtp_timestamp: 1, packet_count: 2, octet_count: 3 };
    let mut report = Vec::new();
    write_sender_report(Ssrc(1), &info, &[], &mut report).unwrap();
    call.phones[0].rtcp.send_to(&report, call.opened[0].rtcp).unwrap();
    assert_eq!(receive(&call.phones[1].rtcp), (report, call.opened[1].rtcp));
    let block = ReportBlock {
        ssrc: Ssrc(1),
        fraction_lost: 0,
        cumulative_lost: 0,
        highest_sequence: 1,
        jitter: 0,
        last_sr: info.ntp_middle(),
        delay_since_last_sr: 0,
    };
    let mut answer = Vec::new();
    write_receiver_report(Ssrc(2), &[block], &mut answer).unwrap();
    call.phones[1].rtcp.send_to(&answer, call.opened[1].rtcp).unwrap();
    assert_eq!(receive(&call.phones[0].rtcp), (answer, call.opened[0].rtcp), "passed on as it is");
    call.check_relayed(&call.phones[1].rtp, 1, &rtp(1));
    let [asked, answered] = call.ports.map(|port| call.relay.close(port).round_trip_us);
    assert_eq!(asked, 0, "nobody has answered a report of the other one's");
    assert!((1..10_000_000).contains(&answered), "{answered} µs");
}
