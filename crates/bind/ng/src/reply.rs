//! What requests are answered with.

use bytes::Bytes;
use sx_ng::{Answer, Dictionary, Notation, Value};

/// What a request is answered with, before it is written.
pub(crate) enum Reply {
    Ok,
    Description(Bytes),
    Report(Dictionary<'static>),
    Warning(&'static str),
    Error(String),
    LoadLimit,
}

impl Reply {
    pub(crate) fn error(reason: &str) -> Self {
        Self::Error(reason.to_owned())
    }

    /// What a deletion finds is not there.
    pub(crate) fn not_found(fatal: bool) -> Self {
        const NOT_FOUND: &str = "Call-ID not found or tags didn't match";
        if fatal { Self::error(NOT_FOUND) } else { Self::Warning(NOT_FOUND) }
    }

    pub(crate) fn full(supports_load_limit: bool) -> Self {
        if supports_load_limit { Self::LoadLimit } else { Self::error(FULL) }
    }

    pub(crate) fn write(self, cookie: &[u8], notation: Notation) -> Vec<u8> {
        match self {
            Self::Ok => Answer::ok().write(cookie, notation),
            Self::Description(sdp) => Answer::description(&sdp).write(cookie, notation),
            Self::Report(report) => Answer::ok().with_all(report).write(cookie, notation),
            Self::Warning(warning) => Answer::ok().with("warning", Value::text(warning)).write(cookie, notation),
            Self::Error(reason) => Answer::error(&reason).write(cookie, notation),
            Self::LoadLimit => Answer::load_limit(FULL).write(cookie, notation),
        }
    }
}

const FULL: &str = "Parallel session limit reached";
