//! Transactions: retransmission, matching and timers of RFC 3261 with the corrections of RFC 6026.
//!
//! [`Transactions`] does not know dialogs. What it keeps of a message is the bytes to send again and the lines an answer
//! must echo, nothing else. A response finds its client transaction by the branch alone, which names the slot; a request
//! finds its server transaction by a keyed hash of branch, sender and method.
//!
//! ```text
//!  client INVITE:  Calling ─1xx─► Proceeding ─2xx─► Accepted ─M─► end      (2xx go to the user, who sends the ACK)
//!                     └──────────────┴──3xx…6xx──► Completed ─D─► end      (ACK sent from here)
//!                     └──────────────┴──no final response──► Late ──► end  (a 2xx is hung up)
//!  client other:   Trying ─1xx─► Proceeding ─final─► Completed ─K─► end
//!  server INVITE:  Proceeding ─2xx─► Accepted ─L─► end
//!                     └──3xx…6xx──► Completed ─ACK─► Confirmed ─I─► end
//!  server other:   Trying ─1xx─► Proceeding ─final─► Completed ─J─► end
//! ```

mod client;
mod echo;
mod server;
#[cfg(test)]
mod tests;
mod unwanted;

pub use client::{ClientId, ClientRequest, ResponseMatch};
pub use echo::{Reply, reply};
pub use server::{RequestMatch, ServerId};

use crate::message::Message;
use bytes::Bytes;
use client::Client;
use server::Server;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;
use sx_engine::{Arena, Rng, Time, Wheel};
use sx_types::{Destination, Ticket};

/// The timers of RFC 3261, table 4, and two of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// The estimate of the round trip, 500 ms.
    pub t1: Duration,
    /// The longest interval between retransmissions, 4 s.
    pub t2: Duration,
    /// How long a message may stay in the network, 5 s.
    pub t4: Duration,
    /// How long an INVITE may go unanswered by us before it is told `100 Trying`; at most 200 ms.
    pub trying: Duration,
    /// How long an INVITE of ours may have provisional responses only before it is cancelled, 212 s (timer C). Its session
    /// cancels it earlier, after [`AgentConfig::invite_timeout`](crate::agent::AgentConfig::invite_timeout): this one is
    /// for what no session waits for.
    pub ringing: Duration,
    /// How long an INVITE may go without our final response before it is refused, one hour. Other requests have 64 times
    /// T1: nobody waits for their answer longer.
    pub unanswered: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            trying: Duration::from_millis(200),
            ringing: Duration::from_secs(180 + 32),
            unanswered: Duration::from_secs(3_600),
        }
    }
}

impl Timers {
    /// 64 times T1: how long a transaction is tried.
    pub fn timeout(&self) -> Duration {
        self.t1 * 64
    }
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: Destination,
    /// The message.
    pub bytes: Bytes,
    /// To be named when it could not be sent.
    pub ticket: Ticket,
}

/// What has happened to a transaction by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionEvent {
    /// No final response came in time, or the request could not be sent. The transaction is over.
    Failed {
        /// The transaction.
        client: ClientId,
        /// Whom it was made for.
        owner: u64,
        /// Its request.
        request: Bytes,
        /// Why.
        failure: Failure,
    },
    /// A request was not answered in time by us and has been refused. The transaction is over.
    Unanswered {
        /// The transaction.
        server: ServerId,
        /// Whom it belongs to.
        owner: u64,
    },
}

/// Why a client transaction has no final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody answered in time; to be treated as a 408.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.1
    Timeout,
    /// The message could not be sent; to be treated as a 503.
    Transport,
}

#[derive(Clone, Copy, Debug)]
enum Timer {
    ClientRetransmit(ClientId),
    ClientEnd(ClientId),
    ServerTrying(ServerId),
    ServerRetransmit(ServerId),
    ServerEnd(ServerId),
    ServerUnanswered(ServerId),
}

/// What the layer has counted since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionCounts {
    /// Requests sent again because no answer came.
    pub requests_retransmitted: u64,
    /// Responses sent again, because the request came again or no ACK came.
    pub responses_retransmitted: u64,
    /// Requests that were received again.
    pub requests_absorbed: u64,
    /// Responses that belong to no transaction.
    pub responses_stray: u64,
    /// Client transactions that ended without a final response.
    pub timeouts: u64,
    /// Answers to INVITEs that nobody waited for any more, or that another branch had won: acknowledged and hung up.
    pub answers_unwanted: u64,
    /// INVITEs without a final response in time that were too many to be kept for a late one.
    pub invites_forgotten: u64,
}

/// All transactions of one worker.
#[derive(Debug)]
pub struct Transactions {
    timers: Timers,
    worker: u16,
    clients: Arena<Client>,
    servers: Arena<Server>,
    index: HashMap<u128, ServerId, BuildHasherDefault<HashedAlready>>,
    /// The newest transaction of each request, by whichever way it came.
    origins: HashMap<u128, ServerId, BuildHasherDefault<HashedAlready>>,
    wheel: Wheel<Timer>,
    rng: Rng,
    hash_key: (u64, u64),
    out: VecDeque<Transmit>,
    events: VecDeque<TransactionEvent>,
    counts: TransactionCounts,
    /// How many INVITEs are kept for a late answer.
    late: usize,
}

impl Transactions {
    /// An empty layer. The worker's number is written into every branch.
    pub fn new(now: Time, worker: u16, timers: Timers, mut rng: Rng) -> Self {
        Self {
            timers,
            worker,
            clients: Arena::default(),
            servers: Arena::default(),
            index: HashMap::default(),
            origins: HashMap::default(),
            wheel: Wheel::new(now),
            hash_key: (rng.u64(), rng.u64()),
            rng,
            out: VecDeque::new(),
            events: VecDeque::new(),
            counts: TransactionCounts::default(),
            late: 0,
        }
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<TransactionEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.wheel.next_expiry()
    }

    /// A time that [`poll_timeout`](Self::poll_timeout) named has come.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(timer) = self.wheel.expire(now) {
            match timer {
                Timer::ClientRetransmit(id) => self.client_retransmit(now, id),
                Timer::ClientEnd(id) => self.client_end(now, id),
                Timer::ServerTrying(id) => self.server_trying(id),
                Timer::ServerRetransmit(id) => self.server_retransmit(now, id),
                Timer::ServerEnd(id) => self.server_end(id),
                Timer::ServerUnanswered(id) => self.server_unanswered(now, id),
            }
        }
    }

    /// How many client and server transactions there are.
    pub fn len(&self) -> (usize, usize) {
        (self.clients.len(), self.servers.len())
    }

    /// Is there no transaction?
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.servers.is_empty()
    }

    /// What was counted so far.
    pub fn counts(&self) -> TransactionCounts {
        self.counts
    }

    /// Sends a message that belongs to no transaction, as an ACK for a 2xx does not.
    pub fn send(&mut self, to: Destination, bytes: Bytes) {
        self.out.push_back(Transmit { to, bytes, ticket: Ticket::default() });
    }

    /// Answers a request without keeping anything of it.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.7
    pub fn reply_stateless<B: AsRef<[u8]>>(&mut self, flow: sx_types::Flow, request: &Message<B>, answer: Reply<'_>) {
        let (to, bytes) = reply(flow, request, answer);
        self.send(to, bytes);
    }
}

/// When a transaction that only lingers may be forgotten: a little later, so that many are forgotten at once.
fn lingering(until: Time) -> Time {
    const STEP_MS: u64 = 100;
    Time::from_millis(until.as_millis().div_ceil(STEP_MS) * STEP_MS)
}

/// The hasher of keys that are hashes.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashedAlready(u64);

impl Hasher for HashedAlready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_ne_bytes(word);
        }
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }
}
