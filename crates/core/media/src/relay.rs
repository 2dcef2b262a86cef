//! Rewriting a party's description so that the other party sends its media to ports of ours.

use crate::{MediaError, Opened};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use sx_sdp::{Description, Direction, Edit, Media, MediaEdit, OriginEdit, RtcpEdit};

/// What the `o=` line of a description says that the exchange sends on a leg.
///
/// It is the leg's own and not that of the party whose description is passed on, since another party may take that
/// one's place within the same dialogue.
//= https://www.rfc-editor.org/rfc/rfc3264#section-8
// The origin stays for as long as the dialogue lasts, and its version goes up by one when the description changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionVersion {
    /// The session, chosen once for a leg; below 2⁶³, since many peers read it into a signed integer.
    pub session: u64,
    /// The version of its description.
    pub version: u64,
}

impl SessionVersion {
    /// The version that follows.
    #[must_use]
    pub fn next(self) -> Self {
        Self { version: self.version.wrapping_add(1), ..self }
    }
}

/// Rewrites an offer, or a description whose role does not matter, for the other party.
///
/// `opened` has, for each stream, the port that faces the *other* party. A stream without one is refused, one that
/// the party has refused stays so. Addresses (`o=`, `c=`), ports and `a=rtcp` become ours, what ICE and bundling say
/// about transports and what tells of the party's machine (its name, `a=tool`, `cname`s) is left out or replaced, hold in the manner of RFC 2543 (an address of zeros) becomes a direction, and every
/// other line is passed on byte for byte.
///
/// # Errors
/// [`MediaError::Description`] when the description cannot be read.
pub fn relay_description(
    description: &[u8],
    opened: &[Option<Opened>],
    version: SessionVersion,
) -> Result<Bytes, MediaError> {
    let description = Description::parse(description)?;
    let edits = description.media().enumerate().map(|(stream, media)| edit_stream(&media, stream, None, opened));
    let edits: Vec<_> = edits.collect();
    Ok(rewrite(&description, &edits, opened, version).into())
}

/// Rewrites the answer to an offer for the party that made the offer, as [`relay_description`] does, and
/// accepts `a=rtcp-mux` where that party has offered it. Streams that the answer leaves out at its end are refused.
///
/// `offer` is the offer as the other party made it, before it was rewritten.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read; [`MediaError::TooManyAnswered`] when the answer has
/// streams that were not offered.
pub fn relay_answer(
    answer: &[u8],
    offer: &[u8],
    opened: &[Option<Opened>],
    version: SessionVersion,
) -> Result<Bytes, MediaError> {
    let (answer, offer) = (Description::parse(answer)?, Description::parse(offer)?);
    let (answered, offered) = (answer.media().len(), offer.media().len());
    if answered > offered {
        return Err(MediaError::TooManyAnswered { answered, offered });
    }
    let pairs = answer.media().zip(offer.media()).enumerate();
    let edits = pairs.map(|(stream, (media, asked))| edit_stream(&media, stream, Some(&asked), opened));
    let edits: Vec<_> = edits.collect();
    let mut text = rewrite(&answer, &edits, opened, version);
    //= https://www.rfc-editor.org/rfc/rfc3264#section-6
    // The answer has as many media sections as the offer.
    offer.media().skip(answered).for_each(|asked| text.extend(asked.refusal()));
    Ok(text.into())
}

fn rewrite(
    description: &Description<'_>,
    edits: &[MediaEdit],
    opened: &[Option<Opened>],
    version: SessionVersion,
) -> Vec<u8> {
    let address = our_address(opened);
    description.edit(&Edit {
        origin: Some(OriginEdit { session: Some(version.session), version: version.version, address }),
        address,
        media: edits,
        drop_ice: true,
        drop_bundle: true,
        hide_maker: Some(version.session),
    })
}

/// The address that speaks for the session: that of the first port. A session without any has no media, so that the
/// address only has to hide the party's own.
fn our_address(opened: &[Option<Opened>]) -> IpAddr {
    opened.iter().flatten().next().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |opened| opened.rtp.ip())
}

/// What becomes of the stream at this place. `asked`: the stream of the offer that it answers.
fn edit_stream(
    media: &Media<'_, '_>,
    stream: usize,
    asked: Option<&Media<'_, '_>>,
    opened: &[Option<Opened>],
) -> MediaEdit {
    //= https://www.rfc-editor.org/rfc/rfc3264#section-6
    // A stream that is offered with port 0 is answered with port 0.
    let refused = media.is_rejected() || asked.is_some_and(Media::is_rejected);
    let ours = opened.get(stream).copied().flatten().filter(|_| !refused);
    let Some(ours) = ours else {
        return MediaEdit::refused(our_address(opened));
    };
    let (rtcp, mux) = match asked {
        Some(asked) if asked.rtcp_mux() => (RtcpEdit::Drop, true),
        Some(_) => (edit_rtcp(media, ours), false),
        None => (edit_rtcp(media, ours), media.rtcp_mux()),
    };
    MediaEdit { rtp: ours.rtp, rtcp, rtcp_mux: Some(mux), direction: hold_direction(media, asked) }
}

/// An `a=rtcp` that names the port of RTP keeps doing so; any other names our port for RTCP. Where there was none it
/// is needed only when that port is not the one above RTP.
//= https://www.rfc-editor.org/rfc/rfc3605#section-2.1
fn edit_rtcp(media: &Media<'_, '_>, opened: Opened) -> RtcpEdit {
    let Opened { rtp, rtcp, .. } = opened;
    if media.rtcp().is_some_and(|attribute| attribute.port == media.port()) {
        return RtcpEdit::IfPresent(rtp);
    }
    let adjacent = rtcp.ip() == rtp.ip() && Some(rtcp.port()) == rtp.port().checked_add(1);
    if adjacent { RtcpEdit::IfPresent(rtcp) } else { RtcpEdit::At(rtcp) }
}

/// The direction that takes the place of an address of zeros, which our own address would otherwise hide.
//= https://www.rfc-editor.org/rfc/rfc3264#section-8.4
fn hold_direction(media: &Media<'_, '_>, asked: Option<&Media<'_, '_>>) -> Option<Direction> {
    if !media.connection().is_some_and(|connection| connection.is_unspecified()) {
        return None;
    }
    let held = media.direction().and(Direction::SendOnly);
    Some(asked.map_or(held, |asked| held.and(asked.direction().reversed())))
}
