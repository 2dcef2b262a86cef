//! From the configuration to what workers read: built whole, checked, and swapped as one.

use crate::countries::Countries;
use crate::dialing::without_brackets;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use sx_bind_sip::{AssertedIdentity, HeaderRules, IdentityRules, Rules};
use sx_config::{Config, LatchMode, MediaMode};
use sx_edge::{Allowlist, IdentityLoad, Networks};
use sx_escalation::Routing;
use sx_guard::Policy;
use sx_media::{Preference, by_preference};
use sx_route::{
    Access, Announcement, DefaultsForUsers, Definition, Destination, DestinationKind, DomainFilter, Failover, Fork,
    Match, Rule, SourceFilter,
};
use sx_sip::digest::{Algorithm, Credentials};
use sx_sip::message::Uri;
use sx_sip::session::ReliablePolicy;
use sx_types::Codec;

/// What every worker reads and none changes.
#[derive(Debug)]
pub struct Tables {
    /// Our domains, in lower case; the first is the main one.
    pub domains: Vec<Box<str>>,
    /// The realm of challenges.
    pub realm: Box<str>,
    /// The algorithms of challenges, in the order they are offered.
    pub algorithms: Vec<Algorithm>,
    /// How long a nonce lives.
    pub nonce_lifetime: Duration,
    /// Our own addresses, which stand for the main domain where one is dialled.
    pub addresses: Vec<IpAddr>,
    /// Routing.
    pub routes: Arc<sx_route::Tables>,
    /// The trunks, in the order of their configuration.
    pub trunks: Vec<TrunkTable>,
    /// What holds for registered users.
    pub users: Arc<Rules>,
    /// How hazards are escalated.
    pub escalation: EscalationTable,
    /// Who may come from where.
    pub allowlist: Allowlist,
    /// Requests come from trunks and networks of organisations only.
    pub only_organisations: bool,
    /// Parts of a User-Agent that are never answered, in the case they were written in.
    pub scanners: Vec<Arc<str>>,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// Where addresses are; `None`: nobody looks.
    pub countries: Option<Arc<Countries>>,
    /// The place of the trunk that an address belongs to.
    by_source: Networks<usize>,
    called: BTreeSet<IpAddr>,
    /// The organisation of a user, `user@domain`, or of all of a domain, `*@domain`.
    members: BTreeMap<Arc<str>, Arc<str>>,
    /// Calls from users are taken without digest.
    pub unauthenticated_calls: bool,
    /// A party whose signalling shows that it is behind a NAT is believed to send media from there.
    pub nat_media: bool,
}

/// A trunk, as far as SIP is concerned.
#[derive(Debug)]
pub struct TrunkTable {
    /// Its configuration.
    pub config: Arc<sx_config::Trunk>,
    /// What holds for its legs.
    pub rules: Arc<Rules>,
    /// What it asks for, over all workers. Tables that follow each other share it.
    pub load: Arc<IdentityLoad>,
}

/// How hazards are escalated.
#[derive(Clone, Debug)]
pub struct EscalationTable {
    /// Whether a human has to decide.
    pub routing: Routing,
    /// The configuration.
    pub config: sx_config::Escalation,
}

/// The configuration does not fit together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Of the dial plan.
    #[error("{0}")]
    Route(sx_route::TableError),
    /// Of the organisations.
    #[error("{0}")]
    Allowlist(sx_edge::AllowlistError),
}

impl Tables {
    /// Builds the tables. Trunks and rooms that were in the tables `before` go on with the calls that are on them.
    ///
    /// # Errors
    /// Everything that does not fit together, all at once.
    pub fn build(config: &Config, addresses: Vec<IpAddr>, before: Option<&Self>) -> Result<Self, Vec<BuildError>> {
        let mut errors = Vec::new();
        let media = &config.media;
        let interface = media.interfaces.first().map_or_else(|| Arc::from("default"), |i| i.name.clone());
        let access =
            |mode: MediaMode, transfers, codecs: &[Codec], (srtp, srtp_keying), dtmf, hold_music: &Option<_>| {
                Access {
                    mode: mode_of(mode),
                    interface: interface.clone(),
                    // Where there is no IPv4, nobody can be offered any.
                    ipv6: media.interfaces.first().is_some_and(|i| i.ipv4.is_none() && i.ipv6.is_some()),
                    host: None,
                    transfers,
                    latch: latch_of(media.latch),
                    codecs: codecs.into(),
                    srtp,
                    srtp_keying,
                    dtmf,
                    hold_music: hold_music.clone(),
                }
            };
        let ring_ms_max = millis(config.sip.ring_timeout);
        let definition = Definition {
            domains: config.exchange.domains.iter().map(|domain| Box::from(&**domain)).collect(),
            trunks: config
                .trunks
                .iter()
                .map(|trunk| {
                    let srtp = (trunk.srtp, trunk.srtp_keying);
                    let (transfers, codecs) = (trunk.accept_refer, &trunk.codecs_allowed);
                    let access = access(trunk.media, transfers, codecs, srtp, trunk.dtmf, &trunk.hold_music);
                    route_trunk(trunk, access, ring_ms_max)
                })
                .collect(),
            rooms: config.rooms.iter().map(|room| route_room(room, media.prefer)).collect(),
            rules: config.routes.iter().flat_map(rules_of).collect(),
            users: DefaultsForUsers {
                ring_ms_max,
                access: access(media.mode, true, &[], (media.srtp, media.srtp_keying), media.dtmf, &media.hold_music),
            },
        };
        let routes = sx_route::Tables::build(definition)
            .map_err(|wrong| errors.extend(wrong.into_iter().map(BuildError::Route)))
            .map(|routes| match before {
                Some(before) => Arc::new(routes.following(&before.routes)),
                None => Arc::new(routes),
            });
        let allowlist = allowlist(config).map_err(|wrong| errors.push(BuildError::Allowlist(wrong)));
        let (Ok(routes), Ok(allowlist)) = (routes, allowlist) else { return Err(errors) };
        Ok(Self {
            domains: config.exchange.domains.iter().map(|domain| Box::from(&**domain)).collect(),
            realm: config.sip.realm.as_ref().into(),
            addresses,
            algorithms: config.registrar.algorithms.iter().map(|a| algorithm(*a)).collect(),
            nonce_lifetime: config.registrar.nonce_lifetime,
            routes,
            trunks: trunk_tables(config, before),
            escalation: escalation(config),
            allowlist,
            only_organisations: config.edge.only_organisations,
            scanners: scanners(config),
            policy: before.map(|before| before.policy.clone()).unwrap_or_default(),
            countries: None,
            by_source: by_source(&config.trunks),
            called: called(&config.trunks),
            members: members(config),
            users: Arc::new(rules_of_users()),
            unauthenticated_calls: config.danger.unauthenticated_calls,
            nat_media: config.media.latch == LatchMode::Nat,
        })
    }

    /// The domain an address is in: the main one when one of our own addresses was dialled.
    pub fn domain_of_host(&self, host: &str) -> Option<&str> {
        let named = self.domains.iter().find(|ours| ours.eq_ignore_ascii_case(host));
        let ip: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let is_ours = ip.is_some_and(|ip| self.addresses.contains(&ip));
        named.or(self.domains.first().filter(|_| is_ours)).map(|domain| &**domain)
    }

    /// Ours where one of our domains or addresses was dialled; else the host with port and transport, to go on to.
    pub fn dialled_domain(&self, uri: &Uri<'_>) -> Box<str> {
        if let Some(ours) = self.domain_of_host(uri.host.as_str()) {
            return ours.into();
        }
        sx_bind_sip::domain_with_way(uri)
    }

    /// Is the domain one of ours?
    pub fn is_ours(&self, domain: &str) -> bool {
        self.domains.iter().any(|ours| ours.eq_ignore_ascii_case(domain))
    }

    /// The same with another policy.
    #[must_use]
    pub fn with_policy(self, policy: Arc<Policy>) -> Self {
        Self { policy, ..self }
    }

    /// The same with a database of countries.
    #[must_use]
    pub fn with_countries(self, countries: Option<Arc<Countries>>) -> Self {
        Self { countries, ..self }
    }

    /// The trunk that this address belongs to: of those whose networks it is in, the one with the longest prefix.
    pub fn trunk_at(&self, address: IpAddr) -> Option<&TrunkTable> {
        self.by_source.find(address).map(|place| &self.trunks[*place])
    }

    /// Is something of a trunk there: may it call in from there, or does it say in numbers that calls to it go there?
    pub fn is_of_trunk(&self, address: IpAddr) -> bool {
        self.called.contains(&address) || self.trunk_at(address).is_some()
    }

    /// The organisation that a user is a member of.
    pub fn organisation_of(&self, user: &str) -> Option<&str> {
        if self.members.is_empty() {
            return None;
        }
        let of_domain = || self.members.get(format!("*@{}", user.split_once('@')?.1).as_str());
        self.members.get(user).or_else(of_domain).map(|name| &**name)
    }

    /// The trunk with this name.
    pub fn trunk(&self, name: &str) -> Option<&TrunkTable> {
        self.trunks.iter().find(|trunk| *trunk.config.name == *name)
    }
}

/// What is known of each trunk beside its routes. One that was there `before` goes on with its calls.
fn trunk_tables(config: &Config, before: Option<&Tables>) -> Vec<TrunkTable> {
    let main_domain = config.exchange.domains.first().map(|domain| &**domain);
    let table = |trunk: &Arc<sx_config::Trunk>| TrunkTable {
        config: trunk.clone(),
        rules: Arc::new(trunk_rules(trunk, main_domain)),
        load: before.and_then(|b| b.trunk(&trunk.name)).map(|then| then.load.clone()).unwrap_or_default(),
    };
    config.trunks.iter().map(table).collect()
}

fn escalation(config: &Config) -> EscalationTable {
    let told = &config.escalation;
    let fraction = |milli: u32| f64::from(milli) / 1_000.0;
    // A configuration that was read has them in this order.
    let routing = Routing::new(fraction(told.escalate_below_milli), fraction(told.share_from_milli));
    EscalationTable { routing: routing.unwrap_or_default(), config: told.clone() }
}

fn rules_of_users() -> Rules {
    Rules {
        headers: HeaderRules::usual(),
        identity: IdentityRules::default(),
        reliable: ReliablePolicy::Supported,
        session_timer: true,
        credentials: None,
        early_media: true,
    }
}

fn scanners(config: &Config) -> Vec<Arc<str>> {
    match &config.edge.scanners {
        Some(scanners) => scanners.clone(),
        None => sx_edge::SCANNERS.iter().map(|name| Arc::from(*name)).collect(),
    }
}

fn allowlist(config: &Config) -> Result<Allowlist, sx_edge::AllowlistError> {
    let organisation = |organisation: &Arc<sx_config::Organisation>| sx_edge::Organisation {
        name: organisation.name.clone(),
        networks: organisation.networks.clone(),
        tls_required: organisation.tls_required,
    };
    Allowlist::build(config.organisations.iter().map(organisation).collect())
}

fn members(config: &Config) -> BTreeMap<Arc<str>, Arc<str>> {
    let of = |organisation: &Arc<sx_config::Organisation>| {
        let name = organisation.name.clone();
        organisation.members.iter().map(move |member| (member.clone(), name.clone())).collect::<Vec<_>>()
    };
    config.organisations.iter().flat_map(of).collect()
}

/// Where two trunks have a network, the first is meant.
fn by_source(trunks: &[Arc<sx_config::Trunk>]) -> Networks<usize> {
    let mut networks = Networks::new();
    for (place, trunk) in trunks.iter().enumerate().rev() {
        for network in &trunk.sources {
            networks.insert(*network, place);
        }
    }
    networks
}

/// Where calls to trunks go, as far as that is said in numbers.
fn called(trunks: &[Arc<sx_config::Trunk>]) -> BTreeSet<IpAddr> {
    let addresses = trunks.iter().flat_map(|trunk| &trunk.addresses);
    addresses.filter_map(|address| without_brackets(&address.uri.host.host).parse().ok()).collect()
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn mode_of(mode: MediaMode) -> sx_route::MediaMode {
    match mode {
        MediaMode::Relay => sx_route::MediaMode::Relay,
        MediaMode::Direct => sx_route::MediaMode::Direct,
    }
}

fn latch_of(latch: LatchMode) -> sx_route::LatchMode {
    match latch {
        LatchMode::Exact => sx_route::LatchMode::Exact,
        LatchMode::Port => sx_route::LatchMode::Port,
        LatchMode::Nat => sx_route::LatchMode::Nat,
    }
}

fn algorithm(named: sx_config::DigestAlgorithm) -> Algorithm {
    match named {
        sx_config::DigestAlgorithm::Sha256 => Algorithm::Sha256,
        sx_config::DigestAlgorithm::Md5 => Algorithm::Md5,
    }
}

fn route_trunk(trunk: &sx_config::Trunk, access: Access, ring_ms_max: u32) -> sx_route::Trunk {
    sx_route::Trunk {
        name: trunk.name.clone(),
        calls_max: u32::try_from(trunk.calls_max).unwrap_or(u32::MAX),
        calls_per_s_max: trunk.calls_per_s_max,
        load: Arc::default(),
        failover: Failover::Causes(trunk.failover_causes.clone().into()),
        ring_ms_max,
        access: Access { host: host_of(trunk), ..access },
    }
}

/// Of what a room may be spoken to in, this build may not have all: Opus is left out of some.
fn route_room(room: &sx_config::Room, prefer: Preference) -> sx_route::Room {
    let codecs = room.codecs.iter().copied().filter(|codec| sx_audio::can_code(*codec));
    sx_route::Room {
        name: room.name.clone(),
        members_max: room.members_max,
        codecs: by_preference(codecs, prefer).into(),
        sounds: room.sounds.clone(),
        members: Arc::default(),
    }
}

/// The address of a trunk that is tried first, when it is numeric: what its media is told must be known before one is
/// chosen.
fn host_of(trunk: &sx_config::Trunk) -> Option<IpAddr> {
    let first = trunk.addresses.iter().min_by_key(|address| address.priority)?;
    first.uri.host.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn trunk_rules(trunk: &sx_config::Trunk, main_domain: Option<&str>) -> Rules {
    let boxed = |names: &[Arc<str>]| names.iter().map(|name| Box::from(&**name)).collect();
    Rules {
        headers: HeaderRules {
            pass: boxed(&trunk.headers.pass),
            set: trunk.headers.set.iter().map(|(name, value)| (Box::from(&**name), Box::from(&**value))).collect(),
            remove: boxed(&trunk.headers.remove),
        },
        identity: IdentityRules {
            from_user: trunk.from_user.as_deref().map(Into::into),
            from_domain: trunk.from_domain.as_deref().or(main_domain).map(Into::into),
            asserted: match trunk.asserted_identity {
                sx_config::AssertedIdentity::Pass => AssertedIdentity::Pass,
                sx_config::AssertedIdentity::Set => AssertedIdentity::Set,
                sx_config::AssertedIdentity::Remove => AssertedIdentity::Remove,
            },
            honours_privacy: trunk.privacy == sx_config::Privacy::Honour,
            trusted: true,
        },
        reliable: match trunk.reliable_provisional {
            sx_config::ReliableProvisional::Off => ReliablePolicy::Off,
            sx_config::ReliableProvisional::Supported => ReliablePolicy::Supported,
            sx_config::ReliableProvisional::Required => ReliablePolicy::Required,
        },
        session_timer: trunk.session_timer,
        credentials: trunk.credentials.as_ref().map(|c| {
            Arc::new(Credentials { username: c.username.as_ref().into(), password: c.password.expose().into() })
        }),
        early_media: trunk.early_media,
    }
}

/// A route is one rule, or two when it is for some trunks and for users as well.
fn rules_of(route: &Arc<sx_config::Route>) -> Vec<Rule> {
    let matches = match &route.number {
        sx_config::NumberMatch::Any => Match::Prefix("".into()),
        sx_config::NumberMatch::Exact(text) => Match::Exact(text.as_ref().into()),
        sx_config::NumberMatch::Prefix(text) => Match::Prefix(text.as_ref().into()),
        sx_config::NumberMatch::Pattern(pattern) => Match::Pattern(pattern.clone()),
    };
    let sources = match &route.callers {
        sx_config::Callers::Anyone => vec![SourceFilter::Any],
        sx_config::Callers::Only { trunks, users } => {
            let trunks = (!trunks.is_empty()).then(|| SourceFilter::Trunks(trunks.clone()));
            trunks.into_iter().chain(users.then_some(SourceFilter::Users)).collect()
        }
    };
    let rule = |source| Rule {
        name: route.name.clone(),
        source,
        domain: domain_of(route),
        matches: matches.clone(),
        strip: u8::try_from(route.strip).unwrap_or(u8::MAX),
        prepend: route.prepend.as_ref().into(),
        destinations: route.targets.iter().map(destination).collect(),
        fork: Fork::Serial,
        ring_ms_max: Some(millis(route.ring_timeout)),
    };
    sources.into_iter().map(rule).collect()
}

fn domain_of(route: &sx_config::Route) -> DomainFilter {
    let dialled = route.targets.iter().any(|target| target.kind == sx_config::TargetKind::Dialled);
    if dialled { DomainFilter::Elsewhere } else { DomainFilter::Ours }
}

fn destination(target: &sx_config::Target) -> Destination {
    let kind = match &target.kind {
        sx_config::TargetKind::Trunk { name, .. } => DestinationKind::Trunk(name.clone()),
        sx_config::TargetKind::Users => DestinationKind::Users,
        sx_config::TargetKind::Room(name) => DestinationKind::Room(name.clone()),
        sx_config::TargetKind::Announcement { sound, answer, cause } => {
            let (sound, cause) = (sound.clone(), *cause);
            DestinationKind::Announcement(Announcement { sound, answers: *answer, cause })
        }
        sx_config::TargetKind::Uri(uri) => DestinationKind::Uri(uri.to_string().into()),
        sx_config::TargetKind::Dialled => DestinationKind::Dialled { scheme: "sip".into() },
    };
    let user = match &target.kind {
        sx_config::TargetKind::Trunk { user_rewrite, .. } if &*user_rewrite.0 != "{user}" => {
            Some(user_rewrite.0.as_ref().into())
        }
        _ => None,
    };
    Destination { kind, priority: target.priority, weight: target.weight, user }
}
