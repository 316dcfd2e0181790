//! Channels and patterns with their subscribers.
//!
//! Channels are spread over parts, each with a lock that is held while a message of one of its channels goes to all
//! its receivers: so the messages of a channel, whichever threads publish them, have one order for all subscribers.
//! Locks are taken in the order part, patterns, outbox.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use hashbrown::HashMap;

use super::Outbox;
use crate::glob::{Pattern, PatternTooComplex};
use crate::lock_order::{Mutex, RwLock, rank};

/// Parts of the channels: enough that threads publishing to different channels seldom meet.
const PART_COUNT: usize = 64;

/// A name of a channel or a pattern, shared between the router and its subscribers.
pub type Name = Arc<[u8]>;

/// A receiver of the messages of a channel or pattern.
#[derive(Clone)]
pub struct Subscriber {
    /// The number that tells the subscription from others of the same receiver to the same channel.
    pub id: u64,
    /// Where its messages go, with the form they have.
    pub outbox: Arc<Outbox>,
}

impl Subscriber {
    /// A receiver that subscribes once at most to each channel and pattern.
    pub fn new(outbox: &Arc<Outbox>) -> Subscriber {
        Subscriber { id: 0, outbox: Arc::clone(outbox) }
    }
}

impl PartialEq for Subscriber {
    fn eq(&self, other: &Subscriber) -> bool {
        self.id == other.id && Arc::ptr_eq(&self.outbox, &other.outbox)
    }
}

/// The subscribers of one channel or pattern.
#[derive(Default)]
struct Subscribers {
    /// Subscribers outside groups: each receives every message.
    each: Vec<Subscriber>,
    /// Queue groups: one member of each receives a message.
    groups: Vec<Group>,
}

/// The members of a queue group that have subscribed to the same channel or pattern.
struct Group {
    name: Name,
    members: Vec<Subscriber>,
    /// Counts the messages.  The count modulo the number of members is the place of the next member.
    turn: AtomicUsize,
}

/// A pattern and its subscribers.
struct Followed {
    pattern: Pattern,
    subscribers: Subscribers,
}

/// Some of the channels, behind their lock.
type Part = Mutex<HashMap<Name, Subscribers, foldhash::fast::RandomState>, { rank::CHANNELS }>;

/// See the module's text.
pub struct Router {
    hasher: foldhash::fast::RandomState,
    parts: Box<[CachePadded<Part>]>,
    /// In the order of their bytes, so that receivers of several patterns see them in the same order each time.
    patterns: RwLock<BTreeMap<Name, Followed>, { rank::PATTERNS }>,
    /// The number of subscriptions of any kind.  Services publish nothing while there is none.
    subscriptions: AtomicUsize,
}

impl Default for Router {
    fn default() -> Router {
        Router {
            hasher: foldhash::fast::RandomState::default(),
            parts: (0..PART_COUNT).map(|_| CachePadded::default()).collect(),
            patterns: RwLock::default(),
            subscriptions: AtomicUsize::new(0),
        }
    }
}

impl Router {
    /// Whether there is any subscription.
    pub fn has_subscribers(&self) -> bool {
        self.subscriptions.load(Relaxed) > 0
    }

    /// Adds a subscriber to a channel that it is not subscribed to, in a queue group if one is named.
    pub fn subscribe(&self, channel: &[u8], subscriber: Subscriber, group: Option<&[u8]>) -> Name {
        self.subscriptions.fetch_add(1, Relaxed);
        let mut part = self.part(channel).lock();
        if let Some((name, subscribers)) = part.get_key_value_mut(channel) {
            subscribers.add(subscriber, group);
            return Arc::clone(name);
        }
        let (name, mut subscribers): (Name, _) = (channel.into(), Subscribers::default());
        subscribers.add(subscriber, group);
        part.insert(Arc::clone(&name), subscribers);
        name
    }

    /// Removes a subscriber, and the channel with its last one.
    pub fn unsubscribe(&self, channel: &[u8], subscriber: &Subscriber) {
        let mut part = self.part(channel).lock();
        if let Some(subscribers) = part.get_mut(channel)
            && self.remove(subscribers, subscriber)
        {
            part.remove(channel);
        }
    }

    /// Adds a subscriber to a pattern that it is not subscribed to, in a queue group if one is named.
    ///
    /// # Errors
    /// If the pattern is too complex to be looked for in the names of channels.
    pub fn subscribe_pattern(
        &self,
        pattern: &[u8],
        subscriber: Subscriber,
        group: Option<&[u8]>,
    ) -> Result<Name, PatternTooComplex> {
        let mut patterns = self.patterns.write();
        let existing = patterns.get_key_value(pattern).map(|(name, _)| Arc::clone(name));
        let name = match existing {
            Some(name) => name,
            None => {
                let name: Name = pattern.into();
                let (pattern, subscribers) = (Pattern::new(pattern)?, Subscribers::default());
                patterns.insert(Arc::clone(&name), Followed { pattern, subscribers });
                name
            }
        };
        if let Some(followed) = patterns.get_mut(pattern) {
            followed.subscribers.add(subscriber, group);
        }
        self.subscriptions.fetch_add(1, Relaxed);
        Ok(name)
    }

    /// Removes a subscriber, and the pattern with its last one.
    pub fn unsubscribe_pattern(&self, pattern: &[u8], subscriber: &Subscriber) {
        let mut patterns = self.patterns.write();
        if let Some(followed) = patterns.get_mut(pattern)
            && self.remove(&mut followed.subscribers, subscriber)
        {
            patterns.remove(pattern);
        }
    }

    /// Calls `send` for the subscribers of the channel, then for the subscribers of each pattern that matches it, with that
    /// pattern.  `send` returns whether the subscriber has taken the message; if not, another member of its group gets it.
    /// No other message of this channel is delivered meanwhile.
    pub(super) fn deliver(&self, channel: &[u8], mut send: impl FnMut(&Subscriber, Option<&Name>) -> bool) {
        let part = self.part(channel).lock();
        if let Some(subscribers) = part.get(channel) {
            subscribers.deliver(|subscriber| send(subscriber, None));
        }
        let patterns = self.patterns.read();
        for (name, Followed { pattern, subscribers }) in patterns.iter() {
            if matches(pattern, name, channel) {
                subscribers.deliver(|subscriber| send(subscriber, Some(name)));
            }
        }
    }

    /// The number of channels with a subscriber.
    pub fn channel_count(&self) -> usize {
        self.parts.iter().map(|part| part.lock().len()).sum()
    }

    /// The channels with a subscriber and that match, in the order of their bytes.
    ///
    /// # Errors
    /// If the pattern is too complex.
    pub fn channels(&self, pattern: Option<&[u8]>) -> Result<Vec<Name>, PatternTooComplex> {
        let read = pattern.map(|text| Ok((text, Pattern::new(text)?))).transpose()?;
        let is_wanted = |name: &Name| read.as_ref().is_none_or(|(text, read)| matches(read, text, name));
        let mut channels = Vec::new();
        for part in &self.parts {
            channels.extend(part.lock().keys().filter(|name| is_wanted(name)).cloned());
        }
        channels.sort_unstable();
        Ok(channels)
    }

    /// The number of a channel's subscribers, without the subscribers of patterns.
    pub fn subscriber_count(&self, channel: &[u8]) -> usize {
        self.part(channel).lock().get(channel).map_or(0, Subscribers::len)
    }

    /// The number of patterns with a subscriber.
    pub fn pattern_count(&self) -> usize {
        self.patterns.read().len()
    }

    /// Removes a subscriber; true if none is left.
    fn remove(&self, subscribers: &mut Subscribers, subscriber: &Subscriber) -> bool {
        if subscribers.remove(subscriber) {
            self.subscriptions.fetch_sub(1, Relaxed);
        }
        subscribers.len() == 0
    }

    fn part(&self, channel: &[u8]) -> &Part {
        // The maps use hashers of their own, so that the bits used here are not the same for all keys of a map.
        &self.parts[self.hasher.hash_one(channel) as usize % PART_COUNT]
    }
}

impl Subscribers {
    fn len(&self) -> usize {
        self.each.len() + self.groups.iter().map(|group| group.members.len()).sum::<usize>()
    }

    fn add(&mut self, subscriber: Subscriber, group: Option<&[u8]>) {
        let Some(name) = group else { return self.each.push(subscriber) };
        match self.groups.iter_mut().find(|group| *group.name == *name) {
            Some(group) => group.members.push(subscriber),
            None => {
                let (name, members) = (name.into(), vec![subscriber]);
                self.groups.push(Group { name, members, turn: AtomicUsize::new(0) });
            }
        }
    }

    /// True if the subscriber was there.
    fn remove(&mut self, subscriber: &Subscriber) -> bool {
        if take(&mut self.each, subscriber) {
            return true;
        }
        let has_removed = self.groups.iter_mut().any(|group| take(&mut group.members, subscriber));
        self.groups.retain(|group| !group.members.is_empty());
        has_removed
    }

    fn deliver(&self, mut send: impl FnMut(&Subscriber) -> bool) {
        for subscriber in &self.each {
            send(subscriber);
        }
        for Group { members, turn, .. } in &self.groups {
            let first = turn.fetch_add(1, Relaxed) % members.len();
            let (before, from_first) = members.split_at(first);
            from_first.iter().chain(before).any(&mut send);
        }
    }
}

fn take(subscribers: &mut Vec<Subscriber>, subscriber: &Subscriber) -> bool {
    let place = subscribers.iter().position(|other| other == subscriber);
    place.map(|place| subscribers.swap_remove(place)).is_some()
}

/// As in Redis, `*` does not match the empty name.
fn matches(pattern: &Pattern, text: &[u8], channel: &[u8]) -> bool {
    pattern.matches(channel) && (text.is_empty() || !channel.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Router, Subscriber};
    use crate::delivery::Outbox;

    fn subscriber(client: u64) -> Subscriber {
        Subscriber::new(&Arc::new(Outbox::new(client, "127.0.0.1:1".parse().expect("an address"))))
    }

    fn received(router: &Router, channel: &str) -> Vec<(u64, Option<String>)> {
        let mut received = Vec::new();
        router.deliver(channel.as_bytes(), |subscriber, pattern| {
            let pattern = pattern.map(|pattern| String::from_utf8_lossy(pattern).into_owned());
            received.push((subscriber.outbox.id(), pattern));
            true
        });
        received
    }

    #[test]
    fn nothing_is_left_of_subscriptions_that_ended() {
        let (a, b) = (subscriber(1), subscriber(2));
        let router = Router::default();
        router.subscribe(b"news", a.clone(), None);
        router.subscribe(b"news", b.clone(), None);
        router.subscribe_pattern(b"n*", b.clone(), None).expect("a simple pattern");
        router.subscribe_pattern(b"*", b.clone(), None).expect("a simple pattern");
        let pattern = |text: &str| Some(text.to_owned());
        assert_eq!(received(&router, "news"), [(1, None), (2, None), (2, pattern("*")), (2, pattern("n*"))]);
        assert_eq!(received(&router, "other"), [(2, pattern("*"))]);
        assert_eq!(router.channel_count(), 1);
        assert_eq!(router.subscriber_count(b"news"), 2);
        assert!(router.has_subscribers());

        router.unsubscribe(b"news", &a);
        router.unsubscribe(b"news", &a);
        router.unsubscribe(b"news", &b);
        router.unsubscribe_pattern(b"n*", &b);
        router.unsubscribe_pattern(b"*", &b);
        assert_eq!(received(&router, "news"), []);
        assert_eq!(router.channel_count(), 0);
        assert_eq!(router.pattern_count(), 0);
        assert!(!router.has_subscribers());
        assert!(router.parts.iter().all(|part| part.lock().is_empty()));
    }

    #[test]
    fn one_member_of_a_queue_group_gets_a_message() {
        let (a, b, c) = (subscriber(1), subscriber(2), subscriber(3));
        let router = Router::default();
        router.subscribe(b"jobs", a.clone(), Some(b"workers"));
        router.subscribe(b"jobs", b.clone(), Some(b"workers"));
        router.subscribe(b"jobs", c.clone(), None);
        assert_eq!(router.subscriber_count(b"jobs"), 3);
        let next = || received(&router, "jobs").into_iter().map(|(client, _)| client).collect::<Vec<_>>();
        assert_eq!([next(), next(), next()], [[3, 1], [3, 2], [3, 1]]);
        // A member that takes no message is passed over.
        let mut asked = Vec::new();
        router.deliver(b"jobs", |subscriber, _| {
            asked.push(subscriber.outbox.id());
            subscriber.outbox.id() != 2
        });
        assert_eq!(asked, [3, 2, 1]);
        router.unsubscribe(b"jobs", &a);
        assert_eq!([next(), next()], [[3, 2], [3, 2]]);
        router.unsubscribe(b"jobs", &b);
        assert_eq!(next(), [3]);
        router.unsubscribe(b"jobs", &c);
        assert!(!router.has_subscribers());
    }

    #[test]
    fn a_receiver_may_subscribe_to_a_channel_several_times() {
        let first = subscriber(1);
        let second = Subscriber { id: 7, ..first.clone() };
        let router = Router::default();
        router.subscribe(b"news", first.clone(), None);
        router.subscribe(b"news", second.clone(), None);
        assert_eq!(received(&router, "news"), [(1, None), (1, None)]);
        router.unsubscribe(b"news", &second);
        assert_eq!(received(&router, "news"), [(1, None)]);
        router.unsubscribe(b"news", &first);
        assert!(!router.has_subscribers());
    }
}
