//! The guard: typed facts in, a decision out.
//!
//! [`Policy::decide`] is a pure function of a [`Request`] and a policy that never changes. It is asked by everything that
//! lets somebody do something: calls, messages, registrations, escalations, admissions of H.323, rooms, browsers,
//! evidence, recordings and exports are [`Action`]s, and each gate and rule says for which of them it stands.
//!
//! ```text
//!  Request ──► authenticity ──► identity ──► rules in their order ──► codec ──► rate ──► Decision
//! ```
//!
//! The first gate that refuses decides. Of the rules, the first that matches and says yes or no decides; those that are
//! `conditional` add their obligations on the way. The rate comes last: whoever asks counts a request only when it was
//! approved, so that nothing is used up by what is refused anyhow.
//!
//! This crate deliberately knows no SIP, no clock, no counter and no cryptography: what time it is, how often somebody
//! has called and whether a signature is right come in as facts. Only [`NonceWindow`] remembers anything.
//!
//! ```
//! use sx_guard::{Action, Authentication, Outcome, Policy, Request, Source};
//! let policy = Policy::default();
//! let request = Request {
//!     action: Action::Call,
//!     source: Source::User,
//!     identity: "alice@example.com",
//!     address: "192.0.2.7".parse().expect("an address"),
//!     transport: sx_types::Transport::Udp,
//!     country: None,
//!     organisation: "",
//!     authenticated: Authentication::DigestSha256,
//!     subject: "+49301234567",
//!     codecs: &[],
//!     other_codecs: &[],
//!     score_milli: 0,
//!     recent: 0,
//!     calls: 0,
//!     hour_utc: 12,
//!     weekday: 0, escalation: None,
//! };
//! assert_eq!(policy.decide(&request).outcome, Outcome::Approve);
//! ```

mod check;
mod decision;
mod definition;
mod error;
mod explain;
mod facts;
mod gates;
mod hash;
mod names;
mod nonce;
mod policy;
mod read;
mod reading;
mod rules;
mod scope;
mod value;

pub use check::RULES_MAX;
pub use decision::{CodecLists, Decision, Gate, Outcome, Reason, ReasonKind};
pub use definition::{
    AuthenticityException, AuthenticityGate, BUILT_IN, CodecGate, Conditions, Definition, Entry, FairnessGate,
    GUARDIAN, IdentityGate, Obligations, Rate, RateGate, Rule, Status, Then, Unlisted, Weekday,
};
pub use error::{Place, PolicyError, PolicyProblem};
pub use explain::{Explanation, Fact, Part, Said, Step};
pub use facts::{
    Action, Authentication, AuthenticationKind, Bandwidth, EscalationFacts, Obstacle, PerAction, PersonalData, Request,
    SignatureFacts, Source, SourceKind, Specialists,
};
pub use hash::PolicyHash;
pub use nonce::{Nonce, NonceWindow};
pub use policy::Policy;
pub use value::{Country, Hours, IdentityPattern, NotAllowed, PublicKey};

impl Definition {
    /// Everything in it that does not fit together; what [`Policy::build`] would refuse it for.
    pub fn check(&self) -> Vec<PolicyError> {
        check::check(self)
    }
}
