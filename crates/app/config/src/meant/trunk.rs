//! `[[trunk]]`: a peer that calls come from and go to.

use crate::meant::MediaMode;
use crate::secret::Secret;
use crate::value::SipUri;
use std::sync::Arc;
use std::time::Duration;
use sx_types::{Cause, Codec, Dtmf, HoldMusic, Network, SrtpKeying, SrtpPolicy};

/// One trunk.
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// Its name, unique.
    pub name: Arc<str>,
    /// Where calls to it go, sorted by priority (lowest first). Empty: it only calls in.
    pub addresses: Vec<TrunkAddress>,
    /// Who may call in as this trunk without digest.
    pub sources: Vec<Network>,
    /// What its challenges are answered with; `None`: they are not answered.
    pub credentials: Option<Credentials>,
    /// How the exchange registers with it; `None`: it does not.
    pub register: Option<TrunkRegistration>,
    /// How often its addresses are probed with OPTIONS; `None`: never.
    pub options_interval: Option<Duration>,
    /// Calls at a time, both ways.
    pub calls_max: usize,
    /// New calls a second, both ways.
    pub calls_per_s_max: u32,
    /// The codecs that may be offered and accepted; empty: any.
    pub codecs_allowed: Vec<Codec>,
    /// Do packets pass through the exchange?
    pub media: MediaMode,
    /// Whether its RTP is protected.
    pub srtp: SrtpPolicy,
    /// Where the keys come from that it is offered.
    pub srtp_keying: SrtpKeying,
    /// How it tells keys and is told them.
    pub dtmf: Dtmf,
    /// What it hears when it is put on hold.
    pub hold_music: Option<HoldMusic>,
    /// The user part of From in calls to it; `None`: the caller's.
    pub from_user: Option<Arc<str>>,
    /// The host part of From in calls to it; `None`: the main domain of the exchange.
    pub from_domain: Option<Arc<str>>,
    /// What happens to `P-Asserted-Identity` (RFC 3325) in calls to it.
    pub asserted_identity: AssertedIdentity,
    /// What a caller's wish for privacy (RFC 3323) means in calls to it.
    pub privacy: Privacy,
    /// Which other headers pass.
    pub headers: HeaderRules,
    /// Is audio before the answer passed on to the caller?
    pub early_media: bool,
    /// Reliable provisional responses (RFC 3262).
    pub reliable_provisional: ReliableProvisional,
    /// Are session timers used (RFC 4028)?
    pub session_timer: bool,
    /// May it transfer calls with REFER (RFC 3515)?
    pub accept_refer: bool,
    /// The causes after which another address or target is tried.
    pub failover_causes: Vec<Cause>,
}

/// One place of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkAddress {
    /// Where.
    pub uri: SipUri,
    /// The share of calls among addresses of the same priority.
    pub weight: u16,
    /// Lower ones are tried first.
    pub priority: u16,
}

/// A username and its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The username.
    pub username: Arc<str>,
    /// The password.
    pub password: Secret,
}

/// `trunk.register`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkRegistration {
    /// Where REGISTER goes.
    pub registrar: SipUri,
    /// The address of record that is registered.
    pub aor: SipUri,
    /// The lifetime that is asked for.
    pub expires: Duration,
}

/// What happens to `P-Asserted-Identity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertedIdentity {
    /// It passes as it came.
    Pass,
    /// It is made from the caller's From.
    Set,
    /// It is taken out.
    Remove,
}

/// What a caller's wish for privacy means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// The caller's identity is withheld.
    Honour,
    /// The trunk is trusted with it; the wish passes along.
    Ignore,
}

/// Whether provisional responses are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReliableProvisional {
    /// Never.
    Off,
    /// When the peer can.
    Supported,
    /// Always; a peer that cannot is refused.
    Required,
}

/// Which headers pass from one leg to the other, beyond those a call needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderRules {
    /// Names that pass, lower case; a `*` at the end stands for any rest.
    pub pass: Vec<Arc<str>>,
    /// Headers that are set, name and value, sorted by name.
    pub set: Vec<(Arc<str>, Arc<str>)>,
    /// Names that do not pass though `pass` has them, lower case; a `*` at the end stands for any rest.
    pub remove: Vec<Arc<str>>,
}

impl Trunk {
    /// The addresses in the order to try them: by priority, and among those of one priority drawn by weight with this
    /// chance.
    pub fn addresses_in_order(&self, chance: u64) -> Vec<&SipUri> {
        let mut remaining: Vec<&TrunkAddress> = self.addresses.iter().collect();
        remaining.sort_by_key(|address| address.priority);
        let mut chance = chance;
        let mut ordered = Vec::with_capacity(remaining.len());
        while let Some(first) = remaining.first() {
            let same = remaining.iter().take_while(|address| address.priority == first.priority).count();
            let total: u64 = remaining[..same].iter().map(|address| u64::from(address.weight)).sum();
            let mut point = chance % total.max(1);
            chance = (chance / total.max(1)) ^ chance.rotate_left(23);
            let chosen = remaining[..same].iter().position(|address| {
                let inside = point < u64::from(address.weight);
                point = point.saturating_sub(u64::from(address.weight));
                inside
            });
            ordered.push(&remaining.remove(chosen.unwrap_or(0)).uri);
        }
        ordered
    }
}

impl HeaderRules {
    /// Does a header with this name pass?
    pub fn passes(&self, name: &str) -> bool {
        let named = |patterns: &[Arc<str>]| patterns.iter().any(|pattern| pattern_matches(pattern, name));
        named(&self.pass) && !named(&self.remove)
    }
}

fn pattern_matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)),
        None => pattern.eq_ignore_ascii_case(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_drawn_by_weight_within_their_priority() {
        let entry =
            |host, weight, priority| format!("{{ uri = \"sip:{host}\", weight = {weight}, priority = {priority} }}");
        let entries = [entry("c", 1, 2), entry("a", 3, 1), entry("b", 1, 1)].join(", ");
        let text = format!("[[trunk]]\nname = \"t\"\naddresses = [{entries}]\n");
        let config = crate::Config::from_text(&text).expect("a good configuration");
        let trunk = &config.trunks[0];
        let first = |chance| trunk.addresses_in_order(chance)[0].host.host.to_string();
        let drawn = (0..400).filter(|chance| first(*chance) == "a").count();
        assert_eq!(drawn, 300);
        assert!((0..9).all(|chance| trunk.addresses_in_order(chance)[2].host.host.as_ref() == "c"));
    }

    #[test]
    fn removal_wins_over_passing() {
        let rules = HeaderRules { pass: vec!["x-*".into()], set: vec![], remove: vec!["x-secret".into()] };
        assert!(rules.passes("X-Account"));
        assert!(!rules.passes("X-Secret"));
        assert!(!rules.passes("Subject"));
        assert!(!rules.passes("é"));
    }
}
