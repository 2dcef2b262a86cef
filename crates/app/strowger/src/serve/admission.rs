//! Are new calls taken?
//!
//! ```text
//!            a journal is not written          (a call of which nobody could account is not begun)
//!  Taking ───────────────────────────► Failing
//!     ▲ ◄───────────────────────────────┘
//!     └ the journals are written again, unless an operator has told to drain meanwhile
//! ```

use sx_call::Command;

/// Says when a worker is to refuse new calls and when to take them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    journals: Journals,
    /// An operator has told to take no new calls.
    drained: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Journals {
    Written,
    Failing,
}

/// What has changed with an attempt to write the journals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Nothing.
    AsBefore,
    /// They cannot be written any more: new calls are to be refused.
    Failed,
    /// They are written again; this is what the worker is to be told, unless it stays drained.
    Recovered(Option<Command>),
}

impl Default for Admission {
    /// The journals are written, and nobody has told to drain.
    fn default() -> Self {
        Self { journals: Journals::Written, drained: false }
    }
}

impl Admission {
    /// The journals were written, or could not be.
    pub fn committed(&mut self, written: bool) -> Commit {
        match (self.journals, written) {
            (Journals::Written, false) => {
                self.journals = Journals::Failing;
                Commit::Failed
            }
            (Journals::Failing, true) => {
                self.journals = Journals::Written;
                Commit::Recovered((!self.drained).then_some(Command::Undrain))
            }
            (Journals::Written, true) | (Journals::Failing, false) => Commit::AsBefore,
        }
    }

    /// What an operator has said, as it is passed on to the worker; `None`: it holds once the journals are written.
    pub fn ordered(&mut self, command: Command) -> Option<Command> {
        match command {
            Command::Drain => self.drained = true,
            Command::Undrain => {
                self.drained = false;
                if self.journals == Journals::Failing {
                    return None;
                }
            }
            _ => {}
        }
        Some(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_new_call_is_taken_while_the_journals_cannot_be_written() {
        let mut admission = Admission::default();
        assert_eq!(admission.committed(true), Commit::AsBefore);
        assert_eq!(admission.committed(false), Commit::Failed);
        assert_eq!(admission.committed(false), Commit::AsBefore, "told once");
        assert_eq!(admission.committed(true), Commit::Recovered(Some(Command::Undrain)));
        assert_eq!(admission.committed(true), Commit::AsBefore);
        assert_eq!(admission.committed(false), Commit::Failed, "and again");
    }

    #[test]
    fn a_worker_that_was_drained_stays_so_when_the_journals_are_written_again() {
        for drained_before in [true, false] {
            let mut admission = Admission::default();
            if drained_before {
                assert_eq!(admission.ordered(Command::Drain), Some(Command::Drain));
            }
            assert_eq!(admission.committed(false), Commit::Failed);
            if !drained_before {
                assert_eq!(admission.ordered(Command::Drain), Some(Command::Drain));
            }
            assert_eq!(admission.committed(true), Commit::Recovered(None));
        }
    }

    #[test]
    fn an_operator_cannot_have_calls_taken_that_nobody_could_account_for() {
        let mut admission = Admission::default();
        admission.ordered(Command::Drain);
        admission.committed(false);
        assert_eq!(admission.ordered(Command::Undrain), None);
        assert_eq!(admission.committed(true), Commit::Recovered(Some(Command::Undrain)));
        assert_eq!(admission.ordered(Command::Undrain), Some(Command::Undrain));
    }
}
