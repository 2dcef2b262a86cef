//! What a policy is built from.

use crate::facts::{Action, AuthenticationKind, PerAction, SourceKind, worded};
use crate::value::{Country, Hours, IdentityPattern, PublicKey};
use std::time::Duration;
use sx_types::{Codec, Consent, Network, Transport};

/// Everything that a policy says, already validated value by value; [`Policy::build`](crate::Policy::build) checks
/// that it fits together. `Definition::default()` is what an empty policy file means.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Definition {
    /// Who must show what before anything else is looked at.
    pub authenticity: AuthenticityGate,
    /// What becomes of identities that the registry does not have.
    pub identity: IdentityGate,
    /// The identities that are known by name.
    pub registry: Vec<Entry>,
    /// The rules, in the order of the file.
    pub rules: Vec<Rule>,
    /// How much bandwidth there is for whoever escalates.
    pub fairness: FairnessGate,
    /// Which codecs may be used.
    pub codec: CodecGate,
    /// How many requests and calls there may be.
    pub rate: RateGate,
}

/// Which authentication an action needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticityGate {
    /// Any of these will do for the action.
    pub accepts: PerAction<Vec<AuthenticationKind>>,
    /// Of these, the first that is for the action and the kind of source holds instead.
    pub exceptions: Vec<AuthenticityException>,
    /// How old a signature may be, and how far ahead of us its maker's clock.
    pub signature_age_max: Duration,
}

/// Another authentication for some actions from some sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticityException {
    /// For these actions; empty for all.
    pub actions: Vec<Action>,
    /// For these kinds of source; empty for all.
    pub sources: Vec<SourceKind>,
    /// Any of these will do.
    pub accepts: Vec<AuthenticationKind>,
}

/// What becomes of identities that the registry does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityGate {
    /// For each action.
    pub unlisted: PerAction<Unlisted>,
}

worded! {
    /// May an identity that the registry does not have go on?
    pub enum Unlisted {
        /// It may.
        Approve = "approve",
        /// It may not.
        Reject = "reject",
    }
}

worded! {
    /// How an identity of the registry stands.
    pub enum Status {
        /// In good standing.
        Active = "active",
        /// Not for now.
        Suspended = "suspended",
        /// Never again.
        Revoked = "revoked",
    }
}

/// An identity of the registry. One identity has one entry and one key, and a key has one identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `user@domain`, or the name of a trunk.
    pub identity: Box<str>,
    /// How it stands.
    pub status: Status,
    /// The key its signatures are made with.
    pub key: Option<PublicKey>,
    /// Its class: `expert` or any other word that rules, codecs and rates name. Empty for that of whoever has no entry:
    /// `user`, `trunk`, `anonymous` or `exchange`, as the source is.
    pub class: Box<str>,
    /// The organisation it belongs to; empty when that is not said.
    pub organisation: Box<str>,
}

/// Which codecs may be used. The list of the trunk holds, else that of the class, else the one for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecGate {
    /// The actions whose codecs are looked at.
    pub actions: Vec<Action>,
    /// For whom nothing else is said; `None` for any codec.
    pub allowed: Option<Vec<Codec>>,
    /// For classes, by name.
    pub classes: Vec<(Box<str>, Vec<Codec>)>,
    /// For trunks, by name.
    pub trunks: Vec<(Box<str>, Vec<Codec>)>,
}

/// How much bandwidth the calls of one identity may take, in kilobits a second; `u32::MAX` for any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FairnessGate {
    /// Those of a user or a trunk.
    pub user_kbps: u32,
    /// Those of a guardian.
    pub guardian_kbps: u32,
    /// Those of anybody in an emergency.
    pub emergency_kbps: u32,
}

/// How many requests and calls there may be. The rate of the identity holds, else that of the trunk, else that of the
/// class, else, for users and for the anonymous, the one for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateGate {
    /// The actions that are counted.
    pub actions: Vec<Action>,
    /// For users and the anonymous.
    pub users: Rate,
    /// For classes, by name.
    pub classes: Vec<(Box<str>, Rate)>,
    /// For trunks, by name.
    pub trunks: Vec<(Box<str>, Rate)>,
    /// For identities, by name.
    pub identities: Vec<(Box<str>, Rate)>,
}

/// How many requests in which time, and how many calls at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests in the window; `u32::MAX` for no limit.
    pub limit: u32,
    /// The window, which slides.
    pub window: Duration,
    /// Calls at a time; `u32::MAX` for no limit.
    pub calls_max: u32,
}

/// The class of whoever escalates and stands among the guardians.
pub const GUARDIAN: &str = "guardian";

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name; unique.
    pub name: Box<str>,
    /// All of these must hold.
    pub when: Conditions,
    /// What it then says.
    pub then: Then,
    /// The SIP status of a refusal; 403 when none is given.
    pub status: Option<u16>,
    /// The sentence of a refusal.
    pub reason: Option<Box<str>>,
    /// What an approval is bound to.
    pub obligations: Obligations,
}

worded! {
    /// What a rule says when it matches.
    pub enum Then {
        /// Yes; no further rule is asked.
        Approve = "approve",
        /// No.
        Reject = "reject",
        /// These obligations, should it be approved; further rules are asked.
        Conditional = "conditional",
    }
}

/// When a rule matches. An empty list is no condition; the values of one list are alternatives.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Conditions {
    /// What is asked for.
    pub action: Vec<Action>,
    /// Where it comes from.
    pub source: Vec<SourceKind>,
    /// From which trunk.
    pub trunk: Vec<Box<str>>,
    /// Who asks.
    pub identity: Vec<IdentityPattern>,
    /// Their class.
    pub class: Vec<Box<str>>,
    /// Their organisation.
    pub organisation: Vec<Box<str>>,
    /// Whom they dialled: a number or user, or with its domain.
    pub dialled: Vec<Box<str>>,
    /// How what they dialled begins.
    pub dialled_prefix: Vec<Box<str>>,
    /// The country of their address. An unknown country is none of these.
    pub country: Vec<Country>,
    /// The network of their address.
    pub network: Vec<Network>,
    /// What it came over.
    pub transport: Vec<Transport>,
    /// How they have shown who they are.
    pub authenticated: Vec<AuthenticationKind>,
    /// The hour of the day, in UTC.
    pub hours: Vec<Hours>,
    /// The day of the week, in UTC.
    pub weekdays: Vec<Weekday>,
    /// The suspicion there must be at least, from 0 to 1000.
    pub score_min: Option<u32>,
}

worded! {
    /// A day of the week.
    pub enum Weekday {
        /// Monday.
        Monday = "monday",
        /// Tuesday.
        Tuesday = "tuesday",
        /// Wednesday.
        Wednesday = "wednesday",
        /// Thursday.
        Thursday = "thursday",
        /// Friday.
        Friday = "friday",
        /// Saturday.
        Saturday = "saturday",
        /// Sunday.
        Sunday = "sunday",
    }
}

/// What an approval is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Obligations {
    /// Only these codecs may be used.
    pub codecs: Option<Box<[Codec]>>,
    /// It must be recorded.
    pub record: bool,
    /// On what ground; a rule that says so also has it recorded.
    pub consent: Option<Consent>,
    /// This announcement must be played first.
    pub announce: Option<Box<str>>,
    /// No more bandwidth than this, in kilobits a second.
    pub bandwidth_kbps: Option<u32>,
    /// It must end after so many seconds.
    pub limit_s: Option<u32>,
}

/// The policy that holds where no file is named, as it would stand in a file. Its hash is the version of
/// [`Policy::default`](crate::Policy::default).
pub const BUILT_IN: &str = r#"# Everybody may do what the configuration of the exchange lets them do; who escalates a hazard signs it.
[gate.authenticity]
call = ["nothing", "trunk", "digest-md5", "digest-sha256", "certificate", "signature"]
message = ["nothing", "trunk", "digest-md5", "digest-sha256", "certificate", "signature"]
register = ["nothing", "trunk", "digest-md5", "digest-sha256", "certificate", "signature"]
escalation = ["signature"]
h323_admission = ["nothing", "trunk", "digest-md5", "digest-sha256", "certificate", "signature"]
room_join = ["nothing", "trunk", "digest-md5", "digest-sha256", "certificate", "signature"]
browser_join = ["nothing", "trunk", "digest-md5", "digest-sha256", "certificate", "signature"]
evidence = ["nothing", "trunk", "digest-md5", "digest-sha256", "certificate", "signature"]
recording = ["nothing", "trunk", "digest-md5", "digest-sha256", "certificate", "signature"]
export = ["nothing", "trunk", "digest-md5", "digest-sha256", "certificate", "signature"]

[gate.rate]
limit = 0
class = []
"#;

impl Definition {
    /// What [`BUILT_IN`] says.
    pub fn built_in() -> Self {
        let mut definition = Self::default();
        definition.authenticity.accepts = PerAction::all(&AuthenticationKind::ALL.to_vec());
        definition.authenticity.accepts[Action::Escalation] = vec![AuthenticationKind::Signature];
        definition.rate.users = Rate::UNLIMITED;
        definition.rate.classes = Vec::new();
        definition
    }
}

impl Default for AuthenticityGate {
    fn default() -> Self {
        let accepts = AuthenticationKind::ALL.into_iter().filter(|kind| *kind != AuthenticationKind::Nothing).collect();
        Self { accepts: PerAction::all(&accepts), exceptions: Vec::new(), signature_age_max: Duration::from_secs(300) }
    }
}

impl Default for IdentityGate {
    fn default() -> Self {
        Self { unlisted: PerAction::all(&Unlisted::Approve) }
    }
}

impl Default for FairnessGate {
    /// 3 Mbit/s for a user, 10 for a guardian, 20 in an emergency.
    fn default() -> Self {
        Self { user_kbps: 3_000, guardian_kbps: 10_000, emergency_kbps: 20_000 }
    }
}

impl CodecGate {
    /// The actions that bring media, when the policy does not name others.
    pub const ACTIONS: [Action; 5] =
        [Action::Call, Action::Escalation, Action::H323Admission, Action::RoomJoin, Action::BrowserJoin];
}

impl Default for CodecGate {
    fn default() -> Self {
        Self { actions: Self::ACTIONS.to_vec(), allowed: None, classes: Vec::new(), trunks: Vec::new() }
    }
}

impl RateGate {
    /// The actions that are counted, when the policy does not name others: telephones register all the time.
    pub const ACTIONS: [Action; Action::ALL.len() - 1] = [
        Action::Call,
        Action::Message,
        Action::Escalation,
        Action::H323Admission,
        Action::RoomJoin,
        Action::BrowserJoin,
        Action::Evidence,
        Action::Recording,
        Action::Export,
    ];
}

impl Default for RateGate {
    fn default() -> Self {
        Self {
            actions: Self::ACTIONS.to_vec(),
            users: Rate { limit: 60, ..Rate::UNLIMITED },
            classes: vec![
                ("expert".into(), Rate { limit: 10, ..Rate::UNLIMITED }),
                (GUARDIAN.into(), Rate { limit: 60, calls_max: 3, ..Rate::UNLIMITED }),
            ],
            trunks: Vec::new(),
            identities: Vec::new(),
        }
    }
}

impl Rate {
    /// No limit; the window is the usual one, a minute.
    pub const UNLIMITED: Self = Self { limit: u32::MAX, window: Duration::from_secs(60), calls_max: u32::MAX };
}

impl Obligations {
    /// Do they bind to nothing?
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Both: the codecs that both allow, the smaller of two numbers, the announcement that was named first.
    pub(crate) fn add(&mut self, other: &Self) {
        self.codecs = match (self.codecs.take(), &other.codecs) {
            (Some(ours), Some(theirs)) => Some(ours.iter().copied().filter(|codec| theirs.contains(codec)).collect()),
            (ours, theirs) => ours.or_else(|| theirs.clone()),
        };
        self.record |= other.record;
        self.consent = self.consent.or(other.consent);
        if self.announce.is_none() {
            self.announce.clone_from(&other.announce);
        }
        self.bandwidth_kbps = smaller(self.bandwidth_kbps, other.bandwidth_kbps);
        self.limit_s = smaller(self.limit_s, other.limit_s);
    }
}

fn smaller(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    a.into_iter().chain(b).min()
}
