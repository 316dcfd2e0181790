//! Groups: after a crash all records of a transaction are there, whichever services they belong to, or none is.

use std::sync::Arc;

use quartet::journal::{Groups, Journal, Options, Tag};
use quartet::random::Random;

use crate::support::client::Client;
use crate::support::process::{Folder, Server};
use crate::support::segments::{FIRST_SEGMENT, SEGMENT_HEAD, boundaries};
use crate::support::simulated_disk::SimulatedDisk;

/// Appends groups and single records in an order that is drawn, with steps of the writer between, and returns the ranges of
/// records that must be there together.
fn appended(disk: &SimulatedDisk, random: &mut Random) -> Vec<std::ops::Range<usize>> {
    let groups = Arc::<Groups>::default();
    let options = Options { segment_max: 60, groups: Arc::clone(&groups), ..Options::new("test") };
    let (journal, mut writer, _) =
        Journal::open_on(Arc::new(disk.clone()), options, &mut |_, _, _| Ok(())).expect("the disk is empty");
    let (mut open, mut number, mut start, mut wholes) = (Vec::new(), 0, 0, Vec::new());
    for _ in 0..60 {
        match random.below(6) {
            0 => open.push(groups.open()),
            1 => drop(open.pop()),
            2 => {
                let before = journal.synced();
                writer.step();
                let is_held = !open.is_empty() && start < number;
                assert_eq!(journal.synced() < journal.appended(), is_held, "an open group is not written");
                assert!(journal.synced() >= before);
            }
            _ => {
                journal.append(Tag(1 + (number % 3) as u8), number.to_string().as_bytes());
                number += 1;
            }
        }
        if open.is_empty() && start < number {
            wholes.push(start..number);
            start = number;
        }
    }
    drop(open);
    if start < number {
        wholes.push(start..number);
    }
    writer.finish();
    wholes
}

/// How many records come back, each in its place and with its tag.
fn found(disk: &SimulatedDisk) -> usize {
    let mut count = 0;
    let mut replay = |tag: Tag, record: &[u8], _| {
        assert_eq!((tag, record), (Tag(1 + (count % 3) as u8), count.to_string().as_bytes()));
        count += 1;
        Ok(())
    };
    let options = Options { segment_max: 60, ..Options::new("test") };
    let opened = Journal::open_on(Arc::new(disk.clone()), options, &mut replay);
    assert!(opened.is_ok(), "{:?}", opened.err());
    count
}

#[test]
fn records_of_open_groups_count_together() {
    let mut cuts = 0;
    for seed in 0..200 {
        let (disk, mut random) = (SimulatedDisk::default(), Random::with_seed(seed));
        let wholes = appended(&disk, &mut random);
        let all = wholes.last().map_or(0, |whole| whole.end);
        assert_eq!(found(&disk), all, "seed {seed}");
        // The last segment with records, cut at every byte, with nothing behind it.
        let mut names = quartet::disk::Disk::list(&disk).expect("the disk works");
        names.retain(|name| name.ends_with("segment"));
        names.sort();
        let Some(last) = names.iter().rfind(|name| disk.contents(name).len() > SEGMENT_HEAD) else {
            continue;
        };
        let later: Vec<&String> = names.iter().filter(|name| *name > last).collect();
        let disk = later.into_iter().fold(disk.clone(), |disk, name| disk.with(name, None));
        let segment = disk.contents(last);
        for cut in SEGMENT_HEAD..segment.len() {
            let count = found(&disk.with(last, Some(segment[..cut].to_vec())));
            let is_whole = count == 0 || wholes.iter().any(|whole| whole.end == count);
            assert!(is_whole, "seed {seed}, cut at {cut}: {count} records of {wholes:?}");
            cuts += 1;
        }
    }
    assert!(cuts > 1000, "only {cuts}");
}

#[test]
fn groups_belong_to_the_journal_that_was_opened_last() {
    let groups = Arc::<Groups>::default();
    let open = || {
        let options = Options { groups: Arc::clone(&groups), ..Options::new("test") };
        let disk = Arc::new(SimulatedDisk::default());
        Journal::open_on(disk, options, &mut |_, _, _| Ok(())).expect("the disk is empty")
    };
    // One that could not be started.
    drop(open());
    let (journal, mut writer, _) = open();
    let group = groups.open();
    journal.append(Tag(1), b"record");
    drop(group);
    writer.step();
    assert_eq!(journal.synced(), journal.appended());
}

#[test]
fn a_transaction_over_locks_and_limits_is_there_whole_or_not_at_all() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    let server = Server::quartet(&["--dir", &data.display().to_string()]);
    let mut client = Client::connect(server.address());
    assert!(client.ask("LOCK.ACQUIRE before ann TTL 600000").starts_with('['));
    client.write(b"MULTI\r\nLOCK.ACQUIRE x ann TTL 600000\r\nRL.DENY ADD mallory\r\nSET key value\r\n");
    client.write(
        b"LOCK.ACQUIRE y ann TTL 600000\r\nRL.BLOCK eve 600000\r\nLOCK.RELEASE before ann\r\nEXEC\r\n",
    );
    for expected in ["OK", "QUEUED", "QUEUED", "QUEUED", "QUEUED", "QUEUED", "QUEUED"] {
        assert_eq!(client.read_text().as_deref(), Some(expected));
    }
    let reply = client.read_text().expect("it is answered");
    assert!(reply.contains("fence") && reply.contains(", 1, OK, "), "{reply}");
    // Dropped, it is killed.
    drop(server);
    let segment = std::fs::read(data.join("journal").join(FIRST_SEGMENT)).expect("it was written");
    let ends = boundaries(&segment);
    let (mut seen, mut last) = (Vec::new(), 0);
    for &cut in &ends[1..] {
        let copy = folder.path().join(format!("cut-{cut}"));
        std::fs::create_dir_all(copy.join("journal")).expect("the folder is ours");
        std::fs::write(copy.join("journal").join(FIRST_SEGMENT), &segment[..cut])
            .expect("the folder is ours");
        let server = Server::quartet(&["--dir", &copy.display().to_string()]);
        let mut client = Client::connect(server.address());
        let mut is_held = |name| client.ask(&format!("LOCK.INFO {name}")) != "(nil)";
        let locks = [is_held("before"), is_held("x"), is_held("y")];
        let denied = [client.ask("RL.DENY LIST"), client.ask("RL.CHECK eve PEEK")];
        let is_blocked = denied[1].starts_with("[0,");
        match (locks, denied[0].as_str(), is_blocked) {
            ([_, false, false], "[]", false) => seen.push(false),
            ([false, true, true], "[mallory]", true) => seen.push(true),
            part => panic!("cut at {cut}: {part:?}"),
        }
        last = cut;
    }
    assert_eq!(last, *ends.last().expect("there is a head"));
    assert!(seen.len() > 6 && !seen[0] && seen[seen.len() - 1], "{seen:?}");
}
