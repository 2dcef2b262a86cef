//! What both sides know, as values: another process goes on with a stream where this one stopped.
//!
//! They hold the master keys, so they are as secret as those.

use super::master_key::{KeyError, MasterKey};
use super::protector::{MKI_BYTES_MAX, Protector};
use super::replay::{RTCP_INDEX_MAX, RTP_INDEX_MAX, ReplayWindow, Stream};
use super::sources::{SOURCES_MAX, Source, Sources};
use super::suite::Suite;
use super::unprotector::{Epoch, OVERLAP, Unprotector};
use crate::packet::Ssrc;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use thiserror::Error;

/// What a [`Protector`] knows.
///
/// Whoever goes on with it must not send a sequence number that was sent after it was taken; where that may happen,
/// there must be a new key. The same holds for RTCP, whose index is counted here:
/// [`skip_rtcp`](ProtectorState::skip_rtcp).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProtectorState {
    suite: Suite,
    master: MasterKey,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mki: Vec<u8>,
    rtp_packets: u64,
    rtcp_packets: u64,
    /// The first index of RTCP of a sender that is none of these.
    #[serde(default)]
    rtcp_first: u64,
    sources: Vec<SourceState>,
}

/// What an [`Unprotector`] knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnprotectorState {
    suite: Suite,
    #[serde(default)]
    mki_bytes: usize,
    current: EpochState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<EpochState>,
}

/// A state that no protector and no unprotector can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StateError {
    /// The key is not one of the suite, or the identifier is too long.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// More senders than can be counted, or one of them twice.
    #[error("too many senders, or one of them twice")]
    Sources,
    /// An index beyond its bits, or a replay window that does not begin with its highest index.
    #[error("an index or a replay window that cannot be")]
    Index,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EpochState {
    master: MasterKey,
    verified: u32,
    sources: Vec<SourceState>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceState {
    ssrc: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rtp: Option<StreamState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rtcp: Option<StreamState>,
}

/// The highest index and, unless nothing came under this key, the window behind it, the lower half first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamState {
    highest: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<[u64; 2]>,
}

impl Protector {
    /// What it knows.
    pub fn export(&self) -> ProtectorState {
        ProtectorState {
            suite: self.suite,
            master: self.master.clone(),
            mki: self.mki.to_vec(),
            rtp_packets: self.rtp_packets,
            rtcp_packets: self.rtcp_packets,
            rtcp_first: self.rtcp_first,
            sources: states(&self.sources),
        }
    }

    /// Goes on with what another has known.
    pub fn import(state: &ProtectorState) -> Result<Self, StateError> {
        let mut protector = Self::new(state.suite, &state.master)?;
        if !state.mki.is_empty() {
            protector = protector.with_mki(&state.mki)?;
        }
        protector.sources = sources(&state.sources)?;
        (protector.rtp_packets, protector.rtcp_packets) = (state.rtp_packets, state.rtcp_packets);
        protector.rtcp_first = state.rtcp_first;
        Ok(protector)
    }
}

impl ProtectorState {
    /// Leaves out so many indexes of RTCP for each sender, also for one that had sent none or is not known: as many as may have
    /// been used since the state was taken.
    pub fn skip_rtcp(&mut self, packets: u32) {
        // Also beyond those of every sender that is known: one whose place another takes comes back as one that is not.
        let used = self.sources.iter().filter_map(|source| source.rtcp).map(|rtcp| rtcp.highest.saturating_add(1));
        self.rtcp_first = used.fold(self.rtcp_first, u64::max).saturating_add(u64::from(packets));
        for source in &mut self.sources {
            let before = source.rtcp.map_or(0, |rtcp| rtcp.highest);
            // What cannot be stays so.
            let highest = before.saturating_add(packets.into()).min(RTCP_INDEX_MAX).max(before);
            source.rtcp = Some(StreamState { highest, window: None });
        }
        self.rtcp_packets = self.rtcp_packets.saturating_add(u64::from(packets));
    }
}

impl Unprotector {
    /// What it knows.
    pub fn export(&self) -> UnprotectorState {
        UnprotectorState {
            suite: self.suite,
            mki_bytes: self.mki_bytes,
            current: EpochState::of(&self.current),
            previous: self.previous.as_ref().map(EpochState::of),
        }
    }

    /// Goes on with what another has known.
    pub fn import(state: &UnprotectorState) -> Result<Self, StateError> {
        if state.mki_bytes > MKI_BYTES_MAX {
            return Err(KeyError::MkiLength.into());
        }
        let mut unprotector = Self::new(state.suite, &state.current.master)?;
        unprotector.mki_bytes = state.mki_bytes;
        state.current.fill(&mut unprotector.current)?;
        if let Some(previous) = &state.previous {
            let mut epoch = Epoch::new(state.suite, &previous.master)?;
            previous.fill(&mut epoch)?;
            unprotector.previous = Some(epoch);
        }
        Ok(unprotector)
    }
}

impl EpochState {
    fn of(epoch: &Epoch) -> Self {
        Self { master: epoch.master.clone(), verified: epoch.verified, sources: states(&epoch.sources) }
    }

    fn fill(&self, epoch: &mut Epoch) -> Result<(), StateError> {
        epoch.verified = self.verified.min(OVERLAP);
        epoch.sources = sources(&self.sources)?;
        Ok(())
    }
}

fn states(sources: &Sources) -> Vec<SourceState> {
    let state = |source: &Source| SourceState {
        ssrc: source.ssrc.0,
        rtp: stream_state(source.rtp),
        rtcp: stream_state(source.rtcp),
    };
    sources.iter().map(state).collect()
}

fn stream_state(stream: Stream) -> Option<StreamState> {
    match stream {
        Stream::Unseen => None,
        Stream::Expected(highest) => Some(StreamState { highest, window: None }),
        Stream::Seen(ReplayWindow { highest, seen }) => {
            Some(StreamState { highest, window: Some([seen as u64, (seen >> 64) as u64]) })
        }
    }
}

fn sources(states: &[SourceState]) -> Result<Sources, StateError> {
    let different: BTreeSet<u32> = states.iter().map(|state| state.ssrc).collect();
    if states.len() > SOURCES_MAX || different.len() < states.len() {
        return Err(StateError::Sources);
    }
    let mut entries = Vec::with_capacity(states.len());
    for SourceState { ssrc, rtp, rtcp } in states.iter().copied() {
        let (rtp, rtcp) = (stream(rtp, RTP_INDEX_MAX)?, stream(rtcp, RTCP_INDEX_MAX)?);
        entries.push(Source { ssrc: Ssrc(ssrc), rtp, rtcp });
    }
    Ok(Sources::of(entries))
}

fn stream(state: Option<StreamState>, index_max: u64) -> Result<Stream, StateError> {
    let Some(StreamState { highest, window }) = state else { return Ok(Stream::Unseen) };
    if highest > index_max {
        return Err(StateError::Index);
    }
    match window {
        None => Ok(Stream::Expected(highest)),
        Some([low, _]) if low & 1 == 0 => Err(StateError::Index),
        Some([low, high]) => Ok(Stream::Seen(ReplayWindow { highest, seen: u128::from(high) << 64 | u128::from(low) })),
    }
}
