//! REGISTER by REGISTER: what is answered, to the letter, and what is bound afterwards.

use std::time::Duration;
use sx_engine::Time;
use sx_sip::message::Message;
use sx_sip::registrar::{Refusal, Registrar, RegistrarConfig, Registration};
use sx_types::{Flow, LinkId, Transport};

const AOR: &str = "anna@example.org";
const START: Time = Time::from_secs(1_800_000_000);
const SUPPORTED: &str = "Supported: path, outbound, gruu\r\n";

fn registrar() -> Registrar {
    let domains = vec!["198.51.100.1".into()];
    Registrar::new(RegistrarConfig { contacts_max: 3, bindings_max: 4, domains, ..RegistrarConfig::default() }, [7; 16])
}

fn flow() -> Flow {
    let remote = "192.0.2.1:5060".parse().expect("an address");
    Flow { worker: 0, link: LinkId(1), transport: Transport::Udp, remote }
}

/// A REGISTER of anna; `headers` without the last line end.
fn register(registrar: &mut Registrar, after_s: u64, call_id: &str, cseq: u32, headers: &str) -> Registration {
    let user = format!("From: <sip:{AOR}>;tag=1\r\nTo: <sip:{AOR}>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER");
    send(registrar, after_s, AOR, &format!("{user}\r\n{headers}"))
}

fn send(registrar: &mut Registrar, after_s: u64, aor: &str, headers: &str) -> Registration {
    let text = format!(
        "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n{}\r\n\r\n",
        headers.trim_end()
    );
    let request = Message::parse(text.as_bytes()).expect("well formed");
    registrar.register(START + Duration::from_secs(after_s), aor, flow(), &request)
}

fn contacts(registrar: &Registrar, after_s: u64) -> Vec<&str> {
    registrar.contacts(START + Duration::from_secs(after_s), AOR).map(|contact| contact.uri).collect()
}

/// One request after another: time, Call-ID, CSeq, headers, status, the headers of the answer.
type Step = (u64, &'static str, u32, &'static str, u16, &'static str);

fn check(name: &str, steps: &[Step]) {
    let mut registrar = registrar();
    for (number, (after_s, call_id, cseq, headers, status, expected)) in steps.iter().enumerate() {
        let answer = register(&mut registrar, *after_s, call_id, *cseq, headers);
        let supported = if *status == 200 { SUPPORTED } else { "" };
        let expected = format!("{expected}{supported}");
        assert_eq!((answer.status, answer.headers()), (*status, &*expected), "{name}, request {number}");
        assert_eq!(answer.refusal.is_none(), *status == 200);
    }
}

const A: &str = "Contact: <sip:a@192.0.2.1>\r\n";
const A_IS: &str = "Contact: <sip:a@192.0.2.1>;expires=3600\r\n";

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
#[test]
fn a_200_lists_every_binding_with_what_is_left_of_its_life() {
    check("one", &[(0, "c", 1, A, 200, A_IS), (600, "c", 2, "", 200, "Contact: <sip:a@192.0.2.1>;expires=3000\r\n")]);
    check(
        "several in one header, with q",
        &[
            (
                0,
                "c",
                1,
                "Contact: \"A, B\" <sip:a@h1>;q=0.25;expires=100, sip:b@h2;expires=200;q=1.0\r\n\
                 m: <sip:c@h3;x=1>\r\nExpires: 300",
                200,
                "Contact: <sip:a@h1>;expires=100;q=0.250\r\nContact: <sip:b@h2>;expires=200\r\n\
                 Contact: <sip:c@h3;x=1>;expires=300\r\n",
            ),
            (150, "d", 1, "", 200, "Contact: <sip:b@h2>;expires=50\r\nContact: <sip:c@h3;x=1>;expires=150\r\n"),
            (300, "d", 2, "", 200, ""),
        ],
    );
    check("nobody", &[(0, "c", 1, "", 200, ""), (0, "c", 2, "Contact: *\r\nExpires: 0", 200, "")]);
}

#[test]
fn a_lifetime_is_kept_within_its_bounds() {
    let brief = "Min-Expires: 60\r\n";
    for (headers, status, expected) in [
        ("Contact: <sip:a@h>;expires=60", 200, "Contact: <sip:a@h>;expires=60\r\n"),
        ("Contact: <sip:a@h>;expires=59", 423, brief),
        ("Contact: <sip:a@h>\r\nExpires: 1", 423, brief),
        ("Contact: <sip:a@h>;expires=60\r\nExpires: 1", 200, "Contact: <sip:a@h>;expires=60\r\n"),
        ("Contact: <sip:a@h>;expires=7201", 200, "Contact: <sip:a@h>;expires=7200\r\n"),
        ("Contact: <sip:a@h>;expires=99999999999999999999", 200, "Contact: <sip:a@h>;expires=7200\r\n"),
        ("Contact: <sip:a@h>;expires=soon", 200, "Contact: <sip:a@h>;expires=3600\r\n"),
        ("Contact: <sip:a@h>;expires=-1\r\nExpires: 70", 200, "Contact: <sip:a@h>;expires=3600\r\n"),
        ("Contact: <sip:a@h>\r\nExpires:", 200, "Contact: <sip:a@h>;expires=3600\r\n"),
        // Both or none.
        ("Contact: <sip:a@h>;expires=600, <sip:b@h>;expires=2", 423, brief),
    ] {
        let mut registrar = registrar();
        let answer = register(&mut registrar, 0, "c", 1, headers);
        let supported = if status == 200 { SUPPORTED } else { "" };
        assert_eq!((answer.status, answer.headers()), (status, &*format!("{expected}{supported}")), "{headers}");
        assert_eq!(registrar.len(), usize::from(status == 200));
    }
}

#[test]
fn a_minimum_of_more_than_an_hour_refuses_nobody_who_asks_for_an_hour() {
    let config = RegistrarConfig { expires_min_s: 5_000, expires_default_s: 6_000, ..RegistrarConfig::default() };
    let mut registrar = Registrar::new(config, [7; 16]);
    for (expires, status) in [(3_599, 423), (3_600, 200), (4_999, 200)] {
        let headers = format!("{A}Expires: {expires}");
        assert_eq!(register(&mut registrar, 0, "c", expires, &headers).status, status);
    }
}

#[test]
fn a_retransmission_is_answered_and_changes_nothing() {
    let mut registrar = registrar();
    let first = register(&mut registrar, 0, "c", 5, A);
    while registrar.poll_change().is_some() {}
    let again = register(&mut registrar, 0, "c", 5, A);
    assert_eq!(first, again);
    let later = register(&mut registrar, 100, "c", 5, "Contact: <sip:a@192.0.2.1>;expires=7000;q=0.1");
    assert_eq!(later.headers(), format!("Contact: <sip:a@192.0.2.1>;expires=3500\r\n{SUPPORTED}"));
    assert_eq!(registrar.poll_change(), None);
    assert_eq!((registrar.counters().bound, registrar.counters().refreshed, registrar.counters().repeated), (1, 0, 2));
    // So is a removal that comes again.
    for _ in 0..2 {
        let gone = register(&mut registrar, 200, "c", 6, "Contact: <sip:a@192.0.2.1>;expires=0");
        assert_eq!((gone.status, gone.headers()), (200, SUPPORTED));
    }
    assert_eq!((registrar.len(), registrar.users(), registrar.counters().removed), (0, 0, 1));
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
#[test]
fn requests_of_one_call_id_are_carried_out_in_order() {
    let gone = "Contact: <sip:a@192.0.2.1>;expires=0";
    check("older", &[(0, "c", 5, A, 200, A_IS), (0, "c", 4, gone, 500, ""), (0, "c", 9, "", 200, A_IS)]);
    check("newer", &[(0, "c", 5, A, 200, A_IS), (0, "c", 6, gone, 200, "")]);
    check("other Call-ID", &[(0, "c", 5, A, 200, A_IS), (0, "d", 1, gone, 200, "")]);
    check("after its life", &[(0, "c", 5, A, 200, A_IS), (3_600, "c", 4, A, 200, A_IS)]);
    // Where one part is too old nothing is done.
    let both = "Contact: <sip:b@h>, <sip:a@192.0.2.1>;expires=0";
    check("all or nothing", &[(0, "c", 5, A, 200, A_IS), (0, "c", 4, both, 500, ""), (0, "d", 1, "", 200, A_IS)]);
}

#[test]
fn a_star_removes_everything_that_is_not_newer() {
    let star = "Contact: *\r\nExpires: 0";
    check("same Call-ID", &[(0, "c", 5, A, 200, A_IS), (0, "c", 6, star, 200, ""), (0, "c", 6, star, 200, "")]);
    check("other Call-ID", &[(0, "c", 5, A, 200, A_IS), (0, "d", 1, star, 200, "")]);
    check("too old", &[(0, "c", 5, A, 200, A_IS), (0, "c", 5, star, 500, ""), (0, "d", 1, "", 200, A_IS)]);
    for bad in ["Contact: *", "Contact: *\r\nExpires: 60", "Contact: *, <sip:a@h>\r\nExpires: 0"] {
        check(bad, &[(0, "c", 5, A, 200, A_IS), (0, "c", 6, bad, 400, ""), (0, "c", 7, "", 200, A_IS)]);
    }
}

#[test]
fn what_is_malformed_is_refused() {
    let long = format!("Contact: <sip:{}@h>", "a".repeat(1_100));
    let longer = format!("{A}Path: <sip:{}@h;lr>", "a".repeat(4_096));
    for headers in [
        "Contact: <sip:a@h",
        "Contact: <a@h>",
        "Contact: <tel:+123>",
        "Contact: <mailto:a@h>",
        "Contact: <sip:a@h>;q=1.5",
        "Contact: <sip:a@h>;+sip.instance=\"urn:uuid:1\"",
        "Contact: <sip:a@h>;+sip.instance=\"<>\"",
        "Contact: <sip:a@h>;+sip.instance=\"<a b>\"",
        "Contact: <sip:a@h>;reg-id=0;+sip.instance=\"<urn:x>\"",
        "Contact: <sip:a@h>\r\nPath: <a>",
        "Contact: <sip:a@h>\r\nPath: <tel:1>",
        &long,
        &longer,
    ] {
        let mut registrar = registrar();
        let answer = register(&mut registrar, 0, "c", 1, headers);
        assert_eq!((answer.status, answer.headers(), registrar.len()), (400, "", 0), "{headers}");
    }
    let mut registrar = registrar();
    for headers in [
        "From: <sip:anna@example.org>\r\nTo: <sip:anna@example.org>\r\nCSeq: 1 REGISTER",
        "From: <sip:anna@example.org>\r\nTo: <sip:anna@example.org>\r\nCall-ID: c",
        "From: <sip:anna@example.org>\r\nTo: <sip:anna@example.org>\r\nCall-ID: c\r\nCSeq: x REGISTER",
        "To: <sip:anna@example.org>\r\nCall-ID: c\r\nCSeq: 1 REGISTER",
        "From: <sip:anna@example.org>\r\nTo: <anna>\r\nCall-ID: c\r\nCSeq: 1 REGISTER",
    ] {
        assert_eq!(send(&mut registrar, 0, AOR, headers).status, 400, "{headers}");
    }
    assert_eq!(registrar.counters().refused, 5);
}

#[test]
fn nobody_registers_somebody_else() {
    for (from, to, status) in [
        ("sip:anna@example.org", "sip:anna@EXAMPLE.org", 200),
        ("sips:anna@example.org", "sip:%61nna@198.51.100.1:5060;user=phone", 200),
        ("sip:anna@example.org", "sip:bert@example.org", 403),
        ("sip:bert@example.org", "sip:anna@example.org", 403),
        ("sip:anna@example.org", "sip:anna@example.com", 403),
        ("sip:anna@example.org", "sip:Anna@example.org", 403),
        ("tel:anna", "sip:anna@example.org", 400),
    ] {
        let headers = format!("From: <{from}>;tag=1\r\nTo: <{to}>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n{A}");
        assert_eq!(send(&mut registrar(), 0, AOR, &headers).status, status, "{from} {to}");
    }
}

#[test]
fn a_contact_that_leads_back_here_is_refused() {
    for (uri, status) in [
        ("sip:anna@example.org", 403),
        ("sips:%61nna@EXAMPLE.ORG;x=1", 403),
        ("sip:anna@198.51.100.1", 403),
        ("sip:bert@example.org;gr=urn:uuid:1", 403),
        ("sip:bert@example.org", 200),
        ("sip:anna@example.org:5080", 200),
        ("sip:anna@phone.example.org", 200),
    ] {
        let answer = register(&mut registrar(), 0, "c", 1, &format!("Contact: <{uri}>"));
        assert_eq!((answer.status, answer.refusal == Some(Refusal::Loop)), (status, status == 403), "{uri}");
    }
}

#[test]
fn a_user_has_so_many_contacts_and_no_more() {
    let mut registrar = registrar();
    assert_eq!(register(&mut registrar, 0, "c", 1, "Contact: <sip:1@h>, <sip:2@h>, <sip:3@h>").status, 200);
    let answer = register(&mut registrar, 0, "c", 2, "Contact: <sip:4@h>");
    assert_eq!((answer.status, answer.headers(), answer.refusal.as_ref()), (403, "", Some(&Refusal::TooManyContacts)));
    assert_eq!(register(&mut registrar, 0, "c", 3, "Contact: <sip:3@h>").status, 200, "a refresh is no addition");
    assert_eq!(register(&mut registrar, 0, "c", 4, "Contact: <sip:4@h>, <sip:1@h>;expires=0").status, 200);
    assert_eq!(contacts(&registrar, 0), ["sip:4@h", "sip:3@h", "sip:2@h"]);
    assert_eq!(register(&mut registrar, 4_000, "c", 5, "Contact: <sip:5@h>").status, 200, "the others have expired");
    assert_eq!((contacts(&registrar, 4_000), registrar.len()), (vec!["sip:5@h"], 1));
    for (count, status) in [(6, 200), (7, 403)] {
        let gone = "Contact: <sip:x@h>;expires=0\r\n".repeat(count);
        assert_eq!(register(&mut registrar, 4_000, "d", 1, &gone).status, status, "a request speaks of {count}");
    }
}

#[test]
fn a_registrar_that_is_full_says_when_to_ask_again() {
    let mut registrar = registrar();
    for user in ["1", "2", "3", "4", "5"] {
        let party = format!("<sip:{user}@example.org>");
        let headers = format!("From: {party}\r\nTo: {party}\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n{A}");
        let answer = send(&mut registrar, 0, &format!("{user}@example.org"), &headers);
        let expected =
            if user == "5" { (503, "Retry-After: 120\r\n".to_owned()) } else { (200, format!("{A_IS}{SUPPORTED}")) };
        assert_eq!((answer.status, answer.headers().to_owned()), expected);
    }
    assert_eq!((registrar.len(), registrar.users()), (4, 4));
}

#[test]
fn an_extension_that_is_not_offered_is_refused_when_it_is_required() {
    let mut registrar = registrar();
    let answer = register(&mut registrar, 0, "c", 1, &format!("{A}Require: path, foo\r\nRequire: gruu, bar"));
    assert_eq!((answer.status, answer.headers()), (420, "Unsupported: foo, bar\r\n"));
    assert_eq!(register(&mut registrar, 0, "c", 2, &format!("{A}Require: path")).status, 200);
    registrar.configure(RegistrarConfig { gruu: false, outbound: false, ..RegistrarConfig::default() });
    let answer = register(&mut registrar, 0, "c", 3, &format!("{A}Require: gruu"));
    assert_eq!((answer.status, answer.headers()), (420, "Unsupported: gruu\r\n"));
    assert_eq!(register(&mut registrar, 0, "c", 4, A).headers(), format!("{A_IS}Supported: path\r\n"));
}

#[test]
fn contacts_are_ordered_by_priority_and_then_by_what_was_refreshed_last() {
    let mut registrar = registrar();
    register(&mut registrar, 0, "c", 1, "Contact: <sip:1@h>;q=0.5, <sip:2@h>;q=0.5, <sip:3@h>;q=0.7");
    assert_eq!(contacts(&registrar, 0), ["sip:3@h", "sip:2@h", "sip:1@h"]);
    register(&mut registrar, 1, "c", 2, "Contact: <sip:1@h>;q=0.5");
    assert_eq!(contacts(&registrar, 1), ["sip:3@h", "sip:1@h", "sip:2@h"]);
    register(&mut registrar, 2, "c", 3, "Contact: <sip:3@h>;q=0.0");
    assert_eq!(contacts(&registrar, 2), ["sip:1@h", "sip:2@h", "sip:3@h"]);
}

//= https://www.rfc-editor.org/rfc/rfc3327#section-5.3
//= type=test
#[test]
fn a_path_is_kept_and_shown_to_who_understands_it() {
    let path = "Path: <sip:p2@proxy.example;lr>,\r\n <sip:p1@edge.example;lr;ob>\r\nPath: sip:p0.example";
    let kept = "<sip:p2@proxy.example;lr>,<sip:p1@edge.example;lr;ob>,<sip:p0.example>";
    let mut registrar = registrar();
    let answer = register(&mut registrar, 0, "c", 1, &format!("{A}{path}\r\nSupported: path"));
    assert_eq!(answer.headers(), format!("{A_IS}Path: {kept}\r\n{SUPPORTED}"));
    let answer = register(&mut registrar, 0, "c", 2, &format!("{A}{path}"));
    assert_eq!(answer.headers(), format!("{A_IS}{SUPPORTED}"));
    assert_eq!(registrar.contacts(START, AOR).map(|contact| contact.path).collect::<Vec<_>>(), [kept]);
    register(&mut registrar, 0, "c", 3, A);
    assert_eq!(registrar.contacts(START, AOR).map(|contact| contact.path).collect::<Vec<_>>(), [""]);
}

#[test]
fn a_service_route_is_told_with_every_200() {
    let config = RegistrarConfig { service_route: Some("<sip:example.org;lr>".into()), ..RegistrarConfig::default() };
    let mut registrar = Registrar::new(config, [7; 16]);
    let answer = register(&mut registrar, 0, "c", 1, A);
    assert_eq!(answer.headers(), format!("{A_IS}Service-Route: <sip:example.org;lr>\r\n{SUPPORTED}"));
}

#[test]
fn the_answer_is_written_into_a_response() {
    let mut registrar = registrar();
    let answer = register(&mut registrar, 0, "c", 1, A);
    let mut writer = sx_sip::message::Writer::response(answer.status, "");
    answer.write(&mut writer);
    let expected = format!("SIP/2.0 200 OK\r\n{A_IS}{SUPPORTED}Content-Length: 0\r\n\r\n");
    assert_eq!(&writer.finish(None)[..], expected.as_bytes());
}

#[test]
fn a_part_of_a_second_is_the_clients() {
    let mut registrar = registrar();
    let text = format!(
        "REGISTER sip:example.org SIP/2.0\r\nFrom: <sip:{AOR}>\r\nTo: <sip:{AOR}>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:a@h>;expires=60\r\n\r\n"
    );
    let now = START + Duration::from_millis(900);
    let answer = registrar.register(now, AOR, flow(), &Message::parse(text.as_bytes()).expect("well formed"));
    assert!(answer.headers().starts_with("Contact: <sip:a@h>;expires=60\r\n"));
    assert!(registrar.knows(START + Duration::from_millis(60_950), AOR));
    assert!(!registrar.knows(START + Duration::from_millis(61_000), AOR));
}
