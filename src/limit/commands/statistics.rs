//! RL.STATS and RL.TOP: the decisions of policies, and the keys that they refuse most.

use quartet_protocol::resp::Output;

use super::policy::named_or_all;
use super::words::Words;
use crate::command::{Call, Command, Handler};
use crate::limit::statistics::{OFFENDERS_MAX, Totals};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "rl.stats",
        syntax: "[policy]",
        summary: "Returns how many requests a policy has allowed and refused, and how many it would have refused without \
                  shadow mode. Without a name it returns this for each policy.",
        complexity: "O(N) where N is the number of policies.",
        handler: Handler::Data(stats),
        ..super::ROW
    },
    Command {
        name: "rl.top",
        syntax: "policy [COUNT count]",
        summary: "Returns the keys that a policy refuses most, ten by default, each with an upper bound of its refusals.",
        complexity: "O(N) where N is the number of keys followed, at most 128.",
        handler: Handler::Data(top),
        ..super::ROW
    },
];

/// How many keys RL.TOP returns by default.
const TOP_COUNT: usize = 10;

fn stats(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    if call.arguments.len() > 2 {
        return Err(Refusal::wrong_arity(&call.row.name));
    }
    let name = call.arguments.get(1);
    let policies = named_or_all(call, name)?;
    if name.is_none() {
        call.output.map(policies.len());
    }
    for policy in policies {
        if name.is_none() {
            call.output.bulk(policy.name().as_bytes());
        }
        write_totals(call.output, policy.statistics.totals());
    }
    Ok(())
}

fn write_totals(output: &mut Output, totals: Totals) {
    let facts = [
        ("allowed", totals.allowed),
        ("refused", totals.refused),
        ("shadow_refused", totals.shadow_refused),
        ("without_room", totals.without_room),
    ];
    output.map(facts.len());
    for (name, count) in facts {
        output.bulk(name.as_bytes());
        output.integer(count as i64);
    }
}

fn top(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let mut words = Words::new(call.arguments.from(2));
    let count = if words.accept(b"COUNT") { words.integer()? } else { TOP_COUNT as i64 };
    let most = usize::try_from(count).ok().filter(|&most| most > 0 && words.len() == 0);
    let most = most.ok_or(Refusal::SYNTAX)?.min(OFFENDERS_MAX);
    let policies = named_or_all(call, call.arguments.get(1))?;
    let offenders: Vec<_> = policies.iter().flat_map(|policy| policy.statistics.top(most)).collect();
    call.output.array(offenders.len());
    for (key, refusals) in offenders {
        call.output.array(2);
        call.output.bulk(&key);
        call.output.integer(refusals as i64);
    }
    Ok(())
}
