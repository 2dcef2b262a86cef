//! Who is on a leg.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A user at a domain, or a number at a gateway; neither part is a claim that anybody has checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The user name or number as written, unescaped; empty when there is none.
    pub user: Box<str>,
    /// The domain or host, in lower case; of an address elsewhere with the port and the transport that were given.
    pub domain: Box<str>,
}

/// Whom the calling party says it is, and whom others say it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The address shown to the called party (SIP `From`).
    pub address: Address,
    /// The name shown with it; empty when there is none.
    pub display: Box<str>,
    /// The address that a trusted party vouches for (SIP `P-Asserted-Identity`).
    pub asserted: Option<Address>,
    /// What the calling party wants withheld.
    pub privacy: Privacy,
}

/// Does the calling party want its identity withheld from the called one?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Privacy {
    /// It may be shown.
    #[default]
    None,
    /// It must be withheld (SIP `Privacy: id`).
    Id,
}

impl Address {
    /// The address of `user` at `domain`; the domain is put into lower case.
    pub fn new(user: &str, domain: &str) -> Self {
        Self { user: user.into(), domain: domain.to_ascii_lowercase().into() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.user.is_empty() { f.write_str(&self.domain) } else { write!(f, "{}@{}", self.user, self.domain) }
    }
}
