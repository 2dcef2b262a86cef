//! `[recording]`.

use crate::meant::{Exchange, Recording, RecordingBandwidth, RecordingContainer, RecordingTracks};
use crate::reader::Reader;

/// More than these are not said in the file beside a recording.
const RECIPIENTS_MAX: usize = 16;

pub(crate) fn recording(section: &Reader<'_>, exchange: &Exchange) -> Recording {
    let recipients = section.tested_list("recipients", is_recipient);
    if recipients.len() > RECIPIENTS_MAX {
        section.conflict(&["recipients"], "there may be 16 at most");
    }
    Recording {
        folder: match section.has("folder") {
            true => section.path("folder"),
            false => exchange.data.join("recordings"),
        },
        container: section.choice("container", RecordingContainer::Wav),
        tracks: section.choice("tracks", RecordingTracks::Stereo),
        bandwidth: section.choice("bandwidth", RecordingBandwidth::Narrowband),
        recipients,
        calls_max: section.number("calls_max"),
        required: section.flag("required"),
    }
}

/// Does it look like a public key of age? Whether it is one, whoever encrypts finds out.
fn is_recipient(text: &str) -> bool {
    text.len() == 62 && text.starts_with("age1") && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}
