//! Messages of agents that come by SIP: a MESSAGE with the headers `X-IF-…` and a body of JSON, or an INVITE that has it beside its
//! session description.

use super::{Escalate, Rejection};
use crate::counts::Refusal;
use crate::interface::{Came, Output, PeerMessage};
use crate::layers::{Answer, Asker, Identified, RefusedBy, shown};
use crate::peers::keeper_of;
use crate::witnessing::name_of;
use crate::worker::Worker;
use sx_edge::Layer;
use sx_engine::Time;
use sx_ifmessage::{Hazard, HazardKind, IfMessage, Severity, verifies_beside};
use sx_sip::message::{HeaderName, Message, Writer};
use sx_sip::session::part;
use sx_sip::transaction::{Reply, ServerId};
use sx_types::{CallId, TraceId};

const TRACE: &str = "X-IF-Trace-ID";
const HAZARD: &str = "X-IF-Hazard";
const SIGNATURE: &str = "X-IF-Signature";
/// What a message is, as a body or a part of one.
const JSON: &str = "application/json";
/// The longest trace of an agent's.
const TRACE_BYTES_MAX: usize = 128;

/// A message that was handed to the worker of its sender, and the request it came by.
#[derive(Debug)]
pub(crate) struct Asking {
    server: ServerId,
    trace: Box<str>,
}

/// Why a request tells of no hazard.
struct Unread {
    status: u16,
    sentence: String,
}

impl Worker {
    /// Does a request outside of calls tell of a hazard?
    pub(crate) fn tells_of_hazard<B: AsRef<[u8]>>(&self, request: &Message<B>) -> bool {
        [TRACE, HAZARD, SIGNATURE].iter().any(|name| request.other(name).is_some())
    }

    /// Has the message decided about by the worker of its sender, who answers.
    pub(crate) fn escalate_by_sip<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        request: &Message<B>,
        identified: &Identified,
    ) {
        let actor = name_of(&identified.source);
        let id = TraceId::from(CallId::new(now.as_millis(), self.rng.u128()));
        let asked = match self.read_hazard(came, request, identified, (id, &actor)) {
            Ok(asked) => asked,
            Err(Unread { status, sentence }) => {
                let answer = Answer::status(status, &sentence);
                let refused = RefusedBy::new(Layer::Identity, "bad-message", answer, Refusal::Malformed);
                let asker = Asker::by(identified.authenticated);
                return self.refuse(now, came.flow, request, refused.of(asker, &actor));
            }
        };
        let server = self.legs.agent().open(now, came.flow, request);
        let trace = asked.message.trace.clone().unwrap_or_default();
        self.asking.insert(id, Asking { server, trace });
        let keeper = keeper_of(&asked.message.sender, self.settings.workers);
        if keeper == self.settings.worker {
            self.escalate(now, &asked);
            let outcome = self.outcome_of(id);
            self.answer_escalation(now, id, &outcome);
        } else {
            let message = PeerMessage::Escalate { worker: self.settings.worker, asked: Box::new(asked) };
            self.outputs.push_back(Output::Peer { worker: keeper, message });
        }
    }

    /// The worker that decides about what an INVITE tells of; `None`: it tells of no hazard.
    pub(crate) fn keeper_of_hazard<B: AsRef<[u8]>>(&self, invite: &Message<B>) -> Option<u16> {
        let message = self.hazard_beside(invite)?;
        Some(keeper_of(&IfMessage::read(message).ok()?.sender, self.settings.workers))
    }

    /// The message that an INVITE has beside its session description. Headers alone are those of a call that was
    /// escalated elsewhere.
    fn hazard_beside<'m, B: AsRef<[u8]>>(&self, invite: &'m Message<B>) -> Option<&'m [u8]> {
        self.tells_of_hazard(invite).then(|| part(invite, JSON)).flatten()
    }

    /// Decides about what an INVITE tells of, before it becomes a call. False: it was refused, and so is the call.
    pub(crate) fn escalate_by_invite<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        invite: &Message<B>,
        identified: &Identified,
    ) -> bool {
        if self.hazard_beside(invite).is_none() {
            return true;
        }
        let actor = name_of(&identified.source);
        let asker = Asker::by(identified.authenticated);
        let id = TraceId::from(CallId::new(now.as_millis(), self.rng.u128()));
        let asked = match self.read_hazard(came, invite, identified, (id, &actor)) {
            Ok(asked) => asked,
            Err(Unread { status, sentence }) => {
                let answer = Answer::status(status, &sentence);
                let refused = RefusedBy::new(Layer::Identity, "bad-message", answer, Refusal::Malformed);
                self.refuse(now, came.flow, invite, refused.of(asker, &actor));
                return false;
            }
        };
        self.escalate(now, &asked);
        // What has begun has an admission of its own, and is not to take that of the call that is about to.
        self.drain_calls(now);
        let Err(rejection) = self.outcome_of(id) else { return true };
        let answer = match rejection.retry_after_s {
            0 => Answer::status(sip_status(&rejection), &rejection.sentence),
            seconds => Answer::later(sip_status(&rejection), &rejection.sentence, seconds),
        };
        let refused = RefusedBy::new(Layer::Guard, rejection.reason, answer, Refusal::Forbidden);
        self.refuse(now, came.flow, invite, refused.of(asker, &actor));
        false
    }

    /// What has become of an escalation: its state, or why it was refused.
    pub(crate) fn outcome_of(&self, id: TraceId) -> Result<&'static str, Box<Rejection>> {
        let report = self.escalation(id);
        match report {
            Some(report) => report.rejection.map_or(Ok(report.state), |rejection| Err(Box::new(rejection))),
            None => Ok("ended"),
        }
    }

    /// The worker of the sender has decided.
    pub(crate) fn answer_escalation(&mut self, now: Time, id: TraceId, outcome: &Result<&'static str, Box<Rejection>>) {
        let Some(Asking { server, trace }) = self.asking.remove(&id) else { return };
        let (status, seconds) = match outcome {
            Ok(_) => (202, 0),
            Err(rejection) => (sip_status(rejection), rejection.retry_after_s),
        };
        let headers = |writer: &mut Writer| {
            writer.raw_header(TRACE.as_bytes(), trace.as_bytes());
            writer.raw_header(b"X-IF-Escalation", id.to_string().as_bytes());
            match outcome {
                Ok(state) => {
                    writer.raw_header(b"X-IF-State", state.as_bytes());
                }
                Err(rejection) => {
                    if seconds > 0 {
                        writer.header(HeaderName::RetryAfter, format_args!("{seconds}"));
                    }
                    let sentence = rejection.sentence.replace(['"', '\\'], "'");
                    writer.header(HeaderName::Warning, format_args!("399 strowger \"{sentence}\""));
                }
            }
        };
        self.legs.agent().respond(now, server, Reply { status, headers: Some(&headers), ..Reply::default() });
    }

    fn read_hazard<B: AsRef<[u8]>>(
        &self,
        came: &Came,
        request: &Message<B>,
        identified: &Identified,
        (id, actor): (TraceId, &str),
    ) -> Result<Escalate, Unread> {
        let bad = |sentence: String| Unread { status: 400, sentence };
        let trace = said(request, TRACE)?.ok_or_else(|| bad(format!("{TRACE} is missing")))?;
        let hazard = said(request, HAZARD)?.ok_or_else(|| bad(format!("{HAZARD} is missing")))?;
        let kind = HazardKind::from_word(&hazard)
            .ok_or_else(|| bad(format!("{HAZARD} is none of {}", HazardKind::WORDS.join(", "))))?;
        let Some(body) = part(request, JSON) else {
            return Err(Unread { status: 415, sentence: "the body is to be application/json".to_owned() });
        };
        let mut message = IfMessage::read(body).map_err(|error| bad(told(&error.to_string())))?;
        match (&message.trace, &mut message.hazard) {
            (Some(other), _) if **other != *trace => {
                return Err(bad(format!("{TRACE} and the body name different traces")));
            }
            (_, Some(other)) if other.kind != kind => {
                return Err(bad(format!("{HAZARD} and the body name different hazards")));
            }
            (_, Some(_)) => {}
            (_, none) => {
                let (rationale, auto_escalate) = ("".into(), false);
                let severity = Severity::Medium;
                *none = Some(Hazard { kind, severity, rationale, auto_escalate, original_confidence: None });
            }
        }
        message.trace = Some(trace.into());
        let beside = match said(request, SIGNATURE)? {
            Some(text) => {
                let read = hex(&text).ok_or_else(|| bad(format!("{SIGNATURE} has 128 hexadecimal digits")))?;
                let key = self.people.guardian(&message.sender).and_then(|known| known.key).unwrap_or_default();
                Some((key, verifies_beside(body, &key, &read)))
            }
            None => None,
        };
        if message.signature.is_none() && beside.is_none() {
            // Nobody speaks for another without a signature.
            message.sender = actor.into();
        }
        let from = (came.flow.remote.ip().to_canonical(), came.flow.transport);
        let mut asked = Escalate::new(id, message, from, actor);
        asked.signed = asked.signed.or(beside);
        asked.otherwise = identified.authenticated;
        Ok(asked)
    }
}

/// A header that stands once, as text.
fn said<B: AsRef<[u8]>>(request: &Message<B>, name: &str) -> Result<Option<String>, Unread> {
    let Some(value) = request.other(name) else { return Ok(None) };
    let text = std::str::from_utf8(value).map(str::trim).unwrap_or_default();
    let is_good = !text.is_empty() && text.len() <= TRACE_BYTES_MAX && !text.contains(char::is_control);
    let sentence = format!("{name} is not 1 to {TRACE_BYTES_MAX} bytes of text");
    if is_good { Ok(Some(text.to_owned())) } else { Err(Unread { status: 400, sentence }) }
}

/// Of what is wrong so much is told.
fn told(error: &str) -> String {
    shown(error.as_bytes()).into_owned()
}

fn hex(text: &str) -> Option<[u8; 64]> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len() == 128)?;
    let bytes: Vec<u8> = digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect();
    bytes.try_into().ok()
}

/// What a refusal is in SIP.
fn sip_status(rejection: &Rejection) -> u16 {
    match (rejection.reason, rejection.status) {
        ("room-full", _) => 486,
        ("no-specialist" | "no-room" | "no-hazard", _) => 404,
        (_, status) => status,
    }
}
