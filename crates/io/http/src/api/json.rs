//! The JSON of a body: what is none is told from what is no object, and no key that is given twice is lost.

use super::bounds::FIELD_PROBLEMS_MAX;
use super::problem::ApiProblem;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// A value, and the keys within it that are given twice.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) value: Value,
    /// Each with the keys that it stands under, as `signature.age_s`. A few are enough.
    pub(super) doubled: Vec<String>,
}

/// The members of an object in the order given; serde's own map would keep the last of two of a name in silence.
///
/// # Errors
/// 400 when it is not JSON, to its end; 422 when it is, and no object.
pub(super) fn members(bytes: &[u8]) -> Result<Vec<(String, Whole)>, ApiProblem> {
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| malformed(&error))?;
    let members: Members = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    Ok(members.0)
}

fn malformed(error: &serde_json::Error) -> ApiProblem {
    if error.is_data() {
        // All of it is JSON; only an object has fields.
        return ApiProblem::new(422, "invalid-fields", "Fields are at fault", "the body must be a JSON object");
    }
    // Where, and not what: the error's own words may repeat the body.
    let detail = format!("the body is not JSON: line {}, column {}", error.line(), error.column());
    ApiProblem::new(400, "malformed-json", "The body is not JSON", detail)
}

struct Members(Vec<(String, Whole)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key()? {
            let mut doubled = Vec::new();
            let value = map.next_value_seed(At { path: "", doubled: &mut doubled })?;
            members.push((name, Whole { value, doubled }));
        }
        Ok(Members(members))
    }
}

/// Reads a value that stands at a path, and notes the keys within it that are given twice.
struct At<'d> {
    path: &'d str,
    doubled: &'d mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(At { path: self.path, doubled: &mut *self.doubled })? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            let value = map.next_value_seed(At { path: &path, doubled: &mut *self.doubled })?;
            if object.insert(name, value).is_some() && self.doubled.len() < FIELD_PROBLEMS_MAX {
                self.doubled.push(path);
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> Option<u16> {
        members(bytes).err().map(|problem| problem.status)
    }

    #[test]
    fn what_is_no_json_is_told_from_what_is_no_object() {
        for (text, expected) in [
            ("[".repeat(100_000), Some(400)),
            ("{\"a\":".repeat(100_000), Some(400)),
            ("[1".to_owned(), Some(400)),
            ("5 5".to_owned(), Some(400)),
            (String::new(), Some(400)),
            ("{\"a\":1}x".to_owned(), Some(400)),
            ("[1]".to_owned(), Some(422)),
            ("null".to_owned(), Some(422)),
            ("\"{}\"".to_owned(), Some(422)),
            ("{}".to_owned(), None),
        ] {
            assert_eq!(refusal(text.as_bytes()), expected, "{}", text.chars().take(20).collect::<String>());
        }
        // Deeper than anybody means: it ends at a bound, and not on the stack.
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(refusal(deep.as_bytes()), Some(400));
    }

    #[test]
    fn a_key_that_is_given_twice_is_named_wherever_it_stands() {
        let check = |text: &str, expected: &[&str]| {
            let members = members(text.as_bytes()).expect("an object");
            assert_eq!(members[0].1.doubled, expected, "{text}");
        };
        check(r#"{"facts":{"a":1,"b":{"c":1,"c":2},"a":{}}}"#, &["b.c", "a"]);
        check(r#"{"facts":[{"a":1,"a":1}]}"#, &["a"]);
        check(r#"{"facts":{"a":{"x":1},"b":{"x":1}}}"#, &[]);
        let value = r#"{"facts":{"i":-1,"u":18446744073709551615,"f":1.5,"t":"\u00e4","n":null,"l":[true,{}]}}"#;
        let whole: Value = serde_json::from_str(value).expect("JSON");
        assert_eq!(members(value.as_bytes()).expect("an object")[0].1.value, whole["facts"]);
    }
}
