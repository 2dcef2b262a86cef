//! The sounds that are named: each is a tone, or a file that is there.

use crate::error::Problem;
use crate::meant::SoundSettings;
use crate::reader::Reader;
use std::path::{Component, Path};
use std::sync::Arc;
use sx_audio::{Country, Indication, TONE};

pub(super) fn settings(section: &Reader<'_>) -> SoundSettings {
    SoundSettings {
        folder: section.has("sounds").then(|| section.path("sounds")),
        country: section.choice("tones", Country::default()),
        seconds_max: section.number("sound_seconds_max"),
        bytes_max: section.number("sound_bytes_max"),
        files_max: section.number("sound_files_max"),
        plays_max: section.number("plays_max"),
    }
}

/// The sound that is named at a key, if any.
pub(super) fn sound(entry: &Reader<'_>, key: &str, settings: &SoundSettings) -> Option<Arc<str>> {
    let name = entry.text_if_said(key)?;
    if let Some(tone) = name.strip_prefix(TONE) {
        if Indication::from_name(tone).is_none() {
            let tones: Vec<_> = Indication::ALL.iter().map(|tone| format!("\"{TONE}{}\"", tone.name())).collect();
            entry.refuse(key, Problem::NotAllowed { allowed: tones.join(", ") });
        }
        return Some(name);
    }
    let Some(folder) = &settings.folder else {
        entry.conflict(&[key], "a file is played from the folder media.sounds, which is not given");
        return Some(name);
    };
    let is_below = Path::new(&*name).components().all(|part| matches!(part, Component::Normal(_)));
    if !is_below {
        entry.refuse(key, Problem::NotAllowed { allowed: "the name of a file in the folder media.sounds".into() });
        return Some(name);
    }
    if let Err(problem) = entry.check_file(&folder.join(&*name)) {
        entry.refuse(key, Problem::Unreadable(problem));
    }
    Some(name)
}
