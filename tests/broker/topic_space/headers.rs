//! Header blocks that are none, from a client of NATS, as clients of the other listeners meet them.

use super::receivers::Receiver;
use super::server;
use crate::support::broker::BrokerClient;
use crate::support::http::Http;

/// Blocks that nobody checks on their way from one NATS client to another.
fn blocks() -> Vec<Vec<u8>> {
    let texts = [
        "hello",
        "\r\n\r\n",
        "NATS/1.0",
        "NATS/1.0\r\n",
        "NATS/1.0\r\nA b\r\n\r\n",
        "NATS/1.0\r\nA: b",
        "NATS/1.0\r\n: b\r\n\r\n",
        "NATS/1.0\r\nA:\r\n\r\n",
        "NATS/1.0\r\nA: b\nC: d\r\n\r\n",
        "NATS/1.0\r\nA: b\rC: d\r\n\r\n",
        "NATS/1.0\r\nA\0: b\0\r\n\r\n",
        "NATS/1.0\r\n A : b \r\n\r\n",
        "NATS/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        "NATS/1.0\r\nContent-Type: \r\n\r\n",
        "NATS/1.0\r\nX-Frame-Options: none\r\nX-Content-Type-Options: none\r\nX-Request-Id: none\r\n\r\n",
        "NATS/1.0\r\nContent-Type: a\x7f\r\n\r\n",
        "NATS/1.0 99999999999999999999 x\r\n\r\n",
        "NATS/1.0 \r\n\r\n",
        "NATS/1.0\r\nA: b\r\n\r\nB: c\r\n\r\n",
        "NATS/2.0\r\nA: b\r\n\r\n",
    ];
    let mut blocks: Vec<Vec<u8>> = texts.map(Vec::from).to_vec();
    blocks.push(b"NATS/1.0\r\nA\xff: \xff\xfe\r\n\r\n".to_vec());
    blocks.push([b"NATS/1.0\r\n", "A: b\r\n".repeat(10_000).as_bytes(), b"\r\n"].concat());
    blocks.push([b"NATS/1.0\r\nA: ", vec![b'x'; 200_000].as_slice(), b"\r\n\r\n"].concat());
    blocks
}

/// HPUB of such a block and a short payload.
fn publish(client: &mut BrokerClient, subject: &str, block: &[u8]) {
    let line = format!("HPUB {subject} {} {}\r\n", block.len(), block.len() + 2);
    client.write([line.as_bytes(), block, b"hi\r\n"].concat());
}

#[test]
fn blocks_that_are_none_spoil_no_form() {
    let server = server();
    let mut receivers = [
        Receiver::nats_without_headers(&server, "news"),
        Receiver::json(&server, "news"),
        Receiver::events(&server, "/news"),
        Receiver::lines(&server, "/news"),
        Receiver::resp(&server, b"news"),
        Receiver::resp_glob(&server, "*"),
    ];
    let mut client = BrokerClient::quiet(server.broker_address());
    for block in blocks() {
        publish(&mut client, "news", &block);
        for (number, receiver) in receivers.iter_mut().enumerate() {
            let payload = receiver.next().payload;
            assert_eq!(payload, b"hi", "{number}: {:.100}", String::from_utf8_lossy(&block));
        }
    }
}

#[test]
fn answers_with_such_blocks_stay_responses() {
    let server = server();
    let mut service = BrokerClient::quiet(server.broker_address());
    service.write("SUB service 1\r\n");
    service.flush();
    let mut http = Http::connect(server.http_address());
    for block in blocks() {
        http.write(b"POST /request/service HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        let inbox = service.delivered().reply;
        publish(&mut service, &inbox, &block);
        // The connection is kept, so nothing of the block has become the end of a head or a length.
        let response = http.read("POST").expect("it is answered");
        assert_eq!((response.status, response.text()), (200, "hi"), "{}", String::from_utf8_lossy(&block));
        let ours = ["x-frame-options", "x-content-type-options"].map(|name| response.header(name));
        assert_eq!(ours, [Some("DENY"), Some("nosniff")]);
    }
}
