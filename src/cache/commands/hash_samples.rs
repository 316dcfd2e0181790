//! Some fields of a hash: HRANDFIELD and HSCAN.

use quartet_protocol::resp::{Output, Version};

use super::hashes::{HASH, read_hash};
use super::samples::{ScanOptions, sample_options, write_samples, write_step};
use super::scan::parse_cursor;
use crate::command::{Call, Command, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;

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
    let (count, with_values) = sample_options(call, "withvalues")?;
    let mut random = call.random.clone();
    let mut result = Ok(());
    read_hash(call, |hash, output| {
        let Some(hash) = hash.filter(|_| count != 0) else { return output.array(0) };
        let write_head = |output: &mut Output, count: usize| {
            let is_flat = with_values && output.version() == Version::Resp2;
            output.array(if is_flat { count.saturating_mul(2) } else { count });
        };
        result = write_samples(output, count, hash.len(), &mut random, write_head, |output, places| {
            hash.visit_places(places, |field, value| write_pair(output, field, value, with_values));
        });
    })?;
    *call.random = random;
    result
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

fn hscan(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let cursor = parse_cursor(call.arguments.at(2)).ok_or(Refusal::INVALID_CURSOR)?;
    let options = ScanOptions::parse(call, true);
    let mut refusal = None;
    read_hash(call, |hash, output| {
        // Without a hash the options are not looked at, as in Redis.
        let Some(hash) = hash else { return write_step(output, 0, &[]) };
        match options {
            Ok(options) => {
                let mut found: Vec<Vec<u8>> = Vec::new();
                let next = hash.scan(cursor, options.count, |field, value| {
                    if options.wants(field) {
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
