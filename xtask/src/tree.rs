//! The files of the workspace.

use crate::source::Source;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A file that is not Rust, or Rust read as text.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    /// The path from the root of the workspace.
    pub path: PathBuf,
    pub text: String,
}

/// What the rules look at.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub sources: Vec<Source>,
    /// All files, Rust included.
    pub texts: Vec<Text>,
}

/// Folders that hold nothing written by hand.
const SKIPPED: [&str; 7] = ["target", "data", "corpus", "seeds", "artifacts", "coverage", "__pycache__"];

/// Hidden folders that are looked into all the same.
const HIDDEN: [&str; 2] = [".ci", ".cargo"];

/// Endings of what is written by hand and is text. A file without an ending is looked at when it is text.
const TEXTS: [&str; 10] = ["rs", "md", "toml", "sh", "py", "yml", "yaml", "xml", "html", "cfg"];

/// Reads every file that the rules look at.
pub(crate) fn read(root: &Path) -> Result<Tree> {
    let mut paths = Vec::new();
    walk(root, &mut paths)?;
    paths.sort();
    let mut tree = Tree::default();
    for path in paths {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) if path.extension().is_none() => continue,
            Err(_) => bail!("{} is not UTF-8", path.display()),
        };
        let path = path.strip_prefix(root).unwrap_or(&path).to_owned();
        if path.extension().is_some_and(|e| e == "rs") {
            tree.sources.push(Source::new(&path, &text));
        }
        tree.texts.push(Text { path, text });
    }
    mark_test_modules(&mut tree.sources);
    Ok(tree)
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if entry.file_type()?.is_dir() {
            if !SKIPPED.contains(&name.as_str()) && (!name.starts_with('.') || HIDDEN.contains(&name.as_str())) {
                walk(&path, paths)?;
            }
        } else if path.extension().is_none_or(|e| TEXTS.iter().any(|text| e == *text)) {
            paths.push(path);
        }
    }
    Ok(())
}

/// A module declared under `#[cfg(test)]` is test code although its own file does not say so.
fn mark_test_modules(sources: &mut [Source]) {
    let mut tests = BTreeSet::new();
    for source in sources.iter() {
        let parent = source.path().parent().unwrap_or(Path::new(""));
        let stem = source.path().file_stem().unwrap_or_default();
        let folder = if ["lib", "main", "mod"].iter().any(|s| stem == *s) { parent.into() } else { parent.join(stem) };
        for module in source.test_modules() {
            tests.insert(folder.join(format!("{module}.rs")));
            tests.insert(folder.join(module).join("mod.rs"));
        }
    }
    for source in sources.iter_mut().filter(|s| tests.contains(s.path())) {
        *source = source.clone().into_test();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_declared_for_tests_only_is_test_code() {
        let file = |path: &str, text: &str| Source::new(Path::new(path), text);
        let mut sources = [
            file("a/src/lib.rs", "mod x;\n#[cfg(test)]\nmod fixtures;\n"),
            file("a/src/fixtures.rs", "fn f() {}"),
            file("a/src/x.rs", "#[cfg(test)]\nmod fixtures;\nfn g() {}"),
            file("a/src/x/fixtures.rs", "fn f() {}"),
        ];
        mark_test_modules(&mut sources);
        assert_eq!(sources.map(|s| s.is_test(1)), [false, true, true, true]);
    }
}
