//! The packages of the workspace and those they depend on, as `cargo metadata` tells them.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All packages that a build for this machine uses.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Packages {
    pub packages: Vec<Package>,
    pub workspace_root: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Package {
    pub name: String,
    pub version: String,
    /// `None` for a package of the workspace.
    pub source: Option<String>,
    /// An SPDX expression.
    pub license: Option<String>,
    pub manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Dependency {
    pub name: String,
    pub kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Dev,
    Build,
}

/// Asks cargo.
pub(crate) fn read(root: &Path) -> Result<Packages> {
    let metadata = cargo(root, &["metadata", "--format-version", "1", "--filter-platform", &host()?])?;
    let mut packages: Packages =
        serde_json::from_str(&metadata).context("cargo metadata answered in an unknown form")?;
    // Metadata also names what the lock file has for features that nobody asks for; the tree does not.
    let tree = cargo(root, &["tree", "--workspace", "--edges", "all", "--prefix", "none", "--format", "{p}"])?;
    let used = names_and_versions(&tree);
    packages.packages.retain(|package| used.contains(&(package.name.as_str(), package.version.as_str())));
    Ok(packages)
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo {} failed:\n{}", arguments[0], String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).context("cargo does not write UTF-8")
}

/// Reads lines such as `serde v1.0.229 (*)`.
fn names_and_versions(tree: &str) -> BTreeSet<(&str, &str)> {
    tree.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?.strip_prefix('v')?))
        })
        .collect()
}

/// The platform of this machine: packages for others are neither built nor fetched here.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("rustc does not name its host")?.to_owned())
}

impl Packages {
    /// The packages of the workspace.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|p| p.source.is_none())
    }

    /// The manifest's path from the root of the workspace.
    pub fn manifest<'a>(&self, package: &'a Package) -> &'a Path {
        package.manifest_path.strip_prefix(&self.workspace_root).unwrap_or(&package.manifest_path)
    }

    /// The layer of a package of the workspace: the folder below `crates/`, or `tool`.
    pub fn layer<'a>(&self, package: &'a Package) -> &'a str {
        let mut folders = self.manifest(package).components().map(|c| c.as_os_str().to_str().unwrap_or_default());
        match (folders.next(), folders.next()) {
            (Some("crates"), Some(layer)) => layer,
            _ => "tool",
        }
    }
}

#[cfg(test)]
impl Package {
    /// A package of a test.
    pub fn fixture(path: &str, name: &str, dependencies: &[(&str, Option<Kind>)]) -> Self {
        let dependencies = dependencies.iter().map(|(n, kind)| Dependency { name: (*n).to_owned(), kind: *kind });
        Self {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            source: None,
            license: None,
            manifest_path: format!("/root/{path}/Cargo.toml").into(),
            dependencies: dependencies.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_cargo_tree_writes() {
        let tree = "sx-sip v0.1.0 (/a/b)\nserde_derive v1.0.2 (proc-macro)\nbytes v1.12.1 (*)\n\n";
        let expected = [("bytes", "1.12.1"), ("serde_derive", "1.0.2"), ("sx-sip", "0.1.0")];
        assert!(names_and_versions(tree).into_iter().eq(expected));
    }
}
