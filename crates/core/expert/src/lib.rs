//! Experts: who knows about what, when they can be called, and whom to call first.
//!
//! ```text
//!  experts ──► knows of it? speaks the language? may be called from there? ──► in good standing, reachable, within hours, free
//!                                                                                        └──► the best first, each with why
//! ```
//!
//! [`rank`] is a pure function: who is registered, who is in how many calls and what time it is come in as facts. This crate
//! deliberately knows no telephones, no database and no cryptography: an expert's addresses are text for whoever calls them,
//! and whether their entry is signed with their key comes in as a fact. A [`Profile`] is what is written down of an expert.
//!
//! ```
//! use sx_engine::Time;
//! use sx_expert::{Expert, Need, Presence, rank};
//! let mut expert = Expert::new("chem-1", "Dr. Lind");
//! expert.knows("safety", 3);
//! let need = Need { subject: "safety", ..Need::default() };
//! let experts = [expert];
//! let ranked = rank(&experts, &need, |_| Presence { reachable: true, calls: 0, rings: 0, rings_max: 3 }, Time::from_secs(1_800_000_000));
//! assert_eq!((ranked.best.len(), ranked.best[0].index), (1, 0));
//! ```

mod expert;
mod hours;
mod profile;
mod ranking;

pub use expert::{Expert, Shift, Skill, Standing};
pub use hours::{Hours, HoursError};
pub use profile::{LIST_MAX, OnCall, Profile, ProfileError, Specialisation, TEXT_BYTES_MAX};
pub use ranking::{Need, PassedOver, Presence, Ranked, Ranking, Why, rank};
