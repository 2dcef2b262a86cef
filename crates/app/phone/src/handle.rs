//! The handle: what may be asked of a telephone from any thread.

use crate::config::{AudioSource, PhoneConfig, PhoneError};
use crate::event::{DtmfMode, MediaStats, PhoneEvent, TraceEntry};
use crate::run::Run;
use crate::shared::{Shared, WaitError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use sx_net::Waker;

/// A telephone with one line, on a thread of its own. Dropping it stops it.
///
/// No method but those that say so waits: what comes of it is told by events. What makes no sense at the time, such as
/// an answer when nobody calls, does nothing.
#[derive(Debug)]
pub struct Phone {
    commands: Sender<Command>,
    shared: Arc<Shared>,
    waker: Arc<Waker>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

/// What the thread is told.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Register,
    Call(String),
    Answer,
    Reject(u16),
    Hangup,
    Dtmf(String, DtmfMode),
    Hold,
    Resume,
    Transfer(String),
    Say(AudioSource),
    Stop,
}

impl Phone {
    /// Starts a telephone. With [`PhoneConfig::register`], it begins to register.
    ///
    /// # Errors
    /// When the configuration cannot be carried out on this machine; nothing is left running then.
    pub fn start(config: PhoneConfig) -> Result<Self, PhoneError> {
        let shared = Arc::new(Shared::default());
        let (commands, inbox) = channel();
        let run = Run::open(config, inbox, shared.clone())?;
        let (waker, address) = (run.waker(), run.address());
        let thread = std::thread::Builder::new()
            .name("telephone".into())
            .spawn(move || run.until_stopped())
            .map_err(PhoneError::Thread)?;
        Ok(Self { commands, shared, waker, address, thread: Some(thread) })
    }

    /// Where others reach us: the address in our Contact. Over TLS nobody can connect to it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Registers now, and keeps registered: for [`PhoneConfig::register`] seconds at a time, or 300.
    pub fn register(&self) {
        self.tell(Command::Register);
    }

    /// Waits until the registrar has our address; how many seconds it keeps it.
    ///
    /// # Errors
    /// [`WaitError`]: a registration that was refused ends the wait at once.
    pub fn wait_registered(&self, timeout: Duration) -> Result<u32, WaitError> {
        let tells =
            |event: &PhoneEvent| matches!(event, PhoneEvent::Registered { .. } | PhoneEvent::RegistrationFailed { .. });
        match self.wait_for(tells, timeout)? {
            PhoneEvent::Registered { expires } => Ok(expires),
            PhoneEvent::RegistrationFailed { status, reason, warning } => {
                Err(WaitError::NotRegistered { status, reason, warning })
            }
            other => Err(WaitError::Timeout { timeout, seen: vec![other] }),
        }
    }

    /// Calls somebody: `1002`, `1002@example.com` or `sip:1002@example.com`. Does nothing during another call.
    pub fn call(&self, uri: &str) {
        self.tell(Command::Call(uri.to_owned()));
    }

    /// Answers the call that comes in.
    pub fn answer(&self) {
        self.tell(Command::Answer);
    }

    /// Refuses the call that comes in with this status, 300 to 699: 486 busy, 603 declined.
    pub fn reject(&self, status: u16) {
        self.tell(Command::Reject(status));
    }

    /// Ends the call, whatever its state.
    pub fn hangup(&self) {
        self.tell(Command::Hangup);
    }

    /// Presses keys one after the other: `0`–`9`, `*`, `#`, `A`–`D`; others are left out.
    pub fn send_dtmf(&self, keys: &str, mode: DtmfMode) {
        self.tell(Command::Dtmf(keys.to_owned(), mode));
    }

    /// Puts the call on hold.
    pub fn hold(&self) {
        self.tell(Command::Hold);
    }

    /// Takes the call off hold.
    pub fn resume(&self) {
        self.tell(Command::Resume);
    }

    /// Asks the other party to call somebody else instead (REFER). When that has come about, the call is hung up.
    pub fn transfer(&self, uri: &str) {
        self.tell(Command::Transfer(uri.to_owned()));
    }

    /// Says something else from now on. A file that cannot be read changes nothing.
    pub fn say(&self, source: AudioSource) {
        self.tell(Command::Say(source));
    }

    /// All events, those that have come already included. The iteration ends when the telephone stops.
    pub fn events(&self) -> Receiver<PhoneEvent> {
        self.shared.subscribe()
    }

    /// Waits for an event. Those that have come already count, unless an earlier wait went past them; so waits in the
    /// order of a call find its events however fast they come.
    ///
    /// # Errors
    /// [`WaitError`], with the events that came instead; a later wait sees these again.
    pub fn wait_for(
        &self,
        wanted: impl FnMut(&PhoneEvent) -> bool,
        timeout: Duration,
    ) -> Result<PhoneEvent, WaitError> {
        self.shared.wait_for(wanted, timeout)
    }

    /// What was heard in the present or last call: 8,000 samples a second, the first ten minutes.
    pub fn heard(&self) -> Vec<i16> {
        self.shared.heard()
    }

    /// What the packets of the present or last call were like, no older than a second.
    pub fn stats(&self) -> MediaStats {
        self.shared.stats()
    }

    /// The last 2,000 SIP messages in the order in which they went by.
    pub fn trace(&self) -> Vec<TraceEntry> {
        self.shared.trace()
    }

    /// Hangs up, unregisters, finishes the recording and waits for all that: at most about three seconds.
    pub fn stop(mut self) {
        self.finish();
    }

    fn tell(&self, command: Command) {
        // A telephone that has stopped does nothing any more, and says so to whoever waits.
        if self.commands.send(command).is_ok() {
            self.waker.wake();
        }
    }

    fn finish(&mut self) {
        self.tell(Command::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the telephone's thread has panicked");
        }
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.finish();
        }
    }
}
