//! Challenges and their answers.

use crate::counts::Refusal;
use crate::directory::User;
use crate::interface::Came;
use crate::refused::WhyRefused;
use crate::worker::Worker;
use sx_edge::Observation;
use sx_engine::Time;
use sx_guard::Authentication;
use sx_sip::digest::{Algorithm, DigestParams, Ha1, NonceVerdict, challenge};
use sx_sip::message::{HeaderName, Message, Method, Uri, Writer};
use sx_sip::transaction::Reply;
use sx_types::Flow;

/// What a request's credentials are worth.
pub(crate) enum Verdict {
    /// This user, `name@domain`, has authenticated.
    User {
        /// Who it is.
        address: Box<str>,
        /// How.
        authenticated: Authentication,
    },
    /// There are none, or their nonce is too old or another's: challenge.
    Challenge {
        /// It is the nonce.
        stale: bool,
    },
    /// They are wrong, and the request was refused. Nothing says whether the user or the password was.
    Wrong,
    /// They were right, and were used before.
    Replayed,
}

impl Worker {
    /// Judges the credentials of a request: those of its connection, else those it carries. Of those that are refused the
    /// operator is told.
    pub(crate) fn authenticate<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        request: &Message<B>,
        header: HeaderName,
    ) -> Verdict {
        let flow = came.flow;
        if let Some(address) = self.certified_user(&came.certified, request) {
            self.authentication_succeeded(now, came);
            return Verdict::User { address, authenticated: Authentication::Certificate };
        }
        let tables = self.tables.clone();
        let given = request.values(header).filter_map(|value| DigestParams::parse(value).ok());
        let Some(given) = given.into_iter().find(|given| given.realm == &*tables.realm) else {
            return Verdict::Challenge { stale: false };
        };
        let Some(algorithm) = given.algorithm().filter(|algorithm| tables.algorithms.contains(algorithm)) else {
            return Verdict::Challenge { stale: false };
        };
        // One that is too old, or was given to somebody else, makes nothing wrong, whatever came with it.
        let source = self.source_of(flow.remote.ip()).address();
        if !self.nonces.is_usable(given.nonce, now, source) {
            return Verdict::Challenge { stale: true };
        }
        //= https://www.rfc-editor.org/rfc/rfc8760#section-2.6
        // Without qop a nonce could be used for ever: it must be there.
        let Some(nc) = u32::from_str_radix(given.nc, 16).ok().filter(|_| given.qop.eq_ignore_ascii_case("auth")) else {
            self.tell_refused(now, flow, request, given.username, WhyRefused::Unprotected);
            return Verdict::Wrong;
        };
        // No user has such a name, and nothing is kept of one: whoever writes it chooses how long it is.
        if given.username.len() > USERNAME_BYTES_MAX {
            self.tell_refused(now, flow, request, given.username, WhyRefused::UnknownUser);
            self.observe(now, came, Observation::Failed);
            return Verdict::Wrong;
        }
        let address = match given.username.split_once('@') {
            Some((name, domain)) => format!("{name}@{}", domain.to_ascii_lowercase()),
            None => format!("{}@{}", given.username, self.domain_of(request)),
        };
        let is_blocked = self.is_account_blocked(now, flow, &address);
        let directory = self.directory.clone();
        let user = directory.find(&address);
        // An unknown user takes the time of a wrong password.
        let nobody = Ha1::of_nobody(algorithm);
        let ha1 = user.map_or(&nobody, |user: &User| user.ha1(algorithm));
        // Credentials that were computed for another request URI let nobody call where its owner did not.
        let is_for = given.is_for(request.request_uri()) || self.names_us(given.uri);
        let verifies = ha1.verifies(&given, request.method_text());
        let why = match user {
            None => Some(WhyRefused::UnknownUser),
            Some(_) if !verifies => Some(WhyRefused::WrongPassword),
            Some(_) if !is_for => Some(WhyRefused::OtherRequest),
            // Looked at last, so that the answer takes as long as any other.
            Some(_) if is_blocked => Some(WhyRefused::Blocked),
            Some(_) => None,
        };
        if let Some(why) = why {
            self.tell_refused(now, flow, request, given.username, why);
            self.authentication_failed(now, came, &address);
            return Verdict::Wrong;
        }
        match self.nonces.judge(given.nonce, nc, now, source) {
            NonceVerdict::Fresh => {
                self.authentication_succeeded(now, came);
                let authenticated = match algorithm {
                    Algorithm::Md5 => Authentication::DigestMd5,
                    Algorithm::Sha256 => Authentication::DigestSha256,
                };
                Verdict::User { address: address.into(), authenticated }
            }
            NonceVerdict::Replayed => {
                self.tell_refused(now, flow, request, given.username, WhyRefused::UsedBefore);
                Verdict::Replayed
            }
            NonceVerdict::Stale | NonceVerdict::Forged => Verdict::Challenge { stale: true },
        }
    }

    /// Was its password wrong too often? Whoever has authenticated from this source before is not kept out by others.
    fn is_account_blocked(&self, now: Time, flow: Flow, address: &str) -> bool {
        self.directory.failures(address).is_some_and(|failures| failures.is_blocked(now))
            && !self.is_known_source(now, flow.remote.ip())
    }

    /// Right credentials for an account that is blocked count as wrong ones do: whoever is not banned for them would know
    /// that they are right. A name that nobody has is no account: what is guessed there counts against the source alone.
    fn authentication_failed(&mut self, now: Time, came: &Came, address: &str) {
        self.observe(now, came, Observation::Failed);
        let limits = self.layers.sources.limits().failures();
        if self.directory.failures(address).is_some_and(|failures| failures.failed(now, &limits)) {
            self.record_block(now, address);
        }
    }

    /// Its source is known from now on, which a block of the account does not keep out. What others have failed is not
    /// forgiven: they would have tries anew whenever the owner's telephone registers.
    fn authentication_succeeded(&mut self, now: Time, came: &Came) {
        self.observe(now, came, Observation::Authenticated);
    }

    /// Is this our own URI, and nobody's with us? Some clients, sipp for one, compute every digest for the host they talk
    /// to. Who lures a telephone into answering our challenge gets it for a host of his own.
    fn names_us(&self, uri: &str) -> bool {
        let named = Uri::parse(uri.as_bytes()).ok().filter(|uri| uri.user.is_empty());
        named.is_some_and(|uri| self.tables.domain_of_host(uri.host.as_str()).is_some())
    }

    /// The domain a request's user belongs to: that of From, when it is one of ours, else our main one.
    pub(crate) fn domain_of<B: AsRef<[u8]>>(&self, request: &Message<B>) -> Box<str> {
        let name = if request.method() == Some(Method::Register) { HeaderName::To } else { HeaderName::From };
        let address = request.value(name).and_then(|value| sx_sip::message::NameAddr::parse(value).ok());
        let given = address.map(|address| address.uri.host.as_str()).unwrap_or_default();
        let ours = self.tables.domain_of_host(given).map(Box::from);
        ours.or_else(|| self.tables.domains.first().cloned()).unwrap_or_default()
    }

    /// Answers with a challenge for each algorithm, the preferred one first.
    pub(crate) fn challenge<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        request: &Message<B>,
        proxy: bool,
        stale: bool,
    ) {
        self.counts.refuse(Refusal::Challenged);
        self.observe(now, came, Observation::Challenged);
        let (status, name) =
            if proxy { (407, HeaderName::ProxyAuthenticate) } else { (401, HeaderName::WwwAuthenticate) };
        let nonce = self.nonces.issue(now, self.source_of(came.flow.remote.ip()).address());
        let tables = self.tables.clone();
        let headers = |writer: &mut Writer| {
            for algorithm in &tables.algorithms {
                let value = challenge(&tables.realm, &nonce, *algorithm, stale);
                writer.header(name, format_args!("{value}"));
            }
        };
        self.legs.agent().reply(came.flow, request, Reply { status, headers: Some(&headers), ..Reply::default() });
    }
}

/// The longest name of a user, with its domain where that is given.
const USERNAME_BYTES_MAX: usize = 255;
