//! The media ports of a call: opened before they are named in a description, closed with the leg they face.

use crate::alarm::Alarm;
use crate::codecs::terms;
use crate::engine::Calls;
use crate::hold::{Heard, heard};
use crate::interface::Output;
use crate::state::{Body, Call, Party, Place, Port, PortState, Role, State, relayed};
use bytes::Bytes;
use smallvec::SmallVec;
use std::net::IpAddr;
use sx_media::{
    Agreed, Closed, Latch, MediaCommand, MediaError, MediaEvent, Opened, PortId, PortMemory, Profile, Remote,
    StreamSummary, TrafficClass, agreed_keys, agreed_sound, check_keys, remote, streams,
};
use sx_route::{LatchMode, MediaMode};
use sx_types::{Cause, LegId};

/// Can a description be passed on now?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Every port it needs is open.
    Ready,
    /// Some are being opened.
    Waiting,
}

/// Why a description cannot be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undeliverable {
    /// The party that wrote it is at fault.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The party that wrote it asks for more than anybody may.
    #[error("the description has more streams than are allowed")]
    TooManyStreams,
}

impl Undeliverable {
    pub(crate) fn cause(self) -> Cause {
        match self {
            Self::Media(MediaError::Description(_)) => Cause::INVALID_MESSAGE,
            Self::Media(MediaError::NothingAllowed) => Cause::NOT_IMPLEMENTED,
            Self::Media(_) | Self::TooManyStreams => Cause::INCOMPATIBLE,
        }
    }
}

/// Ports are named `worker (16 bits) | call (40 bits) | index (8 bits)`.
pub(crate) fn unique_of(port: PortId) -> u64 {
    port.0 >> 8 & UNIQUE_MASK
}

/// What the ids of a call's ports have in common.
pub(crate) fn port_base(worker: u16, unique: u64) -> u64 {
    u64::from(worker) << 48 | unique << 8
}

pub(crate) const UNIQUE_MASK: u64 = (1 << 40) - 1;

/// So many ports of a call have a name of their own.
pub(crate) const PORTS_MAX: usize = 256;

impl Calls {
    /// Opens the ports that an offer needs on the sides of both parties, as far as there are none.
    /// `author` is the leg of the one that wrote it.
    pub(crate) fn prepare(
        &mut self,
        call: &mut Call,
        description: &Bytes,
        author: LegId,
        parties: [&Party; 2],
    ) -> Result<Readiness, Undeliverable> {
        let summaries = streams(description)?;
        if summaries.len() > usize::from(self.settings.streams_max) {
            return Err(Undeliverable::TooManyStreams);
        }
        // What is to be relayed always has been looked at; of a party whose media passes us by it turns out only now.
        let unchecked = |party: &&Party| party.leg == author && party.access.mode != MediaMode::Relay;
        if let Some(party) = parties.into_iter().find(unchecked) {
            check_keys(description, terms(&party.access), &self.settings.means)?;
        }
        // A room is no party that packets are sent to.
        let faced = parties.into_iter().filter(|party| !party.is_room());
        let ready: SmallVec<[Readiness; 2]> =
            faced.map(|party| self.open_ports(call, party, &summaries, party.leg == author)).collect();
        Ok(if ready.contains(&Readiness::Waiting) { Readiness::Waiting } else { Readiness::Ready })
    }

    /// Opens the ports that face one party. `summaries`: the streams, of whichever party's description;
    /// `own`: it is this party's.
    pub(crate) fn open_ports(
        &mut self,
        call: &mut Call,
        party: &Party,
        summaries: &[StreamSummary],
        own: bool,
    ) -> Readiness {
        // A party that has made a description has said which family it wants; another one is configured. The family in
        // the other party's description says nothing of this one.
        let said = party.said.as_ref().and_then(|said| streams(said).ok()).unwrap_or_default();
        let mut readiness = Readiness::Ready;
        for (stream, summary) in summaries.iter().enumerate() {
            if summary.rejected || summary.profile == Profile::Other {
                continue;
            }
            // At most `streams_max` of them, which is a byte.
            let place = stream as u8;
            let state = call.body.ports.iter().find(|port| port.leg == party.leg && port.stream == place);
            match state.map(|port| port.state) {
                Some(PortState::Open(_)) => continue,
                Some(PortState::Opening | PortState::Closing) => {}
                None => {
                    let of_its_own = if own { Some(summary) } else { said.get(stream).or(said.first()) };
                    let ipv6 = of_its_own.map_or(party.access.ipv6, |own| own.ipv6);
                    self.open_port(call, party, place, summary.traffic_class(), ipv6);
                }
            }
            readiness = Readiness::Waiting;
        }
        readiness
    }

    fn open_port(&mut self, call: &mut Call, party: &Party, stream: u8, class: TrafficClass, ipv6: bool) {
        let base = port_base(self.settings.worker, call.body.unique);
        let used = |id: PortId| call.body.ports.iter().any(|port| port.id == id);
        // A call that has 256 ports open at once has exceeded every other limit before; then the last is shared.
        let id = (0..=255).map(|index| PortId(base | index)).find(|id| !used(*id)).unwrap_or(PortId(base | 255));
        let interface = party.access.interface.clone();
        call.body.ports.push(Port {
            id,
            leg: party.leg,
            stream,
            role: party.role,
            interface: interface.clone(),
            class,
            state: PortState::Opening,
            memory: None,
            asked: 0,
            outdated: false,
            counted: None,
        });
        let host = party.access.host;
        self.out.push_back(Output::Media(MediaCommand::Open { port: id, interface, ipv6, class, host, number: None }));
        if !call.alarms.iter().any(|set| set.alarm == Alarm::Ports) {
            self.set_alarm(call, Alarm::Ports, self.settings.port_wait);
        }
    }

    /// Tells the ports that face a party where it is.
    pub(crate) fn set_remotes(&mut self, body: &Body, party: &Party, description: &Bytes) {
        for (id, _) in open_of(body, party.leg) {
            let port = body.ports.iter().find(|port| port.id == id);
            let Some(stream) = port.map(|port| usize::from(port.stream)) else { continue };
            // Where it is not known with which key, nothing is sent and nothing believed.
            let keys = party.told.as_ref().map(|told| agreed_keys(&told.text, description, stream));
            let (Some(remote), Some(Ok(keys))) = (remote(description, stream, Latch::Port), keys) else { continue };
            let agreed = party.told.as_ref().and_then(|told| agreed_sound(&told.text, description, stream));
            let latch = latch_of(party, remote.rtp.ip());
            let remote = Remote { latch, codec: agreed.or(remote.codec), ..remote };
            let keys = keys.map(Box::new);
            self.out.push_back(Output::Media(MediaCommand::SetRemote { port: id, remote, keys }));
        }
    }

    /// Connects the ports of two parties, stream by stream, both ways.
    pub(crate) fn patch(&mut self, body: &Body, one: &Party, other: &Party) {
        for port in body.ports.iter().filter(|port| port.leg == one.leg && matches!(port.state, PortState::Open(_))) {
            let facing = body.ports.iter().find(|peer| {
                peer.leg == other.leg && peer.stream == port.stream && matches!(peer.state, PortState::Open(_))
            });
            if let Some(peer) = facing {
                let both = match body.asks() {
                    true => self.conversions_asked(one, other, port.stream.into()),
                    false => self.conversions_between(one, other, port.stream.into()),
                };
                let (there, back) = both.map(|[there, back]| (Box::new(there), Box::new(back))).unzip();
                for (from, to, conversion, pair) in
                    [(port.id, peer.id, there, (one, other)), (peer.id, port.id, back, (other, one))]
                {
                    let play = |playing| MediaCommand::Play { port: to, playing: Some(Box::new(playing)) };
                    let nowhere = MediaCommand::Patch { from, to: None, conversion: None };
                    let commands = match heard(body, pair.0, pair.1, port.stream) {
                        Heard::Speaker => [Some(MediaCommand::Patch { from, to: Some(to), conversion }), None],
                        Heard::Sound(playing) => [Some(play(playing)), None],
                        Heard::Instead(playing) => [Some(nowhere), Some(play(playing))],
                        Heard::Nothing => [Some(nowhere), None],
                    };
                    self.out.extend(commands.into_iter().flatten().map(Output::Media));
                }
            }
        }
    }

    /// Lets media flow between two parties that both have said where they are.
    pub(crate) fn connect(&mut self, body: &Body, one: &Party, other: &Party) {
        if !relayed(one, other) {
            return;
        }
        for party in [one, other] {
            if let Some(said) = &party.said {
                self.set_remotes(body, party, said);
            }
        }
        self.patch(body, one, other);
    }

    /// Closes the ports that face a leg. What arrives for it from the other ports goes nowhere then.
    pub(crate) fn close_ports(&mut self, body: &mut Body, leg: LegId) {
        for port in body.ports.iter_mut().filter(|port| port.leg == leg && port.state != PortState::Closing) {
            port.state = PortState::Closing;
            self.out.push_back(Output::Media(MediaCommand::Close { port: port.id }));
        }
    }

    /// Opens the ports of a call that was begun elsewhere at the numbers its peers know, as ports of this worker, and
    /// lets media flow between whoever heard each other there. What they count begins anew.
    pub(crate) fn reopen_ports(&mut self, body: &mut Body, state: &State) {
        // What a closing port had counted is told to whoever closed it.
        body.ports.retain(|port| matches!(port.state, PortState::Open(_)));
        let base = port_base(self.settings.worker, body.unique);
        for port in &mut body.ports {
            let PortState::Open(opened) = &mut port.state else { continue };
            port.id = PortId(base | port.id.0 & 0xff);
            opened.port = port.id;
            self.out.push_back(Output::Media(MediaCommand::Open {
                port: port.id,
                interface: port.interface.clone(),
                ipv6: opened.rtp.is_ipv6(),
                class: port.class,
                // What its peer is told stays.
                host: None,
                number: Some(opened.rtp.port()),
            }));
            if let Some(memory) = port.memory.take() {
                self.out.push_back(Output::Media(MediaCommand::Resume { port: port.id, memory }));
            }
        }
        if let Some((one, other)) = state.connected() {
            self.connect(body, one, other);
        }
        match state {
            State::Attending(attending) => _ = self.attend(body, &attending.member),
            // It is where it was until somebody answers it.
            State::Moving(moving) => _ = self.attend(body, &moving.remaining),
            State::Ringing(ringing) if body.place.as_ref().is_some_and(Place::has_begun) => {
                self.attend(body, &ringing.caller);
            }
            _ => {}
        }
    }

    /// Asks the open ports of a call what they know of their peers.
    pub(crate) fn ask_ports(&mut self, call: &mut Call) {
        for port in call.body.ports.iter_mut().filter(|port| matches!(port.state, PortState::Open(_))) {
            port.ask();
            self.out.push_back(Output::Media(MediaCommand::Remember { port: port.id }));
        }
    }

    pub(crate) fn port_remembered(call: &mut Call, of: PortId, memory: &PortMemory) {
        if let Some(port) = call.body.ports.iter_mut().find(|port| port.id == of) {
            port.remembered(memory);
        }
    }

    /// Takes a port's last word into the record.
    pub(crate) fn port_closed(call: &mut Call, closed: &Closed) {
        let Some(index) = call.body.ports.iter().position(|port| port.id == closed.port) else { return };
        let port = call.body.ports.remove(index);
        let cdr = &mut call.body.cdr;
        let kept = match port.role {
            Role::Caller => &mut cdr.caller_media,
            Role::Called => &mut cdr.called_media,
        };
        // Of several ports on one side the record has the one that carried most: the talk, not a loser's silence.
        if kept.is_none_or(|stats| stats.packets_received + stats.packets_sent < carried(closed)) {
            *kept = Some(closed.stats);
        }
    }

    /// The port is open: what waited for it may go on when it was the last.
    pub(crate) fn port_opened(&mut self, call: &mut Call, opened: Opened) {
        for port in call.body.ports.iter_mut().filter(|port| port.id == opened.port) {
            if port.state == PortState::Opening {
                port.state = PortState::Open(opened);
            }
        }
        if !any_opening(&call.body) {
            self.clear_alarm(call, Alarm::Ports);
        }
    }
}

/// Whom the port that faces a party believes when the party wants its media at `said`. A stream each, since each may
/// have an address of its own.
fn latch_of(party: &Party, said: IpAddr) -> Latch {
    match (party.access.latch, party.nat) {
        (LatchMode::Exact, _) => Latch::Exact,
        (LatchMode::Port, _) => Latch::Port,
        (LatchMode::Nat, Some(address)) => Latch::Nat(address),
        (LatchMode::Nat, None) => Latch::towards(said, party.access.host),
    }
}

/// What a party has agreed to, when it has.
pub(crate) fn agreed(party: &Party) -> Option<Agreed<'_>> {
    Some(Agreed { told: &party.told.as_ref()?.text, said: party.said.as_ref()? })
}

fn carried(closed: &Closed) -> u64 {
    closed.stats.packets_received + closed.stats.packets_sent
}

/// Is a port of the call being opened?
pub(crate) fn any_opening(body: &Body) -> bool {
    body.ports.iter().any(|port| port.state == PortState::Opening)
}

/// Are the ports that face a leg open, as many as there are?
pub(crate) fn all_open(body: &Body, leg: LegId) -> bool {
    !body.ports.iter().any(|port| port.leg == leg && port.state == PortState::Opening)
}

/// The open ports that face a leg.
fn open_of(body: &Body, leg: LegId) -> SmallVec<[(PortId, Opened); 2]> {
    let facing = body.ports.iter().filter(|port| port.leg == leg);
    facing
        .filter_map(|port| match port.state {
            PortState::Open(opened) => Some((port.id, opened)),
            PortState::Opening | PortState::Closing => None,
        })
        .collect()
}

/// Which call a packet thread's event is about.
pub(crate) fn port_of(event: &MediaEvent) -> PortId {
    match event {
        MediaEvent::Opened(opened) => opened.port,
        MediaEvent::OpenFailed { port, .. }
        | MediaEvent::Remembered { port, .. }
        | MediaEvent::Played { port, .. }
        | MediaEvent::Silent { port }
        | MediaEvent::KeysLost { port }
        | MediaEvent::Pressed { port, .. }
        | MediaEvent::HandshakeFailed { port, .. } => *port,
        MediaEvent::Counted(counted) => counted.port,
        // Its name begins as those of ports do.
        MediaEvent::RecordingEnded { recording, .. } => PortId(recording.0),
        MediaEvent::Closed(closed) => closed.port,
    }
}
