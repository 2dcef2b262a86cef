//! Requests of others outside of any dialog: calls that come in, and whatever else is asked of a telephone.

use crate::call::{Call, Stage};
use crate::config::AnswerMode;
use crate::event::PhoneEvent;
use crate::run::Run;
use bytes::Bytes;
use sx_sip::agent::{ALLOW, ReplaceError};
use sx_sip::message::{HeaderName, Message, Method, NameAddr, Writer};
use sx_sip::session::{Replaces, description};
use sx_sip::transaction::Reply;
use sx_types::Flow;

impl Run {
    pub(crate) fn take_request(&mut self, flow: Flow, request: &Message<Bytes>) {
        let status = match request.method() {
            Some(Method::Invite) => {
                self.take_invite(flow, request);
                return;
            }
            // An ACK is never answered.
            Some(Method::Ack) | None => return,
            Some(Method::Options | Method::Message) => 200,
            Some(Method::Bye | Method::Cancel | Method::Notify | Method::Info | Method::Prack | Method::Update) => 481,
            Some(_) => 405,
        };
        self.refuse(flow, request, status);
    }

    /// Answers with a status and what a telephone can do.
    fn refuse(&mut self, flow: Flow, request: &Message<Bytes>, status: u16) {
        let headers = |writer: &mut Writer| {
            writer.header(HeaderName::Allow, format_args!("{ALLOW}"));
            writer.header(HeaderName::Accept, format_args!("application/sdp"));
        };
        self.agent.reply(flow, request, Reply { status, headers: Some(&headers), ..Reply::default() });
    }

    fn take_invite(&mut self, flow: Flow, invite: &Message<Bytes>) {
        let replaced = match self.call_replaced(invite) {
            Ok(replaced) => replaced,
            Err(status) => return self.refuse(flow, invite, status),
        };
        if self.is_stopping() {
            return self.refuse(flow, invite, 480);
        }
        if self.call.is_some() && !replaced || self.config.answer == AnswerMode::Busy {
            return self.refuse(flow, invite, 486);
        }
        let Ok((mut negotiation, mut media)) = self.open_media() else { return self.refuse(flow, invite, 500) };
        let answer = match description(invite) {
            None => None,
            Some(offer) => match negotiation.answer(&offer) {
                Ok((answer, agreed)) => Some((answer, agreed)),
                Err(_) => return self.refuse(flow, invite, 488),
            },
        };
        let owner = self.next_owner();
        let Ok(session) = self.agent.accept(self.now, flow, invite, owner) else { return };
        if replaced {
            self.replace_call();
        }
        let answer = answer.map(|(answer, agreed)| {
            media.change(self.now, agreed, false);
            answer
        });
        let at = match self.config.answer {
            _ if replaced => Some(self.now),
            AnswerMode::Auto { after } => Some(self.now + after),
            AnswerMode::Manual | AnswerMode::Busy => None,
        };
        let (from, to) = (address(invite, HeaderName::From), address(invite, HeaderName::To));
        let call_id = invite.text(HeaderName::CallId).unwrap_or_default().into();
        let stage = Stage::Ringing { answer, at };
        self.begin_call(Call { owner, session, call_id, stage, negotiation, media, refusal: None, changing: false });
        self.shared.emit(PhoneEvent::Incoming { from, to });
        if at.is_none_or(|at| at > self.now) {
            self.agent.progress(self.now, session, 180, None);
        }
    }

    /// Is it to take the place of the call we have?
    //= https://www.rfc-editor.org/rfc/rfc3891#section-3
    fn call_replaced(&self, invite: &Message<Bytes>) -> Result<bool, u16> {
        let Some(value) = invite.text(HeaderName::Replaces) else { return Ok(false) };
        let replaces = Replaces::parse(value).ok_or(400_u16)?;
        let (_, replaced) = self.agent.session_replaced(&replaces).map_err(ReplaceError::status)?;
        match &self.call {
            Some(call) if call.owner == replaced => Ok(true),
            _ => Err(481),
        }
    }
}

/// The value of From or To without its parameters.
fn address(request: &Message<Bytes>, name: HeaderName) -> String {
    let value = request.text(name).unwrap_or_default();
    match NameAddr::parse(value.as_bytes()) {
        Ok(address) => {
            let display = address.display_text();
            let uri = address.uri.text;
            if display.is_empty() { uri.to_owned() } else { format!("{display} <{uri}>") }
        }
        Err(_) => value.to_owned(),
    }
}
