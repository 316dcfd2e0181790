//! Streams that are verified and exported while no server uses them, on a disk that refuses some of it.

use std::sync::Arc;

use quartet::disk::Disk;
use quartet::stream::offline::{Disks, find, verify};

use crate::support::kept_streams::KeptStreams;

#[test]
fn what_the_disk_refuses_hides_no_other_message() {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["s"]"#);
    for payload in ["the first one", "the second one", "the third one"] {
        // The disk refuses a sector with these words, which is within one message.
        let around = "x".repeat(10_000);
        kept.put("s", &[], &format!("{around}{payload}{around}"));
    }
    kept.snapshot();
    let [journal, files] =
        [kept.journal(), kept.files()].map(|disk| -> Arc<dyn Disk> { Arc::new(disk.clone()) });
    let disks = Disks { journal: Some(journal), files: Some(files) };
    kept.files().refuse_reads_of(&[b"the second one"]);
    let mut told = Vec::new();
    let looked = verify(&disks, &mut |line| told.push(line.to_owned()));
    assert_eq!((looked.messages, looked.damages, told.len()), (2, 1, 1), "{told:?}");
    let (mut shown, mut failed) = (Vec::new(), Vec::new());
    let found = find(&disks, "S").expect("it is there");
    let show = |message: &quartet::stream::message::StoredMessage<'_>| {
        shown.push(message.sequence);
        Ok(())
    };
    found.each(&disks, show, &mut |line| failed.push(line.to_owned())).expect("the journal can be read");
    assert_eq!((shown, failed.len()), (vec![1, 3], 1), "{failed:?}");
}
