//! A message of an agent: read, its signature looked at, and routed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_engine::Time;
use sx_escalation::{Freshness, FreshnessLimits, Routing};
use sx_ifmessage::IfMessage;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = IfMessage::read(bytes) {
        let _ = message.signature.as_ref().map(|signature| signature.verifies());
        let _ = Routing::default().route(&message);
        let mut fresh = Freshness::new(FreshnessLimits::default());
        if fresh.admit(message.timestamp, &message).is_ok() && (message.sequence.is_some() || message.nonce.is_some()) {
            assert!(fresh.admit(message.timestamp, &message).is_err(), "it is new but once");
        }
        let _ = fresh.admit(Time::ZERO, &message);
    }
});
