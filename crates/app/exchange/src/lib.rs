//! The exchange itself: one worker that composes registrar, edge, SIP legs and calls, and does no I/O either.
//!
//! This is the only crate that sees every layer. A [`Worker`] is an engine: the program in `app/strowger` wires workers to
//! sockets, a test wires the same workers to a virtual network. It deliberately holds no socket, file, thread or clock.
//!
//! ```text
//!  Message ──► home? ──► agent ──► (in a dialog) ──────────────► legs ──► calls ──► legs ──► Send
//!                 │         └────► (new) edge ── admit ──► leg ─┘           ├──► Media, Record
//!                 └──► Peer                 ├── REGISTER ──► registrar ──► Binding
//!                                           └── challenge, refuse, answer, relay
//! ```
//!
//! | file | what is there |
//! | --- | --- |
//! | `interface.rs` | inputs and outputs |
//! | `worker.rs` | what a worker is made of, and the order in which it carries things on |
//! | `peers.rs` | several workers as one: where a message belongs, what they tell each other |
//! | `edge.rs` | who is asking: trunk, user, nobody |
//! | `layers/` | what a request passes before anything is done for it |
//! | `countries.rs` | the country of an address |
//! | `digest_auth.rs` | challenges and their answers |
//! | `refused.rs` | who was refused for its credentials, told within bounds |
//! | `witnessing.rs` | records for the witness log, and what waits until they are on the disk |
//! | `register.rs` | REGISTER |
//! | `dialing.rs` | from a call's target to addresses and header rules |
//! | `trunks.rs` | probes of trunks, and registration with providers |
//! | `requests.rs` | requests outside of calls: OPTIONS, MESSAGE, the others |
//! | `tables.rs` | configuration → what workers read |
//! | `directory.rs` | the users |
//! | `people.rs` | the experts and the guardians |
//! | `escalation/` | messages of agents: what is decided about each, and the search for an expert who answers |
//! | `obligations.rs` | what a policy may bind a call to, and nothing here can do |
//! | `management.rs` | what operators may know, and what they may do |
//! | `snapshot.rs` | a call as one value, signalling and all |

mod certified;
mod countries;
mod counts;
mod dialing;
mod digest_auth;
mod directory;
mod doubts;
mod edge;
mod escalation;
mod interface;
mod layers;
mod management;
mod obligations;
mod peers;
mod people;
mod refused;
mod register;
mod requests;
mod snapshot;
mod tables;
mod trunk_health;
mod trunks;
mod witnessing;
mod worker;

pub use certified::CertifiedUsers;
pub use countries::Countries;
pub use counts::{Counts, REFUSALS, Refusal};
pub use dialing::Question;
pub use directory::{Directory, User};
pub use doubts::{About, Doubt, doubts_between, doubts_of, doubts_of_policy};
pub use escalation::{AttemptReport, Escalate, EscalationReport, EvidenceLinks, Rejection};
pub use interface::{Came, Input, Output, PeerMessage, Unresolved};
pub use layers::{LayerCounts, LayerSettings, PartySnapshot, RecordLimits, SIP_CALL_ID_CHARS_MAX, status_of};
pub use management::{Operation, RegisteredContact, TrunkReport};
pub use obligations::Recordings;
pub use peers::keeper_of;
pub use people::{KnownGuardian, People};
pub use refused::{RefusalLimits, RefusedAuthentication, WhyRefused};
pub use snapshot::{ExchangeSnapshot, RestoreError};
pub use tables::{BuildError, Tables, TrunkTable};
pub use witnessing::WitnessSettings;
pub use worker::{Worker, WorkerSettings};
