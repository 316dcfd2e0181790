//! The subscriptions and sinks that match a subject.

use std::sync::Arc;

use super::super::{Name, Sink, Subscription};
use super::members::Members;

/// Room for subscriptions above this is given back once they are not needed any more.
const KEPT_CAPACITY_MAX: usize = 1024;

/// See the module's text.
#[derive(Default)]
pub struct Matches {
    /// Subscriptions outside queue groups: each gets every message.  Those to the subject itself come first, then those to
    /// wildcards, then those to globs.
    pub each: Vec<Arc<Subscription>>,
    /// Queue groups in the order of their names: one member of each gets a message.
    pub groups: Vec<MatchingGroup>,
    /// Sinks, each of them once however many of its subjects and wildcards match.
    pub sinks: Vec<Arc<dyn Sink>>,
}

/// The members of a queue group that match a subject, whatever their patterns.
pub struct MatchingGroup {
    name: Name,
    /// The members, of which there is at least one.
    pub members: Vec<Arc<Subscription>>,
}

impl Matches {
    /// Whether nobody wants the subject.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty() && self.groups.is_empty() && self.sinks.is_empty()
    }

    /// The number of subscriptions, all members of groups among them.
    pub fn len(&self) -> usize {
        self.each.len() + self.groups.iter().map(|group| group.members.len()).sum::<usize>()
    }

    /// All subscriptions.
    pub fn into_subscriptions(self) -> Vec<Arc<Subscription>> {
        let mut subscriptions = self.each;
        subscriptions.extend(self.groups.into_iter().flat_map(|group| group.members));
        subscriptions
    }

    /// The members of the queue group with this name.
    pub(in super::super) fn members_of(&self, name: &Name) -> Option<&[Arc<Subscription>]> {
        let place = self.groups.binary_search_by(|group| group.name.cmp(name)).ok()?;
        Some(&self.groups[place].members)
    }

    /// Adds the subscriptions of one subject, wildcard or glob that are wanted.
    pub(super) fn add(&mut self, members: &Members, is_wanted: impl Fn(&Arc<Subscription>) -> bool) {
        for (group, list) in members.lists() {
            let wanted = list.iter().filter(|subscription| is_wanted(subscription)).cloned();
            match group {
                None => self.each.extend(wanted),
                Some(name) => self.add_to_group(name, wanted),
            }
        }
    }

    /// Adds a sink, unless it is there.
    pub(super) fn add_sink(&mut self, sink: &Arc<dyn Sink>) {
        if !self.sinks.iter().any(|other| Arc::ptr_eq(other, sink)) {
            self.sinks.push(Arc::clone(sink));
        }
    }

    /// A group's members may come from several patterns.
    fn add_to_group(&mut self, name: &Name, wanted: impl Iterator<Item = Arc<Subscription>>) {
        let mut wanted = wanted.peekable();
        if wanted.peek().is_none() {
            return;
        }
        let found = self.groups.binary_search_by(|group| group.name.cmp(name));
        let place = found.unwrap_or_else(|place| {
            self.groups.insert(place, MatchingGroup { name: Arc::clone(name), members: Vec::new() });
            place
        });
        self.groups[place].members.extend(wanted);
    }

    /// Forgets all subscriptions and sinks, but keeps their room.
    pub(super) fn clear(&mut self) {
        self.each.clear();
        self.groups.clear();
        self.sinks.clear();
    }

    /// Forgets all subscriptions and sinks, and gives back room that is seldom needed.
    pub(super) fn release(&mut self) {
        self.clear();
        self.each.shrink_to(KEPT_CAPACITY_MAX);
        self.groups.shrink_to(KEPT_CAPACITY_MAX);
        self.sinks.shrink_to(KEPT_CAPACITY_MAX);
    }
}
