//! The NG control protocol.

use std::net::SocketAddr;
use std::time::Duration;
use sx_types::{Consent, Network};

/// `[ng]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ng {
    /// Where requests come by UDP; `None`: not by UDP.
    pub listen_udp: Option<SocketAddr>,
    /// Where they come by TCP; `None`: not by TCP.
    pub listen_tcp: Option<SocketAddr>,
    /// Who may send requests.
    pub allow: Vec<Network>,
    /// Calls of proxies at a time.
    pub calls_max: usize,
    /// How long the ports of a call stay open behind its deletion, unless the proxy says.
    pub delete_delay: Duration,
    /// A call in which nobody sends ends after this long; `None`: never.
    pub silence_timeout: Option<Duration>,
    /// A call in which nobody is expected to send ends after this long; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// On what ground calls are recorded that proxies have recorded.
    pub recording_consent: Option<Consent>,
}

impl Ng {
    /// Can anybody send requests?
    pub fn is_spoken(&self) -> bool {
        self.listen_udp.is_some() || self.listen_tcp.is_some()
    }
}
