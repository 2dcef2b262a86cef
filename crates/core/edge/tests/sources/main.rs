//! What becomes of sources, as claims.

mod bans;
mod limits;
mod scores;
mod spoofing;

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
