//! The counters that a request would touch, for COMMAND GETKEYS: they follow from the policies as they are now.

use quartet_protocol::resp::Arguments;

use super::check;
use super::corrections::policy_option;
use super::reservations::id_of;
use super::words::{Words, policy};
use crate::command::{FoundKeys, Services};
use crate::limit::check::{Demand, Rule};
use crate::limit::definition::Scope;
use crate::limit::policy::{checked_key, inline_counter};
use crate::limit::slots::SlotCounter;
use crate::refusal::Refusal;

pub(super) fn of_check(arguments: Arguments<'_>, services: &Services) -> FoundKeys {
    let table = services.limits.policies.load();
    let (demand, _) = check::asked(arguments, &table)?;
    of_demands([demand])
}

pub(super) fn of_checks(arguments: Arguments<'_>, services: &Services) -> FoundKeys {
    let table = services.limits.policies.load();
    of_demands(check::demands(&mut Words::new(arguments.from(1)), &table)?)
}

pub(super) fn of_reset(arguments: Arguments<'_>, services: &Services) -> FoundKeys {
    let table = services.limits.policies.load();
    let policy = policy_option(&table, Words::new(arguments.from(2)))?;
    let own = policy.limits_of(checked_key(arguments.at(1))?);
    let own = own.filter(|(part, _, _)| policy.parts()[*part].scope == Scope::Key);
    Ok(own.map(|(_, _, counter)| counter.into_vec()).collect())
}

pub(super) fn of_refund(arguments: Arguments<'_>, services: &Services) -> FoundKeys {
    let table = services.limits.policies.load();
    let rule = Rule::Policy(policy_option(&table, Words::new(arguments.from(3)))?);
    of_demands([Demand { rule, key: arguments.at(1), cost: 0 }])
}

pub(super) fn of_slots(arguments: Arguments<'_>, services: &Services) -> FoundKeys {
    let table = services.limits.policies.load();
    let slots = SlotCounter::new(policy(&table, arguments.at(1))?, arguments.at(2))?;
    Ok(vec![slots.name.into_vec()])
}

pub(super) fn of_reservation(arguments: Arguments<'_>, services: &Services) -> FoundKeys {
    let counters = id_of(arguments.at(1)).map(|id| services.limits.reservations.counters_of(id));
    Ok(counters.into_iter().flatten().map(|counter| counter.into_vec()).collect())
}

fn of_demands<'d>(demands: impl IntoIterator<Item = Demand<'d>>) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut keys = Vec::new();
    for Demand { rule, key, .. } in demands {
        let key = checked_key(key)?;
        match rule {
            Rule::Policy(policy) => {
                keys.extend(policy.limits_of(key).map(|(_, _, counter)| counter.into_vec()));
            }
            Rule::Inline(_) => keys.push(inline_counter(key).into_vec()),
        }
    }
    Ok(keys)
}
