//! Finding keys without naming them: SCAN, KEYS, RANDOMKEY.
//!
//! A SCAN cursor holds the number of the shard in its low bits and the shard's own cursor above them; 0 is the start
//! and the end.  The promise of a shard (see `Shard::scan`) holds for the whole walk, since keys never change shards.
//! Any other number a client may send is a valid place too: the walk goes on from there and ends.

use std::ops::ControlFlow;

use quartet_protocol::resp::Output;
use quartet_protocol::resp::number::parse_integer;

use crate::command::{Call, Command, Flags, Group, Handler};
use crate::glob::Pattern;
use crate::random::Random;
use crate::refusal::Refusal;
use crate::store::{AccessContext, EntryRef, Key, Keyspace, SHARD_COUNT, ShardId, Store};

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "scan",
        syntax: "cursor [MATCH pattern] [COUNT count] [TYPE type]",
        summary: "Iterates over the key names in the database.",
        complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the \
                     cursor to return back to 0. N is the number of elements inside the collection.",
        since: "2.8.0",
        group: Group::Generic,
        flags: Flags::READONLY.union(Flags::SELF_LOCKING).union(Flags::WALKING),
        handler: Handler::Data(scan),
        ..Command::ROW
    },
    Command {
        name: "keys",
        syntax: "pattern",
        summary: "Returns all key names that match a pattern.",
        complexity: "O(N) with N being the number of keys in the database, under the assumption that the key names \
                     in the database and the given pattern have limited length.",
        group: Group::Generic,
        flags: Flags::READONLY.union(Flags::SELF_LOCKING).union(Flags::WALKING).union(Flags::DANGEROUS),
        handler: Handler::Data(keys),
        ..Command::ROW
    },
    Command {
        name: "randomkey",
        summary: "Returns a random key name from the database.",
        group: Group::Generic,
        flags: Flags::READONLY.union(Flags::SELF_LOCKING).union(Flags::WALKING),
        handler: Handler::Data(randomkey),
        ..Command::ROW
    },
];

/// Keys that a call of SCAN looks at unless its client asks for more or fewer.
pub(super) const SCAN_COUNT: usize = 10;

/// Steps (buckets) per key asked for after which a call ends even if it has met fewer keys.
const SCAN_STEPS_PER_KEY: usize = 10;

/// How often RANDOMKEY tries again after it met only expired keys, before it takes any key.
const RANDOM_ATTEMPTS: usize = 16;

/// Names of keys, one behind the other in one buffer.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Names {
    fn push(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
    }

    fn write(&self, output: &mut Output) {
        output.array(self.ends.len());
        let mut start = 0;
        for &end in &self.ends {
            output.bulk(&self.bytes[start..end]);
            start = end;
        }
    }
}

/// A place in a walk over the shards of a database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    shard: usize,
    place: u64,
}

impl Cursor {
    /// The place that a client's number stands for.
    pub fn from_number(number: u64) -> Cursor {
        let count = SHARD_COUNT as u64;
        Cursor { shard: (number % count) as usize, place: number / count }
    }

    /// The number clients see; past the last shard it is 0.
    pub fn number(self) -> u64 {
        if self.shard == SHARD_COUNT { 0 } else { self.place * SHARD_COUNT as u64 + self.shard as u64 }
    }

    /// The place that follows when the shard's own scan has answered `place`.
    fn moved(self, place: u64) -> Cursor {
        Cursor { shard: self.shard + usize::from(place == 0), place }
    }
}

/// Which keys a call of SCAN is for, and how much it may look at.
#[derive(Clone, Debug)]
struct ScanOptions<'a> {
    pattern: Option<Pattern>,
    count: usize,
    /// By its name; one that no key has finds nothing.
    type_name: Option<&'a [u8]>,
}

impl ScanOptions<'_> {
    fn wants(&self, store: &Store, entry: EntryRef<'_>) -> bool {
        let is_of_type =
            |name: &[u8]| name.eq_ignore_ascii_case(store.type_name(entry.value_type()).as_bytes());
        self.type_name.is_none_or(is_of_type)
            && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(entry.key()))
    }
}

fn scan(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let cursor = parse_cursor(call.arguments.at(1)).ok_or(Refusal::INVALID_CURSOR)?;
    let options = scan_options(call)?;
    let mut names = Names::default();
    let store = call.keyspace.store();
    let next = walk(call.keyspace, Cursor::from_number(cursor), options.count, |entry| {
        if options.wants(store, entry) {
            names.push(entry.key());
        }
    });
    call.output.array(2);
    call.output.bulk(next.number().to_string().as_bytes());
    names.write(call.output);
    Ok(())
}

/// An unsigned number of 64 bits, without sign or blanks.
pub(super) fn parse_cursor(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

fn scan_options<'a>(call: &Call<'a, '_>) -> Result<ScanOptions<'a>, Refusal> {
    let mut options = ScanOptions { pattern: None, count: SCAN_COUNT, type_name: None };
    let mut words = call.arguments.from(2).iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or(Refusal::SYNTAX)?;
        match word.to_ascii_lowercase().as_slice() {
            b"match" => options.pattern = (value != b"*").then(|| Pattern::new(value)).transpose()?,
            b"type" => options.type_name = Some(value),
            b"count" => {
                let count = parse_integer(value).ok_or(Refusal::NOT_AN_INTEGER)?;
                options.count =
                    usize::try_from(count).ok().filter(|&count| count > 0).ok_or(Refusal::SYNTAX)?;
            }
            _ => return Err(Refusal::SYNTAX),
        }
    }
    Ok(options)
}

/// Visits keys from `cursor` on until `count` were met or enough was looked at, and returns where to go on.
/// Shards without keys are passed over for free: there are few enough of them, and so a small database takes one
/// call.
pub fn walk(
    keyspace: &mut Keyspace<'_>,
    cursor: Cursor,
    count: usize,
    mut visit: impl FnMut(EntryRef<'_>),
) -> Cursor {
    walk_while(keyspace, cursor, count, |entry| {
        visit(entry);
        ControlFlow::Continue(())
    })
}

/// As [`walk`], and ends soon after `visit` has had enough.
pub fn walk_while(
    keyspace: &mut Keyspace<'_>,
    mut cursor: Cursor,
    count: usize,
    mut visit: impl FnMut(EntryRef<'_>) -> ControlFlow<()>,
) -> Cursor {
    let end = Cursor { shard: SHARD_COUNT, place: 0 };
    keyspace.unlock();
    let Some(shards) = shards(keyspace) else { return end };
    let (mut met, mut steps) = (0, 0);
    while cursor.shard < SHARD_COUNT && met < count && steps < count.saturating_mul(SCAN_STEPS_PER_KEY) {
        cursor = keyspace.with_shard(shards[cursor.shard], |shard, access| {
            if shard.is_empty() {
                return cursor.moved(0);
            }
            let shard_number = cursor.shard;
            let mut cursor = cursor;
            while cursor.shard == shard_number
                && met < count
                && steps < count.saturating_mul(SCAN_STEPS_PER_KEY)
            {
                steps += 1;
                cursor = cursor.moved(shard.scan(cursor.place, access, |entry| {
                    met = if visit(entry).is_break() { count } else { met + 1 };
                }));
            }
            cursor
        });
    }
    cursor
}

/// The shards of the selected database, if anything was ever written to it.
fn shards(keyspace: &Keyspace<'_>) -> Option<Vec<ShardId>> {
    let shards: Vec<ShardId> = keyspace.store().shards(keyspace.database).collect();
    (!shards.is_empty()).then_some(shards)
}

fn keys(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let pattern = call.arguments.at(1);
    let mut names = Names::default();
    call.keyspace.unlock();
    if is_literal(pattern) {
        if holds(call.keyspace, &call.key(1)) {
            names.push(pattern);
        }
    } else {
        let pattern = Pattern::new(pattern)?;
        call.keyspace.for_each_shard(call.keyspace.database, |shard, access| {
            shard.for_each(access, |entry| {
                if pattern.matches(entry.key()) {
                    names.push(entry.key());
                }
            });
        });
    }
    names.write(call.output);
    Ok(())
}

/// Whether a pattern matches nothing but itself.
fn is_literal(pattern: &[u8]) -> bool {
    !pattern.iter().any(|byte| b"*?[\\".contains(byte))
}

fn holds(keyspace: &mut Keyspace<'_>, key: &Key<'_>) -> bool {
    let id = keyspace.store().shard_of(keyspace.database, key.hash);
    keyspace.with_shard(id, |shard, access: &AccessContext| shard.peek(key, access).is_some())
}

fn randomkey(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    match random_key(call.keyspace, call.random) {
        Some(key) => call.output.bulk(&key),
        None => call.output.null(),
    }
    Ok(())
}

/// A key of the selected database, each about as likely as any other.
fn random_key(keyspace: &mut Keyspace<'_>, random: &mut Random) -> Option<Vec<u8>> {
    keyspace.unlock();
    for _ in 0..RANDOM_ATTEMPTS {
        let id = random_shard(keyspace, random)?;
        let key = keyspace.with_shard(id, |shard, access| shard.random_key(random.draw(), access));
        if key.is_some() {
            return key;
        }
    }
    any_key(keyspace)
}

/// A shard, chosen as often as it has keys; none if there are no keys.
fn random_shard(keyspace: &mut Keyspace<'_>, random: &mut Random) -> Option<ShardId> {
    let mut chosen = None;
    let mut total = 0;
    for id in shards(keyspace)? {
        let count = keyspace.with_shard(id, |shard, _| shard.len());
        total += count;
        if count > 0 && random.below(total) < count {
            chosen = Some(id);
        }
    }
    chosen
}

fn any_key(keyspace: &mut Keyspace<'_>) -> Option<Vec<u8>> {
    let mut found = None;
    walk(keyspace, Cursor::from_number(0), usize::MAX, |entry| {
        found.get_or_insert_with(|| entry.key().to_vec());
    });
    found
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::clock::Now;
    use crate::store::recency::Recency;
    use crate::store::{Lifetime, LifetimeBounds, Store};

    const COUNT: usize = 10;

    fn keyspace(store: &Store) -> Keyspace<'_> {
        let now = Now::at(Duration::from_secs(1), Duration::from_secs(1));
        Keyspace::new(
            store,
            now,
            AccessContext {
                now: now.millis(),
                recency: Recency::UNTRACKED,
                lifetimes: LifetimeBounds::UNBOUNDED,
            },
        )
    }

    fn change(keyspace: &mut Keyspace<'_>, name: &str, present: bool) {
        let store = keyspace.store();
        let key = store.key(name.as_bytes());
        keyspace.with_shard(store.shard_of(0, key.hash), |shard, access| {
            if present {
                shard.set(&key, b"value", Lifetime::Forever, access);
            } else {
                shard.remove(&key, access);
            }
        });
    }

    fn name(number: usize) -> String {
        format!("key:{number}")
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        /// Between the calls the database grows to many times its size or shrinks back.
        #[test]
        fn keys_present_all_the_time_are_returned(
            seed: u64,
            stable in 0usize..2_000,
            growth in prop::collection::vec((0usize..40_000, 0usize..400, any::<bool>()), 1..60),
        ) {
            let store = Store::new(1, 1, 1, seed);
            let mut keyspace = keyspace(&store);
            let always: BTreeSet<String> = (0..stable).map(name).collect();
            for key in &always {
                change(&mut keyspace, key, true);
            }
            let mut passing: BTreeMap<usize, bool> = BTreeMap::new();
            let mut seen = BTreeSet::new();
            let mut cursor = Cursor::from_number(0);
            let mut changes = growth.iter().cycle();
            loop {
                cursor = walk(&mut keyspace, cursor, COUNT, |entry| {
                    seen.insert(String::from_utf8_lossy(entry.key()).into_owned());
                });
                if cursor.number() == 0 {
                    break;
                }
                prop_assert!(cursor.number() < 1 << 53);
                let &(start, length, present) = changes.next().expect("the list is not empty");
                for number in start..start + length {
                    passing.insert(number, present);
                    change(&mut keyspace, &name(stable + number), present);
                }
            }
            prop_assert!(always.is_subset(&seen));
            prop_assert!(seen.len() <= stable + passing.len());
        }

        #[test]
        fn any_number_is_a_harmless_cursor(seed: u64, number: u64, keys in 0usize..3_000) {
            let store = Store::new(1, 1, 1, seed);
            let mut keyspace = keyspace(&store);
            for number in 0..keys {
                change(&mut keyspace, &name(number), true);
            }
            let mut cursor = Cursor::from_number(number);
            for _ in 0..SHARD_COUNT + keys {
                cursor = walk(&mut keyspace, cursor, COUNT, |_| {});
                if cursor.number() == 0 {
                    return Ok(());
                }
            }
            prop_assert!(false, "the walk from {number} does not end");
        }
    }

    #[test]
    fn an_untouched_database_is_walked_in_one_call() {
        let store = Store::new(1, 1, 1, 7);
        let mut keyspace = keyspace(&store);
        assert_eq!(walk(&mut keyspace, Cursor::from_number(0), COUNT, |_| {}).number(), 0);
        assert_eq!(random_key(&mut keyspace, &mut Random::with_seed(1)), None);
    }

    #[test]
    fn every_key_is_drawn_sooner_or_later() {
        let store = Store::new(1, 1, 1, 7);
        let mut keyspace = keyspace(&store);
        let names: BTreeSet<String> = (0..20).map(name).collect();
        for key in &names {
            change(&mut keyspace, key, true);
        }
        let mut random = Random::with_seed(1);
        let draw =
            |_| random_key(&mut keyspace, &mut random).map(|key| String::from_utf8_lossy(&key).into_owned());
        assert_eq!((0..1_000).filter_map(draw).collect::<BTreeSet<String>>(), names);
    }

    #[test]
    fn cursors_are_digits_alone() {
        let cases =
            [("0", Some(0)), ("18446744073709551615", Some(u64::MAX)), ("18446744073709551616", None)];
        let refused = ["-1", "+1", " 1", "1 ", "", "x"].map(|text| (text, None));
        for (text, expected) in cases.into_iter().chain(refused) {
            assert_eq!(parse_cursor(text.as_bytes()), expected, "{text:?}");
        }
    }
}
