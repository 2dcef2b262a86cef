//! SIP sessions as legs of calls, and nothing else.
//!
//! [`SipLegs`] holds an [`Agent`](sx_sip::agent::Agent) and turns its events into [`LegEvent`](sx_leg::LegEvent)s and
//! [`LegCommand`](sx_leg::LegCommand)s into its verbs. It deliberately does not decide anything: who may call is settled before
//! [`SipLegs::incoming`], where a call goes before [`SipLegs::dial`], and what a call does lies on the other side of the waist.
//!
//! | file | what is there |
//! | --- | --- |
//! | `headers.rs` | which header fields pass from one leg to another: the place for a header rule |
//! | `identity.rs` | From, P-Asserted-Identity and Privacy, both ways |
//! | `cause.rs` | SIP status and Q.850 cause of an ending |
//! | `legs.rs` | the sessions, by leg |
//! | `event.rs`, `command.rs` | the two directions |
//!
//! ```
//! use sx_bind_sip::HeaderRules;
//! let rules = HeaderRules { pass: vec!["X-*".into()], ..HeaderRules::default() };
//! assert!(rules.passes(b"x-ticket") && !rules.passes(b"Server"));
//! ```

mod cause;
mod command;
mod event;
mod headers;
mod identity;
mod legs;

pub use event::domain_with_way;
pub use headers::{HeaderRules, may_be_set};
pub use identity::{AssertedIdentity, IdentityRules, called_user_part};
pub use legs::{Accepted, DialTo, DomainOf, IncomingError, LegSnapshot, Polled, Rules, SipLegs, address};
