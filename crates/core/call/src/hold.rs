//! Hold: who hears music of ours in place of somebody who sends nothing.
//!
//! It follows from what both have said, and nothing is remembered: wherever two are connected, who is on hold is played to
//! instead of being patched to, and the next time that it is patched to, the music is over.

use crate::ports::agreed;
use crate::state::{Body, Party};
use sx_media::{Playing, hold_music};

/// What the listener hears in place of what the holder sends in a stream, if anything.
pub(crate) fn music(body: &Body, holder: &Party, listener: &Party, stream: u8) -> Option<Playing> {
    let music = listener.access.hold_music.as_ref()?;
    // Who was never answered is not on hold.
    body.cdr.answer?;
    hold_music(music, holder.said.as_ref()?, agreed(listener)?, stream.into())
}
