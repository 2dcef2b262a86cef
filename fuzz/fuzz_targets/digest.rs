//! The value of an Authorization or WWW-Authenticate header. A challenge that is answered gives credentials that verify;
//! what is not ours verifies nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use sx_engine::{Rng, Time};
use sx_sip::digest::{Credentials, DigestParams, Ha1, NonceVerdict, Nonces};

fuzz_target!(|bytes: &[u8]| {
    let Ok(params) = DigestParams::parse(bytes) else { return };
    assert!(!params.realm.is_empty() && !params.nonce.is_empty());
    let mut nonces = Nonces::new(Duration::from_secs(60), 16, &mut Rng::from_number(1));
    assert_eq!(nonces.judge(params.nonce, 1, Time::ZERO, [192, 0, 2, 1].into()), NonceVerdict::Forged);
    let credentials = Credentials { username: "alice".into(), password: "wonder".into() };
    let Some(answer) = credentials.answer(&params, "INVITE", "sip:bob@example.org", 1, "cnonce") else { return };
    let algorithm = params.algorithm().expect("it was answered");
    let ha1 = Ha1::new(algorithm, "alice", params.realm, "wonder");
    let given = DigestParams::parse(answer.as_bytes()).expect("what we write, we can read");
    assert_eq!((given.realm, given.nonce, given.opaque), (params.realm, params.nonce, params.opaque));
    assert!(ha1.verifies(&given, b"INVITE"));
    assert!(!ha1.verifies(&given, b"BYE"));
});
