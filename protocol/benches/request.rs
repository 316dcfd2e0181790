//! The cost of parsing a pipeline of small requests and of writing their replies.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quartet_protocol::resp::{Batch, Output, Parser, RequestLimits};

const PIPELINE_DEPTH: usize = 16;

fn parsing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(PIPELINE_DEPTH as u64));
    let value = "v".repeat(64);
    for (name, request) in [
        ("get", "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000012345\r\n".to_string()),
        ("set", format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000012345\r\n$64\r\n{value}\r\n")),
        ("set_512", format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000012345\r\n$512\r\n{}\r\n", value.repeat(8))),
        ("inline", "GET key:000000012345\r\n".to_string()),
    ] {
        let mut stream = request.repeat(PIPELINE_DEPTH).into_bytes();
        let mut parser = Parser::new();
        let mut batch = Batch::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let buffer = black_box(&mut stream);
                let progress = parser.parse(buffer, &mut batch, 2 * PIPELINE_DEPTH, &RequestLimits::NORMAL);
                assert_eq!(batch.len(), PIPELINE_DEPTH);
                progress
            });
        });
    }
    group.finish();
}

fn writing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write");
    group.throughput(Throughput::Elements(PIPELINE_DEPTH as u64));
    let value = [b'v'; 64];
    type Write<'a> = &'a dyn Fn(&mut Output);
    let replies: [(&str, Write<'_>); 4] = [
        ("ok", &|output| output.ok()),
        ("integer", &|output| output.integer(black_box(12_345))),
        ("bulk", &|output| output.bulk(black_box(&value))),
        ("double", &|output| output.double(black_box(3.25))),
    ];
    for (name, write) in replies {
        let mut output = Output::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                output.clear();
                (0..PIPELINE_DEPTH).for_each(|_| write(&mut output));
                output.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, parsing, writing);
criterion_main!(benches);
