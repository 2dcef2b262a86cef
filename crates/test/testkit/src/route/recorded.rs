//! Journeys that somebody has recorded, as text.

use super::{Arrived, Journeys};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Reads journeys from lines `sent,arrived`, one for each packet in the order in which they were sent, in milliseconds, each
/// by its own clock; `lost` stands in the place of an arrival that never was. A copy is a line with the same `sent`. Lines that
/// begin with `#` and empty ones are passed over.
///
/// ```
/// let journeys = sx_testkit::read_journeys("# ms\n0, 31.5\n20, lost\n40, 70\n").expect("three lines");
/// assert_eq!((journeys.sent, journeys.arrived.len()), (3, 2));
/// ```
pub fn read_journeys(text: &str) -> Result<Journeys, JourneyError> {
    let mut journeys = Journeys::default();
    let mut before: Option<Duration> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || JourneyError { line: index + 1 };
        let (sent, at) = line.split_once(',').ok_or_else(wrong)?;
        let sent = millis(sent).ok_or_else(wrong)?;
        if before.is_some_and(|before| sent < before) {
            return Err(wrong());
        }
        let copy = before == Some(sent);
        journeys.sent += u32::from(!copy);
        let first = before.is_none_or(|before| sent.saturating_sub(before) > PAUSE_MIN);
        before = Some(sent);
        if at.trim() != "lost" {
            let at = millis(at).ok_or_else(wrong)?;
            journeys.arrived.push(Arrived { number: journeys.sent - 1, first, sent, at });
        }
    }
    journeys.arrived.sort_by_key(|arrived| arrived.at);
    Ok(journeys)
}

/// A line that is not as it should be: no comma, no time, or a packet that was sent before the one above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JourneyError {
    /// Which one; the first is 1.
    pub line: usize,
}

impl fmt::Display for JourneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: not `sent,arrived` in milliseconds, in the order of sending", self.line)
    }
}

impl Error for JourneyError {}

/// Who sends nothing for longer was silent.
const PAUSE_MIN: Duration = Duration::from_millis(130);

fn millis(text: &str) -> Option<Duration> {
    let millis: f64 = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(millis / 1e3).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_packets_in_the_order_of_sending_and_arrivals_in_theirs() {
        let journeys = read_journeys("# a\n\n0,50\n20,30.25\n20, 31\n40,lost\n300,310\n").expect("good");
        assert_eq!(journeys.sent, 4);
        let read: Vec<_> = journeys.arrived.iter().map(|a| (a.number, a.first, a.at.as_micros())).collect();
        assert_eq!(read, [(1, false, 30_250), (1, false, 31_000), (0, true, 50_000), (3, true, 310_000)]);
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        for (text, line) in [("0 1", 1), ("0,1\nx,2", 2), ("0,1\n\n20,-1", 3), ("20,21\n0,1", 2), ("0,nan", 1)] {
            assert_eq!(read_journeys(text), Err(JourneyError { line }), "{text}");
        }
    }
}
