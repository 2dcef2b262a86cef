//! `[[route]]`: where a number leads.

use crate::value::SipUri;
use std::sync::Arc;
use std::time::Duration;
use sx_route::Pattern;
use sx_types::Cause;

/// One route. Of those whose callers and number match, the one with the most specific number is taken; their order
/// decides between equally specific ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its name, unique.
    pub name: Arc<str>,
    /// Whose calls it is for.
    pub callers: Callers,
    /// Which numbers it is for.
    pub number: NumberMatch,
    /// Characters taken off the front of the number.
    pub strip: usize,
    /// What is then put in front of it.
    pub prepend: Arc<str>,
    /// Where the call goes, sorted by priority (lowest first); never empty.
    pub targets: Vec<Target>,
    /// How long each target may ring.
    pub ring_timeout: Duration,
}

/// Whose calls a route is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Everybody's.
    Anyone,
    /// Those of these trunks, and of users when so said.
    Only {
        /// Names of trunks that exist.
        trunks: Vec<Arc<str>>,
        /// Users who are registered or have authenticated.
        users: bool,
    },
}

/// Which numbers a route is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumberMatch {
    /// Every number.
    Any,
    /// This one.
    Exact(Arc<str>),
    /// Those that begin so.
    Prefix(Arc<str>),
    /// Those of this shape.
    Pattern(Pattern),
}

/// One place a route leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where.
    pub kind: TargetKind,
    /// The share of calls among targets of the same priority.
    pub weight: u16,
    /// Lower ones are tried first.
    pub priority: u16,
}

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// At a trunk.
    Trunk {
        /// The name of a trunk that exists and has an address.
        name: Arc<str>,
        /// The user part it is called with.
        user_rewrite: UserRewrite,
    },
    /// At the registered user whom the number names.
    Users,
    /// In a room of this name, which exists.
    Room(Arc<str>),
    /// At an announcement.
    Announcement {
        /// Its sound, which is a tone or in the folder of sounds.
        sound: Arc<str>,
        /// The caller is answered to hear it.
        answer: bool,
        /// Why a caller is refused that has heard it.
        cause: Cause,
    },
    /// At this URI.
    Uri(SipUri),
    /// At the address that was dialled, when its domain is not ours.
    Dialled,
}

/// A text in which `{user}` stands for the number, after `strip` and `prepend`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRewrite(pub Arc<str>);

impl NumberMatch {
    /// How many characters every number that matches is sure to have.
    pub fn shortest(&self) -> usize {
        match self {
            Self::Any => 0,
            Self::Exact(text) | Self::Prefix(text) => text.chars().count(),
            Self::Pattern(pattern) => pattern.shortest(),
        }
    }

    /// Is the route for this number?
    pub fn matches(&self, number: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => **exact == *number,
            Self::Prefix(prefix) => number.starts_with(&**prefix),
            Self::Pattern(pattern) => pattern.accepts(number),
        }
    }
}
