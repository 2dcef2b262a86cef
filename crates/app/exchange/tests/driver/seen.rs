//! What was seen of a test's calls: on the wire, at the ports, in the records.

use super::{Bench, EXCHANGE, Line, address, rtp_address, value};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use sx_call::{CallRecord, Cdr};
use sx_media::{MediaCommand, PortId, Remote};
use sx_sip::message::{HeaderName, Message, Method, OwnedMessage};

impl Bench {
    /// What reached a peer.
    pub fn received(&mut self, name: &str) -> Vec<OwnedMessage> {
        let to = self.who(name).address;
        self.lines.iter().filter(|line| line.to == to).map(Line::message).collect()
    }

    /// The requests of this method that reached a peer.
    pub fn requests(&mut self, name: &str, method: Method) -> Vec<OwnedMessage> {
        let received = self.received(name);
        received.into_iter().filter(|message| message.method() == Some(method)).collect()
    }

    /// The statuses that reached a peer in answer to requests of this method, 100 left out.
    pub fn statuses(&mut self, name: &str, method: &str) -> Vec<u16> {
        let received = self.received(name);
        let answers = received.iter().filter(|m| value(m, HeaderName::CSeq).ends_with(&format!(" {method}")));
        answers.filter_map(Message::status).filter(|status| *status != 100).collect()
    }

    /// The final record of every call, in the order of their ends.
    pub fn ended(&self) -> Vec<&Cdr> {
        let records = self.records.iter();
        records
            .filter_map(|record| match record {
                CallRecord::Ended(cdr) => Some(&**cdr),
                _ => None,
            })
            .collect()
    }

    /// Where a port was last told its peer is.
    pub fn remote_of(&self, port: PortId) -> Option<Remote> {
        self.media.iter().rev().find_map(|command| match command {
            MediaCommand::SetRemote { port: of, remote, .. } if *of == port => Some(*remote),
            _ => None,
        })
    }

    /// Where what arrives on a port was last told to go.
    pub fn patch_of(&self, port: PortId) -> Option<PortId> {
        let patch = self.media.iter().rev().find_map(|command| match command {
            MediaCommand::Patch { from, to, .. } if *from == port => Some(*to),
            _ => None,
        });
        patch.flatten()
    }

    /// The port of ours that a description names.
    pub fn port_named(&self, description: &str) -> PortId {
        let named = rtp_address(description);
        let found = self.open.values().find(|opened| opened.rtp == named);
        found.unwrap_or_else(|| panic!("{named} is not ours:\n{description}")).port
    }

    /// Nothing is left of any call, each was written down once, and every side was told of its end once.
    pub fn assert_over(&mut self, calls: usize) {
        self.pass_s(120);
        let ladder = self.ladder();
        for worker in &self.workers {
            assert_eq!(worker.calls(), 0, "worker {} keeps a call\n{ladder}", worker.number());
            worker.publish();
            let counts = worker.counts();
            let left = [&counts.legs, &counts.client_transactions, &counts.server_transactions]
                .map(|gauge| gauge.load(std::sync::atomic::Ordering::Relaxed));
            assert_eq!(left, [0, 0, 0], "legs and transactions are left\n{ladder}");
        }
        assert!(self.open.is_empty(), "ports are left open: {:?}", self.open);
        for peer in &self.peers {
            for session in peer.all_sessions() {
                assert_eq!(peer.ends_of(session).len(), 1, "{} is told once of the end\n{ladder}", peer.name);
            }
            assert_eq!(peer.agent.sessions(), 0, "{} keeps a session\n{ladder}", peer.name);
        }
        let mut seen: BTreeMap<u128, Vec<&str>> = BTreeMap::new();
        for record in &self.records {
            let (call, kind) = match record {
                CallRecord::Begun(cdr) => {
                    // Whoever goes on with a call begins its record.
                    seen.remove(&cdr.call.as_u128());
                    (cdr.call, "begun")
                }
                CallRecord::Answered { call, .. } => (*call, "answered"),
                CallRecord::Ended(cdr) => (cdr.call, "ended"),
                CallRecord::Moved { .. } | CallRecord::Recorded(_) | CallRecord::Alive { .. } => continue,
            };
            seen.entry(call.as_u128()).or_default().push(kind);
        }
        assert_eq!(seen.len(), calls, "calls that were written down\n{ladder}");
        for kinds in seen.values() {
            assert!(
                [&["begun", "answered", "ended"][..], &["begun", "ended"]].contains(&&kinds[..]),
                "the records of a call are {kinds:?}\n{ladder}"
            );
        }
    }

    /// Everything that was sent, as `alice > exchange INVITE …`.
    pub fn ladder(&self) -> String {
        let name = |at: SocketAddr| match self.peers.iter().find(|peer| peer.address == at) {
            Some(peer) => peer.name.to_owned(),
            None if at == address(EXCHANGE) => "exchange".to_owned(),
            None => at.to_string(),
        };
        let line = |line: &Line| {
            let text = line.text();
            format!("{} > {} {}\n", name(line.from), name(line.to), text.lines().next().unwrap_or_default())
        };
        self.lines.iter().map(line).collect()
    }
}
