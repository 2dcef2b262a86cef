//! Each dependency has its line in `docs/dependencies.md`, and each line its dependency.

use crate::finding::Finding;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

const REGISTER: &str = "docs/dependencies.md";
const MANIFEST: &str = "Cargo.toml";

pub(crate) fn check_workspace(root: &Path) -> Result<Vec<Finding>> {
    let read = |path| fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"));
    check(&read(MANIFEST)?, &read(REGISTER)?)
}

fn check(manifest: &str, register: &str) -> Result<Vec<Finding>> {
    let table: toml::Table = manifest.parse().with_context(|| format!("{MANIFEST} is malformed"))?;
    let dependencies = table
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(toml::Value::as_table)
        .with_context(|| format!("{MANIFEST} has no workspace.dependencies"))?;
    let outside: Vec<&str> =
        dependencies.iter().filter(|(_, value)| value.get("path").is_none()).map(|(name, _)| name.as_str()).collect();
    let rows: Vec<(usize, &str)> = register
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, line.strip_prefix("| `")?.split('`').next()?)))
        .collect();
    let missing = outside.iter().filter(|name| rows.iter().all(|(_, row)| row != *name)).map(|name| {
        let message = format!("`{name}` has no line in {REGISTER}: what for, why this one, what else was weighed");
        Finding::error(Path::new(MANIFEST), 1, message)
    });
    let stale = rows.iter().filter(|(_, row)| !outside.contains(row)).map(|(line, row)| {
        Finding::error(Path::new(REGISTER), *line, format!("`{row}` is not a dependency of the workspace"))
    });
    Ok(missing.chain(stale).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn register_and_manifest_agree() {
        let manifest = "[workspace.dependencies]\nsx-sip = { path = \"a\" }\nbytes = \"1\"\nlibc = \"0.2\"\n";
        let check_count = |register: &str, expected: usize| {
            assert_eq!(check(manifest, register).expect("well formed").len(), expected, "{register}");
        };
        check_count("| `bytes` | x |\n| `libc` | x |\n", 0);
        check_count("| `bytes` | x |\n", 1);
        check_count("| `bytes` | x |\n| `libc` | x |\n| `gone` | x |\n", 1);
        check_count("", 2);
    }
}
