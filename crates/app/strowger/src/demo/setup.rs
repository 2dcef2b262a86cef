//! What the demonstration needs before it starts: a folder, users, a certificate, a configuration on free ports.

use crate::cli::{DemoOptions, WrongUsage};
use crate::signer::Signer;
use crate::temporary::{TemporaryFolder, free_port};
use crate::wanted::{environment, raise_log_level};
use anyhow::Context as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use sx_config::{Config, ConfigError};
use sx_net::tls::{Pem, TrustAnchors};
use sx_phone::Server;
use sx_sip::digest::{Algorithm, Ha1};
use sx_store::{DataFolder, RegistryKind, SharedFolder, UserRecord};
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

const POLICY_FILE: &str = "policy.toml";

/// Who may do what: every telephone has one of these codecs, and one that has none of them is for the demonstration to refuse.
const POLICY: &str = "\
[gate.codec]
allowed = [\"PCMA\", \"PCMU\", \"opus\"]
";

/// Who answers phones of your own with a tone.
pub const TONE: &str = "tone";
/// Who is in the council's room.
pub const COUNCIL: [&str; 3] = ["carla", "dora", "emil"];
/// What they dial.
pub const ROOM_NUMBER: &str = "5000";
/// Who knows about hazards to safety.
pub const EXPERT: &str = "lind";

impl Setup {
    /// Prepares everything in the folder that was asked for, or in a new temporary one.
    ///
    /// # Errors
    /// [`WrongConfig`] and [`WrongUsage`] among others.
    pub fn prepare(options: &DemoOptions) -> anyhow::Result<Self> {
        let (data, folder) = match &options.data {
            Some(data) => {
                std::fs::create_dir_all(data).with_context(|| format!("cannot create {}", data.display()))?;
                (data.clone(), None)
            }
            None => {
                let folder = TemporaryFolder::create("demo")?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        let (certificate, key) = make_certificate(&data)?;
        let policy = data.join(POLICY_FILE);
        if !policy.exists() {
            std::fs::write(&policy, POLICY).with_context(|| format!("cannot write {}", policy.display()))?;
        }
        let collector = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let own = configuration(&data, &certificate, &key, collector.local_addr()?, options.once)?;
        let mut config = overridden(&own, environment())?;
        raise_log_level(&mut config, options.verbose);
        let passwords = add_users(&data, &config)?;
        add_expert(&data)?;
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

/// What phones may know the exchange by.
fn names() -> Vec<String> {
    let ips = [Ipv4Addr::LOCALHOST.into(), crate::serve::outward_ip(), IpAddr::from(std::net::Ipv6Addr::LOCALHOST)];
    let mut names = vec!["localhost".to_owned()];
    for ip in ips.map(|ip| ip.to_string()) {
        if !names.contains(&ip) {
            names.push(ip);
        }
    }
    names
}

fn make_certificate(data: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (data.join("demo-certificate.pem"), data.join("demo-key.pem"));
    if !certificate.exists() || !key.exists() {
        let made = rcgen::generate_simple_self_signed(names()).context("cannot make a certificate")?;
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
) -> anyhow::Result<String> {
    let sip = if once { free_port(0)? } else { free_port(5060)? };
    let tls = if once { free_port(0)? } else { free_port(5061)? };
    let http = if once { free_port(0)? } else { free_port(8080)? };
    let policy = data.join(POLICY_FILE);
    let api = if once { free_port(0)? } else { free_port(8081)? };
    let ip = if once { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    Ok(format!(
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
[policy]
file = "{policy}"
[api]
listen = "127.0.0.1:{api}"
[[room]]
name = "council"
[[route]]
name = "council"
exact = "{ROOM_NUMBER}"
to = [{{ room = "council" }}]
[escalation]
room = "council"
[hep]
address = "{collector}"
[log]
level = "warn"
"#,
        data = data.display(),
        policy = policy.display(),
        certificate = certificate.display(),
        key = key.display(),
    ))
}

/// What the environment says is wrong, key by key.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is wrong")]
pub struct WrongConfig(pub Vec<ConfigError>);

/// What the demonstration has prepared and relies upon.
const OWN: [&str; 4] = ["exchange.domains", "exchange.data", "sip.tls", "hep"];

/// The configuration with what environment variables say of other keys than [`OWN`].
fn overridden(own: &str, environment: impl IntoIterator<Item = (String, String)>) -> anyhow::Result<Config> {
    let prepared = Config::from_text(own).map_err(WrongConfig)?;
    let config = Config::from_text_with_env(own, environment).map_err(WrongConfig)?;
    for change in sx_config::diff(&prepared, &config) {
        let key = change.key;
        let is_own = |own: &&&str| key.strip_prefix(**own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        if let Some(own) = OWN.iter().find(is_own) {
            return Err(WrongUsage(format!(
                "the demonstration sets {own} itself: take the environment variable for {key} away{}",
                if *own == "exchange.data" { ", and say --data" } else { "" }
            ))
            .into());
        }
    }
    for transport in [Transport::Udp, Transport::Tls] {
        if !config.sip.listen.iter().any(|listen| listen.transport == transport) {
            let message = format!("the demonstration needs an address for {transport} in sip.listen");
            return Err(WrongUsage(message).into());
        }
    }
    Ok(config)
}

fn add_users(data: &Path, config: &Config) -> anyhow::Result<Vec<(String, String)>> {
    let folder = DataFolder::open(data)?;
    let mut users = folder.shared().users()?;
    let domain = &config.exchange.domains[0];
    let mut passwords = Vec::new();
    for name in ["alice", "bob", TONE, EXPERT].into_iter().chain(COUNCIL) {
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

/// The expert, with a key of their own; one that is there since an earlier run stays.
fn add_expert(data: &Path) -> anyhow::Result<()> {
    let mut experts = SharedFolder::attach(data)?.registry(RegistryKind::Experts)?;
    if experts.list()?.iter().any(|entry| &*entry.id == EXPERT) {
        return Ok(());
    }
    let profile = serde_json::json!({
        "id": EXPERT,
        "name": "Dr. Lind",
        "addresses": [EXPERT],
        "specialisations": [{ "subject": "safety", "level": 3 }],
    });
    let (signer, _) = Signer::read_or_make(&data.join(format!("{EXPERT}.key")))?;
    experts.add(&[crate::cli::signed_expert(&serde_json::from_value(profile)?, &signer)?])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_config::LogLevel;

    fn with(variables: &[(&str, &str)]) -> anyhow::Result<Config> {
        let (file, collector) = (Path::new("/file"), SocketAddr::from((Ipv4Addr::LOCALHOST, 9_060)));
        let own = configuration(Path::new("/data"), file, file, collector, true)?;
        overridden(&own, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn the_environment_holds_where_the_demonstration_does_not_rely_on_its_own() {
        let config = with(&[("STROWGER_LOG__LEVEL", "debug"), ("STROWGER_MEDIA__PORTS", "40000-40099")]);
        let config = config.expect("a good configuration");
        assert_eq!((config.log.level, config.media.ports.first), (LogLevel::Debug, 40_000));
        let listen =
            r#"[{ transport = "udp", address = "127.0.0.1:5999" }, { transport = "tls", address = "127.0.0.1:5998" }]"#;
        let config = with(&[("STROWGER_SIP__LISTEN", listen), ("STROWGER_HTTP__LISTEN", "127.0.0.1:9999")]);
        let config = config.expect("a good configuration");
        assert_eq!((config.sip.listen[0].address.port(), config.http.listen.port()), (5_999, 9_999));
    }

    #[test]
    fn what_the_demonstration_relies_on_is_refused_with_its_key() {
        let udp = r#"[{ transport = "udp", address = "127.0.0.1:5999" }]"#;
        for (name, value, expected) in [
            ("STROWGER_EXCHANGE__DOMAINS", r#"["example.org"]"#, "exchange.domains itself"),
            ("STROWGER_EXCHANGE__DATA", "/elsewhere", "say --data"),
            ("STROWGER_SIP__TLS__KEY", "/elsewhere", "sip.tls.key away"),
            ("STROWGER_HEP__ADDRESS", "hep.example", "hep.address away"),
            ("STROWGER_SIP__LISTEN", udp, "an address for tls in sip.listen"),
        ] {
            let error = with(&[(name, value)]).expect_err(name);
            assert!(error.is::<WrongUsage>() && error.to_string().contains(expected), "{name}: {error}");
        }
        let error = with(&[("STROWGER_SIP__T1_MS", "0")]).expect_err("it is out of range");
        assert!(error.downcast::<WrongConfig>().is_ok_and(|wrong| wrong.0[0].key == "sip.t1_ms"));
    }
}
