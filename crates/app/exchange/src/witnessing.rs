//! What a worker has written down in the witness log, and what waits until that is on the disk.
//!
//! ```text
//!  Note, decision ──► record ──► batch ──(driver)──► log ──durable──► Input::Witnessed
//!                                                                         │
//!  Answer ──► waits behind the records before it ─────────────────────────┴──► leg
//! ```
//!
//! Whatever a worker does is in its batch before it is done. An answer is more: it lets a call begin, so it waits until
//! the record that admits the call is durable, and what else its leg is told waits behind it. Nothing else waits. That
//! record is written while the call rings, so that an answer seldom has to.

use crate::layers::{LayerCounts, names_of};
use crate::worker::Worker;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::time::Duration;
use sx_call::{Ender, NotAdmitted, Note};
use sx_engine::Time;
use sx_leg::{Address, LegCommand, Rejection, Source};
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

/// Records, and what waits for them.
#[derive(Debug)]
pub(crate) struct Witnessing {
    renderer: Renderer,
    batch: Batch,
    patience: Duration,
    /// How many records this worker has made.
    made: u64,
    /// How many of them are durable.
    durable: u64,
    failing: bool,
    /// Records that were given up because nothing could be written for so long, and no record says so yet,
    lost: u64,
    /// and all there ever were.
    lost_ever: u64,
    /// For each call that is not answered yet: how many records there were with the one that admits it.
    admissions: BTreeMap<CallId, u64>,
    /// The last of these.
    last_admission: u64,
    parked: VecDeque<Parked>,
    parked_ever: u64,
}

/// A command that waits.
#[derive(Debug)]
struct Parked {
    leg: LegId,
    command: LegCommand,
    /// It goes when so many records are durable.
    after: u64,
    since: Time,
}

impl Witnessing {
    pub(crate) fn new(settings: &WitnessSettings) -> Self {
        Self {
            renderer: Renderer::new(&settings.node),
            batch: Batch::default(),
            patience: settings.patience,
            made: 0,
            durable: 0,
            failing: false,
            lost: 0,
            lost_ever: 0,
            admissions: BTreeMap::new(),
            last_admission: 0,
            parked: VecDeque::new(),
            parked_ever: 0,
        }
    }

    /// Has a record written down.
    pub(crate) fn record(&mut self, draft: &Draft<'_>) {
        if self.batch.bytes() > BATCH_BYTES_MAX {
            self.lost += 1;
            self.lost_ever += 1;
            return;
        }
        self.renderer.render(draft, &mut self.batch);
        self.made += 1;
    }

    /// Shows what is counted.
    pub(crate) fn publish(&self, counts: &LayerCounts) {
        counts.records_lost.store(self.lost_ever, Ordering::Relaxed);
        counts.parked.store(self.parked_ever, Ordering::Relaxed);
        counts.parked_now.store(self.parked.len() as u64, Ordering::Relaxed);
    }

    /// Can nothing be written down, so that nothing new may begin?
    pub(crate) fn is_failing(&self) -> bool {
        self.failing
    }

    /// How many records must be durable before this leg may be told this; 0: none.
    fn waits_for(&self, leg: LegId, command: &LegCommand, call: Option<CallId>) -> u64 {
        let behind = self.parked.iter().rev().find(|parked| parked.leg == leg).map(|parked| parked.after);
        let admitted = || self.admissions.get(&call?).copied();
        let answers = matches!(command, LegCommand::Answer { .. });
        behind.or_else(|| admitted().filter(|after| answers && *after > self.durable)).unwrap_or_default()
    }

    /// When the first command has waited for too long.
    pub(crate) fn timeout(&self) -> Option<Time> {
        self.parked.front().map(|parked| parked.since + self.patience)
    }
}

impl Worker {
    /// The records that no log has taken yet, for the driver to hand on before anything that was put out is carried out.
    pub fn witnessed(&mut self) -> &mut Batch {
        &mut self.witness.batch
    }

    /// How many records this worker has made.
    pub fn records_made(&self) -> u64 {
        self.witness.made
    }

    /// Does anything wait for records to be durable, or will it soon?
    pub fn waits_for_records(&self) -> bool {
        !self.witness.parked.is_empty() || self.witness.last_admission > self.witness.durable
    }

    /// Tells a leg what its call wants of it, now or when what was recorded before is durable.
    pub(crate) fn command_leg(&mut self, now: Time, leg: LegId, command: LegCommand) {
        let call = if self.witness.admissions.is_empty() { None } else { self.calls.call_of(leg) };
        match self.witness.waits_for(leg, &command, call) {
            0 => self.carry_out_on_leg(now, leg, command),
            after => {
                self.witness.parked_ever += 1;
                self.witness.parked.push_back(Parked { leg, command, after, since: now });
            }
        }
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
        // A later call's answer never waits for an earlier one's: its record may be older.
        while let Some(place) = self.witness.parked.iter().position(|parked| parked.after <= durable) {
            let Some(parked) = self.witness.parked.remove(place) else { return };
            self.carry_out_on_leg(now, parked.leg, parked.command);
        }
    }

    /// Refuses the calls whose answer has waited for too long: nobody could account for them.
    pub(crate) fn records_late(&mut self, now: Time) {
        while self.witness.timeout().is_some_and(|due| due <= now) {
            let Some(Parked { leg, .. }) = self.witness.parked.pop_front() else { return };
            self.witness.parked.retain(|parked| parked.leg != leg);
            let warning = UNWITNESSED.into();
            let rejection = Rejection { cause: Cause::TEMPORARY_FAILURE, status: 503, warning, retry_after_s: 10 };
            self.carry_out_on_leg(now, leg, LegCommand::Reject(rejection));
        }
    }

    /// Writes down what has happened to a call.
    pub(crate) fn witness_note(&mut self, now: Time, note: &Note) {
        match note {
            Note::Begun { call, trace, source, caller, dialled, .. } => {
                let (actor, subject) = (actor_of(source, caller), dialled.to_string());
                let facts = Facts::new().with("source", name_of(source)).with("caller", caller.to_string());
                let draft = Draft {
                    actor: &actor,
                    subject: &subject,
                    trace: Some(*trace),
                    facts,
                    ..Draft::new(now, Kind::Invite)
                };
                self.witness.record(&Draft { call: Some(*call), ..draft });
                if let Source::User(user) = source {
                    self.layers.call_begun(*call, &user.to_string());
                }
                self.witness_admission(now, *call, *trace, &actor, &subject);
            }
            Note::NotAdmitted { source, dialled, why, .. } => {
                let (actor, subject) = (name_of(source), dialled.to_string());
                let facts = Facts::new().with("layer", "admission").with("status", 503);
                let draft =
                    Draft { outcome: "reject", reason: reason_of(*why), facts, ..Draft::new(now, Kind::Rejected) };
                self.witness.record(&Draft { actor: &actor, subject: &subject, ..draft });
            }
            Note::Dialled { call, leg, trunk, reason } => {
                let reason = reason.to_string();
                let facts =
                    Facts::new().with("leg", leg.to_string()).with("trunk", trunk.as_deref().unwrap_or_default());
                self.witness.record(&Draft { reason: &reason, facts, ..about(now, Kind::Trying, *call) });
            }
            Note::Ringing { call, leg } => {
                let facts = Facts::new().with("leg", leg.to_string());
                self.witness.record(&Draft { facts, ..about(now, Kind::Ringing, *call) });
            }
            Note::AttemptFailed { call, leg, cause, status } => {
                let facts = facts_of(*cause, *status).with("leg", leg.to_string());
                self.witness.record(&Draft { reason: cause.text(), facts, ..about(now, Kind::BridgeFailed, *call) });
            }
            Note::Answered { call, leg, after } => {
                let after_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
                let facts = Facts::new().with("leg", leg.to_string()).with("after_ms", after_ms);
                self.witness.record(&Draft { facts, ..about(now, Kind::Connected, *call) });
                self.witness.record(&about(now, Kind::BridgeEstablished, *call));
            }
            Note::Transferred { call, stays, joins } => {
                let facts = Facts::new().with("stays", stays.to_string()).with("joins", joins.to_string());
                self.witness.record(&Draft { facts, ..about(now, Kind::Transferred, *call) });
            }
            Note::TransferFailed { call, status } => {
                let facts = Facts::new().with("status", i64::from(*status));
                self.witness.record(&Draft { outcome: "failed", facts, ..about(now, Kind::Transferred, *call) });
            }
            Note::Ended { call, cause, status, by, sentence, talked } => {
                let talked_ms = i64::try_from(talked.as_millis()).unwrap_or(i64::MAX);
                let facts = facts_of(*cause, *status).with("by", ender_of(*by)).with("talked_ms", talked_ms);
                let kind = if *status == 200 { Kind::Terminated } else { Kind::Rejected };
                let reason = if sentence.is_empty() { cause.text() } else { sentence };
                self.layers.call_ended(*call);
                self.witness.admissions.remove(call);
                self.witness.record(&Draft { reason, facts, ..about(now, kind, *call) });
            }
            Note::Unexpected { .. } => {}
        }
    }
}

impl Worker {
    /// Writes down why a call was let in.
    fn witness_admission(&mut self, now: Time, call: CallId, trace: TraceId, actor: &str, subject: &str) {
        let Some(admitted) = self.layers.admitted.take() else { return };
        let source = admitted.address.to_string();
        let mut facts = Facts::new()
            .with("rule", &*admitted.rule)
            .with("source", source.as_str())
            .with("authenticated", admitted.authenticated);
        if let Some(obliged) = &admitted.obligations {
            if let Some(codecs) = &obliged.codecs {
                facts.push("codecs", names_of(codecs));
            }
            if let Some(limit_s) = obliged.limit_s {
                facts.push("limit_s", i64::from(limit_s));
            }
        }
        self.witness.record(&Draft {
            actor,
            subject,
            outcome: admitted.outcome,
            call: Some(call),
            trace: Some(trace),
            policy_version: &admitted.policy,
            facts,
            ..Draft::new(now, Kind::Admission)
        });
        self.witness.last_admission = self.witness.made;
        self.witness.admissions.insert(call, self.witness.made);
    }

    /// An INVITE was let in that has not begun a call of its own: it takes somebody's place.
    pub(crate) fn witness_joining(&mut self, now: Time, leg: LegId, caller: &str, dialled: &str) {
        match self.calls.call_of(leg) {
            Some(call) => self.witness_admission(now, call, TraceId::from(call), caller, dialled),
            None => self.layers.admitted = None,
        }
    }
}

/// Records wait in so many bytes at most while the log takes none. What then is lost was never acknowledged: nothing
/// begins meanwhile.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// What is said of a call that is not begun because nobody could account for it.
pub(crate) const UNWITNESSED: &str = "the audit log cannot be written";

fn about(now: Time, kind: Kind, call: CallId) -> Draft<'static> {
    Draft { call: Some(call), trace: Some(TraceId::from(call)), ..Draft::new(now, kind) }
}

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
