//! Numbers of records and of segments, as sentences have them.

/// "record 3 is" or "records 3 to 5 are".
pub(super) fn records(first: u64, last: u64) -> String {
    if first >= last { format!("record {first} is") } else { format!("records {first} to {last} are") }
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
        0 | 1 => format!("{segment:020}.jsonl is missing, and its index is there"),
        _ => format!("{segment:020}.jsonl and {} behind it are missing, and their indexes are there", segments - 1),
    }
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
