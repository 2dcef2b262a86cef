//! Power is cut in the middle of many calls, in virtual time: whoever was answered is in the log that is left, wherever in a
//! commit the cut was.

mod driver;

use driver::{Bench, Manner, TRUNKS};
use std::collections::BTreeSet;
use std::time::Duration;
use sx_engine::Rng;
use sx_witness::{Hash, Kind, Line};

/// How many times power is cut.
const CUTS: u64 = 100;
/// New calls in a millisecond of virtual time: 500 a second.
const EVERY: Duration = Duration::from_millis(2);

/// What is left of a log: whole lines that are chained, as recovery reads them.
#[derive(Clone, Default)]
struct Left {
    records: u64,
    last: Hash,
    /// Whom those dialled who were let in.
    admitted: BTreeSet<String>,
}

impl Left {
    /// Goes on reading where it has stopped.
    fn read(mut self, image: &[u8]) -> Self {
        for text in image.split_inclusive(|byte| *byte == b'\n') {
            let Some(line) = text.strip_suffix(b"\n").and_then(|text| Line::parse(text).ok()) else { break };
            if line.seq() != self.records || line.prev_hash() != self.last {
                break;
            }
            self.last = Hash::of(&text[..text.len() - 1]);
            self.records += 1;
            let dialled = line.subject().filter(|_| line.kind() == Kind::Admission);
            self.admitted.extend(dialled.and_then(|subject| Some(subject.split_once('@')?.0.to_owned())));
        }
        self
    }
}

#[test]
fn whoever_was_answered_is_in_what_a_power_cut_leaves() {
    for seed in 0..CUTS {
        let mut rng = Rng::from_number(seed);
        let mut bench = Bench::new(TRUNKS);
        bench.peer("west", "192.0.2.10:5060", Manner::Silent);
        bench.peer("east", "192.0.2.20:5060", Manner::Answers);
        bench.log.waits = true;
        let calls = 8 + rng.u64() % 8;
        for number in 0..calls {
            bench.dial("west", &format!("sip:07{number}@192.0.2.1"));
            bench.pass(EVERY);
            // A write ends now and then, and the next begins with all that has come meanwhile.
            if rng.u64().is_multiple_of(3) {
                bench.write_ends();
            }
        }
        let answered: BTreeSet<String> = bench.answered_numbers();
        let (durable, flying) = bench.log_image();
        let torn = flying.len();
        let whole = Left::default().read(&durable);
        // Every byte of a commit for the first, and some for each of the others.
        let step = if seed == 0 { 1 } else { 1 + torn / 8 };
        for cut in (0..=torn).step_by(step) {
            let left = whole.clone().read(&flying[..cut]);
            let lost: Vec<_> = answered.difference(&left.admitted).collect();
            assert!(
                lost.is_empty(),
                "seed {seed}, cut at {cut} of {torn}: {lost:?} were answered and are not in the log"
            );
        }
        assert!(seed != 0 || !answered.is_empty(), "nobody was answered, so that nothing was shown");
    }
}
