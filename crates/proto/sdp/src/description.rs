//! A description and what stands before its first media section.

use crate::media::{MediaLine, payload_type};
use crate::parse::word;
use crate::{Connection, Media, Origin};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use sx_types::PayloadType;

/// A session description, in lines that borrow its text.
#[derive(Clone, Debug)]
pub struct Description<'a> {
    pub(crate) origin: Origin<'a>,
    /// Every line but the blank ones. The first is `v=0`, and one before the first section is `o=`.
    pub(crate) lines: SmallVec<[Line<'a>; 32]>,
    pub(crate) sections: SmallVec<[Section<'a>; 2]>,
}

/// The lines of one media section, by their place in the description.
#[derive(Clone, Debug)]
pub(crate) struct Section<'a> {
    /// Its `m=` line.
    pub(crate) first: usize,
    /// The line after its last.
    pub(crate) end: usize,
    pub(crate) media: MediaLine<'a>,
}

/// One line: a letter and a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The letter before the equals sign.
    pub kind: u8,
    /// What follows it, without the line's end.
    pub value: &'a [u8],
}

/// Which way media flows, seen from the party that wrote the description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// It sends only: the other party is on hold.
    SendOnly,
    /// It receives only.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl<'a> Description<'a> {
    /// The lines before the first media section.
    pub fn session_lines(&self) -> &[Line<'a>] {
        let end = self.sections.first().map_or(self.lines.len(), |section| section.first);
        &self.lines[..end]
    }

    /// The media sections, in their order.
    pub fn media(&self) -> impl ExactSizeIterator<Item = Media<'_, 'a>> {
        self.sections.iter().map(|section| Media { description: self, section })
    }

    /// The media section at this place, counted from 0.
    pub fn media_at(&self, index: usize) -> Option<Media<'_, 'a>> {
        self.sections.get(index).map(|section| Media { description: self, section })
    }

    /// Who made the session.
    pub fn origin(&self) -> Origin<'a> {
        self.origin
    }

    /// The connection of every media section that has none of its own.
    pub fn connection(&self) -> Option<Connection<'a>> {
        connection(self.session_lines())
    }

    /// The direction of every media section that says none.
    pub fn direction(&self) -> Option<Direction> {
        direction(self.session_lines())
    }

    /// The value of the first session attribute of this name; empty for an attribute without value.
    pub fn attribute(&self, name: &str) -> Option<&'a [u8]> {
        attribute(self.session_lines(), name)
    }
}

impl<'a> Line<'a> {
    /// The value of the attribute, when this line is the attribute of this name; empty when it has none.
    /// Attribute names are case-sensitive.
    //= https://www.rfc-editor.org/rfc/rfc8866#section-5.13
    pub fn attribute(&self, name: &str) -> Option<&'a [u8]> {
        if self.kind != b'a' {
            return None;
        }
        match self.value.strip_prefix(name.as_bytes())? {
            [b':', value @ ..] => Some(value),
            rest => rest.trim_ascii().is_empty().then_some(&[]),
        }
    }

    /// The payload type that the attribute of this name speaks of, and what it says.
    pub(crate) fn described(&self, name: &str) -> Option<(PayloadType, &'a [u8])> {
        let (digits, rest) = word(self.attribute(name)?);
        Some((payload_type(digits)?, rest))
    }

    /// The name of the attribute, when this line is one.
    pub(crate) fn attribute_name(&self) -> Option<&'a [u8]> {
        let end = memchr::memchr(b':', self.value).unwrap_or(self.value.len());
        (self.kind == b'a').then(|| self.value[..end].trim_ascii_end())
    }

    pub(crate) fn direction(&self) -> Option<Direction> {
        let name = self.attribute_name()?;
        Direction::ALL.into_iter().find(|direction| direction.name().as_bytes() == name)
    }
}

impl Direction {
    const ALL: [Self; 4] = [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive];

    /// The direction of a party that sends, receives, both or neither.
    pub fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Does the party that wrote the description send?
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Does the party that wrote the description receive?
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same flow seen from the other party.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What both directions allow.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::new(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// The attribute: `sendrecv`, `sendonly`, `recvonly`, `inactive`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

pub(crate) fn connection<'a>(lines: &[Line<'a>]) -> Option<Connection<'a>> {
    lines.iter().find(|line| line.kind == b'c').and_then(|line| Connection::parse(line.value))
}

pub(crate) fn direction(lines: &[Line<'_>]) -> Option<Direction> {
    lines.iter().find_map(Line::direction)
}

pub(crate) fn attribute<'a>(lines: &[Line<'a>], name: &str) -> Option<&'a [u8]> {
    lines.iter().find_map(|line| line.attribute(name))
}
