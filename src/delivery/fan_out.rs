//! The way of a message to everybody who wants it.

use std::sync::Arc;

use super::after_batch::LeftWork;
use super::backlog::Backlog;
use super::effects::MILLISECOND;
use super::feed::Feeds;
use super::interest::Turns;
use super::presence::Presence;
use super::publication::Publication;
use super::sink::Taking;
use super::staging::Stages;
use super::traffic::{Amount, Counts, Listener, Traffic};
use super::watch::Watches;
use super::{ChannelSpace, Effects, Interest, Matches, Message, Outbox, Subscription, Subscriptions, sink};
use crate::alarm::Alarm;
use crate::clock::Now;
use crate::settings::Settings;

/// See the module's text.
#[derive(Default)]
pub struct FanOut {
    /// Subjects of the broker, which are the channels of RESP, with wildcards and globs.
    pub channels: Arc<Interest>,
    /// Shard channels, a space of their own; without a cluster they are ordinary channels without patterns.
    pub shard_channels: Interest,
    /// Who wants to know of subscriptions to channels.
    pub(super) presence: Presence,
    /// The work for the begin and the end of subscriptions to channels.
    pub(super) watches: Arc<Watches>,
    /// What waits for receivers.
    pub(super) backlog: Arc<Backlog>,
    /// The feeds that are open.
    pub(super) feeds: Arc<Feeds>,
    /// The alarm of the server.
    pub(super) alarm: Arc<Alarm>,
    pub(super) left_work: LeftWork,
    counts: Arc<Counts>,
}

/// The receivers of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Receivers {
    /// Their number: every subscription that got the message.
    pub count: usize,
    /// Whether a sink has taken it, which does not count.
    pub is_heard: bool,
    /// Whether its sender is one of them.
    pub has_sender: bool,
}

/// Bytes that wait for a receiver before deliveries to it pause.  With what one turn of a consumer brings, they are fewer than
/// may be ready for a receiver: more would be kept as references and formatted later, which takes twice the time.
const DELIVERED_AHEAD_MAX: usize = 128 << 10;

impl Receivers {
    /// Whether nobody got the message: no subscription, and no sink.
    pub fn are_none(&self) -> bool {
        self.count == 0 && !self.is_heard
    }
}

/// The receivers of a subject at a moment.
pub struct Recipients {
    target: Box<[u8]>,
    matches: Matches,
}

impl Recipients {
    /// The subject.
    pub fn target(&self) -> &[u8] {
        &self.target
    }

    /// One of them for whom so much waits that it should read before more is delivered.
    pub fn one_behind(&self) -> Option<&Arc<Outbox>> {
        let is_behind = |outbox: &Arc<Outbox>| outbox.bytes() > DELIVERED_AHEAD_MAX;
        // Of a queue group any member may get the next message.
        let groups = self.matches.groups.iter().filter_map(|group| {
            let all_behind = group.members.iter().all(|wants| is_behind(wants.outbox()));
            group.members.first().filter(|_| all_behind).map(|wants| wants.outbox())
        });
        self.matches
            .each
            .iter()
            .map(|wants| wants.outbox())
            .filter(|outbox| is_behind(outbox))
            .chain(groups)
            .next()
    }
}

/// A message on its way to its receivers.
struct Sending<'m, 'e> {
    publication: Publication<'m>,
    stages: &'e mut Stages,
    receivers: Receivers,
    /// Subscriptions that have had their last message.
    spent: Vec<Arc<Subscription>>,
}

impl<'m, 'e> Sending<'m, 'e> {
    fn new(publication: Publication<'m>, stages: &'e mut Stages) -> Sending<'m, 'e> {
        Sending { publication, stages, receivers: Receivers::default(), spent: Vec::new() }
    }

    /// Sends it to one subscription.
    #[inline]
    fn send(&mut self, subscription: &'m Arc<Subscription>) {
        if self.publication.concerns(subscription) {
            let is_taken = self.stages.put(&mut self.publication, subscription);
            self.note(subscription, is_taken);
        }
    }

    /// Sends it to a member of a queue group; false if that does not take it.
    #[inline]
    fn send_to_member(&mut self, member: &'m Arc<Subscription>) -> bool {
        let is_taken =
            self.publication.concerns(member) && self.stages.put_for_group(&mut self.publication, member);
        self.note(member, is_taken);
        is_taken
    }

    /// Sends it to all who match, and to one member of each queue group.
    #[inline]
    fn send_to_all(&mut self, matches: &'m Matches, turns: &mut Turns, channels: &Arc<Interest>) {
        for subscription in &matches.each {
            self.send(subscription);
        }
        if !matches.groups.is_empty() {
            self.stages.know_interest(channels);
        }
        for group in &matches.groups {
            // A member that does not take the message is passed over.
            let (before, from_first) = group.members.split_at(turns.next(group.members.len()));
            from_first.iter().chain(before).any(|member| self.send_to_member(member));
        }
    }

    #[inline]
    fn note(&mut self, subscription: &'m Arc<Subscription>, is_taken: bool) {
        if subscription.is_spent() {
            self.spent.push(Arc::clone(subscription));
        }
        if !is_taken {
            return;
        }
        self.receivers.count += 1;
        self.receivers.has_sender |= self.publication.is_from(subscription.outbox());
    }
}

impl FanOut {
    /// One that sets the server's alarm.
    pub fn with_alarm(alarm: &Arc<Alarm>) -> FanOut {
        FanOut { alarm: Arc::clone(alarm), ..FanOut::default() }
    }

    /// Follows the settings that bound what waits for receivers.
    pub fn follow_settings(&self, settings: &Settings) {
        self.backlog.follow_settings(settings);
    }

    /// Has all services looked at by this time, in microseconds of the server's clock.
    pub fn wake_by(&self, deadline: u64) {
        self.alarm.set(deadline.div_ceil(MILLISECOND));
    }

    /// Logs receivers that have become too slow.  To be called now and then.
    pub fn log_slow_receivers(&self, now: Now) {
        self.backlog.log_slow_receivers(now);
    }

    /// How often receivers became too slow, by the word of the policy that they met.
    pub fn slow_receivers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.backlog.slow_receivers()
    }

    /// Messages that receivers were too slow for.
    pub fn missed(&self) -> u64 {
        self.backlog.missed()
    }

    /// What clients of a listener have published so far, and its receivers were sent.
    pub fn traffic(&self, listener: Listener) -> Traffic {
        self.counts.of(listener)
    }

    /// What clients of all listeners have published so far.
    pub fn published_by_clients(&self) -> Amount {
        let clients = Listener::ALL.iter().filter(|listener| **listener != Listener::Server);
        clients.map(|listener| self.traffic(*listener).published).sum()
    }

    /// What receivers of all listeners were sent so far.
    pub fn sent(&self) -> Amount {
        Listener::ALL.iter().map(|listener| self.traffic(*listener).sent).sum()
    }

    /// Whether so much waits for receivers that who has more to publish should let them read first, if only for a moment.
    pub fn is_tight(&self) -> bool {
        self.backlog.budget.is_tight()
    }

    /// Bytes of memory that all waiting messages take, about.
    pub fn waiting_bytes(&self) -> usize {
        self.backlog.budget.used()
    }

    /// Sends a message to everybody who wants its subject, and to one member of each queue group that does.  A receiver that
    /// has fallen too far behind meets its policy instead.  Then sinks take it, which may publish more by the same effects.
    pub fn publish(&self, message: &Message<'_>, effects: &mut Effects) -> Receivers {
        effects.traffic.count_published(&self.counts, message.listener, message.content_length());
        let interest = self.interest(message.space);
        if !interest.may_want(message.subject) {
            return Receivers::default();
        }
        let mut sinks = Taking::new();
        let receivers = self.send(message, message.subject, interest, effects, Some(&mut sinks));
        if sinks.is_empty() {
            return receivers;
        }
        Receivers { is_heard: sink::take(&sinks, message, effects), ..receivers }
    }

    /// The same without the sinks, for a publisher that hands the message to them itself.
    pub fn publish_to_subscribers(&self, message: &Message<'_>, effects: &mut Effects) -> Receivers {
        effects.traffic.count_published(&self.counts, message.listener, message.content_length());
        let interest = self.interest(message.space);
        if !interest.may_want(message.subject) {
            return Receivers::default();
        }
        self.send(message, message.subject, interest, effects, None)
    }

    /// Whether a message on this subject has to wait, as a sink that takes it is crowded: then its publisher is slowed down,
    /// and publishes it later.  To be asked when sinks may be crowded, since it looks the subject up.
    pub fn has_to_wait(&self, subject: &[u8], effects: &mut Effects) -> bool {
        if !effects.may_wait() {
            return false;
        }
        let crowd = self.channels.find(subject).sinks.iter().find_map(|sink| sink.crowd(subject));
        let has_to_wait = crowd.is_some();
        crowd.into_iter().for_each(|crowd| effects.slow_down(crowd));
        has_to_wait
    }

    /// Delivers a message to everybody who wants `target`, a subject of the broker, and to one member of each queue group that
    /// does.  They see the message's own subject and reply subject, whatever they have subscribed to: so a stream's messages
    /// reach the subject that its reader has named.
    ///
    /// A delivery is no publication: it counts only as sent, and no sink takes it.  Whether a wildcard matches hidden subjects
    /// is asked of `target`; all else that depends on the subject, as which messages are the latest, on the message's own.
    pub fn send_to(&self, target: &[u8], message: &Message<'_>, effects: &mut Effects) -> Receivers {
        debug_assert_eq!(message.space, ChannelSpace::Channels, "shard channels have no deliveries");
        if self.channels.subscription_count() == 0 {
            return Receivers::default();
        }
        effects.traffic.expect_sent(&self.counts);
        self.send(message, target, &self.channels, effects, None)
    }

    /// The receivers of a subject of the broker at this moment, for several deliveries one after the other.  A subscription that ends meanwhile
    /// gets nothing more.
    pub fn recipients(&self, target: &[u8]) -> Recipients {
        let mut recipients = Recipients { target: target.into(), matches: Matches::default() };
        if self.channels.subscription_count() > 0 {
            recipients.matches = self.channels.find(target);
        }
        recipients
    }

    /// Delivers a message to them; see [`FanOut::send_to`].
    pub fn send_to_recipients(
        &self,
        recipients: &Recipients,
        message: &Message<'_>,
        effects: &mut Effects,
    ) -> Receivers {
        debug_assert_eq!(message.space, ChannelSpace::Channels, "shard channels have no deliveries");
        let Recipients { target, matches } = recipients;
        if matches.is_empty() {
            return Receivers::default();
        }
        effects.traffic.expect_sent(&self.counts);
        let (lookups, stages) = effects.for_publishing();
        let mut sending = Sending::new(Publication::new(message, target, &self.backlog), stages);
        sending.send_to_all(matches, lookups.turns(), &self.channels);
        let Sending { spent, receivers, .. } = sending;
        self.end_sending(message, &spent, effects);
        receivers
    }

    /// Stages a message for the subscriptions to `target`, and says which sinks there are.
    #[inline]
    fn send(
        &self,
        message: &Message<'_>,
        target: &[u8],
        interest: &Interest,
        effects: &mut Effects,
        sinks: Option<&mut Taking>,
    ) -> Receivers {
        let (lookups, stages) = effects.for_publishing();
        let (matches, turns) = lookups.find(message.space, interest, target);
        let mut sending = Sending::new(Publication::new(message, target, &self.backlog), stages);
        sending.send_to_all(matches, turns, &self.channels);
        let Sending { spent, receivers, .. } = sending;
        if let Some(sinks) = sinks {
            sinks.extend(matches.sinks.iter().cloned());
        }
        lookups.release();
        self.end_sending(message, &spent, effects);
        receivers
    }

    /// Ends subscriptions that have had their last message, and hands over what should not wait.
    #[inline]
    fn end_sending(&self, message: &Message<'_>, spent: &[Arc<Subscription>], effects: &mut Effects) {
        for spent in spent {
            self.unsubscribe_from(message.space, spent, effects);
        }
        // Services publish their events in order, which lasts as long as the lock that their caller holds.
        if message.kind.is_some() || effects.are_full() {
            effects.hand_over_amid_batch();
        }
    }

    /// Ends the subscriptions of a RESP client.
    pub fn unsubscribe_all(&self, subscriptions: &Subscriptions, effects: &mut Effects) {
        let Subscriptions { channels, patterns, shard_channels } = subscriptions;
        for ended in channels.values().chain(patterns.values()) {
            self.unsubscribe(ended, effects);
        }
        for ended in shard_channels.values() {
            self.shard_channels.unsubscribe(ended);
        }
        [channels, patterns, shard_channels]
            .into_iter()
            .flat_map(|map| map.values())
            .for_each(|ended| ended.silence());
    }

    /// Adds a subscription to subjects of this space.
    pub fn subscribe_to(&self, space: ChannelSpace, subscription: Arc<Subscription>, effects: &mut Effects) {
        match space {
            ChannelSpace::Channels => self.subscribe(subscription, effects),
            ChannelSpace::ShardChannels => self.shard_channels.subscribe(subscription),
        }
    }

    /// Ends a subscription to subjects of this space, if it is there.
    pub fn unsubscribe_from(
        &self,
        space: ChannelSpace,
        subscription: &Arc<Subscription>,
        effects: &mut Effects,
    ) {
        match space {
            ChannelSpace::Channels => self.unsubscribe(subscription, effects),
            ChannelSpace::ShardChannels => {
                self.shard_channels.unsubscribe(subscription);
            }
        }
    }

    fn interest(&self, space: ChannelSpace) -> &Interest {
        match space {
            ChannelSpace::Channels => &self.channels,
            ChannelSpace::ShardChannels => &self.shard_channels,
        }
    }
}
