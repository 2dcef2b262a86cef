//! The server for management, from the configuration.

use super::{Live, Operators, Searches};
use crate::serve::asking::Workers;
use crate::serve::clock::Clock;
use crate::serve::parts::EscalationParts;
use crate::serve::signals::Signal;
use anyhow::Context as _;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use sx_config::{Api, Config};
use sx_http::{ApiConfig, ApiServer, api_tls};
use sx_store::{DataFolder, Votes, WitnessFolder, WitnessLog};

/// Starts the server. `main` is who reads the configuration again; without it nobody does.
///
/// # Errors
/// When it cannot listen, its certificate cannot be used, or the tokens cannot be opened.
pub fn start(
    config: &Config,
    data: &DataFolder,
    clock: Clock,
    workers: Workers,
    live: Arc<Live>,
    (log, votes, escalation): (WitnessLog, Arc<Mutex<Votes>>, EscalationParts),
    main: Option<Sender<Signal>>,
) -> anyhow::Result<ApiServer> {
    let EscalationParts { custody, events, ndi } = escalation;
    let operators = Operators {
        clock,
        name: config.exchange.name.clone(),
        workers,
        live,
        log,
        records: config.recording.is_some(),
        witness_folder: WitnessFolder::of_data(data.path()),
        tokens: Mutex::new(data.shared().tokens()?),
        votes,
        custody: custody.clone(),
        ndi,
        events,
        telling: Mutex::default(),
        searches: Searches::default(),
        main,
    };
    let settings = ApiConfig { upload_bytes_max: config.evidence.bytes_max, ..server_config(&config.api)? };
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let server = ApiServer::start(settings, Arc::new(operators))?;
    custody.reached_at(format!("{scheme}://{}", server.local_addr()));
    Ok(server)
}

fn server_config(api: &Api) -> anyhow::Result<ApiConfig> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let authorities = api.client_ca.as_deref().map(read).transpose()?;
    let tls = match &api.identity {
        None if authorities.is_some() => {
            anyhow::bail!("api.client_ca needs api.certificate: only over TLS can a client show one")
        }
        None => None,
        Some(identity) => Some(api_tls(&read(&identity.certificate)?, &read(&identity.key)?, authorities.as_deref())?),
    };
    Ok(ApiConfig {
        tls,
        cors_origins: api.cors_origins.iter().map(ToString::to_string).collect(),
        requests_per_minute: api.requests_per_minute,
        ..ApiConfig::new(api.listen)
    })
}
