//! A line of a witness log. What passes is canonical: serde_json, whose objects have their names in order, writes it again as
//! it stands.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_witness::{Hash, Line, RECORD_BYTES_MAX};

fuzz_target!(|bytes: &[u8]| {
    let Ok(line) = Line::parse(bytes) else { return };
    assert!(bytes.len() <= RECORD_BYTES_MAX && !bytes.contains(&b'\n') && !bytes.contains(&0));
    let value: serde_json::Value = serde_json::from_slice(bytes).expect("a record is JSON");
    let members = value.as_object().expect("a record is an object");
    assert_eq!(value["seq"].as_u64(), Some(line.seq()));
    assert_eq!(value["kind"].as_str(), Some(line.kind().as_str()));
    assert_eq!(value["node"].as_str(), Some(&*line.node()));
    assert_eq!(value["prev_hash"].as_str().map(str::parse::<Hash>), Some(Ok(line.prev_hash())));
    for (name, text) in [
        ("actor", line.actor()),
        ("outcome", line.outcome()),
        ("policy_version", line.policy_version()),
        ("reason", line.reason()),
        ("subject", line.subject()),
    ] {
        assert_eq!(members.get(name).and_then(|value| value.as_str()), text.as_deref());
    }
    assert_eq!(line.facts(), members.get("facts").cloned().unwrap_or_default());
    // The order of UTF-8 and that of UTF-16 differ above U+FFFF only.
    if bytes.is_ascii() {
        assert_eq!(value.to_string().as_bytes(), bytes);
    }
});
