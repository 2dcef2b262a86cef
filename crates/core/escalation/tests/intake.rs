//! Which messages are taken, and what becomes of them.

use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;
use sx_engine::Time;
use sx_escalation::{Freshness, FreshnessLimits, Reason, Route, Routing, Stale};
use sx_ifmessage::IfMessage;

/// 2026-11-23T10:00:00Z.
const MADE_S: u64 = 1_795_428_000;

fn made() -> Time {
    Time::from_secs(MADE_S)
}

fn message(change: impl FnOnce(&mut Value)) -> IfMessage {
    let mut message = json!({
        "id": "m-1", "timestamp": "2026-11-23T10:00:00Z", "level": 2, "source": "a", "destination": "b",
        "version": "2.1", "payload": {"confidence": 0.5},
    });
    change(&mut message);
    IfMessage::read(message.to_string().as_bytes()).expect("a message")
}

fn numbered(sender: &str, number: u64) -> IfMessage {
    message(|message| {
        message["source"] = json!(sender);
        message["sequence_num"] = json!(number);
    })
}

fn with_nonce(nonce: &str) -> IfMessage {
    IfMessage { nonce: Some(nonce.into()), ..message(|_| {}) }
}

#[track_caller]
fn check(payload: Value, performative: &str, route: Route, reason: Reason) {
    let message = message(|message| {
        message["payload"] = payload;
        message["performative"] = json!(performative);
    });
    let routed = Routing::default().route(&message);
    assert_eq!((routed.route, routed.reason), (route, reason));
}

#[test]
fn the_less_an_agent_is_sure_the_sooner_a_human_decides() {
    for (confidence, route, reason) in [
        (0.0, Route::Escalate, Reason::Unsure),
        (0.199, Route::Escalate, Reason::Unsure),
        (0.2, Route::Hold, Reason::Between),
        (0.3, Route::Hold, Reason::Between),
        (0.699, Route::Hold, Reason::Between),
        (0.7, Route::Share, Reason::Sure),
        (1.0, Route::Share, Reason::Sure),
    ] {
        check(json!({"confidence": confidence}), "inform", route, reason);
    }
    let hazard = json!({"type": "safety", "severity": "low", "auto_escalate": true});
    check(json!({"confidence": 0.99, "hazard": hazard}), "share", Route::Escalate, Reason::AutoEscalate);
    let overridden = json!({"type": "legal", "severity": "low", "threshold_override": {"original_confidence": 0.1}});
    check(json!({"confidence": 0.99, "hazard": overridden}), "share", Route::Escalate, Reason::Unsure);
    check(json!({}), "escalate", Route::Escalate, Reason::Asked);
    check(json!({}), "inform", Route::Hold, Reason::Unsaid);
}

#[test]
fn bounds_are_in_order() {
    assert!(Routing::new(0.0, 1.0).is_ok() && Routing::new(0.5, 0.5).is_ok());
    for (escalate_below, share_from) in [(0.5, 0.4), (-0.1, 0.5), (0.5, 1.1), (f64::NAN, 0.5), (0.5, f64::NAN)] {
        assert!(Routing::new(escalate_below, share_from).is_err(), "{escalate_below} {share_from}");
    }
}

#[test]
fn a_message_is_good_for_its_time_and_not_before() {
    let mut fresh = Freshness::new(FreshnessLimits::default());
    let second = Duration::from_secs(1);
    assert_eq!(fresh.admit(made() + 300 * second, &message(|_| {})), Ok(()));
    let stale = fresh.admit(made() + 301 * second, &message(|_| {}));
    assert_eq!(stale, Err(Stale::Expired { age_s: 301, ttl_s: 300 }));
    assert_eq!(fresh.admit(Time::from_secs(MADE_S - 300), &message(|_| {})), Ok(()));
    assert_eq!(fresh.admit(Time::from_secs(MADE_S - 301), &message(|_| {})), Err(Stale::Ahead { ahead_s: 301 }));
}

#[test]
fn a_number_counts_once_and_upwards() {
    let mut fresh = Freshness::new(FreshnessLimits::default());
    assert_eq!(fresh.admit(made(), &numbered("a", 5)), Ok(()));
    assert_eq!(fresh.admit(made(), &numbered("a", 5)), Err(Stale::OutOfOrder { number: 5, last: 5 }));
    assert_eq!(fresh.admit(made(), &numbered("a", 4)), Err(Stale::OutOfOrder { number: 4, last: 5 }));
    assert_eq!((fresh.admit(made(), &numbered("b", 1)), fresh.admit(made(), &numbered("a", 9))), (Ok(()), Ok(())));
    let known: Vec<_> = fresh.senders().map(|(sender, last)| (sender.to_owned(), last)).collect();
    assert_eq!(known, [("a".to_owned(), 9), ("b".to_owned(), 1)]);
    // What was known before a restart holds after it.
    let mut again = Freshness::new(FreshnessLimits::default());
    known.iter().for_each(|(sender, last)| again.restore(sender, *last));
    again.restore("a", 3);
    assert_eq!(again.admit(made(), &numbered("a", 9)), Err(Stale::OutOfOrder { number: 9, last: 9 }));
}

#[test]
fn a_nonce_counts_once_and_what_is_refused_uses_up_nothing() {
    let mut fresh = Freshness::new(FreshnessLimits::default());
    let first = IfMessage { sequence: Some(1), ..with_nonce("n1") };
    assert_eq!((fresh.admit(made(), &first), fresh.admit(made(), &with_nonce("n1"))), (Ok(()), Err(Stale::NonceSeen)));
    let replayed = IfMessage { sequence: Some(2), ..with_nonce("n1") };
    assert_eq!(fresh.admit(made(), &replayed), Err(Stale::NonceSeen));
    assert_eq!(fresh.admit(made(), &IfMessage { sequence: Some(2), ..with_nonce("n2") }), Ok(()));
}

#[test]
fn who_finds_no_room_is_refused() {
    let limits = FreshnessLimits { senders_max: 2, nonces_max: 2, ..FreshnessLimits::default() };
    let mut fresh = Freshness::new(limits);
    assert_eq!(
        ["a", "b", "c"].map(|sender| fresh.admit(made(), &numbered(sender, 1))),
        [Ok(()), Ok(()), Err(Stale::Full)]
    );
    assert_eq!(
        ["x", "y", "z"].map(|nonce| fresh.admit(made(), &with_nonce(nonce))),
        [Ok(()), Ok(()), Err(Stale::Full)]
    );
    assert_eq!(fresh.admit(made(), &numbered("a", 2)), Ok(()), "who is known goes on");
}

proptest! {
    #[test]
    fn no_number_is_admitted_twice(numbers in proptest::collection::vec(1_u64..40, 0..200)) {
        let mut fresh = Freshness::new(FreshnessLimits::default());
        let mut highest = 0;
        for number in numbers {
            let admitted = fresh.admit(made(), &numbered("a", number)).is_ok();
            prop_assert_eq!(admitted, number > highest);
            highest = highest.max(number);
        }
    }
}
