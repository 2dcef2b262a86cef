//! Descriptions in a snapshot: as text where they are UTF-8, which nearly all are, else as numbers.

use bytes::Bytes;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

pub(crate) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    Written(bytes).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    Read::deserialize(deserializer).map(|read| read.0)
}

/// A description that there may be.
pub(crate) mod option {
    use super::{Bytes, Deserialize, Deserializer, Read, Serialize, Serializer, Written};

    pub(crate) fn serialize<S: Serializer>(bytes: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(Written).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
        Option::<Read>::deserialize(deserializer).map(|read| read.map(|read| read.0))
    }
}

struct Written<'b>(&'b Bytes);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_seq(self.0),
        }
    }
}

struct Read(Bytes);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a description, as text or as a list of bytes")
    }

    fn visit_str<E>(self, text: &str) -> Result<Read, E> {
        Ok(Read(Bytes::copy_from_slice(text.as_bytes())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Read, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = numbers.next_element()? {
            bytes.push(byte);
        }
        Ok(Read(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Said {
        #[serde(with = "super")]
        one: Bytes,
        #[serde(with = "super::option")]
        other: Option<Bytes>,
    }

    #[test]
    fn descriptions_are_text_and_what_is_none_survives() {
        let check = |one: &[u8], other: Option<&[u8]>, expected: &str| {
            let said = Said { one: Bytes::copy_from_slice(one), other: other.map(Bytes::copy_from_slice) };
            let text = serde_json::to_string(&said).expect("a value");
            assert_eq!(text, expected);
            assert_eq!(serde_json::from_str::<Said>(&text).expect("the same"), said);
        };
        check(b"v=0\r\n", None, r#"{"one":"v=0\r\n","other":null}"#);
        check(&[0xe4, 0x0d], Some(b"v"), r#"{"one":[228,13],"other":"v"}"#);
        // As it was written before.
        let said: Said = serde_json::from_str(r#"{"one":[118,61],"other":[48]}"#).expect("numbers");
        assert_eq!(said, Said { one: Bytes::from("v="), other: Some(Bytes::from("0")) });
        assert!(serde_json::from_str::<Said>(r#"{"one":[256],"other":null}"#).is_err());
        assert!(serde_json::from_str::<Said>(r#"{"one":7,"other":null}"#).is_err());
    }
}
