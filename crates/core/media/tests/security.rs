//! Keys of SRTP between what parties say and what they are told.

use bytes::Bytes;
use sx_engine::Rng;
use sx_media::{
    Keyring, Keys, Means, MediaError, StreamKeys, Terms, agreed_keys, check_answer, check_keys, in_the_clear,
    protect_answer, protect_offer, streams,
};
use sx_rtp::srtp::{Protector, Suite, Unprotector};
use sx_types::SrtpPolicy;

const SUITES: &[Suite] = &Suite::ALL;
const CM_80: &str = "AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
const GCM: &str = "AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==";

fn sdp(profile: &str, keys: &[&str]) -> Bytes {
    let keys: String = keys.iter().map(|key| format!("a=crypto:{key}\r\n")).collect();
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
    format!("{head}m=audio 4000 {profile} 8\r\n{keys}").into()
}

fn keyring(number: u64, suites: &[Suite]) -> Keyring {
    Keyring::new(&mut Rng::from_number(number), means(suites))
}

fn means(suites: &[Suite]) -> Means {
    Means { suites: suites.into(), certificate: None }
}

fn terms(policy: SrtpPolicy) -> Terms {
    Terms { policy, ..Terms::default() }
}

fn offered(policy: SrtpPolicy, said: Option<&Bytes>) -> Bytes {
    protect_offer(&sdp("RTP/AVP", &[]), said, None, terms(policy), &keyring(2, SUITES)).expect("an offer")
}

fn answered(policy: SrtpPolicy, suites: &[Suite], offer: &Bytes) -> Result<Bytes, MediaError> {
    answered_by(policy, &keyring(1, suites), offer)
}

fn answered_by(policy: SrtpPolicy, keyring: &Keyring, offer: &Bytes) -> Result<Bytes, MediaError> {
    protect_answer(&sdp("RTP/AVP", &[]), offer, (None, None), terms(policy), keyring)
}

fn keys(told: &Bytes, said: &Bytes) -> Option<StreamKeys> {
    match agreed_keys(told, said, 0).expect("keys or none")? {
        Keys::Described(keys) => Some(keys),
        Keys::Handshake(_) => panic!("a handshake"),
    }
}

fn shown(text: &Bytes) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// What one side protects the other one opens, both ways.
fn check_fit(one: &StreamKeys, other: &StreamKeys) {
    assert_eq!(one.suite, other.suite);
    for (sender, receiver) in [(one, other), (other, one)] {
        let mut protector = Protector::new(one.suite, &sender.ours).expect("a key");
        let mut unprotector = Unprotector::new(one.suite, &receiver.theirs).expect("a key");
        let packet = [0x80, 8, 0, 7, 0, 0, 0, 160, 0x12, 0x34, 0x56, 0x78, 1, 2, 3];
        let mut buffer = [0; 64];
        buffer[..packet.len()].copy_from_slice(&packet);
        let sent = protector.protect_rtp(&mut buffer, packet.len()).expect("protected");
        assert_eq!(unprotector.unprotect_rtp(&mut buffer[..sent]), Ok(packet.len()));
        assert_eq!(buffer[..packet.len()], packet);
    }
}

#[test]
fn an_offer_with_keys_is_answered_with_the_first_that_is_known() {
    let offer = sdp("RTP/SAVP", &["1 F8_128_HMAC_SHA1_80 inline:x", &format!("3 {CM_80}"), &format!("4 {GCM}")]);
    let told = answered(SrtpPolicy::Accept, SUITES, &offer).expect("an answer");
    assert!(shown(&told).contains("m=audio 4000 RTP/SAVP 8\r\na=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:"));
    assert_eq!(shown(&told).matches("a=crypto").count(), 1);
    let agreed = keys(&told, &offer).expect("keys");
    assert_eq!(agreed.theirs.to_inline(), "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj");
    assert_ne!(agreed.ours, agreed.theirs);
    assert_eq!(answered(SrtpPolicy::Accept, SUITES, &offer), Ok(told), "the key stays");
    let only_gcm = answered(SrtpPolicy::Accept, &[Suite::AeadAes128Gcm], &offer).expect("an answer");
    assert_eq!(keys(&only_gcm, &offer).map(|keys| keys.suite), Some(Suite::AeadAes128Gcm));
}

#[test]
fn an_answer_has_the_protocol_of_the_offer() {
    let offer = sdp("RTP/SAVPF", &[&format!("1 {CM_80}")]);
    let told = answered(SrtpPolicy::Accept, SUITES, &offer).expect("an answer");
    assert!(shown(&told).contains("m=audio 4000 RTP/SAVPF 8\r\na=crypto:1 "));
    let optional = answered(SrtpPolicy::Accept, SUITES, &sdp("RTP/AVPF", &[&format!("1 {CM_80}")])).expect("an answer");
    assert!(shown(&optional).contains("m=audio 4000 RTP/AVPF 8\r\na=crypto:1 "));
}

#[test]
fn what_cannot_be_protected_is_refused() {
    let unknown = sdp("RTP/SAVP", &["1 F8_128_HMAC_SHA1_80 inline:x"]);
    let known = sdp("RTP/SAVP", &[&format!("1 {CM_80}")]);
    let clear = sdp("RTP/AVP", &[]);
    for (policy, offer, expected) in [
        (SrtpPolicy::Accept, &unknown, MediaError::NoKey { stream: 0 }),
        (SrtpPolicy::Off, &known, MediaError::NoKey { stream: 0 }),
        (SrtpPolicy::Required, &clear, MediaError::KeyMissing { stream: 0 }),
    ] {
        assert_eq!(answered(policy, SUITES, offer), Err(expected), "{policy:?}");
        assert_eq!(check_keys(offer, terms(policy), &means(SUITES)), Err(expected), "{policy:?}");
    }
    for policy in [SrtpPolicy::Off, SrtpPolicy::Accept, SrtpPolicy::Optional] {
        assert_eq!(answered(policy, SUITES, &clear), Ok(clear.clone()), "{policy:?}");
        assert_eq!(check_keys(&clear, terms(policy), &means(SUITES)), Ok(()), "{policy:?}");
    }
}

#[test]
fn each_policy_offers_what_it_says() {
    let clear = sdp("RTP/AVP", &[]);
    for (policy, profile, keys) in [
        (SrtpPolicy::Off, "RTP/AVP", 0),
        (SrtpPolicy::Accept, "RTP/AVP", 0),
        (SrtpPolicy::Optional, "RTP/AVP", 4),
        (SrtpPolicy::Required, "RTP/SAVP", 4),
    ] {
        let text = shown(&offered(policy, None));
        assert!(text.contains(&format!("m=audio 4000 {profile} 8")), "{policy:?}");
        assert_eq!(text.matches("a=crypto").count(), keys, "{policy:?}");
    }
    // Who has offered keys is offered them when its turn comes.
    let (secure, optional) = (sdp("RTP/SAVP", &[&format!("1 {CM_80}")]), sdp("RTP/AVP", &[&format!("1 {CM_80}")]));
    assert!(shown(&offered(SrtpPolicy::Accept, Some(&secure))).contains("RTP/SAVP 8\r\na=crypto:1 "));
    assert!(shown(&offered(SrtpPolicy::Accept, Some(&optional))).contains("RTP/AVP 8\r\na=crypto:1 "));
    assert_eq!(offered(SrtpPolicy::Accept, Some(&clear)), clear);
}

#[test]
fn two_exchanges_agree_on_keys_by_every_suite() {
    for suite in Suite::ALL {
        for policy in [SrtpPolicy::Optional, SrtpPolicy::Required] {
            let offer = offered(policy, None);
            let answer = answered_by(SrtpPolicy::Accept, &keyring(3, &[suite]), &offer).expect("an answer");
            let (one, other) = (keys(&offer, &answer).expect("keys"), keys(&answer, &offer).expect("keys"));
            assert_eq!(one.suite, suite);
            check_fit(&one, &other);
        }
        let offer = offered(SrtpPolicy::Optional, None);
        let answer = answered_by(SrtpPolicy::Off, &keyring(3, &[suite]), &offer).expect("an answer");
        assert_eq!((keys(&offer, &answer), keys(&answer, &offer)), (None, None));
    }
}

#[test]
fn a_key_that_was_not_asked_for_is_none() {
    let told = offered(SrtpPolicy::Required, None);
    let right = sdp("RTP/SAVP", &[&format!("3 {CM_80}|2^31|1:4")]);
    assert_eq!(keys(&told, &right).map(|keys| keys.mki_bytes), Some(4));
    for wrong in [format!("2 {CM_80}"), format!("9 {CM_80}"), "3 AES_CM_128_HMAC_SHA1_80 inline:short".to_owned()] {
        let said = sdp("RTP/SAVP", &[&wrong]);
        assert_eq!(agreed_keys(&told, &said, 0), Err(MediaError::NoKey { stream: 0 }), "{wrong}");
        assert_eq!(check_answer(&told, &said), Err(MediaError::NoKey { stream: 0 }), "{wrong}");
    }
    assert_eq!(agreed_keys(&told, &sdp("RTP/AVP", &[]), 0), Err(MediaError::NoKey { stream: 0 }));
    assert_eq!((agreed_keys(&told, &right, 1), check_answer(&told, &right)), (Ok(None), Ok(())));
}

#[test]
fn nothing_of_a_party_s_keys_reaches_the_other() {
    let said = sdp("RTP/SAVP", &[&format!("1 {CM_80}"), &format!("2 {GCM}")]);
    let clear = in_the_clear(&said).expect("a description");
    assert!(shown(&clear).contains("m=audio 4000 RTP/AVP 8") && !shown(&clear).contains("crypto"));
    assert!(streams(&clear).is_ok_and(|streams| !streams[0].is_secure()));
    let untouched = sdp("RTP/AVP", &[]);
    assert_eq!(in_the_clear(&untouched).expect("a description").as_ptr(), untouched.as_ptr());
}

#[test]
fn a_keyring_shows_no_secret_and_makes_a_key_for_each_stream() {
    assert_eq!(format!("{:?}", keyring(1, &[])), "Keyring { means: Means { suites: [], certificate: None }, .. }");
    let two = format!("{}m=audio 4002 RTP/AVP 8\r\n", shown(&sdp("RTP/AVP", &[]))).into();
    let offer = protect_offer(&two, None, None, terms(SrtpPolicy::Required), &keyring(4, SUITES)).expect("an offer");
    let text = shown(&offer);
    let mut keys: Vec<_> = text.lines().filter_map(|line| line.split_once("inline:")).map(|(_, key)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 8);
}
