//! RFC 3263 without the network: which record to ask for next, and in which order to try what was found.
//!
//! ```text
//! NAPTR ──none or unusable──► SRV per transport ──none──► A and AAAA, default port
//!   └──usable──► SRV ──► A and AAAA of each target ──► Done
//! ```
//!
//! A transport that is given skips NAPTR, a port that is given skips both, and a numeric host everything.

use super::{Question, ResolveError};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use sx_engine::Rng;
use sx_types::Transport;

/// What to ask DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    Naptr(String),
    Srv(String),
    Addresses(String),
}

/// What DNS said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Records {
    Naptr(Vec<Naptr>),
    Srv(Vec<Srv>),
    Addresses(Vec<IpAddr>),
    /// There are none.
    None,
    /// It cannot be known now.
    Failed(ResolveError),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Naptr {
    pub order: u16,
    pub preference: u16,
    pub flags: String,
    pub service: String,
    pub replacement: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Srv {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    pub target: String,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Look this up and bring the answer to [`Procedure::handle_answer`].
    Lookup(Lookup),
    /// The end.
    Done(Result<Vec<(Transport, SocketAddr)>, ResolveError>),
}

/// The resolution of one question.
pub(super) struct Procedure {
    host: String,
    /// In the order in which they are liked.
    transports: Vec<Transport>,
    state: State,
    found: Vec<(Transport, SocketAddr)>,
    /// The last failure, which is told when nothing is found.
    failure: Option<ResolveError>,
    rng: Rng,
}

enum State {
    Naptr,
    /// The services that are still to be looked up, and the targets of those that were.
    Services {
        pending: VecDeque<Service>,
        targets: VecDeque<Target>,
        /// A service exists by name and is denied.
        denied: bool,
    },
    Targets(VecDeque<Target>),
}

struct Service {
    transport: Transport,
    name: String,
}

struct Target {
    transport: Transport,
    host: String,
    port: u16,
}

impl Procedure {
    /// Begins. `usable` are the transports that can be connected with, best first.
    pub fn new(question: &Question, usable: &[Transport], rng: Rng) -> Self {
        let host = question.host.trim_end_matches('.').to_ascii_lowercase();
        let transports = match question.transport {
            Some(transport) => vec![Transport::of_uri(Some(transport), question.secure)],
            None => usable.iter().copied().filter(|t| t.is_secure() || !question.secure).collect(),
        };
        let mut procedure = Self { host, transports, state: State::Naptr, found: Vec::new(), failure: None, rng };
        //= https://www.rfc-editor.org/rfc/rfc3263#section-4.2
        // A numeric host or an explicit port leave only the address to be found.
        if question.port.is_some() || numeric(&procedure.host).is_some() {
            procedure.state = State::Targets(procedure.itself(question).into_iter().collect());
        } else if question.transport.is_some() {
            procedure.state = procedure.services();
        }
        procedure
    }

    /// What to do now. The same again until the answer to a lookup is brought.
    pub fn poll(&mut self) -> Step {
        loop {
            match &mut self.state {
                State::Naptr => return Step::Lookup(Lookup::Naptr(self.host.clone())),
                State::Services { pending, targets, denied } => {
                    if let Some(service) = pending.front() {
                        return Step::Lookup(Lookup::Srv(service.name.clone()));
                    }
                    if targets.is_empty() && *denied {
                        return Step::Done(Err(ResolveError::Denied));
                    }
                    let targets = std::mem::take(targets);
                    self.state = State::Targets(targets);
                    self.fall_back();
                }
                State::Targets(targets) => {
                    let Some(Target { transport, host, port }) = targets.front() else { return Step::Done(self.end()) };
                    match numeric(host) {
                        None => return Step::Lookup(Lookup::Addresses(host.clone())),
                        Some(address) => {
                            self.found.push((*transport, SocketAddr::new(address, *port)));
                            targets.pop_front();
                        }
                    }
                }
            }
        }
    }

    /// The answer to the lookup that [`poll`](Self::poll) named.
    pub fn handle_answer(&mut self, records: Records) {
        if let Records::Failed(error) = &records {
            self.failure = Some(*error);
        }
        match &mut self.state {
            State::Naptr => {
                let Records::Naptr(records) = records else {
                    self.state = self.services();
                    return;
                };
                self.state = self.chosen(records);
            }
            State::Services { pending, targets, denied } => {
                let Some(service) = pending.pop_front() else { return };
                let Records::Srv(records) = records else { return };
                //= https://www.rfc-editor.org/rfc/rfc2782
                // A single target "." says that the service is decidedly not available.
                *denied |= records.len() == 1 && is_root(&records[0].target);
                for record in ordered(records, &mut self.rng) {
                    if targets.len() < TARGETS_MAX && !is_root(&record.target) {
                        targets.push_back(Target {
                            transport: service.transport,
                            host: record.target.trim_end_matches('.').to_owned(),
                            port: record.port,
                        });
                    }
                }
            }
            State::Targets(targets) => {
                let Some(target) = targets.pop_front() else { return };
                let Records::Addresses(addresses) = records else { return };
                let room = FOUND_MAX.saturating_sub(self.found.len());
                for address in addresses.into_iter().take(room) {
                    let found = (target.transport, SocketAddr::new(address, target.port));
                    if !self.found.contains(&found) {
                        self.found.push(found);
                    }
                }
            }
        }
    }

    /// The host of the question itself as target.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    // Without a hint a SIP URI means UDP, a SIPS URI TLS.
    fn itself(&self, question: &Question) -> Option<Target> {
        let transport = *self.transports.first()?;
        Some(Target { transport, host: self.host.clone(), port: question.port.unwrap_or(transport.default_port()) })
    }

    fn services(&self) -> State {
        let service = |transport: &Transport| {
            let name = format!("{}.{}", transport.srv_prefix()?, self.host);
            Some(Service { transport: *transport, name })
        };
        State::Services {
            pending: self.transports.iter().filter_map(service).collect(),
            targets: VecDeque::new(),
            denied: false,
        }
    }

    /// The services of the best NAPTR records that can be used; without any, the usual ones.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    // Records whose service is not supported are discarded, the rest is taken by order and preference.
    fn chosen(&self, records: Vec<Naptr>) -> State {
        let mut usable: Vec<(Transport, Naptr)> = records
            .into_iter()
            .filter_map(|record| Some((Transport::of_naptr(&record.service)?, record)))
            .filter(|(transport, record)| self.transports.contains(transport) && !is_root(&record.replacement))
            .collect();
        usable.sort_by_key(|(_, record)| (record.order, record.preference));
        //= https://www.rfc-editor.org/rfc/rfc3403#section-4.1
        // Once a record matches, those of another order are not considered.
        let order = usable.first().map(|(_, record)| record.order);
        let (mut pending, mut targets) = (VecDeque::new(), VecDeque::new());
        for (transport, record) in usable.into_iter().filter(|(_, r)| Some(r.order) == order).take(SERVICES_MAX) {
            let name = record.replacement.trim_end_matches('.').to_ascii_lowercase();
            match record.flags.to_ascii_lowercase().as_str() {
                "s" => pending.push_back(Service { transport, name }),
                "a" => targets.push_back(Target { transport, host: name, port: transport.default_port() }),
                _ => {}
            }
        }
        if pending.is_empty() && targets.is_empty() {
            return self.services();
        }
        State::Services { pending, targets, denied: false }
    }

    /// No service is described, so the host itself must do.
    fn fall_back(&mut self) {
        let State::Targets(targets) = &mut self.state else { return };
        if targets.is_empty()
            && let Some(transport) = self.transports.first()
        {
            targets.push_back(Target {
                transport: *transport,
                host: self.host.clone(),
                port: transport.default_port(),
            });
        }
    }

    fn end(&mut self) -> Result<Vec<(Transport, SocketAddr)>, ResolveError> {
        if self.transports.is_empty() {
            return Err(ResolveError::NoTransport);
        }
        if self.found.is_empty() {
            return Err(self.failure.unwrap_or(ResolveError::NotFound));
        }
        Ok(std::mem::take(&mut self.found))
    }
}

/// The order in which the targets of SRV records are tried.
//= https://www.rfc-editor.org/rfc/rfc2782
// By priority; among equals at random by weight, where weight 0 comes first in the running sum.
pub(super) fn ordered(mut records: Vec<Srv>, rng: &mut Rng) -> Vec<Srv> {
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut result = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let priority = first.priority;
        let equals = records.partition_point(|record| record.priority == priority);
        let sum: u64 = records[..equals].iter().map(|record| u64::from(record.weight)).sum();
        let drawn = rng.below(sum + 1);
        let mut running = 0;
        let chosen = records[..equals].iter().position(|record| {
            running += u64::from(record.weight);
            running >= drawn
        });
        result.push(records.remove(chosen.unwrap_or(0)));
    }
    result
}

/// The address that a host is, in brackets or not.
pub(super) fn numeric(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host).parse().ok()
}

fn is_root(name: &str) -> bool {
    name.is_empty() || name == "."
}

/// NAPTR records that are followed.
const SERVICES_MAX: usize = 8;
/// SRV records that are followed.
const TARGETS_MAX: usize = 16;
/// Addresses that are given back.
const FOUND_MAX: usize = 32;

#[cfg(test)]
mod tests;
