//! Checkpoints: what the log has signed about all its records so far, as C2SP signed notes.

use crate::base64;
use crate::hash::Hash;
use crate::key::{Purpose, SigningKey, VerifyingKey, check_name};
use crate::stamp;
use std::str::FromStr;
use sx_engine::Time;

/// A signed statement: the log of this name has this many records, and their tree this root.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Whose log it is: the name of the key that signs for it.
    pub origin: String,
    /// How many records it covers: those with smaller numbers.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
    /// When it was made, if it says so.
    pub time: Option<Time>,
    /// The whole text with its signatures, ending in a newline.
    pub note: String,
    /// Where the text that is signed ends: behind the newline of its last line.
    body_bytes: usize,
}

/// The text is no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than any.
    #[error("a checkpoint has at most {NOTE_BYTES_MAX} bytes")]
    TooLong,
    /// A control character, no blank line, or no newline at the end.
    #[error("a note is text, a blank line and signature lines, each ending in a newline")]
    Form,
    /// The first line is empty or missing.
    #[error("the first line of a checkpoint names the log")]
    Origin,
    /// The second line is no number.
    #[error("the second line of a checkpoint is the number of records")]
    Size,
    /// The third line is no hash.
    #[error("the third line of a checkpoint is the root in base 64")]
    Root,
    /// A line behind them is empty, or begins with `time ` and is no time.
    #[error("a further line of a checkpoint is empty or no time")]
    Extension,
    /// What follows the blank line is no signature.
    #[error("a signature line is a dash, a space, a name, a space and base 64")]
    Signature,
    /// So many signatures that it is no honest note.
    #[error("a checkpoint has at most {SIGNATURES_MAX} signatures")]
    TooManySignatures,
}

/// A signature that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No signature names this key.
    #[error("it is not signed by this key")]
    OtherKey,
    /// The key is named, but has not signed this.
    #[error("the signature is wrong")]
    Wrong,
    /// The line is no signature at all.
    #[error("a signature line is a dash, a space, a name, a space and base 64")]
    Form,
}

/// The longest checkpoint.
pub const NOTE_BYTES_MAX: usize = 32_768;
/// The most signatures on one.
pub const SIGNATURES_MAX: usize = 32;

/// An Ed25519 signature.
const SIGNATURE_BYTES: usize = 64;
const DASH: &str = "— ";
const TIME: &str = "time ";

impl Checkpoint {
    /// Signs a new one.
    pub(crate) fn sign(size: u64, root: Hash, time: Time, key: &SigningKey) -> Self {
        let body = body_of(key.name(), size, &root, time);
        let signature = signature_line(key.name(), key.id(Purpose::Note), &key.sign(body.as_bytes()));
        let body_bytes = body.len();
        let time = stamp::parse(stamp::text_of(time).as_bytes());
        Self { origin: key.name().to_owned(), size, root, time, note: format!("{body}\n{signature}\n"), body_bytes }
    }

    /// Reads one with all its signatures and checks none of them.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') || !note.ends_with('\n') {
            return Err(NoteError::Form);
        }
        let body_bytes = note.rfind("\n\n").ok_or(NoteError::Form)? + 1;
        let (body, signatures) = (&note[..body_bytes], &note[body_bytes + 1..]);
        let mut count = 0;
        for line in signatures.lines() {
            Signature::parse(line).ok_or(NoteError::Signature)?;
            count += 1;
        }
        match count {
            0 => return Err(NoteError::Signature),
            1..=SIGNATURES_MAX => {}
            _ => return Err(NoteError::TooManySignatures),
        }
        let mut lines = body[..body_bytes - 1].split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(NoteError::Origin)?;
        let size = lines.next().and_then(parse_size).ok_or(NoteError::Size)?;
        let root = lines.next().and_then(parse_hash).ok_or(NoteError::Root)?;
        let mut time = None;
        for line in lines {
            if let Some(text) = line.strip_prefix(TIME) {
                time = Some(stamp::parse(text.as_bytes()).ok_or(NoteError::Extension)?);
            } else if line.is_empty() {
                return Err(NoteError::Extension);
            }
        }
        Ok(Self { origin: origin.to_owned(), size, root, time, note: note.to_owned(), body_bytes })
    }

    /// Was it signed by this key? Signatures of other keys do not matter.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), SignatureError> {
        let id = key.id(Purpose::Note);
        let named = self.signatures().filter(|signature| signature.name == key.name() && signature.id == id);
        let mut outcome = Err(SignatureError::OtherKey);
        if key.purpose() != Purpose::Note {
            return outcome;
        }
        for signature in named {
            if !key.verifies(self.body().as_bytes(), &signature.bytes) {
                return Err(SignatureError::Wrong);
            }
            outcome = Ok(());
        }
        outcome
    }

    /// The text that is signed.
    pub fn body(&self) -> &str {
        &self.note[..self.body_bytes]
    }

    /// The signature lines, without their newlines.
    pub fn signature_lines(&self) -> impl Iterator<Item = &str> {
        self.note[self.body_bytes + 1..].lines()
    }

    /// Is the text the one that a log of this format signs, with its time and one signature, which is by its origin?
    pub(crate) fn is_of_a_record(&self) -> bool {
        let mut signatures = self.signatures();
        let by_origin =
            |signature: Signature<'_>| signature.name == self.origin && signature.bytes.len() == SIGNATURE_BYTES;
        self.time.is_some_and(|time| self.body() == body_of(&self.origin, self.size, &self.root, time))
            && signatures.next().is_some_and(by_origin)
            && signatures.next().is_none()
    }

    /// The name and the id of the key that the first signature names.
    pub(crate) fn signer(&self) -> Option<Box<str>> {
        self.signatures().next().map(|signature| format!("{}+{:08x}", signature.name, signature.id).into())
    }

    fn signatures(&self) -> impl Iterator<Item = Signature<'_>> {
        self.signature_lines().filter_map(Signature::parse)
    }
}

impl FromStr for Checkpoint {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, NoteError> {
        Self::parse(note)
    }
}

/// One line below a note.
struct Signature<'a> {
    name: &'a str,
    id: u32,
    bytes: Vec<u8>,
}

impl<'a> Signature<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, text) = line.strip_prefix(DASH)?.split_once(' ')?;
        check_name(name).ok()?;
        let bytes = base64::decode(text)?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        Some(Self { name, id: u32::from_be_bytes(*id), bytes: signature.to_vec() })
    }
}

fn body_of(origin: &str, size: u64, root: &Hash, time: Time) -> String {
    format!("{origin}\n{size}\n{}\n{TIME}{}\n", base64::encode(&root.0), stamp::text_of(time))
}

fn signature_line(name: &str, id: u32, signature: &[u8]) -> String {
    format!("{DASH}{name} {}", base64::encode(&[&id.to_be_bytes(), signature].concat()))
}

/// Digits without a zero in front.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

pub(crate) fn parse_hash(text: &str) -> Option<Hash> {
    base64::decode(text)?.try_into().ok().map(Hash)
}

/// Is this text a signature line, without its newline?
pub(crate) fn is_signature_line(line: &str) -> bool {
    Signature::parse(line).is_some()
}

/// The name of the key that a signature line is by, as it says.
pub(crate) fn cosigner_of(line: &str) -> Option<&str> {
    Signature::parse(line).map(|signature| signature.name)
}

/// What a witness signs: that at this second it has seen this checkpoint and nothing that contradicts it.
fn cosigned(checkpoint: &Checkpoint, second: u64) -> String {
    format!("cosignature/v1\n{TIME}{second}\n{}", checkpoint.body())
}

/// The signature line of a witness below a checkpoint, without its newline: a C2SP `cosignature/v1`. The witness has to see to it
/// first that the checkpoint is signed and goes on from the last one it has cosigned.
pub fn cosign(checkpoint: &Checkpoint, key: &SigningKey, time: Time) -> String {
    let second = time.as_secs();
    let signature = key.sign(cosigned(checkpoint, second).as_bytes());
    let stamped = [second.to_be_bytes().as_slice(), &signature].concat();
    signature_line(key.name(), key.id(Purpose::Cosignature), &stamped)
}

/// Checks the signature line of a witness below a checkpoint, and says when it was made, to the second.
pub fn verify_cosignature(checkpoint: &Checkpoint, line: &str, key: &VerifyingKey) -> Result<Time, SignatureError> {
    let signature = Signature::parse(line).ok_or(SignatureError::Form)?;
    if signature.name != key.name() || signature.id != key.id(Purpose::Cosignature) {
        return Err(SignatureError::OtherKey);
    }
    let (second, bytes) = signature.bytes.split_first_chunk::<8>().ok_or(SignatureError::Form)?;
    let second = u64::from_be_bytes(*second);
    let nanos = second.checked_mul(1_000_000_000).ok_or(SignatureError::Wrong)?;
    if !key.verifies(cosigned(checkpoint, second).as_bytes(), bytes) {
        return Err(SignatureError::Wrong);
    }
    Ok(Time::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> SigningKey {
        SigningKey::from_seed(name, [3; 32]).expect("a good name")
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint::sign(5, Hash::of(b"root"), Time::from_millis(1_795_000_000_123), &key("exchange.example/log"))
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_signed() {
        let signed = checkpoint();
        let read = Checkpoint::parse(&signed.note).expect("a checkpoint");
        assert_eq!(read, signed);
        assert_eq!(read.verify(&key("exchange.example/log").verifying_key()), Ok(()));
        assert_eq!(read.verify(&key("other.example/log").verifying_key()), Err(SignatureError::OtherKey));
        let forged = Checkpoint::parse(&signed.note.replacen("\n5\n", "\n6\n", 1)).expect("its form is right");
        assert_eq!(forged.verify(&key("exchange.example/log").verifying_key()), Err(SignatureError::Wrong));
    }

    #[test]
    fn a_witness_signs_what_the_log_has_signed() {
        let (signed, witness) = (checkpoint(), key("witness.example/w1"));
        let line = cosign(&signed, &witness, Time::from_millis(1_795_000_001_999));
        let public = witness.verifying_key();
        assert_eq!(verify_cosignature(&signed, &line, &public), Ok(Time::from_secs(1_795_000_001)));
        let more = Checkpoint::parse(&format!("{}{line}\n", signed.note)).expect("two signatures");
        assert_eq!(more.verify(&key("exchange.example/log").verifying_key()), Ok(()));
        assert_eq!(more.verify(&public), Err(SignatureError::OtherKey), "a cosignature is no signature of the log");
        let other = Checkpoint::sign(6, Hash::of(b"root"), Time::ZERO, &key("exchange.example/log"));
        assert_eq!(verify_cosignature(&other, &line, &public), Err(SignatureError::Wrong));
    }

    #[test]
    fn the_example_of_the_specification_is_a_checkpoint() {
        // https://c2sp.org/tlog-cosignature
        let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
            — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
        let read = Checkpoint::parse(note).expect("a checkpoint");
        assert_eq!((read.origin.as_str(), read.size, read.time), ("example.com/behind-the-sofa", 20_852_163, None));
        assert_eq!(read.signature_lines().count(), 2);
    }

    #[test]
    fn what_is_no_checkpoint_is_refused_by_name() {
        let good = checkpoint().note;
        let check = |text: &str, expected| assert_eq!(Checkpoint::parse(text).err(), Some(expected), "{text}");
        check("", NoteError::Form);
        check(&good[..good.len() - 1], NoteError::Form);
        check(&good.replace("\n\n", "\n"), NoteError::Form);
        check(&good.replacen("\n5\n", "\n05\n", 1), NoteError::Size);
        check(&good.replacen("\n5\n", "\n18446744073709551616\n", 1), NoteError::Size);
        check(&good.replacen("exchange.example/log\n", "\n", 1), NoteError::Origin);
        check(&good.replacen("=\ntime", "\ntime", 1), NoteError::Root);
        check(&good.replacen("Z\n", "\n", 1), NoteError::Extension);
        check(&good.replacen('—', "-", 1), NoteError::Signature);
        check(&good.replacen("log\n", "lo\tg\n", 1), NoteError::Form);
        let line = checkpoint().signature_lines().next().map(|line| format!("{line}\n")).unwrap_or_default();
        check(&format!("{good}{}", line.repeat(SIGNATURES_MAX)), NoteError::TooManySignatures);
        check(&"a".repeat(NOTE_BYTES_MAX + 1), NoteError::TooLong);
    }
}
