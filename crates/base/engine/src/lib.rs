//! What every engine keeps to: time that comes in with the input, timers as data, seeded randomness.
//!
//! An engine does no I/O. It never reads a clock, opens a socket, spawns a task, takes a lock or asks the
//! operating system for randomness; whoever drives it brings all of these. So every run replays from a seed.
//!
//! The loop of a driver:
//!
//! ```
//! use sx_engine::{Engine, Time};
//! fn drive<E: Engine>(engine: &mut E, now: Time, input: E::Input<'_>) -> Vec<E::Output> {
//!     engine.handle_input(now, input);
//!     std::iter::from_fn(|| engine.poll_output()).collect()
//! }
//! ```

mod arena;
mod rng;
mod time;
mod wheel;

pub use arena::{Arena, Key};
pub use rng::Rng;
pub use time::{Time, civil_from_days};
pub use wheel::{TimerId, Wheel};

/// Inputs carry the time. Drain [`poll_output`](Engine::poll_output) before the next input.
pub trait Engine {
    /// What the world did. May borrow from the buffer it arrived in.
    type Input<'a>;
    /// What the driver must carry out, in the order given.
    type Output;
    /// The world did something at `now`.
    fn handle_input(&mut self, now: Time, input: Self::Input<'_>);
    /// A timer that [`poll_timeout`](Engine::poll_timeout) named has come.
    fn handle_timeout(&mut self, now: Time);
    /// The next thing to carry out; `None` when there is nothing left to do.
    fn poll_output(&mut self) -> Option<Self::Output>;
    /// When [`handle_timeout`](Engine::handle_timeout) must be called at the latest.
    fn poll_timeout(&self) -> Option<Time>;
}
