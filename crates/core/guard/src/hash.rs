//! The hash that names a policy.

use sha2::{Digest, Sha256};
use std::fmt;

/// The SHA-256 of a policy's text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PolicyHash(pub [u8; 32]);

impl PolicyHash {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of a policy that stands in several files: it changes when any of them does. Of one file it is [`of`](Self::of).
    pub fn of_files(files: &[&[u8]]) -> Self {
        match files {
            [one] => Self::of(one),
            files => {
                let mut hash = Sha256::new();
                files.iter().for_each(|file| hash.update(Self::of(file).0));
                Self(hash.finalize().into())
            }
        }
    }
}

impl fmt::Display for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyHash({self})")
    }
}
