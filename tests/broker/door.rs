//! Clients come in, publish, subscribe, and are turned away.

use crate::support::broker::BrokerClient;
use crate::support::client::Client;
use crate::support::process::Server;

/// A server whose broker listens too.
pub(super) fn server(arguments: &[&str]) -> Server {
    Server::quartet(&[&["--broker-port", "0"], arguments].concat())
}

#[test]
fn messages_go_to_subscribers_of_all_doors() {
    let server = server(&[]);
    let mut subscriber = BrokerClient::quiet(server.broker_address());
    subscriber.write("SUB news.* 1\r\n");
    subscriber.flush();
    let mut publisher = BrokerClient::quiet(server.broker_address());
    publisher.write("PUB news.today 5\r\nhello\r\nPUB other 1\r\nx\r\n");
    publisher.write("HPUB news.late answers 21 24\r\nNATS/1.0\r\nName: v\r\n\r\nyes\r\n");
    publisher.flush();
    subscriber.expect("MSG news.today 1 5\r\nhello\r\n");
    subscriber.expect("HMSG news.late 1 answers 21 24\r\nNATS/1.0\r\nName: v\r\n\r\nyes\r\n");
    let mut redis = Client::connect(server.address());
    assert_eq!(redis.ask("PUBLISH news.more again"), "1");
    subscriber.expect("MSG news.more 1 5\r\nagain\r\n");
    assert_eq!(redis.ask("SUBSCRIBE news.today"), "[subscribe, news.today, 1]");
    publisher.write("PUB news.today 2\r\nme\r\n");
    assert_eq!(redis.read_text().as_deref(), Some("[message, news.today, me]"));
}

#[test]
fn info_comes_first_and_again_after_the_first_pong() {
    let server = server(&["--broker-max-payload", "2mb"]);
    let (mut client, info) = BrokerClient::connect(server.broker_address());
    let address = server.broker_address();
    let expected = serde_json::json!({
        "server_id": info["server_id"], "server_name": "quartet", "version": "2.11.9", "proto": 1, "go": "none",
        "host": address.ip().to_string(), "port": address.port(), "headers": true, "max_payload": 2 << 20,
        "client_id": info["client_id"], "client_ip": "127.0.0.1", "jetstream": true, "api_lvl": 1,
    });
    assert_eq!(info, expected);
    assert_eq!(info["server_id"].as_str().map(|id| (id.len(), id.starts_with('N'))), Some((56, true)));
    client.check("CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n", "PONG\r\n");
    let second = client.read_info();
    assert_eq!((&second["connect_info"], &second["remote_account"]), (&true.into(), &"$G".into()));
    client.flush();
}

#[test]
fn a_client_beyond_the_limit_is_told_so() {
    let server = server(&["--broker-connection-limit", "1"]);
    let (_first, _) = BrokerClient::connect(server.broker_address());
    let (mut second, _) = BrokerClient::connect(server.broker_address());
    assert_eq!(second.read_to_end(), "-ERR 'maximum connections exceeded'\r\n");
    // Other doors have limits of their own.
    assert_eq!(Client::connect(server.address()).ask("PING"), "PONG");
}

#[test]
fn a_password_is_asked_for() {
    let server = server(&["--requirepass", "sesame"]);
    let (mut client, info) = BrokerClient::connect(server.broker_address());
    assert_eq!(info["auth_required"], true);
    client.write("CONNECT {\"verbose\":false,\"pass\":\"sesame\"}\r\n");
    client.flush();
    for wrong in ["PING\r\n", "CONNECT {}\r\n", "CONNECT {\"user\":\"other\",\"pass\":\"sesame\"}\r\n"] {
        let (mut client, _) = BrokerClient::connect(server.broker_address());
        client.write(wrong);
        assert_eq!(client.read_to_end(), "-ERR 'Authorization Violation'\r\n", "{wrong}");
    }
}

#[test]
fn a_client_that_gives_no_password_is_cut_off() {
    let server = server(&["--requirepass", "sesame", "--broker-auth-timeout", "1"]);
    let (mut client, _) = BrokerClient::connect(server.broker_address());
    assert_eq!(client.read_to_end(), "-ERR 'Authentication Timeout'\r\n");
}

#[test]
fn a_silent_client_is_pinged_and_then_stale() {
    let server = server(&["--broker-ping-interval", "1", "--broker-max-pings-out", "2"]);
    let (mut client, _) = BrokerClient::connect(server.broker_address());
    assert_eq!(client.read_to_end(), "PING\r\nPING\r\n-ERR 'Stale Connection'\r\n");
}
