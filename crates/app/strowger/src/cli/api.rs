//! The management API of the running exchange, as the command line asks it.

use super::output::printable;
use super::{WrongUsage, password};
use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sx_config::Config;
use sx_http::{BASE, ClientAnswer, ClientLimits, ClientRequest, HttpClient, HttpUrl, Verb, client_tls};
use sx_store::{NewToken, SharedFolder, TOKEN_RANDOM_BYTES};
use sx_types::Role;

/// Where it is.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ApiArgs {
    /// Where the management API is [default: as the configuration says]
    #[arg(long)]
    url: Option<String>,
    /// The authorities that its certificate is held against
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Read the token from the first line of this file [default: that of STROWGER_TOKEN, else one is made for the command]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl ApiArgs {
    /// It is there.
    pub(crate) fn at(url: String) -> Self {
        Self { url: Some(url), ..Self::default() }
    }
}

/// How long a token is good that is made for a command.
const TOKEN_TIME: Duration = Duration::from_secs(300);

/// The management API of an exchange.
pub(crate) struct Api {
    client: HttpClient,
    base: HttpUrl,
    token: Option<String>,
}

impl Api {
    /// That of the options, else of the configuration. The token is that of the options, else of the environment, else one of the
    /// data folder's.
    pub(crate) fn of(config: &Config, args: &ApiArgs) -> anyhow::Result<Self> {
        let mut listen = config.api.listen;
        if listen.ip().is_unspecified() {
            listen.set_ip(if listen.is_ipv6() {
                IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])
            } else {
                [127, 0, 0, 1].into()
            });
        }
        let scheme = if config.api.identity.is_some() { "https" } else { "http" };
        let base = args.url.clone().unwrap_or_else(|| format!("{scheme}://{listen}"));
        let base: HttpUrl = base.parse().map_err(|error| WrongUsage(format!("--url {base}: {error}")))?;
        let token = match (&args.token_file, std::env::var("STROWGER_TOKEN")) {
            (Some(path), _) => password::read_file(path)?,
            (None, Ok(token)) if !token.is_empty() => token,
            (None, _) => token_for_now(config)?,
        };
        let client = client(args.ca.as_deref())?;
        Ok(Self { client, base: base.join(BASE.trim_start_matches('/'))?, token: Some(token) })
    }

    /// That of a link, which opens without a token what it is for.
    pub(crate) fn without_token(link: &str, ca: Option<&Path>) -> anyhow::Result<Self> {
        let base: HttpUrl = link.parse().map_err(|error| WrongUsage(format!("{link}: {error}")))?;
        Ok(Self { client: client(ca)?, base, token: None })
    }

    /// The status and the document that have come back.
    pub(crate) fn ask(&self, verb: Verb, path: &str, body: &str) -> anyhow::Result<(u16, Value)> {
        let answer = self.send(verb, path, &[], ("application/json", body.as_bytes()))?;
        Ok((answer.status, serde_json::from_slice(&answer.body).unwrap_or_default()))
    }

    /// What has come back, whatever it is, to a request with these headers and this body and its type.
    pub(crate) fn send(
        &self,
        verb: Verb,
        path: &str,
        headers: &[(&'static str, String)],
        body: (&'static str, &[u8]),
    ) -> anyhow::Result<ClientAnswer> {
        self.send_to(verb, &self.base.join(path.trim_start_matches('/'))?, headers, body)
    }

    /// The same, at a whole URL.
    pub(crate) fn send_to(
        &self,
        verb: Verb,
        url: &HttpUrl,
        headers: &[(&'static str, String)],
        (media_type, body): (&'static str, &[u8]),
    ) -> anyhow::Result<ClientAnswer> {
        let request = ClientRequest { verb, url, media_type, headers, bearer: self.token.as_deref(), body };
        self.client.send(&request).context("the management API cannot be asked")
    }
}

/// Why the exchange has refused, for people.
pub(crate) fn refused(status: u16, problem: &Value) -> String {
    let detail = problem["detail"].as_str().or(problem["title"].as_str()).unwrap_or("no reason given");
    format!("refused with {status}: {}", printable(detail))
}

fn client(ca: Option<&Path>) -> anyhow::Result<HttpClient> {
    let tls = match ca {
        Some(path) => {
            let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            Some(client_tls(&pem).with_context(|| format!("{} holds no authorities", path.display()))?)
        }
        None => None,
    };
    Ok(HttpClient::new(tls, ClientLimits::default())?.trusting_loopback())
}

/// Whoever may write to the data folder may do all that a token lets them do.
fn token_for_now(config: &Config) -> anyhow::Result<String> {
    let data = &config.exchange.data;
    if !data.is_dir() {
        bail!("there is no data folder {} to make a token in; STROWGER_TOKEN can hold one", data.display());
    }
    let mut random = [0; TOKEN_RANDOM_BYTES];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| anyhow::anyhow!("the operating system gives no randomness"))?;
    let now = crate::serve::now();
    let new = NewToken { name: "command-line", role: Role::Operator, expires: Some(now + TOKEN_TIME) };
    let (_, secret) = SharedFolder::attach(data)?.tokens()?.create(new, now, &random)?;
    Ok(secret.as_str().to_owned())
}
