//! Who wants one subject, wildcard or glob: subscriptions that get every message, and the members of queue groups.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use smallvec::SmallVec;

use super::super::{Name, Subscription};

/// Lists above this length give memory back as they become shorter.
const SHRINK_LENGTH_MIN: usize = 64;

/// Most subjects have one subscription or two, which take no memory of their own here.  Each subscription remembers its
/// place in its list.
type List = SmallVec<[Arc<Subscription>; 2]>;

/// All who want one subject or wildcard.
pub(super) trait Wanting: Default {
    /// One of them.
    type Receiver;

    /// Whether there is none.
    fn is_empty(&self) -> bool;

    /// Adds a new one.
    fn add(&mut self, receiver: Self::Receiver);

    /// Removes one; false if it is not here.
    fn remove(&mut self, receiver: &Self::Receiver) -> bool;
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Members {
    each: List,
    /// None while there is no group, which is nearly always so.
    #[expect(clippy::box_collection, reason = "the pointer takes a third of the room of an empty map")]
    groups: Option<Box<BTreeMap<Name, List>>>,
}

impl Members {
    /// The number of subscriptions.
    pub(super) fn len(&self) -> usize {
        self.lists().map(|(_, list)| list.len()).sum()
    }

    /// All subscriptions.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Subscription>> {
        self.lists().flat_map(|(_, list)| list)
    }

    /// The subscriptions outside groups, with the name None, then those of each group in the order of the groups' names.
    pub(super) fn lists(&self) -> impl Iterator<Item = (Option<&Name>, &[Arc<Subscription>])> {
        let groups = self.groups.iter().flat_map(|groups| groups.iter());
        std::iter::once((None, &*self.each)).chain(groups.map(|(name, list)| (Some(name), &**list)))
    }
}

impl Wanting for Members {
    type Receiver = Arc<Subscription>;

    fn is_empty(&self) -> bool {
        self.each.is_empty() && self.groups.is_none()
    }

    fn add(&mut self, subscription: Arc<Subscription>) {
        let list = match &subscription.options().group {
            None => &mut self.each,
            Some(name) => self.groups.get_or_insert_default().entry(Arc::clone(name)).or_default(),
        };
        subscription.place.store(list.len(), Relaxed);
        list.push(subscription);
    }

    /// The cost does not depend on their number.
    fn remove(&mut self, subscription: &Arc<Subscription>) -> bool {
        let Some(name) = &subscription.options().group else { return take(&mut self.each, subscription) };
        let Some(groups) = &mut self.groups else { return false };
        let Some(list) = groups.get_mut(name) else { return false };
        let is_removed = take(list, subscription);
        if list.is_empty() {
            groups.remove(name);
        }
        if groups.is_empty() {
            self.groups = None;
        }
        is_removed
    }
}

/// Takes a subscription out of its list.  The last one moves to its place.
fn take(list: &mut List, subscription: &Arc<Subscription>) -> bool {
    let place = subscription.place.load(Relaxed);
    if !list.get(place).is_some_and(|other| Arc::ptr_eq(other, subscription)) {
        return false;
    }
    list.swap_remove(place);
    if let Some(moved) = list.get(place) {
        moved.place.store(place, Relaxed);
    }
    if list.capacity() > SHRINK_LENGTH_MIN && list.len() < list.capacity() / 4 {
        list.shrink_to_fit();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{Outbox, SubscriptionOptions, Topic};

    fn subscription(client: u64, group: Option<&str>) -> Arc<Subscription> {
        let outbox = Arc::new(Outbox::new(client, "127.0.0.1:1".parse().expect("an address")));
        let group = group.map(|name| name.as_bytes().into());
        let options = SubscriptionOptions { group, ..SubscriptionOptions::default() };
        Subscription::new(Topic::exact(b"news"), options, &outbox)
    }

    #[test]
    fn each_of_ten_thousand_knows_its_place_while_all_leave_in_any_order() {
        let mut members = Members::default();
        let all: Vec<_> = (0..10_000)
            .map(|client| subscription(client, [None, Some("g"), Some("h")][client as usize % 3]))
            .collect();
        all.iter().for_each(|subscription| members.add(Arc::clone(subscription)));
        // 7919 is prime, so each is reached once.
        for step in 0..all.len() {
            let leaving = &all[step * 7919 % all.len()];
            assert!(members.remove(leaving));
            assert!(!members.remove(leaving));
            if step % 1000 == 0 {
                let knows_place = |(_, list): (_, &[Arc<Subscription>])| {
                    list.iter().enumerate().all(|(place, other)| other.place.load(Relaxed) == place)
                };
                assert!(members.lists().all(knows_place));
                assert_eq!(members.len(), all.len() - step - 1);
            }
        }
        assert!(members.is_empty() && members.each.capacity() <= SHRINK_LENGTH_MIN);
    }
}
