//! What is encrypted, and decrypted again.

use super::{check_files, mixed, push_frames, record};
use crate::{ReadError, Recipient, RecordingSettings, decrypt, verify};
use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use std::fs;
use std::path::{Path, PathBuf};

/// A file with this identity, as age-keygen writes it.
fn keys(folder: &Path, name: &str, identity: &Identity) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("# public key: {}\n{}\n", identity.to_public(), identity.to_string().expose_secret()))
        .expect("room");
    path
}

fn sealed(folder: &Path, identities: &[&Identity]) -> RecordingSettings {
    let recipients = identities.iter().map(|identity| identity.to_public().to_string().parse().expect("a recipient"));
    RecordingSettings { recipients: recipients.collect(), ..mixed(folder) }
}

#[test]
fn each_recipient_decrypts_what_would_have_been_written_in_the_clear() {
    let (folder, plain) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let identities = [Identity::generate(), Identity::generate()];
    let settings = sealed(folder.path(), &[&identities[0], &identities[1]]);
    // More than two chunks of age.
    let outcome = record(settings, |handle| push_frames(handle, 0..500, 0x1234, 0));
    record(mixed(plain.path()), |handle| push_frames(handle, 0..500, 0x1234, 0));
    let expected = fs::read(plain.path().join("call.wav")).expect("it is there");

    assert_eq!(outcome.files[0].name, "call.wav.age");
    check_files(folder.path(), &outcome);
    let path = folder.path().join("call.wav.age");
    assert!(verify(&path).expect("a side-car")[0].intact);
    let ciphertext = fs::read(&path).expect("it is there");
    assert!(ciphertext.starts_with(b"age-encryption.org/v1\n"));
    assert!(!ciphertext.windows(8).any(|bytes| bytes == [0x34, 0x12].repeat(4)), "samples in the clear");
    for (number, identity) in identities.iter().enumerate() {
        let (keys, out) = (keys(folder.path(), "keys", identity), folder.path().join(format!("{number}.wav")));
        let decrypted = decrypt(&path, &keys, &out).expect("its identity");
        assert!(decrypted.cut.is_none() && decrypted.bytes == expected.len() as u64);
        assert!(fs::read(&out).expect("it is there") == expected);
    }
}

#[test]
fn the_plain_text_is_on_no_disk_while_it_is_recorded() {
    use crate::sink::{Create, StoredFile};
    use std::sync::{Arc, Mutex};
    struct Seen(Arc<Mutex<Vec<u8>>>);
    impl StoredFile for Seen {
        fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
            self.0.lock().expect("nobody panics with it").extend_from_slice(bytes);
            Ok(())
        }
        fn overwrite(&mut self, _: u64, _: &[u8]) -> std::io::Result<()> {
            panic!("nothing that is encrypted is written over")
        }
        fn truncate(&mut self, _: u64) -> std::io::Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let create: Create = Arc::new({
        let seen = Arc::clone(&seen);
        move |_| Ok(Box::new(Seen(Arc::clone(&seen))))
    });
    let settings = sealed(folder.path(), &[&Identity::generate()]);
    super::record_on(&create, crate::RecorderLimits::default(), settings, |handle| {
        push_frames(handle, 0..500, 0x1234, 0);
    });
    let seen = seen.lock().expect("nobody panics with it");
    assert!(seen.len() > 160_000, "{}", seen.len());
    assert!(!seen.windows(8).any(|bytes| bytes == [0x34, 0x12].repeat(4)));
    assert!(!seen.windows(4).any(|bytes| bytes == b"RIFF"));
}

#[test]
fn what_was_cut_off_or_changed_is_decrypted_up_to_there() {
    let (folder, identity) = (tempfile::tempdir().expect("a folder"), Identity::generate());
    record(sealed(folder.path(), &[&identity]), |handle| push_frames(handle, 0..500, 1, 0));
    let (whole, keys) = (folder.path().join("call.wav.age"), keys(folder.path(), "keys", &identity));
    let bytes = fs::read(&whole).expect("it is there");
    let mut changed = bytes.clone();
    changed[100_000] ^= 1;
    for (number, damaged) in [&bytes[..100_000], &changed[..]].into_iter().enumerate() {
        let (path, out) = (folder.path().join("damaged.age"), folder.path().join(format!("{number}.wav")));
        fs::write(&path, damaged).expect("room");
        let decrypted = decrypt(&path, &keys, &out).expect("its identity");
        assert!(decrypted.cut.is_some() && decrypted.bytes == 65_536, "{decrypted:?}");
        assert_eq!(super::runs(&super::read_wav(&out).2), [(1, (65_536 - 44) / 2)]);
    }
}

#[test]
fn another_identity_decrypts_nothing_and_nothing_is_overwritten() {
    let (folder, identity) = (tempfile::tempdir().expect("a folder"), Identity::generate());
    record(sealed(folder.path(), &[&identity]), |handle| push_frames(handle, 0..1, 1, 0));
    let (path, out) = (folder.path().join("call.wav.age"), folder.path().join("out.wav"));
    let stranger = keys(folder.path(), "stranger", &Identity::generate());
    assert!(matches!(decrypt(&path, &stranger, &out), Err(ReadError::Decrypt { .. })));
    fs::write(folder.path().join("none"), "no key\n").expect("room");
    assert!(matches!(decrypt(&path, &folder.path().join("none"), &out), Err(ReadError::NoIdentity(_))));
    assert!(!out.exists());
    fs::write(&out, "mine").expect("room");
    let own = keys(folder.path(), "own", &identity);
    assert!(matches!(decrypt(&path, &own, &out), Err(ReadError::File(_))));
    assert_eq!(fs::read(&out).expect("it is there"), b"mine");
    assert!(!folder.path().join("out.wav.part").exists(), "what is in the clear lies about");
}

#[test]
fn what_is_no_recipient_is_refused() {
    for text in ["", "age1", "AGE-SECRET-KEY-1", "ssh-ed25519 AAAA"] {
        assert!(text.parse::<Recipient>().is_err(), "{text}");
    }
}
