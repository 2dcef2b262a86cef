//! What of the configuration decides who is let in, and what is written down of it.

use crate::secret::Secret;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use sx_types::Network;
use sx_witness::VerifyingKey;

/// `[edge]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The window in which the requests of a source are counted.
    pub window: Duration,
    /// Requests in a window from a source that has not authenticated.
    pub requests_max: u32,
    /// The same for one that has.
    pub authenticated_requests_max: u32,
    /// How long a source or an account is banned.
    pub ban: Duration,
    /// More failed authentications than these,
    pub failures_max: u32,
    /// in this time, are a ban.
    pub failures_window: Duration,
    /// How suspicious a source may be, in thousandths.
    pub score_max_milli: u32,
    /// Sources that are remembered.
    pub sources_max: usize,
    /// Bits of an IPv4 address that make a source.
    pub ipv4_prefix: u8,
    /// Bits of an IPv6 address that make a source.
    pub ipv6_prefix: u8,
    /// Parts of a User-Agent that are never answered; `None`: those that are known.
    pub scanners: Option<Vec<Arc<str>>>,
    /// Requests are taken from trunks and networks of an organisation only.
    pub only_organisations: bool,
    /// A database of countries.
    pub geoip_database: Option<PathBuf>,
    /// Countries from which nothing is taken, in capital letters.
    pub countries_blocked: Vec<[u8; 2]>,
    /// The only countries from which anything is taken, when there are any.
    pub countries_allowed: Vec<[u8; 2]>,
}

/// `[[organisation]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// Its name.
    pub name: Arc<str>,
    /// Where its members are.
    pub networks: Vec<Network>,
    /// Users who are taken from these networks only: `user@domain` or `*@domain`, in lower case behind the `@`.
    pub members: Vec<Arc<str>>,
    /// Over TLS only.
    pub tls_required: bool,
}

/// `[policy]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its file; `None`: the built-in policy.
    pub file: Option<PathBuf>,
}

/// `[witness]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The file of the key that signs; `None`: one in the data directory.
    pub key: Option<PathBuf>,
    /// The name of the log.
    pub name: Arc<str>,
    /// A checkpoint after so many records,
    pub checkpoint_records: u64,
    /// or so long after the last.
    pub checkpoint_interval: Duration,
    /// How far apart writes are that somebody waits for.
    pub gather: Duration,
    /// How long a record waits that nobody waits for.
    pub delay: Duration,
    /// How long an answer waits for the disk.
    pub patience: Duration,
    /// Bytes that may wait.
    pub buffer_bytes_max: usize,
    /// A file that is larger is closed.
    pub segment_bytes_max: u64,
    /// How long closed files are kept; `None`: for ever.
    pub keep: Option<Duration>,
    /// How large all of them may be; `None`: as large as they become.
    pub keep_bytes: Option<u64>,
    /// Refusals that are recorded one by one in a second.
    pub refusals_per_s: u32,
    /// Of one source in a minute.
    pub refusals_per_source: u32,
    /// Where others' checkpoints come to be cosigned; `None`: nowhere.
    pub cosigning: Option<Cosigning>,
    /// Where checkpoints are shown; each URL is there once.
    pub anchors: Vec<Arc<Anchor>>,
}

/// `witness.listen` and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigning {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The certificate it shows and its key; `None`: it speaks HTTP without TLS.
    pub identity: Option<super::Identity>,
    /// Requests of one address in a minute.
    pub requests_per_minute: u32,
    /// The keys of the logs that are cosigned.
    pub logs: Vec<VerifyingKey>,
}

/// `[[witness.anchor]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// What it is.
    pub kind: AnchorKind,
    /// Where it is; of an object store with the bucket and the prefix, so that each place has its own.
    pub url: Arc<str>,
    /// The authorities of its certificate; `None`: those of the system.
    pub trust: Option<PathBuf>,
    /// How often it is shown the latest checkpoint.
    pub every: Duration,
}

/// What takes a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnchorKind {
    /// A witness, which cosigns with this key.
    Peer(VerifyingKey),
    /// A service that keeps it.
    Https {
        /// How it is sent.
        method: AnchorMethod,
        /// What is shown to the service.
        token: Option<Secret>,
    },
    /// A store of objects that speaks as S3 does.
    S3(ObjectPlace),
}

/// Where in a store of objects checkpoints are kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPlace {
    /// The server.
    pub endpoint: Arc<str>,
    /// The bucket.
    pub bucket: Arc<str>,
    /// What the keys of objects begin with, without slashes at its ends; may be empty.
    pub prefix: Arc<str>,
    /// The region that signatures are for.
    pub region: Arc<str>,
    /// Is the bucket named in the path and not in the host?
    pub path_style: bool,
    /// The public name of the key.
    pub access_key_id: Arc<str>,
    /// The key itself.
    pub secret_access_key: Secret,
    /// Who may remove an object before its time.
    pub retention: Retention,
    /// How long an object must be kept.
    pub keep: Duration,
}

/// Who may remove an object before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Nobody.
    Compliance,
    /// Users with a right of their own.
    Governance,
}

/// How a checkpoint is sent to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnchorMethod {
    /// PUT
    Put,
    /// POST
    Post,
}

/// `[api]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The certificate it shows and its key.
    pub identity: Option<super::Identity>,
    /// The authorities of clients' certificates.
    pub client_ca: Option<PathBuf>,
    /// Origins of web pages that may use it.
    pub cors_origins: Vec<Arc<str>>,
    /// Requests of one token in a minute.
    pub requests_per_minute: u32,
    /// Clients that hear of events at a time.
    pub subscribers_max: usize,
}
