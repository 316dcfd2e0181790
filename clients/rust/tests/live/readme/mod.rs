//! The programs of the README are these files, which run.

mod limits;
mod locks;

use crate::servers::Server;

const README: &str = include_str!("../../../README.md");

#[tokio::test]
async fn they_stand_in_the_readme() {
    for program in [include_str!("locks.rs"), include_str!("limits.rs")] {
        let (_, program) = program.split_once("\n\n").unwrap();
        assert!(
            README.contains(&format!("```rust\n{program}```")),
            "the README has not this program:\n{program}"
        );
    }
    assert_eq!(README.matches("```rust\n").count(), 2);
}

#[tokio::test]
async fn locks() {
    let server = Server::start(&[]).await;
    locks::print(&server.quartet()).await.unwrap();
}

#[tokio::test]
async fn limits() {
    let server = Server::start(&[]).await;
    limits::serve(&server.quartet()).await.unwrap();
}
