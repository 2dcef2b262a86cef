//! On what ground a call may be recorded.

use crate::enumerated::enumerated;
use serde::{Deserialize, Serialize};
use std::fmt;

enumerated! {
    /// The ground on which a call is recorded. Whoever has a call recorded says what holds; two of them the
    /// exchange can bring about by itself.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Consent {
        /// One of the parties knows and agrees, which is enough where the parties are.
        OneParty,
        /// The parties are told by an announcement before they speak, and go on.
        Announced,
        /// All parties have agreed beforehand, as by a contract.
        Agreed,
        /// The law has it recorded, whoever agrees.
        Law,
        /// Each party is asked when the call begins, and has pressed a key to agree.
        Asked,
    }
}

impl Consent {
    /// The words of policies and records, in the order of [`ALL`](Self::ALL).
    pub const WORDS: [&'static str; Self::ALL.len()] = ["one-party", "announced", "agreed", "law", "asked"];

    /// Its word.
    pub const fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

impl fmt::Display for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
