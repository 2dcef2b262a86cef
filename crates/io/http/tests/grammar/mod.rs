//! A small checker of OpenMetrics text, version 1.0, for the types that the writer has.

use std::collections::{BTreeMap, BTreeSet};

/// A family while its lines are read.
#[derive(Default)]
struct Family {
    name: String,
    kind: String,
    unit: String,
    series: BTreeSet<(String, Labels)>,
    histograms: BTreeMap<Labels, Histogram>,
}

/// One histogram while its lines are read.
#[derive(Default)]
struct Histogram {
    /// Bounds and counts.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
}

type Labels = BTreeMap<String, String>;

/// Is the text OpenMetrics? Or what is wrong with it.
pub fn check(text: &str) -> Result<(), String> {
    let body = text.strip_suffix("# EOF\n").ok_or("no end")?;
    if !body.is_empty() && !body.ends_with('\n') {
        return Err("the end stands on no line of its own".into());
    }
    let mut seen = BTreeSet::new();
    let mut family = Family::default();
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (word, rest) = comment.split_once(' ').ok_or(format!("a comment without words: {line}"))?;
            let (name, value) = rest.split_once(' ').ok_or(format!("a comment without a value: {line}"))?;
            if name != family.name {
                family.close()?;
                if !is_name(name, true) || !seen.insert(name.to_owned()) {
                    return Err(format!("no name, or a family in two pieces: {name}"));
                }
                family = Family { name: name.to_owned(), ..Family::default() };
            }
            family.describe(word, value)?;
        } else {
            family.sample(line)?;
        }
    }
    family.close()
}

impl Family {
    fn describe(&mut self, word: &str, value: &str) -> Result<(), String> {
        if !self.series.is_empty() {
            return Err(format!("{word} after samples of {}", self.name));
        }
        match word {
            "HELP" => unescape(value).map(drop),
            "TYPE" if ["counter", "gauge", "histogram"].contains(&value) && self.kind.is_empty() => {
                self.kind = value.to_owned();
                Ok(())
            }
            "UNIT" if self.name.ends_with(&format!("_{value}")) && self.unit.is_empty() => {
                self.unit = value.to_owned();
                Ok(())
            }
            _ => Err(format!("{word} {value} of {}", self.name)),
        }
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let wrong = |why: &str| format!("{why}: {line}");
        let name_end = line.find(['{', ' ']).ok_or(wrong("no value"))?;
        let (name, rest) = line.split_at(name_end);
        let (mut labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => read_labels(rest).map_err(|why| wrong(&why))?,
            None => (Labels::new(), rest),
        };
        let value =
            number(rest.strip_prefix(' ').ok_or(wrong("no space before the value"))?).ok_or(wrong("no number"))?;
        let suffix =
            name.strip_prefix(self.name.as_str()).filter(|_| !self.name.is_empty()).ok_or(wrong("another family"))?;
        if !self.series.insert((name.to_owned(), labels.clone())) {
            return Err(wrong("said twice"));
        }
        let is_count = value.is_finite() && value >= 0.0;
        match (self.kind.as_str(), suffix) {
            ("gauge", "") => Ok(()),
            ("counter", "_total") if is_count => Ok(()),
            ("histogram", "_sum") if is_count => Ok(()),
            ("histogram", "_count") if is_count => {
                self.histograms.entry(labels).or_default().count = Some(value);
                Ok(())
            }
            ("histogram", "_bucket") if is_count => {
                let bound = labels.remove("le").and_then(|bound| number(&bound)).ok_or(wrong("no bound"))?;
                self.histograms.entry(labels).or_default().buckets.push((bound, value));
                Ok(())
            }
            _ => Err(wrong("no sample of its type")),
        }
    }

    fn close(&self) -> Result<(), String> {
        for Histogram { buckets, count } in self.histograms.values() {
            let grows = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
            let last = buckets.last().copied();
            if !grows || last.map(|(bound, _)| bound) != Some(f64::INFINITY) || last.map(|(_, value)| value) != *count {
                return Err(format!("buckets of {}", self.name));
            }
        }
        Ok(())
    }
}

fn is_name(name: &str, colon: bool) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':');
    !name.is_empty() && name.chars().all(good) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Labels up to the closing brace, and what follows it.
fn read_labels(text: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("no label")?;
        let mut escaped = false;
        let end = after.find(|c| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        });
        let end = end.ok_or("a label without end")?;
        if !is_name(name, false) || labels.insert(name.to_owned(), unescape(&after[..end])?).is_some() {
            return Err(format!("the label {name}"));
        }
        rest = &after[end + 1..];
        match rest.strip_prefix('}') {
            Some(rest) => return Ok((labels, rest)),
            None => rest = rest.strip_prefix(',').ok_or("no comma")?,
        }
    }
}

fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some(c @ ('\\' | '"')) => c,
                other => return Err(format!("the escape {other:?}")),
            },
            '"' => return Err("a bare quotation mark".into()),
            c => c,
        });
    }
    Ok(plain)
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        _ if text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+') => text.parse().ok(),
        _ => None,
    }
}
