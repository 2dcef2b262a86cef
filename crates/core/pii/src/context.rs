//! What stands around a place of a text.

use std::ops::Range;

/// A text that is looked through.
pub(crate) struct Text<'a> {
    text: &'a str,
}

/// How far back a word may be that says what a number is.
const LABEL_BYTES: usize = 48;

impl<'a> Text<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text }
    }

    pub(crate) fn str(&self) -> &'a str {
        self.text
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// Where addresses of calls stand: whom to call is no finding.
    pub(crate) fn call_addresses(&self) -> Vec<Range<usize>> {
        let bytes = self.bytes();
        let mut found: Vec<Range<usize>> = Vec::new();
        for colon in memchr_all(bytes, b':') {
            let start = self.word_start(colon);
            let scheme = &self.text[start..colon];
            let is_call = ["sip", "sips", "h323"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
            if is_call && found.last().is_none_or(|before| before.end <= start) {
                let rest = &bytes[colon..];
                let len = rest.iter().position(|byte| byte.is_ascii_whitespace() || b"<>\"".contains(byte));
                found.push(start..colon + len.unwrap_or(rest.len()));
            }
        }
        found
    }

    /// Where the run of ASCII letters and digits begins that ends here.
    fn word_start(&self, end: usize) -> usize {
        let before = self.bytes()[..end].iter().rev().take(SCHEME_BYTES_MAX + 1);
        end - before.take_while(|byte| byte.is_ascii_alphanumeric()).count()
    }

    /// The character before a place.
    pub(crate) fn before(&self, at: usize) -> Option<char> {
        self.text[..at].chars().next_back()
    }

    /// The character at a place.
    pub(crate) fn at(&self, at: usize) -> Option<char> {
        self.text[at..].chars().next()
    }

    /// Does something stand alone: is it no part of a longer word or number?
    pub(crate) fn stands_alone(&self, range: &Range<usize>) -> bool {
        self.begins_alone(range.start) && self.ends_alone(range.end)
    }

    fn begins_alone(&self, start: usize) -> bool {
        let mut before = self.text[..start].chars().rev();
        match before.next() {
            None => true,
            Some(c) if c.is_alphanumeric() || "_@$€£#".contains(c) => false,
            // `12-345` and `1.234` go on; a dash or a full stop behind a blank does not.
            Some('-' | '.' | '/' | ',' | ':' | '+') => {
                !before.next().is_some_and(|c| c.is_ascii_digit() || c == '_') || self.is_behind_scheme(start)
            }
            Some(_) => true,
        }
    }

    fn ends_alone(&self, end: usize) -> bool {
        let mut after = self.text[end..].chars();
        match after.next() {
            None => true,
            Some(c) if c.is_alphanumeric() || "_@%€$£".contains(c) => false,
            Some('-' | '.' | '/' | ',' | ':') => !after.next().is_some_and(char::is_alphanumeric),
            Some(_) => true,
        }
    }

    /// Is this the place behind `tel:`?
    fn is_behind_scheme(&self, start: usize) -> bool {
        start >= 4 && self.text.get(start - 4..start).is_some_and(|scheme| scheme.eq_ignore_ascii_case("tel:"))
    }

    /// The words before a place, the nearest first, in small letters; a `#` is a word.
    pub(crate) fn words_before(&self, at: usize) -> impl Iterator<Item = String> {
        let mut start = at.saturating_sub(LABEL_BYTES);
        while !self.text.is_char_boundary(start) {
            start += 1;
        }
        let cut = |c: char| !(c.is_alphanumeric() || c == '#' || c == '§');
        let words = self.text[start..at].split(cut).filter(|word| !word.is_empty()).map(str::to_lowercase);
        words.collect::<Vec<_>>().into_iter().rev()
    }

    /// Is one of these the word that says what stands at a place? `number`, `is` and the like may stand between.
    pub(crate) fn is_called(&self, at: usize, labels: &[&str]) -> bool {
        let mut words = self.words_before(at).skip_while(|word| BETWEEN.contains(&&**word)).take(1);
        words.any(|word| labels.contains(&&*word))
    }

    /// Is one of these among the words just before a place, in the same sentence?
    pub(crate) fn is_near(&self, at: usize, labels: &[&str]) -> bool {
        self.words_before(at).take(NEAR_WORDS).any(|word| labels.contains(&&*word))
    }
}

const SCHEME_BYTES_MAX: usize = 4;
const NEAR_WORDS: usize = 4;

/// Words that stand between what something is called and what it is.
const BETWEEN: [&str; 14] =
    ["number", "no", "nr", "num", "id", "is", "was", "the", "of", "code", "nummer", "numero", "número", "n"];

/// What names a number that belongs to nobody.
pub(crate) const THINGS: [&str; 56] = [
    "order",
    "invoice",
    "ticket",
    "case",
    "part",
    "serial",
    "sku",
    "tracking",
    "ref",
    "reference",
    "isbn",
    "issn",
    "imei",
    "version",
    "build",
    "release",
    "section",
    "chapter",
    "clause",
    "rfc",
    "oid",
    "model",
    "lot",
    "batch",
    "bug",
    "issue",
    "pr",
    "#",
    "§",
    "po",
    "rma",
    "cas",
    "item",
    "article",
    "asset",
    "job",
    "parcel",
    "shipment",
    "consignment",
    "patent",
    "licence",
    "license",
    "docket",
    "file",
    "bestellung",
    "rechnung",
    "commande",
    "pedido",
    "factura",
    "facture",
    "incident",
    "change",
    "commit",
    "revision",
    "firmware",
    "s",
];

fn memchr_all(bytes: &[u8], wanted: u8) -> impl Iterator<Item = usize> {
    bytes.iter().enumerate().filter(move |(_, byte)| **byte == wanted).map(|(at, _)| at)
}

/// Digits that stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) start: usize,
    pub(crate) len: usize,
}

impl Group {
    pub(crate) fn end(&self) -> usize {
        self.start + self.len
    }
}

/// Groups of digits with one separator between each two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run(Vec<Group>);

impl Run {
    /// At least one.
    pub(crate) fn groups(&self) -> &[Group] {
        &self.0
    }

    pub(crate) fn range(&self) -> Range<usize> {
        let (first, last) = (self.0.first(), self.0.last());
        first.map_or(0, |first| first.start)..last.map_or(0, Group::end)
    }
}

/// All runs of a text, with these separators.
pub(crate) struct Runs<'t> {
    bytes: &'t [u8],
    at: usize,
    separators: &'static str,
}

impl<'t> Runs<'t> {
    pub(crate) fn new(text: &Text<'t>, separators: &'static str) -> Self {
        Self { bytes: text.bytes(), at: 0, separators }
    }

    fn group(&self, start: usize) -> Option<Group> {
        let rest = self.bytes.get(start..)?;
        let len = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        (len > 0).then_some(Group { start, len })
    }
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let start = self.at + self.bytes.get(self.at..)?.iter().position(u8::is_ascii_digit)?;
        let mut groups: Vec<Group> = self.group(start).into_iter().collect();
        while let Some(last) = groups.last()
            && self.bytes.get(last.end()).is_some_and(|byte| self.separators.as_bytes().contains(byte))
            && let Some(next) = self.group(last.end() + 1)
        {
            groups.push(next);
        }
        let run = Run(groups);
        self.at = run.range().end;
        Some(run)
    }
}

/// The digits of a text alone, as numbers.
pub(crate) fn digits(text: &str) -> Vec<u8> {
    text.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect()
}
