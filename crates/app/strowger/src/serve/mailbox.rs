//! How other threads reach a worker, and what waits there for it.
//!
//! Messages that other workers pass on, and what they tell of those who send them, come as fast as strangers send, so only so
//! many of each kind may wait: what is beyond is dropped and counted, as at a socket whose buffer is full. Datagrams, which SIP
//! sends again, cannot crowd out what has come along connections, which nobody repeats, nor the answers to that; and what forged
//! datagrams teach crowds out neither who is known nor a ban for wrong credentials. All else, of other workers as well, is as rare as calls and
//! registrations are, and never dropped.

use super::asking::Ask;
use super::handover::Handover;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use sx_call::Command;
use sx_edge::{Observation, Why};
use sx_exchange::{Directory, Escalate, Operation, PeerMessage, People, Tables};
use sx_media::MediaEvent;
use sx_net::Waker;
use sx_net::resolve::Resolved;
use sx_types::LinkId;

/// What other threads tell a worker.
pub enum Mail {
    /// A packet thread.
    Media(MediaEvent),
    /// The resolver.
    Resolved(Resolved),
    /// Another worker.
    Peer(PeerMessage),
    /// New tables.
    Tables(Arc<Tables>),
    /// New users.
    Directory(Arc<Directory>),
    /// New experts or guardians.
    People(Arc<People>),
    /// A message of an agent.
    Escalate(Box<Escalate>),
    /// The wall clock was set, and is so far ahead of the process's own time.
    WallClock {
        /// Milliseconds.
        ahead_ms: i64,
    },
    /// New certificates.
    Tls(Arc<sx_net::tls::TlsConfig>),
    /// An operator, about calls.
    Command(Command),
    /// An operator, about something else.
    Operation(Operation),
    /// Somebody who waits for an answer.
    Ask(Ask),
    /// A call goes to another process, or comes from one.
    Handover(Handover),
    /// The end.
    Stop,
}

/// How to reach a worker's thread.
#[derive(Clone)]
pub struct Mailbox {
    kept: Sender<Mail>,
    peers: Sender<PeerMessage>,
    passed_on: Arc<PassedOn>,
    dropped: Arc<AtomicU64>,
    waker: Arc<Waker>,
}

/// The worker's end of its mailbox.
pub struct Inbox {
    kept: Receiver<Mail>,
    peers: Receiver<PeerMessage>,
    passed_on: Arc<PassedOn>,
    waker: Arc<Waker>,
    /// How many of each kind this turn may still take.
    kept_left: usize,
    peers_left: usize,
}

/// What a worker tells the others. It leaves at the end of a turn, behind what the journals must have.
pub struct Outbox {
    mailboxes: Vec<Mailbox>,
    waiting: Vec<(u16, PeerMessage)>,
}

/// How many messages that other workers pass on wait.
#[derive(Default)]
struct PassedOn {
    datagrams: AtomicUsize,
    stream_messages: AtomicUsize,
    /// What is to be sent along connections of the other worker: answers, mostly, to what strangers have sent.
    sends: AtomicUsize,
    /// What was learnt from messages that were passed on, of which each teaches little.
    observed: AtomicUsize,
    /// The same, where somebody is known by it.
    authenticated: AtomicUsize,
    /// Sources that are banned. A worker that is not told bans them itself, if they come to it.
    bans: AtomicUsize,
    /// Sources that are banned for wrong credentials, which one worker counts for all: no other bans them itself. They have
    /// answered a challenge, so that nobody fills this with forged addresses.
    guessers: AtomicUsize,
}

/// Messages of each kind that may wait, told by other workers.
const PASSED_ON_MAX: usize = 4_096;
/// Mails of each kind that one turn takes, so that the network and the journals have theirs.
const MAILS_PER_TURN: usize = 256;

impl Mailbox {
    /// A mailbox for the worker that the waker wakes, and its inbox.
    pub fn open(waker: Arc<Waker>) -> (Self, Inbox) {
        let (kept, kept_inbox) = channel();
        let (peers, peers_inbox) = channel();
        let passed_on = Arc::<PassedOn>::default();
        let inbox = Inbox {
            kept: kept_inbox,
            peers: peers_inbox,
            passed_on: passed_on.clone(),
            waker: waker.clone(),
            kept_left: MAILS_PER_TURN,
            peers_left: MAILS_PER_TURN,
        };
        (Self { kept, peers, passed_on, dropped: Arc::default(), waker }, inbox)
    }

    /// Hands something over, and wakes the worker.
    pub fn post(&self, mail: Mail) {
        // A worker that has stopped reads no more, and misses nothing.
        let posted = match mail {
            Mail::Peer(message) => {
                let has_room = self.passed_on.enter(&message);
                if has_room {
                    let _ = self.peers.send(message);
                }
                has_room
            }
            mail => {
                let _ = self.kept.send(mail);
                true
            }
        };
        if !posted {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.waker.wake();
    }

    /// Messages of other workers that found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Outbox {
    /// To the workers with these mailboxes, by their numbers.
    pub fn to(mailboxes: Vec<Mailbox>) -> Self {
        Self { mailboxes, waiting: Vec::new() }
    }

    /// Lets a message wait.
    pub fn push(&mut self, worker: u16, message: PeerMessage) {
        self.waiting.push((worker, message));
    }

    /// Hands over what waits.
    pub fn post(&mut self) {
        for (worker, message) in self.waiting.drain(..) {
            if let Some(peer) = self.mailboxes.get(usize::from(worker)) {
                peer.post(Mail::Peer(message));
            }
        }
    }

    /// The mailbox of a worker.
    pub fn mailbox(&self, worker: u16) -> Option<&Mailbox> {
        self.mailboxes.get(usize::from(worker))
    }
}

impl PassedOn {
    /// Those that wait of this kind of message. `None`: it has no limit.
    fn of(&self, message: &PeerMessage) -> Option<&AtomicUsize> {
        match message {
            PeerMessage::Message { came, .. } if came.flow.link == LinkId::BETWEEN_WORKERS => None,
            PeerMessage::Message { socket: Some(_), .. } => Some(&self.datagrams),
            PeerMessage::Message { socket: None, .. } => Some(&self.stream_messages),
            PeerMessage::Send(_) => Some(&self.sends),
            PeerMessage::Observed { observed, .. } if observed.contains(&Observation::Authenticated) => {
                Some(&self.authenticated)
            }
            PeerMessage::Observed { .. } => Some(&self.observed),
            PeerMessage::Banned { ban } if ban.why == Why::Failures => Some(&self.guessers),
            PeerMessage::Banned { .. } => Some(&self.bans),
            PeerMessage::Closed { .. }
            | PeerMessage::Locate { .. }
            | PeerMessage::Located { .. }
            | PeerMessage::TrunkHealth { .. }
            | PeerMessage::TrunksAsked { .. }
            | PeerMessage::TrunkHeard { .. }
            | PeerMessage::Text { .. }
            | PeerMessage::Escalate { .. }
            | PeerMessage::Escalated { .. } => None,
        }
    }

    /// False when it finds no room.
    fn enter(&self, message: &PeerMessage) -> bool {
        let Some(waiting) = self.of(message) else { return true };
        let has_room = waiting.fetch_add(1, Ordering::Relaxed) < PASSED_ON_MAX;
        if !has_room {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
        has_room
    }

    fn leave(&self, message: &PeerMessage) {
        if let Some(waiting) = self.of(message) {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Inbox {
    /// The next mail of this turn. `None` ends the turn; what it leaves behind lets the next one begin at once.
    pub fn next(&mut self) -> Option<Mail> {
        if self.kept_left > 0 {
            self.kept_left -= 1;
            match self.kept.try_recv() {
                Ok(mail) => return Some(mail),
                Err(TryRecvError::Disconnected) => return Some(Mail::Stop),
                Err(TryRecvError::Empty) => self.kept_left += 1,
            }
        }
        if self.peers_left > 0
            && let Ok(message) = self.peers.try_recv()
        {
            self.peers_left -= 1;
            self.passed_on.leave(&message);
            return Some(Mail::Peer(message));
        }
        if self.kept_left == 0 || self.peers_left == 0 {
            self.waker.wake();
        }
        (self.kept_left, self.peers_left) = (MAILS_PER_TURN, MAILS_PER_TURN);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use sx_engine::Time;
    use sx_exchange::Came;
    use sx_net::{Net, NetConfig};
    use sx_sip::transaction::Transmit;
    use sx_types::{Destination, Flow, Ticket, Transport};

    fn open() -> (Net, Mailbox, Inbox) {
        // Without listeners it opens no port.
        let net = Net::open(0, &NetConfig::default(), Time::ZERO).expect("opens");
        let (mailbox, inbox) = Mailbox::open(net.waker());
        (net, mailbox, inbox)
    }

    fn message(link: LinkId, transport: Transport) -> Mail {
        let remote = "192.0.2.1:5060".parse().expect("an address");
        let flow = Flow { worker: 1, link, transport, remote };
        let socket = (!transport.is_reliable()).then_some(0);
        Mail::Peer(PeerMessage::Message { came: Came::on(1, flow), socket, others: 0, bytes: Bytes::new() })
    }

    fn passed_on() -> Mail {
        message(LinkId(1), Transport::Udp)
    }

    fn count(inbox: &mut Inbox) -> (usize, usize) {
        let mut taken = (0, 0);
        loop {
            let (peers, kept) = turn(inbox);
            if peers + kept == 0 {
                return taken;
            }
            taken = (taken.0 + peers, taken.1 + kept);
        }
    }

    /// What one turn takes: of other workers, and of everybody else.
    fn turn(inbox: &mut Inbox) -> (usize, usize) {
        let (mut peers, mut kept) = (0, 0);
        while let Some(mail) = inbox.next() {
            if matches!(mail, Mail::Peer(_)) { peers += 1 } else { kept += 1 }
        }
        (peers, kept)
    }

    #[test]
    fn a_flood_of_other_workers_is_dropped_and_counted_and_commands_are_kept() {
        let (_net, mailbox, mut inbox) = open();
        (0..PASSED_ON_MAX + 7).for_each(|_| mailbox.post(passed_on()));
        (0..PASSED_ON_MAX + 7).for_each(|_| mailbox.post(Mail::Command(Command::Drain)));
        assert_eq!(mailbox.dropped(), 7);
        assert_eq!(count(&mut inbox), (PASSED_ON_MAX, PASSED_ON_MAX + 7));
        mailbox.post(passed_on());
        assert_eq!((mailbox.dropped(), count(&mut inbox)), (7, (1, 0)), "what was taken leaves room");
    }

    #[test]
    fn a_flood_of_datagrams_crowds_out_nothing_that_nobody_repeats() {
        let (_net, mailbox, mut inbox) = open();
        (0..PASSED_ON_MAX).for_each(|_| mailbox.post(passed_on()));
        mailbox.post(message(LinkId(2), Transport::Tcp));
        mailbox.post(message(LinkId::BETWEEN_WORKERS, Transport::Tcp));
        mailbox.post(Mail::Peer(PeerMessage::Closed { link: LinkId(2) }));
        mailbox.post(Mail::Peer(PeerMessage::TrunkHealth { trunk: "provider".into(), healthy: true }));
        assert_eq!((mailbox.dropped(), count(&mut inbox)), (0, (PASSED_ON_MAX + 4, 0)));
    }

    #[test]
    fn answers_to_a_flood_are_bounded_as_the_flood_is() {
        let (_net, mailbox, mut inbox) = open();
        let remote = "192.0.2.1:5060".parse().expect("an address");
        let to = Flow { worker: 0, link: LinkId(2), transport: Transport::Tcp, remote };
        let answer = || Transmit { to: Destination::Flow(to), bytes: Bytes::new(), ticket: Ticket::default() };
        (0..PASSED_ON_MAX + 3).for_each(|_| mailbox.post(Mail::Peer(PeerMessage::Send(answer()))));
        mailbox.post(message(LinkId(2), Transport::Tcp));
        assert_eq!((mailbox.dropped(), count(&mut inbox)), (3, (PASSED_ON_MAX + 1, 0)));
    }

    #[test]
    fn what_strangers_teach_is_bounded_and_crowds_out_nothing() {
        let (_net, mailbox, mut inbox) = open();
        let source = sx_edge::Source::of([192, 0, 2, 1].into(), &sx_edge::Prefixes::default());
        let taught = || PeerMessage::Observed { source, observed: vec![Observation::Challenged] };
        (0..PASSED_ON_MAX + 3).for_each(|_| mailbox.post(Mail::Peer(taught())));
        mailbox.post(passed_on());
        assert_eq!((mailbox.dropped(), count(&mut inbox)), (3, (PASSED_ON_MAX + 1, 0)));
    }

    #[test]
    fn who_is_known_is_told_however_much_strangers_teach() {
        let (_net, mailbox, mut inbox) = open();
        let source = sx_edge::Source::of([192, 0, 2, 1].into(), &sx_edge::Prefixes::default());
        let taught = |observed: Vec<Observation>| Mail::Peer(PeerMessage::Observed { source, observed });
        let request = || Observation::Request(sx_edge::MethodClass::Register);
        let known = || taught(vec![request(), Observation::Authenticated]);
        (0..PASSED_ON_MAX).for_each(|_| mailbox.post(taught(vec![request(), Observation::Challenged])));
        (0..PASSED_ON_MAX + 3).for_each(|_| mailbox.post(known()));
        assert_eq!((mailbox.dropped(), count(&mut inbox)), (3, (2 * PASSED_ON_MAX, 0)));
    }

    fn ban(why: Why) -> Mail {
        let source = sx_edge::Source::of([192, 0, 2, 1].into(), &sx_edge::Prefixes::default());
        Mail::Peer(PeerMessage::Banned { ban: sx_edge::Ban { source, until: Time::from_secs(9), why } })
    }

    #[test]
    fn bans_are_bounded_for_themselves_and_those_that_can_be_forged_crowd_out_no_guesser_s() {
        let (_net, mailbox, mut inbox) = open();
        (0..PASSED_ON_MAX + 3).for_each(|_| mailbox.post(ban(Why::Scanner)));
        mailbox.post(ban(Why::Failures));
        assert_eq!((mailbox.dropped(), count(&mut inbox)), (3, (PASSED_ON_MAX + 1, 0)));
        (0..PASSED_ON_MAX + 2).for_each(|_| mailbox.post(ban(Why::Failures)));
        assert_eq!((mailbox.dropped(), count(&mut inbox)), (5, (PASSED_ON_MAX, 0)));
    }

    #[test]
    fn what_a_worker_tells_another_waits_for_the_end_of_its_turn() {
        let (_net, mailbox, mut inbox) = open();
        let mut outbox = Outbox::to(vec![mailbox]);
        outbox.push(0, PeerMessage::Closed { link: LinkId(1) });
        outbox.push(1, PeerMessage::Closed { link: LinkId(1) });
        assert_eq!(turn(&mut inbox), (0, 0));
        outbox.post();
        outbox.post();
        assert_eq!(count(&mut inbox), (1, 0));
    }

    #[test]
    fn a_turn_takes_its_share_of_both_and_the_next_begins_at_once() {
        let (mut net, mailbox, mut inbox) = open();
        for _ in 0..MAILS_PER_TURN + 1 {
            mailbox.post(passed_on());
            mailbox.post(Mail::Command(Command::Drain));
        }
        let now = net.wait(Time::ZERO, None).expect("waits");
        assert_eq!(turn(&mut inbox), (MAILS_PER_TURN, MAILS_PER_TURN));
        // Without an end to its patience this returns only because it was woken.
        net.wait(now, None).expect("waits");
        assert_eq!(turn(&mut inbox), (1, 1));
    }
}
