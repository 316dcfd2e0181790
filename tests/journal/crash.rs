//! The power fails, or the disk, at every step of everything a journal does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake, Waker};

use quartet::journal::{Journal, NotAdmitted, Options};
use quartet::random::Random;
use quartet::wait::{Durable, Lost};

use super::ledger::{LINES, Ledger};
use crate::support::simulated_disk::{SimulatedDisk, Survival, Trouble};

/// The actions on a ledger, in order.  A run ends when the trouble comes.
const ROUTINE: &[fn(&mut Ledger)] = &[
    |ledger| ledger.add("one record in a group of its own"),
    Ledger::step,
    |ledger| ["two", "three", "four"].into_iter().for_each(|line| ledger.add(line)),
    |ledger| ledger.add_together(&["together", "or not", "at all, in one segment however long they are"]),
    Ledger::step,
    |ledger| (5..9).for_each(|number| ledger.add(&format!("number {number} with others in two segments"))),
    Ledger::step,
    Ledger::snapshot,
    |ledger| ledger.add("after the snapshot"),
    |ledger| ledger.add_together(&["two", "lines"]),
    Ledger::step,
    |ledger| ledger.add("in the snapshot and in a group"),
    Ledger::snapshot,
    |ledger| ["of the", "last group"].into_iter().for_each(|line| ledger.add(line)),
    |ledger| ledger.add_together(&["and", "one", "more"]),
    Ledger::step,
    |ledger| ledger.add("written at the end"),
    Ledger::close,
];

/// The lines that one run tried to write, and how many were acknowledged.
struct Run {
    tried: Vec<String>,
    /// How many lines there were before each operation.
    operations: Vec<usize>,
    acknowledged: usize,
}

fn run(disk: &SimulatedDisk) -> Run {
    let Ok((mut ledger, _)) = Ledger::open(disk) else {
        return Run { tried: Vec::new(), operations: Vec::new(), acknowledged: 0 };
    };
    let before = ledger.lines.len();
    for action in ROUTINE {
        if ledger.journal.has_failed() {
            break;
        }
        action(&mut ledger);
        ledger.read_back();
    }
    assert!(ledger.acknowledged >= before, "recovered lines count");
    Run { tried: ledger.lines, operations: ledger.operations, acknowledged: ledger.acknowledged }
}

/// Opens the disk and checks that it has all that was acknowledged, in order, nothing that was not tried, and of every
/// operation all or nothing.
fn check(disk: &SimulatedDisk, run: &Run, context: &str) {
    let (mut ledger, _) = Ledger::open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    let lines = &ledger.lines;
    assert!(lines.len() >= run.acknowledged, "{context}: only {lines:?} of {:?}", run.tried);
    assert_eq!(lines[..], run.tried[..lines.len()], "{context}");
    let is_whole = lines.len() == run.tried.len() || run.operations.contains(&lines.len());
    assert!(is_whole, "{context}: an operation is there in part: {lines:?}");
    // It goes on from there, and once more finds everything.
    let found = ledger.read_back();
    ledger.add("after the recovery");
    ledger.close();
    assert_eq!(ledger.read_back(), found + 1, "{context}");
    assert_eq!(ledger.acknowledged, ledger.lines.len(), "{context}");
    let (again, recovered) = Ledger::open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!((again.lines, recovered.torn), (ledger.lines, None), "{context}");
}

fn operations_of_a_run() -> u64 {
    let disk = SimulatedDisk::default();
    let whole = run(&disk);
    assert_eq!(whole.acknowledged, whole.tried.len());
    check(&disk, &whole, "without trouble");
    let again = SimulatedDisk::default();
    run(&again);
    again.operations()
}

#[test]
fn nothing_acknowledged_is_lost_whenever_the_power_fails() {
    let mut random = Random::with_seed(1);
    for at in 1..=operations_of_a_run() {
        for trouble in [Trouble::PowerLostBefore(at), Trouble::PowerLostAfter(at)] {
            let disk = SimulatedDisk::default();
            disk.expect_trouble(trouble);
            let run = run(&disk);
            let blocks = [1, 4, 16, 64].map(Survival::Blocks);
            let survivals = [Survival::Nothing, Survival::Everything];
            for survival in survivals.into_iter().chain(blocks.into_iter().cycle().take(40)) {
                let survivor = disk.after_power_loss(survival, &mut random);
                check(&survivor, &run, &format!("{trouble:?}, {survival:?}"));
            }
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_fails_again_during_recovery() {
    let mut random = Random::with_seed(2);
    for at in 1..=operations_of_a_run() {
        let disk = SimulatedDisk::default();
        disk.expect_trouble(Trouble::PowerLostBefore(at));
        let run = run(&disk);
        let torn = disk.after_power_loss(Survival::Blocks(8), &mut random);
        for step in 1.. {
            let copy = torn.after_power_loss(Survival::Everything, &mut random);
            copy.expect_trouble(Trouble::PowerLostAfter(step));
            if Ledger::open(&copy).is_ok() {
                break;
            }
            let survivor = copy.after_power_loss(Survival::Blocks(8), &mut random);
            check(&survivor, &run, &format!("power lost at {at}, then at {step} of the recovery"));
        }
    }
}

#[test]
fn a_disk_that_fails_once_is_not_trusted_again() {
    let mut random = Random::with_seed(3);
    let mut failures = 0;
    for at in 1..=operations_of_a_run() {
        let disk = SimulatedDisk::default();
        disk.expect_trouble(Trouble::Error(at));
        let Ok((mut ledger, _)) = Ledger::open(&disk) else { continue };
        for action in ROUTINE {
            action(&mut ledger);
            if ledger.journal.has_failed() {
                let told = ledger.acknowledged;
                failures += 1;
                ledger.add("to a failed journal");
                if ROUTINE.last().is_some_and(|last| !std::ptr::fn_addr_eq(*last, *action)) {
                    ledger.step();
                }
                assert_eq!(ledger.acknowledged, told, "nothing is acknowledged after a failure");
                assert!(ledger.journal.status().failure.is_some());
                assert!(ledger.journal.admit().is_err());
                ledger.lines.pop();
                break;
            }
        }
        let (tried, operations) = (std::mem::take(&mut ledger.lines), std::mem::take(&mut ledger.operations));
        let run = Run { tried, operations, acknowledged: ledger.acknowledged };
        drop(ledger);
        for survival in [Survival::Nothing, Survival::Everything, Survival::Blocks(4)] {
            let survivor = disk.after_power_loss(survival, &mut random);
            check(&survivor, &run, &format!("error at {at}, {survival:?}"));
        }
    }
    assert!(failures > 10, "most of the operations are the journal's, and their errors fail it");
}

#[test]
fn a_disk_that_is_full_for_a_while_is_written_once_it_has_room() {
    let (mut random, mut stalls) = (Random::with_seed(4), 0);
    for at in 1..=operations_of_a_run() {
        let disk = SimulatedDisk::default();
        disk.expect_trouble(Trouble::Full(at, at + 4));
        let Ok((mut ledger, _)) = Ledger::open(&disk) else { continue };
        for (number, action) in ROUTINE.iter().enumerate() {
            if number + 1 == ROUTINE.len() {
                // The last of them closes the journal, which does not wait for room.
                (0..6).for_each(|_| ledger.step());
                assert_eq!(ledger.journal.status().failure, None, "full at {at}");
            }
            action(&mut ledger);
            if ledger.journal.admit() == Err(NotAdmitted::Stalled) {
                stalls += 1;
                assert!(
                    ledger.journal.status().failure.is_some_and(|reason| reason.contains("cannot write"))
                );
            }
            assert!(!ledger.journal.has_failed(), "full at {at}");
        }
        assert_eq!(ledger.acknowledged, ledger.lines.len(), "full at {at}");
        let (tried, operations) = (std::mem::take(&mut ledger.lines), std::mem::take(&mut ledger.operations));
        let run = Run { tried, operations, acknowledged: ledger.acknowledged };
        drop(ledger);
        let survivor = disk.after_power_loss(Survival::Nothing, &mut random);
        check(&survivor, &run, &format!("full at {at}"));
    }
    assert!(stalls > 5, "only {stalls}");
}

#[test]
fn a_disk_that_is_full_to_the_end_loses_nothing_acknowledged() {
    let mut random = Random::with_seed(5);
    for at in 1..=operations_of_a_run() {
        let disk = SimulatedDisk::default();
        disk.expect_trouble(Trouble::Full(at, u64::MAX));
        let run = run(&disk);
        disk.expect_trouble(Trouble::Full(0, 0));
        for survival in [Survival::Nothing, Survival::Everything, Survival::Blocks(4)] {
            let survivor = disk.after_power_loss(survival, &mut random);
            check(&survivor, &run, &format!("full from {at} on, {survival:?}"));
        }
    }
}

#[test]
fn nothing_is_admitted_while_too_much_waits() {
    let options = Options { pending_max: 100, ..Options::new("test") };
    let disk = Arc::new(SimulatedDisk::default());
    let (journal, mut writer, _) =
        Journal::open_on(disk, options, &mut |_, _, _| Ok(())).expect("it is empty");
    for _ in 0..2 {
        assert_eq!(journal.admit(), Ok(()));
        // An operation that was begun before the limit was met is written beyond it.
        let last = [[1; 60], [2; 60]].map(|record| journal.append(LINES, &record))[1];
        assert_eq!(journal.admit(), Err(NotAdmitted::Behind));
        writer.step();
        assert_eq!(journal.synced(), last);
    }
}

#[test]
fn whoever_appends_is_told_from_when_half_of_what_may_wait_does() {
    let options = Options { pending_max: 100, ..Options::new("test") };
    let disk = Arc::new(SimulatedDisk::default());
    let (journal, mut writer, _) =
        Journal::open_on(disk.clone(), options, &mut |_, _, _| Ok(())).expect("it is empty");
    // A record takes nine bytes more than its payload.
    journal.append(LINES, &[1; 40]);
    assert!(!journal.is_behind());
    let last = journal.append(LINES, &[1]);
    assert!(journal.is_behind() && journal.admit().is_ok());
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    assert_eq!(journal.poll_synced(last, &waker), Poll::Pending);
    writer.step();
    assert!(woken.0.load(Ordering::Relaxed) && !journal.is_behind());
    // A disk without room wakes as well, so that nobody waits for it in vain.
    woken.0.store(false, Ordering::Relaxed);
    let last = journal.append(LINES, &[1; 60]);
    assert_eq!(journal.poll_synced(last, &waker), Poll::Pending);
    disk.expect_trouble(Trouble::Full(disk.operations() + 1, u64::MAX));
    writer.step();
    assert!(woken.0.load(Ordering::Relaxed));
    assert_eq!(journal.poll_synced(last, &waker), Poll::Ready(Err(Lost)));
    assert_eq!(journal.admit(), Err(NotAdmitted::Stalled));
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
