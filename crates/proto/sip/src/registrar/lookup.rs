//! Where a user is.

use super::binding::{Binding, Reach};
use super::{ContactView, Gruu, Moment, Registrar, RegistrarCounters, USER, Way};
use crate::message::{Uri, unescape};
use smallvec::SmallVec;
use std::cmp::Reverse;
use sx_engine::Time;

impl Registrar {
    /// The places where the user can be reached, the highest priority first, of equal ones the one refreshed last.
    pub fn contacts<'a>(&'a self, now: Time, aor: &str) -> impl Iterator<Item = ContactView<'a>> + use<'a> {
        let moment = Moment::new(now);
        let slot = self.table.find(self.keys.hash(USER, aor.as_bytes()), aor);
        let mut bindings: SmallVec<[&Binding; 8]> = self.live(slot, moment).collect();
        // Updates are counted around; of two, the later is at most half way round ahead.
        let age = |binding: &Binding| self.updates.wrapping_sub(binding.updated);
        bindings.sort_by_key(|binding| (Reverse(binding.q), age(binding)));
        bindings.into_iter().map(move |binding| view(moment, binding))
    }

    /// Is the user bound anywhere? A binding that has expired counts until it is removed, which is soon.
    pub fn is_bound(&self, aor: &str) -> bool {
        let slot = self.table.find(self.keys.hash(USER, aor.as_bytes()), aor);
        slot.and_then(|slot| self.table.get(slot)).is_some_and(|entry| !entry.bindings.is_empty())
    }

    /// Every user's places, in no order.
    pub fn all(&self, now: Time) -> impl Iterator<Item = (&str, ContactView<'_>)> {
        let moment = Moment::new(now);
        let entries = (0..self.table.slots()).filter_map(|slot| self.table.get(slot));
        entries.flat_map(move |entry| {
            let live = entry.bindings.iter().filter(move |binding| binding.is_live(moment.at));
            live.map(move |binding| (&*entry.aor, view(moment, binding)))
        })
    }

    /// Can the user be reached at all?
    pub fn knows(&self, now: Time, aor: &str) -> bool {
        let slot = self.table.find(self.keys.hash(USER, aor.as_bytes()), aor);
        self.live(slot, Moment::new(now)).next().is_some()
    }

    /// What a GRUU of ours leads to; `None` for another URI, and for a GRUU whose device is not registered. Whether the
    /// URI's domain is one of ours is for the caller to see.
    //= https://www.rfc-editor.org/rfc/rfc5627#section-5.4
    pub fn gruu(&self, now: Time, uri: &Uri<'_>) -> Option<Gruu<'_>> {
        let moment = Moment::new(now);
        let (_, value) = uri.params.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"gr"))?;
        if let Some(value) = value {
            let instance = unescape(std::str::from_utf8(value).ok()?);
            let aor = format!("{}@{}", uri.user_unescaped(), uri.host.as_str().to_ascii_lowercase());
            let slot = self.table.find(self.keys.hash(USER, aor.as_bytes()), &aor)?;
            let binding = self.live(Some(slot), moment).find(|binding| binding.instance() == instance)?;
            return Some(Gruu { aor: &self.table.get(slot)?.aor, instance: binding.instance() });
        }
        let meaning = self.keys.read_temporary(uri.user)?;
        let means = |binding: &&Binding| binding.is_live(moment.at) && self.keys.means(meaning, binding);
        self.table.hashed(meaning.user).find_map(|(_, entry)| {
            let binding = entry.bindings.iter().find(means)?;
            Some(Gruu { aor: &entry.aor, instance: binding.instance() })
        })
    }

    /// How many bindings there are; those that have expired count until they are swept out, a minute later at the
    /// latest.
    pub fn len(&self) -> usize {
        self.table.bindings
    }

    /// Is nobody registered?
    pub fn is_empty(&self) -> bool {
        self.table.bindings == 0
    }

    /// How many users have bindings.
    pub fn users(&self) -> usize {
        self.table.users()
    }

    /// What has happened so far.
    pub fn counters(&self) -> &RegistrarCounters {
        &self.counters
    }
}

fn view(moment: Moment, binding: &Binding) -> ContactView<'_> {
    let flow = binding.flow();
    ContactView {
        uri: binding.uri(),
        path: binding.path(),
        instance: binding.instance(),
        reg_id: binding.reg_id,
        q: binding.q,
        expires_s: moment.left(binding.expires),
        way: match binding.reach {
            Reach::Uri => Way::Uri,
            Reach::Connection | Reach::Flow => Way::Flow(flow),
            Reach::Remote => Way::Datagrams(flow.remote),
        },
    }
}
