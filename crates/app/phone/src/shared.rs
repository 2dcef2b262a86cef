//! What the telephone's thread writes and its handle reads.

use crate::event::{MediaStats, PhoneEvent, TraceEntry};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The most events that are kept for those who ask later.
const EVENTS_MAX: usize = 10_000;
/// The most messages that are kept for a ladder.
const TRACE_MAX: usize = 2_000;
/// The most samples that are kept of what was heard: ten minutes.
const HEARD_MAX: usize = 10 * 60 * sx_codec::SAMPLE_HZ as usize;

/// Waiting for an event was in vain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// It did not come in time.
    #[error("nothing of the kind within {timeout:?}; there was: {seen:?}")]
    Timeout {
        /// How long was waited.
        timeout: Duration,
        /// The events that came, none of which was wanted.
        seen: Vec<PhoneEvent>,
    },
    /// The telephone has stopped and nothing comes any more.
    #[error("the telephone has stopped; there was: {seen:?}")]
    Stopped {
        /// The events that came, none of which was wanted.
        seen: Vec<PhoneEvent>,
    },
    /// A registration was waited for, and refused.
    #[error("the registration failed: {status} {reason}{}", .warning.as_ref().map(|w| format!(" ({w})")).unwrap_or_default())]
    NotRegistered {
        /// The final status; 408 for no answer, 503 for no way to send.
        status: u16,
        /// Its reason phrase.
        reason: String,
        /// The text of its Warning header.
        warning: Option<String>,
    },
}

impl WaitError {
    /// The events that came, none of which was wanted.
    pub fn seen(&self) -> &[PhoneEvent] {
        match self {
            Self::Timeout { seen, .. } | Self::Stopped { seen } => seen,
            Self::NotRegistered { .. } => &[],
        }
    }
}

/// What both sides see. Each lock is held for a copy and no longer.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    log: Mutex<Log>,
    came: Condvar,
    trace: Mutex<VecDeque<TraceEntry>>,
    heard: Mutex<Vec<i16>>,
    stats: Mutex<MediaStats>,
}

#[derive(Debug, Default)]
struct Log {
    /// Events that nobody has waited for yet come after `waited`.
    events: VecDeque<PhoneEvent>,
    waited: usize,
    subscribers: Vec<Sender<PhoneEvent>>,
    stopped: bool,
}

impl Shared {
    pub fn emit(&self, event: PhoneEvent) {
        tracing::debug!(?event, "telephone");
        let mut log = lock(&self.log);
        log.subscribers.retain(|subscriber| subscriber.send(event.clone()).is_ok());
        if log.events.len() == EVENTS_MAX {
            log.events.pop_front();
            log.waited = log.waited.saturating_sub(1);
        }
        log.events.push_back(event);
        self.came.notify_all();
    }

    /// Nothing will be emitted any more.
    pub fn stopped(&self) {
        let mut log = lock(&self.log);
        log.stopped = true;
        log.subscribers.clear();
        self.came.notify_all();
    }

    pub fn subscribe(&self) -> Receiver<PhoneEvent> {
        let (sender, receiver) = channel();
        let mut log = lock(&self.log);
        // The receiver is in our hands, so it takes everything.
        log.events.iter().for_each(|event| drop(sender.send(event.clone())));
        if !log.stopped {
            log.subscribers.push(sender);
        }
        receiver
    }

    pub fn wait_for(
        &self,
        mut wanted: impl FnMut(&PhoneEvent) -> bool,
        timeout: Duration,
    ) -> Result<PhoneEvent, WaitError> {
        let deadline = Instant::now() + timeout;
        let mut log = lock(&self.log);
        // How many have been looked at, counted from the first that nobody has waited for.
        let mut looked = 0;
        loop {
            let from = log.waited + looked;
            if let Some(at) = log.events.iter().skip(from).position(&mut wanted) {
                log.waited = from + at + 1;
                return Ok(log.events[from + at].clone());
            }
            looked = log.events.len().saturating_sub(log.waited);
            let left = deadline.saturating_duration_since(Instant::now());
            let seen = |log: &Log| log.events.iter().skip(log.waited).cloned().collect();
            if log.stopped {
                return Err(WaitError::Stopped { seen: seen(&log) });
            }
            if left.is_zero() {
                return Err(WaitError::Timeout { timeout, seen: seen(&log) });
            }
            log = self.came.wait_timeout(log, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub fn record(&self, entry: TraceEntry) {
        let mut trace = lock(&self.trace);
        if trace.len() == TRACE_MAX {
            trace.pop_front();
        }
        trace.push_back(entry);
    }

    pub fn trace(&self) -> Vec<TraceEntry> {
        lock(&self.trace).iter().cloned().collect()
    }

    /// A new call begins: what was heard in the last one is forgotten.
    pub fn begin_hearing(&self) {
        lock(&self.heard).clear();
    }

    pub fn hear(&self, samples: &[i16]) {
        let mut heard = lock(&self.heard);
        let room = HEARD_MAX - heard.len();
        heard.extend_from_slice(&samples[..samples.len().min(room)]);
    }

    pub fn heard(&self) -> Vec<i16> {
        lock(&self.heard).clone()
    }

    pub fn count(&self, stats: MediaStats) {
        *lock(&self.stats) = stats;
    }

    pub fn stats(&self) -> MediaStats {
        *lock(&self.stats)
    }
}

/// What a panic leaves behind is whole: nothing above stops in the middle of a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn what_was_waited_for_does_not_come_twice() {
        let shared = Shared::default();
        for status in [180, 183] {
            shared.emit(PhoneEvent::Progress { status });
        }
        let progress = |event: &PhoneEvent| matches!(event, PhoneEvent::Progress { .. });
        assert_eq!(shared.wait_for(progress, NOW), Ok(PhoneEvent::Progress { status: 180 }));
        assert_eq!(shared.wait_for(progress, NOW), Ok(PhoneEvent::Progress { status: 183 }));
        assert_eq!(shared.wait_for(progress, NOW), Err(WaitError::Timeout { timeout: NOW, seen: vec![] }));
    }

    #[test]
    fn a_wait_in_vain_takes_nothing_away() {
        let shared = Shared::default();
        shared.emit(PhoneEvent::Established);
        let seen = vec![PhoneEvent::Established];
        let failed = shared.wait_for(PhoneEvent::is_end, NOW);
        assert_eq!(failed, Err(WaitError::Timeout { timeout: NOW, seen: seen.clone() }));
        assert_eq!(shared.wait_for(|_| true, NOW), Ok(PhoneEvent::Established));
    }

    #[test]
    fn a_subscriber_gets_what_came_before_and_the_end() {
        let shared = Shared::default();
        shared.emit(PhoneEvent::EarlyMedia);
        let events = shared.subscribe();
        shared.emit(PhoneEvent::Established);
        shared.stopped();
        assert_eq!(events.iter().collect::<Vec<_>>(), [PhoneEvent::EarlyMedia, PhoneEvent::Established]);
        assert_eq!(shared.wait_for(PhoneEvent::is_end, NOW).expect_err("stopped").seen().len(), 2);
    }

    #[test]
    fn hearing_and_events_are_bounded() {
        let shared = Shared::default();
        for _ in 0..EVENTS_MAX + 5 {
            shared.emit(PhoneEvent::EarlyMedia);
        }
        shared.emit(PhoneEvent::Established);
        assert_eq!(shared.subscribe().try_iter().count(), EVENTS_MAX);
        shared.hear(&vec![1; HEARD_MAX - 1]);
        shared.hear(&[1; 160]);
        assert_eq!(shared.heard().len(), HEARD_MAX);
    }
}
