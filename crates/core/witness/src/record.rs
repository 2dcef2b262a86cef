//! What a record says, before it is text.

use crate::kind::Kind;
use std::borrow::Cow;
use std::cmp::Ordering;
use sx_engine::Time;
use sx_types::{CallId, TraceId};

/// Integers beyond this, either way, are not the same number to everybody who reads JSON; they are written as text.
//= https://www.rfc-editor.org/rfc/rfc8785#section-3.2.2.3
pub const NUMBER_MAX: i64 = (1 << 53) - 1;

/// One thing that is a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// An integer. One beyond [`NUMBER_MAX`], either way, is written as a text.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// Several, in their order.
    List(Vec<Value<'a>>),
    /// Named facts.
    Facts(Facts<'a>),
}

/// Named facts, in the order of their names; each name stands once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts<'a>(Vec<(&'static str, Value<'a>)>);

/// A record as its author knows it: all but its number and the hash of the record before. Empty texts are left out.
///
/// ```
/// use sx_engine::Time;
/// use sx_witness::{Draft, Facts, Kind};
///
/// let draft = Draft { outcome: "answered", facts: Facts::new().with("legs", 2), ..Draft::new(Time::ZERO, Kind::Connected) };
/// assert!(draft.actor.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft<'a> {
    /// When it happened.
    pub time: Time,
    /// What it is about.
    pub kind: Kind,
    /// Who did it.
    pub actor: &'a str,
    /// To whom or to what.
    pub subject: &'a str,
    /// What came of it.
    pub outcome: &'a str,
    /// Why.
    pub reason: &'a str,
    /// The call it belongs to.
    pub call: Option<CallId>,
    /// The story it belongs to.
    pub trace: Option<TraceId>,
    /// Which version of the rules was in force.
    pub policy_version: &'a str,
    /// What else is to be said.
    pub facts: Facts<'a>,
}

impl Draft<'_> {
    /// A record that says only when and what.
    pub fn new(time: Time, kind: Kind) -> Self {
        Self {
            time,
            kind,
            actor: "",
            subject: "",
            outcome: "",
            reason: "",
            call: None,
            trace: None,
            policy_version: "",
            facts: Facts::new(),
        }
    }
}

impl<'a> Facts<'a> {
    /// None.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// These and one more. A name that is there already gets the new value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value<'a>>) -> Self {
        self.push(name, value);
        self
    }

    /// Adds one. A name that is there already gets the new value.
    pub fn push(&mut self, name: &'static str, value: impl Into<Value<'a>>) {
        let value = value.into();
        match self.0.binary_search_by(|(there, _)| by_utf16(there, name)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name, value)),
        }
    }

    /// These and those. A name that is there already gets the new value.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        more.0.into_iter().for_each(|(name, value)| self.push(name, value));
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(&'static str, Value<'a>)> {
        self.0.iter()
    }
}

/// The order of names. It is that of their bytes, except that what UTF-16 writes as two surrogates comes before U+E000.
//= https://www.rfc-editor.org/rfc/rfc8785#section-3.2.3
pub(crate) fn by_utf16(left: &str, right: &str) -> Ordering {
    if left.is_ascii() && right.is_ascii() { left.cmp(right) } else { left.encode_utf16().cmp(right.encode_utf16()) }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl<'a> From<Facts<'a>> for Value<'a> {
    fn from(facts: Facts<'a>) -> Self {
        Self::Facts(facts)
    }
}

impl<'a, V: Into<Value<'a>>> From<Vec<V>> for Value<'a> {
    fn from(values: Vec<V>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

macro_rules! numbers {
    ($($small:ty),+; $($large:ty),+) => {
        $(impl From<$small> for Value<'_> {
            fn from(number: $small) -> Self {
                Self::Number(i64::from(number))
            }
        })+
        $(impl From<$large> for Value<'_> {
            /// A number that is too large for JSON becomes a text.
            fn from(number: $large) -> Self {
                i64::try_from(number).map_or_else(|_| Self::Text(Cow::Owned(number.to_string())), Self::Number)
            }
        })+
    };
}
numbers!(i8, i16, i32, i64, u8, u16, u32; u64, usize, isize);
