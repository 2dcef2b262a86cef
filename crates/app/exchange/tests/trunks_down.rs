//! Trunks that do not answer their probes: how often they are probed, and that they are called when there is nothing better.

mod driver;

use driver::{Bench, Manner, Scripted, probed, with_probes};
use sx_sip::message::Method;

/// An exchange that probes both of its trunks, and neither is there.
fn all_down() -> Bench {
    let mut bench = Bench::new(&with_probes().replace("options_interval_s = 0", "options_interval_s = 60"));
    for (name, own) in [("west", "192.0.2.10:5060"), ("east", "192.0.2.20:5060"), ("south", "192.0.2.30:5060")] {
        bench.peer(name, own, if name == "west" { Manner::Silent } else { Manner::Dead });
    }
    bench
}

#[test]
fn when_no_trunk_answers_its_probes_the_caller_is_told_502() {
    let mut bench = all_down();
    bench.pass_s(40);
    bench.dial("west", "sip:0123@192.0.2.1");
    // Each has four seconds to say anything.
    bench.pass_s(7);
    assert!(bench.statuses("west", "INVITE").is_empty() && bench.workers[0].calls() == 1, "{}", bench.ladder());
    bench.pass_s(2);
    assert_eq!(bench.statuses("west", "INVITE"), [502]);
    for name in ["east", "south"] {
        assert!(!bench.requests(name, Method::Invite).is_empty(), "{name} may have come back");
        // No probe is under way at the end.
        bench.who(name).manner = Manner::Answers;
    }
    bench.pass_s(40);
    bench.assert_over(1);
}

#[test]
fn a_trunk_that_comes_up_after_the_exchange_has_the_first_call() {
    let mut bench = all_down();
    // The first probe of each has failed, and no other was sent.
    bench.pass_s(34);
    assert_eq!(bench.health.len(), 2, "{:?}", bench.health);
    bench.who("south").manner = Manner::Rings;
    bench.dial("west", "sip:0123@192.0.2.1");
    bench.pass_s(5);
    assert!(bench.statuses("west", "INVITE").contains(&180), "{}", bench.ladder());
    // Once it has said something, it may take its time.
    bench.pass_s(30);
    assert_eq!(bench.workers[0].calls(), 1);
}

#[test]
fn a_trunk_that_is_down_is_probed_more_often() {
    let mut bench = probed();
    bench.who("east").script.push_back(Scripted { status: 503, headers: Vec::new() });
    bench.pass_s(4);
    assert_eq!(bench.health, [("east".to_owned(), false)]);
    bench.pass_s(2);
    assert_eq!(bench.health.last(), Some(&("east".to_owned(), true)), "it has said so within five seconds");
    bench.pass_s(50);
    assert_eq!(bench.requests("east", Method::Options).len(), 2, "and is probed at leisure again");
}

#[test]
fn each_address_of_a_trunk_that_is_down_is_called_in_its_turn() {
    let both = with_probes().replace("[\"sip:192.0.2.20\"]", "[\"sip:192.0.2.20\", \"sip:192.0.2.21\"]");
    let mut bench = Bench::new(&both.replace(", { trunk = \"south\" }", ""));
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    for (name, own) in [("east", "192.0.2.20:5060"), ("spare", "192.0.2.21:5060")] {
        bench.peer(name, own, Manner::Dead);
    }
    // The probe has tried one after the other.
    bench.pass_s(66);
    assert_eq!(bench.health, [("east".to_owned(), false)]);
    bench.who("spare").manner = Manner::Answers;
    bench.dial("west", "sip:0123@192.0.2.1");
    bench.pass_s(8);
    assert_eq!(bench.statuses("west", "INVITE").last(), Some(&200), "{}", bench.ladder());
    assert!(bench.requests("east", Method::Cancel).is_empty(), "who has said nothing is not sent CANCEL");
}

#[test]
fn a_trunk_that_has_never_answered_a_probe_costs_the_first_caller_four_seconds() {
    let mut bench = all_down();
    bench.pass_s(1);
    assert!(bench.health.is_empty(), "nothing is known of it yet");
    bench.who("south").manner = Manner::Answers;
    bench.dial("west", "sip:0123@192.0.2.1");
    bench.pass_s(5);
    assert!(bench.statuses("west", "INVITE").contains(&200), "{}", bench.ladder());
}

#[test]
fn a_trunk_that_answers_its_probes_may_take_as_long_over_a_call_as_any() {
    let mut bench = probed();
    bench.pass_s(10);
    assert!(bench.health.is_empty(), "that nothing is the matter is no news");
    bench.who("east").manner = Manner::Dead;
    bench.dial("west", "sip:0123@192.0.2.1");
    bench.pass_s(6);
    assert!(bench.requests("south", Method::Invite).is_empty(), "{}", bench.ladder());
    bench.pass_s(30);
    assert_eq!(bench.requests("south", Method::Invite).len(), 1);
}
