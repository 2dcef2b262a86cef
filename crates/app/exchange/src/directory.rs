//! The users an exchange knows: names and what verifies their passwords.

use siphasher::sip::SipHasher13;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use sx_edge::{Failures, IdentityLoad};
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
    users: HashMap<Box<str>, Known, BuildHasherDefault<SipHasher13>>,
}

#[derive(Debug)]
struct Known {
    user: User,
    load: Arc<IdentityLoad>,
    failures: Arc<Failures>,
    /// Are they registered anywhere? Written by the worker that keeps their bindings.
    registered: Arc<AtomicBool>,
}

impl Directory {
    /// The directory of these users.
    pub fn new(users: impl IntoIterator<Item = User>) -> Self {
        let known = |user: User| {
            let address = format!("{}@{}", user.name, user.domain);
            (address.into(), Known { user, load: Arc::default(), failures: Arc::default(), registered: Arc::default() })
        };
        Self { users: users.into_iter().map(known).collect() }
    }

    /// This directory instead of `before`: with what its users have asked for of late, their calls, and how often somebody
    /// has failed to be them.
    #[must_use]
    pub fn following(mut self, before: &Self) -> Self {
        for (address, known) in &mut self.users {
            if let Some(then) = before.users.get(address) {
                known.load = then.load.clone();
                known.failures = then.failures.clone();
                known.registered = then.registered.clone();
            }
        }
        self
    }

    /// What the user with this address asks for, over all workers.
    pub(crate) fn load(&self, address: &str) -> Option<&Arc<IdentityLoad>> {
        self.users.get(address).map(|known| &known.load)
    }

    /// How often the password of the user with this address was wrong, over all workers.
    pub(crate) fn failures(&self, address: &str) -> Option<&Failures> {
        self.users.get(address).map(|known| &*known.failures)
    }

    /// Is the user with this address registered anywhere? `None`: that is no user.
    pub(crate) fn is_registered(&self, address: &str) -> Option<bool> {
        self.users.get(address).map(|known| known.registered.load(Ordering::Relaxed))
    }

    /// Notes whether the user with this address is registered anywhere.
    pub(crate) fn note_registered(&self, address: &str, is_registered: bool) {
        if let Some(known) = self.users.get(address) {
            known.registered.store(is_registered, Ordering::Relaxed);
        }
    }

    /// The user with this address, `name@domain`.
    pub fn find(&self, address: &str) -> Option<&User> {
        self.users.get(address).map(|known| &known.user)
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
