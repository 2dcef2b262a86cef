//! Texts as numbers: each text of the policy is looked up once a request, and rules then compare numbers.

use smallvec::SmallVec;
use std::cmp::Ordering;

/// Texts in lower case, sorted. A text's number is its place.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<Box<str>>);

/// Prefixes in lower case, sorted. What begins with a prefix stands right behind it, so that all that a prefix covers is
/// one range of numbers.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    sorted: Vec<Box<str>>,
    /// For each, the longest of the others that it begins with.
    parent: Vec<Option<u32>>,
}

impl Names {
    pub(crate) fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        Self(sorted(texts))
    }

    /// The number of a text, in whatever case.
    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.0.binary_search_by(|stored| compare(stored, text)).ok().map(|place| place as u32)
    }

    /// The numbers of texts that are all there.
    pub(crate) fn numbers<'a>(&self, texts: impl Iterator<Item = &'a str>) -> SmallVec<[u32; 4]> {
        texts.filter_map(|text| self.find(text)).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Prefixes {
    pub(crate) fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let sorted = sorted(texts);
        let mut parent = Vec::with_capacity(sorted.len());
        // The prefixes that the text at hand begins with, the longest last.
        let mut open: Vec<u32> = Vec::new();
        for (place, text) in sorted.iter().enumerate() {
            while open.last().is_some_and(|above| !text.starts_with(&*sorted[*above as usize])) {
                open.pop();
            }
            parent.push(open.last().copied());
            open.push(place as u32);
        }
        Self { sorted, parent }
    }

    /// The number of the longest prefix that the text begins with.
    pub(crate) fn longest(&self, text: &str) -> Option<u32> {
        let behind = self.sorted.partition_point(|prefix| compare(prefix, text) != Ordering::Greater);
        let mut candidate = behind.checked_sub(1).map(|place| place as u32);
        while let Some(place) = candidate {
            let prefix = &self.sorted[place as usize];
            let begins =
                text.len() >= prefix.len() && text.as_bytes()[..prefix.len()].eq_ignore_ascii_case(prefix.as_bytes());
            if begins {
                return Some(place);
            }
            candidate = self.parent[place as usize];
        }
        None
    }

    /// The numbers of a prefix and of all that begin with it: from the first until before the second.
    pub(crate) fn covered(&self, prefix: &str) -> Option<(u32, u32)> {
        let lower = prefix.to_ascii_lowercase();
        let first = self.sorted.binary_search_by(|stored| (**stored).cmp(&*lower)).ok()?;
        let behind = first + self.sorted[first..].partition_point(|stored| stored.starts_with(&lower));
        Some((first as u32, behind as u32))
    }
}

fn sorted<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Box<str>> {
    let mut texts: Vec<Box<str>> = texts.map(|text| text.to_ascii_lowercase().into()).collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// A text in lower case against one in any case.
pub(crate) fn compare(stored: &str, text: &str) -> Ordering {
    let (stored, text) = (stored.as_bytes(), text.as_bytes());
    for (ours, theirs) in stored.iter().zip(text) {
        let theirs = theirs.to_ascii_lowercase();
        if *ours != theirs {
            return ours.cmp(&theirs);
        }
    }
    stored.len().cmp(&text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_is_covered_by_exactly_the_prefixes_it_begins_with(
            prefixes in prop::collection::vec("[0-2aA]{0,4}", 0..20),
            text in "[0-2aA]{0,6}",
        ) {
            let table = Prefixes::new(prefixes.iter().map(String::as_str));
            let longest = table.longest(&text);
            for prefix in &prefixes {
                let (first, behind) = table.covered(prefix).expect("it was put in");
                let covers = longest.is_some_and(|number| (first..behind).contains(&number));
                let begins = text.to_lowercase().starts_with(&prefix.to_lowercase());
                prop_assert_eq!(covers, begins, "{} {}", prefix, text);
            }
        }

        #[test]
        fn a_name_is_found_in_whatever_case(names in prop::collection::vec("[a-cA-C@.]{0,4}", 0..20), text in "[a-cA-C@.]{0,4}") {
            let table = Names::new(names.iter().map(String::as_str));
            let there = names.iter().any(|name| name.eq_ignore_ascii_case(&text));
            prop_assert_eq!(table.find(&text).is_some(), there);
        }
    }
}
