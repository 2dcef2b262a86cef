//! From the configuration to certificates and trust.

use std::sync::Arc;
use sx_config::{ClientCertificate, Config, Identity};
use sx_engine::Time;
use sx_net::tls::{
    CertificateSource, ClientAuthentication, Pem, TlsConfig, TlsConfigError, TlsSettings, TlsVersion, TrustAnchors,
};

/// Reads certificates, keys and authorities; `None` when no identity is configured.
///
/// # Errors
/// When a file cannot be read, or what is in it does not fit together.
pub fn build(config: &Config, now: Time) -> Result<Option<Arc<TlsConfig>>, TlsConfigError> {
    let tls = &config.sip.tls;
    let Some(identity) = &tls.identity else { return Ok(None) };
    let source = |identity: &Identity, names: Vec<String>| CertificateSource {
        chain: Pem::File(identity.certificate.clone()),
        key: Pem::File(identity.key.clone()),
        names,
    };
    let authorities = || tls.client_ca.iter().cloned().map(Pem::File).collect();
    let system = std::path::Path::new("/etc/ssl/certs/ca-certificates.crt");
    let settings = TlsSettings {
        default: source(identity, Vec::new()),
        others: tls.sni.iter().map(|named| source(&named.identity, vec![named.name.to_string()])).collect(),
        client_authentication: match tls.client_certificate {
            ClientCertificate::None => ClientAuthentication::None,
            ClientCertificate::Optional => ClientAuthentication::Optional(authorities()),
            ClientCertificate::Required => ClientAuthentication::Required(authorities()),
        },
        trust: if config.danger.accept_any_certificate {
            TrustAnchors::InsecureAcceptAny
        } else if tls.trust.iter().all(|path| path == system) {
            TrustAnchors::System
        } else {
            TrustAnchors::Files(tls.trust.iter().cloned().map(Pem::File).collect())
        },
        version_min: TlsVersion::V12,
    };
    TlsConfig::build(&settings, now).map(|tls| Some(Arc::new(tls)))
}
