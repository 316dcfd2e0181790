//! A naive broker: a list of subscriptions that is looked through for each message.
//!
//! It cannot know which member of a queue group gets a message, so it looks at who did and says whether that may be.

use std::collections::BTreeMap;

/// What a client sends.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// `SUB`
    Subscribe { pattern: String, group: Option<String>, name: String },
    /// `UNSUB`, at once or after so many messages
    Unsubscribe { name: String, after: Option<usize> },
    /// `PUB`; the payload is a number that nothing else has
    Publish { subject: String, reply: Option<String>, number: usize },
}

/// A message that arrived.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Delivery {
    /// The client that got it.
    pub(super) client: usize,
    /// The name of its subscription.
    pub(super) name: String,
    /// The subject and the reply subject.
    pub(super) subject: String,
    pub(super) reply: Option<String>,
    /// Whether it says that nobody has heard a request.
    pub(super) is_notice: bool,
}

/// What a client has asked for when it connected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes {
    /// It gets its own messages too.
    pub(super) echo: bool,
    /// It is told when nobody hears a request of its own.
    pub(super) no_responders: bool,
}

/// The subscriptions of all clients.
pub(super) struct Model {
    wishes: Vec<Wishes>,
    subscriptions: Vec<Subscription>,
}

#[derive(Debug)]
struct Subscription {
    client: usize,
    name: String,
    pattern: String,
    group: Option<String>,
    delivered: usize,
    most: Option<usize>,
}

impl Model {
    /// One with these clients and no subscriptions.
    pub(super) fn new(wishes: &[Wishes]) -> Model {
        Model { wishes: wishes.to_vec(), subscriptions: Vec::new() }
    }

    /// Does what a client has sent; `observed` is what arrived because of it, in any order.
    pub(super) fn perform(
        &mut self,
        client: usize,
        operation: &Operation,
        observed: &[Delivery],
    ) -> Result<(), String> {
        match operation {
            Operation::Subscribe { pattern, group, name } => {
                if self.position(client, name).is_none() {
                    self.subscriptions.push(Subscription {
                        client,
                        name: name.clone(),
                        pattern: pattern.clone(),
                        group: group.clone(),
                        delivered: 0,
                        most: None,
                    });
                }
            }
            Operation::Unsubscribe { name, after } => {
                if let Some(at) = self.position(client, name) {
                    self.subscriptions[at].most = Some(after.unwrap_or_default());
                    self.end_complete();
                }
            }
            Operation::Publish { subject, reply, .. } => {
                let mut observed = observed.to_vec();
                observed.sort();
                let expected = self.publish(client, subject, reply.as_deref(), &observed)?;
                if expected != observed {
                    return Err(format!("expected {expected:#?}\nbut got {observed:#?}"));
                }
            }
        }
        Ok(())
    }

    /// Who gets the message, sorted; of a group, and of subscriptions that may get a notice, the one that has got it.
    fn publish(
        &mut self,
        client: usize,
        subject: &str,
        reply: Option<&str>,
        observed: &[Delivery],
    ) -> Result<Vec<Delivery>, String> {
        let mut receivers = Vec::new();
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, subscription) in self.subscriptions.iter().enumerate() {
            let hears = subscription.client != client || self.wishes[client].echo;
            match &subscription.group {
                _ if !hears || !matches(&subscription.pattern, subject) => {}
                None => receivers.push(at),
                Some(group) => groups.entry(group.clone()).or_default().push(at),
            }
        }
        let is_observed = |subscription: &Subscription| {
            let is_it = |one: &Delivery| one.client == subscription.client && one.name == subscription.name;
            observed.iter().any(is_it)
        };
        for (group, members) in groups {
            let chosen: Vec<usize> =
                members.iter().copied().filter(|&at| is_observed(&self.subscriptions[at])).collect();
            let [chosen] = chosen[..] else {
                return Err(format!("{} of the group {group} got it, not one", chosen.len()));
            };
            receivers.push(chosen);
        }
        let delivery = |subscription: &Subscription| Delivery {
            client: subscription.client,
            name: subscription.name.clone(),
            subject: subject.to_owned(),
            reply: reply.map(str::to_owned),
            is_notice: false,
        };
        let mut expected: Vec<Delivery> =
            receivers.iter().map(|&at| delivery(&self.subscriptions[at])).collect();
        for &at in &receivers {
            self.subscriptions[at].delivered += 1;
        }
        self.end_complete();
        if let Some(reply) = reply.filter(|_| receivers.is_empty() && self.wishes[client].no_responders) {
            let asks = |one: &&Subscription| {
                one.client == client && one.group.is_none() && matches(&one.pattern, reply)
            };
            let mut told = self.subscriptions.iter().filter(asks).peekable();
            if told.peek().is_some() {
                let told = told.find(|one| is_observed(one)).ok_or("nobody was told that nobody heard it")?;
                let subject = reply.to_owned();
                expected.push(Delivery { subject, reply: None, is_notice: true, ..delivery(told) });
            }
        }
        expected.sort();
        Ok(expected)
    }

    fn position(&self, client: usize, name: &str) -> Option<usize> {
        self.subscriptions.iter().position(|one| one.client == client && one.name == name)
    }

    /// Ends the subscriptions that have had as many messages as they were to get.
    fn end_complete(&mut self) {
        self.subscriptions.retain(|one| one.most.is_none_or(|most| one.delivered < most));
    }
}

/// Whether a pattern stands for a subject, token by token.
pub(super) fn matches(pattern: &str, subject: &str) -> bool {
    let (pattern, subject) = (pattern.split('.').collect::<Vec<_>>(), subject.split('.').collect::<Vec<_>>());
    match (pattern.as_slice(), subject.as_slice()) {
        ([">"], _) => true,
        ([first, patterns @ ..], [token, tokens @ ..]) if *first == "*" || first == token => {
            match (patterns, tokens) {
                ([], []) => true,
                ([], _) | (_, []) => false,
                _ => matches(&patterns.join("."), &tokens.join(".")),
            }
        }
        _ => false,
    }
}

#[test]
fn patterns_stand_for_subjects() {
    let cases = [
        ("a", "a", true),
        ("a", "b", false),
        ("a.b", "a", false),
        ("a", "a.b", false),
        ("*", "a", true),
        ("*", "a.b", false),
        ("*.b", "a.b", true),
        ("a.*", "a", false),
        (">", "a.b.c", true),
        ("a.>", "a", false),
        ("a.>", "a.b.c", true),
        ("a.*.c", "a.b.c", true),
        ("*.*.>", "a.b", false),
        ("a*", "ab", false),
    ];
    for (pattern, subject, expected) in cases {
        assert_eq!(matches(pattern, subject), expected, "{pattern} and {subject}");
    }
}
