//! Calls that operators have made, and what they want of the parties of those there are.

use super::change::Change;
use super::rooms::{address_in, is_begun, random};
use super::{Operators, PATIENCE, late};
use crate::serve::asking::Asked;
use crate::serve::mailbox::Mail;
use serde_json::json;
use sx_call::{CallSummary, Command, Originate, Parties, PartyChange, Phase};
use sx_http::{ApiAnswer, ApiProblem, BASE, Caller, PartyName, PartyOrder};
use sx_leg::Bounds;
use sx_types::{CallId, TraceId};

impl Operators {
    /// Has somebody called, and then somebody else to talk to them. The answer names the call, which tells how it goes.
    pub(super) fn originate(&self, caller: &Caller, from: &str, to: &str) -> Result<ApiAnswer, ApiProblem> {
        let tables = self.live.tables();
        let call = CallId::new(self.clock.now().as_millis(), random());
        let (from, to) = (address_in(from, &tables), address_in(to, &tables));
        let (first, second) = (from.to_string(), to.to_string());
        let asked = Change::new("originate", &first).with("to", second.clone());
        self.change(caller, &Change { call: Some((call, TraceId::from(call))), ..asked }, || {
            let originate = Originate { call, trace: call.into(), from, to, bounds: Bounds::default() };
            let worker = self.workers.any(call.as_u128());
            self.workers.tell(worker, Mail::Command(Command::Originate(Box::new(originate))));
            let known = self.workers.ask_one(worker, Asked::Call(call), PATIENCE).map_err(late)?;
            let body = json!({ "id": call.to_string(), "from": first, "to": second, "rings": is_begun(&known) });
            Ok(ApiAnswer::Created { location: format!("{BASE}/calls/{call}"), body })
        })
    }

    /// Changes a party of a call, or both.
    pub(super) fn change_party(
        &self,
        caller: &Caller,
        (id, party): (&str, PartyName),
        order: &PartyOrder,
    ) -> Result<ApiAnswer, ApiProblem> {
        let found = self.find(id);
        let call = found.as_ref().ok().map(|(_, call)| (call.call, call.trace));
        let (word, about) = words(order);
        let (who, name) = match party {
            PartyName::Caller => (Parties::Caller, "caller"),
            PartyName::Called => (Parties::Called, "called"),
            PartyName::Both => (Parties::Both, "both"),
        };
        let asked = Change { call, ..Change::new(word, id) }.with("party", name).with("to", about);
        self.change(caller, &asked, || {
            let (worker, call) = found?;
            let change = self.party_change(&call, party, order)?;
            self.workers.tell(worker, Mail::Command(Command::Parties { call: call.call, who, change }));
            match (self.told(), order) {
                // Others have yet to answer.
                (_, PartyOrder::Transfer(_) | PartyOrder::Move(_)) => Ok(ApiAnswer::Accepted),
                (answer, _) => Ok(answer),
            }
        })
    }

    /// What a worker is told, where it can be done.
    fn party_change(
        &self,
        call: &CallSummary,
        party: PartyName,
        order: &PartyOrder,
    ) -> Result<PartyChange, ApiProblem> {
        if call.phase != Phase::Talking {
            return Err(ApiProblem::conflict("nobody talks in the call now"));
        }
        let is_of_media = !matches!(order, PartyOrder::Transfer(_) | PartyOrder::Move(_));
        if is_of_media && !call.relayed {
            return Err(ApiProblem::conflict("the media of the call does not pass through here"));
        }
        Ok(match order {
            PartyOrder::Hold => PartyChange::Hold(true),
            PartyOrder::Resume => PartyChange::Hold(false),
            PartyOrder::Mute => PartyChange::Mute(true),
            PartyOrder::Unmute => PartyChange::Mute(false),
            PartyOrder::Stop => PartyChange::Play(None),
            PartyOrder::Play(sound) => {
                if !self.live.has_sound(sound) {
                    return Err(ApiProblem::not_found("there is no such sound"));
                }
                PartyChange::Play(Some(sound.as_str().into()))
            }
            PartyOrder::Transfer(_) if party == PartyName::Both => {
                return Err(ApiProblem::conflict("one party is transferred, and the other hung up then"));
            }
            PartyOrder::Transfer(to) => PartyChange::Transfer(address_in(to, &self.live.tables())),
            PartyOrder::Move(room) => self.entry_of(call, party, room)?,
        })
    }

    /// Parties come into a room.
    fn entry_of(&self, call: &CallSummary, party: PartyName, room: &str) -> Result<PartyChange, ApiProblem> {
        if call.room.is_some() {
            let detail = "the party is in a room already: members are moved by /rooms/{room}/members/{id}";
            return Err(ApiProblem::conflict(detail));
        }
        let tables = self.live.tables();
        let found = tables.routes.room(room);
        let found = found.ok_or_else(|| ApiProblem::not_found("there is no room to move the party to"))?;
        let comes = if party == PartyName::Both { 2 } else { 1 };
        if found.members.count() + comes > found.members_max {
            return Err(ApiProblem::conflict("the room has no place for who is to come"));
        }
        let other = CallId::new(self.clock.now().as_millis(), random());
        Ok(PartyChange::Enter { room: found.name.clone(), other })
    }
}

/// A command's name, and what it is about besides the call.
fn words(order: &PartyOrder) -> (&'static str, &str) {
    match order {
        PartyOrder::Hold => ("hold", ""),
        PartyOrder::Resume => ("resume", ""),
        PartyOrder::Mute => ("mute", ""),
        PartyOrder::Unmute => ("unmute", ""),
        PartyOrder::Play(sound) => ("play", sound),
        PartyOrder::Stop => ("stop_playing", ""),
        PartyOrder::Transfer(to) => ("transfer", to),
        PartyOrder::Move(room) => ("move", room),
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::{operators, records};
    use super::*;
    use sx_http::Role;

    #[test]
    fn what_cannot_be_done_is_refused_and_written_down() {
        let folder = tempfile::tempdir().expect("a folder");
        let operators = operators(folder.path());
        let caller = Caller { name: "anna".into(), role: Role::Operator, id: "0a1b2c3d4e5f".into() };
        let order = PartyOrder::Play("hello.wav".into());
        let id = CallId::new(1, 7).to_string();
        let refused = operators.change_party(&caller, (&id, PartyName::Caller), &order).expect_err("no such call");
        assert_eq!(refused.status, 404);
        let outcomes: Vec<String> = records(folder.path())
            .iter()
            .filter(|record| record["facts"]["command"] == "play")
            .map(|record| format!("{} {} {}", record["outcome"], record["facts"]["party"], record["facts"]["to"]))
            .collect();
        assert_eq!(outcomes.len(), 2, "{outcomes:?}");
        assert!(outcomes[0].contains("requested") && outcomes[1].contains("refused"), "{outcomes:?}");
        assert!(outcomes[0].contains("caller") && outcomes[0].contains("hello.wav"), "{outcomes:?}");
    }

    #[test]
    fn what_is_asked_has_to_fit_the_call() {
        let folder = tempfile::tempdir().expect("a folder");
        let operators = operators(folder.path());
        let talking = CallSummary {
            call: CallId::new(1, 7),
            trace: CallId::new(1, 7).into(),
            source: sx_leg::Source::Exchange,
            caller: sx_leg::Address::new("anna", "localhost"),
            dialled: sx_leg::Address::new("300", "localhost"),
            start: 1,
            answer: Some(1),
            phase: Phase::Talking,
            room: None,
            member: None,
            muted: false,
            recording: None,
            recording_number: 0,
            recorded: false,
            relayed: true,
            controls: Default::default(),
        };
        let direct = CallSummary { relayed: false, ..talking.clone() };
        let ringing = CallSummary { phase: Phase::Ringing, ..talking.clone() };
        let member = CallSummary { room: Some("council".into()), ..talking.clone() };
        let to = || PartyOrder::Transfer("300".into());
        for (call, party, order, expected) in [
            (&talking, PartyName::Caller, PartyOrder::Hold, Ok(PartyChange::Hold(true))),
            (&direct, PartyName::Caller, PartyOrder::Hold, Err(409)),
            (&ringing, PartyName::Caller, PartyOrder::Mute, Err(409)),
            (&talking, PartyName::Both, to(), Err(409)),
            (&talking, PartyName::Both, PartyOrder::Move("attic".into()), Err(404)),
            (&member, PartyName::Caller, PartyOrder::Move("attic".into()), Err(409)),
            (&talking, PartyName::Called, PartyOrder::Play("nothing.wav".into()), Err(404)),
            (&talking, PartyName::Called, PartyOrder::Stop, Ok(PartyChange::Play(None))),
        ] {
            let change = operators.party_change(call, party, &order).map_err(|problem| problem.status);
            assert_eq!(change, expected, "{order:?}");
        }
        let direct = operators.party_change(&direct, PartyName::Caller, &to());
        assert!(matches!(direct, Ok(PartyChange::Transfer(address)) if &*address.user == "300"));
    }
}
