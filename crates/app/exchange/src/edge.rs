//! Who is asking: every new request outside of a dialog passes here first.

use crate::counts::Refusal;
use crate::digest_auth::Verdict;
use crate::peers::asker_of;
use crate::worker::Worker;
use std::sync::Arc;
use sx_bind_sip::{IncomingError, Rules};
use sx_call::Input as CallInput;
use sx_engine::{Engine, Time};
use sx_leg::{Address, LegEvent, Source};
use sx_sip::agent::AcceptError;
use sx_sip::message::{HeaderName, Message, Method, Scheme, Uri, Writer};
use sx_sip::transaction::Reply;
use sx_types::{Flow, LinkId};

impl Worker {
    /// A new request outside of any dialog.
    pub(crate) fn receive_new<B: AsRef<[u8]>>(&mut self, now: Time, flow: Flow, request: &Message<B>) {
        let method = request.method().unwrap_or(Method::Other);
        if !self.passes_checks(flow, method, request) {
            return;
        }
        match method {
            Method::Register => self.register(now, flow, request),
            Method::Invite => self.invite(now, flow, request),
            Method::Options | Method::Message if self.refuses_extension(flow, request) => {}
            Method::Options => self.options(flow, request),
            Method::Message => self.relay_message(now, flow, request),
            Method::Ack | Method::Cancel => {}
            Method::Subscribe | Method::Publish => {
                let headers = |writer: &mut Writer| {
                    writer.header(HeaderName::AllowEvents, format_args!("refer"));
                };
                self.counts.refuse(Refusal::NotAllowed);
                self.legs.agent().reply(
                    flow,
                    request,
                    Reply { status: 489, headers: Some(&headers), ..Reply::default() },
                );
            }
            Method::Bye | Method::Prack | Method::Update | Method::Info | Method::Refer | Method::Notify => {
                self.counts.refuse(Refusal::Stray);
                self.legs.agent().reply(flow, request, Reply { status: 481, ..Reply::default() });
            }
            Method::Other => {
                self.counts.refuse(Refusal::NotAllowed);
                let headers = |writer: &mut Writer| {
                    writer.header(HeaderName::Allow, format_args!("{}", sx_sip::agent::ALLOW));
                };
                self.legs.agent().reply(
                    flow,
                    request,
                    Reply { status: 405, headers: Some(&headers), ..Reply::default() },
                );
            }
        }
    }

    /// What holds for every request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
    fn passes_checks<B: AsRef<[u8]>>(&mut self, flow: Flow, method: Method, request: &Message<B>) -> bool {
        if method == Method::Ack {
            return false;
        }
        if self.legs.agent_ref().transactions().1 >= self.settings.transactions_max {
            let headers = |writer: &mut Writer| {
                writer.header(HeaderName::RetryAfter, format_args!("{}", 10));
            };
            self.counts.refuse(Refusal::Overload);
            self.legs.agent().reply(flow, request, Reply { status: 503, headers: Some(&headers), ..Reply::default() });
            return false;
        }
        let scheme = Uri::parse(request.request_uri()).map(|uri| uri.scheme);
        if matches!(scheme, Ok(Scheme::Other(_))) {
            self.refuse(flow, request, 416, Refusal::UnsupportedScheme, "only sip, sips and tel are understood");
            return false;
        }
        if method != Method::Register && request.number(HeaderName::MaxForwards) == Some(0) {
            self.refuse(flow, request, 483, Refusal::TooManyHops, "Max-Forwards is used up");
            return false;
        }
        if let Some(required) = request.value(HeaderName::ProxyRequire) {
            let required = required.to_vec();
            let headers = move |writer: &mut Writer| {
                writer.header_bytes(HeaderName::Unsupported, &required);
            };
            self.counts.refuse(Refusal::BadExtension);
            self.legs.agent().reply(flow, request, Reply { status: 420, headers: Some(&headers), ..Reply::default() });
            return false;
        }
        true
    }

    /// Refuses what requires an extension that is not done here. An INVITE's are looked at by the agent, a REGISTER's by
    /// the registrar.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.3
    fn refuses_extension<B: AsRef<[u8]>>(&mut self, flow: Flow, request: &Message<B>) -> bool {
        let known = |token: &[u8]| {
            let named = |list: &str| list.split(", ").any(|name| token.eq_ignore_ascii_case(name.as_bytes()));
            named(sx_sip::agent::SUPPORTED) || named(SUPPORTED_OUTSIDE_CALLS)
        };
        let unknown: Vec<&[u8]> = request.elements(HeaderName::Require).filter(|token| !known(token)).collect();
        if unknown.is_empty() {
            return false;
        }
        let unknown = unknown.join(&b", "[..]);
        let headers = move |writer: &mut Writer| {
            writer.header_bytes(HeaderName::Unsupported, &unknown);
        };
        self.counts.refuse(Refusal::BadExtension);
        self.legs.agent().reply(flow, request, Reply { status: 420, headers: Some(&headers), ..Reply::default() });
        true
    }

    fn invite<B: AsRef<[u8]>>(&mut self, now: Time, flow: Flow, invite: &Message<B>) {
        let Some((source, rules)) = self.identify(now, flow, invite) else { return };
        let mut accepted = match self.legs.incoming(now, flow, invite, source, &rules) {
            Ok(accepted) => accepted,
            Err(error) => return self.counts.refuse(refusal_of(error)),
        };
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
        let event = LegEvent::Incoming(Box::new(accepted.incoming));
        self.calls.handle_input(now, CallInput::Leg { leg: accepted.leg, event });
    }

    /// The trunk or the user a request comes from. `None` when it was challenged or refused.
    pub(crate) fn identify<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
    ) -> Option<(Source, Arc<Rules>)> {
        if flow.link == LinkId::BETWEEN_WORKERS {
            return Some((Source::Exchange, self.tables.users.clone()));
        }
        let tables = self.tables.clone();
        let address = flow.remote.ip();
        let prefix = |trunk: &crate::TrunkTable| {
            let networks = trunk.config.sources.iter().filter(|network| network.contains(address));
            networks.map(|network| network.prefix_bits()).max()
        };
        // The longer prefix wins, and of equal ones the first.
        let source =
            tables.trunks.iter().rev().filter(|trunk| prefix(trunk).is_some()).max_by_key(|trunk| prefix(trunk));
        if let Some(trunk) = source {
            return Some((Source::Trunk(trunk.config.name.clone()), trunk.rules.clone()));
        }
        let users = tables.users.clone();
        if tables.unauthenticated_calls {
            let from = request.value(HeaderName::From).and_then(|from| sx_sip::message::NameAddr::parse(from).ok());
            let name = from.map(|from| from.user().into_owned()).unwrap_or_default();
            return Some((Source::User(Address::new(&name, &self.domain_of(request))), users));
        }
        match self.authenticate(now, flow, request, HeaderName::ProxyAuthorization) {
            Verdict::User(address) => {
                let (name, domain) = address.split_once('@').unwrap_or((&address, ""));
                return Some((Source::User(Address::new(name, domain)), users));
            }
            Verdict::Challenge { stale } => self.challenge(now, flow, request, true, stale),
            Verdict::Wrong => {
                self.refuse(flow, request, 403, Refusal::WrongCredentials, "these credentials are not accepted");
            }
            Verdict::Replayed => self.challenge_replayed(now, flow, request, true),
        }
        None
    }

    /// Credentials that were used before: counted, and challenged anew, for a request may have been repeated on the way.
    pub(crate) fn challenge_replayed<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
        proxy: bool,
    ) {
        self.counts.refuse(Refusal::Replayed);
        self.challenge(now, flow, request, proxy, true);
    }

    fn options<B: AsRef<[u8]>>(&mut self, flow: Flow, request: &Message<B>) {
        let headers = |writer: &mut Writer| {
            writer.header(HeaderName::Allow, format_args!("{}", sx_sip::agent::ALLOW));
            writer.header(HeaderName::Accept, format_args!("application/sdp"));
            writer
                .header(HeaderName::Supported, format_args!("{}, {SUPPORTED_OUTSIDE_CALLS}", sx_sip::agent::SUPPORTED));
        };
        // A drain tells those who probe us to send their calls elsewhere.
        let status = if self.draining { 503 } else { 200 };
        self.legs.agent().reply(flow, request, Reply { status, headers: Some(&headers), ..Reply::default() });
    }
}

/// The extensions that concern registrations, beside those of calls.
const SUPPORTED_OUTSIDE_CALLS: &str = "path, outbound, gruu";

/// What an INVITE that the agent has answered itself is counted as.
fn refusal_of(error: IncomingError) -> Refusal {
    match error {
        IncomingError::NothingToReplace => Refusal::Stray,
        IncomingError::Refused(AcceptError::TooMany) => Refusal::Overload,
        IncomingError::Refused(AcceptError::IntervalTooSmall) => Refusal::IntervalTooSmall,
        IncomingError::Refused(AcceptError::BadExtension) => Refusal::BadExtension,
        IncomingError::Refused(AcceptError::UnsupportedBody) => Refusal::UnsupportedMedia,
        IncomingError::Refused(AcceptError::NotAcceptable) => Refusal::NotAcceptable,
    }
}
