//! A bar on standard error for what takes long, when somebody looks at it.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use sx_store::ReadProgress;

/// What is done sooner needs no bar.
const FIRST_AFTER: Duration = Duration::from_millis(500);
const AGAIN_AFTER: Duration = Duration::from_millis(100);
const WIDTH: usize = 30;

/// Does something long, and shows how far it is.
pub(super) fn watched<T>(doing: &str, work: impl FnOnce(&ReadProgress) -> T) -> T {
    let progress = ReadProgress::default();
    if !stderr().is_terminal() {
        return work(&progress);
    }
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let bar = scope.spawn(|| draw(doing, &progress, &ended));
        // Also when the work panics: nobody would wait for a bar that does not end.
        let _ends = Ends { ended: &ended, bar: bar.thread() };
        work(&progress)
    })
}

struct Ends<'a> {
    ended: &'a AtomicBool,
    bar: &'a Thread,
}

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        self.bar.unpark();
    }
}

fn draw(doing: &str, progress: &ReadProgress, ended: &AtomicBool) {
    let begun = Instant::now();
    let mut drawn = false;
    loop {
        thread::park_timeout(if drawn { AGAIN_AFTER } else { FIRST_AFTER });
        if ended.load(Ordering::Acquire) {
            break;
        }
        drawn = true;
        // A terminal that takes nothing shows nothing.
        let _ = write!(stderr(), "\r{}", bar(doing, progress, begun.elapsed()));
    }
    if drawn {
        let _ = write!(stderr(), "\r\x1b[K");
    }
}

fn bar(doing: &str, progress: &ReadProgress, elapsed: Duration) -> String {
    let part = progress.part();
    let full = (part * WIDTH as f64) as usize;
    let speed = progress.bytes() as f64 / (1 << 20) as f64 / elapsed.as_secs_f64().max(0.001);
    format!("{doing} [{:WIDTH$}] {:3.0} %  {speed:.0} MiB/s ", "=".repeat(full), part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_that_has_nothing_to_read_yet_is_empty() {
        let text = bar("verify", &ReadProgress::default(), Duration::ZERO);
        assert_eq!(text, format!("verify [{}]   0 %  0 MiB/s ", " ".repeat(WIDTH)));
    }
}
