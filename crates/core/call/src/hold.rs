//! Hold: who hears music of ours, or silence, in place of somebody.
//!
//! It follows from what both have said, and from what was asked of them by others ([`Control`]); nothing else is remembered:
//! wherever two are connected, who is on hold is played to instead of being patched to, and the next time that it is patched
//! to, the music is over.
//!
//! [`Control`]: crate::control::Control

use crate::control::SILENCE;
use crate::ports::agreed;
use crate::state::{Body, Party};
use std::sync::Arc;
use sx_media::{Playing, hold_music, playing};

/// What a listener hears in a stream.
#[derive(Debug)]
pub(crate) enum Heard {
    /// What the other one says.
    Speaker,
    /// A sound of ours, for as long as the other one sends nothing.
    Sound(Playing),
    /// A sound of ours, whatever the other one says: where it cannot be played, nothing.
    Instead(Playing),
    /// Nothing: the stream is not of sound.
    Nothing,
}

/// What the listener hears of the speaker in a stream, or in its place.
pub(crate) fn heard(body: &Body, speaker: &Party, listener: &Party, stream: u8) -> Heard {
    if let Some(playing) = listener.control.playing_to(listener, stream.into()) {
        return Heard::Instead(playing);
    }
    let repeated = |sound: &Arc<str>| playing(sound, true, agreed(listener)?, stream.into());
    if listener.control.held {
        return repeated(&held_sound(listener)).map_or(Heard::Nothing, Heard::Instead);
    }
    if speaker.control.held || speaker.control.muted {
        return repeated(&SILENCE.into()).map_or(Heard::Nothing, Heard::Instead);
    }
    music(body, speaker, listener, stream).map_or(Heard::Speaker, Heard::Sound)
}

/// What a party hears that somebody else has put on hold.
pub(crate) fn held_sound(party: &Party) -> Arc<str> {
    party.access.hold_music.as_ref().map_or_else(|| SILENCE.into(), |music| music.sound.clone())
}

/// What the listener hears in place of what the holder sends in a stream, if anything.
fn music(body: &Body, holder: &Party, listener: &Party, stream: u8) -> Option<Playing> {
    let music = listener.access.hold_music.as_ref()?;
    // Who was never answered is not on hold.
    body.cdr.answer?;
    hold_music(music, holder.said.as_ref()?, agreed(listener)?, stream.into())
}
