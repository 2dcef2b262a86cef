//! The transports of SIP: one row each, with all that tells one from another.

use crate::enumerated::enumerated;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

enumerated! {
    /// How a signalling message travels.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Transport {
        /// Datagrams.
        Udp,
        /// A byte stream.
        Tcp,
        /// TLS over TCP.
        Tls,
        /// WebSocket (RFC 7118).
        Ws,
        /// WebSocket over TLS.
        Wss,
    }
}

/// What the messages are carried by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A message is a datagram.
    Datagrams,
    /// Messages follow each other in a stream, cut by their Content-Length.
    Stream,
    /// A message is a WebSocket message. Such connections are opened by browsers, never towards one.
    WebSocket,
}

struct Row {
    /// Of a URI's `transport` parameter.
    uri: &'static str,
    /// Of a Via header.
    via: &'static str,
    port: u16,
    carrier: Carrier,
    /// What a `sips:` URI makes of it.
    secured: Transport,
    /// The service field of NAPTR.
    naptr: &'static str,
    /// In front of a domain where SRV is asked for.
    srv: Option<&'static str>,
}

/// The text names no transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownTransport;

/// A `transport` parameter as it is written after a URI: nothing where the URI means that transport anyway.
#[derive(Clone, Copy, Debug)]
pub struct UriParameter(Transport);

impl Transport {
    /// What a `sip:` URI means that names none.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    pub const DEFAULT: Self = Self::Udp;

    /// The values of a URI's `transport` parameter, in the order of [`ALL`](Self::ALL).
    pub const URI_TOKENS: [&'static str; Self::ALL.len()] = {
        let mut tokens = [""; Self::ALL.len()];
        let mut place = 0;
        while place < tokens.len() {
            tokens[place] = Self::ALL[place].uri_token();
            place += 1;
        }
        tokens
    };

    /// The table. A new transport is a new line here.
    #[rustfmt::skip]
    const fn row(self) -> Row {
        use Carrier::{Datagrams, Stream, WebSocket};
        match self {
            Self::Udp => Row { uri: "udp", via: "UDP", port: 5060, carrier: Datagrams, secured: Self::Tls, naptr: "SIP+D2U",  srv: Some("_sip._udp") },
            Self::Tcp => Row { uri: "tcp", via: "TCP", port: 5060, carrier: Stream,    secured: Self::Tls, naptr: "SIP+D2T",  srv: Some("_sip._tcp") },
            Self::Tls => Row { uri: "tls", via: "TLS", port: 5061, carrier: Stream,    secured: Self::Tls, naptr: "SIPS+D2T", srv: Some("_sips._tcp") },
            Self::Ws  => Row { uri: "ws",  via: "WS",  port: 80,   carrier: WebSocket, secured: Self::Wss, naptr: "SIP+D2W",  srv: None },
            Self::Wss => Row { uri: "wss", via: "WSS", port: 443,  carrier: WebSocket, secured: Self::Wss, naptr: "SIPS+D2W", srv: None },
        }
    }

    /// The one that a URI means: what it names, or the default, and over TLS when it is a `sips:` URI.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    pub fn of_uri(named: Option<Self>, sips: bool) -> Self {
        let transport = named.unwrap_or(Self::DEFAULT);
        if sips { transport.row().secured } else { transport }
    }

    /// The one of a NAPTR record's service field, whatever its case (RFC 3263, RFC 7118).
    pub fn of_naptr(service: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.row().naptr.eq_ignore_ascii_case(service))
    }

    /// What stands in front of a domain to ask for its SRV records: `_sip._udp`. WebSocket has none.
    pub fn srv_prefix(self) -> Option<&'static str> {
        self.row().srv
    }

    /// What carries the messages.
    pub const fn carrier(self) -> Carrier {
        self.row().carrier
    }

    /// Is the path encrypted?
    pub fn is_secure(self) -> bool {
        self.row().secured == self
    }

    /// Does the transport itself deliver in order and without loss?
    pub fn is_reliable(self) -> bool {
        self.carrier() != Carrier::Datagrams
    }

    /// Can it only be used along a connection that the peer has opened?
    //= https://www.rfc-editor.org/rfc/rfc7118#section-5
    pub fn is_opened_by_peers_only(self) -> bool {
        self.carrier() == Carrier::WebSocket
    }

    /// The token of a Via header: `UDP`, `TCP`, `TLS`, `WS`, `WSS`.
    pub const fn via_token(self) -> &'static str {
        self.row().via
    }

    /// The value of a URI's `transport` parameter: `udp`, `tcp`, `tls`, `ws`, `wss`.
    pub const fn uri_token(self) -> &'static str {
        self.row().uri
    }

    /// What is written after a `sip:` URI so that it means this transport: `;transport=tcp`, and nothing for UDP.
    pub const fn uri_parameter(self) -> UriParameter {
        UriParameter(self)
    }

    /// The port when none is given: 5060, or 5061 over TLS, 80 and 443 for WebSocket.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
    pub fn default_port(self) -> u16 {
        self.row().port
    }
}

impl FromStr for Transport {
    type Err = UnknownTransport;

    fn from_str(text: &str) -> Result<Self, UnknownTransport> {
        Self::ALL.into_iter().find(|t| t.uri_token().eq_ignore_ascii_case(text)).ok_or(UnknownTransport)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri_token())
    }
}

impl fmt::Display for UriParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Transport::DEFAULT => Ok(()),
            transport => write!(f, ";transport={transport}"),
        }
    }
}

impl fmt::Display for UnknownTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not one of ")?;
        f.write_str(&Transport::URI_TOKENS.join(", "))
    }
}

impl std::error::Error for UnknownTransport {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transport_reads_back_its_own_tokens() {
        for transport in Transport::ALL {
            let token = transport.uri_token();
            assert_eq!(token.to_ascii_uppercase().parse(), Ok(transport));
            assert_eq!(transport.via_token(), token.to_ascii_uppercase());
            assert_eq!(Transport::of_naptr(&transport.row().naptr.to_ascii_lowercase()), Some(transport));
        }
        assert_eq!("sctp".parse::<Transport>(), Err(UnknownTransport));
        assert_eq!(UnknownTransport.to_string(), "not one of udp, tcp, tls, ws, wss");
        assert_eq!(Transport::of_naptr("SIP+D2S"), None);
    }

    #[test]
    fn a_sips_uri_is_never_carried_in_clear() {
        for transport in Transport::ALL {
            assert!(Transport::of_uri(Some(transport), true).is_secure(), "{transport}");
            assert_eq!(Transport::of_uri(Some(transport), false), transport);
        }
        assert_eq!((Transport::of_uri(None, false), Transport::of_uri(None, true)), (Transport::Udp, Transport::Tls));
    }

    #[test]
    fn a_uri_names_its_transport_unless_it_is_meant_anyway() {
        assert_eq!(format!("sip:h{}", Transport::Udp.uri_parameter()), "sip:h");
        assert_eq!(format!("sip:h{}", Transport::Ws.uri_parameter()), "sip:h;transport=ws");
    }
}
