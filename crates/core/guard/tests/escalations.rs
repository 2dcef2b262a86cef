//! The gates that only escalations pass: each refuses what it is for, and says why.

mod common;

use common::{check_approved, check_refused, policy, refusal, registered, request};
use sx_guard::{
    Action, Authentication, Bandwidth, Definition, EscalationFacts, Gate, Obstacle, PersonalData, Policy, ReasonKind,
    Request, SignatureFacts, Specialists, Status,
};

const SIGNED: SignatureFacts = SignatureFacts { key_matches: true, age_s: 0, nonce_seen: false, verifies: true };

/// A guardian's escalation that is good in every way.
const GOOD: EscalationFacts = EscalationFacts {
    standing: Some(Status::Active),
    emergency: false,
    personal: PersonalData { redacted: 2, declared: false, overridden: false },
    bandwidth: Bandwidth { asked_kbps: 80, used_kbps: 0 },
    members: 3,
    members_max: 25,
    experts: Specialists { knowing: 2, allowed: 1, rested: 1, obstacle: Some(Obstacle::OtherNetwork) },
};

fn escalates(facts: EscalationFacts) -> Request<'static> {
    Request {
        action: Action::Escalation,
        identity: "IF.guard.safety",
        authenticated: Authentication::Signature(SIGNED),
        subject: "safety",
        escalation: Some(facts),
        ..request()
    }
}

fn strict() -> Policy {
    policy(Definition::default())
}

#[track_caller]
fn refused(facts: EscalationFacts, kind: ReasonKind, gate: Gate) {
    check_refused(&strict(), &escalates(facts), kind, gate);
}

#[test]
fn what_is_good_in_every_way_is_let_in() {
    check_approved(&strict(), &escalates(GOOD));
    check_approved(&Policy::default(), &escalates(GOOD));
}

#[test]
fn a_guardian_who_is_suspended_or_revoked_is_refused_whatever_the_policy_s_registry_says() {
    for (status, kind) in [(Status::Suspended, ReasonKind::Suspended), (Status::Revoked, ReasonKind::Revoked)] {
        refused(EscalationFacts { standing: Some(status), ..GOOD }, kind, Gate::Identity);
        let mut definition = Definition::default();
        definition.registry.push(registered("IF.guard.safety", Status::Active, ""));
        let both = escalates(EscalationFacts { standing: Some(status), ..GOOD });
        check_refused(&policy(definition), &both, kind, Gate::Identity);
    }
    let mut definition = Definition::default();
    definition.registry.push(registered("IF.guard.safety", Status::Revoked, ""));
    check_refused(&policy(definition), &escalates(GOOD), ReasonKind::Revoked, Gate::Identity);
}

#[test]
fn who_is_no_guardian_is_unlisted_where_the_policy_wants_everybody_listed() {
    let mut definition = Definition::default();
    definition.identity.unlisted[Action::Escalation] = sx_guard::Unlisted::Reject;
    let policy = policy(definition);
    check_approved(&policy, &escalates(GOOD));
    let stranger = escalates(EscalationFacts { standing: None, ..GOOD });
    check_refused(&policy, &stranger, ReasonKind::Unlisted, Gate::Identity);
}

#[test]
fn personal_data_stays_in_a_text_only_in_an_emergency_that_overrides_the_rule() {
    for (declared, emergency, overridden, is_refused) in [
        (false, false, false, false),
        (true, false, false, true),
        (true, true, false, true),
        (true, false, true, true),
        (true, true, true, false),
    ] {
        let personal = PersonalData { redacted: 0, declared, overridden };
        let found = refusal(&strict(), &escalates(EscalationFacts { emergency, personal, ..GOOD }));
        let expected = is_refused.then_some((ReasonKind::UnredactedPii, 0, Some(Gate::Pii)));
        assert_eq!(found, expected, "{declared} {emergency} {overridden}");
    }
}

#[test]
fn somebody_has_to_know_about_it_be_approved_and_be_theirs_to_ring() {
    let with = |knowing, allowed, obstacle| EscalationFacts {
        experts: Specialists { knowing, allowed, rested: allowed, obstacle },
        ..GOOD
    };
    refused(with(0, 0, None), ReasonKind::NoSpecialist, Gate::Specialisation);
    for (obstacle, kind) in [
        (Obstacle::NotApproved, ReasonKind::ExpertNotApproved),
        (Obstacle::OtherOrganisation, ReasonKind::BadSource),
        (Obstacle::OtherNetwork, ReasonKind::BadSource),
    ] {
        refused(with(2, 0, Some(obstacle)), kind, Gate::Specialisation);
        check_approved(&strict(), &escalates(with(2, 1, Some(obstacle))));
    }
}

#[test]
fn nobody_takes_more_bandwidth_than_their_share_and_no_room_more_members_than_it_has_place_for() {
    let takes = |used_kbps, standing, emergency| EscalationFacts {
        bandwidth: Bandwidth { asked_kbps: 100, used_kbps },
        standing,
        emergency,
        ..GOOD
    };
    for (quota, standing, emergency) in [
        (3_000, None, false),
        (10_000, Some(Status::Active), false),
        (20_000, Some(Status::Active), true),
        (20_000, None, true),
    ] {
        check_approved(&strict(), &escalates(takes(quota - 100, standing, emergency)));
        refused(takes(quota - 99, standing, emergency), ReasonKind::BandwidthExceeded, Gate::Fairness);
    }
    refused(takes(u32::MAX, None, false), ReasonKind::BandwidthExceeded, Gate::Fairness);
    refused(EscalationFacts { members: 25, ..GOOD }, ReasonKind::RoomFull, Gate::Fairness);
}

#[test]
fn a_guardian_has_three_calls_at_a_time_and_an_expert_ten_a_minute() {
    let policy = strict();
    let third = escalates(GOOD);
    check_approved(&policy, &Request { calls: 2, ..third });
    check_refused(&policy, &Request { calls: 3, ..third }, ReasonKind::TooManyCalls, Gate::Rate);
    let tired = Specialists { rested: 0, ..GOOD.experts };
    let found = refusal(&policy, &escalates(EscalationFacts { experts: tired, ..GOOD }));
    assert_eq!(found, Some((ReasonKind::RateExceeded, 60, Some(Gate::Rate))));
}

#[test]
fn the_story_of_an_escalation_has_its_gates_and_that_of_a_call_has_not() {
    let told = strict().explain(&escalates(GOOD)).to_string();
    for line in [
        "gate pii lets it pass",
        "escalation.pii_redacted is 2",
        "gate specialisation lets it pass",
        "escalation.experts_allowed is 1, as wanted: 1 or more",
        "gate fairness lets it pass",
        "escalation.kbps is 80, as wanted: at most 10000",
        "escalation.experts_rested is 1, as wanted: 1 or more",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    let told = strict().explain(&request()).to_string();
    assert!(!told.contains("pii") && !told.contains("escalation"), "{told}");
}
