//! A 2xx that is not wanted: of an INVITE that was given up, of a branch that has not won, or of a session that is over.

use super::{Session, SessionId};
use crate::agent::Core;
use crate::challenges::Challenges;
use crate::dialog::{Dialog, RequestPart};
use crate::message::{HeaderName, Message, Method, NameAddr, Writer};
use crate::transaction::{ClientRequest, ResponseMatch};
use sx_engine::{Key, Time};

impl Session {
    /// Acknowledges a 2xx of a branch that is not wanted, and hangs it up. `challenges`: what its INVITE carried, where its
    /// transaction does not say so.
    pub(super) fn hang_up_branch<B: AsRef<[u8]>>(
        &mut self,
        core: &mut Core,
        now: Time,
        matched: &ResponseMatch,
        response: &Message<B>,
        challenges: Challenges,
    ) {
        let Some(to) = core.transactions.unwanted(matched.client, tag_of(response)) else { return };
        // Another server may have been asked since: this one is where its own INVITE went.
        let mut other = Dialog { to, ..self.dialog.clone() };
        let challenges = match Message::parse(&matched.request) {
            Ok(invite) => {
                other.target = String::from_utf8_lossy(invite.request_uri()).into();
                Challenges::of(&invite)
            }
            Err(_) => challenges,
        };
        hang_up(core, now, matched, other, response, &challenges);
    }
}

/// Acknowledges and hangs up a 2xx whose session is over and forgotten.
pub(crate) fn hang_up_late<B: AsRef<[u8]>>(core: &mut Core, now: Time, matched: &ResponseMatch, response: &Message<B>) {
    // Only for what we have asked: a peer that names another dialog's parties has nobody else hung up.
    let from = response.value(HeaderName::From).and_then(|from| NameAddr::parse(from).ok()?.tag());
    if from.and_then(|tag| core.session_of_tag(tag)) != Some(SessionId(Key::from_u64(matched.owner))) {
        return;
    }
    let Some(to) = core.transactions.unwanted(matched.client, tag_of(response)) else { return };
    let invite = Message::parse(&matched.request).ok();
    let target = invite.as_ref().map(|invite| String::from_utf8_lossy(invite.request_uri()).into());
    let challenges = invite.as_ref().map(Challenges::of).unwrap_or_default();
    let dialog = Dialog::begun_by(response, to, target);
    hang_up(core, now, matched, dialog, response, &challenges);
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
fn hang_up<B: AsRef<[u8]>>(
    core: &mut Core,
    now: Time,
    matched: &ResponseMatch,
    mut dialog: Dialog,
    response: &Message<B>,
    challenges: &Challenges,
) {
    dialog.take_response(response, &core.locals);
    let branch = core.branch();
    let headers = |writer: &mut Writer| challenges.write(writer);
    let seq = response.number(HeaderName::CSeq).unwrap_or_default();
    let part = RequestPart { method: Method::Ack, seq, hops: 70, headers: Some(&headers), body: None };
    let ack = dialog.request(&part, &branch, &core.locals);
    core.transactions.acknowledge_unwanted(matched.client, tag_of(response), dialog.to.clone(), ack);
    let part = RequestPart { method: Method::Bye, seq: dialog.next_seq(), hops: 70, headers: None, body: None };
    // Nobody waits for its outcome.
    let request = ClientRequest { to: dialog.to.clone(), method: Method::Bye, owner: 0 };
    let (dialog, locals) = (&dialog, &core.locals);
    core.transactions.request(request, now, |branch| dialog.request(&part, branch, locals));
}

fn tag_of<B: AsRef<[u8]>>(response: &Message<B>) -> &str {
    response.value(HeaderName::To).and_then(|to| NameAddr::parse(to).ok()?.tag()).unwrap_or_default()
}
