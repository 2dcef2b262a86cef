//! Signals of the operating system, and what else the main thread is asked.

use super::management::ReloadRequest;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::{Handle, Signals as Iterator};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// What the main thread is asked for.
#[derive(Debug)]
pub enum Signal {
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT, by its name.
    Stop(&'static str),
    /// An operator wants something read again, and waits for what comes of it.
    Asked(ReloadRequest),
}

/// The signals of this process, waited for on a thread of their own.
pub struct Signals {
    received: Receiver<Signal>,
    asked: Sender<Signal>,
    handle: Handle,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the operating system does not let handlers be installed.
    pub fn listen() -> std::io::Result<Self> {
        let mut signals = Iterator::new([SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2])?;
        let handle = signals.handle();
        let (send, received) = channel();
        let asked = send.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in &mut signals {
                let meant = match signal {
                    SIGHUP => Signal::Reload,
                    SIGINT => Signal::Stop("SIGINT"),
                    // To other daemons these mean something, which nobody's calls are to end by.
                    SIGUSR1 | SIGUSR2 => {
                        tracing::info!(signal, "a signal that means nothing here was ignored");
                        continue;
                    }
                    _ => Signal::Stop("SIGTERM"),
                };
                if send.send(meant).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { received, asked, handle })
    }

    /// For those who ask as a signal does.
    pub fn door(&self) -> Sender<Signal> {
        self.asked.clone()
    }

    /// The next signal; `None` when none came in time.
    pub fn wait(&self, timeout: Duration) -> Option<Signal> {
        self.received.recv_timeout(timeout).ok()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::low_level::raise;

    #[test]
    fn signals_that_mean_nothing_end_nothing() -> Result<(), Box<dyn std::error::Error>> {
        let signals = Signals::listen()?;
        for signal in [SIGUSR1, SIGUSR2, SIGHUP] {
            raise(signal)?;
        }
        assert!(matches!(signals.wait(Duration::from_secs(10)), Some(Signal::Reload)));
        Ok(())
    }
}
