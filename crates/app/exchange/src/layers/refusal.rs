//! A request is refused: counted, recorded with the layer, answered.

use super::tally::Asker;
use crate::counts::Refusal;
use crate::interface::Came;
use crate::worker::Worker;
use std::borrow::Cow;
use sx_edge::{Layer, Observation};
use sx_engine::Time;
use sx_sip::message::{HeaderName, Message, Writer};
use sx_sip::transaction::Reply;
use sx_types::Flow;
use sx_witness::{Draft, Facts, Kind};

/// What the sender of a request that is refused is told.
#[derive(Clone, Copy)]
pub(crate) enum Answer<'a> {
    /// Nothing.
    Silence,
    /// It is told here.
    Status {
        status: u16,
        /// Why; empty when the status says it all.
        sentence: &'a str,
        /// After how many seconds it may try again.
        retry_after_s: Option<u32>,
        /// What else the answer must have.
        headers: Option<&'a dyn Fn(&mut Writer)>,
    },
    /// Whoever noticed has told it this.
    Told { status: u16 },
}

impl<'a> Answer<'a> {
    /// A status and a sentence.
    pub(crate) fn status(status: u16, sentence: &'a str) -> Self {
        Self::Status { status, sentence, retry_after_s: None, headers: None }
    }

    /// A status, a sentence, and when to try again.
    pub(crate) fn later(status: u16, sentence: &'a str, retry_after_s: u32) -> Self {
        Self::Status { status, sentence, retry_after_s: Some(retry_after_s), headers: None }
    }

    /// A status with headers that say what would do instead.
    pub(crate) fn with(status: u16, headers: &'a dyn Fn(&mut Writer)) -> Self {
        Self::Status { status, sentence: "", retry_after_s: None, headers: Some(headers) }
    }

    fn code(&self) -> u16 {
        match self {
            Self::Silence => 0,
            Self::Status { status, .. } | Self::Told { status } => *status,
        }
    }
}

/// Why a request is refused, and what its sender is told.
pub(crate) struct RefusedBy<'a> {
    /// The layer that refuses.
    pub(crate) layer: Layer,
    /// For programs: the reason in a record.
    pub(crate) reason: &'a str,
    /// What the sender is told.
    pub(crate) answer: Answer<'a>,
    /// The metric.
    pub(crate) refusal: Refusal,
    /// Who asks, as far as that is known: a stranger by the name that he gives.
    pub(crate) actor: Option<&'a str>,
    /// Has whoever asks shown who it is?
    pub(crate) asker: Asker,
    /// The rule or gate of the policy that has decided.
    pub(crate) rule: Option<&'a str>,
    /// What else was known.
    pub(crate) facts: Facts<'a>,
}

impl<'a> RefusedBy<'a> {
    /// Without more than this.
    pub(crate) fn new(layer: Layer, reason: &'a str, answer: Answer<'a>, refusal: Refusal) -> Self {
        Self { layer, reason, answer, refusal, actor: None, asker: Asker::Stranger, rule: None, facts: Facts::new() }
    }

    /// The same, and who asks is known.
    pub(crate) fn of(self, asker: Asker, actor: &'a str) -> Self {
        Self { actor: Some(actor), asker, ..self }
    }
}

impl Worker {
    /// Refuses a request: counts it, has it written down, and tells its sender. Every refusal of a request that has begun
    /// no call goes through here.
    pub(crate) fn refuse<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
        refused: RefusedBy<'_>,
    ) {
        self.layers.counts.refuse(refused.layer);
        self.counts.refuse(refused.refusal);
        let answer = refused.answer;
        self.record_refusal(now, flow, request, refused);
        let Answer::Status { status, sentence, retry_after_s, headers: more } = answer else { return };
        let headers = |writer: &mut Writer| {
            if let Some(seconds) = retry_after_s {
                writer.header(HeaderName::RetryAfter, format_args!("{seconds}"));
            }
            if !sentence.is_empty() {
                let sentence = sentence.replace(['"', '\\'], "'");
                writer.header(HeaderName::Warning, format_args!("399 strowger \"{sentence}\""));
            }
            if let Some(more) = more {
                more(writer);
            }
        };
        self.legs.agent().reply(flow, request, Reply { status, headers: Some(&headers), ..Reply::default() });
    }

    /// Has the refusal written down, or counted when there are too many.
    fn record_refusal<B: AsRef<[u8]>>(&mut self, now: Time, flow: Flow, request: &Message<B>, refused: RefusedBy<'_>) {
        if !self.layers.tally.records(now, self.source_of(flow.remote.ip()), refused.asker, refused.layer) {
            super::counts::add(&self.layers.counts.summed);
            return;
        }
        let by_guard = refused.layer == Layer::Guard;
        let kind = if by_guard { Kind::Admission } else { Kind::SecurityRejected };
        let source = flow.remote.to_string();
        let mut facts = refused
            .facts
            .with("layer", refused.layer.as_str())
            .with("source", source.as_str())
            .with("transport", flow.transport.to_string())
            .with("method", shown(request.method_text()))
            .with("status", i64::from(refused.answer.code()));
        if let Some(sip_call_id) = sip_call_id(request) {
            facts.push("sip_call_id", sip_call_id.into_string());
        }
        if let Some(rule) = refused.rule {
            facts.push("rule", rule);
        }
        let subject = shown(request.request_uri());
        let tables = self.tables.clone();
        self.witness.record(&Draft {
            actor: refused.actor.unwrap_or_default(),
            subject: &subject,
            outcome: "reject",
            reason: refused.reason,
            policy_version: if by_guard { tables.policy.version() } else { "" },
            facts,
            ..Draft::new(now, kind)
        });
    }

    /// Counts, and has written down, what was malformed and is not answered: bytes that are no message, or a message that
    /// nobody waits for an answer to, with what is wrong with it.
    pub(crate) fn drop_malformed(&mut self, now: Time, came: &Came, bytes: usize, defect: Option<&str>) {
        let flow = came.flow;
        self.counts.refuse(Refusal::Malformed);
        self.layers.counts.refuse(Layer::Identity);
        self.observe(now, came, Observation::Malformed);
        if !self.layers.tally.records(now, self.source_of(flow.remote.ip()), Asker::Stranger, Layer::Identity) {
            super::counts::add(&self.layers.counts.summed);
            return;
        }
        let source = flow.remote.to_string();
        let mut facts = Facts::new()
            .with("layer", Layer::Identity.as_str())
            .with("source", source.as_str())
            .with("transport", flow.transport.to_string())
            .with("bytes", bytes as i64);
        if let Some(defect) = defect {
            facts.push("defect", defect);
        }
        let draft = Draft { outcome: "dropped", reason: "malformed", facts, ..Draft::new(now, Kind::SecurityRejected) };
        self.witness.record(&draft);
    }

    /// An account is blocked from now on.
    pub(crate) fn record_block(&mut self, now: Time, account: &str) {
        if !self.layers.tally.records_ban(now, Layer::Identity) {
            super::counts::add(&self.layers.counts.summed);
            return;
        }
        let account = &shown(account.as_bytes());
        let ban = self.layers.sources.limits().ban;
        let seconds = i64::try_from(ban.as_secs()).unwrap_or(i64::MAX);
        let facts = Facts::new().with("layer", Layer::Identity.as_str()).with("ban_s", seconds);
        let draft =
            Draft { subject: account, outcome: "blocked", reason: "failures", facts, ..Draft::new(now, Kind::Source) };
        self.witness.record(&draft);
    }

    /// Writes down how many refusals were only counted, when that is due or the worker `ends`.
    pub(crate) fn sum_refusals(&mut self, now: Time, ends: bool) {
        let Some((since, sums)) = self.layers.tally.sum(now, ends) else { return };
        let mut facts = Facts::new().with("since_ms", i64::try_from(since.as_millis()).unwrap_or_default());
        for (layer, sum) in Layer::ALL.iter().zip(sums).filter(|(_, sum)| *sum > 0) {
            facts.push(layer.as_str(), i64::try_from(sum).unwrap_or(i64::MAX));
        }
        self.witness.record(&Draft { outcome: "reject", facts, ..Draft::new(now, Kind::Summary) });
    }
}

/// The Call-ID of a message, by which it is found in copies of signalling.
pub(crate) fn sip_call_id<B: AsRef<[u8]>>(message: &Message<B>) -> Option<Box<str>> {
    let text = String::from_utf8_lossy(message.value(HeaderName::CallId)?);
    Some(text.chars().take(SIP_CALL_ID_CHARS_MAX).collect())
}

/// A Call-ID in a record has so many characters at most.
pub const SIP_CALL_ID_CHARS_MAX: usize = 128;

/// What a peer has written, in so many characters at most.
pub(crate) fn shown(text: &[u8]) -> Cow<'_, str> {
    const SHOWN_MAX: usize = 256;
    String::from_utf8_lossy(&text[..text.len().min(SHOWN_MAX)])
}
