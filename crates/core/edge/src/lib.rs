//! The edge: what stands between the network and a request, and needs no protocol to decide.
//!
//! Who sends too fast ([`Sources`]), who may come from where ([`Allowlist`]), who asks for too much ([`IdentityLoad`]), whose
//! password is being guessed ([`Failures`]), who calls itself a scanner ([`is_scanner`]). Each is a small decision of its
//! own. Time comes in with the question, memory is taken when a table is made, and nothing grows with the number of
//! those who send: a million forged addresses change only which of them are remembered. A worker has one of each, and
//! there are no locks; only what an identity asks for is counted by all workers together.
//!
//! It deliberately does not know what a SIP message is, what is answered to whom is refused, or that there are other
//! workers: whoever drives it tells them of a [`Ban`].
//!
//! ```text
//!  a datagram ──► Sources::arrived ──► Pass, Challenge ──► parsed, authenticated, … ──► Sources::observe ──► a Ban?
//!                        └──► Refuse once, then Dropped
//! ```
//!
//! ```
//! use sx_edge::{Arrival, Source, SourceLimits, Sources, Why};
//! use sx_engine::Time;
//!
//! let limits = SourceLimits { unknown: 2, sources_max: 1_000, ..SourceLimits::default() };
//! let from = Source::of([192, 0, 2, 1].into(), &limits.prefixes);
//! let mut sources = Sources::new(limits, *b"sixteen of them!");
//! let arrivals = [0, 1, 2, 3].map(|second| sources.arrived(Time::from_secs(1_000 + second), from));
//! assert_eq!(arrivals[1], Arrival::Pass);
//! assert_eq!(arrivals[2], Arrival::Refuse { retry_after_s: 300 });
//! assert_eq!(arrivals[3], Arrival::Dropped(Why::Rate));
//! ```

mod allowlist;
mod failures;
mod latency;
mod layer;
mod load;
mod networks;
mod scanner;
mod sliding;
mod source;
mod sources;
mod table;

pub use allowlist::{Allowlist, AllowlistError, Organisation, Refused};
pub use failures::{FailureLimits, Failures};
pub use latency::LatencyHistogram;
pub use layer::Layer;
pub use load::{CallPermit, IdentityLoad, RetryAfter};
pub use networks::Networks;
pub use scanner::{SCANNERS, is_scanner, scanner_among};
pub use source::{Prefixes, Source};
pub use sources::{
    AUTHENTICATED_FOR, Arrival, Ban, MethodClass, Observation, SCORE_BAN, ScoreParts, SourceLimits, SourceReport,
    Sources, Why,
};
pub use sx_types::Network;
