//! Our side of every handshake: a certificate, and how handshakes go.

use aws_lc_rs::digest::{self, digest};
use dimpl::{Config, DtlsCertificate};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use sx_types::{Fingerprint, HashFunction};
use thiserror::Error;

/// A certificate that nobody has signed but its own key, and the key.
#[derive(Clone)]
pub struct Certificate {
    inner: DtlsCertificate,
}

/// What all handshakes of a process have in common. Cheap to clone.
#[derive(Clone)]
pub struct Local {
    pub(crate) config: Arc<Config>,
    pub(crate) certificate: Arc<Certificate>,
    fingerprint: Fingerprint,
}

/// There is nothing to make handshakes with. The library's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LocalError {
    /// No key was made, or no certificate of it.
    #[error("no certificate could be made")]
    Certificate,
    /// What is asked of handshakes cannot be.
    #[error("the terms of handshakes contradict each other")]
    Terms,
}

impl Certificate {
    /// A new one, of a new key on the curve P-256: known to nobody before, so that it says nothing of the machine.
    ///
    /// # Errors
    /// [`LocalError::Certificate`].
    pub fn self_signed() -> Result<Self, LocalError> {
        let inner = dimpl::certificate::generate_self_signed_certificate().map_err(|_| LocalError::Certificate)?;
        Ok(Self { inner })
    }

    pub(crate) fn inner(&self) -> DtlsCertificate {
        self.inner.clone()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(..)")
    }
}

impl Local {
    /// Handshakes under this certificate.
    ///
    /// # Errors
    /// [`LocalError::Terms`].
    pub fn new(certificate: Certificate) -> Result<Self, LocalError> {
        let config = Config::builder()
            .flight_start_rto(FLIGHT_RTO)
            .flight_retries(FLIGHT_RETRIES)
            .handshake_timeout(crate::HANDSHAKE_MAX)
            // Whoever forges a peer's address sees no cookie: it begins no handshake in the peer's place.
            .use_server_cookie(true)
            //= https://www.rfc-editor.org/rfc/rfc5763#section-5
            // Both sides show a certificate: each is known by its fingerprint.
            .require_client_certificate(true)
            .build()
            .map_err(|_| LocalError::Terms)?;
        let fingerprint = fingerprint_of(HashFunction::Sha256, &certificate.inner.certificate);
        let fingerprint = fingerprint.ok_or(LocalError::Certificate)?;
        Ok(Self { config: Arc::new(config), certificate: Arc::new(certificate), fingerprint })
    }

    /// What peers are told: the hash of our certificate.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// Is this certificate one of those that were said? Of several hash functions only the strongest counts.
//= https://www.rfc-editor.org/rfc/rfc8122#section-5
pub(crate) fn is_known(certificate: &[u8], said: &[Fingerprint]) -> bool {
    let Some(strongest) = said.iter().map(Fingerprint::hash).max() else { return false };
    let shown = fingerprint_of(strongest, certificate);
    shown.is_some_and(|shown| said.contains(&shown))
}

fn fingerprint_of(hash: HashFunction, certificate: &[u8]) -> Option<Fingerprint> {
    let algorithm = match hash {
        HashFunction::Sha256 => &digest::SHA256,
        HashFunction::Sha384 => &digest::SHA384,
        HashFunction::Sha512 => &digest::SHA512,
    };
    Fingerprint::new(hash, digest(algorithm, certificate).as_ref())
}

/// When a flight is sent again first; then after twice as long each time. People wait for the keys.
//= https://www.rfc-editor.org/rfc/rfc6347#section-4.2.4.1
const FLIGHT_RTO: Duration = Duration::from_millis(400);
/// Six times in about 25 seconds: the handshake is given up before.
const FLIGHT_RETRIES: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_known_by_the_strongest_of_its_hashes_alone() {
        let [ours, other] = [1, 2].map(|_| Certificate::self_signed().expect("a certificate").inner.certificate);
        let print = |hash, certificate: &[u8]| fingerprint_of(hash, certificate).expect("its length");
        let [sha256, sha512] = [HashFunction::Sha256, HashFunction::Sha512];
        assert!(is_known(&ours, &[print(sha256, &ours)]));
        assert!(is_known(&ours, &[print(sha256, &other), print(sha256, &ours)]), "one of several certificates");
        assert!(is_known(&ours, &[print(sha512, &ours), print(sha256, &other)]), "a weaker one does not count");
        assert!(!is_known(&ours, &[print(sha512, &other), print(sha256, &ours)]), "nor does it help");
        assert!(!is_known(&ours, &[print(sha256, &other)]));
        assert!(!is_known(&ours, &[]));
    }
}
