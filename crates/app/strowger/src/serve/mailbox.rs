//! How other threads reach a worker, and what waits there for it.
//!
//! What other workers pass on comes as fast as peers send, so it waits in a queue with an end: what does not fit is
//! dropped and counted, as a datagram would be, and SIP sends it again. What a packet thread, the resolver or an operator
//! says is as rare as calls are, nobody would repeat it, and so it is never dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use sx_call::Command;
use sx_exchange::{Directory, PeerMessage, Tables};
use sx_media::MediaEvent;
use sx_net::Waker;
use sx_net::resolve::Resolved;

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
    /// New certificates.
    Tls(Arc<sx_net::tls::TlsConfig>),
    /// An operator.
    Command(Command),
    /// The end.
    Stop,
}

/// How to reach a worker's thread.
#[derive(Clone)]
pub struct Mailbox {
    kept: Sender<Mail>,
    peers: SyncSender<PeerMessage>,
    dropped: Arc<AtomicU64>,
    waker: Arc<Waker>,
}

/// The worker's end of its mailbox.
pub struct Inbox {
    kept: Receiver<Mail>,
    peers: Receiver<PeerMessage>,
    waker: Arc<Waker>,
    /// How many of each kind this turn may still take.
    kept_left: usize,
    peers_left: usize,
}

/// Messages of other workers that may wait: those of about half a second at full load.
const PEER_MAIL_MAX: usize = 4_096;
/// Mails of each kind that one turn takes, so that the network and the journals have theirs.
const MAILS_PER_TURN: usize = 256;

impl Mailbox {
    /// A mailbox for the worker that the waker wakes, and its inbox.
    pub fn open(waker: Arc<Waker>) -> (Self, Inbox) {
        let (kept, kept_inbox) = channel();
        let (peers, peers_inbox) = sync_channel(PEER_MAIL_MAX);
        let inbox = Inbox {
            kept: kept_inbox,
            peers: peers_inbox,
            waker: waker.clone(),
            kept_left: MAILS_PER_TURN,
            peers_left: MAILS_PER_TURN,
        };
        (Self { kept, peers, dropped: Arc::default(), waker }, inbox)
    }

    /// Hands something over, and wakes the worker.
    pub fn post(&self, mail: Mail) {
        // A worker that has stopped reads no more, and misses nothing.
        let posted = match mail {
            Mail::Peer(message) => self.peers.try_send(message).is_ok(),
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
    use sx_net::{Net, NetConfig};
    use sx_types::{Flow, LinkId, Transport};

    fn open() -> (Net, Mailbox, Inbox) {
        // Without listeners it opens no port.
        let net = Net::open(0, &NetConfig::default(), Time::ZERO).expect("opens");
        let (mailbox, inbox) = Mailbox::open(net.waker());
        (net, mailbox, inbox)
    }

    fn passed_on() -> Mail {
        let remote = "192.0.2.1:5060".parse().expect("an address");
        let flow = Flow { worker: 1, link: LinkId(1), transport: Transport::Udp, remote };
        Mail::Peer(PeerMessage::Message { flow, socket: None, others: 0, bytes: Bytes::new() })
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
        (0..PEER_MAIL_MAX + 7).for_each(|_| mailbox.post(passed_on()));
        (0..PEER_MAIL_MAX + 7).for_each(|_| mailbox.post(Mail::Command(Command::Drain)));
        assert_eq!(mailbox.dropped(), 7);
        let mut taken = (0, 0);
        loop {
            let (peers, kept) = turn(&mut inbox);
            if peers + kept == 0 {
                break;
            }
            taken = (taken.0 + peers, taken.1 + kept);
        }
        assert_eq!(taken, (PEER_MAIL_MAX, PEER_MAIL_MAX + 7));
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
