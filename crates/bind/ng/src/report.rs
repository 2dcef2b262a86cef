//! What queries and statistics tell.

use crate::call::{Branch, Call, Port, PortState, Side};
use crate::engine::{NgCalls, Progress, Waiting};
use crate::reply::Reply;
use crate::settling::is_same;
use std::net::SocketAddr;
use sx_engine::Time;
use sx_media::{Keys, PortStats, Profile, agreed_keys, remote, streams};
use sx_media::{Latch, MediaKind};
use sx_ng::{Dictionary, Request, Value};
use sx_sdp::{Description, Format};

/// What was counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) pings: u64,
    pub(crate) begun: u64,
    pub(crate) rejected: u64,
    pub(crate) deleted: u64,
    pub(crate) silent: u64,
    packets: u64,
    bytes: u64,
    errors: u64,
}

/// Call-IDs that are listed when nothing else is asked for.
const LISTED: usize = 32;
/// As many Call-IDs as a datagram surely holds.
const LISTED_BYTES_MAX: usize = 60_000;

impl Counts {
    /// A port has closed.
    pub(crate) fn add(&mut self, stats: &PortStats) {
        self.packets += stats.packets_received;
        self.bytes += stats.bytes_received;
        self.errors += stats.send_errors;
    }
}

impl NgCalls {
    pub(crate) fn list(&self, request: &Request<'_>) -> Reply {
        let Ok(limit) = request.options.limit.map_or(Ok(LISTED), usize::try_from) else {
            return Reply::error("invalid limit, must be >= 0");
        };
        let mut room = LISTED_BYTES_MAX;
        let fits = |id: &&[u8]| {
            let fits = id.len() + 8 <= room;
            room = room.saturating_sub(id.len() + 8);
            fits
        };
        let ids = self.call_ids().take(limit).take_while(fits);
        let ids = ids.map(|id| Value::Text(id.to_vec().into())).collect();
        Reply::Report(Dictionary::default().with("calls", Value::List(ids)))
    }

    pub(crate) fn query(&mut self, call: &mut Call, request: &Request<'_>, waiting: &mut Waiting) -> Progress {
        if !std::mem::replace(&mut waiting.counted, true) {
            self.count(call);
            if call.counting > 0 {
                return Progress::Waits;
            }
        }
        let tags =
            (request.from_tag.is_some() || request.to_tag.is_some()).then_some((request.from_tag, request.to_tag));
        let meant = tags.map(|(from, to)| call.meant(from, to, None));
        Progress::Done(Reply::Report(self.report(call, meant.as_deref())))
    }

    /// What is known of a call, or of some of its branches.
    pub(crate) fn report(&self, call: &Call, branches: Option<&[usize]>) -> Dictionary<'static> {
        let meant = |place: &usize| branches.is_none_or(|branches| branches.contains(place));
        let (mut parties, mut rtp, mut rtcp) = (Parties::default(), Totals::default(), Totals::default());
        for (_, branch) in call.branches.iter().enumerate().filter(|(place, _)| meant(place)) {
            for side in 0..2 {
                for port in &branch.sides[side].ports {
                    rtp.add(port.stats.packets_received, port.stats.bytes_received, port.stats.send_errors);
                    rtcp.add(port.stats.rtcp_received, 0, 0);
                }
                parties.add(branch, side);
            }
        }
        let totals = Dictionary::default().with("RTP", rtp.value()).with("RTCP", rtcp.value());
        Dictionary::default()
            .with("created", Value::count(call.created.as_secs()))
            .with("created_us", Value::count(call.created.as_nanos() / 1_000 % 1_000_000))
            .with("last signal", Value::count(call.signalled.as_secs()))
            .with("SSRC", Value::Dictionary(Dictionary::default()))
            .with("tags", Value::Dictionary(parties.into_tags()))
            .with("totals", Value::Dictionary(totals))
    }

    /// Streams whose sound is coded anew.
    fn recoded(&self) -> u64 {
        self.branches().map(|branch| branch.recoded as u64).sum()
    }

    /// What the engine has done since it began.
    pub(crate) fn statistics(&self, now: Time) -> Dictionary<'static> {
        let calls = Value::count(self.calls() as u64);
        let current = Dictionary::default()
            .with("sessionsown", calls.clone())
            .with("sessionsforeign", Value::Integer(0))
            .with("sessionstotal", calls)
            .with("transcodedmedia", Value::count(self.recoded()));
        let counts = &self.counts;
        let total = Dictionary::default()
            .with("uptime", Value::text(now.since(self.started).as_secs().to_string()))
            .with("managedsessions", Value::count(counts.begun.saturating_sub(self.calls() as u64)))
            .with("rejectedsessions", Value::count(counts.rejected))
            .with("timeoutsessions", Value::count(counts.silent))
            .with("silenttimeoutsessions", Value::Integer(0))
            .with("finaltimeoutsessions", Value::Integer(0))
            .with("offertimeoutsessions", Value::Integer(0))
            .with("regularterminatedsessions", Value::count(counts.deleted))
            .with("forcedterminatedsessions", Value::Integer(0))
            .with("relayedpackets", Value::count(counts.packets))
            .with("relayedpacketerrors", Value::count(counts.errors))
            .with("relayedbytes", Value::count(counts.bytes));
        let both = Dictionary::default()
            .with("currentstatistics", Value::Dictionary(current))
            .with("totalstatistics", Value::Dictionary(total));
        Dictionary::default().with("statistics", Value::Dictionary(both))
    }
}

/// The parties of a call, each once however many branches it has.
#[derive(Default)]
struct Parties {
    known: Vec<(String, Dictionary<'static>, Vec<Value<'static>>)>,
    untagged: usize,
}

impl Parties {
    fn add(&mut self, branch: &Branch, side: usize) {
        let this = &branch.sides[side];
        let medias = this.ports.iter().map(|port| Value::Dictionary(media(this, port)));
        let name = match &this.tag {
            Some(tag) => String::from_utf8_lossy(tag).into_owned(),
            None => {
                self.untagged += 1;
                format!("<untagged {}>", self.untagged)
            }
        };
        match self.known.iter_mut().find(|(known, _, _)| *known == name) {
            Some((_, _, all)) => all.extend(medias),
            None => self.known.push((name, party(branch, side), medias.collect())),
        }
    }

    fn into_tags(self) -> Dictionary<'static> {
        let mut tags = Dictionary::default();
        for (name, party, medias) in self.known {
            tags.set(name, Value::Dictionary(party.with("medias", Value::List(medias))));
        }
        tags
    }
}

fn party(branch: &Branch, side: usize) -> Dictionary<'static> {
    let (this, other) = (&branch.sides[side], &branch.sides[1 - side]);
    let tag = |side: &Side| Value::Text(side.tag.clone().unwrap_or_default().into_vec().into());
    let mut party = Dictionary::default();
    party.set("tag", tag(this));
    if let (1, Some(via)) = (side, &branch.via) {
        party.set("via-branch", Value::Text(via.to_vec().into()));
    }
    party.set("created", Value::count(this.created.as_secs()));
    if other.tag.is_some() {
        party.set("in dialogue with", tag(other));
    }
    party
}

fn media(side: &Side, port: &Port) -> Dictionary<'static> {
    let described = side.said.as_ref().or(side.told.as_ref());
    let summary = described.and_then(|text| streams(text).ok()?.into_iter().nth(port.stream));
    let kind = match summary.as_ref().map(|summary| summary.kind) {
        Some(MediaKind::Video) => "video",
        _ => "audio",
    };
    let (protocol, keys) = match summary.as_ref().map(|summary| summary.profile) {
        Some(Profile::SecureRtp) => ("RTP/SAVP", Some("SDES")),
        Some(Profile::DtlsRtp) => ("UDP/TLS/RTP/SAVP", Some("DTLS-SRTP")),
        Some(Profile::Rtp | Profile::Other) | None => ("RTP/AVP", None),
    };
    let mut flags = vec![Value::text("initialized")];
    if let Some(summary) = &summary {
        flags.extend(summary.direction.sends().then(|| Value::text("send")));
        flags.extend(summary.direction.receives().then(|| Value::text("recv")));
        flags.extend(summary.rtcp_mux.then(|| Value::text("rtcp-mux")));
        flags.extend(keys.map(Value::text));
    }
    let codecs = side.told.as_ref().zip(side.said.as_ref());
    let codecs = codecs.map(|(told, said)| agreed_names(told, said, port.stream)).unwrap_or_default();
    Dictionary::default()
        .with("index", Value::count(port.stream as u64 + 1))
        .with("type", Value::text(kind))
        .with("codecs", Value::List(codecs.into_iter().map(Value::text).collect()))
        .with("protocol", Value::text(protocol))
        .with("streams", Value::List(vec![stream(side, port, false), stream(side, port, true)]))
        .with("flags", Value::List(flags))
}

/// What a party and the engine have agreed on for a stream, as descriptions write it.
fn agreed_names(told: &[u8], said: &[u8], stream: usize) -> Vec<String> {
    let (Ok(told), Ok(said)) = (Description::parse(told), Description::parse(said)) else { return Vec::new() };
    let (Some(told), Some(said)) = (told.media_at(stream), said.media_at(stream)) else { return Vec::new() };
    let told: Vec<_> = told.codecs().collect();
    let agreed = said.codecs().filter(|format| told.iter().any(|known| is_same(known, format)));
    let name = |format: Format<'_>| {
        let name = String::from_utf8_lossy(format.encoding);
        let channels = if format.channels > 1 { format!("/{}", format.channels) } else { String::new() };
        format!("{name}/{}{channels}", format.clock_hz)
    };
    agreed.map(name).collect()
}

fn stream(side: &Side, port: &Port, rtcp: bool) -> Value<'static> {
    let mut stream = Dictionary::default();
    if let PortState::Open(opened) = port.state {
        let local = if rtcp { opened.rtcp } else { opened.rtp };
        stream.set("local port", Value::count(u64::from(local.port())));
        stream.set("local address", Value::text(local.ip().to_string()));
        stream.set("family", Value::text(family(local)));
    }
    let remote = side.said.as_ref().and_then(|said| remote(said, port.stream, Latch::Port));
    let remote = remote.map(|remote| if rtcp { remote.rtcp } else { remote.rtp });
    stream.set("endpoint", endpoint(remote));
    stream.set("advertised endpoint", endpoint(remote));
    if let (Some(told), Some(said)) = (&side.told, &side.said)
        && let Ok(Some(Keys::Described(keys))) = agreed_keys(told, said, port.stream)
    {
        stream.set("crypto suite", Value::text(keys.suite.sdp_name()));
    }
    let mut flags = vec![Value::text(if rtcp { "RTCP" } else { "RTP" })];
    flags.extend(remote.is_some().then(|| Value::text("filled")));
    stream.set("flags", Value::List(flags));
    let mut totals = Totals::default();
    match rtcp {
        true => totals.add(port.stats.rtcp_received, 0, 0),
        false => totals.add(port.stats.packets_received, port.stats.bytes_received, port.stats.send_errors),
    }
    stream.set("stats", totals.value());
    Value::Dictionary(stream)
}

fn family(address: SocketAddr) -> &'static str {
    if address.is_ipv6() { "IPv6" } else { "IPv4" }
}

fn endpoint(address: Option<SocketAddr>) -> Value<'static> {
    Value::Dictionary(address.map_or_else(Dictionary::default, |address| {
        Dictionary::default()
            .with("family", Value::text(family(address)))
            .with("address", Value::text(address.ip().to_string()))
            .with("port", Value::count(u64::from(address.port())))
    }))
}

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    packets: u64,
    bytes: u64,
    errors: u64,
}

impl Totals {
    fn add(&mut self, packets: u64, bytes: u64, errors: u64) {
        self.packets += packets;
        self.bytes += bytes;
        self.errors += errors;
    }

    fn value(self) -> Value<'static> {
        Value::Dictionary(
            Dictionary::default()
                .with("packets", Value::count(self.packets))
                .with("bytes", Value::count(self.bytes))
                .with("errors", Value::count(self.errors)),
        )
    }
}
