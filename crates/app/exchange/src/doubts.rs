//! What is no error in a configuration or a policy, and yet hardly meant: whoever starts the exchange, or checks it, is told.

use crate::obligations::{Recordings, unmet_rules};
use std::collections::BTreeSet;
use std::fmt;
use sx_config::{Config, SipUri, Trunk};
use sx_guard::{Conditions, Definition, IdentityPattern, Policy, Rule, SourceKind, Then};
use sx_types::{Codec, Kind, SrtpKeying, SrtpPolicy, Transport};

/// Something that is hardly meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// What says it.
    pub about: About,
    /// The key that says it, as `trunk[west].codecs_allowed`.
    pub key: String,
    /// What becomes of it.
    pub sentence: String,
}

/// What says something that is hardly meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The configuration.
    Configuration,
    /// The policy.
    Policy,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, sentence, .. } = self;
        if key.is_empty() { f.write_str(sentence) } else { write!(f, "{key}: {sentence}") }
    }
}

impl Doubt {
    fn of_configuration(key: String, sentence: impl Into<String>) -> Self {
        Self { about: About::Configuration, key, sentence: sentence.into() }
    }

    fn of_policy(key: String, sentence: impl Into<String>) -> Self {
        Self { about: About::Policy, key, sentence: sentence.into() }
    }
}

/// What is hardly meant in a configuration, whatever the policy says.
pub fn doubts_of(config: &Config) -> Vec<Doubt> {
    let of_users = users_in_clear(config).then(|| {
        let key = "media.srtp".to_owned();
        Doubt::of_configuration(key, keys_in_clear("users", "no place to listen is for tls or wss"))
    });
    let of_trunks = config.trunks.iter().filter_map(|trunk| trunk_in_clear(config, trunk));
    let silent = config.trunks.iter().filter(|trunk| rides_along_only(&trunk.codecs_allowed)).map(|trunk| {
        let key = format!("trunk[{}].codecs_allowed", trunk.name);
        Doubt::of_configuration(key, RIDES_ALONG)
    });
    of_users.into_iter().chain(of_trunks).chain(silent).chain(unrecorded_proxies(config)).collect()
}

/// The ground for recordings of proxies is given, and there are none.
fn unrecorded_proxies(config: &Config) -> Option<Doubt> {
    config.ng.recording_consent?;
    let why = match (config.ng.is_spoken(), config.recording.is_some()) {
        (true, true) => return None,
        (false, _) => "neither ng.listen_udp nor ng.listen_tcp is there, so that no proxy can ask for a recording",
        (true, false) => "[recording] is not there, so that recordings are refused",
    };
    Some(Doubt::of_configuration("ng.recording_consent".to_owned(), why))
}

/// What is hardly meant in a policy, whatever the configuration says but for this: can calls be recorded?
pub fn doubts_of_policy(policy: &Policy, recordings: Recordings) -> Vec<Doubt> {
    let unmet = unmet_rules(policy, recordings).map(|unmet| Doubt::of_policy(String::new(), unmet.to_string()));
    let lists = codec_lists(policy.definition()).into_iter();
    let silent = lists.filter(|(_, list)| rides_along_only(list)).map(|(key, _)| Doubt::of_policy(key, RIDES_ALONG));
    unmet.chain(silent).chain(unheard(policy, None)).collect()
}

/// What is hardly meant in a policy for this configuration, besides what [`doubts_of_policy`] says.
pub fn doubts_between(config: &Config, policy: &Policy) -> Vec<Doubt> {
    let unknown = unknown_trunks(config, policy).chain(unknown_organisations(config, policy));
    let without = unheard(policy, None);
    let unheard = unheard(policy, Some(config)).into_iter().filter(|doubt| !without.contains(doubt));
    unknown
        .chain(unknown_identities(config, policy))
        .chain(never_called(config, policy))
        .chain(unheard)
        .chain(unheard_trunks(config, policy))
        .collect()
}

fn keys_in_clear(whose: &str, why: &str) -> String {
    format!(
        "required, with keys in descriptions (srtp_keying = \"sdes\"): the signalling of {whose} is in the clear, since {why}, and \
         whoever reads it has the keys"
    )
}

/// Is there a place to listen, and none that is encrypted?
fn listens_in_clear(config: &Config) -> bool {
    let listen = &config.sip.listen;
    !listen.is_empty() && !listen.iter().any(|listen| listen.transport.is_secure())
}

fn users_in_clear(config: &Config) -> bool {
    let media = &config.media;
    media.srtp == SrtpPolicy::Required && media.srtp_keying == SrtpKeying::Sdes && listens_in_clear(config)
}

fn trunk_in_clear(config: &Config, trunk: &Trunk) -> Option<Doubt> {
    if trunk.srtp != SrtpPolicy::Required || trunk.srtp_keying != SrtpKeying::Sdes {
        return None;
    }
    let is_secure = |uri: &SipUri| Transport::of_uri(uri.transport, uri.secure).is_secure();
    let why = match &trunk.addresses[..] {
        [] if listens_in_clear(config) => "no place to listen is for tls or wss",
        [_, ..] if !trunk.addresses.iter().any(|address| is_secure(&address.uri)) => {
            "no address of it begins with sips: or has transport=tls or wss"
        }
        _ => return None,
    };
    Some(Doubt::of_configuration(format!("trunk[{}].srtp", trunk.name), keys_in_clear("the trunk", why)))
}

/// Does a list allow something, and no sound or pictures that it could go beside?
fn rides_along_only(codecs: &[Codec]) -> bool {
    !codecs.is_empty() && codecs.iter().all(|codec| codec.kind() == Kind::BesideAudio)
}

const RIDES_ALONG: &str =
    "what is on the list goes beside sound and never alone, so that there is no codec left for a call";

/// Every list of codecs in a policy, with its key.
fn codec_lists(definition: &Definition) -> Vec<(String, &[Codec])> {
    let gate = &definition.codec;
    let named = |what: &'static str, lists: &'_ [(Box<str>, Vec<Codec>)]| -> Vec<String> {
        lists.iter().map(|(name, _)| format!("gate.codec.{what}[{name}].allowed")).collect()
    };
    let (classes, trunks) = (named("class", &gate.classes), named("trunk", &gate.trunks));
    let of_all = gate.allowed.iter().map(|list| ("gate.codec.allowed".to_owned(), &list[..]));
    let of_classes = classes.into_iter().zip(gate.classes.iter().map(|(_, list)| &list[..]));
    let of_trunks = trunks.into_iter().zip(gate.trunks.iter().map(|(_, list)| &list[..]));
    let rules = definition.rules.iter().filter(|rule| rule.then != Then::Reject);
    let of_rules =
        rules.filter_map(|rule| Some((of_rule(rule, "obligations.codecs"), rule.obligations.codecs.as_deref()?)));
    of_all.chain(of_classes).chain(of_trunks).chain(of_rules).collect()
}

fn of_rule(rule: &Rule, key: &str) -> String {
    format!("rule[{}].{key}", rule.name)
}

/// Is there something on both lists that is not only beside something else? No list: anything.
fn share(one: Option<&[Codec]>, other: Option<&[Codec]>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return true };
    one.iter().any(|codec| codec.kind() != Kind::BesideAudio && other.contains(codec))
}

/// What the codec gate allows for a trunk.
fn allowed_for<'p>(definition: &'p Definition, trunk: &str, class: &str) -> Option<&'p [Codec]> {
    let gate = &definition.codec;
    let named = |lists: &'p [(Box<str>, Vec<Codec>)], name: &str| {
        lists.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, list)| &list[..])
    };
    named(&gate.trunks, trunk).or_else(|| named(&gate.classes, class)).or(gate.allowed.as_deref())
}

/// Rules that leave those whom they bind no codec: none that the gate allows them, nor, in a configuration, the trunk.
fn unheard(policy: &Policy, config: Option<&Config>) -> Vec<Doubt> {
    let definition = policy.definition();
    let rules = definition.rules.iter().filter(|rule| rule.then != Then::Reject);
    let bound = rules.filter_map(|rule| Some((rule, rule.obligations.codecs.as_deref()?)));
    let unheard = bound.filter(|(_, codecs)| !rides_along_only(codecs)).filter(|(rule, codecs)| {
        let lists = lists_for(policy, config, &rule.when);
        !lists.iter().any(|list| list.iter().all(|one| share(Some(codecs), *one)))
    });
    let sentence = "none of these codecs is on the list of anybody whom the rule binds, so that it refuses all of them";
    unheard.map(|(rule, _)| Doubt::of_policy(of_rule(rule, "obligations.codecs"), sentence)).collect()
}

/// For each kind of asker that a rule may bind, the lists that hold for it.
fn lists_for<'a>(policy: &'a Policy, config: Option<&'a Config>, when: &Conditions) -> Vec<[Option<&'a [Codec]>; 2]> {
    let definition = policy.definition();
    let gate = &definition.codec;
    if !when.trunk.is_empty() {
        let of_trunk = |name: &str| {
            let class = policy.registered(name).map_or(TRUNK, |entry| class_or(&entry.class));
            let trunk =
                config.and_then(|config| config.trunks.iter().find(|trunk| trunk.name.eq_ignore_ascii_case(name)));
            let own = trunk.map(|trunk| &trunk.codecs_allowed[..]).filter(|list| !list.is_empty());
            [allowed_for(definition, name, class), own]
        };
        return when.trunk.iter().map(|name| of_trunk(name)).collect();
    }
    let is_meant = |class: &str| when.class.is_empty() || when.class.iter().any(|one| one.eq_ignore_ascii_case(class));
    let classes = gate.classes.iter().filter(|(class, _)| is_meant(class)).map(|(_, list)| Some(&list[..]));
    let with_list = |class: &str| gate.classes.iter().any(|(known, _)| known.eq_ignore_ascii_case(class));
    // Whoever is in no class that has a list.
    let others = when.class.is_empty() || when.class.iter().any(|class| !with_list(class));
    let from_trunks = when.source.is_empty() || when.source.contains(&SourceKind::Trunk);
    let trunks = gate.trunks.iter().filter(|_| from_trunks).map(|(_, list)| Some(&list[..]));
    classes.chain(trunks).chain(others.then_some(gate.allowed.as_deref())).map(|list| [list, None]).collect()
}

/// The class of whoever has no other.
const TRUNK: &str = "trunk";

fn class_or(class: &str) -> &str {
    if class.is_empty() { TRUNK } else { class }
}

/// Trunks of which the policy allows nothing that the configuration does.
fn unheard_trunks(config: &Config, policy: &Policy) -> Vec<Doubt> {
    let unheard = config.trunks.iter().filter(|trunk| {
        let class = policy.registered(&trunk.name).map_or(TRUNK, |entry| class_or(&entry.class));
        let list = allowed_for(policy.definition(), &trunk.name, class);
        let own = Some(&trunk.codecs_allowed[..]).filter(|own| !own.is_empty() && !rides_along_only(own));
        !list.is_some_and(rides_along_only) && !share(list, own)
    });
    let told = unheard.map(|trunk| {
        let key = format!("trunk[{}].codecs_allowed", trunk.name);
        Doubt::of_configuration(
            key,
            "the policy allows none of these codecs for the trunk, so that it refuses its calls",
        )
    });
    told.collect()
}

fn knows_trunk(config: &Config, name: &str) -> bool {
    config.trunks.iter().any(|trunk| trunk.name.eq_ignore_ascii_case(name))
}

/// The trunks that a policy names and the configuration does not have: what it says of them is said in vain.
fn unknown_trunks<'p>(config: &'p Config, policy: &'p Policy) -> impl Iterator<Item = Doubt> + 'p {
    let unknown = policy.trunks().into_iter().filter(|name| !knows_trunk(config, name));
    unknown.map(|trunk| {
        let sentence = format!("it names the trunk {trunk}, which the configuration does not have");
        Doubt::of_policy(String::new(), sentence)
    })
}

/// Rules for organisations that nobody belongs to: the configuration gives them no members, nor does the registry.
fn unknown_organisations<'p>(config: &'p Config, policy: &'p Policy) -> impl Iterator<Item = Doubt> + 'p {
    let rules = policy.rules().iter().flat_map(|rule| rule.when.organisation.iter().map(move |name| (rule, name)));
    rules.filter_map(|(rule, name)| {
        let known = config.organisations.iter().find(|organisation| organisation.name.eq_ignore_ascii_case(name));
        let registered = policy.registry().any(|entry| entry.organisation.eq_ignore_ascii_case(name));
        let why = match known {
            _ if registered => return None,
            None => "neither the configuration nor the registry has".to_owned(),
            Some(known) if known.members.is_empty() => "has no members".to_owned(),
            Some(_) => return None,
        };
        let sentence = format!("matches nobody of the organisation {name}, which {why}");
        Some(Doubt::of_policy(of_rule(rule, "when.organisation"), sentence))
    })
}

/// Identities that nobody here can have: of another domain than ours, or the name of no trunk.
fn unknown_identities<'p>(config: &'p Config, policy: &'p Policy) -> impl Iterator<Item = Doubt> + 'p {
    let domains: BTreeSet<String> = config.exchange.domains.iter().map(|domain| domain.to_ascii_lowercase()).collect();
    let is_known = move |identity: &str| match identity.rsplit_once('@') {
        Some((_, domain)) => domains.contains(&domain.to_ascii_lowercase()),
        None => knows_trunk(config, identity),
    };
    // Who need not authenticate may come under any name.
    let anybody = config.danger.unauthenticated_calls;
    let by_rules = policy.rules().iter().flat_map(|rule| {
        let shown = |identity: &IdentityPattern| (of_rule(rule, "when.identity"), identity.to_string());
        rule.when.identity.iter().map(shown).collect::<Vec<_>>()
    });
    let by_rates = policy.definition().rate.identities.iter();
    let by_rates = by_rates.map(|(name, _)| (format!("gate.rate.identity[{name}]"), name.to_string()));
    let by_registry =
        policy.registry().map(|entry| (format!("identity[{}]", entry.identity), entry.identity.to_string()));
    let named = by_rules.chain(by_rates).chain(by_registry);
    named.filter(move |(_, identity)| !anybody && !is_known(identity)).map(|(key, identity)| {
        let sentence = format!("nobody is {identity}: it is of no domain and no trunk of the configuration");
        Doubt::of_policy(key, sentence)
    })
}

/// Rules for calls from trunks that call nobody here: the configuration does not say where they come from.
fn never_called<'p>(config: &'p Config, policy: &'p Policy) -> impl Iterator<Item = Doubt> + 'p {
    let rules = policy.rules().iter().flat_map(|rule| rule.when.trunk.iter().map(move |name| (rule, name)));
    let silent = rules.filter(|(_, name)| {
        let trunk = config.trunks.iter().find(|trunk| trunk.name.eq_ignore_ascii_case(name));
        trunk.is_some_and(|trunk| trunk.sources.is_empty())
    });
    silent.map(|(rule, name)| {
        let sentence = format!(
            "no call comes from the trunk {name}, which has no sources; it is asked of transfers and redirections only"
        );
        Doubt::of_policy(of_rule(rule, "when.trunk"), sentence)
    })
}
