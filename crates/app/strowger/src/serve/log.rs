//! The program's log.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use sx_call::{Note, RecordingNote};
use sx_config::{LogFormat, LogLevel};
use sx_engine::Time;
use sx_exchange::RefusedAuthentication;
use tracing::{debug, info, warn};
use tracing_subscriber::filter::LevelFilter;

/// Starts logging to standard error. Later calls change nothing.
pub fn start_logging(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    // A line that cannot be written is lost; to say so on the same stream would end the thread.
    let builder = builder.log_internal_errors(false);
    // A second exchange in one process, as in a test, shares the log of the first.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// Logs a request that was refused for its credentials, and at which address of ours it came in. Whoever was to be known by an
/// address, as a provider, and comes from another is asked for credentials as well.
pub fn log_refused(refused: &RefusedAuthentication, local: Option<SocketAddr>) {
    let RefusedAuthentication { user, flow, method, sip_call_id, why } = refused;
    let (source, transport) = (flow.remote, flow.transport);
    let local = local.map_or_else(|| "-".to_owned(), |local| local.to_string());
    // The texts are the peer's: as fields of their own they are quoted, and cannot pass for others.
    let (user, method, sip_call_id) = (&**user, &**method, &**sip_call_id);
    warn!(user, %source, %local, %transport, method, sip_call_id, %why, "an authentication was refused");
}

/// Logs how many more of a source were refused in the last minute than were logged one by one.
pub fn log_suppressed(source: Option<IpAddr>, suppressed: u64) {
    let source = source.map_or_else(|| "others".to_owned(), |source| source.to_string());
    warn!(source, suppressed, "more authentications were refused than are logged");
}

/// Logs what becomes of calls.
#[derive(Debug, Default)]
pub struct NoteLog {
    not_admitted: Seldom,
}

impl NoteLog {
    /// Logs what a worker tells of a call. Of calls that are not admitted, which strangers make as many as they like, one a
    /// second is logged, with how many `more` there were since the last.
    pub fn log(&mut self, now: Time, note: &Note) {
        match note {
            Note::Begun { call, trace, .. } => info!(%call, %trace, "a call has come"),
            Note::Dialled { call, leg, trunk, reason } => {
                debug!(%call, %leg, trunk = trunk.as_deref().unwrap_or("-"), %reason, "a target is tried");
            }
            Note::Ringing { call, leg } => debug!(%call, %leg, "a target rings"),
            Note::AttemptFailed { call, cause, status, .. } => debug!(%call, %cause, status, "an attempt has failed"),
            Note::Answered { call, after, .. } => {
                info!(%call, after_ms = after.as_millis() as u64, "a call was answered");
            }
            Note::Transferred { call, .. } => info!(%call, "a call was transferred"),
            Note::TransferFailed { call, status } => info!(%call, status, "a transfer has failed"),
            Note::ChangeRefused { call, leg, cause, sentence } => {
                info!(%call, %leg, %cause, why = %sentence, "a change of the session was refused");
            }
            Note::Recording { call, number, what: RecordingNote::Failed } => {
                warn!(%call, number, "a recording could not be made, or has ended by a fault");
            }
            Note::Recording { call, number, what } => info!(%call, number, ?what, "of a recording"),
            Note::Ended { call, cause, status, talked, sentence, .. } => {
                info!(%call, %cause, status, talked_ms = talked.as_millis() as u64, sentence = %sentence, "a call has ended");
            }
            Note::NotAdmitted { why, .. } => {
                if let Some(more) = self.not_admitted.pass(now) {
                    warn!(?why, more, "a call was not admitted");
                }
            }
            Note::KeyDropped { call } => debug!(%call, "a key was pressed faster than anybody can"),
            Note::Unexpected { leg, event } => debug!(%leg, event, "an event that nothing waited for"),
        }
    }
}

/// Lets something pass once a second.
#[derive(Debug, Default)]
struct Seldom {
    next: Time,
    kept_back: u64,
}

impl Seldom {
    /// Whether it may pass, and how often it could not since it last did.
    fn pass(&mut self, now: Time) -> Option<u64> {
        if now < self.next {
            self.kept_back += 1;
            return None;
        }
        self.next = now + Duration::from_secs(1);
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use sx_exchange::WhyRefused;
    use sx_types::{Flow, LinkId, Transport};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("nobody has panicked").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_refused_authentication_is_one_line_with_its_source() {
        let lines = Lines::default();
        let writer = lines.clone();
        let log =
            tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).without_time().finish();
        tracing::subscriber::with_default(log, || {
            let remote = ([192, 0, 2, 7], 5062).into();
            let flow = Flow { worker: 0, link: LinkId(1), transport: Transport::Tls, remote };
            let refused = RefusedAuthentication {
                user: "alice\" source=\"192.0.2.9:1".into(),
                flow,
                method: "REGISTER".into(),
                sip_call_id: "id".into(),
                why: WhyRefused::WrongPassword,
            };
            log_refused(&refused, Some(([192, 0, 2, 1], 5061).into()));
            log_refused(&refused, None);
            log_suppressed(Some([192, 0, 2, 7].into()), 995);
            log_suppressed(None, 7);
        });
        let written = String::from_utf8(lines.0.lock().expect("nobody has panicked").clone()).expect("text");
        let expected = [
            r#"an authentication was refused user="alice\" source=\"192.0.2.9:1" source=192.0.2.7:5062 local=192.0.2.1:5061 transport=tls method="REGISTER" sip_call_id="id" why=wrong password"#,
            r#"source=192.0.2.7:5062 local=- transport=tls method="REGISTER" sip_call_id="id" why=wrong password"#,
            r#"more authentications were refused than are logged source="192.0.2.7" suppressed=995"#,
            r#"more authentications were refused than are logged source="others" suppressed=7"#,
        ];
        assert_eq!(written.lines().count(), expected.len(), "{written}");
        for (line, expected) in written.lines().zip(expected) {
            assert!(line.contains("WARN") && line.ends_with(expected), "{line}");
        }
    }

    #[test]
    fn what_strangers_cause_is_logged_once_a_second_with_how_often_it_was() {
        let (mut seldom, at) = (Seldom::default(), Time::from_secs(1_000));
        let passed = (0..25).filter_map(|tenth| seldom.pass(at + Duration::from_millis(100 * tenth)));
        assert_eq!(passed.collect::<Vec<_>>(), [0, 9, 9]);
    }
}
