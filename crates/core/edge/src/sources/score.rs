//! How suspicious a source is.
//!
//! The score is the sum of parts, each bounded, and at most 1000:
//!
//! | part | thousandths | counts when |
//! | --- | --- | --- |
//! | rate | 400 · messages in the window / limit | always |
//! | malformed | 900 · malformed / messages | 10 messages are remembered |
//! | failures | 600 · failures / `failures_max` | always |
//! | challenges | 900 · (challenges in a minute − 7) / 24 | 8 in a minute |
//! | methods | 500 · (2 · (OPTIONS + REGISTER) − requests) / requests | 8 requests; not authenticated |
//! | numbers | 500 · different numbers / calls | 8 calls; not authenticated |
//! | scanner | 900 | it named itself so within six windows and is not banned for it |
//!
//! Malformed, failures, challenges and scanner are grave: where they make up more than half of the sum, a source that has not
//! authenticated is banned. The rest is only reason to ask who it is. Of a source that has authenticated neither its
//! methods nor its numbers say anything: telephones register, and carriers dial a different number each time.

use super::record::{At, Record};
use super::{ScoreParts, SourceLimits};

/// One torn datagram among few is no sign of anything.
const MESSAGES_MIN: u16 = 10;
const REQUESTS_MIN: u16 = 8;
const CALLS_MIN: u16 = 8;
/// So many telephones behind one address may begin at once.
const CHALLENGES_FREE: u32 = 7;
const CHALLENGES_FULL: u32 = 24;

/// The parts of the source's score. Its rate comes in, since whoever asks has mostly worked it out already.
#[inline]
pub(super) fn of(record: &Record, rate: u32, at: &At, limits: &SourceLimits) -> ScoreParts {
    let stranger = !record.is_authenticated(at);
    ScoreParts {
        rate: share(400, rate, record.limit(at, limits)),
        malformed: if record.messages() < MESSAGES_MIN {
            0
        } else {
            share(900, record.malformed().into(), record.messages().into())
        },
        failures: share(600, record.failures(at), limits.failures_max),
        challenges: share(900, record.challenges(at).saturating_sub(CHALLENGES_FREE), CHALLENGES_FULL),
        methods: if stranger && record.requests() >= REQUESTS_MIN {
            let requests = u32::from(record.requests());
            share(500, (2 * u32::from(record.probes())).saturating_sub(requests), requests)
        } else {
            0
        },
        numbers: if stranger && record.calls() >= CALLS_MIN {
            share(500, record.numbers(), record.calls().into())
        } else {
            0
        },
        scanner: if record.is_scanner() { 900 } else { 0 },
    }
}

/// So much of `bound` as `part` is of `whole`.
fn share(bound: u32, part: u32, whole: u32) -> u32 {
    match part {
        // Nearly always, and a division is what takes longest here.
        0 => 0,
        part if part >= whole => bound,
        part => (u64::from(bound) * u64::from(part) / u64::from(whole)) as u32,
    }
}
