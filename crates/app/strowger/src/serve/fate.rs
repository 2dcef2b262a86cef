//! What becomes of the process when one of its threads fails: it ends.
//!
//! Without one of its workers an exchange goes on taking what the kernel gives to that worker's sockets, and answers
//! none of it; without a packet thread its calls are silent. Peers, load balancers and supervisors know what to do about
//! an exchange that is gone, and nothing about half of one. What had to survive was written before it was answered.

use std::panic;
use tracing::error;

/// The exit code of a process that a defect of ours, or the failure of the system, has ended (`EX_SOFTWARE`).
pub const EXIT_SOFTWARE: i32 = 70;

/// Nothing is dropped or written on the way, by intent: what a thread has left half done must not be carried out.
#[expect(clippy::disallowed_methods, reason = "a thread that has failed cannot return from main")]
fn exit() -> ! {
    std::process::exit(EXIT_SOFTWARE)
}

/// From now on a panic on any thread is logged and ends the process.
pub fn end_with_any_thread() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        usual(panic);
        let thread = std::thread::current();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(thread = thread.name().unwrap_or("-"), place, "a thread has panicked; the process ends");
        exit();
    }));
}

/// Ends the process because a thread cannot go on.
pub fn end(why: &dyn std::fmt::Display) -> ! {
    let thread = std::thread::current();
    error!(thread = thread.name().unwrap_or("-"), %why, "a thread cannot go on; the process ends");
    exit();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const CHILD: &str = "STROWGER_TEST_CHILD";

    /// Runs a test of this file again, in a process of its own.
    fn exit_code_of(test: &str) -> Option<i32> {
        let program = std::env::current_exe().expect("a program");
        let name = format!("serve::fate::tests::{test}");
        let output = Command::new(program).args(["--exact", &name]).env(CHILD, "1").output().expect("it runs");
        output.status.code()
    }

    #[test]
    fn a_worker_that_panics_ends_the_process() {
        if std::env::var_os(CHILD).is_some() {
            end_with_any_thread();
            // Joined, so that a process which outlives the thread ends well and the test does not.
            let _ = std::thread::spawn(|| panic!("on purpose")).join();
            return;
        }
        assert_eq!(exit_code_of("a_worker_that_panics_ends_the_process"), Some(EXIT_SOFTWARE));
    }

    #[test]
    fn a_worker_that_cannot_wait_for_the_network_ends_the_process() {
        if std::env::var_os(CHILD).is_some() {
            let _ = std::thread::spawn(|| end(&"no network")).join();
            return;
        }
        assert_eq!(exit_code_of("a_worker_that_cannot_wait_for_the_network_ends_the_process"), Some(EXIT_SOFTWARE));
    }
}
