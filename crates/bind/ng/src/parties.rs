//! Whom a request means that is about the media of a call that stands.

use crate::call::{Branch, Call, Side};
use std::cmp::Reverse;
use std::net::IpAddr;
use sx_media::streams;
use sx_ng::Request;

/// Whom a request means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parties {
    /// Nobody in particular: the whole call.
    Call,
    /// Everybody in it.
    All,
    /// This one, by its branches and its side of each.
    One(Vec<(usize, usize)>),
}

impl Call {
    /// Whom a request means, in the order in which other engines look; else why nobody is.
    pub(crate) fn parties(&self, request: &Request<'_>) -> Result<Parties, &'static str> {
        let control = &request.control;
        if control.all {
            return Ok(Parties::All);
        } else if control.label.is_some() {
            // Nobody is given a name here.
            return Err("No monologue matching the given label");
        } else if let Some(address) = control.address {
            let address = std::str::from_utf8(address).ok().and_then(|text| text.trim().parse::<IpAddr>().ok());
            let address = address.ok_or("Failed to parse network address")?;
            let found =
                self.sides().find(|(_, side)| side.is_at(address)).ok_or("Failed to match address to any tag")?;
            let tag = found.1.tag.as_deref();
            let same = |(place, side): &(_, &Side)| *place == found.0 || (tag.is_some() && side.tag.as_deref() == tag);
            return Ok(Parties::One(self.sides().filter(same).map(|(place, _)| place).collect()));
        }
        let Some(from) = request.from_tag else { return Ok(Parties::Call) };
        let own: Vec<_> = self.sides().filter(|(_, side)| side.is(from)).map(|(place, _)| place).collect();
        if own.is_empty() {
            return Err("From-tag given, but no such tag exists");
        }
        let other = |(place, side): &(usize, usize)| {
            request.to_tag.is_some_and(|to| self.branches[*place].sides[1 - side].is(to))
        };
        let towards: Vec<_> = own.iter().copied().filter(other).collect();
        Ok(Parties::One(if towards.is_empty() { own } else { towards }))
    }

    /// Those who take part in the sound of the call, each once: where it has answered, or was answered, last.
    pub(crate) fn talking(&self, meant: &Parties) -> Result<Vec<(usize, usize)>, &'static str> {
        let mut places: Vec<(usize, usize)> = match meant {
            Parties::Call => return Err("No participant party specified"),
            Parties::All => self.sides().map(|(place, _)| place).collect(),
            Parties::One(places) => places.clone(),
        };
        places.retain(|(place, _)| self.branches[*place].talks());
        places.sort_by_key(|(place, side)| (Reverse(self.branches[*place].answer), *side));
        let mut talking: Vec<(usize, usize)> = Vec::with_capacity(places.len());
        for (place, side) in places {
            let tag = |place: usize, side: usize| self.branches[place].sides[side].tag.as_deref();
            let is_known =
                |known: &(usize, usize)| tag(known.0, known.1).is_some_and(|tag| self.is_at(place, side, tag));
            if !talking.iter().any(is_known) {
                talking.push((place, side));
            }
        }
        if talking.is_empty() { Err("The participant has agreed on no media") } else { Ok(talking) }
    }

    /// The branch in which somebody was answered last, of those that go on.
    pub(crate) fn talking_branch(&self) -> Option<&Branch> {
        self.branches.iter().filter(|branch| branch.talks()).max_by_key(|branch| branch.answer)
    }

    fn is_at(&self, place: usize, side: usize, tag: &[u8]) -> bool {
        self.branches[place].sides[side].is(tag)
    }

    fn sides(&self) -> impl Iterator<Item = ((usize, usize), &Side)> {
        self.branches
            .iter()
            .enumerate()
            .flat_map(|(place, branch)| branch.sides.iter().enumerate().map(move |(side, it)| ((place, side), it)))
    }
}

impl Branch {
    /// Has somebody answered, and does it go on?
    pub(crate) fn talks(&self) -> bool {
        self.answered && self.ends.is_none()
    }
}

impl Side {
    /// Does what it has said name this address?
    fn is_at(&self, address: IpAddr) -> bool {
        let said = self.said.as_ref().and_then(|said| streams(said).ok()).unwrap_or_default();
        said.iter().any(|stream| stream.address.is_some_and(|named| named.ip() == address))
    }
}
