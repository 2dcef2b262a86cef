//! A data folder and a configuration of its own, and the built program in front of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A folder that is removed at the end.
pub struct Bed {
    folder: TempDir,
}

/// What one run of the program has left.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    #[allow(dead_code, reason = "not every file of tests needs it")]
    pub err: String,
}

impl Bed {
    /// An exchange that serves two domains, has its data in `data`, and has not run yet.
    pub fn new() -> Self {
        let bed = Self { folder: tempfile::tempdir().expect("a folder") };
        bed.write("strowger.toml", "[exchange]\ndomains = [\"example.org\", \"example.net\"]\ndata = \"data\"\n");
        bed
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data folder.
    #[allow(dead_code, reason = "not every file of tests needs it")]
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Runs the program in the folder.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, "", &[])
    }

    /// Runs the program in the folder with this on its standard input and these environment variables.
    pub fn run_with(&self, arguments: &[&str], input: &str, variables: &[(&str, &str)]) -> Run {
        run(self.folder.path(), arguments, input, variables)
    }

    /// Runs the program, which must succeed; what it has printed.
    #[allow(dead_code, reason = "not every file of tests needs it")]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, Some(0), "{arguments:?}: {run:?}");
        run.out
    }
}

fn run(folder: &Path, arguments: &[&str], input: &str, variables: &[(&str, &str)]) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_strowger"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that does not read its input may have ended already.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}
