//! What holds for every text.

use proptest::prelude::*;
use sx_pii::{find, redact};

proptest! {
    #[test]
    fn findings_are_in_order_apart_and_between_characters(text in any_text()) {
        let found = find(&text);
        let mut end = 0;
        for finding in &found {
            prop_assert!(end <= finding.range.start && finding.range.start < finding.range.end);
            prop_assert!(text.is_char_boundary(finding.range.start) && text.is_char_boundary(finding.range.end));
            end = finding.range.end;
        }
        let redacted = redact(&text, &found);
        prop_assert_eq!(redacted.matches("[REDACTED:").count(), text.matches("[REDACTED:").count() + found.len());
    }
}

/// Much of what the looks look for, in any order.
fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[0-9]{1,6}",
        "[-+ ./():@§#]{1,3}",
        "(sip|tel|version|ssn|call|order|mailto|é|ß|日本|::|2001:db8|@example.com)",
        "[a-z.]{1,8}",
        "\\PC{0,4}",
    ];
    proptest::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

/// Sentences as long as the text may be: what looks around itself looks no further than a bound.
#[test]
fn it_takes_time_in_proportion() {
    for part in ["@", "a@", "1", "1 ", "1-", "+1", "(1", "::", "a:", "sip:", "tel:1", "1.", "call "] {
        let found = find(&part.repeat(200_000 / part.len()));
        assert!(found.len() < 200_000, "{part}");
    }
}
