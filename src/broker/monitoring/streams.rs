//! /jsz: the durable streams, and the part of /varz about them.

use serde::Serialize;

use crate::clock::{Now, wall_time};
use crate::command::Services;
use crate::delivery::ACCOUNT;
use crate::stream::api::reply::{AccountInfo, ApiStatistics, ConsumerInfo, StreamState};
use crate::stream::definition::{CONSUMERS_MAX, StreamDefinition};
use crate::stream::json::Time;
use crate::stream::{ConsumerDescription, Details, Stream, StreamDescription};

/// Streams, and consumers of each, that the page describes.
const DETAILS_MAX: usize = 10_000;

/// What to show.
#[derive(Clone, Debug, Default)]
pub struct StreamsQuery {
    /// Only this account; there is one.
    pub account: Option<String>,
    /// Whether to show accounts.
    pub accounts: bool,
    /// Whether to show the streams of accounts.
    pub streams: bool,
    /// Whether to show the consumers of streams.
    pub consumers: bool,
    /// Whether to show the definitions of streams and consumers.
    pub config: bool,
    /// Accounts to pass over.
    pub offset: usize,
}

/// The page, with the fields in the order of nats-server.
#[derive(Serialize)]
pub struct StreamsPage {
    #[serde(flatten)]
    figures: Figures,
    server_id: String,
    now: String,
    config: Config,
    limits: Limits,
    streams: usize,
    consumers: usize,
    messages: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    account_details: Vec<AccountDetail>,
    total: usize,
}

/// The part of /varz.
#[derive(Serialize, Debug)]
pub(super) struct StreamsPart {
    config: Config,
    stats: Figures,
    limits: Limits,
}

#[derive(Serialize, Debug)]
struct Figures {
    memory: u64,
    storage: u64,
    reserved_memory: u64,
    reserved_storage: u64,
    accounts: usize,
    ha_assets: usize,
    api: ApiStatistics,
}

/// The settings of the streams' storage.  A limit of -1 means none.
#[derive(Serialize, Debug)]
struct Config {
    max_memory: i64,
    max_storage: i64,
    store_dir: String,
    /// Nothing is acknowledged before it is synced, so there is no interval.
    sync_interval: u64,
    sync_always: bool,
    strict: bool,
}

#[derive(Serialize, Debug)]
struct Limits {
    default_max_consumers: usize,
}

#[derive(Serialize)]
struct AccountDetail {
    name: &'static str,
    id: &'static str,
    #[serde(flatten)]
    figures: Figures,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_detail: Option<Vec<StreamDetail>>,
}

#[derive(Serialize)]
struct StreamDetail {
    name: String,
    created: Time,
    cluster: Cluster,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<StreamDefinition>,
    state: StreamState,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    consumer_detail: Vec<serde_json::Value>,
}

/// The servers that have a stream: this one.
#[derive(Serialize)]
struct Cluster {
    leader: String,
}

impl Figures {
    fn new(info: AccountInfo) -> Figures {
        Figures {
            memory: info.memory,
            storage: info.storage,
            reserved_memory: info.reserved_memory,
            reserved_storage: info.reserved_storage,
            accounts: 1,
            ha_assets: 0,
            api: info.api,
        }
    }

    /// The limits of an account, whose fields differ from those of the server, as in nats-server.
    fn of_account(&self) -> Figures {
        Figures {
            // No reservation is too large.
            reserved_memory: u64::MAX,
            reserved_storage: u64::MAX,
            accounts: 0,
            api: ApiStatistics { level: 0, ..self.api },
            ..*self
        }
    }
}

impl Config {
    fn new(services: &Services) -> Config {
        let directory = services.settings.current().dir.clone();
        let store_dir = directory.map_or_else(String::new, |directory| directory.display().to_string());
        let (max_memory, max_storage) = (-1, -1);
        Config { max_memory, max_storage, store_dir, sync_interval: 0, sync_always: true, strict: true }
    }
}

impl Limits {
    const THESE: Limits = Limits { default_max_consumers: CONSUMERS_MAX };
}

impl StreamsPart {
    pub(super) fn new(services: &Services) -> StreamsPart {
        let stats = Figures::new(services.streams.account_info());
        StreamsPart { config: Config::new(services), stats, limits: Limits::THESE }
    }
}

impl StreamsPage {
    /// The page now.
    pub fn new(services: &Services, query: &StreamsQuery, now: Now) -> StreamsPage {
        let info = services.streams.account_info();
        let each = services.streams.figures();
        let (streams, consumers) = (info.streams, info.consumers);
        let figures = Figures::new(info);
        let is_wanted = match &query.account {
            Some(account) => account == ACCOUNT,
            None => query.accounts || query.streams || query.consumers,
        };
        let mut account_details = Vec::new();
        if is_wanted && query.offset == 0 {
            let wants_streams = query.streams || query.consumers;
            let stream_detail = wants_streams.then(|| stream_details(services, query, now));
            let detail =
                AccountDetail { name: ACCOUNT, id: ACCOUNT, figures: figures.of_account(), stream_detail };
            account_details.push(detail);
        }
        StreamsPage {
            figures,
            server_id: services.announcement.server_id.clone(),
            now: wall_time(now.wall_micros()),
            config: Config::new(services),
            limits: Limits::THESE,
            streams,
            consumers,
            messages: each.iter().map(|stream| stream.messages).sum(),
            bytes: each.iter().map(|stream| stream.bytes).sum(),
            account_details,
            total: 1,
        }
    }
}

fn stream_details(services: &Services, query: &StreamsQuery, now: Now) -> Vec<StreamDetail> {
    let leader = &services.announcement.server_id;
    let streams = services.streams.all();
    let detail = |stream| detail_of(stream, query, leader, now);
    streams.iter().take(DETAILS_MAX).map(|stream| detail(stream)).collect()
}

fn detail_of(stream: &Stream, query: &StreamsQuery, leader: &str, now: Now) -> StreamDetail {
    let StreamDescription { definition, state, .. } = stream.describe(Details::default(), now);
    let consumers =
        if query.consumers { stream.describe_consumers(0, DETAILS_MAX, now).1 } else { Vec::new() };
    StreamDetail {
        name: definition.name.clone(),
        created: Time::from_nanoseconds(stream.created()),
        cluster: Cluster { leader: leader.to_owned() },
        config: query.config.then_some(definition),
        state,
        consumer_detail: consumers.iter().map(|consumer| consumer_detail(consumer, query.config)).collect(),
    }
}

/// A consumer, without its definition unless that is asked for.
fn consumer_detail(consumer: &ConsumerDescription, has_config: bool) -> serde_json::Value {
    let info: ConsumerInfo<'_> = consumer.info();
    let mut detail = serde_json::to_value(info).expect("it holds nothing that JSON cannot say");
    if let Some(fields) = detail.as_object_mut().filter(|_| !has_config) {
        fields.remove("config");
    }
    detail
}
