//! Requests outside of calls that anybody may send or that are passed on, and the answers to requests of our own.

use crate::counts::{Counts, Refusal};
use crate::dialing::Then;
use crate::digest_auth::Verdict;
use crate::edge::SUPPORTED_OUTSIDE_CALLS;
use crate::interface::Came;
use crate::layers::{Answer, Asked, Asker, RefusedBy, Timing};
use crate::trunks;
use crate::witnessing::{UNWITNESSED, name_of};
use crate::worker::Worker;
use bytes::Bytes;
use std::sync::Arc;
use sx_bind_sip::Rules;
use sx_edge::Layer;
use sx_engine::Time;
use sx_guard::Action;
use sx_leg::{Source, Target};
use sx_sip::agent::OutgoingRequest;
use sx_sip::message::{HeaderName, Message, Method, NameAddr, OwnedMessage, Writer};
use sx_sip::transaction::{Reply, ServerId};
use sx_types::Flow;

/// A request that was passed on and waits for its answer.
#[derive(Debug)]
pub(crate) struct Relayed {
    server: ServerId,
}

/// Owners of requests: what they are is in the upper bits.
pub(crate) const RELAYED: u64 = 1 << 60;

impl Worker {
    /// Whoever is suspicious, and may come from where it does, is told nothing before it has said who it is, whatever it asks
    /// for and whatever is wrong with that, if it can be read. A CANCEL, which nobody can send again with credentials, is told what it would be told anyway.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
    pub(crate) fn has_said_who_it_is<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        method: Method,
        request: &Message<B>,
    ) -> bool {
        if !came.suspicious || matches!(method, Method::Ack | Method::Cancel) {
            return true;
        }
        let is_call = matches!(method, Method::Invite | Method::Message);
        let header = if is_call { HeaderName::ProxyAuthorization } else { HeaderName::Authorization };
        match self.authenticate(now, came, request, header) {
            Verdict::User { .. } => return true,
            Verdict::Challenge { stale } => self.challenge(now, came, request, is_call, stale),
            Verdict::Replayed => self.challenge(now, came, request, is_call, true),
            Verdict::Wrong => {}
        }
        false
    }

    /// A request whose sender need not say who it is. `false`: it was refused.
    pub(crate) fn answer_unidentified<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        method: Method,
        request: &Message<B>,
    ) -> bool {
        let flow = came.flow;
        match method {
            Method::Options => return self.options(now, flow, request),
            Method::Subscribe | Method::Publish => {
                let headers = |writer: &mut Writer| {
                    writer.header(HeaderName::AllowEvents, format_args!("refer"));
                };
                let answer = Answer::with(489, &headers);
                self.refuse_as(now, flow, request, "unknown-event", answer, Refusal::NotAllowed);
                return false;
            }
            Method::Bye | Method::Prack | Method::Update | Method::Info | Method::Refer | Method::Notify => {
                self.refuse_as(now, flow, request, "no-dialog", Answer::status(481, ""), Refusal::Stray);
                return false;
            }
            Method::Other => {
                let headers = |writer: &mut Writer| {
                    writer.header(HeaderName::Allow, format_args!("{}", sx_sip::agent::ALLOW));
                };
                let answer = Answer::with(405, &headers);
                self.refuse_as(now, flow, request, "method-not-allowed", answer, Refusal::NotAllowed);
                return false;
            }
            Method::Ack | Method::Cancel | Method::Register | Method::Invite | Method::Message => {}
        }
        true
    }

    /// `false`: it was refused.
    fn options<B: AsRef<[u8]>>(&mut self, now: Time, flow: Flow, request: &Message<B>) -> bool {
        let headers = |writer: &mut Writer| {
            writer.header(HeaderName::Allow, format_args!("{}", sx_sip::agent::ALLOW));
            writer.header(HeaderName::Accept, format_args!("application/sdp"));
            writer
                .header(HeaderName::Supported, format_args!("{}, {SUPPORTED_OUTSIDE_CALLS}", sx_sip::agent::SUPPORTED));
        };
        // A drain tells those who probe us to send their calls elsewhere.
        if self.draining {
            self.refuse_as(now, flow, request, "draining", Answer::with(503, &headers), Refusal::Draining);
            return false;
        }
        self.legs.agent().reply(flow, request, Reply { status: 200, headers: Some(&headers), ..Reply::default() });
        true
    }

    /// Passes a MESSAGE on to where its user is registered.
    //= https://www.rfc-editor.org/rfc/rfc3428#section-7
    pub(crate) fn relay_message<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        request: &Message<B>,
        timing: Timing,
    ) {
        let flow = came.flow;
        let Some((identified, rules)) = self.identify(now, came, request, timing) else { return };
        if self.tells_of_hazard(request) {
            return self.escalate_by_sip(now, came, request, &identified);
        }
        let uri = String::from_utf8_lossy(request.request_uri());
        let to = sx_bind_sip::address(&uri, &|uri| self.tables.dialled_domain(uri)).unwrap_or_default();
        let subject = to.to_string();
        let asked = Asked::without_media(Action::Message, &subject);
        let Some(admitted) = self.decide(now, came, request, asked, &identified) else { return };
        let (source, asker) = (identified.source, Asker::by(identified.authenticated));
        let actor = name_of(&source);
        let aor = format!("{}@{}", to.user, to.domain);
        if !self.tables.is_ours(&to.domain) || self.directory.find(&aor).is_none() {
            let answer = Answer::status(404, "no such user here");
            return self.refuse_message(now, flow, request, (asker, &actor), "unknown-user", answer);
        }
        let Some(Target::Contact { uri, path, flow: way }) = self.contacts(now, &aor).into_iter().next() else {
            let answer = Answer::status(480, "the user is not registered");
            return self.refuse_message(now, flow, request, (asker, &actor), "not-registered", answer);
        };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20.15
        // What is in a body must be said.
        if !request.body().is_empty() && request.value(HeaderName::ContentType).is_none() {
            let answer = Answer::status(400, "the body has no Content-Type");
            let refused = RefusedBy::new(Layer::Identity, "malformed", answer, Refusal::Malformed);
            return self.refuse(now, flow, request, RefusedBy { asker, ..refused });
        }
        if !self.witness_message(now, &admitted, &actor, &subject) {
            let answer = Answer::later(503, UNWITNESSED, 10);
            let refused = RefusedBy::new(Layer::Witness, "unwritable", answer, Refusal::Unwitnessed);
            return self.refuse(now, flow, request, RefusedBy { asker, ..refused });
        }
        let server = self.legs.agent().open(now, flow, request);
        let owner = RELAYED | self.next_owner();
        self.relayed.insert(owner, Relayed { server });
        let request = self.passed_on(request, &source, &rules, uri.clone(), &path);
        let then = Then::Request { owner, request: Box::new(request) };
        match way {
            Some(way) => self.proceed(now, vec![sx_types::Destination::Flow(way).into()], then),
            None => self.look_up_uri(now, path.first().unwrap_or(&uri), then),
        }
    }

    /// Nobody can be given the message.
    fn refuse_message<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
        (asker, actor): (Asker, &str),
        reason: &str,
        answer: Answer<'_>,
    ) {
        let refused = RefusedBy::new(Layer::Identity, reason, answer, Refusal::UnknownUser);
        self.refuse(now, flow, request, refused.of(asker, actor));
    }

    fn passed_on<B: AsRef<[u8]>>(
        &mut self,
        request: &Message<B>,
        source: &Source,
        rules: &Arc<Rules>,
        uri: Box<str>,
        path: &[Box<str>],
    ) -> OutgoingRequest {
        let header = |name| String::from_utf8_lossy(request.value(name).unwrap_or_default()).into_owned();
        // Of the sender's rules holds what is taken of it, of the addressee's what it is shown.
        let addressee = self.tables.users.clone();
        let mut identity = rules.identity.read(request);
        if let Source::User(user) = source {
            identity.address = user.clone();
            identity.display = "".into();
        }
        let domain = self.tables.domains.first().cloned().unwrap_or_default();
        let (from, mut headers) = addressee.identity.write(&identity, &domain);
        headers.extend(addressee.headers.written_to(&rules.headers.taken_from(request)));
        OutgoingRequest {
            to: Vec::new(),
            method: Method::Message,
            uri,
            from,
            to_value: untagged(&header(HeaderName::To)).into(),
            call_id: self.legs.agent().call_id(),
            seq: 1,
            routes: path.iter().map(|hop| format!("<{}>", hop.trim_matches(['<', '>'])).into()).collect(),
            headers,
            hops: u8::try_from(request.number(HeaderName::MaxForwards).unwrap_or(70).saturating_sub(1)).unwrap_or(70),
            body: request.text(HeaderName::ContentType).map(|t| (t.into(), Bytes::copy_from_slice(request.body()))),
            credentials: addressee.credentials.clone(),
        }
    }

    /// A request of our own has its answer, or never will.
    pub(crate) fn request_done(&mut self, now: Time, owner: u64, response: Option<&OwnedMessage>, status: u16) {
        if let Some(relayed) = self.relayed.remove(&owner) {
            let reason = response.map(|r| match r.start_line() {
                sx_sip::message::StartLine::Response { reason, .. } => String::from_utf8_lossy(reason).into_owned(),
                sx_sip::message::StartLine::Request { .. } => String::new(),
            });
            let headers = |writer: &mut Writer| {
                if let Some(after) = response.and_then(|r| r.value(HeaderName::RetryAfter)) {
                    writer.header_bytes(HeaderName::RetryAfter, after);
                }
            };
            // A challenge of the other side is not for the sender to answer.
            let challenged = matches!(status, 401 | 407);
            let reason = reason.filter(|_| !challenged);
            let reply = Reply {
                status: if challenged { 502 } else { status },
                reason: reason.as_deref().unwrap_or_default(),
                headers: Some(&headers),
                ..Reply::default()
            };
            self.legs.agent().respond(now, relayed.server, reply);
            Counts::add(&self.counts.messages_passed_on);
        } else if owner & trunks::PROBE != 0 {
            self.probe_done(now, owner, status);
        } else if owner & trunks::REGISTRATION != 0 {
            self.registration_done(now, owner, response, status);
        }
    }

    pub(crate) fn next_owner(&mut self) -> u64 {
        self.last_owner += 1;
        self.last_owner
    }
}

fn untagged(value: &str) -> String {
    match NameAddr::parse(value.as_bytes()) {
        Ok(address) => format!("<{}>", address.uri.text),
        Err(_) => "<sip:anonymous@anonymous.invalid>".to_owned(),
    }
}
