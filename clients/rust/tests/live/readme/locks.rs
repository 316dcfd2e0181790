//! The README's program about locks.

use std::time::Duration;

use quartet_client::{Error, Quartet};

// Quartet::open("redis://localhost:6379")?, or Quartet::new with a client of redis-rs: password and TLS as it has them.
pub(crate) async fn print(quartet: &Quartet) -> Result<(), Error> {
    let printer = quartet.lock("printer").ttl(Duration::from_secs(30));
    let printed = printer
        .hold(async |lease| {
            println!("write with the fencing token {}", lease.fencing_token());
            for page in 0..3 {
                lease.check()?; // before each step that matters and does not wait
                // A write that the server refuses if the lock has gone to others.
                lease.fenced_set(&format!("page:{page}"), b"printed", None).await?;
            }
            Ok(())
        })
        .await;
    match printed {
        Err(Error::Lost { reason, .. }) => println!("somebody else may have printed meanwhile: {reason}"),
        other => other?,
    }

    // Without a block: release() says whether it was held until then; a lease that is only dropped is given back as well.
    let lease = printer.clone().wait(Duration::from_secs(5)).acquire().await?; // Error::NotAcquired after five seconds
    assert!(matches!(printer.try_acquire().await, Err(Error::NotAcquired)));
    tokio::select! {
        () = lease.lost() => println!("lost"),
        () = tokio::time::sleep(Duration::from_millis(1)) => println!("done"),
    }
    lease.release().await?;

    let both = quartet.lock_all(["account:1", "account:2"]).acquire().await?; // or none, so that no deadlock arises
    let catalogue = quartet.lock("catalogue").shared().owner(both.owner()).acquire().await?; // with other readers
    let download = quartet.semaphore("downloads", 4).acquire().await?; // one of four permits
    drop((download, catalogue, both));

    // A session keeps any number of locks with one ping, and frees them all at its end.
    let session = quartet.session(Duration::from_secs(10), Duration::ZERO).await?;
    for shard in 0..3 {
        let lease = session.lock(format!("shard:{shard}")).acquire().await?;
        lease.check()?;
    }
    session.close().await
}
