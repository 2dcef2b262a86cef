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

/// Owns the thread. Dropping it waits for the last turn to be over.
pub(crate) struct Background {
    /// The owner is going.
    signal: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts the thread; `turn` is called every `interval`.
    pub(crate) fn spawn(
        name: &str,
        interval: Duration,
        mut turn: impl FnMut(Turn) + Send + 'static,
    ) -> io::Result<Self> {
        let signal = Arc::new((Mutex::new(false), Condvar::new()));
        let shared = Arc::clone(&signal);
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            while wait(&shared, interval) {
                turn(Turn::Next);
            }
            turn(Turn::Last);
        })?;
        Ok(Self { signal, thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // The signal is one flag, valid whatever a panicking thread left behind.
        *self.signal.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.signal.1.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a background thread of the store has panicked");
        }
    }
}

/// Waits for the interval to pass. False: stop.
fn wait((signal, condition): &(Mutex<bool>, Condvar), interval: Duration) -> bool {
    let guard = signal.lock().unwrap_or_else(PoisonError::into_inner);
    let (stop, _) =
        condition.wait_timeout_while(guard, interval, |stop| !*stop).unwrap_or_else(PoisonError::into_inner);
    !*stop
}
