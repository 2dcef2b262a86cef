//! What a session's peer has done, as the call hears it.

use crate::cause;
use crate::legs::{DomainOf, SipLegs, address, takes_info};
use sx_leg::{Answer, LegEvent, Media, Progress, ProgressKind, Replaced, TransferRequest, WARNINGS_MAX, Warning};
use sx_sip::agent::AgentConfig;
use sx_sip::message::Uri;
use sx_sip::session::{Description, Refer, SessionEvent};
use sx_types::{Cause, LegId};

impl SipLegs {
    /// The leg's event; `None` for what concerns SIP alone.
    pub(crate) fn translate(&mut self, leg: LegId, event: SessionEvent, domain_of: DomainOf<'_>) -> Option<LegEvent> {
        Some(match event {
            SessionEvent::Progress { status, description } => self.progress(leg, status, description),
            SessionEvent::Answered { description, response } => {
                let bound = self.legs.get_mut(&leg)?;
                let media = description.map(media).or_else(|| bound.early.take());
                LegEvent::Answered(Answer {
                    media,
                    headers: bound.rules.headers.taken_from(&response),
                    takes_info: takes_info(&response),
                })
            }
            SessionEvent::Confirmed { description } => LegEvent::Confirmed { media: description.map(media) },
            SessionEvent::Offered { description } => LegEvent::Offered { media: description },
            SessionEvent::OfferAccepted { description } => LegEvent::OfferAccepted { media: description.map(media) },
            SessionEvent::OfferRefused { status } => {
                LegEvent::OfferRefused { cause: Cause::from_sip_status(status), status, sentence: Box::default() }
            }
            SessionEvent::OfferConfirmed { description } => LegEvent::OfferConfirmed { media: description.map(media) },
            SessionEvent::Refer(refer) => self.transfer(refer, domain_of),
            SessionEvent::Report { .. } => return None,
            SessionEvent::Info { content_type, body } => match digit_of(&content_type, &body) {
                Some((digit, duration_ms)) => LegEvent::Digit { digit, duration_ms },
                None => LegEvent::Info { content_type, body },
            },
            SessionEvent::Warned { warnings } => {
                let warning = |(code, text)| Warning { code, text };
                LegEvent::Warned { warnings: warnings.into_iter().take(WARNINGS_MAX).map(warning).collect() }
            }
            SessionEvent::Redirected { contacts } => {
                let named = contacts.iter().filter_map(|uri| address(uri, domain_of));
                LegEvent::Redirected { targets: named.collect() }
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

    fn transfer(&mut self, refer: Refer, domain_of: DomainOf<'_>) -> LegEvent {
        let replaced = refer.replaces.and_then(|replaces| match self.agent.session_replaced(&replaces) {
            Ok((_, owner)) => Some(Replaced::Leg(LegId(owner))),
            // A dialog that is none of ours is nobody's here: its target is called without it.
            Err(_) => {
                AgentConfig::worker_of_tag(&replaces.to_tag).map(|_| Replaced::Elsewhere(replaces.to_string().into()))
            }
        });
        LegEvent::TransferAsked(Box::new(TransferRequest {
            to: address(&refer.to, domain_of).unwrap_or_default(),
            replaces: replaced,
            referred_by: refer.referred_by,
        }))
    }
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
