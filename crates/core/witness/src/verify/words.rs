//! Numbers of records and of segments, as sentences have them.

use super::problem::Place;

/// "record 3 is" or "records 3 to 5 are".
pub(super) fn records(first: u64, last: u64) -> String {
    if first >= last { format!("record {first} is") } else { format!("records {first} to {last} are") }
}

/// "record 3 was" or "records 3 to 5 were".
pub(super) fn were(first: u64, last: u64) -> String {
    format!("{} {}", held(first, last), if first >= last { "was" } else { "were" })
}

/// "record 3" or "records 3 to 5".
pub(super) fn held(first: u64, last: u64) -> String {
    if first >= last { format!("record {first}") } else { format!("records {first} to {last}") }
}

/// "1 record" or "2 records".
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Segments that are not there although their indexes are.
pub(super) fn missing(segment: u64, segments: u64) -> String {
    match segments {
        0 | 1 => format!("{segment:020}.jsonl was removed, and its index is there"),
        _ => format!("{segment:020}.jsonl and {} behind it were removed, and their indexes are there", segments - 1),
    }
}

/// What was done to a segment that has lost its end behind this line.
pub(super) fn cut(behind: Place) -> String {
    let Place { segment, line } = behind;
    match line {
        0 => format!("segment {segment:020}.jsonl was emptied"),
        _ => format!("segment {segment:020}.jsonl was truncated behind line {line}"),
    }
}

/// Where a log ends that was cut off.
pub(super) fn ended(at: Option<Place>) -> String {
    match at {
        None => String::new(),
        Some(Place { segment, line: 0 }) => format!(" in {segment:020}.jsonl, which is empty"),
        Some(at) => format!(" behind {at}"),
    }
}

/// " (size 7)", if the size is known.
pub(super) fn sized(size: Option<u64>) -> String {
    size.map(|size| format!(" (size {size})")).unwrap_or_default()
}

/// What an index knows of records one of which was changed.
pub(super) fn by_index(record: Option<u64>) -> String {
    record.map(|record| format!("; its index has another record {record}")).unwrap_or_default()
}

/// What else says so.
pub(super) fn also(more: u64) -> String {
    match more {
        0 => String::new(),
        1 => ", and 1 earlier one says so too".to_owned(),
        _ => format!(", and {more} earlier ones say so too"),
    }
}

/// Why a place has refused a checkpoint.
pub(super) fn refusal(cosigned: Option<u64>) -> String {
    match cosigned {
        Some(size) => format!("had cosigned {}, more than the log had", counted(size, "record")),
        None => "knew another history of the log".to_owned(),
    }
}
