//! The sounds that a configuration names: read whole, within its limits, all that is wrong at once.

use super::build::{Fault, StartError};
use super::parts::build_tables;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use sx_config::{Config, SoundSettings, TargetKind};
use sx_exchange::Tables;
use sx_io_rtp::{Recorded, Sounds, read_wav};
use tracing::warn;

/// What a file holds beside its samples.
const BESIDE_BYTES: u64 = 65_536;
const TONE: &str = "tone:";

/// The tables of a configuration, and what can be played.
pub(super) fn tables_and_sounds(
    config: &Config,
    outward: (Ipv4Addr, Ipv6Addr),
    before: Option<&Tables>,
) -> Result<(Tables, Arc<Sounds>), StartError> {
    match (build_tables(config, outward, before), sounds(config)) {
        (Ok(tables), Ok(sounds)) => Ok((tables, Arc::new(sounds))),
        (Err(StartError::Tables(mut wrong)), Err(more)) => {
            wrong.extend(more.into_iter().map(Fault::Sound));
            Err(StartError::Tables(wrong))
        }
        (Err(wrong), _) => Err(wrong),
        (Ok(_), Err(wrong)) => Err(StartError::Tables(wrong.into_iter().map(Fault::Sound).collect())),
    }
}

/// Reads every file that is named anywhere.
///
/// # Errors
/// A sentence for each that cannot be played, and one when there are too many of them, or too much is in them.
pub fn sounds(config: &Config) -> Result<Sounds, Vec<String>> {
    let settings = &config.media.sounds;
    let mut sounds = Sounds::new(settings.country);
    let mut wrong = Vec::new();
    let names = named(config);
    if names.len() > settings.files_max {
        let (files, files_max) = (names.len(), settings.files_max);
        return Err(vec![format!("media.sound_files_max: {files} files are named, and {files_max} is the most")]);
    }
    let is_named = |name: &str| names.iter().any(|known| **known == *name);
    for (name, folder) in names.iter().zip(settings.folder.iter().cycle()) {
        match read(&folder.join(&**name), settings.seconds_max) {
            Ok(recorded) => sounds.insert(name.clone(), recorded),
            Err(error) => wrong.push(format!("{}: {error}", folder.join(&**name).display())),
        }
        let (_, bytes) = sounds.recorded();
        if bytes > settings.bytes_max {
            let bytes_max = settings.bytes_max;
            wrong.push(format!(
                "media.sound_bytes_max: up to {name} there are {bytes} bytes, and {bytes_max} is the most"
            ));
            break;
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    if let Some(folder) = &settings.folder {
        add_folder(&mut sounds, folder, settings, is_named);
    }
    Ok(sounds)
}

/// Adds every other file of the folder, which proxies and operators may name, as far as it can be played and there is room for it. Files that nobody
/// has named keep nobody from starting.
fn add_folder(sounds: &mut Sounds, folder: &Path, settings: &SoundSettings, is_named: impl Fn(&str) -> bool) {
    let is_sound = |name: &String| {
        let is_free = name.ends_with(".wav") && !name.starts_with('.') && !is_named(name);
        // Whoever opens a pipe waits for its other end.
        is_free && folder.join(name).is_file()
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return warn!(folder = %folder.display(), %error, "the folder of sounds cannot be read"),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(is_sound);
    let names: BTreeSet<String> = names.collect();
    for name in names {
        let (files, bytes) = sounds.recorded();
        if files >= settings.files_max {
            return warn!(%name, files, "there are more files of sounds than may be; those from here on cannot be played");
        }
        match read(&folder.join(&name), settings.seconds_max) {
            Ok(recorded) if bytes + size_of_val(&*recorded.samples) <= settings.bytes_max => {
                sounds.insert(name.into(), recorded);
            }
            Ok(_) => warn!(%name, bytes, "there is no memory left for a file of sound; it cannot be played"),
            Err(error) => warn!(%name, %error, "a file of the folder of sounds cannot be played"),
        }
    }
}

/// The files that are named, each once.
fn named(config: &Config) -> BTreeSet<Arc<str>> {
    let own = config.media.hold_music.iter().map(|music| &music.sound);
    let trunks = config.trunks.iter().filter_map(|trunk| trunk.hold_music.as_ref()).map(|music| &music.sound);
    let targets = config.routes.iter().flat_map(|route| &route.targets);
    let announcements = targets.filter_map(|target| match &target.kind {
        TargetKind::Announcement { sound, .. } => Some(sound),
        _ => None,
    });
    let rooms = config.rooms.iter().flat_map(|room| room.sounds.names());
    let experts = config.escalation.announcements.iter().map(|(_, sound)| sound);
    let all = own.chain(trunks).chain(announcements).chain(rooms).chain(experts);
    let recording = config.recording.iter().filter_map(|recording| recording.announcement.as_ref());
    let all = all.chain(recording);
    all.filter(|name| !name.starts_with(TONE)).cloned().collect()
}

fn read(path: &Path, seconds_max: u32) -> Result<Recorded, String> {
    // Two channels of 16 bit at the highest rate.
    let most = u64::from(seconds_max) * 48_000 * 4 + BESIDE_BYTES;
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most {
        return Err(format!("it has more than {most} bytes, which no sound of {seconds_max} s has"));
    }
    let recorded = read_wav(&bytes, seconds_max).map_err(|error| error.to_string())?;
    if recorded.is_cut {
        warn!(file = %path.display(), seconds = recorded.lasts().as_secs(), "a file of sound was cut off; what is there is played");
    }
    Ok(recorded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(samples: usize) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data".to_vec();
        bytes.extend((samples as u32 * 2).to_le_bytes());
        bytes.resize(bytes.len() + samples * 2, 0);
        bytes
    }

    #[test]
    fn the_folder_is_read_as_far_as_it_can_be_played_and_has_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("it is written");
        std::fs::create_dir(folder.path().join("more.wav")).expect("it is made");
        for (name, samples) in [("a.wav", 100), ("b.wav", 100), ("c.wav", 4_000), ("d.wav", 100), ("e.wav", 100)] {
            write(name, &wav(samples));
        }
        write("bad.wav", b"ID3");
        write("notes.txt", &wav(1));
        write(".hidden.wav", &wav(1));
        let names = |more: &str| {
            let folder = folder.path().display();
            let text = format!("[media]\nsounds = \"{folder}\"\nmusic_on_hold = \"d.wav\"\n{more}");
            let config = Config::from_text_with_env(&text, Vec::new()).expect("a configuration");
            let sounds = sounds(&config).expect("what is named can be played");
            let names: BTreeSet<_> =
                sounds.names().map(|(name, _)| name).filter(|name| !name.starts_with(TONE)).collect();
            names.iter().map(|name| name.trim_end_matches(".wav")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(""), "a b c d e");
        assert_eq!(names("sound_bytes_max = 1000\n"), "a b d e", "one is too long");
        assert_eq!(names("sound_files_max = 3\n"), "a b d", "those that are named come first");
    }

    fn check(files: &[(&str, Vec<u8>)], more: &str, expected: &[&str]) {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).expect("it can be written");
        }
        let names: Vec<_> = files.iter().map(|(name, _)| format!("{{ announcement = \"{name}\" }}, ")).collect();
        let text = format!(
            "[media]\nsounds = \"{}\"\n{more}\n[[route]]\nname = \"closed\"\nto = [{}{{ announcement = \"tone:busy\" }}]\n",
            folder.path().display(),
            names.concat()
        );
        let path = folder.path().join("strowger.toml");
        std::fs::write(&path, text).expect("it can be written");
        let config = Config::load(&path, []).expect("a configuration");
        let wrong = sounds(&config).map_or_else(|wrong| wrong, |sounds| vec![format!("{:?}", sounds.recorded())]);
        assert_eq!(wrong.len(), expected.len(), "{wrong:?}");
        wrong.iter().zip(expected).for_each(|(wrong, expected)| assert!(wrong.contains(expected), "{wrong}"));
    }

    #[test]
    fn files_that_are_named_are_read_once() {
        check(&[("a.wav", wav(100)), ("b.wav", wav(50))], "music_on_hold = \"a.wav\"", &["(2, 300)"]);
        check(&[], "", &["(0, 0)"]);
    }

    #[test]
    fn all_that_cannot_be_played_is_told_at_once() {
        let long = ("b.wav", wav(8_001));
        let wrong = ["a.wav: it is no WAV file", "b.wav: it lasts 2 s, and 1 s is the most"];
        check(&[("a.wav", b"ID3".to_vec()), long.clone()], "sound_seconds_max = 1", &wrong);
        check(&[("a.wav", vec![0; 300_000])], "sound_seconds_max = 1", &["more than 257536 bytes"]);
        check(&[long.clone(), ("c.wav", wav(1))], "sound_files_max = 1", &["2 files are named, and 1 is the most"]);
        check(&[long], "sound_bytes_max = 16001", &["there are 16002 bytes, and 16001 is the most"]);
    }
}
