//! Certificates, keys and trust: from PEM to what rustls wants.

mod certificate;
mod depth;
mod revocation;
mod settings;
mod verify;

pub use certificate::{Fingerprint, PeerCertificate, SubjectName};
pub use settings::{
    CertificateSource, ClientAuthentication, DEPTH_MAX, Pem, Revocation, TlsConfigError, TlsSettings, TlsVersion,
    TrustAnchors,
};

use crate::event::TlsFailure;
use depth::TooDeep;
use rustls::client::ClientConnection;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert, ServerConnection, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, Connection, InconsistentKeys, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use sx_engine::Time;
use verify::{AuthorityAsPeer, ClientRules, ServerVerifier, Trusted};

/// Certificates, keys and trust, checked and ready. Cheap to share between workers.
#[derive(Debug)]
pub struct TlsConfig {
    /// `None`: we only connect to others.
    server: Option<Arc<ServerConfig>>,
    client: Arc<ClientConfig>,
    certificates: Vec<PeerCertificate>,
    verifies_servers: bool,
}

impl TlsConfig {
    /// Reads and checks everything. `now` decides whether a certificate has expired.
    pub fn build(settings: &TlsSettings, now: Time) -> Result<Self, TlsConfigError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let default = Identity::load(&settings.default, &provider, now)?;
        let mut certificates = vec![default.facts.clone()];
        let mut by_name = HashMap::new();
        for source in &settings.others {
            let identity = Identity::load(source, &provider, now)?;
            for name in identity.names(source) {
                if by_name.insert(name.clone(), identity.key.clone()).is_some() {
                    return Err(TlsConfigError::NameTwice { name });
                }
            }
            certificates.push(identity.facts);
        }
        // The default serves its own names too, unless another was set for them.
        for name in default.names(&settings.default) {
            by_name.entry(name).or_insert_with(|| default.key.clone());
        }
        let servers = Servers { trust: &settings.trust, depth_max: checked_depth(settings.depth_max)? };
        let client = client_config(servers, settings.version_min, &provider, Some(&default.key))?;
        let resolver = Arc::new(ByServerName { default: default.key, by_name });
        Ok(Self {
            server: Some(Arc::new(server_config(settings, &provider, resolver, now)?)),
            client: Arc::new(client),
            certificates,
            verifies_servers: settings.trust.verifies(),
        })
    }

    /// For who only connects to others and has no certificate to show: nobody can connect to us with it.
    pub fn client_only(
        trust: &TrustAnchors,
        version_min: TlsVersion,
        depth_max: usize,
    ) -> Result<Self, TlsConfigError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = Arc::new(client_config(
            Servers { trust, depth_max: checked_depth(depth_max)? },
            version_min,
            &provider,
            None,
        )?);
        Ok(Self { server: None, client, certificates: Vec::new(), verifies_servers: trust.verifies() })
    }

    /// Can others connect to us with it?
    pub fn has_identity(&self) -> bool {
        self.server.is_some()
    }

    /// Our certificates, the default first: for a metric of when they expire.
    pub fn certificates(&self) -> &[PeerCertificate] {
        &self.certificates
    }

    /// When the first of our certificates expires; `None` when we have none.
    pub fn not_after(&self) -> Option<Time> {
        self.certificates.iter().map(|c| c.not_after).min()
    }

    pub(crate) fn accept(&self) -> Result<Connection, TlsFailure> {
        // Nothing listens without a certificate; see `Net::open` and `Net::reload_tls`.
        let server = self.server.as_ref().ok_or(TlsFailure::Internal)?;
        ServerConnection::new(server.clone()).map(Connection::Server).map_err(|e| failure(&e))
    }

    pub(crate) fn connect(&self, name: ServerName<'static>) -> Result<Connection, TlsFailure> {
        ClientConnection::new(self.client.clone(), name).map(Connection::Client).map_err(|e| failure(&e))
    }

    /// Does a server's certificate prove anything?
    pub(crate) fn verifies_servers(&self) -> bool {
        self.verifies_servers
    }
}

/// Whose doing it was.
pub(crate) fn failure(error: &rustls::Error) -> TlsFailure {
    use rustls::Error as E;
    match error {
        E::InvalidMessage(_) => TlsFailure::NotTls,
        E::PeerIncompatible(_) | E::NoApplicationProtocol => TlsFailure::Incompatible,
        E::NoCertificatesPresented => TlsFailure::CertificateMissing,
        E::AlertReceived(_) => TlsFailure::PeerAlert,
        E::InvalidCertificate(error) => match error {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TlsFailure::CertificateExpired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFailure::CertificateWrongName
            }
            CertificateError::UnknownIssuer => TlsFailure::CertificateUntrusted,
            CertificateError::Revoked => TlsFailure::CertificateRevoked,
            CertificateError::UnknownRevocationStatus
            | CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. } => TlsFailure::CertificateUncovered,
            CertificateError::Other(other) if other.0.is::<TooDeep>() => TlsFailure::CertificateTooDeep,
            CertificateError::Other(other) if other.0.is::<AuthorityAsPeer>() => TlsFailure::CertificateIsAuthority,
            _ => TlsFailure::CertificateBad,
        },
        // A list that its authority has not signed covers nothing.
        E::InvalidCertRevocationList(_) => TlsFailure::CertificateUncovered,
        E::InappropriateMessage { .. }
        | E::InappropriateHandshakeMessage { .. }
        | E::DecryptError
        | E::PeerMisbehaved(_)
        | E::PeerSentOversizedRecord => TlsFailure::PeerMisbehaved,
        _ => TlsFailure::Internal,
    }
}

/// A certificate that is fit to be shown.
struct Identity {
    key: Arc<CertifiedKey>,
    facts: PeerCertificate,
}

impl Identity {
    fn load(source: &CertificateSource, provider: &CryptoProvider, now: Time) -> Result<Self, TlsConfigError> {
        let what = source.chain.describe();
        let chain = certificates(&source.chain)?;
        let facts = chain.first().and_then(|der| PeerCertificate::parse(der));
        let Some(facts) = facts else { return Err(TlsConfigError::MalformedCertificate { what }) };
        if facts.not_after < now {
            return Err(TlsConfigError::Expired { what, not_after: facts.not_after });
        }
        if now < facts.not_before {
            return Err(TlsConfigError::NotYetValid { what, not_before: facts.not_before });
        }
        let key = PrivateKeyDer::from_pem_slice(&source.key.read()?)
            .map_err(|_| TlsConfigError::NoKey { what: source.key.describe() })?;
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsConfigError::KeyMismatch { chain: what.clone(), key: source.key.describe() }
            }
            rustls::Error::InvalidCertificate(_) => TlsConfigError::MalformedCertificate { what: what.clone() },
            error => TlsConfigError::UnsupportedKey { what: source.key.describe(), reason: error.to_string() },
        })?;
        Ok(Self { key: Arc::new(key), facts })
    }

    /// The server names it is shown for, in lower case.
    fn names(&self, source: &CertificateSource) -> Vec<String> {
        if !source.names.is_empty() {
            return source.names.iter().map(|name| name.to_ascii_lowercase()).collect();
        }
        let dns = self.facts.names.iter().filter_map(|name| match name {
            SubjectName::Dns(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        dns.collect()
    }
}

/// Chooses the certificate by the name that the client asks for.
#[derive(Debug)]
struct ByServerName {
    default: Arc<CertifiedKey>,
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl ResolvesServerCert for ByServerName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Some(name) = hello.server_name().map(str::to_ascii_lowercase) else { return Some(self.default.clone()) };
        let wildcard = || name.split_once('.').and_then(|(_, parent)| self.by_name.get(&format!("*.{parent}")));
        Some(self.by_name.get(&name).or_else(wildcard).unwrap_or(&self.default).clone())
    }
}

fn versions(version_min: TlsVersion) -> &'static [&'static rustls::SupportedProtocolVersion] {
    static FROM_12: [&rustls::SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    static FROM_13: [&rustls::SupportedProtocolVersion; 1] = [&TLS13];
    match version_min {
        TlsVersion::V12 => &FROM_12,
        TlsVersion::V13 => &FROM_13,
    }
}

fn server_config(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
    resolver: Arc<ByServerName>,
    now: Time,
) -> Result<ServerConfig, TlsConfigError> {
    let rules = |mandatory| ClientRules { mandatory, revocation: &settings.revocation, depth_max: settings.depth_max };
    let verifier = match &settings.client_authentication {
        ClientAuthentication::None => WebPkiClientVerifier::no_client_auth(),
        ClientAuthentication::Optional(authorities) => trusted(authorities)?.clients(provider, rules(false), now)?,
        ClientAuthentication::Required(authorities) => trusted(authorities)?.clients(provider, rules(true), now)?,
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions(settings.version_min))
        .map_err(|error| TlsConfigError::UnsupportedKey { what: "TLS".into(), reason: error.to_string() })?;
    Ok(builder.with_client_cert_verifier(verifier).with_cert_resolver(resolver))
}

/// Which servers are believed.
#[derive(Clone, Copy)]
struct Servers<'a> {
    trust: &'a TrustAnchors,
    depth_max: usize,
}

fn checked_depth(value: usize) -> Result<usize, TlsConfigError> {
    if settings::DEPTHS.contains(&value) { Ok(value) } else { Err(TlsConfigError::DepthOutOfRange { value }) }
}

fn client_config(
    servers: Servers<'_>,
    version_min: TlsVersion,
    provider: &Arc<CryptoProvider>,
    identity: Option<&Arc<CertifiedKey>>,
) -> Result<ClientConfig, TlsConfigError> {
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions(version_min))
        .map_err(|error| TlsConfigError::UnsupportedKey { what: "TLS".into(), reason: error.to_string() })?;
    let verifier = match servers.trust {
        TrustAnchors::System => ServerVerifier::trusting(system()?, provider, servers.depth_max)?,
        TrustAnchors::Files(authorities) => {
            ServerVerifier::trusting(trusted(authorities)?, provider, servers.depth_max)?
        }
        TrustAnchors::InsecureAcceptAny => ServerVerifier::insecure(provider),
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(match identity {
        Some(key) => builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key.clone()))),
        None => builder.with_no_client_auth(),
    })
}

/// Where distributions keep what they trust.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

fn system() -> Result<Trusted, TlsConfigError> {
    let found = SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.exists());
    let Some(path) = found else {
        return Err(TlsConfigError::NoAuthority { what: format!("none of {SYSTEM_ROOTS:?} exists") });
    };
    // A bundle may hold old certificates that cannot be used; the others count.
    Ok(Trusted::parsable(certificates(&Pem::File(path))?))
}

fn trusted(authorities: &[Pem]) -> Result<Trusted, TlsConfigError> {
    let mut all = Vec::new();
    for pem in authorities {
        let found = certificates(pem)?;
        // Looked at file by file, to name the one that is at fault.
        Trusted::all(found.clone()).map_err(|_| TlsConfigError::MalformedCertificate { what: pem.describe() })?;
        all.extend(found);
    }
    if all.is_empty() {
        return Err(TlsConfigError::NoAuthority { what: "no file is named".into() });
    }
    Trusted::all(all).map_err(|error| TlsConfigError::NoAuthority { what: error.to_string() })
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.read()?).collect();
    found.ok().filter(|list| !list.is_empty()).ok_or_else(|| TlsConfigError::NoCertificate { what: pem.describe() })
}
