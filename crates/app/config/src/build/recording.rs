//! `[recording]`.

use super::sounds::sound;
use crate::error::Problem;
use crate::meant::{Exchange, Recording, RecordingBandwidth, RecordingContainer, RecordingTracks, SoundSettings};
use crate::reader::Reader;
use std::num::NonZero;

/// More than these are not said in the file beside a recording.
const RECIPIENTS_MAX: usize = 16;

pub(crate) fn recording(section: &Reader<'_>, exchange: &Exchange, settings: &SoundSettings) -> Recording {
    let recipients = section.tested_list("recipients", is_recipient);
    if recipients.len() > RECIPIENTS_MAX {
        section.conflict(&["recipients"], "there may be 16 at most");
    }
    let (agree_key, refuse_key) = (key_of(section, "agree_key", '1'), key_of(section, "refuse_key", '2'));
    if agree_key == refuse_key {
        section.conflict(&["agree_key", "refuse_key"], "one key cannot mean both");
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
        threads: NonZero::new(section.number("threads")),
        required: section.flag("required"),
        announcement: sound(section, "announcement", settings),
        agree_key,
        refuse_key,
        answer_wait: section.seconds("answer_s"),
        beep: section.seconds_or_off("beep_s"),
    }
}

fn key_of(section: &Reader<'_>, name: &str, otherwise: char) -> char {
    let Some(text) = section.text_if_said(name) else { return otherwise };
    match text.chars().next().filter(|key| text.len() == 1 && KEYS.contains(*key)) {
        Some(key) => key,
        None => {
            section.refuse(name, Problem::NotAllowed { allowed: "one of 0 to 9, * and #".into() });
            otherwise
        }
    }
}

/// The keys of any telephone.
const KEYS: &str = "0123456789*#";

/// Does it look like a public key of age? Whether it is one, whoever encrypts finds out.
fn is_recipient(text: &str) -> bool {
    text.len() == 62 && text.starts_with("age1") && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}
