//! Rooms, and whom they call.

use super::change::Change;
use super::registrations::in_form;
use super::{Operators, PATIENCE, late};
use crate::serve::asking::{Answered, Asked};
use crate::serve::mailbox::Mail;
use serde_json::json;
use std::sync::Arc;
use sx_call::{CallSummary, Command, Ender, Invite, MemberChange, Phase};
use sx_engine::Time;
use sx_exchange::Tables;
use sx_http::{ApiAnswer, ApiProblem, BASE, Caller, MemberOrder};
use sx_leg::{Address, Bounds, Identity, Source};
use sx_route::Occupancy;
use sx_types::{CallId, Cause, TraceId};

impl Operators {
    /// The rooms; who is in them is counted for all workers together.
    pub(super) fn rooms(&self) -> ApiAnswer {
        let tables = self.live.tables();
        let rooms = tables.routes.rooms().iter().map(|room| {
            json!({
                "name": &*room.name,
                "members": room.members.count(),
                "members_max": room.members_max,
                "locked": room.members.is_locked(),
            })
        });
        ApiAnswer::Json(json!({ "rooms": rooms.collect::<Vec<_>>() }))
    }

    /// Who is in a room, the one who came first first.
    pub(super) fn members(&self, room: &str) -> Result<ApiAnswer, ApiProblem> {
        self.room_of(room)?;
        let mut members = self.calls_in(room)?;
        members.sort_by_key(|(_, call)| (call.answer, call.call));
        let members = members.iter().map(|(_, call)| {
            // Who is being called by the room is the one who was dialled.
            let called = if call.source == Source::Exchange { &call.dialled } else { &call.caller };
            let who = call.member.as_ref().unwrap_or(called);
            json!({
                "id": call.call.to_string(),
                "who": who.to_string(),
                "state": if call.answer.is_some() { "present" } else { "called" },
                "since": call.answer.map(|nanos| Time::from_nanos(nanos).to_string()),
                "muted": call.muted,
            })
        });
        Ok(ApiAnswer::Json(json!({ "room": room, "members": members.collect::<Vec<_>>() })))
    }

    pub(super) fn change_member(
        &self,
        caller: &Caller,
        (room, id): (&str, &str),
        order: &MemberOrder,
    ) -> Result<ApiAnswer, ApiProblem> {
        let found = self.member_of(room, id);
        let call = found.as_ref().ok().map(|(_, call)| (call.call, call.trace));
        let (word, to) = match order {
            MemberOrder::Mute => ("mute", ""),
            MemberOrder::Unmute => ("unmute", ""),
            MemberOrder::Move(to) => ("move", to.as_str()),
        };
        let change = Change { call, ..Change::new(word, room) }.with("member", id).with("to", to);
        self.change(caller, &change, || {
            let (worker, call) = found?;
            let change = match order {
                MemberOrder::Mute => MemberChange::Mute(true),
                MemberOrder::Unmute => MemberChange::Mute(false),
                MemberOrder::Move(to) => {
                    let tables = self.live.tables();
                    let other = tables.routes.room(to);
                    let other = other.ok_or_else(|| ApiProblem::not_found("there is no room to move the member to"))?;
                    if other.members.count() >= other.members_max {
                        return Err(ApiProblem::conflict("the room that the member is to be in is full"));
                    }
                    MemberChange::Move(other.name.clone())
                }
            };
            self.workers.tell(worker, Mail::Command(Command::Member { call: call.call, change }));
            Ok(self.told())
        })
    }

    pub(super) fn remove_member(&self, caller: &Caller, (room, id): (&str, &str)) -> Result<ApiAnswer, ApiProblem> {
        let found = self.member_of(room, id);
        let call = found.as_ref().ok().map(|(_, call)| (call.call, call.trace));
        self.change(caller, &Change { call, ..Change::new("remove_member", room) }.with("member", id), || {
            let (worker, call) = found?;
            let hangup = Command::Hangup { call: call.call, cause: Cause::NORMAL, by: Ender::Operator };
            self.workers.tell(worker, Mail::Command(hangup));
            self.told();
            Ok(ApiAnswer::Accepted)
        })
    }

    /// Lets nobody come into a room by themselves, or everybody again.
    pub(super) fn lock_room(&self, caller: &Caller, room: &str, locked: bool) -> Result<ApiAnswer, ApiProblem> {
        self.change(caller, &Change::new(if locked { "lock_room" } else { "unlock_room" }, room), || {
            self.room_of(room)?.lock(locked);
            Ok(ApiAnswer::NoContent)
        })
    }

    fn room_of(&self, name: &str) -> Result<Arc<Occupancy>, ApiProblem> {
        let tables = self.live.tables();
        let found = tables.routes.room(name).map(|room| room.members.clone());
        found.ok_or_else(|| ApiProblem::not_found("there is no such room"))
    }

    fn calls_in(&self, room: &str) -> Result<Vec<(u16, CallSummary)>, ApiProblem> {
        let mut found = Vec::new();
        for (worker, answer) in self.ask(Asked::Members(room.into()))? {
            if let Answered::Calls(_, calls) = answer {
                found.extend(calls.into_iter().map(|call| (worker, call)));
            }
        }
        Ok(found)
    }

    fn member_of(&self, room: &str, id: &str) -> Result<(u16, CallSummary), ApiProblem> {
        self.room_of(room)?;
        let found = self.find(id).ok().filter(|(_, call)| call.room.as_deref() == Some(room));
        let (worker, call) = found.ok_or_else(|| ApiProblem::not_found("there is no such member of the room"))?;
        match call.phase {
            Phase::Talking => Ok((worker, call)),
            _ => Err(ApiProblem::conflict("the member is not in the room yet, or has gone")),
        }
    }

    /// Has a room call somebody. The answer names the call, which tells how it goes.
    pub(super) fn invite(&self, caller: &Caller, room: &str, to: &str) -> Result<ApiAnswer, ApiProblem> {
        let tables = self.live.tables();
        let call = CallId::new(self.clock.now().as_millis(), random());
        let to = address_in(to, &tables);
        let dialled = to.to_string();
        let asked = Change::new("invite", room).with("to", dialled.clone());
        self.change(caller, &Change { call: Some((call, TraceId::from(call))), ..asked }, || {
            let found = tables.routes.room(room).ok_or_else(|| ApiProblem::not_found("there is no such room"))?;
            if found.members.count() >= found.members_max {
                return Err(ApiProblem::conflict("the room is full"));
            }
            let domain = tables.domains.first().map_or("localhost", |domain| domain);
            let from = Identity { address: Address::new(room, domain), ..Identity::default() };
            let headers = Vec::new();
            let invite = Invite {
                call,
                trace: call.into(),
                room: found.name.clone(),
                from,
                to,
                headers,
                bounds: Bounds::default(),
                arrival: None,
            };
            let worker = self.workers.any(call.as_u128());
            self.workers.tell(worker, Mail::Command(Command::Invite(Box::new(invite))));
            let known = self.workers.ask_one(worker, Asked::Call(call), PATIENCE).map_err(late)?;
            let body = json!({ "id": call.to_string(), "room": room, "dialled": dialled, "rings": is_begun(&known) });
            Ok(ApiAnswer::Created { location: format!("{BASE}/calls/{call}"), body })
        })
    }
}

/// Whom somebody means: a user or a number without a domain is one of ours.
pub(super) fn address_in(text: &str, tables: &Tables) -> Address {
    let found = in_form(text, tables);
    let ours = tables.domains.first().map_or("localhost", |domain| domain);
    let (user, domain) = found.rsplit_once('@').unwrap_or((&found, ours));
    Address::new(user, domain)
}

/// Does a call ring, or has it been answered already?
pub(super) fn is_begun(known: &Answered) -> bool {
    matches!(known, Answered::Calls(_, some) if some.iter().any(|call| call.phase != Phase::Ending))
}

pub(super) fn random() -> u128 {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives randomness, or nothing on it is safe");
    u128::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::{operators, records};
    use super::*;
    use sx_http::Role;

    #[test]
    fn a_room_that_is_not_there_calls_nobody_and_that_is_written_down() {
        let folder = tempfile::tempdir().expect("a folder");
        let operators = operators(folder.path());
        let caller = Caller { name: "anna".into(), role: Role::Operator, id: "0a1b2c3d4e5f".into() };
        let refused = operators.invite(&caller, "attic", "300").expect_err("there is no such room");
        assert_eq!(refused.status, 404);
        let outcomes: Vec<String> = records(folder.path())
            .iter()
            .filter(|record| record["facts"]["command"] == "invite")
            .map(|record| format!("{} {} {}", record["subject"], record["outcome"], record["facts"]["to"]))
            .collect();
        assert_eq!(outcomes.len(), 2, "{outcomes:?}");
        assert!(outcomes[0].contains("requested") && outcomes[1].contains("refused") && outcomes[0].contains("300@"));
    }

    #[test]
    fn who_is_meant_is_an_address_of_ours_where_no_domain_is_said() {
        let config = sx_config::Config::default();
        let tables = Tables::build(&config, Vec::new(), None).expect("they fit together");
        let ours = &*tables.domains[0];
        for (text, user, domain) in [
            ("300", "300", ours),
            ("sip:300@example.net;user=phone", "300", "example.net"),
            ("anna@Example.NET", "anna", "example.net"),
        ] {
            let address = address_in(text, &tables);
            assert_eq!((&*address.user, &*address.domain), (user, domain), "{text}");
        }
    }
}
