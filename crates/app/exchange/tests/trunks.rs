//! Calls from one trunk to another.

mod driver;

use driver::{Bench, Manner, TRUNKS, body, named, text, uri, value};
use std::time::Duration;
use sx_call::Note;
use sx_media::{Latch, MediaCommand};
use sx_sip::message::{HeaderName, Message, Method, OwnedMessage};

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
fn media_is_asked_for_towards_the_host_that_is_called() {
    let elsewhere = "\n[[route]]\nname = \"elsewhere\"\nfrom_trunk = [\"west\"]\nto = [{ dialled = true }]\n";
    let named = "addresses = [\"sip:gateway.example\"]";
    let ranked = "addresses = [\"sip:gateway.example\", { uri = \"sip:192.0.2.21\", priority = 2 }, \
        { uri = \"sip:192.0.2.20\", priority = 1 }]";
    let numeric = "addresses = [\"sip:192.0.2.20\"]";
    for (addresses, dialled, expected) in [
        (numeric, "sip:0123@192.0.2.1", Some("192.0.2.20")),
        (ranked, "sip:0123@192.0.2.1", Some("192.0.2.20")),
        (named, "sip:0123@192.0.2.1", None),
        (numeric, "sip:carol@192.0.2.20:5060", Some("192.0.2.20")),
        (numeric, "sip:carol@elsewhere.example", None),
    ] {
        let mut bench = two_trunks(&format!("{TRUNKS}{elsewhere}").replace(numeric, addresses), Manner::Answers);
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

#[test]
fn a_name_that_cannot_be_looked_up_for_now_is_no_fault_of_the_number() {
    let config =
        format!("{TRUNKS}\n[[route]]\nname = \"elsewhere\"\nfrom_trunk = [\"west\"]\nto = [{{ dialled = true }}]\n");
    let mut bench = Bench::new(&config);
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.no_name_server = true;
    bench.dial("west", "sip:anna@far.example");
    assert_eq!(bench.statuses("west", "INVITE"), [503]);
    bench.assert_over(1);
}

#[test]
fn a_certificate_must_carry_an_ipv6_address_without_brackets() {
    let config =
        format!("{TRUNKS}\n[[route]]\nname = \"elsewhere\"\nfrom_trunk = [\"west\"]\nto = [{{ dialled = true }}]\n");
    let mut bench = Bench::new(&config);
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.dial("west", "sip:anna@[2001:db8::20];transport=tls");
    assert_eq!(bench.names_asked_for, ["2001:db8::20"]);
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
    assert_eq!(refusal.status(), Some(500), "a 503 of one target does not mean that we are of no use");
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

/// Both trunks ring for one number, one after the other.
fn with_reserve() -> String {
    TRUNKS.replace("to = [{ trunk = \"east\" }]", "to = [{ trunk = \"east\" }, { trunk = \"south\" }]")
        + "[[trunk]]\nname = \"south\"\naddresses = [\"sip:192.0.2.30\"]\nsources = [\"192.0.2.30\"]\noptions_interval_s = 0\n"
}

#[test]
fn when_every_trunk_fails_the_best_cause_is_told_and_whose_fault_it_was() {
    for (south, status, reason, warning) in [
        (Manner::Refuses(500), 500, "Q.850;cause=41", "the called trunk answered 500"),
        (Manner::Refuses(486), 486, "Q.850;cause=17", "the called trunk answered 486"),
        (Manner::Dead, 408, "Q.850;cause=", "the called trunk has not answered in time"),
    ] {
        let mut bench = two_trunks(&with_reserve(), Manner::Refuses(503));
        bench.peer("south", "192.0.2.30:5060", south);
        bench.dial("west", "sip:0123@192.0.2.1");
        bench.pass_s(40);
        let told = bench.received("west").into_iter().rfind(|m| m.status().is_some_and(|s| s >= 300)).expect("told");
        assert_eq!(told.status(), Some(status), "{}", bench.ladder());
        assert!(value(&told, HeaderName::Reason).starts_with(reason), "{}", text(&told));
        assert_eq!(named(&told, "Warning"), format!("399 strowger \"{warning}\""));
    }
}

#[test]
fn why_the_caller_gave_up_is_told_to_the_called() {
    for (said, told) in [
        (None, "Q.850;cause=16;text=\"Normal call clearing\""),
        (Some(31), "Q.850;cause=31;text=\"Normal, unspecified\""),
        // In SIP's own terms on the wire, both ways.
        (Some(26), "SIP;cause=200;text=\"Call completed elsewhere\""),
    ] {
        let mut bench = two_trunks(TRUNKS, Manner::Rings);
        let session = bench.dial("west", "sip:0123@192.0.2.1");
        bench.act("west", |peer, now| peer.agent.hangup(now, session, said));
        let cancel = bench.requests("east", Method::Cancel).remove(0);
        assert_eq!(value(&cancel, HeaderName::Reason), told);
    }
}

/// An offer of the formats with these payload types.
fn offering(formats: &str) -> bytes::Bytes {
    let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n";
    format!("{text}m=audio 4000 RTP/AVP {formats}\r\na=rtpmap:101 telephone-event/8000\r\n").into()
}

fn formats(message: &OwnedMessage) -> String {
    let body = body(message);
    let line = body.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("an audio stream");
    line.split_once(" RTP/AVP ").expect("formats").1.to_owned()
}

#[test]
fn a_trunk_is_offered_the_codecs_that_it_is_allowed_and_no_others() {
    let config = with_east("codecs_allowed = [\"PCMU\", \"telephone-event\"]");
    let mut bench = two_trunks(&config, Manner::Answers);
    bench.dial_with("west", "sip:0123@192.0.2.1", |spec| spec.offer = Some(offering("8 0 18 101")));
    assert_eq!(formats(&bench.requests("east", Method::Invite)[0]), "0 101");
    assert_eq!(bench.statuses("west", "INVITE").last(), Some(&200));
    // What it offers is taken out likewise.
    bench.dial_with("east", "sip:7123@192.0.2.1", |spec| spec.offer = Some(offering("18 0")));
    assert_eq!(formats(&bench.requests("west", Method::Invite)[0]), "0");
}

#[test]
fn where_no_codec_is_left_the_call_is_refused_with_488() {
    let barred = |config: &str, caller: &'static str, dialled: &str, formats: &str| {
        let mut bench = two_trunks(config, Manner::Answers);
        bench.who("west").manner = Manner::Answers;
        bench.dial_with(caller, dialled, |spec| spec.offer = Some(offering(formats)));
        bench.pass_s(1);
        let told = bench.received(caller).into_iter().rfind(|m| m.status() == Some(488));
        let warning = named(&told.unwrap_or_else(|| panic!("no 488\n{}", bench.ladder())), "Warning");
        bench.pass_s(40);
        assert_eq!(bench.workers[0].calls(), 0, "{}", bench.ladder());
        (bench, warning)
    };
    let only_g729 = with_east("codecs_allowed = [\"G729\"]");
    let (mut bench, warning) = barred(&only_g729, "west", "sip:0123@192.0.2.1", "0 8");
    assert!(warning.contains("no codec that is offered is allowed here"), "{warning}");
    assert!(bench.requests("east", Method::Invite).is_empty());
    let (mut bench, _) = barred(&only_g729, "east", "sip:7123@192.0.2.1", "0 8");
    assert!(bench.requests("west", Method::Invite).is_empty());
    // East was offered G.729 and answers with something else.
    let (mut bench, warning) = barred(&only_g729, "west", "sip:0123@192.0.2.1", "0 18");
    assert!(warning.contains("without a codec that is allowed"), "{warning}");
    assert_eq!(bench.requests("east", Method::Bye).len(), 1);
}

#[test]
fn a_trunk_that_may_not_have_the_callers_codec_is_passed_over() {
    let config = with_reserve().replacen(
        "sources = [\"192.0.2.20\"]\n",
        "sources = [\"192.0.2.20\"]\ncodecs_allowed = [\"G722\"]\n",
        1,
    );
    let mut bench = two_trunks(&config, Manner::Answers);
    bench.peer("south", "192.0.2.30:5060", Manner::Answers);
    bench.dial("west", "sip:0123@192.0.2.1");
    assert!(bench.requests("east", Method::Invite).is_empty());
    assert_eq!(bench.statuses("west", "INVITE").last(), Some(&200), "{}", bench.ladder());
}

#[test]
fn media_is_believed_from_exactly_where_it_was_negotiated_when_that_is_asked_for() {
    for (latch, expected) in [("exact", Latch::Exact), ("port", Latch::Port)] {
        let mut bench = two_trunks(&format!("[media]\nlatch = \"{latch}\"\n{TRUNKS}"), Manner::Answers);
        bench.dial("west", "sip:0123@192.0.2.1");
        let latches: Vec<_> = bench.media.iter().filter_map(latch_of).collect();
        assert!(!latches.is_empty() && latches.iter().all(|latch| *latch == expected), "{latches:?}");
    }
}

fn latch_of(command: &MediaCommand) -> Option<Latch> {
    if let MediaCommand::SetRemote { remote, .. } = command { Some(remote.latch) } else { None }
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
