//! What a policy may bind a call to, and nothing here can do: yet, or as it is configured.

use std::fmt;
use sx_call::RecordingRules;
use sx_config::Config;
use sx_guard::{Action, Obligations, Policy, Then};
use sx_types::Consent;

/// What can be had of recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recordings {
    /// None.
    None,
    /// Nobody can be told of them, or asked.
    Untold,
    /// All.
    Told,
}

impl Recordings {
    /// With this configuration.
    pub fn of(config: &Config) -> Self {
        match &config.recording {
            None => Self::None,
            Some(recording) if recording.announcement.is_none() => Self::Untold,
            Some(_) => Self::Told,
        }
    }

    pub(crate) fn by(rules: Option<&RecordingRules>) -> Self {
        match rules {
            None => Self::None,
            Some(rules) if rules.telling.announcement.is_none() => Self::Untold,
            Some(_) => Self::Told,
        }
    }
}

/// The names of the obligations that the exchange cannot meet. It refuses every call that is bound to one: nobody is let
/// in who must be bound to it.
pub(crate) fn unmet(obligations: &Obligations, recordings: Recordings) -> Vec<&'static str> {
    let wanted = [
        ("record", obligations.record && recordings == Recordings::None),
        ("consent", obligations.consent == Some(Consent::Asked) && recordings == Recordings::Untold),
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
pub(crate) fn unmet_rules(policy: &Policy, recordings: Recordings) -> impl Iterator<Item = UnmetRule<'_>> {
    let asked = policy.rules().iter().filter(|rule| {
        let actions = &rule.when.action;
        rule.then != Then::Reject && (actions.is_empty() || ASKED.iter().any(|asked| actions.contains(asked)))
    });
    asked
        .map(move |rule| UnmetRule { rule: &rule.name, obligations: unmet(&rule.obligations, recordings) })
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
        if obligations.contains(&"consent") {
            write!(f, "; parties are asked where the configuration has recording.announcement")?;
        }
        Ok(())
    }
}
