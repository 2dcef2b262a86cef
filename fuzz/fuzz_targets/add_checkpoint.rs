//! The body of a request to cosign a checkpoint, and what a witness makes of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_witness::{ConsistencyProof, CosignRefused, HASHES_MAX, Seen, SigningKey};

fuzz_target!(|text: &str| {
    let Ok(request) = ConsistencyProof::parse(text) else { return };
    assert!(request.path.len() <= HASHES_MAX);
    // What was read is written as it stood there: there is one text for each request.
    assert_eq!(request.to_string(), text);
    let key = SigningKey::from_seed("a.example/log", [7; 32]).expect("a good name");
    // Nobody signs by chance.
    let refused = Seen::nothing().admit(&request, &[key.verifying_key()]).expect_err("not signed");
    assert!(matches!(refused, CosignRefused::UnknownLog | CosignRefused::NotSigned));
});
