//! A burst of messages whose publisher waits for nothing.

use crate::support::broker::BrokerClient;
use crate::support::process::{Folder, Server};

/// Messages of the burst: more than the 100,000 that nats-server keeps in its queue, behind which it drops them.
const MESSAGES: usize = 120_000;

#[test]
fn a_burst_without_acknowledgements_is_stored_whole() {
    let folder = Folder::new();
    let kept = folder.path().join("kept");
    let kept = kept.to_str().expect("the folder's name is text");
    let server = Server::quartet(&["--broker-port", "0", "--dir", kept]);
    let mut client = BrokerClient::quiet(server.broker_address());
    client.write("SUB _INBOX.> 1\r\n");
    let body = r#"{"name":"B","subjects":["b"]}"#;
    client.write(format!("PUB $JS.API.STREAM.CREATE.B _INBOX.1 {}\r\n{body}\r\n", body.len()));
    client.delivered();
    // One message more is acknowledged, so all others are stored or lost by then.
    let mut burst = "PUB b 16\r\n0123456789012345\r\n".repeat(MESSAGES);
    burst += "PUB b _INBOX.last 4\r\nlast\r\n";
    client.write(burst);
    let told = client.delivered();
    let last = MESSAGES + 1;
    assert_eq!(String::from_utf8_lossy(&told.payload), format!("{{\"stream\":\"B\",\"seq\":{last}}}"));
    client.write("PUB $JS.API.STREAM.INFO.B _INBOX.2 0\r\n\r\n");
    let info: serde_json::Value = serde_json::from_slice(&client.delivered().payload).expect("it is JSON");
    let state = &info["state"];
    assert_eq!(
        (state["messages"].as_u64(), state["last_seq"].as_u64()),
        (Some(last as u64), Some(last as u64))
    );
}
