//! /subsz: the subscriptions of the broker.

use serde::Serialize;

use super::SubscriptionDetail;
use crate::clock::{Now, wall_time};
use crate::command::Services;
use crate::delivery::ACCOUNT;

/// What to show.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionsQuery {
    /// Whether to list subscriptions.
    pub lists: bool,
    /// Only those that match this subject.
    pub subject: Option<String>,
    /// Subscriptions to pass over.
    pub offset: usize,
    /// Most subscriptions to list.
    pub limit: usize,
}

/// The page.
#[derive(Serialize, Debug)]
pub struct SubscriptionsPage {
    server_id: String,
    now: String,
    num_subscriptions: usize,
    num_cache: usize,
    num_inserts: u64,
    num_removes: u64,
    num_matches: u64,
    cache_hit_rate: f64,
    max_fanout: usize,
    avg_fanout: f64,
    total: usize,
    offset: usize,
    limit: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions_list: Option<Vec<SubscriptionDetail>>,
}

impl SubscriptionsPage {
    /// The page now.  Subscriptions of all listeners are on it; those of other listeners than the broker's have no `sid`.
    pub fn new(services: &Services, query: &SubscriptionsQuery, now: Now) -> SubscriptionsPage {
        let interest = &services.fan_out.channels;
        let report = interest.report();
        let (total, listed) = match &query.subject {
            _ if !query.lists => (0, None),
            None => (report.subscriptions, Some(interest.subscriptions(query.offset, query.limit))),
            Some(subject) => {
                let found = interest.subscribers_of(subject.as_bytes());
                let total = found.len();
                (total, Some(found.into_iter().skip(query.offset).take(query.limit).collect()))
            }
        };
        let detail = |subscription: &_| SubscriptionDetail::of(subscription, Some(ACCOUNT));
        SubscriptionsPage {
            server_id: services.announcement.server_id.clone(),
            now: wall_time(now.wall_micros()),
            num_subscriptions: report.subscriptions,
            num_cache: report.remembered,
            num_inserts: report.started,
            num_removes: report.ended,
            num_matches: report.lookups,
            cache_hit_rate: report.hit_rate,
            max_fanout: report.largest_fan_out,
            avg_fanout: report.average_fan_out,
            total,
            offset: query.offset,
            limit: query.limit,
            subscriptions_list: listed.map(|listed: Vec<_>| listed.iter().map(|one| detail(one)).collect()),
        }
    }
}
