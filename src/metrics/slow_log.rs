//! The last commands that took long, for SLOWLOG.

use std::collections::VecDeque;

use crate::lock_order::{Mutex, rank};

/// Arguments of a command that are kept.  If there were more, the last one says how many.
const ARGUMENTS_MAX: usize = 32;

/// Bytes of an argument that are kept.
const ARGUMENT_LENGTH_MAX: usize = 128;

/// The most entries kept, whatever the setting says: each may take some kilobytes.
const ENTRIES_MAX: usize = 100_000;

/// A ring of [`SlowCommand`]s.
#[derive(Debug, Default)]
pub struct SlowLog {
    entries: Mutex<Entries, { rank::SLOW_LOG }>,
}

#[derive(Debug, Default)]
struct Entries {
    /// The newest first.
    newest_first: VecDeque<SlowCommand>,
    next_id: u64,
}

/// One command that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowCommand {
    /// A number that is never used again.
    pub id: u64,
    /// When it ended, in seconds since 1970.
    pub wall_seconds: i64,
    /// How long it took.
    pub micros: u64,
    /// The request, shortened.
    pub arguments: Vec<Vec<u8>>,
    /// The address of the client.
    pub address: String,
    /// The name that the client has set.
    pub client_name: String,
}

impl SlowLog {
    /// Adds a command, sets its id, and drops the oldest entries beyond `length`.
    pub fn add(&self, mut command: SlowCommand, length: usize) {
        let mut entries = self.entries.lock();
        command.id = entries.next_id;
        entries.next_id += 1;
        entries.newest_first.push_front(command);
        entries.newest_first.truncate(length.min(ENTRIES_MAX));
    }

    /// The newest entries, at most `count`.
    pub fn newest(&self, count: usize) -> Vec<SlowCommand> {
        self.entries.lock().newest_first.iter().take(count).cloned().collect()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.lock().newest_first.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all entries; ids go on.
    pub fn clear(&self) {
        self.entries.lock().newest_first.clear();
    }
}

/// A request shortened as in Redis: a number of arguments of a number of bytes, and then how much more there was.
pub fn shortened<'a>(arguments: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let count = arguments.len();
    let kept = if count > ARGUMENTS_MAX { ARGUMENTS_MAX - 1 } else { count };
    let mut shortened: Vec<Vec<u8>> = arguments.take(kept).map(shortened_argument).collect();
    if kept < count {
        shortened.push(format!("... ({} more arguments)", count - kept).into_bytes());
    }
    shortened
}

fn shortened_argument(argument: &[u8]) -> Vec<u8> {
    let Some((kept, rest)) = argument.split_at_checked(ARGUMENT_LENGTH_MAX) else { return argument.to_vec() };
    if rest.is_empty() {
        return argument.to_vec();
    }
    [kept, format!("... ({} more bytes)", rest.len()).as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_requests_are_shortened() {
        let long = vec![b'x'; 130];
        let words: Vec<&[u8]> = vec![b"set", b"key", &long];
        let kept = shortened(words.into_iter());
        assert_eq!(kept[..2], [b"set".to_vec(), b"key".to_vec()]);
        assert_eq!(kept[2], [&long[..128], b"... (2 more bytes)"].concat());
        assert_eq!(shortened_argument(&long[..128]), &long[..128]);

        let many = vec![&b"x"[..]; 33];
        let kept = shortened(many.into_iter());
        assert_eq!((kept.len(), kept[31].as_slice()), (32, &b"... (2 more arguments)"[..]));
        assert_eq!(shortened(vec![&b"x"[..]; 32].into_iter()), vec![b"x".to_vec(); 32]);
    }

    #[test]
    fn the_oldest_entries_go_first() {
        let log = SlowLog::default();
        let command = |micros| SlowCommand {
            id: 0,
            wall_seconds: 0,
            micros,
            arguments: Vec::new(),
            address: String::new(),
            client_name: String::new(),
        };
        for micros in 0..5 {
            log.add(command(micros), 3);
        }
        let ids: Vec<u64> = log.newest(2).iter().map(|entry| entry.id).collect();
        assert_eq!((ids, log.len()), (vec![4, 3], 3));
        log.clear();
        log.add(command(9), 0);
        assert!(log.is_empty());
    }
}
