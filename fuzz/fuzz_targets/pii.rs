//! Any text: personal data is found between characters, in order, and can be taken out.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let found = sx_pii::find(text);
    let ordered = found.windows(2).all(|two| two[0].range.end <= two[1].range.start);
    assert!(ordered, "{found:?}");
    let _ = sx_pii::redact(text, &found);
});
