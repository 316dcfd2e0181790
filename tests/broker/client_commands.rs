//! CLIENT LIST and CLIENT KILL of RESP know the clients of the broker, those of WebSockets too.

use std::collections::BTreeMap;

use crate::support::broker::BrokerClient;
use crate::support::client::Client;
use crate::support::process::{Server, wait_for};
use crate::support::websocket::{BINARY, TEXT, WebSocket};

/// A client of the broker, as long as it is there.
enum Guest {
    Broker { _client: BrokerClient },
    WebSocket { _socket: WebSocket },
}

/// Has a client come in as this user with this password.
type Enter = fn(&Server, &str, &str) -> Guest;

/// The ways in, each with the name of the door in lists.
const WAYS: &[(&str, Enter)] = &[("broker", by_broker), ("websocket", by_frames), ("websocket", by_json)];

fn server() -> Server {
    let users = "[{ name = 'ann', password = 'sesame' }, { name = 'bob', password = 'bread' }]";
    let doors = ["--http-port", "0", "--broker-port", "0"];
    Server::quartet(&[&doors[..], &["--requirepass", "secret", "--users", users]].concat())
}

fn operator(server: &Server) -> Client {
    let mut operator = Client::connect(server.address());
    assert_eq!(operator.ask("AUTH secret"), "OK");
    operator
}

/// Comes in with the name `guest`, and subscribes to two subjects.
fn by_broker(server: &Server, user: &str, password: &str) -> Guest {
    let (mut client, _) = BrokerClient::connect(server.broker_address());
    client.write(format!("{}SUB a 1\r\nSUB b.* 2\r\n", connect(user, password)));
    client.flush();
    Guest::Broker { _client: client }
}

fn by_frames(server: &Server, user: &str, password: &str) -> Guest {
    let mut socket = WebSocket::open(server.http_address(), &[]).expect("it is taken");
    socket.send(BINARY, format!("{}SUB a 1\r\nSUB b.* 2\r\nPING\r\n", connect(user, password)));
    socket.stream_until("PONG\r\n");
    Guest::WebSocket { _socket: socket }
}

fn by_json(server: &Server, user: &str, password: &str) -> Guest {
    let protocol = [("Sec-WebSocket-Protocol", "quartet.json")];
    let mut socket = WebSocket::open(server.http_address(), &protocol).expect("it is taken");
    let connect = format!(r#"{{"op":"connect","user":"{user}","pass":"{password}","name":"guest"}}"#);
    let subscribe = [r#"{"op":"subscribe","subject":"a"}"#, r#"{"op":"subscribe","subject":"b.*"}"#];
    for request in [connect.as_str(), subscribe[0], subscribe[1]] {
        socket.send(TEXT, request);
        let (first, answer) = socket.frame();
        assert_eq!(first, TEXT, "{answer:?}");
    }
    Guest::WebSocket { _socket: socket }
}

fn connect(user: &str, password: &str) -> String {
    format!(
        "CONNECT {{\"verbose\":false,\"name\":\"guest\",\"user\":\"{user}\",\"pass\":\"{password}\"}}\r\n"
    )
}

/// The fields of the clients of the broker that CLIENT LIST shows.
fn guests(operator: &mut Client, filter: &str) -> Vec<BTreeMap<String, String>> {
    let list = operator.ask(&format!("CLIENT LIST {filter}"));
    let fields = |line: &str| {
        let fields = line.split_whitespace().filter_map(|field| field.split_once('='));
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    list.lines().map(fields).filter(|fields: &BTreeMap<_, _>| fields.contains_key("listener")).collect()
}

/// Waits until no client of the broker is connected.
fn wait_for_nobody(operator: &mut Client) {
    let figures = ["broker_connections", "broker_websocket_connections"];
    wait_for(|| figures.iter().all(|name| operator.figure(name) == 0).then_some(()));
}

#[test]
fn clients_of_the_broker_are_listed() {
    let server = server();
    let mut operator = operator(&server);
    for (door, enter) in WAYS {
        let _guest = enter(&server, "ann", "sesame");
        let listed = guests(&mut operator, "");
        assert_eq!(listed.len(), 1, "{listed:?}");
        let of = |field: &str| listed[0].get(field).map_or("", String::as_str);
        assert_eq!(
            ["listener", "user", "name", "flags", "sub", "psub", "ssub", "multi", "resp"].map(of),
            [door, "ann", "guest", "P", "1", "1", "0", "-1", "0"]
        );
        assert_eq!(guests(&mut operator, "TYPE pubsub"), listed);
        assert_eq!(guests(&mut operator, "TYPE normal"), []);
        assert_eq!(guests(&mut operator, &format!("ID {}", of("id"))), listed);
        assert_eq!(operator.ask(&format!("CLIENT KILL ID {}", of("id"))), "1");
        assert_eq!(guests(&mut operator, ""), [], "a client that was killed is not listed");
        wait_for_nobody(&mut operator);
    }
}

#[test]
fn every_way_of_naming_clients_finds_those_of_the_broker() {
    let server = server();
    let mut operator = operator(&server);
    // A field of CLIENT LIST stands for its value.
    let filters = [
        "ID id",
        "ADDR addr",
        "LADDR laddr",
        "TYPE pubsub",
        "USER ann",
        "USER ann ID id ADDR addr LADDR laddr TYPE pubsub SKIPME no",
    ];
    let others = [
        "ID 123456789",
        "ADDR laddr",
        "LADDR addr",
        "TYPE normal",
        "USER bob",
        "USER default",
        "USER ann TYPE normal",
        "MAXAGE 1000",
    ];
    for (_, enter) in WAYS {
        for filter in filters {
            let _guest = enter(&server, "ann", "sesame");
            let fields = guests(&mut operator, "").remove(0);
            let filled = |filter: &str| {
                let words = filter.split(' ').map(|word| fields.get(word).map_or(word, String::as_str));
                format!("CLIENT KILL {}", words.collect::<Vec<_>>().join(" "))
            };
            for other in others {
                assert_eq!(operator.ask(&filled(other)), "0", "{other}");
            }
            assert_eq!(operator.ask(&filled(filter)), "1", "{filter}");
            wait_for_nobody(&mut operator);
        }
        let _guest = enter(&server, "bob", "bread");
        let address = guests(&mut operator, "").remove(0)["addr"].clone();
        assert_eq!(operator.ask(&format!("CLIENT KILL {address}")), "OK");
        wait_for_nobody(&mut operator);
    }
    assert_eq!(operator.ask("CLIENT KILL USER carl"), "-ERR No such user 'carl'");
}

#[test]
fn clients_of_one_user_are_killed_by_whatever_door_they_came() {
    let server = server();
    let mut operator = operator(&server);
    let enter_all =
        |user, password| WAYS.iter().map(|(_, enter)| enter(&server, user, password)).collect::<Vec<_>>();
    let _guests = [enter_all("ann", "sesame"), enter_all("bob", "bread"), enter_all("default", "secret")];
    assert_eq!(operator.ask("CLIENT KILL USER ann"), "3");
    assert_eq!(operator.ask("CLIENT KILL USER default"), "3", "it spares the one who asks");
    let left: Vec<_> =
        guests(&mut operator, "").into_iter().map(|mut fields| fields.remove("user")).collect();
    assert_eq!(left, vec![Some("bob".to_owned()); 3]);
    // A subscriber that may give commands is of the same type as the clients of the broker.
    let mut subscriber = Client::connect(server.address());
    assert_eq!(subscriber.ask("AUTH secret"), "OK");
    subscriber.hello();
    subscriber.ask("SUBSCRIBE a");
    assert_eq!(subscriber.ask("CLIENT KILL TYPE pubsub SKIPME yes USER bob"), "3");
    let _guest = by_json(&server, "ann", "sesame");
    assert_eq!(subscriber.ask("CLIENT KILL TYPE pubsub SKIPME no"), "2");
    wait_for_nobody(&mut operator);
}

#[test]
fn clients_of_an_age_are_killed() {
    let server = server();
    let mut operator = operator(&server);
    let _guests: Vec<_> = WAYS.iter().map(|(_, enter)| enter(&server, "ann", "sesame")).collect();
    wait_for(|| guests(&mut operator, "").iter().all(|guest| guest["age"] != "0").then_some(()));
    assert_eq!(operator.ask("CLIENT KILL MAXAGE 1"), "3");
    wait_for_nobody(&mut operator);
}
