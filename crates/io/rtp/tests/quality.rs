//! How the round trip to a peer is known, and when it is scored, over real sockets on the loopback interface.

mod driver;

use driver::{Call, Phone, Relay, config, id, numbers, receive, rtp};
use std::time::Duration;
use sx_io_rtp::RtpConfig;
use sx_media::{Latch, MediaEvent, PortId, Remote};
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

/// Ticks and the end of a port make scores. What passes the time is that the port tells of silence.
#[test]
fn a_port_has_a_score_every_five_seconds_and_for_what_its_end_cuts_short() {
    let relay = Relay::start(&RtpConfig { silence_timeout: Duration::from_millis(1_200), ..config(numbers(8)) });
    let (ports, phone) = ([id(1, 0), id(1, 1)], Phone::new());
    let silence = |of: PortId| while relay.event() != (MediaEvent::Silent { port: of }) {};
    let opened = ports.map(|port| relay.open(port));
    let talk = |end: usize, first: u16| {
        let before = relay.threads.totals().packets_received;
        for sequence in first..first + 20 {
            phone.rtp.send_to(&rtp(sequence), opened[end].rtp).unwrap();
        }
        while relay.threads.totals().packets_received < before + 20 {
            std::thread::yield_now();
        }
    };
    let remote = Remote { codec: Some(Codec::Pcma), ..phone.remote(Latch::Exact) };
    relay.set_remote(ports[0], remote);
    // Of this one silence is not told.
    relay.set_remote(ports[1], Remote { sends: false, ..remote });
    relay.settle(&ports);
    talk(1, 0);
    talk(0, 0);
    silence(ports[0]);
    let scores = || relay.threads.totals().quality.mos.counts.iter().sum::<u64>();
    // Nothing is lost; how evenly a busy machine sends is another matter.
    assert!((350..=441).contains(&relay.close(ports[1]).mos_last_x100), "cut short");
    assert_eq!(scores(), 1);
    for turn in 1..5 {
        talk(0, turn * 20);
        silence(ports[0]);
    }
    assert!((350..=441).contains(&relay.count(ports[0]).mos_last_x100), "by the tick");
    assert!(scores() > 1);
}
