//! A journal in a real folder, with its thread.

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use parking_lot::Mutex;
use quartet::journal::{Journal, OpenError, Options, Tag};
use quartet::wait::Durable;

use crate::support::process::{Folder, wait_for};

const TAG: Tag = Tag(9);

fn open(folder: &Path, options: Options) -> Result<(Arc<Journal>, Vec<Vec<u8>>), OpenError> {
    let mut records = Vec::new();
    let mut replay = |_: Tag, record: &[u8], _| {
        records.push(record.to_vec());
        Ok(())
    };
    let (journal, _) = Journal::open(folder, options, &mut replay)?;
    Ok((journal, records))
}

#[test]
fn threads_share_syncs_and_find_their_records_again() {
    let (folder, threads, each) = (Folder::new(), 8, 200);
    let path = folder.path().join("deep/below");
    let options = Options { segment_max: 4096, ..Options::new("test") };
    let (journal, _) = open(&path, options.clone()).expect("the folder can be made");
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let journal = &journal;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                for number in 0..each {
                    let position = journal.append(TAG, format!("{thread}:{number}").as_bytes());
                    if number % 20 == 0 {
                        let synced = poll_fn(|context| journal.poll_synced(position, context.waker()));
                        runtime.block_on(synced).expect("the disk works");
                        assert!(journal.synced() >= position);
                    }
                }
            });
        }
    });
    journal.close();
    let status = journal.status();
    assert_eq!(status.synced, status.appended);
    drop(journal);
    let (_journal, records) = open(&path, options).expect("it is whole");
    assert_eq!(records.len(), threads * each);
    for thread in 0..threads {
        let start = format!("{thread}:");
        let own = records.iter().filter(|record| record.starts_with(start.as_bytes()));
        let in_order = (0..each).map(|number| format!("{thread}:{number}").into_bytes());
        assert!(own.cloned().eq(in_order));
    }
}

#[test]
fn a_folder_has_one_owner() {
    let folder = Folder::new();
    let (journal, _) = open(folder.path(), Options::new("test")).expect("it is free");
    let error = open(folder.path(), Options::new("test")).err().expect("it is owned");
    let expected = format!(
        "another server uses {}: stop that one, or choose another directory with --dir",
        folder.path().display()
    );
    assert_eq!(error.to_string(), expected);
    drop(journal);
    open(folder.path(), Options::new("test")).expect("it is free again");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = Folder::new();
    let path = folder.path().join("file");
    std::fs::write(&path, "in the way").expect("the folder can be written");
    let error = open(&path, Options::new("test")).err().expect("it is no folder").to_string();
    assert!(
        error.starts_with(&format!("cannot use {}: ", path.display())) && error.lines().count() == 1,
        "{error}"
    );
}

#[test]
fn records_appended_quietly_share_the_next_sync() {
    let folder = Folder::new();
    let (journal, _) = open(folder.path(), Options::new("test")).expect("the folder can be used");
    let quietly = |number: usize| journal.append_quietly(TAG, [format!("{number}").as_bytes()]);
    let synced = |position| wait_for(|| (journal.synced() >= position).then_some(()));
    synced(journal.append(TAG, b"synced at once"));
    let after = journal.synced();
    (0..1000).for_each(|number| assert!(quietly(number) > after));
    assert_eq!((journal.synced(), journal.status().syncs), (after, 1));
    synced(journal.append(TAG, b"with all before it"));
    assert_eq!(journal.status().syncs, 2);
    // A waiter has them written at once.
    let position = quietly(1000);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let waited = poll_fn(|context| journal.poll_synced(position, context.waker()));
    runtime.block_on(waited).expect("the disk works");
    let position = quietly(1001);
    journal.flush();
    synced(position);
    quietly(1002);
    journal.close();
    assert_eq!(journal.status().syncs, 5);
    drop(journal);
    assert_eq!(open(folder.path(), Options::new("test")).expect("it is whole").1.len(), 1005);
}

/// Lets go of a journal when it is woken.
struct LastHolder(Mutex<Option<Arc<Journal>>>, AtomicBool);

impl Wake for LastHolder {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().take());
        self.1.store(true, Ordering::Release);
    }
}

#[test]
fn a_woken_waiter_may_be_the_last_to_let_go_of_the_journal() {
    let folder = Folder::new();
    let (journal, _) = open(folder.path(), Options::new("test")).expect("the folder can be used");
    let first = journal.append(TAG, b"the first");
    wait_for(|| (journal.synced() >= first).then_some(()));
    // Quietly, so that the waker is there before the sync.
    let position = journal.append_quietly(TAG, [b"the last".as_slice()]);
    let holder = Arc::new(LastHolder(Mutex::new(Some(Arc::clone(&journal))), AtomicBool::new(false)));
    let polled = journal.poll_synced(position, &Waker::from(Arc::clone(&holder)));
    drop(journal);
    if polled.is_pending() {
        wait_for(|| holder.1.load(Ordering::Acquire).then_some(()));
    }
    drop(holder);
    // The folder is free once the thread has ended.
    let (_journal, records) = wait_for(|| open(folder.path(), Options::new("test")).ok());
    assert_eq!(records.len(), 2);
}

/// A snapshot of an empty segment wakes the writer for nothing; it must hear of the next record all the same.
#[test]
fn a_snapshot_of_nothing_leaves_the_writer_listening() {
    let folder = Folder::new();
    let (journal, _) = open(folder.path(), Options::new("test")).expect("the folder can be made");
    // Often enough for the writer to have fallen asleep before one of them.
    for _ in 0..20_000 {
        drop(journal.begin_snapshot().expect("none is being made"));
    }
    let position = journal.append(TAG, b"record");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    // Were the record not heard of, this would hang.
    let synced = poll_fn(|context| journal.poll_synced(position, context.waker()));
    runtime.block_on(synced).expect("the disk works");
}
