//! Nonces seen, so that a signature is good once.

use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use sx_engine::Time;

/// The nonces of signatures that were good, for as long as such a signature could come again. Each key has its own
/// room, so that nobody fills another's; when it is full of nonces that still count, no further one is taken.
///
/// ```text
///   signature verifies ──► admit ──► Fresh: remembered until its time is over
///                                ├─► Seen: it came before
///                                └─► Full: it cannot be remembered, and so is not to be believed
/// ```
///
/// Ask only about signatures that verify: otherwise a stranger fills the room of a key that is not theirs.
#[derive(Debug)]
pub struct NonceWindow {
    keep: Duration,
    nonces_max: usize,
    keys_max: usize,
    keys: BTreeMap<Box<[u8]>, Seen>,
    /// When each nonce came, and for which key; oldest first.
    order: VecDeque<(Time, Box<[u8]>)>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Oldest first.
    order: VecDeque<(Time, Short)>,
    all: BTreeSet<Short>,
}

/// The start of a nonce's hash: peers choose how long a nonce is, we choose what it costs us.
type Short = [u8; 16];

/// What is known of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonce {
    /// Not seen before; it is remembered now.
    Fresh,
    /// Seen before.
    Seen,
    /// There is no room to remember it. Whoever signs so often, or so many, must wait: take it as seen.
    Full,
}

impl NonceWindow {
    /// For signatures that may be `age_max` old, or from a clock that is as much ahead: a signature from the future is
    /// good for twice that time. Room is for `nonces_max` nonces of a key, and for `keys_max` keys.
    pub fn new(age_max: Duration, nonces_max: usize, keys_max: usize) -> Self {
        // Ages are whole seconds, so that one more passes before a signature is sure to be too old.
        let keep = age_max.saturating_mul(2) + Duration::from_secs(1);
        Self { keep, nonces_max, keys_max, keys: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Asks about a nonce, and remembers it when it is fresh.
    pub fn admit(&mut self, now: Time, key: &[u8], nonce: &[u8]) -> Nonce {
        self.forget_old(now);
        let short = shortened(nonce);
        let known = self.keys.get(key);
        if known.is_some_and(|seen| seen.all.contains(&short)) {
            return Nonce::Seen;
        }
        let nonces = known.map_or(0, |seen| seen.order.len());
        if nonces >= self.nonces_max || (known.is_none() && self.keys.len() >= self.keys_max) {
            return Nonce::Full;
        }
        let seen = self.keys.entry(key.into()).or_default();
        seen.all.insert(short);
        seen.order.push_back((now, short));
        self.order.push_back((now, key.into()));
        Nonce::Fresh
    }

    /// How many nonces are remembered.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Is none remembered?
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn forget_old(&mut self, now: Time) {
        let old = |at: Time| now.since(at) > self.keep;
        while self.order.front().is_some_and(|(at, _)| old(*at)) {
            let Some((_, key)) = self.order.pop_front() else { return };
            let Some(seen) = self.keys.get_mut(&key) else { continue };
            if let Some((_, short)) = seen.order.pop_front() {
                seen.all.remove(&short);
            }
            if seen.order.is_empty() {
                self.keys.remove(&key);
            }
        }
    }
}

fn shortened(nonce: &[u8]) -> Short {
    let hash: [u8; 32] = Sha256::digest(nonce).into();
    std::array::from_fn(|place| hash[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> NonceWindow {
        NonceWindow::new(Duration::from_secs(300), 3, 2)
    }

    #[test]
    fn a_nonce_is_good_once_for_each_key() {
        let mut window = window();
        let now = Time::from_secs(1_000);
        assert_eq!(window.admit(now, b"a", b"1"), Nonce::Fresh);
        assert_eq!(window.admit(now, b"a", b"1"), Nonce::Seen);
        assert_eq!(window.admit(now, b"b", b"1"), Nonce::Fresh);
    }

    #[test]
    fn a_nonce_is_remembered_for_as_long_as_its_signature_could_be_good() {
        let mut window = window();
        // Signed by a clock that is 300 s ahead: good now, and until 600 s from now.
        assert_eq!(window.admit(Time::from_secs(0), b"a", b"1"), Nonce::Fresh);
        assert_eq!(window.admit(Time::from_secs(601), b"a", b"1"), Nonce::Seen);
        assert_eq!(window.admit(Time::from_secs(602), b"a", b"1"), Nonce::Fresh);
        assert_eq!(window.len(), 1);
    }

    #[test]
    fn a_window_that_is_full_takes_nothing_until_something_is_old() {
        let mut window = window();
        for (at, nonce) in [(0, b"1"), (100, b"2"), (200, b"3")] {
            assert_eq!(window.admit(Time::from_secs(at), b"a", nonce), Nonce::Fresh);
        }
        assert_eq!(window.admit(Time::from_secs(300), b"a", b"4"), Nonce::Full);
        assert_eq!(window.admit(Time::from_secs(300), b"b", b"4"), Nonce::Fresh);
        assert_eq!(window.admit(Time::from_secs(300), b"c", b"4"), Nonce::Full);
        assert_eq!(window.admit(Time::from_secs(602), b"a", b"4"), Nonce::Fresh);
        assert_eq!(window.admit(Time::from_secs(602), b"a", b"2"), Nonce::Seen);
        assert_eq!(window.len(), 4);
        assert_eq!(window.admit(Time::from_secs(2_000), b"c", b"4"), Nonce::Fresh);
        assert_eq!(window.len(), 1);
    }
}
