//! The live figures of the rate limiter: the decisions of each policy, and the keys that it refuses most.

use serde_json::{Value, json};

use crate::command::Services;
use crate::http::endpoint::text_or_base64;
use crate::limit::policy::Policy;

/// Policies that are shown one by one, the first by name.
const POLICIES_MAX: usize = 32;

/// Keys that are named of each policy.
const TOP_MAX: usize = 5;

/// Bytes of a key that are shown: a byte takes up to six in JSON, and an event has to fit the feed.  `GET /policies/{name}/top` has whole keys.
const KEY_BYTES_MAX: usize = 64;

pub(super) fn figures(services: &Services) -> Value {
    let policies = services.limits.policies.list();
    let queue = &services.limits.queue;
    let shown =
        policies.iter().take(POLICIES_MAX).map(|policy| of_policy(policy, queue.count_for(policy.name())));
    let (mut allowed, mut refused) = (0, 0);
    for totals in policies.iter().map(|policy| policy.statistics.totals()) {
        allowed += totals.allowed;
        refused += totals.refused;
    }
    json!({
        "policies": policies.len(),
        "allowed": allowed,
        "refused": refused,
        "waiting": queue.count(),
        "memory_bytes": services.store.pinned_memory(),
        "memory_limit_bytes": services.settings.current().limit_maxmemory,
        "by_policy": shown.collect::<Vec<_>>(),
    })
}

fn of_policy(policy: &Policy, waiting: usize) -> Value {
    let totals = policy.statistics.totals();
    let top = policy.statistics.top(TOP_MAX).into_iter().map(|(key, refused)| {
        let (text, encoding) = text_or_base64(beginning(&key));
        json!({ "key": text, "encoding": encoding, "is_cut": key.len() > KEY_BYTES_MAX, "refused": refused })
    });
    json!({
        "policy": policy.name(),
        "allowed": totals.allowed,
        "refused": totals.refused,
        "shadow_refused": totals.shadow_refused,
        "without_room": totals.without_room,
        "waiting": waiting,
        "top": top.collect::<Vec<_>>(),
    })
}

/// The beginning of a key, which ends with a whole character if the key is text.
fn beginning(key: &[u8]) -> &[u8] {
    if key.len() <= KEY_BYTES_MAX {
        return key;
    }
    match std::str::from_utf8(&key[..KEY_BYTES_MAX]) {
        // An error at the very end is a character that was cut.
        Err(error) if error.error_len().is_none() => &key[..error.valid_up_to()],
        _ => &key[..KEY_BYTES_MAX],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_are_cut_between_characters() {
        let whole = "ä".repeat(KEY_BYTES_MAX / 2);
        assert_eq!(beginning(whole.as_bytes()), whole.as_bytes());
        let odd = format!("x{whole}");
        assert_eq!(beginning(odd.as_bytes()).len(), KEY_BYTES_MAX - 1);
        assert!(std::str::from_utf8(beginning(odd.as_bytes())).is_ok());
        assert_eq!(beginning(&[0xff; 500]).len(), KEY_BYTES_MAX);
    }
}
