//! Some members of a sorted set: ZRANDMEMBER and ZSCAN.

use quartet_protocol::resp::Output;
use quartet_protocol::resp::number::double_text;

use super::samples::{ScanOptions, sample_options, write_samples, write_step};
use super::scan::parse_cursor;
use super::sorted_sets::{SORTED_SET, read_sorted_set, write_member, write_members_head};
use crate::command::{Call, Command, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "zrandmember",
        syntax: "key [count [WITHSCORES]]",
        summary: "Returns one or more random members from a sorted set.",
        complexity: "O(N) where N is the number of members returned",
        since: "6.2.0",
        handler: Handler::Data(zrandmember),
        ..SAMPLES
    },
    Command {
        name: "zscan",
        syntax: "key cursor [MATCH pattern] [COUNT count]",
        summary: "Iterates over members and scores of a sorted set.",
        complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the \
                     cursor to return back to 0. N is the number of elements inside the collection.",
        since: "2.8.0",
        handler: Handler::Data(zscan),
        ..SAMPLES
    },
];

/// The start of both rows.
const SAMPLES: Command =
    Command { flags: Flags::READONLY, keys: Keys::first(KeyAccess::ReadAccess), ..SORTED_SET };

fn zrandmember(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    if call.arguments.len() == 2 {
        let random = call.random.draw();
        return read_sorted_set(call, |sorted_set, output| match sorted_set {
            Some(sorted_set) => {
                let place = (random % sorted_set.len() as u64) as usize;
                sorted_set.visit(place..place + 1, false, |member, _| output.bulk(member));
            }
            None => output.null(),
        });
    }
    let (count, with_scores) = sample_options(call, "withscores")?;
    let mut random = call.random.clone();
    let mut result = Ok(());
    read_sorted_set(call, |sorted_set, output| {
        let Some(sorted_set) = sorted_set.filter(|_| count != 0) else { return output.array(0) };
        let write_head = |output: &mut Output, count: usize| write_members_head(output, count, with_scores);
        let length = sorted_set.len();
        result = write_samples(output, count, length, &mut random, write_head, |output, places| {
            sorted_set.visit_places(places, |member, score| write_member(output, member, score, with_scores));
        });
    })?;
    *call.random = random;
    result
}

fn zscan(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let cursor = parse_cursor(call.arguments.at(2)).ok_or(Refusal::INVALID_CURSOR)?;
    let options = ScanOptions::parse(call, false);
    let mut refusal = None;
    read_sorted_set(call, |sorted_set, output| {
        // Without a sorted set the options are not looked at, as in Redis.
        let Some(sorted_set) = sorted_set else { return write_step(output, 0, &[]) };
        match options {
            Ok(options) => {
                let mut found: Vec<Vec<u8>> = Vec::new();
                let next = sorted_set.scan(cursor, options.count, |member, score| {
                    if options.wants(member) {
                        found.push(member.to_vec());
                        found.push(double_text(score).to_vec());
                    }
                });
                write_step(output, next, &found);
            }
            Err(reason) => refusal = Some(reason),
        }
    })?;
    refusal.map_or(Ok(()), Err)
}
