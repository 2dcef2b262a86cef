//! What a trunk is told of the caller, and which headers pass to it.

mod driver;

use driver::{Bench, Manner, TRUNKS, named, text, value, with_east};
use sx_sip::message::{HeaderName, Method};

fn headers(pairs: &[(&str, &str)]) -> Vec<(Box<str>, Box<str>)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
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
    let mut bench = Bench::two_trunks(&config, Manner::Answers);
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
    let mut bench = Bench::two_trunks(&with_east("asserted_identity = \"set\""), Manner::Answers);
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    let invite = bench.requests("east", Method::Invite).remove(0);
    assert_eq!(value(&invite, HeaderName::PAssertedIdentity), "<sip:west@example.org>");
    assert!(value(&invite, HeaderName::From).starts_with("\"The west\" <sip:west@example.org>;tag="));
    bench.hang_up("west", session);
    bench.assert_over(1);
}

#[test]
fn a_caller_who_wants_privacy_is_anonymous_on_the_other_side() {
    let mut bench = Bench::two_trunks(&with_east("asserted_identity = \"set\""), Manner::Answers);
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

/// What an escaped name hides must not become part of another header.
#[test]
fn a_name_with_escaped_line_ends_stays_one_name() {
    let mut bench = Bench::two_trunks(TRUNKS, Manner::Answers);
    let session = bench.dial_with("west", "sip:0123@192.0.2.1", |spec| {
        spec.from = "<sip:a%0D%0AX-Evil:%201%3E%3C@example.org>".into();
    });
    let invite = bench.requests("east", Method::Invite).remove(0);
    assert_eq!(named(&invite, "X-Evil"), "", "{}", text(&invite));
    // A sign stands in the place of each.
    let contact = value(&invite, HeaderName::Contact).to_ascii_lowercase();
    assert!(contact.starts_with("<sip:a%ef%bf%bd%ef%bf%bdx-evil"), "{}", text(&invite));
    bench.hang_up("west", session);
    bench.assert_over(1);
}

#[test]
fn a_trunk_is_called_from_our_domain_unless_it_wants_another() {
    for (keys, expected) in [("", "example.org"), ("from_domain = \"else.example\"", "else.example")] {
        let mut bench = Bench::two_trunks(&with_east(keys), Manner::Answers);
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
    let mut bench = Bench::two_trunks(&with_east("from_domain = \"else.example\""), Manner::Answers);
    let session = bench.dial_with("west", "sip:0123@192.0.2.1", |spec| {
        spec.headers = headers(&[("P-Asserted-Identity", "<sip:42@carrier.example>")]);
    });
    let invite = bench.requests("east", Method::Invite).remove(0);
    assert_eq!(value(&invite, HeaderName::PAssertedIdentity), "<sip:42@carrier.example>");
    bench.hang_up("west", session);
    bench.assert_over(1);
}

#[test]
fn who_has_not_authenticated_is_not_asserted() {
    let open = "[danger]\nunauthenticated_calls = true\n";
    for (danger, asserted) in [("", "<sip:alice@example.org>"), (open, "")] {
        let config = TRUNKS.replace("from_trunk = [\"west\", \"east\"]\n", "");
        let mut bench = Bench::two_trunks(&format!("{config}{danger}"), Manner::Answers);
        bench.phone("alice", "192.0.2.11:5060", Manner::Silent);
        let session = bench.dial("alice", "sip:0123@example.org");
        assert_eq!(value(&bench.requests("east", Method::Invite)[0], HeaderName::PAssertedIdentity), asserted);
        bench.hang_up("alice", session);
        bench.assert_over(1);
    }
}
