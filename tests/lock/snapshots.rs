//! A snapshot is taken in steps, between which the table serves requests.

use std::sync::Arc;

use quartet::disk::Disk;
use quartet::journal::Tag;
use quartet::lock::limits::SNAPSHOT_RECORDS_MAX;
use quartet::lock::operation::{Acquire, Release};
use quartet::lock::{Asked, Core, SnapshotWalk};
use quartet::random::Random;

use super::indivisible::{Service, draw, now};
use super::table::{ASKING, look};
use crate::support::process::wait_for;
use crate::support::segments::{SEGMENT_HEAD, boundaries};
use crate::support::simulated_disk::{SimulatedDisk, Survival};

/// The tag of the locks' records, for good.
const LOCKS: Tag = Tag(1);

const SEGMENT: &str = "000000000002.segment";
const SNAPSHOT: &str = "000000000002.snapshot";

/// Runs operations, with a sync after each, and notes the state after each.
fn work(
    service: &mut Service,
    disk: &SimulatedDisk,
    steps: std::ops::Range<usize>,
    random: &mut Random,
) -> Vec<Done> {
    let one = |step| {
        let operation = draw(random, step);
        service.run(&operation, &format!("request-{step}"));
        service.writer.step();
        let segment = if has(disk, SEGMENT) { disk.contents(SEGMENT).len() } else { SEGMENT_HEAD };
        Done { state: service.state(), end: segment }
    };
    steps.map(one).collect()
}

fn has(disk: &SimulatedDisk, name: &str) -> bool {
    disk.list().expect("the disk works").iter().any(|other| other == name)
}

/// The state when the segment had so many bytes.
struct Done {
    state: Vec<Vec<u8>>,
    end: usize,
}

#[test]
fn a_crash_after_a_snapshot_in_steps_loses_nothing_and_leaves_whole_operations() {
    for seed in 0..40 {
        let (disk, mut random) = (SimulatedDisk::default(), Random::with_seed(seed));
        let mut service = Service::start(&disk);
        work(&mut service, &disk, 0..20, &mut random);
        let journal = Arc::clone(service.journal.journal().expect("it is kept"));
        let mut snapshot =
            look(&service.locks, now(), |_| journal.begin_snapshot()).expect("none is being made");
        let mut walk = SnapshotWalk::in_steps_of(2);
        let mut step = 20;
        loop {
            let mut records = Vec::new();
            let end = look(&service.locks, now(), |core| {
                let is_last = core.snapshot_step(&mut walk, |record| records.push(record.to_vec()));
                let mut end = None;
                if is_last {
                    Core::end_snapshot(|record| end = Some(journal.append(LOCKS, record)));
                }
                end
            });
            records.iter().for_each(|record| snapshot.append(LOCKS, record));
            if end.is_some() {
                break;
            }
            for _ in 0..random.below(3) {
                work(&mut service, &disk, step..step + 1, &mut random);
                step += 1;
            }
        }
        service.writer.step();
        let ended = Done { state: service.state(), end: disk.contents(SEGMENT).len() };
        snapshot.finish().expect("the disk works");
        assert!(has(&disk, SNAPSHOT));
        let mut history = vec![ended];
        history.extend(work(&mut service, &disk, step..step + 10, &mut random));
        let segment = disk.contents(SEGMENT);
        for cut in boundaries(&segment).into_iter().filter(|&cut| cut >= history[0].end) {
            let cut_disk = disk.with(SEGMENT, Some(segment[..cut].to_vec()));
            let whole = history.iter().take_while(|done| done.end <= cut).last().expect("it begins there");
            assert!(Service::start(&cut_disk).state() == whole.state, "seed {seed}, cut at {cut}");
        }
    }
}

#[test]
fn a_step_is_bounded_however_large_the_table_is() {
    let disk = SimulatedDisk::default();
    let service = Service::start(&disk);
    for number in 0..5 * SNAPSHOT_RECORDS_MAX {
        let (resource, request) = (format!("resource-{number}"), format!("request-{number}"));
        let asking = Acquire {
            owner: b"owner",
            resources: &[resource.as_bytes()],
            request: quartet::lock::RequestId { scope: b"owner", id: request.as_bytes() },
            ..ASKING
        };
        let asked = service.ask(&asking);
        assert!(matches!(asked, Ok(Asked::Granted(_))));
    }
    let (mut walk, mut steps, mut records) = (SnapshotWalk::default(), 0, 0);
    loop {
        let mut written = 0;
        let is_last = look(&service.locks, now(), |core| core.snapshot_step(&mut walk, |_| written += 1));
        assert!(written <= SNAPSHOT_RECORDS_MAX, "a step has written {written}");
        (steps, records) = (steps + 1, records + written);
        if is_last {
            break;
        }
    }
    assert!(steps >= 10 && records > 10 * SNAPSHOT_RECORDS_MAX, "{steps} steps, {records} records");
}

/// With its thread and at the size at which a snapshot is due: requests are served while it is made, and their results
/// outlive a crash after it.
#[test]
fn the_table_goes_on_while_a_snapshot_is_made() {
    let disk = SimulatedDisk::default();
    let mut service = Service::start(&disk);
    let meta = [b'm'; 1024];
    let mut number = 0;
    let mut fill = |service: &mut Service, until: &dyn Fn() -> bool| {
        while !until() {
            number += 1;
            let (name, resource) = (format!("{:0>250}", number % 5000), format!("{:0>1000}", number % 5000));
            let asking =
                Acquire { owner: name.as_bytes(), resources: &[resource.as_bytes()], meta: &meta, ..ASKING };
            let asked = service.ask(&asking);
            if matches!(asked, Ok(Asked::Busy)) {
                let (resource, owner) = (resource.as_bytes(), name.as_bytes());
                assert_eq!(service.ask(&Release { resource, owner, ..Release::default() }), Ok(0));
            }
            if number % 4096 == 0 {
                service.writer.step();
            }
            service.keeper.tick();
        }
        service.writer.step();
    };
    // All present leases are written in steps; some end meanwhile, some begin.
    fill(&mut service, &|| has(&disk, SNAPSHOT));
    wait_for(|| (!has(&disk, "000000000001.segment")).then_some(()));
    let state = service.state();
    let crashed = disk.after_power_loss(Survival::Nothing, &mut Random::with_seed(1));
    assert!(Service::start(&crashed).state() == state);
}
