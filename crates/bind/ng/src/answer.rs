//! Answers: what whoever has made the offer is told, and the two sides connected.

use crate::call::{Branch, Call, Side, Trust};
use crate::engine::{NgCalls, Output, Progress};
use crate::offer::{Refusal, advertised, edited, has_feedback, pair, tell, trust};
use crate::reply::Reply;
use crate::settling::{settled, single};
use bytes::Bytes;
use sx_engine::Time;
use sx_media::{
    Latch, MediaCommand, MediaKind, Profile, Remote, StreamSummary, Terms, agreed_keys, agreed_sound, check_codecs,
    check_streams, in_the_clear, protect_answer, relay_answer, remote, streams,
};
use sx_ng::{Options, Request};
use sx_sdp::{Description, Media, TransportEdit};

impl NgCalls {
    /// An answer: the description for whoever has made the offer, and the two sides connected.
    pub(crate) fn answer_offer(&mut self, now: Time, call: &mut Call, request: &Request<'_>) -> Progress {
        let sdp = Bytes::copy_from_slice(request.sdp.unwrap_or_default());
        if request.options.loop_protect && self.has_passed_on(&sdp) {
            return Progress::Done(Reply::Description(sdp));
        }
        let (from, to) = (request.from_tag.unwrap_or_default(), request.to_tag.unwrap_or_default());
        let Some((place, offerer)) = call.answered(from, to, request.via_branch) else {
            return Progress::Done(Reply::Error(Refusal::NoOffer.to_string()));
        };
        call.last_answer += 1;
        let (blocks, answer) = (call.blocks, call.last_answer);
        let branch = &mut call.branches[place];
        branch.ends = None;
        let passed_on = self.pass_answer(branch, 1 - offerer, to, &request.options, &sdp);
        if passed_on.is_ok() {
            branch.answer = answer;
            self.patch(blocks, branch);
            self.play_on(branch);
            self.record_as_wished(now, call, request);
            self.keep_recording(call);
        }
        if passed_on.is_ok() && self.settings.silence_timeout.is_some() && call.heard < now {
            call.heard = now;
        }
        self.reply(now, call, request, passed_on)
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
        let recodes = branch.recodes;
        let [one, other] = pair(branch, author);
        check_streams(sdp)?;
        if let Some(told) = &one.told {
            check_codecs(told, sdp)?;
        }
        let settled = if recodes { settled(sdp, &other.terms, &self.settings.codable)? } else { sdp.clone() };
        let settled = if options.single_codec { single(&settled)? } else { settled };
        let summaries = streams(&settled)?;
        let offer = other.said.clone().ok_or(Refusal::NoOffer)?;
        let asked = streams(&offer)?;
        let muxes = |stream: usize| {
            let offered = asked.get(stream).is_some_and(|asked| asked.rtcp_mux) && !other.mux_rejected;
            let answered = summaries.get(stream).is_some_and(|answer| answer.rtcp_mux);
            offered && (answered || options.rtcp_mux.accept || options.rtcp_mux.demux || demuxed(one, stream))
        };
        // Where it is not accepted, it is as if it had not been offered.
        let asked_text = edited(&in_the_clear(&offer)?, |stream| TransportEdit {
            rtcp_mux: Some(muxes(stream)),
            ..TransportEdit::default()
        })?;
        let refused: Vec<bool> = (0..asked.len()).map(|stream| !muxes(stream)).collect();
        let protocols = protocols(&offer)?;
        let clear = edited(&in_the_clear(&settled)?, |stream| TransportEdit {
            protocol: protocols.get(stream).copied().flatten(),
            rtcp_mux: None,
            ptime_ms: other.coded.ptime_ms.filter(|_| asked.get(stream).is_some_and(is_sound)),
        })?;
        let opened = advertised(other, options.media_address);
        let text = tell(other, |other, session| {
            let text = relay_answer(&clear, &asked_text, &opened, session)?;
            let before = other.agreed.as_ref().map(|(told, said)| (told, said)).unzip();
            protect_answer(&text, &offer, before, Terms::default(), &other.keys)
        })?;
        one.tag = Some(tag.into());
        one.said = Some(sdp.clone());
        one.trust = trust(options);
        (one.mux_refused, other.mux_refused) = (Vec::new(), refused);
        self.connect(branch)?;
        self.close_refused(branch, &summaries, &asked);
        Ok(text)
    }

    /// Says where the peers of the ports of both sides are.
    fn connect(&mut self, branch: &mut Branch) -> Result<(), Refusal> {
        let mut commands = Vec::new();
        for side in &branch.sides {
            let (Some(said), Some(told)) = (&side.said, &side.told) else { continue };
            let refused = |stream: usize| side.mux_refused.get(stream).copied().unwrap_or_default();
            let seen = edited(said, |stream| TransportEdit {
                rtcp_mux: refused(stream).then_some(false),
                ..TransportEdit::default()
            })?;
            for port in &side.ports {
                let keys = agreed_keys(told, said, port.stream)?;
                let Some(remote) = remote(&seen, port.stream, Latch::Port) else { continue };
                let keys = keys.map(Box::new);
                let codec = agreed_sound(told, said, port.stream).or(remote.codec);
                let remote = Remote { codec, ..placed(side.trust, remote) };
                commands.push(MediaCommand::SetRemote { port: port.id, remote, keys });
            }
        }
        self.out.extend(commands.into_iter().map(Output::Media));
        for side in &mut branch.sides {
            side.agreed = side.told.clone().zip(side.said.clone());
        }
        branch.answered = true;
        Ok(())
    }
}

fn is_sound(summary: &StreamSummary) -> bool {
    summary.kind == MediaKind::Audio
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
        Profile::Other => None,
        Profile::Rtp | Profile::SecureRtp | Profile::DtlsRtp if has_feedback(&media) => Some("RTP/AVPF"),
        Profile::Rtp | Profile::SecureRtp | Profile::DtlsRtp => Some("RTP/AVP"),
    };
    Ok(parsed.media().map(protocol).collect())
}

fn placed(trust: Trust, mut remote: Remote) -> Remote {
    let (latch, place) = trust.latch(remote.rtp.ip());
    if !remote.rtp.ip().is_unspecified() {
        remote.rtp.set_ip(place);
        remote.rtcp.set_ip(place);
    }
    Remote { latch, ..remote }
}
