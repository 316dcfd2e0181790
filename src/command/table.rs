//! The command table as dispatch uses it: all rows with what is derived from them, found by name.

use super::Command;
use crate::syntax;

/// Longest command name; a longer word is no command.
const NAME_LENGTH_MAX: usize = 24;

/// Slots of the name index per row: enough that nearly every name is found at the first look.
const SLOTS_PER_ROW: usize = 8;

/// A command with what is derived from its row.
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
}

impl Row {
    /// Whether a request with this many arguments, the name included, has the right number.
    pub fn accepts(&self, arguments: usize) -> bool {
        let required = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { arguments >= required } else { arguments == required }
    }
}

/// All commands.
#[derive(Debug)]
pub struct CommandTable {
    rows: Vec<Row>,
    index: Vec<u16>,
}

impl CommandTable {
    /// The table of these families.
    ///
    /// # Panics
    /// If a name is there twice or too long, which a test would have shown.
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
        }
        let slots = (rows.len() * SLOTS_PER_ROW).next_power_of_two();
        let mut table = CommandTable { rows, index: vec![u16::MAX; slots] };
        for (id, command) in commands.iter().enumerate() {
            assert!(command.name.len() <= NAME_LENGTH_MAX, "the name {} is too long", command.name);
            assert!(
                table.find(command.name.as_bytes()).is_none(),
                "the name {} is there twice",
                command.name
            );
            let mut slot = table.first_slot(&folded(command.name.as_bytes()));
            while table.index[slot] != u16::MAX {
                slot = (slot + 1) % slots;
            }
            table.index[slot] = u16::try_from(id).expect("there are far fewer commands");
        }
        table
    }

    /// The command of this name, in upper or lower case.
    pub fn find(&self, name: &[u8]) -> Option<&Row> {
        if name.len() > NAME_LENGTH_MAX {
            return None;
        }
        let folded = folded(name);
        let mut slot = self.first_slot(&folded);
        loop {
            let row = self.rows.get(usize::from(self.index[slot]))?;
            if row.name.as_bytes() == &folded[..name.len()] {
                return Some(row);
            }
            slot = (slot + 1) % self.index.len();
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

    fn first_slot(&self, folded: &[u8; NAME_LENGTH_MAX]) -> usize {
        let word = |at: usize| u64::from_le_bytes(folded[at..at + 8].try_into().expect("eight bytes"));
        let mixed = word(0) ^ word(8).rotate_left(21) ^ word(16).rotate_left(42);
        let hash = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        hash as usize & (self.index.len() - 1)
    }
}

impl Row {
    fn new(id: usize, name: String, command: &'static Command, words: i32) -> Row {
        let (required, fixed) = syntax::argument_count(command.syntax);
        let family_without_subcommand = !command.subcommands.is_empty() && command.syntax.is_empty();
        let least = words + required + i32::from(family_without_subcommand);
        let arity = if fixed && command.subcommands.is_empty() { least } else { -least };
        Row { id, name, command, arity, subcommands: 0..0 }
    }
}

/// The name in lower case, padded with zeros.
fn folded(name: &[u8]) -> [u8; NAME_LENGTH_MAX] {
    let mut folded = [0; NAME_LENGTH_MAX];
    for (to, from) in folded.iter_mut().zip(name) {
        *to = from.to_ascii_lowercase();
    }
    folded
}
