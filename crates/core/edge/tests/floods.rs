//! Many sources at once, and the same as a list of everything would say.

use proptest::prelude::*;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use sx_edge::{Arrival, MethodClass, Observation, Prefixes, Source, SourceLimits, Sources, Why};
use sx_engine::Time;

const BEGIN_MS: u64 = 1_700_000_000_000;

fn stranger(n: u32) -> Source {
    let address: IpAddr = match n % 2 {
        0 => Ipv4Addr::from(n.wrapping_mul(2_654_435_761)).into(),
        _ => Ipv6Addr::from(u128::from(n.wrapping_mul(2_654_435_761)) << 64 | 0x2001 << 112).into(),
    };
    Source::of(address, &Prefixes::default())
}

fn friend(n: u8) -> Source {
    Source::of([203, 0, 113, n].into(), &Prefixes::default())
}

#[test]
fn a_million_strangers_change_only_which_of_them_are_remembered() {
    let limits = SourceLimits { sources_max: 8_192, ..SourceLimits::default() };
    let mut sources = Sources::new(limits, *b"the same always.");
    let now = Time::from_millis(BEGIN_MS);
    let capacity = sources.capacity();
    for n in 0..100 {
        sources.observe(now, friend(n), Observation::Authenticated);
    }
    for n in 100..200 {
        sources.ban(now, friend(n), now + Duration::from_secs(3_000), Why::Failures);
    }
    for n in 0..1_000_000 {
        let later = now + Duration::from_millis(n.into());
        sources.arrived(later, stranger(n));
    }
    let end = now + Duration::from_secs(1_000);
    assert_eq!((sources.capacity(), sources.len()), (capacity, capacity));
    assert_eq!(sources.evictions(), 1_000_200 - capacity as u64);
    for n in 0..100 {
        assert!(sources.explain(end, friend(n)).is_some_and(|report| report.authenticated), "{n}");
    }
    for n in 100..200 {
        assert_eq!(sources.arrived(end, friend(n)), Arrival::Dropped(Why::Failures), "{n}");
    }
}

#[test]
fn a_guesser_is_not_forgotten_behind_forged_addresses() {
    let limits = SourceLimits { sources_max: 1_024, ..SourceLimits::default() };
    let mut sources = Sources::new(limits, *b"the same always.");
    let mut now = Time::from_millis(BEGIN_MS);
    let bans: Vec<bool> = (0..5)
        .map(|guess| {
            for n in 0..20_000 {
                sources.arrived(now, stranger(guess * 20_000 + n));
            }
            now = now + Duration::from_secs(60);
            sources.arrived(now, friend(1));
            sources.observe(now, friend(1), Observation::Failed).is_some()
        })
        .collect();
    assert_eq!(bans, [false, false, false, false, true]);
}

#[test]
fn whoever_sends_much_is_not_forgotten_behind_those_who_send_once() {
    let limits = SourceLimits { sources_max: 1_024, ..SourceLimits::default() };
    let mut sources = Sources::new(limits, *b"the same always.");
    let now = Time::from_millis(BEGIN_MS);
    let arrivals: Vec<Arrival> = (0..31)
        .map(|turn| {
            let arrival = sources.arrived(now, friend(1));
            // Nothing is known that tells it from the others when it has sent but once itself.
            (0..if turn == 0 { 0 } else { 5_000 }).for_each(|n| _ = sources.arrived(now, stranger(turn * 5_000 + n)));
            arrival
        })
        .collect();
    assert!(arrivals[..30].iter().all(|arrival| *arrival == Arrival::Pass));
    assert_eq!(arrivals[30], Arrival::Refuse { retry_after_s: 300 });
}

#[test]
fn whoever_authenticated_yesterday_is_forgotten_like_any_other() {
    let limits = SourceLimits { sources_max: 64, ..SourceLimits::default() };
    let mut sources = Sources::new(limits, *b"the same always.");
    let now = Time::from_millis(BEGIN_MS);
    sources.observe(now, friend(1), Observation::Authenticated);
    // When the second of it, kept in 16 bits, comes round again.
    for n in 0..10_000 {
        sources.arrived(now + Duration::from_secs(65_546), stranger(n));
    }
    assert_eq!(sources.explain(now, friend(1)), None);
}

#[test]
fn whoever_authenticated_within_the_hour_is_known_however_its_windows_fall() {
    let limits =
        SourceLimits { window: Duration::from_secs(8), unknown: 1, authenticated: 2, ..SourceLimits::default() };
    for lead_ms in [1, 500, 4_000, 7_999] {
        let mut sources = Sources::new(limits, *b"the same always.");
        // So long before the next window begins.
        let then = Time::from_millis(BEGIN_MS.next_multiple_of(8_000) + 8_000 - lead_ms);
        assert_eq!(sources.arrived(then, friend(1)), Arrival::Pass);
        sources.observe(then, friend(1), Observation::Authenticated);
        let later = then + Duration::from_secs(3_599);
        let arrivals = [0, 1].map(|_| sources.arrived(later, friend(1)));
        assert_eq!(arrivals, [Arrival::Pass; 2], "{lead_ms}");
    }
}

#[test]
fn an_operators_ban_outlives_a_flood_of_bans() {
    let limits = SourceLimits { sources_max: 64, ..SourceLimits::default() };
    let mut sources = Sources::new(limits, *b"the same always.");
    let now = Time::from_millis(BEGIN_MS);
    sources.ban(now, friend(1), now + Duration::from_secs(600), Why::Operator);
    sources.observe(now, friend(2), Observation::Authenticated);
    for n in 0..10_000 {
        sources.ban(now, stranger(n), now + Duration::from_secs(3_000), Why::Rate);
    }
    assert_eq!(sources.ban_of(now, friend(1)).map(|ban| ban.why), Some(Why::Operator));
    assert!(sources.explain(now, friend(2)).is_some_and(|report| report.authenticated));
    assert!(sources.len() <= sources.capacity());
}

const OBSERVATIONS: [Observation; 8] = [
    Observation::Malformed,
    Observation::Request(MethodClass::Invite),
    Observation::Request(MethodClass::Options),
    Observation::Dialled(0x8123_4567_89ab_cdef),
    Observation::Challenged,
    Observation::Failed,
    Observation::Authenticated,
    Observation::Scanner,
];
/// What else may happen, numbered on.
const OPERATOR: usize = OBSERVATIONS.len();
const PARDON: usize = OBSERVATIONS.len() + 1;

/// All that was ever heard of a source.
#[derive(Default)]
struct Heard {
    arrivals_ms: Vec<u64>,
    authenticated_s: Option<u64>,
    banned_until_s: u64,
}

impl Heard {
    fn arrived(&mut self, now_ms: u64, limits: &SourceLimits) -> Arrival {
        if self.banned_until_s > now_ms / 1000 {
            return Arrival::Dropped(Why::Rate);
        }
        self.arrivals_ms.push(now_ms);
        let window_ms = limits.window.as_millis() as u64;
        let begun = now_ms / window_ms * window_ms;
        let within =
            |from: u64, to: u64| self.arrivals_ms.iter().filter(|time| (from..to).contains(time)).count() as u64;
        let carried = within(begun - window_ms, begun) * (begun + window_ms - now_ms) / window_ms;
        let known = self.authenticated_s.is_some_and(|then| now_ms / 1000 - then <= 3600);
        let limit = if known { limits.authenticated } else { limits.unknown };
        if within(begun, u64::MAX) + carried <= limit.into() {
            return Arrival::Pass;
        }
        self.arrivals_ms.clear();
        self.banned_until_s = now_ms / 1000 + limits.ban.as_secs();
        Arrival::Refuse { retry_after_s: limits.ban.as_secs() as u32 }
    }
}

proptest! {
    #[test]
    fn sources_are_limited_as_a_list_of_everything_would_limit_them(
        steps in prop::collection::vec(
            (prop_oneof![20 => 0u64..1_500, 1 => 0u64..400_000, 1 => 0u64..5_000_000], 0u8..5, prop::bool::weighted(0.02)),
            1..600,
        ),
        window_s in 1u64..20, unknown in 1u32..8, more in 1u32..8, ban_s in 1u64..40,
    ) {
        let limits = SourceLimits {
            window: Duration::from_secs(window_s),
            unknown,
            authenticated: unknown + more,
            ban: Duration::from_secs(ban_s),
            sources_max: 4_096,
            ..SourceLimits::default()
        };
        let mut sources = Sources::new(limits, *b"the same always.");
        let mut model: HashMap<u8, Heard> = HashMap::new();
        let mut now_ms = BEGIN_MS;
        for (step, n, authenticates) in steps {
            now_ms += step;
            let (now, heard) = (Time::from_millis(now_ms), model.entry(n).or_default());
            let expected = heard.arrived(now_ms, &limits);
            prop_assert_eq!(sources.arrived(now, friend(n)), expected);
            if authenticates && expected == Arrival::Pass {
                sources.observe(now, friend(n), Observation::Authenticated);
                heard.authenticated_s = Some(now_ms / 1000);
            }
        }
        prop_assert_eq!((sources.len(), sources.evictions()), (model.len(), 0));
    }

    #[test]
    fn no_limits_and_no_order_of_things_break_it(
        steps in prop::collection::vec((0u64..100_000, 0u32..40, 0usize..OBSERVATIONS.len() + 4), 1..400),
        (window_ms, unknown, authenticated) in (0u64..700_000, 0u32..4, prop_oneof![0u32..50, Just(u32::MAX)]),
        (ban_ms, failures_max, failures_ms) in (prop_oneof![0u64..5_000, Just(u64::MAX)], 0u32..9, 0u64..5_000),
        (score_max_milli, sources_max) in (0u32..1_100, 0usize..30),
    ) {
        let limits = SourceLimits {
            window: Duration::from_millis(window_ms),
            unknown,
            authenticated,
            ban: Duration::from_millis(ban_ms),
            failures_max,
            failures_window: Duration::from_millis(failures_ms),
            score_max_milli,
            sources_max,
            prefixes: Prefixes::default(),
        };
        let mut sources = Sources::new(limits, *b"the same always.");
        let capacity = sources.capacity();
        let mut now = Time::from_millis(BEGIN_MS);
        for (step, n, what) in steps {
            now = now + Duration::from_millis(step);
            let from = stranger(n);
            match (what, OBSERVATIONS.get(what)) {
                (_, Some(observation)) => {
                    let ban = sources.observe(now, from, *observation);
                    prop_assert!(ban.is_none_or(|ban| ban.source == from && ban.until >= now));
                }
                (OPERATOR, None) => _ = sources.ban(now, from, now + Duration::from_millis(step), Why::Operator),
                (PARDON, None) => {
                    let was_banned = sources.ban_of(now, from).is_some();
                    // It knows the time of what was heard last, when a ban may have stood that has ended since.
                    prop_assert!(sources.unban(from) || !was_banned);
                    prop_assert_eq!(sources.ban_of(now, from), None);
                }
                _ => {
                    let banned = sources.ban_of(now, from);
                    let arrival = sources.arrived(now, from);
                    prop_assert_eq!(banned.map(|ban| Arrival::Dropped(ban.why)).unwrap_or(arrival), arrival);
                }
            }
            prop_assert!(sources.score_milli(now, from) <= 1000);
            prop_assert!(sources.len() <= capacity && sources.capacity() == capacity);
            prop_assert!(sources.banned(now).all(|(_, until, _)| until > now));
        }
    }
}
