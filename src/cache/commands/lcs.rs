//! LCS: the longest common subsequence of two strings.
//!
//! The textbook table of lengths is computed row by row.  To walk back through it, one bit per cell is kept: whether
//! the way led up rather than left.  That is a thirty-second of the table Redis keeps, but the sizes that are refused
//! are the same, because the time grows with the table as well.

use quartet_protocol::resp::Output;
use quartet_protocol::resp::number::parse_integer;

use super::strings::STRING;
use crate::command::{Call, Command, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::{EntryRef, WrongType};

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "lcs",
    syntax: "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
    summary: "Finds the longest common substring.",
    complexity: "O(N*M) where N and M are the lengths of s1 and s2, respectively",
    since: "7.0.0",
    flags: Flags::READONLY,
    keys: Keys { first: 1, last: 2, step: 1, access: KeyAccess::ReadAccess, ..Keys::NONE },
    handler: Handler::Data(lcs),
    ..STRING
}];

/// The bytes of a cell in Redis' table, by which it limits the sizes.
const CELL_SIZE: usize = 4;

/// The most bytes of Redis' table for which the work is done, however long `proto-max-bulk-len` allows strings to be:
/// both keys stay locked for the time, about a second at this size.
const TABLE_SIZE_MAX: usize = 512 * 1024 * 1024;

fn lcs(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (first, second) = (call.key(1), call.key(2));
    let left = copied(call.keyspace.read(&first))?;
    let right = copied(call.keyspace.read(&second))?;
    let options = Options::parse(call)?;
    require_size(call, left.len(), right.len())?;
    let common = Table::new(&left, &right).walk_back();
    match options.reply {
        Reply::Length => call.output.integer(common.length() as i64),
        Reply::Subsequence => call.output.bulk(&common.bytes(&left)),
        Reply::Matches => options.reply_matches(call.output, &common),
    }
    Ok(())
}

fn copied(entry: Option<EntryRef<'_>>) -> Result<Vec<u8>, Refusal> {
    match entry.map(EntryRef::string) {
        Some(Ok(value)) => Ok(value.bytes().to_vec()),
        Some(Err(WrongType)) => Err(Refusal::new("ERR The specified keys must contain string values")),
        None => Ok(Vec::new()),
    }
}

fn require_size(call: &Call<'_, '_>, left: usize, right: usize) -> Result<(), Refusal> {
    let size = (left + 1).checked_mul(right + 1).and_then(|cells| cells.checked_mul(CELL_SIZE));
    if size.is_none_or(|size| size > call.settings.proto_max_bulk_len.min(TABLE_SIZE_MAX)) {
        return Err(Refusal::new(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    Ok(())
}

/// The options.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Reply {
    #[default]
    Subsequence,
    Length,
    Matches,
}

#[derive(Default)]
struct Options {
    reply: Reply,
    match_length_min: usize,
    with_match_length: bool,
}

impl Options {
    fn parse(call: &Call<'_, '_>) -> Result<Options, Refusal> {
        let mut options = Options::default();
        let (mut length, mut indexes) = (false, false);
        let mut words = call.arguments.from(3).iter();
        while let Some(word) = words.next() {
            if word.eq_ignore_ascii_case(b"LEN") {
                length = true;
            } else if word.eq_ignore_ascii_case(b"IDX") {
                indexes = true;
            } else if word.eq_ignore_ascii_case(b"WITHMATCHLEN") {
                options.with_match_length = true;
            } else if word.eq_ignore_ascii_case(b"MINMATCHLEN") {
                let least =
                    parse_integer(words.next().ok_or(Refusal::SYNTAX)?).ok_or(Refusal::NOT_AN_INTEGER)?;
                options.match_length_min = usize::try_from(least).unwrap_or(0);
            } else {
                return Err(Refusal::SYNTAX);
            }
        }
        options.reply = match (length, indexes) {
            (true, true) => {
                return Err(Refusal::new(
                    "ERR If you want both the length and indexes, please just use IDX.",
                ));
            }
            (true, false) => Reply::Length,
            (false, true) => Reply::Matches,
            (false, false) => Reply::Subsequence,
        };
        Ok(options)
    }

    fn reply_matches(&self, output: &mut Output, common: &Common) {
        let matches = || common.0.iter().filter(|part| part.length >= self.match_length_min);
        output.map(2);
        output.bulk(b"matches");
        output.array(matches().count());
        for part in matches() {
            output.array(if self.with_match_length { 3 } else { 2 });
            for start in [part.left, part.right] {
                output.array(2);
                output.integer(start as i64);
                output.integer((start + part.length - 1) as i64);
            }
            if self.with_match_length {
                output.integer(part.length as i64);
            }
        }
        output.bulk(b"len");
        output.integer(common.length() as i64);
    }
}

/// A run of bytes that both strings have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Match {
    left: usize,
    right: usize,
    length: usize,
}

/// The common subsequence as runs, the last one first.
struct Common(Vec<Match>);

impl Common {
    fn length(&self) -> usize {
        self.0.iter().map(|part| part.length).sum()
    }

    fn bytes(&self, left: &[u8]) -> Vec<u8> {
        self.0.iter().rev().flat_map(|part| &left[part.left..part.left + part.length]).copied().collect()
    }
}

/// Which way leads back from each cell.
struct Table<'a> {
    left: &'a [u8],
    right: &'a [u8],
    /// A bit per cell of `left.len() * right.len()`: set if the way leads up, to one byte less of `left`.
    ups: Vec<u64>,
}

impl<'a> Table<'a> {
    fn new(left: &'a [u8], right: &'a [u8]) -> Table<'a> {
        let mut ups = vec![0; (left.len() * right.len()).div_ceil(64)];
        let mut lengths = vec![0u32; right.len() + 1];
        for (row, byte) in left.iter().enumerate() {
            let mut diagonal = 0;
            for (column, other) in right.iter().enumerate() {
                let (up, before) = (lengths[column + 1], lengths[column]);
                let cell = row * right.len() + column;
                if byte == other {
                    lengths[column + 1] = diagonal + 1;
                } else if up > before {
                    ups[cell / 64] |= 1 << (cell % 64);
                } else {
                    lengths[column + 1] = before;
                }
                diagonal = up;
            }
        }
        Table { left, right, ups }
    }

    fn walk_back(&self) -> Common {
        let mut common: Vec<Match> = Vec::new();
        let (mut row, mut column) = (self.left.len(), self.right.len());
        while row > 0 && column > 0 {
            if self.left[row - 1] == self.right[column - 1] {
                row -= 1;
                column -= 1;
                match common.last_mut() {
                    Some(part) if part.left == row + 1 && part.right == column + 1 => {
                        *part = Match { left: row, right: column, length: part.length + 1 };
                    }
                    _ => common.push(Match { left: row, right: column, length: 1 }),
                }
            } else if self.leads_up(row - 1, column - 1) {
                row -= 1;
            } else {
                column -= 1;
            }
        }
        Common(common)
    }

    fn leads_up(&self, row: usize, column: usize) -> bool {
        let cell = row * self.right.len() + column;
        self.ups[cell / 64] >> (cell % 64) & 1 != 0
    }
}
