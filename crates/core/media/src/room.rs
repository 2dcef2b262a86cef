//! What a room says: it has one stream of sound, and answers, or offers, in the codecs it can be spoken to in.
//!
//! What is written here is in the clear and with an address that stands for none; it is given to a member as another party's
//! description is, with our ports and our keys.

use crate::transcoding::{FIRST_DYNAMIC, OPUS_PARAMETERS, codings, ours};
use crate::{Agreed, Attendance, Latch, MediaError, in_the_clear, remote};
use bytes::Bytes;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use sx_sdp::{Description, Direction, FormatEdit, Media, NewFormat, OurFormat, Ours};
use sx_types::{Codec, PayloadType, RoomSounds};

/// The answer of a room to an offer: its first stream of sound that has one of the codecs, with all of these that it has, in
/// the order of `codecs`, and with the telephone events that it has. Every other stream is refused.
///
/// # Errors
/// [`MediaError::Description`] when the offer cannot be read; [`MediaError::NothingInCommon`] when it has no such stream.
pub fn room_answer(offer: &Bytes, codecs: &[Codec]) -> Result<Bytes, MediaError> {
    let clear = in_the_clear(offer)?;
    let asked = Description::parse(&clear)?;
    let nothing = |_| MediaError::NothingInCommon;
    let answered = sx_sdp::answer(&asked, &said_by_a_room(codecs)).map_err(nothing)?;
    let chosen = answered.chosen.ok_or(MediaError::NothingInCommon)?;
    let parsed = Description::parse(&answered.text)?;
    let mut edits = vec![FormatEdit::Keep; parsed.media().len()];
    if let (Some(edit), Some(media)) = (edits.get_mut(chosen.stream), asked.media_at(chosen.stream)) {
        *edit = FormatEdit::Replace(in_order(&media, codecs));
    }
    Ok(parsed.set_formats(&edits).into())
}

/// The offer of a room to somebody who has made none.
pub fn room_offer(codecs: &[Codec]) -> Bytes {
    sx_sdp::offer(&said_by_a_room(codecs)).into()
}

/// The offer of a room to a member that has said something before and now wants an offer: as many streams in the same order,
/// with what both have under the same payload types, and sound both ways.
///
/// # Errors
/// Those of [`room_answer`].
//= https://www.rfc-editor.org/rfc/rfc3264#section-8
// Media sections are never taken away, and a payload type keeps its meaning for as long as the session lasts.
pub fn room_offer_again(said: &Bytes, codecs: &[Codec]) -> Result<Bytes, MediaError> {
    let answer = room_answer(said, codecs)?;
    let lines = answer.split_inclusive(|byte| *byte == b'\n');
    let held = [Direction::SendOnly, Direction::RecvOnly, Direction::Inactive].map(Direction::name);
    let is_direction = |line: &[u8]| {
        let name = line.strip_prefix(b"a=").map(<[u8]>::trim_ascii_end);
        held.iter().any(|held| name == Some(held.as_bytes()))
    };
    let open = format!("a={}\r\n", Direction::SendRecv.name());
    let lines = lines.map(|line| if is_direction(line) { open.as_bytes() } else { line });
    Ok(lines.collect::<Vec<_>>().concat().into())
}

/// How a party takes part in a room by what it was told and has said, and with which of its streams; `None` when they have
/// agreed on no sound. One that does not listen is not heard either: what it sends meanwhile is music for whoever it has put
/// on hold.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read.
pub fn attendance(told: &Bytes, said: &Bytes, room: &Arc<str>) -> Result<Option<(usize, Attendance)>, MediaError> {
    let (told, said) = (in_the_clear(told)?, in_the_clear(said)?);
    let agreed = Agreed { told: &told, said: &said };
    let streams = Description::parse(&told)?.media().len();
    Ok((0..streams).find_map(|stream| {
        let (from, _) = codings(agreed.told, agreed.said, stream)?;
        let (mut to, ptime_ms) = codings(agreed.said, agreed.told, stream)?;
        if !from.iter().any(crate::Coding::is_sound) {
            return None;
        }
        // Both sides have the same; of what both have, our order is the one that we keep to.
        to.sort_by_key(|taken| from.iter().position(|sent| sent.is_same(taken)));
        let muted = !remote(agreed.said, stream, Latch::Port).is_some_and(|remote| remote.receives);
        Some((
            stream,
            Attendance {
                room: room.clone(),
                from,
                to,
                ptime_ms,
                muted,
                keys_in_band: false,
                sounds: RoomSounds::default(),
            },
        ))
    }))
}

/// What both have, in the order of the room, under the payload types of the offer.
//= https://www.rfc-editor.org/rfc/rfc3264#section-6.1
// An encoding keeps the payload type under which it was offered.
fn in_order(asked: &Media<'_, '_>, codecs: &[Codec]) -> Vec<NewFormat> {
    let offered = |codec: &Codec| {
        let same = |clock_hz, channels| (clock_hz, channels) == (codec.clock_hz(), codec.channels());
        let mut formats = asked.codecs();
        let found = formats.find(|format| format.codec == Some(*codec) && same(format.clock_hz, format.channels));
        found.map(|format| ours(format.payload_type, *codec))
    };
    let events = asked.codecs().filter(|format| format.codec == Some(Codec::TelephoneEvent)).map(|format| {
        let parameters = asked.fmtp(format.payload_type).map(String::from_utf8_lossy).unwrap_or_default().into();
        let (payload_type, clock_hz) = (format.payload_type, format.clock_hz);
        NewFormat { payload_type, codec: Codec::TelephoneEvent, clock_hz, parameters }
    });
    codecs.iter().filter_map(offered).chain(events).collect()
}

fn said_by_a_room(codecs: &[Codec]) -> Ours {
    let number = |codec: &Codec, index: usize| {
        let fixed = (0..FIRST_DYNAMIC).map(PayloadType).find(|number| Codec::from_static(*number) == Some(*codec));
        // There are fewer codecs than dynamic numbers below that of telephone events.
        fixed.unwrap_or(PayloadType(FIRST_DYNAMIC.saturating_add(index as u8)))
    };
    let formats = codecs.iter().enumerate().map(|(index, codec)| {
        let parameters = if *codec == Codec::Opus { OPUS_PARAMETERS } else { "" };
        OurFormat { payload_type: number(codec, index), codec: *codec, parameters }
    });
    Ours {
        session: 0,
        version: 0,
        rtp: NOWHERE,
        formats: formats.chain([OurFormat::TELEPHONE_EVENT]).collect(),
        direction: Direction::SendRecv,
        ptime_ms: 0,
    }
}

/// Our ports take its place. It is not the address of zeros, which would put the member on hold.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: [Codec; 3] = [Codec::Opus, Codec::G722, Codec::Pcmu];

    fn offer(media: &str) -> Bytes {
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}").into()
    }

    fn body(description: &Bytes) -> String {
        let text = String::from_utf8_lossy(description).into_owned();
        text.split_once("m=").map(|(_, media)| format!("m={media}")).unwrap_or_default()
    }

    fn check(media: &str, expected: Option<&str>) {
        let answer = room_answer(&offer(media), &ROOM).ok().map(|answer| body(&answer));
        assert_eq!(answer.as_deref(), expected, "{media}");
    }

    #[test]
    fn a_room_answers_in_its_own_order_under_the_numbers_of_the_offer() {
        let media = "m=audio 4000 RTP/AVP 8 0 111 101\r\na=rtpmap:111 opus/48000/2\r\n\
            a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n";
        let formats = "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1;stereo=0\r\na=rtpmap:0 PCMU/8000\r\n\
            a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n";
        check(media, Some(&format!("m=audio 9 RTP/AVP 111 0 101\r\na=sendrecv\r\n{formats}")));
        let held = format!("m=audio 9 RTP/AVP 111 0 101\r\na=recvonly\r\n{formats}");
        check(&format!("{media}a=sendonly\r\n"), Some(&held));
    }

    #[test]
    fn only_the_first_stream_of_sound_is_taken() {
        let media =
            "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\nm=audio 4000 RTP/AVP 0\r\nm=audio 4004 RTP/AVP 0\r\n";
        let expected = "m=video 0 RTP/AVP 96\r\nm=audio 9 RTP/AVP 0\r\na=sendrecv\r\na=rtpmap:0 PCMU/8000\r\n\
            m=audio 0 RTP/AVP 0\r\n";
        check(media, Some(expected));
    }

    #[test]
    fn what_cannot_be_mixed_has_no_answer() {
        for media in ["", "m=audio 4000 RTP/AVP 8 18\r\n", "m=audio 0 RTP/AVP 0\r\n", "m=video 4000 RTP/AVP 0\r\n"] {
            check(media, None);
        }
    }

    #[test]
    fn an_offer_to_a_member_on_hold_lets_sound_flow_again() {
        let media = "m=video 0 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 97 0\r\na=rtpmap:97 opus/48000/2\r\na=inactive\r\n";
        let text = body(&room_offer_again(&offer(media), &ROOM).expect("an offer"));
        assert!(text.starts_with("m=video 0 ") && text.contains("m=audio 9 RTP/AVP 97 0\r\na=sendrecv\r\n"), "{text}");
    }

    #[test]
    fn a_member_is_sent_first_what_the_room_prefers() {
        let said = offer("m=audio 4000 RTP/AVP 0 97\r\na=rtpmap:97 opus/48000/2\r\na=ptime:40\r\n");
        let told = room_answer(&said, &ROOM).expect("an answer");
        let room = Arc::from("council");
        let (stream, attends) = attendance(&told, &said, &room).expect("descriptions").expect("sound");
        let codecs = |codings: &[crate::Coding]| codings.iter().map(|coding| coding.codec).collect::<Vec<_>>();
        let both = [Codec::Opus, Codec::Pcmu];
        assert_eq!((stream, codecs(&attends.from), codecs(&attends.to)), (0, both.to_vec(), both.to_vec()));
        assert_eq!((attends.ptime_ms, attends.muted, attends.room), (40, false, room.clone()));
        let held = offer("m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n");
        let told = room_answer(&held, &ROOM).expect("an answer");
        let (_, attends) = attendance(&told, &held, &room).expect("descriptions").expect("sound");
        assert!(attends.muted, "what it plays to those on hold is not for the room");
    }

    #[test]
    fn a_room_offers_all_it_has() {
        let expected = "m=audio 9 RTP/AVP 96 9 0 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1;stereo=0\r\n\
            a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
            a=sendrecv\r\n";
        assert_eq!(body(&room_offer(&ROOM)), expected);
    }
}
