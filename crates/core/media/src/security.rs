//! With which keys a party's RTP is protected (SRTP), whatever the other party's is: keys that stand in descriptions, or those
//! of a DTLS handshake that descriptions speak of ([`handshake`](crate::handshake)).
//!
//! Between the parties a description is one of RTP in the clear: [`in_the_clear`] takes a party's keys out of what it has
//! said, [`protect_offer`] and [`protect_answer`] put ours into what it is told. Which two keys they have agreed on, or which
//! handshake, follows from these two descriptions and needs no other memory: [`agreed_keys`].
//!
//! ```text
//!  Alice ── RTP/SAVP, her key ──► in_the_clear ── RTP/AVP ──► protect_offer ── RTP/SAVP, our key for Bob ──► Bob
//!        ◄── RTP/SAVP, our key ── protect_answer ◄── RTP/AVP ── in_the_clear ◄── RTP/SAVP, his key ─────────
//! ```

use crate::MediaError;
use crate::handshake::{self, Handshake, Said};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use sx_engine::Rng;
use sx_rtp::srtp::{MasterKey, Suite};
use sx_sdp::{Crypto, Description, Media, Profile, Protection};
use sx_types::{Fingerprint, SrtpKeying, SrtpPolicy};

/// With what media can be protected here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Means {
    /// The suites that keys in descriptions may be of, best first.
    pub suites: Arc<[Suite]>,
    /// What the certificate of our handshakes is known by; `None`: there are none.
    #[serde(default)]
    pub certificate: Option<Fingerprint>,
}

/// Whether a party's media is protected, and where the keys come from when it is for us to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whether.
    pub policy: SrtpPolicy,
    /// Where they come from. A party that offers is answered in its own way.
    pub keying: SrtpKeying,
}

/// What the keys that we give a party are made from, as secret as they are, and what they may be. `Debug` shows no
/// secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyring {
    seed: [u8; 32],
    means: Means,
}

/// Where the keys of a stream come from that faces a party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keys {
    /// They stand in descriptions.
    Described(StreamKeys),
    /// A handshake yields them.
    Handshake(Handshake),
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

impl Default for Means {
    /// Every suite, and no handshakes.
    fn default() -> Self {
        Self { suites: Arc::from(Suite::ALL), certificate: None }
    }
}

impl Keyring {
    /// A new one, for keys by these means.
    pub fn new(rng: &mut Rng, means: Means) -> Self {
        let mut seed = [0; 32];
        for word in seed.chunks_exact_mut(8) {
            word.copy_from_slice(&rng.u64().to_le_bytes());
        }
        Self { seed, means }
    }

    /// Goes on in a process with other means: its certificate is another one.
    pub fn set_means(&mut self, means: Means) {
        self.means = means;
    }

    pub(crate) fn certificate(&self) -> Option<&Fingerprint> {
        self.means.certificate.as_ref()
    }

    /// A name for an association of a stream: another one for another certificate of ours, or for what the party has said.
    //= https://www.rfc-editor.org/rfc/rfc8842#section-4
    pub(crate) fn tls_id(&self, stream: usize, said: &[u8]) -> String {
        let mut seed = self.seed;
        let ours = self.certificate().map_or(&[][..], Fingerprint::bytes);
        // Not the seed of any key, though made of the same.
        let parts = [stream as u64, u64::MAX, digest(said), digest(ours)];
        for (byte, other) in seed.iter_mut().zip(parts.iter().flat_map(|part| part.to_le_bytes())) {
            *byte ^= other;
        }
        format!("{:032x}", Rng::new(seed).u128())
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
        (1..).zip(self.means.suites.iter()).map(|(tag, suite)| self.attribute(stream, tag, *suite)).collect()
    }

    fn attribute(&self, stream: usize, tag: u32, suite: Suite) -> String {
        let key = self.key(stream, suite).to_inline();
        Crypto { tag, suite: suite.sdp_name(), key: &key, lifetime: None, mki: None }.write()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("means", &self.means).finish_non_exhaustive()
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

/// What a stream is offered with.
enum Offered {
    Nothing,
    Keys(Vec<String>, SrtpPolicy),
    Handshake(Said, SrtpPolicy),
    /// By the protocol that the party has named.
    Again(Said, Vec<u8>),
}

/// An offer in the clear with the keys that the party may choose from, or with the handshake it may have. `said` is what the
/// party has said before, `told` what it was told then: a stream that is protected stays so, by the same way.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read.
pub fn protect_offer(
    offer: &Bytes,
    said: Option<&Bytes>,
    told: Option<&Bytes>,
    terms: Terms,
    keyring: &Keyring,
) -> Result<Bytes, MediaError> {
    let said = said.filter(|said| is_about_keys(said));
    if said.is_none() && matches!(terms.policy, SrtpPolicy::Off | SrtpPolicy::Accept) {
        return Ok(offer.clone());
    }
    let parsed = Description::parse(offer)?;
    let said = said.map(|said| Description::parse(said)).transpose()?;
    let told = handshake::parsed(told.map(|told| &told[..]));
    let offered = |stream: usize| {
        let before = said.as_ref().and_then(|said| said.media_at(stream));
        let (policy, keying) = wanted(before.as_ref(), terms);
        let of_handshake =
            || Said::offered(keyring, stream, told.as_ref().and_then(|told| told.media_at(stream)).as_ref());
        match (policy, keying) {
            (SrtpPolicy::Off | SrtpPolicy::Accept, _) => Offered::Nothing,
            (_, SrtpKeying::Dtls) if let Some(ours) = of_handshake() => {
                match before.filter(|before| before.profile() == Profile::DtlsRtp) {
                    Some(before) => Offered::Again(ours, before.protocol().to_vec()),
                    None => Offered::Handshake(ours, policy),
                }
            }
            (_, SrtpKeying::Dtls | SrtpKeying::Sdes) => Offered::Keys(keyring.offered(stream), policy),
        }
    };
    let offered: Vec<Offered> = (0..parsed.media().len()).map(offered).collect();
    let sections = offered.iter().map(|offered| match offered {
        Offered::Nothing => Protection::Keep,
        Offered::Keys(keys, SrtpPolicy::Required) => Protection::Keys(keys),
        Offered::Keys(keys, _) => Protection::KeysIfKnown(keys),
        Offered::Handshake(said, SrtpPolicy::Required) => Protection::Dtls(said.terms()),
        Offered::Handshake(said, _) => Protection::DtlsIfKnown(said.terms()),
        Offered::Again(said, protocol) => Protection::DtlsAnswer(protocol, said.terms()),
    });
    Ok(parsed.protect(&sections.collect::<Vec<_>>()).into())
}

/// Whether a stream is offered with keys and which, by what the party has said of it before.
fn wanted(before: Option<&Media<'_, '_>>, terms: Terms) -> (SrtpPolicy, SrtpKeying) {
    let Terms { policy, keying } = terms;
    let (Some(before), true) = (before, policy != SrtpPolicy::Off) else { return (policy, keying) };
    let as_before = if policy == SrtpPolicy::Required { policy } else { SrtpPolicy::Optional };
    match before.profile() {
        Profile::SecureRtp => (SrtpPolicy::Required, SrtpKeying::Sdes),
        Profile::DtlsRtp => (SrtpPolicy::Required, SrtpKeying::Dtls),
        Profile::Rtp if before.has_crypto() => (as_before, SrtpKeying::Sdes),
        Profile::Rtp if before.has_fingerprint() => (as_before, SrtpKeying::Dtls),
        Profile::Rtp | Profile::Other => (policy, keying),
    }
}

/// What a stream is answered with.
enum Answered {
    Nothing,
    Key(String),
    Handshake(Said),
}

/// An answer in the clear with the key that the party, who made `offer`, is to expect: of those of the suites it has offered
/// the first that the keyring has; or with our side of the handshake that it has offered. `told` and `said` are what it was
/// told before and had said then.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read; [`MediaError::NoKey`] when a stream that is taken would need a
/// key and none that is offered can be used; [`MediaError::KeyMissing`] when it has to have one and none is offered.
pub fn protect_answer(
    answer: &Bytes,
    offer: &Bytes,
    (told, said): (Option<&Bytes>, Option<&Bytes>),
    terms: Terms,
    keyring: &Keyring,
) -> Result<Bytes, MediaError> {
    if terms.policy != SrtpPolicy::Required && !is_about_keys(offer) {
        return Ok(answer.clone());
    }
    let (parsed, asked) = (Description::parse(answer)?, Description::parse(offer)?);
    let [told, said] = [told, said].map(|text| handshake::parsed(text.map(|text| &text[..])));
    let mut answered = Vec::new();
    for (stream, (media, asked)) in parsed.media().zip(asked.media()).enumerate() {
        let taken = !media.is_rejected() && asked.profile().is_rtp();
        let chosen = if taken { chosen(stream, &asked, terms, &keyring.means)? } else { Chosen::Nothing };
        answered.push(match chosen {
            Chosen::Nothing => Answered::Nothing,
            Chosen::Key(crypto, suite) => Answered::Key(keyring.attribute(stream, crypto.tag, suite)),
            Chosen::Handshake => {
                let told = told.as_ref().and_then(|told| told.media_at(stream));
                let said = said.as_ref().and_then(|said| said.media_at(stream));
                let before = told.as_ref().zip(said.as_ref());
                let said = Said::answered(keyring, stream, &asked, before).ok_or(MediaError::NoKey { stream })?;
                Answered::Handshake(said)
            }
        });
    }
    let sections = answered.iter().zip(asked.media()).map(|(answered, asked)| match answered {
        _ if !asked.profile().is_rtp() => Protection::Keep,
        Answered::Nothing => Protection::Answer(asked.protocol(), &[]),
        Answered::Key(key) => Protection::Answer(asked.protocol(), std::slice::from_ref(key)),
        Answered::Handshake(said) => Protection::DtlsAnswer(asked.protocol(), said.terms()),
    });
    Ok(parsed.protect(&sections.collect::<Vec<_>>()).into())
}

/// Can every stream of an offer be answered on these terms?
///
/// # Errors
/// Those of [`protect_answer`].
pub fn check_keys(offer: &[u8], terms: Terms, means: &Means) -> Result<(), MediaError> {
    if terms.policy != SrtpPolicy::Required && !is_about_keys(offer) {
        return Ok(());
    }
    let asked = Description::parse(offer)?;
    for (stream, media) in asked.media().enumerate() {
        if !media.is_rejected() && media.profile().is_rtp() {
            chosen(stream, &media, terms, means)?;
        }
    }
    Ok(())
}

/// How a stream that was offered is protected.
enum Chosen<'a> {
    Nothing,
    Key(Crypto<'a>, Suite),
    Handshake,
}

/// Which of the ways that a stream was offered with is taken, and which of its keys.
//= https://www.rfc-editor.org/rfc/rfc4568#section-7.1.2
fn chosen<'a>(stream: usize, asked: &Media<'_, 'a>, terms: Terms, means: &Means) -> Result<Chosen<'a>, MediaError> {
    let Terms { policy, keying } = terms;
    let profile = asked.profile();
    let key = usable(asked).find(|(_, suite, _)| means.suites.contains(suite));
    let key = key.filter(|_| profile != Profile::DtlsRtp).map(|(crypto, suite, _)| Chosen::Key(crypto, suite));
    let can = means.certificate.is_some() && profile != Profile::SecureRtp && handshake::is_usable(asked);
    let of_handshake = can.then_some(Chosen::Handshake);
    let best = match keying {
        SrtpKeying::Sdes => key.or(of_handshake),
        SrtpKeying::Dtls => of_handshake.or(key),
    };
    match best.filter(|_| policy != SrtpPolicy::Off) {
        Some(chosen) => Ok(chosen),
        None if profile.is_secure() => Err(MediaError::NoKey { stream }),
        None if policy == SrtpPolicy::Required => Err(MediaError::KeyMissing { stream }),
        None => Ok(Chosen::Nothing),
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

/// The keys that a party and we have agreed on for a stream, or the handshake: `told` is what it was told last, `said` what it has said, one of
/// them the answer to the other. `None`: the stream is in the clear.
///
/// # Errors
/// [`MediaError::Description`] when one of them cannot be read; [`MediaError::NoKey`] when the party has answered with a key
/// that was not asked for, or with none where it has to.
pub fn agreed_keys(told: &[u8], said: &[u8], stream: usize) -> Result<Option<Keys>, MediaError> {
    if !is_about_keys(told) && !is_about_keys(said) {
        return Ok(None);
    }
    let (told, said) = (Description::parse(told)?, Description::parse(said)?);
    let (Some(ours), Some(theirs)) = (told.media_at(stream), said.media_at(stream)) else { return Ok(None) };
    if ours.is_rejected() || theirs.is_rejected() {
        return Ok(None);
    }
    let secure = ours.profile() == Profile::SecureRtp || theirs.profile() == Profile::SecureRtp;
    let chosen = ours.has_crypto() && theirs.has_crypto();
    if !secure && !chosen {
        return Ok(handshake::of_stream(&ours, &theirs, stream)?.map(Keys::Handshake));
    }
    let theirs: Vec<_> = usable(&theirs).collect();
    // An answer has one, which names one of the offer.
    //= https://www.rfc-editor.org/rfc/rfc4568#section-5.1.2
    let pair = usable(&ours).find_map(|(our, suite, key)| {
        let same = theirs.iter().find(|(their, of, _)| (their.tag, *of) == (our.tag, suite))?;
        Some(StreamKeys { suite, ours: key, theirs: same.2.clone(), mki_bytes: same.0.mki.map_or(0, |mki| mki.bytes) })
    });
    pair.map(Keys::Described).map(Some).ok_or(MediaError::NoKey { stream })
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
pub(crate) fn is_about_keys(description: &[u8]) -> bool {
    let mut lines = description.split(|byte| *byte == b'\n');
    lines.any(|line| {
        let protocol = line.strip_prefix(b"m=").and_then(|media| media.split(|byte| *byte == b' ').nth(2));
        let is_secure = |protocol: &[u8]| {
            let begins =
                |name: &[u8]| protocol.len() >= name.len() && protocol[..name.len()].eq_ignore_ascii_case(name);
            begins(b"RTP/SAVP") || begins(b"UDP/TLS/RTP/SAVP")
        };
        line.starts_with(b"a=crypto:") || line.starts_with(b"a=fingerprint:") || protocol.is_some_and(is_secure)
    })
}

/// A number made of bytes: what is different has another one, as good as always.
fn digest(bytes: &[u8]) -> u64 {
    // FNV-1a.
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
