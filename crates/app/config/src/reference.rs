//! The references of the configuration and of policies, made from the tables of keys.

use crate::keys::{self, Default, Key, Kind};
use crate::reload::RELOADED;
use std::fmt::Write;

const OPENING: &str = r#"# Configuration

<!-- Made by `cargo run -p sx-config --example reference > docs/configuration.md`. Change crates/app/config/src/keys/table.rs instead. -->

One TOML file, and those it includes:

```toml
include = ["conf.d/*.toml"]

[exchange]
domains = ["example.com"]

[sip]
listen = [{ transport = "udp", address = "0.0.0.0:5060" }]

[[trunk]]
name = "carrier"
addresses = ["sip:sip.carrier.example:5060;transport=tcp"]
sources = ["192.0.2.0/24"]
username = "exchange"
password = { env = "CARRIER_PASSWORD" }

[[route]]
name = "out"
from_users = true
pattern = "0Z."
to = [{ trunk = "carrier" }]
```

- An unknown key is an error, and so is a key said in two files. All errors are found in one run, each with file, line, key, value and what is allowed; of a file with more than 100 the first 100 are said and the others counted.
- Names end with their unit: `_s` seconds, `_ms` milliseconds, `_bytes_max` bytes.
- Relative paths start at the directory of the main file.
- **Overrides.** The environment variable `STROWGER_SIP__REALM=example.com` stands above `sip.realm` in the file: the prefix, the path in capitals, two underscores for each dot. Texts, words and paths are taken as they are, everything else is TOML (`STROWGER_EXCHANGE__DOMAINS=["a.example", "b.example"]`). Entries of a list cannot be overridden one by one. A variable that begins with `STROWGER_` and has two underscores and names no key is an error; other variables are ignored.
- **Secrets** are never written into the file: `{ env = "NAME" }` takes the environment variable, `{ file = "path" }` the content of a file with mode 0600 or stricter, without the end of its last line. An override holds the secret itself. A secret that is missing or empty is an error. Secrets are shown as `<secret>` wherever configuration is printed.
- `[danger]` holds the settings that give protection away.
"#;

/// The keys that need no restart, in a sentence.
fn reload(text: &mut String) {
    let names: Vec<String> = RELOADED.iter().map(|key| format!("`{key}`")).collect();
    line(
        text,
        &format!(
            "- **Reload.** SIGHUP takes over {}, each with all below it. Every other key waits for a restart, and the log \
             names it. Nor is the certificate taken from an address that shows one.\n",
            names.join(", ")
        ),
    );
}

/// The text of `docs/configuration.md`.
pub(crate) fn reference() -> String {
    let mut text = OPENING.to_owned();
    reload(&mut text);
    all_keys(&mut text, keys::CONFIG.keys);
    limits(&mut text, keys::CONFIG.keys);
    text
}

/// Every key under its heading.
pub(crate) fn all_keys(text: &mut String, keys: &[Key]) {
    text.push_str("## At the top\n\n");
    for key in keys.iter().filter(|key| !key.path.contains('.') && !is_heading(key)) {
        item(text, key, "");
    }
    for key in keys.iter().filter(|key| is_heading(key)) {
        heading(text, key);
        let prefix = prefix(key);
        let below = |other: &&Key| {
            other
                .path
                .strip_prefix(&prefix)
                .is_some_and(|rest| nearest_heading(keys, other.path) == key.path && !rest.is_empty())
        };
        for other in keys.iter().filter(|other| !is_heading(other)).filter(below) {
            item(text, other, &prefix);
        }
    }
}

/// Sections have their own heading, and so have the lists that are written with `[[…]]`.
fn is_heading(key: &Key) -> bool {
    match key.kind {
        Kind::Section => !key.path.contains('['),
        Kind::Entries { .. } => !key.path.contains('.'),
        _ => false,
    }
}

fn prefix(key: &Key) -> String {
    let entry = if matches!(key.kind, Kind::Entries { .. }) { "[]" } else { "" };
    format!("{}{entry}.", key.path)
}

/// The longest heading that a path stands under.
fn nearest_heading(keys: &[Key], path: &str) -> &'static str {
    let above = |key: &&Key| is_heading(key) && path.starts_with(&prefix(key));
    keys.iter().filter(above).max_by_key(|key| key.path.len()).map_or("", |key| key.path)
}

fn heading(text: &mut String, key: &Key) {
    let title =
        if matches!(key.kind, Kind::Entries { .. }) { format!("[[{}]]", key.path) } else { format!("[{}]", key.path) };
    let absent = match key.default {
        Default::Absent(words) if words != "nothing" => format!(" Without this section: {words}."),
        _ => String::new(),
    };
    line(text, &format!("\n## `{title}`\n\n{}{absent}\n", key.about));
}

pub(crate) fn item(text: &mut String, key: &Key, prefix: &str) {
    let name = key.path.strip_prefix(prefix).unwrap_or(key.path);
    let default = match key.default {
        Default::Is(value) => format!("default `{value}`"),
        Default::Required => "must be given".to_owned(),
        Default::Absent("nothing") => "no default".to_owned(),
        Default::Absent(words) => format!("default: {words}"),
    };
    let allowed = match key.kind {
        Kind::Shape(_) | Kind::Shapes(_) | Kind::Choice(_) | Kind::Choices(_) => key.kind.allowed().replace('|', "\\|"),
        _ => key.kind.allowed(),
    };
    let metric = key.metric.map_or_else(String::new, |metric| format!(" How near: `{metric}`."));
    line(text, &format!("- **`{name}`** – {} *{allowed}; {default}.*{metric}", key.about));
}

fn limits(text: &mut String, keys: &[Key]) {
    text.push_str("\n## Limits and how near they are\n\n| Key | Default | Metric |\n| --- | --- | --- |\n");
    for (key, metric) in keys.iter().filter_map(|key| key.metric.map(|metric| (key, metric))) {
        let default = match key.default {
            Default::Is(value) => format!("`{value}`"),
            Default::Required => "–".into(),
            Default::Absent(words) => words.into(),
        };
        line(text, &format!("| `{}` | {default} | `{metric}` |", key.path));
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}
