//! DUMP and RESTORE: values that leave and come back as the payloads of Redis.

use quartet_protocol::rdb::Payload;
use quartet_protocol::resp::Arguments;
use quartet_protocol::resp::number::parse_integer;

use super::payload::{make_entry, payload_of};
use crate::clock::Now;
use crate::command::{Call, Command, Flags, Group, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;
use crate::store::Lifetime;
use crate::store::recency::FormerUse;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "dump",
        syntax: "key",
        summary: "Returns a serialized representation of the value stored at a key.",
        complexity: "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis \
                     objects composing the value and M their average size. For small string values the time \
                     complexity is thus O(1)+O(1*M) where M is small, so simply O(1).",
        since: "2.6.0",
        group: Group::Generic,
        flags: Flags::READONLY,
        keys: Keys::first(KeyAccess::ReadAccess),
        handler: Handler::Data(dump),
        ..Command::ROW
    },
    Command {
        name: "restore",
        syntax: "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
        summary: "Creates a key from the serialized representation of a value.",
        complexity: "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N \
                     is the number of Redis objects composing the value and M their average size. For small string \
                     values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for \
                     sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is \
                     O(log(N)).",
        since: "2.6.0",
        group: Group::Generic,
        flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::DANGEROUS),
        keys: Keys::first(KeyAccess::OverwriteUpdate),
        handler: Handler::Data(restore),
        ..Command::ROW
    },
];

fn dump(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (key, now) = (call.key(1), call.now());
    match call.keyspace.read(&key).map(|entry| payload_of(entry, now)).transpose()? {
        Some(payload) => call.output.bulk_shared(payload.into()),
        None => call.output.null(),
    }
    Ok(())
}

fn restore(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let options = RestoreOptions::parse(call.arguments.from(4))?;
    let key = call.key(1);
    if !options.replaces && call.keyspace.contains(&key) {
        return Err(Refusal::new("BUSYKEY Target key name already exists."));
    }
    let time_left = time_left(call.arguments.at(2))?;
    let payload = Payload::open(call.arguments.at(3))?;
    let lifetime = options.lifetime(time_left, call.now())?;
    // The payload is read even if its key has expired already: a damaged one is refused.
    let entry = make_entry(call, &key, &payload, lifetime.unwrap_or(Lifetime::Forever))?;
    let access = call.keyspace.access;
    let shard = call.keyspace.shard(&key);
    if lifetime.is_some() {
        shard.insert_used(&key, entry, options.use_before, &access);
    } else {
        shard.remove(&key, &access);
    }
    call.output.ok();
    Ok(())
}

#[derive(Default)]
struct RestoreOptions {
    replaces: bool,
    has_wall_time: bool,
    use_before: Option<FormerUse>,
}

impl RestoreOptions {
    fn parse(words: Arguments<'_>) -> Result<RestoreOptions, Refusal> {
        let mut options = RestoreOptions::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word.eq_ignore_ascii_case(b"replace") {
                options.replaces = true;
            } else if word.eq_ignore_ascii_case(b"absttl") {
                options.has_wall_time = true;
            } else {
                options.use_before = Some(options.parse_use(word, words.next())?);
            }
        }
        Ok(options)
    }

    /// IDLETIME or FREQ, which exclude each other.
    fn parse_use(&self, word: &[u8], number: Option<&[u8]>) -> Result<FormerUse, Refusal> {
        let number = number.ok_or(Refusal::SYNTAX)?;
        let integer = || parse_integer(number).ok_or(Refusal::NOT_AN_INTEGER);
        if word.eq_ignore_ascii_case(b"idletime") && !matches!(self.use_before, Some(FormerUse::Frequency(_)))
        {
            let seconds = u64::try_from(integer()?);
            seconds.map(FormerUse::Idle).map_err(|_| Refusal::new("ERR Invalid IDLETIME value, must be >= 0"))
        } else if word.eq_ignore_ascii_case(b"freq") && !matches!(self.use_before, Some(FormerUse::Idle(_))) {
            let count = u8::try_from(integer()?);
            count
                .map(FormerUse::Frequency)
                .map_err(|_| Refusal::new("ERR Invalid FREQ value, must be >= 0 and <= 255"))
        } else {
            Err(Refusal::SYNTAX)
        }
    }

    /// How long the key lives; none if its time is over already.
    fn lifetime(&self, time_left: i64, now: Now) -> Result<Option<Lifetime>, Refusal> {
        if time_left == 0 {
            return Ok(Some(Lifetime::Forever));
        }
        if self.has_wall_time {
            let deadline = now.deadline_at_wall(time_left).filter(|&deadline| deadline > now.millis());
            return Ok(deadline.map(Lifetime::Until));
        }
        if now.wall_millis().checked_add(time_left).is_none() {
            return Err(Refusal::new("ERR invalid expire time in 'restore' command"));
        }
        Ok(Some(Lifetime::Until(now.millis() + time_left.unsigned_abs())))
    }
}

/// The time left in milliseconds, or a wall time, as the client has written it; 0 for no end.
fn time_left(text: &[u8]) -> Result<i64, Refusal> {
    let millis = parse_integer(text).ok_or(Refusal::NOT_AN_INTEGER)?;
    if millis < 0 {
        return Err(Refusal::new("ERR Invalid TTL value, must be >= 0"));
    }
    Ok(millis)
}
