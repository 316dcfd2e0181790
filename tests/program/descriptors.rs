//! The limit on open files is met by refusals and never by a server that hangs or cannot keep what it promises.

use crate::support::broker::BrokerClient;
use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::process::{Folder, Server, limited, wait_for};

/// A server that may open so few files.
fn with_files(limit: usize, arguments: &[&str]) -> Server {
    let rule = format!("ulimit -n {limit}");
    Server::quartet_as(&[&["--threads", "1"], arguments].concat(), |command| limited(&rule, command))
}

/// The value of a setting.
fn setting(client: &mut Client, name: &str) -> usize {
    let reply = client.ask(&format!("CONFIG GET {name}"));
    let value = reply.trim_end_matches(']').rsplit(' ').next().expect("a setting has a value");
    value.parse().expect("it is a number")
}

#[test]
fn clients_beyond_it_are_refused_through_both_doors_and_locks_go_on() {
    let data = Folder::new();
    let path = data.path().join("data").display().to_string();
    let server = with_files(64, &["--http-port", "0", "--dir", &path]);
    let mut first = Client::connect(server.address());
    let (clients, http) = (setting(&mut first, "maxclients"), setting(&mut first, "http-connection-limit"));
    assert!((2..64).contains(&clients) && (1..64).contains(&http), "{clients} {http}");
    let warning = "are lowered to what the limit on open files allows";
    wait_for(|| server.folder().stderr().contains(warning).then_some(()));
    let mut others: Vec<Client> = (1..clients).map(|_| Client::connect(server.address())).collect();
    others.iter_mut().for_each(|client| assert_eq!(client.ask("PING"), "PONG"));
    let mut pages: Vec<Http> = (0..http).map(|_| Http::connect(server.http_address())).collect();
    pages.iter_mut().for_each(|page| assert_eq!(page.get("/health/live").status, 200));
    for _ in 0..20 {
        let refused = Client::connect(server.address()).read_text();
        assert_eq!(refused.as_deref(), Some("-ERR max number of clients reached"));
        let refused = Http::connect(server.http_address()).read("GET").expect("it is refused");
        assert_eq!(refused.status, 503);
    }
    // The journal has its files although all connections are taken.
    for number in 0..100 {
        assert!(first.ask(&format!("LOCK.ACQUIRE {number} ann TTL 60000")).starts_with("[fence, "));
    }
    assert!(!server.folder().stderr().contains("cannot accept"), "{}", server.folder().stderr());
}

#[test]
fn the_broker_refuses_clients_beyond_it_and_the_other_doors_go_on() {
    let server = with_files(100, &["--broker-port", "0", "--http-port", "0"]);
    let mut resp = Client::connect(server.address());
    let most = setting(&mut resp, "broker-connection-limit");
    assert!((1..100).contains(&most), "{most}");
    for _ in 0..2 {
        let connect = || BrokerClient::connect(server.broker_address()).0;
        let mut clients: Vec<BrokerClient> = (0..most).map(|_| connect()).collect();
        for _ in 0..100 {
            assert_eq!(connect().read_to_end(), "-ERR 'maximum connections exceeded'\r\n");
        }
        clients.iter_mut().for_each(BrokerClient::flush);
        assert_eq!(resp.ask("PING"), "PONG");
        assert_eq!(Http::connect(server.http_address()).get("/health/live").status, 200);
        drop(clients);
        wait_for(|| (resp.figure("broker_connections") == 0).then_some(()));
    }
    assert!(!server.folder().stderr().contains("cannot accept"), "{}", server.folder().stderr());
}

#[test]
fn more_clients_than_it_allows_cannot_be_set() {
    let server = with_files(100, &[]);
    let mut client = Client::connect(server.address());
    let most = setting(&mut client, "maxclients");
    let refusal = format!(
        "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system is not able to \
         handle the specified number of clients, try with {most}"
    );
    assert_eq!(client.ask(&format!("CONFIG SET maxclients {}", most + 1)), refusal);
    assert_eq!(client.ask("CONFIG SET maxclients 5"), "OK");
    assert_eq!(client.ask(&format!("CONFIG SET maxclients {most}")), "OK");
}

#[test]
fn the_soft_limit_is_raised() {
    let server = Server::quartet_as(&["--maxclients", "100"], |command| limited("ulimit -Sn 64", command));
    assert_eq!(setting(&mut Client::connect(server.address()), "maxclients"), 100);
}
