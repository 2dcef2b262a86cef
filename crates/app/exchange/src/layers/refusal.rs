//! A request is refused: counted, recorded with the layer, answered.

use crate::counts::Refusal;
use crate::worker::Worker;
use std::borrow::Cow;
use sx_edge::{Layer, Observation};
use sx_engine::Time;
use sx_sip::message::{Defect, HeaderName, Message, Writer};
use sx_sip::transaction::Reply;
use sx_types::Flow;
use sx_witness::{Draft, Facts, Kind};

/// Why a request is refused, and what its sender is told.
pub(crate) struct RefusedBy<'a> {
    /// The layer that refuses.
    pub(crate) layer: Layer,
    /// For programs: the reason in a record.
    pub(crate) reason: &'a str,
    /// What the sender is told; 0 is nothing.
    pub(crate) status: u16,
    /// And in a sentence.
    pub(crate) sentence: &'a str,
    /// After how many seconds it may try again; 0: nothing is said.
    pub(crate) retry_after_s: u32,
    /// The metric.
    pub(crate) refusal: Refusal,
    /// Who asks, as far as that is known.
    pub(crate) actor: &'a str,
    /// The rule or gate of the policy that has decided.
    pub(crate) rule: &'a str,
    /// Extensions that are required and not known, for the answer's Unsupported.
    pub(crate) unsupported: &'a [u8],
    /// What else was known.
    pub(crate) facts: Facts<'a>,
}

impl<'a> RefusedBy<'a> {
    /// Without more than this.
    pub(crate) fn new(layer: Layer, reason: &'a str, status: u16, sentence: &'a str, refusal: Refusal) -> Self {
        let (facts, retry_after_s) = (Facts::new(), 0);
        Self { layer, reason, status, sentence, retry_after_s, refusal, actor: "", rule: "", unsupported: b"", facts }
    }
}

impl Worker {
    /// Refuses a request as a layer says.
    pub(crate) fn refuse_by<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
        refused: RefusedBy<'_>,
    ) {
        self.layers.counts.refuse(refused.layer);
        self.counts.refuse(refused.refusal);
        let (status, sentence, retry_after_s) = (refused.status, refused.sentence, refused.retry_after_s);
        let unsupported = refused.unsupported;
        self.record_refusal(now, flow, request, refused);
        if status == 0 {
            return;
        }
        let headers = |writer: &mut Writer| {
            if retry_after_s > 0 {
                writer.header(HeaderName::RetryAfter, format_args!("{retry_after_s}"));
            }
            if !unsupported.is_empty() {
                writer.header_bytes(HeaderName::Unsupported, unsupported);
            }
            if !sentence.is_empty() {
                let sentence = sentence.replace(['"', '\\'], "'");
                writer.header(HeaderName::Warning, format_args!("399 strowger \"{sentence}\""));
            }
        };
        self.legs.agent().reply(flow, request, Reply { status, headers: Some(&headers), ..Reply::default() });
    }

    /// Refuses, and says why in a sentence; what is to be recorded was recorded.
    pub(crate) fn refuse_with<B: AsRef<[u8]>>(
        &mut self,
        flow: Flow,
        request: &Message<B>,
        status: u16,
        refusal: Refusal,
        sentence: &str,
    ) {
        self.counts.refuse(refusal);
        let headers = |writer: &mut Writer| {
            writer.header(HeaderName::Warning, format_args!("399 strowger \"{sentence}\""));
        };
        self.legs.agent().reply(flow, request, Reply { status, headers: Some(&headers), ..Reply::default() });
    }

    /// Has the refusal written down, or counted when there are too many.
    pub(crate) fn record_refusal<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
        refused: RefusedBy<'_>,
    ) {
        if !self.layers.tally.records(now, flow.remote.ip(), refused.layer) {
            super::counts::add(&self.layers.counts.summed);
            return;
        }
        let by_guard = refused.layer == Layer::Guard;
        let kind = if by_guard { Kind::Admission } else { Kind::SecurityRejected };
        let source = flow.remote.to_string();
        let facts = refused
            .facts
            .with("layer", refused.layer.as_str())
            .with("source", source.as_str())
            .with("transport", flow.transport.to_string())
            .with("method", shown(request.method_text()))
            .with("sip_call_id", shown(request.value(HeaderName::CallId).unwrap_or_default()))
            .with("status", i64::from(refused.status));
        let facts = if refused.rule.is_empty() { facts } else { facts.with("rule", refused.rule) };
        let subject = shown(request.request_uri());
        let tables = self.tables.clone();
        self.witness.record(&Draft {
            actor: refused.actor,
            subject: &subject,
            outcome: "reject",
            reason: refused.reason,
            policy_version: if by_guard { tables.policy.version() } else { "" },
            facts,
            ..Draft::new(now, kind)
        });
    }

    /// Counts, and has written down, a request that could be read and is malformed, and what it was answered with.
    pub(crate) fn defective<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
        defect: Defect,
        status: u16,
    ) {
        self.count_malformed(now, flow);
        let refused = RefusedBy::new(Layer::Identity, "malformed", status, "", Refusal::Malformed);
        let facts = Facts::new().with("defect", defect.to_string());
        self.record_refusal(now, flow, request, RefusedBy { facts, ..refused });
    }

    fn count_malformed(&mut self, now: Time, flow: Flow) {
        self.counts.refuse(Refusal::Malformed);
        self.layers.counts.refuse(Layer::Identity);
        self.observe(now, flow.remote.ip(), Observation::Malformed);
    }

    /// Counts, and has written down, what was no message at all, or one that nobody could be answered.
    pub(crate) fn malformed(&mut self, now: Time, flow: Flow, bytes: usize) {
        self.count_malformed(now, flow);
        if !self.layers.tally.records(now, flow.remote.ip(), Layer::Identity) {
            super::counts::add(&self.layers.counts.summed);
            return;
        }
        let source = flow.remote.to_string();
        let facts = Facts::new()
            .with("layer", Layer::Identity.as_str())
            .with("source", source.as_str())
            .with("transport", flow.transport.to_string())
            .with("bytes", bytes as i64);
        let draft = Draft { outcome: "dropped", reason: "malformed", facts, ..Draft::new(now, Kind::SecurityRejected) };
        self.witness.record(&draft);
    }

    /// An account is blocked from now on.
    pub(crate) fn record_block(&mut self, now: Time, account: &str) {
        let ban = self.layers.sources.limits().ban;
        let seconds = i64::try_from(ban.as_secs()).unwrap_or(i64::MAX);
        let facts = Facts::new().with("layer", Layer::Identity.as_str()).with("ban_s", seconds);
        let draft =
            Draft { subject: account, outcome: "blocked", reason: "failures", facts, ..Draft::new(now, Kind::Source) };
        self.witness.record(&draft);
    }

    /// Writes down how many refusals were only counted, when that is due.
    pub(crate) fn sum_refusals(&mut self, now: Time) {
        let Some((since, sums)) = self.layers.tally.sum(now) else { return };
        let mut facts = Facts::new().with("since_ms", i64::try_from(since.as_millis()).unwrap_or_default());
        for (layer, sum) in Layer::ALL.iter().zip(sums).filter(|(_, sum)| *sum > 0) {
            facts.push(layer.as_str(), i64::try_from(sum).unwrap_or(i64::MAX));
        }
        self.witness.record(&Draft { outcome: "reject", facts, ..Draft::new(now, Kind::Summary) });
    }
}

/// What a peer has written, in so many characters at most.
pub(crate) fn shown(text: &[u8]) -> Cow<'_, str> {
    const SHOWN_MAX: usize = 256;
    String::from_utf8_lossy(&text[..text.len().min(SHOWN_MAX)])
}
