//! A value that is never printed.

use std::fmt;
use std::sync::Arc;

/// A password. Neither `Debug` nor the printed configuration shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Keeps the text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text itself: only for the one who must use it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::SHOWN)
    }
}

impl Secret {
    /// What is shown in its place.
    pub const SHOWN: &'static str = "<secret>";
}
