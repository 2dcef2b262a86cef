//! `strowger user`: the users who may register and call.

use super::password::{Password, PasswordArgs, ensure_password};
use super::{WrongUsage, output};
use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use sx_config::Config;
use sx_engine::Time;
use sx_sip::digest::{self, Algorithm};
use sx_store::{Ha1, SharedFolder, UserEntry, UserRecord, Users, UsersError};

/// Shown below the help of `strowger user`.
pub(crate) const HELP: &str = "\
A running exchange notices changes within a second or two. What is stored are the hashes that digest
authentication needs; they are made with the realm of the configuration (sip.realm) and are useless under another.

Examples:
  strowger user add alice
  strowger user list
  strowger user disable alice
  strowger user remove alice";

const ADD_HELP: &str = "\
Without a password given, one is made and printed once.

Examples:
  strowger user add alice
  strowger user add alice@example.org --password-file secret.txt
  pass show phones/alice | strowger user add alice --password-stdin";

const PASSWD_HELP: &str = "\
Without a password given, one is made and printed once.

Examples:
  strowger user passwd alice
  strowger user passwd alice --password-file secret.txt";

const LIST_HELP: &str = "\
Examples:
  strowger user list
  strowger user list --json | jq -r .name";

const ENABLE_HELP: &str = "\
Examples:
  strowger user enable alice
  strowger user enable alice@example.org --json";

const DISABLE_HELP: &str = "\
The user stays, and its password with it, but may neither register nor call until it is enabled again. A registration
there is stays until it expires, and a call until it ends.

Examples:
  strowger user disable alice
  strowger user disable alice@example.org --json";

const REMOVE_HELP: &str = "\
Examples:
  strowger user remove alice
  strowger user remove alice@example.org";

const IMPORT_HELP: &str = "\
Each line is name,password; a first line that says just that is passed over. All lines are taken, or none.
A user that is there already gets the password of the file.

Examples:
  strowger user import users.csv
  strowger user import users.csv --domain example.org
  generate-users | strowger user import -";

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user
    #[command(after_help = ADD_HELP)]
    Add(UserArgs),
    /// Give a user another password
    #[command(after_help = PASSWD_HELP)]
    Passwd(UserArgs),
    /// List all users
    #[command(after_help = LIST_HELP)]
    List,
    /// Let a user register and call again
    #[command(after_help = ENABLE_HELP)]
    Enable {
        /// The user; without a domain, of the first domain of the configuration
        #[arg(value_name = "NAME[@DOMAIN]")]
        user: String,
    },
    /// Let a user neither register nor call, without removing it
    #[command(after_help = DISABLE_HELP)]
    Disable {
        /// The user; without a domain, of the first domain of the configuration
        #[arg(value_name = "NAME[@DOMAIN]")]
        user: String,
    },
    /// Remove a user
    #[command(after_help = REMOVE_HELP)]
    Remove {
        /// The user; without a domain, of the first domain of the configuration
        #[arg(value_name = "NAME[@DOMAIN]")]
        user: String,
    },
    /// Add users from a CSV file
    #[command(after_help = IMPORT_HELP)]
    Import {
        /// The file; - for standard input
        file: PathBuf,
        /// The domain of these users [default: the first of the configuration]
        #[arg(long)]
        domain: Option<String>,
    },
}

/// A user and its password.
#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    /// The user; without a domain, of the first domain of the configuration
    #[arg(value_name = "NAME[@DOMAIN]")]
    user: String,
    #[command(flatten)]
    password: PasswordArgs,
}

/// Carries out `strowger user`.
///
/// # Errors
/// When it cannot be done; nothing has changed then.
pub(crate) fn run_user(config: &Config, command: UserCommand, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        UserCommand::Add(args) => {
            let (name, domain) = named(config, &args.user);
            served(config, &domain)?;
            let password = args.password.password()?;
            let hashes = hashes(config, &name, password.text());
            users(config)?.add(&record(&name, &domain, hashes)).map_err(blamed)?;
            say("added", &name, &domain, Some(&password), json)
        }
        UserCommand::Passwd(args) => {
            let (name, domain) = named(config, &args.user);
            let password = args.password.password()?;
            let hashes = hashes(config, &name, password.text());
            known_users(config)?.passwd(&name, &domain, hashes).map_err(blamed)?;
            say("changed", &name, &domain, Some(&password), json)
        }
        UserCommand::Enable { user } => set_enabled(config, &user, true, json),
        UserCommand::Disable { user } => set_enabled(config, &user, false, json),
        UserCommand::Remove { user } => {
            let (name, domain) = named(config, &user);
            known_users(config)?.remove(&name, &domain).map_err(blamed)?;
            say("removed", &name, &domain, None, json)
        }
        UserCommand::List => list(&known_users(config)?.list()?, json),
        UserCommand::Import { file, domain } => {
            let domain = domain.unwrap_or_else(|| first_domain(config)).to_ascii_lowercase();
            served(config, &domain)?;
            import(config, &domain, &file, json)
        }
    }
}

fn set_enabled(config: &Config, user: &str, enabled: bool, json: bool) -> anyhow::Result<ExitCode> {
    let (name, domain) = named(config, user);
    known_users(config)?.set_enabled(&name, &domain, enabled).map_err(blamed)?;
    say(if enabled { "enabled" } else { "disabled" }, &name, &domain, None, json)
}

/// The users of a folder that must be there: a mistyped one would look like one without users.
fn known_users(config: &Config) -> anyhow::Result<Users> {
    let data = &config.exchange.data;
    ensure!(data.is_dir(), "there is no data folder {}", data.display());
    users(config)
}

/// The users, to whom others may be added before the exchange has ever run.
fn users(config: &Config) -> anyhow::Result<Users> {
    // Attached, not opened: a server may have the folder.
    Ok(SharedFolder::attach(&config.exchange.data)?.users()?)
}

fn first_domain(config: &Config) -> String {
    config.exchange.domains.first().map(ToString::to_string).unwrap_or_default()
}

/// The name and the domain.
fn named(config: &Config, user: &str) -> (String, String) {
    match user.rsplit_once('@') {
        Some((name, domain)) => (name.to_owned(), domain.to_ascii_lowercase()),
        None => (user.to_owned(), first_domain(config)),
    }
}

/// A user of another domain could neither register nor be called.
fn served(config: &Config, domain: &str) -> anyhow::Result<()> {
    if config.exchange.domains.iter().any(|served| **served == *domain) {
        return Ok(());
    }
    let domains = config.exchange.domains.join(", ");
    Err(WrongUsage(format!("the exchange does not serve {domain:?}; exchange.domains has: {domains}")).into())
}

fn hashes(config: &Config, name: &str, password: &str) -> Ha1 {
    let hash = |algorithm| digest::Ha1::new(algorithm, name, &config.sip.realm, password);
    // The lengths of hashes are what the standards of their algorithms say.
    Ha1 {
        md5: hash(Algorithm::Md5).bytes().try_into().expect("MD5 gives 16 bytes"),
        sha256: hash(Algorithm::Sha256).bytes().try_into().expect("SHA-256 gives 32 bytes"),
    }
}

fn record(name: &str, domain: &str, Ha1 { md5, sha256 }: Ha1) -> UserRecord {
    UserRecord { name: name.into(), domain: domain.into(), ha1_md5: md5, ha1_sha256: sha256 }
}

/// An impossible name is wrong usage; everything else is a failure.
fn blamed(error: UsersError) -> anyhow::Error {
    match error {
        UsersError::Name { .. } => WrongUsage(error.to_string()).into(),
        other => other.into(),
    }
}

fn say(done: &str, name: &str, domain: &str, password: Option<&Password>, json: bool) -> anyhow::Result<ExitCode> {
    let made = password.and_then(Password::made);
    if json {
        let mut object = json!({ "done": done, "name": name, "domain": domain });
        if let Some(made) = made {
            object["password"] = made.into();
        }
        return output::json_line(&object);
    }
    let password = made.map(|made| format!("password {made}\n")).unwrap_or_default();
    output::text(&format!("{done} {name}@{domain}\n{password}"))
}

fn list(users: &[UserEntry], json: bool) -> anyhow::Result<ExitCode> {
    let time = |nanos| Time::from_nanos(nanos).to_string();
    if json {
        for user in users {
            output::json_line(&json!({
                "name": user.name,
                "domain": user.domain,
                "enabled": user.enabled,
                "created": time(user.created),
                "changed": time(user.changed),
            }))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::Table::new(&["USER", "ENABLED", "CREATED", "CHANGED"]);
    for user in users {
        let enabled = if user.enabled { "yes" } else { "no" };
        let address = format!("{}@{}", user.name, user.domain);
        table.row([address, enabled.to_owned(), time(user.created), time(user.changed)]);
    }
    output::text(&table.to_string())
}

/// Progress is told after so many users.
const PROGRESS_EVERY: u64 = 10_000;

fn import(config: &Config, domain: &str, file: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let from_stdin = file == Path::new("-");
    let input: Box<dyn Read> = if from_stdin {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?)
    };
    let mut read = 0;
    let hash = |name: &str, password: &str| {
        read += 1;
        if read % PROGRESS_EVERY == 0 {
            tell!("{read} users read");
        }
        ensure_password(password)?;
        Ok(hashes(config, name, password))
    };
    let imported = users(config)?.import(domain, input, hash).map_err(blamed)?;
    if json {
        return output::json_line(&json!({ "done": "imported", "added": imported.added, "changed": imported.changed }));
    }
    output::text(&format!("imported: {} added, {} changed\n", imported.added, imported.changed))
}
