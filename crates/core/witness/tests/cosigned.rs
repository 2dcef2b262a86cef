//! What is said of cosignatures, those that are there and those that are not.

use sx_engine::Time;
use sx_witness::{
    Batch, Chain, Cosigner, Draft, Facts, Kind, Notice, Options, Renderer, SegmentCheck, SigningKey, Verdict,
    Verification, checkpoint_line, cosign,
};

const TIME: Time = Time::from_secs(1_795_000_000);
const WITNESS: &str = "witness.example/w1";

fn key(name: &str) -> SigningKey {
    SigningKey::from_seed(name, [1; 32]).expect("a good name")
}

/// A log of a few checkpoints, of which a record says that the witness has cosigned the first; in `checkpoints.jsonl` those of these
/// places stand, and those are cosigned.
fn verified(filed: &[usize], cosigned: &[usize], witnesses: &[&str]) -> Verdict {
    let log = key("exchange.example/log");
    let (mut renderer, mut chain) = (Renderer::new("node-1"), Chain::new());
    let (mut out, mut checkpoints) = (Vec::new(), Vec::new());
    let begin = Facts::new().with("format", 1).with("key", log.verifying_key().to_string());
    let anchored = Facts::new().with("size", 1).with("cosigned_by", WITNESS);
    for (outcome, facts) in [("begun", begin), ("anchored", anchored), ("closed", Facts::new())] {
        let mut batch = Batch::default();
        let draft = Draft { subject: "https://w.example", outcome, facts, ..Draft::new(TIME, Kind::Log) };
        renderer.render(&draft, &mut batch);
        chain.append(&batch, &mut out, &mut Vec::new());
        checkpoints.push(chain.checkpoint(TIME, "node-1", &log, &mut out, &mut Vec::new()));
    }
    let line = |at: &usize| {
        let lines = cosigned.contains(at).then(|| cosign(&checkpoints[*at], &key(WITNESS), TIME));
        checkpoint_line(&checkpoints[*at].note, lines.as_slice()) + "\n"
    };
    let witnesses = witnesses.iter().map(|name| key(name).verifying_key().as_cosigner()).collect();
    let mut verification = Verification::new(log.verifying_key(), Options { witnesses, ..Options::default() });
    verification.checkpoints_file(filed.iter().map(line).collect::<String>().as_bytes());
    let mut check = SegmentCheck::new(0, true);
    check.feed(&out);
    verification.take(check.finish());
    let verdict = verification.finish();
    assert!(verdict.is_honest() && verdict.checkpoints == 3, "{verdict:?}");
    assert_eq!(verdict.anchored, [("https://w.example".into(), 1)]);
    verdict
}

#[test]
fn a_cosignature_that_a_record_tells_of_is_missed() {
    let missing = Notice::CosignatureMissing { record: 2, size: 1, by: WITNESS.into() };
    assert_eq!(verified(&[0, 1, 2], &[0, 2], &[]).notices, []);
    assert_eq!(verified(&[0, 1, 2], &[1, 2], &[]).notices, std::slice::from_ref(&missing));
    assert_eq!(verified(&[], &[], &[]).notices, [Notice::NothingFiled, missing.clone()], "nor is the whole file there");
    // The file may have been read before the record was written that tells of it.
    assert_eq!(verified(&[0], &[], &[]).notices, []);
    let said = missing.to_string();
    let expected =
        "a cosignature is missing: record 2 says that witness.example/w1 has cosigned the checkpoint of 1 record, and";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn a_known_witness_that_has_cosigned_nothing_is_missed() {
    assert_eq!(verified(&[0, 1, 2], &[0], &[WITNESS]).notices, []);
    let never = Notice::NeverCosigned { by: "other.example/w2".into() };
    assert_eq!(verified(&[0, 1, 2], &[0], &[WITNESS, "other.example/w2"]).notices, [never]);
}

#[test]
fn who_has_cosigned_how_much_is_counted() {
    let verdict = verified(&[0, 0, 1, 2], &[0, 1], &[]);
    let cosigner = Cosigner { name: WITNESS.into(), is_known: false, checkpoints: 2, last: 3 };
    assert_eq!((verdict.cosigned, verdict.cosigners), (2, vec![cosigner]));
    assert!(verified(&[0], &[0], &[WITNESS]).cosigners[0].is_known);
    assert_eq!(verified(&[0], &[], &[]).cosigned, 0);
}
