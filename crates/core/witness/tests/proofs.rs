//! A proof convinces somebody who has nothing but the key, and only of what is true.

use proptest::prelude::*;
use sx_engine::Time;
use sx_witness::{
    Batch, Chain, Checkpoint, ConsistencyProof, Draft, Facts, Hash, InclusionProof, Kind, ProofError, Renderer,
    SegmentCheck, SignatureError, SigningKey, consistency_proof, inclusion_proof, leaf_hash,
};

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed("exchange.example/log", [number; 32]).expect("a good name")
}

/// A log with checkpoints behind 10 and behind 25 records: its lines, their hashes, the checkpoints.
fn log() -> (Vec<Vec<u8>>, Vec<Hash>, [Checkpoint; 2]) {
    let (mut renderer, mut chain) = (Renderer::new("node-1"), Chain::new());
    let (mut out, mut index) = (Vec::new(), Vec::new());
    let checkpoints = [10, 14].map(|count| {
        let mut batch = Batch::default();
        for number in 0..count {
            let facts = Facts::new().with("number", number);
            renderer.render(&Draft { facts, ..Draft::new(Time::from_secs(1_795_000_000), Kind::Source) }, &mut batch);
        }
        chain.append(&batch, &mut out, &mut index);
        chain.checkpoint(Time::from_secs(1_795_000_001), "node-1", &key(1), &mut out, &mut index)
    });
    let lines = out.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    (lines, index.iter().map(|entry| entry.hash).collect(), checkpoints)
}

#[test]
fn a_record_is_proved_to_be_in_the_log() {
    let (lines, hashes, [_, checkpoint]) = log();
    for index in 0..checkpoint.size {
        let path = inclusion_proof(checkpoint.size, index, |n| leaf_hash(&hashes[n as usize]));
        let proof =
            InclusionProof { index, record: lines[index as usize].clone(), path, checkpoint: checkpoint.clone() };
        let read = InclusionProof::parse(&proof.to_string()).expect("its own text");
        assert_eq!(read, proof);
        assert_eq!(read.verify(&key(1).verifying_key()), Ok(()));
        let other = read.verify(&key(2).verifying_key());
        assert_eq!(other, Err(ProofError::Signature(SignatureError::OtherKey)));
        let wrong = InclusionProof { record: lines[index as usize + 1].clone(), ..proof };
        assert_eq!(wrong.verify(&key(1).verifying_key()), Err(ProofError::Path));
    }
}

#[test]
fn a_log_is_proved_to_have_only_grown() {
    let (_, hashes, [old, new]) = log();
    let path = consistency_proof(old.size, new.size, |n| leaf_hash(&hashes[n as usize]));
    let proof = ConsistencyProof { old: old.size, path, checkpoint: new };
    let read = ConsistencyProof::parse(&proof.to_string()).expect("its own text");
    assert_eq!(read, proof);
    assert_eq!(read.verify(old.root, &key(1).verifying_key()), Ok(()));
    assert_eq!(read.verify(Hash::ZERO, &key(1).verifying_key()), Err(ProofError::Path));
}

#[test]
fn what_is_no_proof_is_refused_by_its_line() {
    let (lines, hashes, [checkpoint, _]) = log();
    let path = inclusion_proof(checkpoint.size, 3, |n| leaf_hash(&hashes[n as usize]));
    let good = InclusionProof { index: 3, record: lines[3].clone(), path, checkpoint }.to_string();
    let check = |text: &str, expected| assert_eq!(InclusionProof::parse(text).err(), Some(expected), "{text}");
    check("", ProofError::Form(1));
    check(&good.replacen("@v1", "@v2", 1), ProofError::Form(1));
    check(&good.replacen("extra ", "extra  ", 1), ProofError::Form(2));
    check(&good.replacen("index 3", "index 03", 1), ProofError::Form(3));
    check(&good.replacen("index 3\n", "index 3\nAAAA\n", 1), ProofError::Form(4));
    let hash = format!("{}=\n", "A".repeat(43));
    check(&good.replacen("index 3\n", &format!("index 3\n{}", hash.repeat(60)), 1), ProofError::TooLong);
    assert!(matches!(InclusionProof::parse(&good[..good.len() - 1]), Err(ProofError::Note(_))));
}

#[test]
fn the_body_of_a_request_to_a_witness_is_a_proof_of_consistency() {
    // https://c2sp.org/tlog-witness
    let text = "old 20852014\n\
        PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
        jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
        5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
        /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\n\
        example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
    let proof = ConsistencyProof::parse(text).expect("the example of the specification");
    assert_eq!((proof.old, proof.path.len(), proof.checkpoint.size), (20_852_014, 4, 20_852_163));
    assert_eq!(proof.to_string(), text);
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in "(old|index|extra|time|[0-9]{1,3}|\n|— |[ a-z+=/A-Z]){0,30}", bytes in any::<Vec<u8>>()) {
        let _ = Checkpoint::parse(&text);
        let _ = InclusionProof::parse(&text);
        let _ = InclusionProof::parse(&format!("c2sp.org/tlog-proof@v1\n{text}"));
        let _ = ConsistencyProof::parse(&text);
        let _ = sx_witness::parse_checkpoint_line(&text);
        let _ = text.parse::<SigningKey>();
        let _ = text.parse::<sx_witness::VerifyingKey>();
        let mut check = SegmentCheck::new(u64::MAX, false);
        check.feed(text.as_bytes());
        check.feed(&bytes);
        check.finish();
    }
}
