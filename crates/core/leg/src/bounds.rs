//! What a call is bound to for its life.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use sx_types::{Codec, Consent};

/// What whoever let a party in, or let it be called, has bound it to. It holds for whoever takes its place, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// No other codecs than these, whoever offers them and when; `None`: any.
    pub codecs: Option<Arc<[Codec]>>,
    /// The parties may talk no longer than this from now on; `None`: as long as any others.
    pub talk_max: Option<Duration>,
    /// What is said is recorded, on this ground; `None`: nobody has to record it.
    #[serde(default)]
    pub record: Option<Consent>,
}

impl Bounds {
    /// Is it bound to nothing?
    pub fn is_free(&self) -> bool {
        *self == Self::default()
    }

    /// Both: the codecs that both allow, the shorter time, and recorded when either is.
    pub fn add(&mut self, other: &Self) {
        self.codecs = match (self.codecs.take(), &other.codecs) {
            (Some(ours), Some(theirs)) if ours == *theirs => Some(ours),
            (Some(ours), Some(theirs)) => Some(ours.iter().copied().filter(|codec| theirs.contains(codec)).collect()),
            (ours, theirs) => ours.or_else(|| theirs.clone()),
        };
        self.talk_max = self.talk_max.into_iter().chain(other.talk_max).min();
        // Either ground will do; the first that was given stands.
        self.record = self.record.or(other.record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bound_twice_is_bound_to_what_both_allow() {
        let bound = |codecs: &[Codec], seconds| Bounds {
            codecs: Some(codecs.into()),
            talk_max: Some(Duration::from_secs(seconds)),
            record: None,
        };
        let check = |one: Bounds, other: Bounds, expected: &Bounds| {
            let mut both = one.clone();
            both.add(&other);
            assert_eq!(both, *expected);
            let mut both = other;
            both.add(&one);
            assert_eq!(both, *expected);
        };
        let one = bound(&[Codec::Pcma, Codec::Opus], 30);
        check(one.clone(), Bounds::default(), &one);
        check(one.clone(), bound(&[Codec::Pcma, Codec::Pcmu], 20), &bound(&[Codec::Pcma], 20));
        // Of two that have nothing in common nothing is allowed, which is not the same as anything.
        check(one.clone(), bound(&[Codec::Pcmu], 60), &bound(&[], 30));
        let recorded = |bounds: Bounds| Bounds { record: Some(Consent::Law), ..bounds };
        check(one.clone(), recorded(Bounds::default()), &recorded(one));
    }
}
