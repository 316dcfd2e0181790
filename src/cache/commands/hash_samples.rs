//! Some fields of a hash: HRANDFIELD and HSCAN.

use std::collections::HashSet;

use quartet_protocol::resp::number::parse_integer;
use quartet_protocol::resp::{Output, Version};

use super::hashes::{HASH, read_hash};
use super::scan::{SCAN_COUNT, parse_cursor};
use crate::command::{Call, Command, Flags, Handler, KeyAccess, Keys};
use crate::glob::Pattern;
use crate::random::Random;
use crate::refusal::Refusal;
use crate::store::Hash;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "hrandfield",
        syntax: "key [count [WITHVALUES]]",
        summary: "Returns one or more random fields from a hash.",
        complexity: "O(N) where N is the number of fields returned",
        since: "6.2.0",
        handler: Handler::Data(hrandfield),
        ..SAMPLES
    },
    Command {
        name: "hscan",
        syntax: "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
        summary: "Iterates over fields and values of a hash.",
        complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the \
                     cursor to return back to 0. N is the number of elements inside the collection.",
        since: "2.8.0",
        handler: Handler::Data(hscan),
        ..SAMPLES
    },
];

/// The start of both rows.
const SAMPLES: Command = Command { flags: Flags::READONLY, keys: Keys::first(KeyAccess::ReadAccess), ..HASH };

/// Fields drawn at a time where they may repeat.
const DRAWN_AT_ONCE: usize = 1024;

/// The most bytes that HRANDFIELD replies with where fields may repeat, which no hash bounds.
const REPEATED_BYTES_MAX: usize = 512 << 20;

fn hrandfield(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    if call.arguments.len() == 2 {
        let random = call.random.draw();
        return read_hash(call, |hash, output| match hash {
            Some(hash) => {
                let place = (random % hash.len() as u64) as usize;
                hash.visit_places(&[place], |field, _| output.bulk(field));
            }
            None => output.null(),
        });
    }
    let (count, with_values) = sample_options(call)?;
    let mut random = call.random.clone();
    let mut is_too_long = false;
    read_hash(call, |hash, output| {
        let Some(hash) = hash.filter(|_| count != 0) else { return output.array(0) };
        let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        if count < 0 {
            is_too_long = !write_repeated(output, hash, wanted, with_values, &mut random);
        } else {
            write_sample(output, hash, wanted, with_values, &mut random);
        }
    })?;
    *call.random = random;
    if is_too_long {
        return Err(Refusal::new("ERR the reply would be too long"));
    }
    Ok(())
}

/// How many fields are asked for, negative if they may repeat, and whether their values too.
fn sample_options(call: &Call<'_, '_>) -> Result<(i64, bool), Refusal> {
    let count = parse_integer(call.arguments.at(2)).ok_or(Refusal::NOT_AN_INTEGER)?;
    if count == i64::MIN {
        let most = i64::MAX;
        return Err(Refusal::new(format!(
            "ERR value is out of range, value must between -{most} and {most}"
        )));
    }
    match call.arguments.len() {
        3 => Ok((count, false)),
        4 if call.arguments.at(3).eq_ignore_ascii_case(b"withvalues") => {
            let is_in_range = (-(i64::MAX / 2)..=i64::MAX / 2).contains(&count);
            if is_in_range { Ok((count, true)) } else { Err(Refusal::new("ERR value is out of range")) }
        }
        _ => Err(Refusal::SYNTAX),
    }
}

/// Writes the head of an array of so many samples.
fn write_head(output: &mut Output, count: usize, with_values: bool) {
    let is_flat = with_values && output.version() == Version::Resp2;
    output.array(if is_flat { count.saturating_mul(2) } else { count });
}

fn write_pair(output: &mut Output, field: &[u8], value: &[u8], with_values: bool) {
    if with_values && output.version() == Version::Resp3 {
        output.array(2);
    }
    output.bulk(field);
    if with_values {
        output.bulk(value);
    }
}

/// Writes up to `wanted` different fields.
fn write_sample(output: &mut Output, hash: Hash<'_>, wanted: usize, with_values: bool, random: &mut Random) {
    let length = hash.len();
    write_head(output, wanted.min(length), with_values);
    if wanted >= length {
        return hash.for_each(|field, value| write_pair(output, field, value, with_values));
    }
    let places = different_places(length, wanted, random);
    hash.visit_places(&places, |field, value| write_pair(output, field, value, with_values));
}

/// Writes `wanted` fields, each drawn from all.  False if the reply became too long.
fn write_repeated(
    output: &mut Output,
    hash: Hash<'_>,
    mut wanted: usize,
    with_values: bool,
    random: &mut Random,
) -> bool {
    let start = output.len();
    write_head(output, wanted, with_values);
    while wanted > 0 {
        let drawn = wanted.min(DRAWN_AT_ONCE);
        let places: Vec<usize> = (0..drawn).map(|_| random.below(hash.len())).collect();
        hash.visit_places(&places, |field, value| write_pair(output, field, value, with_values));
        if output.len() - start > REPEATED_BYTES_MAX {
            return false;
        }
        wanted -= drawn;
    }
    true
}

/// So many different numbers below `length`, each choice of them as likely as any other (Floyd's algorithm).
fn different_places(length: usize, wanted: usize, random: &mut Random) -> Vec<usize> {
    let mut chosen = HashSet::with_capacity(wanted);
    let mut places = Vec::with_capacity(wanted);
    for last in length - wanted..length {
        let drawn = random.below(last + 1);
        let place = if chosen.insert(drawn) { drawn } else { last };
        chosen.insert(place);
        places.push(place);
    }
    places
}

/// The options of HSCAN.
struct ScanOptions {
    pattern: Option<Pattern>,
    count: usize,
    with_values: bool,
}

fn hscan(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let cursor = parse_cursor(call.arguments.at(2)).ok_or(Refusal::INVALID_CURSOR)?;
    let options = scan_options(call);
    let mut refusal = None;
    read_hash(call, |hash, output| {
        // Without a hash the options are not looked at, as in Redis.
        let Some(hash) = hash else { return write_step(output, 0, &[]) };
        match options {
            Ok(options) => {
                let mut found: Vec<Vec<u8>> = Vec::new();
                let next = hash.scan(cursor, options.count, |field, value| {
                    if options.pattern.as_ref().is_none_or(|pattern| pattern.matches(field)) {
                        found.push(field.to_vec());
                        if options.with_values {
                            found.push(value.to_vec());
                        }
                    }
                });
                write_step(output, next, &found);
            }
            Err(reason) => refusal = Some(reason),
        }
    })?;
    refusal.map_or(Ok(()), Err)
}

fn write_step(output: &mut Output, next: u64, found: &[Vec<u8>]) {
    output.array(2);
    output.bulk(next.to_string().as_bytes());
    output.array(found.len());
    found.iter().for_each(|item| output.bulk(item));
}

fn scan_options(call: &Call<'_, '_>) -> Result<ScanOptions, Refusal> {
    let mut options = ScanOptions { pattern: None, count: SCAN_COUNT, with_values: true };
    let mut words = call.arguments.from(3).iter();
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case(b"novalues") {
            options.with_values = false;
            continue;
        }
        let value = words.next().ok_or(Refusal::SYNTAX)?;
        if word.eq_ignore_ascii_case(b"match") {
            options.pattern = (value != b"*").then(|| Pattern::new(value)).transpose()?;
        } else if word.eq_ignore_ascii_case(b"count") {
            let count = parse_integer(value).ok_or(Refusal::NOT_AN_INTEGER)?;
            options.count = usize::try_from(count).ok().filter(|&count| count > 0).ok_or(Refusal::SYNTAX)?;
        } else {
            return Err(Refusal::SYNTAX);
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_different_and_all_places_are_drawn() {
        let mut random = Random::with_seed(3);
        let mut drawn = HashSet::new();
        for _ in 0..200 {
            let places = different_places(10, 4, &mut random);
            assert_eq!(places.iter().collect::<HashSet<_>>().len(), 4);
            drawn.extend(places);
        }
        assert_eq!(drawn, (0..10).collect());
    }
}
