//! With which keys a party's RTP is protected (SRTP, keys in descriptions), whatever the other party's is.
//!
//! Between the parties a description is one of RTP in the clear: [`in_the_clear`] takes a party's keys out of what it has
//! said, [`protect_offer`] and [`protect_answer`] put ours into what it is told. Which two keys they have agreed on follows
//! from these two descriptions and needs no other memory: [`agreed_keys`].
//!
//! ```text
//!  Alice ── RTP/SAVP, her key ──► in_the_clear ── RTP/AVP ──► protect_offer ── RTP/SAVP, our key for Bob ──► Bob
//!        ◄── RTP/SAVP, our key ── protect_answer ◄── RTP/AVP ── in_the_clear ◄── RTP/SAVP, his key ─────────
//! ```
//!
//! A stream whose keys come from DTLS is left as it is: both parties have their handshake with each other.

use crate::MediaError;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use sx_engine::Rng;
use sx_rtp::srtp::{MasterKey, Suite};
use sx_sdp::{Crypto, Description, Media, Profile, Protection};
use sx_types::SrtpPolicy;

/// What the keys that we give a party are made from, as secret as they are, and the suites they may be of. `Debug` shows no
/// secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyring {
    seed: [u8; 32],
    suites: Arc<[Suite]>,
}

/// The keys of a stream that faces a party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamKeys {
    /// How packets are protected, both ways.
    pub suite: Suite,
    /// What we protect packets with.
    pub ours: MasterKey,
    /// What the party does.
    pub theirs: MasterKey,
    /// The bytes of the master key identifier that its packets carry; 0 when they carry none.
    pub mki_bytes: u8,
}

impl Keyring {
    /// A new one, for keys of these suites, best first.
    pub fn new(rng: &mut Rng, suites: Arc<[Suite]>) -> Self {
        let mut seed = [0; 32];
        for word in seed.chunks_exact_mut(8) {
            word.copy_from_slice(&rng.u64().to_le_bytes());
        }
        Self { seed, suites }
    }

    /// The key of a stream, one for each suite. It stays the same for as long as the dialogue lasts: an offer that changes
    /// something else changes no key.
    //= https://www.rfc-editor.org/rfc/rfc4568#section-7.1.4
    fn key(&self, stream: usize, suite: Suite) -> MasterKey {
        let mut seed = self.seed;
        let number = Suite::ALL.iter().position(|known| *known == suite).unwrap_or_default();
        for (byte, other) in seed.iter_mut().zip((stream * Suite::ALL.len() + number).to_le_bytes()) {
            *byte ^= other;
        }
        let mut rng = Rng::new(seed);
        let bytes: Vec<u8> = std::iter::repeat_with(|| rng.u64().to_le_bytes()).take(6).flatten().collect();
        // No suite has more than the 48 bytes that are there.
        let wanted = suite.key_bytes() + suite.salt_bytes();
        MasterKey::from_bytes(suite, &bytes[..wanted]).expect("the suite says how long its key is")
    }

    fn offered(&self, stream: usize) -> Vec<String> {
        (1..).zip(self.suites.iter()).map(|(tag, suite)| self.attribute(stream, tag, *suite)).collect()
    }

    fn attribute(&self, stream: usize, tag: u32, suite: Suite) -> String {
        let key = self.key(stream, suite).to_inline();
        Crypto { tag, suite: suite.sdp_name(), key: &key, lifetime: None, mki: None }.write()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("suites", &self.suites).finish_non_exhaustive()
    }
}

/// A party's description as one of RTP in the clear, for the other party.
///
/// # Errors
/// [`MediaError::Description`] when it cannot be read.
pub fn in_the_clear(description: &Bytes) -> Result<Bytes, MediaError> {
    // What needs no change keeps its bytes, by which a description is known to be the same.
    if !is_about_keys(description) {
        return Ok(description.clone());
    }
    let parsed = Description::parse(description)?;
    let sections = vec![Protection::Clear; parsed.media().len()];
    Ok(parsed.protect(&sections).into())
}

/// An offer in the clear with the keys that the party may choose from. `said` is what the party
/// has said before: a stream that is protected stays so.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read.
pub fn protect_offer(
    offer: &Bytes,
    said: Option<&Bytes>,
    policy: SrtpPolicy,
    keyring: &Keyring,
) -> Result<Bytes, MediaError> {
    let said = said.filter(|said| is_about_keys(said));
    if said.is_none() && matches!(policy, SrtpPolicy::Off | SrtpPolicy::Accept) {
        return Ok(offer.clone());
    }
    let parsed = Description::parse(offer)?;
    let said = said.map(|said| Description::parse(said)).transpose()?;
    let wanted = |stream: usize| {
        let before = said.as_ref().and_then(|said| said.media_at(stream));
        match before.map(|media| (media.profile(), media.has_crypto())) {
            Some((Profile::SecureRtp, _)) if policy != SrtpPolicy::Off => SrtpPolicy::Required,
            Some((Profile::Rtp, true)) if policy == SrtpPolicy::Accept => SrtpPolicy::Optional,
            _ => policy,
        }
    };
    let wanted: Vec<_> = (0..parsed.media().len()).map(wanted).collect();
    let keys: Vec<Vec<String>> = (0..wanted.len()).map(|stream| keyring.offered(stream)).collect();
    let sections = wanted.iter().zip(&keys).map(|(policy, keys)| match policy {
        SrtpPolicy::Off | SrtpPolicy::Accept => Protection::Keep,
        SrtpPolicy::Optional => Protection::KeysIfKnown(keys),
        SrtpPolicy::Required => Protection::Keys(keys),
    });
    Ok(parsed.protect(&sections.collect::<Vec<_>>()).into())
}

/// An answer in the clear with the key that the party, who made `offer`, is to expect: of those of the suites it has offered
/// the first that the keyring has.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read; [`MediaError::NoKey`] when a stream that is taken would need a
/// key and none that is offered can be used; [`MediaError::KeyMissing`] when it has to have one and none is offered.
pub fn protect_answer(
    answer: &Bytes,
    offer: &Bytes,
    policy: SrtpPolicy,
    keyring: &Keyring,
) -> Result<Bytes, MediaError> {
    if policy != SrtpPolicy::Required && !is_about_keys(offer) {
        return Ok(answer.clone());
    }
    let (parsed, asked) = (Description::parse(answer)?, Description::parse(offer)?);
    let mut keys = Vec::new();
    for (stream, (media, asked)) in parsed.media().zip(asked.media()).enumerate() {
        let taken = !media.is_rejected() && matches!(asked.profile(), Profile::Rtp | Profile::SecureRtp);
        let chosen = if taken { answered_key(stream, &asked, policy, &keyring.suites)? } else { None };
        keys.push(chosen.map(|(crypto, suite)| keyring.attribute(stream, crypto.tag, suite)));
    }
    let sections = keys.iter().zip(asked.media()).map(|(key, asked)| match asked.profile() {
        Profile::Rtp | Profile::SecureRtp => Protection::Answer(asked.protocol(), key.as_slice()),
        Profile::DtlsRtp | Profile::Other => Protection::Keep,
    });
    Ok(parsed.protect(&sections.collect::<Vec<_>>()).into())
}

/// Can every stream of an offer be answered as this policy has it?
///
/// # Errors
/// Those of [`protect_answer`].
pub fn check_keys(offer: &[u8], policy: SrtpPolicy, suites: &[Suite]) -> Result<(), MediaError> {
    if policy != SrtpPolicy::Required && !is_about_keys(offer) {
        return Ok(());
    }
    let asked = Description::parse(offer)?;
    for (stream, media) in asked.media().enumerate() {
        if !media.is_rejected() && matches!(media.profile(), Profile::Rtp | Profile::SecureRtp) {
            answered_key(stream, &media, policy, suites)?;
        }
    }
    Ok(())
}

/// Which of the keys of a stream that was offered is taken.
//= https://www.rfc-editor.org/rfc/rfc4568#section-7.1.2
fn answered_key<'a>(
    stream: usize,
    asked: &Media<'_, 'a>,
    policy: SrtpPolicy,
    suites: &[Suite],
) -> Result<Option<(Crypto<'a>, Suite)>, MediaError> {
    let required = asked.profile() == Profile::SecureRtp;
    let usable = usable(asked).find(|(_, suite, _)| policy != SrtpPolicy::Off && suites.contains(suite));
    match usable {
        Some((crypto, suite, _)) => Ok(Some((crypto, suite))),
        None if required => Err(MediaError::NoKey { stream }),
        None if policy == SrtpPolicy::Required => Err(MediaError::KeyMissing { stream }),
        None => Ok(None),
    }
}

/// The keys of a section that can be used; others are passed over as if they were not there.
fn usable<'a>(media: &Media<'_, 'a>) -> impl Iterator<Item = (Crypto<'a>, Suite, MasterKey)> {
    media.cryptos().filter_map(|crypto| {
        let crypto = crypto.ok()?;
        let suite = Suite::from_sdp_name(crypto.suite)?;
        Some((crypto, suite, MasterKey::from_inline(suite, crypto.key).ok()?))
    })
}

/// The keys that a party and we have agreed on for a stream: `told` is what it was told last, `said` what it has said, one of
/// them the answer to the other. `None`: the stream is in the clear.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read; [`MediaError::NoKey`] when the party has answered with a key
/// that was not asked for, or with none where it has to.
pub fn agreed_keys(told: &[u8], said: &[u8], stream: usize) -> Result<Option<StreamKeys>, MediaError> {
    if !is_about_keys(told) && !is_about_keys(said) {
        return Ok(None);
    }
    let (told, said) = (Description::parse(told)?, Description::parse(said)?);
    let (Some(ours), Some(theirs)) = (told.media_at(stream), said.media_at(stream)) else { return Ok(None) };
    if ours.is_rejected() || theirs.is_rejected() || ours.profile() == Profile::DtlsRtp {
        return Ok(None);
    }
    let secure = ours.profile() == Profile::SecureRtp || theirs.profile() == Profile::SecureRtp;
    let chosen = ours.has_crypto() && theirs.has_crypto();
    if !secure && !chosen {
        return Ok(None);
    }
    let theirs: Vec<_> = usable(&theirs).collect();
    // An answer has one, which names one of the offer.
    //= https://www.rfc-editor.org/rfc/rfc4568#section-5.1.2
    let pair = usable(&ours).find_map(|(our, suite, key)| {
        let same = theirs.iter().find(|(their, of, _)| (their.tag, *of) == (our.tag, suite))?;
        Some(StreamKeys { suite, ours: key, theirs: same.2.clone(), mki_bytes: same.0.mki.map_or(0, |mki| mki.bytes) })
    });
    pair.map(Some).ok_or(MediaError::NoKey { stream })
}

/// Have all streams of an answer a key that was asked for, where they need one? `told` is the offer that it answers.
///
/// # Errors
/// Those of [`agreed_keys`].
pub fn check_answer(told: &[u8], answer: &[u8]) -> Result<(), MediaError> {
    if !is_about_keys(told) && !is_about_keys(answer) {
        return Ok(());
    }
    let streams = Description::parse(answer)?.media().len();
    (0..streams).try_for_each(|stream| agreed_keys(told, answer, stream).map(|_| ()))
}

/// Is there a line that has to do with keys? Asked of every description, so that those without are not read for them.
fn is_about_keys(description: &[u8]) -> bool {
    let mut lines = description.split(|byte| *byte == b'\n');
    lines.any(|line| {
        let protocol = line.strip_prefix(b"m=").and_then(|media| media.split(|byte| *byte == b' ').nth(2));
        line.starts_with(b"a=crypto:")
            || protocol.is_some_and(|protocol| protocol.to_ascii_uppercase().starts_with(b"RTP/SAVP"))
    })
}
