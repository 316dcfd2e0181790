//! Some members of a set: SPOP, SRANDMEMBER and SSCAN.

use quartet_protocol::resp::Output;
use smallvec::SmallVec;

use super::samples::{ScanOptions, different_places, sample_options, write_samples, write_step};
use super::scan::parse_cursor;
use super::sets::{SET, read_set, write_set};
use super::sorted_sets::at_least;
use crate::command::{Call, Command, Flags, Handler, KeyAccess, Keys};
use crate::refusal::Refusal;

/// A member up to so many bytes needs no memory of its own between the set and the reply.
const SHORT: usize = 64;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "spop",
        syntax: "key [count]",
        summary: "Returns one or more random members from a set after removing them. Deletes the set if the last member \
                  was popped.",
        complexity: "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
        flags: Flags::WRITE.union(Flags::FAST).union(Flags::TAKES_COUNT),
        keys: Keys::first(KeyAccess::ReadWriteAccessDelete),
        handler: Handler::Data(spop),
        ..SET
    },
    Command {
        name: "srandmember",
        syntax: "key [count]",
        summary: "Get one or multiple random members from a set",
        complexity: "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed \
                     count.",
        handler: Handler::Data(srandmember),
        ..SAMPLES
    },
    Command {
        name: "sscan",
        syntax: "key cursor [MATCH pattern] [COUNT count]",
        summary: "Iterates over members of a set.",
        complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the \
                     cursor to return back to 0. N is the number of elements inside the collection.",
        since: "2.8.0",
        handler: Handler::Data(sscan),
        ..SAMPLES
    },
];

/// The start of the rows of commands that only read.
const SAMPLES: Command = Command { flags: Flags::READONLY, keys: Keys::first(KeyAccess::ReadAccess), ..SET };

fn spop(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let count = match call.arguments.len() {
        2 => return pop_one(call),
        3 => at_least(call.arguments.at(2), 0, "ERR value is out of range, must be positive")?,
        _ => return Err(Refusal::SYNTAX),
    };
    let key = call.key(1);
    let mut random = call.random.clone();
    let popped = write_set(call, &key, |set| {
        let length = set.set().len();
        let places = different_places(length, count.min(length), &mut random);
        let mut members: Vec<Box<[u8]>> = Vec::with_capacity(places.len());
        set.set().visit_places(&places, |member| members.push(member.into()));
        members.iter().for_each(|member| {
            set.remove(member);
        });
        Ok(members)
    })?;
    *call.random = random;
    call.output.set(popped.len());
    popped.iter().for_each(|member| call.output.bulk(member));
    Ok(())
}

fn pop_one(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (key, random) = (call.key(1), call.random.draw());
    let popped = write_set(call, &key, |set| {
        let mut popped: Option<SmallVec<[u8; SHORT]>> = None;
        if let Some(place) = random.checked_rem(set.set().len() as u64) {
            set.set().visit_places(&[place as usize], |member| popped = Some(member.into()));
        }
        popped.iter().for_each(|member| {
            set.remove(member);
        });
        Ok(popped)
    })?;
    match popped {
        Some(member) => call.output.bulk(&member),
        None => call.output.null(),
    }
    Ok(())
}

fn srandmember(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    if call.arguments.len() == 2 {
        let random = call.random.draw();
        return read_set(call, |set, output| match set {
            Some(set) => {
                let place = (random % set.len() as u64) as usize;
                set.visit_places(&[place], |member| output.bulk(member));
            }
            None => output.null(),
        });
    }
    if call.arguments.len() > 3 {
        return Err(Refusal::SYNTAX);
    }
    let (count, _) = sample_options(call, "")?;
    let mut random = call.random.clone();
    let mut result = Ok(());
    read_set(call, |set, output| {
        let Some(set) = set.filter(|_| count != 0) else { return output.array(0) };
        let write_head = |output: &mut Output, count: usize| output.array(count);
        result = write_samples(output, count, set.len(), &mut random, write_head, |output, places| {
            set.visit_places(places, |member| output.bulk(member));
        });
    })?;
    *call.random = random;
    result
}

fn sscan(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let cursor = parse_cursor(call.arguments.at(2)).ok_or(Refusal::INVALID_CURSOR)?;
    let options = ScanOptions::parse(call, false);
    let mut refusal = None;
    read_set(call, |set, output| {
        // Without a set the options are not looked at, as in Redis.
        let Some(set) = set else { return write_step(output, 0, &[]) };
        match options {
            Ok(options) => {
                let mut found: Vec<Vec<u8>> = Vec::new();
                let next = set.scan(cursor, options.count, |member| {
                    if options.wants(member) {
                        found.push(member.to_vec());
                    }
                });
                write_step(output, next, &found);
            }
            Err(reason) => refusal = Some(reason),
        }
    })?;
    refusal.map_or(Ok(()), Err)
}
