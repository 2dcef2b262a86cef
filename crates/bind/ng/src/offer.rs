//! Offers and answers: which ports they need, and what the other side is told.

use crate::call::{Branch, Call, Port, PortState, Side, Trust};
use crate::codecs;
use crate::edit::{SectionEdit, edit, has_attribute, with_session_attribute};
use crate::engine::{NgCalls, Output, Progress, Reply};
use bytes::Bytes;
use std::net::IpAddr;
use std::sync::Arc;
use sx_engine::Time;
use sx_media::{
    Keyring, Latch, MediaCommand, MediaError, Opened, PortId, PortStats, Profile, Remote, SessionVersion,
    StreamSummary, Suite, agreed_keys, in_the_clear, protect_answer, protect_offer, relay_answer, relay_description,
    remote, streams,
};
use sx_ng::{Ice, Options, Request, Sdes, TransportProtocol};
use sx_sdp::{Description, Media};
use sx_types::SrtpPolicy;

/// Why an offer or an answer is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The description cannot be passed on.
    #[error("{}", told(.0))]
    Media(#[from] MediaError),
    #[error("Failed to parse SDP: {0}")]
    Description(#[from] sx_sdp::ParseError),
    #[error("Too many media sections")]
    TooManyStreams,
    #[error("Too many branches of this call")]
    TooManyBranches,
    #[error("Ran out of ports")]
    NoPort,
    #[error("This media engine does not take part in DTLS-SRTP")]
    Dtls,
    #[error("This media engine does not take part in ICE")]
    Ice,
    #[error("No crypto suite is left to offer")]
    NoSuite,
    #[error("This media engine cannot transcode to {0}")]
    Transcoding(String),
    #[error("There was no offer from that from-tag")]
    NoOffer,
}

fn told(error: &MediaError) -> String {
    match error {
        MediaError::Description(_) => format!("Failed to parse SDP: {error}"),
        other => format!("The SDP cannot be relayed: {other}"),
    }
}

impl NgCalls {
    /// An offer: ports on both sides, then the description for the other one.
    pub(crate) fn offer(&mut self, now: Time, call: &mut Call, request: &Request<'_>) -> Progress {
        let sdp = Bytes::copy_from_slice(request.sdp.unwrap_or_default());
        if request.options.loop_protect && has_attribute(&sdp, &self.mark) {
            return Progress::Done(Reply::Description(sdp));
        }
        let begun = self.begin_offer(now, call, request, &sdp);
        let (place, author) = match begun {
            Ok(begun) => begun,
            Err(refusal) => return Progress::Done(Reply::Error(refusal.to_string())),
        };
        match Ports::of(&call.branches[place]) {
            Ports::Opening => return Progress::Waits,
            Ports::Failed => {
                self.drop_failed(call, place);
                return Progress::Done(Reply::Error(Refusal::NoPort.to_string()));
            }
            Ports::Open => {}
        }
        let passed_on = self.pass_offer(&mut call.branches[place], author, &request.options, &sdp);
        if passed_on.is_err() && call.branches[place].sides[1 - author].told.is_none() {
            self.remove_branch(call, place);
        }
        self.reply(now, call, request, passed_on)
    }

    /// An answer: the description for whoever has made the offer, and the two sides connected.
    pub(crate) fn answer_offer(&mut self, now: Time, call: &mut Call, request: &Request<'_>) -> Progress {
        let sdp = Bytes::copy_from_slice(request.sdp.unwrap_or_default());
        if request.options.loop_protect && has_attribute(&sdp, &self.mark) {
            return Progress::Done(Reply::Description(sdp));
        }
        let (from, to) = (request.from_tag.unwrap_or_default(), request.to_tag.unwrap_or_default());
        let Some((place, offerer)) = call.answered(from, to, request.via_branch) else {
            return Progress::Done(Reply::Error(Refusal::NoOffer.to_string()));
        };
        let branch = &mut call.branches[place];
        branch.ends = None;
        let passed_on = self.pass_answer(branch, 1 - offerer, to, &request.options, &sdp);
        if passed_on.is_ok() && self.settings.silence_timeout.is_some() && call.heard < now {
            call.heard = now;
        }
        self.reply(now, call, request, passed_on)
    }

    fn reply(
        &mut self,
        now: Time,
        call: &mut Call,
        request: &Request<'_>,
        passed_on: Result<Bytes, Refusal>,
    ) -> Progress {
        call.signalled = now;
        Progress::Done(match passed_on {
            Ok(sdp) if request.options.loop_protect => Reply::Description(with_session_attribute(&sdp, &self.mark)),
            Ok(sdp) => Reply::Description(sdp),
            Err(refusal) => Reply::Error(refusal.to_string()),
        })
    }

    /// Finds or makes the branch, and opens the ports that it lacks.
    fn begin_offer(
        &mut self,
        now: Time,
        call: &mut Call,
        request: &Request<'_>,
        sdp: &Bytes,
    ) -> Result<(usize, usize), Refusal> {
        let summaries = streams(sdp)?;
        if summaries.len() > self.settings.streams_max {
            return Err(Refusal::TooManyStreams);
        }
        self.check_wishes(&request.options, &summaries)?;
        let (from, to) = (request.from_tag.unwrap_or_default(), request.to_tag);
        let (place, author) = match call.offered(from, to, request.via_branch) {
            Some(known) => known,
            None => {
                if call.branches.len() >= self.settings.branches_max {
                    return Err(Refusal::TooManyBranches);
                }
                let suites = self.suites(&request.options.sdes);
                let all = self.settings.srtp_suites.clone();
                let sides = [self.side(now, Some(from), all), self.side(now, to, suites)];
                let via = request.via_branch.map(Box::from);
                call.branches.push(Branch { via, sides, answered: false, ends: None });
                (call.branches.len() - 1, 0)
            }
        };
        if let (None, Some(interval)) = (&call.timer, self.look_interval()) {
            self.look_at(call, now + interval);
        }
        let branch = &mut call.branches[place];
        branch.ends = None;
        branch.via = branch.via.take().or_else(|| request.via_branch.map(Box::from));
        if let (tag @ None, Some(to)) = (&mut branch.sides[1 - author].tag, to) {
            *tag = Some(to.into());
        }
        for (side, named) in [(author, request.options.direction[0]), (1 - author, request.options.direction[1])] {
            let side = &mut branch.sides[side];
            if side.ports.is_empty() {
                side.interface = self.settings.interface(named);
            }
        }
        for side in [author, 1 - author] {
            self.open_ports(call, place, side, &summaries, (side != author).then_some(&request.options));
        }
        Ok((place, author))
    }

    /// Is there something in an offer that nothing here can do?
    fn check_wishes(&self, options: &Options<'_>, summaries: &[StreamSummary]) -> Result<(), Refusal> {
        let dtls = summaries.iter().any(|summary| summary.profile == Profile::DtlsRtp && !summary.rejected);
        match options.transport {
            Some(TransportProtocol::Rtp { .. }) if dtls => return Err(Refusal::Dtls),
            Some(TransportProtocol::Rtp { secure: true, .. }) if options.sdes.off => return Err(Refusal::Dtls),
            Some(TransportProtocol::Rtp { secure: true, .. }) if self.suites(&options.sdes).is_empty() => {
                return Err(Refusal::NoSuite);
            }
            Some(TransportProtocol::Other) if !dtls => return Err(Refusal::Dtls),
            _ => {}
        }
        if options.ice == Some(Ice::Force) { Err(Refusal::Ice) } else { Ok(()) }
    }

    /// The suites that a client leaves, in our order.
    fn suites(&self, sdes: &Sdes<'_>) -> Arc<[Suite]> {
        let named = |names: &[&[u8]], suite: &Suite| names.iter().any(|name| *name == suite.sdp_name().as_bytes());
        let wanted = |suite: &&Suite| match sdes.only.is_empty() {
            true => !named(&sdes.without, suite),
            false => named(&sdes.only, suite),
        };
        if sdes.only.is_empty() && sdes.without.is_empty() {
            return self.settings.srtp_suites.clone();
        }
        self.settings.srtp_suites.iter().filter(wanted).copied().collect()
    }

    fn side(&mut self, now: Time, tag: Option<&[u8]>, suites: Arc<[Suite]>) -> Side {
        Side {
            tag: tag.map(Box::from),
            created: now,
            said: None,
            told: None,
            // Below 2⁶³, since many peers read it into a signed integer.
            session: SessionVersion { session: self.rng.u64() >> 1, version: 1 },
            keys: Keyring::new(&mut self.rng, suites),
            interface: self.settings.interface(None),
            travels: None,
            mux_rejected: false,
            mux_refused: Vec::new(),
            trust: Trust::default(),
            ports: Vec::new(),
        }
    }

    /// Opens the ports that face one side, as far as there are none. `receiver`: it is the one that receives the
    /// description, and this is what the client wishes.
    fn open_ports(
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

    /// What the other side is told of an offer.
    fn pass_offer(
        &mut self,
        branch: &mut Branch,
        author: usize,
        options: &Options<'_>,
        sdp: &Bytes,
    ) -> Result<Bytes, Refusal> {
        let kept = codecs::wanted(sdp, &options.codecs)?;
        let summaries = streams(sdp)?;
        let spoken = travels(sdp)?;
        let [one, other] = pair(branch, author);
        // Whoever speaks as before is passed on as before.
        let as_before = other.travels.filter(|_| one.travels == spoken);
        let wanted = match options.transport {
            Some(TransportProtocol::Rtp { secure, feedback }) => Some((secure, feedback)),
            _ => as_before.or(spoken),
        };
        let (secure, feedback) = wanted.unwrap_or_default();
        if secure && options.sdes.off {
            return Err(Refusal::Dtls);
        }
        let mux = match options.rtcp_mux {
            mux if mux.offer => Some(true),
            mux if mux.demux || mux.reject => Some(false),
            _ => None,
        };
        let section = |stream: usize| match summaries.get(stream).map(|summary| (summary.profile, summary.rejected)) {
            Some((Profile::Rtp | Profile::SecureRtp, false)) => {
                SectionEdit { protocol: Some(if feedback { "RTP/AVPF" } else { "RTP/AVP" }), rtcp_mux: mux }
            }
            _ => SectionEdit::default(),
        };
        let clear = edit(&in_the_clear(&kept)?, section);
        let policy = if secure { SrtpPolicy::Required } else { SrtpPolicy::Off };
        let opened = advertised(other, options.media_address);
        let text = tell(other, |other, session| {
            let text = relay_description(&clear, &opened, session)?;
            protect_offer(&text, None, policy, &other.keys)
        })?;
        (one.travels, other.travels) = (spoken, wanted);
        one.said = Some(sdp.clone());
        one.mux_rejected = options.rtcp_mux.reject;
        one.trust = trust(options);
        Ok(text)
    }

    /// What whoever has made the offer is told of its answer; and the two sides connected.
    fn pass_answer(
        &mut self,
        branch: &mut Branch,
        author: usize,
        tag: &[u8],
        options: &Options<'_>,
        sdp: &Bytes,
    ) -> Result<Bytes, Refusal> {
        let summaries = streams(sdp)?;
        let [one, other] = pair(branch, author);
        let offer = other.said.clone().ok_or(Refusal::NoOffer)?;
        let asked = streams(&offer)?;
        let muxes = |stream: usize| {
            let offered = asked.get(stream).is_some_and(|asked| asked.rtcp_mux) && !other.mux_rejected;
            let answered = summaries.get(stream).is_some_and(|answer| answer.rtcp_mux);
            offered && (answered || options.rtcp_mux.accept || options.rtcp_mux.demux || demuxed(one, stream))
        };
        // Where it is not accepted, it is as if it had not been offered.
        let asked_text = edit(&in_the_clear(&offer)?, |stream| SectionEdit {
            rtcp_mux: Some(muxes(stream)),
            ..SectionEdit::default()
        });
        let refused: Vec<bool> = (0..asked.len()).map(|stream| !muxes(stream)).collect();
        let protocols = protocols(&offer)?;
        let clear = edit(&in_the_clear(sdp)?, |stream| SectionEdit {
            protocol: protocols.get(stream).copied().flatten(),
            rtcp_mux: None,
        });
        let opened = advertised(other, options.media_address);
        let text = tell(other, |other, session| {
            let text = relay_answer(&clear, &asked_text, &opened, session)?;
            protect_answer(&text, &offer, SrtpPolicy::Accept, &other.keys)
        })?;
        one.tag = Some(tag.into());
        one.said = Some(sdp.clone());
        one.trust = trust(options);
        (one.mux_refused, other.mux_refused) = (Vec::new(), refused);
        self.connect(branch)?;
        self.close_refused(branch, &summaries, &asked);
        Ok(text)
    }

    /// Lets media flow between the sides.
    fn connect(&mut self, branch: &mut Branch) -> Result<(), Refusal> {
        let mut commands = Vec::new();
        for side in &branch.sides {
            let (Some(said), Some(told)) = (&side.said, &side.told) else { continue };
            let refused = |stream: usize| side.mux_refused.get(stream).copied().unwrap_or_default();
            let seen = edit(said, |stream| SectionEdit {
                rtcp_mux: refused(stream).then_some(false),
                ..SectionEdit::default()
            });
            for port in &side.ports {
                let keys = agreed_keys(told, said, port.stream)?;
                let Some(remote) = remote(&seen, port.stream, Latch::Port) else { continue };
                let keys = keys.map(Box::new);
                commands.push(MediaCommand::SetRemote { port: port.id, remote: placed(side.trust, remote), keys });
            }
        }
        let [one, other] = &branch.sides;
        for port in &one.ports {
            let Some(facing) = other.port(port.stream) else { continue };
            for (from, to) in [(port.id, facing.id), (facing.id, port.id)] {
                commands.push(MediaCommand::Patch { from, to: Some(to) });
            }
        }
        self.out.extend(commands.into_iter().map(Output::Media));
        branch.answered = true;
        Ok(())
    }
}

impl NgCalls {
    /// Closes the ports of streams that one of the parties does not want.
    fn close_refused(&mut self, branch: &mut Branch, answer: &[StreamSummary], offer: &[StreamSummary]) {
        let wanted = |stream: usize| {
            [answer, offer].iter().all(|streams| streams.get(stream).is_some_and(|summary| !summary.rejected))
        };
        for side in &mut branch.sides {
            for port in side.ports.iter().filter(|port| !wanted(port.stream)) {
                self.out.push_back(Output::Media(MediaCommand::Close { port: port.id }));
            }
            side.ports.retain(|port| wanted(port.stream));
        }
    }

    /// Forgets the ports that could not be opened, and a branch that has come to nothing with them.
    fn drop_failed(&mut self, call: &mut Call, place: usize) {
        let branch = &mut call.branches[place];
        if !branch.answered {
            return self.remove_branch(call, place);
        }
        branch.sides.iter_mut().for_each(|side| side.ports.retain(|port| port.state != PortState::Failed));
    }
}

/// What has become of the ports of a branch, all in all.
enum Ports {
    Opening,
    Failed,
    Open,
}

impl Ports {
    fn of(branch: &Branch) -> Self {
        let has = |state: PortState| branch.sides.iter().flat_map(|side| &side.ports).any(|port| port.state == state);
        match (has(PortState::Opening), has(PortState::Failed)) {
            (true, _) => Self::Opening,
            (false, true) => Self::Failed,
            (false, false) => Self::Open,
        }
    }
}

/// The author of a description and the one that it is for.
fn pair(branch: &mut Branch, author: usize) -> [&mut Side; 2] {
    let [first, second] = &mut branch.sides;
    if author == 0 { [first, second] } else { [second, first] }
}

/// How the first RTP stream of a description travels: protected by keys in it, with feedback.
fn travels(description: &Bytes) -> Result<Option<(bool, bool)>, Refusal> {
    let parsed = Description::parse(description)?;
    let is_ours = |media: &Media<'_, '_>| matches!(media.profile(), Profile::Rtp | Profile::SecureRtp);
    let first = parsed.media().find(|media| is_ours(media) && !media.is_rejected());
    Ok(first.map(|media| (media.profile() == Profile::SecureRtp, has_feedback(&media))))
}

/// RFC 4585.
fn has_feedback(media: &Media<'_, '_>) -> bool {
    media.protocol().last().is_some_and(|letter| letter.eq_ignore_ascii_case(&b'F'))
}

/// Was the party not offered a shared port, though it accepts what it was not asked?
fn demuxed(side: &Side, stream: usize) -> bool {
    let told = side.told.as_ref().and_then(|told| streams(told).ok());
    told.is_some_and(|told| told.get(stream).is_some_and(|told| !told.rtcp_mux))
}

/// The protocols of an offer as they are in the clear; `None`: what is not ours to change.
fn protocols(offer: &Bytes) -> Result<Vec<Option<&'static str>>, Refusal> {
    let parsed = Description::parse(offer)?;
    let protocol = |media: Media<'_, '_>| match media.profile() {
        Profile::Rtp | Profile::SecureRtp if has_feedback(&media) => Some("RTP/AVPF"),
        Profile::Rtp | Profile::SecureRtp => Some("RTP/AVP"),
        Profile::DtlsRtp | Profile::Other => None,
    };
    Ok(parsed.media().map(protocol).collect())
}

/// The ports of a side as its party is told of them.
fn advertised(side: &Side, instead: Option<IpAddr>) -> Vec<Option<Opened>> {
    let mut opened = side.opened();
    if let Some(ip) = instead {
        for opened in opened.iter_mut().flatten() {
            opened.rtp.set_ip(ip);
            opened.rtcp.set_ip(ip);
        }
    }
    opened
}

fn trust(options: &Options<'_>) -> Trust {
    Trust {
        signalling: options.received_from,
        signalling_only: options.sip_source_address && options.received_from.is_some(),
        exact: options.asymmetric,
    }
}

fn placed(trust: Trust, mut remote: Remote) -> Remote {
    let (latch, place) = trust.latch(remote.rtp.ip());
    if !remote.rtp.ip().is_unspecified() {
        remote.rtp.set_ip(place);
        remote.rtcp.set_ip(place);
    }
    Remote { latch, ..remote }
}

/// Gives the party the same text again when nothing has changed, else a new version.
fn tell(side: &mut Side, write: impl Fn(&Side, SessionVersion) -> Result<Bytes, MediaError>) -> Result<Bytes, Refusal> {
    let before = side.told.is_some();
    let mut text = write(side, side.session)?;
    if before && side.told.as_ref() != Some(&text) {
        side.session = side.session.next();
        text = write(side, side.session)?;
    }
    side.told = Some(text.clone());
    Ok(text)
}
