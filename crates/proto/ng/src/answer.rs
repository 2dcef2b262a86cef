//! What is answered.

use crate::message::Notation;
use crate::value::{Dictionary, Value};
use crate::{bencode, json};

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<'a>(Dictionary<'a>);

impl<'a> Answer<'a> {
    /// The answer to a ping.
    pub fn pong() -> Self {
        Self::result("pong")
    }

    /// It was done.
    pub fn ok() -> Self {
        Self::result("ok")
    }

    /// It was done, and this description is to be passed on.
    pub fn description(sdp: &'a [u8]) -> Self {
        Self::ok().with("sdp", Value::Text(sdp.into()))
    }

    /// It was not done, and why.
    pub fn error(reason: &'a str) -> Self {
        Self::result("error").with("error-reason", Value::text(reason))
    }

    /// There is no room; clients that say so try another engine then.
    pub fn load_limit(message: &'a str) -> Self {
        Self::result("load limit").with("message", Value::text(message))
    }

    /// The same with another value.
    #[must_use]
    pub fn with(self, key: &'a str, value: Value<'a>) -> Self {
        Self(self.0.with(key, value))
    }

    /// The same with the values of a dictionary.
    #[must_use]
    pub fn with_all(mut self, values: Dictionary<'a>) -> Self {
        self.0.0.extend(values.0);
        self
    }

    /// As it is sent.
    pub fn write(self, cookie: &[u8], notation: Notation) -> Vec<u8> {
        let mut text = Vec::with_capacity(cookie.len() + 512);
        text.extend(cookie);
        text.push(b' ');
        let value = Value::Dictionary(self.0);
        match notation {
            Notation::Bencode => bencode::write(&value, &mut text),
            Notation::Json => json::write(&value, &mut text),
        }
        text
    }

    fn result(result: &'a str) -> Self {
        Self(Dictionary::default().with("result", Value::text(result)))
    }
}
