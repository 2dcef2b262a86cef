//! The ports of a branch: opened before they are named in a description, closed when nobody wants them.

use crate::call::{Branch, Call, Port, PortState};
use crate::engine::{NgCalls, Output};
use sx_media::{MediaCommand, PortId, PortStats, Profile, StreamSummary, streams};
use sx_ng::Options;

impl NgCalls {
    /// Opens the ports that face one side, as far as there are none. `receiver`: it is the one that receives the
    /// description, and this is what the client wishes.
    pub(crate) fn open_ports(
        &mut self,
        call: &mut Call,
        place: usize,
        side: usize,
        summaries: &[StreamSummary],
        receiver: Option<&Options<'_>>,
    ) {
        for (stream, summary) in summaries.iter().enumerate() {
            if summary.rejected || summary.profile == Profile::Other {
                continue;
            }
            let this = &call.branches[place].sides[side];
            if this.port(stream).is_some() {
                continue;
            }
            let said = this.said.as_ref().and_then(|said| streams(said).ok()).and_then(|said| said.first().cloned());
            let wanted =
                receiver.and_then(|options| options.ipv6).or(said.map(|said| said.ipv6)).unwrap_or(summary.ipv6);
            let ipv6 = if wanted { this.interface.ipv6 } else { !this.interface.ipv4 };
            let interface = this.interface.name.clone();
            let host = if receiver.is_none() { summary.address.map(|address| address.ip()) } else { None };
            let Some(id) = self.free_port(call) else { continue };
            let class = summary.traffic_class();
            call.branches[place].sides[side].ports.push(Port {
                id,
                stream,
                state: PortState::Opening,
                stats: PortStats::default(),
                patched: None,
            });
            let open = MediaCommand::Open { port: id, interface, ipv6, class, host, number: None };
            self.out.push_back(Output::Media(open));
        }
    }

    /// An id that no port of the call has.
    ///
    /// What is told of one that has closed may still be on its way: its id is the last to be taken again.
    fn free_port(&self, call: &mut Call) -> Option<PortId> {
        let base = u64::from(self.settings.worker) << 48 | call.unique << 8;
        let indices = (1..=255).map(|further| call.last_index.wrapping_add(further));
        let is_free = |index: &u8| call.ports().all(|port| port.id.0 & 0xff != u64::from(*index));
        call.last_index = indices.into_iter().find(is_free)?;
        Some(PortId(base | u64::from(call.last_index)))
    }

    /// Closes the ports of streams that one of the parties does not want.
    pub(crate) fn close_refused(&mut self, branch: &mut Branch, answer: &[StreamSummary], offer: &[StreamSummary]) {
        let wanted = |stream: usize| {
            [answer, offer].iter().all(|streams| streams.get(stream).is_some_and(|summary| !summary.rejected))
        };
        // A port that is opened again begins to count its packets anew, and under a key that was used before it must not.
        for side in branch.sides.iter_mut().filter(|side| !side.keyed) {
            for port in side.ports.iter().filter(|port| !wanted(port.stream)) {
                self.out.push_back(Output::Media(MediaCommand::Close { port: port.id }));
            }
            side.ports.retain(|port| wanted(port.stream));
        }
    }

    /// Forgets the ports that could not be opened, and a branch that has come to nothing with them.
    pub(crate) fn drop_failed(&mut self, call: &mut Call, place: usize) {
        let branch = &mut call.branches[place];
        if !branch.answered {
            return self.remove_branch(call, place);
        }
        branch.sides.iter_mut().for_each(|side| side.ports.retain(|port| port.state != PortState::Failed));
    }
}

/// What has become of the ports of a branch, all in all.
pub(crate) enum Ports {
    Opening,
    Failed,
    Open,
}

impl Ports {
    pub(crate) fn of(branch: &Branch) -> Self {
        let has = |state: PortState| branch.sides.iter().flat_map(|side| &side.ports).any(|port| port.state == state);
        match (has(PortState::Opening), has(PortState::Failed)) {
            (true, _) => Self::Opening,
            (false, true) => Self::Failed,
            (false, false) => Self::Open,
        }
    }
}
