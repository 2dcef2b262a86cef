//! A recording thread: what is heard at the ports that are recorded, decoded and handed on.
//!
//! ```text
//!  packet threads ─TapInbox─► inboxes ─┐  each 40 ms
//!                                   ├─► sx_audio::Listener ──► RecordingSink
//!  Tap, Record ─────Orders──────────┘
//! ```
//!
//! Packet threads do no more than copy a packet. Nobody waits for a recording: what this thread does late is complete all the
//! same, as long as inboxes hold it.

use crate::clock::Clock;
use crate::exchange::Exchange;
use crate::orders::Orders;
use crate::port::Channel;
use crate::seat::Inbox;
use crate::sys::{Chosen, Intake};
use crate::totals::ThreadTotals;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use sx_audio::{Listener, ListenerStats};
use sx_engine::Time;
use sx_media::{MediaEvent, PortId, RecordingCommand, RecordingId, RecordingSide, RecordingTerms, Tap};

/// Where recordings are made. It is asked on a thread of its own, and may wait for a moment.
pub trait Recordings: Send + Sync {
    /// Begins one. Whoever makes it tells the worker when it has ended ([`MediaEvent::RecordingEnded`]); `None`: it cannot be
    /// made, which is told by the thread that asked.
    fn begin(&self, recording: RecordingId, terms: &RecordingTerms) -> Option<Box<dyn RecordingSink>>;
}

/// A recording that goes on; it ends when it is dropped. Places are samples since it began.
pub trait RecordingSink: Send {
    /// Samples a second of what is handed in.
    fn sample_hz(&self) -> u32;

    /// Takes samples of one side that are heard from this place on. What is missing between them is silence.
    fn push(&mut self, side: RecordingSide, at: u64, samples: &[i16]);

    /// Leaves out what is heard from this place on.
    fn pause(&mut self, at: u64);

    /// Goes on at this place.
    fn resume(&mut self, at: u64);
}

/// The recording threads, as packet threads and commands reach them.
pub(crate) struct RecordingThreads {
    orders: Vec<Arc<Orders<Order>>>,
}

impl RecordingThreads {
    pub(crate) fn new(threads: usize) -> Self {
        Self { orders: std::iter::repeat_with(Arc::default).take(threads).collect() }
    }

    /// What each thread is told.
    pub(crate) fn orders(&self) -> &[Arc<Orders<Order>>] {
        &self.orders
    }

    /// Has a recording begin, or become something else.
    pub(crate) fn command(&self, recording: RecordingId, command: RecordingCommand) {
        self.of(recording).push(Order::Record(recording, command));
    }

    /// A port is heard, or is heard in another way.
    pub(crate) fn tap(&self, ear: Arc<TapInbox>, tap: Box<Tap>) {
        self.of(tap.recording).push(Order::Tap(ear, tap));
    }

    /// All recordings of a call share a thread.
    fn of(&self, recording: RecordingId) -> &Orders<Order> {
        &self.orders[((recording.0 >> 8) % self.orders.len() as u64) as usize]
    }
}

/// What a recording thread is told.
pub(crate) enum Order {
    Record(RecordingId, RecordingCommand),
    Tap(Arc<TapInbox>, Box<Tap>),
}

/// What a port that is recorded puts packets into, and its recording takes them from.
#[derive(Default)]
pub(crate) struct TapInbox {
    /// Locked for as long as it takes to copy a packet, or to take all of them away at once.
    inbox: Mutex<Inbox>,
    /// Nobody takes anything away: there is no such recording, or it has ended.
    is_deaf: AtomicBool,
    has_gone: AtomicBool,
}

impl TapInbox {
    /// Packets of a batch have arrived. How many older ones had to make room.
    pub(crate) fn receive(&self, now: Time, received: &mut Intake, rtp: Chosen) -> u64 {
        if rtp.is_empty() || self.is_deaf.load(Ordering::Relaxed) {
            return 0;
        }
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let pushed = rtp.indices().map(|index| inbox.push(now, Channel::Rtp, received.batch().packet(index).1));
        pushed.filter(|displaced| *displaced).count() as u64
    }

    fn swap(&self, empty: &mut Inbox) {
        std::mem::swap(&mut *self.inbox.lock().unwrap_or_else(PoisonError::into_inner), empty);
    }
}

/// What a port that is recorded has: when it is dropped, nobody is heard there any more.
pub(crate) struct Tapped {
    recording: RecordingId,
    side: RecordingSide,
    ear: Arc<TapInbox>,
}

impl Tapped {
    pub(crate) fn new(tap: &Tap) -> Self {
        Self { recording: tap.recording, side: tap.side, ear: Arc::default() }
    }

    /// Is it heard there already, perhaps in another way?
    pub(crate) fn is_for(&self, tap: &Tap) -> bool {
        (self.recording, self.side) == (tap.recording, tap.side)
    }

    pub(crate) fn ear(&self) -> &Arc<TapInbox> {
        &self.ear
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        self.ear.has_gone.store(true, Ordering::Release);
    }
}

/// One thread's recordings and the means to make them.
pub(crate) struct RecordingThread {
    exchange: Arc<Exchange>,
    orders: Arc<Orders<Order>>,
    totals: Arc<ThreadTotals>,
    clock: Clock,
    recordings: HashMap<RecordingId, Going>,
    inbox: Inbox,
}

/// A recording that goes on.
struct Going {
    began: Time,
    sink: Box<dyn RecordingSink>,
    parties: Vec<Party>,
}

/// Somebody who is heard.
struct Party {
    ear: Arc<TapInbox>,
    side: RecordingSide,
    listener: Listener,
    counted: ListenerStats,
}

impl RecordingThread {
    pub(crate) fn new(exchange: Arc<Exchange>, orders: Arc<Orders<Order>>, totals: Arc<ThreadTotals>) -> Self {
        let (clock, inbox) = (exchange.clock, Inbox::default());
        Self { exchange, orders, totals, clock, recordings: HashMap::new(), inbox }
    }

    /// Runs until nobody can give orders any more; what goes on then ends.
    pub(crate) fn run(mut self) {
        let mut taken = VecDeque::new();
        let mut due = self.clock.now() + TICK;
        loop {
            let rest = (!self.recordings.is_empty()).then(|| due.since(self.clock.now()));
            let goes_on = self.orders.wait(rest, &mut taken);
            while let Some(order) = taken.pop_front() {
                self.obey(order);
            }
            let now = self.clock.now();
            if now >= due {
                due = now + TICK;
                self.recordings.values_mut().for_each(|going| going.listen(now, &mut self.inbox, &self.totals));
            }
            if !goes_on {
                self.recordings.values_mut().for_each(|going| going.flush(now, &mut self.inbox, &self.totals));
                self.totals.recordings_ended.add(self.recordings.len() as u64);
                return;
            }
        }
    }

    fn obey(&mut self, order: Order) {
        let now = self.clock.now();
        match order {
            Order::Tap(ear, tap) => match self.recordings.get_mut(&tap.recording) {
                Some(going) => going.tap(ear, &tap),
                None => ear.is_deaf.store(true, Ordering::Relaxed),
            },
            Order::Record(id, RecordingCommand::Begin(terms)) => self.begin(now, id, &terms),
            Order::Record(id, RecordingCommand::End) => {
                if let Some(mut going) = self.recordings.remove(&id) {
                    going.flush(now, &mut self.inbox, &self.totals);
                    self.totals.recordings_ended.add(1);
                }
            }
            Order::Record(id, command) => {
                let Some(going) = self.recordings.get_mut(&id) else { return };
                going.flush(now, &mut self.inbox, &self.totals);
                let place = going.place(now);
                match command {
                    RecordingCommand::Pause => going.sink.pause(place),
                    _ => going.sink.resume(place),
                }
            }
        }
    }

    fn begin(&mut self, began: Time, id: RecordingId, terms: &RecordingTerms) {
        match self.exchange.recordings.as_ref().and_then(|recordings| recordings.begin(id, terms)) {
            Some(sink) => {
                self.totals.recordings_begun.add(1);
                self.recordings.insert(id, Going { began, sink, parties: Vec::new() });
            }
            None => {
                self.totals.recordings_refused.add(1);
                let ended = MediaEvent::RecordingEnded { recording: id, complete: false };
                self.exchange.tell(PortId(id.0), ended);
            }
        }
    }
}

impl Going {
    fn tap(&mut self, ear: Arc<TapInbox>, tap: &Tap) {
        if let Some(party) = self.parties.iter_mut().find(|party| Arc::ptr_eq(&party.ear, &ear)) {
            party.listener.set_codings(&tap.from);
            return;
        }
        ear.is_deaf.store(false, Ordering::Relaxed);
        let listener = Listener::new(&tap.from, self.sink.sample_hz(), self.began);
        self.parties.push(Party { ear, side: tap.side, listener, counted: ListenerStats::default() });
    }

    fn place(&self, now: Time) -> u64 {
        let place = now.since(self.began).as_micros() * u128::from(self.sink.sample_hz()) / 1_000_000;
        u64::try_from(place).unwrap_or(u64::MAX)
    }

    /// Hands on what has been heard for long enough, and lets those go who are gone.
    fn listen(&mut self, now: Time, inbox: &mut Inbox, totals: &ThreadTotals) {
        let Self { sink, parties, .. } = self;
        parties.retain_mut(|party| {
            let has_gone = party.ear.has_gone.load(Ordering::Acquire);
            party.hear(inbox);
            let Party { side, listener, .. } = party;
            match has_gone {
                true => listener.flush(|at, samples| sink.push(*side, at, samples)),
                false => listener.take(now, |at, samples| sink.push(*side, at, samples)),
            }
            party.count(totals);
            !has_gone
        });
    }

    /// Hands on all that has been heard.
    fn flush(&mut self, now: Time, inbox: &mut Inbox, totals: &ThreadTotals) {
        self.listen(now, inbox, totals);
        let Self { sink, parties, .. } = self;
        for party in parties {
            let Party { side, listener, .. } = party;
            listener.flush(|at, samples| sink.push(*side, at, samples));
            party.count(totals);
        }
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        // The port may be tapped for longer than its recording lasts.
        self.ear.is_deaf.store(true, Ordering::Relaxed);
    }
}

impl Party {
    fn hear(&mut self, inbox: &mut Inbox) {
        self.ear.swap(inbox);
        inbox.drain(|at, _, packet| self.listener.handle_packet(at, packet));
    }

    fn count(&mut self, totals: &ThreadTotals) {
        let heard = self.listener.heard();
        totals.recording_decoded.add(heard.decoded - self.counted.decoded);
        totals.recording_undecodable.add(heard.undecodable - self.counted.undecodable);
        totals.recording_left_out.add(heard.left_out - self.counted.left_out);
        self.counted = heard;
    }
}

/// How often inboxes are emptied: they hold more than comes meanwhile.
const TICK: Duration = Duration::from_millis(40);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RtpConfig;
    use crate::exchange::Owner;
    use sx_types::{CallId, Consent, TraceId};

    /// Makes whatever is asked for, and throws it away.
    struct Nowhere;

    impl Recordings for Nowhere {
        fn begin(&self, _: RecordingId, _: &RecordingTerms) -> Option<Box<dyn RecordingSink>> {
            Some(Box::new(Self))
        }
    }

    impl RecordingSink for Nowhere {
        fn sample_hz(&self) -> u32 {
            8_000
        }
        fn push(&mut self, _: RecordingSide, _: u64, _: &[i16]) {}
        fn pause(&mut self, _: u64) {}
        fn resume(&mut self, _: u64) {}
    }

    #[test]
    fn a_port_copies_packets_only_while_its_recording_goes_on() {
        let owner = Owner { events: Box::new(|_, _| {}), failed: Box::new(|_| {}) };
        let exchange = Exchange::new(RtpConfig::default(), Some(Arc::new(Nowhere)), owner);
        let exchange = Arc::new(exchange.expect("a good configuration"));
        let mut thread = RecordingThread::new(exchange, Arc::default(), Arc::default());
        let (recording, side) = (RecordingId(1 << 8), RecordingSide::Caller);
        let tap = Tap { recording, side, from: Vec::new() };
        let tapped = Tapped::new(&tap);
        let terms = RecordingTerms {
            call: CallId::from_u128(1),
            trace: TraceId::from_u128(1),
            number: 0,
            consent: Consent::Announced,
            caller: "1".into(),
            dialled: "2".into(),
            signalled_as: None,
        };
        let begin = || Order::Record(recording, RecordingCommand::Begin(Box::new(terms.clone())));
        let heard = || Order::Tap(tapped.ear().clone(), Box::new(tap.clone()));
        let mut copies_after = |order| {
            thread.obey(order);
            !tapped.ear().is_deaf.load(Ordering::Relaxed)
        };
        assert!(!copies_after(heard()), "there is no such recording yet");
        assert!(!copies_after(begin()));
        assert!(copies_after(heard()));
        assert!(!copies_after(Order::Record(recording, RecordingCommand::End)), "nobody takes anything away");
        copies_after(begin());
        assert!(copies_after(heard()));
        drop(thread);
        assert!(tapped.ear().is_deaf.load(Ordering::Relaxed));
    }
}
