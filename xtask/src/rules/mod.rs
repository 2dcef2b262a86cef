//! The rules. Each takes what it looks at and returns what it found; none reads a file while it checks.

pub(crate) mod calls;
pub(crate) mod engines;
pub(crate) mod headers;
pub(crate) mod layers;
pub(crate) mod licences;
pub(crate) mod register;
pub(crate) mod size;
pub(crate) mod words;
