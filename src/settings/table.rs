//! The table of the settings: a row makes a field of [`Settings`] and says everything about it.
//!
//! The flag, the key in the file and the name in CONFIG are the row's name; the environment variable is
//! `QUARTET_` and the name in upper snake case.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quartet_protocol::limits::{BULK_LENGTH_MAX, REQUEST_LENGTH_MAX};

use super::kind::{Only, SettingKind, Value};
use super::values::{
    EvictionPolicy, LockDurability, LogFormat, LogLevel, OutputLimits, ProtectedAction, SlowConsumer,
};
use crate::access::User;

/// The prefix of all our environment variables.
pub(super) const ENVIRONMENT_PREFIX: &str = "QUARTET_";

/// The least limit on requests, as in Redis: a lower one would refuse ordinary clients.
const REQUEST_LIMIT_MIN: i64 = 1 << 20;

/// The largest value of settings that Redis holds in 32 bits.
const INT_MAX: i64 = i32::MAX as i64;

/// When a setting may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only when the server starts.
    AtStart,
    /// Also while it runs, by CONFIG SET.
    AtRunTime,
}

/// One row of the table.
pub struct Setting {
    /// Its name: the flag, the key in the file and the name in CONFIG.
    pub name: &'static str,
    /// Its purpose, in one line.
    pub description: &'static str,
    /// Which values are valid.
    pub kind: SettingKind,
    /// The value where no source names one.
    pub default: &'static str,
    /// When it may change.
    pub change: Change,
    /// Its subject in help and documents, and what the settings of this subject are for.
    pub group: &'static str,
    assign: fn(&mut Settings, &str, &SettingKind) -> Result<(), String>,
    text: fn(&Settings) -> String,
}

impl Setting {
    /// The environment variable that sets it.
    pub fn environment_variable(&self) -> String {
        format!("{ENVIRONMENT_PREFIX}{}", self.name.replace('-', "_").to_ascii_uppercase())
    }

    /// Whether its value is never shown, wherever settings or commands are.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, SettingKind::Secret | SettingKind::Users)
    }

    /// Sets the value to what `text` says.
    ///
    /// # Errors
    /// Why the text is no valid value, in CONFIG SET's words.
    pub fn assign(&self, settings: &mut Settings, text: &str) -> Result<(), String> {
        (self.assign)(settings, text, &self.kind)
    }

    /// The value in `settings`, as CONFIG GET answers it.  That shows `requirepass`, as Redis does, but no user's password.
    pub fn shown(&self, settings: &Settings) -> String {
        let text = self.text(settings);
        if matches!(self.kind, SettingKind::Users) { hidden(text) } else { text }
    }

    /// The value in `settings`, as [`Setting::assign`] takes it.
    pub(super) fn text(&self, settings: &Settings) -> String {
        (self.text)(settings)
    }
}

impl Settings {
    /// Whether clients must give a password.
    pub fn has_password(&self) -> bool {
        !self.requirepass.is_empty()
    }

    /// Whether clients of the broker's port must give a password: that of a user, or `requirepass`.
    pub fn has_broker_password(&self) -> bool {
        self.has_password() || !self.users.is_empty()
    }
}

impl fmt::Debug for Settings {
    /// Every setting with its value.  Of a secret it shows only that there is one, since this may end in a log.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = SETTINGS.iter().map(|row| {
            let text = row.text(self);
            (row.name, if row.is_secret() { hidden(text) } else { text })
        });
        formatter.debug_map().entries(values).finish()
    }
}

/// Of a secret, only that there is one.
fn hidden(text: String) -> String {
    if text.is_empty() { text } else { "(hidden)".to_owned() }
}

/// The row of this name, in either case.
pub(super) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

/// Names that Redis still takes in CONFIG for settings that it has renamed, and the names that they have now.
pub(super) const FORMER_NAMES: &[(&str, &str)] = &[
    ("hash-max-ziplist-entries", "hash-max-listpack-entries"),
    ("hash-max-ziplist-value", "hash-max-listpack-value"),
    ("list-max-ziplist-size", "list-max-listpack-size"),
    ("lua-time-limit", "busy-reply-threshold"),
    ("zset-max-ziplist-entries", "zset-max-listpack-entries"),
    ("zset-max-ziplist-value", "zset-max-listpack-value"),
];

/// The row that CONFIG knows by this name, in either case, and the name as it is spelled.
pub(super) fn find_by_any_name(name: &str) -> Option<(&'static str, &'static Setting)> {
    let former = FORMER_NAMES.iter().find(|(former, _)| former.eq_ignore_ascii_case(name));
    match former {
        Some(&(former, now)) => find(now).map(|row| (former, row)),
        None => find(name).map(|row| (row.name, row)),
    }
}

/// Whether the value of the setting with this name, in either case, is a secret.
pub fn is_secret(name: &[u8]) -> bool {
    let is_named = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
    SETTINGS.iter().any(|row| row.is_secret() && is_named(row.name))
        || REDIS_SECRETS.iter().copied().any(is_named)
}

/// Makes [`Settings`] and [`SETTINGS`] from the rows below each group: field, type, name, kind, default, when it may change.
macro_rules! settings {
    ($($group:literal: $(#[doc = $description:literal] $field:ident: $type:ty = $name:literal, $kind:expr, $default:literal, $change:ident;)+)+) => {
        /// The value of every setting.
        #[derive(Clone, PartialEq, Eq)]
        pub struct Settings { $($(#[doc = $description] pub $field: $type,)+)+ }

        impl Default for Settings {
            fn default() -> Settings {
                let mut settings = Settings { $($($field: Default::default(),)+)+ };
                for row in SETTINGS {
                    row.assign(&mut settings, row.default).expect("a test assigns every default");
                }
                settings
            }
        }

        /// The table of the settings.
        pub static SETTINGS: &[Setting] = &[$($(Setting {
            name: $name,
            description: $description.trim_ascii(),
            kind: $kind,
            default: $default,
            change: Change::$change,
            group: $group,
            assign: |settings, text, kind| Value::assign(&mut settings.$field, text, kind),
            text: |settings| Value::text(&settings.$field),
        },)+)+];
    };
}

settings! {
    "Listeners (where clients reach the server)":
    /// TOML file of settings; environment variables and flags take precedence over it
    config: Option<PathBuf> = "config", SettingKind::Path, "", AtStart;
    /// Addresses to listen on
    bind: Vec<IpAddr> = "bind", SettingKind::Addresses, "127.0.0.1", AtStart;
    /// Port for the Redis protocol
    port: Option<u16> = "port", SettingKind::Port, "6379", AtStart;
    /// Port for the broker's protocol (NATS)
    broker_port: Option<u16> = "broker-port", SettingKind::Port, "4222", AtStart;
    /// Ports for HTTP
    http_port: Vec<u16> = "http-port", SettingKind::Ports, "8080 8000", AtStart;
    /// File to which the server writes the addresses that it has bound, as JSON
    ports_file: Option<PathBuf> = "ports-file", SettingKind::Path, "", AtStart;

    "Access (who may come in)":
    /// Refuse clients from other machines while no password is set
    protected_mode: bool = "protected-mode", SettingKind::Boolean, "yes", AtRunTime;
    /// Password that clients must give; empty for none
    requirepass: String = "requirepass", SettingKind::Secret, "", AtRunTime;
    /// Users of the broker with their permissions by subject
    users: Arc<[User]> = "users", SettingKind::Users, "", AtRunTime;
    /// Clients that may run DEBUG: none, all, or those on this machine
    enable_debug_command: ProtectedAction = "enable-debug-command", SettingKind::Words(ProtectedAction::WORDS), "local", AtStart;

    "Threads and connections (how many there may be)":
    /// Threads that serve clients; auto leaves one core to the rest of the machine
    threads: usize = "threads", SettingKind::Threads, "auto", AtStart;
    /// Threads that serve HTTP
    http_threads: usize = "http-threads", SettingKind::Integer { min: 1, max: 64 }, "1", AtStart;
    /// Number of databases that SELECT can choose from
    databases: usize = "databases", SettingKind::Integer { min: 1, max: 1024 }, "16", AtStart;
    /// Most clients at a time
    maxclients: usize = "maxclients", SettingKind::Connections, "10000", AtRunTime;
    /// Seconds after which an idle client is disconnected; 0 for never
    timeout: u64 = "timeout", SettingKind::Integer { min: 0, max: INT_MAX }, "0", AtRunTime;
    /// Seconds between probes of a silent connection; 0 for none
    tcp_keepalive: u32 = "tcp-keepalive", SettingKind::Integer { min: 0, max: INT_MAX }, "300", AtRunTime;
    /// Connections that may wait to be accepted
    tcp_backlog: u32 = "tcp-backlog", SettingKind::Integer { min: 1, max: INT_MAX }, "511", AtStart;

    "HTTP and WebSocket (how large requests may be, how long they may take, and which pages may send them)":
    /// Most HTTP connections at a time
    http_connection_limit: usize = "http-connection-limit", SettingKind::Connections, "10000", AtRunTime;
    /// Most bytes in the body of an HTTP request
    http_body_limit: u64 = "http-body-limit", SettingKind::Memory { min: 1 << 10, max: BULK_LENGTH_MAX as i64 }, "64mb", AtRunTime;
    /// Most bytes of unread responses, and of request bodies under way, on one HTTP connection; beyond it, responses and bodies over 16 KiB are refused with 503
    http_connection_in_flight_limit: usize = "http-connection-in-flight-limit", SettingKind::Memory { min: 1 << 10, max: i64::MAX }, "64mb", AtRunTime;
    /// The same limit for all HTTP connections together
    http_in_flight_limit: usize = "http-in-flight-limit", SettingKind::Memory { min: 1 << 10, max: i64::MAX }, "256mb", AtRunTime;
    /// Seconds that an HTTP client may take to send the head of a request, to begin its body, or to begin to read; bodies and responses must then average 64 KiB per second
    http_request_timeout: Duration = "http-request-timeout", SettingKind::Integer { min: 1, max: 3600 }, "20", AtRunTime;
    /// Seconds after which an HTTP connection without requests is closed
    http_idle_timeout: Duration = "http-idle-timeout", SettingKind::Integer { min: 1, max: INT_MAX }, "75", AtRunTime;
    /// Origins whose web pages may use HTTP; * for all, empty for none
    http_cors_origins: Vec<String> = "http-cors-origins", SettingKind::Origins, "", AtStart;
    /// Host names that HTTP requests may address while no password is set, besides localhost and addresses of this machine
    http_hosts: Vec<String> = "http-hosts", SettingKind::Hosts, "", AtStart;
    /// Serve the console, a page for people, at / of the HTTP listener; without it, / leads to the documentation
    console: bool = "console", SettingKind::Boolean, "yes", AtRunTime;
    /// Log every HTTP request at level info instead of debug
    http_log_requests: bool = "http-log-requests", SettingKind::Boolean, "no", AtRunTime;
    /// Compress messages on WebSockets whose clients offer it
    websocket_compression: bool = "websocket-compression", SettingKind::Boolean, "no", AtRunTime;
    /// Seconds to go on serving after a signal to stop, while /health/ready already answers 503
    shutdown_delay: Duration = "shutdown-delay", SettingKind::Integer { min: 0, max: 3600 }, "0", AtRunTime;

    "Scripts (how long they may run, and how much they may hold)":
    /// Milliseconds for which a script may run before other clients are served beside it, and told BUSY where they need what it holds; 0 for never
    busy_reply_threshold: u64 = "busy-reply-threshold", SettingKind::Integer { min: 0, max: i64::MAX }, "5000", AtRunTime;
    /// Seconds for which a script may run before it is stopped, and undone unless it has done what cannot be undone; 0 for no limit
    script_time_limit: Duration = "script-time-limit", SettingKind::Integer { min: 0, max: 3600 }, "30", AtRunTime;
    /// Most bytes of memory that the scripts of one thread may take
    script_memory_limit: usize = "script-memory-limit", SettingKind::Memory { min: 1 << 20, max: 1 << 30 }, "256mb", AtRunTime;

    "Broker (what its clients may do, and how long it waits for them)":
    /// Most connections to the broker's port at a time
    broker_connection_limit: usize = "broker-connection-limit", SettingKind::Connections, "10000", AtRunTime;
    /// Most bytes in a message of the broker: its headers and its payload
    broker_max_payload: usize = "broker-max-payload", SettingKind::Memory { min: 1 << 10, max: 64 << 20 }, "1mb", AtRunTime;
    /// Most bytes in a line of the broker's protocol
    broker_max_control_line: usize = "broker-max-control-line", SettingKind::Memory { min: 512, max: 1 << 20 }, "4kb", AtRunTime;
    /// Most subscriptions of one connection to the broker; 0 for no limit
    broker_max_subscriptions: usize = "broker-max-subscriptions", SettingKind::Integer { min: 0, max: INT_MAX }, "0", AtRunTime;
    /// Most bytes of messages that may wait for one receiver; beyond it, `broker-slow-consumer` decides
    broker_max_pending: usize = "broker-max-pending", SettingKind::Memory { min: 1 << 10, max: i64::MAX }, "64mb", AtRunTime;
    /// Most bytes of messages that may wait for all receivers together, each message counted once; beyond it, `broker-slow-consumer` decides for the receiver furthest behind; 0 for no limit
    broker_memory_limit: usize = "broker-memory-limit", SettingKind::Memory { min: 0, max: i64::MAX }, "128mb", AtRunTime;
    /// What happens to a receiver for which too much waits: it is disconnected, or misses messages and is told how many
    broker_slow_consumer: SlowConsumer = "broker-slow-consumer", SettingKind::Words(SlowConsumer::WORDS), "disconnect", AtRunTime;
    /// Seconds between pings to a silent client of the broker
    broker_ping_interval: Duration = "broker-ping-interval", SettingKind::Integer { min: 1, max: INT_MAX }, "120", AtRunTime;
    /// Pings that a client of the broker may leave unanswered before it is disconnected
    broker_max_pings_out: u32 = "broker-max-pings-out", SettingKind::Integer { min: 1, max: INT_MAX }, "2", AtRunTime;
    /// Seconds that a client of the broker may take to give its password
    broker_auth_timeout: Duration = "broker-auth-timeout", SettingKind::Integer { min: 1, max: 3600 }, "2", AtRunTime;
    /// Seconds for which a client of the broker may read nothing of what waits for it before it is disconnected
    broker_write_deadline: Duration = "broker-write-deadline", SettingKind::Integer { min: 1, max: 3600 }, "10", AtRunTime;
    /// Seconds after the broker has announced that it stops before it closes the first connection
    broker_lame_duck_grace: Duration = "broker-lame-duck-grace", SettingKind::Integer { min: 0, max: 3600 }, "10", AtRunTime;
    /// Seconds over which it then closes the connections, so that their clients do not all reconnect at once
    broker_lame_duck_duration: Duration = "broker-lame-duck-duration", SettingKind::Integer { min: 0, max: 3600 }, "120", AtRunTime;

    "Memory (how much the cache may take, and what it evicts)":
    /// Most memory for the cache; 0 for no limit
    maxmemory: usize = "maxmemory", SettingKind::MemoryOrShare, "0", AtRunTime;
    /// Which keys are evicted when memory is full
    maxmemory_policy: EvictionPolicy = "maxmemory-policy", SettingKind::Words(EvictionPolicy::WORDS), "noeviction", AtRunTime;
    /// Keys that are compared to find one to evict
    maxmemory_samples: usize = "maxmemory-samples", SettingKind::Integer { min: 1, max: 64 }, "16", AtRunTime;
    /// How slowly a key's use count grows under an LFU policy
    lfu_log_factor: u32 = "lfu-log-factor", SettingKind::Integer { min: 0, max: INT_MAX }, "10", AtRunTime;
    /// Minutes after which a key's use count drops by one; 0 for never
    lfu_decay_time: u32 = "lfu-decay-time", SettingKind::Integer { min: 0, max: INT_MAX }, "1", AtRunTime;

    "Values of the cache (how long they live, and how they are kept)":
    /// Time to live, in seconds, of cache keys that are written without one; 0 for none
    ttl_default: u64 = "ttl-default", SettingKind::Integer { min: 0, max: INT_MAX }, "0", AtRunTime;
    /// Longest time to live, in seconds, that a cache key may have; 0 for no limit
    ttl_max: u64 = "ttl-max", SettingKind::Integer { min: 0, max: INT_MAX }, "0", AtRunTime;
    /// Most fields of a hash that is kept packed into one string of bytes
    hash_max_listpack_entries: usize = "hash-max-listpack-entries", SettingKind::Integer { min: 0, max: i64::MAX }, "512", AtRunTime;
    /// Most bytes of a field or a value in such a hash
    hash_max_listpack_value: usize = "hash-max-listpack-value", SettingKind::Memory { min: 0, max: i64::MAX }, "64", AtRunTime;
    /// Most elements of a small list, and of a block of a large one; from -1 to -5 the most bytes of either, 4 to 64 KiB
    list_max_listpack_size: i64 = "list-max-listpack-size", SettingKind::Integer { min: i32::MIN as i64, max: INT_MAX }, "-2", AtRunTime;
    /// Most members of a set of integers that is kept as a row of them
    set_max_intset_entries: usize = "set-max-intset-entries", SettingKind::Integer { min: 0, max: i64::MAX }, "512", AtRunTime;
    /// Most members of a set that is kept packed into one string of bytes
    set_max_listpack_entries: usize = "set-max-listpack-entries", SettingKind::Integer { min: 0, max: i64::MAX }, "128", AtRunTime;
    /// Most bytes of a member in such a set
    set_max_listpack_value: usize = "set-max-listpack-value", SettingKind::Memory { min: 0, max: i64::MAX }, "64", AtRunTime;
    /// Most members of a sorted set that is kept packed into one string of bytes
    zset_max_listpack_entries: usize = "zset-max-listpack-entries", SettingKind::Integer { min: 0, max: i64::MAX }, "128", AtRunTime;
    /// Most bytes of a member in such a sorted set
    zset_max_listpack_value: usize = "zset-max-listpack-value", SettingKind::Memory { min: 0, max: i64::MAX }, "64", AtRunTime;
    /// Most bytes in one value of the cache, in one field or value of a hash, or in one element of a list
    max_value_size: usize = "max-value-size", SettingKind::Memory { min: 1, max: BULK_LENGTH_MAX as i64 }, "512mb", AtRunTime;
    /// Which changes of keys are published
    notify_keyspace_events: Only = "notify-keyspace-events",
        SettingKind::Only { value: "", because: "keyspace notifications are not built yet" }, "", AtRunTime;

    "Requests and answers of RESP clients (how large they may be)":
    /// Most output that may wait for a client of each class before it is disconnected
    client_output_buffer_limit: OutputLimits = "client-output-buffer-limit", SettingKind::OutputLimits,
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", AtRunTime;
    /// Most unread request bytes of one client
    client_query_buffer_limit: usize = "client-query-buffer-limit",
        SettingKind::Memory { min: REQUEST_LIMIT_MIN, max: REQUEST_LENGTH_MAX as i64 }, "1gb", AtRunTime;
    /// Most bytes in one argument of a request
    proto_max_bulk_len: usize = "proto-max-bulk-len",
        SettingKind::Memory { min: REQUEST_LIMIT_MIN, max: BULK_LENGTH_MAX as i64 }, "512mb", AtRunTime;

    "Watching (the slow log, latencies and the log)":
    /// Microseconds that a command must take to enter the slow log; 0 for every command, -1 for none
    slowlog_log_slower_than: i64 = "slowlog-log-slower-than", SettingKind::Integer { min: -1, max: i64::MAX }, "10000", AtRunTime;
    /// Most entries in the slow log
    slowlog_max_len: usize = "slowlog-max-len", SettingKind::Integer { min: 0, max: i64::MAX }, "128", AtRunTime;
    /// Milliseconds that an event must take for LATENCY to record it; 0 for none
    latency_monitor_threshold: u64 = "latency-monitor-threshold", SettingKind::Integer { min: 0, max: i64::MAX }, "0", AtRunTime;
    /// Keep a histogram of each command's latency
    latency_tracking: bool = "latency-tracking", SettingKind::Boolean, "yes", AtRunTime;
    /// Least severe level of messages that are logged
    log_level: LogLevel = "log-level", SettingKind::Words(LogLevel::WORDS), "info", AtRunTime;
    /// Format of log messages
    log_format: LogFormat = "log-format", SettingKind::Words(LogFormat::WORDS), "text", AtStart;

    "Data on disk (what outlives the server)":
    /// Directory for data, created when it is first needed; empty to keep nothing on disk
    dir: Option<PathBuf> = "dir", SettingKind::Path, "./quartet-data", AtStart;
    /// Keep the data across a restart in a journal
    appendonly: Only = "appendonly",
        SettingKind::Only { value: "no", because: "keeping the data on disk is not built yet" }, "no", AtRunTime;
    /// When to save a snapshot
    save: Only = "save", SettingKind::Only { value: "", because: "snapshots on disk are not built yet" }, "", AtRunTime;

    "Locks (what outlives the server, and how many there may be)":
    /// What survives a restart of the locks: leases (full), fencing tokens or nothing; auto is full if there is a directory for data
    lock_durability: LockDurability = "lock-durability", SettingKind::Words(LockDurability::WORDS), "auto", AtStart;
    /// Most memory for leases, waiting requests and remembered requests; beyond it new ones are refused, while renewing and releasing go on; 0 for no limit
    lock_maxmemory: usize = "lock-maxmemory", SettingKind::Memory { min: 0, max: i64::MAX }, "1gb", AtRunTime;

    "Rate limits (what outlives the server, and how many counters there may be)":
    /// Most memory for the counters of rate limits; beyond it, the `on_full` of a policy decides for keys without a counter; 0 for no limit
    limit_maxmemory: usize = "limit-maxmemory", SettingKind::MemoryOrShare, "256mb", AtRunTime;
    /// Counters of rate limits that matter for at least so many seconds survive a restart, as policies and lists do; 0 to keep nothing
    limit_kept_from: u64 = "limit-kept-from", SettingKind::Integer { min: 0, max: INT_MAX }, "60", AtStart;
    /// Bits of an IPv6 address that identify a client; one host commonly has all addresses with the same first 64
    limit_host_prefix: u32 = "limit-host-prefix", SettingKind::Integer { min: 1, max: 128 }, "64", AtStart;
}

/// Names that clients ask CONFIG GET for and that are no settings here, with the values that they get.
pub(super) const COMPATIBILITY: &[(&str, &str)] =
    &[("cluster-enabled", "no"), ("replica-read-only", "yes"), ("slave-read-only", "yes")];

/// Settings of Redis that this server does not know and whose values are secrets: a client that mistakes one server for
/// the other has sent the password all the same.
const REDIS_SECRETS: &[&str] = &["masterauth", "masteruser", "tls-key-file-pass"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_read_back() {
        let settings = Settings::default();
        for row in SETTINGS {
            let mut again = Settings::default();
            row.assign(&mut again, &row.text(&settings))
                .unwrap_or_else(|error| panic!("{}: {error}", row.name));
            assert_eq!(again, settings, "{}", row.name);
        }
    }

    #[test]
    fn a_secret_is_not_in_what_debugging_prints() {
        let settings = Settings { requirepass: "sesame".to_owned(), ..Settings::default() };
        let printed = format!("{settings:?}");
        assert!(!printed.contains("sesame") && printed.contains("(hidden)"), "{printed}");
    }

    #[test]
    fn names_are_unique_and_kebab_case() {
        for (at, row) in SETTINGS.iter().enumerate() {
            assert!(row.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", row.name);
            assert!(find(row.name).is_some_and(|found| std::ptr::eq(found, &SETTINGS[at])), "{}", row.name);
            assert!(COMPATIBILITY.iter().all(|(name, _)| *name != row.name), "{}", row.name);
            assert!(FORMER_NAMES.iter().all(|(name, _)| *name != row.name), "{}", row.name);
        }
        for (former, now) in FORMER_NAMES {
            assert!(find_by_any_name(former).is_some_and(|(_, row)| row.name == *now), "{former}");
        }
    }
}
