//! Calls from one trunk to another.

mod driver;

use driver::{Bench, FAILOVER, Manner, TRUNKS, text, uri, value};
use sx_media::{Latch, MediaCommand};
use sx_sip::message::{HeaderName, Message, Method, OwnedMessage};

#[test]
fn a_call_goes_from_trunk_to_trunk_with_the_number_rewritten() {
    let mut bench = Bench::two_trunks(TRUNKS, Manner::Answers);
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
fn media_is_asked_for_towards_the_host_that_is_called() {
    let elsewhere = "\n[[route]]\nname = \"elsewhere\"\nfrom_trunk = [\"west\"]\nto = [{ dialled = true }]\n";
    let named = "addresses = [\"sip:gateway.example\"]";
    let ranked = "addresses = [{ uri = \"sip:gateway.example\", priority = 2 }, \
        { uri = \"sip:192.0.2.20\", priority = 1 }]";
    let backed = "addresses = [\"sip:gateway.example\", \"sip:192.0.2.20\"]";
    let numeric = "addresses = [\"sip:192.0.2.20\"]";
    for (addresses, dialled, expected) in [
        (numeric, "sip:0123@192.0.2.1", Some("192.0.2.20")),
        (ranked, "sip:0123@192.0.2.1", Some("192.0.2.20")),
        (named, "sip:0123@192.0.2.1", None),
        (backed, "sip:0123@192.0.2.1", None),
        (numeric, "sip:carol@192.0.2.20:5060", Some("192.0.2.20")),
        (numeric, "sip:carol@elsewhere.example", None),
    ] {
        let mut bench = Bench::two_trunks(&format!("{TRUNKS}{elsewhere}").replace(numeric, addresses), Manner::Answers);
        bench.dial("west", dialled);
        let hosts = bench.media.iter().filter_map(|command| match command {
            MediaCommand::Open { host, .. } => Some(host.map(|host| host.to_string())),
            _ => None,
        });
        let expected = [Some("192.0.2.10"), expected].map(|host| host.map(ToOwned::to_owned));
        assert_eq!(hosts.collect::<Vec<_>>(), expected, "{addresses} {dialled}");
    }
}

#[test]
fn the_called_trunk_may_hang_up_too() {
    let mut bench = Bench::two_trunks(TRUNKS, Manner::Answers);
    bench.dial("west", "sip:0123@192.0.2.1");
    let session = bench.who("east").invited[0];
    bench.hang_up("east", session);
    assert_eq!(bench.requests("west", Method::Bye).len(), 1);
    assert_eq!(bench.statuses("east", "BYE"), [200]);
    bench.assert_over(1);
}

#[test]
fn a_caller_that_gives_up_cancels_the_called_leg() {
    let mut bench = Bench::two_trunks(TRUNKS, Manner::Rings);
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    bench.hang_up("west", session);
    assert_eq!(bench.statuses("west", "INVITE"), [180, 487]);
    assert_eq!(bench.requests("east", Method::Cancel).len(), 1);
    bench.assert_over(1);
    assert_eq!(bench.ended()[0].status, 487);
}

/// Nothing in what reaches one side names the other's address, agent, dialog or description.
#[test]
fn neither_side_sees_the_other() {
    let mut bench = Bench::two_trunks(TRUNKS, Manner::Answers);
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
    let check = |messages: &[OwnedMessage], foreign: &[&str]| {
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
fn a_number_without_route_is_not_found() {
    let mut bench = Bench::two_trunks(FAILOVER, Manner::Answers);
    bench.dial("west", "sip:9@192.0.2.1");
    let answers = bench.received("west");
    let statuses: Vec<u16> = answers.iter().filter_map(Message::status).collect();
    assert_eq!(statuses.last(), Some(&404));
    bench.assert_over(1);
}

#[test]
fn of_two_trunks_with_an_address_the_longer_prefix_is_the_source() {
    let wide = TRUNKS.replace("sources = [\"192.0.2.10\"]", "sources = [\"192.0.2.0/24\"]");
    let mut bench = Bench::two_trunks(&wide, Manner::Answers);
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
fn why_the_caller_gave_up_is_told_to_the_called() {
    for (said, told) in [
        (None, "Q.850;cause=16;text=\"Normal call clearing\""),
        (Some(31), "Q.850;cause=31;text=\"Normal, unspecified\""),
        // In SIP's own terms on the wire, both ways.
        (Some(26), "SIP;cause=200;text=\"Call completed elsewhere\""),
    ] {
        let mut bench = Bench::two_trunks(TRUNKS, Manner::Rings);
        let session = bench.dial("west", "sip:0123@192.0.2.1");
        bench.act("west", |peer, now| peer.agent.hangup(now, session, said));
        let cancel = bench.requests("east", Method::Cancel).remove(0);
        assert_eq!(value(&cancel, HeaderName::Reason), told);
    }
}

#[test]
fn media_is_believed_from_exactly_where_it_was_negotiated_when_that_is_asked_for() {
    for (latch, expected) in [("exact", Latch::Exact), ("port", Latch::Port)] {
        let mut bench = Bench::two_trunks(&format!("[media]\nlatch = \"{latch}\"\n{TRUNKS}"), Manner::Answers);
        bench.dial("west", "sip:0123@192.0.2.1");
        let latches: Vec<_> = bench.media.iter().filter_map(latch_of).collect();
        assert!(!latches.is_empty() && latches.iter().all(|latch| *latch == expected), "{latches:?}");
    }
}

fn latch_of(command: &MediaCommand) -> Option<Latch> {
    if let MediaCommand::SetRemote { remote, .. } = command { Some(remote.latch) } else { None }
}

/// Nobody has said that what comes from the west may leave by the east.
#[test]
fn a_route_that_names_no_callers_lets_no_trunk_out_by_another() {
    let mut bench = Bench::two_trunks(&TRUNKS.replace("from_trunk = [\"west\", \"east\"]\n", ""), Manner::Answers);
    bench.dial("west", "sip:0123@192.0.2.1");
    assert!(bench.received("east").is_empty(), "{}", bench.ladder());
    bench.phone("alice", "192.0.2.11:5060", Manner::Silent);
    let session = bench.dial("alice", "sip:0123@example.org");
    assert_eq!(bench.statuses("alice", "INVITE"), [407, 180, 200], "users may");
    bench.hang_up("alice", session);
    bench.assert_over(2);
}
