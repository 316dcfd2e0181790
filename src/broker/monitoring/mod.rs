//! The broker as its operators see it, in the shape in which nats-server tells it: nats-top and dashboards read that.
//!
//! Fields that mean nothing here are as nats-server has them while it does not use the thing: zero, or left out.

mod connections;
mod server;
mod streams;
mod subscriptions;
mod text;

pub use connections::{
    ConnectionOrder, ConnectionState, ConnectionsPage, ConnectionsQuery, SubscriptionsShown,
};
pub use server::ServerPage;
pub use streams::{StreamsPage, StreamsQuery};
pub use subscriptions::{SubscriptionsPage, SubscriptionsQuery};

use serde::Serialize;

use crate::delivery::Subscription;

/// Most connections or subscriptions on a page, unless the request says otherwise.
pub const LIMIT: usize = 1024;

/// A subscription.
#[derive(Serialize, Debug)]
struct SubscriptionDetail {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_tag: Option<&'static str>,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    qgroup: Option<String>,
    sid: String,
    msgs: u64,
    cid: u64,
}

impl SubscriptionDetail {
    fn of(subscription: &Subscription, account: Option<&'static str>) -> SubscriptionDetail {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        SubscriptionDetail {
            account,
            account_tag: account,
            subject: text(subscription.topic().text()),
            qgroup: subscription.options().group.as_deref().map(text),
            sid: text(&subscription.options().id),
            msgs: subscription.delivered(),
            cid: subscription.outbox().id(),
        }
    }
}
