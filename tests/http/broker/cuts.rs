//! An EventSource whose connection is cut again and again while messages come, in every way in which that happens.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use socket2::{Domain, Socket, Type};

use crate::support::broker::BrokerClient;
use crate::support::client::{Client, text};
use crate::support::http::Http;
use crate::support::process::{Server, wait_for};

const CUTS: usize = 100;

/// Bytes that a message has at least: a few hundred fill what sockets and outbox of a feed hold.
const LENGTH: usize = 8_000;

/// What becomes of a connection.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// It ends within the head of the request.
    InRequest,
    /// It ends before anything is read.
    BeforeResponse,
    /// It ends within a message, at this byte of the response.
    At(usize),
    /// A proxy closes its sending side, as it does when its own client is gone, and reads on.
    HalfClosed(usize),
    /// Nobody reads until messages wait in the server; then the connection is reset.
    Stalled,
}

impl Cut {
    fn of_round(round: usize) -> Cut {
        // Spread over several messages, and never twice the same place.
        let place = round * 7_919 % (4 * LENGTH);
        match round % 5 {
            0 => Cut::InRequest,
            1 => Cut::BeforeResponse,
            2 => Cut::At(place),
            3 => Cut::HalfClosed(place),
            _ => Cut::Stalled,
        }
    }
}

/// An EventSource, which takes little at a time.
fn connect(server: &Server) -> TcpStream {
    let address = server.http_address();
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("there are sockets");
    socket.set_recv_buffer_size(4096).expect("it may be small");
    socket.connect(&address.into()).expect("the server listens");
    socket.into()
}

/// Subscribes, and is cut.
fn subscribe_and_cut(server: &Server, cut: Cut, resp: &mut Client) {
    let socket = connect(server);
    let handle = socket.try_clone().expect("the socket is open");
    let mut http = Http::over(socket);
    // Whoever may miss nothing is disconnected by the server instead.
    let request = "GET /subscribe/news?slow-consumer=drop-oldest HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let sent = if matches!(cut, Cut::InRequest) { request.len() - 3 } else { request.len() };
    http.write(&request.as_bytes()[..sent]);
    match cut {
        Cut::InRequest | Cut::BeforeResponse => {}
        Cut::At(place) => {
            http.read_exact(place);
        }
        Cut::HalfClosed(place) => {
            http.read_exact(place);
            handle.shutdown(Shutdown::Write).expect("the connection stands");
            http.read_to_end();
        }
        Cut::Stalled => {
            http.read_until("\r\n\r\n");
            wait_for(|| (resp.figure("broker_waiting_bytes") > 0).then_some(()));
            Socket::from(handle).set_linger(Some(std::time::Duration::ZERO)).expect("the option exists");
        }
    }
}

/// Reads numbered messages in their order up to the last; their count.
fn read_all(mut subscriber: BrokerClient) -> usize {
    for number in 0.. {
        let payload = subscriber.delivered().payload;
        if payload == b"end" {
            return number;
        }
        let text = String::from_utf8(payload).expect("it is text");
        assert_eq!(text.split(' ').next(), Some(number.to_string().as_str()));
    }
    unreachable!("there are not so many numbers")
}

#[test]
fn an_event_source_that_is_cut_a_hundred_times_leaves_nothing_behind() {
    let server = Server::quartet(&["--http-port", "0", "--broker-port", "0"]);
    let (mut resp, mut publisher) = (Client::connect(server.address()), Client::connect(server.address()));
    let mut steady = BrokerClient::quiet(server.broker_address());
    steady.write("SUB news 1\r\n");
    steady.flush();
    let mut http = Http::connect(server.http_address());
    let mut gauges = |resp: &mut Client| {
        let page = http.get("/metrics");
        let gauge = |name: &str| {
            let line = page.text().lines().find(|line| line.starts_with(name)).expect("it is there");
            line.rsplit(' ').next().expect("it has a value").to_owned()
        };
        let connections = gauge("quartet_connections{listener=\"http\"}");
        let listed = http.get("/subjects/news/subscribers").json()["count"].clone();
        (connections, listed, resp.figure("broker_subscriptions"), resp.figure("broker_waiting_bytes"))
    };
    let before = gauges(&mut resp);
    assert_eq!(before, ("1".to_owned(), 1.into(), 1, 0));

    let is_over = AtomicBool::new(false);
    let (published, received) = thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            let mut published = 0;
            while !is_over.load(Relaxed) {
                let payload = format!("{published} {}", "x".repeat(LENGTH));
                let receivers = text(&publisher.call(&["PUBLISH", "news", payload.as_str()]));
                assert!(receivers.parse::<usize>().is_ok_and(|count| count > 0), "{receivers}");
                published += 1;
            }
            publisher.ask("PUBLISH news end");
            published
        });
        let reading = scope.spawn(|| read_all(steady));
        (0..CUTS).for_each(|round| subscribe_and_cut(&server, Cut::of_round(round), &mut resp));
        is_over.store(true, Relaxed);
        (publishing.join().expect("it publishes"), reading.join().expect("it reads"))
    });
    assert_eq!(received, published, "the steady subscriber has them all");

    let left = ("1".to_owned(), 0.into(), 0, 0);
    wait_for(|| (gauges(&mut resp) == left).then_some(()));
}
