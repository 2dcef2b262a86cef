//! Configuration: from text, to what is said, to what is meant.
//!
//! A TOML file, the files it includes, and environment variables are read into one tree in which every value knows its
//! place (*said*). The tree is read against one table of keys into [`Config`] (*meant*): defaults resolved, references
//! checked, secrets fetched. All errors are found in one run. The reference (`docs/configuration.md`) is made from the
//! same table.
//!
//! Policy files ([`read_policy`]) and the facts to try them with ([`read_facts`]) are read by the same reader against
//! tables of their own.
//!
//! This crate deliberately knows no protocol and none of the parts that are configured: it gives plain values, and the
//! composition root hands them on. After [`Config::load`] nobody reads configuration text again; a reload loads a whole
//! new `Config`, takes over what it can with [`Config::reloaded`], and asks [`diff`] what changed.
//!
//! ```
//! use sx_config::Config;
//! let config = Config::from_text("[sip]\nt1_ms = 250").expect("a good configuration");
//! assert_eq!(config.sip.t1.as_millis(), 250);
//! let errors = Config::from_text("[sip]\nt1_ms = 0\nt2ms = 4000").expect_err("two mistakes");
//! let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
//! assert_eq!(lines, [
//!     "text:2: sip.t1_ms = 0: out of range; allowed: 50 to 10000 ms",
//!     "text:3: sip.t2ms: unknown key; did you mean \"t2_ms\"?",
//! ]);
//! ```

mod build;
mod error;
mod keys;
mod meant;
mod policy;
mod reader;
mod reference;
mod reload;
mod said;
mod secret;
mod source;
mod value;
mod words;
mod write;

pub use error::{ConfigError, ERRORS_MAX, Problem};
pub use meant::{
    Anchor, AnchorKind, AnchorMethod, Api, AssertedIdentity, Callers, Cdr, ClientCertificate, Config, Connections,
    Cosigning, Credentials, Danger, DigestAlgorithm, Edge, Escalation, Exchange, HeaderRules, Hep, Http, Identity,
    LatchMode, Listen, Log, LogFormat, LogLevel, Media, MediaAddress, MediaInterface, MediaMode, MediaPriority,
    NamedIdentity, Ng, NumberMatch, ObjectPlace, Organisation, Policy, Privacy, Recording, RecordingBandwidth,
    RecordingContainer, RecordingTracks, Registrar, ReliableProvisional, Rering, Retention, RingOrder, Room, Route,
    RtcpXr, Sip, SoundSettings, Target, TargetKind, Tls, Transcode, Trunk, TrunkAddress, TrunkRegistration,
    UserRewrite, Witness,
};
pub use policy::{OwnedRequest, policy_reference, read_facts, read_facts_file, read_policy, read_policy_text};
pub use secret::Secret;
pub use sx_types::Network;
pub use value::{HostPort, NotAllowed, PortRange, SipUri};
pub use write::Change;

use source::{Machine, Memory};
use std::collections::BTreeMap;
use std::path::Path;

impl Config {
    /// Reads the main file, the files it includes, and overrides from environment variables (names and values).
    ///
    /// # Errors
    /// Everything that is wrong, sorted by file and line; with it what is wrong with the policy file that it names, which is
    /// not read else.
    pub fn load(path: &Path, env: impl IntoIterator<Item = (String, String)>) -> Result<Self, Vec<ConfigError>> {
        let env: BTreeMap<_, _> = env.into_iter().collect();
        let (mut table, mut errors) = source::read_files(path);
        errors.extend(source::override_from(&env, &mut table));
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        let policy = policy::named_by(&table).map(|policy| base.join(policy));
        build::build(&path.display().to_string(), table, &Machine { env, base }, errors)
            .map_err(|errors| policy::with_errors_of(policy.as_deref(), errors))
    }

    /// Reads one text, which may refer to no file and no environment variable. Errors name it `text`.
    ///
    /// # Errors
    /// Everything that is wrong, sorted by line.
    pub fn from_text(text: &str) -> Result<Self, Vec<ConfigError>> {
        Self::from_text_with_env(text, [])
    }

    /// Reads one text, which may refer to no file, and overrides from environment variables.
    ///
    /// # Errors
    /// Everything that is wrong, sorted by file and line.
    pub fn from_text_with_env(
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Vec<ConfigError>> {
        let env: BTreeMap<_, _> = env.into_iter().collect();
        let (mut table, mut errors) = said::parse("text", text);
        errors.extend(source::refuse_includes(&table));
        errors.extend(source::override_from(&env, &mut table));
        build::build("text", table, &Memory { env }, errors)
    }

    /// This configuration with everything of `new` that can be taken over while the exchange runs. What [`diff`] then finds
    /// from here to it is in force at once, and what it finds from it to `new` waits for a restart.
    pub fn reloaded(&self, new: &Self) -> Self {
        reload::reloaded(self, new)
    }

    /// The effective configuration as TOML that says every key. Secrets are shown as `<secret>`.
    pub fn print(&self) -> String {
        write::print(self)
    }
}

impl Default for Config {
    /// What an empty text means.
    fn default() -> Self {
        // The text is empty, so that only the table of keys can be at fault, and a test reads it.
        Self::from_text("").expect("the defaults of the table of keys are in their own ranges")
    }
}

/// Each key whose value differs.
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    write::diff(old, new)
}

/// The text of `docs/configuration.md`.
pub fn reference() -> String {
    reference::reference()
}
