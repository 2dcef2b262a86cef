//! Which DTLS handshakes parties and we agree on, by what they say and are told.

use bytes::Bytes;
use sx_engine::Rng;
use sx_media::{
    AssociationName, Handshake, Keyring, Keys, Means, MediaError, Terms, agreed_keys, check_answer, check_keys,
    in_the_clear, protect_answer, protect_offer,
};
use sx_types::{DtlsRole, Fingerprint, HashFunction, SrtpKeying, SrtpPolicy};

const CM_80: &str = "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

fn print(byte: u8) -> Fingerprint {
    Fingerprint::new(HashFunction::Sha256, &[byte; 32]).expect("its length")
}

fn means() -> Means {
    Means { certificate: Some(print(0xee)), ..Means::default() }
}

fn keyring(number: u64) -> Keyring {
    Keyring::new(&mut Rng::from_number(number), means())
}

fn sdp(profile: &str, attributes: &[&str]) -> Bytes {
    let lines: String = attributes.iter().map(|attribute| format!("a={attribute}\r\n")).collect();
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
    format!("{head}m=audio 4000 {profile} 8\r\n{lines}").into()
}

/// What a party says that has handshakes.
fn dtls(certificate: u8, setup: &str, more: &[&str]) -> Bytes {
    let (print, setup) = (format!("fingerprint:{}", print(certificate)), format!("setup:{setup}"));
    sdp("UDP/TLS/RTP/SAVPF", &[&[print.as_str(), &setup], more].concat())
}

fn terms(policy: SrtpPolicy) -> Terms {
    Terms { policy, keying: SrtpKeying::Dtls }
}

fn offered(policy: SrtpPolicy, said: Option<&Bytes>, told: Option<&Bytes>) -> Bytes {
    protect_offer(&sdp("RTP/AVP", &[]), said, told, terms(policy), &keyring(1)).expect("an offer")
}

fn answered(offer: &Bytes, told: Option<&Bytes>, said: Option<&Bytes>) -> Result<Bytes, MediaError> {
    protect_answer(&sdp("RTP/AVP", &[]), offer, (told, said), Terms::default(), &keyring(2))
}

fn agreed(told: &Bytes, said: &Bytes) -> Handshake {
    match agreed_keys(told, said, 0) {
        Ok(Some(Keys::Handshake(handshake))) => handshake,
        other => panic!("{other:?}"),
    }
}

fn value<'t>(text: &'t Bytes, name: &str) -> Option<&'t str> {
    let text = std::str::from_utf8(text).expect("UTF-8");
    text.lines().find_map(|line| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'))
}

#[test]
fn an_offer_of_a_handshake_is_answered_from_the_other_side() {
    for (theirs, ours, role) in [
        ("actpass", "passive", DtlsRole::Server),
        ("active", "passive", DtlsRole::Server),
        ("passive", "active", DtlsRole::Client),
    ] {
        let offer = dtls(1, theirs, &[]);
        let told = answered(&offer, None, None).expect("an answer");
        assert_eq!((value(&told, "setup"), value(&told, "tls-id")), (Some(ours), None));
        assert!(String::from_utf8_lossy(&told).contains("m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n"));
        let handshake = agreed(&told, &offer);
        assert_eq!((handshake.role, handshake.peer, handshake.ours), (role, vec![print(1)], print(0xee)));
    }
}

#[test]
fn what_cannot_be_had_is_refused() {
    let weak = sdp("UDP/TLS/RTP/SAVP", &["fingerprint:sha-1 AA:BB", "setup:actpass"]);
    for offer in [dtls(1, "holdconn", &[]), weak, sdp("UDP/TLS/RTP/SAVP", &["setup:actpass"])] {
        let expected = Err(MediaError::NoKey { stream: 0 });
        assert_eq!(answered(&offer, None, None), expected);
        assert_eq!(check_keys(&offer, Terms::default(), &means()), expected.map(|_| ()));
    }
    let off = Terms { policy: SrtpPolicy::Off, ..Terms::default() };
    assert_eq!(check_keys(&dtls(1, "actpass", &[]), off, &means()), Err(MediaError::NoKey { stream: 0 }));
    let none = Means { certificate: None, ..means() };
    assert!(check_keys(&dtls(1, "actpass", &[]), Terms::default(), &none).is_err());
    assert_eq!(check_keys(&dtls(1, "actpass", &[]), terms(SrtpPolicy::Required), &means()), Ok(()));
}

#[test]
fn each_policy_offers_what_it_says_and_either_answer_does() {
    for (policy, profile) in [(SrtpPolicy::Optional, "RTP/AVP"), (SrtpPolicy::Required, "UDP/TLS/RTP/SAVP")] {
        let told = offered(policy, None, None);
        let text = String::from_utf8_lossy(&told).into_owned();
        assert!(text.contains(&format!("m=audio 4000 {profile} 8\r\n")) && text.contains("a=rtcp-mux\r\n"), "{text}");
        assert_eq!(value(&told, "setup"), Some("actpass"));
        assert!(!text.contains("a=crypto") && value(&told, "tls-id").is_some_and(|id| id.len() >= 20));
        let print = format!("fingerprint:{}", print(1));
        for (setup, role) in [("active", DtlsRole::Server), ("passive", DtlsRole::Client)] {
            let said = sdp(profile, &[&print, &format!("setup:{setup}")]);
            assert_eq!(agreed(&told, &said).role, role);
            assert_eq!(check_answer(&told, &said), Ok(()));
        }
        let wrong = sdp(profile, &[&print, "setup:actpass"]);
        assert_eq!(check_answer(&told, &wrong), Err(MediaError::NoKey { stream: 0 }));
    }
    // One who does not know how.
    let optional = offered(SrtpPolicy::Optional, None, None);
    assert_eq!(agreed_keys(&optional, &sdp("RTP/AVP", &[]), 0), Ok(None));
    let required = offered(SrtpPolicy::Required, None, None);
    assert_eq!(check_answer(&required, &sdp("RTP/AVP", &[])), Err(MediaError::NoKey { stream: 0 }));
    assert_eq!(offered(SrtpPolicy::Accept, None, None), sdp("RTP/AVP", &[]));
}

#[test]
fn who_has_offered_a_handshake_is_offered_one_and_who_offers_both_ways_is_answered_in_ours() {
    let said = dtls(1, "actpass", &[]);
    let again = offered(SrtpPolicy::Accept, Some(&said), None);
    assert!(String::from_utf8_lossy(&again).contains("m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n"), "by its protocol");
    let print = format!("fingerprint:{}", print(1));
    let both = sdp("RTP/AVP", &[&format!("crypto:{CM_80}"), &print, "setup:actpass"]);
    for (keying, has_print) in [(SrtpKeying::Sdes, false), (SrtpKeying::Dtls, true)] {
        let terms = Terms { policy: SrtpPolicy::Accept, keying };
        let told = protect_answer(&sdp("RTP/AVP", &[]), &both, (None, None), terms, &keyring(2)).expect("an answer");
        assert_eq!((value(&told, "fingerprint").is_some(), value(&told, "crypto").is_some()), (has_print, !has_print));
        assert_eq!(matches!(agreed_keys(&told, &both, 0), Ok(Some(Keys::Handshake(_)))), has_print);
    }
}

#[test]
fn two_exchanges_agree_on_one_handshake() {
    let offer = offered(SrtpPolicy::Required, None, None);
    let answer = answered(&offer, None, None).expect("an answer");
    let (one, other) = (agreed(&offer, &answer), agreed(&answer, &offer));
    assert_eq!((one.role, other.role), (DtlsRole::Client, DtlsRole::Server));
    let (AssociationName::Said(a, b), AssociationName::Said(c, d)) = (&one.name, &other.name) else {
        panic!("both have names")
    };
    assert_eq!((a, b), (d, c));
}

#[test]
fn an_association_stays_until_a_party_wants_another_one() {
    let offer = dtls(1, "actpass", &["tls-id:aaaaaaaaaaaaaaaaaaaaaaaa"]);
    let told = answered(&offer, None, None).expect("an answer");
    let first = agreed(&told, &offer);
    // The same again, held and resumed.
    let held = dtls(1, "actpass", &["tls-id:aaaaaaaaaaaaaaaaaaaaaaaa", "sendonly"]);
    let again = answered(&held, Some(&told), Some(&offer)).expect("an answer");
    assert_eq!(agreed(&again, &held), first);
    // An offer of ours to the same party keeps the name, and so does its answer.
    let ours = protect_offer(&sdp("RTP/AVP", &[]), Some(&held), Some(&again), Terms::default(), &keyring(2));
    let ours = ours.expect("an offer");
    assert_eq!(value(&ours, "tls-id"), value(&told, "tls-id"));
    assert_eq!(agreed(&ours, &dtls(1, "active", &["tls-id:aaaaaaaaaaaaaaaaaaaaaaaa"])), first);
    for other in [
        dtls(2, "actpass", &["tls-id:aaaaaaaaaaaaaaaaaaaaaaaa"]),
        dtls(1, "actpass", &["tls-id:bbbbbbbbbbbbbbbbbbbbbbbb"]),
    ] {
        let newer = answered(&other, Some(&told), Some(&offer)).expect("an answer");
        assert_ne!(agreed(&newer, &other), first);
        assert_ne!(value(&newer, "tls-id"), value(&told, "tls-id"), "another name for another association");
    }
    assert_eq!(agreed(&told, &offer).role, DtlsRole::Server);
}

#[test]
fn one_who_waits_goes_on_waiting() {
    let ours = offered(SrtpPolicy::Required, None, None);
    let waits = dtls(1, "passive", &[]);
    assert_eq!(agreed(&ours, &waits).role, DtlsRole::Client);
    let again = answered(&dtls(1, "actpass", &[]), Some(&ours), Some(&waits)).expect("an answer");
    assert_eq!(value(&again, "setup"), Some("active"));
}

#[test]
fn without_names_another_place_may_be_another_association() {
    let said = dtls(1, "active", &[]);
    let moved = Bytes::from(String::from_utf8_lossy(&said).replace("4000", "4004"));
    let told = offered(SrtpPolicy::Required, None, None);
    let (before, after) = (agreed(&told, &said), agreed(&told, &moved));
    assert!(before != after && before.differs_in_place(&after));
    assert!(!before.differs_in_place(&agreed(&told, &dtls(2, "active", &[]))));
}

#[test]
fn nothing_of_a_party_s_handshake_reaches_the_other() {
    let clear = in_the_clear(&dtls(1, "actpass", &["tls-id:aaaaaaaaaaaaaaaaaaaaaaaa"])).expect("a description");
    assert_eq!(clear, sdp("RTP/AVP", &[]));
}
