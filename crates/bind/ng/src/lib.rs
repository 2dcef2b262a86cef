//! The NG control protocol as plans of media, and nothing else.
//!
//! A SIP proxy (Kamailio, OpenSIPS) passes the descriptions of its calls through [`NgCalls`], which opens ports between the
//! parties and says in each description that media goes there. The engine deliberately knows no SIP, and no socket: requests
//! come in as bytes with whoever sent them, answers go out as bytes, packet threads are told in [`MediaCommand`]s.
//!
//! ```text
//!  proxy ── offer, answer, delete ──► NgCalls ── Open, SetRemote, Patch, Close ──► packet threads
//!        ◄──── ok, descriptions ────         ◄──── Opened, Counted, Closed ───────
//! ```
//!
//! A request waits while ports are opened or counted for it, and those of the same call behind it; the same request sent
//! again gets the same answer. A call has branches, one for each party that its caller may come to talk to, and each branch
//! two sides with ports of their own:
//!
//! ```text
//!            offer                 answer                       delete, silence
//!  (nothing) ─────► ports open(ing) ─────► both sides connected ───────────────► ports stay for the delay, then (nothing)
//!                        ▲                     │
//!                        └────── re-offer ─────┘
//! ```
//!
//! | file | what is there |
//! | --- | --- |
//! | `engine.rs` | requests and events in, answers and commands out; waiting, timers |
//! | `beginning.rs` | what needs no call, and the call that is meant |
//! | `call.rs` | calls, branches, sides, ports; which branch a request means |
//! | `offer.rs`, `answer.rs` | descriptions passed on, sides connected |
//! | `ports.rs` | ports opened and closed |
//! | `parties.rs` | whom a request means that is about the media of a call |
//! | `patching.rs` | where packets go, and what becomes of them on the way |
//! | `playing.rs`, `keys.rs`, `blocking.rs` | sounds that are played, digits that are sent, what is held back |
//! | `recording.rs` | recordings of calls |
//! | `ending.rs` | deletions, and calls that nobody deletes |
//! | `codecs.rs` | which codecs a party is offered |
//! | `settling.rs` | which codecs the other one is answered, and what packets become |
//! | `report.rs` | what queries and statistics tell |
//! | `reply.rs` | what requests are answered with |
//! | `repeated.rs` | answers that are kept for requests that come again |

mod answer;
mod beginning;
mod blocking;
mod call;
mod codecs;
mod ending;
mod engine;
mod keys;
mod offer;
mod parties;
mod patching;
mod playing;
mod ports;
mod recording;
mod repeated;
mod reply;
mod report;
mod settings;
mod settling;

pub use engine::{Input, NgCalls, Output, Sender};
pub use recording::{RecordingNote, RecordingState};
pub use settings::{Interface, RecordingRules, Settings, SoundNames};

#[cfg(doc)]
use sx_media::MediaCommand;
