//! From PEM to whom a client trusts.

use crate::api::tls_config::all;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Why there can be no TLS with these authorities.
#[derive(Debug, thiserror::Error)]
#[error("the authorities that servers must be certified by cannot be used: {reason}")]
pub struct ClientTlsError {
    /// What is wrong with them.
    pub reason: String,
}

/// What a client needs for TLS.
pub type ClientTls = ClientConfig;

/// TLS 1.2 and 1.3 with servers that one of these authorities (PEM) has certified.
///
/// # Errors
/// When there is none that can be used. Some that cannot, among others, are passed over: systems have such.
pub fn client_tls(authorities: &[u8]) -> Result<Arc<ClientTls>, ClientTlsError> {
    let fault = |reason: String| ClientTlsError { reason };
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(all(authorities).map_err(fault)?);
    if usable == 0 {
        return Err(fault("none of them is the certificate of an authority".to_owned()));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| fault(error.to_string()))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    //= https://www.rfc-editor.org/rfc/rfc7301#section-3.1
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
