//! Licences and origins of what is linked, against `deny.toml`, so that they are checked where cargo-deny is not
//! installed as well.

use crate::finding::Finding;
use crate::packages::{Package, Packages};
use crate::spdx;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::fs;
use std::path::Path;

const PATH: &str = "deny.toml";

/// Where packages may come from.
const ORIGIN: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The parts of cargo-deny's configuration that are checked here.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Policy {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Clone, Debug, Deserialize)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Clone, Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Clone, Debug, Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

impl Policy {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let text = fs::read_to_string(root.join(PATH)).with_context(|| format!("cannot read {PATH}"))?;
        toml::from_str(&text).with_context(|| format!("{PATH} is malformed"))
    }
}

pub(crate) fn check(policy: &Policy, packages: &Packages) -> Vec<Finding> {
    packages
        .packages
        .iter()
        .flat_map(|package| [check_licence(policy, package), check_ban(policy, package), check_origin(package)])
        .flatten()
        .map(|message| Finding::error(Path::new(PATH), 1, message))
        .collect()
}

fn check_licence(policy: &Policy, package: &Package) -> Option<String> {
    let Package { name, version, license, .. } = package;
    let Some(expression) = license else {
        return Some(format!("{name} {version} names no licence"));
    };
    let exceptions = policy.licenses.exceptions.iter().filter(|e| e.name == *name).flat_map(|e| &e.allow);
    let allowed: Vec<String> = policy.licenses.allow.iter().chain(exceptions).cloned().collect();
    let message = || format!("{name} {version} is under `{expression}`, which is not allowed");
    (!spdx::is_allowed(expression, &allowed)).then(message)
}

fn check_ban(policy: &Policy, package: &Package) -> Option<String> {
    let ban = policy.bans.deny.iter().find(|ban| ban.name == package.name)?;
    Some(format!("{} {} may not be used: {}", package.name, package.version, ban.reason))
}

fn check_origin(package: &Package) -> Option<String> {
    let origin = package.source.as_ref()?;
    let message = || format!("{} {} comes from {origin}", package.name, package.version);
    (origin != ORIGIN).then(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
        [licenses]
        allow = ["MIT", "Apache-2.0"]
        exceptions = [{ crate = "tables", allow = ["Unicode-3.0"] }]
        [bans]
        deny = [{ crate = "openssl", reason = "one provider of cryptography" }]
    "#;

    #[track_caller]
    fn check_package(name: &str, license: Option<&str>, source: Option<&str>, expected: &[&str]) {
        let policy: Policy = toml::from_str(POLICY).expect("the policy of the test is well formed");
        let mut package = Package::fixture("a", name, &[]);
        package.license = license.map(str::to_owned);
        package.source = source.map(str::to_owned);
        let packages = Packages { packages: vec![package], workspace_root: "/a".into() };
        let found: Vec<String> = check(&policy, &packages).into_iter().map(|f| f.message).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn only_allowed_licences_are_linked() {
        check_package("a", Some("MIT OR GPL-3.0-only"), Some(ORIGIN), &[]);
        check_package("a", Some("GPL-3.0-only"), None, &["a 1.0.0 is under `GPL-3.0-only`, which is not allowed"]);
        check_package("a", None, Some(ORIGIN), &["a 1.0.0 names no licence"]);
        check_package("tables", Some("Unicode-3.0"), Some(ORIGIN), &[]);
    }

    #[test]
    fn bans_and_origins_are_held() {
        check_package("openssl", Some("MIT"), None, &["openssl 1.0.0 may not be used: one provider of cryptography"]);
        check_package("a", Some("MIT"), Some("git+https://x"), &["a 1.0.0 comes from git+https://x"]);
    }
}
