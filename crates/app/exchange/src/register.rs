//! REGISTER: authenticated here, carried out by the registrar, answered without a transaction.

use crate::counts::{Counts, Refusal};
use crate::digest_auth::Verdict;
use crate::interface::Came;
use crate::layers::{Answer, Asked, Asker, Identified, RefusedBy, Timing};
use crate::refused::WhyRefused;
use crate::tables::Tables;
use crate::worker::Worker;
use std::net::IpAddr;
use sx_edge::Layer;
use sx_engine::Time;
use sx_guard::{Action, Authentication};
use sx_leg::{Address, Source};
use sx_sip::message::{HeaderName, Message, Method, NameAddr};
use sx_sip::registrar::{self, RegistrarConfig, RegistrarCounters};
use sx_sip::transaction::Reply;
use sx_types::Flow;
use sx_witness::{Draft, Facts, Kind};

/// What the registrar is told. A telephone that is set up with an address of ours instead of a domain is its user's too.
pub(crate) fn registrar_config(settings: &RegistrarConfig, tables: &Tables) -> RegistrarConfig {
    let host = |address: &IpAddr| match address {
        IpAddr::V4(v4) => v4.to_string().into(),
        IpAddr::V6(v6) => format!("[{v6}]").into(),
    };
    let addresses = tables.addresses.iter().map(host);
    RegistrarConfig { domains: settings.domains.iter().cloned().chain(addresses).collect(), ..settings.clone() }
}

/// Why the registrar has refused a request, as records say it.
fn reason_of(refusal: &registrar::Refusal) -> &'static str {
    match refusal {
        registrar::Refusal::Malformed(_) => "malformed",
        registrar::Refusal::Wildcard => "wildcard",
        registrar::Refusal::ThirdParty => "other-user",
        registrar::Refusal::Loop => "loop",
        registrar::Refusal::TooManyContacts => "too-many-contacts",
        registrar::Refusal::Extension(_) => "bad-extension",
        registrar::Refusal::TooBrief => "interval-too-brief",
        registrar::Refusal::FirstHop => "first-hop",
        registrar::Refusal::OutOfOrder => "out-of-order",
        registrar::Refusal::Full => "registrar-full",
    }
}

impl Worker {
    pub(crate) fn register<B: AsRef<[u8]>>(&mut self, now: Time, came: &Came, request: &Message<B>, timing: Timing) {
        let flow = came.flow;
        let registrant = self.registrant(now, came, request);
        self.layers.end_with(timing, registrant.is_some());
        let Some((aor, authenticated)) = registrant else { return };
        if !self.may_come_as(now, flow, request, &aor) {
            return;
        }
        let (name, domain) = aor.split_once('@').unwrap_or((&aor, ""));
        let identified = Identified { source: Source::User(Address::new(name, domain)), authenticated };
        let asked = Asked::without_media(Action::Register, &aor);
        if self.decide(now, came, request, asked, &identified).is_none() {
            return;
        }
        let before = *self.registrar.counters();
        let outcome = self.registrar.register(now, &aor, flow, request);
        self.witness_bindings(now, flow, &aor, before);
        let headers = |writer: &mut sx_sip::message::Writer| outcome.write(writer);
        Counts::add(&self.counts.registrations);
        if let Some(why) = &outcome.refusal {
            let sentence = why.to_string();
            let answer = Answer::Status {
                status: outcome.status,
                sentence: &sentence,
                retry_after_s: None,
                headers: Some(&headers),
            };
            let refused = RefusedBy::new(Layer::Identity, reason_of(why), answer, Refusal::Registration);
            self.refuse(now, flow, request, refused.of(Asker::Known, &aor));
            return;
        }
        let reply = Reply { status: outcome.status, headers: Some(&headers), ..Reply::default() };
        self.legs.agent().reply(flow, request, reply);
    }

    /// Whose bindings a REGISTER is about, who has authenticated. `None` when it was challenged or refused.
    fn registrant<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        request: &Message<B>,
    ) -> Option<(Box<str>, Authentication)> {
        let flow = came.flow;
        let Some(aor) = self.address_of_record(request) else {
            if !self.has_said_who_it_is(now, came, Method::Register, request) {
                return None;
            }
            let answer = Answer::status(404, "not a domain of this registrar");
            let refused = RefusedBy::new(Layer::Identity, "unknown-domain", answer, Refusal::UnknownUser);
            self.refuse(now, flow, request, refused);
            return None;
        };
        match self.authenticate(now, came, request, HeaderName::Authorization) {
            Verdict::User { address, authenticated } if address == aor => return Some((aor, authenticated)),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
            // Nobody registers for another.
            Verdict::User { address, .. } => {
                self.tell_refused(now, flow, request, &address, WhyRefused::OtherUser);
            }
            Verdict::Challenge { stale } => self.challenge(now, came, request, false, stale),
            Verdict::Wrong => {}
            Verdict::Replayed => self.challenge(now, came, request, false, true),
        }
        None
    }

    /// Writes down where a user can be reached from now on, and no more. To be reached there longer is no change.
    fn witness_bindings(&mut self, now: Time, flow: Flow, aor: &str, before: RegistrarCounters) {
        let counters = *self.registrar.counters();
        let changes = [
            (Kind::Registered, counters.bound - before.bound),
            (Kind::Unregistered, counters.removed - before.removed),
        ];
        let source = flow.remote.to_string();
        for (kind, count) in changes.into_iter().filter(|(_, count)| *count > 0) {
            let facts = Facts::new()
                .with("bindings", i64::try_from(count).unwrap_or(i64::MAX))
                .with("source", source.as_str())
                .with("transport", flow.transport.to_string());
            self.witness.record(&Draft { actor: aor, subject: aor, facts, ..Draft::new(now, kind) });
        }
    }

    /// Writes down that an operator has removed all places where a user could be reached.
    pub(crate) fn witness_removal(&mut self, now: Time, aor: &str, by: &str, removed: usize) {
        let facts = Facts::new().with("bindings", i64::try_from(removed).unwrap_or(i64::MAX));
        let reason = "removed by an operator";
        self.witness.record(&Draft { actor: by, subject: aor, reason, facts, ..Draft::new(now, Kind::Unregistered) });
    }

    /// `user@domain` of the To header, when the domain is ours.
    fn address_of_record<B: AsRef<[u8]>>(&self, request: &Message<B>) -> Option<Box<str>> {
        let to = NameAddr::parse(request.value(HeaderName::To)?).ok()?;
        let domain = self.tables.domain_of_host(to.uri.host.as_str())?;
        Some(format!("{}@{domain}", to.user()).into())
    }
}
