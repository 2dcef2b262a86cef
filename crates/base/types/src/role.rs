//! What somebody may do who manages the exchange.

use crate::enumerated::enumerated;

enumerated! {
    /// What a token lets its bearer do; each role may do what the one before it may.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Role {
        /// Reads.
        Viewer,
        /// Also ends calls, bans, drains and removes registrations.
        Operator,
        /// Also reloads, and gives and takes tokens.
        Administrator,
    }
}

/// The longest name of a token.
pub const TOKEN_NAME_BYTES_MAX: usize = 64;

impl Role {
    /// As it is written wherever it is.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        }
    }

    /// The role of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_known_by_its_word_and_by_no_other() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.as_str()), Some(role));
        }
        for wrong in ["", "Viewer", "admin", "viewer "] {
            assert_eq!(Role::from_name(wrong), None);
        }
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Administrator);
    }
}
