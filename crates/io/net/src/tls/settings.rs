//! What TLS is set up from, and what can be wrong with it.

use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use sx_engine::Time;

/// What a [`TlsConfig`](super::TlsConfig) is made of.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// Shown to peers that ask for no name we know, and to servers that want a certificate of us.
    pub default: CertificateSource,
    /// Shown to peers that ask for one of their names.
    pub others: Vec<CertificateSource>,
    /// Whether those who connect to us must show a certificate.
    pub client_authentication: ClientAuthentication,
    /// What the authorities of clients have taken back.
    pub revocation: Revocation,
    /// Whose signature we accept on the certificates of those we connect to.
    pub trust: TrustAnchors,
    /// So many certificates at most may lead from a trusted authority to a peer, the peer's own counted and the
    /// authority's not: 1 takes only what the authority itself has signed, [`DEPTH_MAX`] allows two between. However many
    /// more are allowed, the library goes no further than 7. A certificate that is itself trusted needs none.
    pub depth_max: usize,
    /// The least version that is spoken.
    pub version_min: TlsVersion,
}

/// How many certificates may lead from an authority to a peer, unless something else is said.
pub const DEPTH_MAX: usize = 3;

/// Which certificates of clients no longer hold.
//= https://www.rfc-editor.org/rfc/rfc5280#section-5
#[derive(Clone, Debug, Default)]
pub struct Revocation {
    /// The lists that the authorities publish, PEM or DER. One of an authority that no certificate leads to is of no use
    /// and does no harm.
    pub lists: Vec<Pem>,
    /// Every certificate between an authority and a client must be covered by a list that is in force, or the client is
    /// refused. Otherwise only what a list names is refused, and what a list said that has run out while we serve holds
    /// until there is a newer one.
    pub required: bool,
}

/// A certificate with its chain, and its key.
#[derive(Clone, Debug)]
pub struct CertificateSource {
    /// The certificate, then those that lead to the root.
    pub chain: Pem,
    /// The private key: PKCS#8, PKCS#1 or SEC1.
    pub key: Pem,
    /// The server names (SNI) it is shown for; empty: the domain names it carries. `*.example.com` covers one label.
    pub names: Vec<String>,
}

/// Text in PEM.
#[derive(Clone)]
pub enum Pem {
    /// In a file.
    File(PathBuf),
    /// Given.
    Bytes(Vec<u8>),
}

/// Whether those who connect must show a certificate.
#[derive(Clone, Debug)]
pub enum ClientAuthentication {
    /// None is asked for.
    None,
    /// One is asked for. Without one they are served; one that is not signed by these authorities is refused.
    Optional(Vec<Pem>),
    /// Without one signed by these authorities nobody is served.
    Required(Vec<Pem>),
}

/// Whose signature is accepted on a server's certificate.
#[derive(Clone, Debug)]
pub enum TrustAnchors {
    /// The authorities that the operating system trusts.
    System,
    /// These authorities, and these very certificates when a server shows one of them.
    Files(Vec<Pem>),
    /// Anybody's, and any name: who sits between can read and change everything. For trials only.
    InsecureAcceptAny,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2
    V12,
    /// TLS 1.3
    V13,
}

/// Why settings make no [`TlsConfig`](super::TlsConfig).
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// A file cannot be read.
    #[error("{what} cannot be read: {source}")]
    Unreadable {
        /// The file.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// There is no certificate in it.
    #[error("{what} holds no certificate in PEM")]
    NoCertificate {
        /// The file.
        what: String,
    },
    /// There is no private key in it.
    #[error("{what} holds no private key in PEM (an encrypted key must be decrypted first)")]
    NoKey {
        /// The file.
        what: String,
    },
    /// The key is of a kind that cannot be used.
    #[error("{what} holds a key that cannot be used: {reason}")]
    UnsupportedKey {
        /// The file.
        what: String,
        /// What rustls says.
        reason: String,
    },
    /// The key belongs to another certificate.
    #[error("the key in {key} does not belong to the certificate in {chain}")]
    KeyMismatch {
        /// The file of the certificate.
        chain: String,
        /// The file of the key.
        key: String,
    },
    /// The certificate has expired.
    #[error("the certificate in {what} has expired at {not_after}")]
    Expired {
        /// The file.
        what: String,
        /// When.
        not_after: Time,
    },
    /// The certificate is not valid yet.
    #[error("the certificate in {what} is not valid before {not_before}; is the clock right?")]
    NotYetValid {
        /// The file.
        what: String,
        /// From when on it is valid.
        not_before: Time,
    },
    /// The certificate cannot be understood.
    #[error("the certificate in {what} is malformed")]
    MalformedCertificate {
        /// The file.
        what: String,
    },
    /// There is no authority to trust.
    #[error("no trusted authority: {what}")]
    NoAuthority {
        /// Where it was looked for.
        what: String,
    },
    /// A revocation list cannot be understood.
    #[error(
        "{what} holds no revocation list that can be used ({reason}): fetch the authority's present one, version 2 and \
         complete, as PEM or DER"
    )]
    MalformedRevocationList {
        /// The file.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// A revocation list has run out.
    #[error(
        "the revocation list in {what} has expired at {next_update}: fetch the authority's present one, or name this one \
         no longer"
    )]
    RevocationListExpired {
        /// The file.
        what: String,
        /// When there should have been another.
        next_update: Time,
    },
    /// Certificates must be covered by revocation lists, and there are none.
    #[error(
        "certificates of clients must be covered by a revocation list, and none is named: name the authorities' lists"
    )]
    NoRevocationList,
    /// A depth that lets nobody in or ends nowhere.
    #[error("a chain of at most {value} certificates makes no sense: allowed are 1 to 10")]
    DepthOutOfRange {
        /// What was given.
        value: usize,
    },
    /// Two certificates for one server name.
    #[error("two certificates are configured for the server name {name}")]
    NameTwice {
        /// The name.
        name: String,
    },
}

/// How long a chain may be allowed to be.
pub(super) const DEPTHS: RangeInclusive<usize> = 1..=10;

impl TrustAnchors {
    /// Does a server have to prove who it is?
    pub(super) fn verifies(&self) -> bool {
        !matches!(self, Self::InsecureAcceptAny)
    }
}

impl Pem {
    pub(super) fn read(&self) -> Result<Vec<u8>, TlsConfigError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File(path) => {
                std::fs::read(path).map_err(|source| TlsConfigError::Unreadable { what: self.describe(), source })
            }
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Bytes(_) => "the given text".into(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

impl std::fmt::Debug for Pem {
    /// The text may be a key: it is never printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}
