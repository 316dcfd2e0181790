//! Workloads against the servers that Quartet is compared with.

use crate::support::client::Client;
use crate::support::peers::{nats_server, peer};
use crate::support::process::Server;

use super::{check_count, perform};

#[test]
fn redis_is_asked_in_its_own_words() {
    let Some(program) = peer("redis-server") else { return };
    let server = Server::peer(&program);
    check_count("get --count 500 --keys 50 --pipeline 8", server.address(), 500);
    check_count("lock --count 300 --pipeline 4", server.address(), 300);
    let (table, _) = perform("lock --count 10", server.address()).expect("it has scripts");
    assert!(table.contains("with SET NX PX and a script"), "{table}");
    let figures = check_count("limit --count 300 --keys 1", server.address(), 300);
    assert!(figures["refused"].as_u64().is_some_and(|refused| (100..=200).contains(&refused)), "{figures}");
    let mut client = Client::connect(server.address());
    assert_eq!(client.ask("DBSIZE"), "51");
}

#[test]
fn nats_server_is_driven_as_quartet_is() {
    let Some(program) = nats_server() else { return };
    let server = Server::nats(&program, 0, "jetstream: {}");
    let broker = server.address();
    check_count("fan-out --count 1000 --subscribers 2 --pipeline 100", broker, 2000);
    check_count("request --count 100", broker, 100);
    check_count("store --count 300 --pipeline 8", broker, 300);
    check_count("replay --count 300 --consumers 2", broker, 600);
    check_count("replay --count 300 --acknowledge", broker, 300);
    check_count("replay --count 300 --push", broker, 300);
    check_count("store --count 300 --subjects 10 --message-ids --keep", broker, 300);
    check_count("store --count 100 --subject quartet.bench.stored.one --message-ids", broker, 100);
    check_count("replay --stream quartet-bench --consumers 2", broker, 800);
    check_count("replay --stream quartet-bench --push --count 50", broker, 50);
}
