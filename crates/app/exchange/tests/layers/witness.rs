//! The seventh layer, and what is written down of a call that passes all.

use crate::said::{ALICE, bench_under, request};
use serde_json::json;
use sx_engine::Engine as _;

#[test]
fn a_call_is_told_from_its_coming_to_its_end() {
    let mut bench = bench_under("");
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(10);
    bench.hang_up("alice", session);
    bench.pass_s(2);
    let call = bench.recorded("invite")[0]["call_id"].clone();
    let story: Vec<_> = bench.log.records.iter().filter(|record| record["call_id"] == call).collect();
    let kinds: Vec<_> = story.iter().map(|record| record["kind"].as_str().expect("a kind")).collect();
    let expected = ["invite", "admission", "trying", "ringing", "connected", "bridge_established", "terminated"];
    assert_eq!(kinds, expected);
    assert!(story.iter().all(|record| record["trace_id"] == story[0]["trace_id"]));
    assert_eq!(story[1]["outcome"], "approve");
}

#[test]
fn an_answer_waits_for_the_disk_and_no_longer_than_is_bearable() {
    let mut bench = bench_under("");
    bench.log.waits = true;
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    assert_eq!(bench.who("alice").answered(), 0, "{}", bench.ladder());
    bench.log.waits = false;
    bench.settle();
    assert_eq!(bench.who("alice").answered(), 1, "{}", bench.ladder());
    bench.log.waits = true;
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(10);
    assert_eq!(bench.who("alice").answered(), 1);
    assert!(bench.ladder().contains("503"), "{}", bench.ladder());
    assert_eq!(bench.workers[0].calls(), 1, "only the first is left");
}

#[test]
fn no_call_begins_while_nothing_can_be_written_down() {
    let mut bench = bench_under("");
    bench.disk_fails(true);
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    let refused = bench.last_recorded("security_rejected");
    let facts = json!({ "layer": "witness", "status": 503, "source": ALICE, "transport": "udp", "method": "INVITE",
        "sip_call_id": refused["facts"]["sip_call_id"] });
    let expected = json!({ "kind": "security_rejected", "actor": "alice@example.org", "subject": "sip:bob@example.org",
        "outcome": "reject", "reason": "unwritable", "facts": facts });
    assert_eq!(refused, expected);
    bench.disk_fails(false);
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    assert_eq!(bench.who("alice").answered(), 1);
}

#[test]
fn what_is_recorded_while_nothing_can_be_written_is_bounded_and_its_loss_is_said() {
    let mut bench = bench_under("");
    bench.disk_fails(true);
    bench.log.takes_nothing = true;
    let long = format!("X-Long: {}\r\n", "x".repeat(2_000));
    for number in 0..60_000_u32 {
        bench.workers[0].handle_input(
            bench.now,
            sx_exchange::Input::Message {
                flow: sx_types::Flow {
                    worker: 0,
                    link: sx_types::LinkId(1),
                    transport: sx_types::Transport::Udp,
                    remote: std::net::SocketAddr::from(([10, 1, (number >> 8) as u8, number as u8], 5060)),
                },
                bytes: request("PUBLISH", &format!("User-Agent: friendly-scanner\r\n{long}")).as_bytes(),
            },
        );
        if number % 90 == 0 {
            bench.now = bench.now + std::time::Duration::from_secs(1);
        }
    }
    let held = bench.workers[0].witnessed().bytes();
    assert!((8 << 20..9 << 20).contains(&held), "{held}");
    bench.log.takes_nothing = false;
    bench.settle();
    bench.disk_fails(false);
    bench.settle();
    let lost = bench
        .recorded("summary")
        .iter()
        .find(|record| record["outcome"] == "lost")
        .map(|r| r["facts"]["records"].clone());
    assert!(lost.is_some_and(|lost| lost.as_u64() > Some(0)));
}
