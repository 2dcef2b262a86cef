//! Calls from one trunk to another.

mod driver;

use driver::{Bench, Manner, TRUNKS, named, text, uri, value};
use std::time::Duration;
use sx_call::Note;
use sx_sip::message::{HeaderName, Message, Method};

fn headers(pairs: &[(&str, &str)]) -> Vec<(Box<str>, Box<str>)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn two_trunks(config: &str, east: Manner) -> Bench {
    let mut bench = Bench::new(config);
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.peer("east", "192.0.2.20:5060", east);
    bench
}

/// The configuration of two trunks, with further keys of the trunk "east".
fn with_east(keys: &str) -> String {
    TRUNKS.replace("sources = [\"192.0.2.20\"]\n", &format!("sources = [\"192.0.2.20\"]\n{keys}\n"))
}

#[test]
fn a_call_goes_from_trunk_to_trunk_with_the_number_rewritten() {
    let mut bench = two_trunks(TRUNKS, Manner::Answers);
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    assert_eq!(bench.statuses("west", "INVITE"), [180, 200]);
    let invite = bench.requests("east", Method::Invite).remove(0);
    assert_eq!(uri(&invite), "sip:+49123@192.0.2.20");
    assert_eq!(value(&invite, HeaderName::MaxForwards), "69");
    bench.hang_up("west", session);
    assert_eq!(bench.statuses("west", "BYE"), [200]);
    assert_eq!(bench.requests("east", Method::Bye).len(), 1);
    bench.assert_over(1);
    let cdr = bench.ended()[0];
    assert_eq!(&*cdr.attempts[0].target, "trunk:east");
    assert!(cdr.answer.is_some());
}

#[test]
fn the_called_trunk_may_hang_up_too() {
    let mut bench = two_trunks(TRUNKS, Manner::Answers);
    bench.dial("west", "sip:0123@192.0.2.1");
    let session = bench.who("east").invited[0];
    bench.hang_up("east", session);
    assert_eq!(bench.requests("west", Method::Bye).len(), 1);
    assert_eq!(bench.statuses("east", "BYE"), [200]);
    bench.assert_over(1);
}

#[test]
fn a_caller_that_gives_up_cancels_the_called_leg() {
    let mut bench = two_trunks(TRUNKS, Manner::Rings);
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    bench.hang_up("west", session);
    assert_eq!(bench.statuses("west", "INVITE"), [180, 487]);
    assert_eq!(bench.requests("east", Method::Cancel).len(), 1);
    bench.assert_over(1);
    assert_eq!(bench.ended()[0].status, 487);
}

#[test]
fn headers_pass_are_set_and_are_removed_as_the_trunks_say() {
    let config =
        with_east("headers = { pass = [\"X-*\", \"Subject\"], remove = [\"X-Secret\"], set = { X-Site = \"north\" } }")
            .replacen(
                "options_interval_s = 0",
                "options_interval_s = 0\nheaders = { pass = [\"X-*\", \"Priority\"] }",
                1,
            );
    let mut bench = two_trunks(&config, Manner::Answers);
    let session = bench.dial_with("west", "sip:0123@192.0.2.1", |spec| {
        spec.headers = headers(&[
            ("X-Ticket", "17"),
            ("X-Secret", "s"),
            ("X-Site", "south"),
            ("Subject", "not taken from west"),
            ("Priority", "not let through to east"),
        ]);
    });
    let invite = bench.requests("east", Method::Invite).remove(0);
    for (name, expected) in
        [("X-Ticket", "17"), ("X-Secret", ""), ("X-Site", "north"), ("Subject", ""), ("Priority", "")]
    {
        assert_eq!(named(&invite, name), expected, "{name}");
    }
    bench.hang_up("west", session);
    bench.assert_over(1);
}

#[test]
fn a_trunk_that_wants_it_is_told_who_calls() {
    let mut bench = two_trunks(&with_east("asserted_identity = \"set\""), Manner::Answers);
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    let invite = bench.requests("east", Method::Invite).remove(0);
    assert_eq!(value(&invite, HeaderName::PAssertedIdentity), "<sip:west@example.org>");
    assert!(value(&invite, HeaderName::From).starts_with("\"The west\" <sip:west@example.org>;tag="));
    bench.hang_up("west", session);
    bench.assert_over(1);
}

#[test]
fn a_caller_who_wants_privacy_is_anonymous_on_the_other_side() {
    let mut bench = two_trunks(&with_east("asserted_identity = \"set\""), Manner::Answers);
    let session = bench.dial_with("west", "sip:0123@192.0.2.1", |spec| {
        spec.headers = headers(&[("Privacy", "id"), ("P-Asserted-Identity", "<sip:secret@example.org>")]);
    });
    let invite = bench.requests("east", Method::Invite).remove(0);
    assert!(value(&invite, HeaderName::From).starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="));
    assert_eq!(value(&invite, HeaderName::PAssertedIdentity), "");
    assert_eq!(value(&invite, HeaderName::Privacy), "id");
    assert!(!text(&invite).contains("west"), "{}", text(&invite));
    bench.hang_up("west", session);
    bench.assert_over(1);
}

/// Nothing in what reaches one side names the other's address, agent, dialog or description.
#[test]
fn neither_side_sees_the_other() {
    let mut bench = two_trunks(TRUNKS, Manner::Answers);
    let mut call_id = String::new();
    let session = bench.dial_with("west", "sip:0123@192.0.2.1", |spec| {
        call_id = spec.call_id.to_string();
        spec.from = "<sip:123@example.org>".into();
        spec.contact_user = "123".into();
    });
    bench.hang_up("west", session);
    let of_west = bench.received("west");
    let of_east = bench.received("east");
    let their_call_id = value(&of_east[0], HeaderName::CallId);
    let their_tag = of_east.iter().find_map(|m| m.text(HeaderName::From).and_then(|f| f.split(";tag=").nth(1)));
    let their_tag = their_tag.expect("a tag").to_owned();
    let check = |messages: &[sx_sip::message::OwnedMessage], foreign: &[&str]| {
        for message in messages {
            for word in foreign {
                assert!(!text(message).contains(word), "{word} is in\n{}", text(message));
            }
            assert!(message.values(HeaderName::Via).count() == 1 && message.value(HeaderName::RecordRoute).is_none());
        }
    };
    check(&of_west, &["192.0.2.20", "east", &their_call_id, &their_tag]);
    check(&of_east, &["192.0.2.10", "west", &call_id]);
    bench.assert_over(1);
}

#[test]
fn an_address_elsewhere_is_gone_on_to_with_its_port_and_transport() {
    let config =
        format!("{TRUNKS}\n[[route]]\nname = \"elsewhere\"\nfrom_trunk = [\"west\"]\nto = [{{ dialled = true }}]\n");
    let mut bench = Bench::new(&config);
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.peer("far", "192.0.2.77:5099", Manner::Answers);
    let session = bench.dial("west", "sip:anna@192.0.2.77:5099;transport=udp");
    let invite = bench.requests("far", Method::Invite).remove(0);
    assert_eq!(uri(&invite), "sip:anna@192.0.2.77:5099;transport=udp");
    bench.hang_up("west", session);
    bench.assert_over(1);
}

#[test]
fn a_name_that_leads_nowhere_is_no_route() {
    let config =
        format!("{TRUNKS}\n[[route]]\nname = \"elsewhere\"\nfrom_trunk = [\"west\"]\nto = [{{ dialled = true }}]\n");
    let mut bench = Bench::new(&config);
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.peer("far", "192.0.2.77:5060", Manner::Answers);
    bench.dial("west", "sip:anna@nowhere.example");
    assert_eq!(bench.statuses("west", "INVITE"), [404]);
    bench
        .names
        .insert("far.example".into(), vec![(sx_types::Transport::Udp, "192.0.2.77:5060".parse().expect("an address"))]);
    let session = bench.dial("west", "sip:anna@far.example");
    assert_eq!(bench.statuses("west", "INVITE"), [404, 180, 200]);
    bench.hang_up("west", session);
    bench.assert_over(2);
}

const FAILOVER: &str = r#"
[exchange]
domains = ["example.org"]
[[trunk]]
name = "west"
addresses = ["sip:192.0.2.10"]
sources = ["192.0.2.10"]
options_interval_s = 0
[[trunk]]
name = "east"
addresses = ["sip:192.0.2.20"]
options_interval_s = 0
[[trunk]]
name = "south"
addresses = ["sip:192.0.2.30"]
options_interval_s = 0
[[route]]
name = "out"
from_trunk = ["west"]
prefix = "0"
to = [{ trunk = "east" }, { trunk = "south" }]
"#;

#[test]
fn when_the_first_trunk_cannot_the_second_is_tried() {
    let mut bench = two_trunks(FAILOVER, Manner::Refuses(503));
    bench.peer("south", "192.0.2.30:5060", Manner::Answers);
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    assert_eq!(bench.statuses("west", "INVITE"), [180, 200]);
    let failed = bench.notes.iter().filter(|note| matches!(note, Note::AttemptFailed { status: 503, .. }));
    assert_eq!(failed.count(), 1);
    bench.hang_up("west", session);
    bench.assert_over(1);
    let attempts: Vec<(&str, u16)> = bench.ended()[0].attempts.iter().map(|a| (&*a.target, a.status)).collect();
    assert_eq!(attempts.iter().map(|(target, _)| *target).collect::<Vec<_>>(), ["trunk:east", "trunk:south"]);
    assert_eq!(attempts[0].1, 503);
}

#[test]
fn a_trunk_that_says_nothing_is_given_up_for_the_second() {
    let mut bench = two_trunks(FAILOVER, Manner::Dead);
    bench.peer("south", "192.0.2.30:5060", Manner::Answers);
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    bench.pass(Duration::from_secs(33));
    assert_eq!(bench.statuses("west", "INVITE"), [180, 200]);
    bench.hang_up("west", session);
    bench.assert_over(1);
}

#[test]
fn a_busy_called_party_is_not_tried_elsewhere() {
    let mut bench = two_trunks(FAILOVER, Manner::Refuses(486));
    bench.peer("south", "192.0.2.30:5060", Manner::Answers);
    bench.dial("west", "sip:0123@192.0.2.1");
    assert_eq!(bench.statuses("west", "INVITE"), [486]);
    assert!(bench.received("south").is_empty());
    bench.assert_over(1);
}

#[test]
fn when_all_fail_the_caller_is_told_why() {
    let mut bench = two_trunks(FAILOVER, Manner::Refuses(503));
    bench.peer("south", "192.0.2.30:5060", Manner::Refuses(500));
    bench.dial("west", "sip:0123@192.0.2.1");
    let refusal = bench.received("west").into_iter().find(|m| m.status().is_some_and(|s| s >= 300));
    let refusal = refusal.expect("a refusal");
    assert_eq!(refusal.status(), Some(503), "the first of two that are equally bad");
    assert!(value(&refusal, HeaderName::Reason).starts_with("Q.850;cause="), "{}", text(&refusal));
    bench.assert_over(1);
    assert_eq!(bench.ended()[0].attempts.len(), 2);
    assert_eq!(Some(bench.ended()[0].status), refusal.status());
}

#[test]
fn a_number_without_route_is_not_found() {
    let mut bench = two_trunks(FAILOVER, Manner::Answers);
    bench.dial("west", "sip:9@192.0.2.1");
    let answers = bench.received("west");
    let statuses: Vec<u16> = answers.iter().filter_map(Message::status).collect();
    assert_eq!(statuses.last(), Some(&404));
    bench.assert_over(1);
}

/// What an escaped name hides must not become part of another header.
#[test]
fn a_name_with_escaped_line_ends_stays_one_name() {
    let mut bench = two_trunks(TRUNKS, Manner::Answers);
    let session = bench.dial_with("west", "sip:0123@192.0.2.1", |spec| {
        spec.from = "<sip:a%0D%0AX-Evil:%201%3E%3C@example.org>".into();
    });
    let invite = bench.requests("east", Method::Invite).remove(0);
    assert_eq!(named(&invite, "X-Evil"), "", "{}", text(&invite));
    assert!(value(&invite, HeaderName::Contact).to_ascii_lowercase().starts_with("<sip:a%0d%0a"), "{}", text(&invite));
    bench.hang_up("west", session);
    bench.assert_over(1);
}

#[test]
fn a_trunk_is_called_from_our_domain_unless_it_wants_another() {
    for (keys, expected) in [("", "example.org"), ("from_domain = \"else.example\"", "else.example")] {
        let mut bench = two_trunks(&with_east(keys), Manner::Answers);
        let session = bench.dial_with("west", "sip:0123@192.0.2.1", |spec| spec.from = "<sip:42@192.0.2.10>".into());
        let invite = bench.requests("east", Method::Invite).remove(0);
        let from = value(&invite, HeaderName::From);
        assert!(from.starts_with(&format!("<sip:42@{expected}>;tag=")), "{from}");
        bench.hang_up("west", session);
        bench.assert_over(1);
    }
}

#[test]
fn an_asserted_identity_passes_as_it_came() {
    let mut bench = two_trunks(&with_east("from_domain = \"else.example\""), Manner::Answers);
    let session = bench.dial_with("west", "sip:0123@192.0.2.1", |spec| {
        spec.headers = headers(&[("P-Asserted-Identity", "<sip:42@carrier.example>")]);
    });
    let invite = bench.requests("east", Method::Invite).remove(0);
    assert_eq!(value(&invite, HeaderName::PAssertedIdentity), "<sip:42@carrier.example>");
    bench.hang_up("west", session);
    bench.assert_over(1);
}

#[test]
fn of_two_trunks_with_an_address_the_longer_prefix_is_the_source() {
    let wide = TRUNKS.replace("sources = [\"192.0.2.10\"]", "sources = [\"192.0.2.0/24\"]");
    let mut bench = two_trunks(&wide, Manner::Answers);
    let session = bench.dial("east", "sip:0123@192.0.2.1");
    bench.hang_up("east", session);
    bench.assert_over(1);
    assert_eq!(bench.ended()[0].source, sx_leg::Source::Trunk("east".into()));
}

#[test]
fn a_trunk_is_called_at_its_port() {
    let config = TRUNKS.replace("sip:192.0.2.20", "sip:192.0.2.20:5070");
    let mut bench = Bench::new(&config);
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.peer("east", "192.0.2.20:5070", Manner::Answers);
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    assert_eq!(uri(&bench.requests("east", Method::Invite)[0]), "sip:+49123@192.0.2.20:5070");
    bench.hang_up("west", session);
    bench.assert_over(1);
}

#[test]
fn who_hangs_up_while_a_name_is_looked_up_has_called_nobody() {
    let config = TRUNKS.replace("addresses = [\"sip:192.0.2.20\"]", "addresses = [\"sip:east.example\"]");
    let mut bench = two_trunks(&config, Manner::Rings);
    let east = vec![(sx_types::Transport::Udp, "192.0.2.20:5060".parse().expect("an address"))];
    bench.names.insert("east.example".into(), east);
    bench.names_wait = true;
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    bench.pass_s(1);
    bench.hang_up("west", session);
    assert_eq!(bench.workers[0].calls(), 0, "nothing is left to wait for\n{}", bench.ladder());
    bench.names_come();
    assert!(bench.received("east").is_empty(), "{}", bench.ladder());
    bench.assert_over(1);
}

/// Nobody has said that what comes from the west may leave by the east.
#[test]
fn a_route_that_names_no_callers_lets_no_trunk_out_by_another() {
    let mut bench = two_trunks(&TRUNKS.replace("from_trunk = [\"west\", \"east\"]\n", ""), Manner::Answers);
    bench.dial("west", "sip:0123@192.0.2.1");
    assert!(bench.received("east").is_empty(), "{}", bench.ladder());
    bench.phone("alice", "192.0.2.11:5060", Manner::Silent);
    let session = bench.dial("alice", "sip:0123@example.org");
    assert_eq!(bench.statuses("alice", "INVITE"), [407, 180, 200], "users may");
    bench.hang_up("alice", session);
    bench.assert_over(2);
}

#[test]
fn who_has_not_authenticated_is_not_asserted() {
    let open = "[danger]\nunauthenticated_calls = true\n";
    for (danger, asserted) in [("", "<sip:alice@example.org>"), (open, "")] {
        let config = TRUNKS.replace("from_trunk = [\"west\", \"east\"]\n", "");
        let mut bench = two_trunks(&format!("{config}{danger}"), Manner::Answers);
        bench.phone("alice", "192.0.2.11:5060", Manner::Silent);
        let session = bench.dial("alice", "sip:0123@example.org");
        assert_eq!(value(&bench.requests("east", Method::Invite)[0], HeaderName::PAssertedIdentity), asserted);
        bench.hang_up("alice", session);
        bench.assert_over(1);
    }
}

#[test]
fn each_address_of_a_trunk_is_asked_in_its_own_name() {
    let addresses = "addresses = [\"sip:192.0.2.20:5070\", \"sip:192.0.2.30:5080;transport=udp\"]";
    let config = TRUNKS.replace("addresses = [\"sip:192.0.2.20\"]", addresses);
    let mut bench = Bench::new(&config);
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.peer("east", "192.0.2.20:5070", Manner::Dead);
    bench.peer("spare", "192.0.2.30:5080", Manner::Answers);
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    bench.pass_s(33);
    assert_eq!(uri(&bench.requests("east", Method::Invite)[0]), "sip:+49123@192.0.2.20:5070");
    assert_eq!(uri(&bench.requests("spare", Method::Invite)[0]), "sip:+49123@192.0.2.30:5080");
    bench.hang_up("west", session);
    bench.assert_over(1);
}
