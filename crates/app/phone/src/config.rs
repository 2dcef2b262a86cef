//! What a telephone is told before it starts, and why it did not.

use crate::wav::WavError;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use sx_codec::Law;
use sx_net::NetError;
use sx_net::tls::{CertificateSource, TlsConfigError};
use sx_types::Transport;

pub use sx_net::tls::{Pem, TrustAnchors};

/// All that a telephone is told. [`PhoneConfig::new`] fills in what is usual.
#[derive(Clone)]
pub struct PhoneConfig {
    /// Where every request goes.
    pub server: Server,
    /// The domain of our address of record, and of numbers that are called without one: `example.com`.
    pub domain: String,
    /// The user part of our address of record, and the name given to challenges.
    pub user: String,
    /// What challenges are answered with; `None` to answer none.
    pub password: Option<String>,
    /// The name that others are shown.
    pub display: Option<String>,
    /// Our address; `None`: the one from which the system reaches the server.
    pub local_ip: Option<IpAddr>,
    /// Our signalling port; 0 lets the system choose.
    pub local_port: u16,
    /// The encodings we have, best first; at least one.
    pub codecs: Vec<Law>,
    /// Register at once and stay registered, for this many seconds at a time; `None` to register only when
    /// [`Phone::register`](crate::Phone::register) says so.
    pub register: Option<u32>,
    /// How calls are answered.
    pub answer: AnswerMode,
    /// What the other party hears.
    pub source: AudioSource,
    /// How long what comes waits to be heard, in the beginning: what comes later than that is missed.
    pub playout_delay: Duration,
    /// Write what is heard to this WAV file, one call after the other.
    pub record: Option<PathBuf>,
    /// The value of User-Agent.
    pub user_agent: String,
}

/// The server, or another telephone that is called directly.
#[derive(Clone, Debug)]
pub struct Server {
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// Its address.
    pub address: SocketAddr,
    /// How TLS is spoken; looked at for TLS only.
    pub tls: Tls,
}

/// How TLS is spoken with the server.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The name that the server's certificate must carry, also sent as SNI; `None`: the domain.
    pub name: Option<String>,
    /// Whose signature is accepted on it.
    pub trust: TrustAnchors,
    /// What is shown to a server that asks who we are; `None`: nothing, and most do not ask.
    pub identity: Option<CertificateSource>,
}

/// How a telephone answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerMode {
    /// It rings until [`Phone::answer`](crate::Phone::answer) or [`Phone::reject`](crate::Phone::reject).
    Manual,
    /// It rings for so long and answers by itself.
    Auto {
        /// How long it rings.
        after: Duration,
    },
    /// It is always busy (486).
    Busy,
}

/// What a telephone says.
#[derive(Clone, Debug, PartialEq)]
pub enum AudioSource {
    /// Nothing, in packets.
    Silence,
    /// Tones at once, each given by its frequency in Hz and its level in dBm0.
    Tone(Vec<(f64, f64)>),
    /// A file of 8,000 samples a second, 16 bit, one channel or two (which are mixed), over and over.
    Wav(PathBuf),
}

/// Why a telephone did not start. All of it is the fault of the configuration or of this machine.
#[derive(Debug, thiserror::Error)]
pub enum PhoneError {
    /// No codec is named.
    #[error("a telephone needs at least one codec")]
    NoCodec,
    /// The transport is WebSocket.
    #[error("a telephone speaks UDP, TCP or TLS, not {0}")]
    Transport(Transport),
    /// A text that goes into a header holds what cannot stand there.
    #[error("{field} may not hold {found:?}")]
    BadText {
        /// The field of [`PhoneConfig`].
        field: &'static str,
        /// The character.
        found: char,
    },
    /// No way leads to the server.
    #[error("this host has no address from which {address} is reached: {source}")]
    NoRoute {
        /// The server's address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The signalling socket could not be had.
    #[error(transparent)]
    Net(#[from] NetError),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// A WAV file cannot be played or written.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Randomness,
    /// The operating system gave no thread.
    #[error("the telephone's thread did not start: {0}")]
    Thread(#[source] io::Error),
}

impl PhoneConfig {
    /// A telephone that calls and answers by hand, says nothing, has both laws of G.711 and does not register.
    pub fn new(server: Server, domain: &str, user: &str) -> Self {
        Self {
            server,
            domain: domain.to_owned(),
            user: user.to_owned(),
            password: None,
            display: None,
            local_ip: None,
            local_port: 0,
            codecs: vec![Law::A, Law::Mu],
            register: None,
            answer: AnswerMode::Manual,
            source: AudioSource::Silence,
            playout_delay: Duration::from_millis(40),
            record: None,
            user_agent: concat!("strowger-phone/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// Could all of it be written into a message?
    pub(crate) fn validate(&self) -> Result<(), PhoneError> {
        if self.codecs.is_empty() {
            return Err(PhoneError::NoCodec);
        }
        if self.server.transport.is_opened_by_peers_only() {
            return Err(PhoneError::Transport(self.server.transport));
        }
        let display = self.display.as_deref().unwrap_or_default();
        let user_agent = &*self.user_agent;
        let is_text = |c: char| !c.is_control();
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
        check("user", &self.user, is_text)?;
        check("display", display, is_text)?;
        check("user_agent", user_agent, is_text)?;
        check("domain", &self.domain, is_host)
    }
}

impl fmt::Debug for PhoneConfig {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = &self.server;
        let mut text = f.debug_struct("PhoneConfig");
        text.field("server", server).field("domain", &self.domain).field("user", &self.user);
        text.field("register", &self.register).field("answer", &self.answer).field("source", &self.source);
        text.finish_non_exhaustive()
    }
}

impl Server {
    /// A server over UDP or TCP, or over TLS with a certificate for the domain from an authority that the system trusts.
    pub fn new(transport: Transport, address: SocketAddr) -> Self {
        Self { transport, address, tls: Tls { name: None, trust: TrustAnchors::System, identity: None } }
    }
}

fn check(field: &'static str, text: &str, allowed: impl Fn(char) -> bool) -> Result<(), PhoneError> {
    match text.chars().find(|c| !allowed(*c)) {
        Some(found) => Err(PhoneError::BadText { field, found }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_never_shown() {
        let server = Server::new(Transport::Udp, ([127, 0, 0, 1], 5060).into());
        let config =
            PhoneConfig { password: Some("hunter2".into()), ..PhoneConfig::new(server, "example.com", "1001") };
        assert!(!format!("{config:#?}").contains("hunter2"));
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_named() {
        let server = Server::new(Transport::Udp, ([127, 0, 0, 1], 5060).into());
        let config = PhoneConfig::new(server, "example.com", "1001");
        assert!(config.validate().is_ok());
        for (config, expected) in [
            (PhoneConfig { domain: "a\r\nb".into(), ..config.clone() }, "domain may not hold '\\r'"),
            (PhoneConfig { display: Some("a\nb".into()), ..config.clone() }, "display may not hold '\\n'"),
            (PhoneConfig { codecs: vec![], ..config.clone() }, "a telephone needs at least one codec"),
        ] {
            assert_eq!(config.validate().expect_err("refused").to_string(), expected);
        }
    }
}
