//! What a decision takes among 10,000 identities and 500 rules, and that an approval allocates nothing.

mod common;
#[path = "../benches/crowd/mod.rs"]
mod crowd;

use std::hint::black_box;
use std::io::Write;
use std::time::Duration;
use sx_guard::{Decision, Definition, Outcome, Policy, Request};
use sx_testkit::CountingAllocator;
use sx_types::Codec;

#[global_allocator]
static COUNTING: CountingAllocator = CountingAllocator;

fn allocations(policy: &Policy, request: &Request<'_>) -> (u64, Outcome<'static>) {
    let before = sx_testkit::allocations();
    let decision: Decision<'_> = black_box(policy.decide(black_box(request)));
    let after = sx_testkit::allocations();
    assert!(decision.is_approved(), "{decision:?}");
    let outcome = decision.outcome.obligations().cloned().map_or(Outcome::Approve, Outcome::Conditional);
    (after - before, outcome)
}

#[test]
fn an_approval_without_obligations_allocates_nothing() {
    let policy = crowd::policy();
    let mut approved = 0;
    for request in crowd::requests(&crowd::facts(2_000)) {
        if policy.decide(&request).outcome == Outcome::Approve {
            assert_eq!(allocations(&policy, &request).0, 0);
            approved += 1;
        }
    }
    assert!(approved > 100, "{approved}");
    // A list of codecs binds the call, and has to be told.
    let mut definition = Definition::default();
    definition.codec.allowed = Some(vec![Codec::Pcma, Codec::Opus]);
    let request = Request { codecs: &[Codec::Opus, Codec::TelephoneEvent], ..common::request() };
    let (allocated, outcome) = allocations(&common::policy(definition), &request);
    assert!(allocated <= 8 && outcome.obligations().is_some(), "{allocated} {outcome:?}");
}

#[test]
fn a_hundred_thousand_decisions_are_made_in_microseconds() {
    let times = crowd::percentiles();
    writeln!(std::io::stderr(), "{times}").expect("somebody reads it");
    // A build that is not optimised is given room.
    let most = Duration::from_micros(if cfg!(debug_assertions) { 1_000 } else { 50 });
    assert!(times.p99 < most, "{times}");
}
