//! The time of a record as text: RFC 3339 in UTC with microseconds, 27 characters.

use sx_engine::{Time, civil_from_days};

/// `2026-11-21T23:22:03.123456Z`
pub(crate) const STAMP_BYTES: usize = 27;

const SECONDS_A_DAY: u64 = 86_400;

/// Writes times. It keeps the text of the second it wrote last, since records come many to a second.
#[derive(Clone, Debug)]
pub(crate) struct Stamper {
    second: u64,
    text: [u8; STAMP_BYTES],
}

impl Stamper {
    pub(crate) fn new() -> Self {
        Self { second: 0, text: *b"1970-01-01T00:00:00.000000Z" }
    }

    /// The text of a time; what is finer than a microsecond is left away.
    pub(crate) fn stamp(&mut self, time: Time) -> &[u8; STAMP_BYTES] {
        if self.second != time.as_secs() {
            self.second = time.as_secs();
            let (days, second) = (self.second / SECONDS_A_DAY, self.second % SECONDS_A_DAY);
            let (year, month, day) = civil_from_days(days);
            let fields = [(0, 4, year), (5, 2, month), (8, 2, day)];
            let clock = [(11, 2, second / 3600), (14, 2, second / 60 % 60), (17, 2, second % 60)];
            for (at, digits, number) in fields.into_iter().chain(clock) {
                write_digits(&mut self.text[at..at + digits], number);
            }
        }
        write_digits(&mut self.text[20..26], time.as_nanos() / 1000 % 1_000_000);
        &self.text
    }
}

/// The text of one time.
pub(crate) fn text_of(time: Time) -> String {
    Stamper::new().stamp(time).iter().map(|byte| char::from(*byte)).collect()
}

/// The time of a text; `None` when it is not exactly of this form, or names no moment from 1970 to 9999. A moment later than
/// [`Time`] reaches, in the year 2554, is taken for the last one it reaches.
//= https://www.rfc-editor.org/rfc/rfc3339#section-5.6
pub(crate) fn parse(text: &[u8]) -> Option<Time> {
    let text: &[u8; STAMP_BYTES] = text.try_into().ok()?;
    let frame = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (26, b'Z')];
    if frame.iter().any(|(at, byte)| text[*at] != *byte) {
        return None;
    }
    let (year, month, day) = (number(&text[0..4])?, number(&text[5..7])?, number(&text[8..10])?);
    let (hour, minute, second) = (number(&text[11..13])?, number(&text[14..16])?, number(&text[17..19])?);
    let micros = number(&text[20..26])?;
    // A leap second has no place on a clock that counts seconds since the epoch.
    let there = year >= 1970 && (1..=12).contains(&month) && (1..=days_of_month(year, month)).contains(&day);
    if !there || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days_from_civil(year, month, day) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second;
    Some(Time::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(micros * 1000)))
}

fn write_digits(field: &mut [u8], mut number: u64) {
    for place in field.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        let value = digit.wrapping_sub(b'0');
        (value < 10).then(|| number * 10 + u64::from(value))
    })
}

fn days_of_month(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The number of days since 1970-01-01 of a year from then on, a month and a day: `civil_from_days` the other way round.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_shifted = if month > 2 { month - 3 } else { month + 9 };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month_shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_time_has_six_digits_of_fraction() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_000_999, "2000-02-29T00:00:00.000000Z"),
            (1_795_219_199_999_999_000, "2026-11-20T23:59:59.999999Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551Z"),
        ];
        for (nanos, text) in cases {
            assert_eq!(text_of(Time::from_nanos(nanos)), text);
            assert_eq!(parse(text.as_bytes()), Some(Time::from_nanos(nanos / 1000 * 1000)));
        }
    }

    #[test]
    fn what_is_no_moment_is_no_time() {
        for wrong in [
            "2026-02-29T00:00:00.000000Z",
            "2026-13-01T00:00:00.000000Z",
            "2026-00-01T00:00:00.000000Z",
            "2026-01-00T00:00:00.000000Z",
            "2026-01-01T24:00:00.000000Z",
            "2026-06-30T23:59:60.000000Z",
            "1969-12-31T23:59:59.999999Z",
            "2026-01-01T00:00:00.00000Z",
            "2026-01-01t00:00:00.000000Z",
            "2026-01-01T00:00:00.000000z",
            "2026-01-01T00:00:00.00000:Z",
        ] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_time_is_read_as_it_was_written(nanos in 0..=u64::MAX, second in 0..=u64::MAX) {
            let mut stamper = Stamper::new();
            stamper.stamp(Time::from_nanos(second));
            let whole = Time::from_nanos(nanos / 1000 * 1000);
            prop_assert_eq!(parse(stamper.stamp(whole)), Some(whole));
        }
    }
}
