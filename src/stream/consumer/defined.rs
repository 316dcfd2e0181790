//! The rules that follow from a checked definition.

use super::rules::{Acknowledgements, Mode, Priority, Pull, Push, Replay, Retention, Rules, Start};
use crate::stream::definition::{
    self, AcknowledgementPolicy, ConsumerDefinition, DeliverPolicy, PriorityPolicy, ReplayPolicy, Storage,
    StreamDefinition,
};
use crate::stream::filter::Filter;
use crate::stream::json::Nanoseconds;

impl Rules {
    /// The rules of the consumer `name` of a stream, both definitions checked.  Ids of pinned clients are made from `seed`.
    pub fn defined(
        definition: &ConsumerDefinition,
        stream: &StreamDefinition,
        name: &str,
        seed: u64,
    ) -> Rules {
        Rules {
            start: start(definition),
            filter: Filter::of(definition.filters().iter().map(|filter| filter.as_bytes())),
            mode: if definition.is_push() {
                Mode::Push(push(definition))
            } else {
                Mode::Pull(pull(definition))
            },
            acknowledgements: match definition.acknowledgement_policy {
                AcknowledgementPolicy::None => Acknowledgements::None,
                AcknowledgementPolicy::All => Acknowledgements::All,
                AcknowledgementPolicy::Explicit => Acknowledgements::Explicit,
            },
            ack_wait: definition.acknowledgement_wait.duration(),
            backoff: definition.backoff.iter().map(|wait| wait.duration()).collect(),
            max_deliver: limit(definition.max_deliver),
            max_ack_pending: limit(definition.max_ack_pending),
            replay: match definition.replay_policy {
                ReplayPolicy::Instant => Replay::Instant,
                ReplayPolicy::Original => Replay::Original,
            },
            headers_only: definition.headers_only,
            inactive_threshold: some(definition.inactive_threshold),
            pause_until: definition.pause_until.map(|until| until.nanoseconds().div_euclid(1000)),
            retention: match stream.retention {
                definition::Retention::Limits => Retention::Limits,
                definition::Retention::Interest | definition::Retention::WorkQueue => Retention::Consumed,
            },
            has_dead_letters: definition.dead_letter_subject().is_some(),
            sampled_percent: percent(&definition.sample_frequency),
            is_kept: !definition.memory_storage && stream.storage == Storage::File,
            name_bytes: stream.name.len() + name.len(),
            seed,
        }
    }
}

fn start(definition: &ConsumerDefinition) -> Start {
    match definition.deliver_policy {
        DeliverPolicy::All => Start::All,
        DeliverPolicy::Last => Start::Last,
        DeliverPolicy::New => Start::New,
        DeliverPolicy::ByStartSequence => Start::Sequence(definition.start_sequence),
        DeliverPolicy::ByStartTime => {
            Start::Time(definition.start_time.map_or(i64::MIN, |time| time.nanoseconds()))
        }
        DeliverPolicy::LastPerSubject => Start::LastPerSubject,
    }
}

fn pull(definition: &ConsumerDefinition) -> Pull {
    Pull {
        max_waiting: limit(definition.max_waiting).unwrap_or(Pull::default().max_waiting),
        max_batch: limit(definition.max_batch),
        max_expires: some(definition.max_expires),
        max_bytes: limit(definition.max_bytes),
        priority: match definition.priority_policy {
            PriorityPolicy::None => Priority::None,
            PriorityPolicy::Overflow => Priority::Overflow,
            PriorityPolicy::PinnedClient => Priority::PinnedClient(definition.priority_timeout.duration()),
        },
        groups: definition.priority_groups.iter().map(|group| group.as_bytes().into()).collect(),
    }
}

fn push(definition: &ConsumerDefinition) -> Push {
    let group = &definition.deliver_group;
    Push {
        subject: definition.deliver_subject.as_bytes().into(),
        group: (!group.is_empty()).then(|| group.as_bytes().into()),
        idle_heartbeat: some(definition.idle_heartbeat),
        flow_control: definition.flow_control,
        rate_limit: Some(definition.rate_limit).filter(|limit| *limit > 0),
    }
}

/// A limit of which zero and less stand for none; one that is too large to be met is none either.
fn limit<N: TryFrom<i64>>(value: i64) -> Option<N> {
    N::try_from(value).ok().filter(|_| value > 0)
}

/// A part in percent, with or without the sign.
fn percent(text: &str) -> u8 {
    text.trim().trim_end_matches('%').parse::<u8>().unwrap_or(0).min(100)
}

/// A span of which zero stands for none.
fn some(span: Nanoseconds) -> Option<std::time::Duration> {
    (span != Nanoseconds::ZERO).then(|| span.duration())
}

#[cfg(test)]
mod tests {
    // Definitions have members that only their own module may name.
    #![allow(clippy::field_reassign_with_default)]

    use std::time::Duration;

    use super::*;
    use crate::stream::definition::DEAD_LETTER_SUBJECT;
    use crate::stream::json::Time;

    fn stream() -> StreamDefinition {
        let mut stream = StreamDefinition::default();
        stream.name = "orders".to_owned();
        stream
    }

    #[test]
    fn what_is_not_limited_has_no_limit() {
        let mut definition = ConsumerDefinition::default();
        definition.max_deliver = -1;
        definition.max_ack_pending = -1;
        let rules = Rules::defined(&definition, &stream(), "worker", 7);
        let expected = Rules {
            acknowledgements: Acknowledgements::None,
            ack_wait: Duration::ZERO,
            max_ack_pending: None,
            name_bytes: 12,
            seed: 7,
            ..Rules::default()
        };
        assert_eq!(rules, expected);
    }

    #[test]
    fn every_member_has_its_place() {
        let mut definition = ConsumerDefinition::default();
        definition.deliver_policy = DeliverPolicy::ByStartTime;
        definition.start_time = Some(Time::from_nanoseconds(5));
        definition.acknowledgement_policy = AcknowledgementPolicy::All;
        definition.acknowledgement_wait = Nanoseconds::from_secs(3);
        definition.backoff = vec![Nanoseconds::from_secs(1)];
        definition.filter_subjects = vec!["a".to_owned(), "b.>".to_owned()];
        definition.max_deliver = 4;
        definition.max_ack_pending = 9;
        definition.replay_policy = ReplayPolicy::Original;
        definition.headers_only = true;
        definition.inactive_threshold = Nanoseconds::from_secs(6);
        definition.pause_until = Some(Time::from_nanoseconds(8_000));
        definition.metadata.insert(DEAD_LETTER_SUBJECT.to_owned(), "dead".to_owned());
        definition.memory_storage = true;
        definition.sample_frequency = "40%".to_owned();
        definition.max_batch = 10;
        definition.max_waiting = 2;
        definition.priority_groups = vec!["jobs".to_owned()];
        definition.priority_policy = PriorityPolicy::PinnedClient;
        definition.priority_timeout = Nanoseconds::from_secs(20);
        let mut of_stream = stream();
        of_stream.retention = definition::Retention::WorkQueue;
        let expected = Rules {
            start: Start::Time(5),
            filter: Filter::of([&b"a"[..], b"b.>"]),
            mode: Mode::Pull(Pull {
                max_waiting: 2,
                max_batch: Some(10),
                priority: Priority::PinnedClient(Duration::from_secs(20)),
                groups: vec![b"jobs"[..].into()],
                ..Pull::default()
            }),
            acknowledgements: Acknowledgements::All,
            ack_wait: Duration::from_secs(3),
            backoff: vec![Duration::from_secs(1)],
            max_deliver: Some(4),
            max_ack_pending: Some(9),
            replay: Replay::Original,
            headers_only: true,
            inactive_threshold: Some(Duration::from_secs(6)),
            pause_until: Some(8),
            retention: Retention::Consumed,
            has_dead_letters: true,
            sampled_percent: 40,
            is_kept: false,
            name_bytes: 7,
            seed: 0,
        };
        assert_eq!(Rules::defined(&definition, &of_stream, "w", 0), expected);
        definition.deliver_subject = "line".to_owned();
        definition.deliver_group = "group".to_owned();
        definition.idle_heartbeat = Nanoseconds::from_secs(5);
        definition.flow_control = true;
        definition.rate_limit = 1000;
        let push = Push {
            subject: b"line"[..].into(),
            group: Some(b"group"[..].into()),
            idle_heartbeat: Some(Duration::from_secs(5)),
            flow_control: true,
            rate_limit: Some(1000),
        };
        let rules = Rules::defined(&definition, &of_stream, "w", 0);
        assert_eq!(rules, Rules { mode: Mode::Push(push), ..expected });
    }
}
