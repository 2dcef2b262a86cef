//! What is decided about a message: is it new, does a human have to decide, and may they be rung for whoever asks?

use super::recorded::{DECLARES, OVERRIDES, facts_of_request, is_emergency, says};
use super::{Escalate, Escalation, Phase, Proof, Rejection};
use crate::layers::{Admitted, taken};
use crate::obligations::{Recordings, unmet};
use crate::worker::Worker;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use sx_edge::{CallPermit, IdentityLoad};
use sx_engine::Time;
use sx_escalation::{Route, Search, Stale};
use sx_expert::{Need, PassedOver, Presence, Ranking, Standing, rank};
use sx_guard::{
    Action, Authentication, Bandwidth, Decision, EscalationFacts, Obstacle, PersonalData, ReasonKind, Request,
    SignatureFacts, Source, Specialists, Status,
};
use sx_ifmessage::IfMessage;
use sx_witness::Facts;

/// The bandwidth of the call to an expert, in kilobits a second: G.711 in packets of 20 ms with their headers, which is the
/// most that the sound of a room takes.
const CALL_KBPS: u32 = 80;
/// How often experts are rung is counted over a minute.
pub(super) const RINGS_WINDOW: std::time::Duration = std::time::Duration::from_secs(60);
/// After how many seconds another try makes sense where there was no room.
const RETRY_S: u32 = 10;

/// What was let in, and whom to ring.
pub(super) struct Approved {
    pub(super) admitted: Admitted,
    permit: Option<CallPermit>,
    pub(super) ranking: Ranking,
}

/// A refusal, and what else is written down of it.
pub(super) struct Refused {
    pub(super) rejection: Rejection,
    pub(super) facts: Facts<'static>,
}

impl Worker {
    /// Decides about a message, writes that down, and begins what follows from it.
    pub(crate) fn escalate(&mut self, now: Time, asked: &Escalate) {
        let tables = self.tables.clone();
        let routed = tables.escalation.routing.route(&asked.message);
        let decided = self.decide_about(now, asked, routed.route);
        let redactions = asked.redactions;
        let mut escalation = Escalation {
            id: asked.id,
            redacted: redactions.total(),
            actor: asked.actor.clone(),
            routed,
            room: self.room_for(&asked.message).filter(|_| routed.route == Route::Escalate),
            began: now,
            connected: None,
            ended: None,
            phase: Phase::Held,
            search: Search::new([], 1),
            rung: Vec::new(),
            passed_over: Vec::new(),
            admitted: None,
            permits: BTreeMap::new(),
            permit: None,
            deadlines: BTreeMap::new(),
            message: IfMessage { signature: None, ..asked.message.clone() },
        };
        match decided {
            Err(refused) => {
                self.witness_escalation_refused(now, asked, &refused);
                escalation.phase = Phase::Rejected(Box::new(refused.rejection));
                self.escalation_over(now, escalation);
            }
            Ok(approved) => {
                if !self.witness_escalation_admitted(now, asked, &escalation, &approved) {
                    let rejection = admission("unwritable", crate::witnessing::UNWITNESSED, 503);
                    escalation.phase = Phase::Rejected(Box::new(rejection));
                    return self.escalation_over(now, escalation);
                }
                match routed.route {
                    Route::Hold => self.escalation_over(now, escalation),
                    Route::Share => {
                        escalation.phase = Phase::Shared;
                        self.escalation_over(now, escalation);
                    }
                    Route::Escalate => {
                        escalation.phase = Phase::Ringing;
                        escalation.permit = approved.permit;
                        escalation.admitted = Some(Box::new(approved.admitted));
                        self.begin_ringing(now, escalation, &approved.ranking);
                    }
                }
            }
        }
    }

    fn decide_about(&mut self, now: Time, asked: &Escalate, route: Route) -> Result<Approved, Box<Refused>> {
        self.has_room_for_escalation(route, &asked.message)?;
        let (tables, people) = (self.tables.clone(), self.people.clone());
        let message = &asked.message;
        let known = people.guardian(&message.sender);
        let proof = self.prove(now, asked, known.and_then(|known| known.key));
        let ranking = match route {
            Route::Escalate => self.ranked(now, message, asked.from),
            Route::Hold | Route::Share => Ranking::default(),
        };
        let is_signed = proof.facts.is_some_and(|facts| facts.key_matches && facts.verifies);
        let load = match known.filter(|_| is_signed) {
            Some(known) => known.load().clone(),
            None => self.layers.unproved(&message.sender),
        };
        let standing = known.map(|known| status_of(known.standing));
        let facts = self.facts_of_escalation(asked, standing, route, &ranking, &load);
        let mut request = self.request_for(now, asked, &proof, facts);
        request.organisation = known.filter(|_| is_signed).map_or("", |known| &known.guardian.organisation);
        let rate = tables.policy.rate_for(&request);
        request.recent = load.count(now, rate.window);
        request.calls = if route == Route::Escalate { load.calls() } else { 0 };
        let decided = tables.policy.decide(&request);
        let refused = |decided: &Decision<'_>| refused_by_guard(&request, decided);
        if !decided.is_approved() {
            return Err(refused(&decided));
        }
        let stale = match proof.facts {
            Some(_) => proof.stale,
            // Of what nobody has signed nothing is remembered before the policy lets it in.
            None => self.escalations.freshness.admit(self.wall(now), message).err(),
        };
        if let Some(stale) = stale {
            return Err(refused_as_stale(stale, &request));
        }
        let obligations = decided.outcome.obligations().cloned();
        let recordings = Recordings::by(self.settings.calls.recording.as_ref());
        if obligations.as_ref().is_some_and(|bound| !unmet(bound, recordings).is_empty()) {
            let sentence = "the policy asks for what this exchange cannot do";
            let rejection =
                Rejection { layer: "guard", rule: decided.rule.into(), ..admission("obligation", sentence, 403) };
            return Err(Box::new(Refused { rejection, facts: Facts::new() }));
        }
        let permit = match taken(now, Some(&load), &rate, route == Route::Escalate) {
            Ok(permit) => permit,
            Err(full) => {
                full.say_in(&mut request, &rate);
                return Err(refused_by_guard(&request, &tables.policy.decide(&request)));
            }
        };
        let admitted = Admitted {
            outcome: decided.outcome.word(),
            rule: decided.rule.into(),
            policy: tables.policy.version().into(),
            authenticated: request.authenticated.kind().word(),
            obligations,
            address: asked.from,
            transport: asked.transport,
            country: request.country,
            organisation: request.organisation.into(),
            trunk: None,
            sip_call_id: None,
            permit: None,
        };
        Ok(Approved { admitted, permit, ranking })
    }

    fn has_room_for_escalation(&self, route: Route, message: &IfMessage) -> Result<(), Box<Refused>> {
        let rules = &self.tables.escalation;
        let refused = |reason, sentence: &str| {
            let rejection = Rejection { retry_after_s: RETRY_S, ..admission(reason, sentence, 503) };
            Err(Box::new(Refused { rejection, facts: Facts::new() }))
        };
        match route {
            _ if self.witness.is_failing() => refused("unwritable", crate::witnessing::UNWITNESSED),
            _ if self.draining => refused("draining", "the exchange takes no new calls"),
            Route::Escalate if self.escalations.running.len() >= rules.config.running_max => {
                refused("overload", "as many escalations are under way as may be")
            }
            Route::Escalate if message.hazard.is_none() => {
                let sentence = "the message has no hazard, so that nobody knows whom to ring";
                Err(Box::new(Refused { rejection: admission("no-hazard", sentence, 422), facts: Facts::new() }))
            }
            Route::Escalate if self.room_for(message).is_none() => {
                let sentence = "the configuration names no such room that experts could be fetched to";
                Err(Box::new(Refused { rejection: admission("no-room", sentence, 409), facts: Facts::new() }))
            }
            _ => Ok(()),
        }
    }

    /// The room that experts are fetched to: the one that the message asks for, when it may, else the usual one.
    fn room_for(&self, message: &IfMessage) -> Option<Arc<str>> {
        let told = &self.tables.escalation.config;
        match message.content.get("room").and_then(Json::as_str) {
            Some(name) => told.rooms.iter().chain(&told.room).find(|room| ***room == *name).cloned(),
            None => told.room.clone(),
        }
    }

    /// What is known of the signature of a message. One that is right is remembered.
    fn prove(&mut self, now: Time, asked: &Escalate, key: Option<[u8; 32]>) -> Proof {
        let Some((signed_by, verifies)) = asked.signed else { return Proof { facts: None, stale: None } };
        let key_matches = key == Some(signed_by);
        let stale = match key_matches && verifies {
            true => self.escalations.freshness.admit(self.wall(now), &asked.message).err(),
            false => None,
        };
        let wall = self.wall(now);
        let (age, ahead) = (wall.since(asked.message.timestamp), asked.message.timestamp.since(wall));
        let seconds = |time: std::time::Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let age_s = seconds(age) - seconds(ahead);
        let nonce_seen = stale == Some(Stale::NonceSeen);
        Proof { facts: Some(SignatureFacts { key_matches, age_s, nonce_seen, verifies }), stale }
    }

    /// The experts who know about the hazard, those first who are rung first.
    pub(super) fn ranked(&self, now: Time, message: &IfMessage, from: IpAddr) -> Ranking {
        let sender = self.people.guardian(&message.sender);
        let need = Need {
            subject: message.hazard.as_ref().map_or("", |hazard| hazard.kind.word()),
            language: message.content.get("language").and_then(Json::as_str).unwrap_or_default(),
            organisation: sender.map_or("", |sender| &sender.guardian.organisation),
            from: Some(from),
        };
        let people = &self.people;
        let rings_max = self.tables.escalation.config.rings_per_minute;
        let presence = |place: usize| {
            let rung = people.rung(place);
            let rings = rung.count(now, RINGS_WINDOW);
            Presence { reachable: self.is_reachable(&people.experts()[place]), calls: rung.calls(), rings, rings_max }
        };
        // The hours of people go by the wall clock.
        let wall = self.wall(now);
        rank(people.experts(), &need, presence, wall)
    }

    fn facts_of_escalation(
        &self,
        asked: &Escalate,
        standing: Option<Status>,
        route: Route,
        ranking: &Ranking,
        load: &Arc<IdentityLoad>,
    ) -> EscalationFacts {
        let name = self.room_for(&asked.message);
        let room = name.as_deref().and_then(|name| self.tables.routes.room(name));
        let (members, members_max) = room.map_or((0, u32::MAX), |room| (room.members.count(), room.members_max));
        let is_rung = route == Route::Escalate;
        EscalationFacts {
            standing,
            emergency: is_emergency(&asked.message),
            personal: PersonalData {
                redacted: asked.redactions.total(),
                declared: says(&asked.message, DECLARES),
                overridden: says(&asked.message, OVERRIDES),
            },
            bandwidth: Bandwidth {
                asked_kbps: if is_rung { CALL_KBPS } else { 0 },
                used_kbps: load.calls().saturating_mul(CALL_KBPS),
            },
            members: if is_rung { members } else { 0 },
            members_max,
            experts: if is_rung {
                specialists(ranking)
            } else {
                Specialists { knowing: 1, allowed: 1, rested: 1, obstacle: None }
            },
        }
    }

    fn request_for<'r>(&self, now: Time, asked: &'r Escalate, proof: &Proof, facts: EscalationFacts) -> Request<'r> {
        let wall_s = self.wall(now).as_secs();
        let countries = self.tables.countries.as_ref();
        let is_proved = proof.facts.is_some_and(|facts| facts.key_matches && facts.verifies);
        Request {
            action: Action::Escalation,
            source: if is_proved || asked.otherwise != Authentication::Nothing {
                Source::User
            } else {
                Source::Anonymous
            },
            identity: &asked.message.sender,
            address: asked.from,
            transport: asked.transport,
            country: countries.and_then(|countries| countries.country_of(asked.from)),
            organisation: "",
            authenticated: proof.facts.map_or(asked.otherwise, Authentication::Signature),
            subject: asked.message.hazard.as_ref().map_or("", |hazard| hazard.kind.word()),
            codecs: &[],
            other_codecs: &[],
            score_milli: 0,
            recent: 0,
            calls: 0,
            hour_utc: (wall_s / 3600 % 24) as u8,
            weekday: ((wall_s / 86_400 + 3) % 7) as u8,
            escalation: Some(facts),
        }
    }

    /// Keeps one that is over, to be told about.
    pub(super) fn escalation_over(&mut self, now: Time, mut escalation: Escalation) {
        escalation.ended = Some(now);
        escalation.permit = None;
        self.counts.count_escalation(&escalation.phase);
        let kept_max = self.tables.escalation.config.kept_max;
        self.escalations.keep(escalation, kept_max);
    }
}

fn status_of(standing: Standing) -> Status {
    match standing {
        Standing::Active => Status::Active,
        Standing::Suspended => Status::Suspended,
        Standing::Revoked => Status::Revoked,
    }
}

/// Experts, counted as the guard asks for them.
fn specialists(ranking: &Ranking) -> Specialists {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let obstacle = |why: PassedOver| match why {
        PassedOver::Suspended | PassedOver::Revoked | PassedOver::Unproved => Some(Obstacle::NotApproved),
        PassedOver::OtherOrganisation => Some(Obstacle::OtherOrganisation),
        PassedOver::OtherNetwork => Some(Obstacle::OtherNetwork),
        PassedOver::OffHours | PassedOver::Unreachable | PassedOver::Busy | PassedOver::TooOften => None,
    };
    let over = || ranking.passed_over.iter().map(|(_, why)| *why);
    let allowed = ranking.best.len() + over().filter(|why| obstacle(*why).is_none()).count();
    let tired = over().filter(|why| *why == PassedOver::TooOften).count();
    Specialists {
        knowing: count(ranking.best.len() + ranking.passed_over.len()),
        allowed: count(allowed),
        rested: count(allowed - tired),
        obstacle: over().find_map(obstacle),
    }
}

fn refused_by_guard(request: &Request<'_>, decided: &Decision<'_>) -> Box<Refused> {
    let mut facts = facts_of_request(request);
    let Some(reason) = decided.outcome.reason() else {
        // The rate gate refuses whoever has as much as it may; were it not so, nobody would be let in either.
        return Box::new(Refused { rejection: admission("rate-exceeded", "too many requests", 429), facts });
    };
    if let Some(escalation) = &request.escalation {
        facts.push("experts_knowing", i64::from(escalation.experts.knowing));
        facts.push("experts_allowed", i64::from(escalation.experts.allowed));
        facts.push("experts_rested", i64::from(escalation.experts.rested));
        facts.push("kbps", i64::from(escalation.bandwidth.used_kbps.saturating_add(escalation.bandwidth.asked_kbps)));
        facts.push("members", i64::from(escalation.members));
    }
    let rejection = Rejection {
        layer: "guard",
        rule: decided.rule.into(),
        reason: reason.kind.word(),
        sentence: reason.sentence.as_ref().into(),
        status: http_status(reason.kind),
        retry_after_s: reason.retry_after_s,
    };
    Box::new(Refused { rejection, facts })
}

fn refused_as_stale(stale: Stale, request: &Request<'_>) -> Box<Refused> {
    let (reason, status) = match stale {
        Stale::Expired { .. } | Stale::Ahead { .. } => ("stale", 403),
        Stale::OutOfOrder { .. } | Stale::NonceSeen => ("replayed", 403),
        Stale::Full => ("overload", 503),
    };
    let rejection = Rejection { layer: "freshness", ..admission(reason, &stale.to_string(), status) };
    Box::new(Refused { rejection, facts: facts_of_request(request) })
}

fn admission(reason: &'static str, sentence: &str, status: u16) -> Rejection {
    Rejection { layer: "admission", rule: "".into(), reason, sentence: sentence.into(), status, retry_after_s: 0 }
}

/// What a refusal by the guard is in HTTP.
fn http_status(kind: ReasonKind) -> u16 {
    match kind {
        ReasonKind::RateExceeded | ReasonKind::TooManyCalls | ReasonKind::BandwidthExceeded => 429,
        ReasonKind::RoomFull | ReasonKind::CodecNotAllowed => 409,
        ReasonKind::NoSpecialist => 422,
        _ => 403,
    }
}
