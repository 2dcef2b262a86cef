//! Calls and messages between users, and what is refused at the edge.

mod driver;

use bytes::Bytes;
use driver::{Bench, Manner, PASSWORD, Scripted, USERS_ONLY, body, named, uri, value};
use sx_sip::digest::Credentials;
use sx_sip::message::{HeaderName, Message, Method};
use sx_sip::session::SessionEvent;

fn alice_and_bob(bob: Manner) -> Bench {
    let mut bench = Bench::new(USERS_ONLY);
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", bob);
    bench
}

#[test]
fn a_user_calls_a_user() {
    let mut bench = alice_and_bob(Manner::Answers);
    let session = bench.dial("alice", "sip:bob@example.org");
    assert_eq!(bench.statuses("alice", "INVITE"), [407, 180, 200]);
    let invite = bench.requests("bob", Method::Invite).remove(0);
    assert_eq!(uri(&invite), "sip:bob@192.0.2.12:5060");
    assert_eq!(named(&invite, "Proxy-Authorization"), "");
    bench.hang_up("alice", session);
    bench.assert_over(1);
    assert_eq!(bench.ended()[0].caller.to_string(), "alice@example.org");
}

#[test]
fn from_says_who_has_authenticated_whatever_the_caller_says() {
    let mut bench = alice_and_bob(Manner::Answers);
    let session = bench.dial_with("alice", "sip:bob@example.org", |spec| spec.from = "<sip:carol@example.org>".into());
    let invite = bench.requests("bob", Method::Invite).remove(0);
    assert!(value(&invite, HeaderName::From).starts_with("<sip:alice@example.org>;tag="));
    bench.hang_up("alice", session);
    bench.assert_over(1);
}

#[test]
fn a_caller_with_a_wrong_password_is_refused() {
    let mut bench = alice_and_bob(Manner::Answers);
    bench.dial_with("alice", "sip:bob@example.org", |spec| {
        spec.credentials = Some(std::sync::Arc::new(Credentials { username: "alice".into(), password: "no".into() }));
    });
    assert_eq!(bench.statuses("alice", "INVITE"), [407, 403]);
    assert!(bench.requests("bob", Method::Invite).is_empty());
    bench.assert_over(0);
}

#[test]
fn credentials_for_one_number_do_not_call_another() {
    for (named, called) in [
        ("sip:carol@example.org", false),
        ("sip:192.0.2.99", false),
        ("sip:bob@example.org;transport=udp", true),
        ("sip:192.0.2.1:5060", true),
    ] {
        let mut bench = alice_and_bob(Manner::Answers);
        let invite = |seq: u32, line: &str| {
            format!(
                "INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.11:5060;branch=z9hG4bKraw{seq}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.org>\r\n\
                 Call-ID: raw\r\nCSeq: {seq} INVITE\r\nContact: <sip:alice@192.0.2.11>\r\n{line}Content-Length: 0\r\n\r\n"
            )
        };
        let challenge = bench.send_raw("alice", &invite(1, "")).remove(0);
        let offered = Credentials::choose(challenge.values(HeaderName::ProxyAuthenticate)).expect("a challenge");
        let credentials = Credentials { username: "alice".into(), password: PASSWORD.into() };
        let answer = credentials.answer(&offered, "INVITE", named, 1, "c").expect("known");
        let answers = bench.send_raw("alice", &invite(2, &format!("Proxy-Authorization: {answer}\r\n")));
        assert_eq!(answers.iter().any(|answer| answer.status() == Some(403)), !called, "{named}");
        assert_eq!(bench.requests("bob", Method::Invite).is_empty(), !called, "{named}");
    }
}

#[test]
fn of_two_telephones_that_ring_one_answers_and_the_other_is_cancelled() {
    let mut bench = alice_and_bob(Manner::Rings);
    bench.peer("desk", "192.0.2.13:5060", Manner::Rings);
    assert_eq!(bench.register("desk", "bob", PASSWORD), 200);
    let session = bench.dial("alice", "sip:bob@example.org");
    assert_eq!(bench.requests("bob", Method::Invite).len(), 1);
    let ringing = bench.who("desk").invited[0];
    bench.act("desk", |peer, now| {
        let answer = peer.describe("sendrecv");
        peer.agent.answer(now, ringing, Some(answer), &[]);
    });
    assert_eq!(bench.statuses("alice", "INVITE").last(), Some(&200));
    assert_eq!(bench.statuses("alice", "INVITE").iter().filter(|s| **s >= 200 && **s != 407).count(), 1);
    let cancels = bench.requests("bob", Method::Cancel);
    assert_eq!(cancels.len(), 1);
    assert_eq!(named(&cancels[0], "Reason"), "SIP;cause=200;text=\"Call completed elsewhere\"");
    assert_eq!(bench.requests("bob", Method::Ack).len(), 1, "of the 487");
    assert!(bench.requests("desk", Method::Cancel).is_empty());
    bench.hang_up("alice", session);
    bench.assert_over(1);
    assert_eq!(bench.ended()[0].attempts.len(), 2);
}

#[test]
fn nobody_is_reached_where_nobody_is_registered() {
    let mut bench = alice_and_bob(Manner::Answers);
    for (uri, status) in [("sip:carol@example.org", 480), ("sip:nobody@example.org", 404), ("sip:carol@192.0.2.1", 480)]
    {
        bench.dial("alice", uri);
        assert_eq!(bench.statuses("alice", "INVITE").last(), Some(&status), "{uri}");
    }
    bench.assert_over(3);
}

#[test]
fn a_telephone_number_in_a_tel_uri_is_routed_as_one_of_ours() {
    let config = format!(
        "{USERS_ONLY}[[trunk]]\nname = \"east\"\naddresses = [\"sip:192.0.2.20\"]\noptions_interval_s = 0\n\
         [[route]]\nname = \"out\"\nprefix = \"+49\"\nto = [{{ trunk = \"east\" }}]\n"
    );
    let mut bench = Bench::new(&config);
    bench.phone("alice", "192.0.2.11:5060", Manner::Silent);
    bench.peer("east", "192.0.2.20:5060", Manner::Answers);
    let session = bench.dial("alice", "tel:+49-30-1234");
    assert_eq!(bench.statuses("alice", "INVITE"), [407, 180, 200]);
    assert_eq!(uri(&bench.requests("east", Method::Invite)[0]), "sip:+49301234@192.0.2.20");
    bench.hang_up("alice", session);
    bench.assert_over(1);
}

/// A request outside of a dialog, with further lines.
fn request(method: &str, uri: &str, hops: u32, lines: &str, body: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.11:5060;branch=z9hG4bK{method}{hops}{}\r\n\
         Max-Forwards: {hops}\r\nFrom: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.org>\r\n\
         Call-ID: raw-{method}\r\nCSeq: 1 {method}\r\nContact: <sip:alice@192.0.2.11>\r\n{lines}\
         Content-Length: {}\r\n\r\n{body}",
        lines.len(),
        body.len()
    )
}

#[test]
fn what_cannot_be_served_is_refused_with_its_status() {
    let mut bench = Bench::new(&format!("{USERS_ONLY}[danger]\nunauthenticated_calls = true\n"));
    bench.peer("alice", "192.0.2.11:5060", Manner::Silent);
    let bob = "sip:bob@example.org";
    let in_dialog =
        request("BYE", bob, 70, "", "").replace("To: <sip:bob@example.org>", "To: <sip:bob@example.org>;tag=x");
    for (text, status, header, contains) in [
        (request("INVITE", bob, 0, "", ""), 483, "Warning", "Max-Forwards"),
        (request("INVITE", "http://example.org/", 70, "", ""), 416, "Warning", "sip"),
        (request("INVITE", bob, 70, "Proxy-Require: foo\r\n", ""), 420, "Unsupported", "foo"),
        (request("INVITE", bob, 70, "Require: bar\r\n", ""), 420, "Unsupported", "bar"),
        (request("INVITE", bob, 70, "Content-Type: text/plain\r\n", "hello"), 415, "Accept", "application/sdp"),
        (request("SUBSCRIBE", bob, 70, "Event: presence\r\n", ""), 489, "Allow-Events", ""),
        (request("PUBLISH", bob, 70, "Event: presence\r\n", ""), 489, "Allow-Events", ""),
        (request("DANCE", bob, 70, "", ""), 405, "Allow", "INVITE"),
        (request("BYE", bob, 70, "", ""), 481, "To", "tag="),
        (in_dialog, 481, "To", "tag=x"),
        (request("OPTIONS", bob, 70, "", ""), 200, "Allow", "INVITE"),
        (request("OPTIONS", bob, 0, "", ""), 483, "Warning", "Max-Forwards"),
        (
            request("OPTIONS", bob, 70, "Require: TIMER, bar, path\r\nRequire: foo\r\n", ""),
            420,
            "Unsupported",
            "bar, foo",
        ),
        (request("OPTIONS", bob, 69, "Require: 100rel, outbound\r\n", ""), 200, "Allow", "INVITE"),
        (request("MESSAGE", bob, 70, "Require: bar\r\n", ""), 420, "Unsupported", "bar"),
    ] {
        let answers = bench.send_raw("alice", &text);
        let statuses: Vec<u16> = answers.iter().filter_map(Message::status).collect();
        assert_eq!(statuses, [status], "{text}");
        assert!(named(&answers[0], header).contains(contains), "{header} of\n{}", driver::text(&answers[0]));
    }
    bench.assert_over(0);
}

/// How often something was refused, by the label of the metric.
fn refused(bench: &Bench, label: &str) -> u64 {
    let place = sx_exchange::REFUSALS.iter().position(|(_, name)| *name == label).expect("a label");
    bench.workers[0].counts().refused[place].load(std::sync::atomic::Ordering::Relaxed)
}

#[test]
fn what_is_refused_is_counted_by_its_reason() {
    let mut bench = Bench::new(&format!("{USERS_ONLY}[danger]\nunauthenticated_calls = true\n"));
    bench.peer("alice", "192.0.2.11:5060", Manner::Silent);
    for (lines, body, status, label) in [
        ("Require: bar\r\n", "", 420, "bad_extension"),
        ("Accept: text/plain\r\n", "", 406, "not_acceptable"),
        ("Content-Type: text/plain\r\n", "hello", 415, "unsupported_media"),
        ("Supported: timer\r\nSession-Expires: 10\r\n", "", 422, "interval_too_small"),
    ] {
        let answers = bench.send_raw("alice", &request("INVITE", "sip:bob@example.org", 70, lines, body));
        assert_eq!(answers[0].status(), Some(status), "{lines}");
        assert_eq!(refused(&bench, label), 1, "{label}");
    }
    bench.tell(0, sx_exchange::Input::Command(sx_call::Command::Drain));
    bench.send_raw("alice", &request("INVITE", "sip:bob@example.org", 69, "", ""));
    assert_eq!((refused(&bench, "draining"), refused(&bench, "overload")), (1, 0));
    let before = bench.workers[0].counts().messages_sent.load(std::sync::atomic::Ordering::Relaxed);
    bench.send_raw("alice", &request("OPTIONS", "sip:bob@example.org", 68, "", ""));
    let after = bench.workers[0].counts().messages_sent.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(after - before, 1, "an answer is sent once and counted once");
}

#[test]
fn a_body_that_need_not_be_understood_does_not_keep_a_call_from_its_way() {
    let mut bench = Bench::new(&format!("{USERS_ONLY}[danger]\nunauthenticated_calls = true\n"));
    bench.peer("alice", "192.0.2.11:5060", Manner::Silent);
    let lines = "Content-Type: text/plain\r\nContent-Disposition: icon;handling=optional\r\n";
    let answers = bench.send_raw("alice", &request("INVITE", "sip:bob@example.org", 70, lines, "hello"));
    assert_eq!(answers.last().and_then(Message::status), Some(480), "nobody is registered, which is all that is wrong");
}

#[test]
fn garbage_is_dropped_or_refused_and_harms_nothing() {
    let mut bench = alice_and_bob(Manner::Answers);
    for text in ["", "\r\n\r\n", "hello", "INVITE sip:x SIP/2.0\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n", "\0\0\0"] {
        assert!(bench.send_raw("alice", text).is_empty(), "{text:?}");
    }
    let another_method = request("OPTIONS", "sip:bob@example.org", 70, "", "").replace("1 OPTIONS", "1 INFO");
    assert_eq!(bench.send_raw("alice", &another_method)[0].status(), Some(400));
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.hang_up("alice", session);
    bench.assert_over(1);
}

fn message(bench: &mut Bench, uri: &str) -> u16 {
    bench.act("alice", |peer, now| {
        let mut spec = peer.request(Method::Message, uri, vec![("X-Tone".into(), "kind".into())]);
        spec.body = Some(("text/plain".into(), Bytes::from_static(b"hello")));
        peer.agent.request(now, 1, spec);
    });
    bench.who("alice").replies.pop().expect("an answer").0
}

#[test]
fn a_message_goes_on_to_the_users_telephone() {
    let mut bench = alice_and_bob(Manner::Answers);
    assert_eq!(message(&mut bench, "sip:bob@example.org"), 200);
    let received = bench.requests("bob", Method::Message).remove(0);
    assert_eq!((uri(&received).as_str(), body(&received).as_str()), ("sip:bob@192.0.2.12:5060", "hello"));
    assert_eq!(named(&received, "X-Tone"), "kind");
    assert!(!driver::text(&received).contains("192.0.2.11"), "{}", driver::text(&received));
    assert_eq!(message(&mut bench, "sip:carol@example.org"), 480);
    assert_eq!(message(&mut bench, "sip:nobody@example.org"), 404);
    assert_eq!(message(&mut bench, "sip:bob@example.net"), 404);
    bench.assert_over(0);
}

#[test]
fn a_message_from_a_trunk_gives_the_telephone_nothing_of_the_trunks() {
    let config = format!(
        "{USERS_ONLY}[[trunk]]\nname = \"east\"\nsources = [\"192.0.2.20\"]\nusername = \"we\"\n\
         password = {{ env = \"PROVIDER_PASSWORD\" }}\n[trunk.headers]\npass = [\"X-*\", \"Secret\"]\n"
    );
    let mut bench = Bench::new(&config);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    bench.peer("east", "192.0.2.20:5060", Manner::Answers);
    let challenge = "Digest realm=\"bob\", nonce=\"1\", algorithm=MD5".to_owned();
    bench.who("bob").script.push_back(Scripted { status: 401, headers: vec![("WWW-Authenticate", challenge)] });
    bench.act("east", |peer, now| {
        let lines =
            vec![("Privacy".into(), "id".into()), ("X-Tone".into(), "kind".into()), ("Secret".into(), "kept".into())];
        let mut spec = peer.request(Method::Message, "sip:bob@example.org", lines);
        spec.body = Some(("text/plain".into(), Bytes::from_static(b"hello")));
        peer.agent.request(now, 1, spec);
    });
    let (status, answer) = bench.who("east").replies.pop().expect("an answer");
    assert_eq!(status, 502, "{answer}");
    assert!(answer.starts_with("SIP/2.0 502 Bad Gateway\r\n"), "{answer}");
    let received = bench.requests("bob", Method::Message);
    assert_eq!(received.len(), 1, "bob's challenge is not answered for the trunk");
    assert!(value(&received[0], HeaderName::From).contains("anonymous"), "{}", driver::text(&received[0]));
    assert_eq!((named(&received[0], "X-Tone").as_str(), named(&received[0], "Secret").as_str()), ("kind", ""));
    bench.assert_over(0);
}

#[test]
fn a_message_with_a_body_of_no_type_is_refused() {
    let mut bench = Bench::new(&format!("{USERS_ONLY}[danger]\nunauthenticated_calls = true\n"));
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    bench.peer("alice", "192.0.2.11:5060", Manner::Silent);
    let answers = bench.send_raw("alice", &request("MESSAGE", "sip:bob@example.org", 70, "", "hello"));
    assert_eq!(answers.last().and_then(Message::status), Some(400));
    assert!(bench.requests("bob", Method::Message).is_empty());
}

#[test]
fn a_key_press_in_an_info_reaches_the_other_side() {
    let mut bench = alice_and_bob(Manner::Answers);
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.act("alice", |peer, now| {
        peer.agent.info(now, session, "application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n");
    });
    assert_eq!(bench.statuses("alice", "INFO"), [200]);
    let heard =
        |event: &SessionEvent| matches!(event, SessionEvent::Info { body, .. } if body.starts_with(b"Signal=5"));
    assert!(bench.who("bob").has(heard));
    bench.hang_up("alice", session);
    bench.assert_over(1);
}
