//! Requests that are sent again because nobody knows whether they took effect: with the same `Idempotency-Key` they do so once.

use super::{ApiAnswer, ApiProblem};
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// So many answers are kept at most; the oldest go first.
const ANSWERS_MAX: usize = 1_000;
/// And for so long.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// A request that has not been answered for so long may be sent again.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest key.
pub(super) const KEY_BYTES_MAX: usize = 255;

/// Whose key it is, by the public name of their token, and the key.
pub(super) type Id = (String, String);

/// What has come of requests with a key.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    kept: BTreeMap<Id, Kept>,
    /// In the order in which they came.
    order: VecDeque<(Instant, Id)>,
}

#[derive(Debug)]
struct Kept {
    asked: [u8; 32],
    since: Instant,
    done: Option<Result<ApiAnswer, ApiProblem>>,
}

/// What a request with a key is.
#[derive(Debug, PartialEq)]
pub(super) enum Begun {
    /// It is the first.
    New,
    /// It was answered so.
    Answered(Result<ApiAnswer, ApiProblem>),
    /// It is being carried out.
    Busy,
    /// Something else was asked with this key.
    Other,
}

/// What is asked, so that it can be told from something else.
pub(super) fn fingerprint(method: &str, target: &str, body: &[u8]) -> [u8; 32] {
    let mut asked = Vec::with_capacity(method.len() + target.len() + body.len() + 2);
    for part in [method.as_bytes(), b"\n", target.as_bytes(), b"\n", body] {
        asked.extend_from_slice(part);
    }
    digest(&SHA256, &asked).as_ref().try_into().unwrap_or_default()
}

impl Repeated {
    /// A request has come.
    pub(super) fn begin(&mut self, now: Instant, id: &Id, asked: [u8; 32]) -> Begun {
        self.forget(now);
        if let Some(kept) = self.kept.get(id) {
            return match &kept.done {
                _ if kept.asked != asked => Begun::Other,
                Some(done) => Begun::Answered(done.clone()),
                None if now.duration_since(kept.since) < PATIENCE => Begun::Busy,
                None => {
                    self.kept.insert(id.clone(), Kept { asked, since: now, done: None });
                    Begun::New
                }
            };
        }
        self.kept.insert(id.clone(), Kept { asked, since: now, done: None });
        self.order.push_back((now, id.clone()));
        Begun::New
    }

    /// It was answered. What is our fault may be asked again.
    pub(super) fn finish(&mut self, id: &Id, done: &Result<ApiAnswer, ApiProblem>) {
        let is_ours = done.as_ref().is_err_and(|problem| problem.status >= 500);
        if is_ours {
            self.kept.remove(id);
        } else if let Some(kept) = self.kept.get_mut(id) {
            kept.done = Some(done.clone());
        }
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |since: Instant| now.duration_since(since) >= KEPT;
        while self.order.len() >= ANSWERS_MAX || self.order.front().is_some_and(|(since, _)| is_old(*since)) {
            let Some((_, id)) = self.order.pop_front() else { return };
            self.kept.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(key: &str) -> Id {
        ("anna".to_owned(), key.to_owned())
    }

    #[test]
    fn a_request_is_carried_out_once_and_answered_as_often_as_it_comes() {
        let (mut repeated, now) = (Repeated::default(), Instant::now());
        let asked = fingerprint("POST", "/api/v1/escalations", b"{}");
        assert_eq!(repeated.begin(now, &id("a"), asked), Begun::New);
        assert_eq!(repeated.begin(now, &id("a"), asked), Begun::Busy);
        assert_eq!(repeated.begin(now + PATIENCE, &id("a"), asked), Begun::New, "nobody has answered for so long");
        repeated.finish(&id("a"), &Ok(ApiAnswer::NoContent));
        assert_eq!(repeated.begin(now, &id("a"), asked), Begun::Answered(Ok(ApiAnswer::NoContent)));
        let other = fingerprint("POST", "/api/v1/escalations", b"{ }");
        assert_eq!(repeated.begin(now, &id("a"), other), Begun::Other);
        assert_eq!(
            repeated.begin(now, &("bert".to_owned(), "a".to_owned()), other),
            Begun::New,
            "whose key it is counts"
        );
        assert_eq!(repeated.begin(now + KEPT, &id("a"), other), Begun::New);
    }

    #[test]
    fn what_is_our_fault_may_be_asked_again_and_what_is_theirs_stays_so() {
        let (mut repeated, now) = (Repeated::default(), Instant::now());
        for (key, problem, again) in [
            ("ours", ApiProblem::unavailable("later"), Begun::New),
            ("theirs", ApiProblem::conflict("no"), Begun::Answered(Err(ApiProblem::conflict("no")))),
        ] {
            assert_eq!(repeated.begin(now, &id(key), [0; 32]), Begun::New);
            repeated.finish(&id(key), &Err(problem));
            assert_eq!(repeated.begin(now, &id(key), [0; 32]), again);
        }
    }

    #[test]
    fn only_so_many_are_kept() {
        let (mut repeated, now) = (Repeated::default(), Instant::now());
        for number in 0..3 * ANSWERS_MAX {
            repeated.begin(now, &id(&number.to_string()), [0; 32]);
        }
        assert!(repeated.kept.len() <= ANSWERS_MAX && repeated.order.len() <= ANSWERS_MAX);
    }
}
