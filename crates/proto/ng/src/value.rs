//! What messages are made of, whatever they are written in.

use std::borrow::Cow;

/// A value of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number.
    Integer(i64),
    /// A string of bytes, of any meaning.
    Text(Cow<'a, [u8]>),
    /// Values in their order.
    List(Vec<Self>),
    /// Values by their names.
    Dictionary(Dictionary<'a>),
}

/// Values by their names, in the order in which they came: clients do not sort them, and need not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dictionary<'a>(pub(crate) Vec<(Cow<'a, [u8]>, Value<'a>)>);

/// How deep values may lie within each other.
pub const DEPTH_MAX: usize = 16;
/// How many values a message may have, those within others counted.
pub const VALUES_MAX: usize = 4_096;

impl<'a> Value<'a> {
    /// A string.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        match text.into() {
            Cow::Borrowed(text) => Self::Text(Cow::Borrowed(text.as_bytes())),
            Cow::Owned(text) => Self::Text(Cow::Owned(text.into_bytes())),
        }
    }

    /// A count. One that no peer could read is the greatest that can be.
    pub fn count(count: u64) -> Self {
        Self::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// Its bytes, where it is a string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text),
            Self::Integer(_) | Self::List(_) | Self::Dictionary(_) => None,
        }
    }

    /// Its number, where it is one, or a string that says one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok(),
            Self::List(_) | Self::Dictionary(_) => None,
        }
    }

    /// The strings of a list, or the one string.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let (one, many) = match self {
            Self::Text(text) => (Some(text.as_ref()), [].as_slice()),
            Self::List(values) => (None, values.as_slice()),
            Self::Integer(_) | Self::Dictionary(_) => (None, [].as_slice()),
        };
        one.into_iter().chain(many.iter().filter_map(Value::as_bytes))
    }
}

impl<'a> Dictionary<'a> {
    /// Adds a value.
    pub fn set(&mut self, key: impl Into<Cow<'a, str>>, value: Value<'a>) -> &mut Self {
        let Value::Text(key) = Value::text(key) else { return self };
        self.0.push((key, value));
        self
    }

    /// Adds a value, and gives the dictionary back.
    #[must_use]
    pub fn with(mut self, key: impl Into<Cow<'a, str>>, value: Value<'a>) -> Self {
        self.set(key, value);
        self
    }

    /// The first value of this name. Clients write spaces in names as spaces or as hyphens; `key` has hyphens.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(known, _)| is_same(known, key)).map(|(_, value)| value)
    }

    /// The values, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Value<'a>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }
}

/// Is a name, with spaces or hyphens, this one?
pub(crate) fn is_same(said: &[u8], name: &str) -> bool {
    let same = |(said, name): (&u8, u8)| *said == name || *said == b' ' && name == b'-';
    said.len() == name.len() && said.iter().zip(name.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_spaces_or_hyphens() {
        for (said, name, same) in [
            ("media address", "media-address", true),
            ("media-address", "media-address", true),
            ("media_address", "media-address", false),
            ("media addres", "media-address", false),
            ("ICE", "ice", false),
        ] {
            assert_eq!(is_same(said.as_bytes(), name), same, "{said}");
        }
    }

    #[test]
    fn a_list_of_strings_may_be_one_string() {
        let one = Value::text("fatal");
        let many = Value::List(vec![Value::text("a"), Value::Integer(3), Value::text("b")]);
        assert_eq!(one.texts().collect::<Vec<_>>(), [b"fatal"]);
        assert_eq!(many.texts().collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(Value::text(" 30").as_integer(), Some(30));
    }
}
