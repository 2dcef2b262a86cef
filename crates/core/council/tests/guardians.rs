//! What is written down of guardians is held against what an entry has to be.

use serde_json::json;
use sx_council::{BANDWIDTH_KBPS, EXAMPLES, Guardian, GuardianError};

fn read(value: serde_json::Value) -> Guardian {
    serde_json::from_value(value).expect("an entry")
}

#[test]
fn what_is_not_said_of_a_guardian_is_as_usual() {
    let guardian = read(json!({"id": "IF.guard.legal", "role": "legal"}));
    assert_eq!((guardian.bandwidth_kbps, guardian.veto, &*guardian.address), (BANDWIDTH_KBPS, false, ""));
    assert_eq!(guardian.check(), []);
}

#[test]
fn all_that_is_wrong_is_told() {
    let guardian = read(json!({"id": "", "role": "le gal", "description": "a\u{7}", "bandwidth_kbps": 0}));
    let told: Vec<String> = guardian.check().iter().map(GuardianError::to_string).collect();
    assert_eq!(
        told,
        [
            "id \"\" is not 1 to 255 bytes without control characters and blanks",
            "role \"le gal\" is not 1 to 255 bytes without control characters and blanks",
            "description \"a\\u{7}\" is not at most 255 bytes without control characters",
            "bandwidth_kbps \"0\" is not 1 to 100000000",
        ]
    );
    assert!(serde_json::from_value::<Guardian>(json!({"id": "a", "role": "b", "rule": "c"})).is_err());
}

#[test]
fn the_examples_are_twelve_roles_and_the_contrarian_alone_has_a_veto() {
    let mut roles: Vec<&str> = EXAMPLES.iter().map(|(role, ..)| *role).collect();
    roles.sort_unstable();
    roles.dedup();
    assert_eq!(roles.len(), 12);
    let vetoes: Vec<&str> = EXAMPLES.iter().filter(|(.., veto)| *veto).map(|(role, ..)| *role).collect();
    assert_eq!(vetoes, ["contrarian"]);
}
