//! Making a call.

use super::early::{Calling, body};
use super::{Abilities, Change, Phase, Refresh, Session, SessionId};
use crate::agent::{AgentConfig, Core};
use crate::challenges::Challenges;
use crate::dialog::{Dialog, RequestPart, contact_value};
use crate::digest::Credentials;
use crate::local::Locals;
use crate::message::{HeaderName, Method, Writer};
use crate::transaction::ClientId;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use sx_engine::{Time, TimerId};
use sx_types::Destination;

/// An INVITE to send.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where it goes: each is tried in turn when the one before cannot be reached. At least one.
    pub to: Vec<Destination>,
    /// The request URI.
    pub uri: Box<str>,
    /// The request URI at each of `to`, in the same order; where there is none, it is `uri`.
    pub uris: Vec<Box<str>>,
    /// The value of From, without tag.
    pub from: Box<str>,
    /// The value of To.
    pub to_value: Box<str>,
    /// The user part of our Contact; empty for none.
    pub contact_user: Box<str>,
    /// The Call-ID.
    pub call_id: Box<str>,
    /// Routes to travel first, as `Path` and outbound proxies ask.
    pub routes: Vec<Box<str>>,
    /// The offer; `None` lets the called party make one.
    pub offer: Option<Bytes>,
    /// Further headers.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// Max-Forwards.
    pub hops: u8,
    /// What challenges are answered with.
    pub credentials: Option<Arc<Credentials>>,
    /// Ask for reliable provisional responses: not at all, if the peer likes, or without fail.
    pub reliable: ReliablePolicy,
    /// Offer a session timer.
    pub session_timer: bool,
    /// For how long each of `to` may say nothing at all; `None`: as long as the transaction waits (timer B).
    pub silence_max: Option<Duration>,
}

/// What a caller says of reliable provisional responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReliablePolicy {
    /// Not supported.
    Off,
    /// Supported.
    #[default]
    Supported,
    /// Required.
    Required,
}

impl Session {
    /// The session our INVITE begins; sends it.
    pub(crate) fn outgoing(id: SessionId, owner: u64, core: &mut Core, now: Time, spec: Outgoing) -> Self {
        let to = spec.to.first().cloned().expect("the agent refuses an INVITE without destination");
        let sent_by = core.locals.sent_by_towards(&to);
        let dialog = Dialog {
            call_id: spec.call_id.clone(),
            local: format!("{};tag={}", spec.from, core.local_tag(id)).into(),
            remote: spec.to_value.clone(),
            local_seq: 0,
            remote_seq: None,
            routes: spec.routes.clone(),
            target: spec.uri.clone(),
            contact: contact_value(Some(&spec.contact_user), &sent_by, to.transport()),
            to,
            ours: true,
        };
        let credentials = spec.credentials.clone();
        let interval = (core.config.session_expires_s, core.config.min_se_s);
        let calling = Calling {
            client: ClientId::none(),
            seq: 0,
            spec,
            destination: 0,
            challenges: Challenges::default(),
            raised: 0,
            cancelled: false,
            heard: false,
            timer: TimerId::NONE,
            tags: Vec::new(),
            acknowledged: Vec::new(),
            interval,
        };
        let mut session = Self {
            id,
            owner,
            dialog,
            phase: Phase::Outgoing(Box::new(calling)),
            change: Change::None,
            peer: Abilities::default(),
            local_description: None,
            refresh: Refresh::default(),
            refer: None,
            unacknowledged: None,
            credentials,
        };
        session.invite(core, now);
        session
    }
}

impl Calling {
    pub(super) fn write(&self, dialog: &Dialog, branch: &str, locals: &Locals, config: &AgentConfig) -> Bytes {
        let spec = &self.spec;
        let headers = |writer: &mut Writer| {
            writer.header(HeaderName::Allow, format_args!("{}", config.allow));
            // Without an offer of ours, the peer's would come in a reliable response and want its answer in the PRACK.
            let reliable = if spec.offer.is_some() { spec.reliable } else { ReliablePolicy::Off };
            let supported = if reliable == ReliablePolicy::Off { "replaces" } else { "100rel, replaces" };
            let timer = if spec.session_timer { ", timer" } else { "" };
            writer.header(HeaderName::Supported, format_args!("{supported}{timer}"));
            if reliable == ReliablePolicy::Required {
                writer.header(HeaderName::Require, format_args!("100rel"));
            }
            if spec.session_timer {
                writer.header(HeaderName::SessionExpires, format_args!("{}", self.interval.0));
                writer.header(HeaderName::MinSe, format_args!("{}", self.interval.1));
            }
            self.challenges.write(writer);
            for (name, value) in &spec.headers {
                writer.raw_header(name.as_bytes(), value.as_bytes());
            }
            writer.header(HeaderName::UserAgent, format_args!("{}", config.user_agent));
        };
        let part = RequestPart {
            method: Method::Invite,
            seq: self.seq,
            hops: spec.hops,
            headers: Some(&headers),
            body: body(spec.offer.as_ref()),
        };
        dialog.request(&part, branch, locals)
    }
}
