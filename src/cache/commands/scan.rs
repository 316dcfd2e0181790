//! Finding keys without naming them: SCAN, KEYS, RANDOMKEY.
//!
//! Only a shard's own holder is waited for, however many other commands take long.  SCAN ends before a shard that is held for long, and
//! waits only if it begins there; KEYS keeps what it has found in the other shards; RANDOMKEY takes a key of another one.  The wait is
//! for a look at the shard, which is left with its lock (`store/looks`).

use std::sync::Arc;

use quartet_protocol::resp::Output;
use quartet_protocol::resp::number::parse_integer;

use super::walk::{Cursor, Met, walk_one, walk_shards};
use crate::command::{Call, Command, Flags, Group, Handler};
use crate::glob::Pattern;
use crate::random::Random;
use crate::refusal::Refusal;
use crate::store::{
    AccessContext, EntryRef, HeldForLong, Key, Keyspace, Look, Looked, Shard, ShardId, ValueType,
};

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
        flags: Flags::READONLY.union(Flags::SELF_LOCKING),
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
        flags: Flags::READONLY.union(Flags::SELF_LOCKING).union(Flags::DANGEROUS),
        handler: Handler::Data(keys),
        ..Command::ROW
    },
    Command {
        name: "randomkey",
        summary: "Returns a random key name from the database.",
        group: Group::Generic,
        flags: Flags::READONLY.union(Flags::SELF_LOCKING),
        handler: Handler::Data(randomkey),
        ..Command::ROW
    },
];

/// Keys that a call of SCAN looks at unless its client asks for more or fewer.
pub(super) const SCAN_COUNT: usize = 10;

/// Bytes that KEYS keeps while it is held up.  With more of them it begins anew.
const NAMES_KEPT_MAX: usize = 16 << 20;

/// How often RANDOMKEY tries again after it met only expired keys or a shard that is held for long, before it takes any key.
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

    /// Bytes that they take.
    fn size(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<usize>()
    }

    fn append(&mut self, others: &Names) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&others.bytes);
        self.ends.extend(others.ends.iter().map(|end| start + end));
    }

    /// Adds those of a shard that match.
    fn add_matching(&mut self, shard: &Shard, access: &AccessContext, pattern: &Pattern) {
        shard.for_each(access, |entry| {
            if pattern.matches(entry.key()) {
                self.push(entry.key());
            }
        });
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

/// Which keys a call of SCAN is for, and how much it may look at.
#[derive(Clone, Debug)]
struct ScanOptions {
    pattern: Option<Pattern>,
    count: usize,
    /// By its name; one that no key has finds nothing.
    type_name: Option<Box<[u8]>>,
    /// The name of pinned entries.
    pinned_type: &'static str,
}

impl ScanOptions {
    fn wants(&self, entry: EntryRef<'_>) -> bool {
        let is_of_type =
            |name: &[u8]| name.eq_ignore_ascii_case(entry.value_type().name(self.pinned_type).as_bytes());
        self.type_name.as_deref().is_none_or(is_of_type)
            && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(entry.key()))
    }

    /// A step at a place of a shard, which adds the names of the keys that are wanted.
    fn step(&self, shard: &Shard, place: u64, access: &AccessContext, names: &mut Names) -> (u64, Met) {
        let mut met = Met::default();
        let place = shard.scan(place, access, |entry| {
            met.keys += 1;
            if self.wants(entry) {
                names.push(entry.key());
            }
        });
        (place, met)
    }
}

/// What a call of SCAN answers.
struct Page {
    next: Cursor,
    names: Names,
}

fn scan(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let page = match call.left_look::<Page>() {
        Some(page) => page?,
        None => scan_page(call)?,
    };
    let Some(Page { next, names }) = page else { return Ok(()) };
    call.output.array(2);
    call.output.bulk(next.number().to_string().as_bytes());
    names.write(call.output);
    Ok(())
}

/// The page; none if the call is held up.
fn scan_page(call: &mut Call<'_, '_>) -> Result<Option<Page>, Refusal> {
    let cursor = parse_cursor(call.arguments.at(1)).ok_or(Refusal::INVALID_CURSOR)?;
    let options = scan_options(call)?;
    let mut names = Names::default();
    let walked =
        walk_shards(call.keyspace, Cursor::from_number(cursor), options.count, |shard, place, access| {
            options.step(shard, place, access, &mut names)
        });
    let held = match walked {
        Ok(next) => return Ok(Some(Page { next, names })),
        Err(held) => held,
    };
    call.look(held.shard(call.keyspace), move |shard, access| {
        let step =
            |shard: &mut Shard, place, access: &AccessContext| options.step(shard, place, access, &mut names);
        let next = walk_one(shard, held.at, options.count, access, step);
        Page { next, names }
    })
}

/// An unsigned number of 64 bits, without sign or blanks.
pub(super) fn parse_cursor(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

fn scan_options(call: &Call<'_, '_>) -> Result<ScanOptions, Refusal> {
    let pinned_type = call.keyspace.store().type_name(ValueType::Pinned);
    let mut options = ScanOptions { pattern: None, count: SCAN_COUNT, type_name: None, pinned_type };
    let mut words = call.arguments.from(2).iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or(Refusal::SYNTAX)?;
        match word.to_ascii_lowercase().as_slice() {
            b"match" => options.pattern = (value != b"*").then(|| Pattern::new(value)).transpose()?,
            b"type" => options.type_name = Some(value.into()),
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

/// The shards of the selected database that had keys when they were last unlocked, with how many.
fn shards_with_keys<'s>(keyspace: &Keyspace<'s>) -> impl Iterator<Item = (ShardId, usize)> + use<'s> {
    let store = keyspace.store();
    let shards = store.shards(keyspace.database).map(|id| (id, store.population(id).0));
    shards.filter(|(_, count)| *count > 0)
}

/// What KEYS has found while shards are held for long.
struct KeysSoFar {
    names: Names,
    /// The looks at the shards that are left.
    looks: Vec<Look<Names>>,
    /// The physical database: SWAPDB may have put another in its place.
    database: usize,
}

fn keys(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let text = call.arguments.at(1);
    if is_literal(text) {
        return literal_key(call, text);
    }
    let pattern = Arc::new(Pattern::new(text)?);
    let database = call.keyspace.store().physical_database(call.keyspace.database);
    let so_far = call.continuation.so_far.take().and_then(|so_far| so_far.downcast::<KeysSoFar>().ok());
    let (so_far, held) = match so_far.filter(|so_far| so_far.database == database) {
        Some(mut so_far) => {
            let held = finish_looks(call.keyspace, &mut so_far);
            (so_far, held)
        }
        None => {
            let mut so_far = Box::new(KeysSoFar { names: Names::default(), looks: Vec::new(), database });
            let held = find_names(call.keyspace, &pattern, &mut so_far);
            (so_far, held)
        }
    };
    if let Some(reason) = held {
        // Too many names are looked for anew.
        call.continuation.so_far = (so_far.names.size() <= NAMES_KEPT_MAX).then_some(so_far as _);
        return call.hold_up(reason);
    }
    so_far.names.write(call.output);
    Ok(())
}

/// Takes the names that match from all shards, and leaves looks at those that are held for long.  Returns why, if there are any.
fn find_names(
    keyspace: &mut Keyspace<'_>,
    pattern: &Arc<Pattern>,
    so_far: &mut KeysSoFar,
) -> Option<HeldForLong> {
    keyspace.unlock();
    let mut held = None;
    for (id, _) in shards_with_keys(keyspace) {
        if names_of(keyspace, id, pattern, &mut so_far.names).is_ok() {
            continue;
        }
        let pattern = Arc::clone(pattern);
        let looked = keyspace.look(id, move |shard, access| {
            let mut names = Names::default();
            names.add_matching(shard, access, &pattern);
            names
        });
        if let Some(reason) = so_far.take_in(looked) {
            held.get_or_insert(reason);
            if reason == HeldForLong::ByScript {
                return Some(reason);
            }
        }
    }
    held
}

/// Takes what the looks have found that were left.  Returns why some have found nothing yet, if so.
fn finish_looks(keyspace: &mut Keyspace<'_>, so_far: &mut KeysSoFar) -> Option<HeldForLong> {
    let mut held = None;
    for look in std::mem::take(&mut so_far.looks) {
        let looked = keyspace.finish_look(look);
        if let Some(reason) = so_far.take_in(looked) {
            held.get_or_insert(reason);
            if reason == HeldForLong::ByScript {
                return Some(reason);
            }
        }
    }
    held
}

impl KeysSoFar {
    /// Takes what a look has found, or keeps it; returns why it has found nothing, if so.
    fn take_in(&mut self, looked: Looked<Names>) -> Option<HeldForLong> {
        match looked {
            Looked::Found(names) => {
                self.names.append(&names);
                None
            }
            Looked::Held(reason) => Some(reason),
            Looked::Left(look) => {
                let reason = look.reason();
                self.looks.push(look);
                Some(reason)
            }
        }
    }
}

/// Adds the names of a shard that match.
fn names_of(
    keyspace: &mut Keyspace<'_>,
    id: ShardId,
    pattern: &Pattern,
    names: &mut Names,
) -> Result<(), HeldForLong> {
    keyspace.visit_shard(id, |shard, access| names.add_matching(shard, access, pattern))
}

fn literal_key(call: &mut Call<'_, '_>, name: &[u8]) -> Result<(), Refusal> {
    let key = call.key(1);
    let (hash, bytes) = (key.hash, Box::<[u8]>::from(name));
    call.keyspace.unlock();
    let id = call.keyspace.store().shard_of(call.keyspace.database, hash);
    let is_there = match call.left_look::<bool>() {
        Some(is_there) => is_there?,
        None => {
            call.look(id, move |shard, access| shard.peek(&Key { bytes: &bytes, hash }, access).is_some())?
        }
    };
    let Some(is_there) = is_there else { return Ok(()) };
    let mut names = Names::default();
    if is_there {
        names.push(name);
    }
    names.write(call.output);
    Ok(())
}

/// Whether a pattern matches nothing but itself.
fn is_literal(pattern: &[u8]) -> bool {
    !pattern.iter().any(|byte| b"*?[\\".contains(byte))
}

fn randomkey(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.keyspace.unlock();
    let key = match call.left_look::<Option<Vec<u8>>>() {
        // Its shard may have been emptied.
        None | Some(Ok(Some(None))) => random_key(call)?,
        Some(key) => key?,
    };
    match key {
        Some(Some(key)) => call.output.bulk(&key),
        Some(None) => call.output.null(),
        None => {}
    }
    Ok(())
}

/// A key of the selected database, each about as likely as any other but for those in shards that are held for long.  None at all if
/// the call is held up, since all keys are in such shards.
fn random_key(call: &mut Call<'_, '_>) -> Result<Option<Option<Vec<u8>>>, Refusal> {
    match drawn_key(call.keyspace, call.random) {
        Some(key) => Ok(Some(Some(key))),
        None => any_key(call),
    }
}

/// A key that was met within some attempts.
fn drawn_key(keyspace: &mut Keyspace<'_>, random: &mut Random) -> Option<Vec<u8>> {
    let mut held = Vec::new();
    for _ in 0..RANDOM_ATTEMPTS {
        let id = random_shard(keyspace, &held, random)?;
        match keyspace.visit_shard(id, |shard, access| shard.random_key(random.draw(), access)) {
            Ok(None) => {}
            Ok(key) => return key,
            Err(_) => held.push(id),
        }
    }
    None
}

/// A shard that is not `held`, chosen as often as it has keys; none if there are no keys.
fn random_shard(keyspace: &Keyspace<'_>, held: &[ShardId], random: &mut Random) -> Option<ShardId> {
    let mut chosen = None;
    let mut total = 0;
    for (id, count) in shards_with_keys(keyspace).filter(|(id, _)| !held.contains(id)) {
        total += count;
        if random.below(total) < count {
            chosen = Some(id);
        }
    }
    chosen
}

fn any_key(call: &mut Call<'_, '_>) -> Result<Option<Option<Vec<u8>>>, Refusal> {
    let mut held: Option<(ShardId, HeldForLong)> = None;
    for (id, _) in shards_with_keys(call.keyspace) {
        match call.keyspace.visit_shard(id, |shard, access| any_key_of(shard, access)) {
            Ok(None) => {}
            Ok(key) => return Ok(Some(key)),
            // A command ends by itself.
            Err(reason) if held.is_none_or(|(_, before)| before == HeldForLong::ByScript) => {
                held = Some((id, reason));
            }
            Err(_) => {}
        }
    }
    match held {
        None => Ok(Some(None)),
        Some((id, _)) => call.look(id, |shard, access| any_key_of(shard, access)),
    }
}

fn any_key_of(shard: &Shard, access: &AccessContext) -> Option<Vec<u8>> {
    let (mut found, mut place) = (None, 0);
    loop {
        place = shard.scan(place, access, |entry| found = Some(entry.key().to_vec()));
        if place == 0 || found.is_some() {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::clock::Now;
    use crate::store::recency::Recency;
    use crate::store::{Lifetime, LifetimeBounds, Store};

    #[test]
    fn every_key_is_drawn_sooner_or_later() {
        let store = Store::new(1, 1, 1, 7);
        let now = Now::at(Duration::from_secs(1), Duration::from_secs(1));
        let (recency, lifetimes) = (Recency::UNTRACKED, LifetimeBounds::UNBOUNDED);
        let mut keyspace =
            Keyspace::new(&store, now, AccessContext { now: now.millis(), recency, lifetimes });
        let mut random = Random::with_seed(1);
        assert_eq!(drawn_key(&mut keyspace, &mut random), None);
        let names: BTreeSet<Vec<u8>> = (0..20).map(|number| format!("key:{number}").into_bytes()).collect();
        for name in &names {
            let key = store.key(name);
            keyspace.with_shard(store.shard_of(0, key.hash), |shard, access| {
                shard.set(&key, b"value", Lifetime::Forever, access);
            });
        }
        let drawn: BTreeSet<_> = (0..1_000).filter_map(|_| drawn_key(&mut keyspace, &mut random)).collect();
        assert_eq!(drawn, names);
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
