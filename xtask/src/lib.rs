//! The house rules that a machine can check and that neither the compiler nor clippy does.
//!
//! [`tidy`] reads the workspace (its sources, and its packages as `cargo metadata` tells them) and runs every rule
//! over it. It deliberately does not parse Rust: [`Source`] tells code, comments and tests apart by characters, which
//! is all the rules need and keeps the tool small. `cargo test` runs it over this very workspace.
//!
//! ```
//! use std::path::Path;
//! let source = xtask::Source::new(Path::new("src/lib.rs"), "//! What it is.\nfn f() {} // why\n");
//! assert_eq!(source.code_lines().collect::<Vec<_>>(), ["", "fn f() {}"]);
//! ```

mod finding;
mod packages;
mod rules;
mod source;
mod spdx;
mod tree;

pub use finding::{Finding, Severity};
pub use source::Source;

use anyhow::Result;
use std::path::Path;

/// Everything that breaks a rule in the workspace at `root`, errors first, then by place.
///
/// # Errors
/// When the workspace cannot be read, `cargo metadata` fails, or a table of the rules is malformed.
pub fn tidy(root: &Path) -> Result<Vec<Finding>> {
    let tree = tree::read(root)?;
    let packages = packages::read(root)?;
    let mut findings = Vec::new();
    for source in &tree.sources {
        findings.extend(rules::headers::check(source));
        findings.extend(rules::size::check(source));
        findings.extend(rules::engines::check(source));
        findings.extend(rules::calls::check(source));
    }
    for text in &tree.texts {
        findings.extend(rules::words::check(text));
    }
    findings.extend(rules::layers::check(&rules::layers::Table::read(root)?, &packages));
    findings.extend(rules::licences::check(&rules::licences::Policy::read(root)?, &packages));
    findings.extend(rules::register::check_workspace(root)?);
    findings.sort();
    Ok(findings)
}
