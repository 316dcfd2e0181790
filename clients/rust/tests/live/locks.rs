//! Locks: exclusion, waiting, release, and what is refused.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quartet_client::Error;

use crate::servers::{KEPT, Server, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time_and_tokens_rise() {
    let server = Arc::new(Server::start(&[]).await);
    let quartet = server.quartet();
    let tokens: Arc<Mutex<Vec<u64>>> = Arc::default();
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let (server, quartet, tokens) = (Arc::clone(&server), quartet.clone(), Arc::clone(&tokens));
            tokio::spawn(async move {
                for _ in 0..15 {
                    let lease = quartet.lock("resource").acquire().await.unwrap();
                    // Two steps: without the lock they would overwrite one another.
                    let value: Option<u32> = server.command(&["GET", "counter"]).await;
                    tokens.lock().unwrap().push(lease.fencing_token());
                    let next = (value.unwrap_or(0) + 1).to_string();
                    let _: String = server.command(&["SET", "counter", &next]).await;
                    lease.release().await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(server.command::<u32>(&["GET", "counter"]).await, 120);
    let tokens = tokens.lock().unwrap();
    assert!(tokens.len() == 120 && tokens.is_sorted_by(|one, next| one < next));
}

#[tokio::test]
async fn a_lease_is_renewed_many_times() {
    let server = Server::start(&[]).await;
    let quartet = server.quartet();
    let one = quartet.lock("one").ttl(KEPT).acquire().await.unwrap();
    let both = quartet.lock_all(["two", "three"]).ttl(KEPT).acquire().await.unwrap();
    for resource in ["one", "two", "three"] {
        eventually(async || server.held(resource).await > KEPT.mul_f64(1.5)).await;
    }
    one.check().unwrap();
    both.check().unwrap();
    assert!(one.remaining() > Duration::ZERO && one.remaining() <= KEPT);
    one.release().await.unwrap();
    assert_eq!(server.held("one").await, Duration::ZERO);
    // A lease that is dropped is released as well.
    drop(both);
    eventually(async || server.held("two").await.is_zero() && server.held("three").await.is_zero()).await;
}

#[tokio::test]
async fn waiting_ends() {
    let server = Server::start(&[]).await;
    let quartet = server.quartet();
    let held = quartet.lock("x").acquire().await.unwrap();
    let waited = quartet.lock("x").wait(Duration::from_millis(50)).acquire().await;
    assert!(matches!(waited, Err(Error::NotAcquired)));
    assert!(matches!(quartet.lock("x").try_acquire().await, Err(Error::NotAcquired)));
    let given_up = tokio::spawn(async move { quartet.lock("x").acquire().await.map(|_| ()) });
    eventually(async || server.waits("x").await == 1).await;
    given_up.abort();
    eventually(async || server.waits("x").await == 0).await;
    let quartet = server.quartet();
    let waiter = tokio::spawn(async move { quartet.lock("x").acquire().await });
    eventually(async || server.waits("x").await == 1).await;
    let token = held.fencing_token();
    held.release().await.unwrap();
    assert!(waiter.await.unwrap().unwrap().fencing_token() > token);
}

#[tokio::test]
async fn only_the_owner_releases() {
    let server = Server::start(&[]).await;
    let quartet = server.quartet();
    let lease = quartet.lock("x").owner("holder").acquire().await.unwrap();
    assert!(matches!(quartet.lock("x").owner("somebody").release().await, Err(Error::NotHeld)));
    assert!(matches!(quartet.lock("x").release().await, Err(Error::NotHeld)));
    lease.check().unwrap();
    quartet.lock("x").owner("holder").release().await.unwrap();
    assert!(lease.release().await.unwrap_err().is_lost());
}

#[tokio::test]
async fn an_owner_acquires_again_only_if_it_says_so() {
    let server = Server::start(&[]).await;
    let lock = server.quartet().lock("x").owner("ann");
    let outer = lock.acquire().await.unwrap();
    assert!(matches!(lock.try_acquire().await, Err(Error::NotAcquired)));
    // It would wait for itself.
    assert!(matches!(lock.acquire().await, Err(Error::Deadlock { .. })));
    let inner = lock.clone().reentrant().acquire().await.unwrap();
    assert_eq!(inner.fencing_token(), outer.fencing_token());
    inner.release().await.unwrap();
    assert!(!server.held("x").await.is_zero());
    outer.release().await.unwrap();
    assert!(server.held("x").await.is_zero());
}

#[tokio::test]
async fn a_deadlock_is_an_error_of_its_own() {
    let server = Server::start(&[]).await;
    let quartet = server.quartet();
    let x = quartet.lock("x").owner("ann").acquire().await.unwrap();
    let y = quartet.lock("y").owner("bob").acquire().await.unwrap();
    let other = quartet.lock("x").owner(y.owner());
    let waiter = tokio::spawn(async move { other.acquire().await.map(|_| ()) });
    eventually(async || server.waits("x").await == 1).await;
    match quartet.lock("y").owner(x.owner()).acquire().await {
        Err(Error::Deadlock { waits }) => assert_eq!(waits, ["ann", "y", "bob", "x", "ann"]),
        _ => panic!("it would wait for ever"),
    }
    assert!(matches!(
        quartet.lock("y").owner("bob").acquire().await,
        Err(Error::OwnerWaits | Error::Deadlock { .. })
    ));
    x.release().await.unwrap();
    waiter.await.unwrap().unwrap();
}

#[tokio::test]
async fn shared_and_permits() {
    let server = Server::start(&[]).await;
    let quartet = server.quartet();
    let readers = [
        quartet.lock("x").shared().acquire().await.unwrap(),
        quartet.lock("x").shared().acquire().await.unwrap(),
    ];
    assert!(matches!(quartet.lock("x").try_acquire().await, Err(Error::NotAcquired)));
    for reader in readers {
        reader.release().await.unwrap();
    }
    let semaphore = quartet.semaphore("permits", 3);
    let one = semaphore.acquire().await.unwrap();
    let two = semaphore.clone().permits(2).acquire().await.unwrap();
    assert!(matches!(semaphore.try_acquire().await, Err(Error::NotAcquired)));
    one.release().await.unwrap();
    assert!(matches!(semaphore.clone().permits(2).try_acquire().await, Err(Error::NotAcquired)));
    semaphore.try_acquire().await.unwrap().release().await.unwrap();
    two.release().await.unwrap();
}

#[tokio::test]
async fn writes_under_the_fencing_token() {
    let server = Server::start(&[]).await;
    let lease = server.quartet().lock("x").acquire().await.unwrap();
    lease.fenced_set("key", b"done", Some(Duration::from_secs(60))).await.unwrap();
    let _: u32 = server.command(&["LOCK.FORCE", "x"]).await;
    assert!(lease.fenced_set("key", b"too late", None).await.unwrap_err().is_lost());
    lease.lost().await;
    assert!(lease.release().await.unwrap_err().is_lost());
    assert_eq!(server.command::<String>(&["GET", "key"]).await, "done");
}

#[tokio::test]
async fn a_session_keeps_all_and_frees_all() {
    let server = Server::start(&[]).await;
    let session = server.quartet().session(KEPT, Duration::ZERO).await.unwrap();
    let mut leases = Vec::new();
    for resource in ["a", "b", "c", "d"] {
        leases.push(session.lock(resource).acquire().await.unwrap());
    }
    leases.push(session.semaphore("permits", 2).acquire().await.unwrap());
    for resource in ["a", "b", "c", "d", "permits"] {
        eventually(async || server.held(resource).await > KEPT.mul_f64(1.2)).await;
    }
    leases.remove(0).release().await.unwrap();
    assert!(server.held("a").await.is_zero());
    // The loss of one lease is not that of the others.
    let lost = leases.remove(0);
    let _: u32 = server.command(&["LOCK.FORCE", "b"]).await;
    lost.lost().await;
    session.check().unwrap();
    leases[0].check().unwrap();
    session.close().await.unwrap();
    for resource in ["c", "d", "permits"] {
        assert!(server.held(resource).await.is_zero());
    }
    assert!(matches!(leases[0].check(), Err(Error::NotHeld)), "it is over");
}
