//! An honest log is never accused, and whatever is done to what was signed is found.

mod logs;

use logs::edit::{EDITS, tamper};
use logs::forge::Records;
use logs::{honest, verify};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sx_engine::Rng;

/// As many cases as the environment says, or what takes a few seconds.
fn cases() -> u32 {
    let (given, usual) = (Config::default().cases, 256);
    match given {
        _ if given != usual => given,
        _ if cfg!(debug_assertions) => 1_000,
        _ => 10_000,
    }
}

fn for_seeds(check: impl Fn(u64) -> Result<(), TestCaseError>) {
    let config = Config { cases: cases(), failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let outcome = TestRunner::new(config).run(&any::<u64>(), check);
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn an_honest_log_is_never_accused() {
    for_seeds(|seed| {
        let case = honest(seed);
        let verdict = verify(&case, seed);
        prop_assert!(verdict.is_honest(), "{:?}", verdict.problems);
        prop_assert_eq!((verdict.records, verdict.first), (case.records, case.first));
        prop_assert_eq!(verdict.last_signed.map(|checkpoint| checkpoint.size), Some(case.signed));
        prop_assert_eq!(verdict.unsigned_tail, case.records - case.signed - 1);
        Ok(())
    });
}

#[test]
fn every_edit_of_what_was_signed_is_found() {
    for_seeds(|seed| {
        let mut case = honest(seed);
        tamper(&mut case, &mut Rng::from_number(seed ^ 1));
        let verdict = verify(&case, seed);
        prop_assert!(!verdict.is_honest(), "{:?} was not found", case.edit);
        Ok(())
    });
}

#[test]
fn every_kind_of_edit_is_tried_and_found() {
    for (name, edit) in EDITS {
        let mut found = 0;
        for seed in 0..120 {
            let mut case = honest(seed);
            if edit(&mut case, &mut Rng::from_number(seed)) {
                assert!(!verify(&case, seed).is_honest(), "{name}, seed {seed}");
                found += 1;
            }
        }
        assert!(found > 5, "{name} could be done {found} times only");
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
