//! Personal data in free text: found, named and taken out.
//!
//! Five kinds are looked for: social security numbers of the United States, addresses of e-mail, telephone numbers,
//! numbers of payment cards, and IP addresses. What has the shape of one and cannot be one is none: a number whose check
//! digit is wrong, a country that has no such numbers, an area that is not given out, a version, a date.
//!
//! ```text
//!  text ──► words ──┬─► URIs of calls: passed over ──────────────────────────────┐
//!                   ├─► e-mail ─► IP ─► card ─► social security ─► telephone ────┴─► findings ──► redacted text
//!                   │      the first that takes a place has it
//! ```
//!
//! This crate deliberately knows no messages, no policy and no language: it is given a text and says what is where. Names,
//! postal addresses and dates of birth are not looked for. The address of a call (`sip:`, `sips:`, `h323:`) says whom to
//! call and is no finding; a number behind `tel:` is one.
//!
//! ```
//! use sx_pii::{PiiKind, find, redact};
//! let text = "Call +49 30 1234567 about order 4711, or write to jane@example.org.";
//! let found = find(text);
//! assert_eq!(found.iter().map(|one| one.kind).collect::<Vec<_>>(), [PiiKind::Phone, PiiKind::Email]);
//! assert_eq!(redact(text, &found), "Call [REDACTED:PHONE] about order 4711, or write to [REDACTED:EMAIL].");
//! ```

mod card;
mod context;
mod email;
mod ip;
mod phone;
mod ssn;

use context::Text;
use std::fmt;
use std::ops::Range;

/// What a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PiiKind {
    /// A social security number of the United States.
    Ssn,
    /// An address of e-mail.
    Email,
    /// A telephone number.
    Phone,
    /// The number of a payment card.
    Card,
    /// An IPv4 or IPv6 address.
    Ip,
}

impl PiiKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Ssn, Self::Email, Self::Phone, Self::Card, Self::Ip];

    /// Its word, as it stands in redacted text.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ssn => "SSN",
            Self::Email => "EMAIL",
            Self::Phone => "PHONE",
            Self::Card => "CARD",
            Self::Ip => "IP",
        }
    }
}

impl fmt::Display for PiiKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Personal data, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: PiiKind,
    /// Its bytes; they begin and end between characters.
    pub range: Range<usize>,
}

/// All personal data of a text, in its order; no two findings overlap. It takes time in proportion to the text.
pub fn find(text: &str) -> Vec<Finding> {
    let text = Text::new(text);
    let mut found = Found { taken: text.call_addresses(), findings: Vec::new() };
    for (kind, look) in LOOKS {
        look(&text, &mut |range| found.add(kind, range));
    }
    found.findings.sort_unstable_by_key(|finding| finding.range.start);
    found.findings
}

/// The text with `[REDACTED:KIND]` in the place of each finding, which are those of [`find`].
pub fn redact(text: &str, findings: &[Finding]) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut end = 0;
    for Finding { kind, range } in findings {
        redacted.push_str(&text[end..range.start]);
        redacted.push_str("[REDACTED:");
        redacted.push_str(kind.word());
        redacted.push(']');
        end = range.end;
    }
    redacted.push_str(&text[end..]);
    redacted
}

type Look = fn(&Text<'_>, &mut dyn FnMut(Range<usize>));

/// In this order: what has the stricter shape goes first.
const LOOKS: [(PiiKind, Look); 5] = [
    (PiiKind::Email, email::look),
    (PiiKind::Ip, ip::look),
    (PiiKind::Card, card::look),
    (PiiKind::Ssn, ssn::look),
    (PiiKind::Phone, phone::look),
];

/// Places of a text that are taken, and by what.
struct Found {
    /// Without gaps in what they say of a place: sorted, and none overlaps another.
    taken: Vec<Range<usize>>,
    findings: Vec<Finding>,
}

impl Found {
    /// Adds a finding unless its place, or some of it, is taken.
    fn add(&mut self, kind: PiiKind, range: Range<usize>) {
        let at = self.taken.partition_point(|taken| taken.end <= range.start);
        if self.taken.get(at).is_some_and(|taken| taken.start < range.end) {
            return;
        }
        self.taken.insert(at, range.clone());
        self.findings.push(Finding { kind, range });
    }
}

/// What is found of a kind, or of any.
#[cfg(test)]
fn found_in(text: &str, kind: Option<PiiKind>) -> Vec<&str> {
    let found = find(text).into_iter().filter(|finding| kind.is_none_or(|kind| finding.kind == kind));
    found.map(|finding| &text[finding.range]).collect()
}
