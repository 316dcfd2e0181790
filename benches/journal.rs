//! The journal: what an append costs the service that holds its lock, and how many records a sync carries.
//!
//! The folder is made in the temporary one; what a sync costs is the disk's.

use std::hint::black_box;
use std::path::PathBuf;
use std::task::{Poll, Waker};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quartet::journal::{Journal, Options, Tag};
use quartet::wait::{Durable, Position};

#[global_allocator]
static ALLOCATOR: quartet::allocator::Allocator = quartet::allocator::Allocator;

/// The records' service.
const TAG: Tag = Tag(1);

/// Bytes of a record, as of a lock that is granted.
const RECORD: [u8; 64] = [7; 64];

/// Records appended before the journal's buffer is thrown away.
const APPENDS: usize = 1000;

/// Records that wait for the same sync.
const GROUPS: [usize; 4] = [1, 16, 64, 1024];

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        Folder(std::env::temp_dir().join(format!("quartet-bench-{}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The machine clears its temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn append(criterion: &mut Criterion) {
    let folder = Folder::new();
    let (journal, _) =
        Journal::open(&folder.0, Options::new("bench"), &mut |_, _, _| Ok(())).expect("a temporary folder");
    let mut group = criterion.benchmark_group("journal/append");
    group.throughput(Throughput::Elements(APPENDS as u64));
    group.sample_size(20);
    // Between the measurements the writer empties the buffer.
    let drain = || while journal.status().synced < journal.status().appended {};
    group.bench_function(BenchmarkId::from_parameter(RECORD.len()), |bencher| {
        bencher.iter_batched(
            drain,
            |()| {
                for _ in 0..APPENDS {
                    black_box(journal.append(TAG, &RECORD));
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn commit(criterion: &mut Criterion) {
    let folder = Folder::new();
    let (journal, mut writer, _) = {
        let disk = quartet::disk::Folder::open(&folder.0).expect("a temporary folder");
        Journal::open_on(std::sync::Arc::new(disk), Options::new("bench"), &mut |_, _, _| Ok(()))
            .expect("it is empty")
    };
    let mut group = criterion.benchmark_group("journal/commit");
    group.sample_size(20);
    for records in GROUPS {
        group.throughput(Throughput::Elements(records as u64));
        group.bench_function(BenchmarkId::from_parameter(records), |bencher| {
            bencher.iter(|| {
                let last = (0..records).fold(Position(0), |_, _| journal.append(TAG, &RECORD));
                writer.step();
                assert_eq!(journal.poll_synced(last, Waker::noop()), Poll::Ready(Ok(())));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, append, commit);
criterion_main!(benches);
