//! Routing: who may call what, and which ways there are, best first.
//!
//! [`plan`] is a pure function over immutable [`Tables`] and the [`Facts`] of one call. It takes no permit, counts
//! nothing and asks nobody, so that explaining a route and taking it are the same thing. It deliberately does not
//! know where users are registered, what a trunk's protocol is, or that calls exist at all.
//!
//! ```text
//!  Definition ──Tables::build──► Tables ──┐
//!                                         ├──► plan ──► Plan::Ring(stages, each with its reason)
//!  who, whom, counters, chance ──► Facts ─┘        └──► Plan::Refuse(cause, sentence)
//! ```
//!
//! ```
//! use sx_leg::{Address, Source};
//! use sx_route::{Definition, Facts, Plan, Tables, plan};
//!
//! let definition = Definition { domains: vec!["example.net".into()], ..Definition::default() };
//! let tables = Tables::build(definition).expect("no rule, so none is wrong");
//! let from = Source::User(Address::new("alice", "example.net"));
//! let to = Address::new("bob", "example.net");
//! let facts = Facts { source: &from, to: &to, trunks: &[], random: 0 };
//! assert!(matches!(plan(&tables, &facts), Plan::Ring(route) if route.stages.len() == 1));
//! ```

mod announcement;
mod definition;
mod dialled;
mod load;
mod pattern;
mod plan;
mod room;
mod tables;
mod trie;

pub use announcement::Announcement;
pub use definition::{
    Access, DefaultsForUsers, Definition, Destination, DestinationKind, DomainFilter, Failover, Fork, LatchMode, Match,
    MediaMode, Rule, SourceFilter, Trunk,
};
pub use load::{Occupancy, TrunkLoad};
pub use pattern::{Pattern, PatternError};
pub use plan::{Facts, Plan, Planned, Reason, Refusal, Route, SkipReason, Skipped, Stage, TrunkFacts, Way, Why, plan};
pub use room::Room;
pub use tables::{TableError, Tables, TrunkId};
