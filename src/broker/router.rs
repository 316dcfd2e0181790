//! Channels and patterns with their subscribers.
//!
//! Channels are spread over parts, each with a lock that is held while a message of one of its channels goes to all
//! its receivers: so the messages of a channel, by whichever threads they are published, have one order for all.
//! Locks are taken in the order part, patterns, outbox.  The router knows nothing of protocols: what a receiver is
//! sent is up to the caller of [`Router::deliver`].

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use hashbrown::HashMap;

use crate::client::SharedClient;
use crate::glob::{Pattern, PatternTooComplex};
use crate::lock_order::{Mutex, RwLock, rank};

/// Parts of the channels: enough that threads publishing to different channels seldom meet.
const PART_COUNT: usize = 64;

/// A name of a channel or a pattern, shared between the router and its subscribers.
pub type Name = Arc<[u8]>;

/// Those who have subscribed to one channel or pattern, each once.
type Subscribers = Vec<Arc<SharedClient>>;

/// A pattern and those who have subscribed to it.
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
    /// Subscriptions of any kind, so that who publishes of its own accord need not when nobody listens.
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
    /// Whether anybody has subscribed to anything.
    pub fn has_subscribers(&self) -> bool {
        self.subscriptions.load(Relaxed) > 0
    }

    /// Adds a subscriber to a channel it is not subscribed to.
    pub fn subscribe(&self, channel: &[u8], client: &Arc<SharedClient>) -> Name {
        self.subscriptions.fetch_add(1, Relaxed);
        let mut part = self.part(channel).lock();
        if let Some((name, subscribers)) = part.get_key_value_mut(channel) {
            subscribers.push(Arc::clone(client));
            return Arc::clone(name);
        }
        let name: Name = channel.into();
        part.insert(Arc::clone(&name), vec![Arc::clone(client)]);
        name
    }

    /// Removes a subscriber, and the channel with its last one.
    pub fn unsubscribe(&self, channel: &[u8], client: &Arc<SharedClient>) {
        let mut part = self.part(channel).lock();
        if let Some(subscribers) = part.get_mut(channel)
            && self.remove(subscribers, client)
        {
            part.remove(channel);
        }
    }

    /// Adds a subscriber to a pattern it is not subscribed to.
    ///
    /// # Errors
    /// If the pattern is too complex to be looked for in the names of channels.
    pub fn subscribe_pattern(
        &self,
        pattern: &[u8],
        client: &Arc<SharedClient>,
    ) -> Result<Name, PatternTooComplex> {
        let mut patterns = self.patterns.write();
        let existing = patterns.get_key_value(pattern).map(|(name, _)| Arc::clone(name));
        let name = match existing {
            Some(name) => name,
            None => {
                let name: Name = pattern.into();
                let followed = Followed { pattern: Pattern::new(pattern)?, subscribers: Vec::new() };
                patterns.insert(Arc::clone(&name), followed);
                name
            }
        };
        if let Some(followed) = patterns.get_mut(pattern) {
            followed.subscribers.push(Arc::clone(client));
        }
        self.subscriptions.fetch_add(1, Relaxed);
        Ok(name)
    }

    /// Removes a subscriber, and the pattern with its last one.
    pub fn unsubscribe_pattern(&self, pattern: &[u8], client: &Arc<SharedClient>) {
        let mut patterns = self.patterns.write();
        if let Some(followed) = patterns.get_mut(pattern)
            && self.remove(&mut followed.subscribers, client)
        {
            patterns.remove(pattern);
        }
    }

    /// Calls `receive` for each subscriber of the channel, then for each subscriber of each pattern that matches it,
    /// with that pattern.  No other message of this channel is delivered meanwhile.
    pub fn deliver(&self, channel: &[u8], mut receive: impl FnMut(&Arc<SharedClient>, Option<&[u8]>)) {
        let part = self.part(channel).lock();
        for client in part.get(channel).into_iter().flatten() {
            receive(client, None);
        }
        let patterns = self.patterns.read();
        for (name, Followed { pattern, subscribers }) in patterns.iter() {
            if matches(pattern, name, channel) {
                for client in subscribers {
                    receive(client, Some(name));
                }
            }
        }
    }

    /// The number of channels that somebody has subscribed to.
    pub fn channel_count(&self) -> usize {
        self.parts.iter().map(|part| part.lock().len()).sum()
    }

    /// The channels that somebody has subscribed to and that match, in the order of their bytes.
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

    /// The number of subscribers of a channel, without those of patterns.
    pub fn subscriber_count(&self, channel: &[u8]) -> usize {
        self.part(channel).lock().get(channel).map_or(0, Vec::len)
    }

    /// The number of patterns that somebody has subscribed to.
    pub fn pattern_count(&self) -> usize {
        self.patterns.read().len()
    }

    /// True if nobody is left.
    fn remove(&self, subscribers: &mut Subscribers, client: &Arc<SharedClient>) -> bool {
        if let Some(place) = subscribers.iter().position(|other| Arc::ptr_eq(other, client)) {
            subscribers.swap_remove(place);
            self.subscriptions.fetch_sub(1, Relaxed);
        }
        subscribers.is_empty()
    }

    fn part(&self, channel: &[u8]) -> &Part {
        // The maps use hashers of their own, so that the bits used here are not the same for all keys of a map.
        &self.parts[self.hasher.hash_one(channel) as usize % PART_COUNT]
    }
}

/// As in Redis, `*` does not match the empty name.
fn matches(pattern: &Pattern, text: &[u8], channel: &[u8]) -> bool {
    pattern.matches(channel) && (text.is_empty() || !channel.is_empty())
}

#[cfg(test)]
mod tests {
    use super::Router;
    use crate::client::Clients;

    fn received(router: &Router, channel: &str) -> Vec<(u64, Option<String>)> {
        let mut received = Vec::new();
        router.deliver(channel.as_bytes(), |client, pattern| {
            received.push((client.id, pattern.map(|pattern| String::from_utf8_lossy(pattern).into_owned())));
        });
        received
    }

    #[test]
    fn nothing_is_left_of_subscriptions_that_ended() {
        let clients = Clients::default();
        let address = "127.0.0.1:1".parse().unwrap();
        let (a, b) = (clients.connect(address, address, 0), clients.connect(address, address, 0));
        let router = Router::default();
        router.subscribe(b"news", &a);
        router.subscribe(b"news", &b);
        router.subscribe_pattern(b"n*", &b).expect("a simple pattern");
        router.subscribe_pattern(b"*", &b).expect("a simple pattern");
        let pattern = |text: &str| Some(text.to_owned());
        assert_eq!(
            received(&router, "news"),
            [(a.id, None), (b.id, None), (b.id, pattern("*")), (b.id, pattern("n*"))]
        );
        assert_eq!(received(&router, "other"), [(b.id, pattern("*"))]);
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
}
