//! Files: the main one, those it includes, and those that hold secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use sx_config::Config;

/// A directory that goes away with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sx-config-{name}-{}", std::process::id()));
        // A test that was stopped may have left it.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("conf.d")).expect("a directory");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    fn load(&self) -> Result<Config, Vec<String>> {
        Config::load(&self.0.join("main.toml"), []).map_err(|errors| {
            let base = format!("{}/", self.0.display());
            errors.iter().map(|error| error.to_string().replace(&base, "")).collect()
        })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn included_files_are_read_in_the_order_of_their_names() {
    let directory = Directory::new("order");
    directory.write("main.toml", "include = [\"conf.d/*.toml\"]\n[[trunk]]\nname = \"main\"\nsources = [\"10.0.0.1\"]");
    directory.write("conf.d/20-b.toml", "[[trunk]]\nname = \"b\"\nsources = [\"10.0.0.3\"]");
    directory.write("conf.d/10-a.toml", "[sip]\nt1_ms = 300\n[[trunk]]\nname = \"a\"\nsources = [\"10.0.0.2\"]");
    directory.write("conf.d/readme.txt", "not read");
    directory.write("conf.d/.hidden.toml", "not read");
    let config = directory.load().expect("a good configuration");
    let names: Vec<&str> = config.trunks.iter().map(|trunk| &*trunk.name).collect();
    assert_eq!(names, ["main", "a", "b"]);
    assert_eq!(config.sip.t1.as_millis(), 300);
    assert_eq!(config.exchange.data, directory.0.join("./strowger-data"));
}

#[test]
fn a_key_said_in_two_files_is_an_error_that_names_both() {
    let directory = Directory::new("twice");
    directory.write("main.toml", "include = [\"conf.d/*.toml\"]\n[sip]\nt1_ms = 300");
    directory.write("conf.d/a.toml", "\n[sip]\n\nt1_ms = 300\nt1ms = 1");
    let errors = directory.load().expect_err("a key said twice");
    assert_eq!(
        errors,
        [
            "conf.d/a.toml:4: sip.t1_ms: said twice; first in main.toml:3",
            "conf.d/a.toml:5: sip.t1ms: unknown key; did you mean \"t1_ms\"?"
        ]
    );
}

#[test]
fn a_file_that_is_missing_or_includes_others_is_an_error() {
    let directory = Directory::new("missing");
    assert_eq!(
        directory.load().expect_err("no file"),
        ["main.toml: cannot be read: No such file or directory (os error 2)"]
    );
    directory.write("main.toml", "include = [\"none.toml\", \"conf.d/*.toml\", \"nowhere/*.toml\"]");
    directory.write("conf.d/a.toml", "include = []");
    assert_eq!(
        directory.load().expect_err("no file"),
        [
            "conf.d/a.toml:1: include: an included file may not include others",
            "none.toml: cannot be read: No such file or directory (os error 2)"
        ]
    );
    directory.write("main.toml", "include = [\"conf.d\"]");
    assert_eq!(directory.load().expect_err("a directory"), ["conf.d: cannot be read: a directory; name a file in it"]);
}

#[test]
fn a_secret_file_must_be_closed_to_others() {
    let directory = Directory::new("secret");
    directory.write("main.toml", "[hep]\naddress = \"h\"\npassword = { file = \"pw\" }");
    assert_eq!(
        directory.load().expect_err("no file"),
        ["main.toml:3: hep.password = <secret>: pw: No such file or directory (os error 2)"]
    );
    let path = directory.write("pw", "hunter2\n");
    for (mode, open) in [(0o644, true), (0o640, true), (0o604, true), (0o601, true), (0o600, false), (0o400, false)] {
        set_mode(&path, mode);
        match directory.load() {
            Err(errors) => {
                assert!(open, "{mode:o}");
                let expected =
                    format!("main.toml:3: hep.password = <secret>: pw has mode {mode:04o}; allowed: 0600 or stricter");
                assert_eq!(errors, [expected]);
            }
            Ok(config) => {
                assert!(!open, "{mode:o}");
                assert_eq!(config.hep.expect("hep").password.expect("a password").expose(), "hunter2");
            }
        }
    }
    directory.write("main.toml", "[hep]\naddress = \"h\"\npassword = { file = \"/dev/zero\" }");
    assert_eq!(
        directory.load().expect_err("a device"),
        ["main.toml:3: hep.password = <secret>: /dev/zero: not a regular file"]
    );
    directory.write("main.toml", "[hep]\naddress = \"h\"\npassword = { file = \"pw\" }");
    set_mode(&path, 0o600);
    directory.write("pw", "\n");
    assert_eq!(directory.load().expect_err("empty"), ["main.toml:3: hep.password = <secret>: the secret is empty"]);
}

#[test]
fn certificates_that_are_not_there_are_found_at_once() {
    let directory = Directory::new("certificates");
    directory.write("main.toml", "[sip.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\ntrust = [\"t.pem\"]");
    directory.write("c.pem", "");
    assert_eq!(
        directory.load().expect_err("no key"),
        [
            "main.toml:3: sip.tls.key = \"k.pem\": cannot be read: No such file or directory (os error 2)",
            "main.toml:4: sip.tls.trust = \"t.pem\": cannot be read: No such file or directory (os error 2)"
        ]
    );
    directory.write("k.pem", "");
    directory.write("t.pem", "");
    let config = directory.load().expect("a good configuration");
    assert_eq!(config.sip.tls.trust, [directory.0.join("t.pem")]);
}

#[test]
fn the_example_of_the_reference_is_a_good_configuration() {
    let directory = Directory::new("example");
    let reference = sx_config::reference();
    let example = reference.split("```").nth(1).and_then(|block| block.strip_prefix("toml\n")).expect("an example");
    let path = directory.write("main.toml", example);
    let config = Config::load(&path, [("CARRIER_PASSWORD".to_owned(), "hunter2".to_owned())]).expect("the example");
    assert_eq!((config.trunks.len(), config.routes.len()), (1, 1));
}
