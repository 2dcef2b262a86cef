//! Answers that nobody waits for any more: their INVITE was given up, its session is over, or another branch has won.
//!
//! Each is acknowledged and hung up once; one that comes again has its ACK again, and nothing else. What is needed for that
//! lives and ends with the INVITE's transaction. One that had no final response in time is therefore kept as long again,
//! without its bytes.

use super::client::State;
use super::{ClientId, Timer, Transactions, lingering};
use crate::message::Method;
use bytes::Bytes;
use sx_engine::Time;
use sx_types::Destination;

/// The most branches of one INVITE that are hung up.
const BRANCHES_MAX: usize = 32;

/// The most INVITEs without a final response that are kept for a late one. A worker makes as many in half a minute when a
/// provider of 300 calls a second is gone.
const LATE_MAX: usize = 10_000;

/// An answer that was hung up.
#[derive(Debug)]
pub(super) struct Unwanted {
    tag: Box<str>,
    to: Destination,
    ack: Bytes,
}

impl Transactions {
    /// A 2xx with this tag is not wanted: where its INVITE went, when it is the first. One that was hung up is sent its ACK
    /// again.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
    pub fn unwanted(&mut self, id: ClientId, tag: &str) -> Option<Destination> {
        let client = self.clients.get(id.0)?;
        if let Some(known) = client.unwanted.iter().find(|known| *known.tag == *tag) {
            let (to, ack) = (known.to.clone(), known.ack.clone());
            self.send(to, ack);
            return None;
        }
        (client.unwanted.len() < BRANCHES_MAX).then(|| client.to.clone())
    }

    /// Sends the ACK for an answer that is not wanted, now and whenever the answer comes again.
    pub fn acknowledge_unwanted(&mut self, id: ClientId, tag: &str, to: Destination, ack: Bytes) {
        self.counts.answers_unwanted += 1;
        if let Some(client) = self.clients.get_mut(id.0) {
            client.unwanted.push(Unwanted { tag: tag.into(), to: to.clone(), ack: ack.clone() });
        }
        self.send(to, ack);
    }

    /// An INVITE has had no final response in time, and its owner has been told so.
    pub(super) fn keep_for_late_answer(&mut self, now: Time, id: ClientId) {
        let until = lingering(now + self.timers.timeout());
        let full = self.late >= LATE_MAX;
        let Some(client) = self.clients.get_mut(id.0).filter(|client| client.method == Method::Invite && !full) else {
            if full {
                self.counts.invites_forgotten += 1;
            }
            return self.remove_client(id);
        };
        let canceller = client.canceller.take();
        client.state = State::Late;
        client.request = Bytes::new();
        self.wheel.cancel(client.retransmit);
        self.wheel.cancel(client.end);
        client.end = self.wheel.set(until, Timer::ClientEnd(id));
        self.late += 1;
        if let Some(canceller) = canceller {
            self.remove_client(canceller);
        }
    }
}
