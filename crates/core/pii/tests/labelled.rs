//! How well personal data is found in texts of which it is known, by `tests/labelled.txt`.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use sx_pii::{PiiKind, find};

/// Both have to be above it, for each kind and for all.
const LEAST: f64 = 0.98;

/// A text with what is in it, marked as `⟦KIND|…⟧` in its line.
struct Labelled {
    text: String,
    labels: Vec<(PiiKind, Range<usize>)>,
}

fn labelled(line: &str) -> Labelled {
    let (mut text, mut labels, mut rest) = (String::new(), Vec::new(), line);
    while let Some((before, marked)) = rest.split_once('⟦') {
        let (mark, after) = marked.split_once('⟧').unwrap_or_else(|| panic!("no end of a mark: {line}"));
        let (word, value) = mark.split_once('|').unwrap_or_else(|| panic!("no kind: {line}"));
        let kind =
            PiiKind::ALL.into_iter().find(|kind| kind.word() == word).unwrap_or_else(|| panic!("{word}: {line}"));
        text.push_str(before);
        labels.push((kind, text.len()..text.len() + value.len()));
        text.push_str(value);
        rest = after;
    }
    text.push_str(rest);
    Labelled { text, labels }
}

/// What was found and is there, what was found and is not, what is there and was not found.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    hit: u32,
    wrong: u32,
    missed: u32,
}

impl Score {
    fn precision(self) -> f64 {
        f64::from(self.hit) / f64::from((self.hit + self.wrong).max(1))
    }

    fn recall(self) -> f64 {
        f64::from(self.hit) / f64::from((self.hit + self.missed).max(1))
    }
}

#[test]
fn personal_data_is_found_and_little_else() {
    let lines = include_str!("labelled.txt").lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    let all: Vec<Labelled> = lines.map(labelled).collect();
    assert!(all.len() >= 500, "{} texts", all.len());
    let mut scores: BTreeMap<PiiKind, Score> = BTreeMap::new();
    let mut faults = String::new();
    for one in &all {
        let (text, labels) = (&one.text, &one.labels);
        let found = find(text);
        // Exactly what is there: a digit too many or too few is a fault twice.
        for finding in &found {
            let is_there = labels.contains(&(finding.kind, finding.range.clone()));
            let score = scores.entry(finding.kind).or_default();
            *(if is_there { &mut score.hit } else { &mut score.wrong }) += 1;
            if !is_there {
                faults += &format!("  {} {:?} is not in: {text}\n", finding.kind, &text[finding.range.clone()]);
            }
        }
        for (kind, range) in labels {
            if !found.iter().any(|finding| finding.kind == *kind && finding.range == *range) {
                scores.entry(*kind).or_default().missed += 1;
                faults += &format!("  {kind} {:?} is missed in: {text}\n", &text[range.clone()]);
            }
        }
    }
    let sum = scores.values().fold(Score::default(), |sum, score| Score {
        hit: sum.hit + score.hit,
        wrong: sum.wrong + score.wrong,
        missed: sum.missed + score.missed,
    });
    let named = scores.iter().map(|(kind, score)| (kind.word(), *score)).chain([("all", sum)]);
    let rows: Vec<(&str, Score)> = named.collect();
    let table: String = rows
        .iter()
        .map(|(name, score)| {
            let Score { hit, wrong, missed } = score;
            let (precision, recall) = (score.precision(), score.recall());
            format!("{name:6} {hit:4} found, {wrong:3} wrong, {missed:3} missed: precision {precision:.4}, recall {recall:.4}\n")
        })
        .collect();
    let negatives = all.iter().filter(|one| one.labels.is_empty()).count();
    // Whoever runs it with --nocapture sees how good it is.
    let said = writeln!(std::io::stderr(), "{} texts, {negatives} of them without any\n{table}{faults}", all.len());
    assert!(said.is_ok());
    assert_eq!(scores.len(), PiiKind::ALL.len());
    for (name, score) in rows {
        assert!(score.precision() > LEAST && score.recall() > LEAST, "{name}:\n{table}{faults}");
    }
}
