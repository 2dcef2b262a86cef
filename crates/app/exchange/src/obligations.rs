//! What a policy may bind a call to, and nothing here can do: yet, or as it is configured.

use std::fmt;
use sx_guard::{Action, Obligations, Policy, Then};

/// The names of the obligations that the exchange cannot meet. It refuses every call that is bound to one: nobody is let
/// in who must be bound to it. `records`: can calls be recorded?
pub(crate) fn unmet(obligations: &Obligations, records: bool) -> Vec<&'static str> {
    let wanted = [
        ("record", obligations.record && !records),
        ("announce", obligations.announce.is_some()),
        ("bandwidth_kbps", obligations.bandwidth_kbps.is_some()),
    ];
    wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name).collect()
}

/// A rule of a policy that binds what it lets in to what the exchange cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnmetRule<'p> {
    /// The rule's name.
    pub(crate) rule: &'p str,
    /// Its obligations that nothing here can meet, as the policy writes them.
    pub(crate) obligations: Vec<&'static str>,
}

/// The rules of a policy that let nothing in, though they do not say so.
pub(crate) fn unmet_rules(policy: &Policy, records: bool) -> impl Iterator<Item = UnmetRule<'_>> {
    let asked = policy.rules().iter().filter(|rule| {
        let actions = &rule.when.action;
        rule.then != Then::Reject && (actions.is_empty() || ASKED.iter().any(|asked| actions.contains(asked)))
    });
    asked
        .map(move |rule| UnmetRule { rule: &rule.name, obligations: unmet(&rule.obligations, records) })
        .filter(|unmet| !unmet.obligations.is_empty())
}

/// What the exchange asks a policy about.
const ASKED: [Action; 3] = [Action::Call, Action::Message, Action::Register];

impl fmt::Display for UnmetRule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, obligations } = self;
        write!(f, "the rule {rule:?} refuses all that it binds: nothing here can meet {}", obligations.join(", "))?;
        if obligations.contains(&"record") {
            write!(f, "; calls are recorded where the configuration has [recording]")?;
        }
        Ok(())
    }
}
