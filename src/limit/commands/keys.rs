//! The counters that a request would touch, for COMMAND GETKEYS.  They follow from the policies as they are now.

use quartet_protocol::resp::Arguments;

use super::check;
use super::corrections::policy_option;
use super::reservations::id_of;
use super::words::Words;
use crate::command::{FoundKeys, Services};
use crate::limit::operation::{Demand, LimitError, Reset, Rule, Slots};
use crate::limit::policies::{Table, find};
use crate::limit::policy::{CounterName, checked_key, inline_counter};

pub(super) fn of_check(arguments: Arguments<'_>, services: &Services) -> FoundKeys {
    let (demand, _) = check::asked(arguments)?;
    of_demands(&[demand], &services.limits.policies.load())
}

pub(super) fn of_checks(arguments: Arguments<'_>, services: &Services) -> FoundKeys {
    let demands = check::demands(&mut Words::new(arguments.from(1)))?;
    of_demands(&demands, &services.limits.policies.load())
}

pub(super) fn of_reset(arguments: Arguments<'_>, services: &Services) -> FoundKeys {
    let policy = policy_option(Words::new(arguments.from(2)))?;
    let reset = Reset { policy, key: arguments.at(1) };
    found(reset.counters(&services.limits.policies.load()))
}

pub(super) fn of_refund(arguments: Arguments<'_>, services: &Services) -> FoundKeys {
    let policy = policy_option(Words::new(arguments.from(3)))?;
    of_demands(&[Demand::of_policy(policy, arguments.at(1), 0)], &services.limits.policies.load())
}

pub(super) fn of_slots(arguments: Arguments<'_>, services: &Services) -> FoundKeys {
    let slots = Slots::Of { policy: arguments.at(1), key: arguments.at(2) };
    found(slots.counter(&services.limits.policies.load()).map(|counter| vec![counter.name]))
}

pub(super) fn of_reservation(arguments: Arguments<'_>, services: &Services) -> FoundKeys {
    let counters = id_of(arguments.at(1)).map(|id| services.limits.reservations.counters_of(id));
    found(Ok(counters.unwrap_or_default()))
}

fn of_demands(demands: &[Demand<'_>], policies: &Table) -> FoundKeys {
    let counters = demands.iter().map(|demand| counters_of(demand, policies));
    found(counters.collect::<Result<Vec<_>, _>>().map(|counters| counters.concat()))
}

fn counters_of(demand: &Demand<'_>, policies: &Table) -> Result<Vec<CounterName>, LimitError> {
    Ok(match demand.rule {
        Rule::Policy(name) => {
            let policy = find(policies, name)?;
            policy.limits_of(checked_key(demand.key)?).map(|(.., counter)| counter).collect()
        }
        Rule::Inline(_) => vec![inline_counter(checked_key(demand.key)?)],
    })
}

fn found(counters: Result<Vec<CounterName>, LimitError>) -> FoundKeys {
    Ok(counters?.into_iter().map(|counter| counter.into_vec()).collect())
}
