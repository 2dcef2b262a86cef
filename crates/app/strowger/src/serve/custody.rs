//! The custody of evidence: where it is kept, the links that open it, and receipts for it, both signed by the exchange.

use crate::signer::{Signer, from_hex, hex, verifies};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use sx_config::Config;
use sx_engine::Time;
use sx_exchange::EvidenceLinks;
use sx_http::{BASE, Link, LinkRefused, MetricsText};
use sx_store::{DataFolder, Evidence, EvidenceEntry, EvidenceLimits};
use sx_types::TraceId;

/// The name of the file with the key in the data folder.
const KEY: &str = "evidence.key";
/// Whoever takes a piece in several parts is written down once in so long.
const HANDED_OUT_EVERY: Duration = Duration::from_secs(60);
/// So many of those who have taken something are remembered.
const HANDED_OUT_MAX: usize = 10_000;

/// Evidence, and what shows that it came from here.
pub struct Custody {
    evidence: Mutex<Evidence>,
    key: Signer,
    /// Where others reach the management API; known when it listens.
    url: OnceLock<String>,
    link: Duration,
    /// Who has taken what, and when that was written down last.
    handed_out: Mutex<BTreeMap<(TraceId, String), Time>>,
    /// Pieces that have become whole, and are not on record as that yet.
    unrecorded: Mutex<BTreeSet<TraceId>>,
}

impl Custody {
    /// Opens what is kept. The key is made when there is none.
    pub fn open(config: &Config, data: &DataFolder) -> anyhow::Result<Self> {
        let told = &config.evidence;
        let limits = EvidenceLimits {
            bytes_max: told.bytes_max,
            pieces_max: told.pieces_max,
            total_bytes_max: told.total_bytes_max,
            unfinished_for: told.unfinished,
            kept_for: told.kept,
        };
        let evidence = Evidence::open(data, limits).context("the evidence cannot be opened")?;
        let (key, _) = Signer::read_or_make(&data.path().join(KEY))?;
        let url = OnceLock::new();
        if let Some(told) = &told.public_url {
            let _ = url.set(told.trim_end_matches('/').to_owned());
        }
        Ok(Self {
            evidence: Mutex::new(evidence),
            key,
            url,
            link: told.link,
            handed_out: Mutex::default(),
            unrecorded: Mutex::default(),
        })
    }

    /// The management API is reached there, unless the configuration says otherwise.
    pub fn reached_at(&self, url: String) {
        let _ = self.url.set(url);
    }

    /// What is kept.
    pub fn evidence(&self) -> MutexGuard<'_, Evidence> {
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a link is good unless somebody says otherwise.
    pub fn link_time(&self) -> Duration {
        self.link
    }

    /// A link that opens the evidence of an escalation for somebody; `None` while nobody knows where we are reached.
    pub fn link_until(&self, escalation: TraceId, to: &str, until: Time) -> Option<String> {
        let expires = until.as_secs();
        let signature = hex(&self.key.sign(&link_bytes(&escalation.to_string(), to, expires)));
        let url = format!("{}{BASE}/escalations/{escalation}/evidence", self.url.get()?);
        Some(format!("{url}?to={}&expires={expires}&signature={signature}", escaped(to)))
    }

    /// Is it as it was made, and still good?
    pub fn check(&self, link: &Link, now: Time) -> Result<(), LinkRefused> {
        let signature = from_hex::<64>(&link.signature).ok_or(LinkRefused::Forged)?;
        // Whoever writes an id another way means the same escalation, and the link is for that.
        let escalation: TraceId = link.escalation.parse().map_err(|_| LinkRefused::Forged)?;
        let bytes = link_bytes(&escalation.to_string(), &link.to, link.expires);
        if !verifies(&self.key.public_key(), &bytes, &signature) {
            return Err(LinkRefused::Forged);
        }
        if now.as_secs() < link.expires { Ok(()) } else { Err(LinkRefused::Expired) }
    }

    /// What somebody has shown that they have got, signed.
    pub fn receipt(&self, entry: &EvidenceEntry, sha256: &[u8; 32], bytes: u64, to: &str, now: Time) -> Value {
        let receipt = json!({
            "escalation": entry.escalation.to_string(),
            "evidence": entry.id.to_string(),
            "to": to,
            "sha256": hex(sha256),
            "bytes": bytes,
            "received": now.to_string(),
        });
        let canonical = receipt.as_object().and_then(sx_ifmessage::canonical).unwrap_or_default();
        let mut signed = receipt;
        signed["signature"] = json!({
            "algorithm": "ed25519",
            "public_key": hex(&self.key.public_key()),
            "signature_bytes": hex(&self.key.sign(&canonical)),
        });
        signed
    }

    /// Somebody takes something: is it to be written down, or was it just?
    pub fn takes(&self, piece: TraceId, who: &str, now: Time) -> bool {
        let mut handed_out = self.handed_out.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (piece, who.to_owned());
        if handed_out.get(&key).is_some_and(|last| now.since(*last) < HANDED_OUT_EVERY) {
            return false;
        }
        if handed_out.len() >= HANDED_OUT_MAX {
            handed_out.retain(|_, last| now.since(*last) < HANDED_OUT_EVERY);
        }
        // Who cannot be remembered is written down once more.
        if handed_out.len() < HANDED_OUT_MAX {
            handed_out.insert(key, now);
        }
        true
    }

    /// A piece has become whole, which is to be written down.
    pub fn became_whole(&self, piece: TraceId) {
        self.unrecorded().insert(piece);
    }

    /// Is it still to be written down that a piece has become whole?
    pub fn is_unrecorded(&self, piece: TraceId) -> bool {
        self.unrecorded().contains(&piece)
    }

    /// It is on record.
    pub fn recorded(&self, piece: TraceId) {
        self.unrecorded().remove(&piece);
    }

    fn unrecorded(&self) -> MutexGuard<'_, BTreeSet<TraceId>> {
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What scrapers are told.
    pub fn write(&self, out: &mut MetricsText) {
        let (pieces, bytes) = {
            let evidence = self.evidence();
            (evidence.count(), evidence.total_bytes())
        };
        let help = "Pieces of evidence that are kept or on their way.";
        out.gauge("strowger_evidence_pieces", "", help).sample(&[], pieces as u64);
        out.gauge("strowger_evidence_bytes", "bytes", "Their bytes, as they were announced.").sample(&[], bytes);
    }
}

impl EvidenceLinks for Custody {
    fn link(&self, escalation: TraceId, to: &str, wall: Time) -> Option<String> {
        self.link_until(escalation, to, wall + self.link)
    }
}

impl std::fmt::Debug for Custody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Custody").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What is signed of a link.
fn link_bytes(escalation: &str, to: &str, expires: u64) -> Vec<u8> {
    format!("strowger evidence link\n{escalation}\n{expires}\n{to}").into_bytes()
}

/// A text as part of a URL.
//= https://www.rfc-editor.org/rfc/rfc3986#section-2.1
pub fn escaped(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HAZARD: TraceId = TraceId::from_u128(7);

    fn custody(folder: &tempfile::TempDir) -> Custody {
        let data = DataFolder::open(folder.path()).expect("a data folder");
        let custody = Custody::open(&Config::default(), &data).expect("nothing is there");
        custody.reached_at("https://exchange.example.org:9443".into());
        custody
    }

    fn read(url: &str) -> Link {
        let (path, query) = url.split_once('?').expect("a query");
        let of = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).expect(name).to_owned();
        let escalation = path.rsplit('/').nth(1).expect("an escalation").to_owned();
        let expires = of("expires=").parse().expect("a number");
        Link { escalation, to: of("to=").replace("%20", " "), expires, signature: of("signature=") }
    }

    #[test]
    fn a_link_opens_what_it_was_made_for_and_nothing_else_and_not_for_ever() {
        let folder = tempfile::tempdir().expect("a folder");
        let custody = custody(&folder);
        let url = custody.link_until(HAZARD, "dr. lind", Time::from_secs(100)).expect("we are reached");
        assert!(url.starts_with("https://exchange.example.org:9443/api/v1/escalations/0"), "{url}");
        let link = read(&url);
        let early = Time::from_secs(99);
        assert_eq!(custody.check(&link, early), Ok(()));
        assert_eq!(custody.check(&link, Time::from_secs(100)), Err(LinkRefused::Expired));
        let mut forged = vec![
            Link { to: "eve".into(), ..link.clone() },
            Link { expires: 101, ..link.clone() },
            Link { escalation: TraceId::from_u128(8).to_string(), ..link.clone() },
            Link { escalation: "x".into(), ..link.clone() },
            Link { signature: String::new(), ..link.clone() },
            Link { signature: "é".repeat(64), ..link.clone() },
        ];
        forged.push(Link { signature: link.signature.replace(['0', '1'], "2"), ..link });
        for link in forged {
            assert_eq!(custody.check(&link, early), Err(LinkRefused::Forged), "{link:?}");
        }
    }

    #[test]
    fn links_are_good_behind_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = custody(&folder).link(HAZARD, "lind", Time::from_secs(5)).expect("we are reached");
        assert_eq!(custody(&folder).check(&read(&url), Time::from_secs(6)), Ok(()));
    }

    #[test]
    fn who_takes_a_piece_in_parts_is_written_down_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let custody = custody(&folder);
        let (piece, at) = (TraceId::from_u128(1), Time::from_secs);
        assert!(custody.takes(piece, "lind", at(10)));
        assert!(!custody.takes(piece, "lind", at(11)));
        assert!(custody.takes(piece, "berg", at(11)) && custody.takes(TraceId::from_u128(2), "lind", at(11)));
        assert!(custody.takes(piece, "lind", at(70)));
    }
}
