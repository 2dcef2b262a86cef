//! Experts who have answered are told where the evidence is, in a text that their telephones show.

use super::ringing::{callee, shown};
use crate::dialing::{Then, uri_of};
use crate::interface::{Output, PeerMessage};
use crate::requests::RELAYED;
use crate::worker::Worker;
use bytes::Bytes;
use sx_engine::Time;
use sx_leg::{Address, Target};
use sx_sip::agent::OutgoingRequest;
use sx_sip::message::Method;
use sx_types::{CallId, TraceId};

impl Worker {
    /// Sends whoever has answered this call the link to the evidence, if they are a user of ours: what others are sent passes
    /// who knows whom.
    pub(super) fn tell_of_evidence(&mut self, now: Time, id: TraceId, call: CallId) {
        let tables = self.tables.clone();
        let Some(links) = self.settings.links.clone().filter(|_| tables.escalation.config.evidence_message) else {
            return;
        };
        let Some(escalation) = self.escalations.running.get(&id) else { return };
        let Some(rung) = escalation.rung.iter().find(|rung| rung.call == call) else { return };
        let to = callee(&rung.address, &tables);
        if self.directory.find(&format!("{}@{}", to.user, to.domain)).is_none() {
            return;
        }
        let Some(link) = links.link(id, &rung.expert, self.wall(now)) else { return };
        let text = format!("{}: {link}", shown(escalation));
        let domain = tables.domains.first().map_or("localhost", |domain| domain);
        let from = Address::new(escalation.room.as_deref().unwrap_or_default(), domain);
        self.text_user(now, from, to, text.into());
    }

    /// Sends a user a text, wherever they are registered. Whether it is taken is between the telephone and them.
    //= https://www.rfc-editor.org/rfc/rfc3428#section-5
    pub(crate) fn text_user(&mut self, now: Time, from: Address, to: Address, text: Box<str>) {
        let worker = self.worker_of_user(&to.user, &to.domain);
        if worker != self.settings.worker {
            let message = PeerMessage::Text { from, to, text };
            return self.outputs.push_back(Output::Peer { worker, message });
        }
        let body = Bytes::from(String::from(text));
        for target in self.contacts(now, &format!("{}@{}", to.user, to.domain)) {
            let Target::Contact { uri, path, flow } = target else { continue };
            let request = OutgoingRequest {
                to: Vec::new(),
                method: Method::Message,
                uri: uri.clone(),
                from: format!("<{}>", uri_of(&from.user, &from.domain)).into(),
                to_value: format!("<{}>", uri_of(&to.user, &to.domain)).into(),
                call_id: self.legs.agent().call_id(),
                seq: 1,
                routes: path.iter().map(|hop| format!("<{}>", hop.trim_matches(['<', '>'])).into()).collect(),
                headers: Vec::new(),
                hops: 70,
                body: Some(("text/plain;charset=UTF-8".into(), body.clone())),
                credentials: self.tables.users.credentials.clone(),
            };
            let then = Then::Request { owner: RELAYED | self.next_owner(), request: Box::new(request) };
            match flow {
                Some(flow) => self.proceed(now, vec![sx_types::Destination::Flow(flow).into()], then),
                None => self.look_up_uri(now, path.first().unwrap_or(&uri), then),
            }
        }
    }
}
