//! What authorities have taken back: reading their revocation lists.

use super::certificate::{Der, GENERALIZED_TIME, INTEGER, SEQUENCE, UTC_TIME, time};
use super::settings::{Pem, Revocation, TlsConfigError};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use std::sync::Arc;
use sx_engine::Time;

/// Lists that were looked at, and what holds without one.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub lists: Vec<CertificateRevocationListDer<'static>>,
    /// What no list covers is refused.
    pub required: bool,
}

impl Lists {
    /// Reads the lists. One that has run out is refused, for nobody can tell what was taken back since.
    pub fn read(
        revocation: &Revocation,
        roots: &Arc<RootCertStore>,
        provider: &Arc<CryptoProvider>,
        now: Time,
    ) -> Result<Self, TlsConfigError> {
        // Without any list the library would check nothing.
        if revocation.required && revocation.lists.is_empty() {
            return Err(TlsConfigError::NoRevocationList);
        }
        let mut all = Vec::new();
        for file in &revocation.lists {
            let malformed = |reason: String| TlsConfigError::MalformedRevocationList { what: file.describe(), reason };
            let found = lists_in(file)?;
            // Looked at file by file, to name the one that is at fault.
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
                .with_crls(found.clone())
                .build()
                .map_err(|error| malformed(error.to_string()))?;
            for list in &found {
                let next_update =
                    next_update(list).ok_or_else(|| malformed("it does not say when the next one comes".into()))?;
                if next_update < now {
                    return Err(TlsConfigError::RevocationListExpired { what: file.describe(), next_update });
                }
            }
            all.extend(found);
        }
        Ok(Self { lists: all, required: revocation.required })
    }
}

/// One list in DER, or any number in PEM.
fn lists_in(file: &Pem) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsConfigError> {
    let bytes = file.read()?;
    if bytes.first() == Some(&SEQUENCE) {
        return Ok(vec![CertificateRevocationListDer::from(bytes)]);
    }
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
    found.ok().filter(|list| !list.is_empty()).ok_or_else(|| TlsConfigError::MalformedRevocationList {
        what: file.describe(),
        reason: "neither DER nor a PEM section X509 CRL".into(),
    })
}

/// When there is to be another list at the latest.
//= https://www.rfc-editor.org/rfc/rfc5280#section-5.1.2.5
fn next_update(der: &[u8]) -> Option<Time> {
    let mut tbs = Der(Der(Der(der).expect(SEQUENCE)?).expect(SEQUENCE)?);
    if tbs.peek() == Some(INTEGER) {
        tbs.element()?;
    }
    tbs.expect(SEQUENCE)?; // signature algorithm
    tbs.expect(SEQUENCE)?; // issuer
    tbs.element()?; // this update
    let next = tbs.element().filter(|(tag, _)| [UTC_TIME, GENERALIZED_TIME].contains(tag))?;
    time(next)
}
