//! Calls, their branches, the two sides of each, and the ports that face them.

use crate::blocking::Blocks;
use crate::codecs::AnswerTerms;
use crate::engine::Waiting;
use crate::keys::KeysWaiting;
use crate::patching::Patched;
use crate::playing::Plays;
use crate::recording::Recorded;
use crate::settings::Interface;
use crate::settling::Coded;
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::IpAddr;
use sx_engine::{Time, TimerId};
use sx_media::{Agreed, Keyring, Latch, Opened, PortId, PortStats, SessionVersion};

/// A call, by its Call-ID.
#[derive(Debug)]
pub(crate) struct Call {
    /// Its number in the ids of its ports.
    pub(crate) unique: u64,
    pub(crate) id: Box<[u8]>,
    pub(crate) created: Time,
    /// When the client last asked for something.
    pub(crate) signalled: Time,
    /// When a party last sent something, as far as was looked.
    pub(crate) heard: Time,
    /// What all parties had sent by then.
    pub(crate) received: u64,
    pub(crate) branches: Vec<Branch>,
    /// The lowest byte of the id of the port that was opened last.
    pub(crate) last_index: u8,
    /// Requests in their order. The first is being carried out.
    pub(crate) waiting: VecDeque<Waiting>,
    /// Ports that are being counted.
    pub(crate) counting: usize,
    /// The counts are for the look at who is silent.
    pub(crate) watching: bool,
    pub(crate) timer: Option<TimerId>,
    pub(crate) impatience: Option<TimerId>,
    /// Goes up with each answer.
    pub(crate) last_answer: u64,
    /// What of everybody does not pass.
    pub(crate) blocks: Blocks,
    /// The number of the sound that was begun last.
    pub(crate) last_played: u16,
    /// Digits that wait for their turn.
    pub(crate) keys: KeysWaiting,
    pub(crate) recorded: Recorded,
}

/// What the caller and one of those whom the call may reach have to do with each other.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) via: Option<Box<[u8]>>,
    pub(crate) sides: [Side; 2],
    /// Sound may have to be coded anew: a proxy has asked for it once.
    pub(crate) recodes: bool,
    /// Streams whose sound is.
    pub(crate) recoded: usize,
    /// An offer has been answered.
    pub(crate) answered: bool,
    /// Which answer of the call the last one was.
    pub(crate) answer: u64,
    /// Something is put into its sound, or taken out, or was once: what goes on is sent from sources of ours.
    pub(crate) governed: bool,
    /// It was deleted, and its ports close then.
    pub(crate) ends: Option<Time>,
}

/// A party of a branch.
#[derive(Debug)]
pub(crate) struct Side {
    /// Its tag; `None`: it has not said it yet.
    pub(crate) tag: Option<Box<[u8]>>,
    pub(crate) created: Time,
    /// What it has said last.
    pub(crate) said: Option<Bytes>,
    /// What it was told last.
    pub(crate) told: Option<Bytes>,
    pub(crate) session: SessionVersion,
    pub(crate) keys: Keyring,
    /// It was told a key of them.
    pub(crate) keyed: bool,
    pub(crate) interface: Interface,
    pub(crate) travels: Option<Travels>,
    /// What it was told and had said when both sides were last connected.
    pub(crate) agreed: Option<(Bytes, Bytes)>,
    /// A port that it offers to share between RTP and RTCP is refused.
    pub(crate) mux_rejected: bool,
    /// The streams that it has offered that for in vain.
    pub(crate) mux_refused: Vec<bool>,
    /// How the answer to its last offer comes to it.
    pub(crate) terms: AnswerTerms,
    /// How sound is coded for it.
    pub(crate) coded: Coded,
    pub(crate) trust: Trust,
    /// What of it does not pass.
    pub(crate) blocks: Blocks,
    /// What it hears in the place of the other one.
    pub(crate) plays: Plays,
    /// The digits that are sent in its name are over then.
    pub(crate) keys_until: Time,
    pub(crate) ports: Vec<Port>,
}

/// How the media of a side travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Travels {
    pub(crate) protection: Protection,
    /// RFC 4585.
    pub(crate) feedback: bool,
}

/// Where the keys of a side come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protection {
    /// It has none.
    #[default]
    Clear,
    /// They stand in descriptions.
    Sdes,
    /// A handshake yields them.
    Dtls,
}

/// Which addresses a side is believed at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    /// Where its SIP messages come from.
    pub(crate) signalling: Option<IpAddr>,
    /// That alone is believed, and not what its description says.
    pub(crate) signalling_only: bool,
    /// It sends from elsewhere than it receives.
    pub(crate) asymmetric: bool,
}

/// A port that faces a stream of a side.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) id: PortId,
    pub(crate) stream: usize,
    pub(crate) state: PortState,
    pub(crate) stats: PortStats,
    /// Where its packets go, as the packet threads know it.
    pub(crate) patched: Option<Patched>,
}

/// What has become of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortState {
    Opening,
    Open(Opened),
    Failed,
}

impl Call {
    /// Every port there is.
    pub(crate) fn ports(&self) -> impl Iterator<Item = &Port> {
        self.branches.iter().flat_map(|branch| &branch.sides).flat_map(|side| &side.ports)
    }

    pub(crate) fn ports_mut(&mut self) -> impl Iterator<Item = &mut Port> {
        self.branches.iter_mut().flat_map(|branch| &mut branch.sides).flat_map(|side| &mut side.ports)
    }

    /// The branch that an offer means, and which of its sides makes it. `None`: it is a new one.
    pub(crate) fn offered(&self, from: &[u8], to: Option<&[u8]>, via: Option<&[u8]>) -> Option<(usize, usize)> {
        match to {
            Some(to) => self.between(from, to).or_else(|| self.without_answer(from, via)),
            None => self.without_answer(from, via),
        }
    }

    /// The branch that an answer means, and which of its sides has made the offer. A party that nobody has heard of takes
    /// the place of one that has not answered, or else of the one that was offered last: some forks are not told of.
    pub(crate) fn answered(&self, from: &[u8], to: &[u8], via: Option<&[u8]>) -> Option<(usize, usize)> {
        let by_branch = || via.and_then(|_| self.find(|branch, side| branch.of(via) && branch.sides[side].is(from)));
        let open = || self.find(|branch, side| branch.sides[side].is(from) && branch.sides[1 - side].tag.is_none());
        let last = || self.find(|branch, side| branch.sides[side].is(from));
        self.between(from, to).or_else(by_branch).or_else(open).or_else(last)
    }

    /// The branches that a deletion or a query means.
    pub(crate) fn meant(&self, from: Option<&[u8]>, to: Option<&[u8]>, via: Option<&[u8]>) -> Vec<usize> {
        let has = |branch: &Branch, tag: &[u8]| branch.sides.iter().any(|side| side.is(tag));
        let meant = |branch: &Branch| {
            let tags = [from, to].into_iter().flatten().filter(|tag| !tag.is_empty());
            // A branch whose other side has not answered is meant by whatever tag that side may have.
            let unknown = branch.sides.iter().any(|side| side.tag.is_none());
            let matching = tags.clone().filter(|tag| has(branch, tag)).count();
            let wanted = tags.count();
            (matching == wanted || (matching > 0 && unknown))
                && (via.is_none() || branch.via.is_none() || branch.of(via))
        };
        let all = self.branches.iter().enumerate();
        all.filter(|(_, branch)| meant(branch)).map(|(place, _)| place).collect()
    }

    /// What of a party does not pass in the branches that it has.
    pub(crate) fn blocks_of(&self, tag: &[u8]) -> Blocks {
        let sides = self.branches.iter().flat_map(|branch| &branch.sides);
        sides.filter(|side| side.is(tag)).fold(Blocks::default(), |all, side| all.with(side.blocks))
    }

    fn between(&self, from: &[u8], to: &[u8]) -> Option<(usize, usize)> {
        self.find(|branch, side| branch.sides[side].is(from) && branch.sides[1 - side].is(to))
    }

    /// A branch that was begun without a branch of Via is taken for any.
    fn without_answer(&self, from: &[u8], via: Option<&[u8]>) -> Option<(usize, usize)> {
        let open = |branch: &Branch, side: usize| branch.sides[side].is(from) && branch.sides[1 - side].tag.is_none();
        let same = self.find(|branch, side| open(branch, side) && branch.via.as_deref() == via);
        same.or_else(|| self.find(|branch, side| open(branch, side) && branch.via.is_none()))
    }

    /// The newest branch that fits.
    fn find(&self, fits: impl Fn(&Branch, usize) -> bool) -> Option<(usize, usize)> {
        let places = self.branches.iter().enumerate().rev();
        places
            .flat_map(|(place, branch)| [(place, 0, branch), (place, 1, branch)])
            .find_map(|(place, side, branch)| fits(branch, side).then_some((place, side)))
    }
}

impl Branch {
    /// One of which nobody has said anything yet.
    pub(crate) fn new(via: Option<Box<[u8]>>, sides: [Side; 2]) -> Self {
        Self { via, sides, recodes: false, recoded: 0, answered: false, answer: 0, governed: false, ends: None }
    }

    /// Has it this branch of Via?
    fn of(&self, via: Option<&[u8]>) -> bool {
        via.is_some() && self.via.as_deref() == via
    }
}

impl Side {
    pub(crate) fn is(&self, tag: &[u8]) -> bool {
        self.tag.as_deref() == Some(tag)
    }

    /// The open ports by stream.
    pub(crate) fn opened(&self) -> Vec<Option<Opened>> {
        let mut opened = Vec::new();
        for port in &self.ports {
            let PortState::Open(open) = port.state else { continue };
            if opened.len() <= port.stream {
                opened.resize(port.stream + 1, None);
            }
            opened[port.stream] = Some(open);
        }
        opened
    }

    pub(crate) fn port(&self, stream: usize) -> Option<&Port> {
        self.ports.iter().find(|port| port.stream == stream)
    }

    pub(crate) fn port_mut(&mut self, stream: usize) -> Option<&mut Port> {
        self.ports.iter_mut().find(|port| port.stream == stream)
    }

    /// The two descriptions by which its media is understood.
    pub(crate) fn agreed(&self) -> Option<Agreed<'_>> {
        Some(Agreed { told: self.told.as_ref()?, said: self.said.as_ref()? })
    }
}

impl Trust {
    /// Whom a port believes when the party says that it is at `said`, and where the party is then.
    pub(crate) fn latch(self, said: IpAddr) -> (Latch, IpAddr) {
        let place = self.signalling.filter(|_| self.signalling_only).unwrap_or(said);
        match self.asymmetric {
            true => (Latch::Host, place),
            false => (Latch::towards(place, self.signalling), place),
        }
    }
}
