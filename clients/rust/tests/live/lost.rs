//! Locks that are lost: the holder is told in time, and nothing goes on silently.

use std::future::pending;
use std::time::Duration;

use quartet_client::{Error, Lease, Result};

use crate::relay::Relay;
use crate::servers::{KEPT, SHORT, Server, eventually};

/// Goes on for ever unless it is dropped.
async fn for_ever(_: &Lease) -> Result<()> {
    pending().await
}

#[tokio::test]
async fn forced() {
    let server = Server::start(&[]).await;
    let lock = server.quartet().lock("x").ttl(SHORT);
    let force = async || server.command::<u32>(&["LOCK.FORCE", "x"]).await;
    let lost = lock
        .hold(async |lease| {
            force().await;
            for_ever(lease).await
        })
        .await
        .unwrap_err();
    assert!(lost.is_lost() && lost.to_string().starts_with("x is lost: "), "{lost}");
    // And if nobody has noticed before the end.
    let unnoticed = lock.hold(async |_| Ok::<_, Error>(force().await)).await;
    assert!(unnoticed.unwrap_err().is_lost());
    // What was returned goes first.
    let own = lock
        .hold(async |_| {
            force().await;
            Err::<(), _>(Error::NotAcquired)
        })
        .await;
    assert!(matches!(own, Err(Error::NotAcquired)));
    let spawned = tokio::spawn(async move { lock.hold(async |_| Ok::<_, Error>(42)).await });
    assert_eq!(spawned.await.unwrap().unwrap(), 42);
    assert!(server.held("x").await.is_zero());
}

#[tokio::test]
async fn server_paused_stopped_and_started_again() {
    let mut server = Server::start(&[]).await;
    let quartet = server.quartet();
    let paused = quartet
        .lock("x")
        .ttl(SHORT)
        .hold(async |lease| {
            server.pause();
            for_ever(lease).await
        })
        .await;
    assert!(paused.unwrap_err().is_lost());
    server.resume();
    let relay = Relay::start(server.target()).await;
    let lease = relay.quartet().lock("y").acquire().await.unwrap();
    server.stop();
    server.start_again().await;
    relay.lead_to(server.target());
    assert!(lease.release().await.unwrap_err().is_lost());
    let session = server.quartet().session(SHORT, Duration::ZERO).await.unwrap();
    let lease = session.lock("z").acquire().await.unwrap();
    server.stop();
    lease.lost().await;
    session.lost().await;
    assert!(lease.check().unwrap_err().is_lost());
    assert!(session.close().await.unwrap_err().is_lost());
}

#[tokio::test]
async fn told_before_anybody_else_is_granted_it() {
    let server = Server::start(&[]).await;
    let relay = Relay::start(server.target()).await;
    let lease = relay.quartet().lock("x").ttl(SHORT).acquire().await.unwrap();
    relay.cut();
    let next = server.quartet().lock("x").acquire().await.unwrap();
    assert!(lease.check().unwrap_err().is_lost());
    assert!(next.fencing_token() > lease.fencing_token());
    assert!(lease.release().await.unwrap_err().is_lost());
}

#[tokio::test]
async fn connection_cut_and_back() {
    let server = Server::start(&[]).await;
    let relay = Relay::start(server.target()).await;
    let quartet = relay.quartet();
    let lease = quartet.lock("x").ttl(KEPT).acquire().await.unwrap();
    for _ in 0..3 {
        relay.close_all();
        relay.wait_for_another().await;
    }
    lease.release().await.unwrap();
    assert!(server.held("x").await.is_zero());
    // A waiter keeps its place.
    let first = server.quartet().lock("x").acquire().await.unwrap();
    let waiter = tokio::spawn(async move { quartet.lock("x").acquire().await });
    eventually(async || server.waits("x").await == 1).await;
    relay.close_all();
    relay.wait_for_another().await;
    eventually(async || server.waits("x").await == 1).await;
    let token = first.fencing_token();
    first.release().await.unwrap();
    assert!(waiter.await.unwrap().unwrap().fencing_token() > token);
}

#[tokio::test]
async fn nothing_goes_on_behind_the_end_of_a_session() {
    let server = Server::start(&[]).await;
    let session = server.quartet().session(KEPT, Duration::ZERO).await.unwrap();
    let lease = session.lock("x").acquire().await.unwrap();
    session.close().await.unwrap();
    assert!(matches!(lease.check(), Err(Error::NotHeld)));
    assert_eq!(lease.remaining(), Duration::ZERO);
    assert!(!lease.lost_token().is_cancelled(), "nobody took it away");
    lease.release().await.unwrap();
}

#[tokio::test]
async fn many_idle_connections_that_are_closed_do_not_matter() {
    let server = Server::start(&[]).await;
    let relay = Relay::start(server.target()).await;
    let quartet = relay.quartet();
    let limiter = quartet.limiter("default");
    let (one, two, three) = tokio::join!(limiter.check("a", 1), limiter.check("b", 1), limiter.check("c", 1));
    assert!([one, two, three].iter().all(Result::is_ok));
    relay.close_all();
    quartet.lock("x").acquire().await.unwrap().release().await.unwrap();
}

#[test]
fn a_client_outlives_the_runtime_of_its_first_lease() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    // The server is of a third one, which ends last.
    let third = runtime();
    let server = third.block_on(Server::start(&[]));
    let quartet = server.quartet();
    first.block_on(async { quartet.lock("x").acquire().await.unwrap().release().await.unwrap() });
    drop(first);
    second.block_on(async {
        let lease = quartet.lock("x").ttl(KEPT).acquire().await.unwrap();
        eventually(async || server.held("x").await > KEPT.mul_f64(1.2)).await;
        server.command::<u32>(&["LOCK.FORCE", "x"]).await;
        lease.lost().await;
        assert_eq!(lease.remaining(), Duration::ZERO);
    });
}
