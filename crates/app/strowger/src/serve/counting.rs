//! Questions that wait for what the ports of calls have counted. A worker answers when all ports of the call have
//! answered, or after a while with what is known.

use std::time::Duration;
use sx_call::CallCounts;
use sx_engine::Time;
use sx_types::CallId;

/// So many questions may wait; one more is answered with what is known.
pub const COUNTINGS_MAX: usize = 64;
/// So long a question waits. Who has asked waits for longer.
pub const WAIT_MAX: Duration = Duration::from_millis(700);

/// The questions that wait, of whatever kind.
pub struct Countings<Question> {
    waiting: Vec<Waiting<Question>>,
}

struct Waiting<Question> {
    question: Question,
    call: CallId,
    since: Time,
}

impl<Question> Default for Countings<Question> {
    fn default() -> Self {
        Self { waiting: Vec::new() }
    }
}

impl<Question> Countings<Question> {
    /// The ports of a call were just asked.
    pub fn push(&mut self, now: Time, question: Question, call: CallId) {
        self.waiting.push(Waiting { question, call, since: now });
    }

    /// When it is to be looked at again even if nothing happens.
    pub fn due(&self) -> Option<Time> {
        self.waiting.iter().map(|waiting| waiting.since + WAIT_MAX).min()
    }

    /// Takes out the questions that can be answered now. `counts` says what the ports of a call have counted since then.
    pub fn answerable(&mut self, now: Time, counts: impl Fn(CallId, Time) -> Option<CallCounts>) -> Vec<Question> {
        let mut answerable = Vec::new();
        for waiting in std::mem::take(&mut self.waiting) {
            let has_waited = now.since(waiting.since) >= WAIT_MAX || self.waiting.len() >= COUNTINGS_MAX;
            if has_waited || counts(waiting.call, waiting.since).is_none_or(|counts| counts.complete) {
                answerable.push(waiting.question);
            } else {
                self.waiting.push(waiting);
            }
        }
        answerable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_secs(1_800_000_000);

    fn call() -> CallId {
        "019ab2c3-d4e5-7000-8000-0123456789ab".parse().expect("an identifier")
    }

    fn counts(complete: bool) -> Option<CallCounts> {
        Some(CallCounts { streams: Vec::new(), complete })
    }

    #[test]
    fn a_question_waits_for_all_ports_but_not_for_ever() {
        let mut countings = Countings::default();
        countings.push(START, 'a', call());
        let soon = START + Duration::from_millis(5);
        assert!(countings.answerable(soon, |_, _| counts(false)).is_empty());
        countings.push(soon, 'b', call());
        assert_eq!(countings.due(), Some(START + WAIT_MAX));
        assert_eq!(countings.answerable(soon, |_, since| counts(since == START)), ['a']);
        assert_eq!(countings.answerable(soon + WAIT_MAX, |_, _| counts(false)), ['b'], "with what is known");
        countings.push(soon, 'c', call());
        assert_eq!(countings.answerable(soon, |_, _| None), ['c'], "the call is over");
        assert_eq!(countings.due(), None);
    }

    #[test]
    fn no_more_than_so_many_wait() {
        let mut countings = Countings::default();
        (0..COUNTINGS_MAX + 2).for_each(|number| countings.push(START, number, call()));
        let answered = countings.answerable(START, |_, _| counts(false));
        assert_eq!(answered, [COUNTINGS_MAX, COUNTINGS_MAX + 1]);
    }
}
