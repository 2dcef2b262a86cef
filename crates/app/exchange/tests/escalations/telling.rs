//! Where the evidence is, is told to whoever is rung and to whoever has answered.

use crate::driver::{Bench, named};
use crate::said::*;
use std::sync::Arc;
use sx_engine::Time;
use sx_exchange::EvidenceLinks;
use sx_sip::message::{HeaderName, Method};
use sx_types::TraceId;

#[derive(Debug)]
struct Links;

impl EvidenceLinks for Links {
    fn link(&self, escalation: TraceId, to: &str, _: Time) -> Option<String> {
        Some(format!("https://exchange.example.org/{escalation}?to={to}"))
    }
}

fn bench_with(workers: u16, config: &str) -> Bench {
    let change = |settings: &mut sx_exchange::WorkerSettings| settings.links = Some(Arc::new(Links));
    council_of(Bench::with_workers_that(&format!("{COUNCIL}{config}"), workers, change), ALL_ANSWER)
}

#[test]
fn an_expert_who_is_a_user_is_told_where_the_evidence_is_whichever_worker_keeps_them() {
    for workers in 1..=4 {
        let mut bench = bench_with(workers, "");
        let report = escalate(&mut bench, signed(valve(1), 7));
        assert_eq!(report.state, "connected", "{}", bench.ladder());
        let link = format!("https://exchange.example.org/{}?to=bob", report.id);
        let invitation = bench.requests("bob", Method::Invite).remove(0);
        assert_eq!(named(&invitation, "Call-Info"), format!("<{link}>;purpose=info"));
        let texts = bench.requests("bob", Method::Message);
        let text = &texts[0];
        assert_eq!(text.body(), format!("safety hazard, critical: {link}").as_bytes());
        assert_eq!(text.text(HeaderName::ContentType), Some("text/plain;charset=UTF-8"));
        assert!(text.text(HeaderName::From).is_some_and(|from| from.starts_with("<sip:council@example.org>;tag=")));
        assert_eq!((texts.len(), bench.requests("carol", Method::Message).len()), (1, 0), "nobody else is told");
    }
}

#[test]
fn nobody_is_sent_a_text_where_that_is_not_wanted() {
    let mut bench = bench_with(1, "evidence_message = false\n");
    let report = escalate(&mut bench, signed(valve(1), 7));
    assert_eq!(report.state, "connected");
    assert!(bench.requests("bob", Method::Message).is_empty());
}
