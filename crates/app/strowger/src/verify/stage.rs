//! The exchange that is tried, and what is around it: a process of its own with its log in a file, so that what it says of
//! itself can be read as whoever operates it would.

use super::ExpertArgs;
use crate::cli::{Api, ApiArgs};
use crate::demo::Capture;
use crate::temporary::{TemporaryFolder, free_port};
use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::fs::File;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use sx_config::Config;
use sx_http::{ClientLimits, ClientRequest, HttpClient, Verb};
use sx_sip::message::{Scheme, Uri};

/// The room of the council.
pub const ROOM: &str = "council";
/// What its members dial.
pub const ROOM_NUMBER: &str = "5000";
/// The experts that there are: the one who is rung, one of another network, one who is suspended.
pub const EXPERTS: [(&str, &str); 3] = [("expert", "safety"), ("elsewhere", "legal"), ("suspended", "privacy")];
/// The members of the council.
pub const COUNCIL: [&str; 2] = ["anna", "berta"];
/// The metrics of an exchange are not longer.
const METRICS_BYTES_MAX: usize = 4 << 20;
/// How long anything of the exchange itself may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The telephone that is rung.
pub struct Peer {
    pub user: String,
    pub host: String,
    pub port: u16,
    pub transport: &'static str,
}

impl Peer {
    /// Reads its address.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let uri = Uri::parse(text.as_bytes()).ok().context("this is no SIP URI")?;
        ensure!(!uri.user.is_empty() && !uri.host.as_str().is_empty(), "a user and a host are needed");
        let said = uri.param("transport").map(str::to_ascii_lowercase);
        let transport = match (uri.scheme, said.as_deref()) {
            (Scheme::Sip, None | Some("udp")) => "udp",
            (Scheme::Sip, Some("tcp")) => "tcp",
            (Scheme::Sip, Some("tls")) | (Scheme::Sips, None | Some("tls" | "tcp")) => "tls",
            (Scheme::Sip | Scheme::Sips, Some(other)) => bail!("{other} is none of udp, tcp and tls"),
            _ => bail!("only telephones that speak SIP can be rung"),
        };
        let port = uri.port.unwrap_or(if transport == "tls" { 5061 } else { 5060 });
        let host = uri.host.as_str().trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { user: uri.user_unescaped().into_owned(), host, port, transport })
    }

    /// Is what is said to it, and what it says, protected?
    pub fn is_secure(&self) -> bool {
        self.transport == "tls"
    }

    fn uri(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("sip:{host}:{};transport={}", self.port, self.transport)
    }

    /// The address of ours that it is reached from.
    fn facing(&self) -> anyhow::Result<IpAddr> {
        let cannot = || format!("{} has no address", self.host);
        let to = (self.host.as_str(), self.port).to_socket_addrs().with_context(cannot)?.next().with_context(cannot)?;
        let any: SocketAddr = if to.is_ipv6() { "[::]:0".parse()? } else { "0.0.0.0:0".parse()? };
        let socket = UdpSocket::bind(any)?;
        socket.connect(to)?;
        Ok(socket.local_addr()?.ip())
    }
}

/// The exchange, its data, and what hears it.
pub struct Stage {
    pub config: Config,
    pub api: Api,
    pub capture: Capture,
    pub sip: SocketAddr,
    pub secure: bool,
    passwords: Vec<(String, String)>,
    path: PathBuf,
    log: PathBuf,
    child: Child,
    // Goes last, and takes the files with it.
    pub folder: TemporaryFolder,
}

impl Stage {
    /// Starts the exchange. The experts and the members of the council are known to it.
    pub fn set(args: &ExpertArgs, peer: &Peer) -> anyhow::Result<Self> {
        let folder = TemporaryFolder::create("verify")?;
        let collector = UdpSocket::bind("127.0.0.1:0")?;
        let sip = SocketAddr::new(peer.facing()?, free_port(0)?);
        let text = configuration(args, peer, folder.path(), sip, collector.local_addr()?)?;
        let path = folder.path().join("strowger.toml");
        std::fs::write(&path, &text)?;
        let config = Config::from_text(&text).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        let passwords = COUNCIL
            .iter()
            .map(|user| {
                let said = command(&path, &["user", "add", user, "--json"])?;
                let said: Value = serde_json::from_str(&said).context("a user is added")?;
                Ok(((*user).to_owned(), said["password"].as_str().context("with a password")?.to_owned()))
            })
            .collect::<anyhow::Result<_>>()?;
        for (name, knows) in EXPERTS {
            let (address, key) = (peer.user.as_str(), folder.path().join(format!("{name}.key")));
            let key = key.to_str().context("a path of text")?;
            let mut words = vec!["expert", "add", name, "--address", address, "--knows", knows, "--key", key];
            if name == "elsewhere" {
                words.extend(["--network", "192.0.2.0/24"]);
            }
            command(&path, &words)?;
        }
        command(&path, &["expert", "suspend", "suspended"])?;
        let capture = Capture::start(&collector)?;
        let log = folder.path().join("exchange.log");
        let child = Command::new(std::env::current_exe()?)
            .args(["--config".as_ref(), path.as_os_str(), "serve".as_ref()])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("the exchange does not start")?;
        // The token is made in the data folder, which is there by now.
        let api = Api::of(&config, &ApiArgs::default())?;
        let secure = peer.is_secure();
        let stage = Self { config, api, capture, sip, secure, passwords, path, log, child, folder };
        stage.wait_for("the exchange is up", || {
            Ok(stage.api.ask(Verb::Get, "/guardians", "").is_ok_and(|(status, _)| status == 200))
        })?;
        Ok(stage)
    }

    /// A member's password.
    pub fn password_of(&self, user: &str) -> &str {
        self.passwords.iter().find(|(name, _)| name == user).map_or("", |(_, password)| password)
    }

    /// What the API says at a path.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        let (status, answer) = self.api.ask(Verb::Get, path, "")?;
        ensure!(status == 200, "{path}: {status} {}", answer["detail"].as_str().unwrap_or_default());
        Ok(answer)
    }

    /// What a command prints.
    pub fn command(&self, words: &[&str]) -> anyhow::Result<String> {
        command(&self.path, words)
    }

    /// Waits until something is so.
    pub fn wait_for(&self, what: &str, mut is_so: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if is_so()? {
                return Ok(begun.elapsed());
            }
            crate::serve::pause(Duration::from_millis(10));
        }
        bail!("{what}: not within {} s", PATIENCE.as_secs())
    }

    /// A metric, all its samples together.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let url = format!("http://{}/metrics", self.config.http.listen);
        let limits = ClientLimits { answer_bytes_max: METRICS_BYTES_MAX, ..ClientLimits::default() };
        let client = HttpClient::new(None, limits)?;
        let request = ClientRequest {
            verb: Verb::Get,
            url: &url.parse()?,
            media_type: "text/plain",
            headers: &[],
            bearer: None,
            body: b"",
        };
        let answer = client.send(&request)?;
        let text = String::from_utf8_lossy(&answer.body);
        let of_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        Ok(text.lines().filter(of_it).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Ends the exchange in order: what it has logged.
    pub fn end(mut self) -> anyhow::Result<String> {
        signal(&self.child);
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(begun.elapsed() < PATIENCE, "the exchange does not end");
            crate::serve::pause(Duration::from_millis(10));
        }
        Ok(std::fs::read_to_string(&self.log)?)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // One that has ended already is not there to be ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(child: &Child) {
    if let Some(process) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
    }
}

fn command(path: &Path, words: &[&str]) -> anyhow::Result<String> {
    let done = Command::new(std::env::current_exe()?)
        .arg("--config")
        .arg(path)
        .args(words)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .context("a command does not start")?;
    ensure!(done.status.success(), "{}: {}", words.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

fn configuration(
    args: &ExpertArgs,
    peer: &Peer,
    data: &Path,
    sip: SocketAddr,
    collector: SocketAddr,
) -> anyhow::Result<String> {
    let (http, api, ip) = (free_port(0)?, free_port(0)?, sip.ip());
    let trust = match &args.ca {
        Some(path) => {
            let path = path.canonicalize().with_context(|| format!("cannot read {}", path.display()))?;
            format!("[sip.tls]\ntrust = [\"{}\"]\n", path.display())
        }
        None => String::new(),
    };
    let srtp = if peer.is_secure() { "required" } else { "off" };
    let (user, uri, ring, data) = (&peer.user, peer.uri(), args.ring, data.display());
    Ok(format!(
        r#"
[exchange]
name = "verify"
domains = ["verify.invalid"]
data = "{data}/data"
[sip]
listen = [{{ transport = "udp", address = "{sip}" }}, {{ transport = "tcp", address = "{sip}" }}]
{trust}[media]
interfaces = [{{ name = "default", bind = ["{ip}"] }}]
[http]
listen = "127.0.0.1:{http}"
[api]
listen = "127.0.0.1:{api}"
requests_per_minute = 100000
[hep]
address = "{collector}"
[log]
level = "info"
[[room]]
name = "{ROOM}"
[ndi]
interfaces = ["{ip}"]
[escalation]
room = "{ROOM}"
ring_timeout_s = {ring}
rings_per_minute = 1000
[[trunk]]
name = "expert"
addresses = ["{uri}"]
options_interval_s = 0
srtp = "{srtp}"
[[route]]
name = "council"
exact = "{ROOM_NUMBER}"
to = [{{ room = "{ROOM}" }}]
[[route]]
name = "expert"
exact = "{user}"
to = [{{ trunk = "expert" }}]
"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_telephone_is_where_its_uri_says() {
        let check = |text: &str, expected: Option<(&str, &str, u16, &str)>| {
            let peer = Peer::parse(text).ok();
            let found = peer.as_ref().map(|peer| (&*peer.user, &*peer.host, peer.port, peer.transport));
            assert_eq!(found, expected, "{text}");
        };
        check("sip:lind@127.0.0.1:5070", Some(("lind", "127.0.0.1", 5070, "udp")));
        check("sip:lind@127.0.0.1;transport=TLS", Some(("lind", "127.0.0.1", 5061, "tls")));
        check("sips:lind@[::1]", Some(("lind", "::1", 5061, "tls")));
        check("sip:lind@example.org;transport=tcp", Some(("lind", "example.org", 5060, "tcp")));
        for wrong in ["lind", "sip:127.0.0.1", "tel:+4930", "sip:lind@a;transport=ws", "http://a"] {
            check(wrong, None);
        }
    }
}
