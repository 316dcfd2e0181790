//! The section about the rate limiter.

use super::Page;
use crate::command::Services;
use crate::limit::statistics::Totals;

/// Policies told of one by one; RL.STATS tells of all.
const POLICIES_SHOWN_MAX: usize = 100;

pub(super) fn limits(page: &mut Page, services: &Services) {
    let policies = services.limits.policies.list();
    let each = policies.iter().map(|policy| policy.statistics.totals());
    let sum = each.fold(Totals::default(), |sum, totals| Totals {
        allowed: sum.allowed + totals.allowed,
        refused: sum.refused + totals.refused,
        shadow_refused: sum.shadow_refused + totals.shadow_refused,
        without_room: sum.without_room + totals.without_room,
    });
    page.field("limit_policies", policies.len());
    page.field("limit_allowed", sum.allowed);
    page.field("limit_refused", sum.refused);
    page.field("limit_shadow_refused", sum.shadow_refused);
    page.field("limit_without_room", sum.without_room);
    page.field("limit_memory", services.store.pinned_memory());
    page.field("limit_maxmemory", services.settings.limit_maxmemory());
    for policy in policies.iter().take(POLICIES_SHOWN_MAX) {
        let Totals { allowed, refused, shadow_refused, without_room } = policy.statistics.totals();
        let line = format_args!(
            "allowed={allowed},refused={refused},shadow_refused={shadow_refused},without_room={without_room}"
        );
        page.field(&format!("limit_policy_{}", policy.name()), line);
    }
}
