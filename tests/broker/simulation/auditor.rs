//! Says what each client may hear: it knows all operations in the order in which the server has run them.

use std::collections::{BTreeMap, HashMap};

use quartet::settings::SlowConsumer;

use super::client::Heard;
use crate::broker::model::matches;

/// What a client has done.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Subscribe(String, Wanted),
    /// At once, or once so many messages were sent.
    Unsubscribe(String, Option<usize>),
    Publish(usize),
}

/// What a subscription is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) pattern: Pattern,
    pub(super) group: Option<&'static str>,
    pub(super) policy: SlowConsumer,
}

/// The subjects that are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pattern {
    /// A subject, or tokens with wildcards.
    Tokens(&'static str),
    /// What begins as this does, up to a star at its end.
    Glob(&'static str),
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Auditor {
    subscriptions: Vec<Subscription>,
    places: HashMap<(usize, String), usize>,
    /// The places of those that get messages.
    open: Vec<usize>,
    messages: Vec<Message>,
    groups: BTreeMap<&'static str, Group>,
    published: usize,
}

struct Subscription {
    client: usize,
    wanted: Wanted,
    /// The numbers of the messages that it was sent; none in a group.
    sent: Vec<usize>,
    /// Those of them that were heard or passed over.
    passed: usize,
    most: Option<usize>,
    /// Messages that it was told that it missed, and those of them that were not found missing yet.
    missed: u64,
    untold: u64,
    heard: Vec<usize>,
}

struct Message {
    subject: &'static str,
    /// Its place among all messages that the server has taken.
    place: Option<usize>,
}

/// The messages that no member is known to have got, with those who may get them.
#[derive(Default)]
struct Group {
    outstanding: BTreeMap<usize, Vec<usize>>,
}

impl Pattern {
    pub(super) fn text(&self) -> &'static str {
        let (Pattern::Tokens(text) | Pattern::Glob(text)) = self;
        text
    }

    pub(super) fn is_glob(&self) -> bool {
        matches!(self, Pattern::Glob(_))
    }

    fn matches(&self, subject: &str) -> bool {
        match self {
            Pattern::Tokens(text) => matches(text, subject),
            Pattern::Glob(text) => subject.starts_with(text.trim_end_matches('*')),
        }
    }
}

impl Auditor {
    /// A message that is to be published; its number.
    pub(super) fn add_message(&mut self, subject: &'static str) -> usize {
        self.messages.push(Message { subject, place: None });
        self.messages.len() - 1
    }

    /// The server has run an operation of a client.
    pub(super) fn perform(&mut self, client: usize, operation: Operation) {
        match operation {
            Operation::Subscribe(name, wanted) => {
                let place = self.subscriptions.len();
                self.places.insert((client, name), place);
                self.open.push(place);
                self.subscriptions.push(Subscription {
                    client,
                    wanted,
                    sent: Vec::new(),
                    passed: 0,
                    most: None,
                    missed: 0,
                    untold: 0,
                    heard: Vec::new(),
                });
            }
            Operation::Unsubscribe(name, after) => {
                let place = self.places[&(client, name)];
                let subscription = &mut self.subscriptions[place];
                // Which member gets a message is the server's choice, so the number of a member is not known here.
                subscription.most = Some(after.unwrap_or(0));
                self.end_complete();
            }
            Operation::Publish(number) => self.publish(number),
        }
    }

    fn publish(&mut self, number: usize) {
        self.messages[number].place = Some(self.published);
        self.published += 1;
        let mut candidates: BTreeMap<&'static str, Vec<usize>> = BTreeMap::new();
        for &place in &self.open {
            let subscription = &mut self.subscriptions[place];
            if !subscription.wanted.pattern.matches(self.messages[number].subject) {
                continue;
            }
            match subscription.wanted.group {
                None => subscription.sent.push(number),
                Some(group) => candidates.entry(group).or_default().push(place),
            }
        }
        for (group, members) in candidates {
            self.groups.entry(group).or_default().outstanding.insert(number, members);
        }
        self.end_complete();
    }

    fn end_complete(&mut self) {
        let Auditor { open, subscriptions, .. } = self;
        let goes_on = |place: &usize| {
            let subscription: &Subscription = &subscriptions[*place];
            subscription.most.is_none_or(|most| subscription.sent.len() < most)
        };
        open.retain(goes_on);
    }

    /// The connection of a client has ended.
    pub(super) fn end(&mut self, client: usize) {
        let Auditor { open, subscriptions, .. } = self;
        open.retain(|place| subscriptions[*place].client != client);
    }

    /// A client has heard something.
    pub(super) fn hear(&mut self, client: usize, heard: &Heard, was_behind: bool) -> Result<(), String> {
        let known = self.places.get(&(client, heard.name().to_owned()));
        let place =
            *known.ok_or_else(|| format!("client {client} hears {heard:?} without a subscription"))?;
        let describe = |error: String| format!("client {client} hears {heard:?}: {error}");
        match heard {
            Heard::Gap { .. } if !was_behind => Err(describe("it was not slow".to_owned())),
            Heard::Gap { missed, .. } => {
                let subscription = &mut self.subscriptions[place];
                subscription.missed += missed;
                subscription.untold += missed;
                Ok(())
            }
            Heard::Message { number, .. } => self.hear_message(place, *number).map_err(describe),
        }
    }

    fn hear_message(&mut self, place: usize, number: usize) -> Result<(), String> {
        let message = self.messages.get(number).ok_or("there is no such message")?;
        let published_at = message.place.ok_or("it was not published yet")?;
        let subscription = &mut self.subscriptions[place];
        let is_ordered = subscription.wanted.policy != SlowConsumer::KeepLatest;
        let before = |other: &&usize| is_ordered || self.messages[**other].subject == message.subject;
        if let Some(last) = subscription.heard.iter().rev().find(before)
            && self.messages[*last].place >= Some(published_at)
        {
            return Err(format!("it comes behind {last}"));
        }
        subscription.heard.push(number);
        if let Some(group) = subscription.wanted.group {
            let group = self.groups.get_mut(group).ok_or("the group got nothing")?;
            let members = group.outstanding.remove(&number).ok_or("another member has got it")?;
            return if members.contains(&place) { Ok(()) } else { Err("it is no member".to_owned()) };
        }
        if !is_ordered {
            return if subscription.sent.contains(&number) {
                Ok(())
            } else {
                Err("it was not sent".to_owned())
            };
        }
        let rest = &subscription.sent[subscription.passed..];
        let skipped = rest.iter().position(|sent| *sent == number).ok_or("it was not sent")?;
        subscription.passed += skipped + 1;
        let told = subscription.untold;
        subscription.untold = told
            .checked_sub(skipped as u64)
            .ok_or_else(|| format!("{skipped} messages are missing before it and it was told of {told}"))?;
        if subscription.wanted.policy == SlowConsumer::DropOldest && subscription.untold > 0 {
            return Err(format!("it was told of {told} messages before it and {skipped} are missing"));
        }
        Ok(())
    }

    /// A client that has read everything has heard of each message, or of missing it.
    pub(super) fn check_complete(&self, client: usize) -> Result<(), String> {
        let of_client = |subscription: &&Subscription| subscription.client == client;
        for subscription in self.subscriptions.iter().filter(of_client) {
            let (sent, heard) = (subscription.sent.len() as u64, subscription.heard.len() as u64);
            if subscription.wanted.group.is_none() && sent != heard + subscription.missed {
                let (wanted, missed) = (subscription.wanted, subscription.missed);
                return Err(format!(
                    "client {client}, {wanted:?}: {sent} were sent, {heard} heard, {missed} missed"
                ));
            }
        }
        Ok(())
    }

    /// What no member of a group has got, one has missed or has lost with its connection; `is_there` says which clients have
    /// theirs still.
    pub(super) fn check_groups(&self, is_there: impl Fn(usize) -> bool) -> Result<(), String> {
        for (name, group) in &self.groups {
            let of_group = |subscription: &&Subscription| subscription.wanted.group == Some(*name);
            let missed: u64 = self.subscriptions.iter().filter(of_group).map(|one| one.missed).sum();
            let may_have_lost = |place: &usize| {
                let subscription = &self.subscriptions[*place];
                subscription.missed > 0 || !is_there(subscription.client)
            };
            let lost = |members: &&Vec<usize>| !members.iter().any(may_have_lost);
            if let Some(members) = group.outstanding.values().find(lost) {
                return Err(format!("group {name}: no member of {members:?} has got a message"));
            }
            let without = group.outstanding.len() as u64;
            let are_all_there = self.subscriptions.iter().filter(of_group).all(|one| is_there(one.client));
            if without < missed || (are_all_there && without > missed) {
                return Err(format!("group {name}: {without} are missing and {missed} were missed"));
            }
        }
        Ok(())
    }
}
