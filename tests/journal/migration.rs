//! Journals of earlier versions, one for each service, become one: whenever the power fails, nothing of them is lost, and
//! nothing is taken over twice.

use std::sync::Arc;

use parking_lot::Mutex;
use quartet::clock::Now;
use quartet::disk::Disk;
use quartet::journal::keeper::{
    Dormant, Interrupted, JournalHandle, Keeper, Persistent, Rest, ServiceJournal,
};
use quartet::journal::{OpenError, Snapshot, Tag, Writer};
use quartet::random::Random;
use quartet::wait::Position;

use crate::support::segments::{FIRST_SEGMENT, untagged_segment};
use crate::support::simulated_disk::{SimulatedDisk, Survival, Trouble};

const SERVICES: [(Tag, u32); 2] = [(Tag(5), 1), (Tag(6), 2)];

/// A service that remembers lines.
struct Lines {
    tag: Tag,
    journal: ServiceJournal,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Persistent for Lines {
    fn tag(&self) -> Tag {
        self.tag
    }

    fn replay(&mut self, record: &[u8], _position: Position, _now: Now) -> Result<(), String> {
        self.lines.lock().push(String::from_utf8(record.to_vec()).map_err(|error| error.to_string())?);
        Ok(())
    }

    fn resume(&mut self, _now: Now) -> bool {
        self.journal.turn_on();
        false
    }

    fn attach(&mut self, _is_new: bool) {
        self.journal.attach();
    }

    fn snapshot(&mut self, snapshot: &mut Snapshot) -> Result<Option<Rest>, Interrupted> {
        self.lines.lock().iter().for_each(|line| snapshot.append(self.tag, line.as_bytes()));
        Ok(None)
    }
}

/// The lines of an earlier server's service.
fn kept(tag: Tag) -> Vec<String> {
    (0..4).map(|number| format!("line {number} of {}", tag.0)).collect()
}

/// The disks of a server: that of its journal, and those of its former folders.
#[derive(Clone)]
struct Disks {
    journal: SimulatedDisk,
    former: Vec<SimulatedDisk>,
}

impl Disks {
    /// As an earlier version has left them.
    fn former() -> Disks {
        let former = SERVICES.map(|(tag, version)| {
            let records: Vec<Vec<u8>> = kept(tag).into_iter().map(String::into_bytes).collect();
            let disk = SimulatedDisk::default();
            let mut file = disk.create(FIRST_SEGMENT).expect("the disk works");
            file.write(&untagged_segment(version, &records)).expect("the disk works");
            file.sync().and_then(|()| disk.sync_names()).expect("the disk works");
            // Its count of operations begins anew.
            disk.after_power_loss(Survival::Nothing, &mut Random::with_seed(0))
        });
        Disks { journal: SimulatedDisk::default(), former: former.to_vec() }
    }

    fn all(&self) -> Vec<&SimulatedDisk> {
        self.former.iter().chain([&self.journal]).collect()
    }

    fn after_power_loss(&self, survival: Survival, random: &mut Random) -> Disks {
        let mut survivor = |disk: &SimulatedDisk| disk.after_power_loss(survival, random);
        let journal = survivor(&self.journal);
        Disks { journal, former: self.former.iter().map(survivor).collect() }
    }

    fn open(&self) -> Result<Server, OpenError> {
        let handle = Arc::<JournalHandle>::default();
        let lines = SERVICES.map(|_| Arc::<Mutex<Vec<String>>>::default());
        let service = |(tag, lines): (Tag, &Arc<Mutex<Vec<String>>>)| {
            let journal = ServiceJournal::new(&handle, tag);
            Box::new(Lines { tag, journal, lines: Arc::clone(lines) }) as Box<dyn Persistent>
        };
        let services = SERVICES.iter().map(|(tag, _)| *tag).zip(&lines).map(service).collect();
        let disk = |disk: &SimulatedDisk| Arc::new(disk.clone()) as Arc<dyn Disk>;
        let former =
            SERVICES.iter().zip(&self.former).map(|((tag, _), former)| (*tag, disk(former))).collect();
        let (keeper, writer) = Keeper::open_on(&handle, disk(&self.journal), former, services, now())?;
        let lines = lines.map(|lines| lines.lock().clone());
        Ok(Server { lines, handle, _keeper: keeper, writer })
    }

    fn former_files(&self) -> usize {
        self.former.iter().map(|disk| disk.list().expect("the disk works").len()).sum()
    }
}

struct Server {
    lines: [Vec<String>; 2],
    handle: Arc<JournalHandle>,
    _keeper: Keeper,
    writer: Writer,
}

fn now() -> Now {
    Now::at(std::time::Duration::from_secs(1), std::time::Duration::from_secs(1_700_000_000))
}

/// Starts and checks that everything is there, then adds a line to each service and starts again.
fn check(disks: &Disks, context: &str) {
    let mut server = disks.open().unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(server.lines, SERVICES.map(|(tag, _)| kept(tag)), "{context}");
    assert_eq!(disks.former_files(), 0, "{context}");
    let journal = Arc::clone(server.handle.journal().expect("it was opened"));
    for (tag, _) in SERVICES {
        journal.append(tag, b"new");
    }
    server.writer.step();
    let again = disks.open().unwrap_or_else(|error| panic!("{context}, again: {error}"));
    let and_new = |tag| [kept(tag), vec!["new".to_owned()]].concat();
    assert_eq!(again.lines, SERVICES.map(|(tag, _)| and_new(tag)), "{context}, again");
}

#[test]
fn former_journals_are_taken_over_whenever_the_power_fails() {
    let mut random = Random::with_seed(1);
    let whole = Disks::former();
    check(&whole, "without trouble");
    let mut troubles = 0;
    for which in 0..=SERVICES.len() {
        for at in 1.. {
            let disks = Disks::former();
            disks.all()[which].expect_trouble(Trouble::PowerLostAfter(at));
            let opened = disks.open();
            let has_ended = opened.is_ok();
            drop(opened);
            for survival in
                [Survival::Nothing, Survival::Everything, Survival::Blocks(1), Survival::Blocks(16)]
            {
                let survivor = disks.after_power_loss(survival, &mut random);
                check(&survivor, &format!("disk {which}, operation {at}, {survival:?}"));
            }
            if has_ended {
                break;
            }
            troubles += 1;
        }
    }
    assert!(troubles > 8, "only {troubles}");
}

#[test]
fn data_of_an_earlier_version_beside_the_journal_is_refused() {
    let disks = Disks::former();
    let mut server = disks.open().unwrap_or_else(|error| panic!("{error}"));
    server.writer.step();
    drop(server);
    // An earlier version has run on the folder since.
    let mixed = Disks { journal: disks.journal.clone(), former: Disks::former().former };
    let Err(error) = mixed.open() else { panic!("it is not clear what counts") };
    let expected = "simulated/, simulated/ and simulated/ both hold data, because an earlier version of the server has \
                    run since its data was taken over: move away what is not to count";
    assert_eq!(error.to_string(), expected);
    assert_eq!(mixed.former_files(), 2, "nothing was removed");
}

#[test]
fn records_of_a_service_that_is_not_kept_now_stay() {
    let disks = Disks::former();
    check(&disks, "at first");
    let handle = Arc::<JournalHandle>::default();
    let dormant = SERVICES.map(|(tag, _)| Box::new(Dormant::new(tag, None)) as Box<dyn Persistent>);
    let disk = Arc::new(disks.journal.clone());
    let opened = Keeper::open_on(&handle, disk, Vec::new(), dormant.into(), now());
    assert!(opened.is_ok());
    let again = disks.open().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.lines.map(|lines| lines.len()), [5, 5]);
}

#[test]
fn records_of_an_unknown_service_stop_the_start() {
    let disks = Disks::former();
    check(&disks, "at first");
    let handle = Arc::<JournalHandle>::default();
    let opened = Keeper::open_on(&handle, Arc::new(disks.journal.clone()), Vec::new(), Vec::new(), now());
    let error = opened.err().expect("nobody takes the records");
    assert!(
        error.to_string().contains("it has the tag 5 of a service that this version does not know"),
        "{error}"
    );
}
