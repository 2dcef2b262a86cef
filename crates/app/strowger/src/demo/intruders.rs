//! Those who are kept out: a scanner, a replayed digest, a source that is too fast, a codec that the policy forbids. Each is
//! refused, and the witness log says by which layer and why.

use super::setup::{self, Setup};
use super::story::Story;
use super::{PATIENCE, report::Report};
use anyhow::{Context as _, bail, ensure};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;
use sx_sip::digest::Credentials;
use sx_sip::message::{HeaderName, OwnedMessage};

/// How long nothing must come for somebody to count as unanswered.
const SILENCE: Duration = Duration::from_millis(300);
/// Requests in a row: more than anybody may send who has not said who it is.
const FLOOD: usize = 40;

/// Somebody with a socket at an address of its own, so that its ban is its own too.
struct Intruder {
    socket: UdpSocket,
    exchange: SocketAddr,
    domain: String,
    seq: u32,
}

/// Shows how each is kept out.
pub fn keep_out(setup: &Setup, report: Report<'_>, exchange: SocketAddr) -> anyhow::Result<()> {
    let story = Story::of(setup)?;
    let at = |last: u8| Intruder::at(last, exchange, setup);
    report.check("kept out", || {
        let mut scanner = at(66)?;
        ensure!(scanner.ask("OPTIONS", "User-Agent: friendly-scanner\r\n", "").is_none(), "a scanner was answered");
        ensure!(scanner.ask("OPTIONS", "", "").is_none(), "a scanner was answered under another name");
        Ok(((), format!("a scanner: never answered; {}", story.last(&scanner.source(), "security_rejected")?)))
    })?;
    report.check("kept out", || replay(setup, &story, at(67)?).map(|detail| ((), detail)))?;
    report.check("kept out", || {
        let mut fast = at(68)?;
        let (mut answered, mut refused) = (0, None);
        for _ in 0..FLOOD {
            match fast.ask("OPTIONS", "", "").and_then(|answer| answer.status()) {
                Some(503) => refused = Some(answered),
                Some(_) if refused.is_some() => bail!("it was answered again"),
                Some(_) => answered += 1,
                None => break,
            }
        }
        ensure!(refused.is_some(), "{FLOOD} requests in a row were answered");
        let why = story.last(&fast.source(), "security_rejected")?;
        Ok(((), format!("a source over its rate: {answered} answers, one 503, then none; {why}")))
    })?;
    report.check("kept out", || forbidden_codec(setup, &story, at(69)?).map(|detail| ((), detail)))
}

/// A REGISTER that was accepted is sent once more, as by somebody who has listened.
fn replay(setup: &Setup, story: &Story, mut alice: Intruder) -> anyhow::Result<String> {
    let to = "To: <sip:alice@localhost>\r\nContact: <sip:alice@127.0.0.67>\r\nExpires: 60\r\n";
    let challenge = alice.ask("REGISTER", to, "").context("no challenge came")?;
    let authorization = alice.authorization(setup, "REGISTER", &challenge, HeaderName::WwwAuthenticate)?;
    let with = format!("{to}Authorization: {authorization}\r\n");
    let accepted = alice.ask("REGISTER", &with, "").and_then(|answer| answer.status());
    ensure!(accepted == Some(200), "alice's own registration got {accepted:?}");
    let again = alice.ask("REGISTER", &with, "").and_then(|answer| answer.status());
    ensure!(again == Some(401), "a replayed digest got {again:?}");
    let away = alice.ask("REGISTER", to, "").context("no challenge came")?;
    let authorization = alice.authorization(setup, "REGISTER", &away, HeaderName::WwwAuthenticate)?;
    let gone = to.replace("Expires: 60", "Expires: 0");
    alice.ask("REGISTER", &format!("{gone}Authorization: {authorization}\r\n"), "");
    Ok(format!("a replayed digest: 401; {}", story.last(&alice.source(), "security_rejected")?))
}

/// A call of a user's that offers nothing but what the policy does not allow.
fn forbidden_codec(setup: &Setup, story: &Story, mut alice: Intruder) -> anyhow::Result<String> {
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.69\r\ns=-\r\nc=IN IP4 127.0.0.69\r\nt=0 0\r\nm=audio 40000 RTP/AVP 9\r\n\
                 a=rtpmap:9 G722/8000\r\n";
    let more = "Contact: <sip:alice@127.0.0.69>\r\nContent-Type: application/sdp\r\n";
    let challenge = alice.ask("INVITE", more, offer).context("no challenge came")?;
    let authorization = alice.authorization(setup, "INVITE", &challenge, HeaderName::ProxyAuthenticate)?;
    let refused = alice.ask("INVITE", &format!("{more}Proxy-Authorization: {authorization}\r\n"), offer);
    let refused = refused.context("no answer came")?;
    ensure!(refused.status() == Some(488), "a forbidden codec got {:?}", refused.status());
    Ok(format!("a forbidden codec: 488; {}", story.last(&alice.source(), "admission")?))
}

impl Intruder {
    fn at(last: u8, exchange: SocketAddr, setup: &Setup) -> anyhow::Result<Self> {
        let own = (Ipv4Addr::new(127, 0, 0, last), 0);
        let socket = UdpSocket::bind(own).with_context(|| format!("cannot bind {}", own.0))?;
        socket.set_read_timeout(Some(SILENCE))?;
        Ok(Self { socket, exchange: setup::loopback(exchange), domain: setup.domain().to_owned(), seq: 0 })
    }

    fn source(&self) -> String {
        self.socket.local_addr().map(|address| address.to_string()).unwrap_or_default()
    }

    /// Sends a request, and gives the first answer that is no provisional one; `None`: none came.
    fn ask(&mut self, method: &str, more: &str, body: &str) -> Option<OwnedMessage> {
        self.seq += 1;
        let (source, domain, seq) = (self.source(), &self.domain, self.seq);
        let user = if method == "INVITE" { "bob@" } else { "" };
        let to = if more.starts_with("To:") { String::new() } else { format!("To: <sip:{user}{domain}>\r\n") };
        let text = format!(
            "{method} sip:{user}{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {source};branch=z9hG4bKdemo{seq};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:alice@{domain}>;tag=demo\r\n{to}Call-ID: {source}-{seq}\r\nCSeq: {seq} {method}\r\n\
             {more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.socket.send_to(text.as_bytes(), self.exchange).ok()?;
        let begun = std::time::Instant::now();
        let mut datagram = vec![0; 65_535];
        while begun.elapsed() < PATIENCE {
            let (length, _) = self.socket.recv_from(&mut datagram).ok()?;
            let answer = OwnedMessage::parse(datagram[..length].to_vec().into()).ok()?;
            // What is sent again for want of an ACK has another number.
            let number = format!("{seq} ");
            let is_ours = answer.value(HeaderName::CSeq).is_some_and(|value| value.starts_with(number.as_bytes()));
            if is_ours && answer.status().is_some_and(|status| status >= 200) {
                return Some(answer);
            }
        }
        None
    }

    fn authorization(
        &self,
        setup: &Setup,
        method: &str,
        challenge: &OwnedMessage,
        header: HeaderName,
    ) -> anyhow::Result<String> {
        let offered = Credentials::choose(challenge.values(header)).context("the challenge offers no digest")?;
        let credentials = Credentials { username: "alice".into(), password: setup.password_of("alice").into() };
        let user = if method == "INVITE" { "bob@" } else { "" };
        let uri = format!("sip:{user}{}", self.domain);
        credentials.answer(&offered, method, &uri, 1, "0a4f113b").context("the challenge wants another algorithm")
    }
}
