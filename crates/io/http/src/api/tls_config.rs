//! From PEM to what the management server needs for TLS.

use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// Why there can be no TLS with these files.
#[derive(Debug, thiserror::Error)]
pub enum ApiTlsError {
    /// There is no certificate, or one that cannot be read.
    #[error("the certificate of the management server cannot be read: {reason}")]
    Certificate {
        /// What is wrong with it.
        reason: String,
    },
    /// There is no key, one that cannot be read, or one of another certificate.
    #[error("the key of the management server cannot be used: {reason}")]
    Key {
        /// What is wrong with it.
        reason: String,
    },
    /// There is no authority for clients' certificates, or one that cannot be used.
    #[error("the authority for certificates of the management server's clients cannot be used: {reason}")]
    ClientAuthority {
        /// What is wrong with it.
        reason: String,
    },
}

/// TLS 1.2 and 1.3 with this certificate, the authorities between it and the root after it, and this key. With
/// `client_authorities`, only clients that show a certificate one of them has signed come as far as showing a token.
///
/// # Errors
/// When one of them is not PEM, or they do not belong together.
pub fn api_tls(
    certificates: &[u8],
    key: &[u8],
    client_authorities: Option<&[u8]>,
) -> Result<Arc<ServerConfig>, ApiTlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = all(certificates).map_err(|reason| ApiTlsError::Certificate { reason })?;
    let key_fault = |reason: String| ApiTlsError::Key { reason };
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| key_fault(error.to_string()))?;
    let verifier = match client_authorities {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(authorities) => {
            let fault = |reason: String| ApiTlsError::ClientAuthority { reason };
            let mut roots = RootCertStore::empty();
            for authority in all(authorities).map_err(fault)? {
                roots.add(authority).map_err(|error| fault(error.to_string()))?;
            }
            let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            builder.build().map_err(|error| fault(error.to_string()))?
        }
    };
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| key_fault(error.to_string()))?;
    let mut config = builder
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| key_fault(error.to_string()))?;
    //= https://www.rfc-editor.org/rfc/rfc7301#section-6
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// All certificates of a PEM text; there must be one.
pub(crate) fn all(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err("there is none in the file".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(error.to_string()),
    }
}
