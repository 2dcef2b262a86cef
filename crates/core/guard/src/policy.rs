//! The policy: built once, never changed, asked by every worker.

use crate::check;
use crate::decision::{CodecLists, Decision, Gate, Outcome, Reason, ReasonKind};
use crate::definition::{BUILT_IN, Definition, Entry, Obligations, Rate, Rule, Then};
use crate::error::PolicyError;
use crate::explain::Explanation;
use crate::facts::{Action, Request, SourceKind};
use crate::gates::{self, Codecs};
use crate::hash::PolicyHash;
use crate::names::{self, Names};
use crate::reading::Reading;
use crate::rules::{Matcher, RuleNames};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A policy: everything that is decided about a request is decided by [`decide`](Self::decide), from the request's
/// facts and this snapshot alone.
#[derive(Debug)]
pub struct Policy {
    pub(crate) definition: Definition,
    hash: Box<str>,
    /// The registry's entries, sorted by their identities in lower case.
    registry: Vec<(Box<str>, Entry)>,
    pub(crate) names: RuleNames,
    matcher: Matcher,
    /// For each rule, its refusal's sentence.
    sentences: Vec<Box<str>>,
    /// For each action and kind of source, the authentications that will do, as bits.
    pub(crate) accepted: [[u8; SourceKind::ALL.len()]; Action::ALL.len()],
    pub(crate) codecs: ByName<Box<[sx_types::Codec]>>,
    pub(crate) rates: ByName<Rate>,
    pub(crate) identity_rates: Table<Rate>,
}

/// Values for trunks and for classes.
#[derive(Debug)]
pub(crate) struct ByName<T> {
    pub(crate) trunks: Table<T>,
    pub(crate) classes: Table<T>,
}

/// Values by name, in whatever case it is written.
#[derive(Debug)]
pub(crate) struct Table<T> {
    names: Names,
    values: Vec<T>,
}

/// Who listens while a decision is made: nobody, or an explanation.
pub(crate) trait Listener {
    /// A gate let it pass.
    fn passed(&mut self, gate: Gate);
    /// A rule was tried.
    fn tried(&mut self, index: usize, matches: bool);
}

impl Listener for () {
    fn passed(&mut self, _: Gate) {}
    fn tried(&mut self, _: usize, _: bool) {}
}

impl Policy {
    /// Builds a policy. `hash` is that of the text it was read from.
    ///
    /// # Errors
    /// Everything that does not fit together, all at once.
    pub fn build(definition: Definition, hash: PolicyHash) -> Result<Self, Vec<PolicyError>> {
        let errors = check::check(&definition);
        if errors.is_empty() { Ok(Self::checked(definition, hash)) } else { Err(errors) }
    }

    fn checked(mut definition: Definition, hash: PolicyHash) -> Self {
        let registry = std::mem::take(&mut definition.registry);
        let mut registry: Vec<_> =
            registry.into_iter().map(|entry| (entry.identity.to_ascii_lowercase().into(), entry)).collect();
        registry.sort_by(|(a, _): &(Box<str>, Entry), (b, _)| a.cmp(b));
        let rules = &definition.rules;
        let names = RuleNames::new(rules);
        Self {
            hash: hash.to_string().into(),
            registry,
            matcher: Matcher::new(rules, &names),
            sentences: rules.iter().map(sentence).collect(),
            accepted: gates::accepted(&definition.authenticity),
            codecs: ByName {
                trunks: Table::new(definition.codec.trunks.iter().map(|(name, list)| (name, list.clone().into()))),
                classes: Table::new(definition.codec.classes.iter().map(|(name, list)| (name, list.clone().into()))),
            },
            rates: ByName {
                trunks: Table::new(definition.rate.trunks.iter().map(|(name, rate)| (name, *rate))),
                classes: Table::new(definition.rate.classes.iter().map(|(name, rate)| (name, *rate))),
            },
            identity_rates: Table::new(definition.rate.identities.iter().map(|(name, rate)| (name, *rate))),
            names,
            definition,
        }
    }

    /// The first 16 hexadecimal digits of the hash of its text: records name a policy by it.
    pub fn version(&self) -> &str {
        const DIGITS: usize = 16;
        &self.hash[..DIGITS]
    }

    /// All 64 of them.
    pub fn full_hash(&self) -> &str {
        &self.hash
    }

    /// The registry's entry of an identity, in whatever case it is written.
    pub fn registered(&self, identity: &str) -> Option<&Entry> {
        let place = self.registry.binary_search_by(|(stored, _)| names::compare(stored, identity)).ok()?;
        Some(&self.registry[place].1)
    }

    /// How many identities the registry has.
    pub fn identities(&self) -> usize {
        self.registry.len()
    }

    /// The entries of the registry, sorted by their identities.
    pub fn registry(&self) -> impl Iterator<Item = &Entry> {
        self.registry.iter().map(|(_, entry)| entry)
    }

    /// What it was built from, but for the registry: that is [`registry`](Self::registry).
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The rules, in their order.
    pub fn rules(&self) -> &[Rule] {
        &self.definition.rules
    }

    /// The trunks that it names, each once.
    pub fn trunks(&self) -> BTreeSet<&str> {
        let (codec, rate) = (&self.definition.codec, &self.definition.rate);
        let by_rules = self.definition.rules.iter().flat_map(|rule| &rule.when.trunk);
        let by_gates = codec.trunks.iter().map(|(name, _)| name).chain(rate.trunks.iter().map(|(name, _)| name));
        by_rules.chain(by_gates).map(|name| &**name).collect()
    }

    /// Does any codec list stand in it, so that it matters what is offered?
    pub fn looks_at_codecs(&self) -> bool {
        let codec = &self.definition.codec;
        let obliges = |rule: &Rule| rule.obligations.codecs.is_some();
        let gate = codec.allowed.is_some() || !codec.classes.is_empty() || !codec.trunks.is_empty();
        gate || self.definition.rules.iter().any(obliges)
    }

    /// The rate that holds for a request: the caller counts [`Request::recent`] over its window.
    pub fn rate_for(&self, request: &Request<'_>) -> Rate {
        gates::rate_of(self, &Reading::of(self, request))
    }

    /// Decides. Nothing is allocated when the answer is an approval without obligations.
    pub fn decide(&self, request: &Request<'_>) -> Decision<'_> {
        self.evaluate(&Reading::of(self, request), &mut ())
    }

    /// Decides, and tells the whole story: every gate and rule, what it read and what it said.
    pub fn explain(&self, request: &Request<'_>) -> Explanation {
        Explanation::of(self, request)
    }

    pub(crate) fn evaluate(&self, reading: &Reading<'_, '_>, listener: &mut impl Listener) -> Decision<'_> {
        if let Err(reason) = gates::authenticity(self, reading.request) {
            return refused(Gate::Authenticity, reason);
        }
        listener.passed(Gate::Authenticity);
        if let Err(reason) = gates::identity(self, reading) {
            return refused(Gate::Identity, reason);
        }
        listener.passed(Gate::Identity);
        let ruled = match self.ask_rules(reading, listener) {
            Ok(ruled) => ruled,
            Err(refusal) => return refusal,
        };
        if let Err(reason) = gates::pii(reading.request) {
            return refused(Gate::Pii, reason);
        }
        listener.passed(Gate::Pii);
        if let Err(reason) = gates::specialisation(reading.request) {
            return refused(Gate::Specialisation, reason);
        }
        listener.passed(Gate::Specialisation);
        let codecs = match gates::codecs(self, reading, ruled.obligations.codecs.as_deref()) {
            Codecs::Any => None,
            Codecs::Bound(lists) => Some(lists),
            Codecs::NoneLeft(lists) => {
                let sentence = "none of the codecs offered may be used";
                let reason = Reason::new(ReasonKind::CodecNotAllowed, sentence);
                return Decision { codecs: Some(lists), ..refused(Gate::Codec, reason) };
            }
        };
        listener.passed(Gate::Codec);
        if let Err(reason) = gates::fairness(self, reading.request) {
            return refused(Gate::Fairness, reason);
        }
        listener.passed(Gate::Fairness);
        if let Err(reason) = gates::rate(self, reading) {
            return refused(Gate::Rate, reason);
        }
        listener.passed(Gate::Rate);
        approved(ruled, codecs)
    }

    /// Asks the rules in their order, until one decides.
    fn ask_rules(&self, reading: &Reading<'_, '_>, listener: &mut impl Listener) -> Result<Ruled<'_>, Decision<'_>> {
        let mut ruled = Ruled { rule: None, obligations: Obligations::default() };
        for (index, matches) in self.matcher.tried(reading).enumerate() {
            listener.tried(index, matches);
            if !matches {
                continue;
            }
            let rule = &self.definition.rules[index];
            match rule.then {
                Then::Reject => {
                    let reason = Reason {
                        kind: ReasonKind::Rule,
                        status: rule.status,
                        sentence: Cow::Borrowed(&self.sentences[index]),
                        retry_after_s: 0,
                    };
                    return Err(Decision {
                        outcome: Outcome::Reject(reason),
                        rule: &rule.name,
                        gate: None,
                        codecs: None,
                    });
                }
                Then::Approve | Then::Conditional => {
                    ruled.obligations.add(&rule.obligations);
                    ruled.rule = Some(&rule.name);
                }
            }
            if rule.then == Then::Approve {
                break;
            }
        }
        Ok(ruled)
    }
}

/// What the rules say, when they do not refuse.
struct Ruled<'p> {
    /// The last that had something to say: the one that decided, where one did.
    rule: Option<&'p str>,
    obligations: Obligations,
}

fn refused(gate: Gate, reason: Reason<'static>) -> Decision<'static> {
    Decision { outcome: Outcome::Reject(reason), rule: gate.word(), gate: Some(gate), codecs: None }
}

fn approved(ruled: Ruled<'_>, codecs: Option<Box<CodecLists>>) -> Decision<'_> {
    let mut obligations = ruled.obligations;
    let gate = (ruled.rule.is_none() && codecs.is_some()).then_some(Gate::Codec);
    if let Some(lists) = &codecs {
        obligations.codecs = Some(lists.allowed.clone());
    }
    let outcome = if obligations.is_empty() { Outcome::Approve } else { Outcome::Conditional(obligations) };
    let rule = ruled.rule.unwrap_or_else(|| gate.map_or(Decision::NOBODY, Gate::word));
    Decision { outcome, rule, gate, codecs }
}

fn sentence(rule: &Rule) -> Box<str> {
    rule.reason.clone().unwrap_or_else(|| format!("the rule {} refuses it", rule.name).into())
}

impl<T> Table<T> {
    /// Where a name is given twice, the last holds; a policy that was checked gives none twice.
    fn new<'a>(pairs: impl Iterator<Item = (&'a Box<str>, T)>) -> Self {
        let mut pairs: Vec<(Box<str>, T)> =
            pairs.map(|(name, value)| (name.to_ascii_lowercase().into(), value)).collect();
        pairs.sort_by(|(a, _), (b, _)| b.cmp(a));
        pairs.dedup_by(|(a, _), (b, _)| a == b);
        pairs.reverse();
        let names = Names::new(pairs.iter().map(|(name, _)| &**name));
        Self { names, values: pairs.into_iter().map(|(_, value)| value).collect() }
    }

    pub(crate) fn find(&self, name: &str) -> Option<&T> {
        if self.names.len() == 0 {
            return None;
        }
        self.names.find(name).and_then(|place| self.values.get(place as usize))
    }
}

impl Default for Policy {
    /// The policy that holds where no file is named: [`BUILT_IN`].
    fn default() -> Self {
        Self::checked(Definition::built_in(), PolicyHash::of(BUILT_IN.as_bytes()))
    }
}
