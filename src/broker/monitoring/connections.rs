//! /connz: the connections of the broker, those that are there and those that have gone.

use std::cmp::Reverse;

use serde::Serialize;

use super::SubscriptionDetail;
use super::text::{round_trip, uptime, wall_time_of};
use crate::client::ClientReport;
use crate::clock::{Now, wall_time};
use crate::command::Services;

/// Makes [`ConnectionOrder`] with its words.
macro_rules! orders {
    ($($(#[$text:meta])* $order:ident = $word:literal,)*) => {
        /// An order of connections.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub enum ConnectionOrder { #[default] $($(#[$text])* $order,)* }

        impl ConnectionOrder {
            /// The words of all orders.
            pub const WORDS: &[&str] = &[$($word),*];

            /// The order of this word.
            pub fn of(word: &str) -> Option<ConnectionOrder> {
                match word {
                    "" => Some(ConnectionOrder::default()),
                    $($word => Some(ConnectionOrder::$order),)*
                    _ => None,
                }
            }
        }
    };
}

orders! {
    /// By number.
    Number = "cid",
    /// The oldest first.
    Start = "start",
    /// Those with the most subscriptions first.
    Subscriptions = "subs",
    /// Those for which most bytes wait first.
    Pending = "pending",
    /// Those that were sent most messages first.
    MessagesOut = "msgs_to",
    /// Those that have published most messages first.
    MessagesIn = "msgs_from",
    /// Those that were sent most bytes first.
    BytesOut = "bytes_to",
    /// Those that have published most bytes first.
    BytesIn = "bytes_from",
    /// Those that have said something last first.
    LastActive = "last",
    /// Those that have said nothing for longest first.
    Idle = "idle",
    /// The youngest first, as in nats-server.
    Uptime = "uptime",
    /// Those that went last first.
    Stop = "stop",
    /// By the reason why they went.
    Reason = "reason",
    /// Those that take longest to answer a ping first.
    RoundTrip = "rtt",
}

impl ConnectionOrder {
    fn sort(self, connections: &mut [ClientReport], now: u64) {
        let end = |report: &ClientReport| report.end.map_or(now, |(time, _)| time);
        match self {
            ConnectionOrder::Number => connections.sort_by_key(|report| report.id),
            ConnectionOrder::Start => connections.sort_by_key(|report| report.connected_at),
            ConnectionOrder::Subscriptions => connections.sort_by_key(|report| Reverse(report.subscriptions)),
            ConnectionOrder::Pending => connections.sort_by_key(|report| Reverse(report.pending_bytes)),
            ConnectionOrder::MessagesOut => connections.sort_by_key(|report| Reverse(report.sent.messages)),
            ConnectionOrder::MessagesIn => {
                connections.sort_by_key(|report| Reverse(report.published.messages))
            }
            ConnectionOrder::BytesOut => connections.sort_by_key(|report| Reverse(report.sent.bytes)),
            ConnectionOrder::BytesIn => connections.sort_by_key(|report| Reverse(report.published.bytes)),
            ConnectionOrder::LastActive => connections.sort_by_key(|report| Reverse(report.last_active)),
            ConnectionOrder::Idle => connections.sort_by_key(|report| report.last_active),
            ConnectionOrder::Uptime => {
                connections.sort_by_key(|report| end(report).saturating_sub(report.connected_at));
            }
            ConnectionOrder::Stop => connections.sort_by_key(|report| Reverse(end(report))),
            ConnectionOrder::Reason => {
                connections.sort_by_key(|report| report.end.map(|(_, reason)| reason.text()));
            }
            ConnectionOrder::RoundTrip => connections.sort_by_key(|report| Reverse(report.round_trip)),
        }
    }

    /// Whether it is an order of connections that have gone.
    pub fn is_of_closed(self) -> bool {
        matches!(self, ConnectionOrder::Stop | ConnectionOrder::Reason)
    }
}

/// Which connections to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ConnectionState {
    /// Those that are there.
    #[default]
    Open,
    /// Those that have gone.
    Closed,
    /// Both.
    Any,
}

/// What to show of a connection's subscriptions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SubscriptionsShown {
    /// Their number.
    #[default]
    Number,
    /// Their subjects.
    Subjects,
    /// Everything.
    Details,
}

/// What to show.
#[derive(Clone, Debug, Default)]
pub struct ConnectionsQuery {
    /// Only the connection of this number.
    pub number: Option<u64>,
    /// Only these.
    pub state: ConnectionState,
    /// The order.
    pub order: ConnectionOrder,
    /// What to show of subscriptions.
    pub subscriptions: SubscriptionsShown,
    /// Whether to show as whom a client has authenticated.
    pub users: bool,
    /// Connections to pass over.
    pub offset: usize,
    /// Most connections to show.
    pub limit: usize,
}

/// The page.
#[derive(Serialize, Debug)]
pub struct ConnectionsPage {
    server_id: String,
    now: String,
    num_connections: usize,
    total: usize,
    offset: usize,
    limit: usize,
    connections: Vec<Connection>,
}

/// A connection.
#[derive(Serialize, Debug)]
struct Connection {
    cid: u64,
    kind: &'static str,
    r#type: &'static str,
    ip: String,
    port: u16,
    start: String,
    last_activity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt: Option<String>,
    uptime: String,
    idle: String,
    pending_bytes: usize,
    in_msgs: u64,
    out_msgs: u64,
    in_bytes: u64,
    out_bytes: u64,
    subscriptions: usize,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    lang: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorized_user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions_list: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions_list_detail: Option<Vec<SubscriptionDetail>>,
}

impl ConnectionsPage {
    /// The page now.
    pub fn new(services: &Services, query: &ConnectionsQuery, now: Now) -> ConnectionsPage {
        let mut reports = Vec::new();
        if query.state != ConnectionState::Closed {
            let open = services.clients.of_broker();
            reports.extend(open.iter().filter_map(|client| ClientReport::of(client)));
        }
        if query.state != ConnectionState::Open {
            reports.extend(services.clients.closed.reports());
        }
        let total = reports.len();
        if let Some(number) = query.number {
            reports.retain(|report| report.id == number);
        }
        query.order.sort(&mut reports, now.millis());
        let shown = reports.into_iter().skip(query.offset).take(query.limit);
        let connections: Vec<_> = shown.map(|report| Connection::of(report, services, query, now)).collect();
        ConnectionsPage {
            server_id: services.announcement.server_id.clone(),
            now: wall_time(now.wall_micros()),
            num_connections: connections.len(),
            total,
            offset: query.offset,
            limit: query.limit,
            connections,
        }
    }
}

impl Connection {
    fn of(report: ClientReport, services: &Services, query: &ConnectionsQuery, now: Now) -> Connection {
        let address = report.address;
        let end = report.end.map_or(now.millis(), |(time, _)| time);
        let seconds_since = |time: u64| uptime(end.saturating_sub(time) / 1000);
        let mut connection = Connection {
            cid: report.id,
            kind: "Client",
            r#type: report.door.client_type(),
            ip: address.ip().to_canonical().to_string(),
            port: address.port(),
            start: wall_time_of(report.connected_at, now),
            last_activity: wall_time_of(report.last_active, now),
            stop: report.end.map(|(time, _)| wall_time_of(time, now)),
            reason: report.end.map(|(_, reason)| reason.text()),
            rtt: report.round_trip.map(round_trip),
            uptime: seconds_since(report.connected_at),
            idle: seconds_since(report.last_active),
            pending_bytes: report.pending_bytes,
            in_msgs: report.published.messages,
            out_msgs: report.sent.messages,
            in_bytes: report.published.bytes,
            out_bytes: report.sent.bytes,
            subscriptions: report.subscriptions,
            name: report.identity.name,
            lang: report.identity.library_name,
            version: report.identity.library_version,
            authorized_user: Some(report.identity.user).filter(|user| query.users && !user.is_empty()),
            subscriptions_list: None,
            subscriptions_list_detail: None,
        };
        connection.add_subscriptions(services, query.subscriptions);
        connection
    }

    fn add_subscriptions(&mut self, services: &Services, shown: SubscriptionsShown) {
        if shown == SubscriptionsShown::Number {
            return;
        }
        let client = services.clients.get(self.cid);
        let Some(facts) = client.as_ref().and_then(|client| client.broker()) else { return };
        let subscriptions = facts.subscriptions();
        let details = subscriptions.iter().map(|subscription| SubscriptionDetail::of(subscription, None));
        if shown == SubscriptionsShown::Details {
            self.subscriptions_list_detail = Some(details.collect());
        } else {
            self.subscriptions_list = Some(details.map(|detail| detail.subject).collect());
        }
    }
}
