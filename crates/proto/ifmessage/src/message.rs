//! What a message says, whatever its shape.

use crate::{ReadError, Signature, json, shapes};
use serde_json::{Map, Value};
use sx_engine::Time;

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Version 1.0: an envelope around a payload.
    Plain,
    /// Version 2.1 as an envelope: that of 1.0 with a performative, a conversation and a signature.
    Envelope,
    /// Version 2.1 as a speech act between agents.
    SpeechAct,
}

/// Declares an enum whose variants each have a word.
macro_rules! words {
    ($(#[$of_enum:meta])* $name:ident { $($(#[$of_variant:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$of_enum])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$of_variant])* $variant),+
        }

        impl $name {
            /// Every one.
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];

            /// Their words, in the same order.
            pub const WORDS: [&'static str; Self::ALL.len()] = [$($word),+];

            /// Its word.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The one of this word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|one| one.word() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// The speech act of a message, after those of FIPA.
    Performative {
        /// Something is to be done.
        Request = "request",
        /// Something is so.
        Inform = "inform",
        /// It will be done.
        Agree = "agree",
        /// It will not be done.
        Refuse = "refuse",
        /// Is it so?
        QueryIf = "query-if",
        /// What is it?
        QueryRef = "query-ref",
        /// What another has said is not so.
        Contradict = "contradict",
        /// A human is to decide.
        Escalate = "escalate",
        /// Others are to know.
        Share = "share",
        /// Nothing is to be done yet.
        Hold = "hold",
    }
}

words! {
    /// What kind of hazard it is.
    HazardKind {
        /// Of the law.
        Legal = "legal",
        /// To life and limb.
        Safety = "safety",
        /// Of interests.
        Conflict = "conflict",
        /// Of ethics.
        Ethical = "ethical",
        /// To privacy.
        Privacy = "privacy",
    }
}

words! {
    /// How bad a hazard is, the least first.
    Severity {
        /// The least.
        Low = "low",
        /// More.
        Medium = "medium",
        /// Still more.
        High = "high",
        /// The most.
        Critical = "critical",
    }
}

words! {
    /// How urgent a message is, the least first.
    Priority {
        /// The least.
        Low = "low",
        /// What holds where nothing is said.
        Medium = "medium",
        /// More.
        High = "high",
        /// The most.
        Critical = "critical",
    }
}

words! {
    /// What a mission is about.
    Domain {
        /// Law.
        Legal = "legal",
        /// Money.
        Finance = "finance",
        /// Markets.
        Markets = "markets",
        /// Whole economies.
        Macro = "macro",
        /// Technology.
        Technical = "technical",
        /// How things are run.
        Governance = "governance",
    }
}

/// A hazard that a message tells of.
#[derive(Clone, Debug, PartialEq)]
pub struct Hazard {
    /// What kind it is.
    pub kind: HazardKind,
    /// How bad it is.
    pub severity: Severity,
    /// Why it is one.
    pub rationale: Box<str>,
    /// A human is to decide, however sure the agent is.
    pub auto_escalate: bool,
    /// How sure the agent was before it was overridden, from 0 to 1.
    pub original_confidence: Option<f64>,
}

/// What a speech act belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The mission.
    pub mission: Box<str>,
    /// The part of it.
    pub workflow: Box<str>,
    /// What it is about.
    pub domain: Domain,
    /// How urgent it is.
    pub priority: Priority,
}

/// A message. Members that only some shapes have are options.
#[derive(Clone, Debug, PartialEq)]
pub struct IfMessage {
    /// How it was written.
    pub shape: Shape,
    /// What it is called; a speech act has no name of its own.
    pub id: Option<Box<str>>,
    /// Who has made it: `source`, or `sender`.
    pub sender: Box<str>,
    /// Whom it is for: `destination`, or `receiver`.
    pub receivers: Vec<Box<str>>,
    /// When it was made.
    pub timestamp: Time,
    /// For how many seconds it is good from then on.
    pub ttl_s: u32,
    /// Its speech act.
    pub performative: Option<Performative>,
    /// The conversation that it is part of.
    pub conversation: Option<Box<str>>,
    /// Its place among the messages of its sender.
    pub sequence: Option<u64>,
    /// What no other message of its sender has.
    pub nonce: Option<Box<str>>,
    /// What all that belongs together is traced by.
    pub trace: Option<Box<str>>,
    /// What it is about.
    pub topic: Option<Box<str>>,
    /// What it belongs to.
    pub scope: Option<Scope>,
    /// The hazard that it tells of: a member of a speech act, and of the payload of the others.
    pub hazard: Option<Hazard>,
    /// What it rests on.
    pub citations: Vec<Box<str>>,
    /// What it says: `payload`, or `content`.
    pub content: Map<String, Value>,
    /// Who answers for it.
    pub signature: Option<Signature>,
}

/// For how many seconds a message is good that does not say.
pub(crate) const TTL_S: u32 = 300;

impl IfMessage {
    /// Reads a message of any shape.
    ///
    /// # Errors
    /// It is too long, no JSON object, or has members that are missing, wrong or unknown: all of them are told.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        shapes::read(&json::object(bytes)?)
    }

    /// How sure the agent is, from 0 to 1: as the hazard has it, else as the content does.
    pub fn confidence(&self) -> Option<f64> {
        let of_hazard = self.hazard.as_ref().and_then(|hazard| hazard.original_confidence);
        of_hazard.or_else(|| self.content.get("confidence")?.as_f64())
    }

    /// Is a human to decide, however sure the agent is?
    pub fn auto_escalates(&self) -> bool {
        self.hazard.as_ref().is_some_and(|hazard| hazard.auto_escalate)
    }
}
