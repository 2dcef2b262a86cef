//! How evidence is taken, kept and handed out.

use std::sync::Arc;
use std::time::Duration;

/// `[evidence]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Where others reach the management API; `None`: at the address that it listens on.
    pub public_url: Option<Arc<str>>,
    /// How long a link is good, unless somebody says otherwise.
    pub link: Duration,
    /// Are experts who are rung told of the link?
    pub in_calls: bool,
    /// The longest piece, in bytes.
    pub bytes_max: u64,
    /// Pieces of an escalation.
    pub pieces_max: usize,
    /// All of it together, in bytes.
    pub total_bytes_max: u64,
    /// What is not whole by then is removed.
    pub unfinished: Duration,
    /// What is whole is kept for so long.
    pub kept: Duration,
}
