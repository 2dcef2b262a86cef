//! The embedded store: users, experts, guardians and votes, evidence, tokens of the management API and call detail records in SQLite, and append-only journals
//! for what must survive `kill -9` without waiting for SQLite.
//!
//! It deliberately does not know what a call or a registration means, how a password is hashed, or who asks: it
//! takes records and gives them back. Nothing here retries a call or decides about one.
//!
//! The loop: each worker thread owns a [`CdrWriter`] and perhaps a [`KeyedLog`]. Every turn of its loop appends
//! records and ends in one `commit`, which is one `write(2)` and never waits for a disk or a database. Threads of
//! the store sync journals to the disk, fold call records into SQLite and compact logs behind it. The command line
//! reads the databases through a [`SharedFolder`] while all this goes on.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = std::env::temp_dir().join(format!("sx-store-doc-{}", std::process::id()));
//! # fn records_of_this_turn() -> Vec<sx_call::CallRecord> { Vec::new() }
//! use sx_engine::Time;
//! use sx_store::{CdrFilter, CdrOptions, CdrStore, DataFolder};
//! let folder = DataFolder::open(&path)?;
//! let (mut store, recovery) = CdrStore::open(&folder, &CdrOptions::default(), || Time::from_secs(1_800_000_000))?;
//! assert_eq!(recovery.calls_cut_off, 0);
//! let mut writer = store.writer("worker-0")?;
//! for record in records_of_this_turn() {
//!     writer.append(&record)?;
//! }
//! writer.commit()?;
//! drop((writer, store));
//! assert_eq!(folder.shared().cdrs()?.count(&CdrFilter::default())?, 0);
//! # std::fs::remove_dir_all(&path)?;
//! # Ok(())
//! # }
//! ```
//!
//! In the data folder lie `lock`, `users.sqlite`, `tokens.sqlite`, `registry.sqlite`, `votes.sqlite`, `cdr.sqlite`, the journals of call records in `cdr/WRITER/`,
//! what was cosigned of others' logs in `cosigned/`, evidence in `evidence/`, and each log in a folder of its own.

mod background;
mod cdr;
mod cosigned;
mod crc;
mod database;
mod error;
mod evidence;
mod folder;
mod journal;
mod keyed;
mod registry;
mod tokens;
mod users;
mod votes;
mod witness;

pub use cdr::{
    CDR_ATTEMPT_COLUMNS, CDR_COLUMNS, CDR_RECORDING_COLUMNS, CdrCounters, CdrError, CdrFilter, CdrOptions, CdrReader,
    CdrStore, CdrWriter, ExportError, FoldError, PurgeError, Recovery, hash_text,
};
pub use cosigned::{CosignError, CosignedError, CosignedLogs};
pub use database::OpenDatabaseError;
pub use error::{DatabaseError, FileError};
pub use evidence::{
    CHUNK_BYTES, Evidence, EvidenceEntry, EvidenceError, EvidenceLimits, NewEvidence, Whole as WholeEvidence,
};
pub use folder::{DataFolder, FolderError, SharedFolder};
pub use journal::{
    AppendError, CommitError, Journal, JournalCounters, JournalError, JournalOptions, RECORD_BYTES_MAX, ReadError,
    Replay, SyncPolicy, TornTail,
};
pub use keyed::{Entries, KeyedCounters, KeyedLog, PutError};
pub use registry::{NewEntry, Registry, RegistryEntry, RegistryError, RegistryKind};
pub use tokens::{NewToken, TOKEN_RANDOM_BYTES, TokenEntry, TokenNews, TokenRefused, TokenSecret, Tokens, TokensError};
pub use users::{Ha1, Imported, UserChanges, UserEntry, UserRecord, Users, UsersError};
pub use votes::{BallotRecord, VoteRecord, Votes, VotesError};
pub use witness::{
    AnchorStates, Anchored, FiledCheckpoint, Found as WitnessFound, GrownLog, Leaves, LogPart, LogTail, ProveError,
    ReadError as WitnessReadError, ReadProgress, RecordId, Search as WitnessSearch, TailError, WitnessFolder,
};
pub use witness::{
    AppendError as WitnessAppendError, Event, KeyError, Opened as WitnessOpened, WitnessCounters, WitnessError,
    WitnessLog, WitnessOptions, WitnessPort, WitnessStatus, read_bounded, read_named_text, read_or_make_key,
    read_signing_key, read_verifying_key, write_signing_key,
};
