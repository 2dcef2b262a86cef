//! A thread that takes a turn now and then, until its owner goes, and steps back for those that serve calls.

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
            // On Linux this is the priority of the thread, not of the process. Without it the turns are still right.
            if let Err(error) = rustix::process::nice(STEP_BACK) {
                tracing::debug!(%error, "a background thread keeps the priority of the others");
            }
            while wait(&shared, interval) {
                turn(Turn::Next);
            }
            turn(Turn::Last);
        })?;
        Ok(Self { signal, thread: Some(thread) })
    }
}

/// A ninth of the processor where all of it is wanted.
const STEP_BACK: i32 = 10;

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn turns_step_back_for_other_threads() {
        let (tell, told) = channel();
        let priority = || rustix::process::getpriority_process(None).expect("it is readable");
        let before = priority();
        let background = Background::spawn("turns", Duration::ZERO, move |_| {
            let _ = tell.send(priority());
        });
        assert_eq!(told.recv().expect("a turn"), (before + STEP_BACK).min(19));
        drop(background);
        assert_eq!(priority(), before, "only the thread, not the process");
    }
}
