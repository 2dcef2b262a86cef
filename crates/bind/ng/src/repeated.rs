//! Answers that are kept for a while: a client that has heard none sends its request again, with the same cookie.

use crate::engine::Sender;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use sx_engine::Time;

/// What was answered, and to whom.
#[derive(Debug)]
pub(crate) struct Repeated {
    known: BTreeMap<Key, Known>,
    /// When each came, oldest first.
    order: VecDeque<(Time, Key)>,
    kept: Duration,
    max: usize,
}

type Key = (Sender, Box<[u8]>);

/// What has become of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It waits.
    Waiting,
    /// This was its answer.
    Answered(Bytes),
}

impl Repeated {
    pub(crate) fn new(kept: Duration, max: usize) -> Self {
        Self { known: BTreeMap::new(), order: VecDeque::new(), kept, max }
    }

    /// What has become of this request, when it was here before; else it is remembered.
    pub(crate) fn begin(&mut self, now: Time, from: Sender, cookie: &[u8]) -> Option<Known> {
        let old = |(at, _): &(Time, Key)| now.since(*at) >= self.kept;
        while self.order.len() >= self.max.max(1) || self.order.front().is_some_and(old) {
            let Some((_, key)) = self.order.pop_front() else { break };
            self.known.remove(&key);
        }
        let key = (from, Box::from(cookie));
        if let Some(known) = self.known.get(&key) {
            return Some(known.clone());
        }
        self.known.insert(key.clone(), Known::Waiting);
        self.order.push_back((now, key));
        None
    }

    /// It is answered.
    pub(crate) fn answered(&mut self, from: Sender, cookie: &[u8], answer: Bytes) {
        if let Some(known) = self.known.get_mut(&(from, Box::from(cookie))) {
            *known = Known::Answered(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(port: u16) -> Sender {
        Sender { link: 0, address: ([127, 0, 0, 1], port).into() }
    }

    #[test]
    fn an_answer_is_kept_for_its_time_and_for_its_sender() {
        let mut repeated = Repeated::new(Duration::from_secs(10), 100);
        let at = Time::from_secs;
        assert_eq!(repeated.begin(at(0), from(1), b"c"), None);
        assert_eq!(repeated.begin(at(1), from(1), b"c"), Some(Known::Waiting));
        repeated.answered(from(1), b"c", Bytes::from_static(b"ok"));
        assert_eq!(repeated.begin(at(2), from(2), b"c"), None, "of another sender");
        assert_eq!(repeated.begin(at(9), from(1), b"c"), Some(Known::Answered(Bytes::from_static(b"ok"))));
        assert_eq!(repeated.begin(at(10), from(1), b"c"), None);
    }

    #[test]
    fn only_so_many_are_kept() {
        let mut repeated = Repeated::new(Duration::from_secs(10), 2);
        for cookie in [b"a", b"b", b"c"] {
            assert_eq!(repeated.begin(Time::ZERO, from(1), cookie), None);
        }
        assert_eq!((repeated.known.len(), repeated.order.len()), (2, 2));
        assert_eq!(repeated.begin(Time::ZERO, from(1), b"c"), Some(Known::Waiting));
        assert_eq!(repeated.begin(Time::ZERO, from(1), b"a"), None, "the oldest is forgotten");
    }
}
