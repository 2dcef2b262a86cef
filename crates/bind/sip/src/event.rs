//! What a session's peer has done, as the call hears it.

use crate::cause;
use crate::identity::address_of;
use crate::legs::SipLegs;
use sx_leg::{Address, Answer, LegEvent, Media, Progress, ProgressKind, Target, TransferRequest};
use sx_sip::message::{Scheme, Uri};
use sx_sip::session::{Description, Refer, SessionEvent};
use sx_types::{Cause, LegId};

impl SipLegs {
    /// The leg's event; `None` for what concerns SIP alone.
    pub(crate) fn translate(&mut self, leg: LegId, event: SessionEvent) -> Option<LegEvent> {
        Some(match event {
            SessionEvent::Progress { status, description } => self.progress(leg, status, description),
            SessionEvent::Answered { description, response } => {
                let bound = self.legs.get_mut(&leg)?;
                let media = description.map(media).or_else(|| bound.early.take());
                LegEvent::Answered(Answer { media, headers: bound.rules.headers.taken_from(&response) })
            }
            SessionEvent::Confirmed { description } => LegEvent::Confirmed { media: description.map(media) },
            SessionEvent::Offered { description } => LegEvent::Offered { media: description },
            SessionEvent::OfferAccepted { description } => LegEvent::OfferAccepted { media: description.map(media) },
            SessionEvent::OfferRefused { status } => {
                LegEvent::OfferRefused { cause: Cause::from_sip_status(status), status }
            }
            SessionEvent::OfferConfirmed { description } => LegEvent::OfferConfirmed { media: description.map(media) },
            SessionEvent::Refer(refer) => self.transfer(refer),
            SessionEvent::Report { .. } => return None,
            SessionEvent::Info { content_type, body } => match digit_of(&content_type, &body) {
                Some((digit, duration_ms)) => LegEvent::Digit { digit, duration_ms },
                None => LegEvent::Info { content_type, body },
            },
            SessionEvent::Redirected { contacts } => {
                LegEvent::Redirected { targets: contacts.into_iter().map(Target::Uri).collect() }
            }
            SessionEvent::Ended(ended) => {
                self.legs.remove(&leg);
                LegEvent::Ended(cause::ended(ended))
            }
        })
    }

    fn progress(&mut self, leg: LegId, status: u16, description: Option<Description>) -> LegEvent {
        let kind = match status {
            180 => ProgressKind::Ringing,
            181 => ProgressKind::Forwarded,
            182 => ProgressKind::Queued,
            _ => ProgressKind::SessionProgress,
        };
        let mut media = description.map(media);
        if let Some(bound) = self.legs.get_mut(&leg)
            && !bound.rules.early_media
            && media.is_some()
        {
            // Kept, for an answer that does not repeat it.
            bound.early = media.take();
        }
        LegEvent::Progress(Progress { kind, media })
    }

    fn transfer(&mut self, refer: Refer) -> LegEvent {
        let replaced = refer.replaces.as_ref().and_then(|replaces| self.agent.session_replaced(replaces));
        LegEvent::TransferAsked(Box::new(TransferRequest {
            to: dialled(&refer.to),
            replaces: replaced.map(|(_, owner)| LegId(owner)),
            referred_by: refer.referred_by,
        }))
    }
}

/// Whom a URI asks for; its domain is with port and transport, which the owner takes off where it is one of ours.
fn dialled(uri: &str) -> Address {
    let Ok(uri) = Uri::parse(uri.as_bytes()) else { return Address::default() };
    let mut address = address_of(&uri);
    if matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
        address.domain = domain_with_way(&uri);
    }
    address
}

/// The host of a URI with the port and the transport it names, to go on to.
pub fn domain_with_way(uri: &Uri<'_>) -> Box<str> {
    let port = uri.port.map(|port| format!(":{port}")).unwrap_or_default();
    let transport = uri.param("transport").map(|token| format!(";transport={token}")).unwrap_or_default();
    format!("{}{port}{transport}", uri.host).to_ascii_lowercase().into()
}

fn media(description: Description) -> Media {
    match description {
        Description::Offer(bytes) => Media::Offer(bytes),
        Description::Answer(bytes) => Media::Answer(bytes),
    }
}

/// The key and the milliseconds of an INFO that tells of a key press.
fn digit_of(content_type: &str, body: &[u8]) -> Option<(char, u16)> {
    let text = std::str::from_utf8(body).ok()?;
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let key = |text: &str| text.trim().chars().next().filter(|c| "0123456789*#ABCD".contains(*c));
    if essence.eq_ignore_ascii_case("application/dtmf") {
        return Some((key(text)?, 250));
    }
    if !essence.eq_ignore_ascii_case("application/dtmf-relay") {
        return None;
    }
    let field = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(n, _)| n.trim().eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim())
    };
    Some((key(field("Signal")?)?, field("Duration").and_then(|d| d.parse().ok()).unwrap_or(250)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_presses_in_info_are_read_in_both_customs() {
        for (content_type, body, expected) in [
            ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", Some(('5', 160))),
            ("Application/DTMF-Relay; x=y", "signal = #\r\n", Some(('#', 250))),
            ("application/dtmf", "9", Some(('9', 250))),
            ("application/dtmf-relay", "Signal=x", None),
            ("text/plain", "Signal=5", None),
        ] {
            assert_eq!(digit_of(content_type, body.as_bytes()), expected);
        }
    }
}
