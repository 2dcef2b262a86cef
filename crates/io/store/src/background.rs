//! A thread that takes a turn now and then, until its owner goes.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Which turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// One of many.
    Next,
    /// The owner is going; nothing comes after this one.
    Last,
}

#[derive(Default)]
struct Signal {
    stop: bool,
    wake: bool,
}

/// Owns the thread. Dropping it waits for the last turn to be over.
pub(crate) struct Background {
    signal: Arc<(Mutex<Signal>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts the thread; `turn` is called every `interval`, and at once after [`wake`](Self::wake).
    pub(crate) fn spawn(
        name: &str,
        interval: Duration,
        mut turn: impl FnMut(Turn) + Send + 'static,
    ) -> io::Result<Self> {
        let signal = Arc::new((Mutex::new(Signal::default()), Condvar::new()));
        let shared = Arc::clone(&signal);
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            while wait(&shared, interval) {
                turn(Turn::Next);
            }
            turn(Turn::Last);
        })?;
        Ok(Self { signal, thread: Some(thread) })
    }

    /// Asks for a turn now.
    pub(crate) fn wake(&self) {
        self.set(|signal| signal.wake = true);
    }

    fn set(&self, change: impl FnOnce(&mut Signal)) {
        // The signal is two flags, valid whatever a panicking thread left behind.
        change(&mut self.signal.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.signal.1.notify_one();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.set(|signal| signal.stop = true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a background thread of the store has panicked");
        }
    }
}

/// Waits for the interval to pass or for a wake. False: stop.
fn wait((signal, condition): &(Mutex<Signal>, Condvar), interval: Duration) -> bool {
    let guard = signal.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut guard, _) = condition
        .wait_timeout_while(guard, interval, |signal| !signal.stop && !signal.wake)
        .unwrap_or_else(PoisonError::into_inner);
    guard.wake = false;
    !guard.stop
}
