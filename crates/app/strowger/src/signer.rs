//! The keys that experts, guardians and agents sign with: files as every tool reads them.

use anyhow::{Context as _, ensure};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Somebody's key for Ed25519.
pub struct Signer(Ed25519KeyPair);

impl Signer {
    /// A new one.
    pub fn generate() -> anyhow::Result<Self> {
        Ed25519KeyPair::generate().map(Self).map_err(|_| anyhow::anyhow!("the operating system gives no randomness"))
    }

    /// Reads a key that nobody but its owner may read: PKCS #8 in PEM.
    //= https://www.rfc-editor.org/rfc/rfc8410#section-7
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let mode = fs::metadata(path).with_context(|| format!("cannot read the key {shown}"))?.permissions().mode();
        ensure!(mode & 0o077 == 0, "the key {shown} may be read by others than its owner; set its mode to 0600");
        let key = PrivatePkcs8KeyDer::from_pem_file(path).ok();
        let pair = key.and_then(|key| Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_pkcs8_der()).ok());
        pair.map(Self).with_context(|| format!("{shown} holds no key for Ed25519 as PKCS #8 in PEM"))
    }

    /// Writes it, for its owner's eyes only. A file that is there already is kept, and is an error.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let der = self.0.to_pkcs8v1().map_err(|_| anyhow::anyhow!("the key cannot be written down"))?;
        let text = STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = file.with_context(|| format!("cannot write the key {}", path.display()))?;
        file.write_all(pem.as_bytes())?;
        Ok(file.sync_all()?)
    }

    /// The one in the file, or a new one that is written there. Was it made?
    pub fn read_or_make(path: &Path) -> anyhow::Result<(Self, bool)> {
        if path.try_exists()? {
            return Ok((Self::read(path)?, false));
        }
        let made = Self::generate()?;
        made.write(path)?;
        Ok((made, true))
    }

    /// What others know it by.
    pub fn public_key(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap_or_default()
    }

    /// Its signature.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).as_ref().try_into().unwrap_or([0; 64])
    }
}

/// Is it a signature of these bytes by this key?
pub fn verifies(key: &[u8; 32], bytes: &[u8], signature: &[u8; 64]) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(bytes, signature).is_ok()
}

/// In hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// From hexadecimal digits.
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len() == 2 * N)?;
    let bytes: Vec<u8> = digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect();
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_by_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lind.key");
        let (made, is_new) = Signer::read_or_make(&path).expect("a key");
        let (again, is_new_again) = Signer::read_or_make(&path).expect("the same");
        assert_eq!((is_new, is_new_again, made.public_key()), (true, false, again.public_key()));
        let signature = again.sign(b"valve 7");
        assert!(verifies(&made.public_key(), b"valve 7", &signature));
        assert!(!verifies(&made.public_key(), b"valve 8", &signature));
        assert!(made.write(&path).is_err(), "a key is never written over");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a mode");
        let error = Signer::read(&path).err().expect("others may read it").to_string();
        assert!(error.contains("0600"), "{error}");
        fs::write(folder.path().join("other"), "no key").expect("a file");
        fs::set_permissions(folder.path().join("other"), fs::Permissions::from_mode(0o600)).expect("a mode");
        assert!(Signer::read(&folder.path().join("other")).is_err());
    }

    #[test]
    fn bytes_are_two_digits_each() {
        assert_eq!(from_hex::<2>(&hex(&[0x0f, 0xa0])), Some([0x0f, 0xa0]));
        assert_eq!(from_hex::<2>("0FA0"), Some([0x0f, 0xa0]));
        for text in ["", "0fa", "0fa01", "0fg0", "é0a0"] {
            assert_eq!(from_hex::<2>(text), None, "{text}");
        }
    }
}
