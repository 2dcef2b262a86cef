//! From the configuration to certificates and trust.

use std::sync::Arc;
use sx_config::{ClientCertificate, Config, Identity};
use sx_engine::Time;
use sx_net::tls::{
    CertificateSource, ClientAuthentication, Pem, Revocation, TlsConfig, TlsConfigError, TlsSettings, TlsVersion,
    TrustAnchors,
};
use tracing::info;

/// Reads certificates, keys and authorities. Without an identity others are called over TLS all the same; `None` when
/// there is nobody whom that could trust, because the system has no authorities and none are configured.
///
/// # Errors
/// When a file cannot be read, or what is in it does not fit together.
pub fn build(config: &Config, now: Time) -> Result<Option<Arc<TlsConfig>>, TlsConfigError> {
    let tls = &config.sip.tls;
    let system = std::path::Path::new("/etc/ssl/certs/ca-certificates.crt");
    let trust = if config.danger.accept_any_certificate {
        TrustAnchors::InsecureAcceptAny
    } else if tls.trust.iter().all(|path| path == system) {
        TrustAnchors::System
    } else {
        TrustAnchors::Files(tls.trust.iter().cloned().map(Pem::File).collect())
    };
    let Some(identity) = &tls.identity else {
        return match (TlsConfig::client_only(&trust, TlsVersion::V12, tls.depth_max), &trust) {
            (Ok(tls), _) => Ok(Some(Arc::new(tls))),
            // An exchange that never speaks TLS starts on a system without authorities too.
            (Err(error), TrustAnchors::System) => {
                info!(%error, "nobody can be called over TLS");
                Ok(None)
            }
            (Err(error), _) => Err(error),
        };
    };
    let source = |identity: &Identity, names: Vec<String>| CertificateSource {
        chain: Pem::File(identity.certificate.clone()),
        key: Pem::File(identity.key.clone()),
        names,
    };
    let authorities = || tls.client_ca.iter().cloned().map(Pem::File).collect();
    let settings = TlsSettings {
        default: source(identity, Vec::new()),
        others: tls.sni.iter().map(|named| source(&named.identity, vec![named.name.to_string()])).collect(),
        client_authentication: match tls.client_certificate {
            ClientCertificate::None => ClientAuthentication::None,
            ClientCertificate::Optional => ClientAuthentication::Optional(authorities()),
            ClientCertificate::Required => ClientAuthentication::Required(authorities()),
        },
        revocation: Revocation {
            lists: tls.client_crl.iter().cloned().map(Pem::File).collect(),
            required: tls.crl_required,
        },
        trust,
        depth_max: tls.depth_max,
        version_min: TlsVersion::V12,
    };
    TlsConfig::build(&settings, now).map(|tls| Some(Arc::new(tls)))
}
