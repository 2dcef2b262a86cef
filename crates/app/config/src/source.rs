//! Where a configuration comes from: files, the environment, and the secrets they refer to.

use crate::error::{ConfigError, Problem};
use crate::keys::{self, Kind};
use crate::reader::join;
use crate::said::{self, Node, Origin, Said, Table};
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What a configuration may refer to outside its text.
pub(crate) trait Outside {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// What a file holds that nobody else may read; or why not.
    fn secret_file(&self, path: &str) -> Result<String, String>;
    /// Is there a file that can be read? Or why not.
    fn check_file(&self, path: &Path) -> Result<(), String>;
    /// A path, seen from where the process runs.
    fn resolve(&self, path: &str) -> PathBuf;
}

/// Environment variables and no files, for a text that is in memory.
pub(crate) struct Memory {
    pub(crate) env: BTreeMap<String, String>,
}

/// Environment variables and the files of this machine.
pub(crate) struct Machine {
    pub(crate) env: BTreeMap<String, String>,
    /// Where relative paths start: the directory of the main file.
    pub(crate) base: PathBuf,
}

/// The start of the names of environment variables that override keys.
pub(crate) const PREFIX: &str = "STROWGER_";
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
const SECRET_BYTES_MAX: u64 = 64 * 1024;
const INCLUDED_FILES_MAX: usize = 10_000;

impl Outside for Memory {
    fn variable(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn secret_file(&self, path: &str) -> Result<String, String> {
        Err(format!("{path}: a text in memory may not refer to files"))
    }

    fn check_file(&self, _: &Path) -> Result<(), String> {
        Ok(())
    }

    fn resolve(&self, path: &str) -> PathBuf {
        path.into()
    }
}

impl Outside for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn secret_file(&self, path: &str) -> Result<String, String> {
        let resolved = self.resolve(path);
        let file = open(&resolved, SECRET_BYTES_MAX).map_err(|error| format!("{}: {error}", resolved.display()))?;
        if let Some(mode) = mode_open_to_others(&file) {
            return Err(format!("{} has mode {mode:04o}; allowed: 0600 or stricter", resolved.display()));
        }
        let text = read(file, SECRET_BYTES_MAX).map_err(|error| format!("{}: {error}", resolved.display()))?;
        // Editors end the last line; the line's end is no part of a password.
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
    }

    fn check_file(&self, path: &Path) -> Result<(), String> {
        // Whoever reads it knows how long it may be.
        open(path, u64::MAX).map(drop)
    }

    fn resolve(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }
}

/// The permission bits, when they let anybody but the owner in.
#[cfg(unix)]
fn mode_open_to_others(file: &File) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().map_or(0o777, |metadata| metadata.permissions().mode() & 0o7777);
    (mode & 0o077 != 0).then_some(mode)
}

/// Systems without permission bits keep files by other means.
#[cfg(not(unix))]
fn mode_open_to_others(_: &File) -> Option<u32> {
    None
}

/// Opens a regular file of bounded length: a pipe or a device would hang, or never end.
fn open(path: &Path, bytes_max: u64) -> Result<File, String> {
    let metadata = fs::metadata(path).map_err(|error| why_not(path, &error))?;
    if metadata.is_dir() {
        return Err("a directory; name a file in it".into());
    }
    if !metadata.is_file() {
        return Err("not a regular file".into());
    }
    if metadata.len() > bytes_max {
        return Err(format!("longer than {bytes_max} bytes"));
    }
    File::open(path).map_err(|error| why_not(path, &error))
}

/// Why a file cannot be opened, and what whoever wants it can do.
fn why_not(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        // A link is there, and what it leads to is not.
        io::ErrorKind::NotFound => match fs::read_link(path) {
            Ok(target) => {
                format!("a link to {}, which is not there; mend the link or put a file there", target.display())
            }
            Err(_) => match missing_folder(path) {
                Some(folder) => format!("{error}; there is no folder {} either", folder.display()),
                None => error.to_string(),
            },
        },
        io::ErrorKind::PermissionDenied => {
            format!("{error}; whoever runs strowger must be allowed to read it (chmod, chown) and to enter its folders")
        }
        _ => error.to_string(),
    }
}

/// The folder of a file, where there is none.
fn missing_folder(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
}

fn read(file: File, bytes_max: u64) -> Result<String, String> {
    let mut text = String::new();
    file.take(bytes_max).read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => "not UTF-8; save it as UTF-8 text".to_owned(),
        _ => error.to_string(),
    })?;
    Ok(text)
}

/// Reads the main file and those it includes into one tree.
pub(crate) fn read_files(path: &Path) -> (Table, Vec<ConfigError>) {
    let (mut table, mut errors) = read_file(path);
    let base = path.parent().unwrap_or(Path::new(""));
    for (origin, pattern) in include_patterns(&table) {
        let found = matching_files(base, &pattern).unwrap_or_else(|why| {
            errors.push(origin.error("include", format!("{pattern:?}"), Problem::Unreadable(why)));
            Vec::new()
        });
        for file in found {
            let (included, more) = read_file(&file);
            errors.extend(more);
            if let Some(node) = included.get("include") {
                let problem = Problem::Conflict("an included file may not include others".into());
                errors.push(node.origin.error("include", String::new(), problem));
                continue;
            }
            errors.extend(said::merge(&mut table, included, |key| matches!(key, "trunk" | "room" | "route")));
        }
    }
    (table, errors)
}

fn read_file(path: &Path) -> (Table, Vec<ConfigError>) {
    match read_text(path) {
        Ok(text) => said::parse(&path.display().to_string(), &text),
        Err(error) => (Table::new(), vec![error]),
    }
}

/// The text of a file of bounded length.
pub(crate) fn read_text(path: &Path) -> Result<String, ConfigError> {
    let read = open(path, FILE_BYTES_MAX).and_then(|file| read(file, FILE_BYTES_MAX));
    read.map_err(|why| Origin::new(&path.display().to_string(), 0).error("", String::new(), Problem::Unreadable(why)))
}

/// What `include` says. Anything in it that is no text is refused when the keys are read.
fn include_patterns(table: &Table) -> Vec<(Origin, String)> {
    let Some(Node { said: Said::List(items), .. }) = table.get("include") else { return Vec::new() };
    let pattern = |item: &Node| match &item.said {
        Said::Text(pattern) => Some((item.origin.clone(), pattern.clone())),
        _ => None,
    };
    items.iter().filter_map(pattern).collect()
}

/// An error for each file that a text in memory would include.
pub(crate) fn refuse_includes(table: &Table) -> Vec<ConfigError> {
    let refused = |(origin, pattern): (Origin, String)| {
        let problem = Problem::Unreadable("a text in memory may not refer to files".into());
        origin.error("include", format!("{pattern:?}"), problem)
    };
    include_patterns(table).into_iter().map(refused).collect()
}

/// The files a pattern names, sorted; or why it cannot be said.
fn matching_files(base: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let full = base.join(pattern);
    let Some((before, after)) = full.file_name().and_then(|last| last.to_str()).and_then(|last| last.split_once('*'))
    else {
        return Ok(vec![full]);
    };
    let directory = full.parent().unwrap_or(Path::new(""));
    let entries = match fs::read_dir(if directory.as_os_str().is_empty() { Path::new(".") } else { directory }) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        let matches =
            |name: &str| name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after);
        if name.to_str().is_some_and(|name| matches(name) && !name.starts_with('.')) {
            found.push(directory.join(&name));
        }
        if found.len() > INCLUDED_FILES_MAX {
            return Err(format!("more than {INCLUDED_FILES_MAX} files"));
        }
    }
    found.sort();
    Ok(found)
}

/// Puts what `STROWGER_SECTION__KEY` variables say over what the files say. Names without `__` are somebody else's.
pub(crate) fn override_from(env: &BTreeMap<String, String>, table: &mut Table) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    for (name, value) in env {
        if let Some(rest) = name.strip_prefix(PREFIX).filter(|rest| rest.contains("__")) {
            let path = rest.to_ascii_lowercase().replace("__", ".");
            if let Err(problem) = override_one(table, name, &path, value) {
                errors.push(Origin::new(name, 0).error(&path, String::new(), problem));
            }
        }
    }
    errors
}

fn override_one(table: &mut Table, variable: &str, path: &str, value: &str) -> Result<(), Problem> {
    let (parent, last) = path.rsplit_once('.').unwrap_or(("", path));
    // Entries of a list have no name here, and `include` is done by now.
    let reachable = |entry: &&keys::Entry| !matches!(entry.key.kind, Kind::Section) && !path.contains('[');
    let Some(entry) = keys::CONFIG.find(path).filter(reachable) else {
        let did_you_mean = keys::nearest(last, keys::CONFIG.names_under(parent)).map(|name| join(parent, name));
        return Err(Problem::UnknownKey { did_you_mean });
    };
    let allowed = || entry.key.kind.allowed();
    let origin = Origin::new(variable, 0);
    let node = match entry.key.kind {
        Kind::Text | Kind::Shape(_) | Kind::Choice(_) | Kind::Path => Node { origin, said: Said::Text(value.into()) },
        Kind::Secret => Node { origin, said: Said::Secret(Secret::new(value)) },
        _ => said::parse_value(variable, value).map_err(|_| Problem::WrongType { allowed: allowed() })?,
    };
    let mut table = table;
    for section in parent.split('.') {
        let empty = || Node { origin: Origin::new(variable, 0), said: Said::Table(Table::new()) };
        match &mut table.entry(section.to_owned()).or_insert_with(empty).said {
            Said::Table(below) => table = below,
            // The file has something else there, which is refused when the keys are read.
            _ => return Ok(()),
        }
    }
    table.insert(last.to_owned(), node);
    Ok(())
}
