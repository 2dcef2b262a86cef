//! A leg comes in: it is admitted or not, routed, and the search begins.

use crate::control::Control;
use crate::engine::{Calls, name};
use crate::failure::Failure;
use crate::hunt::Step;
use crate::interface::{NotAdmitted, Note};
use crate::inviting::ROOM_LEG;
use crate::keys::{Pace, Signalling};
use crate::ports::UNIQUE_MASK;
use crate::state::{Body, Call, Hunt, Party, Ringing, Role, State};
use crate::{CallRecord, Cdr, Ender};
use smallvec::SmallVec;
use std::collections::VecDeque;
use sx_leg::{Incoming, LegCommand, LegEvent, Rejection, Source};
use sx_media::{Keyring, SessionVersion};
use sx_route::{Access, Facts, Plan, plan};
use sx_types::{CallId, Cause, LegId, TraceId};

impl Calls {
    pub(crate) fn admit(&mut self, leg: LegId, mut incoming: Incoming) {
        if self.legs.contains_key(&leg) {
            self.note(Note::Unexpected { leg, event: name(&LegEvent::Incoming(Box::new(incoming))) });
            return;
        }
        if let Some(joined) = incoming.replaces.and_then(|replaced| self.body_of(replaced)) {
            incoming.bounds.add(&joined.bounds);
        }
        if !self.allow_incoming(leg, &mut incoming) {
            return;
        }
        if let Some(replaced) = incoming.replaces {
            self.take_place(leg, incoming, replaced);
            return;
        }
        if let Err(why) = self.take_room(&incoming.source) {
            self.not_admitted(leg, &incoming, why);
            self.say(leg, LegCommand::Reject(why.rejection(self.settings.retry_after_s)));
            return;
        }
        let id = CallId::new(self.now.as_millis(), self.rng.u128());
        let mut call = self.begin((id, id.into()), leg, &incoming);
        let Incoming { to, source, .. } = &incoming;
        let facts = Facts { source, to, trunks: self.trunks.facts(&self.tables, self.now), random: self.rng.u64() };
        let planned = plan(&self.tables, &facts);
        let caller = self.caller(leg, &incoming);
        call.body.headers = incoming.headers;
        let hunt = Hunt::new(VecDeque::new(), false);
        let mut ringing = Box::new(Ringing { caller, hunt });
        let step = if incoming.hops_left == 0 {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
            // Max-Forwards of 0: not passed on, 483.
            Step::Failed(Failure::new(Cause::ROUTING_ERROR, "too many hops: the call may loop").with_status(483))
        } else {
            match planned {
                Plan::Refuse(refusal) => {
                    let retry_after_s = if refusal.retry { self.settings.retry_after_s } else { 0 };
                    let failure = Failure::of_plan(refusal.cause, &refusal.sentence);
                    Step::Failed(Failure { retry_after_s, ..failure })
                }
                Plan::Ring(route) => {
                    ringing.hunt.stages = route.stages.into();
                    self.hunt_next(&mut call, &mut ringing.hunt, &ringing.caller)
                }
            }
        };
        call.state = self.ringing_on(&mut call, ringing, step);
        self.settle(call);
    }

    /// Is there room for a call from there? When there is, the channel of its trunk is taken.
    pub(crate) fn take_room(&mut self, source: &Source) -> Result<(), NotAdmitted> {
        if self.draining {
            return Err(NotAdmitted::Draining);
        }
        if self.slots.len() >= self.settings.calls_max as usize {
            return Err(NotAdmitted::Full);
        }
        match source {
            Source::Trunk(name) => self.trunks.admit(&self.tables, name, self.now),
            Source::User(_) | Source::Exchange => Ok(()),
        }
    }

    /// Says that a leg is refused of which there will be no record.
    pub(crate) fn not_admitted(&mut self, leg: LegId, incoming: &Incoming, why: NotAdmitted) {
        let (source, dialled) = (incoming.source.clone(), incoming.to.clone());
        self.note(Note::NotAdmitted { leg, source, dialled, why });
    }

    /// Makes the call, in the story it belongs to, and its record.
    pub(crate) fn begin(&mut self, (id, trace): (CallId, TraceId), leg: LegId, incoming: &Incoming) -> Box<Call> {
        let at = self.now.as_nanos();
        let cdr = Cdr {
            call: id,
            trace,
            source: incoming.source.clone(),
            caller: incoming.from.address.clone(),
            dialled: incoming.to.clone(),
            start: at,
            ring: None,
            answer: None,
            end: at,
            cause: Cause::NORMAL,
            status: 0,
            ended_by: Ender::Exchange,
            attempts: Vec::new(),
            codec: None,
            caller_media: None,
            called_media: None,
        };
        self.note(Note::Begun {
            call: id,
            trace: cdr.trace,
            leg,
            source: cdr.source.clone(),
            caller: cdr.caller.clone(),
            dialled: cdr.dialled.clone(),
        });
        self.record(CallRecord::Begun(Box::new(cdr.clone())));
        let key = self.slots.reserve();
        let unique = self.unique();
        self.uniques.insert(unique, key);
        let has_leg = leg != ROOM_LEG;
        if has_leg {
            self.legs.insert(leg, key);
        }
        let body = Body {
            unique,
            cdr,
            recorded: false,
            headers: Vec::new(),
            hops_left: incoming.hops_left.saturating_sub(1),
            bounds: incoming.bounds.clone(),
            ports: SmallVec::new(),
            recording: None,
            place: None,
            leaving: SmallVec::new(),
            unwritten: self.unwritten(leg).filter(|_| has_leg).into_iter().collect(),
            pace: Pace::default(),
            changes_refused: 0,
            unwritten_wishes: SmallVec::new(),
        };
        Box::new(Call {
            key,
            body,
            state: State::Ending,
            alarms: SmallVec::new(),
            waiting: VecDeque::new(),
            blocked: None,
        })
    }

    /// 40 bits that no call has: those of a counter, or the next when a call from elsewhere has brought them.
    fn unique(&mut self) -> u64 {
        loop {
            self.next_unique = self.next_unique.wrapping_add(1);
            let unique = self.next_unique & UNIQUE_MASK;
            if !self.uniques.contains_key(&unique) {
                return unique;
            }
        }
    }

    /// The calling party, whose channel has been taken.
    pub(crate) fn caller(&mut self, leg: LegId, incoming: &Incoming) -> Party {
        let trunk = match &incoming.source {
            Source::Trunk(name) => Some(name.clone()),
            Source::User(_) | Source::Exchange => None,
        };
        let mut signalling = Signalling::default();
        signalling.learn(incoming.takes_info);
        Party {
            leg,
            role: Role::Caller,
            source: Some(incoming.source.clone()),
            identity: incoming.from.clone(),
            access: Access { host: incoming.host, ..self.tables.access(&incoming.source).clone() },
            bounds: incoming.bounds.clone(),
            nat: self.nat.take().filter(|(of, _)| *of == leg).map(|(_, address)| address),
            trunk,
            attempt: None,
            said: incoming.offer.clone(),
            told: None,
            session: self.session(),
            keys: self.keyring(),
            signalling,
            warned: Vec::new(),
            control: Control::default(),
        }
    }

    /// A session for the descriptions that we give a party.
    pub(crate) fn session(&mut self) -> SessionVersion {
        SessionVersion { session: self.rng.u64() >> 1, version: 0 }
    }

    /// Keys for the media that faces a party.
    pub(crate) fn keyring(&mut self) -> Keyring {
        Keyring::new(&mut self.rng, self.settings.means.clone())
    }
}

impl NotAdmitted {
    fn rejection(self, retry_after_s: u32) -> Rejection {
        let (cause, warning) = match self {
            Self::Full => (Cause::CONGESTION, "the exchange has as many calls as it takes"),
            Self::Draining => (Cause::TEMPORARY_FAILURE, "the exchange takes no new calls"),
            Self::TrunkFull => (Cause::CONGESTION, "the trunk has all its channels in use"),
            Self::TrunkTooFast => (Cause::CONGESTION, "the trunk has had its calls for this second"),
            Self::NoCodec => (Cause::NOT_IMPLEMENTED, "no codec is offered that is allowed"),
            Self::NoKeys => (Cause::INCOMPATIBLE, "the keys of SRTP that are offered do not fit"),
            Self::NoStream => (Cause::INCOMPATIBLE, "no stream is offered that can be relayed"),
            Self::NoPlace { .. } => (Cause(81), "there is no such place to take"),
        };
        Rejection { cause, status: self.status(), warning: warning.into(), told: Vec::new(), retry_after_s }
    }
}
