//! Hold: what a party says that is heard no more for a while, and what the other one hears meanwhile.
//!
//! ```text
//!  Alice ── a=inactive ──► exchange ── a=sendonly ──► Bob     who hears music of ours
//!        ◄─ a=inactive ──┘          ◄─ a=recvonly ──┘
//! ```
//!
//! Everything follows from what the parties were told and have said, so that nothing else is remembered.

use crate::transcoding::codings;
use crate::{Agreed, Latch, MediaError, Playing, in_the_clear, try_remote};
use bytes::Bytes;
use std::sync::Arc;
use sx_sdp::{Description, Direction, Media, MediaKind};
use sx_types::{HoldMusic, HoldMusicWhen};

/// An offer, or an answer to `asked`, of somebody who holds without sending anything, as the other is told it that hears
/// music of ours meanwhile: it is not to stop listening.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read.
pub fn with_music(description: &Bytes, asked: Option<&Bytes>) -> Result<Bytes, MediaError> {
    let parsed = Description::parse(description)?;
    let asked = asked.map(|asked| Description::parse(asked)).transpose()?;
    let listens = |stream| match &asked {
        Some(asked) => asked.media_at(stream).is_some_and(|media| media.direction().receives()),
        None => true,
    };
    let silent = |media: &Media<'_, '_>| {
        let is_sound = media.kind() == MediaKind::Audio && media.profile().is_rtp() && !media.is_rejected();
        is_sound && media.direction() == Direction::Inactive
    };
    Ok(redirect(description, &parsed, |stream, media| {
        (silent(media) && listens(stream)).then_some(Direction::SendOnly)
    }))
}

/// An answer, with no more in each stream than was offered: whoever hears music of ours has answered another offer than the
/// one that was made.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read.
//= https://www.rfc-editor.org/rfc/rfc3264#section-6.1
// What is offered as inactive must be answered as inactive.
pub fn no_more_than_offered(answer: &Bytes, offer: &Bytes) -> Result<Bytes, MediaError> {
    let (parsed, asked) = (Description::parse(answer)?, Description::parse(offer)?);
    Ok(redirect(answer, &parsed, |stream, media| {
        let asked = asked.media_at(stream)?;
        let is_held = asked.direction() == Direction::Inactive && !media.is_rejected();
        (is_held && media.direction() != Direction::Inactive).then_some(Direction::Inactive)
    }))
}

/// What the listener is to hear in place of what the holder sends in a stream, if anything.
pub fn hold_music(music: &HoldMusic, holder: &[u8], listener: Agreed<'_>, stream: usize) -> Option<Playing> {
    let held = try_remote(holder, stream, Latch::Exact).ok()?;
    let is_silent = match music.when {
        HoldMusicWhen::Inactive => !held.sends,
        HoldMusicWhen::Always => true,
    };
    let listens = try_remote(listener.said, stream, Latch::Exact).is_ok_and(|remote| remote.receives);
    if held.receives || !is_silent || !listens {
        return None;
    }
    playing(&music.sound, true, listener, stream)
}

/// A sound for the peer that has agreed so, in a stream of it; `None` when that is no sound.
pub fn playing(sound: &Arc<str>, repeats: bool, listener: Agreed<'_>, stream: usize) -> Option<Playing> {
    let told = in_the_clear(&Bytes::copy_from_slice(listener.told)).ok()?;
    let said = in_the_clear(&Bytes::copy_from_slice(listener.said)).ok()?;
    let (to, ptime_ms) = codings(&said, &told, stream)?;
    to.iter().any(crate::Coding::is_sound).then(|| Playing { sound: sound.clone(), repeats, to, ptime_ms, number: 0 })
}

/// The description with other directions in some of its streams; one that none is to have keeps its bytes.
fn redirect(
    description: &Bytes,
    parsed: &Description<'_>,
    wanted: impl Fn(usize, &Media<'_, '_>) -> Option<Direction>,
) -> Bytes {
    let wanted: Vec<_> = parsed.media().enumerate().map(|(stream, media)| wanted(stream, &media)).collect();
    match wanted.iter().all(Option::is_none) {
        true => description.clone(),
        false => parsed.set_directions(&wanted).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

    fn described(media: &str) -> Bytes {
        format!("{HEAD}{media}").into()
    }

    fn audio(direction: &str) -> Bytes {
        described(&format!("m=audio 4000 RTP/AVP 0\r\na={direction}\r\n"))
    }

    #[test]
    fn who_hears_music_is_not_told_to_stop_listening() {
        let check = |said: &Bytes, asked: Option<&str>, expected: &Bytes| {
            let asked = asked.map(audio);
            let told = with_music(said, asked.as_ref()).expect("a description");
            assert_eq!(told, expected, "{said:?} for {asked:?}");
        };
        check(&audio("inactive"), None, &audio("sendonly"));
        check(&audio("inactive"), Some("sendrecv"), &audio("sendonly"));
        check(&audio("inactive"), Some("recvonly"), &audio("sendonly"));
        for asked in ["sendonly", "inactive"] {
            check(&audio("inactive"), Some(asked), &audio("inactive"));
        }
        for direction in ["sendrecv", "sendonly", "recvonly"] {
            check(&audio(direction), None, &audio(direction));
        }
        let others = described("m=video 4000 RTP/AVP 31\r\na=inactive\r\nm=audio 0 RTP/AVP 0\r\na=inactive\r\n");
        check(&others, None, &others);
    }

    #[test]
    fn what_was_offered_as_inactive_is_answered_so() {
        let check = |answer: &str, offer: &str, expected: &str| {
            let answered = no_more_than_offered(&audio(answer), &audio(offer)).expect("descriptions");
            assert_eq!(answered, audio(expected), "{answer} for {offer}");
        };
        for answer in ["sendrecv", "recvonly", "sendonly", "inactive"] {
            check(answer, "inactive", "inactive");
            check(answer, "sendonly", answer);
            check(answer, "sendrecv", answer);
        }
    }

    fn hears(when: HoldMusicWhen, holder: &str, listener: &str) -> bool {
        let music = HoldMusic { sound: "music.wav".into(), when };
        let holder = match holder {
            "zeros" => described("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n"),
            holder => audio(holder),
        };
        let (told, said) = (audio("sendonly"), audio(listener));
        let playing = hold_music(&music, &holder, Agreed { told: &told, said: &said }, 0);
        if let Some(playing) = &playing {
            assert!(playing.repeats && &*playing.sound == "music.wav" && playing.to.len() == 1);
        }
        playing.is_some()
    }

    #[test]
    fn music_takes_the_place_of_silence_or_of_all_that_a_holder_sends() {
        use HoldMusicWhen::{Always, Inactive};
        for (holder, inactive, always) in [
            ("sendrecv", false, false),
            ("recvonly", false, false),
            ("sendonly", false, true),
            ("inactive", true, true),
            ("zeros", true, true),
        ] {
            assert_eq!(hears(Inactive, holder, "recvonly"), inactive, "{holder}");
            assert_eq!(hears(Always, holder, "recvonly"), always, "{holder}");
            assert!(!hears(Always, holder, "inactive"), "who does not listen hears nothing");
        }
    }

    #[test]
    fn pictures_are_not_played() {
        let video = described("m=video 4000 RTP/AVP 31\r\na=inactive\r\n");
        let listener = described("m=video 4000 RTP/AVP 31\r\na=recvonly\r\n");
        let music = HoldMusic { sound: "music.wav".into(), when: HoldMusicWhen::Always };
        assert_eq!(hold_music(&music, &video, Agreed { told: &listener, said: &listener }, 0), None);
        assert_eq!(playing(&music.sound, false, Agreed { told: &listener, said: &listener }, 0), None);
        assert_eq!(hold_music(&music, b"v=", Agreed { told: b"", said: b"" }, 7), None);
    }
}
