//! Commands on their way to a packet thread.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use sx_media::MediaCommand;

/// A queue under a lock. A reader with real-time priority sleeps until the writer it has displaced lets go; a channel
/// would have it spin, and the writer never run.
#[derive(Default)]
pub(crate) struct Commands(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    commands: VecDeque<MediaCommand>,
    ended: bool,
}

/// Why there is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoCommand {
    /// None waits.
    Yet,
    /// None will come any more.
    Ever,
}

impl Commands {
    /// Lets a command wait. False: nobody will obey it.
    pub(crate) fn push(&self, command: MediaCommand) -> bool {
        let mut waiting = self.lock();
        if !waiting.ended {
            waiting.commands.push_back(command);
        }
        !waiting.ended
    }

    /// The next command. What came before the end is still given.
    pub(crate) fn pop(&self) -> Result<MediaCommand, NoCommand> {
        let mut waiting = self.lock();
        let none = if waiting.ended { NoCommand::Ever } else { NoCommand::Yet };
        waiting.commands.pop_front().ok_or(none)
    }

    /// Takes no more.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A queue is whole between any two statements, whoever panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_media::PortId;

    #[test]
    fn commands_keep_their_order_and_the_end_comes_behind_them() {
        let commands = Commands::default();
        assert_eq!(commands.pop().err(), Some(NoCommand::Yet));
        assert!([1, 2].into_iter().all(|port| commands.push(MediaCommand::Close { port: PortId(port) })));
        commands.end();
        assert!(!commands.push(MediaCommand::Close { port: PortId(3) }));
        for expected in [1, 2] {
            assert!(matches!(commands.pop(), Ok(MediaCommand::Close { port }) if port.0 == expected));
        }
        assert_eq!(commands.pop().err(), Some(NoCommand::Ever));
    }
}
