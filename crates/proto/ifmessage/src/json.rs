//! JSON objects in which no member stands twice: who reads one and who has signed it are to mean the same.

use crate::ReadError;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Deserializer, Map, Number, Value};
use std::fmt;

/// Bytes of a message at most.
pub(crate) const BYTES_MAX: usize = 256 * 1024;

/// Integers beyond are not the same number for everybody.
//= https://www.rfc-editor.org/rfc/rfc7493#section-2.2
const INTEGER_MAX: u64 = (1 << 53) - 1;

pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, ReadError> {
    if bytes.len() > BYTES_MAX {
        return Err(ReadError::TooLong { bytes: bytes.len(), bytes_max: BYTES_MAX });
    }
    let wrong = |error: serde_json::Error| ReadError::Json(error.to_string().into());
    let mut reader = Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut reader).map_err(wrong)?;
    reader.end().map_err(wrong)?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(ReadError::Json("something else stands there".into())),
    }
}

/// Any value, but no member twice and no integer that loses digits elsewhere.
//= https://www.rfc-editor.org/rfc/rfc7493#section-2.3
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        if value > INTEGER_MAX { Err(E::custom("an integer beyond 2^53")) } else { Ok(value.into()) }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > INTEGER_MAX { Err(E::custom("an integer beyond 2^53")) } else { Ok(value.into()) }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is none"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = access.next_element_seed(Self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value_seed(Self)?;
            if object.contains_key(&name) {
                let shown: String = name.chars().take(64).collect();
                return Err(de::Error::custom(format_args!("{shown:?} stands there twice")));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}
