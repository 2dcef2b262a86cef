//! What is wrong with a message: always the fault of who wrote it.

use std::fmt;

/// Why bytes are no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There are more bytes than a message may have.
    #[error("the message has {bytes} bytes, and {bytes_max} is the most")]
    TooLong {
        /// The bytes.
        bytes: usize,
        /// How many there may be.
        bytes_max: usize,
    },
    /// They are no JSON object, or a member stands in an object twice.
    #[error("no JSON object: {0}")]
    Json(Box<str>),
    /// Members are missing, wrong or unknown: all of them that there is room for.
    #[error("{}", told(.0))]
    Fields(Vec<Fault>),
}

/// Something that is wrong with a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it is, as a JSON pointer (RFC 6901): `/hazard/type`.
    pub pointer: Box<str>,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It has to be there.
    #[error("is missing")]
    Missing,
    /// No message of this shape has it.
    #[error("is not known")]
    Unknown,
    /// It is of another type.
    #[error("is not {0}")]
    Type(&'static str),
    /// It is none of the words that it may be.
    #[error("is none of {}", .0.join(", "))]
    Word(&'static [&'static str]),
    /// It is shorter or longer than it may be, in characters or elements, or less or more.
    #[error("is not within {0} to {1}")]
    Range(u64, u64),
    /// It is not written as it has to be.
    #[error("is not {0}")]
    Form(&'static str),
    /// The signature is to cover it, and does not.
    #[error("is not among signature.signed_fields")]
    Unsigned,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.pointer.is_empty() { "the message" } else { &self.pointer };
        write!(f, "{name} {}", self.problem)
    }
}

fn told(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}
