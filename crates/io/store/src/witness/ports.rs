//! Who waits for the log: each worker has a port, with an event of its own.

use super::disk::Event;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Every port there is.
#[derive(Debug, Default)]
pub(crate) struct Ports(Mutex<Vec<Arc<PortState>>>);

#[derive(Debug)]
pub(crate) struct PortState {
    pub(crate) event: Event,
    /// Something of this worker's waits to be durable.
    pub(crate) waiting: AtomicBool,
}

impl Ports {
    pub(crate) fn open(&self) -> io::Result<Arc<PortState>> {
        let state = Arc::new(PortState { event: Event::open()?, waiting: AtomicBool::new(false) });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(state.clone());
        Ok(state)
    }

    /// Wakes those that wait, but for the one that knows already.
    pub(crate) fn raise_waiting(&self, but: &Arc<PortState>) {
        for port in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if !Arc::ptr_eq(port, but) && port.waiting.load(Ordering::Relaxed) {
                port.event.raise();
            }
        }
    }

    /// Wakes everybody.
    pub(crate) fn raise_all(&self) {
        for port in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            port.event.raise();
        }
    }
}
