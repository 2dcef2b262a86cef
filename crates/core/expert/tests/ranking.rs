//! Whom to call first, and who is not called.

use proptest::prelude::*;
use std::time::Duration;
use sx_engine::Time;
use sx_expert::{Expert, Hours, Need, PassedOver, Presence, Ranking, Shift, Standing, rank};

const NOW: Time = Time::from_secs(1_800_000_000);
const FREE: Presence = Presence { reachable: true, calls: 0, rings: 0, rings_max: 3 };

fn expert(id: &str, level: u8) -> Expert {
    let mut expert = Expert::new(id, id);
    expert.knows("safety", level);
    expert
}

fn need() -> Need<'static> {
    Need { subject: "safety", ..Need::default() }
}

fn order(experts: &[Expert], ranking: &Ranking) -> Vec<String> {
    ranking.best.iter().map(|ranked| experts[ranked.index].id.to_string()).collect()
}

#[test]
fn who_is_on_call_goes_first_then_who_speaks_then_who_knows_more_then_who_is_free_and_rested() {
    let mut on_call = expert("on-call", 1);
    on_call.shifts.push(Shift { from: NOW, to: NOW + Duration::from_secs(1) });
    let mut swiss = expert("swiss", 1);
    swiss.languages = vec!["fr".into(), "de-CH".into()];
    let mut danish = expert("danish", 9);
    danish.languages = vec!["den".into()];
    let mut busy = expert("busy", 5);
    busy.calls_max = 3;
    let experts = [
        expert("b", 5),
        expert("tired", 5),
        expert("a", 5),
        busy,
        danish,
        swiss,
        on_call,
        Expert::new("other", "knows nothing"),
    ];
    let presence = |index: usize| Presence {
        calls: u32::from(index == 3),
        rings: [0, 2, 1, 0].get(index).map_or(0, |rings| *rings),
        ..FREE
    };
    let ranking = rank(&experts, &Need { language: "de", ..need() }, presence, NOW);
    assert_eq!(order(&experts, &ranking), ["on-call", "swiss", "danish", "b", "a", "tired", "busy"]);
    assert_eq!(ranking.passed_over, []);
    let first = ranking.best[0].why;
    assert!(first.on_call && !first.speaks && first.level == 1);
    let any_language = rank(&experts, &need(), presence, NOW);
    assert_eq!(order(&experts, &any_language)[1], "danish");
}

#[test]
fn what_stands_in_the_way_is_told_and_what_is_for_good_before_what_will_pass() {
    let check = |change: fn(&mut Expert), here: Presence, need: &Need<'_>, expected: Option<PassedOver>| {
        let mut one = expert("x", 1);
        one.organisation = "acme".into();
        one.networks = vec!["192.0.2.0/24".parse().expect("a network")];
        change(&mut one);
        let ranking = rank(&[one], need, |_| here, NOW);
        assert_eq!(ranking.passed_over.first().map(|(_, why)| *why), expected);
        assert_eq!(ranking.best.is_empty(), expected.is_some());
    };
    let ours = Need { organisation: "ACME", from: Some([192, 0, 2, 9].into()), ..need() };
    check(|_| (), FREE, &ours, None);
    check(
        |one| one.standing = Standing::Revoked,
        Presence { reachable: false, calls: 9, rings: 9, rings_max: 3 },
        &ours,
        Some(PassedOver::Revoked),
    );
    check(|one| one.standing = Standing::Suspended, FREE, &ours, Some(PassedOver::Suspended));
    check(|_| (), FREE, &Need { organisation: "umbrella", ..ours }, Some(PassedOver::OtherOrganisation));
    check(|_| (), FREE, &Need { from: Some([198, 51, 100, 1].into()), ..ours }, Some(PassedOver::OtherNetwork));
    check(|_| (), FREE, &Need { from: None, ..ours }, Some(PassedOver::OtherNetwork));
    check(|_| (), Presence { reachable: false, ..FREE }, &ours, Some(PassedOver::Unreachable));
    check(|_| (), Presence { calls: 1, rings: 3, ..FREE }, &ours, Some(PassedOver::Busy));
    check(|_| (), Presence { rings: 3, ..FREE }, &ours, Some(PassedOver::TooOften));
    check(|one| one.proved = false, FREE, &Need { organisation: "umbrella", ..ours }, Some(PassedOver::Unproved));
    let night = |one: &mut Expert| one.hours = Some(Hours::parse("mon-sun 00:00-00:01", "UTC").expect("hours"));
    check(night, FREE, &ours, Some(PassedOver::OffHours));
    check(|one| one.calls_max = 2, Presence { calls: 1, ..FREE }, &ours, None);
}

/// 2026-11-23 is a Monday.
fn at(text: &str) -> Time {
    let stamp: jiff::Timestamp = text.parse().expect("a time");
    Time::from_secs(u64::try_from(stamp.as_second()).expect("past the epoch"))
}

#[track_caller]
fn works(hours: &str, zone: &str, time: &str, expected: bool) {
    assert_eq!(Hours::parse(hours, zone).expect("hours").contain(at(time)), expected, "{hours} {zone} at {time}");
}

#[test]
fn hours_are_those_of_the_clocks_there() {
    let office = "mon-fri 09:00-17:00";
    works(office, "UTC", "2026-11-23T09:00:00Z", true);
    works(office, "UTC", "2026-11-23T16:59:59Z", true);
    works(office, "UTC", "2026-11-23T17:00:00Z", false);
    works(office, "UTC", "2026-11-22T12:00:00Z", false);
    // An hour ahead in winter, two in summer.
    works(office, "Europe/Berlin", "2026-11-23T08:00:00Z", true);
    works(office, "Europe/Berlin", "2026-11-23T07:59:00Z", false);
    works(office, "Europe/Berlin", "2026-07-20T07:00:00Z", true);
    works(office, "Asia/Kolkata", "2026-11-23T03:30:00Z", true);
    works("sat 22:00-02:00, sun 22:00-02:00", "UTC", "2026-11-22T01:59:00Z", true);
    works("sat 22:00-02:00, sun 22:00-02:00", "UTC", "2026-11-23T01:59:00Z", true);
    works("sun 22:00-02:00", "UTC", "2026-11-23T02:00:00Z", false);
    works("fri-mon 00:00-24:00", "UTC", "2026-11-23T12:00:00Z", true);
    works("fri-mon 00:00-24:00", "UTC", "2026-11-24T00:00:00Z", false);
    works("MON 10:00-11:00", "America/New_York", "2026-11-23T15:30:00Z", true);
}

#[test]
fn what_says_no_hours_is_refused() {
    for text in [
        "",
        "mon",
        "mon 9-17",
        "mon 09:00-09:00",
        "mon 24:00-01:00",
        "mon 09:60-10:00",
        "foo 09:00-10:00",
        "mon 09:00",
        "mon +9:00-10:00",
    ] {
        assert!(Hours::parse(text, "UTC").is_err(), "{text}");
    }
    assert!(
        Hours::parse("mon 09:00-10:00", "Mars/Olympus").is_err_and(|error| error.to_string().contains("Mars/Olympus"))
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,40}", zone in "[A-Za-z/_]{0,20}", seconds in any::<u64>()) {
        if let Ok(hours) = Hours::parse(&text, &zone) {
            let _ = hours.contain(Time::from_secs(seconds));
        }
    }

    #[test]
    fn everybody_who_knows_of_it_is_called_or_passed_over_in_one_order(
        levels in proptest::collection::vec(0_u8..4, 0..40), calls in proptest::collection::vec(0_u32..3, 40),
    ) {
        let mut experts: Vec<Expert> = levels.iter().enumerate().map(|(number, level)| expert(&format!("e{number}"), *level)).collect();
        let presence = |index: usize| Presence { calls: calls[index], ..FREE };
        let ranking = rank(&experts, &need(), presence, NOW);
        prop_assert_eq!(ranking.best.len() + ranking.passed_over.len(), experts.len());
        let first = order(&experts, &ranking);
        // Whoever lists them otherwise calls them in the same order.
        let mut turned: Vec<(Expert, u32)> = experts.drain(..).zip(calls.iter().copied()).collect();
        turned.reverse();
        let (experts, calls): (Vec<Expert>, Vec<u32>) = turned.into_iter().unzip();
        let again = rank(&experts, &need(), |index| Presence { calls: calls[index], ..FREE }, NOW);
        prop_assert_eq!(order(&experts, &again), first);
    }
}
