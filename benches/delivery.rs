//! Who wants a subject, among 10,000 wildcards and 100,000 globs: what a thread remembers, what it has to look up, and what
//! subscribing and ending cost beside it; and what a message costs for each of its receivers.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quartet::alarm::Alarm;
use quartet::delivery::{
    Effects, Encoding, FanOut, Interest, Message, Outbox, ROOM, Subscription, SubscriptionOptions, Topic,
};
use quartet_protocol::buffer::Buffer;

#[global_allocator]
static ALLOCATOR: quartet::allocator::Allocator = quartet::allocator::Allocator;

const WILDCARDS: usize = 10_000;
const GLOBS: usize = 100_000;
const SUBSCRIBERS: u64 = 10_000;

/// Messages for each change of the subscriptions where they are mixed.
const MESSAGES_PER_CHANGE: usize = 20;

fn subscribe(interest: &Interest, topic: Topic) -> Arc<Subscription> {
    let outbox = Arc::new(Outbox::new(1, "127.0.0.1:1".parse().expect("an address")));
    let subscription = Subscription::new(topic, SubscriptionOptions::default(), &outbox);
    interest.subscribe(Arc::clone(&subscription));
    subscription
}

fn wildcard(interest: &Interest, text: &str) -> Arc<Subscription> {
    subscribe(interest, Topic::of_pattern(text.as_bytes()))
}

/// Publishes in a batch of its own.  Nobody gets the message, so the cost is that of finding this out.
fn publish(fan_out: &FanOut, subject: &[u8], effects: &mut Effects) {
    black_box(fan_out.publish(&Message::new(subject, b"0123456789abcdef"), effects));
}

fn fan_out_of_many() -> FanOut {
    let fan_out = FanOut::default();
    for number in 0..WILDCARDS / 2 {
        wildcard(&fan_out.channels, &format!("idle.{number}.*.>"));
        wildcard(&fan_out.channels, &format!("orders.*.{number}"));
    }
    fan_out
}

fn remembered(criterion: &mut Criterion) {
    let (fan_out, mut effects) = (fan_out_of_many(), Effects::default());
    let mut group = criterion.benchmark_group("delivery/remembered");
    group.bench_function("one-subject", |bencher| {
        bencher.iter(|| publish(&fan_out, b"orders.eu.new", &mut effects));
    });
    let subjects: Vec<String> = (0..1000).map(|number| format!("orders.eu.new.{number}")).collect();
    let mut at = 0;
    group.bench_function("thousand-subjects", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % subjects.len();
            publish(&fan_out, subjects[at].as_bytes(), &mut effects);
        });
    });
    let mut number = 0;
    group.bench_function("twenty-beside-a-change", |bencher| {
        bencher.iter(|| {
            number = (number + 1) % WILDCARDS;
            let added = wildcard(&fan_out.channels, &format!("idle.{number}.x.*"));
            fan_out.channels.unsubscribe(&added);
            for _ in 0..MESSAGES_PER_CHANGE {
                publish(&fan_out, b"orders.eu.new", &mut effects);
            }
        });
    });
    effects.deliver(&Alarm::default());
}

fn looked_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("delivery/looked-up");
    let (fan_out, mut effects) = (fan_out_of_many(), Effects::default());
    let subjects: Vec<String> = (0..100_000).map(|number| format!("orders.{number}.new")).collect();
    let mut at = 0;
    group.bench_function("new-subjects", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % subjects.len();
            publish(&fan_out, subjects[at].as_bytes(), &mut effects);
        });
    });
    for number in 0..1000 {
        wildcard(&fan_out.channels, &format!("_INBOX.{number:022}.*"));
    }
    group.bench_function("inboxes", |bencher| {
        bencher.iter(|| black_box(fan_out.channels.find(b"_INBOX.0000000000000000000500.1")));
    });
    for number in 0..GLOBS {
        let glob = Topic::glob(format!("user:{number}:*").as_bytes()).expect("a simple glob");
        subscribe(&fan_out.channels, glob);
    }
    group.bench_function("globs", |bencher| {
        bencher.iter(|| black_box(fan_out.channels.find(b"user:50000:name")));
    });
}

fn changes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("delivery/change");
    let fan_out = fan_out_of_many();
    let interest = &fan_out.channels;
    let outbox = Arc::new(Outbox::new(1, "127.0.0.1:1".parse().expect("an address")));
    let change = |topic: Topic| {
        let subscription = Subscription::new(topic, SubscriptionOptions::default(), &outbox);
        interest.subscribe(Arc::clone(&subscription));
        interest.unsubscribe(&subscription);
    };
    group.bench_function("wildcard", |bencher| bencher.iter(|| change(Topic::of_pattern(b"idle.12345.x.*"))));
    group.bench_function("exact", |bencher| bencher.iter(|| change(Topic::exact(b"news.of.today"))));
    let all: Vec<_> = (0..SUBSCRIBERS).map(|_| subscribe(interest, Topic::exact(b"news"))).collect();
    group.bench_function("exact-among-ten-thousand", |bencher| {
        bencher.iter(|| change(Topic::exact(b"news")));
    });
    drop(all);
}

/// Receivers that take what they are given at the end of each batch.
fn receivers(fan_out: &FanOut, encoding: Encoding, count: usize) -> Vec<Arc<Outbox>> {
    let receiver = |number| {
        let outbox = Arc::new(Outbox::new(number as u64, "127.0.0.1:1".parse().expect("an address")));
        outbox.set_encoding(encoding);
        let options = SubscriptionOptions { id: Box::from(*b"1"), ..SubscriptionOptions::default() };
        fan_out.channels.subscribe(Subscription::new(Topic::exact(b"bench.subject"), options, &outbox));
        outbox
    };
    (0..count).map(receiver).collect()
}

/// What a message costs for all its receivers, from the publisher to the bytes that a socket would be given, in batches of a
/// full input buffer, of a RESP batch, and of one.
fn fanned_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("delivery/fan-out");
    for (name, encoding) in [("frames", Encoding::Frames), ("resp", Encoding::Resp2)] {
        for (count, batch) in [(1, 1450), (8, 1450), (8, 32), (1, 1), (8, 1)] {
            let (fan_out, mut effects) = (FanOut::default(), Effects::default());
            let outboxes = receivers(&fan_out, encoding, count);
            let mut unsent: Vec<Buffer> = outboxes.iter().map(|_| Buffer::new()).collect();
            group.throughput(Throughput::Elements((count * batch) as u64));
            group.bench_function(format!("{name}-{count}-in-batches-of-{batch}"), |bencher| {
                bencher.iter(|| {
                    for _ in 0..batch {
                        publish(&fan_out, b"bench.subject", &mut effects);
                    }
                    effects.deliver(&Alarm::default());
                    for (outbox, unsent) in outboxes.iter().zip(&mut unsent) {
                        outbox.collect(unsent, ROOM);
                        outbox.set_unsent(unsent);
                        black_box(unsent.len());
                        unsent.advance(unsent.len());
                        outbox.set_unsent(unsent);
                        effects.give_back(std::mem::take(unsent));
                    }
                });
            });
        }
    }
}

/// The same for receivers that have fallen behind: their messages are kept and formatted later.
fn behind(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("delivery/behind");
    for count in [1, 8] {
        let (fan_out, mut effects) = (FanOut::default(), Effects::default());
        let outboxes = receivers(&fan_out, Encoding::Frames, count);
        let mut unsent = Buffer::new();
        (0..20_000).for_each(|_| publish(&fan_out, b"bench.subject", &mut effects));
        effects.deliver(&Alarm::default());
        group.throughput(Throughput::Elements((count * 1450) as u64));
        group.bench_function(format!("frames-{count}"), |bencher| {
            bencher.iter(|| {
                (0..1450).for_each(|_| publish(&fan_out, b"bench.subject", &mut effects));
                effects.deliver(&Alarm::default());
                for outbox in &outboxes {
                    outbox.collect(&mut unsent, ROOM);
                    unsent.advance(unsent.len());
                }
            });
        });
    }
}

criterion_group!(benches, remembered, looked_up, changes, fanned_out, behind);
criterion_main!(benches);
