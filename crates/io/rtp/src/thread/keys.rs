//! Keys on a packet thread: those that are pressed, those that are told, and the clock that they have.
//!
//! A stream in which a key sounds has something due although nothing arrives. Its port is in a list until that is over, and
//! the thread waits no longer than until the first of the list is due.

use super::{PacketThread, TICK};
use crate::entry::{Entry, Patch};
use std::time::Duration;
use sx_audio::Key;
use sx_engine::Time;
use sx_media::{MediaEvent, PortId};

/// The ports that have something due.
#[derive(Default)]
pub(super) struct Timed {
    slots: Vec<u32>,
    /// The first of them, or before.
    due: Option<Time>,
}

impl Timed {
    /// A port is there no more.
    pub(super) fn remove(&mut self, slot: u32) {
        self.slots.retain(|known| *known != slot);
    }
}

/// No wait is shorter, so that none is of no time at all.
const WAIT_MIN: Duration = Duration::from_millis(1);

impl PacketThread {
    /// How long the thread may wait.
    pub(super) fn longest_wait(&self) -> Duration {
        let Some(due) = self.timed.due else { return TICK };
        due.since(self.clock.now()).clamp(WAIT_MIN, TICK)
    }

    /// Somebody has pressed a key by signalling.
    pub(super) fn press(&mut self, port: PortId, key: Key) {
        let Some(slot) = self.by_id.get(&port).copied() else { return };
        let Some(entry) = self.slots[slot as usize].entry.as_mut() else { return };
        let now = self.clock.now();
        match (&entry.patch, &mut entry.converting) {
            (Patch::To(target), Some(converting)) if !target.is_closed() && !target.turn().is_playing() => {
                let means = (now, &mut self.written, &*self.totals);
                converting.press(means, (&entry.sockets, target), key);
            }
            _ => self.totals.keys_dropped.add(1),
        }
        self.mind_keys(slot);
    }

    /// Tells of keys that were pressed in the stream of a port, and remembers when more is due there.
    pub(super) fn mind_keys(&mut self, slot: u32) {
        let Some(entry) = self.slots[slot as usize].entry.as_mut() else { return };
        let Entry { id, converting: Some(converting), is_timed, .. } = entry else { return };
        while let Some(Key { key, duration_ms }) = converting.poll_key() {
            self.totals.keys_told.add(1);
            self.exchange.tell(*id, MediaEvent::Pressed { port: *id, key, duration_ms });
        }
        let Some(due) = converting.poll_timeout() else { return };
        if !std::mem::replace(is_timed, true) {
            self.timed.slots.push(slot);
        }
        self.timed.due = Some(self.timed.due.map_or(due, |first| first.min(due)));
    }

    /// Does what is due.
    pub(super) fn carry_on_keys(&mut self, now: Time) {
        if self.timed.due.is_none_or(|due| due > now) {
            return;
        }
        self.timed.due = None;
        for slot in std::mem::take(&mut self.timed.slots) {
            let Some(entry) = self.slots[slot as usize].entry.as_mut() else { continue };
            entry.is_timed = false;
            if let (Patch::To(target), Some(converting)) = (&entry.patch, &mut entry.converting)
                && converting.poll_timeout().is_some_and(|due| due <= now)
            {
                match target.turn().is_playing() {
                    false => converting.handle_timeout((now, &mut self.written, &self.totals), target),
                    // A sound has taken the place of all else, and has the source to itself.
                    true => {
                        converting.interrupt();
                        self.totals.keys_dropped.add(1);
                    }
                }
            }
            self.mind_keys(slot);
        }
    }
}
