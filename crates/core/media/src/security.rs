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
use sx_engine::Rng;
use sx_rtp::srtp::{MasterKey, Suite};
use sx_sdp::{Crypto, Description, Media, Profile, Protection};

/// Whether a party's RTP is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SrtpPolicy {
    /// Never: a stream that is offered with keys only is refused.
    Off,
    /// When the party offers keys. It is offered none.
    #[default]
    Accept,
    /// When the party knows how: it is offered keys with a stream that it may also take in the clear (RFC 8643).
    Optional,
    /// Always: a stream without keys is refused.
    Required,
}

/// What the keys that we give a party are made from; as secret as they are. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySeed([u8; 32]);

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

impl KeySeed {
    /// A new one.
    pub fn new(rng: &mut Rng) -> Self {
        let mut seed = [0; 32];
        for word in seed.chunks_exact_mut(8) {
            word.copy_from_slice(&rng.u64().to_le_bytes());
        }
        Self(seed)
    }

    /// The key of a stream, one for each suite. It stays the same for as long as the dialogue lasts: an offer that changes
    /// something else changes no key.
    //= https://www.rfc-editor.org/rfc/rfc4568#section-7.1.4
    fn key(&self, stream: usize, suite: Suite) -> MasterKey {
        let mut seed = self.0;
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

    fn attribute(&self, stream: usize, tag: u32, suite: Suite) -> String {
        let key = self.key(stream, suite).to_inline();
        Crypto { tag, suite: suite.sdp_name(), key: &key, lifetime: None, mki: None }.write()
    }
}

impl fmt::Debug for KeySeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySeed(..)")
    }
}

/// A party's description as one of RTP in the clear, for the other party.
///
/// # Errors
/// [`MediaError::Description`] when it cannot be read.
pub fn in_the_clear(description: &Bytes) -> Result<Bytes, MediaError> {
    let parsed = Description::parse(description)?;
    // What needs no change keeps its bytes, by which a description is known to be the same.
    if parsed.media().all(|media| media.profile() != Profile::SecureRtp && !media.has_crypto()) {
        return Ok(description.clone());
    }
    let sections = vec![Protection::Clear; parsed.media().len()];
    Ok(parsed.protect(&sections).into())
}

/// An offer in the clear with the keys that the party may choose from, of these suites, best first. `said` is what the party
/// has said before: a stream that is protected stays so.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read.
pub fn protect_offer(
    offer: &Bytes,
    said: Option<&Bytes>,
    (policy, suites): (SrtpPolicy, &[Suite]),
    seed: &KeySeed,
) -> Result<Bytes, MediaError> {
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
    if wanted.iter().all(|policy| matches!(policy, SrtpPolicy::Off | SrtpPolicy::Accept)) {
        return Ok(offer.clone());
    }
    let attributes = |stream| (1..).zip(suites).map(move |(tag, suite)| seed.attribute(stream, tag, *suite)).collect();
    let keys: Vec<Vec<String>> = (0..wanted.len()).map(attributes).collect();
    let sections = wanted.iter().zip(&keys).map(|(policy, keys)| match policy {
        SrtpPolicy::Off | SrtpPolicy::Accept => Protection::Keep,
        SrtpPolicy::Optional => Protection::KeysIfKnown(keys),
        SrtpPolicy::Required => Protection::Keys(keys),
    });
    Ok(parsed.protect(&sections.collect::<Vec<_>>()).into())
}

/// An answer in the clear with the key that the party, who made `offer`, is to expect: of those of the suites it has offered
/// the first that is one of `suites`.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read; [`MediaError::NoKey`] when a stream that is taken would need a
/// key and none that is offered can be used; [`MediaError::KeyMissing`] when it has to have one and none is offered.
pub fn protect_answer(
    answer: &Bytes,
    offer: &Bytes,
    (policy, suites): (SrtpPolicy, &[Suite]),
    seed: &KeySeed,
) -> Result<Bytes, MediaError> {
    let (parsed, asked) = (Description::parse(answer)?, Description::parse(offer)?);
    let mut keys = Vec::new();
    for (stream, (media, asked)) in parsed.media().zip(asked.media()).enumerate() {
        let taken = !media.is_rejected() && matches!(asked.profile(), Profile::Rtp | Profile::SecureRtp);
        keys.push(if taken { answering_key(stream, &asked, (policy, suites), seed)? } else { None });
    }
    if keys.iter().all(Option::is_none) {
        return Ok(answer.clone());
    }
    let sections = keys.iter().zip(asked.media()).map(|(key, asked)| match key {
        None => Protection::Keep,
        Some(key) if asked.profile() == Profile::SecureRtp => Protection::Keys(std::slice::from_ref(key)),
        Some(key) => Protection::KeysIfKnown(std::slice::from_ref(key)),
    });
    Ok(parsed.protect(&sections.collect::<Vec<_>>()).into())
}

/// The attribute that answers those of a stream that was offered.
//= https://www.rfc-editor.org/rfc/rfc4568#section-7.1.2
fn answering_key(
    stream: usize,
    asked: &Media<'_, '_>,
    (policy, suites): (SrtpPolicy, &[Suite]),
    seed: &KeySeed,
) -> Result<Option<String>, MediaError> {
    let required = asked.profile() == Profile::SecureRtp;
    let usable = usable(asked).find(|(_, suite, _)| policy != SrtpPolicy::Off && suites.contains(suite));
    match usable {
        Some((crypto, suite, _)) => Ok(Some(seed.attribute(stream, crypto.tag, suite))),
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
