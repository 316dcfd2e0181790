//! What events tell about a client that comes, goes or has sent a request.

use serde::Serialize;

/// The account in which nats-server has everybody, as clients expect it in events.
pub const ACCOUNT: &str = "$G";

/// Facts of a client, under the names and in the order of nats-server.  A fact that the server does not know is left out, as there.
#[derive(Clone, Default, Debug, Serialize)]
pub struct Sender {
    /// When it connected, as RFC 3339 writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The address it came from.
    #[serde(rename = "host", skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// Its number.
    #[serde(rename = "id", skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Its account.
    #[serde(rename = "acc")]
    pub account: &'static str,
    /// The user as whom it has authenticated.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// What it has told about itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The language, or the library, that it is written with.
    #[serde(rename = "lang", skip_serializing_if = "String::is_empty")]
    pub language: String,
    /// The version of that.
    #[serde(rename = "ver", skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// How long it took to answer the last ping, in nanoseconds.
    #[serde(rename = "rtt", skip_serializing_if = "Option::is_none")]
    pub round_trip: Option<u64>,
    /// The server that it is connected to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// When it has gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<String>,
    /// `Client`; empty for the server itself.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub kind: &'static str,
    /// What it speaks.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub client_type: &'static str,
}
