//! Calls that go to another process, and those that come from one. Asked of a worker, who answers when it gets to it.
//!
//! ```text
//!           its ports have said what they know,        without release
//!  waiting ──── and nothing is under way ────┬──────────────────────────────► answered
//!     │                                      └─ release ─► released ────────► answered, kept, can be asked for again
//!     └─ withdrawn, or nobody waits any more: gone              its ports are closed
//! ```
//!
//! Who asks and who answers have two clocks. A [`Claim`] decides between them: either the question is withdrawn, and the call
//! stays here, or it is answered, and the answer is waited for. What was let go is kept for a while, since an answer can get lost
//! behind the one who asked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;
use sx_call::{Command, ExportError};
use sx_engine::{Engine, Time};
use sx_exchange::{ExchangeSnapshot, Input, RestoreError, Worker};
use sx_media::PortId;
use sx_types::CallId;

/// What a worker is to do, and where its answer goes.
pub enum Handover {
    /// Say what a call is.
    Export(Export),
    /// Go on with a call.
    Import(Import),
}

/// Go on with a call.
pub struct Import {
    /// The call.
    pub snapshot: Box<ExchangeSnapshot>,
    /// Where the outcome goes.
    pub answer: Sender<Result<(), RestoreError>>,
}

/// Say what a call is, as soon as its ports have said what they know and nothing of it is under way.
pub struct Export {
    /// The call.
    pub call: CallId,
    /// Forget it, when it can be told. Said again it is the same value, for as long as that is kept.
    pub release: bool,
    /// Taken by who withdraws this, or else by the worker that does it.
    pub claim: Claim,
    /// Where the call goes, as JSON.
    pub answer: Sender<Result<Arc<str>, NotExported>>,
}

/// The right to decide what becomes of a question. One of two has it.
#[derive(Clone, Debug, Default)]
pub struct Claim(Arc<AtomicBool>);

impl Claim {
    /// Takes it. False: the other one has it.
    pub fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    fn is_taken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Why a call is not told, and stays here if it is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotExported {
    /// There is none, or it is being cleared.
    #[error("the call is over")]
    Over,
    /// What is going on in it has not come to an end.
    #[error("the call is being changed")]
    Changing,
    /// Nobody else could end the handshake.
    #[error("a DTLS handshake of the call's media is going on; ask again in a moment")]
    Shaking,
    /// No exchange would take it.
    #[error("the call takes {0} bytes, more than an exchange takes back; it stays here")]
    TooLarge(usize),
    /// So many others are waited for.
    #[error("too many calls are waited for that are being changed; ask again in a moment")]
    Busy,
}

/// So many questions may wait for calls that are being changed.
pub const HANDOVERS_MAX: usize = 64;
/// So long a question waits. Who has asked waits for less.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// So long after its ports were asked what they know they are asked again, if that no longer holds.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// So long a call that was let go can be asked for again.
pub const KEPT: Duration = Duration::from_secs(60);
/// So much of them is kept; the oldest go.
const KEPT_BYTES_MAX: usize = 64 << 20;
/// So long it is waited for that the ports of one are closed.
const CLOSING_MAX: Duration = Duration::from_secs(1);

/// What a worker has to do with calls that go and come.
pub struct Handovers {
    waiting: Vec<Waiting>,
    imports: Vec<Import>,
    released: VecDeque<Released>,
    /// What may be let go takes no more, however it is written out.
    bytes_max: usize,
    kept_bytes_max: usize,
}

struct Waiting {
    export: Export,
    until: Time,
    asked: Option<Time>,
}

/// A call that was let go.
struct Released {
    call: CallId,
    text: Arc<str>,
    at: Time,
    /// Its ports that are not closed yet: until they are nobody else can open them.
    ports: Vec<PortId>,
    answers: Vec<Sender<Result<Arc<str>, NotExported>>>,
}

/// Who has the calls.
pub trait Holder {
    /// Asks the call's ports what they know.
    fn ask(&mut self, now: Time, call: CallId);
    /// The call as it stands, as JSON, and its open ports.
    fn export(&self, call: CallId) -> Result<(String, Vec<PortId>), ExportError>;
    /// Forgets a call that can be exported.
    fn forget(&mut self, call: CallId) -> bool;
    /// Goes on with a call.
    fn import(&mut self, now: Time, snapshot: ExchangeSnapshot) -> Result<(), RestoreError>;
}

impl Holder for Worker {
    fn ask(&mut self, now: Time, call: CallId) {
        self.handle_input(now, Input::Command(Command::Remember { call }));
    }

    fn export(&self, call: CallId) -> Result<(String, Vec<PortId>), ExportError> {
        let snapshot = Self::export(self, call)?;
        let ports = snapshot.call.ports().into_iter().map(|opened| opened.port).collect();
        match serde_json::to_string(&snapshot) {
            Ok(text) => Ok((text, ports)),
            Err(error) => {
                tracing::error!(%call, %error, "a call cannot be written down");
                Err(ExportError::Changing)
            }
        }
    }

    fn forget(&mut self, call: CallId) -> bool {
        Self::forget(self, call)
    }

    fn import(&mut self, now: Time, snapshot: ExchangeSnapshot) -> Result<(), RestoreError> {
        Self::import(self, now, snapshot)
    }
}

impl Handovers {
    /// None yet. `bytes_max`: what an exchange takes back.
    pub fn new(bytes_max: usize) -> Self {
        let (waiting, imports, released) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { waiting, imports, released, bytes_max, kept_bytes_max: KEPT_BYTES_MAX }
    }

    /// Something is wanted.
    pub fn push(&mut self, now: Time, handover: Handover) {
        match handover {
            Handover::Export(export) => self.waiting.push(Waiting { export, until: now + WAIT_MAX, asked: None }),
            Handover::Import(import) => self.imports.push(import),
        }
    }

    /// Is there nothing to do, and nothing kept?
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.imports.is_empty() && self.released.is_empty()
    }

    /// Does what can be done now.
    pub fn carry_out(&mut self, holder: &mut impl Holder, now: Time) {
        self.released.retain(|kept| now.since(kept.at) < KEPT);
        for Import { snapshot, answer } in std::mem::take(&mut self.imports) {
            let call = snapshot.call.call();
            let imported = holder.import(now, *snapshot);
            if imported.is_ok() {
                self.forget_kept(call);
            }
            // Whoever has waited for too long misses nothing but the answer.
            let _ = answer.send(imported);
        }
        for waiting in std::mem::take(&mut self.waiting) {
            if let Some(waiting) = self.try_export(holder, now, waiting) {
                self.waiting.push(waiting);
            }
        }
        // Those that came last: the others have been promised an answer.
        for Waiting { export, .. } in self.waiting.drain(HANDOVERS_MAX.min(self.waiting.len())..) {
            refuse(&export, NotExported::Busy);
        }
        self.released.iter_mut().filter(|kept| now.since(kept.at) >= CLOSING_MAX).for_each(Released::answer);
    }

    /// A port is closed.
    pub fn port_closed(&mut self, port: PortId) {
        for kept in &mut self.released {
            kept.ports.retain(|open| *open != port);
            if kept.ports.is_empty() {
                kept.answer();
            }
        }
    }

    /// Gives back what is worth another try after the next event.
    fn try_export(&mut self, holder: &mut impl Holder, now: Time, mut waiting: Waiting) -> Option<Waiting> {
        let Export { call, release, claim, .. } = &waiting.export;
        let (call, release) = (*call, *release);
        if claim.is_taken() {
            return None;
        }
        // What they have said to another question is of another moment.
        if waiting.asked.is_none() {
            holder.ask(now, call);
            waiting.asked = Some(now);
        }
        let refused = match holder.export(call) {
            Ok((text, _)) if release && self.is_too_large(&text) => NotExported::TooLarge(text.len()),
            Ok((text, ports)) => {
                self.answer(holder, now, &waiting.export, text, ports);
                return None;
            }
            Err(ExportError::Unknown) if release && self.ask_again(&waiting.export) => return None,
            Err(ExportError::Unknown | ExportError::Ending) => NotExported::Over,
            Err(ExportError::Shaking) => NotExported::Shaking,
            Err(ExportError::Unasked | ExportError::Changing) if now >= waiting.until => NotExported::Changing,
            Err(ExportError::Changing) => return Some(waiting),
            Err(ExportError::Unasked) => {
                if waiting.asked.is_some_and(|asked| now.since(asked) >= ASK_AGAIN) {
                    holder.ask(now, call);
                    waiting.asked = Some(now);
                }
                return Some(waiting);
            }
        };
        refuse(&waiting.export, refused);
        None
    }

    /// Tells what a call is, unless that is no longer wanted.
    fn answer(&mut self, holder: &mut impl Holder, now: Time, export: &Export, text: String, ports: Vec<PortId>) {
        if !export.claim.take() {
            return;
        }
        let text: Arc<str> = text.into();
        if !export.release {
            let _ = export.answer.send(Ok(text));
            return;
        }
        // Two exchanges would have it.
        if !holder.forget(export.call) {
            let _ = export.answer.send(Err(NotExported::Changing));
            return;
        }
        let mut kept = Released { call: export.call, text, at: now, ports, answers: vec![export.answer.clone()] };
        if kept.ports.is_empty() {
            kept.answer();
        }
        self.forget_kept(export.call);
        self.released.push_back(kept);
        let mut bytes: usize = self.released.iter().map(|kept| kept.text.len()).sum();
        while bytes > self.kept_bytes_max
            && let Some(mut oldest) = self.released.pop_front()
        {
            bytes -= oldest.text.len();
            oldest.answer();
        }
    }

    /// It was let go already: it is told once more. False: it was not, or is not kept any more.
    fn ask_again(&mut self, export: &Export) -> bool {
        let Some(kept) = self.released.iter_mut().find(|kept| kept.call == export.call) else { return false };
        if export.claim.take() {
            kept.answers.push(export.answer.clone());
            if kept.ports.is_empty() {
                kept.answer();
            }
        }
        true
    }

    /// It is elsewhere now, or here again: what was kept is not to be gone on with.
    fn forget_kept(&mut self, call: CallId) {
        self.released.retain(|kept| kept.call != call);
    }

    /// Would it be refused where it goes, also when whoever brings it writes it with spaces and escapes?
    fn is_too_large(&self, text: &str) -> bool {
        let spaces = text.bytes().filter(|byte| matches!(byte, b',' | b':')).count();
        let escapes = text.bytes().filter(|byte| !byte.is_ascii()).count() * 2;
        text.len() + spaces + escapes + ENVELOPE > self.bytes_max
    }
}

impl Released {
    /// Tells all who have asked.
    fn answer(&mut self) {
        for answer in self.answers.drain(..) {
            // Who is no longer there may ask again.
            let _ = answer.send(Ok(self.text.clone()));
        }
    }
}

fn refuse(export: &Export, why: NotExported) {
    if export.claim.take() {
        let _ = export.answer.send(Err(why));
    }
}

/// What stands around a call in a body.
const ENVELOPE: usize = 64;

#[cfg(test)]
mod tests;
