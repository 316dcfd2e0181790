//! Servers that ask for a password, or are not Quartet, and both versions of the protocol.

use std::process::{Command, Stdio};

use quartet_client::{Error, Quartet};

use crate::servers::{Relay, Server, Target, eventually};

async fn works(quartet: &Quartet) {
    quartet.lock("x").acquire().await.unwrap().release().await.unwrap();
    let session =
        quartet.session(std::time::Duration::from_secs(10), std::time::Duration::ZERO).await.unwrap();
    let lease = session.lock("y").acquire().await.unwrap();
    assert!(lease.fencing_token() > 0);
    session.close().await.unwrap();
    let decision = quartet.limiter("default").check_up_to("key", 2).await.unwrap();
    assert!(decision.taken == 2 && decision.policy.as_deref() == Some("default"));
}

#[tokio::test]
async fn password() {
    let server = Server::start(&["--requirepass", "sesame"]).await;
    works(&Quartet::open(format!("redis://:sesame@127.0.0.1:{}", server.port)).unwrap()).await;
    let wrong = Quartet::open(format!("redis://:wrong@127.0.0.1:{}", server.port)).unwrap();
    assert!(matches!(wrong.lock("x").acquire().await, Err(Error::Redis(_))));
}

#[tokio::test]
async fn both_protocols() {
    let server = Server::start(&[]).await;
    for protocol in ["resp2", "resp3"] {
        works(&Quartet::open(format!("{}/?protocol={protocol}", server.url())).unwrap()).await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_quartet() {
    // It takes only ports that are chosen before, which others may take first: it has a socket at a path, behind a relay.
    let folder = std::env::temp_dir().join(format!("quartet-client-{}-redis", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let started = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--unixsocket"])
        .arg(&path)
        .current_dir(&folder)
        .stdout(Stdio::null())
        .spawn();
    let Ok(mut other) = started else {
        eprintln!("skipped: there is no redis-server");
        return;
    };
    eventually(async || path.exists()).await;
    let relay = Relay::start(Target::Path(path)).await;
    let quartet = relay.quartet();
    let error = quartet.lock("x").acquire().await.map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::NotQuartet { .. }), "{error:?}");
    assert!(error.to_string().contains("give the client the address of a Quartet server"), "{error}");
    assert!(matches!(quartet.limiter("default").check("x", 1).await, Err(Error::NotQuartet { .. })));
    other.kill().unwrap();
    other.wait().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}
