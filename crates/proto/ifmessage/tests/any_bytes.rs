//! What holds for all bytes.

use proptest::prelude::*;
use sx_ifmessage::IfMessage;

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = IfMessage::read(&bytes);
    }

    #[test]
    fn no_members_panic(members in proptest::collection::btree_map(any_name(), any_value(), 0..12)) {
        let members: Vec<String> = members.iter().map(|(name, value)| format!("{name:?}: {value}")).collect();
        let _ = IfMessage::read(format!("{{{}}}", members.join(", ")).as_bytes());
    }
}

fn any_name() -> impl Strategy<Value = String> {
    "(id|timestamp|level|source|destination|payload|version|performative|sender|receiver|content|nonce|ttl|scope|hazard|signature|[a-z]{1,4})"
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[0-9]{1,18}",
        "[0-9]\\.[0-9]{1,4}e[0-9]{1,2}",
        "(null|true|\\[\\]|\\{\\}|\"\"|\"2026-11-23T10:00:00Z\"|\"if://agent/x\"|\\{\"type\": \"safety\"\\}|\\[\"if://agent/x\"\\])",
        "\"[a-f0-9:/]{0,80}\"",
    ]
}
