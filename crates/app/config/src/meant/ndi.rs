//! Where sources of video are looked for.

use std::net::IpAddr;

/// `[ndi]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ndi {
    /// The addresses of the interfaces where it is looked; none: it is not looked.
    pub interfaces: Vec<IpAddr>,
    /// Sources that are known at a time.
    pub sources_max: usize,
}
