//! What a tick has brought: the mixes, who hears which, and who speaks.

use crate::Rate;
use crate::member::Member;
use crate::mixing::Work;
use crate::settings::MemberId;

/// What has become of a room's speakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomEvent {
    /// Somebody has begun to speak, a tenth of a second ago.
    Speaking(MemberId),
    /// Somebody has stopped, 0.4 s ago, or was muted. Not told of somebody who leaves.
    Quiet(MemberId),
    /// Somebody else is in front, or nobody, since the one who was has left.
    Dominant(Option<MemberId>),
}

/// Whose mix it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MixKind {
    /// What everybody hears who adds nothing to it. Those who do, hear it without themselves. At each rate it is one
    /// stream, from tick to tick, whoever hears it.
    Common,
    /// What some hear in this tick, usually one.
    Particular,
}

/// One of the mixes of a tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix<'a> {
    /// The rate of its samples.
    pub rate: Rate,
    /// Whose it is.
    pub kind: MixKind,
    /// Is there nothing in it? All samples are zero then, and need not be encoded.
    pub silent: bool,
    /// A frame.
    pub samples: &'a [i16],
}

/// The output of a room for 20 ms.
///
/// Who hears the same mix, as all do who do not speak, shares it, so that it need be encoded only once for each codec
/// and rate. A codec that remembers what it has encoded needs an encoder for the [common](MixKind::Common) mix of
/// each rate and one for each member who has spoken.
#[derive(Clone, Copy, Debug)]
pub struct Tick<'a> {
    work: &'a Work,
    members: &'a [Member],
    events: &'a [RoomEvent],
}

impl<'a> Tick<'a> {
    pub(crate) fn new(work: &'a Work, members: &'a [Member], events: &'a [RoomEvent]) -> Self {
        Self { work, members, events }
    }

    /// The distinct mixes; their places are what [`mix_of`](Self::mix_of) and [`hearers`](Self::hearers) name.
    pub fn mixes(&self) -> impl ExactSizeIterator<Item = Mix<'a>> + use<'a> {
        let work = self.work;
        (0..work.mixes.len()).map(|number| work.mix(number))
    }

    /// The mix at a place.
    pub fn mix(&self, number: usize) -> Option<Mix<'a>> {
        (number < self.work.mixes.len()).then(|| self.work.mix(number))
    }

    /// The place of the mix that a member hears; none if it is not there.
    pub fn mix_of(&self, id: MemberId) -> Option<usize> {
        self.members.binary_search_by_key(&id, |member| member.id).ok().map(|place| self.members[place].mix)
    }

    /// Each member, in the order of their ids, with the place of the mix that it hears.
    pub fn hearers(&self) -> impl ExactSizeIterator<Item = (MemberId, usize)> + use<'a> {
        self.members.iter().map(|member| (member.id, member.mix))
    }

    /// What has become of the speakers.
    pub const fn events(&self) -> &'a [RoomEvent] {
        self.events
    }
}
