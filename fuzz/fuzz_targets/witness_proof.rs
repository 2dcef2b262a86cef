//! Proofs, checkpoints, keys and lines of `checkpoints.jsonl`. What is read is written as it was, and is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_witness::{
    Checkpoint, ConsistencyProof, Hash, InclusionProof, SigningKey, VerifyingKey, checkpoint_line,
    parse_checkpoint_line, verify_cosignature,
};

fuzz_target!(|text: &str| {
    let key = SigningKey::from_seed("example.org/fuzz", [7; 32]).expect("a good name").verifying_key();
    if let Ok(proof) = InclusionProof::parse(text) {
        assert_eq!(proof.to_string(), text);
        let _ = proof.verify(&key);
    }
    if let Ok(proof) = ConsistencyProof::parse(text) {
        assert_eq!(proof.to_string(), text);
        let _ = proof.verify(Hash::ZERO, &key);
    }
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.note, text);
        assert!(text.starts_with(checkpoint.body()) && checkpoint.signature_lines().count() > 0);
        let _ = checkpoint.verify(&key);
        for line in checkpoint.signature_lines() {
            let _ = verify_cosignature(&checkpoint, line, &key);
        }
    }
    if let Some((note, cosignatures)) = parse_checkpoint_line(text) {
        assert_eq!(checkpoint_line(&note, &cosignatures), text);
    }
    if let Ok(key) = VerifyingKey::parse(text) {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(key) = SigningKey::parse(text) {
        assert_eq!(key.to_string(), text);
    }
});
