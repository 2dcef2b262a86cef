//! Telephones that register: with whom, for how long, and what happens when that does not go well.

mod bed;

use bed::registrar::{Policy, Registrar, certificate};
use bed::{PATIENCE, expect, start, telephone};
use std::time::Duration;
use sx_phone::{AnswerMode, PhoneConfig, PhoneEvent, Tls, TrustAnchors, WaitError};
use sx_sip::digest::Algorithm;
use sx_types::Transport;

fn alice(transport: Transport, registrar: &Registrar) -> PhoneConfig {
    PhoneConfig {
        password: Some("secret".into()),
        register: Some(300),
        answer: AnswerMode::Auto { after: Duration::ZERO },
        ..telephone(transport, registrar.address, "alice")
    }
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let line = request.lines().find(|line| line.starts_with(name)).expect("the header");
    line[name.len() + 1..].trim()
}

#[test]
fn challenges_of_both_algorithms_are_answered() {
    for (challenges, chosen) in [
        (vec![Algorithm::Md5], "algorithm=MD5"),
        (vec![Algorithm::Sha256], "algorithm=SHA-256"),
        (vec![Algorithm::Md5, Algorithm::Sha256], "algorithm=SHA-256"),
    ] {
        let policy = Policy { challenges, ..Policy::default() };
        let registrar = Registrar::start(Transport::Udp, policy, None);
        let alice = start(alice(Transport::Udp, &registrar));
        assert_eq!(alice.wait_registered(PATIENCE), Ok(60));
        let first = registrar.next("REGISTER sip:example.com SIP/2.0");
        let contact = format!("<sip:alice@{}>;expires=300;+sip.instance=\"<urn:uuid:", alice.address());
        assert!(header(&first, "Contact").starts_with(&contact), "{first}");
        let second = registrar.next("REGISTER");
        assert!(header(&second, "Authorization").contains(chosen), "{second}");
        assert_eq!(header(&first, "Call-ID"), header(&second, "Call-ID"));
        alice.stop();
        assert!(header(&registrar.next("REGISTER"), "Contact").contains(";expires=0"));
    }
}

#[test]
fn a_wrong_password_is_told_once_and_not_tried_again() {
    let registrar = Registrar::start(Transport::Udp, Policy::default(), None);
    let alice = start(PhoneConfig { password: Some("guess".into()), ..alice(Transport::Udp, &registrar) });
    let failed = alice.wait_registered(PATIENCE);
    assert!(matches!(failed, Err(WaitError::NotRegistered { status: 401, .. })), "{failed:?}");
    alice.stop();
    assert_eq!(registrar.requests.try_iter().count(), 2);
}

#[test]
fn the_warning_of_a_refusal_is_told() {
    let policy = Policy { refusal: Some((403, "This user is locked")), ..Policy::default() };
    let registrar = Registrar::start(Transport::Tcp, policy, None);
    let alice = start(alice(Transport::Tcp, &registrar));
    let (reason, warning) = ("Forbidden".to_owned(), Some("This user is locked".to_owned()));
    let failed = alice.wait_registered(PATIENCE);
    assert_eq!(failed, Err(WaitError::NotRegistered { status: 403, reason, warning }));
}

#[test]
fn it_is_refreshed_before_it_expires() {
    let registrar = Registrar::start(Transport::Udp, Policy { expires: 2, ..Policy::default() }, None);
    let alice = start(alice(Transport::Udp, &registrar));
    for _ in 0..3 {
        assert_eq!(alice.wait_registered(PATIENCE), Ok(2));
    }
    let numbers: Vec<u32> = registrar
        .requests
        .try_iter()
        .map(|request| header(&request, "CSeq").split(' ').next().expect("a number").parse().expect("a number"))
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

#[test]
fn too_brief_a_lifetime_is_asked_for_again() {
    let policy = Policy { min_expires: 900, expires: 900, ..Policy::default() };
    let registrar = Registrar::start(Transport::Udp, policy, None);
    let alice = start(alice(Transport::Udp, &registrar));
    assert_eq!(alice.wait_registered(PATIENCE), Ok(900));
}

#[test]
fn a_call_comes_along_the_connection_of_the_registration() {
    let registrar = Registrar::start(Transport::Tcp, Policy::default(), None);
    let alice = start(alice(Transport::Tcp, &registrar));
    alice.wait_registered(PATIENCE).expect("registered");
    registrar.call_back();
    expect(&alice, |event| matches!(event, PhoneEvent::Incoming { .. }));
    expect(&alice, |event| *event == PhoneEvent::Established);
    alice.hangup();
    registrar.next("BYE");
}

#[test]
fn a_connection_that_is_cut_is_made_again() {
    let registrar = Registrar::start(Transport::Tcp, Policy::default(), None);
    let alice = start(alice(Transport::Tcp, &registrar));
    alice.wait_registered(PATIENCE).expect("registered");
    registrar.cut();
    alice.wait_registered(PATIENCE).expect("registered again");
    registrar.call_back();
    expect(&alice, |event| *event == PhoneEvent::Established);
}

#[test]
fn over_tls_the_server_must_be_the_one() {
    let (authority, identity) = certificate("example.com");
    let registrar = Registrar::start(Transport::Tls, Policy::default(), Some(identity));
    let with = |trust, name: Option<&str>| {
        let mut config = alice(Transport::Tls, &registrar);
        let name = name.map(Into::into);
        config.server.tls = Tls { name, trust, identity: None };
        start(config)
    };
    let trusting = with(TrustAnchors::Files(vec![authority.clone()]), None);
    trusting.wait_registered(PATIENCE).expect("registered");
    registrar.call_back();
    expect(&trusting, |event| *event == PhoneEvent::Established);

    let other = with(TrustAnchors::Files(vec![authority]), Some("other.example"));
    let failed = other.wait_registered(PATIENCE);
    let Err(WaitError::NotRegistered { status: 503, warning: Some(why), .. }) = failed else { panic!("{failed:?}") };
    assert!(why.contains("certificate carries another name"), "{why}");

    let careless = with(TrustAnchors::InsecureAcceptAny, Some("other.example"));
    careless.wait_registered(PATIENCE).expect("registered");
}

#[test]
fn stopping_while_it_registers_leaves_nothing_behind() {
    let registrar = Registrar::start(Transport::Udp, Policy::default(), None);
    start(alice(Transport::Udp, &registrar)).stop();
    let requests: Vec<String> = registrar.requests.try_iter().collect();
    let last = requests.last().expect("requests");
    assert!(header(last, "Contact").contains(";expires=0") && last.contains("Authorization: "), "{requests:#?}");
}
