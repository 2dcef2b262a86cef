//! What the configuration means: every default resolved, every reference checked.

mod escalation;
mod evidence;
mod ndi;
mod ng;
mod recording;
mod room;
mod route;
mod sounds;
mod trunk;
mod trust;

pub use escalation::{Escalation, Rering, RingOrder};
pub use evidence::Evidence;
pub use ndi::Ndi;
pub use ng::Ng;
pub use recording::{Recording, RecordingBandwidth, RecordingContainer, RecordingTracks};
pub use room::Room;
pub use route::{Callers, NumberMatch, Route, Target, TargetKind, UserRewrite};
pub use sounds::SoundSettings;
pub use trunk::{
    AssertedIdentity, Credentials, HeaderRules, Privacy, ReliableProvisional, Trunk, TrunkAddress, TrunkRegistration,
};
pub use trust::{
    Anchor, AnchorKind, AnchorMethod, Api, Cosigning, Edge, ObjectPlace, Organisation, Policy, Retention, Witness,
};

use crate::secret::Secret;
use crate::value::{HostPort, PortRange};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use sx_media::Preference;
use sx_rtp::srtp::Suite;
use sx_types::{Dtmf, HoldMusic, HoldMusicWhen, SrtpKeying, SrtpPolicy, Transport};

/// A whole configuration, ready to build an exchange from. Nothing in it waits for another default:
/// where a field is an `Option`, `None` means "off" or "not wanted", as its comment says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The exchange as a whole.
    pub exchange: Exchange,
    /// SIP signalling.
    pub sip: Sip,
    /// Registrations of users.
    pub registrar: Registrar,
    /// Audio and video packets.
    pub media: Media,
    /// How calls are recorded; `None`: none is.
    pub recording: Option<Recording>,
    /// The NG control protocol.
    pub ng: Ng,
    /// Peers that calls come from and go to, in the order written; names are unique.
    pub trunks: Vec<Arc<Trunk>>,
    /// Rooms that calls may be sent to, in the order written; names are unique.
    pub rooms: Vec<Arc<Room>>,
    /// Where numbers lead, in the order written; the trunks and rooms they name exist.
    pub routes: Vec<Arc<Route>>,
    /// How hazards are escalated.
    pub escalation: Escalation,
    /// Sources of video that are looked for.
    pub ndi: Ndi,
    /// Evidence that is given with escalations.
    pub evidence: Evidence,
    /// The server for probes and metrics.
    pub http: Http,
    /// Call detail records.
    pub cdr: Cdr,
    /// What stands between the network and a request.
    pub edge: Edge,
    /// Who uses the exchange, and from where.
    pub organisations: Vec<Arc<Organisation>>,
    /// Who may do what.
    pub policy: Policy,
    /// The log of decisions.
    pub witness: Witness,
    /// The management API.
    pub api: Api,
    /// Where copies of signalling go (HEP version 3); `None`: nowhere.
    pub hep: Option<Hep>,
    /// The program's log.
    pub log: Log,
    /// Settings that give protection away.
    pub danger: Danger,
}

/// `[exchange]`
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// The name in logs, records and metrics.
    pub name: Arc<str>,
    /// The domains it answers for, lower case; never empty, the first is the main one.
    pub domains: Vec<Arc<str>>,
    /// The directory of its data.
    pub data: PathBuf,
    /// Workers that carry calls; at least 1.
    pub workers: usize,
    /// How long running calls may go on after a request to stop.
    pub drain: Duration,
}

/// `[sip]`
#[derive(Clone, Debug, PartialEq)]
pub struct Sip {
    /// Where to listen; empty only where proxies use the media ports and nothing else is wanted.
    pub listen: Vec<Listen>,
    /// The realm of digest challenges.
    pub realm: Arc<str>,
    /// The value of `User-Agent` and `Server`.
    pub user_agent: Arc<str>,
    /// The round-trip time estimate (RFC 3261, timer T1).
    pub t1: Duration,
    /// The longest interval between retransmissions (T2).
    pub t2: Duration,
    /// How long a message lives in the network (T4).
    pub t4: Duration,
    /// A 100 Trying goes out when nothing else was sent by then; zero: at once.
    pub trying: Duration,
    /// Under load, sockets are read in turns at least this far apart; zero: at once.
    pub coalesce: Duration,
    /// How long an INVITE may stay without a final response (timer C).
    pub invite_timeout: Duration,
    /// How long a destination may ring when its route says nothing else.
    pub ring_timeout: Duration,
    /// The longest message taken, in bytes.
    pub message_bytes_max: usize,
    /// The longest request sent over UDP, in bytes; longer ones go over TCP.
    pub udp_request_bytes_max: usize,
    /// The session interval that is asked for (RFC 4028).
    pub session_expires: Duration,
    /// The shortest session interval that is accepted (RFC 4028, `Min-SE`).
    pub min_se: Duration,
    /// Calls at a time.
    pub calls_max: usize,
    /// Transactions at a time.
    pub transactions_max: usize,
    /// Certificates and trust.
    pub tls: Tls,
    /// Limits of stream connections.
    pub connections: Connections,
}

/// One entry of `sip.listen`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// How messages travel.
    pub transport: Transport,
    /// The address to bind.
    pub address: SocketAddr,
    /// The address that peers are told in Via and Contact; `None`: the local address that faces the peer.
    pub advertise: Option<HostPort>,
}

/// `[sip.tls]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate that is shown to peers; there is one whenever a listener uses TLS.
    pub identity: Option<Identity>,
    /// Further certificates, chosen by the server name the peer asks for.
    pub sni: Vec<NamedIdentity>,
    /// The authorities that client certificates must come from (PEM); there is one whenever certificates are asked for.
    pub client_ca: Option<PathBuf>,
    /// Must clients show a certificate?
    pub client_certificate: ClientCertificate,
    /// The revocation lists of those authorities (PEM or DER).
    pub client_crl: Vec<PathBuf>,
    /// Is a client refused whose certificate no list covers? There is a list then.
    pub crl_required: bool,
    /// How many certificates may lead from an authority to a peer, the peer's counted and the authority's not.
    pub depth_max: usize,
    /// The authorities that servers we call must be certified by (PEM).
    pub trust: Vec<PathBuf>,
}

/// A certificate chain and its private key, both PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// An identity for one server name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedIdentity {
    /// The name, lower case.
    pub name: Arc<str>,
    /// What is shown for it.
    pub identity: Identity,
}

/// What is asked of clients that connect with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Nothing.
    None,
    /// A certificate is checked when shown.
    Optional,
    /// No certificate, no connection.
    Required,
}

/// `[sip.connections]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Connections at a time.
    pub max: usize,
    /// Connections at a time from one IP address.
    pub per_address_max: usize,
    /// A connection is closed after this long without a byte.
    pub idle: Duration,
    /// How long a TLS or WebSocket handshake may take.
    pub handshake: Duration,
    /// How long a message may stay incomplete.
    pub partial_message: Duration,
    /// Bytes that may wait to be sent on one connection.
    pub send_queue_bytes_max: usize,
}

/// `[registrar]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registrar {
    /// The shortest lifetime of a binding; a shorter wish is answered 423.
    pub expires_min: Duration,
    /// The longest lifetime of a binding; a longer wish is shortened.
    pub expires_max: Duration,
    /// The lifetime when none is asked for.
    pub expires_default: Duration,
    /// Contacts of one user.
    pub contacts_max: usize,
    /// Bindings of all users.
    pub bindings_max: usize,
    /// How long a digest nonce is good for.
    pub nonce_lifetime: Duration,
    /// Digest algorithms in the order they are offered; never empty.
    pub algorithms: Vec<DigestAlgorithm>,
}

/// A digest algorithm by its registered name (RFC 8760).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestAlgorithm {
    /// `SHA-256`
    Sha256,
    /// `MD5`
    Md5,
}

/// `[media]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Do packets pass through the exchange?
    pub mode: MediaMode,
    /// Where packets arrive; never empty, names are unique, the first is used where nothing else is said.
    pub interfaces: Vec<MediaInterface>,
    /// The UDP ports of RTP and RTCP: begins even, ends odd.
    pub ports: PortRange,
    /// A closed port is not used again for this long.
    pub quarantine: Duration,
    /// A party that should send and does not for this long ends its call; `None`: never.
    pub silence_timeout: Option<Duration>,
    /// The DSCP mark of audio packets, 0 to 63.
    pub dscp_audio: u8,
    /// The DSCP mark of video packets, 0 to 63.
    pub dscp_video: u8,
    /// Packet threads; at least 1.
    pub threads: usize,
    /// Whom packet threads go before.
    pub priority: MediaPriority,
    /// Do they use io_uring where it is to be had?
    pub io_uring: bool,
    /// How long packets gather where a packet thread has little time left; zero: not at all.
    pub coalesce: Duration,
    /// Who is told by VoIP metrics how its sound is received.
    pub rtcp_xr: RtcpXr,
    /// Which source addresses are believed.
    pub latch: LatchMode,
    /// Whether RTP is protected where nothing else is said.
    pub srtp: SrtpPolicy,
    /// Where the keys come from that are offered where nothing else is said.
    pub srtp_keying: SrtpKeying,
    /// How a party tells keys where nothing else is said.
    pub dtmf: Dtmf,
    /// The suites of keys in descriptions, best first; never empty.
    pub srtp_suites: Vec<Suite>,
    /// When sound is coded anew.
    pub transcode: Transcode,
    /// Which codecs are offered first where it is.
    pub prefer: Preference,
    /// What can be played, and how much of it.
    pub sounds: SoundSettings,
    /// What a party hears that is put on hold.
    pub hold_music: Option<HoldMusic>,
    /// When, where a trunk has music of its own.
    pub hold_music_when: HoldMusicWhen,
}

/// When sound is coded anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transcode {
    /// Between two parties that share no codec.
    Needed,
    /// Never: parties that share none are not connected.
    Never,
}

/// Which way media packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaMode {
    /// Through the exchange.
    Relay,
    /// Between the parties.
    Direct,
}

/// How packet threads share the processors with other threads and programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaPriority {
    /// Before every ordinary thread, where the operating system allows it.
    RealTime,
    /// As any other thread.
    Normal,
}

/// Who is sent VoIP metrics (RFC 3611).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpXr {
    /// Nobody.
    Never,
    /// Who wants them.
    Negotiated,
    /// Everybody.
    Always,
}

/// Which source address of media packets is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatchMode {
    /// Only the negotiated address and port.
    Exact,
    /// The negotiated address from any port.
    Port,
    /// As [`LatchMode::Port`], and from a party behind a NAT also the address that its signalling comes from, any port.
    Nat,
}

/// One entry of `media.interfaces`: at least one family has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaInterface {
    /// The name that others refer to.
    pub name: Arc<str>,
    /// Its IPv4 address; `None`: it has none.
    pub ipv4: Option<MediaAddress>,
    /// Its IPv6 address; `None`: it has none.
    pub ipv6: Option<MediaAddress>,
}

/// An address for media. Both fields are of the same family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaAddress {
    /// The address to bind.
    pub bind: IpAddr,
    /// The address that peers are told; `None`: the bound one, or for `0.0.0.0` and `::` the one that faces the peer.
    pub advertise: Option<IpAddr>,
}

/// `[http]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http {
    /// Where the server for probes and metrics listens.
    pub listen: SocketAddr,
}

/// `[cdr]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cdr {
    /// Records of calls that came longer ago are removed; `None`: they are kept for ever.
    pub keep: Option<Duration>,
}

/// `[hep]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hep {
    /// The collector; its port is always given.
    pub address: HostPort,
    /// The number this exchange is known by there.
    pub capture_id: u32,
    /// The collector's password; `None`: it wants none.
    pub password: Option<Secret>,
}

/// `[log]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// How lines look.
    pub format: LogFormat,
    /// Refused authentications of one source in a minute that are logged, of each worker.
    pub refusals_per_minute: u32,
    /// Sources of refused authentications that are told apart in a minute, of each worker.
    pub refusal_sources_max: usize,
}

/// How severe a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is wrong and the exchange goes on.
    Warn,
    /// Something an operator wants to know happened.
    Info,
    /// How decisions are made.
    Debug,
    /// Every step.
    Trace,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[danger]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Danger {
    /// Servers we call need no certificate that we trust.
    pub accept_any_certificate: bool,
    /// Calls from users are taken without digest.
    pub unauthenticated_calls: bool,
    /// A trunk's sources may be all addresses there are.
    pub any_source: bool,
}
