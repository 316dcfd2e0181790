//! The command table as the executor uses it: all rows, with facts derived from them, found by name.

use quartet_protocol::resp::Arguments;

use super::{Command, Flags};
use crate::command::syntax;

/// Longest command name; a longer word is no command.
const NAME_LENGTH_MAX: usize = NAME_WORDS * WORD_SIZE;
const NAME_WORDS: usize = 3;
const WORD_SIZE: usize = size_of::<u64>();

/// Words of a request that is over soon.
const SOON_WORDS_MAX: usize = 64;

/// The flags of commands that are over soon, and of those that end others which take long and so must not wait for them.
const SOON: Flags = Flags::FAST.union(Flags::QUICK).union(Flags::ALLOW_BUSY);

/// The flags of commands that may take long for all that: they need the whole store, or run others.
const NEVER_SOON: Flags = Flags::EXCLUSIVE.union(Flags::RUNS_SCRIPT);

/// Slots of the name index per row: enough that nearly every name is found at the first look.
const SLOTS_PER_ROW: usize = 8;

/// A command's row, with facts derived from it.
#[derive(Debug)]
pub struct Row {
    /// Its place in the table, by which metrics are kept.
    pub id: usize,
    /// The full name: `get`, `client|kill`.
    pub name: String,
    /// The row as written.
    pub command: &'static Command,
    /// As COMMAND INFO gives it: the number of arguments with the name, negative if it is a minimum.
    pub arity: i32,
    /// The rows of its subcommands, as a range of ids.
    pub subcommands: std::ops::Range<usize>,
    /// The fewest and the most arguments, the name included, with which this row itself runs: see [`Row::takes`].
    least: usize,
    most: usize,
}

impl Row {
    /// Whether a request with this many arguments, the name included, has the right number.
    pub fn accepts(&self, arguments: usize) -> bool {
        let required = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { arguments >= required } else { arguments == required }
    }

    /// Whether a request needs the gate alone.
    #[inline]
    pub fn needs_store(&self, arguments: Arguments<'_>) -> bool {
        self.command.flags.contains(Flags::EXCLUSIVE) && (self.command.needs_store)(arguments)
    }

    /// Whether a request with this many arguments, the name included, is over soon however large the values of its keys are.
    pub fn is_over_soon(&self, arguments: usize) -> bool {
        let flags = self.command.flags;
        let has_count = flags.contains(Flags::TAKES_COUNT) && arguments > self.least;
        flags.intersects(SOON) && !flags.intersects(NEVER_SOON) && arguments <= SOON_WORDS_MAX && !has_count
    }

    /// Whether a request whose lookup has found this row runs with this many arguments.  As [`Row::accepts`], but the row
    /// of a family takes only its name: with more, the lookup would have found a subcommand.
    #[inline]
    pub(super) fn takes(&self, arguments: usize) -> bool {
        (self.least..=self.most).contains(&arguments)
    }
}

/// All commands.
#[derive(Debug)]
pub struct CommandTable {
    rows: Vec<Row>,
    /// Open addressing by the folded name; a free slot has a name of no length.
    index: Vec<Slot>,
    /// The id of the command that runs a transaction's queue.
    queue_runner: usize,
}

/// A name as words, so that looking it up compares three numbers instead of calling for a comparison of bytes.
type FoldedName = [u64; NAME_WORDS];

#[derive(Clone, Copy, Debug)]
struct Slot {
    name: FoldedName,
    /// A name that goes on with zero bytes folds to the same words.
    length: u32,
    id: u32,
}

const FREE: Slot = Slot { name: [0; NAME_WORDS], length: 0, id: u32::MAX };

impl Slot {
    /// Whether this is the name.  Word by word: the words have just been put together, and the processor would wait
    /// for them if they were compared as one vector.
    fn is(&self, name: &FoldedName, length: usize) -> bool {
        let [first, second, third] = self.name;
        self.length as usize == length
            && first == name[0]
            && (length <= WORD_SIZE || second == name[1] && third == name[2])
    }
}

impl CommandTable {
    /// The table of these families.
    ///
    /// # Panics
    /// If a name is there twice or too long, or no command runs queues, which a test would have shown.
    pub fn new(families: &[&'static [Command]]) -> CommandTable {
        let commands: Vec<&'static Command> = families.iter().flat_map(|family| family.iter()).collect();
        let mut rows: Vec<Row> = Vec::new();
        for &command in &commands {
            rows.push(Row::new(rows.len(), command.name.to_owned(), command, 1));
        }
        for (id, command) in commands.iter().enumerate() {
            let start = rows.len();
            for subcommand in command.subcommands {
                let name = format!("{}|{}", command.name, subcommand.name);
                rows.push(Row::new(rows.len(), name, subcommand, 2));
            }
            rows[id].subcommands = start..rows.len();
            if !command.subcommands.is_empty() {
                rows[id].most = 1;
            }
        }
        let slots = (rows.len() * SLOTS_PER_ROW).next_power_of_two();
        let runner = rows.iter().position(|row| row.command.flags.contains(Flags::RUNS_QUEUE));
        let queue_runner = runner.expect("a command runs the queues of transactions");
        let mut table = CommandTable { rows, index: vec![FREE; slots], queue_runner };
        for (id, command) in commands.iter().enumerate() {
            assert!(command.name.len() <= NAME_LENGTH_MAX, "the name {} is too long", command.name);
            assert!(
                table.find(command.name.as_bytes()).is_none(),
                "the name {} is there twice",
                command.name
            );
            let name = folded(command.name.as_bytes());
            let mut slot = table.first_slot(name);
            while table.index[slot].length != FREE.length {
                slot = (slot + 1) % slots;
            }
            table.index[slot] = Slot { name, length: command.name.len() as u32, id: id as u32 };
        }
        table
    }

    /// The command of this name, in upper or lower case.
    pub fn find(&self, name: &[u8]) -> Option<&Row> {
        if name.len() > NAME_LENGTH_MAX {
            return None;
        }
        let length = name.len();
        let name = folded(name);
        let mut at = self.first_slot(name);
        loop {
            let slot = &self.index[at];
            if slot.is(&name, length) {
                return self.rows.get(slot.id as usize);
            }
            if slot.length == FREE.length {
                return None;
            }
            at = (at + 1) & (self.index.len() - 1);
        }
    }

    /// The subcommand of a family.
    pub fn find_subcommand(&self, family: &Row, name: &[u8]) -> Option<&Row> {
        let rows = &self.rows[family.subcommands.clone()];
        rows.iter().find(|row| row.command.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The command that a request means: a subcommand if it names one.
    pub fn resolve(&self, name: &[u8], subcommand: Option<&[u8]>) -> Option<&Row> {
        let row = self.find(name)?;
        match subcommand {
            Some(subcommand) if !row.subcommands.is_empty() => self.find_subcommand(row, subcommand),
            _ => Some(row),
        }
    }

    /// The rows of commands proper, without subcommands.
    pub fn commands(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.name.contains('|'))
    }

    /// The rows of a family's subcommands.
    pub fn subcommands(&self, family: &Row) -> &[Row] {
        &self.rows[family.subcommands.clone()]
    }

    /// All rows by id, subcommands included.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The command that runs a transaction's queue.
    pub fn queue_runner(&self) -> &Row {
        &self.rows[self.queue_runner]
    }

    fn first_slot(&self, name: FoldedName) -> usize {
        let mixed = name[0] ^ name[1].rotate_left(21) ^ name[2].rotate_left(42);
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & (self.index.len() - 1)
    }
}

impl Row {
    fn new(id: usize, name: String, command: &'static Command, words: i32) -> Row {
        let (required, fixed) = syntax::argument_count(command.syntax);
        let family_without_subcommand = !command.subcommands.is_empty() && command.syntax.is_empty();
        let least = words + required + i32::from(family_without_subcommand);
        let arity = if fixed && command.subcommands.is_empty() { least } else { -least };
        let most = if arity < 0 { usize::MAX } else { least as usize };
        Row { id, name, command, arity, subcommands: 0..0, least: least as usize, most }
    }
}

/// The name in lower case, padded with zeros.  Zero bytes at the end of a name are lost.
fn folded(name: &[u8]) -> FoldedName {
    if name.len() <= WORD_SIZE {
        return [lower_case(short_word(name)), 0, 0];
    }
    let mut bytes = [0; NAME_LENGTH_MAX];
    bytes[..name.len()].copy_from_slice(name);
    let word = |at: usize| {
        let word = bytes[at * WORD_SIZE..].first_chunk().expect("the name is a whole number of words");
        lower_case(u64::from_le_bytes(*word))
    };
    [word(0), word(1), word(2)]
}

/// Up to eight bytes as a number, from two loads that overlap instead of a loop.
fn short_word(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let (first, last) = (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)));
        return first | last << ((length - 4) * 8);
    }
    let byte = |at: usize| u64::from(bytes[at]) << (at * 8);
    if length == 0 { 0 } else { byte(0) | byte(length / 2) | byte(length - 1) }
}

/// The letters of eight ASCII characters in lower case, all at once: a byte that is at least `A` and at most `Z` gets
/// the bit that tells the cases apart.
fn lower_case(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low_bits = word & (EACH * 0x7f);
    let from_a = low_bits + EACH * (0x80 - b'A' as u64);
    let beyond_z = low_bits + EACH * (0x7f - b'Z' as u64);
    let is_upper = !word & (from_a ^ beyond_z) & (EACH * 0x80);
    word | is_upper >> 2
}

#[cfg(test)]
mod tests {
    use super::{NAME_LENGTH_MAX, folded};

    #[test]
    fn names_are_folded_like_ascii_lower_case() {
        for length in 0..=NAME_LENGTH_MAX {
            for start in 0..=255_u8 {
                let name: Vec<u8> =
                    (0..length).map(|at| start.wrapping_add((at as u8).wrapping_mul(37))).collect();
                let lower = name.to_ascii_lowercase();
                let bytes: Vec<u8> = folded(&name).iter().flat_map(|word| word.to_le_bytes()).collect();
                assert_eq!(bytes[..length], lower);
                assert!(bytes[length..].iter().all(|&byte| byte == 0));
            }
        }
    }
}
