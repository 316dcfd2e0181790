//! The memory of the table: little for each lease, none for ended ones, and never more than its limit.

use quartet::lock::operation::{Acquire, OpenSession, Release, Renew, SessionTerms};
use quartet::lock::{Acquired, Refused, RequestId};

use super::table::{ASKING, Table, grant, id, waiter};

const LONG: u64 = 10_000;

/// Leases for the figures below, with names of 21 and 18 bytes.
const LEASES: usize = 10_000;

fn resource(number: usize) -> String {
    format!("resource-{number:012}")
}

fn owner(number: usize) -> String {
    format!("owner-{number:012}")
}

#[test]
fn a_lease_takes_less_than_four_hundred_bytes_and_a_request_a_hundred() {
    let each = |has_id: bool| {
        let mut table = Table::new();
        for number in 0..LEASES {
            let (owner, resource, id) = (owner(number), resource(number), format!("id{number}"));
            let id = if has_id { id.as_bytes() } else { b"" };
            let request = RequestId { scope: owner.as_bytes(), id };
            let asking =
                Acquire { owner: owner.as_bytes(), resources: &[resource.as_bytes()], request, ..ASKING };
            grant(table.ask(&asking).expect("it is free"));
        }
        table.core.model().memory() / LEASES
    };
    let (without, with) = (each(false), each(true));
    assert!((200..=360).contains(&without), "{without} bytes for a lease");
    assert!((50..=110).contains(&(with - without)), "{} bytes for a request", with - without);
}

#[test]
fn ended_leases_use_no_memory() {
    let mut table = Table::new();
    let session = table.open(7, SessionTerms { ttl: Some(LONG), ..SessionTerms::default() });
    for number in 0..LEASES {
        let (owner, resource) = (owner(number % 100), resource(number));
        let meta = b"what holders say about themselves";
        let of_session = (number % 3 == 0).then_some(session);
        let asking = Acquire { owner: owner.as_bytes(), resources: &[resource.as_bytes()], meta, ..ASKING };
        grant(table.ask(&Acquire { session: of_session, ..asking }).expect("it is free"));
        let waiting = format!("waiter-{number}");
        waiter(table.ask(&Acquire { owner: waiting.as_bytes(), wait: 500, ..asking }).expect("it waits"));
    }
    assert!(table.core.model().memory() > LEASES * 300);
    table.advance(2 * LONG);
    // The waiters have had their turn.
    table.advance(2 * LONG);
    assert_eq!(table.core.model().memory(), 0, "{:?}", table.core.model().totals());
}

#[test]
fn nothing_is_added_beyond_the_limit_and_the_rest_goes_on() {
    let mut table = Table::new();
    table.core.limit_memory(5000);
    let mut held = 0;
    let refused = loop {
        let (owner, resource) = (owner(held), resource(held));
        let asking = Acquire { owner: owner.as_bytes(), resources: &[resource.as_bytes()], ..ASKING };
        match table.core.acquire(&asking, table.now * 1000, &mut table.events) {
            Ok(acquired) => drop(grant(acquired)),
            Err(refused) => break refused,
        }
        held += 1;
    };
    assert_eq!(refused, Refused::NoMemory);
    assert!((10..40).contains(&held), "{held} leases");
    let totals = table.core.model().totals();
    assert_eq!((totals.leases, totals.owners, totals.resources), (held, held, held));
    table.core.limit_memory(1);
    let now = table.micros();
    let (first, holder) = (resource(0), owner(0));
    let names: [&[u8]; 1] = [first.as_bytes()];
    let waiting = Acquire { owner: b"w", resources: &names, wait: LONG, ..ASKING };
    assert_eq!(table.core.acquire(&waiting, now, &mut table.events), Err(Refused::NoMemory));
    let terms = SessionTerms { ttl: Some(LONG), ..SessionTerms::default() };
    let opened = table.core.open_session(
        &OpenSession { id: 1, terms, request: RequestId::default() },
        now,
        &mut table.events,
    );
    assert_eq!(opened, Err(Refused::NoMemory));
    // Existing leases can be acquired once more, renewed and released, under an id as well.
    let again = Acquire { owner: holder.as_bytes(), resources: &names, is_reentrant: true, ..ASKING };
    assert!(matches!(table.core.acquire(&again, now, &mut table.events), Ok(Acquired::Granted(_))));
    let renew =
        Renew { resources: &names, owner: holder.as_bytes(), ttl: LONG, fence: None, request: id("", "r") };
    let renewed = table.core.renew(&renew, now, &mut table.events);
    assert!(renewed.is_ok());
    for number in 0..held {
        let (resource, owner) = (resource(number), owner(number));
        let (resource, owner) = (resource.as_bytes(), owner.as_bytes());
        let release = Release { resource, owner, all: true, ..Release::default() };
        assert_eq!(table.core.release(&release, now, &mut table.events), Ok(0));
    }
    table.core.limit_memory(5000);
    assert!(matches!(table.core.acquire(&waiting, now, &mut table.events), Ok(Acquired::Granted(_))));
}
