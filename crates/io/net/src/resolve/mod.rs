//! From the host of a SIP URI to addresses to try, in order (RFC 3263).
//!
//! DNS is asked on a thread of its own, which the shells and engines never wait for: a question goes in with an id, and
//! the answer comes out through a callback. What to ask and how to order the answers is decided without I/O.
//!
//! ```
//! use sx_net::resolve::{Question, Resolver, ResolverConfig};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let resolver = Resolver::start(ResolverConfig { name_servers: vec!["127.0.0.1:53".parse()?], ..Default::default() })?;
//! let (answers, inbox) = std::sync::mpsc::channel();
//! let question = Question { host: "192.0.2.1".into(), port: None, transport: None, secure: false };
//! resolver.resolve(7, question, move |resolved| { let _ = answers.send(resolved); });
//! let resolved = inbox.recv()?;
//! assert_eq!(resolved.query_id, 7);
//! assert_eq!(resolved.result?[0].1, "192.0.2.1:5060".parse()?);
//! # Ok(()) }
//! ```

mod dns;
mod procedure;

use dns::Dns;
use procedure::{Procedure, Step};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;
use sx_engine::Rng;
use sx_types::Transport;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What a URI, or a configured peer, says about where to send.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// A domain name, or an address with or without brackets.
    pub host: String,
    /// The port that is given.
    pub port: Option<u16>,
    /// The transport that is given.
    pub transport: Option<Transport>,
    /// Is it a SIPS URI? Then only encrypted transports will do.
    pub secure: bool,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What the question was given.
    pub query_id: u64,
    /// Where to send, to be tried in this order; at most 32, never none.
    pub result: Result<Vec<(Transport, SocketAddr)>, ResolveError>,
}

/// Why there is nowhere to send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ResolveError {
    /// DNS has no address for the host.
    #[error("the host is unknown")]
    NotFound,
    /// DNS says that the service is not available there.
    #[error("the host declares that it offers no such service")]
    Denied,
    /// The host is no name that DNS can carry.
    #[error("not a host name")]
    InvalidName,
    /// None of our transports will do.
    #[error("no transport that we have will do")]
    NoTransport,
    /// No name server answered in time. It may later.
    #[error("no name server answers")]
    Timeout,
    /// The name server failed. It may not later.
    #[error("the name server failed")]
    ServerFailure,
    /// Too many questions are open.
    #[error("too many questions are open")]
    Overloaded,
    /// The resolver has been stopped.
    #[error("the resolver has been stopped")]
    Stopped,
}

/// How a [`Resolver`] asks.
#[derive(Clone, Debug)]
pub struct ResolverConfig {
    /// The name servers to ask; empty: those of /etc/resolv.conf.
    pub name_servers: Vec<SocketAddr>,
    /// How long one name server may take for one lookup.
    pub lookup_timeout: Duration,
    /// How often a lookup is tried.
    pub attempts: usize,
    /// How long a whole question may take.
    pub question_timeout: Duration,
    /// Lookups that are remembered, as long as their records live.
    pub cache_entries_max: u64,
    /// Questions that may be open at once; more wait, as many again, and then are refused.
    pub questions_max: usize,
    /// The transports that can be connected with, best first.
    pub transports: Vec<Transport>,
    /// The addresses that can be reached.
    pub families: Families,
    /// Decides the order among servers of equal priority.
    pub seed: [u8; 32],
}

/// The kinds of addresses that can be reached, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// Only IPv4.
    V4,
    /// Only IPv6.
    V6,
    /// IPv4, then IPv6.
    V4ThenV6,
    /// IPv6, then IPv4.
    V6ThenV4,
}

impl Default for ResolverConfig {
    fn default() -> Self {
        Self {
            name_servers: Vec::new(),
            lookup_timeout: Duration::from_secs(2),
            attempts: 2,
            question_timeout: Duration::from_secs(8),
            cache_entries_max: 8_192,
            questions_max: 1_024,
            transports: vec![Transport::Udp, Transport::Tcp, Transport::Tls],
            families: Families::V4ThenV6,
            seed: [0; 32],
        }
    }
}

/// Why a [`Resolver`] could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// /etc/resolv.conf cannot be used.
    #[error("the system's name servers cannot be learnt (/etc/resolv.conf): {0}")]
    System(String),
    /// The system gives no thread or no event loop.
    #[error("the resolver's thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Asks DNS on a thread of its own, which ends when this is dropped.
#[derive(Debug)]
pub struct Resolver {
    questions: mpsc::Sender<Asked>,
}

struct Asked {
    question: Question,
    reply: Reply,
}

/// The callback of one question, called exactly once.
struct Reply {
    query_id: u64,
    callback: Option<Callback>,
}

type Callback = Box<dyn FnOnce(Resolved) + Send>;

impl Resolver {
    /// Starts the thread.
    pub fn start(config: ResolverConfig) -> Result<Self, ResolverError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let dns = {
            let _context = runtime.enter();
            Dns::new(&config).map_err(ResolverError::System)?
        };
        let (questions, inbox) = mpsc::channel(config.questions_max.max(1));
        thread::Builder::new()
            .name("resolver".into())
            .spawn(move || runtime.block_on(answer_questions(inbox, dns, config)))?;
        Ok(Self { questions })
    }

    /// Asks. `reply` is called once, on the resolver's thread, and must not block; only when too many questions are
    /// open, or the resolver has stopped, it is called here and now.
    pub fn resolve(&self, query_id: u64, question: Question, reply: impl FnOnce(Resolved) + Send + 'static) {
        let reply = Reply { query_id, callback: Some(Box::new(reply)) };
        match self.questions.try_send(Asked { question, reply }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(asked)) => asked.reply.give(Err(ResolveError::Overloaded)),
            // Dropping it says so.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }
}

async fn answer_questions(mut inbox: mpsc::Receiver<Asked>, dns: Dns, config: ResolverConfig) {
    let mut rng = Rng::new(config.seed);
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            asked = inbox.recv(), if open.len() < config.questions_max.max(1) => {
                let Some(Asked { question, reply }) = asked else { return };
                let procedure = Procedure::new(&question, &config.transports, rng.fork());
                open.spawn(answer(procedure, dns.clone(), config.question_timeout, reply));
            }
            Some(_) = open.join_next() => {}
        }
    }
}

async fn answer(mut procedure: Procedure, dns: Dns, timeout: Duration, reply: Reply) {
    let work = async {
        loop {
            match procedure.poll() {
                Step::Done(result) => return result,
                Step::Lookup(lookup) => procedure.handle_answer(dns.lookup(&lookup).await),
            }
        }
    };
    let result = tokio::time::timeout(timeout, work).await.unwrap_or(Err(ResolveError::Timeout));
    reply.give(result);
}

impl Reply {
    fn give(mut self, result: Result<Vec<(Transport, SocketAddr)>, ResolveError>) {
        if let Some(callback) = self.callback.take() {
            callback(Resolved { query_id: self.query_id, result });
        }
    }
}

impl Drop for Reply {
    /// A question that is thrown away with the resolver is answered too: somebody waits.
    fn drop(&mut self) {
        if let Some(callback) = self.callback.take() {
            callback(Resolved { query_id: self.query_id, result: Err(ResolveError::Stopped) });
        }
    }
}
