//! The second to the fourth layer, for a new request: network, transport, country.

use super::refusal::{Answer, RefusedBy};
use super::tally::Asker;
use crate::counts::Refusal;
use crate::worker::Worker;
use sx_edge::{Layer, Refused};
use sx_engine::Time;
use sx_sip::message::Message;
use sx_types::{Flow, LinkId};
use sx_witness::Facts;

impl Worker {
    /// The second and third layer: may anybody come from there, and over that?
    pub(crate) fn may_come_from<B: AsRef<[u8]>>(&mut self, now: Time, flow: Flow, request: &Message<B>) -> bool {
        if flow.link == LinkId::BETWEEN_WORKERS {
            return true;
        }
        let (address, tables) = (flow.remote.ip(), self.tables.clone());
        let timing = self.layers.begin(Layer::Network);
        let organisation = tables.allowlist.at(address);
        let is_known = organisation.is_some() || !tables.only_organisations || tables.trunk_at(address).is_some();
        if !is_known {
            self.refuse_network(now, flow, request, None, Refused::NotInNetwork);
        }
        self.layers.end_with(timing, is_known);
        if !is_known {
            return false;
        }
        let timing = self.layers.begin(Layer::Transport);
        let is_heard = organisation.is_none_or(|organisation| organisation.is_heard_over(flow.transport));
        if !is_heard {
            self.refuse_network(now, flow, request, None, Refused::TlsRequired);
        }
        self.layers.end_with(timing, is_heard);
        is_heard
    }

    /// Is the user one of an organisation's, and in its place?
    pub(crate) fn may_come_as<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
        user: &str,
    ) -> bool {
        let tables = self.tables.clone();
        let Some(organisation) = tables.organisation_of(user) else { return true };
        match tables.allowlist.decide(flow.remote.ip(), flow.transport, Some(organisation)) {
            Ok(_) => true,
            Err(refused) => {
                self.refuse_network(now, flow, request, Some(user), refused);
                false
            }
        }
    }

    fn refuse_network<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
        user: Option<&str>,
        refused: Refused,
    ) {
        let (layer, reason, sentence) = match refused {
            Refused::NotInNetwork => (Layer::Network, "not-in-network", "requests are not taken from this network"),
            Refused::TlsRequired => (Layer::Transport, "tls-required", "TLS is required here"),
        };
        let refused = RefusedBy::new(layer, reason, Answer::status(403, sentence), Refusal::Forbidden);
        let refused = match user {
            Some(user) => refused.of(Asker::Known, user),
            None => refused,
        };
        self.refuse(now, flow, request, refused);
    }

    /// Part of the fourth layer: is the country one that requests are taken from?
    pub(crate) fn may_come_from_country<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
    ) -> bool {
        let tables = self.tables.clone();
        let Some(countries) = &tables.countries else { return true };
        let country = countries.country_of(flow.remote.ip());
        if countries.lets_in(country) || tables.trunk_at(flow.remote.ip()).is_some() {
            return true;
        }
        let letters = country.map(|letters| String::from_utf8_lossy(&letters).into_owned()).unwrap_or_default();
        let facts = Facts::new().with("country", letters);
        let answer = Answer::status(403, "requests are not taken from this country");
        let refused = RefusedBy::new(Layer::Identity, "country", answer, Refusal::Forbidden);
        self.refuse(now, flow, request, RefusedBy { facts, ..refused });
        false
    }
}
