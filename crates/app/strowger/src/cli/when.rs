//! Points in time as a person writes them.

/// Reads `2026-11-20`, `2026-11-20T14:30`, with seconds and their fraction, with `Z` or an offset such as `+01:00`;
/// without either it is UTC. The result is in nanoseconds since the Unix epoch.
///
/// # Errors
/// What may stand here.
pub(crate) fn parse_time(text: &str) -> Result<u64, String> {
    parse(text).ok_or_else(|| "allowed: 2026-11-20, 2026-11-20T14:30, 2026-11-20T14:30:05.250Z or …+01:00".to_owned())
}

fn parse(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let days = days_from_civil(year, month, day)?;
    let (time, offset_minutes) = match rest.strip_prefix(['T', 't', ' ']) {
        Some(rest) => split_offset(rest)?,
        None if rest.is_empty() => ("00:00", 0),
        None => return None,
    };
    let (whole, fraction) = match time.split_once('.') {
        Some((whole, digits)) => (whole, nanos(digits)?),
        None => (time, 0),
    };
    let [hour, minute, second] = match whole.len() {
        5 if fraction == 0 => {
            let [hour, minute] = numbers(whole, ':', [2, 2])?;
            [hour, minute, 0]
        }
        _ => numbers(whole, ':', [2, 2, 2])?,
    };
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = (days * 24 + hour) * 3600 + minute * 60 + second - offset_minutes * 60;
    u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(fraction)
}

/// The time of day, and the minutes it is ahead of UTC.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(time) = text.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = text.find(['+', '-']) else { return Some((text, 0)) };
    let (time, offset) = text.split_at(at);
    let [hours, minutes] = numbers(&offset[1..], ':', [2, 2])?;
    let minutes = (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)?;
    Some((time, if offset.starts_with('-') { -minutes } else { minutes }))
}

/// Numbers of exactly so many digits each.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// The digits behind the point of a second.
fn nanos(digits: &str) -> Option<u64> {
    if !(1..=9).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<9}").parse().ok()
}

/// Days since 1970-01-01, after Howard Hinnant's `days_from_civil`; `None` for a date that is none or lies before.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || !(1..=last).contains(&day) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted / 400, shifted % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_engine::Time;

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("1970-01-01", "1970-01-01T00:00:00.000Z"),
            ("2000-02-29", "2000-02-29T00:00:00.000Z"),
            ("2026-11-20T14:30", "2026-11-20T14:30:00.000Z"),
            ("2026-11-20 14:30:05", "2026-11-20T14:30:05.000Z"),
            ("2026-11-20T14:30:05.25Z", "2026-11-20T14:30:05.250Z"),
            ("2026-11-20T00:30+01:00", "2026-11-19T23:30:00.000Z"),
            ("2026-12-31T23:59:59-00:30", "2027-01-01T00:29:59.000Z"),
        ] {
            let read = parse_time(text).map(|nanos| Time::from_nanos(nanos).to_string());
            assert_eq!(read.as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2026-1-1",
            "2026-02-29",
            "2026-13-01",
            "2026-11-20T",
            "2026-11-20T24:00",
            "2026-11-20T14:60",
            "2026-11-20T14:30:05.",
            "2026-11-20T14:30.5",
            "2026-11-20T14:30+1:00",
            "1969-12-31",
            "2026-11-20x",
            "2026-11-20T14:30:05.1234567890",
            "+026-11-20",
            "1970-01-01T00:00+01:00",
            "2026-11-2ä",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_read() {
        for day in 0..60_000 {
            let time = Time::from_secs(day * 86_400 + day);
            assert_eq!(parse_time(&time.to_string()), Ok(time.as_nanos()));
        }
    }
}
