//! The codecs that a trunk may have.

mod driver;

use driver::{Bench, Manner, TRUNKS, body, named, with_east, with_reserve};
use sx_sip::message::{Method, OwnedMessage};

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
    let mut bench = Bench::two_trunks(&config, Manner::Answers);
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
        let mut bench = Bench::two_trunks(config, Manner::Answers);
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
    let mut bench = Bench::two_trunks(&config, Manner::Answers);
    bench.peer("south", "192.0.2.30:5060", Manner::Answers);
    bench.dial("west", "sip:0123@192.0.2.1");
    assert!(bench.requests("east", Method::Invite).is_empty());
    assert_eq!(bench.statuses("west", "INVITE").last(), Some(&200), "{}", bench.ladder());
}

#[test]
fn keys_of_srtp_that_do_not_fit_are_not_told_as_a_codec() {
    let config = TRUNKS.replace("options_interval_s = 0\n", "options_interval_s = 0\nsrtp = \"required\"\n");
    let mut bench = Bench::two_trunks(&config, Manner::Answers);
    // West has to be protected, and brings no key.
    bench.dial_with("west", "sip:0123@192.0.2.1", |spec| spec.offer = Some(offering("0")));
    bench.pass_s(1);
    assert_eq!(bench.statuses("west", "INVITE").last(), Some(&488), "{}", bench.ladder());
    assert_eq!(bench.last_recorded("rejected")["reason"], "the keys of SRTP that are offered do not fit");
    assert!(bench.requests("east", Method::Invite).is_empty());
    // East is offered keys and answers in the clear.
    let only_east = with_east("srtp = \"required\"");
    let mut bench = Bench::two_trunks(&only_east, Manner::Answers);
    bench.dial_with("west", "sip:0123@192.0.2.1", |spec| spec.offer = Some(offering("0")));
    bench.pass_s(1);
    let told = bench.received("west").into_iter().rfind(|m| m.status() == Some(488)).expect("a refusal");
    assert!(named(&told, "Warning").contains("without a key of SRTP that fits"), "{}", bench.ladder());
}
