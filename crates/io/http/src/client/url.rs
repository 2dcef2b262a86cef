//! Where requests go.

use axum::http::uri::Scheme;
use axum::http::{HeaderValue, Uri};
use rustls_pki_types::ServerName;
use std::fmt;
use std::str::FromStr;

/// An address of HTTP, with TLS or without: `https://host[:port]/path[?query]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    text: Box<str>,
    host: Box<str>,
    port: u16,
    authority: HeaderValue,
    target: Uri,
    /// What the server's certificate must name; without TLS there is none.
    server_name: Option<ServerName<'static>>,
}

/// The text is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It cannot be read.
    #[error("a URL is written as https://host[:port]/path")]
    Form,
    /// It is of another scheme.
    #[error("the scheme of the URL must be http or https")]
    Scheme,
    /// The host is none, or a user stands before it.
    #[error("the URL must name a host, and no user before it")]
    Host,
}

impl HttpUrl {
    /// Is what is sent there encrypted?
    pub fn is_secure(&self) -> bool {
        self.server_name.is_some()
    }

    /// Is its host an address of this machine that no other can reach?
    pub fn is_loopback(&self) -> bool {
        self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }

    /// With this behind its path, as a file in a folder.
    ///
    /// # Errors
    /// When that is no path.
    pub fn join(&self, name: &str) -> Result<Self, UrlError> {
        format!("{}/{name}", self.text.trim_end_matches('/')).parse()
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn host_header(&self) -> HeaderValue {
        self.authority.clone()
    }

    /// What stands in the request line.
    pub(super) fn target(&self) -> Uri {
        self.target.clone()
    }

    pub(super) fn server_name(&self) -> Option<ServerName<'static>> {
        self.server_name.clone()
    }
}

impl FromStr for HttpUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let uri: Uri = text.parse().map_err(|_| UrlError::Form)?;
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(UrlError::Scheme),
        };
        let authority = uri.authority().ok_or(UrlError::Host)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(UrlError::Host);
        }
        let server_name = ServerName::try_from(host.to_owned()).map_err(|_| UrlError::Host)?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Self {
            text: text.into(),
            host: host.into(),
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| UrlError::Host)?,
            target: target.parse().map_err(|_| UrlError::Form)?,
            server_name: secure.then_some(server_name),
        })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_connect_and_what_to_ask_for() {
        let check = |text: &str, host: &str, port: u16, target: &str, secure: bool| {
            let url: HttpUrl = text.parse().expect("a URL");
            assert_eq!((url.host(), url.port(), url.is_secure()), (host, port, secure), "{text}");
            assert_eq!(url.target().to_string(), target);
            assert_eq!(url.to_string(), text);
        };
        check("https://a.example", "a.example", 443, "/", true);
        check("http://a.example:8080/witness?x=1", "a.example", 8080, "/witness?x=1", false);
        check("https://192.0.2.1/a/b", "192.0.2.1", 443, "/a/b", true);
        check("https://[2001:db8::1]:9/", "2001:db8::1", 9, "/", true);
        let joined = "http://a.example/witness/".parse::<HttpUrl>().and_then(|url| url.join("add-checkpoint"));
        assert_eq!(joined.map(|url| url.to_string()).as_deref(), Ok("http://a.example/witness/add-checkpoint"));
    }

    #[test]
    fn what_is_no_url_is_refused_by_name() {
        let check = |text: &str, expected| assert_eq!(text.parse::<HttpUrl>(), Err(expected), "{text}");
        check("", UrlError::Form);
        check("a.example", UrlError::Scheme);
        check("ftp://a.example/", UrlError::Scheme);
        check("https://anna:secret@a.example/", UrlError::Host);
        check("https://a b.example/", UrlError::Form);
        check("https:///path", UrlError::Form);
    }
}
