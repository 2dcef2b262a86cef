//! Questions about calls, of a worker that there is not.

use super::*;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

const START: Time = Time::from_secs(1_800_000_000);
const BYTES_MAX: usize = 1_000;

/// Calls, and what was done with them.
#[derive(Default)]
struct Calls {
    there: BTreeMap<CallId, Result<String, ExportError>>,
    asked: Vec<CallId>,
    forgotten: Vec<CallId>,
}

impl Holder for Calls {
    fn ask(&mut self, _now: Time, call: CallId) {
        self.asked.push(call);
    }

    fn export(&self, call: CallId) -> Result<(String, Vec<PortId>), ExportError> {
        let text = self.there.get(&call).cloned().unwrap_or(Err(ExportError::Unknown))?;
        Ok((text, ports()))
    }

    fn forget(&mut self, call: CallId) -> bool {
        self.forgotten.push(call);
        self.there.remove(&call).is_some()
    }

    fn import(&mut self, _now: Time, _snapshot: ExchangeSnapshot) -> Result<(), RestoreError> {
        Ok(())
    }
}

fn ports() -> Vec<PortId> {
    vec![PortId(1), PortId(2)]
}

fn id(number: u64) -> CallId {
    CallId::from_u128(number.into())
}

/// What has become of a question.
struct Asker {
    claim: Claim,
    told: Receiver<Result<Arc<str>, NotExported>>,
}

impl Asker {
    /// What was answered; `None`: nothing yet.
    fn heard(&self) -> Option<Result<Arc<str>, NotExported>> {
        self.told.try_recv().ok()
    }

    /// Will there be no answer any more?
    fn is_dropped(&self) -> bool {
        self.told.try_recv() == Err(TryRecvError::Disconnected)
    }
}

struct Bed {
    calls: Calls,
    handovers: Handovers,
    now: Time,
}

impl Bed {
    fn new(there: impl IntoIterator<Item = (u64, Result<&'static str, ExportError>)>) -> Self {
        let there = there.into_iter().map(|(number, is)| (id(number), is.map(str::to_owned)));
        let calls = Calls { there: there.collect(), ..Calls::default() };
        Self { calls, handovers: Handovers::new(BYTES_MAX), now: START }
    }

    fn ask(&mut self, number: u64, release: bool) -> Asker {
        let ((answer, told), claim) = (channel(), Claim::default());
        let export = Export { call: id(number), release, claim: claim.clone(), answer };
        self.handovers.push(self.now, Handover::Export(export));
        self.turn(Duration::ZERO);
        Asker { claim, told }
    }

    /// The next turn, so much later.
    fn turn(&mut self, later: Duration) {
        self.now = self.now + later;
        self.handovers.carry_out(&mut self.calls, self.now);
    }

    fn close_ports(&mut self) {
        ports().into_iter().for_each(|port| self.handovers.port_closed(port));
    }
}

fn told(text: &str) -> Option<Result<Arc<str>, NotExported>> {
    Some(Ok(text.into()))
}

#[test]
fn a_call_is_told_when_its_ports_were_asked_and_stays() {
    let mut bed = Bed::new([(1, Err(ExportError::Unasked))]);
    let asker = bed.ask(1, false);
    assert_eq!((asker.heard(), &bed.calls.asked[..]), (None, &[id(1)][..]));
    // Asked once more when what they said no longer holds, and not each turn.
    bed.turn(Duration::from_millis(10));
    bed.turn(ASK_AGAIN);
    assert_eq!(bed.calls.asked.len(), 2);
    bed.calls.there.insert(id(1), Ok("call".to_owned()));
    bed.turn(Duration::from_millis(10));
    assert_eq!((asker.heard(), bed.calls.forgotten.len()), (told("call"), 0));
    assert!(asker.is_dropped() && bed.handovers.is_empty());
    // What they have said is of another moment by now.
    bed.ask(1, false);
    assert_eq!(bed.calls.asked.len(), 3);
}

#[test]
fn who_cannot_have_a_call_is_told_why() {
    let check = |is: Result<&'static str, ExportError>, release, expected| {
        let mut bed = Bed::new([(1, is)]);
        assert_eq!(bed.ask(1, release).heard(), Some(Err(expected)), "{is:?}");
        assert_eq!((bed.calls.there.len(), bed.calls.forgotten.len()), (1, 0));
        assert!(bed.handovers.is_empty());
    };
    check(Err(ExportError::Unknown), false, NotExported::Over);
    check(Err(ExportError::Unknown), true, NotExported::Over);
    check(Err(ExportError::Ending), true, NotExported::Over);
    check(Err(ExportError::Shaking), true, NotExported::Shaking);
}

#[test]
fn a_call_that_would_not_be_taken_back_is_not_let_go() {
    let fits = "x".repeat(BYTES_MAX - ENVELOPE);
    // Whoever writes it out may add a space behind each comma and colon, and escape what is not ASCII.
    let (spaced, foreign) = (format!("{},", &fits[1..]), format!("{}ä", &fits[2..]));
    for (text, is_let_go) in [(fits.clone(), true), (format!("{fits}x"), false), (spaced, false), (foreign, false)] {
        let mut bed = Bed::new([]);
        bed.calls.there.insert(id(1), Ok(text.clone()));
        let asker = bed.ask(1, true);
        bed.close_ports();
        let expected = if is_let_go { told(&text) } else { Some(Err(NotExported::TooLarge(text.len()))) };
        assert_eq!((asker.heard(), bed.calls.there.is_empty()), (expected, is_let_go));
        // It may be looked at all the same.
        let mut bed = Bed::new([]);
        bed.calls.there.insert(id(1), Ok(text.clone()));
        assert_eq!(bed.ask(1, false).heard(), told(&text));
    }
}

#[test]
fn a_call_that_is_let_go_is_told_when_its_ports_are_closed() {
    let mut bed = Bed::new([(1, Ok("call"))]);
    let asker = bed.ask(1, true);
    assert_eq!((asker.heard(), bed.calls.forgotten.len()), (None, 1));
    bed.handovers.port_closed(PortId(1));
    bed.handovers.port_closed(PortId(7));
    assert_eq!(asker.heard(), None);
    bed.handovers.port_closed(PortId(2));
    assert_eq!(asker.heard(), told("call"));

    // They are not waited for without end.
    let mut bed = Bed::new([(1, Ok("call"))]);
    let asker = bed.ask(1, true);
    bed.turn(CLOSING_MAX - Duration::from_millis(1));
    assert_eq!(asker.heard(), None);
    bed.turn(Duration::from_millis(1));
    assert_eq!(asker.heard(), told("call"));
}

/// Between two clocks: the one who asks gives up while the worker does it.
#[test]
fn a_call_whose_question_is_withdrawn_stays_and_one_that_is_let_go_was_not_withdrawn() {
    let mut bed = Bed::new([(1, Err(ExportError::Changing))]);
    let asker = bed.ask(1, true);
    assert!(asker.claim.take());
    bed.calls.there.insert(id(1), Ok("call".to_owned()));
    bed.turn(Duration::from_millis(1));
    assert!(asker.is_dropped() && bed.calls.forgotten.is_empty() && bed.handovers.is_empty());

    let asker = bed.ask(1, true);
    assert!(!asker.claim.take(), "the worker has it: the answer comes");
    bed.close_ports();
    assert_eq!((asker.heard(), bed.calls.forgotten.len()), (told("call"), 1));
}

/// The answer was lost behind whoever asked.
#[test]
fn a_call_that_was_let_go_can_be_asked_for_again_for_a_while() {
    let mut bed = Bed::new([(1, Ok("call"))]);
    drop(bed.ask(1, true));
    let early = bed.ask(1, true);
    assert_eq!(early.heard(), None, "its ports are not closed yet");
    bed.close_ports();
    assert_eq!(early.heard(), told("call"));
    bed.turn(KEPT - Duration::from_millis(1));
    assert_eq!(bed.ask(1, true).heard(), told("call"));
    // Whoever does not let it go asks for a call that is here.
    assert_eq!(bed.ask(1, false).heard(), Some(Err(NotExported::Over)));
    bed.turn(Duration::from_millis(1));
    assert_eq!(bed.ask(1, true).heard(), Some(Err(NotExported::Over)));
    assert!(bed.handovers.is_empty());
}

#[test]
fn a_call_that_came_back_and_goes_again_is_told_as_it_is_now() {
    let mut bed = Bed::new([(1, Ok("before"))]);
    drop(bed.ask(1, true));
    bed.close_ports();
    bed.calls.there.insert(id(1), Ok("now".to_owned()));
    let asker = bed.ask(1, true);
    bed.close_ports();
    assert_eq!(asker.heard(), told("now"));
    assert_eq!(bed.ask(1, true).heard(), told("now"));
}

#[test]
fn of_calls_that_were_let_go_the_oldest_make_room() {
    let mut bed = Bed::new([]);
    bed.handovers.kept_bytes_max = 4 * 800;
    let large = "x".repeat(800);
    for number in 0..5 {
        bed.calls.there.insert(id(number), Ok(large.clone()));
        drop(bed.ask(number, true));
        bed.close_ports();
    }
    assert_eq!(bed.ask(0, true).heard(), Some(Err(NotExported::Over)));
    assert!((1..5).all(|number| bed.ask(number, true).heard() == told(&large)));
}

#[test]
fn so_many_questions_wait_and_those_that_are_forgotten_make_room() {
    let max = HANDOVERS_MAX as u64;
    let mut bed = Bed::new((0..=max + 1).map(|number| (number, Err(ExportError::Changing))));
    let askers: Vec<Asker> = (0..max).map(|number| bed.ask(number, true)).collect();
    assert!(askers.iter().all(|asker| asker.heard().is_none()));
    assert_eq!(bed.ask(max, true).heard(), Some(Err(NotExported::Busy)));
    // One that can be answered at once need not wait.
    bed.calls.there.insert(id(max), Ok("call".to_owned()));
    assert_eq!(bed.ask(max, false).heard(), told("call"));
    // One is withdrawn, and another takes its place.
    assert!(askers[0].claim.take());
    assert_eq!(bed.ask(max + 1, true).heard(), None);
    assert_eq!(bed.ask(0, true).heard(), Some(Err(NotExported::Busy)));
    // Nobody withdraws the others.
    bed.turn(WAIT_MAX - Duration::from_millis(1));
    assert_eq!(bed.ask(0, true).heard(), Some(Err(NotExported::Busy)));
    bed.turn(Duration::from_millis(1));
    assert!(askers[1..].iter().all(|asker| asker.heard() == Some(Err(NotExported::Changing))));
    assert!(bed.handovers.is_empty());
    assert_eq!(bed.ask(0, true).heard(), None);
}
