//! Who is asking: every new request outside of a dialog passes here first.

use crate::counts::Refusal;
use crate::digest_auth::Verdict;
use crate::interface::Came;
use crate::layers::{Admitted, Answer, Asked, Asker, Identified, PartyFacts, RefusedBy, Timing, shown};
use crate::peers::asker_of;
use crate::witnessing::name_of;
use crate::worker::Worker;
use std::sync::Arc;
use sx_bind_sip::{IncomingError, Rules};
use sx_call::Input as CallInput;
use sx_edge::{Layer, Observation};
use sx_engine::{Engine, Time};
use sx_guard::{Action, Authentication};
use sx_leg::{Address, LegEvent, Source};
use sx_sip::agent::{AcceptError, Disposition};
use sx_sip::message::{HeaderName, Message, Method, Scheme, Uri, Writer};
use sx_types::{Flow, LinkId};
use sx_witness::Facts;

impl Worker {
    /// A new request outside of any dialog.
    pub(crate) fn receive_new<B: AsRef<[u8]>>(&mut self, now: Time, came: &Came, request: &Message<B>) {
        let method = request.method().unwrap_or(Method::Other);
        if method == Method::Ack {
            return;
        }
        let Some(timing) = self.passes_layers(now, came, method, request) else { return };
        if !self.is_asked_later(method) && !self.has_said_who_it_is(now, came, method, request) {
            self.layers.end_with(timing, false);
            return;
        }
        match method {
            Method::Register => self.register(now, came, request, timing),
            Method::Invite => self.invite(now, came, request, timing),
            Method::Message => self.relay_message(now, came, request, timing),
            _ => {
                let passes = self.answer_unidentified(now, came, method, request);
                self.layers.end_with(timing, passes);
            }
        }
    }

    /// Has everybody to say who it is who asks for this? Credentials are good once, and are looked at there.
    fn is_asked_later(&self, method: Method) -> bool {
        match method {
            Method::Register => true,
            Method::Invite | Method::Message => !self.tables.unauthenticated_calls,
            _ => false,
        }
    }

    /// What the agent has done nothing with: malformed, come by two ways, or of a dialog that is not here. Its sender is
    /// told so when it may talk to us at all.
    pub(crate) fn receive_unwanted<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        message: &Message<B>,
        disposition: Disposition,
    ) {
        let flow = came.flow;
        let Some(status) = disposition.status(message) else {
            match disposition {
                Disposition::Malformed(defect) => {
                    self.drop_malformed(now, came, message.bytes().len(), Some(&defect.to_string()));
                }
                Disposition::Stray => {
                    self.counts.refuse(Refusal::Stray);
                    self.unasked(now, came, message);
                }
                Disposition::Handled | Disposition::Request | Disposition::Merged => {}
            }
            return;
        };
        let method = message.method().unwrap_or(Method::Other);
        if !self.passes_outer_layers(now, came, method, message) {
            return;
        }
        // Nobody can read a challenge that copies what nobody can read.
        let is_malformed = matches!(disposition, Disposition::Malformed(_));
        if !is_malformed && !self.may_be_told(now, came, method, message) {
            return;
        }
        match disposition {
            Disposition::Malformed(defect) => {
                self.observe(now, came, Observation::Malformed);
                let defect = defect.to_string();
                let answer = Answer::status(status, &defect);
                let refused = RefusedBy::new(Layer::Identity, "malformed", answer, Refusal::Malformed);
                let facts = Facts::new().with("defect", &*defect);
                self.refuse(now, flow, message, RefusedBy { facts, ..refused });
            }
            Disposition::Merged => {
                self.refuse_as(now, flow, message, "merged", Answer::status(status, ""), Refusal::Merged);
            }
            Disposition::Stray | Disposition::Handled | Disposition::Request => {
                self.refuse_as(now, flow, message, "no-dialog", Answer::status(status, ""), Refusal::Stray);
            }
        }
    }

    /// What of the fourth layer stands before whatever is wrong with a message.
    fn may_be_told<B: AsRef<[u8]>>(&mut self, now: Time, came: &Came, method: Method, message: &Message<B>) -> bool {
        !came.suspicious
            || self.may_come_from_country(now, came.flow, message)
                && self.has_said_who_it_is(now, came, method, message)
    }

    /// The fourth layer refuses: what is asked for is not sensible.
    pub(crate) fn refuse_as<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
        reason: &str,
        answer: Answer<'_>,
        refusal: Refusal,
    ) {
        self.refuse(now, flow, request, RefusedBy::new(Layer::Identity, reason, answer, refusal));
    }

    /// The layers that look at where a request comes from and how, and not at what it says but for what scanners call
    /// themselves.
    fn passes_outer_layers<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        method: Method,
        request: &Message<B>,
    ) -> bool {
        let flow = came.flow;
        self.notice_request(now, came, method, request) && self.may_come_from(now, flow, request)
    }

    /// The layers that need not know who asks. The fourth has begun, and goes on with who it is.
    fn passes_layers<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        method: Method,
        request: &Message<B>,
    ) -> Option<Timing> {
        let flow = came.flow;
        if !self.passes_outer_layers(now, came, method, request) {
            return None;
        }
        let timing = self.layers.begin(Layer::Identity);
        if self.may_come_from_country(now, flow, request) && self.passes_checks(now, came, method, request) {
            return Some(timing);
        }
        self.layers.end(timing);
        None
    }

    /// What holds for every request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
    fn passes_checks<B: AsRef<[u8]>>(&mut self, now: Time, came: &Came, method: Method, request: &Message<B>) -> bool {
        let Some(unsound) = self.unsound(method, request) else { return true };
        if !self.has_said_who_it_is(now, came, method, request) {
            return false;
        }
        let flow = came.flow;
        match unsound {
            Unsound::Overload => {
                let answer = Answer::later(503, "too many requests are being answered", 10);
                self.refuse_as(now, flow, request, "overload", answer, Refusal::Overload);
            }
            Unsound::Scheme => {
                let answer = Answer::status(416, "only sip, sips and tel are understood");
                self.refuse_as(now, flow, request, "scheme", answer, Refusal::UnsupportedScheme);
            }
            Unsound::TooManyHops => {
                let answer = Answer::status(483, "Max-Forwards is used up");
                self.refuse_as(now, flow, request, "too-many-hops", answer, Refusal::TooManyHops);
            }
            Unsound::Requires(unknown) => self.refuse_extensions(now, flow, request, &unknown),
        }
        false
    }

    fn unsound<B: AsRef<[u8]>>(&self, method: Method, request: &Message<B>) -> Option<Unsound> {
        if self.legs.agent_ref().transactions().1 >= self.settings.transactions_max {
            return Some(Unsound::Overload);
        }
        if matches!(Uri::parse(request.request_uri()).map(|uri| uri.scheme), Ok(Scheme::Other(_))) {
            return Some(Unsound::Scheme);
        }
        if method != Method::Register && request.number(HeaderName::MaxForwards) == Some(0) {
            return Some(Unsound::TooManyHops);
        }
        if let Some(required) = request.value(HeaderName::ProxyRequire) {
            return Some(Unsound::Requires(required.to_vec()));
        }
        // An INVITE's extensions are looked at by the agent, a REGISTER's by the registrar.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.3
        let unknown = match method {
            Method::Options | Method::Message => unknown_extensions(request),
            _ => Vec::new(),
        };
        (!unknown.is_empty()).then(|| Unsound::Requires(unknown.join(&b", "[..])))
    }

    /// These extensions are required, and not known.
    fn refuse_extensions<B: AsRef<[u8]>>(&mut self, now: Time, flow: Flow, request: &Message<B>, unknown: &[u8]) {
        let headers = |writer: &mut Writer| {
            writer.header_bytes(HeaderName::Unsupported, unknown);
        };
        let answer = Answer::with(420, &headers);
        let refused = RefusedBy::new(Layer::Identity, "bad-extension", answer, Refusal::BadExtension);
        let facts = Facts::new().with("unsupported", shown(unknown));
        self.refuse(now, flow, request, RefusedBy { facts, ..refused });
    }

    fn invite<B: AsRef<[u8]>>(&mut self, now: Time, came: &Came, invite: &Message<B>, timing: Timing) {
        let flow = came.flow;
        let Some((identified, rules)) = self.identify(now, came, invite, timing) else { return };
        let Some(admitted) = self.admit_call(now, came, invite, &identified) else { return };
        if flow.link != LinkId::BETWEEN_WORKERS && !self.escalate_by_invite(now, came, invite, &identified) {
            return;
        }
        let actor = name_of(&identified.source);
        let mut accepted = match self.legs.incoming(now, flow, invite, identified.source.clone(), &rules) {
            Ok(accepted) => accepted,
            Err(error) => {
                let (reason, refusal) = refusal_of(error);
                let answer = Answer::Told { status: error.status() };
                let refused = RefusedBy::new(Layer::Identity, reason, answer, refusal);
                return self.refuse(now, flow, invite, refused.of(Asker::by(identified.authenticated), &actor));
            }
        };
        accepted.incoming.bounds = admitted.bounds(&self.settings.recordable);
        let (address, transport, authenticated) = (flow.remote.ip(), flow.transport, identified.authenticated);
        self.parties.insert(accepted.leg, PartyFacts { address, transport, authenticated });
        self.layers.admitted = Some(admitted);
        if self.tables.unauthenticated_calls && matches!(accepted.incoming.source, Source::User(_)) {
            //= https://www.rfc-editor.org/rfc/rfc3325#section-5
            // Only what was authenticated is asserted.
            accepted.incoming.from.asserted = None;
        }
        if let Ok(uri) = Uri::parse(invite.request_uri()) {
            accepted.incoming.to.domain = self.tables.dialled_domain(&uri);
        }
        if flow.link == LinkId::BETWEEN_WORKERS {
            // It came by no network. The sound of the leg goes between two ports of this machine, and the worker that
            // dials knows no host either: both name the same address, which is the one that packets come from.
            accepted.incoming.host = None;
            accepted.incoming.on_behalf_of = invite.text(HeaderName::Replaces).and_then(asker_of);
        }
        if self.tables.nat_media && flow.link != LinkId::BETWEEN_WORKERS && sx_sip::dialog::is_behind_nat(invite, flow)
        {
            self.calls.handle_input(now, CallInput::Nat { leg: accepted.leg, address: flow.remote.ip() });
        }
        let (caller, dialled) = (accepted.incoming.from.address.to_string(), accepted.incoming.to.to_string());
        let event = LegEvent::Incoming(Box::new(accepted.incoming));
        self.calls.handle_input(now, CallInput::Leg { leg: accepted.leg, event });
        // What the calls have to say of it comes first: a call of its own takes its admission along.
        self.drain_calls(now);
        if self.layers.admitted.is_some() {
            self.witness_joining(now, accepted.leg, &caller, &dialled);
        }
    }

    /// What the policy says to a call.
    fn admit_call<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        invite: &Message<B>,
        identified: &Identified,
    ) -> Option<Admitted> {
        let offer = match self.tables.policy.looks_at_codecs() {
            true => sx_sip::session::description(invite).map(|offer| sx_media::offered_codecs(&offer)),
            false => None,
        };
        let offer = offer.unwrap_or_default();
        let uri = String::from_utf8_lossy(invite.request_uri());
        let dialled = sx_bind_sip::address(&uri, &|uri| self.tables.dialled_domain(uri)).unwrap_or_default();
        let subject = dialled.to_string();
        let (codecs, other_codecs) = (&*offer.known, &*offer.others);
        let asked = Asked { action: Action::Call, subject: &subject, codecs, other_codecs, begins_call: true };
        self.decide(now, came, invite, asked, identified)
    }

    /// The trunk or the user a request comes from. `None` when it was challenged or refused. With that the fourth layer
    /// ends.
    pub(crate) fn identify<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        request: &Message<B>,
        timing: Timing,
    ) -> Option<(Identified, Arc<Rules>)> {
        let identified = self.asker(now, came, request);
        self.layers.end_with(timing, identified.is_some());
        identified
    }

    fn asker<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        request: &Message<B>,
    ) -> Option<(Identified, Arc<Rules>)> {
        let flow = came.flow;
        let known = |source, authenticated, rules| Some((Identified { source, authenticated }, rules));
        if flow.link == LinkId::BETWEEN_WORKERS {
            return known(Source::Exchange, Authentication::Trunk, self.tables.users.clone());
        }
        let tables = self.tables.clone();
        if let Some(trunk) = tables.trunk_at(flow.remote.ip()) {
            return known(Source::Trunk(trunk.config.name.clone()), Authentication::Trunk, trunk.rules.clone());
        }
        let users = tables.users.clone();
        if tables.unauthenticated_calls {
            let from = request.value(HeaderName::From).and_then(|from| sx_sip::message::NameAddr::parse(from).ok());
            let name = from.map(|from| from.user().into_owned()).unwrap_or_default();
            return known(Source::User(Address::new(&name, &self.domain_of(request))), Authentication::Nothing, users);
        }
        match self.authenticate(now, came, request, HeaderName::ProxyAuthorization) {
            Verdict::User { address, .. } if !self.may_come_as(now, flow, request, &address) => {}
            Verdict::User { address, authenticated } => {
                let (name, domain) = address.split_once('@').unwrap_or((&address, ""));
                return known(Source::User(Address::new(name, domain)), authenticated, users);
            }
            Verdict::Challenge { stale } => self.challenge(now, came, request, true, stale),
            Verdict::Wrong => {}
            Verdict::Replayed => self.challenge(now, came, request, true, true),
        }
        None
    }
}

/// Why nobody is given what it asks for, whoever it is.
enum Unsound {
    /// There is too much to do.
    Overload,
    /// What is called is nothing that can be.
    Scheme,
    /// It has gone round.
    TooManyHops,
    /// It requires these extensions, which are not done here.
    Requires(Vec<u8>),
}

fn unknown_extensions<B: AsRef<[u8]>>(request: &Message<B>) -> Vec<&[u8]> {
    let known = |token: &[u8]| {
        let named = |list: &str| list.split(", ").any(|name| token.eq_ignore_ascii_case(name.as_bytes()));
        named(sx_sip::agent::SUPPORTED) || named(SUPPORTED_OUTSIDE_CALLS)
    };
    request.elements(HeaderName::Require).filter(|token| !known(token)).collect()
}

/// The extensions that concern registrations, beside those of calls.
pub(crate) const SUPPORTED_OUTSIDE_CALLS: &str = "path, outbound, gruu";

/// What an INVITE that the agent has answered itself is counted as, and the reason in its record.
fn refusal_of(error: IncomingError) -> (&'static str, Refusal) {
    match error {
        IncomingError::NothingToReplace { .. } => ("nothing-to-replace", Refusal::Stray),
        IncomingError::Refused(AcceptError::TooMany) => ("overload", Refusal::Overload),
        IncomingError::Refused(AcceptError::IntervalTooSmall) => ("session-interval", Refusal::IntervalTooSmall),
        IncomingError::Refused(AcceptError::BadExtension) => ("bad-extension", Refusal::BadExtension),
        IncomingError::Refused(AcceptError::UnsupportedBody) => ("body", Refusal::UnsupportedMedia),
        IncomingError::Refused(AcceptError::NotAcceptable) => ("not-acceptable", Refusal::NotAcceptable),
    }
}
