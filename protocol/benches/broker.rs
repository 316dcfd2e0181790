//! The cost of parsing a pipeline of small operations and of writing the messages they cause.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quartet_protocol::broker::write::{self, Delivery};
use quartet_protocol::broker::{Limits, Operation, Parser, Step, subject};
use quartet_protocol::buffer::Buffer;

const PIPELINE_DEPTH: usize = 64;

fn parsing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("broker_parse");
    group.throughput(Throughput::Elements(PIPELINE_DEPTH as u64));
    let headers = "NATS/1.0\r\nNats-Msg-Id: 12345678\r\n\r\n";
    let (length, total) = (headers.len(), headers.len() + 16);
    for (name, operation) in [
        ("publish_16", format!("PUB bench.subject 16\r\n{}\r\n", "x".repeat(16))),
        ("publish_512", format!("PUB bench.subject 512\r\n{}\r\n", "x".repeat(512))),
        ("request", format!("PUB service.add _INBOX.kq2sUBnCsTr5ZEvaCi1qbI.7 16\r\n{}\r\n", "x".repeat(16))),
        ("headers", format!("HPUB bench.subject {length} {total}\r\n{headers}{}\r\n", "x".repeat(16))),
        ("subscribe", "SUB orders.europe.* 12345\r\n".to_owned()),
        ("unsubscribe", "UNSUB 12345\r\n".to_owned()),
        ("ping", "PING\r\n".to_owned()),
    ] {
        let stream = operation.repeat(PIPELINE_DEPTH).into_bytes();
        let limits = Limits::default();
        let mut parser = Parser::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(&stream[..]);
                let mut count = 0;
                let mut bytes = 0;
                while let Step::Operation { operation, consumed } = parser.next(rest, &limits) {
                    if let Operation::Publish(publication) = operation {
                        bytes += publication.subject.len() + publication.payload.len();
                    }
                    rest = &rest[consumed..];
                    count += 1;
                }
                assert_eq!(count, PIPELINE_DEPTH);
                bytes
            });
        });
    }
    group.finish();
}

fn writing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("broker_write");
    group.throughput(Throughput::Elements(PIPELINE_DEPTH as u64));
    let plain =
        Delivery { subject: b"bench.subject", sid: b"12", reply: b"", headers: b"", payload: &[b'x'; 16] };
    for (name, delivery) in [
        ("message_16", plain),
        ("request", Delivery { reply: b"_INBOX.kq2sUBnCsTr5ZEvaCi1qbI.7", ..plain }),
        ("headers", Delivery { headers: b"NATS/1.0\r\nNats-Msg-Id: 12345678\r\n\r\n", ..plain }),
        ("message_512", Delivery { payload: &[b'x'; 512], ..plain }),
    ] {
        let mut buffer = Buffer::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                buffer.clear();
                (0..PIPELINE_DEPTH).for_each(|_| write::message(&mut buffer, black_box(&delivery)));
                buffer.len()
            });
        });
    }
    group.finish();
}

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("broker_subject");
    let name = b"orders.europe.berlin.new";
    group.bench_function("is_valid_subject", |bencher| {
        bencher.iter(|| subject::is_valid_subject(black_box(name)))
    });
    group.bench_function("is_valid_pattern", |bencher| {
        bencher.iter(|| subject::is_valid_pattern(black_box(name)))
    });
    group.bench_function("matches", |bencher| {
        bencher.iter(|| subject::matches(black_box(b"orders.*.berlin.>"), black_box(name)))
    });
    group.finish();
}

criterion_group!(benches, parsing, writing, matching);
criterion_main!(benches);
