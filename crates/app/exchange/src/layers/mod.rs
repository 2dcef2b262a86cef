//! The seven layers a request passes before anything is done for it, always in this order.
//!
//! ```text
//!  datagram ─► 1 source rate ─► parse ─► 2 network ─► 3 transport ─► 4 identity ─► 5 identity rate ─► 6 guard ─► 7 witness
//!                                                     (sanity, country, digest)
//! ```
//!
//! Each is a small decision that changes nothing but its own counters. Whoever is refused is named in a record of the
//! witness log with the layer that refused, one by one up to a limit and summed up beyond it.

mod admission;
mod counts;
mod guard;
mod refusal;
mod source;
mod tally;
mod wishes;

pub use counts::{LayerCounts, LayerSettings};
pub use tally::RecordLimits;

pub(crate) use counts::add;
pub use guard::status_of;
pub(crate) use guard::{Admitted, Asked, Identified, taken};
pub use refusal::SIP_CALL_ID_CHARS_MAX;
pub(crate) use refusal::{Answer, RefusedBy, shown};
pub(crate) use tally::{Asker, Tally};
pub use wishes::PartySnapshot;
pub(crate) use wishes::{Dialled, PartyFacts};

use siphasher::sip128::SipHasher13;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use sx_edge::{CallPermit, IdentityLoad, Layer, Observation, Source, Sources};
use sx_engine::Rng;
use sx_types::CallId;

/// What the layers of one worker remember.
#[derive(Debug)]
pub(crate) struct Layers {
    pub(crate) sources: Sources,
    name_key: [u8; 16],
    dialled_key: [u8; 16],
    /// What those ask for who have not proved that they are who they say, each by a keyed hash of the name: strangers choose
    /// it, and as long as they like.
    pub(crate) unproved: BTreeMap<u128, Arc<IdentityLoad>>,
    /// What each call takes of those that whoever has begun it may have.
    pub(crate) callers: BTreeMap<CallId, CallPermit>,
    pub(crate) tally: Tally,
    pub(crate) counts: Arc<LayerCounts>,
    pub(crate) nanos: fn() -> u64,
    /// How many milliseconds the wall clock is ahead of our time.
    pub(crate) wall_ahead_ms: i64,
    /// Messages that were not even looked at.
    pub(crate) dropped: u64,
    /// What messages of other workers have taught, to be told to those that keep account of it.
    pub(crate) observed: BTreeMap<(u16, Source), Vec<Observation>>,
    /// What was decided of the INVITE that is about to become a call.
    pub(crate) admitted: Option<Admitted>,
}

impl Layers {
    pub(crate) fn new(settings: &LayerSettings, rng: &mut Rng) -> Self {
        let sources = settings.sources;
        let mut key = || rng.u128().to_be_bytes();
        Self {
            name_key: key(),
            dialled_key: key(),
            sources: Sources::new(sources, key()),
            unproved: BTreeMap::new(),
            callers: BTreeMap::new(),
            wall_ahead_ms: 0,
            tally: Tally::new(settings.records),
            counts: Arc::default(),
            nanos: settings.nanos,
            dropped: 0,
            observed: BTreeMap::new(),
            admitted: None,
        }
    }
}

impl Layers {
    /// By what a name is remembered that nobody has proved to have.
    fn hash_of(&self, name: &str) -> u128 {
        SipHasher13::new_with_key(&self.name_key).hash(name.as_bytes()).as_u128()
    }

    /// A number that says whether two request URIs are the same. Who does not know the key cannot choose URIs that seem
    /// to be one.
    pub(crate) fn number_of(&self, uri: &[u8]) -> u64 {
        siphasher::sip::SipHasher13::new_with_key(&self.dialled_key).hash(uri)
    }

    /// What somebody asks for who has proved nothing, on this worker: a name that anybody can choose is no limit to anybody.
    pub(crate) fn unproved(&mut self, name: &str) -> Arc<IdentityLoad> {
        let name = self.hash_of(name);
        if let Some(load) = self.unproved.get(&name) {
            return load.clone();
        }
        if self.unproved.len() >= IDENTITIES_MAX {
            self.unproved.retain(|_, load| load.calls() > 0);
        }
        self.unproved.entry(name).or_default().clone()
    }

    /// A layer begins to look at a request. [`end`](Self::end) belongs to it, whatever comes of the request.
    pub(crate) fn begin(&self, layer: Layer) -> Timing {
        Timing { layer, begun: self.counts.times_next(layer).then(self.nanos) }
    }

    /// It has seen enough.
    #[expect(clippy::needless_pass_by_value, reason = "what has begun ends once")]
    pub(crate) fn end(&self, timing: Timing) {
        if let Some(begun) = timing.begun {
            self.counts.observe(timing.layer, (self.nanos)().wrapping_sub(begun));
        }
    }

    /// It has seen enough, and lets the request pass or has refused it.
    pub(crate) fn end_with(&self, timing: Timing, passes: bool) {
        if passes {
            self.counts.pass(timing.layer);
        }
        self.end(timing);
    }

    /// Brings the gauges up to date.
    pub(crate) fn publish(&self) {
        self.counts.sources.store(self.sources.len() as u64, Ordering::Relaxed);
        self.counts.sources_evicted.store(self.sources.evictions(), Ordering::Relaxed);
    }
}

/// A layer looks at a request.
#[must_use = "what has begun must end"]
pub(crate) struct Timing {
    layer: Layer,
    /// When it began, if its time is taken.
    begun: Option<u64>,
}

/// Names that nobody has proved whose rate is remembered.
const IDENTITIES_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_write_is_remembered_by_hashes_of_which_they_do_not_know_the_key() {
        let sources = sx_edge::SourceLimits { sources_max: 8, ..sx_edge::SourceLimits::default() };
        let settings = LayerSettings { sources, ..LayerSettings::default() };
        let [first, second] = [1, 2].map(|seed| Layers::new(&settings, &mut Rng::from_number(seed)));
        assert_eq!(first.number_of(b"sip:1@example.org"), first.number_of(b"sip:1@example.org"));
        assert_ne!(first.number_of(b"sip:1@example.org"), second.number_of(b"sip:1@example.org"));
        assert_ne!(first.hash_of("alice@example.org"), second.hash_of("alice@example.org"));
    }
}
