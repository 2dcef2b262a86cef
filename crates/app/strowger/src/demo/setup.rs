//! What the demonstration needs before it starts: a folder, users, a certificate, a configuration on free ports.

use anyhow::Context as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use sx_config::Config;
use sx_net::tls::{Pem, TrustAnchors};
use sx_phone::Server;
use sx_sip::digest::{Algorithm, Ha1};
use sx_store::{DataFolder, UserRecord};
use sx_types::Transport;

/// What was prepared.
pub struct Setup {
    pub config: Config,
    pub data: PathBuf,
    pub certificate: PathBuf,
    /// Where the exchange sends copies of its signalling.
    pub collector: UdpSocket,
    passwords: Vec<(String, String)>,
    // Goes last, and takes the files with it.
    _folder: Option<TemporaryFolder>,
}

/// A folder that nobody else can read or has prepared, and that is gone with its owner.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// A new one, under a name nobody can guess.
    fn create() -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("strowger-demo-{}", crate::cli::random_password()?));
        // Not `create_dir_all`: what is there already, a link for one, is another's.
        let created = std::fs::DirBuilder::new().mode(0o700).create(&path);
        created.with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // What cannot be removed stays for whoever cleans the system's folder of temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Setup {
    /// Prepares everything in `data`, or in a new temporary folder.
    pub fn prepare(data: Option<&Path>, once: bool) -> anyhow::Result<Self> {
        let (data, folder) = match data {
            Some(data) => {
                std::fs::create_dir_all(data).with_context(|| format!("cannot create {}", data.display()))?;
                (data.to_owned(), None)
            }
            None => {
                let folder = TemporaryFolder::create()?;
                (folder.0.clone(), Some(folder))
            }
        };
        let (certificate, key) = make_certificate(&data)?;
        let collector = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let config = configuration(&data, &certificate, &key, collector.local_addr()?, once)?;
        let passwords = add_users(&data, &config)?;
        Ok(Self { config, data, certificate, collector, passwords, _folder: folder })
    }

    /// The exchange's domain.
    pub fn domain(&self) -> &str {
        &self.config.exchange.domains[0]
    }

    /// A user's password.
    pub fn password_of(&self, user: &str) -> &str {
        self.passwords.iter().find(|(name, _)| name == user).map_or("", |(_, password)| password)
    }

    /// The exchange over TLS, its certificate checked.
    pub fn tls_server(&self, address: SocketAddr) -> Server {
        let mut server = Server::new(Transport::Tls, address);
        server.tls.name = Some(self.domain().to_owned());
        server.tls.trust = TrustAnchors::Files(vec![Pem::File(self.certificate.clone())]);
        server
    }
}

/// The address to reach a listener at from this host.
pub fn loopback(bound: SocketAddr) -> SocketAddr {
    let ip = if bound.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { bound.ip() };
    SocketAddr::new(ip, bound.port())
}

fn make_certificate(data: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (data.join("demo-certificate.pem"), data.join("demo-key.pem"));
    if !certificate.exists() || !key.exists() {
        let made =
            rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).context("cannot make a certificate")?;
        std::fs::write(&certificate, made.cert.pem())?;
        write_private(&key, made.signing_key.serialize_pem().as_bytes())?;
    }
    Ok((certificate, key))
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(bytes)
}

/// The embedded defaults, on the usual ports where these are free; a run that ends by itself disturbs nobody's ports.
fn configuration(
    data: &Path,
    certificate: &Path,
    key: &Path,
    collector: SocketAddr,
    once: bool,
) -> anyhow::Result<Config> {
    let sip = if once { free_port(0)? } else { free_port(5060)? };
    let tls = if once { free_port(0)? } else { free_port(5061)? };
    let http = if once { free_port(0)? } else { free_port(8080)? };
    let ip = if once { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let text = format!(
        r#"
[exchange]
domains = ["localhost"]
data = "{data}"
[sip]
listen = [
  {{ transport = "udp", address = "{ip}:{sip}" }},
  {{ transport = "tcp", address = "{ip}:{sip}" }},
  {{ transport = "tls", address = "{ip}:{tls}" }},
]
[sip.tls]
certificate = "{certificate}"
key = "{key}"
[registrar]
# A telephone that is at hand most likely knows no other; some stop at a challenge they do not know.
algorithms = ["MD5"]
[media]
interfaces = [{{ name = "default", bind = ["{ip}"] }}]
[http]
listen = "127.0.0.1:{http}"
[hep]
address = "{collector}"
"#,
        data = data.display(),
        certificate = certificate.display(),
        key = key.display(),
    );
    Config::from_text(&text).map_err(|errors| {
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the demonstration's configuration is wrong: {}", all.join("; "))
    })
}

/// The wanted port when UDP and TCP both have it free, else one that the system chooses.
fn free_port(wanted: u16) -> anyhow::Result<u16> {
    for port in [wanted, 0] {
        let Ok(tcp) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) else { continue };
        let port = tcp.local_addr()?.port();
        if UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no free port")
}

fn add_users(data: &Path, config: &Config) -> anyhow::Result<Vec<(String, String)>> {
    let folder = DataFolder::open(data)?;
    let mut users = folder.shared().users()?;
    let domain = &config.exchange.domains[0];
    let mut passwords = Vec::new();
    for name in ["alice", "bob"] {
        let password = crate::cli::random_password()?;
        let hash = |algorithm| Ha1::new(algorithm, name, &config.sip.realm, &password);
        let _ = users.remove(name, domain);
        users.add(&UserRecord {
            name: name.into(),
            domain: domain.as_ref().into(),
            ha1_md5: hash(Algorithm::Md5).bytes().try_into().context("MD5 has 16 bytes")?,
            ha1_sha256: hash(Algorithm::Sha256).bytes().try_into().context("SHA-256 has 32 bytes")?,
        })?;
        passwords.push((name.to_owned(), password));
    }
    Ok(passwords)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temporary_folder_is_private_and_goes_with_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let (one, other) = (TemporaryFolder::create().expect("a folder"), TemporaryFolder::create().expect("a folder"));
        let path = one.0.clone();
        assert_ne!(path, other.0);
        assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o700);
        std::fs::write(path.join("file"), "x").expect("a file");
        drop(one);
        assert!(!path.exists());
    }
}
