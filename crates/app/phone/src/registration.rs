//! Keeping the registrar's binding of our address: REGISTER, its refreshes, its end.
//!
//! ```text
//!  Off ──begin──► Asking ──200──► Registered ──refresh due──► Asking …
//!                   │  └──no answer, no way, 5xx──► Waiting ──retry due──► Asking
//!                   └──3xx, 4xx, 6xx──► Off
//!  any ──end──► Leaving ──every response──► Off
//! ```

use crate::event::PhoneEvent;
use crate::run::{Run, warning_of};
use std::time::Duration;
use sx_engine::Time;
use sx_sip::agent::OutgoingRequest;
use sx_sip::message::{HeaderName, Method, NameAddr, OwnedMessage, reason_phrase};

/// The owner that the agent is given for a REGISTER. Calls count from 1.
pub(crate) const REGISTRATION: u64 = 0;
/// The lifetime asked for when none is configured, in seconds.
pub(crate) const EXPIRES_S: u32 = 300;
/// The longest lifetime asked for when the registrar finds ours too brief, in seconds.
const EXPIRES_S_MAX: u32 = 86_400;
/// When it is tried again after no answer.
const RETRY: Duration = Duration::from_secs(30);
/// When it is tried again after the connection was lost.
const RECONNECT: Duration = Duration::from_secs(1);
/// Keep-alives hold the way through a NAT open, and a connection from being idle.
//= https://www.rfc-editor.org/rfc/rfc5626#section-4.4
const KEEP_ALIVE: Duration = Duration::from_secs(25);

/// The binding of our address.
#[derive(Debug)]
pub(crate) struct Registration {
    state: State,
    /// Of all REGISTERs the same.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.4
    call_id: Box<str>,
    seq: u32,
    /// The lifetime to ask for, in seconds.
    expires: u32,
    /// Names this telephone however its address changes.
    instance: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Off,
    Asking,
    Registered {
        refresh_at: Time,
        keep_alive_at: Time,
    },
    Waiting {
        retry_at: Time,
    },
    /// So many REGISTERs of ours are unanswered; the last takes the binding back.
    Leaving {
        unanswered: u8,
    },
}

impl Registration {
    pub fn new(call_id: Box<str>, instance: u128, expires: u32) -> Self {
        Self { state: State::Off, call_id, seq: 1, expires, instance: uuid(instance) }
    }

    pub fn is_off(&self) -> bool {
        self.state == State::Off
    }

    pub fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Registered { refresh_at, keep_alive_at } => Some(refresh_at.min(keep_alive_at)),
            State::Waiting { retry_at } => Some(retry_at),
            State::Off | State::Asking | State::Leaving { .. } => None,
        }
    }
}

impl Run {
    /// Registers, whatever there was before.
    pub(crate) fn register(&mut self) {
        if !matches!(self.registration.state, State::Asking | State::Leaving { .. }) {
            self.registration.state = State::Asking;
            self.send_register(self.registration.expires);
        }
    }

    /// Takes our address back.
    pub(crate) fn unregister(&mut self) {
        match self.registration.state {
            // Nothing of ours is there, as far as we know.
            State::Off | State::Waiting { .. } => self.registration.state = State::Off,
            State::Asking | State::Registered { .. } => {
                let unanswered = 1 + u8::from(self.registration.state == State::Asking);
                self.registration.state = State::Leaving { unanswered };
                self.send_register(0);
            }
            State::Leaving { .. } => {}
        }
    }

    pub(crate) fn registration_timeout(&mut self) {
        let now = self.now;
        match &mut self.registration.state {
            State::Registered { refresh_at, .. } if *refresh_at <= now => self.register(),
            State::Waiting { retry_at } if *retry_at <= now => self.register(),
            State::Registered { keep_alive_at, .. } if *keep_alive_at <= now => {
                *keep_alive_at = now + KEEP_ALIVE;
                self.keep_alive();
            }
            _ => {}
        }
    }

    /// The connection to the server is gone: calls no longer find us.
    pub(crate) fn connection_lost(&mut self) {
        if let State::Registered { .. } = self.registration.state {
            self.registration.state = State::Waiting { retry_at: self.now + RECONNECT };
        }
    }

    fn send_register(&mut self, expires: u32) {
        let aor = self.address_of_record();
        let contact = format!(
            "<{}>;expires={expires};+sip.instance=\"<urn:uuid:{}>\"",
            self.contact_uri(),
            self.registration.instance
        );
        let header = |name: HeaderName, value: String| (name.name().into(), value.into_boxed_str());
        let spec = OutgoingRequest {
            to: vec![self.server.clone()],
            method: Method::Register,
            uri: format!("sip:{}", self.config.domain).into(),
            from: self.caller(),
            to_value: format!("<{aor}>").into(),
            call_id: self.registration.call_id.clone(),
            seq: self.registration.seq,
            routes: Vec::new(),
            headers: vec![
                header(HeaderName::Contact, contact),
                header(HeaderName::Expires, expires.to_string()),
                header(HeaderName::Supported, "path".into()),
            ],
            hops: 70,
            body: None,
            credentials: self.credentials.clone(),
        };
        self.registration.seq += 1;
        self.agent.request(self.now, REGISTRATION, spec);
    }

    /// The final response to a REGISTER, or none.
    pub(crate) fn registration_response(&mut self, status: u16, response: Option<&OwnedMessage>, used: u32) {
        // Answers to challenges have used numbers too.
        self.registration.seq = self.registration.seq.max(used + 1);
        let state = self.registration.state;
        match state {
            State::Leaving { unanswered: 2.. } => self.registration.state = State::Leaving { unanswered: 1 },
            State::Leaving { .. } => {
                self.registration.state = State::Off;
                self.shared.emit(PhoneEvent::Unregistered);
            }
            State::Asking if (200..300).contains(&status) => self.registered(response),
            State::Asking if status == 423 && self.asks_longer(response) => {
                self.send_register(self.registration.expires);
            }
            State::Asking => self.registration_failed(status, response),
            State::Off | State::Registered { .. } | State::Waiting { .. } => {}
        }
    }

    fn registered(&mut self, response: Option<&OwnedMessage>) {
        let expires = response.and_then(|r| granted(r, &self.contact_uri())).unwrap_or(self.registration.expires);
        // Soon enough for a second try; and not again at once, whatever a registrar grants.
        let refresh_s = if expires > 120 { expires - 60 } else { (expires / 2).max(1) };
        self.registration.state = State::Registered {
            refresh_at: self.now + Duration::from_secs(refresh_s.into()),
            keep_alive_at: self.now + KEEP_ALIVE,
        };
        self.shared.emit(PhoneEvent::Registered { expires });
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.8
    // A 423 says how long at least; that is asked for, once.
    fn asks_longer(&mut self, response: Option<&OwnedMessage>) -> bool {
        let least = response.and_then(|r| r.number(HeaderName::MinExpires)).unwrap_or(0);
        let longer = least > self.registration.expires && least <= EXPIRES_S_MAX;
        if longer {
            self.registration.expires = least;
        }
        longer
    }

    fn registration_failed(&mut self, status: u16, response: Option<&OwnedMessage>) {
        let may_pass = matches!(status, 408 | 500..=599);
        self.registration.state = if may_pass { State::Waiting { retry_at: self.now + RETRY } } else { State::Off };
        let (reason, warning) = match response {
            Some(response) => warning_of(response),
            None => (reason_phrase(status).to_owned(), self.why_unsent(status)),
        };
        self.shared.emit(PhoneEvent::RegistrationFailed { status, reason, warning });
    }
}

/// For how many seconds the registrar keeps our contact.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.4
fn granted(response: &OwnedMessage, contact: &str) -> Option<u32> {
    let ours = response
        .elements(HeaderName::Contact)
        .filter_map(|element| NameAddr::parse(element).ok())
        .find(|listed| listed.uri.text == contact);
    ours.and_then(|listed| listed.params.value("expires")?.parse().ok())
        .or_else(|| response.number(HeaderName::Expires))
}

/// A random number as a UUID of version 4.
//= https://www.rfc-editor.org/rfc/rfc5626#section-4.1
fn uuid(random: u128) -> String {
    let bits = random & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let text = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_sip::message::Message;

    #[test]
    fn the_lifetime_is_that_of_our_own_contact() {
        let response = |headers: &str| {
            Message::parse(bytes::Bytes::from(format!("SIP/2.0 200 OK\r\n{headers}\r\n"))).expect("well formed")
        };
        let ours = "sip:a@192.0.2.1:5060";
        for (headers, expected) in [
            ("Contact: <sip:b@192.0.2.2>;expires=9, <sip:a@192.0.2.1:5060>;expires=77\r\n", Some(77)),
            ("Contact: <sip:a@192.0.2.1:5060>\r\nExpires: 66\r\n", Some(66)),
            ("Contact: <sip:b@192.0.2.2>;expires=9\r\nExpires: 66\r\n", Some(66)),
            ("", None),
        ] {
            assert_eq!(granted(&response(headers), ours), expected, "{headers}");
        }
    }

    #[test]
    fn a_uuid_says_that_it_is_random() {
        for random in [0, u128::MAX] {
            let uuid = uuid(random);
            assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"));
            assert!("89ab".contains(&uuid[19..20]));
        }
    }
}
