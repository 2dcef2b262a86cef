//! What the media of a call is like while it lasts: its ports are asked what they have counted so far.
//!
//! ```text
//!  Command::Count ──► MediaCommand::Count, for each open port ──► MediaEvent::Counted ──► Calls::counts
//! ```

use crate::engine::Calls;
use crate::interface::Output;
use crate::ports::agreed;
use crate::state::{Call, Party, Port, PortState, Role};
use sx_engine::Time;
use sx_media::{Counted, Latch, MediaCommand, PeerReport, PortStats, TrafficClass, agreed_sound, remote};
use sx_types::{CallId, Codec};

/// What the open ports of a call have counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallCounts {
    /// A stream each: those of one party side by side, the caller's first.
    pub streams: Vec<StreamCounts>,
    /// Has each of them said so since it was asked?
    pub complete: bool,
}

/// A stream between a party and the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCounts {
    /// Whose.
    pub side: Side,
    /// Its place in the party's description.
    pub stream: u8,
    /// Sound or picture.
    pub class: TrafficClass,
    /// What its sound was agreed to be coded in.
    pub codec: Option<Codec>,
    /// When its port has said so; `None`: it has not.
    pub at: Option<Time>,
    /// What the port has counted.
    pub stats: PortStats,
    /// What the party says of what it receives.
    pub peer: Option<PeerReport>,
}

/// Whose side of the call a party is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// That of who has called.
    Caller,
    /// That of who was called.
    Called,
}

impl Calls {
    /// What the ports of a call have counted; complete when each has said so at `since` or later. `None`: there is no such
    /// call.
    pub fn counts(&self, call: CallId, since: Time) -> Option<CallCounts> {
        let call = self.slots.iter().find(|found| found.body.cdr.call == call)?;
        let parties = call.state.parties();
        let open = call.body.ports.iter().filter(|port| matches!(port.state, PortState::Open(_)));
        let mut streams: Vec<StreamCounts> =
            open.map(|port| stream_counts(port, parties.iter().copied().find(|party| party.leg == port.leg))).collect();
        streams.sort_by_key(|stream| (stream.side, stream.stream));
        let complete = streams.iter().all(|stream| stream.at.is_some_and(|at| at >= since));
        Some(CallCounts { streams, complete })
    }

    /// Asks the open ports of a call what they have counted.
    pub(crate) fn count_ports(&mut self, call: &mut Call) {
        for port in call.body.ports.iter().filter(|port| matches!(port.state, PortState::Open(_))) {
            self.out.push_back(Output::Media(MediaCommand::Count { port: port.id }));
        }
    }

    pub(crate) fn port_counted(&self, call: &mut Call, counted: &Counted) {
        if let Some(port) = call.body.ports.iter_mut().find(|port| port.id == counted.port) {
            port.counted = Some(Box::new((self.now, *counted)));
        }
    }
}

fn stream_counts(port: &Port, party: Option<&Party>) -> StreamCounts {
    let (at, counted) = port.counted.as_deref().copied().unzip();
    StreamCounts {
        side: match port.role {
            Role::Caller => Side::Caller,
            Role::Called => Side::Called,
        },
        stream: port.stream,
        class: port.class,
        codec: party.and_then(|party| codec_of(party, port.stream.into())),
        at,
        stats: counted.map(|counted| counted.stats).unwrap_or_default(),
        peer: counted.and_then(|counted| counted.peer),
    }
}

fn codec_of(party: &Party, stream: usize) -> Option<Codec> {
    let agreed = agreed(party)?;
    let sound = agreed_sound(agreed.told, agreed.said, stream);
    sound.or_else(|| remote(agreed.said, stream, Latch::Port)?.codec)
}
