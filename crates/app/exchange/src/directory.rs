//! The users an exchange knows: names and what verifies their passwords.

use siphasher::sip::SipHasher13;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use sx_sip::digest::{Algorithm, Ha1};

/// One user.
#[derive(Clone, Debug)]
pub struct User {
    /// The name before the `@`.
    pub name: Box<str>,
    /// The domain, in lower case.
    pub domain: Box<str>,
    /// For MD5 digests.
    pub md5: Ha1,
    /// For SHA-256 digests.
    pub sha256: Ha1,
}

impl User {
    /// What verifies digests of this algorithm.
    pub fn ha1(&self, algorithm: Algorithm) -> &Ha1 {
        match algorithm {
            Algorithm::Md5 => &self.md5,
            Algorithm::Sha256 => &self.sha256,
        }
    }
}

/// All users, built anew when any of them changes.
#[derive(Debug, Default)]
pub struct Directory {
    users: HashMap<Box<str>, User, BuildHasherDefault<SipHasher13>>,
}

impl Directory {
    /// The directory of these users.
    pub fn new(users: impl IntoIterator<Item = User>) -> Self {
        let users = users.into_iter().map(|user| (format!("{}@{}", user.name, user.domain).into(), user));
        Self { users: users.collect() }
    }

    /// The user with this address, `name@domain`.
    pub fn find(&self, address: &str) -> Option<&User> {
        self.users.get(address)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Is there nobody?
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}
