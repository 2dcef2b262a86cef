//! The fields of a request: read one by one, judged all at once.

use super::bounds::FIELD_PROBLEMS_MAX;
use super::json;
use super::problem::{ApiProblem, FieldProblem, Place};
use serde_json::Value;
use std::ops::RangeInclusive;

/// The longest piece of a field's name that an answer repeats.
const NAME_ECHO_CHARS_MAX: usize = 64;

/// What was given, what of it has been read, and what was wrong.
///
/// A reader gives a value also where none could be read, so that reading goes on to the next field;
/// [`finish`](Self::finish) tells whether the values mean anything.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    given: Vec<Given>,
    problems: Vec<FieldProblem>,
}

#[derive(Debug)]
struct Given {
    name: String,
    place: Place,
    value: Value,
}

impl Fields {
    /// Adds what stands in the path.
    pub(crate) fn add_path(&mut self, params: &[(&'static str, &str)]) {
        for (name, text) in params {
            match decoded(text, false) {
                Some(text) => self.add(name, Place::Path, Value::String(text)),
                None => self.fault(name, Place::Path, "has an escape that stands for no text"),
            }
        }
    }

    /// Adds what stands behind the question mark.
    pub(crate) fn add_query(&mut self, query: &str) {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
            match (decoded(name, true), decoded(text, true)) {
                (Some(name), Some(text)) => self.add(&name, Place::Query, Value::String(text)),
                _ => self.fault(name, Place::Query, "has an escape that stands for no text"),
            }
        }
    }

    /// Adds the members of a body, which must be an object.
    pub(crate) fn add_body(&mut self, bytes: &[u8]) -> Result<(), ApiProblem> {
        let members = json::members(bytes)?;
        for (name, whole) in members {
            for key in whole.doubled {
                self.fault(&format!("{name}.{key}"), Place::Body, "is given twice");
            }
            self.add(&name, Place::Body, whole.value);
        }
        Ok(())
    }

    fn add(&mut self, name: &str, place: Place, value: Value) {
        if self.given.iter().any(|given| given.place == place && given.name == name) {
            self.fault(name, place, "is given twice");
        } else if self.given.len() < FIELD_PROBLEMS_MAX {
            self.given.push(Given { name: name.to_owned(), place, value });
        } else {
            // No request has so many fields, so this one is unknown or follows many that are.
            self.fault(name, place, "is one field too many");
        }
    }

    /// Notes what is wrong with a field.
    pub(crate) fn fault(&mut self, name: &str, place: Place, detail: impl Into<String>) {
        if self.problems.len() < FIELD_PROBLEMS_MAX {
            let field = name.chars().take(NAME_ECHO_CHARS_MAX).collect();
            self.problems.push(FieldProblem { field, place, detail: detail.into() });
        }
    }

    /// The value as it was given; JSON's null is as good as none.
    pub(crate) fn value(&mut self, place: Place, name: &str) -> Option<Value> {
        let index = self.given.iter().position(|given| given.place == place && given.name == name)?;
        let value = self.given.swap_remove(index).value;
        (!value.is_null()).then_some(value)
    }

    /// A whole number within bounds, if one is given.
    pub(crate) fn integer(&mut self, place: Place, name: &str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(place, name)?;
        let number = match (&value, place) {
            (Value::Number(number), Place::Body) => number.as_u64(),
            (Value::String(digits), Place::Path | Place::Query) => whole_number(digits),
            _ => None,
        };
        let found = number.filter(|number| bounds.contains(number));
        if found.is_none() {
            self.fault(name, place, format!("must be a whole number from {} to {}", bounds.start(), bounds.end()));
        }
        found
    }

    /// A text of 1 to `bytes_max` bytes without control characters, if one is given.
    pub(crate) fn text(&mut self, place: Place, name: &str, bytes_max: usize) -> Option<String> {
        let value = self.value(place, name)?;
        let good = |text: &String| !text.is_empty() && text.len() <= bytes_max && !text.contains(char::is_control);
        match value {
            Value::String(text) if good(&text) => Some(text),
            _ => {
                self.fault(name, place, format!("must be 1 to {bytes_max} bytes of text without control characters"));
                None
            }
        }
    }

    /// `true` or `false`, if one is given, of the query.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.value(Place::Query, name)?.as_str() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => {
                self.fault(name, Place::Query, "must be true or false");
                None
            }
        }
    }

    /// A field that must be there: notes that it is not, unless something else was wrong with it already.
    pub(crate) fn required<T: Default>(&mut self, place: Place, name: &str, value: Option<T>) -> T {
        let noted = self.problems.iter().any(|problem| problem.place == place && problem.field == name);
        if value.is_none() && !noted {
            self.fault(name, place, "must be given");
        }
        value.unwrap_or_default()
    }

    /// Is everything in order? What nobody has read is unknown.
    pub(crate) fn finish(mut self) -> Result<(), ApiProblem> {
        for given in std::mem::take(&mut self.given) {
            self.fault(&given.name, given.place, "is not known here");
        }
        if self.problems.is_empty() { Ok(()) } else { Err(ApiProblem::invalid(self.problems)) }
    }
}

/// Digits alone: neither a sign, nor a blank, nor another number's zeros in front.
fn whole_number(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}

/// The text that an escaped text stands for; `None` when it stands for none.
//= https://www.rfc-editor.org/rfc/rfc3986#section-2.1
pub(crate) fn decoded(text: &str, form: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            // As forms write a blank, and only they.
            b'+' if form => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_or_refused() {
        let check = |text: &str, form: bool, expected: Option<&str>| {
            assert_eq!(decoded(text, form).as_deref(), expected, "{text}");
        };
        check("sip%3Aanna%40example.org", false, Some("sip:anna@example.org"));
        check("a+b", false, Some("a+b"));
        check("a+b%2B", true, Some("a b+"));
        check("%C3%A4", false, Some("ä"));
        for torn in ["%", "%4", "%4g", "%FF", "%C3", "%+1"] {
            check(torn, false, None);
        }
    }

    #[test]
    fn a_number_in_the_query_is_digits_alone() {
        for (digits, expected) in [("0", Some(0)), ("7", Some(7)), ("18446744073709551615", Some(u64::MAX))] {
            assert_eq!(whole_number(digits), expected);
        }
        for digits in ["", "+1", "-1", "01", " 1", "1.0", "1e2", "18446744073709551616", "١"] {
            assert_eq!(whole_number(digits), None, "{digits}");
        }
    }

    #[test]
    fn a_key_that_is_given_twice_is_at_fault_at_any_depth() {
        let mut fields = Fields::default();
        fields.add_body(br#"{"facts":{"signature":{"age_s":1,"age_s":2},"age_s":3}}"#).expect("an object");
        fields.value(Place::Body, "facts").expect("facts");
        let problem = fields.finish().expect_err("a key twice");
        let found: Vec<(&str, &str)> = problem.fields.iter().map(|fault| (&*fault.field, &*fault.detail)).collect();
        assert_eq!((problem.status, &found[..]), (422, &[("facts.signature.age_s", "is given twice")][..]));
    }

    #[test]
    fn problems_are_counted_only_so_far() {
        let body: String = (0..1000).map(|index| format!("\"field{index}\":0,")).collect();
        let mut fields = Fields::default();
        fields.add_body(format!("{{{}}}", body.trim_end_matches(',')).as_bytes()).expect("an object");
        let problem = fields.finish().expect_err("unknown fields");
        assert_eq!(problem.fields.len(), FIELD_PROBLEMS_MAX);
    }
}
