//! Folders and ports for exchanges that are there for a while.

use anyhow::Context as _;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

/// A folder that nobody else can read or has prepared, and that is gone with its owner.
pub struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// A new one, under a name nobody can guess.
    pub fn create(purpose: &str) -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("strowger-{purpose}-{}", crate::cli::random_password()?));
        // Not `create_dir_all`: what is there already, a link for one, is another's.
        let created = std::fs::DirBuilder::new().mode(0o700).create(&path);
        created.with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // What cannot be removed stays for whoever cleans the system's folder of temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The wanted port when UDP and TCP both have it free, else one that the system chooses.
pub fn free_port(wanted: u16) -> anyhow::Result<u16> {
    for port in [wanted, 0] {
        let Ok(tcp) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) else { continue };
        let port = tcp.local_addr()?.port();
        if UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no free port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temporary_folder_is_private_and_goes_with_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let (one, other) =
            (TemporaryFolder::create("test").expect("a folder"), TemporaryFolder::create("test").expect("a folder"));
        let path = one.0.clone();
        assert_ne!(path, other.0);
        assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o700);
        std::fs::write(path.join("file"), "x").expect("a file");
        drop(one);
        assert!(!path.exists());
    }
}
