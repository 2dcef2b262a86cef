//! A writer of OpenMetrics text.
//!
//! It keeps the text well formed: names are mended, labels escaped, and families that are opened twice are joined,
//! because the format wants each family in one piece. Left to the caller: a set of labels is written once a family, and
//! no gauge has the name of a counter with `_total` behind it.

use std::collections::HashMap;
use std::fmt::Write;

/// The type of the text, for `Content-Type`.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Metrics on their way to text: open a family, then write its samples.
#[derive(Debug, Default)]
pub struct MetricsText {
    families: Vec<Family>,
    by_name: HashMap<String, usize>,
}

/// A family that only grows; its samples end in `_total`.
#[derive(Debug)]
pub struct Counter<'t>(&'t mut Family);

/// A family that goes up and down.
#[derive(Debug)]
pub struct Gauge<'t>(&'t mut Family);

/// A family that counts observations by size.
#[derive(Debug)]
pub struct Histogram<'t>(&'t mut Family);

/// The value of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number, written exactly.
    Integer(i128),
    /// Any number.
    Float(f64),
}

#[derive(Debug)]
struct Family {
    name: String,
    kind: Kind,
    unit: String,
    help: String,
    samples: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl MetricsText {
    /// Opens a counter. `name` has no `_total`; `unit` is a base unit in the plural, as `seconds`, or empty, and becomes
    /// the end of the name where it is not that already.
    pub fn counter(&mut self, name: &str, unit: &str, help: &str) -> Counter<'_> {
        let name = name.strip_suffix("_total").unwrap_or(name);
        Counter(self.family(name, Kind::Counter, unit, help))
    }

    /// Opens a gauge. `unit` as for [`MetricsText::counter`].
    pub fn gauge(&mut self, name: &str, unit: &str, help: &str) -> Gauge<'_> {
        Gauge(self.family(name, Kind::Gauge, unit, help))
    }

    /// Opens a histogram. `unit` as for [`MetricsText::counter`].
    pub fn histogram(&mut self, name: &str, unit: &str, help: &str) -> Histogram<'_> {
        Histogram(self.family(name, Kind::Histogram, unit, help))
    }

    /// The whole text, with its end.
    pub fn finish(self) -> String {
        let mut text = String::new();
        for family in &self.families {
            family.write(&mut text);
        }
        text.push_str("# EOF\n");
        text
    }

    fn family(&mut self, name: &str, kind: Kind, unit: &str, help: &str) -> &mut Family {
        let unit = if unit.is_empty() { String::new() } else { mended(unit, true) };
        let mut name = mended(name, true);
        if !unit.is_empty() && !name.ends_with(&format!("_{unit}")) {
            name = format!("{name}_{unit}");
        }
        // A name stands for one type; a second type under it gets a name of its own rather than spoil the text.
        while self.by_name.get(&name).is_some_and(|index| self.families[*index].kind != kind) {
            name.push_str("_other");
        }
        let index = *self.by_name.entry(name.clone()).or_insert(self.families.len());
        if index == self.families.len() {
            self.families.push(Family { name, kind, unit, help: escaped(help), samples: String::new() });
        }
        &mut self.families[index]
    }
}

impl Counter<'_> {
    /// Writes a sample. A value that no counter can have (negative, infinite or not a number) is left out.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Into<Number>) -> &mut Self {
        let value = value.into();
        if value.is_count() {
            self.0.sample("_total", labels, None, value);
        }
        self
    }
}

impl Gauge<'_> {
    /// Writes a sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Into<Number>) -> &mut Self {
        self.0.sample("", labels, None, value.into());
        self
    }
}

impl Histogram<'_> {
    /// Writes the samples of one histogram. `bounds` are the upper bounds of the buckets, increasing; `counts` how many
    /// observations fell into each bucket alone, and one more for those above the last bound; a count that is missing
    /// is 0. `sum` is the sum of all observations.
    pub fn sample(&mut self, labels: &[(&str, &str)], bounds: &[f64], counts: &[u64], sum: f64) -> &mut Self {
        let mut so_far = 0u64;
        let mut last = f64::NEG_INFINITY;
        for (index, bound) in bounds.iter().enumerate() {
            so_far = so_far.saturating_add(counts.get(index).copied().unwrap_or(0));
            // Bounds that do not grow cannot be told apart; their observations count in the next that does.
            if *bound > last && bound.is_finite() {
                self.0.sample("_bucket", labels, Some(*bound), so_far.into());
                last = *bound;
            }
        }
        let above = counts.iter().skip(bounds.len()).fold(0u64, |sum, count| sum.saturating_add(*count));
        so_far = so_far.saturating_add(above);
        self.0.sample("_bucket", labels, Some(f64::INFINITY), so_far.into());
        self.0.sample("_count", labels, None, so_far.into());
        // The format allows a sum only where no observation can be negative.
        let can_be_negative = bounds.iter().any(|bound| *bound < 0.0);
        if !can_be_negative && Number::Float(sum).is_count() {
            self.0.sample("_sum", labels, None, sum.into());
        }
        self
    }
}

impl Family {
    fn write(&self, text: &mut String) {
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        put(text, &format!("# HELP {} {}\n# TYPE {} {kind}\n", self.name, self.help, self.name));
        if !self.unit.is_empty() {
            put(text, &format!("# UNIT {} {}\n", self.name, self.unit));
        }
        text.push_str(&self.samples);
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<f64>, value: Number) {
        let mut seen = Vec::with_capacity(labels.len() + 1);
        for (name, value) in labels {
            // `le` belongs to buckets.
            let name = mended(if *name == "le" { "le_" } else { name }, false);
            if !seen.iter().any(|(other, _)| *other == name) {
                seen.push((name, escaped(value)));
            }
        }
        if let Some(bound) = bound {
            seen.push(("le".into(), bound_text(bound)));
        }
        let pairs: Vec<String> = seen.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let labels = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
        let line = format!("{}{suffix}{labels} {}\n", self.name, value.text());
        self.samples.push_str(&line);
    }
}

impl Number {
    fn is_count(self) -> bool {
        match self {
            Self::Integer(integer) => integer >= 0,
            Self::Float(float) => float.is_finite() && float >= 0.0,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Integer(integer) => integer.to_string(),
            Self::Float(float) if float.is_nan() => "NaN".into(),
            Self::Float(f64::INFINITY) => "+Inf".into(),
            Self::Float(f64::NEG_INFINITY) => "-Inf".into(),
            Self::Float(float) => float.to_string(),
        }
    }
}

macro_rules! from_integers {
    ($($integer:ty),*) => {
        $(impl From<$integer> for Number {
            fn from(value: $integer) -> Self {
                Self::Integer(value.into())
            }
        })*
    };
}
from_integers!(i32, i64, u8, u16, u32, u64);

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        // No machine has a usize that an i128 cannot hold.
        Self::Integer(value as i128)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

/// Bounds have a point always, so that they are the same text in every scrape and every language.
fn bound_text(bound: f64) -> String {
    match bound {
        f64::INFINITY => "+Inf".into(),
        bound if bound.fract() == 0.0 => format!("{bound:.1}"),
        bound => bound.to_string(),
    }
}

/// A name in which each character that may not stand there has become `_`.
fn mended(name: &str, colon: bool) -> String {
    let mut mended: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':') { c } else { '_' })
        .collect();
    if mended.is_empty() || mended.starts_with(|c: char| c.is_ascii_digit()) {
        mended.insert(0, '_');
    }
    mended
}

/// The text of a label's value or of a HELP line.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn put(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = text.write_str(line);
}
