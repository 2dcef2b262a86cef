//! Who may depend on whom: `xtask/layers.toml` held against what the manifests say.

use crate::finding::Finding;
use crate::packages::{Dependency, Kind, Package, Packages};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const PATH: &str = "xtask/layers.toml";

/// The table of the layers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// For each layer the layers it may depend on.
    layers: BTreeMap<String, Vec<String>>,
    /// Layers that others see in their tests only.
    dev_only: Vec<String>,
    /// Pairs of crates that may although their layers may not.
    #[serde(default)]
    listed: Vec<Listed>,
    /// Packages from elsewhere that some layers only may name.
    #[serde(default)]
    outside: Vec<Outside>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    from: String,
    to: String,
    reason: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outside {
    names: Vec<String>,
    layers: Vec<String>,
    reason: String,
}

impl Table {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let text = fs::read_to_string(root.join(PATH)).with_context(|| format!("cannot read {PATH}"))?;
        toml::from_str(&text).with_context(|| format!("{PATH} is malformed"))
    }

    fn is_listed(&self, from: &str, to: &str) -> bool {
        self.listed.iter().any(|pair| pair.from == from && pair.to == to)
    }
}

pub(crate) fn check(table: &Table, packages: &Packages) -> Vec<Finding> {
    let layers: BTreeMap<&str, &str> = packages.members().map(|p| (p.name.as_str(), packages.layer(p))).collect();
    let mut findings = check_table(table, packages);
    for package in packages.members() {
        for dependency in &package.dependencies {
            let message = match layers.get(dependency.name.as_str()) {
                Some(layer) => check_inside(table, package, packages.layer(package), dependency, layer),
                None => check_outside(table, package, packages.layer(package), dependency),
            };
            findings.extend(message.map(|m| Finding::error(packages.manifest(package), 1, m)));
        }
    }
    findings
}

/// A dependency on a package of the workspace.
fn check_inside(table: &Table, package: &Package, from: &str, dependency: &Dependency, to: &str) -> Option<String> {
    let Some(may) = table.layers.get(from) else {
        return Some(format!("the layer `{from}` does not stand in {PATH}"));
    };
    if table.dev_only.iter().any(|layer| layer == to) {
        let allowed = dependency.kind == Some(Kind::Dev) || from == to;
        return (!allowed).then(|| format!("`{}` may be a dev-dependency only", dependency.name));
    }
    if may.iter().any(|layer| layer == to) || table.is_listed(&package.name, &dependency.name) {
        return None;
    }
    Some(format!(
        "`{}` ({from}) may not depend on `{}` ({to}): turn the dependency round, or list the pair with its reason in \
         {PATH}",
        package.name, dependency.name
    ))
}

/// A dependency on a package from elsewhere. Tests may use what they like.
fn check_outside(table: &Table, package: &Package, from: &str, dependency: &Dependency) -> Option<String> {
    let rule = table.outside.iter().find(|rule| rule.names.contains(&dependency.name))?;
    let allowed = dependency.kind == Some(Kind::Dev) || rule.layers.iter().any(|layer| layer == from);
    (!allowed).then(|| {
        let reason = &rule.reason;
        format!("`{}` ({from}) may not depend on `{}`: {reason}", package.name, dependency.name)
    })
}

/// Entries of the table itself that are wrong or no longer needed.
fn check_table(table: &Table, packages: &Packages) -> Vec<Finding> {
    let path = Path::new(PATH);
    let mut findings = Vec::new();
    for pair in &table.listed {
        let name = format!("`{}` to `{}`", pair.from, pair.to);
        let from = packages.members().find(|p| p.name == pair.from);
        if pair.reason.len() < 10 {
            findings.push(Finding::error(path, 1, format!("{name} is listed without a reason")));
        }
        match from {
            None => findings.push(Finding::error(path, 1, format!("{name}: there is no such crate"))),
            Some(from) if from.dependencies.iter().all(|d| d.name != pair.to) => {
                findings.push(Finding::warning(path, 1, format!("{name} is listed and not used: remove it")));
            }
            Some(_) => {}
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;

    const TABLE: &str = r#"
        dev_only = ["test"]
        [layers]
        base = []
        proto = ["base"]
        app = ["base", "proto", "app"]
        test = ["base"]
        [[listed]]
        from = "sx-rtp"
        to = "sx-sdp"
        reason = "payload types are negotiated there"
        [[outside]]
        names = ["tokio"]
        layers = ["app"]
        reason = "an engine does not know what drives it"
    "#;

    fn package(path: &str, name: &str, dependencies: &[(&str, Option<Kind>)]) -> Package {
        Package::fixture(path, name, dependencies)
    }

    /// What is found when `from` depends on `to`.
    #[track_caller]
    fn check_pair(from: (&str, &str), to: (&str, &str), kind: Option<Kind>, expected: &[&str]) {
        let table: Table = toml::from_str(TABLE).expect("the table of the test is well formed");
        let packages = Packages {
            packages: vec![
                package(from.0, from.1, &[(to.1, kind)]),
                package(to.0, to.1, &[]),
                package("crates/proto/rtp", "sx-rtp", &[("sx-sdp", None)]),
                package("crates/proto/sdp", "sx-sdp", &[]),
            ],
            workspace_root: "/root".into(),
        };
        let found: Vec<String> = check(&table, &packages).into_iter().map(|f| f.message).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        assert!(found.iter().zip(expected).all(|(f, e)| f.contains(e)), "{found:?}");
    }

    const SIP: (&str, &str) = ("crates/proto/sip", "sx-sip");
    const TYPES: (&str, &str) = ("crates/base/types", "sx-types");
    const EXCHANGE: (&str, &str) = ("crates/app/exchange", "sx-exchange");
    const TESTKIT: (&str, &str) = ("crates/test/testkit", "sx-testkit");

    #[test]
    fn dependencies_point_down() {
        check_pair(SIP, TYPES, None, &[]);
        check_pair(EXCHANGE, SIP, None, &[]);
        check_pair(TYPES, SIP, None, &["`sx-types` (base) may not depend on `sx-sip` (proto)"]);
        check_pair(SIP, EXCHANGE, Some(Kind::Dev), &["may not depend on `sx-exchange`"]);
        check_pair(SIP, ("crates/proto/stun", "sx-stun"), None, &["may not depend on `sx-stun`"]);
    }

    #[test]
    fn the_testkit_is_for_tests_only() {
        check_pair(SIP, TESTKIT, Some(Kind::Dev), &[]);
        check_pair(SIP, TESTKIT, None, &["dev-dependency only"]);
        check_pair(SIP, TESTKIT, Some(Kind::Build), &["dev-dependency only"]);
    }

    #[test]
    fn an_unknown_layer_is_an_error() {
        check_pair(("crates/extra/x", "sx-x"), TYPES, None, &["does not stand in"]);
    }

    #[test]
    fn some_packages_are_for_some_layers_only() {
        let table: Table = toml::from_str(TABLE).expect("the table of the test is well formed");
        for (path, name, kind, expected) in
            [(SIP.0, SIP.1, None, 1), (SIP.0, SIP.1, Some(Kind::Dev), 0), (EXCHANGE.0, EXCHANGE.1, None, 0)]
        {
            let rtp = package("crates/proto/rtp", "sx-rtp", &[("sx-sdp", None)]);
            let sdp = package("crates/proto/sdp", "sx-sdp", &[]);
            let packages = vec![package(path, name, &[("tokio", kind)]), rtp, sdp];
            let packages = Packages { packages, workspace_root: "/root".into() };
            assert_eq!(check(&table, &packages).len(), expected, "{name} {kind:?}");
        }
    }

    #[test]
    fn a_listed_pair_that_is_not_used_is_shown() {
        let table: Table = toml::from_str(TABLE).expect("the table of the test is well formed");
        let rtp = package("crates/proto/rtp", "sx-rtp", &[]);
        let packages = Packages { packages: vec![rtp], workspace_root: "/root".into() };
        let found = check(&table, &packages);
        assert_eq!(found.iter().map(|f| f.severity).collect::<Vec<_>>(), [Severity::Warning]);
        let nobody = Packages { packages: vec![], workspace_root: "/root".into() };
        assert_eq!(check(&table, &nobody)[0].severity, Severity::Error);
    }
}
