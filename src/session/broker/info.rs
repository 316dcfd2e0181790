//! INFO: what the server tells a client about itself.

use std::net::SocketAddr;

use quartet_protocol::broker::write;
use quartet_protocol::buffer::Buffer;
use serde::Serialize;

use crate::broker::announcement::{NATS_VERSION, SERVER_NAME};
use crate::broker::authentication;
use crate::command::Services;
use crate::delivery::ACCOUNT;
use crate::stream::api::API_LEVEL;

/// The fields in the order of nats-server.
#[derive(Serialize)]
struct Info<'i> {
    server_id: &'i str,
    server_name: &'i str,
    version: &'i str,
    proto: u8,
    /// Names the version of Go; clients want it to be there.
    go: &'i str,
    host: String,
    port: u16,
    headers: bool,
    #[serde(skip_serializing_if = "is_false")]
    auth_required: bool,
    max_payload: usize,
    #[serde(skip_serializing_if = "is_false")]
    ldm: bool,
    jetstream: bool,
    client_id: u64,
    client_ip: String,
    #[serde(skip_serializing_if = "is_false")]
    connect_info: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_account: Option<&'i str>,
    /// The level of the streams' API, which tells clients what they may ask for.
    api_lvl: u32,
}

/// Which INFO it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Occasion {
    /// The connection has just begun, or what it says has changed.
    Greeting,
    /// The client has said CONNECT, and its first PING was answered.
    Connected,
}

/// Writes INFO for the client with this number, with the address it came from and the one that it connected to.
pub(super) fn write(
    output: &mut Buffer,
    services: &Services,
    occasion: Occasion,
    client: u64,
    (address, local_address): (SocketAddr, SocketAddr),
) {
    let settings = services.settings.current();
    let is_connected = occasion == Occasion::Connected;
    let info = Info {
        server_id: &services.announcement.server_id,
        server_name: SERVER_NAME,
        version: NATS_VERSION,
        proto: 1,
        go: "none",
        host: local_address.ip().to_string(),
        port: local_address.port(),
        headers: true,
        auth_required: authentication::is_required(&settings),
        max_payload: settings.broker_max_payload,
        ldm: services.announcement.is_ending(),
        jetstream: true,
        client_id: client,
        client_ip: address.ip().to_canonical().to_string(),
        connect_info: is_connected,
        remote_account: is_connected.then_some(ACCOUNT),
        api_lvl: API_LEVEL,
    };
    let json = serde_json::to_vec(&info).expect("it holds nothing that JSON cannot say");
    write::info(output, &json);
}

fn is_false(value: &bool) -> bool {
    !value
}
