//! Who wants which subjects.
//!
//! Exact subjects are spread over parts, each with a lock of its own; wildcards and globs are in lists.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use hashbrown::HashMap;

use super::{Name, Subscription, Topic};
use crate::glob::{Pattern, PatternTooComplex};
use crate::lock_order::{Mutex, RwLock, rank};

/// Parts of the exact subjects: enough that threads publishing to different subjects seldom meet.
const PART_COUNT: usize = 64;

/// The subscriptions to one subject, wildcard or glob.
type Subscriptions = Vec<Arc<Subscription>>;

/// Some of the exact subjects, behind their lock.
type Part = Mutex<HashMap<Name, Subscriptions, foldhash::fast::RandomState>, { rank::CHANNELS }>;

/// See the module's text.
pub struct Interest {
    hasher: foldhash::fast::RandomState,
    parts: Box<[CachePadded<Part>]>,
    /// Wildcards and globs, in the order of their bytes.
    patterns: RwLock<std::collections::BTreeMap<(bool, Name), Subscriptions>, { rank::PATTERNS }>,
    /// The number of subscriptions of any kind.  Services publish nothing while there is none.
    subscriptions: AtomicUsize,
}

/// The subscriptions that match a subject.
#[derive(Default)]
pub struct Matches {
    /// Subscriptions outside queue groups: each gets every message.  Those to the subject itself come first, then wildcards,
    /// then globs, both in the order of their bytes.
    pub each: Vec<Arc<Subscription>>,
    /// The members of each queue group: one of them gets a message.
    pub groups: Vec<(Name, Vec<Arc<Subscription>>)>,
}

impl Default for Interest {
    fn default() -> Interest {
        Interest {
            hasher: foldhash::fast::RandomState::default(),
            parts: (0..PART_COUNT).map(|_| CachePadded::default()).collect(),
            patterns: RwLock::default(),
            subscriptions: AtomicUsize::new(0),
        }
    }
}

impl Interest {
    /// Whether there is any subscription.
    pub fn has_subscribers(&self) -> bool {
        self.subscriptions.load(Relaxed) > 0
    }

    /// Adds a subscription.
    pub fn subscribe(&self, subscription: Arc<Subscription>) {
        self.subscriptions.fetch_add(1, Relaxed);
        match subscription.topic().clone() {
            Topic::Exact(text) => self.part(&text).lock().entry(text).or_default().push(subscription),
            Topic::Wildcard(text) => {
                self.patterns.write().entry((false, text)).or_default().push(subscription)
            }
            Topic::Glob(text, _) => self.patterns.write().entry((true, text)).or_default().push(subscription),
        }
    }

    /// Removes a subscription, if it is there.
    pub fn unsubscribe(&self, subscription: &Arc<Subscription>) {
        let mut is_removed = false;
        let mut remove = |list: &mut Subscriptions| {
            let place = list.iter().position(|other| Arc::ptr_eq(other, subscription));
            is_removed = place.map(|place| list.swap_remove(place)).is_some();
            list.is_empty()
        };
        match subscription.topic() {
            Topic::Exact(text) => {
                let mut part = self.part(text).lock();
                if part.get_mut(text).is_some_and(&mut remove) {
                    part.remove(text);
                }
            }
            Topic::Wildcard(text) | Topic::Glob(text, _) => {
                let key = (matches!(subscription.topic(), Topic::Glob(..)), Arc::clone(text));
                let mut patterns = self.patterns.write();
                if patterns.get_mut(&key).is_some_and(&mut remove) {
                    patterns.remove(&key);
                }
            }
        }
        if is_removed {
            self.subscriptions.fetch_sub(1, Relaxed);
        }
    }

    /// The subscriptions that match a subject.
    pub fn find(&self, subject: &[u8]) -> Matches {
        let mut matches = Matches::default();
        let is_hidden = is_hidden(subject);
        if let Some(subscriptions) = self.part(subject).lock().get(subject) {
            subscriptions.iter().for_each(|subscription| matches.add(subscription));
        }
        for ((is_glob, text), subscriptions) in self.patterns.read().iter() {
            let Some(first) = subscriptions.first() else { continue };
            let fits = match first.topic() {
                Topic::Glob(_, pattern) => matches_glob(pattern, text, subject),
                _ => is_valid_subject(subject) && matches_wildcard(text, subject),
            };
            if !fits {
                continue;
            }
            let names_prefix = !is_hidden || names_hidden_prefix(text, *is_glob);
            let seen = subscriptions
                .iter()
                .filter(|subscription| names_prefix || subscription.options().sees_hidden);
            seen.for_each(|subscription| matches.add(subscription));
        }
        matches
    }

    /// The number of exact subjects with a subscription.
    pub fn subject_count(&self) -> usize {
        self.parts.iter().map(|part| part.lock().len()).sum()
    }

    /// The exact subjects that have a subscription and match the glob, in the order of their bytes.
    ///
    /// # Errors
    /// If the glob is too complex.
    pub fn subjects(&self, glob: Option<&[u8]>) -> Result<Vec<Name>, PatternTooComplex> {
        let read = glob.map(|text| Ok((text, Pattern::new(text)?))).transpose()?;
        let is_wanted = |name: &Name| read.as_ref().is_none_or(|(text, read)| matches_glob(read, text, name));
        let mut subjects = Vec::new();
        for part in &self.parts {
            subjects.extend(part.lock().keys().filter(|name| is_wanted(name)).cloned());
        }
        subjects.sort_unstable();
        Ok(subjects)
    }

    /// The number of subscriptions to exactly this subject, without those of wildcards and globs.
    pub fn subscriber_count(&self, subject: &[u8]) -> usize {
        self.part(subject).lock().get(subject).map_or(0, Vec::len)
    }

    /// The number of different globs.
    pub fn glob_count(&self) -> usize {
        self.patterns.read().keys().filter(|(is_glob, _)| *is_glob).count()
    }

    /// The number of different wildcards.
    pub fn wildcard_count(&self) -> usize {
        self.patterns.read().keys().filter(|(is_glob, _)| !is_glob).count()
    }

    /// The number of subscriptions of any kind.
    pub fn subscription_count(&self) -> usize {
        self.subscriptions.load(Relaxed)
    }

    fn part(&self, subject: &[u8]) -> &Part {
        // The maps use hashers of their own, so that the bits used here are not the same for all keys of a map.
        &self.parts[foldhash_of(&self.hasher, subject) % PART_COUNT]
    }
}

fn foldhash_of(hasher: &foldhash::fast::RandomState, subject: &[u8]) -> usize {
    std::hash::BuildHasher::hash_one(hasher, subject) as usize
}

impl Matches {
    /// Whether nobody wants the subject.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty() && self.groups.is_empty()
    }

    fn add(&mut self, subscription: &Arc<Subscription>) {
        let Some(name) = &subscription.options().group else {
            return self.each.push(Arc::clone(subscription));
        };
        match self.groups.iter_mut().find(|(other, _)| other == name) {
            Some((_, members)) => members.push(Arc::clone(subscription)),
            None => self.groups.push((Arc::clone(name), vec![Arc::clone(subscription)])),
        }
    }
}

/// As in Redis, `*` does not match the empty name.
fn matches_glob(pattern: &Pattern, text: &[u8], subject: &[u8]) -> bool {
    pattern.matches(subject) && (text.is_empty() || !subject.is_empty())
}

/// Whether the subject is one of those that clients of RESP and HTTP see only if they name their prefix.
fn is_hidden(subject: &[u8]) -> bool {
    subject.starts_with(b"$") || subject.starts_with(b"_INBOX.")
}

/// Whether wildcards apply: all tokens have bytes, and none of them is white space.
fn is_valid_subject(subject: &[u8]) -> bool {
    let is_valid = |token: &[u8]| !token.is_empty() && !token.iter().any(u8::is_ascii_whitespace);
    subject.split(|&byte| byte == b'.').all(is_valid)
}

fn matches_wildcard(pattern: &[u8], subject: &[u8]) -> bool {
    let mut tokens = subject.split(|&byte| byte == b'.');
    for token in pattern.split(|&byte| byte == b'.') {
        match (token, tokens.next()) {
            (b">", Some(_)) => return true,
            (b"*", Some(_)) => {}
            (token, Some(other)) if token == other => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

/// Whether a pattern names the prefix of hidden subjects in its literal beginning: `$` or `_INBOX.`.
fn names_hidden_prefix(pattern: &[u8], is_glob: bool) -> bool {
    pattern.starts_with(b"$") || pattern.starts_with(b"_INBOX.") || (is_glob && pattern.starts_with(b"\\$"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{Outbox, SubscriptionOptions};

    fn outbox(client: u64) -> Arc<Outbox> {
        Arc::new(Outbox::new(client, "127.0.0.1:1".parse().expect("an address")))
    }

    fn subscribe(interest: &Interest, topic: Topic, client: u64, group: Option<&str>) -> Arc<Subscription> {
        let group = group.map(|name| name.as_bytes().into());
        let options = SubscriptionOptions { group, ..SubscriptionOptions::default() };
        let subscription = Subscription::new(topic, options, &outbox(client));
        interest.subscribe(Arc::clone(&subscription));
        subscription
    }

    fn found(interest: &Interest, subject: &str) -> Vec<(u64, String)> {
        let matches = interest.find(subject.as_bytes());
        let named = |subscription: &Arc<Subscription>| {
            let text = String::from_utf8_lossy(subscription.topic().text()).into_owned();
            (subscription.outbox().id(), text)
        };
        matches.each.iter().map(named).collect()
    }

    #[test]
    fn nothing_is_left_of_subscriptions_that_ended() {
        let interest = Interest::default();
        let glob = |text: &str| Topic::glob(text.as_bytes()).expect("a simple glob");
        let subscriptions = [
            subscribe(&interest, Topic::exact(b"news"), 1, None),
            subscribe(&interest, Topic::exact(b"news"), 2, None),
            subscribe(&interest, glob("n*"), 2, None),
            subscribe(&interest, glob("*"), 2, None),
            subscribe(&interest, Topic::of_pattern(b">"), 3, None),
        ];
        let expected = [(1, "news"), (2, "news"), (3, ">"), (2, "*"), (2, "n*")];
        assert_eq!(found(&interest, "news"), expected.map(|(client, text)| (client, text.to_owned())));
        assert_eq!(found(&interest, "two words"), [(2, "*".to_owned())]);
        assert_eq!((interest.subject_count(), interest.subscriber_count(b"news")), (1, 2));
        for subscription in &subscriptions {
            interest.unsubscribe(subscription);
            interest.unsubscribe(subscription);
        }
        assert_eq!(found(&interest, "news"), []);
        assert_eq!((interest.subject_count(), interest.glob_count(), interest.wildcard_count()), (0, 0, 0));
        assert!(!interest.has_subscribers());
    }

    #[test]
    fn members_of_a_group_are_found_together() {
        let interest = Interest::default();
        subscribe(&interest, Topic::exact(b"jobs.mail"), 1, Some("workers"));
        subscribe(&interest, Topic::of_pattern(b"jobs.*"), 2, Some("workers"));
        subscribe(&interest, Topic::of_pattern(b"jobs.>"), 3, Some("others"));
        let groups = interest.find(b"jobs.mail").groups;
        assert_eq!(groups.iter().map(|(_, members)| members.len()).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn hidden_subjects_are_seen_by_those_who_name_them() {
        let interest = Interest::default();
        let glob = |text: &str| Topic::glob(text.as_bytes()).expect("a simple glob");
        for (client, topic) in [glob("*"), glob("$*"), glob("_INBOX.*"), Topic::of_pattern(b">")]
            .into_iter()
            .zip(1..)
            .map(|(topic, client)| (client, topic))
        {
            subscribe(&interest, topic, client, None);
        }
        let clients =
            |subject| found(&interest, subject).into_iter().map(|(client, _)| client).collect::<Vec<_>>();
        assert_eq!(clients("$SYS.x"), [2]);
        assert_eq!(clients("_INBOX.x"), [3]);
        assert_eq!(clients("x"), [4, 1]);
    }
}
