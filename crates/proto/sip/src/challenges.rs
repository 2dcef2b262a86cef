//! The challenges a request has met, and what answers them: one slot for the user agent that is asked, one for a proxy on
//! the way, since a request may meet both.

use crate::digest::Credentials;
use crate::message::{HeaderName, Message, Method, Writer};
use sx_engine::Rng;

/// What answers the challenges that one request, or its forebears, met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Challenges {
    /// For 401.
    user_agent: Option<Answered>,
    /// For 407.
    proxy: Option<Answered>,
}

#[derive(Clone, Debug)]
struct Answered {
    value: Box<str>,
    /// It was computed anew because its nonce was too old, which happens once.
    renewed: bool,
}

impl Challenges {
    /// What a request of ours carries already. It is not renewed.
    pub fn of<B: AsRef<[u8]>>(request: &Message<B>) -> Self {
        let given = |name| request.text(name).map(|value| Answered { value: value.into(), renewed: true });
        Self { user_agent: given(HeaderName::Authorization), proxy: given(HeaderName::ProxyAuthorization) }
    }

    /// Takes a 401 or 407. Is there something to try again with? Not when what it asks for was sent already, unless only the
    /// nonce was too old, and that only once: a peer may not have us try for ever.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22.2
    pub fn answer<B: AsRef<[u8]>>(
        &mut self,
        rng: &mut Rng,
        credentials: Option<&Credentials>,
        response: &Message<B>,
        method: Method,
        uri: &str,
    ) -> bool {
        let (slot, name) = match response.status() {
            Some(401) => (&mut self.user_agent, HeaderName::WwwAuthenticate),
            Some(407) => (&mut self.proxy, HeaderName::ProxyAuthenticate),
            _ => return false,
        };
        let Some(challenge) = Credentials::choose(response.values(name)) else { return false };
        if slot.as_ref().is_some_and(|given| given.renewed || !challenge.stale) {
            return false;
        }
        let cnonce = format!("{:016x}", rng.u64());
        let Some(value) = credentials.and_then(|c| c.answer(&challenge, method.name(), uri, 1, &cnonce)) else {
            return false;
        };
        *slot = Some(Answered { value: value.into(), renewed: slot.is_some() });
        true
    }

    pub fn write(&self, writer: &mut Writer) {
        let slots = [(HeaderName::Authorization, &self.user_agent), (HeaderName::ProxyAuthorization, &self.proxy)];
        for (name, slot) in slots {
            if let Some(given) = slot {
                writer.header(name, format_args!("{}", given.value));
            }
        }
    }
}
