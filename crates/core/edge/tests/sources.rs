//! What becomes of sources, as claims.

use std::net::IpAddr;
use std::time::Duration;
use sx_edge::{Arrival, Ban, MethodClass, Observation, Source, SourceLimits, Sources, Why};
use sx_engine::Time;

/// A whole number of windows after the epoch.
const BEGIN_S: u64 = 1_700_000_000;

struct Edge {
    sources: Sources,
    now: Time,
}

impl Edge {
    fn new(limits: SourceLimits) -> Self {
        let limits = SourceLimits { sources_max: 4_096, ..limits };
        Self { sources: Sources::new(limits, *b"the same always."), now: Time::from_secs(BEGIN_S) }
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }

    fn arrived(&mut self, from: Source) -> Arrival {
        self.sources.arrived(self.now, from)
    }

    fn observe(&mut self, from: Source, observation: Observation) -> Option<Ban> {
        self.sources.observe(self.now, from, observation)
    }

    /// A message that is looked at, when it gets so far.
    fn hear(&mut self, from: Source, observations: &[Observation]) -> Arrival {
        let arrival = self.arrived(from);
        if matches!(arrival, Arrival::Pass | Arrival::Challenge) {
            for observation in observations {
                self.observe(from, *observation);
            }
        }
        arrival
    }

    fn is_banned(&self, from: Source) -> Option<Why> {
        self.sources.ban_of(self.now, from).map(|ban| ban.why)
    }

    fn score(&self, from: Source) -> u32 {
        self.sources.score_milli(self.now, from)
    }
}

fn edge() -> Edge {
    Edge::new(SourceLimits::default())
}

fn source(text: &str) -> Source {
    let address: IpAddr = text.parse().expect(text);
    Source::of(address, &SourceLimits::default().prefixes)
}

fn alice() -> Source {
    source("192.0.2.1")
}

const REGISTER: Observation = Observation::Request(MethodClass::Register);
const OPTIONS: Observation = Observation::Request(MethodClass::Options);
const INVITE: Observation = Observation::Request(MethodClass::Invite);

#[test]
fn a_stranger_that_sends_too_fast_is_refused_once_and_then_not_answered() {
    let mut edge = edge();
    let arrivals: Vec<Arrival> = (0..33).map(|_| edge.arrived(alice())).collect();
    assert!(arrivals[..30].iter().all(|arrival| *arrival == Arrival::Pass));
    let dropped = Arrival::Dropped(Why::Rate);
    assert_eq!(arrivals[30..], [Arrival::Refuse { retry_after_s: 300 }, dropped, dropped]);
    assert_eq!(edge.arrived(source("192.0.2.2")), Arrival::Pass);
}

#[test]
fn a_ban_ends_when_it_was_said_to() {
    let mut edge = edge();
    while edge.arrived(alice()) == Arrival::Pass {}
    edge.wait(299);
    assert_eq!(edge.arrived(alice()), Arrival::Dropped(Why::Rate));
    edge.wait(1);
    assert_eq!((edge.arrived(alice()), edge.is_banned(alice())), (Arrival::Pass, None));
}

#[test]
fn a_ban_that_is_shorter_than_the_window_forgives_what_led_to_it() {
    let mut edge = Edge::new(SourceLimits { ban: Duration::from_millis(1_500), ..SourceLimits::default() });
    while edge.arrived(alice()) == Arrival::Pass {}
    edge.wait(2);
    assert_eq!(edge.arrived(alice()), Arrival::Pass);
}

#[test]
fn what_came_at_the_end_of_a_window_counts_in_the_next() {
    let mut edge = edge();
    edge.wait(9);
    assert!((0..30).all(|_| edge.arrived(alice()) == Arrival::Pass));
    edge.wait(2);
    // Nine tenths of the window before still count.
    assert!((0..3).all(|_| edge.arrived(alice()) == Arrival::Pass));
    assert_eq!(edge.arrived(alice()), Arrival::Refuse { retry_after_s: 300 });
}

#[test]
fn whoever_has_authenticated_may_send_more_for_an_hour() {
    let mut edge = edge();
    edge.observe(alice(), Observation::Authenticated);
    assert!((0..600).all(|_| edge.arrived(alice()) == Arrival::Pass));
    assert_eq!(edge.arrived(alice()), Arrival::Refuse { retry_after_s: 300 });

    edge.wait(3_550);
    assert!((0..31).all(|_| edge.arrived(alice()) == Arrival::Pass));
    edge.wait(51);
    let arrivals: Vec<Arrival> = (0..31).map(|_| edge.arrived(alice())).collect();
    assert_eq!(arrivals[30], Arrival::Refuse { retry_after_s: 300 });
}

#[test]
fn five_wrong_passwords_within_the_time_begin_a_ban() {
    let mut edge = edge();
    edge.observe(alice(), Observation::Authenticated);
    for _ in 0..4 {
        assert_eq!(edge.observe(alice(), Observation::Failed), None);
        edge.wait(74);
    }
    let expected = Ban { source: alice(), until: edge.now + Duration::from_secs(300), why: Why::Failures };
    assert_eq!(edge.observe(alice(), Observation::Failed), Some(expected));
    assert_eq!(edge.observe(alice(), Observation::Failed), None);
    assert_eq!(edge.arrived(alice()), Arrival::Dropped(Why::Failures));
    edge.wait(300);
    // The count begins anew: a slip is not a ban.
    assert_eq!((edge.arrived(alice()), edge.observe(alice(), Observation::Failed)), (Arrival::Pass, None));
}

#[test]
fn wrong_passwords_now_and_then_begin_none() {
    let mut edge = edge();
    for _ in 0..200 {
        assert_eq!(edge.hear(alice(), &[REGISTER, Observation::Failed]), Arrival::Pass);
        edge.wait(95);
    }
}

#[test]
fn a_scanner_is_banned_at_once() {
    let mut edge = edge();
    edge.arrived(alice());
    let ban = edge.observe(alice(), Observation::Scanner).expect("a ban");
    assert_eq!((ban.why, ban.until), (Why::Scanner, edge.now + Duration::from_secs(300)));
    assert_eq!(edge.arrived(alice()), Arrival::Dropped(Why::Scanner));
}

#[test]
fn one_torn_datagram_does_no_harm_and_junk_alone_is_banned_for_a_minute() {
    let mut edge = edge();
    edge.hear(alice(), &[Observation::Malformed]);
    assert!(edge.score(alice()) < 50);
    for _ in 0..8 {
        assert_eq!(edge.hear(alice(), &[Observation::Malformed]), Arrival::Pass);
    }
    edge.arrived(alice());
    let ban = edge.observe(alice(), Observation::Malformed).expect("the tenth of ten");
    assert_eq!((ban.why, ban.until), (Why::Score, edge.now + Duration::from_secs(60)));
    edge.wait(60);
    assert_eq!((edge.arrived(alice()), edge.score(alice())), (Arrival::Pass, 13));
}

#[test]
fn whoever_never_answers_a_challenge_is_banned_for_a_while() {
    let mut edge = edge();
    let mut heard = 0;
    while edge.is_banned(alice()).is_none() {
        edge.hear(alice(), &[REGISTER, Observation::Challenged]);
        edge.wait(1);
        heard += 1;
    }
    assert_eq!((edge.is_banned(alice()), heard), (Some(Why::Score), 25));
}

#[test]
fn telephones_behind_one_address_that_begin_at_once_are_served() {
    let mut edge = edge();
    for _ in 0..20 {
        assert!(matches!(edge.hear(alice(), &[REGISTER, Observation::Challenged]), Arrival::Pass | Arrival::Challenge));
    }
    for _ in 0..20 {
        let answered = edge.hear(alice(), &[REGISTER, Observation::Authenticated]);
        assert!(matches!(answered, Arrival::Pass | Arrival::Challenge));
    }
    assert!(edge.score(alice()) < 100);
}

#[test]
fn challenges_that_are_answered_do_not_count() {
    let mut edge = edge();
    for _ in 0..1_000 {
        assert_eq!(edge.hear(alice(), &[INVITE, Observation::Challenged]), Arrival::Pass);
        assert_eq!(edge.hear(alice(), &[INVITE, Observation::Authenticated]), Arrival::Pass);
        edge.wait(1);
    }
    assert_eq!(edge.sources.explain(edge.now, alice()).expect("known").score.challenges, 0);
}

#[test]
fn a_stranger_that_only_probes_is_asked_who_it_is() {
    let mut edge = edge();
    let arrivals: Vec<Arrival> = (0..30).map(|_| edge.hear(alice(), &[OPTIONS])).collect();
    assert_eq!((arrivals[20], arrivals[29]), (Arrival::Pass, Arrival::Challenge));
    assert_eq!(edge.is_banned(alice()), None);
    // A probe now and then is what monitors do.
    let monitor = source("192.0.2.2");
    for _ in 0..100 {
        assert_eq!(edge.hear(monitor, &[OPTIONS]), Arrival::Pass);
        edge.wait(2);
    }
}

#[test]
fn a_stranger_that_dials_one_number_after_the_other_is_asked_who_it_is() {
    let dial = |numbers: u64| {
        let mut edge = edge();
        let mut last = Arrival::Pass;
        for n in 0..28u64 {
            let number = (n % numbers).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            last = edge.hear(alice(), &[INVITE, Observation::Dialled(number)]);
        }
        last
    };
    assert_eq!((dial(28), dial(2)), (Arrival::Challenge, Arrival::Pass));
}

#[test]
fn a_carrier_that_has_authenticated_may_dial_what_it_likes() {
    let mut edge = edge();
    edge.observe(alice(), Observation::Authenticated);
    for n in 0..3_000u64 {
        let number = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        assert_eq!(edge.hear(alice(), &[INVITE, Observation::Dialled(number)]), Arrival::Pass);
        edge.now = edge.now + Duration::from_millis(20);
    }
}

#[test]
fn what_is_over_is_forgiven_in_time() {
    let mut edge = edge();
    for _ in 0..25 {
        edge.hear(alice(), &[OPTIONS]);
    }
    let mut last = edge.score(alice());
    assert!(last > 800);
    for _ in 0..5 {
        edge.wait(10);
        assert!(edge.score(alice()) <= last);
        last = edge.score(alice());
    }
    edge.wait(20);
    assert_eq!(edge.score(alice()), 0);
}

mod spoofing {
    use super::*;

    /// The worst that can be sent in somebody's name without a password, in every mixture, below the limit of messages.
    fn junk(edge: &mut Edge) {
        for n in 0..5_000u32 {
            let forged: &[Observation] = match n % 7 {
                0..3 => &[Observation::Malformed],
                3 => &[REGISTER, Observation::Scanner],
                4 => &[OPTIONS],
                5 => &[INVITE, Observation::Dialled(0), Observation::Challenged],
                _ => &[REGISTER, Observation::Challenged],
            };
            edge.hear(alice(), forged);
            edge.now = edge.now + Duration::from_millis(20);
            assert_eq!(edge.is_banned(alice()), None, "after {n}");
        }
    }

    #[test]
    fn junk_in_the_name_of_an_honest_source_has_it_challenged_and_never_banned() {
        let mut edge = edge();
        edge.observe(alice(), Observation::Authenticated);
        junk(&mut edge);
        assert_eq!(edge.hear(alice(), &[INVITE, Observation::Authenticated]), Arrival::Challenge);
        // And it is as before once that is over.
        edge.wait(120);
        assert_eq!(edge.arrived(alice()), Arrival::Pass);
    }

    #[test]
    fn another_worker_that_has_seen_only_junk_does_not_have_it_banned() {
        let mut edge = edge();
        edge.observe(alice(), Observation::Authenticated);
        let until = edge.now + Duration::from_secs(60);
        assert!(!edge.sources.ban(edge.now, alice(), until, Why::Elsewhere));
        assert_eq!(edge.arrived(alice()), Arrival::Pass);
        assert!(edge.sources.ban(edge.now, alice(), until, Why::Failures));
        assert_eq!(edge.arrived(alice()), Arrival::Dropped(Why::Failures));
    }

    #[test]
    fn a_stranger_is_not_protected_so() {
        let mut edge = edge();
        while edge.is_banned(alice()).is_none() {
            edge.hear(alice(), &[Observation::Malformed]);
        }
        assert_eq!(edge.is_banned(alice()), Some(Why::Score));
    }
}

mod bans {
    use super::*;

    #[test]
    fn an_operators_ban_holds_whatever_others_say() {
        let mut edge = edge();
        let (now, soon, late) = (edge.now, edge.now + Duration::from_secs(60), edge.now + Duration::from_secs(600));
        edge.observe(alice(), Observation::Authenticated);
        assert!(edge.sources.ban(now, alice(), soon, Why::Operator));
        assert!(!edge.sources.ban(now, alice(), late, Why::Elsewhere));
        let all: Vec<_> = edge.sources.banned(now).collect();
        assert_eq!(all, [(alice(), soon, Why::Operator)]);
        edge.wait(60);
        assert_eq!((edge.arrived(alice()), edge.sources.banned(edge.now).count()), (Arrival::Pass, 0));
    }

    #[test]
    fn a_ban_from_elsewhere_makes_none_shorter() {
        let mut edge = edge();
        let (soon, late) = (edge.now + Duration::from_secs(60), edge.now + Duration::from_secs(600));
        assert!(edge.sources.ban(edge.now, alice(), late, Why::Failures));
        assert!(!edge.sources.ban(edge.now, alice(), soon, Why::Elsewhere));
        assert_eq!(edge.sources.ban_of(edge.now, alice()).map(|ban| ban.until), Some(late));
    }

    #[test]
    fn who_is_pardoned_begins_anew() {
        let mut edge = edge();
        while edge.arrived(alice()) == Arrival::Pass {}
        assert!(edge.sources.unban(alice()));
        assert!((0..30).all(|_| edge.arrived(alice()) == Arrival::Pass));
        assert!(!edge.sources.unban(alice()) && !edge.sources.unban(source("192.0.2.2")));
    }

    #[test]
    fn a_ban_that_has_ended_cannot_be_lifted() {
        let mut edge = edge();
        while edge.arrived(alice()) == Arrival::Pass {}
        edge.wait(300);
        edge.arrived(source("192.0.2.2"));
        assert!(!edge.sources.unban(alice()));
    }

    #[test]
    fn a_ban_ends_on_a_whole_second_and_not_before_it_should() {
        let mut edge = edge();
        let until = edge.now + Duration::from_millis(1_001);
        edge.sources.ban(edge.now, alice(), until, Why::Operator);
        let expected = edge.now + Duration::from_secs(2);
        assert_eq!(edge.sources.ban_of(edge.now, alice()).map(|ban| ban.until), Some(expected));
        edge.sources.ban(edge.now, alice(), Time::from_nanos(u64::MAX), Why::Operator);
        edge.wait(1_000_000_000);
        assert_eq!(edge.arrived(alice()), Arrival::Dropped(Why::Operator));
    }

    #[test]
    fn the_addresses_of_an_ipv6_network_are_banned_together() {
        let mut edge = edge();
        for n in 0..31u32 {
            edge.arrived(source(&format!("2001:db8:1:2::{n:x}")));
        }
        assert_eq!(edge.arrived(source("2001:db8:1:2:ffff::1")), Arrival::Dropped(Why::Rate));
        assert_eq!(edge.arrived(source("2001:db8:1:3::1")), Arrival::Pass);
        assert_eq!(
            edge.sources.banned(edge.now).next().map(|(from, ..)| from.to_string()).as_deref(),
            Some("2001:db8:1:2::/64")
        );
    }
}

#[test]
fn what_is_known_is_told() {
    let mut edge = edge();
    assert_eq!(edge.sources.explain(edge.now, alice()), None);
    edge.hear(alice(), &[INVITE, Observation::Dialled(1), Observation::Challenged]);
    edge.hear(alice(), &[REGISTER, Observation::Failed]);
    edge.hear(alice(), &[Observation::Malformed]);
    let report = edge.sources.explain(edge.now, alice()).expect("it was heard");
    assert_eq!((report.source, report.authenticated, report.rate, report.limit), (alice(), false, 3, 30));
    assert_eq!((report.messages, report.malformed, report.requests), (3, 1, 2));
    assert_eq!((report.calls, report.probes, report.numbers), (1, 1, 1));
    assert_eq!((report.challenges, report.failures, report.ban), (1, 1, None));
    assert_eq!((report.score.rate, report.score.failures), (40, 120));
    assert_eq!(report.score.total_milli(), edge.score(alice()));
}

#[test]
fn a_time_that_steps_back_is_no_harm() {
    let mut edge = edge();
    edge.hear(alice(), &[INVITE, Observation::Authenticated, Observation::Challenged, Observation::Failed]);
    edge.now = Time::ZERO;
    assert_eq!(edge.hear(alice(), &[INVITE, Observation::Challenged, Observation::Failed]), Arrival::Pass);
    edge.now = Time::from_nanos(u64::MAX);
    assert_eq!(edge.hear(alice(), &[INVITE]), Arrival::Pass);
}
