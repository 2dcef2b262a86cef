//! Calls and trunks, and whether new calls are taken.

use super::change::Change;
use super::quality::legs;
use super::{Operators, PATIENCE, late};
use crate::serve::asking::{Answered, Asked};
use crate::serve::mailbox::Mail;
use serde_json::{Value, json};
use sx_call::{CallSummary, Command, Controls, Ender, Phase, RecordingChange, RecordingPhase};
use sx_engine::Time;
use sx_exchange::TrunkReport;
use sx_http::{ApiAnswer, ApiProblem, Caller, RecordingOrder};
use sx_leg::Source;
use sx_types::{CallId, Cause};

impl Operators {
    pub(super) fn calls(&self, limit: u32) -> Result<ApiAnswer, ApiProblem> {
        let max = limit as usize;
        let (mut total, mut calls) = (0, Vec::new());
        for (worker, answer) in self.ask(Asked::Calls(max))? {
            if let Answered::Calls(count, some) = answer {
                total += count;
                calls.extend(some.into_iter().map(|call| (worker, call)));
            }
        }
        calls.sort_by_key(|(_, call)| call.call);
        calls.truncate(max);
        let calls: Vec<Value> = calls.iter().map(|(worker, call)| shown(*worker, call)).collect();
        Ok(ApiAnswer::Json(json!({ "total": total, "calls": calls })))
    }

    pub(super) fn call(&self, id: &str) -> Result<ApiAnswer, ApiProblem> {
        let (worker, call) = self.find(id)?;
        let counted = self.workers.ask_one(worker, Asked::Counts(call.call), PATIENCE).map_err(late)?;
        // It may have ended meanwhile.
        let Answered::Counts(Some(counts)) = counted else {
            return Err(ApiProblem::not_found("there is no such call"));
        };
        let mut shown = shown(worker, &call);
        shown["legs"] = legs(&counts);
        Ok(ApiAnswer::Json(shown))
    }

    /// Where a call is, and what it is.
    pub(super) fn find(&self, id: &str) -> Result<(u16, CallSummary), ApiProblem> {
        let nowhere = || ApiProblem::not_found("there is no such call");
        let call: CallId = id.parse().map_err(|_| nowhere())?;
        let answers = self.ask(Asked::Call(call))?;
        let found = answers.into_iter().find_map(|(worker, answer)| match answer {
            Answered::Calls(_, calls) => calls.into_iter().next().map(|call| (worker, call)),
            _ => None,
        });
        found.ok_or_else(nowhere)
    }

    pub(super) fn hang_up(&self, caller: &Caller, id: &str, cause: u8) -> Result<ApiAnswer, ApiProblem> {
        let found = self.find(id);
        let call = found.as_ref().ok().map(|(_, call)| (call.call, call.trace));
        let change = Change { call, ..Change::new("hangup", id).with("cause", cause) };
        self.change(caller, &change, || {
            let (worker, call) = found?;
            if call.phase == Phase::Ending {
                return Err(ApiProblem::conflict("the call is ending already"));
            }
            let hangup = Command::Hangup { call: call.call, cause: Cause(cause), by: Ender::Operator };
            self.workers.tell(worker, Mail::Command(hangup));
            self.told();
            // Its parties have yet to answer.
            Ok(ApiAnswer::Accepted)
        })
    }

    /// Changes the recording of a call.
    pub(super) fn record(&self, caller: &Caller, id: &str, order: RecordingOrder) -> Result<ApiAnswer, ApiProblem> {
        let found = self.find(id);
        let call = found.as_ref().ok().map(|(_, call)| (call.call, call.trace));
        let (word, change) = match order {
            RecordingOrder::Start(consent) => ("start_recording", RecordingChange::Start(consent)),
            RecordingOrder::Stop => ("stop_recording", RecordingChange::Stop),
            RecordingOrder::Pause => ("pause_recording", RecordingChange::Pause),
            RecordingOrder::Resume => ("resume_recording", RecordingChange::Resume),
        };
        let asked = Change { call, ..Change::new(word, id) };
        let asked = match order {
            RecordingOrder::Start(consent) => asked.with("consent", consent.word()),
            _ => asked,
        };
        self.change(caller, &asked, || {
            let (worker, call) = found?;
            if let Some(why) = self.unrecordable(&call, order) {
                return Err(ApiProblem::conflict(why));
            }
            self.workers.tell(worker, Mail::Command(Command::Record { call: call.call, change }));
            Ok(self.told())
        })
    }

    /// Why the recording of a call cannot be changed so, if it cannot.
    fn unrecordable(&self, call: &CallSummary, order: RecordingOrder) -> Option<&'static str> {
        use RecordingPhase::{Asking, Going, Paused};
        match (order, call.recording) {
            (RecordingOrder::Start(_), Some(Asking | Going | Paused)) => Some("the call is recorded already"),
            (RecordingOrder::Start(_), _) if !self.records => Some("the configuration has no [recording]"),
            (RecordingOrder::Start(_), _) if call.phase != Phase::Talking => Some("nobody talks in the call now"),
            (RecordingOrder::Start(_), _) if !call.relayed => Some("the media of the call does not pass through here"),
            (RecordingOrder::Stop, Some(Asking | Going | Paused)) if call.recorded => {
                Some("the policy has the call recorded: its recording can be paused")
            }
            (RecordingOrder::Pause, Some(Paused)) => Some("the recording is paused already"),
            (RecordingOrder::Resume, Some(Going)) => Some("the recording is not paused"),
            (RecordingOrder::Start(_), _) | (_, Some(Going | Paused)) => None,
            (_, _) => Some("the call is not recorded"),
        }
    }

    pub(super) fn trunks(&self) -> Result<ApiAnswer, ApiProblem> {
        let mut trunks: Vec<TrunkReport> = Vec::new();
        for (_, answer) in self.ask(Asked::Trunks)? {
            let Answered::Trunks(of_worker) = answer else { continue };
            for trunk in of_worker {
                match trunks.iter_mut().find(|known| known.name == trunk.name) {
                    // News of a trunk is on its way from one worker to another for a moment: bad news counts first.
                    Some(known) => known.healthy &= trunk.healthy,
                    None => trunks.push(trunk),
                }
            }
        }
        let trunk =
            |trunk: &TrunkReport| json!({ "name": &*trunk.name, "healthy": trunk.healthy, "calls": trunk.calls });
        Ok(ApiAnswer::Json(json!({ "trunks": trunks.iter().map(trunk).collect::<Vec<_>>() })))
    }

    pub(super) fn drain(&self, caller: &Caller) -> Result<ApiAnswer, ApiProblem> {
        self.change(caller, &Change::new("drain", "exchange"), || {
            self.in_one_order(|| self.workers.tell_all(|| Mail::Command(Command::Drain)));
            Ok(self.told())
        })
    }

    pub(super) fn undrain(&self, caller: &Caller) -> Result<ApiAnswer, ApiProblem> {
        self.change(caller, &Change::new("undrain", "exchange"), || {
            let tell = || self.workers.tell_all(|| Mail::Command(Command::Undrain));
            match self.in_one_order(|| self.live.unless_stopping(tell)) {
                true => Ok(self.told()),
                false => Err(ApiProblem::conflict("the exchange is about to end")),
            }
        })
    }
}

fn shown(worker: u16, call: &CallSummary) -> Value {
    let time = |nanos: u64| Time::from_nanos(nanos).to_string();
    let source = match &call.source {
        Source::User(address) => json!({ "kind": "user", "name": address.to_string() }),
        Source::Trunk(name) => json!({ "kind": "trunk", "name": &**name }),
        Source::Exchange => json!({ "kind": "exchange" }),
    };
    json!({
        "id": call.call.to_string(),
        "trace_id": call.trace.to_string(),
        "state": state(call.phase),
        "source": source,
        "caller": call.caller.to_string(),
        "dialled": call.dialled.to_string(),
        "started": time(call.start),
        "answered": call.answer.map(time),
        "parties": { "caller": controls(call.controls[0]), "called": controls(call.controls[1]) },
        "room": call.room,
        "worker": worker,
        "recording": call.recording.map(recording),
        // What its files are called begins so.
        "recording_name": call.recording.map(|_| format!("{}-{}", call.call, call.recording_number)),
    })
}

fn controls(of: Controls) -> Value {
    json!({ "held": of.held, "muted": of.muted, "played_to": of.played_to })
}

const fn recording(phase: RecordingPhase) -> &'static str {
    match phase {
        RecordingPhase::Asking => "asking",
        RecordingPhase::Going => "going",
        RecordingPhase::Paused => "paused",
        RecordingPhase::Stopped => "stopped",
        RecordingPhase::Failed => "failed",
        RecordingPhase::Refused => "refused",
    }
}

const fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Ringing => "ringing",
        Phase::Talking => "talking",
        Phase::Transferring => "transferring",
        Phase::Ending => "ending",
    }
}
