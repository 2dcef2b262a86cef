//! Offers: which ports they need, and what the other side is told.

use crate::blocking::Blocks;
use crate::call::{Branch, Call, Protection, Side, Travels, Trust};
use crate::codecs::{AnswerTerms, Known, Offered, wanted as wanted_codecs};
use crate::engine::{NgCalls, Progress};
use crate::playing::Plays;
use crate::ports::Ports;
use crate::reply::Reply;
use crate::settling::Coded;
use bytes::Bytes;
use std::net::IpAddr;
use std::sync::Arc;
use sx_engine::Time;
use sx_media::{
    Keyring, Means, MediaError, MediaKind, Opened, Profile, SessionVersion, StreamSummary, Suite, Terms, check_keys,
    check_streams, in_the_clear, protect_offer, relay_description, streams,
};
use sx_ng::{CodecName, CodecWishes, Ice, Options, Request, Sdes, TransportProtocol};
use sx_sdp::{Description, Media, TransportEdit};
use sx_types::{Codec, Fingerprint, SrtpKeying, SrtpPolicy};

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
    #[error("DTLS-SRTP is not wanted, or this media engine takes no part in it")]
    Dtls,
    #[error("Keys in RTP/SAVP are those of SDES; those of DTLS are offered as UDP/TLS/RTP/SAVP")]
    SdesOff,
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
        if request.options.loop_protect && self.has_passed_on(&sdp) {
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
        if passed_on.is_ok() {
            self.record_as_wished(now, call, request);
        }
        if passed_on.is_err() && call.branches[place].sides[1 - author].told.is_none() {
            self.remove_branch(call, place);
        }
        self.reply(now, call, request, passed_on)
    }

    pub(crate) fn reply(
        &mut self,
        now: Time,
        call: &mut Call,
        request: &Request<'_>,
        passed_on: Result<Bytes, Refusal>,
    ) -> Progress {
        call.signalled = now;
        let marked = |sdp: Bytes| match request.options.loop_protect {
            true => Ok(Description::parse(&sdp)?.add_attribute(&self.mark).into()),
            false => Ok(sdp),
        };
        Progress::Done(match passed_on.and_then(marked) {
            Ok(sdp) => Reply::Description(sdp),
            Err(refusal) => Reply::Error(refusal.to_string()),
        })
    }

    /// Has this description been through here?
    pub(crate) fn has_passed_on(&self, sdp: &[u8]) -> bool {
        Description::parse(sdp).is_ok_and(|parsed| parsed.attribute(&self.mark).is_some())
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
        check_streams(sdp)?;
        // The other party need not ring for an offer that cannot be answered.
        check_keys(sdp, Terms::default(), &self.means_of_author(&request.options))?;
        let (from, to) = (request.from_tag.unwrap_or_default(), request.to_tag);
        let (place, author) = match call.offered(from, to, request.via_branch) {
            Some(known) => known,
            None => {
                if call.branches.len() >= self.settings.branches_max {
                    return Err(Refusal::TooManyBranches);
                }
                let suites = self.suites(&request.options.sdes);
                let theirs = self.means_of_author(&request.options);
                let others = Means { suites, ..theirs.clone() };
                let sides = [self.side(now, Some(from), theirs), self.side(now, to, others)];
                let via = request.via_branch.map(Box::from);
                let mut branch = Branch::new(via, sides);
                branch.sides[0].blocks = call.blocks_of(from);
                call.branches.push(branch);
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
        let offered = summaries.iter().any(|summary| summary.profile == Profile::DtlsRtp && !summary.rejected);
        let wanted = matches!(options.transport, Some(TransportProtocol::Dtls { .. }));
        if (offered || wanted) && self.certificate(options).is_none() {
            return Err(Refusal::Dtls);
        }
        match options.transport {
            Some(TransportProtocol::Rtp { secure: true, .. }) if options.sdes.off => return Err(Refusal::SdesOff),
            Some(TransportProtocol::Rtp { secure: true, .. }) if self.suites(&options.sdes).is_empty() => {
                return Err(Refusal::NoSuite);
            }
            _ => {}
        }
        if options.ice == Some(Ice::Force) { Err(Refusal::Ice) } else { Ok(()) }
    }

    /// The certificate of our handshakes, unless a client wants none.
    fn certificate(&self, options: &Options<'_>) -> Option<Fingerprint> {
        self.settings.certificate.clone().filter(|_| !options.dtls_off)
    }

    /// By what means whoever offers is answered.
    fn means_of_author(&self, options: &Options<'_>) -> Means {
        Means { suites: self.settings.srtp_suites.clone(), certificate: self.certificate(options) }
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

    fn side(&mut self, now: Time, tag: Option<&[u8]>, means: Means) -> Side {
        Side {
            tag: tag.map(Box::from),
            created: now,
            said: None,
            told: None,
            // Below 2⁶³, since many peers read it into a signed integer.
            session: SessionVersion { session: self.rng.u64() >> 1, version: 1 },
            keys: Keyring::new(&mut self.rng, means),
            keyed: false,
            interface: self.settings.interface(None),
            travels: None,
            agreed: None,
            mux_rejected: false,
            mux_refused: Vec::new(),
            terms: AnswerTerms::default(),
            coded: Coded::default(),
            trust: Trust::default(),
            blocks: Blocks::default(),
            plays: Plays::default(),
            keys_until: now,
            ports: Vec::new(),
        }
    }

    /// What the other side is told of an offer.
    fn pass_offer(
        &mut self,
        branch: &mut Branch,
        author: usize,
        options: &Options<'_>,
        sdp: &Bytes,
    ) -> Result<Bytes, Refusal> {
        let agreed = branch.sides[1 - author].said.clone().filter(|_| branch.recodes);
        let known = Known { codable: &self.settings.codable, agreed: agreed.as_ref() };
        let Offered { told: kept, terms, recodes } = wanted_codecs(sdp, &options.codecs, known)?;
        let summaries = streams(sdp)?;
        let spoken = travels(sdp)?;
        let [one, other] = pair(branch, author);
        // Whoever speaks as before is passed on as before.
        let as_before = other.travels.filter(|_| one.travels == spoken);
        let wanted = match options.transport {
            Some(TransportProtocol::Rtp { secure: false, feedback }) => {
                Some(Travels { feedback, ..Travels::default() })
            }
            Some(TransportProtocol::Rtp { secure: true, feedback }) => {
                Some(Travels { protection: Protection::Sdes, feedback })
            }
            Some(TransportProtocol::Dtls { feedback }) => Some(Travels { protection: Protection::Dtls, feedback }),
            Some(TransportProtocol::Accept | TransportProtocol::Other) | None => as_before.or(spoken),
        };
        let Travels { protection, feedback } = wanted.unwrap_or_default();
        if protection == Protection::Sdes && options.sdes.off {
            return Err(Refusal::SdesOff);
        }
        let mux = match options.rtcp_mux {
            mux if mux.offer => Some(true),
            mux if mux.demux => Some(false),
            _ => None,
        };
        let (ones, others) = coded(options, one.coded, other.coded, &self.settings.codable);
        let section = |stream: usize| match summaries.get(stream) {
            Some(summary) if is_ours(summary) => TransportEdit {
                protocol: Some(if feedback { "RTP/AVPF" } else { "RTP/AVP" }),
                rtcp_mux: mux,
                ptime_ms: others.ptime_ms.filter(|_| summary.kind == MediaKind::Audio),
            },
            _ => TransportEdit::default(),
        };
        let clear = edited(&in_the_clear(&kept)?, section)?;
        let (policy, keying) = match protection {
            Protection::Clear => (SrtpPolicy::Off, SrtpKeying::Sdes),
            Protection::Sdes => (SrtpPolicy::Required, SrtpKeying::Sdes),
            Protection::Dtls => (SrtpPolicy::Required, SrtpKeying::Dtls),
        };
        let opened = advertised(other, options.media_address);
        let text = tell(other, |other, session| {
            let text = relay_description(&clear, &opened, session)?;
            let told = other.agreed.as_ref().map(|(told, _)| told);
            protect_offer(&text, None, told, Terms { policy, keying }, &other.keys)
        })?;
        (one.travels, other.travels) = (spoken, wanted);
        (one.terms, one.coded, other.coded) = (terms, ones, others);
        one.said = Some(sdp.clone());
        one.mux_rejected = options.rtcp_mux.reject;
        one.trust = trust(options);
        branch.recodes |= recodes || ones.ptime_ms.or(others.ptime_ms).is_some();
        Ok(text)
    }
}

/// The description with streams that travel otherwise, known by their place. What needs no change keeps its bytes.
pub(crate) fn edited<'e>(description: &Bytes, stream: impl Fn(usize) -> TransportEdit<'e>) -> Result<Bytes, Refusal> {
    let parsed = Description::parse(description)?;
    let edits: Vec<_> = (0..parsed.media().len()).map(stream).collect();
    let is_same = edits.iter().all(|edit| *edit == TransportEdit::default());
    Ok(if is_same { description.clone() } else { parsed.set_transports(&edits).into() })
}

/// RTP whose packets can be read here.
fn is_ours(summary: &StreamSummary) -> bool {
    summary.profile.is_rtp() && !summary.rejected
}

/// How sound is coded for the author of an offer and for whoever receives it; what nothing is said of stays.
fn coded(options: &Options<'_>, author: Coded, receiver: Coded, codable: &[Codec]) -> (Coded, Coded) {
    let with = |coded: Coded, ptime_ms: Option<u16>, names: &[CodecName<'_>]| {
        let mut opus = names.iter().filter(|name| name.name.eq_ignore_ascii_case(b"opus"));
        let opus = opus.find(|name| name.bit_rate.is_some() || name.complexity.is_some());
        let ptime_ms = ptime_ms.filter(|_| !codable.is_empty()).map(|ms| ms.clamp(PTIME_MIN_MS, PTIME_MAX_MS));
        Coded {
            ptime_ms: ptime_ms.or(coded.ptime_ms),
            bit_rate: opus.and_then(|name| name.bit_rate).or(coded.bit_rate),
            complexity: opus.and_then(|name| name.complexity).or(coded.complexity),
        }
    };
    let CodecWishes { set, transcode, .. } = &options.codecs;
    (with(author, options.ptime_reverse_ms, set), with(receiver, options.ptime_ms, transcode))
}

/// Packets that are coded here last between these.
const PTIME_MIN_MS: u16 = 10;
const PTIME_MAX_MS: u16 = 60;

/// The author of a description and the one that it is for.
pub(crate) fn pair(branch: &mut Branch, author: usize) -> [&mut Side; 2] {
    let [first, second] = &mut branch.sides;
    if author == 0 { [first, second] } else { [second, first] }
}

/// How the first RTP stream of a description travels.
fn travels(description: &Bytes) -> Result<Option<Travels>, Refusal> {
    let parsed = Description::parse(description)?;
    let mut streams = parsed.media().filter(|media| !media.is_rejected());
    Ok(streams.find_map(|media| {
        let protection = match media.profile() {
            Profile::Rtp => Protection::Clear,
            Profile::SecureRtp => Protection::Sdes,
            Profile::DtlsRtp => Protection::Dtls,
            Profile::Other => return None,
        };
        Some(Travels { protection, feedback: has_feedback(&media) })
    }))
}

/// RFC 4585.
pub(crate) fn has_feedback(media: &Media<'_, '_>) -> bool {
    media.protocol().last().is_some_and(|letter| letter.eq_ignore_ascii_case(&b'F'))
}

/// The ports of a side as its party is told of them.
pub(crate) fn advertised(side: &Side, instead: Option<IpAddr>) -> Vec<Option<Opened>> {
    let mut opened = side.opened();
    if let Some(ip) = instead {
        for opened in opened.iter_mut().flatten() {
            opened.rtp.set_ip(ip);
            opened.rtcp.set_ip(ip);
        }
    }
    opened
}

pub(crate) fn trust(options: &Options<'_>) -> Trust {
    Trust {
        signalling: options.received_from,
        signalling_only: options.sip_source_address && options.received_from.is_some(),
        asymmetric: options.asymmetric,
    }
}

/// Gives the party the same text again when nothing has changed, else a new version.
pub(crate) fn tell(
    side: &mut Side,
    write: impl Fn(&Side, SessionVersion) -> Result<Bytes, MediaError>,
) -> Result<Bytes, Refusal> {
    let before = side.told.is_some();
    let mut text = write(side, side.session)?;
    if before && side.told.as_ref() != Some(&text) {
        side.session = side.session.next();
        text = write(side, side.session)?;
    }
    side.keyed |= text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"a=crypto:"));
    side.told = Some(text.clone());
    Ok(text)
}
