//! Events for those who have subscribed: the records of the witness log, as soon as they are on the disk.
//!
//! ```text
//!  witness log ──► LogTail of a subscriber ──► kinds that are wanted ──► EventSink, as far as it has room
//! ```
//!
//! Each subscriber has a place in the log of its own, so that one who is slow holds up nobody, loses nothing, and costs no memory.
//! Who has subscribed with a token hears no more when that is revoked or has expired.

use super::clock::wall;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};
use sx_http::{ApiProblem, Caller, Event, EventSink, EventsWanted, MetricsText};
use sx_store::{LogTail, TailError, TokenEntry, Tokens, WitnessLog};
use sx_witness::Kind;

/// Who is told of events.
pub struct Events {
    log: WitnessLog,
    new: Mutex<Sender<Subscriber>>,
    subscribers_max: u64,
    subscribers: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
}

/// One of them.
struct Subscriber {
    /// The id of its token.
    token: String,
    tail: LogTail,
    /// None: all of them.
    kinds: BTreeSet<Kind>,
    sink: EventSink,
}

/// How often it is looked for new records while somebody has subscribed.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Records that are looked at for one subscriber at a time.
const RECORDS_MAX: usize = 1_000;
/// How often it is looked whether the tokens of subscribers still open something.
const TOKENS_EVERY: Duration = Duration::from_secs(1);

impl Events {
    /// Begins to look; it ends with the value.
    pub fn start(log: WitnessLog, tokens: Tokens, subscribers_max: usize) -> std::io::Result<Self> {
        let (new, subscribed) = channel();
        let (subscribers, sent) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (own, count, told) = (log.clone(), subscribers.clone(), sent.clone());
        Builder::new().name("events".into()).spawn(move || look(&own, &tokens, &subscribed, &count, &told))?;
        Ok(Self { log, new: Mutex::new(new), subscribers_max: subscribers_max as u64, subscribers, sent })
    }

    /// From now on these events go there.
    pub fn subscribe(&self, caller: &Caller, wanted: &EventsWanted, sink: EventSink) -> Result<(), ApiProblem> {
        let kinds: BTreeSet<Kind> =
            wanted.kinds.iter().map(|kind| kind.parse()).collect::<Result<_, _>>().map_err(|_| {
                let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
                ApiProblem::new(400, "bad-kind", "No such kind", format!("the kinds are {}", known.join(", ")))
            })?;
        if self.subscribers.fetch_add(1, Ordering::AcqRel) >= self.subscribers_max {
            self.subscribers.fetch_sub(1, Ordering::AcqRel);
            let detail = format!("{} have subscribed, which are as many as may", self.subscribers_max);
            return Err(ApiProblem::unavailable(detail));
        }
        let durable = self.log.durable();
        let from = wanted.after.map_or(durable, |after| after.saturating_add(1));
        let mut tail = self.log.tail(from);
        // Whoever wants what is kept no longer is told so at once.
        if from < durable
            && let Err(TailError::Gone { record }) = self.log.tail(from).read(durable, 1, |_, _| {})
        {
            self.subscribers.fetch_sub(1, Ordering::AcqRel);
            let detail = format!("record {record} is kept no longer; without `after` there are those from now on");
            return Err(ApiProblem::new(410, "events-gone", "Kept no longer", detail));
        }
        if from > durable {
            tail = self.log.tail(durable);
        }
        let new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = |_| ApiProblem::unavailable("the exchange is about to end");
        new.send(Subscriber { token: caller.id.clone(), tail, kinds, sink }).map_err(lost)
    }

    /// What scrapers are told.
    pub fn write(&self, out: &mut MetricsText) {
        let count = self.subscribers.load(Ordering::Relaxed);
        out.gauge("strowger_event_subscribers", "", "Clients that hear of events.").sample(&[], count);
        let sent = self.sent.load(Ordering::Relaxed);
        out.counter("strowger_events_sent", "", "Events that clients were sent.").sample(&[], sent);
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("subscribers", &self.subscribers).finish_non_exhaustive()
    }
}

fn look(log: &WitnessLog, tokens: &Tokens, subscribed: &Receiver<Subscriber>, count: &AtomicU64, sent: &AtomicU64) {
    let mut subscribers: Vec<Subscriber> = Vec::new();
    let mut looked = Instant::now();
    loop {
        // While nobody has subscribed nothing is looked for.
        let new = match subscribers.is_empty() {
            true => subscribed.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => subscribed.recv_timeout(LOOK_EVERY),
        };
        match new {
            Ok(new) => subscribers.push(new),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        loop {
            match subscribed.try_recv() {
                Ok(new) => subscribers.push(new),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        let durable = log.durable();
        let good = (looked.elapsed() >= TOKENS_EVERY).then(|| {
            looked = Instant::now();
            good_tokens(tokens)
        });
        // When the tokens cannot be read nobody knows of any that it is not good.
        let good = good.flatten();
        subscribers.retain_mut(|subscriber| {
            let may_hear = good.as_ref().is_none_or(|good| good.contains(&subscriber.token));
            let stays = may_hear && subscriber.tell(durable, sent);
            if !stays {
                count.fetch_sub(1, Ordering::AcqRel);
            }
            stays
        });
    }
}

impl Subscriber {
    /// Tells of what is new, as far as there is room. False: it has ended.
    fn tell(&mut self, durable: u64, sent: &AtomicU64) -> bool {
        let Ok(room) = self.sink.room() else { return false };
        let Self { tail, kinds, sink, .. } = self;
        let read = tail.read(durable, room.min(RECORDS_MAX), |id, line| {
            let Some(kind) = kind_of(line).filter(|kind| kinds.is_empty() || kinds.contains(kind)) else { return };
            sink.send(Event { id, kind: kind.as_str().to_owned(), data: line.to_owned() });
            sent.fetch_add(1, Ordering::Relaxed);
        });
        match read {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "somebody hears of no more events");
                false
            }
        }
    }
}

/// The ids of the tokens that open something now.
fn good_tokens(tokens: &Tokens) -> Option<BTreeSet<String>> {
    let now = wall();
    let is_good = |token: &TokenEntry| token.revoked.is_none() && token.expires.is_none_or(|expires| expires > now);
    match tokens.list() {
        Ok(all) => Some(all.into_iter().filter(is_good).map(|token| token.id.into()).collect()),
        Err(error) => {
            tracing::warn!(%error, "the tokens of those who hear of events cannot be looked at");
            None
        }
    }
}

/// The kind of a record.
fn kind_of(line: &str) -> Option<Kind> {
    #[derive(serde::Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        kind: std::borrow::Cow<'a, str>,
    }
    serde_json::from_str::<Head<'_>>(line).ok()?.kind.parse().ok()
}
