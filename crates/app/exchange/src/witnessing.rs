//! What a worker has written down in the witness log, and which legs wait until that is on the disk.
//!
//! ```text
//!  Note, decision ──► record ──► batch ──(driver)──► log ──durable──► Input::Witnessed
//!                                                                         │
//!  a leg that was let in ──► may be answered ◄────────────────────────────┘
//! ```
//!
//! Whatever a worker does is in its batch before it is done. An answer is more: it lets a call begin, so it waits, in the call
//! itself, until the record that admits the leg is durable. Nothing else waits. That record is written while the call
//! rings, so that an answer seldom has to. A leg whose record was lost is never answered.

use crate::layers::{Admitted, Asker, LayerCounts};
use crate::worker::Worker;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;
use sx_call::{Ender, Input as CallInput, NotAdmitted, Note, QueryId, RecordingNote};
use sx_edge::Layer;
use sx_engine::{Engine as _, Time};
use sx_leg::{Address, Source};
use sx_types::{CallId, Cause, LegId, TraceId};
use sx_witness::{Batch, Draft, Facts, Kind, Renderer};

/// What of the witness log a worker is told once.
#[derive(Clone, Debug)]
pub struct WitnessSettings {
    /// The name of this exchange, in every record.
    pub node: Box<str>,
    /// How long an answer may wait for the disk; then its call is refused.
    pub patience: Duration,
}

impl Default for WitnessSettings {
    fn default() -> Self {
        Self { node: "strowger".into(), patience: Duration::from_secs(2) }
    }
}

/// What may go on when what accounts for it is on the disk.
#[derive(Clone, Copy, Debug)]
enum Awaiting {
    /// A leg that was let in may be answered.
    Leg(LegId),
    /// Somebody whom a party in a call has wanted may be connected.
    Wish(QueryId),
}

/// Records, and what waits for them.
#[derive(Debug)]
pub(crate) struct Witnessing {
    renderer: Renderer,
    batch: Batch,
    /// How many records this worker has made.
    made: u64,
    /// How many of them are durable.
    durable: u64,
    failing: bool,
    /// Records that were given up because nothing could be written for so long, and no record says so yet,
    lost: u64,
    /// and all there ever were.
    lost_ever: u64,
    /// Legs that may be answered when so many records are durable: in the order of the records. No more than there are
    /// records that no disk has taken.
    awaiting: VecDeque<(u64, Awaiting)>,
}

impl Witnessing {
    pub(crate) fn new(settings: &WitnessSettings) -> Self {
        Self {
            renderer: Renderer::new(&settings.node),
            batch: Batch::default(),
            made: 0,
            durable: 0,
            failing: false,
            lost: 0,
            lost_ever: 0,
            awaiting: VecDeque::new(),
        }
    }

    /// Has a record written down. `false`: it is lost, and what it was to account for must not be done.
    #[must_use = "what a lost record was to account for must not be done"]
    pub(crate) fn record_or_lose(&mut self, draft: &Draft<'_>) -> bool {
        if self.is_full() {
            self.lost += 1;
            self.lost_ever += 1;
            return false;
        }
        self.renderer.render(draft, &mut self.batch);
        self.made += 1;
        true
    }

    /// Has written down what happens all the same. When it is lost, that is said as soon as anything can be written.
    pub(crate) fn record(&mut self, draft: &Draft<'_>) {
        let _ = self.record_or_lose(draft);
    }

    /// What has been written down of a wish so far is all that there is to be.
    pub(crate) fn await_wish(&mut self, query: QueryId) {
        self.awaiting.push_back((self.made, Awaiting::Wish(query)));
    }

    /// Shows what is counted.
    pub(crate) fn publish(&self, counts: &LayerCounts) {
        counts.records_lost.store(self.lost_ever, Ordering::Relaxed);
        counts.legs_unwritten.store(self.awaiting.len() as u64, Ordering::Relaxed);
    }

    /// Can nothing be written down, so that nothing new may begin?
    pub(crate) fn is_failing(&self) -> bool {
        self.failing || self.is_full()
    }

    fn is_full(&self) -> bool {
        self.batch.bytes() > BATCH_BYTES_MAX
    }
}

impl Worker {
    /// The records that no log has taken yet, for the driver to hand on before anything that was put out is carried out.
    pub fn witnessed(&mut self) -> &mut Batch {
        &mut self.witness.batch
    }

    /// Nothing more will come: what was only counted has its record now.
    pub fn finish(&mut self, now: Time) {
        self.sum_refusals(now, true);
    }

    /// How many records this worker has made.
    pub fn records_made(&self) -> u64 {
        self.witness.made
    }

    /// Does anything wait for records to be durable, or will it soon?
    pub fn waits_for_records(&self) -> bool {
        !self.witness.awaiting.is_empty()
    }

    /// So many of this worker's records are durable; `failing`: no more can be written for now.
    pub(crate) fn records_durable(&mut self, now: Time, durable: u64, failing: bool) {
        self.witness.durable = self.witness.durable.max(durable);
        self.witness.failing = failing;
        if !failing && self.witness.lost > 0 && self.witness.batch.is_empty() {
            let lost = i64::try_from(std::mem::take(&mut self.witness.lost)).unwrap_or(i64::MAX);
            let facts = Facts::new().with("records", lost);
            let reason = "nothing could be written for so long";
            self.witness.record(&Draft { outcome: "lost", reason, facts, ..Draft::new(now, Kind::Summary) });
        }
        let durable = self.witness.durable;
        while let Some((_, awaiting)) = self.witness.awaiting.pop_front_if(|(after, _)| *after <= durable) {
            self.calls.handle_input(
                now,
                match awaiting {
                    Awaiting::Leg(leg) => CallInput::Written { leg },
                    Awaiting::Wish(query) => CallInput::WishWritten { query },
                },
            );
        }
    }

    /// Writes down what has happened to a call.
    pub(crate) fn witness_note(&mut self, now: Time, note: &Note) {
        match note {
            Note::Begun { call, trace, leg, source, caller, dialled } => {
                let (actor, subject) = (actor_of(source, caller), dialled.to_string());
                let mut facts = Facts::new().with("source", name_of(source)).with("caller", caller.to_string());
                let asked = self.layers.admitted.as_ref();
                if let Some(sip_call_id) = asked.and_then(|admitted| admitted.sip_call_id.clone()) {
                    facts.push("sip_call_id", sip_call_id.into_string());
                }
                let draft = Draft {
                    actor: &actor,
                    subject: &subject,
                    trace: Some(*trace),
                    facts,
                    ..Draft::new(now, Kind::Invite)
                };
                self.witness.record(&Draft { call: Some(*call), ..draft });
                let permit = self.layers.admitted.as_mut().and_then(|admitted| admitted.permit.take());
                self.layers.callers.extend(permit.map(|permit| (*call, permit)));
                self.witness_admission(now, *leg, *call, *trace, &actor, &subject);
            }
            Note::NotAdmitted { source, dialled, why, .. } => self.witness_refusal(now, source, dialled, *why),
            Note::Dialled { call, leg, trunk, reason } => {
                let reason = reason.to_string();
                let facts =
                    Facts::new().with("leg", leg.to_string()).with("trunk", trunk.as_deref().unwrap_or_default());
                self.witness.record(&Draft { reason: &reason, facts, ..self.about(now, Kind::Trying, *call) });
            }
            Note::Ringing { call, leg } => {
                let facts = Facts::new().with("leg", leg.to_string());
                self.witness.record(&Draft { facts, ..self.about(now, Kind::Ringing, *call) });
            }
            Note::AttemptFailed { call, leg, cause, status } => {
                let facts = facts_of(*cause, *status).with("leg", leg.to_string());
                self.witness.record(&Draft {
                    reason: cause.text(),
                    facts,
                    ..self.about(now, Kind::BridgeFailed, *call)
                });
            }
            Note::Answered { call, leg, after, room } => self.witness_answer(now, *call, *leg, *after, room.as_deref()),
            Note::Transferred { call, stays, joins } => {
                let facts = Facts::new().with("stays", stays.to_string()).with("joins", joins.to_string());
                self.witness.record(&Draft { facts, ..self.about(now, Kind::Transferred, *call) });
            }
            Note::TransferFailed { call, status } => {
                let facts = Facts::new().with("status", i64::from(*status));
                self.witness.record(&Draft { outcome: "failed", facts, ..self.about(now, Kind::Transferred, *call) });
            }
            Note::ChangeRefused { call, leg, cause, sentence } => {
                let facts = Facts::new().with("cause", i64::from(cause.0)).with("change", "session");
                let reason = if sentence.is_empty() { cause.text() } else { sentence };
                let draft = Draft { outcome: "reject", reason, ..self.about(now, Kind::Rejected, *call) };
                self.witness.record(&Draft { facts: facts.with("leg", leg.to_string()), ..draft });
            }
            Note::Recording { call, number, what } => self.witness_recording(now, *call, *number, *what),
            Note::Ended { call, cause, status, by, sentence, talked } => {
                let talked_ms = i64::try_from(talked.as_millis()).unwrap_or(i64::MAX);
                let facts = facts_of(*cause, *status).with("by", ender_of(*by)).with("talked_ms", talked_ms);
                let kind = if *status == 200 { Kind::Terminated } else { Kind::Rejected };
                let reason = if sentence.is_empty() { cause.text() } else { sentence };
                self.layers.callers.remove(call);
                self.witness.record(&Draft { reason, facts, ..self.about(now, kind, *call) });
            }
            Note::KeyDropped { .. } | Note::Unexpected { .. } => {}
        }
    }
}

impl Worker {
    fn about(&self, now: Time, kind: Kind, call: CallId) -> Draft<'static> {
        Draft { call: Some(call), trace: Some(self.escalations.trace_of(call)), ..Draft::new(now, kind) }
    }

    /// Writes down why a leg was let in, which may be answered when that is on the disk.
    fn witness_admission(&mut self, now: Time, leg: LegId, call: CallId, trace: TraceId, actor: &str, subject: &str) {
        let Some(admitted) = self.layers.admitted.take() else { return };
        let is_taken = self.witness.record_or_lose(&Draft {
            actor,
            subject,
            outcome: admitted.outcome,
            call: Some(call),
            trace: Some(trace),
            policy_version: &admitted.policy,
            facts: admitted.facts(),
            ..Draft::new(now, Kind::Admission)
        });
        if is_taken {
            self.witness.awaiting.push_back((self.witness.made, Awaiting::Leg(leg)));
        }
    }

    /// The layers have let a call in that the calls refuse: for them it never was.
    fn witness_refusal(&mut self, now: Time, source: &Source, dialled: &Address, why: NotAdmitted) {
        let mut facts =
            Facts::new().with("layer", "admission").with("method", "INVITE").with("status", i64::from(why.status()));
        if let Some(asked) = &self.layers.admitted {
            let from = self.source_of(asked.address);
            let asker = if self.tables.unauthenticated_calls { Asker::Stranger } else { Asker::Known };
            if !self.layers.tally.records(now, from, asker, Layer::Guard) {
                return crate::layers::add(&self.layers.counts.summed);
            }
            facts.push("source", asked.address.to_string());
            facts.push("transport", asked.transport.to_string());
            if let Some(sip_call_id) = asked.sip_call_id.clone() {
                facts.push("sip_call_id", sip_call_id.into_string());
            }
        }
        let (actor, subject) = (name_of(source), dialled.to_string());
        let draft = Draft { outcome: "reject", reason: reason_of(why), facts, ..Draft::new(now, Kind::Rejected) };
        self.witness.record(&Draft { actor: &actor, subject: &subject, ..draft });
    }

    /// Writes down that a message is passed on, as one writes down that a call is. `false`: that is lost.
    pub(crate) fn witness_message(&mut self, now: Time, admitted: &Admitted, actor: &str, subject: &str) -> bool {
        self.witness.record_or_lose(&Draft {
            actor,
            subject,
            outcome: admitted.outcome,
            policy_version: &admitted.policy,
            facts: admitted.facts().with("method", "MESSAGE"),
            ..Draft::new(now, Kind::Admission)
        })
    }

    fn witness_answer(&mut self, now: Time, call: CallId, leg: LegId, after: Duration, room: Option<&str>) {
        let after_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        let mut facts = Facts::new().with("leg", leg.to_string()).with("after_ms", after_ms);
        let mut bridged = Facts::new();
        if let Some(room) = room {
            facts.push("room", room.to_owned());
            bridged.push("room", room.to_owned());
        }
        self.witness.record(&Draft { facts, ..self.about(now, Kind::Connected, call) });
        self.witness.record(&Draft { facts: bridged, ..self.about(now, Kind::BridgeEstablished, call) });
    }

    /// Writes down what has become of a recording. Which files there are of it stands in another record, by whoever makes them.
    fn witness_recording(&mut self, now: Time, call: CallId, number: u8, what: RecordingNote) {
        let (outcome, consent) = match what {
            RecordingNote::Told { .. } => ("told", None),
            RecordingNote::Agreed { .. } => ("agreed", None),
            RecordingNote::Refused { .. } => ("refused", None),
            RecordingNote::Unanswered { .. } => ("unanswered", None),
            RecordingNote::Begun(consent) => ("begun", Some(consent)),
            RecordingNote::Paused => ("paused", None),
            RecordingNote::Resumed => ("resumed", None),
            RecordingNote::Ended => ("ended", None),
            RecordingNote::Failed => ("failed", None),
        };
        let mut facts = Facts::new().with("recording", i64::from(number));
        if let Some(consent) = consent {
            facts.push("consent", consent.word());
        }
        if let RecordingNote::Told { leg, by }
        | RecordingNote::Agreed { leg, by }
        | RecordingNote::Refused { leg, by }
        | RecordingNote::Unanswered { leg, by } = what
        {
            facts.push("party", if by == sx_media::RecordingSide::Caller { "caller" } else { "called" });
            facts.push("leg", leg.to_string());
        }
        self.witness.record(&Draft { outcome, facts, ..self.about(now, Kind::Recording, call) });
    }

    /// An INVITE was let in that has not begun a call of its own: it takes somebody's place.
    pub(crate) fn witness_joining(&mut self, now: Time, leg: LegId, caller: &str, dialled: &str) {
        match self.calls.call_of(leg) {
            Some(call) => {
                let trace = self.escalations.trace_of(call);
                self.witness_admission(now, leg, call, trace, caller, dialled);
            }
            None => self.layers.admitted = None,
        }
    }
}

/// Records wait in so many bytes at most while the log takes none. What then is lost was never acknowledged: nothing
/// begins meanwhile.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// What is said of a call that is not begun because nobody could account for it.
pub(crate) const UNWITNESSED: &str = "the audit log cannot be written";

fn facts_of(cause: Cause, status: u16) -> Facts<'static> {
    Facts::new().with("cause", i64::from(cause.0)).with("status", i64::from(status))
}

fn actor_of(source: &Source, caller: &Address) -> String {
    match source {
        Source::User(user) => user.to_string(),
        Source::Trunk(_) | Source::Exchange => caller.to_string(),
    }
}

/// Where a call comes from, in a word and a name.
pub(crate) fn name_of(source: &Source) -> String {
    match source {
        Source::User(user) => user.to_string(),
        Source::Trunk(trunk) => format!("trunk {trunk}"),
        Source::Exchange => "exchange".to_owned(),
    }
}

fn reason_of(why: NotAdmitted) -> &'static str {
    match why {
        NotAdmitted::Full => "the exchange has as many calls as it takes",
        NotAdmitted::Draining => "the exchange takes no new calls",
        NotAdmitted::TrunkFull => "the trunk has all its channels in use",
        NotAdmitted::TrunkTooFast => "the trunk has had its calls for this second",
        NotAdmitted::NoCodec => "no codec is offered that is allowed",
        NotAdmitted::NoKeys => "the keys of SRTP that are offered do not fit",
        NotAdmitted::NoStream => "no stream is offered that can be relayed",
        NotAdmitted::NoPlace { .. } => "the place is not to be taken",
    }
}

fn ender_of(by: Ender) -> &'static str {
    match by {
        Ender::Caller => "caller",
        Ender::Called => "called",
        Ender::Exchange => "exchange",
        Ender::Operator => "operator",
        Ender::Timer => "timer",
        Ender::Party => "party",
        Ender::Failure => "failure",
        Ender::Process => "process",
    }
}
