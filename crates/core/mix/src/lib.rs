//! N-1 mixing: frames of samples in, frames of samples out. Each member of a [`Room`] hears all others and not itself.
//!
//! This crate deliberately knows no packet, no codec, no call, no clock and no conference: who may enter, who may mute
//! whom, and what is played when, is decided by its owner.
//!
//! The loop: [`Room::handle_frame`] takes what each member has said in the last [`FRAME_MS`], and [`Room::mix`] gives a
//! [`Tick`]. It has each distinct mix once, and names for each member the one that it hears: in a room of 25 where 3 speak,
//! there are 4 to be encoded, not 25. Nothing is allocated meanwhile.
//!
//! # Rates
//!
//! A room has no rate of its own. Members speak and listen at 8, 16 or 48 kHz, and there is a mix at each rate that
//! somebody listens at. Streams are resampled, not mixes: a member that begins to speak goes from one mix to another, and
//! would meet another filter's past there. Only who is heard is resampled, once for each other rate that is listened at;
//! those of one rate hear each other sample by sample, without delay.
//!
//! # What is heard
//!
//! ```text
//!  frame ─► level ─► gate ─► among the loudest? ─► resampled ─► gain ─► sum of those who may be heard ─► limiter ─► mix
//!             └─► speaking, dominant
//! ```
//!
//! A sum that fits is passed on as it is; all mixes of a room are turned down together where one does not.
//!
//! ```
//! use sx_mix::{MemberId, MemberSettings, Rate, Room, RoomEvent, RoomSettings};
//! let mut room = Room::new(RoomSettings::default());
//! for id in 1..=3 {
//!     room.join(MemberId(id), &MemberSettings::new(Rate::Hz8000))?;
//! }
//! let said: Vec<i16> = (0..160).map(|i| if i / 20 % 2 == 0 { 1_000 } else { -1_000 }).collect();
//! for tick in 0..5 {
//!     room.handle_frame(MemberId(1), &said)?;
//!     let tick = room.mix();
//!     let heard = |id| tick.mix_of(MemberId(id)).and_then(|number| tick.mix(number)).expect("it is there");
//!     assert!(heard(1).silent && heard(2).samples[100..] == said[100..]);
//!     assert_eq!(tick.mix_of(MemberId(2)), tick.mix_of(MemberId(3)));
//! }
//! assert!(room.speaking(MemberId(1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod dominance;
mod kernel;
mod level;
mod limiter;
mod member;
mod mixing;
mod rate;
mod room;
mod settings;
mod speakers;
mod stream;
mod tick;

pub use level::SILENCE_DBOV;
pub use rate::{FRAME_MS, Rate};
pub use room::Room;
pub use settings::{
    Absent, FrameError, Gain, HeardBy, JoinError, MEMBERS_MAX, MemberId, MemberSettings, Role, RoomSettings,
    SOURCES_MAX, SPEAKERS_MAX, SourceId, SourceSettings,
};
pub use tick::{Mix, MixKind, RoomEvent, Tick};
