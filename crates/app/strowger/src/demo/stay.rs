//! After the demonstration: the exchange stays up for real phones, with somebody to call.

use super::report::Report;
use super::setup::{self, Setup, TONE};
use super::{BOB_HZ, PATIENCE, phone};
use crate::serve::Exchange;
use anyhow::Context as _;
use serde_json::json;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use sx_phone::{Phone, Server};
use sx_types::Transport;

/// Stays up until a signal comes.
pub fn stay(setup: &Setup, mut exchange: Exchange, report: Report<'_>) -> anyhow::Result<ExitCode> {
    let called = match report.check("tone", || somebody(setup, &exchange)) {
        Ok(called) => called,
        Err(error) => {
            report.verdict(&Err(error));
            exchange.stop();
            return Ok(ExitCode::FAILURE);
        }
    };
    invite_programs(setup, &exchange, report);
    report.verdict(&Ok(()));
    invite(setup, &exchange, report);
    while report.signals.wait(Duration::from_secs(1)).is_none() {
        exchange.watch();
    }
    called.stop();
    exchange.stop();
    Ok(ExitCode::SUCCESS)
}

/// A phone that answers whoever calls it.
fn somebody(setup: &Setup, exchange: &Exchange) -> anyhow::Result<(Phone, String)> {
    let udp = setup::loopback(exchange.address_of(Transport::Udp).context("no UDP listener")?);
    let phone = phone(setup, TONE, Server::new(Transport::Udp, udp), BOB_HZ, Some(Duration::from_secs(1)))?;
    phone.wait_registered(PATIENCE).context("the phone that plays a tone did not register")?;
    Ok((phone, format!("sip:{TONE}@{} answers with {BOB_HZ} Hz", setup.domain())))
}

/// All that a program needs to register.
fn invite_programs(setup: &Setup, exchange: &Exchange, report: Report<'_>) {
    let users = ["alice", "bob"].map(|user| json!({ "user": user, "password": setup.password_of(user) }));
    report.object(&json!({
        "name": "phones",
        "ok": true,
        "detail": "the exchange stays up for phones of your own",
        "domain": setup.domain(),
        "udp": shown(exchange, Transport::Udp),
        "tcp": shown(exchange, Transport::Tcp),
        "tls": shown(exchange, Transport::Tls),
        "certificate": setup.certificate,
        "users": users,
        "call": format!("sip:{TONE}@{}", setup.domain()),
        "data": setup.data,
        "metrics": format!("http://{}/metrics", exchange.http_address()),
    }));
}

/// The same for people.
fn invite(setup: &Setup, exchange: &Exchange, report: Report<'_>) {
    let (udp, tcp) = (shown(exchange, Transport::Udp), shown(exchange, Transport::Tcp));
    let plain = match (udp, tcp) {
        (udp, Some(tcp)) if udp.as_deref() == Some(&tcp) => format!("{tcp} (UDP or TCP)"),
        (udp, tcp) => {
            let named = [(udp, "UDP"), (tcp, "TCP")].map(|(at, name)| at.map(|at| format!("{at} ({name})")));
            named.into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
    };
    report.say("\nThe exchange stays up. To register a phone of your own:");
    report.say(&format!("  domain      {}, or the server's address where a phone knows no other", setup.domain()));
    report.say(&format!(
        "  server      {plain}, {} (TLS; the certificate to trust is {})",
        shown(exchange, Transport::Tls).unwrap_or_default(),
        setup.certificate.display()
    ));
    for user in ["alice", "bob"] {
        report.say(&format!("  user        {user}, password {}", setup.password_of(user)));
    }
    report.say(&format!(
        "  call        {TONE} (sip:{TONE}@{}), who answers with a tone; or the other user",
        setup.domain()
    ));
    report.say(&format!("  another     strowger user add carol --data {}", setup.data.display()));
    report.say(&format!("  metrics     http://{}/metrics", exchange.http_address()));
    report.say("Ctrl-C ends it.");
}

/// Where phones reach a listener.
fn shown(exchange: &Exchange, transport: Transport) -> Option<String> {
    let bound = exchange.address_of(transport)?;
    let ip = if bound.ip().is_unspecified() { exchange.outward_ip() } else { bound.ip() };
    Some(SocketAddr::new(ip, bound.port()).to_string())
}
