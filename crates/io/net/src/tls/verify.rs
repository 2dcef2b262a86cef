//! Is this the peer that we wanted? What rustls asks, answered with the configured trust, and why not in words that help.

use super::depth::{TooDeep, within};
use super::revocation::Lists;
use super::settings::Revocation;
use super::{Fingerprint, PeerCertificate, TlsConfigError};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::collections::HashSet;
use std::sync::Arc;
use sx_engine::Time;

/// The certificates that are trusted, as authorities and as what they are themselves.
#[derive(Debug)]
pub(super) struct Trusted {
    roots: Arc<RootCertStore>,
    pinned: HashSet<Fingerprint>,
}

/// Checks the certificate that a server shows.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    accepts: Accepts,
    depth_max: usize,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum Accepts {
    /// Whose certificate leads to a trusted one, or is one, and carries the name that was asked for.
    Trusted { webpki: Arc<WebPkiServerVerifier>, pinned: HashSet<Fingerprint> },
    /// Any server at all; only its possession of the key is checked.
    Anybody,
}

/// Checks the certificate that a client shows.
#[derive(Debug)]
struct ClientVerifier {
    webpki: Arc<dyn ClientCertVerifier>,
    pinned: HashSet<Fingerprint>,
    depth_max: usize,
    /// Not even a certificate that is itself trusted is accepted unless a revocation list covers it.
    lists_required: bool,
}

/// Whom the certificates of clients must come from, beyond that they are signed by those who are trusted.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientRules<'a> {
    /// Whoever shows no certificate is refused.
    pub mandatory: bool,
    pub revocation: &'a Revocation,
    pub depth_max: usize,
}

/// An authority's certificate was shown where a peer's own is wanted.
#[derive(Debug, thiserror::Error)]
#[error("an authority's certificate (CA:TRUE) cannot stand for a peer")]
pub(super) struct AuthorityAsPeer;

impl Trusted {
    /// Takes those that can be used.
    pub fn parsable(certificates: Vec<CertificateDer<'static>>) -> Self {
        let pinned = certificates.iter().map(|der| Fingerprint::of(der)).collect();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        Self { roots: Arc::new(roots), pinned }
    }

    /// Takes all of them, or none when one cannot be used.
    pub fn all(certificates: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        let pinned = certificates.iter().map(|der| Fingerprint::of(der)).collect();
        let mut roots = RootCertStore::empty();
        certificates.into_iter().try_for_each(|certificate| roots.add(certificate))?;
        Ok(Self { roots: Arc::new(roots), pinned })
    }

    /// Checks the certificates of those who connect to us.
    pub fn clients(
        self,
        provider: &Arc<CryptoProvider>,
        rules: ClientRules<'_>,
        now: Time,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsConfigError> {
        let Lists { lists, required } = Lists::read(rules.revocation, &self.roots, provider, now)?;
        let builder = WebPkiClientVerifier::builder_with_provider(self.roots, provider.clone()).with_crls(lists);
        let builder = if rules.mandatory { builder } else { builder.allow_unauthenticated() };
        // A list that runs out while we serve says what was taken back still; only who wants to be sure goes without.
        let builder = match required {
            true => builder.enforce_revocation_expiration(),
            false => builder.allow_unknown_revocation_status(),
        };
        let webpki = builder.build().map_err(|error| TlsConfigError::NoAuthority { what: error.to_string() })?;
        let ClientRules { depth_max, .. } = rules;
        Ok(Arc::new(ClientVerifier { webpki, pinned: self.pinned, depth_max, lists_required: required }))
    }
}

impl ServerVerifier {
    /// Accepts servers whose certificate leads to one of these in so many steps at most, or is one of these.
    pub fn trusting(
        trusted: Trusted,
        provider: &Arc<CryptoProvider>,
        depth_max: usize,
    ) -> Result<Self, TlsConfigError> {
        let webpki = WebPkiServerVerifier::builder_with_provider(trusted.roots, provider.clone())
            .build()
            .map_err(|error| TlsConfigError::NoAuthority { what: error.to_string() })?;
        Ok(Self { accepts: Accepts::Trusted { webpki, pinned: trusted.pinned }, depth_max, provider: provider.clone() })
    }

    /// Accepts any server.
    pub fn insecure(provider: &Arc<CryptoProvider>) -> Self {
        Self { accepts: Accepts::Anybody, depth_max: usize::MAX, provider: provider.clone() }
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Accepts::Trusted { webpki, pinned } = &self.accepts else { return Ok(ServerCertVerified::assertion()) };
        let facts = PeerCertificate::parse(end_entity);
        let verify = |chain: &[CertificateDer<'_>]| {
            match webpki.verify_server_cert(end_entity, chain, server_name, ocsp_response, now) {
                // The chain was found good before the name was looked at.
                Err(Error::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                )) if facts.as_ref().is_some_and(|facts| has_sip_identity(facts, server_name)) => Ok(()),
                verified => verified.map(|_| ()),
            }
        };
        let error = match within(self.depth_max, end_entity, intermediates, verify) {
            Ok(()) => return Ok(ServerCertVerified::assertion()),
            Err(error) => error,
        };
        let Some(facts) = facts else { return Err(error) };
        let checked = if pinned.contains(&facts.fingerprint) {
            // The operator vouches for it, whoever has signed it and whatever else it may be used for.
            within_validity(&facts, now).and_then(|()| carries(&facts, end_entity, server_name))
        } else {
            Err(named(error, &facts))
        };
        checked.map(|()| ServerCertVerified::assertion()).inspect_err(|error| {
            let server = server_name.to_str();
            let why = complaint(&facts, &server, error);
            tracing::warn!(%server, fingerprint = %facts.fingerprint, why, "a server's certificate was refused");
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verify = |chain: &[CertificateDer<'_>]| self.webpki.verify_client_cert(end_entity, chain, now).map(|_| ());
        let error = match within(self.depth_max, end_entity, intermediates, verify) {
            Ok(()) => return Ok(ClientCertVerified::assertion()),
            Err(error) => error,
        };
        let Some(facts) = PeerCertificate::parse(end_entity) else { return Err(error) };
        let checked = match self.pinned.contains(&facts.fingerprint) {
            // What its authority has taken back is not made good by having been written down before.
            true if matches!(error, Error::InvalidCertificate(CertificateError::Revoked)) => Err(error),
            true if self.lists_required => Err(Error::InvalidCertificate(CertificateError::UnknownRevocationStatus)),
            true => within_validity(&facts, now),
            false => Err(named(error, &facts)),
        };
        checked.map(|()| ClientCertVerified::assertion()).inspect_err(|error| {
            // Anybody can connect with any certificate: that is no reason to warn.
            let why = complaint(&facts, "", error);
            tracing::info!(fingerprint = %facts.fingerprint, why, "a client's certificate was refused");
        })
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.webpki.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.webpki.client_auth_mandatory()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// The library has no name for an authority's certificate that a peer shows as its own.
fn named(error: Error, facts: &PeerCertificate) -> Error {
    match error {
        Error::InvalidCertificate(CertificateError::Other(_)) if facts.is_authority => {
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(AuthorityAsPeer))))
        }
        error => error,
    }
}

fn within_validity(facts: &PeerCertificate, now: UnixTime) -> Result<(), Error> {
    let now = Time::from_secs(now.as_secs());
    if facts.not_after < now {
        return Err(Error::InvalidCertificate(CertificateError::Expired));
    }
    if now < facts.not_before {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    Ok(())
}

/// A subject alternative name that is a SIP URI without a user part is an identity of the domain, and the common name
/// counts when there is no alternative name at all.
//= https://www.rfc-editor.org/rfc/rfc5922#section-7.1
fn carries(facts: &PeerCertificate, end_entity: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let by_common_name = facts.names.is_empty()
        && facts.common_name.as_deref().is_some_and(|common| common.eq_ignore_ascii_case(&name.to_str()));
    if by_common_name || has_sip_identity(facts, name) {
        return Ok(());
    }
    verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)
}

fn has_sip_identity(facts: &PeerCertificate, name: &ServerName<'_>) -> bool {
    matches!(name, ServerName::DnsName(name) if facts.has_sip_identity(name.as_ref()))
}

/// What is wrong with the certificate of a peer, of a server that was asked for by `name`, and what to do.
fn complaint(facts: &PeerCertificate, name: &str, error: &Error) -> String {
    let subject = facts.common_name.as_deref().unwrap_or("(no common name)");
    let issuer = facts.issuer_name.as_deref().unwrap_or("(no common name)");
    let Error::InvalidCertificate(error) = error else {
        return format!("the certificate of {subject} cannot be checked: {error}");
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of {subject} has expired at {}: renew it", facts.not_after)
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {subject} is not valid before {}: is the clock right?", facts.not_before)
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let names: Vec<String> = facts.names.iter().map(ToString::to_string).collect();
            let names = if names.is_empty() { format!("{subject} as common name only") } else { names.join(", ") };
            format!("the certificate carries {names} and not {name}: have {name} put among its alternative names")
        }
        CertificateError::Revoked => {
            format!("the certificate of {subject} was revoked by {issuer}: give the peer another")
        }
        CertificateError::UnknownRevocationStatus => format!(
            "no revocation list covers the certificate of {subject} or one that leads to it: name the list of {issuer} \
             and of whoever vouches for {issuer}, or do without their being required"
        ),
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => format!(
            "the revocation list that covers the certificate of {subject} has run out: fetch the present one of {issuer}, \
             and of whoever vouches for {issuer}, and have it read anew"
        ),
        CertificateError::Other(other) if other.0.is::<TooDeep>() => format!(
            "too many certificates lie between that of {subject} and a trusted one: name one of them among those that are \
             trusted, or allow a longer chain"
        ),
        CertificateError::Other(other) if other.0.is::<AuthorityAsPeer>() => format!(
            "the certificate of {subject} is an authority's (CA:TRUE) and cannot stand for a peer: name this very \
             certificate among those that are trusted, or give the peer one that is made with CA:FALSE"
        ),
        CertificateError::UnknownIssuer if facts.is_self_issued => format!(
            "the certificate of {subject} is signed by itself: when the fingerprint is the peer's, name this very \
             certificate among those that are trusted"
        ),
        CertificateError::UnknownIssuer => format!(
            "the certificate of {subject} is signed by {issuer}, whom nobody trusted vouches for: name the \
             certificate of {issuer} among those that are trusted, or let the peer send its intermediates"
        ),
        CertificateError::BadSignature => format!(
            "the certificate of {subject} names {issuer} as its signer, but not the key of the one that is trusted: \
             name the present certificate of {issuer}, or this very certificate, among those that are trusted"
        ),
        error => format!("the certificate of {subject} is refused: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

    const NOW: u64 = 1_795_219_199;

    /// As `openssl req -x509 -subj /CN=pbx.example` makes one.
    fn certificate(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, "pbx.example");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().clone()
    }

    fn provider() -> Arc<CryptoProvider> {
        Arc::new(rustls::crypto::aws_lc_rs::default_provider())
    }

    fn check(trusted: &CertificateDer<'static>, shown: &CertificateDer<'static>, name: &str) -> Result<(), String> {
        let trusted = Trusted::all(vec![trusted.clone()]).expect("can be used");
        let verifier = ServerVerifier::trusting(trusted, &provider(), 3).expect("a root");
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW));
        let asked = ServerName::try_from(name).expect("a name");
        let facts = PeerCertificate::parse(shown).expect("a certificate");
        let verified = verifier.verify_server_cert(shown, &[], &asked, &[], now);
        verified.map(|_| ()).map_err(|error| complaint(&facts, name, &error))
    }

    #[test]
    fn a_certificate_that_is_itself_trusted_is_accepted_though_it_is_an_authority() {
        let plain = certificate(&[], |_| {});
        assert_eq!(check(&plain, &plain, "PBX.example"), Ok(()));
        let named = certificate(&["a.example", "192.0.2.7"], |_| {});
        assert_eq!(check(&named, &named, "a.example"), Ok(()));
        assert_eq!(check(&named, &named, "192.0.2.7"), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_said_of_the_certificate_with_what_to_do() {
        let (plain, other) = (certificate(&[], |_| {}), certificate(&["a.example"], |_| {}));
        let old = certificate(&["a.example"], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 2));
        let early = certificate(&["a.example"], |params| params.not_before = rcgen::date_time_ymd(2030, 1, 2));
        let stranger = certificate(&["a.example"], |params| {
            params.is_ca = IsCa::NoCa;
            params.distinguished_name.push(DnType::CommonName, "stranger");
        });
        let another_leaf = certificate(&["a.example"], |params| params.is_ca = IsCa::NoCa);
        let leaf = certificate(&["a.example"], |params| params.is_ca = IsCa::NoCa);
        for (trusted, shown, name, expected) in [
            (&plain, &other, "a.example", "pbx.example is an authority's (CA:TRUE)"),
            (&leaf, &another_leaf, "a.example", "not the key of the one that is trusted"),
            (&leaf, &stranger, "a.example", "stranger is signed by itself"),
            (&plain, &plain, "b.example", "pbx.example as common name only and not b.example"),
            (&other, &other, "pbx.example", "carries a.example and not pbx.example"),
            (&old, &old, "a.example", "has expired at 2020-01-02T00:00:00.000Z: renew it"),
            (&early, &early, "a.example", "not valid before 2030-01-02T00:00:00.000Z: is the clock right?"),
        ] {
            let why = check(trusted, shown, name).expect_err("refused");
            assert!(why.contains(expected), "{why:?} does not say {expected:?}");
        }
    }
}
