//! Consumers: pulled, pushed and ordered.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, Info, PullConsumer, pull, push};
use async_nats::jetstream::stream::{Config, RetentionPolicy, Stream};
use async_nats::jetstream::{AckKind, Context, Message};
use futures_util::{StreamExt, TryStreamExt};

use super::{HANG_GUARD, info, named, numbers, prepared, text, until};

pub(super) async fn all(context: &Context) {
    streamed(context).await;
    fetched(context).await;
    acknowledged_in_every_way(context).await;
    started_and_filtered(context).await;
    listed_changed_and_deleted(context).await;
    pushed(context).await;
    shared(context).await;
    ordered(context).await;
    paused(context).await;
    worked_off(context).await;
}

async fn workers(stream: &Stream, config: pull::Config) -> PullConsumer {
    let config = pull::Config { durable_name: Some("workers".to_owned()), ..config };
    stream.create_consumer(config).await.expect("it can be made")
}

async fn about(consumer: &PullConsumer) -> Info {
    consumer.get_info().await.expect("it is there")
}

/// So many messages, by a request that asks for no more: what comes of a stream's next request would be lost.
async fn take(consumer: &PullConsumer, count: usize) -> Vec<Message> {
    let batch = consumer.batch().max_messages(count).expires(HANG_GUARD).messages().await;
    batch.expect("it can be read").try_collect().await.expect("they come")
}

/// What is there at the moment.
async fn at_once(consumer: &PullConsumer) -> Vec<Message> {
    let batch = consumer.fetch().max_messages(100).messages().await.expect("it can be read");
    batch.try_collect().await.expect("they come")
}

fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| text(&message.payload)).collect()
}

fn sequences(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.info().expect("it is of a consumer").stream_sequence).collect()
}

async fn streamed(context: &Context) {
    let stream = prepared(context, named("STREAMED"), 2000).await;
    let consumer = workers(&stream, pull::Config::default()).await;
    let messages = consumer.messages().await.expect("it can be read").take(2000);
    let found: Vec<Message> = messages
        .and_then(async |message| {
            message.ack().await.expect("it is sent");
            Ok(message)
        })
        .try_collect()
        .await
        .expect("they come");
    assert_eq!(texts(&found), numbers(2000));
    until(async || about(&consumer).await.ack_floor.stream_sequence == 2000).await;
}

async fn fetched(context: &Context) {
    let stream = prepared(context, named("FETCHED"), 5).await;
    let consumer = workers(&stream, pull::Config::default()).await;
    let found = at_once(&consumer).await;
    assert_eq!(texts(&found), numbers(5));
    let told = found[1].info().expect("it is of a consumer");
    assert_eq!((told.stream, told.consumer, told.delivered, told.pending), ("FETCHED", "workers", 1, 3));
    for message in &found {
        message.double_ack().await.expect("it is known");
    }
    assert!(at_once(&consumer).await.is_empty());
    let batch = consumer.batch().max_messages(10).expires(Duration::from_millis(200)).messages().await;
    context.publish("fetched.2", "late".into()).await.expect("it is sent");
    let late: Vec<Message> = batch.expect("it can be read").try_collect().await.expect("they come");
    assert_eq!(texts(&late), ["late"]);
    let info = about(&consumer).await;
    assert_eq!((info.num_pending, info.num_ack_pending, info.ack_floor.stream_sequence), (0, 1, 5));
}

async fn acknowledged_in_every_way(context: &Context) {
    let stream = prepared(context, named("WAYS"), 4).await;
    let config = pull::Config { ack_wait: Duration::from_secs(1), max_deliver: 3, ..Default::default() };
    let consumer = workers(&stream, config).await;
    let found = take(&consumer, 4).await;
    let ways = [
        AckKind::Nak(None),
        AckKind::Term,
        AckKind::Nak(Some(Duration::from_millis(1500))),
        AckKind::Progress,
    ];
    for (message, way) in found.iter().zip(ways) {
        message.ack_with(way).await.expect("it is sent");
    }
    found[3].double_ack().await.expect("it is known");
    let again = take(&consumer, 3).await;
    let counts: Vec<i64> =
        again.iter().map(|message| message.info().expect("it is of a consumer").delivered).collect();
    // The first at once, and when it was not acknowledged in time; the third when it was told to.
    assert_eq!((sequences(&again), counts), (vec![1, 1, 3], vec![2, 3, 2]));
    for message in &again[1..] {
        message.double_ack().await.expect("it is known");
    }
    until(async || about(&consumer).await.num_ack_pending == 0).await;
}

async fn started_and_filtered(context: &Context) {
    let stream = prepared(context, named("STARTED"), 0).await;
    for subject in ["a", "b", "a", "c", "b"] {
        let sent = context.publish(format!("started.{subject}"), "x".into()).await.expect("it is sent");
        sent.await.expect("it is stored");
    }
    let fourth = stream.get_raw_message(4).await.expect("it is there").time;
    let filters = ["started.a", "started.c"].map(str::to_owned);
    let started = |deliver_policy| pull::Config { deliver_policy, ..Default::default() };
    let last = pull::Config { filter_subject: ">".to_owned(), ..started(DeliverPolicy::LastPerSubject) };
    let cases: [(pull::Config, &[u64]); 7] = [
        (started(DeliverPolicy::All), &[1, 2, 3, 4, 5]),
        (started(DeliverPolicy::Last), &[5]),
        (started(DeliverPolicy::New), &[]),
        (started(DeliverPolicy::ByStartSequence { start_sequence: 3 }), &[3, 4, 5]),
        (started(DeliverPolicy::ByStartTime { start_time: fourth }), &[4, 5]),
        (last, &[3, 4, 5]),
        (pull::Config { filter_subjects: filters.to_vec(), ..Default::default() }, &[1, 3, 4]),
    ];
    for (config, expected) in cases {
        let config = pull::Config { ack_policy: AckPolicy::None, ..config };
        let consumer = stream.create_consumer(config).await.expect("it can be made");
        assert_eq!(consumer.cached_info().num_pending, expected.len() as u64);
        assert_eq!(sequences(&at_once(&consumer).await), expected);
    }
}

async fn listed_changed_and_deleted(context: &Context) {
    let stream = prepared(context, named("CONSUMED"), 3).await;
    let consumer = workers(&stream, pull::Config::default()).await;
    let config = consumer.cached_info().config.clone();
    assert_eq!((config.ack_wait, config.max_ack_pending), (Duration::from_secs(30), 1000));
    let changed =
        workers(&stream, pull::Config { description: Some("quick".to_owned()), ..Default::default() });
    assert_eq!(changed.await.cached_info().config.description.as_deref(), Some("quick"));
    let names: Vec<String> = stream.consumer_names().try_collect().await.expect("it tells");
    assert_eq!(names, ["workers"]);
    let listed: Vec<Info> = stream.consumers().try_collect().await.expect("it tells");
    assert_eq!((listed.len(), listed[0].num_pending), (1, 3));
    let error = stream.get_consumer::<pull::Config>("nobody").await;
    assert!(error.is_err());
    assert!(stream.delete_consumer("workers").await.expect("it is there").success);
    assert_eq!(info(&stream).await.state.consumer_count, 0);
}

async fn pushed(context: &Context) {
    let stream = prepared(context, named("PUSHED"), 100).await;
    let config = push::Config {
        durable_name: Some("reader".to_owned()),
        deliver_subject: context.client().new_inbox(),
        idle_heartbeat: Duration::from_secs(5),
        flow_control: true,
        ..Default::default()
    };
    let consumer = stream.create_consumer(config).await.expect("it can be made");
    let messages = consumer.messages().await.expect("it can be read").take(100);
    let found: Vec<Message> = messages.try_collect().await.expect("they come");
    assert_eq!(texts(&found), numbers(100));
    for message in &found {
        message.ack().await.expect("it is sent");
    }
    until(async || consumer.get_info().await.expect("it is there").ack_floor.stream_sequence == 100).await;
}

async fn shared(context: &Context) {
    let stream = prepared(context, named("SHARED"), 0).await;
    let config = push::Config {
        durable_name: Some("workers".to_owned()),
        deliver_subject: "deliver.workers".to_owned(),
        deliver_group: Some("workers".to_owned()),
        ..Default::default()
    };
    let consumer = stream.create_consumer(config).await.expect("it can be made");
    let mut members = Vec::new();
    for _ in 0..2 {
        members.push(
            consumer.messages().await.expect("it can be read").map(|message| message.expect("it comes")),
        );
    }
    for number in numbers(100) {
        context.publish("shared.1", number.into()).await.expect("it is sent").await.expect("it is stored");
    }
    let mut found: Vec<Message> = futures_util::stream::select_all(members).take(100).collect().await;
    found.sort_by_key(|message| text(&message.payload).parse::<usize>().expect("it is a number"));
    assert_eq!(texts(&found), numbers(100));
}

async fn ordered(context: &Context) {
    let stream = prepared(context, named("ORDERED"), 1000).await;
    let config = pull::OrderedConfig::default();
    let pulled = stream.create_consumer(config).await.expect("it can be made").messages().await;
    let found: Vec<Message> =
        pulled.expect("it can be read").take(1000).try_collect().await.expect("they come");
    assert_eq!(texts(&found), numbers(1000));
    let config = push::OrderedConfig { deliver_subject: context.client().new_inbox(), ..Default::default() };
    let pushed = stream.create_consumer(config).await.expect("it can be made").messages().await;
    let mut pushed = pushed.expect("it can be read");
    for number in numbers(1000) {
        assert_eq!(text(&pushed.next().await.expect("it goes on").expect("it comes").payload), number);
    }
    context.publish("ordered.1", "live".into()).await.expect("it is sent");
    assert_eq!(text(&pushed.next().await.expect("it goes on").expect("it comes").payload), "live");
}

async fn paused(context: &Context) {
    let stream = prepared(context, named("PAUSED"), 2).await;
    let consumer = workers(&stream, pull::Config::default()).await;
    let later = stream.cached_info().created + HANG_GUARD * 60;
    assert!(stream.pause_consumer("workers", later).await.expect("it can be").paused);
    assert!(at_once(&consumer).await.is_empty());
    assert!(!stream.resume_consumer("workers").await.expect("it can be").paused);
    assert_eq!(texts(&take(&consumer, 2).await), numbers(2));
}

async fn worked_off(context: &Context) {
    let config = Config { retention: RetentionPolicy::WorkQueue, ..named("WORK") };
    let stream = prepared(context, config, 10).await;
    let consumer = workers(&stream, pull::Config::default()).await;
    for message in &take(&consumer, 10).await[..7] {
        message.double_ack().await.expect("it is known");
    }
    let state = info(&stream).await.state;
    assert_eq!((state.messages, state.first_sequence), (3, 8));
}
