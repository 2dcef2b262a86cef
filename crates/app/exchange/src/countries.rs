//! The country of an address, from a database in MaxMind's format.

use std::net::IpAddr;

/// Where addresses are, and from where requests are taken.
#[derive(Debug)]
pub struct Countries {
    reader: maxminddb::Reader<Vec<u8>>,
    blocked: Vec<[u8; 2]>,
    allowed: Vec<[u8; 2]>,
}

impl Countries {
    /// Of a database's bytes. Requests from the `blocked` are refused, and when any are `allowed`, those from all others.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_bytes(
        bytes: Vec<u8>,
        blocked: &[[u8; 2]],
        allowed: &[[u8; 2]],
    ) -> Result<Self, maxminddb::MaxMindDbError> {
        let reader = maxminddb::Reader::from_source(bytes)?;
        Ok(Self { reader, blocked: blocked.into(), allowed: allowed.into() })
    }

    /// The country an address is in, as far as the database knows.
    pub(crate) fn country_of(&self, address: IpAddr) -> Option<[u8; 2]> {
        let found = self.reader.lookup(address).ok()?;
        let country: Option<maxminddb::geoip2::Country<'_>> = found.decode().ok()?;
        country?.country.iso_code?.as_bytes().try_into().ok()
    }

    /// Are requests taken from there? What is in no country is not refused for that.
    pub(crate) fn lets_in(&self, country: Option<[u8; 2]>) -> bool {
        let Some(country) = country else { return true };
        !self.blocked.contains(&country) && (self.allowed.is_empty() || self.allowed.contains(&country))
    }
}
