//! What the telephone is told on the command line, and what that means.

use super::show::CallCommand;
use crate::cli::{WrongUsage, password};
use anyhow::Context as _;
use clap::{ArgGroup, Args, ValueEnum};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;
use sx_codec::Law;
use sx_config::SipUri;
use sx_phone::{AnswerMode, AudioSource, Pem, PhoneConfig, Server, Tls, TrustAnchors};
use sx_types::Transport;

/// Shown below the help of `strowger call`.
pub(crate) const HELP: &str = "\
The exit code is 0 when the call was answered and has ended in order, or, with --register alone, when the
registrar took us.

Examples:
  strowger call sip:bob@example.org --from alice@example.org --password-file alice.txt
  strowger call sip:bob@localhost --from alice@localhost --server 'sip:127.0.0.1:5061;transport=tls' \\
      --ca exchange.pem --play hello.wav --record answer.wav --dtmf '123#' --duration 10
  strowger call --register --answer --from bob@localhost --server sip:127.0.0.1 --tone 440 --timeout 0
  strowger call --register --from alice@localhost --server sip:127.0.0.1 --json
  strowger call show 019ab2c3-d4e5-7000-8000-0123456789ab --token-file viewer.token
  strowger call connect anna +493012345678
  strowger call hold 019ab2c3-d4e5-7000-8000-0123456789ab --party caller";

/// What the telephone is told.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(group = ArgGroup::new("what").args(["uri", "answer", "register"]).multiple(true).required(true))]
pub(crate) struct CallArgs {
    /// What else can be done with calls.
    #[command(subcommand)]
    pub(crate) command: Option<CallCommand>,
    /// Whom to call: sip:bob@example.org, sip:bob@192.0.2.7:5070
    #[arg(conflicts_with = "answer")]
    pub(super) uri: Option<String>,
    /// Who we are
    #[arg(long, value_name = "USER@DOMAIN", required = true)]
    from: Option<String>,
    /// Our password; everybody on this machine can see it: better use --password-file
    #[arg(long, env = "STROWGER_PASSWORD", hide_env_values = true, conflicts_with = "password_file")]
    password: Option<String>,
    /// Read our password from the first line of this file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The name that the other party is shown
    #[arg(long, value_name = "NAME")]
    display: Option<String>,
    /// Where to send everything: sip:HOST[:PORT][;transport=udp|tcp|tls] [default: what the called URI says, else the domain]
    #[arg(long, value_name = "URI")]
    server: Option<SipUri>,
    /// Register first; stay registered until the end
    #[arg(long)]
    pub(super) register: bool,
    /// Wait for a call and answer it
    #[arg(long)]
    pub(super) answer: bool,
    /// Let the other party hear this file, over and over: WAV, 8,000 samples a second, 16 bit
    #[arg(long, value_name = "FILE", conflicts_with = "tone")]
    play: Option<PathBuf>,
    /// Let the other party hear a tone; several sound at once
    #[arg(long, value_name = "HZ", value_parser = parse_hz)]
    tone: Vec<f64>,
    /// Write what is heard to this WAV file
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Press these keys once the call is answered: 0-9 * # A-D
    #[arg(long, value_name = "KEYS", value_parser = parse_keys)]
    pub(super) dtmf: Option<String>,
    /// Tell keys by INFO instead of telephone events
    #[arg(long, requires = "dtmf")]
    pub(super) dtmf_info: bool,
    /// Hang up after this time [default: 10 for a call of ours, never for one that comes]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    duration: Option<Duration>,
    /// Wait for an answer, or for a call, at most so long; 0: for ever
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, default_value = "60")]
    timeout: Duration,
    /// The encodings of sound we have, best first
    #[arg(long, value_enum, value_delimiter = ',', default_value = "pcma,pcmu")]
    codec: Vec<Encoding>,
    /// TLS: accept certificates of this authority, or this very certificate (PEM)
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// TLS: accept any certificate; who sits between can hear and change everything
    #[arg(long, conflicts_with = "ca")]
    accept_any_certificate: bool,
}

/// An encoding of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Encoding {
    Pcma,
    Pcmu,
}

/// How long a call of ours lasts when nobody says.
const DURATION: Duration = Duration::from_secs(10);
/// How long a registration lasts until it is refreshed.
const REGISTRATION_S: u32 = 300;
/// The level of a tone, far below clipping.
const TONE_DBM0: f64 = -12.0;

impl CallArgs {
    /// When to hang up; `None`: never.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.duration.or((!self.answer).then_some(DURATION))
    }

    /// How long to wait for an answer or a call; `None`: for ever.
    pub(super) fn timeout(&self) -> Option<Duration> {
        (!self.timeout.is_zero()).then_some(self.timeout)
    }

    /// The telephone that is meant.
    ///
    /// # Errors
    /// When texts are none of those that may stand there, files cannot be read, or the server has no address.
    pub(super) fn phone(&self) -> anyhow::Result<PhoneConfig> {
        let said = self.from.as_deref().unwrap_or_default();
        let from = said.strip_prefix("sip:").unwrap_or(said);
        let (user, domain) = from
            .rsplit_once('@')
            .filter(|(user, domain)| !user.is_empty() && !domain.is_empty())
            .ok_or_else(|| WrongUsage(format!("--from {said:?} is not of the form USER@DOMAIN")))?;
        let password = match &self.password_file {
            Some(path) => Some(password::read_file(path)?),
            None => self.password.clone(),
        };
        let source = match &self.play {
            Some(path) => AudioSource::Wav(path.clone()),
            None if self.tone.is_empty() => AudioSource::Silence,
            None => AudioSource::Tone(self.tone.iter().map(|hz| (*hz, TONE_DBM0)).collect()),
        };
        let answer = if self.answer { AnswerMode::Auto { after: Duration::ZERO } } else { AnswerMode::Busy };
        let law = |encoding: &Encoding| match encoding {
            Encoding::Pcma => Law::A,
            Encoding::Pcmu => Law::Mu,
        };
        Ok(PhoneConfig {
            password,
            display: self.display.clone(),
            register: self.register.then_some(REGISTRATION_S),
            answer,
            source,
            record: self.record.clone(),
            codecs: self.codec.iter().map(law).collect(),
            ..PhoneConfig::new(self.server(domain)?, domain, user)
        })
    }

    fn server(&self, domain: &str) -> anyhow::Result<Server> {
        let uri = self.server_uri(domain)?;
        let transport = Transport::of_uri(uri.transport, uri.secure);
        let port = uri.host.port.unwrap_or(transport.default_port());
        let host = &*uri.host.host;
        let address: Option<SocketAddr> =
            (host, port).to_socket_addrs().with_context(|| format!("cannot look up {host}"))?.next();
        let address = address.with_context(|| format!("{host} has no address"))?;
        let tls = if transport.is_secure() { self.tls() } else { Server::new(transport, address).tls };
        Ok(Server { tls, ..Server::new(transport, address) })
    }

    fn server_uri(&self, domain: &str) -> anyhow::Result<SipUri> {
        if let Some(server) = &self.server {
            return Ok(server.clone());
        }
        let named = self.uri.as_deref().filter(|uri| uri.contains('@'));
        let text = match named {
            Some(uri) if uri.starts_with("sip:") || uri.starts_with("sips:") => uri.to_owned(),
            Some(uri) => format!("sip:{uri}"),
            None => format!("sip:{domain}"),
        };
        let parsed = text.parse::<SipUri>();
        Ok(parsed
            .map_err(|error| WrongUsage(format!("cannot tell the server from {text:?} ({error}); use --server")))?)
    }

    fn tls(&self) -> Tls {
        let trust = match &self.ca {
            _ if self.accept_any_certificate => TrustAnchors::InsecureAcceptAny,
            Some(path) => TrustAnchors::Files(vec![Pem::File(path.clone())]),
            None => TrustAnchors::System,
        };
        Tls { name: None, trust, identity: None }
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    const SECONDS_MAX: f64 = 1e7;
    let seconds = text.parse().ok().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "allowed: seconds, such as 10 or 2.5".to_owned())
}

fn parse_hz(text: &str) -> Result<f64, String> {
    // Half of 8,000 samples a second is the most they can say.
    let hz = text.parse().ok().filter(|hz| (1.0..4_000.0).contains(hz));
    hz.ok_or_else(|| "allowed: 1 to 3999".to_owned())
}

fn parse_keys(text: &str) -> Result<String, String> {
    let keys = text.to_ascii_uppercase();
    if keys.is_empty() || !keys.chars().all(|key| "0123456789*#ABCD".contains(key)) {
        return Err("allowed: 0-9 * # A-D".to_owned());
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use crate::cli::{Cli, Command};
    use clap::Parser as _;
    use std::time::Duration;
    use sx_phone::{AnswerMode, AudioSource, PhoneConfig, TrustAnchors};
    use sx_types::Transport;

    fn parsed(line: &str) -> Result<super::CallArgs, String> {
        let words = ["strowger", "call"].into_iter().chain(line.split(' '));
        match Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Command::Call(args) => Ok(*args),
            other => Err(format!("{other:?}")),
        }
    }

    fn phone(line: &str) -> PhoneConfig {
        parsed(line).expect("good usage").phone().expect("a telephone")
    }

    #[test]
    fn the_server_is_what_is_said_else_whom_we_call_else_our_domain() {
        for (line, transport, address) in [
            ("sip:bob@127.0.0.1 --from a@b.example", Transport::Udp, "127.0.0.1:5060"),
            ("sip:bob@127.0.0.1:5070;transport=tcp --from a@b.example", Transport::Tcp, "127.0.0.1:5070"),
            ("sips:bob@127.0.0.2 --from a@b.example", Transport::Tls, "127.0.0.2:5061"),
            ("bob@127.0.0.3 --from a@b.example", Transport::Udp, "127.0.0.3:5060"),
            ("bob --from a@127.0.0.4", Transport::Udp, "127.0.0.4:5060"),
            ("--answer --from a@127.0.0.5", Transport::Udp, "127.0.0.5:5060"),
            ("bob@x.invalid --from a@b.example --server sip:[::1]:9;transport=tls", Transport::Tls, "[::1]:9"),
        ] {
            let server = phone(line).server;
            assert_eq!((server.transport, server.address.to_string().as_str()), (transport, address), "{line}");
        }
    }

    #[test]
    fn a_telephone_is_as_its_options_say() {
        let config =
            phone("--register --answer --from sip:bob@127.0.0.1 --password x --tone 350 --tone 440 --codec pcmu");
        assert_eq!((config.user.as_str(), config.domain.as_str()), ("bob", "127.0.0.1"));
        assert_eq!((config.register, config.codecs.len()), (Some(300), 1));
        assert_eq!(config.answer, AnswerMode::Auto { after: Duration::ZERO });
        assert!(matches!(config.source, AudioSource::Tone(tones) if tones.len() == 2));
        let config = phone("sips:bob@127.0.0.1 --from a@b.example");
        assert!(matches!(config.server.tls.trust, TrustAnchors::System), "verified unless said otherwise");
        let config = phone("sips:bob@127.0.0.1 --from a@b.example --accept-any-certificate");
        assert!(matches!(config.server.tls.trust, TrustAnchors::InsecureAcceptAny));
        assert!(config.server.tls.identity.is_none() && config.answer == AnswerMode::Busy);
    }

    #[test]
    fn times_have_defaults_that_fit() {
        let args = parsed("sip:bob@127.0.0.1 --from a@b.example").expect("good usage");
        assert_eq!((args.duration(), args.timeout()), (Some(Duration::from_secs(10)), Some(Duration::from_secs(60))));
        let args = parsed("--answer --from a@b.example --timeout 0").expect("good usage");
        assert_eq!((args.duration(), args.timeout()), (None, None));
        let args = parsed("--answer --from a@b.example --duration 2.5").expect("good usage");
        assert_eq!(args.duration(), Some(Duration::from_millis(2_500)));
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "--from a@b.example",
            "sip:bob@127.0.0.1",
            "sip:bob@127.0.0.1 --answer --from a@b.example",
            "sip:bob@127.0.0.1 --from a@b.example --play x.wav --tone 440",
            "sip:bob@127.0.0.1 --from a@b.example --tone 4000",
            "sip:bob@127.0.0.1 --from a@b.example --dtmf 12x",
            "sip:bob@127.0.0.1 --from a@b.example --duration -1",
            "sip:bob@127.0.0.1 --from a@b.example --dtmf-info",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
        for line in ["sip:bob@127.0.0.1 --from alice", "sip:bob@127.0.0.1 --from @x", "bob@a:b:c --from a@b.example"] {
            assert!(parsed(line).expect("can be read").phone().is_err(), "{line}");
        }
    }
}
