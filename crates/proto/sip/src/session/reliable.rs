//! Reliable provisional responses (RFC 3262): sent until acknowledged by PRACK, one at a time.

use super::{Ended, EndedBy, Phase, SDP, Session, SessionTimer};
use crate::agent::Core;
use crate::message::{HeaderName, Message, RAck, Writer};
use crate::transaction::{Reply, ServerId, Transmit};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;
use sx_engine::{Time, TimerId};

/// Our side of reliable provisional responses.
#[derive(Debug)]
pub(crate) struct Reliable {
    /// The last RSeq given out; 0 when there was none.
    rseq: u32,
    pending: Option<Pending>,
    queue: VecDeque<(u16, Option<Bytes>)>,
    pub timer: TimerId,
    /// A description was delivered reliably, so that the 2xx need not repeat it.
    pub delivered: bool,
}

#[derive(Debug)]
struct Pending {
    response: Transmit,
    interval: Duration,
    give_up: Time,
    described: bool,
}

impl Default for Reliable {
    fn default() -> Self {
        Self { rseq: 0, pending: None, queue: VecDeque::new(), timer: TimerId::NONE, delivered: false }
    }
}

/// The most provisional responses that may wait for a PRACK.
const QUEUE_MAX: usize = 8;

impl Reliable {
    /// Is a response on its way whose description the caller may not have?
    pub fn holds_description(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.described) || self.queue.iter().any(|(_, d)| d.is_some())
    }

    /// What the PRACK will say that an INVITE with this number still waits for.
    pub fn awaited(&self, seq: u32) -> Option<RAck> {
        self.pending.as_ref().map(|_| RAck { rseq: self.rseq, cseq: seq })
    }
}

impl Session {
    pub(super) fn progress_reliably(&mut self, core: &mut Core, now: Time, status: u16, description: Option<Bytes>) {
        let tag = self.tag();
        let Phase::Incoming(answering) = &mut self.phase else { return };
        if answering.reliable.pending.is_some() {
            if answering.reliable.queue.len() < QUEUE_MAX {
                answering.reliable.queue.push_back((status, description));
            }
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        // The first RSeq is chosen at random, small enough that it never wraps.
        let rseq =
            if answering.reliable.rseq == 0 { 1 + core.rng.u32() % (1 << 30) } else { answering.reliable.rseq + 1 };
        answering.reliable.rseq = rseq;
        let (contact, allow) = (&self.dialog.contact, core.config.allow);
        let headers = |writer: &mut Writer| {
            writer.header(HeaderName::Contact, format_args!("{contact}"));
            writer.header(HeaderName::Require, format_args!("100rel"));
            writer.header(HeaderName::RSeq, format_args!("{rseq}"));
            writer.header(HeaderName::Allow, format_args!("{allow}"));
        };
        let body = description.as_deref().map(|bytes| (SDP, bytes));
        let reply = Reply { status, to_tag: &tag, headers: Some(&headers), body, ..Reply::default() };
        let Some(response) = core.transactions.respond(answering.server, &reply, now) else { return };
        let timers = core.config.timers;
        if let Some(description) = &description {
            answering.described = Some(description.clone());
            self.local_description = Some(description.clone());
        }
        answering.reliable.timer = core.set_timer(now + timers.t1, self.id, SessionTimer::Reliable);
        answering.reliable.pending = Some(Pending {
            response,
            interval: timers.t1,
            give_up: now + timers.timeout(),
            described: description.is_some(),
        });
    }

    pub(super) fn repeat_reliable(&mut self, core: &mut Core, now: Time) {
        let tag = self.tag();
        let Phase::Incoming(answering) = &mut self.phase else { return };
        let Some(pending) = &mut answering.reliable.pending else { return };
        if now >= pending.give_up {
            //= https://www.rfc-editor.org/rfc/rfc3262#section-3
            // Nobody acknowledges: the INVITE is refused.
            core.transactions.respond(answering.server, &Reply { status: 504, to_tag: &tag, ..Reply::default() }, now);
            self.end(core, now, Ended { status: 504, q850: None, by: EndedBy::Failure });
            return;
        }
        pending.interval *= 2;
        core.transactions.send(pending.response.to.clone(), pending.response.bytes.clone());
        let at = (now + pending.interval).min(pending.give_up);
        answering.reliable.timer = core.set_timer(at, self.id, SessionTimer::Reliable);
    }

    /// A PRACK has come.
    pub(crate) fn receive_prack<B: AsRef<[u8]>>(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        prack: &Message<B>,
    ) {
        let rack = prack.value(HeaderName::RAck).and_then(|value| RAck::parse(value).ok());
        let acknowledged = match &mut self.phase {
            Phase::Incoming(answering) => {
                let awaited = answering.reliable.awaited(answering.seq);
                if rack == awaited { answering.reliable.pending.take() } else { None }
            }
            _ => None,
        };
        let Some(pending) = acknowledged else {
            //= https://www.rfc-editor.org/rfc/rfc3262#section-3
            // One may come after the final response.
            let late = rack.is_some() && rack == self.unacknowledged;
            if late {
                self.unacknowledged = None;
            }
            let status = if late { 200 } else { 481 };
            core.transactions.respond(server, &Reply { status, ..Reply::default() }, now);
            return;
        };
        core.transactions.respond(server, &Reply { status: 200, ..Reply::default() }, now);
        let Phase::Incoming(answering) = &mut self.phase else { return };
        core.wheel.cancel(answering.reliable.timer);
        answering.reliable.delivered |= pending.described;
        if let Some((status, description)) = answering.reliable.queue.pop_front() {
            self.progress_reliably(core, now, status, description);
        } else if let Some((description, headers)) = answering.waiting.take() {
            self.answer(core, now, description, &headers);
        }
    }
}
