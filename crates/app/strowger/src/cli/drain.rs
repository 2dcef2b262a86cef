//! `strowger drain`: ends the running exchange in order.

use super::output;
use anyhow::{Context as _, bail};
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::json;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use sx_config::Config;

/// Shown below the help of `strowger drain`.
pub(crate) const HELP: &str = "\
The exchange that has the data folder takes no new calls from then on, and ends when the last call is over
or exchange.drain_s has passed. A second SIGTERM ends it at once.

Examples:
  strowger drain
  strowger drain --data /var/lib/strowger --timeout 60";

/// How to drain.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DrainArgs {
    /// Wait at most so long [default: the exchange's own limit and 30 seconds]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// What the exchange needs to end after its last call.
const SPARE: Duration = Duration::from_secs(30);
/// How often the calls that are left are asked for.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Carries out `strowger drain`.
///
/// # Errors
/// When no exchange runs on the data folder, it may not be told anything, or it does not end in time.
pub(crate) fn run_drain(config: &Config, args: DrainArgs, json: bool) -> anyhow::Result<ExitCode> {
    let data = &config.exchange.data;
    let Some(number) = holder(data)? else { bail!("no exchange runs on the data folder {}", data.display()) };
    let pid = i32::try_from(number).ok().and_then(Pid::from_raw).context("the data folder names no process")?;
    // From here on it is this process and no later one of the same number, if it has the folder still.
    let process = pidfd_open(pid, PidfdFlags::empty()).with_context(|| format!("cannot find process {number}"))?;
    if holder(data)? != Some(number) {
        bail!("the exchange on the data folder {} has just ended", data.display());
    }
    pidfd_send_signal(&process, Signal::TERM).with_context(|| format!("cannot send SIGTERM to process {number}"))?;
    tell!("process {number} takes no new calls");
    let begun = Instant::now();
    let patience = args.timeout.map_or(config.exchange.drain.saturating_add(SPARE), Duration::from_secs);
    let mut told = None;
    loop {
        let left = patience.saturating_sub(begun.elapsed());
        let mut ends = [PollFd::new(&process, PollFlags::IN)];
        let wait = Timespec::try_from(left.min(ASK_EVERY)).context("a second is no time to wait")?;
        if poll(&mut ends, Some(&wait)).context("cannot wait for the process")? > 0 {
            break;
        }
        if left.is_zero() {
            bail!("process {number} has not ended within {} s", patience.as_secs());
        }
        let calls = calls_left(config.http.listen);
        if calls.is_some() && calls != told {
            tell!("calls left: {}", calls.unwrap_or_default());
            told = calls;
        }
    }
    if json {
        return output::json_line(
            &json!({ "done": "drained", "pid": number, "ms": begun.elapsed().as_millis() as u64 }),
        );
    }
    output::text(&format!("the exchange has ended after {:.1} s\n", begun.elapsed().as_secs_f64()))
}

/// The process that has the data folder: it holds a lock for as long as it lives, and has written its number there.
fn holder(data: &Path) -> anyhow::Result<Option<u32>> {
    let path = data.join("lock");
    let file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.with_context(|| format!("cannot read {}", path.display()))?,
    };
    match file.try_lock_shared() {
        Ok(()) => return Ok(None),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    let mut text = String::new();
    (&file).take(20).read_to_string(&mut text).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Some(text.trim().parse().with_context(|| format!("{} names no process", path.display()))?))
}

/// The gauge of calls, when the exchange tells.
fn calls_left(address: SocketAddr) -> Option<u64> {
    const PATIENCE: Duration = Duration::from_millis(500);
    const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv6() { [0, 0, 0, 0, 0, 0, 0, 1].into() } else { [127, 0, 0, 1].into() });
    }
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).ok()?;
    gauge_of_calls(&answer)
}

fn gauge_of_calls(metrics: &str) -> Option<u64> {
    metrics.lines().find_map(|line| line.strip_prefix("strowger_calls "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gauge_is_found_among_others() {
        let metrics =
            "HTTP/1.1 200 OK\r\n\r\n# TYPE strowger_calls gauge\nstrowger_calls_begun_total 9\nstrowger_calls 3\n";
        assert_eq!(gauge_of_calls(metrics), Some(3));
        assert_eq!(gauge_of_calls("HTTP/1.1 404 Not Found\r\n\r\n"), None);
    }
}
