//! What of a configuration can be taken over while the exchange runs.

use crate::meant::{Config, Exchange, Media, Registrar, Sip};

/// The keys, with all below them, that [`Config::reloaded`] takes over. Every other one is set up once.
pub(crate) const RELOADED: &[&str] = &[
    "trunk",
    "route",
    "exchange.domains",
    "exchange.drain_s",
    "sip.realm",
    "sip.ring_timeout_s",
    "sip.tls",
    "registrar.algorithms",
    "media.mode",
    "media.latch",
    "cdr",
    "danger",
];

/// `running` with everything of `new` that needs no restart.
pub(crate) fn reloaded(running: &Config, new: &Config) -> Config {
    let old = running.clone();
    let new = new.clone();
    // Addresses that show a certificate do so until a restart, whatever is said of them now.
    let shows = old.sip.listen.iter().any(|listen| listen.transport.is_secure());
    let tls = if shows && new.sip.tls.identity.is_none() { old.sip.tls } else { new.sip.tls };
    Config {
        exchange: Exchange { domains: new.exchange.domains, drain: new.exchange.drain, ..old.exchange },
        sip: Sip { realm: new.sip.realm, ring_timeout: new.sip.ring_timeout, tls, ..old.sip },
        registrar: Registrar { algorithms: new.registrar.algorithms, ..old.registrar },
        media: Media { mode: new.media.mode, latch: new.media.latch, ..old.media },
        trunks: new.trunks,
        routes: new.routes,
        http: old.http,
        cdr: new.cdr,
        hep: old.hep,
        log: old.log,
        danger: new.danger,
    }
}
