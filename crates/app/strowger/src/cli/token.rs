//! `strowger token`: who may use the management API.

use super::{WrongUsage, output};
use crate::serve::now;
use crate::tokens::object;
use anyhow::{Context as _, ensure};
use clap::Subcommand;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;
use sx_config::Config;
use sx_engine::Time;
use sx_store::{NewToken, SharedFolder, TOKEN_RANDOM_BYTES, TokenEntry, Tokens, TokensError};
use sx_types::Role;

/// Shown below the help of `strowger token`.
pub(crate) const HELP: &str = "\
Tokens are kept in the data folder. A running exchange looks there with every request, so that what is done here holds at
once. Only a hash of the secret is kept: whoever has lost it needs another token.

Examples:
  strowger token create anna --role operator
  strowger token list
  strowger token revoke 0a1b2c3d4e5f";

const CREATE_HELP: &str = "\
The secret is printed once. Show it as a bearer token:
  curl -H \"Authorization: Bearer $SECRET\" http://127.0.0.1:8081/api/v1/calls

Examples:
  strowger token create anna --role operator
  strowger token create monitoring --role viewer --expires 90
  strowger token create deploy --role administrator --json | jq -r .secret";

const LIST_HELP: &str = "\
Examples:
  strowger token list
  strowger token list --json | jq -r 'select(.revoked == null) | .id'";

const REVOKE_HELP: &str = "\
Examples:
  strowger token revoke 0a1b2c3d4e5f
  strowger token revoke 0a1b2c3d4e5f --json";

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token
    #[command(after_help = CREATE_HELP)]
    Create {
        /// Whose it is, or what for
        name: String,
        /// What its bearer may do
        #[arg(long, value_parser = roles())]
        role: Role,
        /// After so many days it opens nothing any more [default: it holds until it is revoked]
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=DAYS_MAX))]
        expires: Option<u64>,
    },
    /// List all tokens, without their secrets
    #[command(after_help = LIST_HELP)]
    List,
    /// Take a token back, for good
    #[command(after_help = REVOKE_HELP)]
    Revoke {
        /// Its id, as the list shows it
        id: String,
    },
}

/// A token that expires does so within ten years.
const DAYS_MAX: u64 = 3_650;
const DAY_S: u64 = 86_400;

/// Carries out `strowger token`.
///
/// # Errors
/// When it cannot be done; nothing has changed then.
pub(crate) fn run_token(config: &Config, command: TokenCommand, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        TokenCommand::Create { name, role, expires } => create(config, &name, role, expires, json),
        TokenCommand::List => list(&known_tokens(config)?.list()?, json),
        TokenCommand::Revoke { id } => {
            known_tokens(config)?.revoke(&id, now())?;
            if json {
                return output::json_line(&json!({ "done": "revoked", "id": id }));
            }
            output::text(&format!("revoked {}\n", output::printable(&id)))
        }
    }
}

fn create(config: &Config, name: &str, role: Role, expires: Option<u64>, json: bool) -> anyhow::Result<ExitCode> {
    let mut random = [0; TOKEN_RANDOM_BYTES];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| anyhow::anyhow!("the operating system gives no randomness"))?;
    let now = now();
    let expires = expires.map(|days| now + Duration::from_secs(days * DAY_S));
    let new = NewToken { name, role, expires };
    let (token, secret) = tokens(config)?.create(new, now, &random).map_err(blamed)?;
    if json {
        let mut object = object(&token);
        object["done"] = "created".into();
        object["secret"] = secret.as_str().into();
        return output::json_line(&object);
    }
    let until = token.expires.map(|expires| format!(", until {expires}")).unwrap_or_default();
    output::text(&format!(
        "created {} ({}, {}{until})\nsecret {}\n",
        token.id,
        token.name,
        role.as_str(),
        secret.as_str()
    ))
}

/// An impossible name is wrong usage; everything else is a failure.
fn blamed(error: TokensError) -> anyhow::Error {
    match error {
        TokensError::Name { .. } => WrongUsage(error.to_string()).into(),
        other => other.into(),
    }
}

/// The tokens of a folder that must be there: a mistyped one would look like one without tokens.
fn known_tokens(config: &Config) -> anyhow::Result<Tokens> {
    let data = &config.exchange.data;
    ensure!(data.is_dir(), "there is no data folder {}", data.display());
    tokens(config)
}

/// The tokens, which may be given before the exchange has ever run.
fn tokens(config: &Config) -> anyhow::Result<Tokens> {
    // Attached, not opened: a server may have the folder.
    let folder = SharedFolder::attach(&config.exchange.data).context("cannot use the data folder")?;
    Ok(folder.tokens()?)
}

fn list(tokens: &[TokenEntry], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        for token in tokens {
            output::json_line(&object(token))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::Table::new(&["ID", "NAME", "ROLE", "CREATED", "EXPIRES", "LAST USED", "REVOKED"]);
    let time = |time: Option<Time>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
    for token in tokens {
        table.row([
            token.id.to_string(),
            token.name.to_string(),
            token.role.map_or("unknown", Role::as_str).to_owned(),
            token.created.to_string(),
            time(token.expires),
            time(token.last_used),
            time(token.revoked),
        ]);
    }
    output::text(&table.to_string())
}

/// The roles as an argument takes them, each with what it lets its bearer do.
fn roles() -> impl TypedValueParser<Value = Role> {
    let possible = |role: Role| {
        let may = match role {
            Role::Viewer => "Read",
            Role::Operator => "Also end calls, ban, drain and remove registrations",
            Role::Administrator => "Also have the configuration read again, and give and take tokens",
        };
        PossibleValue::new(role.as_str()).help(may)
    };
    PossibleValuesParser::new(Role::ALL.map(possible)).try_map(|word| Role::from_name(&word).ok_or("no role"))
}
