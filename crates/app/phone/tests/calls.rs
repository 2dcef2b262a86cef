//! Two telephones call each other: what is heard, what is told, and how it ends.

mod bed;

use bed::{ALICE_HZ, BOB_HZ, alice, bob, expect, in_a_call, start, until_hears};
use std::time::Duration;
use sx_codec::{Law, hears};
use sx_phone::{AnswerMode, AudioSource, DtmfMode, Phone, PhoneConfig, PhoneEvent};
use sx_types::{Codec, Transport};

fn each_hears_the_other_and_not_itself(transport: Transport) {
    let (alice, bob) = in_a_call(transport);
    let at_alice = until_hears(&alice, BOB_HZ, true);
    let at_bob = until_hears(&bob, ALICE_HZ, true);
    assert!(!hears(&at_alice, ALICE_HZ) && !hears(&at_bob, BOB_HZ));
    alice.hangup();
    let ended = expect(&alice, PhoneEvent::is_end);
    assert!(matches!(ended, PhoneEvent::Ended { status: 0, by_peer: false, .. }), "{ended:?}");
    let ended = expect(&bob, PhoneEvent::is_end);
    let reason = "Normal call clearing".to_owned();
    assert_eq!(ended, PhoneEvent::Ended { status: 0, reason, by_peer: true });
    let (sent, received) = (alice.stats().packets_sent, bob.stats().packets_received);
    assert!(received > 0 && received <= sent, "{received} of {sent}");
}

#[test]
fn over_udp_each_hears_the_other_and_not_itself() {
    each_hears_the_other_and_not_itself(Transport::Udp);
}

#[test]
fn over_tcp_each_hears_the_other_and_not_itself() {
    each_hears_the_other_and_not_itself(Transport::Tcp);
}

#[test]
fn the_caller_is_told_each_step_in_order() {
    let bob = start(PhoneConfig { answer: AnswerMode::Manual, codecs: vec![Law::Mu], ..bob(Transport::Udp) });
    let alice = start(PhoneConfig { display: Some("A \"1\"".into()), ..alice(Transport::Udp, bob.address()) });
    alice.call("sip:bob@example.com");
    let incoming = expect(&bob, |_| true);
    let (from, to) = ("A \"1\" <sip:alice@example.com>".to_owned(), "sip:bob@example.com".to_owned());
    assert_eq!(incoming, PhoneEvent::Incoming { from, to });
    expect(&alice, |event| *event == PhoneEvent::Progress { status: 180 });
    bob.answer();
    expect(&bob, |event| *event == PhoneEvent::Answered { codec: Codec::Pcmu });
    expect(&bob, |event| *event == PhoneEvent::Established);
    assert_eq!(expect(&alice, |_| true), PhoneEvent::Answered { codec: Codec::Pcmu });
    assert_eq!(expect(&alice, |_| true), PhoneEvent::Established);
    bob.hangup();
    expect(&alice, |event| matches!(event, PhoneEvent::Ended { by_peer: true, .. }));
}

fn keys_arrive_once(mode: DtmfMode) {
    let (alice, bob) = in_a_call(Transport::Udp);
    alice.send_dtmf("12x2#", mode);
    for key in ['1', '2', '2', '#'] {
        assert_eq!(expect(&bob, |event| matches!(event, PhoneEvent::Digit(_))), PhoneEvent::Digit(key));
    }
    bob.send_dtmf("a", mode);
    assert_eq!(expect(&alice, |event| matches!(event, PhoneEvent::Digit(_))), PhoneEvent::Digit('A'));
    alice.hangup();
    let mut more = 0;
    expect(&bob, |event| {
        more += u32::from(matches!(event, PhoneEvent::Digit(_)));
        event.is_end()
    });
    assert_eq!(more, 0);
}

#[test]
fn keys_as_telephone_events_arrive_once() {
    keys_arrive_once(DtmfMode::Rtp);
}

#[test]
fn keys_in_info_arrive_once() {
    keys_arrive_once(DtmfMode::Info);
}

#[test]
fn who_is_held_hears_silence_until_resumed() {
    let (alice, bob) = in_a_call(Transport::Udp);
    until_hears(&bob, ALICE_HZ, true);
    alice.hold();
    expect(&alice, |event| *event == PhoneEvent::Held { by_peer: false });
    expect(&bob, |event| *event == PhoneEvent::Held { by_peer: true });
    until_hears(&bob, ALICE_HZ, false);
    alice.resume();
    expect(&alice, |event| *event == PhoneEvent::Resumed { by_peer: false });
    expect(&bob, |event| *event == PhoneEvent::Resumed { by_peer: true });
    until_hears(&bob, ALICE_HZ, true);
    until_hears(&alice, BOB_HZ, true);
}

#[test]
fn who_holds_hears_nothing() {
    let (alice, bob) = in_a_call(Transport::Udp);
    until_hears(&alice, BOB_HZ, true);
    alice.hold();
    expect(&alice, |event| *event == PhoneEvent::Held { by_peer: false });
    let before = alice.heard().len();
    until_hears(&bob, ALICE_HZ, false);
    let after = alice.heard().len();
    assert!(after - before < 800, "{} samples", after - before);
}

#[test]
fn the_recording_has_the_tone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("heard.wav");
    let bob = start(bob(Transport::Udp));
    let alice = start(PhoneConfig { record: Some(path.clone()), ..alice(Transport::Udp, bob.address()) });
    alice.call("bob");
    until_hears(&alice, BOB_HZ, true);
    alice.hangup();
    expect(&alice, PhoneEvent::is_end);
    let heard = alice.heard();
    alice.stop();
    let mut reader = hound::WavReader::open(&path).expect("a WAV file");
    assert_eq!((reader.spec().sample_rate, reader.spec().channels), (8_000, 1));
    let recorded: Vec<i16> = reader.samples().collect::<Result<_, _>>().expect("samples");
    assert_eq!(recorded, heard);
    assert!(hears(&recorded, BOB_HZ) && !hears(&recorded, ALICE_HZ));

    // What was recorded can be played.
    let carol = start(PhoneConfig { source: AudioSource::Wav(path), ..bed::alice(Transport::Udp, bob.address()) });
    carol.call("bob");
    until_hears(&bob, BOB_HZ, true);
}

#[test]
fn a_busy_telephone_refuses_with_486() {
    let (alice, bob) = in_a_call(Transport::Udp);
    let carol = start(bed::alice(Transport::Udp, bob.address()));
    carol.call("bob");
    let refused = expect(&carol, PhoneEvent::is_end);
    assert_eq!(refused, PhoneEvent::Refused { status: 486, reason: "Busy Here".into(), warning: None });
    until_hears(&alice, BOB_HZ, true);
}

#[test]
fn nothing_in_common_is_488() {
    let bob = start(PhoneConfig { codecs: vec![Law::Mu], ..bob(Transport::Udp) });
    let alice = start(PhoneConfig { codecs: vec![Law::A], ..alice(Transport::Udp, bob.address()) });
    alice.call("bob");
    assert!(matches!(expect(&alice, PhoneEvent::is_end), PhoneEvent::Refused { status: 488, .. }));
}

#[test]
fn a_call_that_is_given_up_ends_on_both_sides() {
    let bob = start(PhoneConfig { answer: AnswerMode::Manual, ..bob(Transport::Tcp) });
    let alice = start(alice(Transport::Tcp, bob.address()));
    alice.call("bob");
    expect(&alice, |event| *event == PhoneEvent::Progress { status: 180 });
    alice.hangup();
    assert!(matches!(expect(&alice, PhoneEvent::is_end), PhoneEvent::Ended { by_peer: false, .. }));
    assert!(matches!(expect(&bob, PhoneEvent::is_end), PhoneEvent::Ended { status: 487, by_peer: true, .. }));
}

#[test]
fn a_call_that_is_declined_is_refused() {
    let bob = start(PhoneConfig { answer: AnswerMode::Manual, ..bob(Transport::Udp) });
    let alice = start(alice(Transport::Udp, bob.address()));
    alice.call("bob");
    expect(&bob, |event| matches!(event, PhoneEvent::Incoming { .. }));
    bob.reject(603);
    assert!(matches!(expect(&alice, PhoneEvent::is_end), PhoneEvent::Refused { status: 603, .. }));
    assert!(matches!(expect(&bob, PhoneEvent::is_end), PhoneEvent::Ended { status: 603, by_peer: false, .. }));
}

#[test]
fn stopping_hangs_up() {
    let (alice, bob) = in_a_call(Transport::Tcp);
    alice.stop();
    expect(&bob, PhoneEvent::is_end);
}

#[test]
fn nobody_there_is_503_over_tcp() {
    let gone = start(bob(Transport::Tcp));
    let address = gone.address();
    gone.stop();
    let alice = start(alice(Transport::Tcp, address));
    alice.call("bob");
    assert!(matches!(expect(&alice, PhoneEvent::is_end), PhoneEvent::Refused { status: 503, .. }));
}

#[test]
fn a_malformed_number_is_refused_at_once() {
    let alice = start(alice(Transport::Udp, "127.0.0.1:9".parse().expect("an address")));
    alice.call("sip:bob@exa mple.com\r\nX: y");
    assert!(matches!(expect(&alice, PhoneEvent::is_end), PhoneEvent::Refused { status: 400, .. }));
    assert!(alice.trace().is_empty());
}

#[test]
fn the_trace_is_the_ladder_of_the_call() {
    let (alice, bob) = in_a_call(Transport::Tcp);
    alice.hangup();
    expect(&bob, PhoneEvent::is_end);
    alice.stop();
    let ladder = |phone: &Phone| -> Vec<String> {
        let word = |line: &str| line.strip_prefix("SIP/2.0 ").unwrap_or(line)[..3].to_owned();
        let arrow = |sent| if sent { ">" } else { "<" };
        let trace = phone.trace();
        trace.iter().map(|entry| arrow(entry.sent).to_owned() + &word(&entry.first_line)).collect()
    };
    assert_eq!(ladder(&bob)[..4], ["<INV", ">200", "<ACK", "<BYE"], "{:?}", ladder(&bob));
}

#[test]
fn an_unheard_wait_ends_in_time() {
    let alice = start(alice(Transport::Udp, "127.0.0.1:9".parse().expect("an address")));
    let error = alice.wait_for(|_| true, Duration::from_millis(1)).expect_err("nothing happens");
    assert!(error.seen().is_empty());
    assert!(alice.wait_registered(Duration::from_millis(1)).is_err());
}
