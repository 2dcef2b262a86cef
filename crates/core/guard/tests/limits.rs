//! What the gates of codecs and of rates say.

mod common;

use common::{check_approved, check_refused, codec_rule, policy, refusal, registered, request, rule};
use std::time::Duration;
use sx_guard::{
    Action, Authentication, Conditions, Definition, Gate, Policy, Rate, ReasonKind, Request, Source, Status, Then,
};
use sx_types::Codec;

#[test]
fn whatever_is_offered_the_list_that_applies_binds_the_call() {
    let policy = codec_rule(&[Codec::Pcma, Codec::Opus, Codec::H264]);
    let allowed = [Codec::Pcma, Codec::Opus, Codec::H264, Codec::TelephoneEvent, Codec::ComfortNoise];
    for offered in [
        // Nothing yet, some of it, and nothing but what is allowed: what comes later must be, too.
        &[][..],
        &[Codec::Opus, Codec::G729, Codec::Pcma],
        &[Codec::Pcmu, Codec::TelephoneEvent, Codec::H264],
        &[Codec::TelephoneEvent, Codec::Pcma, Codec::ComfortNoise],
    ] {
        let decision = policy.decide(&Request { codecs: offered, ..request() });
        let codecs = decision.outcome.obligations().and_then(|obligations| obligations.codecs.as_deref());
        assert_eq!(codecs, Some(&allowed[..]), "{offered:?}");
        assert_eq!((decision.gate, decision.rule), (Some(Gate::Codec), "codec"));
        assert_eq!(&*decision.codecs().expect("both lists").offered, offered);
    }
    // Registrations bring no media.
    check_approved(&policy, &Request { action: Action::Register, ..request() });
}

#[test]
fn a_codec_that_the_exchange_does_not_know_is_not_allowed_where_a_list_is() {
    let amr: [Box<str>; 1] = ["AMR".into()];
    let policy = codec_rule(&[Codec::Pcma]);
    let only = Request { other_codecs: &amr, ..request() };
    check_refused(&policy, &only, ReasonKind::CodecNotAllowed, Gate::Codec);
    let decision = policy.decide(&only);
    let lists = decision.codecs().expect("both lists");
    assert_eq!((&*lists.others, &*lists.offered, lists.allowed[0]), (&amr[..], &[][..], Codec::Pcma));
    assert!(policy.explain(&only).to_string().contains("codecs: AMR offered, PCMA"));
    let both = Request { codecs: &[Codec::Pcma], ..only };
    let bound = policy.decide(&both);
    let codecs = bound.outcome.obligations().and_then(|obligations| obligations.codecs.as_deref());
    assert_eq!(codecs, Some(&[Codec::Pcma, Codec::TelephoneEvent, Codec::ComfortNoise][..]));
    check_approved(&Policy::default(), &only);
}

#[test]
fn an_offer_of_which_nothing_may_stay_is_refused_with_both_lists() {
    let policy = codec_rule(&[Codec::Pcma]);
    for offered in [&[Codec::Opus, Codec::TelephoneEvent][..], &[Codec::TelephoneEvent], &[Codec::Vp8]] {
        let request = Request { codecs: offered, ..request() };
        let decision = policy.decide(&request);
        assert_eq!(refusal(&policy, &request), Some((ReasonKind::CodecNotAllowed, 0, Some(Gate::Codec))));
        let lists = decision.codecs().expect("both lists");
        assert_eq!((&*lists.offered, lists.allowed[0]), (offered, Codec::Pcma));
        let explanation = policy.explain(&request);
        assert_eq!(explanation.codecs(), Some(lists));
    }
}

#[test]
fn the_trunks_list_goes_before_the_classs_and_that_before_the_one_for_all() {
    let mut definition =
        Definition { registry: vec![registered("e@x", Status::Active, "expert")], ..Definition::built_in() };
    definition.codec.allowed = Some(vec![Codec::Pcmu]);
    definition.codec.classes = vec![("Expert".into(), vec![Codec::Opus]), ("trunk".into(), vec![Codec::G729])];
    definition.codec.trunks = vec![("carrier".into(), vec![Codec::Pcma])];
    let policy = policy(definition);
    let all = [Codec::Pcmu, Codec::Opus, Codec::G729, Codec::Pcma];
    for (source, identity, expected) in [
        (Source::User, "u@x", Codec::Pcmu),
        (Source::User, "e@x", Codec::Opus),
        (Source::Trunk("other"), "other", Codec::G729),
        (Source::Trunk("Carrier"), "carrier", Codec::Pcma),
    ] {
        let decision = policy.decide(&Request { source, identity, codecs: &all, ..request() });
        let codecs = decision.outcome.obligations().and_then(|obligations| obligations.codecs.clone());
        assert_eq!(codecs.as_deref(), Some(&[expected, Codec::TelephoneEvent, Codec::ComfortNoise][..]), "{identity}");
    }
}

#[test]
fn codecs_that_no_rule_and_no_list_have_in_common_are_refused() {
    let mut narrow = rule("narrow", Conditions::default(), Then::Conditional);
    narrow.obligations.codecs = Some([Codec::G729].into());
    let mut definition = Definition { rules: vec![narrow], ..Definition::built_in() };
    definition.codec.allowed = Some(vec![Codec::Pcma]);
    let policy = policy(definition);
    for codecs in [&[][..], &[Codec::G729, Codec::Pcma]] {
        check_refused(&policy, &Request { codecs, ..request() }, ReasonKind::CodecNotAllowed, Gate::Codec);
    }
}

fn rates() -> Policy {
    let per = |limit, seconds, calls_max| Rate { limit, window: Duration::from_secs(seconds), calls_max };
    let mut definition = Definition {
        registry: vec![registered("e@x", Status::Active, "expert"), registered("v@x", Status::Active, "expert")],
        ..Definition::default()
    };
    definition.rate.trunks = vec![("carrier".into(), per(100, 1, 20))];
    definition.rate.identities = vec![("v@x".into(), per(3, 7, u32::MAX))];
    policy(definition)
}

#[test]
fn the_rate_is_that_of_the_identity_the_trunk_the_class_or_all() {
    let policy = rates();
    let authenticated = Authentication::Certificate;
    for (source, identity, limit, window_s) in [
        (Source::User, "u@x", 60, 60),
        (Source::User, "e@x", 10, 60),
        (Source::User, "V@x", 3, 7),
        (Source::Trunk("Carrier"), "carrier", 100, 1),
        (Source::Trunk("other"), "other", u32::MAX, 60),
        (Source::Exchange, "", u32::MAX, 60),
    ] {
        let at = |recent| Request { source, identity, authenticated, recent, ..request() };
        let rate = policy.rate_for(&at(0));
        assert_eq!((rate.limit, rate.window.as_secs()), (limit, window_s), "{identity}");
        check_approved(&policy, &at(limit.min(1_000) - 1));
        if limit != u32::MAX {
            let expected = (ReasonKind::RateExceeded, window_s as u32, Some(Gate::Rate));
            assert_eq!(refusal(&policy, &at(limit)), Some(expected), "{identity}");
        }
    }
    let telephone = Request { action: Action::Register, recent: 1_000, ..request() };
    check_approved(&policy, &telephone);
    assert_eq!(policy.rate_for(&telephone), Rate::UNLIMITED);
}

#[test]
fn calls_at_a_time_are_limited_too() {
    let policy = rates();
    let at = |calls| Request { source: Source::Trunk("carrier"), identity: "carrier", calls, ..request() };
    check_approved(&policy, &at(19));
    assert_eq!(refusal(&policy, &at(20)), Some((ReasonKind::TooManyCalls, 10, Some(Gate::Rate))));
}

#[test]
fn an_identity_that_nobody_has_proved_has_no_rate_of_its_own() {
    let mut definition = Definition::built_in();
    definition.rate.users = Rate { limit: 5, ..Rate::UNLIMITED };
    definition.rate.identities = vec![("v@x".into(), Rate::UNLIMITED)];
    let policy = policy(definition);
    let claimed = Request { identity: "v@x", source: Source::Anonymous, recent: 5, ..request() };
    check_refused(&policy, &claimed, ReasonKind::RateExceeded, Gate::Rate);
    check_approved(&policy, &Request { source: Source::User, ..claimed });
}

#[test]
fn the_rate_is_asked_last() {
    let mut definition = Definition { ..Definition::default() };
    definition.codec.allowed = Some(vec![Codec::Pcma]);
    let policy = policy(definition);
    let request = Request { recent: 1_000, codecs: &[Codec::Opus], ..request() };
    check_refused(&policy, &request, ReasonKind::CodecNotAllowed, Gate::Codec);
}

#[test]
fn what_brings_no_media_is_not_refused_for_its_codecs() {
    let narrow = |name, codec| {
        let mut rule = rule(name, Conditions::default(), Then::Conditional);
        rule.obligations.codecs = Some([codec].into());
        rule
    };
    let rules = vec![narrow("one", Codec::Pcma), narrow("two", Codec::Opus)];
    let policy = policy(Definition { rules, ..Definition::built_in() });
    check_refused(&policy, &request(), ReasonKind::CodecNotAllowed, Gate::Codec);
    assert!(policy.decide(&Request { action: Action::Message, ..request() }).is_approved());
}
