//! The call engine of one worker: legs in, commands out.
//!
//! Every call is carried back to back. A leg comes in, is routed, and one or more legs go out; the first that answers
//! is connected with the caller, its media through ports of ours or past us. [`Calls`] owns the calls of one worker;
//! it is an [`Engine`](sx_engine::Engine) and does no I/O. It deliberately knows no signalling protocol, no packet,
//! no registrar and no database: legs, ports, the place where a user is registered and records are named in its
//! outputs, which the driver carries out **in their order**.
//!
//! The life of a call:
//!
//! ```text
//!             Incoming          first Answered            Ended of either party
//!  (nothing) ─────────► Ringing ──────────────► Talking ────────────────────────► Ending ──► (nothing)
//!                          │   nobody answered    │  ▲                              ▲  every leg ended,
//!                          │   or caller left     ▼  │ joined                       │  every port closed
//!                          ├──────────────►    transfer, see `transfer.rs` ─────────┤
//!                          └──────────────►    Attending, see `rooms.rs` ───────────┘
//!                            a way is a room
//! ```
//!
//! Its loop, as for every engine: an input with the time, then outputs until there are none, then the next timeout.
//!
//! ```
//! use std::sync::Arc;
//! use sx_call::{Calls, Input, Output, Settings};
//! use sx_engine::{Engine, Rng, Time};
//! use sx_leg::{Address, Bounds, Identity, Incoming, LegEvent, Source};
//! use sx_route::{Definition, Tables};
//! use sx_types::LegId;
//!
//! let tables = Tables::build(Definition { domains: vec!["example.net".into()], ..Definition::default() });
//! let tables = Arc::new(tables.expect("a definition without rules"));
//! let now = Time::from_secs(1_800_000_000);
//! let mut calls = Calls::new(Settings::default(), tables, Rng::from_number(1), now);
//! let alice = Address::new("alice", "example.net");
//! let incoming = Incoming {
//!     from: Identity { address: alice.clone(), ..Identity::default() },
//!     to: Address::new("bob", "example.net"),
//!     source: Source::User(alice),
//!     host: None,
//!     offer: None,
//!     replaces: None,
//!     on_behalf_of: None,
//!     takes_info: None,
//!     headers: Vec::new(),
//!     hops_left: 70,
//!     bounds: Bounds::default(),
//! };
//! calls.handle_input(now, Input::Leg { leg: LegId(1), event: LegEvent::Incoming(Box::new(incoming)) });
//! let outputs: Vec<Output> = std::iter::from_fn(|| calls.poll_output()).collect();
//! assert!(outputs.iter().any(|output| matches!(output, Output::Locate { .. })));
//! ```

mod admission;
mod alarm;
mod announcing;
mod asking;
mod attending;
mod bounds;
mod cdr;
mod codecs;
mod command;
mod consent;
mod control;
mod counting;
mod dial;
mod ending;
mod engine;
mod entering;
mod failure;
mod hold;
mod hunt;
mod interface;
mod inviting;
mod join;
mod keys;
mod members;
mod originating;
mod passing;
mod pickup;
mod port;
mod ports;
mod recording;
mod ringing;
mod rooms;
mod settings;
mod slots;
mod snapshot;
mod state;
mod summary;
mod talking;
mod text;
mod transfer;
mod trunks;
mod uncounted;
mod written;

pub use cdr::{Attempt, CallRecord, CallRecording, Cdr, Ender, RecordingFile};
pub use command::{Command, Invite, MemberChange, Originate, Parties, PartyChange};
pub use consent::Telling;
pub use control::Controls;
pub use counting::{CallCounts, Side, StreamCounts};
pub use engine::Calls;
pub use interface::{Admission, Found, Input, NotAdmitted, Note, Output, QueryId, Wish, WishKind};
pub use recording::{RecordingChange, RecordingNote, RecordingPhase, RecordingRules};
pub use settings::Settings;
pub use snapshot::{CallSnapshot, ExportError, ImportError};
pub use summary::{CallSummary, Phase};
