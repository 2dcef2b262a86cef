//! Working hours: times of the week, where the clocks of a time zone say so.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sx_engine::Time;

/// When somebody works: `mon-fri 09:00-17:00, sat 22:00-02:00` in a time zone.
#[derive(Clone, Debug)]
pub struct Hours {
    zone: TimeZone,
    /// Minutes of the week from Monday at midnight, their end left out, in order.
    spans: Vec<(u32, u32)>,
}

/// Why a text says no hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// There is no such time zone.
    #[error("there is no time zone {0:?}; they are called as Europe/Berlin is")]
    Zone(Box<str>),
    /// It is not written as hours are.
    #[error("{0:?} is not written as in \"mon-fri 09:00-17:00, sat 10:00-12:00\"")]
    Form(Box<str>),
}

const DAY: u32 = 24 * 60;
const WEEK: u32 = 7 * DAY;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Of a text that is wrong so much is told.
const SHOWN_CHARS_MAX: usize = 64;

impl Hours {
    /// Reads hours. What begins later than it ends goes on into the next day; `00:00-24:00` is the whole day.
    ///
    /// # Errors
    /// There is no such zone, or they are not written so.
    pub fn parse(text: &str, zone: &str) -> Result<Self, HoursError> {
        let zone_of = TimeZone::get(zone).map_err(|_| HoursError::Zone(shown(zone)))?;
        let mut spans = Vec::new();
        for part in text.split(',').map(str::trim) {
            let read = read_part(part).ok_or_else(|| HoursError::Form(shown(part)))?;
            spans.extend(read);
        }
        spans.sort_unstable();
        Ok(Self { zone: zone_of, spans })
    }

    /// Is this a time of them?
    pub fn contain(&self, now: Time) -> bool {
        let Some(at) = i64::try_from(now.as_millis()).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()) else {
            return false;
        };
        let local = at.to_zoned(self.zone.clone());
        let day = local.weekday().to_monday_zero_offset().unsigned_abs();
        let minute = u32::from(day) * DAY
            + u32::from(local.hour().unsigned_abs()) * 60
            + u32::from(local.minute().unsigned_abs());
        self.spans.iter().any(|(from, to)| (*from..*to).contains(&minute))
    }
}

/// `mon-fri 09:00-17:00`: the spans of each day.
fn read_part(part: &str) -> Option<Vec<(u32, u32)>> {
    let (days, times) = part.split_once(char::is_whitespace)?;
    let (from, to) = times.trim().split_once('-')?;
    let (from, to) = (minute_of(from)?, minute_of(to)?);
    if from == to || from == DAY {
        return None;
    }
    let (first, last) = days.split_once('-').unwrap_or((days, days));
    let (first, last) = (day_of(first)?, day_of(last)?);
    let count = (last + 7 - first) % 7 + 1;
    let spans = (first..first + count).flat_map(|day| {
        let begin = day % 7 * DAY + from;
        let end = begin + if to > from { to - from } else { DAY - from + to };
        // The night from Sunday to Monday is of both ends of the week.
        let over = end.saturating_sub(WEEK);
        [Some((begin, end.min(WEEK))), (over > 0).then_some((0, over))].into_iter().flatten()
    });
    Some(spans.collect())
}

fn day_of(text: &str) -> Option<u32> {
    DAYS.iter().position(|day| day.eq_ignore_ascii_case(text)).and_then(|day| u32::try_from(day).ok())
}

fn minute_of(text: &str) -> Option<u32> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let number =
        |text: &str| text.parse::<u32>().ok().filter(|_| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()));
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY).then_some(minute)
}

fn shown(text: &str) -> Box<str> {
    text.chars().take(SHOWN_CHARS_MAX).collect::<String>().into()
}
