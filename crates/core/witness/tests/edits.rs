//! An honest log is never accused, and whatever is done to what was signed is found.

mod logs;

use logs::edit::{EDITS, tamper};
use logs::forge::Records;
use logs::{honest, verify};
use proptest::prelude::Rng as _;
use proptest::test_runner::TestRunner;
use std::panic::{AssertUnwindSafe, catch_unwind};
use sx_engine::Rng;
use sx_witness::{FiledFault, Problem, SignatureError};

/// A number that the environment has under this name.
#[expect(
    clippy::disallowed_methods,
    reason = "which logs are tried, and how many, is for whoever runs the test to say"
)]
fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Checks `WITNESS_CASES` seeds, or what takes a few seconds, from `WITNESS_SEED` on, or from one that is another each time.
fn for_seeds(check: impl Fn(u64)) {
    let usual = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
    let first = given("WITNESS_SEED").unwrap_or_else(|| TestRunner::default().rng().next_u64());
    for place in 0..given("WITNESS_CASES").unwrap_or(usual) {
        let seed = first.wrapping_add(place);
        let outcome = catch_unwind(AssertUnwindSafe(|| check(seed)));
        assert!(outcome.is_ok(), "WITNESS_SEED={seed} WITNESS_CASES=1 does it again");
    }
}

#[test]
fn an_honest_log_is_never_accused() {
    for_seeds(|seed| {
        let case = honest(seed);
        let verdict = verify(&case, seed);
        assert!(verdict.is_honest(), "{:?}", verdict.problems);
        assert_eq!((verdict.records, verdict.first), (case.records, case.first));
        assert_eq!((verdict.torn_bytes, verdict.is_torn()), (case.torn, case.torn > 0));
        assert_eq!(verdict.last_signed.map(|checkpoint| checkpoint.size), Some(case.signed));
        assert_eq!(verdict.unsigned_tail, case.records - case.signed - 1);
    });
}

#[test]
fn every_edit_of_what_was_signed_is_found() {
    for_seeds(|seed| {
        let mut case = honest(seed);
        tamper(&mut case, &mut Rng::from_number(seed ^ 1));
        let verdict = verify(&case, seed);
        assert!(!verdict.is_honest(), "{:?} was not found", case.edit);
    });
}

#[test]
fn every_kind_of_edit_is_tried_and_found() {
    for (name, edit) in EDITS {
        let mut found = 0;
        for seed in 0..120 {
            let mut case = honest(seed);
            if edit(&mut case, &mut Rng::from_number(seed)) {
                let verdict = verify(&case, seed);
                assert!(!verdict.is_honest(), "{name}, seed {seed}");
                assert!(is_fitting(name, &verdict.problems), "{name}, seed {seed}: {:?}", verdict.problems);
                found += 1;
            }
        }
        assert!(found > 5, "{name} could be done {found} times only");
    }
}

/// Is the first accusation the one that this edit deserves? Forgeries must not be found by an accident of the forger's.
fn is_fitting(edit: &str, problems: &[Problem]) -> bool {
    let Some(first) = problems.first() else { return false };
    match edit {
        "a record changed and all hashes made anew" => {
            matches!(first, Problem::CheckpointRoot { .. } | Problem::CheckpointForm { .. })
        }
        "a checkpoint forged with another key" | "all checkpoints signed by another key" => {
            // Where record 0 is gone and no checkpoint is by the key given, that may be the wrong one.
            matches!(
                first,
                Problem::CheckpointSignature { fault: SignatureError::OtherKey, .. } | Problem::OtherKey { .. }
            )
        }
        "the key of record 0 swapped" => matches!(first, Problem::OtherKey { .. }),
        "the log rewritten with its own key" => {
            matches!(first, Problem::Anchor { .. } | Problem::CheckpointForm { .. })
        }
        "two neighbours swapped" => {
            // Where they are all of their segments, these were exchanged.
            matches!(
                first,
                Problem::Swapped { .. }
                    | Problem::Renumbered { .. }
                    | Problem::Missing { .. }
                    | Problem::Copied { .. }
                    | Problem::Exchanged { .. }
            )
        }
        "a cosignature changed" => matches!(first, Problem::Filed { fault: FiledFault::Cosignature, .. }),
        "a signature added to a filed checkpoint" => {
            matches!(first, Problem::Filed { fault: FiledFault::OfNoRecord, .. })
        }
        "an index changed" => matches!(
            first,
            Problem::Index { .. }
                | Problem::Changed { .. }
                | Problem::CheckpointRoot { .. }
                | Problem::Filed { fault: FiledFault::RetiredRoot | FiledFault::Root, .. }
        ),
        "a hole in what was signed" => matches!(first, Problem::Truncated { .. } | Problem::Unreadable { .. }),
        "rewritten without the key, no checkpoint" => matches!(first, Problem::Unsigned),
        "key.pub swapped" => matches!(first, Problem::KeyFile),
        _ => true,
    }
}

#[test]
fn a_forger_without_a_change_writes_the_same_log() {
    for seed in 0..40 {
        let case = honest(seed);
        let mut folder = case.folder.clone();
        Records::read(&folder).write(&mut folder, 0, |_| None);
        assert!(folder == case.folder, "seed {seed}");
    }
}

#[test]
fn no_folder_makes_the_verifier_panic() {
    for_seeds(|seed| {
        let mut case = honest(seed);
        let mut rng = Rng::from_number(seed ^ 2);
        for _ in 0..4 {
            let names: Vec<String> = case.folder.keys().cloned().collect();
            let name = &names[rng.below(names.len() as u64) as usize];
            let mut bytes = case.folder.remove(name).unwrap_or_default();
            let start = rng.below(1 + bytes.len() as u64) as usize;
            let end = start + rng.below(1 + (bytes.len() - start) as u64) as usize;
            let moved: Vec<u8> = bytes.drain(start..end).collect();
            let at = rng.below(1 + bytes.len() as u64) as usize;
            bytes.splice(at..at, moved);
            let first = [0, u64::MAX, rng.below(100), rng.u64()][rng.below(4) as usize];
            let extension = ["jsonl", "index"][rng.below(2) as usize];
            let name = if rng.below(3) == 0 { logs::name(first, extension) } else { name.clone() };
            case.folder.insert(name, bytes);
        }
        let verdict = verify(&case, seed);
        assert!(verdict.problems.len() <= 100);
        let said: Vec<String> = verdict.problems.iter().map(ToString::to_string).collect();
        assert!(said.iter().all(|sentence| sentence.len() < 1000));
    });
}
