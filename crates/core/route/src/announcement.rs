//! Announcements: what a caller is told in place of an answer.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use sx_types::Cause;

/// A sound that a caller hears, and what becomes of the call then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The name of the sound.
    pub sound: Arc<str>,
    /// The caller is answered, and the call ends with the sound. Else the sound comes before an answer, which nobody is
    /// charged for, and at its end the next destination is tried; where there is none, the caller is refused.
    pub answers: bool,
    /// Why the caller is refused at its end.
    pub cause: Cause,
}
