//! Whether a message is new: made lately, next in its order, and never seen before.

use std::collections::BTreeMap;
use std::time::Duration;
use sx_engine::Time;
use sx_guard::{Nonce, NonceWindow};
use sx_ifmessage::IfMessage;

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreshnessLimits {
    /// Senders whose last number is known. A further one is refused.
    pub senders_max: usize,
    /// Nonces of a sender within the longest time that a message is good.
    pub nonces_max: usize,
    /// How far a sender's clock may be ahead.
    pub ahead_max: Duration,
}

impl Default for FreshnessLimits {
    /// Ten thousand senders, a thousand nonces of each, five minutes ahead.
    fn default() -> Self {
        Self { senders_max: 10_000, nonces_max: 1_000, ahead_max: Duration::from_secs(300) }
    }
}

/// Why a message is not fresh: it may be one that was sent before. The fault of who has sent it, but for [`Stale::Full`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// It was good for a shorter time than has passed.
    #[error("the message is {age_s} s old, and was good for {ttl_s} s")]
    Expired {
        /// How old it is.
        age_s: u64,
        /// For how long it was good.
        ttl_s: u32,
    },
    /// It was made in the future.
    #[error("the message was made {ahead_s} s in the future")]
    Ahead {
        /// How far.
        ahead_s: u64,
    },
    /// A message with this number, or a later one, was here before.
    #[error("the message has number {number}, and {last} was here before")]
    OutOfOrder {
        /// Its number.
        number: u64,
        /// The last one of its sender.
        last: u64,
    },
    /// Its nonce was here before.
    #[error("the nonce of the message was here before")]
    NonceSeen,
    /// There is no room to remember it. Ours.
    #[error("there is no room to remember a message of this sender")]
    Full,
}

/// The senders whose messages were admitted, and what was last of each.
///
/// A number counts once: who goes back to a lower one is refused for good, so that a sender that has lost its count takes
/// another name, or goes on from what it is told. Messages without a number and without a nonce are only asked how old they are.
#[derive(Debug)]
pub struct Freshness {
    limits: FreshnessLimits,
    last: BTreeMap<Box<str>, u64>,
    nonces: NonceWindow,
}

/// A message is good for an hour at most.
const TTL_MAX: Duration = Duration::from_secs(3_600);

impl Freshness {
    /// That of an exchange that has heard of nobody.
    pub fn new(limits: FreshnessLimits) -> Self {
        let nonces = NonceWindow::new(TTL_MAX.max(limits.ahead_max), limits.nonces_max, limits.senders_max);
        Self { limits, last: BTreeMap::new(), nonces }
    }

    /// What was known before a restart.
    pub fn restore(&mut self, sender: &str, last: u64) {
        let known = self.last.entry(sender.into()).or_default();
        *known = last.max(*known);
    }

    /// The last number of each sender.
    pub fn senders(&self) -> impl Iterator<Item = (&str, u64)> {
        self.last.iter().map(|(sender, last)| (&**sender, *last))
    }

    /// Admits a message once. What is refused changes nothing.
    ///
    /// # Errors
    /// Why it is not fresh.
    pub fn admit(&mut self, now: Time, message: &IfMessage) -> Result<(), Stale> {
        self.check_age(now, message)?;
        let last = self.last.get(&message.sender).copied();
        if let (Some(number), Some(last)) = (message.sequence, last)
            && number <= last
        {
            return Err(Stale::OutOfOrder { number, last });
        }
        if message.sequence.is_some() && last.is_none() && self.last.len() >= self.limits.senders_max {
            return Err(Stale::Full);
        }
        if let Some(nonce) = &message.nonce {
            match self.nonces.admit(now, message.sender.as_bytes(), nonce.as_bytes()) {
                Nonce::Fresh => {}
                Nonce::Seen => return Err(Stale::NonceSeen),
                Nonce::Full => return Err(Stale::Full),
            }
        }
        if let Some(number) = message.sequence {
            self.last.insert(message.sender.clone(), number);
        }
        Ok(())
    }

    fn check_age(&self, now: Time, message: &IfMessage) -> Result<(), Stale> {
        let (age, ahead) = (now.since(message.timestamp), message.timestamp.since(now));
        let ttl = Duration::from_secs(message.ttl_s.into());
        match () {
            () if age > ttl => Err(Stale::Expired { age_s: age.as_secs(), ttl_s: message.ttl_s }),
            () if ahead > self.limits.ahead_max => Err(Stale::Ahead { ahead_s: ahead.as_secs() }),
            () => Ok(()),
        }
    }
}
