//! The first layer: who sends too much, before anything is parsed.

use super::counts::add;
use super::refusal::{Answer, RefusedBy};
use crate::counts::Refusal;
use crate::interface::{Came, Output, PeerMessage};
use crate::peers::accountant_of;
use crate::worker::Worker;
use std::net::IpAddr;
use std::time::Duration;
use sx_edge::{AUTHENTICATED_FOR, Arrival, Ban, Layer, MethodClass, Observation, Source, Why, scanner_among};
use sx_engine::Time;
use sx_sip::message::{HeaderName, Message, Method};
use sx_types::{Flow, LinkId};
use sx_witness::{Draft, Facts, Kind};

impl Worker {
    /// May this message be looked at? Trunks have limits of their own; what answers us is not counted, for we have asked.
    pub(crate) fn may_come(&mut self, now: Time, came: &mut Came, bytes: &[u8]) -> bool {
        let flow = came.flow;
        let address = flow.remote.ip();
        if self.tables.is_of_trunk(address) {
            return true;
        }
        let source = self.source_of(address);
        if bytes.starts_with(b"SIP/2.0 ") {
            return self.layers.sources.ban_of(now, source).is_none() || self.ignored(now);
        }
        let timing = self.layers.begin(Layer::SourceRate);
        let arrival = self.layers.sources.arrived(now, source);
        self.layers.end(timing);
        match arrival {
            Arrival::Pass => {}
            Arrival::Challenge => came.suspicious = true,
            Arrival::Refuse { retry_after_s } => {
                self.too_many(now, flow, bytes, retry_after_s);
                return false;
            }
            Arrival::Dropped(_) => return self.ignored(now),
        }
        self.layers.counts.pass(Layer::SourceRate);
        true
    }

    /// A response that answers nothing of ours counts as whatever else a source sends.
    pub(crate) fn unasked<B: AsRef<[u8]>>(&mut self, now: Time, came: &Came, message: &Message<B>) {
        if message.status().is_some() {
            self.observe(now, came, Observation::Unasked);
        }
    }

    /// The source that an address belongs to.
    pub(crate) fn source_of(&self, address: IpAddr) -> Source {
        Source::of(address, &self.layers.sources.limits().prefixes)
    }

    /// A message of a banned source: nobody is told, and it is only counted.
    fn ignored(&mut self, now: Time) -> bool {
        self.layers.dropped += 1;
        self.layers.counts.refuse(Layer::SourceRate);
        self.counts.refuse(Refusal::Banned);
        self.layers.tally.count(now, Layer::SourceRate);
        add(&self.layers.counts.summed);
        false
    }

    /// The first message beyond the rate is answered, if it can be.
    fn too_many(&mut self, now: Time, flow: Flow, bytes: &[u8], retry_after_s: u32) {
        self.ban_begun(now, flow.remote.ip());
        let request = Message::parse(bytes).ok().filter(|message| message.method().is_some_and(|m| m != Method::Ack));
        let Some(request) = request else {
            self.ignored(now);
            return;
        };
        let sentence = "too many requests come from this address";
        let agent = request.value(HeaderName::UserAgent).unwrap_or_default();
        // A scanner hears nothing, not even this.
        let answer = match scanner_among(&self.tables.scanners, agent) {
            Some(_) => Answer::Silence,
            None => Answer::later(503, sentence, retry_after_s),
        };
        self.refuse(now, flow, &request, RefusedBy::new(Layer::SourceRate, "rate", answer, Refusal::TooFast));
    }

    /// What a new request tells of its source. `false`: it is not to be answered.
    pub(crate) fn notice_request<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        method: Method,
        request: &Message<B>,
    ) -> bool {
        let flow = came.flow;
        let address = flow.remote.ip();
        if self.tables.is_of_trunk(address) {
            return true;
        }
        let tables = self.tables.clone();
        let agent = request.value(HeaderName::UserAgent).unwrap_or_default();
        if let Some(name) = scanner_among(&tables.scanners, agent) {
            self.observe(now, came, Observation::Scanner);
            let refused = RefusedBy::new(Layer::SourceRate, "scanner", Answer::Silence, Refusal::Scanner);
            let facts = Facts::new().with("scanner", &**name);
            self.refuse(now, flow, request, RefusedBy { facts, ..refused });
            return false;
        }
        self.observe(now, came, Observation::Request(class_of(method)));
        if method == Method::Invite {
            self.observe(now, came, Observation::Dialled(self.layers.number_of(request.request_uri())));
        }
        true
    }

    /// Something was learnt of who sent a message. The worker that it landed on, and that counts what comes from there,
    /// keeps account of it; of wrong credentials, which may land anywhere, one worker for each source. Whose credentials
    /// are right is known here as well, where it may ask again, and is told to the others once in a while: to the one
    /// that its message landed on each time, for that has heard nothing of it while it had the source banned.
    pub(crate) fn observe(&mut self, now: Time, came: &Came, observation: Observation) {
        let address = came.flow.remote.ip();
        if came.flow.link == LinkId::BETWEEN_WORKERS || self.tables.is_of_trunk(address) {
            return;
        }
        let (source, here) = (self.source_of(address), self.settings.worker);
        let accountant = match observation {
            Observation::Failed => accountant_of(source, self.settings.workers),
            _ => came.landed,
        };
        if accountant != here {
            self.layers.observed.entry((accountant, source)).or_default().push(observation);
        }
        if observation == Observation::Authenticated {
            self.authenticated(now, source);
        } else if accountant == here {
            self.learn(now, source, observation);
        }
    }

    /// A trunk has been found there, by its name.
    pub(crate) fn trunk_found(&mut self, now: Time, address: IpAddr) {
        if !self.tables.is_of_trunk(address) {
            self.authenticated(now, self.source_of(address));
        }
    }

    /// Somebody is known to come from there. The others need hear it only twice in the time for which it counts.
    fn authenticated(&mut self, now: Time, source: Source) {
        let part = |time: Duration| time.as_secs() / (AUTHENTICATED_FOR.as_secs() / 2);
        let now_of = Duration::from_secs(now.as_secs());
        let before = self.layers.sources.authenticated_ago(now, source);
        self.learn(now, source, Observation::Authenticated);
        if before.is_none_or(|ago| part(now_of.saturating_sub(ago)) != part(now_of)) {
            self.tell_others(|| PeerMessage::Observed { source, observed: vec![Observation::Authenticated] });
        }
    }

    /// This worker has learnt something of a source. A ban that begins is written down, and told to the other workers.
    pub(crate) fn learn(&mut self, now: Time, source: Source, observation: Observation) {
        if let Some(ban) = self.layers.sources.observe(now, source, observation) {
            self.record_ban(now, ban);
        }
    }

    /// Tells other workers what the message at hand has taught about its source.
    pub(crate) fn tell_observed(&mut self) {
        for ((worker, source), observed) in std::mem::take(&mut self.layers.observed) {
            self.outputs.push_back(Output::Peer { worker, message: PeerMessage::Observed { source, observed } });
        }
    }

    /// How suspicious the source of a message is, from 0 to 1000: as it is known where the message landed.
    pub(crate) fn score_of(&self, now: Time, came: &Came) -> u32 {
        came.score_milli.unwrap_or_else(|| self.layers.sources.score_milli(now, self.source_of(came.flow.remote.ip())))
    }

    /// Has somebody authenticated from there of late?
    pub(crate) fn is_known_source(&self, now: Time, address: IpAddr) -> bool {
        let report = self.layers.sources.explain(now, self.source_of(address));
        report.is_some_and(|report| report.authenticated)
    }

    fn ban_begun(&mut self, now: Time, address: IpAddr) {
        if let Some(ban) = self.layers.sources.ban_of(now, self.source_of(address)) {
            self.record_ban(now, ban);
        }
    }

    fn record_ban(&mut self, now: Time, ban: Ban) {
        add(&self.layers.counts.bans);
        let source = ban.source.to_string();
        let seconds = i64::try_from(ban.until.since(now).as_secs()).unwrap_or(i64::MAX);
        let facts = Facts::new().with("layer", Layer::SourceRate.as_str()).with("ban_s", seconds);
        // So that a flood from everywhere writes no more than its share.
        if self.layers.tally.records_ban(now, Layer::SourceRate) {
            let reason = ban.why.as_str();
            let draft = Draft { subject: &source, outcome: "banned", reason, facts, ..Draft::new(now, Kind::Source) };
            self.witness.record(&draft);
        } else {
            add(&self.layers.counts.summed);
        }
        self.tell_others(|| PeerMessage::Banned { ban });
    }

    /// Another worker has banned a source. Wrong credentials hold against whoever has authenticated here as well: what
    /// they answer was given to the source itself, so that nobody has forged them.
    pub(crate) fn banned_elsewhere(&mut self, now: Time, ban: &Ban) {
        let why = if ban.why == Why::Failures { Why::Failures } else { Why::Elsewhere };
        self.layers.sources.ban(now, ban.source, ban.until, why);
    }
}

fn class_of(method: Method) -> MethodClass {
    match method {
        Method::Invite => MethodClass::Invite,
        Method::Register => MethodClass::Register,
        Method::Options => MethodClass::Options,
        Method::Message => MethodClass::Message,
        _ => MethodClass::Other,
    }
}
