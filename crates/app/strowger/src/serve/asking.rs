//! Questions that other threads ask workers. They lie in the mailbox like everything else, so an answer also says that
//! what lay there before has been done.

use super::mailbox::{Mail, Mailbox};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};
use sx_call::{CallCounts, CallSummary};
use sx_edge::SourceReport;
use sx_engine::Time;
use sx_exchange::{EscalationReport, RegisteredContact, TrunkReport, Worker};
use sx_types::{CallId, TraceId};

/// What a worker is asked.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Its calls, at most so many.
    Calls(usize),
    /// One call.
    Call(CallId),
    /// The members that it has of a room.
    Members(Box<str>),
    /// Its escalations, at most so many.
    Escalations(usize),
    /// One escalation.
    Escalation(TraceId),
    /// What the ports of a call have counted. They are asked, and the worker answers when they have answered.
    Counts(CallId),
    /// The trunks.
    Trunks,
    /// A part of the sources it remembers.
    Sources {
        /// Only those that are banned.
        banned_only: bool,
        /// Where it begins; 0 for the first.
        from: usize,
    },
    /// The source that an address belongs to.
    Source(IpAddr),
    /// Who is registered with it.
    Registrations {
        /// Only these addresses of record; `None`: all.
        aors: Option<Vec<Box<str>>>,
        /// At most so many places.
        max: usize,
    },
    /// Nothing but whether it has done what it was told before.
    Done,
}

/// What a worker answers.
#[derive(Clone, Debug)]
pub enum Answered {
    /// How many calls it has, and as many of them as were asked for.
    Calls(usize, Vec<CallSummary>),
    /// How many escalations it has, and as many of them as were asked for.
    Escalations(usize, Vec<EscalationReport>),
    /// What the ports of a call have counted; `None`: there is no such call.
    Counts(Option<CallCounts>),
    /// The trunks.
    Trunks(Vec<TrunkReport>),
    /// Sources, and where the next part of them begins.
    Sources(Vec<SourceReport>, Option<usize>),
    /// How many places are registered with it, and as many of them as were asked for.
    Registrations(usize, Vec<RegisteredContact>),
    /// It has done what it was told before.
    Done,
}

/// A question on its way, and where its answer goes.
pub struct Ask {
    asked: Arc<Asked>,
    answers: Sender<(u16, Answered)>,
}

impl Ask {
    /// The call whose ports are to be asked first.
    pub fn counts(&self) -> Option<CallId> {
        match *self.asked {
            Asked::Counts(call) => Some(call),
            _ => None,
        }
    }

    /// Answers, on the worker's thread.
    pub fn answer(self, worker: &Worker, now: Time) {
        // Whoever has waited for too long misses nothing any more.
        let _ = self.answers.send((worker.number(), answer(worker, now, &self.asked)));
    }
}

fn answer(worker: &Worker, now: Time, asked: &Asked) -> Answered {
    match asked {
        Asked::Calls(max) => Answered::Calls(worker.calls(), worker.list().take(*max).collect()),
        Asked::Call(call) => Answered::Calls(worker.calls(), worker.call(*call).into_iter().collect()),
        Asked::Members(room) => {
            let of_room = |call: &CallSummary| call.room.as_deref() == Some(&**room);
            Answered::Calls(worker.calls(), worker.list().filter(of_room).collect())
        }
        Asked::Escalations(max) => {
            let (total, some) = worker.escalations(*max);
            Answered::Escalations(total, some)
        }
        Asked::Escalation(id) => Answered::Escalations(1, worker.escalation(*id).into_iter().collect()),
        Asked::Counts(call) => Answered::Counts(worker.call_counts(*call, now)),
        Asked::Trunks => Answered::Trunks(worker.trunks().collect()),
        Asked::Sources { banned_only, from } => {
            let (reports, next) = worker.sources(now, *from);
            Answered::Sources(reports.filter(|report| !banned_only || report.ban.is_some()).collect(), next)
        }
        Asked::Source(address) => Answered::Sources(worker.source(now, *address).into_iter().collect(), None),
        Asked::Registrations { aors: None, max } => {
            Answered::Registrations(worker.bindings(), worker.registrations(now).take(*max).collect())
        }
        Asked::Registrations { aors: Some(aors), max } => {
            let of_these = aors.iter().flat_map(|aor| worker.registrations_of(now, aor));
            Answered::Registrations(worker.bindings(), of_these.take(*max).collect())
        }
        Asked::Done => Answered::Done,
    }
}

/// Not every worker has answered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only {answered} of {workers} workers have answered in time")]
pub struct NoAnswer {
    /// So many have.
    pub answered: usize,
    /// So many there are.
    pub workers: usize,
}

/// The workers, as those see them who are none.
#[derive(Clone)]
pub struct Workers {
    mailboxes: Vec<Mailbox>,
}

impl Workers {
    /// Those with these mailboxes, by their numbers.
    pub fn at(mailboxes: Vec<Mailbox>) -> Self {
        Self { mailboxes }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.mailboxes.len()
    }

    /// One of them, for what any can have: which follows from the number.
    pub fn any(&self, number: u128) -> u16 {
        u16::try_from(number % self.len().max(1) as u128).unwrap_or_default()
    }

    /// Tells one something.
    pub fn tell(&self, worker: u16, mail: Mail) {
        if let Some(mailbox) = self.mailboxes.get(usize::from(worker)) {
            mailbox.post(mail);
        }
    }

    /// Tells all the same.
    pub fn tell_all(&self, mail: impl Fn() -> Mail) {
        self.mailboxes.iter().for_each(|mailbox| mailbox.post(mail()));
    }

    /// Asks all of them, and waits for what they answer: each with its number, in no order. To be called on a thread that
    /// may wait.
    ///
    /// # Errors
    /// When one of them does not answer within `patience`.
    pub fn ask(&self, asked: Asked, patience: Duration) -> Result<Vec<(u16, Answered)>, NoAnswer> {
        let (answers, inbox) = channel();
        let asked = Arc::new(asked);
        for mailbox in &self.mailboxes {
            mailbox.post(Mail::Ask(Ask { asked: asked.clone(), answers: answers.clone() }));
        }
        drop(answers);
        let begun = Instant::now();
        let mut heard = Vec::with_capacity(self.mailboxes.len());
        while heard.len() < self.mailboxes.len() {
            match inbox.recv_timeout(patience.saturating_sub(begun.elapsed())) {
                Ok(answer) => heard.push(answer),
                Err(_) => return Err(NoAnswer { answered: heard.len(), workers: self.mailboxes.len() }),
            }
        }
        Ok(heard)
    }

    /// Asks one of them, and waits for its answer as [`ask`](Self::ask) does.
    ///
    /// # Errors
    /// When it does not answer within `patience`, or there is none of this number.
    pub fn ask_one(&self, worker: u16, asked: Asked, patience: Duration) -> Result<Answered, NoAnswer> {
        let (answers, inbox) = channel();
        self.tell(worker, Mail::Ask(Ask { asked: Arc::new(asked), answers }));
        let none = NoAnswer { answered: 0, workers: 1 };
        inbox.recv_timeout(patience).map(|(_, answer)| answer).map_err(|_| none)
    }

    /// Waits until all have done what they were told.
    ///
    /// # Errors
    /// When one of them does not answer within `patience`.
    pub fn wait(&self, patience: Duration) -> Result<(), NoAnswer> {
        self.ask(Asked::Done, patience).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_net::{Net, NetConfig};

    #[test]
    fn whoever_asks_a_worker_that_is_stuck_hears_so_in_time() {
        let net = Net::open(0, &NetConfig::default(), Time::ZERO).expect("opens");
        let (mailbox, _inbox) = Mailbox::open(net.waker());
        let workers = Workers::at(vec![mailbox]);
        let answer = workers.ask(Asked::Trunks, Duration::from_millis(10));
        assert_eq!(answer.map(|_| ()), Err(NoAnswer { answered: 0, workers: 1 }));
    }

    #[test]
    fn whoever_asks_a_worker_that_has_ended_need_not_wait() {
        let net = Net::open(0, &NetConfig::default(), Time::ZERO).expect("opens");
        let (mailbox, inbox) = Mailbox::open(net.waker());
        drop(inbox);
        let workers = Workers::at(vec![mailbox]);
        assert!(workers.wait(Duration::from_secs(600)).is_err());
    }
}
