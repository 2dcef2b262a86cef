//! The whole story of a decision, for people.

use crate::decision::{CodecLists, Decision, Gate, Outcome, Reason};
use crate::definition::{Obligations, Rule, Then, Unlisted};
use crate::facts::{Authentication, EscalationFacts, Request};
use crate::gates;
use crate::policy::{Listener, Policy};
use crate::read::conditions_read;
use crate::reading::Reading;
use std::borrow::Cow;
use std::fmt;

/// A decision and how it came about: every gate and rule in their order. `Display` tells it, a line or more a step.
#[derive(Clone, Debug)]
pub struct Explanation {
    steps: Vec<Step>,
    outcome: Outcome<'static>,
    rule: String,
    gate: Option<Gate>,
    codecs: Option<CodecLists>,
    version: String,
}

/// A gate or a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub part: Part,
    /// What it read of the request.
    pub read: Vec<Fact>,
    /// What it said.
    pub said: Said,
}

/// Which gate or rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A gate.
    Gate(Gate),
    /// The rule of this name.
    Rule(String),
}

/// One thing that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its name, as the policy file writes it.
    pub name: &'static str,
    /// What the request says.
    pub value: String,
    /// What the policy asks for.
    pub wanted: String,
    /// Does the one meet the other?
    pub holds: bool,
}

/// What a gate or a rule said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The gate let it pass.
    Passed,
    /// The gate let it pass, bound to a list of codecs.
    PassedBound,
    /// The rule does not match.
    NoMatch,
    /// The rule matches and approves.
    Approved,
    /// The rule matches and adds obligations.
    Obliged,
    /// The gate or the rule refused.
    Refused,
    /// It was decided before.
    NotAsked,
}

/// Hears what happens while a decision is made.
#[derive(Default)]
struct Heard {
    passed: Vec<Gate>,
    tried: Vec<bool>,
}

impl Listener for Heard {
    fn passed(&mut self, gate: Gate) {
        self.passed.push(gate);
    }

    fn tried(&mut self, _: usize, matches: bool) {
        self.tried.push(matches);
    }
}

impl Explanation {
    pub(crate) fn of(policy: &Policy, request: &Request<'_>) -> Self {
        let reading = Reading::of(policy, request);
        let mut heard = Heard::default();
        let decision = policy.evaluate(&reading, &mut heard);
        let gate = |gate: Gate| Step {
            part: Part::Gate(gate),
            read: gate_read(policy, &reading, gate),
            said: said_by_gate(gate, &heard, &decision),
        };
        let rules = policy.rules().iter().enumerate().map(|(index, rule)| Step {
            part: Part::Rule(rule.name.to_string()),
            read: if index < heard.tried.len() { conditions_read(&rule.when, &reading) } else { Vec::new() },
            said: heard.tried.get(index).map_or(Said::NotAsked, |matches| said_by_rule(rule, *matches)),
        });
        let steps = [Gate::Authenticity, Gate::Identity].map(gate).into_iter().chain(rules);
        let is_asked = |gate: &Gate| request.escalation.is_some() || !ESCALATION_GATES.contains(gate);
        let after = [Gate::Pii, Gate::Specialisation, Gate::Codec, Gate::Fairness, Gate::Rate];
        let steps = steps.chain(after.into_iter().filter(is_asked).map(gate)).collect();
        Self {
            steps,
            rule: decision.rule.to_owned(),
            gate: decision.gate,
            codecs: decision.codecs().cloned(),
            version: policy.version().to_owned(),
            outcome: owned(decision.outcome),
        }
    }

    /// Every gate and rule, in the order in which they are asked.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What was decided; the same as [`Policy::decide`] says.
    pub fn outcome(&self) -> &Outcome<'static> {
        &self.outcome
    }

    /// Who decided: the rule, or the word of the gate, or [`Decision::NOBODY`].
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// The gate, when it was one.
    pub fn gate(&self) -> Option<Gate> {
        self.gate
    }

    /// What the codec gate compared, when it refused or bound the approval to codecs.
    pub fn codecs(&self) -> Option<&CodecLists> {
        self.codecs.as_ref()
    }

    /// The version of the policy.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// The gates that nothing but an escalation can fail to pass.
const ESCALATION_GATES: [Gate; 3] = [Gate::Pii, Gate::Specialisation, Gate::Fairness];

fn owned(outcome: Outcome<'_>) -> Outcome<'static> {
    match outcome {
        Outcome::Approve => Outcome::Approve,
        Outcome::Conditional(obligations) => Outcome::Conditional(obligations),
        Outcome::Reject(reason) => {
            Outcome::Reject(Reason { sentence: Cow::Owned(reason.sentence.into_owned()), ..reason })
        }
    }
}

fn said_by_gate(gate: Gate, heard: &Heard, decision: &Decision<'_>) -> Said {
    if heard.passed.contains(&gate) {
        let bound = gate == Gate::Codec && decision.codecs().is_some();
        return if bound { Said::PassedBound } else { Said::Passed };
    }
    if decision.gate == Some(gate) { Said::Refused } else { Said::NotAsked }
}

fn said_by_rule(rule: &Rule, matches: bool) -> Said {
    match rule.then {
        _ if !matches => Said::NoMatch,
        Then::Approve => Said::Approved,
        Then::Conditional => Said::Obliged,
        Then::Reject => Said::Refused,
    }
}

/// What a gate looks at.
fn gate_read(policy: &Policy, reading: &Reading<'_, '_>, gate: Gate) -> Vec<Fact> {
    match gate {
        Gate::Authenticity => authenticity_read(policy, reading.request),
        Gate::Identity => identity_read(policy, reading),
        Gate::Pii => reading.request.escalation.map_or_else(Vec::new, |escalation| pii_read(&escalation)),
        Gate::Specialisation => {
            reading.request.escalation.map_or_else(Vec::new, |escalation| specialisation_read(&escalation))
        }
        Gate::Codec => codec_read(policy, reading),
        Gate::Fairness => {
            reading.request.escalation.map_or_else(Vec::new, |escalation| fairness_read(policy, &escalation))
        }
        Gate::Rate => rate_read(policy, reading),
    }
}

fn authenticity_read(policy: &Policy, request: &Request<'_>) -> Vec<Fact> {
    use crate::facts::AuthenticationKind;
    let accepted = policy.accepted[request.action as usize][request.source.kind() as usize];
    let accepts = |kind: &AuthenticationKind| accepted & (1 << *kind as u8) != 0;
    let kind = request.authenticated.kind();
    let kinds = AuthenticationKind::ALL.into_iter().filter(accepts);
    let exchange = request.source == crate::facts::Source::Exchange;
    let wanted = if exchange { "anything from the exchange itself".to_owned() } else { one_of(kinds) };
    let mut read = vec![
        fact("action", &request.action, "any", true),
        fact("source", &request.source, "any", true),
        fact("authenticated", &kind, wanted, exchange || accepts(&kind)),
    ];
    if let Authentication::Signature(facts) = request.authenticated
        && !exchange
    {
        let age_max = policy.definition.authenticity.signature_age_max.as_secs();
        let young = facts.age_s.unsigned_abs() <= age_max;
        read.push(fact("signature.key_matches", &facts.key_matches, "true", facts.key_matches));
        read.push(fact("signature.verifies", &facts.verifies, "true", facts.verifies));
        read.push(fact("signature.age_s", &facts.age_s, format!("-{age_max} to {age_max}"), young));
        read.push(fact("signature.nonce_seen", &facts.nonce_seen, "false", !facts.nonce_seen));
    }
    read
}

fn identity_read(policy: &Policy, reading: &Reading<'_, '_>) -> Vec<Fact> {
    let request = reading.request;
    let status = gates::status_of(reading).map_or("unlisted", crate::definition::Status::word);
    let unlisted = policy.definition.identity.unlisted[request.action] == Unlisted::Approve;
    let wanted = if unlisted { "active or unlisted" } else { "active; trunks and the exchange also unlisted" };
    let holds = gates::identity(policy, reading).is_ok();
    vec![fact("identity", &request.identity, "any", true), fact("status", &status, wanted, holds)]
}

fn pii_read(escalation: &EscalationFacts) -> Vec<Fact> {
    let personal = escalation.personal;
    let holds = !personal.declared || (escalation.emergency && personal.overridden);
    vec![
        fact("escalation.pii_redacted", &personal.redacted, "any", true),
        fact("escalation.pii_declared", &personal.declared, "false, or an emergency that overrides it", holds),
        fact("escalation.emergency", &escalation.emergency, "any", true),
        fact("escalation.pii_override", &personal.overridden, "any", true),
    ]
}

fn specialisation_read(escalation: &EscalationFacts) -> Vec<Fact> {
    let experts = escalation.experts;
    let mut read = vec![
        fact("escalation.experts_knowing", &experts.knowing, "1 or more", experts.knowing > 0),
        fact("escalation.experts_allowed", &experts.allowed, "1 or more", experts.allowed > 0),
    ];
    read.extend(experts.obstacle.map(|obstacle| fact("escalation.obstacle", &obstacle, "any", true)));
    read
}

fn fairness_read(policy: &Policy, escalation: &EscalationFacts) -> Vec<Fact> {
    let asked = escalation.bandwidth.used_kbps.saturating_add(escalation.bandwidth.asked_kbps);
    let (quota, wanted) = match gates::quota_kbps(policy, escalation) {
        u32::MAX => (u32::MAX, "any".to_owned()),
        quota => (quota, format!("at most {quota}")),
    };
    let room = format!("fewer than {}", escalation.members_max);
    vec![
        fact("escalation.kbps", &asked, wanted, asked <= quota),
        fact("escalation.members", &escalation.members, room, escalation.members < escalation.members_max),
    ]
}

fn codec_read(policy: &Policy, reading: &Reading<'_, '_>) -> Vec<Fact> {
    let allowed = gates::allowed(policy, reading);
    let offered = reading.request.codecs;
    let others = reading.request.other_codecs;
    let all = allowed.is_none_or(|allowed| others.is_empty() && offered.iter().all(|codec| allowed.contains(codec)));
    let shown = named(offered, others);
    vec![fact("codecs", &shown, allowed.map_or_else(|| "any".to_owned(), |allowed| one_of(allowed.iter())), all)]
}

fn rate_read(policy: &Policy, reading: &Reading<'_, '_>) -> Vec<Fact> {
    let (rate, request) = (gates::rate_of(policy, reading), reading.request);
    let below = |limit: u32, what: &str| match limit {
        u32::MAX => "any".to_owned(),
        limit => format!("fewer than {limit}{what}"),
    };
    let window = format!(" in {} s", rate.window.as_secs());
    let room = |is: u32, limit: u32| limit == u32::MAX || is < limit;
    let mut read = vec![
        fact("class", &reading.class, "any", true),
        fact("recent", &request.recent, below(rate.limit, &window), room(request.recent, rate.limit)),
        fact("calls", &request.calls, below(rate.calls_max, ""), room(request.calls, rate.calls_max)),
    ];
    if let Some(experts) = request.escalation.map(|escalation| escalation.experts) {
        read.push(fact("escalation.experts_rested", &experts.rested, "1 or more", experts.rested > 0));
    }
    read
}

pub(crate) fn fact(
    name: &'static str,
    value: &(impl ToString + ?Sized),
    wanted: impl Into<String>,
    holds: bool,
) -> Fact {
    Fact { name, value: value.to_string(), wanted: wanted.into(), holds }
}

/// `a`, or `one of a, b`.
pub(crate) fn one_of<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    match &words[..] {
        [] => "none".to_owned(),
        [one] => one.clone(),
        several => format!("one of {}", several.join(", ")),
    }
}

/// What was offered.
fn named(codecs: &[sx_types::Codec], others: &[Box<str>]) -> String {
    let names: Vec<String> =
        codecs.iter().map(ToString::to_string).chain(others.iter().map(ToString::to_string)).collect();
    if names.is_empty() { "nothing".to_owned() } else { listed(&names) }
}

fn listed<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Said {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Passed => "lets it pass",
            Self::PassedBound => "lets it pass with the codecs named below",
            Self::NoMatch => "does not match",
            Self::Approved => "matches and approves",
            Self::Obliged => "matches and adds obligations",
            Self::Refused => "refuses",
            Self::NotAsked => "was not asked",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate(gate) => write!(f, "gate {gate}"),
            Self::Rule(name) => write!(f, "rule {name}"),
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, wanted, holds } = self;
        let shown = if value.is_empty() { "nothing" } else { value };
        match (wanted.as_str(), holds) {
            ("any", _) => write!(f, "{name} is {shown}"),
            (_, true) => write!(f, "{name} is {shown}, as wanted: {wanted}"),
            (_, false) => write!(f, "{name} is {shown}; wanted: {wanted}"),
        }
    }
}

impl fmt::Display for Obligations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codecs = self.codecs.as_ref().map(|codecs| format!("only with {}", listed(codecs)));
        let record = self
            .record
            .then(|| self.consent.map_or_else(|| "recorded".to_owned(), |consent| format!("recorded ({consent})")));
        let announce = self.announce.as_ref().map(|name| format!("after the announcement {name}"));
        let bandwidth = self.bandwidth_kbps.map(|kbps| format!("with at most {kbps} kbit/s"));
        let limit = self.limit_s.map(|seconds| format!("for at most {seconds} s"));
        let parts: Vec<String> = [codecs, record, announce, bandwidth, limit].into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "nothing" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{} {}", step.part, step.said.words())?;
            step.read.iter().try_for_each(|fact| writeln!(f, "    {fact}"))?;
        }
        if let Some(lists) = &self.codecs {
            let offered = named(&lists.offered, &lists.others);
            writeln!(f, "codecs: {offered} offered, {} allowed", listed(&lists.allowed))?;
        }
        write!(f, "{}", self.outcome.word())?;
        match &self.outcome {
            Outcome::Approve => {}
            Outcome::Conditional(obligations) => write!(f, ": {obligations}")?,
            Outcome::Reject(reason) => match reason.status {
                Some(status) => write!(f, " with {status}: {}", reason.sentence)?,
                None => write!(f, ": {}", reason.sentence)?,
            },
        }
        let by = if self.gate.is_some() { "gate" } else { "rule" };
        match (self.rule.as_str(), self.gate) {
            (Decision::NOBODY, None) => write!(f, " (no rule has decided; policy {})", self.version),
            (rule, _) => write!(f, " ({by} {rule}; policy {})", self.version),
        }
    }
}
