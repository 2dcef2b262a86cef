//! What does not fit together in a policy.

/// One thing that does not fit together. The policy file is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct PolicyError {
    /// Where.
    pub place: Place,
    /// At which key there, as the file names it.
    pub key: &'static str,
    /// What.
    pub problem: PolicyProblem,
}

/// An entry of one of the lists of a policy, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Place {
    /// Of [`Definition::rules`](crate::Definition::rules).
    #[error("rule {}", .0 + 1)]
    Rule(usize),
    /// Of [`Definition::registry`](crate::Definition::registry).
    #[error("identity {}", .0 + 1)]
    Identity(usize),
    /// Of [`CodecGate::classes`](crate::CodecGate::classes).
    #[error("gate.codec.class {}", .0 + 1)]
    CodecClass(usize),
    /// Of [`CodecGate::trunks`](crate::CodecGate::trunks).
    #[error("gate.codec.trunk {}", .0 + 1)]
    CodecTrunk(usize),
    /// Of [`RateGate::classes`](crate::RateGate::classes).
    #[error("gate.rate.class {}", .0 + 1)]
    RateClass(usize),
    /// Of [`RateGate::trunks`](crate::RateGate::trunks).
    #[error("gate.rate.trunk {}", .0 + 1)]
    RateTrunk(usize),
    /// Of [`RateGate::identities`](crate::RateGate::identities).
    #[error("gate.rate.identity {}", .0 + 1)]
    RateIdentity(usize),
}

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyProblem {
    /// Two rules have one name.
    #[error("another rule is named {0}")]
    RuleTwice(Box<str>),
    /// An identity stands in the registry twice, perhaps in another case.
    #[error("the identity {0} stands in the registry already; case does not count")]
    IdentityTwice(Box<str>),
    /// A key stands in the registry twice, perhaps in another spelling.
    #[error("the key is that of {0} already: one identity, one key")]
    KeyTwice(Box<str>),
    /// A table has two entries of one name.
    #[error("{0} has an entry already")]
    NameTwice(Box<str>),
    /// Two rules have the same conditions and say different things.
    #[error("the same conditions as rule {0}, and another outcome")]
    Contradicts(Box<str>),
    /// A rule can never be asked.
    #[error("can never match: rule {0} decides everything that it would take")]
    Covered(Box<str>),
    /// A rule that wants a trunk and a source that is none.
    #[error("can never match: what comes from a trunk has source = \"trunk\"")]
    TrunkOfNoTrunk,
    /// A status where there is no refusal.
    #[error("only a rule with then = \"reject\" has a status")]
    StatusWithoutRefusal,
    /// A reason where there is no refusal.
    #[error("only a rule with then = \"reject\" has a reason")]
    ReasonWithoutRefusal,
    /// Obligations where there is nothing to oblige.
    #[error("a rule with then = \"reject\" has no obligations")]
    RefusalWithObligations,
    /// A conditional rule that obliges to nothing.
    #[error("a rule with then = \"conditional\" needs obligations")]
    NoObligations,
    /// A rule has calls recorded and does not say on what ground.
    #[error(
        "a rule that has calls recorded says on what ground: consent = \"one-party\", \"announced\", \"agreed\" or \"law\""
    )]
    RecordWithoutConsent,
    /// A ground for a recording that is not made.
    #[error("there is consent to a recording, and no record = true")]
    ConsentWithoutRecord,
    /// The status is none of a refusal.
    #[error("{0} is not the status of a refusal; allowed: 400 to 699")]
    NotARefusal(u16),
    /// More rules than may be.
    #[error("more than {0} rules")]
    TooManyRules(usize),
}
