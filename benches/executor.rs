//! A session without sockets: bytes of pipelined commands in, bytes of replies out.

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quartet::client::Door;
use quartet::clock::Clock;
use quartet::command::executor::Executor;
use quartet::random::Random;
use quartet::session::resp::Session;
use quartet::settings::Settings;
use quartet_protocol::resp::{Batch, Output};

#[global_allocator]
static ALLOCATOR: quartet::allocator::Allocator = quartet::allocator::Allocator;

const PIPELINE: usize = 16;
const KEYS: usize = 10_000;

/// The command with `KEY` replaced, as an array of bulk strings.
fn encode(words: &[&str], key: &str, to: &mut Vec<u8>) {
    to.extend(format!("*{}\r\n", words.len()).bytes());
    for &word in words {
        let word = if word == "KEY" { key } else { word };
        to.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
}

fn executor(criterion: &mut Criterion) {
    let settings = Settings { threads: 1, dir: None, ..Settings::default() };
    let services = Arc::new(quartet::server::services(settings, Clock::machine(), 1));
    let address = "127.0.0.1:1".parse().expect("an address");
    let mut session = Session::new(services.clients.connect(Door::Resp, address, address, 0), true);
    let mut executor = Executor::new(services, 0, Random::with_seed(1));
    let (mut batch, mut output) = (Batch::new(), Output::new());
    let keys: Vec<String> = (0..KEYS).map(|number| format!("key:{number:012}")).collect();
    let value = "x".repeat(64);
    let commands: [&[&str]; 4] = [&["PING"], &["SET", "KEY", &value], &["GET", "KEY"], &["INCR", "counter"]];
    let mut group = criterion.benchmark_group("executor");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    for words in commands {
        let pipeline = |keys: &[String]| {
            let mut bytes = Vec::new();
            keys.iter().for_each(|key| encode(words, key, &mut bytes));
            bytes
        };
        let pipelines: Vec<Vec<u8>> = keys.chunks_exact(PIPELINE).map(pipeline).collect();
        let (mut at, mut input) = (0, Vec::new());
        group.bench_function(words[0].to_lowercase(), |bencher| {
            bencher.iter(|| {
                at = (at + 1) % pipelines.len();
                input.clear();
                input.extend_from_slice(&pipelines[at]);
                session.receive(&mut input, &mut executor, &mut batch, &mut output);
                assert!(!output.is_empty());
                output.clear();
            });
        });
    }
    group.finish();
}

criterion_group!(benches, executor);
criterion_main!(benches);
