//! Who waits for the log: each thread that writes has a port, with an event of its own.

use super::disk::Event;
use super::log::{AppendError, Shared};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use sx_engine::Time;
use sx_witness::Batch;

/// A thread's way to the log: with an event that says when something has become durable.
pub struct WitnessPort {
    shared: Arc<Shared>,
    state: Arc<PortState>,
}

/// Every port there is.
#[derive(Debug, Default)]
pub(crate) struct Ports(Mutex<Vec<Arc<PortState>>>);

#[derive(Debug)]
pub(crate) struct PortState {
    pub(crate) event: Event,
    /// Something of this thread's waits to be durable.
    waiting: AtomicBool,
}

impl WitnessPort {
    pub(crate) fn open(shared: &Arc<Shared>) -> io::Result<Self> {
        Ok(Self { shared: shared.clone(), state: shared.ports.open()? })
    }

    /// Raised when something may have become durable; to be waited for as a socket is, by edges.
    pub fn event(&self) -> &Event {
        &self.state.event
    }

    /// Appends records, which leaves the batch empty. They are durable when [`durable`](Self::durable) has reached the
    /// number that comes back.
    ///
    /// # Errors
    /// When too much waits already, or the log was closed; nothing is appended then, and the batch keeps its records.
    pub fn append(&self, now: Time, batch: &mut Batch) -> Result<u64, AppendError> {
        self.shared.lock().append(now, batch, &self.shared)
    }

    /// Finishes what is done and begins what is due; `waits` when something of this thread's waits to be durable. Says
    /// when to come again, if nothing happens before.
    pub fn step(&self, now: Time, waits: bool) -> Option<Time> {
        self.state.waiting.store(waits, Ordering::Relaxed);
        self.shared.step(now, waits, &self.state)
    }

    /// Finishes what is done, and begins nothing.
    pub(crate) fn finish(&self, now: Time) {
        self.shared.lock().finish(now, &self.shared, &self.state);
    }

    /// How many records are durable.
    pub fn durable(&self) -> u64 {
        self.shared.durable.load(Ordering::Acquire)
    }

    /// Can nothing be written that would be found again?
    pub fn is_failing(&self) -> bool {
        self.shared.is_failing()
    }
}

impl Drop for WitnessPort {
    /// A write that was to wake this thread when it is done wakes nobody any more: the others look for themselves.
    fn drop(&mut self) {
        self.shared.ports.close(&self.state);
        if self.shared.lock().left_by(&self.state) {
            self.shared.ports.raise_all();
        }
    }
}

impl Ports {
    fn open(&self) -> io::Result<Arc<PortState>> {
        let state = Arc::new(PortState { event: Event::open()?, waiting: AtomicBool::new(false) });
        self.all().push(state.clone());
        Ok(state)
    }

    fn close(&self, port: &Arc<PortState>) {
        self.all().retain(|other| !Arc::ptr_eq(other, port));
    }

    /// Wakes those that wait, but for the one that knows already.
    pub(crate) fn raise_waiting(&self, but: &Arc<PortState>) {
        for port in self.all().iter() {
            if !Arc::ptr_eq(port, but) && port.waiting.load(Ordering::Relaxed) {
                port.event.raise();
            }
        }
    }

    /// Wakes everybody.
    pub(crate) fn raise_all(&self) {
        for port in self.all().iter() {
            port.event.raise();
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<PortState>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
