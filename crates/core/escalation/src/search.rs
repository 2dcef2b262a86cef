//! Whom to ring, and whom next.

use std::collections::{BTreeMap, VecDeque};

/// Somebody who can be rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What records call them.
    pub expert: Box<str>,
    /// How they are reached, best first.
    pub addresses: Vec<Box<str>>,
}

/// A ring of the bell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Whose.
    pub expert: Box<str>,
    /// Where.
    pub address: Box<str>,
}

/// The search for somebody who answers: the best first, each at one address after the other, until one answers or the list
/// ends.
///
/// ```text
///  candidates ──► one in each of so many lanes: its addresses in turn ──► the next candidate ──► … ──► over
///                     └─ answered: nobody more is rung
/// ```
///
/// ```
/// use sx_escalation::{Candidate, Search};
/// let lind = Candidate { expert: "lind".into(), addresses: vec!["300".into(), "+49301234567".into()] };
/// let mut search = Search::new([lind], 1);
/// assert_eq!(search.poll().map(|attempt| attempt.address), Some("300".into()));
/// assert_eq!(search.poll(), None, "one at a time");
/// search.failed("lind");
/// assert_eq!(search.poll().map(|attempt| attempt.address), Some("+49301234567".into()));
/// search.failed("lind");
/// assert!(search.poll().is_none() && search.is_over());
/// ```
#[derive(Clone, Debug)]
pub struct Search {
    waiting: VecDeque<Candidate>,
    /// Those who ring, and the addresses that are left of each.
    ringing: BTreeMap<Box<str>, VecDeque<Box<str>>>,
    /// Those who have failed at one address and have another; they go before those who wait.
    again: VecDeque<(Box<str>, VecDeque<Box<str>>)>,
    lanes: usize,
    is_answered: bool,
}

impl Search {
    /// One that has rung nobody. `lanes`: so many at a time, at least one.
    pub fn new(candidates: impl IntoIterator<Item = Candidate>, lanes: usize) -> Self {
        Self {
            waiting: candidates.into_iter().filter(|candidate| !candidate.addresses.is_empty()).collect(),
            ringing: BTreeMap::new(),
            again: VecDeque::new(),
            lanes: lanes.max(1),
            is_answered: false,
        }
    }

    /// Whom to ring now; to be asked until there is nobody.
    pub fn poll(&mut self) -> Option<Attempt> {
        if self.is_answered || self.ringing.len() >= self.lanes {
            return None;
        }
        let next = self.again.pop_front().or_else(|| {
            let next = self.waiting.pop_front()?;
            Some((next.expert, next.addresses.into()))
        });
        let (expert, mut addresses) = next?;
        let address = addresses.pop_front()?;
        self.ringing.insert(expert.clone(), addresses);
        Some(Attempt { expert, address })
    }

    /// Nobody has answered there.
    pub fn failed(&mut self, expert: &str) {
        let Some((expert, left)) = self.ringing.remove_entry(expert) else { return };
        if !left.is_empty() {
            self.again.push_back((expert, left));
        }
    }

    /// Somebody has answered: nobody more is rung.
    pub fn answered(&mut self, expert: &str) {
        self.ringing.remove(expert);
        self.is_answered = true;
    }

    /// Whoever has answered is gone, and somebody is wanted again: these, in place of those who waited until then.
    pub fn resume(&mut self, candidates: impl IntoIterator<Item = Candidate>) {
        self.is_answered = false;
        self.again.clear();
        self.waiting = candidates.into_iter().filter(|candidate| !candidate.addresses.is_empty()).collect();
    }

    /// Does nobody ring, and is nobody left to be rung?
    pub fn is_over(&self) -> bool {
        self.ringing.is_empty() && (self.is_answered || (self.again.is_empty() && self.waiting.is_empty()))
    }
}
