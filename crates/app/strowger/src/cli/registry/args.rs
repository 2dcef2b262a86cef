//! What can be said to `strowger expert` and `strowger guardian`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Shown below the help of `strowger expert`.
pub(crate) const EXPERT_HELP: &str = "\
Experts are rung when an agent escalates a hazard that they know about. A running exchange notices changes within a second
or two. What is written down of an expert is signed with their key, so that nobody who can write to the database can
have their calls: whoever has a key and no good signature is not rung.

Examples:
  strowger expert add lind --name \"Dr. Lind\" --address 300 --address +49301234567 --knows safety:3
  strowger expert list
  strowger expert suspend lind";

/// Shown below the help of `strowger guardian`.
pub(crate) const GUARDIAN_HELP: &str = "\
Guardians are those whose word counts: people and agents who escalate hazards and vote in the council. They sign what
they say with one key. At its first start the exchange makes twelve as an example, with keys of their own in the folder
guardians of its data.

Examples:
  strowger guardian add IF.guard.safety --role safety
  strowger guardian list
  strowger guardian revoke IF.guard.safety";

const ADD_EXPERT_HELP: &str = "\
Examples:
  strowger expert add lind --name \"Dr. Lind\" --address 300 --knows safety:3 --knows chemistry
  strowger expert add lind --address +49301234567 --knows safety --hours 'mon-fri 09:00-17:00' --zone Europe/Berlin
  strowger expert add lind --address 300 --knows legal --organisation acme --network 192.0.2.0/24 --key lind.key";

const ADD_GUARDIAN_HELP: &str = "\
Examples:
  strowger guardian add IF.guard.safety --role safety --description 'watches the plant'
  strowger guardian add carol --role contrarian --veto --address 21 --public-key 3b6a27bc...";

const IMPORT_HELP: &str = "\
The file is a JSON array of entries as `show --json` prints them, or one such object a line. All are taken, or none. One
that is there already gets what the file says; how it stands does not change.

Examples:
  strowger expert import experts.json
  strowger guardian import - < guardians.jsonl";

const LIST_HELP: &str = "\
Examples:
  strowger expert list
  strowger guardian list --json | jq -r .id";

const SHOW_HELP: &str = "\
Examples:
  strowger expert show lind
  strowger guardian show guardian.legal --json";

const SUSPEND_HELP: &str = "\
Examples:
  strowger expert suspend lind
  strowger guardian suspend guardian.legal";

const ACTIVATE_HELP: &str = "\
Examples:
  strowger expert activate lind
  strowger guardian activate guardian.legal";

const REVOKE_HELP: &str = "\
This is for good: neither the entry nor its key are ever good again.

Examples:
  strowger expert revoke lind
  strowger guardian revoke guardian.legal";

const KEYGEN_HELP: &str = "\
The file holds the private key as PKCS #8 in PEM, for its owner's eyes only. The public key is printed.

Examples:
  strowger expert keygen lind.key
  strowger guardian keygen legal.key --json";

/// What can be done with experts.
#[derive(Debug, Subcommand)]
pub(crate) enum ExpertCommand {
    /// Add an expert
    #[command(after_help = ADD_EXPERT_HELP)]
    Add(Box<ExpertArgs>),
    /// List all experts
    #[command(after_help = LIST_HELP)]
    List,
    /// Show an expert
    #[command(after_help = SHOW_HELP)]
    Show {
        /// What they are called
        id: String,
    },
    /// Have an expert rung by nobody for now
    #[command(after_help = SUSPEND_HELP)]
    Suspend {
        /// What they are called
        id: String,
    },
    /// Have a suspended expert rung again
    #[command(after_help = ACTIVATE_HELP)]
    Activate {
        /// What they are called
        id: String,
    },
    /// Have an expert never rung again
    #[command(after_help = REVOKE_HELP)]
    Revoke {
        /// What they are called
        id: String,
    },
    /// Make a key pair
    #[command(after_help = KEYGEN_HELP)]
    Keygen {
        /// Where the private key goes
        file: PathBuf,
    },
    /// Add or change experts from a file
    #[command(after_help = IMPORT_HELP)]
    Import {
        /// The file; - for standard input
        file: PathBuf,
    },
}

/// What can be done with guardians.
#[derive(Debug, Subcommand)]
pub(crate) enum GuardianCommand {
    /// Add a guardian
    #[command(after_help = ADD_GUARDIAN_HELP)]
    Add(Box<GuardianArgs>),
    /// List all guardians
    #[command(after_help = LIST_HELP)]
    List,
    /// Show a guardian
    #[command(after_help = SHOW_HELP)]
    Show {
        /// What they are called
        id: String,
    },
    /// Take no word of a guardian for now
    #[command(after_help = SUSPEND_HELP)]
    Suspend {
        /// What they are called
        id: String,
    },
    /// Take the word of a suspended guardian again
    #[command(after_help = ACTIVATE_HELP)]
    Activate {
        /// What they are called
        id: String,
    },
    /// Never take the word of a guardian again
    #[command(after_help = REVOKE_HELP)]
    Revoke {
        /// What they are called
        id: String,
    },
    /// Make a key pair
    #[command(after_help = KEYGEN_HELP)]
    Keygen {
        /// Where the private key goes
        file: PathBuf,
    },
    /// Add or change guardians from a file
    #[command(after_help = IMPORT_HELP)]
    Import {
        /// The file; - for standard input
        file: PathBuf,
    },
}

/// The key of an entry.
#[derive(Clone, Debug, Args)]
pub(crate) struct KeyArgs {
    /// Their private key; made when the file is not there [default: ID.key]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["public_key", "no_key"])]
    pub(super) key: Option<PathBuf>,
    /// Their public key, when they have made the pair themselves
    #[arg(long, value_name = "HEX", conflicts_with = "no_key")]
    pub(super) public_key: Option<String>,
    /// Their signature of the entry, with --public-key
    #[arg(long, value_name = "HEX", requires = "public_key")]
    pub(super) proof: Option<String>,
    /// They have no key
    #[arg(long)]
    pub(super) no_key: bool,
}

/// An expert.
#[derive(Clone, Debug, Args)]
pub(crate) struct ExpertArgs {
    /// What records call them
    pub(super) id: String,
    /// What people call them [default: the id]
    #[arg(long)]
    pub(super) name: Option<String>,
    /// How they are reached, best first: a user, a number, an address or its URI
    #[arg(long, required = true)]
    pub(super) address: Vec<String>,
    /// What they know about, and how well: safety:3
    #[arg(long, required = true, value_name = "SUBJECT[:LEVEL]")]
    pub(super) knows: Vec<String>,
    /// The organisation they are of: only whoever is of it, too, has them called
    #[arg(long)]
    pub(super) organisation: Option<String>,
    /// A network from which they may be called for [default: any]
    #[arg(long, value_name = "CIDR")]
    pub(super) network: Vec<String>,
    /// A language they speak, as de or de-CH
    #[arg(long, value_name = "TAG")]
    pub(super) language: Vec<String>,
    /// When they work: mon-fri 09:00-17:00 [default: always]
    #[arg(long, requires = "zone")]
    pub(super) hours: Option<String>,
    /// Whose clocks their hours go by: Europe/Berlin
    #[arg(long, requires = "hours")]
    pub(super) zone: Option<String>,
    /// A time on call, whatever their hours: 2027-01-01T08:00:00Z/2027-01-01T20:00:00Z
    #[arg(long, value_name = "FROM/TO")]
    pub(super) on_call: Vec<String>,
    /// In how many calls they may be at a time
    #[arg(long, default_value_t = 1)]
    pub(super) calls_max: u32,
    #[command(flatten)]
    pub(super) key: KeyArgs,
}

/// A guardian.
#[derive(Clone, Debug, Args)]
pub(crate) struct GuardianArgs {
    /// What messages and records call them
    pub(super) id: String,
    /// What they stand for
    #[arg(long)]
    pub(super) role: String,
    /// More about it
    #[arg(long)]
    pub(super) description: Option<String>,
    /// What they know about
    #[arg(long)]
    pub(super) specialisation: Option<String>,
    /// The organisation they are of
    #[arg(long)]
    pub(super) organisation: Option<String>,
    /// How they are called: a user, a number, an address or its URI
    #[arg(long)]
    pub(super) address: Option<String>,
    /// What their calls may take together
    #[arg(long, default_value_t = sx_council::BANDWIDTH_KBPS)]
    pub(super) bandwidth_kbps: u32,
    /// They can hold up what nearly all others want
    #[arg(long)]
    pub(super) veto: bool,
    #[command(flatten)]
    pub(super) key: KeyArgs,
}
