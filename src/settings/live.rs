//! The settings of a running server: what every thread asks and CONFIG changes.
//!
//! What commands ask on their way is a copy in an atomic.  The copies are written one by one, under the
//! settings' lock: a reader may see a new value of one beside an old one of another for
//! a moment, which none of them minds.

use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed,
};
use std::time::Duration;

use super::table::{COMPATIBILITY, Change, SETTINGS, Setting, Settings, find};
use super::values::{EvictionPolicy, OutputClass, OutputLimit};
use crate::glob::Pattern;
use crate::lock_order::{RwLock, rank};

/// The settings of a running server.
pub struct Live {
    /// How many connections the system has room for.
    room: AtomicUsize,
    settings: RwLock<Settings, { rank::SETTINGS }>,
    copies: Copies,
}

#[derive(Default)]
struct Copies {
    maxmemory: AtomicUsize,
    limit_maxmemory: AtomicUsize,
    lock_maxmemory: AtomicUsize,
    maxmemory_policy: AtomicU8,
    maxmemory_samples: AtomicUsize,
    ttl_default: AtomicU64,
    ttl_max: AtomicU64,
    max_value_size: AtomicUsize,
    lfu_log_factor: AtomicU32,
    lfu_decay_time: AtomicU32,
    timeout_seconds: AtomicU64,
    tcp_keepalive: AtomicU32,
    maxclients: AtomicUsize,
    slowlog_log_slower_than: AtomicI64,
    slowlog_max_len: AtomicUsize,
    latency_tracking: AtomicBool,
    latency_monitor_threshold: AtomicU64,
    protected_mode: AtomicBool,
    has_password: AtomicBool,
    client_query_buffer_limit: AtomicUsize,
    proto_max_bulk_len: AtomicUsize,
    http_connection_limit: AtomicUsize,
    http_body_limit: AtomicU64,
    http_connection_in_flight_limit: AtomicUsize,
    http_in_flight_limit: AtomicUsize,
    http_log_requests: AtomicBool,
    http_request_timeout: AtomicU64,
    http_idle_timeout: AtomicU64,
}

impl Copies {
    fn write(&self, settings: &Settings) {
        self.maxmemory.store(settings.maxmemory, Relaxed);
        self.limit_maxmemory.store(settings.limit_maxmemory, Relaxed);
        self.lock_maxmemory.store(settings.lock_maxmemory, Relaxed);
        self.maxmemory_policy.store(settings.maxmemory_policy as u8, Relaxed);
        self.maxmemory_samples.store(settings.maxmemory_samples, Relaxed);
        self.ttl_default.store(settings.ttl_default, Relaxed);
        self.ttl_max.store(settings.ttl_max, Relaxed);
        self.max_value_size.store(settings.max_value_size, Relaxed);
        self.lfu_log_factor.store(settings.lfu_log_factor, Relaxed);
        self.lfu_decay_time.store(settings.lfu_decay_time, Relaxed);
        self.timeout_seconds.store(settings.timeout, Relaxed);
        self.tcp_keepalive.store(settings.tcp_keepalive, Relaxed);
        self.maxclients.store(settings.maxclients, Relaxed);
        self.slowlog_log_slower_than.store(settings.slowlog_log_slower_than, Relaxed);
        self.slowlog_max_len.store(settings.slowlog_max_len, Relaxed);
        self.latency_tracking.store(settings.latency_tracking, Relaxed);
        self.latency_monitor_threshold.store(settings.latency_monitor_threshold, Relaxed);
        self.protected_mode.store(settings.protected_mode, Relaxed);
        self.has_password.store(!settings.requirepass.is_empty(), Relaxed);
        self.client_query_buffer_limit.store(settings.client_query_buffer_limit, Relaxed);
        self.proto_max_bulk_len.store(settings.proto_max_bulk_len, Relaxed);
        self.http_connection_limit.store(settings.http_connection_limit, Relaxed);
        self.http_body_limit.store(settings.http_body_limit, Relaxed);
        self.http_connection_in_flight_limit.store(settings.http_connection_in_flight_limit, Relaxed);
        self.http_in_flight_limit.store(settings.http_in_flight_limit, Relaxed);
        self.http_log_requests.store(settings.http_log_requests, Relaxed);
        self.http_request_timeout.store(settings.http_request_timeout, Relaxed);
        self.http_idle_timeout.store(settings.http_idle_timeout, Relaxed);
    }
}

impl Live {
    /// The settings with which the server starts.
    pub fn new(settings: Settings) -> Live {
        let copies = Copies::default();
        copies.write(&settings);
        Live { room: AtomicUsize::new(usize::MAX), settings: RwLock::new(settings), copies }
    }

    /// Refuses from now on limits on connections that are more than `room` together.
    pub fn limit_connections(&self, room: usize) {
        self.room.store(room, Relaxed);
    }

    /// All settings as they are now.
    pub fn settings(&self) -> Settings {
        self.settings.read().clone()
    }

    /// CONFIG GET: the settings whose names match one of the patterns, each once, with its value.
    pub fn get(&self, patterns: &[&[u8]]) -> Vec<(&'static str, String)> {
        // A pattern too complex to be searched for is longer than any name.
        let patterns: Vec<Pattern> =
            patterns.iter().filter_map(|pattern| Pattern::ignoring_case(pattern).ok()).collect();
        let matched = |name: &str| patterns.iter().any(|pattern| pattern.matches(name.as_bytes()));
        let settings = self.settings.read();
        let rows = SETTINGS.iter().map(|row| (row.name, row.text(&settings)));
        let fixed = COMPATIBILITY.iter().map(|&(name, value)| (name, value.to_owned()));
        rows.chain(fixed).filter(|(name, _)| matched(name)).collect()
    }

    /// CONFIG SET: changes all the settings named, or none and says why, in Redis' words behind `ERR `.
    pub fn set(&self, pairs: &[(&[u8], &[u8])]) -> Result<(), String> {
        let rows = changeable(pairs)?;
        let mut settings = self.settings.write();
        let mut changed = settings.clone();
        for (row, (_, value)) in rows.iter().zip(pairs) {
            std::str::from_utf8(value)
                .map_err(|_| "argument must be UTF-8 text".to_owned())
                .and_then(|text| row.assign(&mut changed, text))
                .map_err(|error| failed(row.name, &error))?;
            if matches!(row.name, "maxclients" | "http-connection-limit")
                && let Some(left) = changed.connections_left(row.name, self.room.load(Relaxed))
            {
                return Err(failed(row.name, &format!("{TOO_MANY_CLIENTS}{left}")));
            }
        }
        self.copies.write(&changed);
        *settings = changed;
        Ok(())
    }

    /// Makes what differs between two readings of the sources hold, as far as it may change now: all of it or, if a
    /// value cannot be had, nothing.
    ///
    /// # Errors
    /// As [`Live::set`].
    pub fn change(&self, before: &Settings, now: &Settings) -> Result<Changes, String> {
        let differs = |row: &&Setting| row.text(before) != row.text(now);
        let (run_time, at_start): (Vec<&Setting>, Vec<&Setting>) =
            SETTINGS.iter().filter(differs).partition(|row| row.change == Change::AtRunTime);
        let values: Vec<(&str, String)> = run_time.iter().map(|row| (row.name, row.text(now))).collect();
        let pairs: Vec<(&[u8], &[u8])> =
            values.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        self.set(&pairs)?;
        let names = |rows: Vec<&Setting>| rows.into_iter().map(|row| row.name).collect();
        Ok(Changes { made: names(run_time), at_start: names(at_start) })
    }

    /// Bytes that the locks may take; 0 for no limit.
    pub fn lock_maxmemory(&self) -> usize {
        self.copies.lock_maxmemory.load(Relaxed)
    }

    /// Bytes that the counters of rate limits may take; 0 for no limit.
    pub fn limit_maxmemory(&self) -> usize {
        self.copies.limit_maxmemory.load(Relaxed)
    }

    /// Bytes that the cache may take; 0 for no limit.
    pub fn maxmemory(&self) -> usize {
        self.copies.maxmemory.load(Relaxed)
    }

    /// Which keys make room when memory is full.
    pub fn maxmemory_policy(&self) -> EvictionPolicy {
        EvictionPolicy::ALL[usize::from(self.copies.maxmemory_policy.load(Relaxed))]
    }

    /// Keys looked at to find one to evict.
    pub fn maxmemory_samples(&self) -> usize {
        self.copies.maxmemory_samples.load(Relaxed)
    }

    /// Seconds that keys live which are written without a time to live; 0 for as long as they are not deleted.
    pub fn ttl_default(&self) -> u64 {
        self.copies.ttl_default.load(Relaxed)
    }

    /// Most seconds that a key lives; 0 for no limit.
    pub fn ttl_max(&self) -> u64 {
        self.copies.ttl_max.load(Relaxed)
    }

    /// Most bytes in one value.
    pub fn max_value_size(&self) -> usize {
        self.copies.max_value_size.load(Relaxed)
    }

    /// How slowly a key's use count grows under an LFU policy.
    pub fn lfu_log_factor(&self) -> u32 {
        self.copies.lfu_log_factor.load(Relaxed)
    }

    /// Minutes after which a key's use count drops by one; 0 for never.
    pub fn lfu_decay_time(&self) -> u32 {
        self.copies.lfu_decay_time.load(Relaxed)
    }

    /// Seconds after which an idle client is disconnected; 0 for never.
    pub fn timeout_seconds(&self) -> u64 {
        self.copies.timeout_seconds.load(Relaxed)
    }

    /// Seconds between probes of a silent connection; 0 for none.
    pub fn tcp_keepalive_seconds(&self) -> u32 {
        self.copies.tcp_keepalive.load(Relaxed)
    }

    /// Most clients at a time.
    pub fn maxclients(&self) -> usize {
        self.copies.maxclients.load(Relaxed)
    }

    /// Microseconds from which a command is in the slow log; -1 for none.
    pub fn slowlog_log_slower_than(&self) -> i64 {
        self.copies.slowlog_log_slower_than.load(Relaxed)
    }

    /// Most entries in the slow log.
    pub fn slowlog_max_len(&self) -> usize {
        self.copies.slowlog_max_len.load(Relaxed)
    }

    /// Whether a histogram of each command's latency is kept.
    pub fn latency_tracking(&self) -> bool {
        self.copies.latency_tracking.load(Relaxed)
    }

    /// Milliseconds from which LATENCY records an event; 0 for none.
    pub fn latency_monitor_threshold(&self) -> u64 {
        self.copies.latency_monitor_threshold.load(Relaxed)
    }

    /// Whether clients from other machines are refused while there is no password.
    pub fn protected_mode(&self) -> bool {
        self.copies.protected_mode.load(Relaxed)
    }

    /// Whether clients must give a password.
    pub fn has_password(&self) -> bool {
        self.copies.has_password.load(Relaxed)
    }

    /// Most unread request bytes of one client.
    pub fn client_query_buffer_limit(&self) -> usize {
        self.copies.client_query_buffer_limit.load(Relaxed)
    }

    /// Most bytes in one argument of a request.
    pub fn proto_max_bulk_len(&self) -> usize {
        self.copies.proto_max_bulk_len.load(Relaxed)
    }

    /// Most HTTP connections at a time.
    pub fn http_connection_limit(&self) -> usize {
        self.copies.http_connection_limit.load(Relaxed)
    }

    /// Most bytes in the body of an HTTP request.
    pub fn http_body_limit(&self) -> u64 {
        self.copies.http_body_limit.load(Relaxed)
    }

    /// Bytes of responses, and of bodies of requests, that one HTTP connection may have in flight.
    pub fn http_connection_in_flight_limit(&self) -> usize {
        self.copies.http_connection_in_flight_limit.load(Relaxed)
    }

    /// The same for all HTTP connections together.
    pub fn http_in_flight_limit(&self) -> usize {
        self.copies.http_in_flight_limit.load(Relaxed)
    }

    /// Whether every HTTP request is logged at level info.
    pub fn http_log_requests(&self) -> bool {
        self.copies.http_log_requests.load(Relaxed)
    }

    /// How long an HTTP client may take to send the head of a request, to begin its body, or to go on reading.
    pub fn http_request_timeout(&self) -> Duration {
        Duration::from_secs(self.copies.http_request_timeout.load(Relaxed))
    }

    /// How long an HTTP connection may be without requests.
    pub fn http_idle_timeout(&self) -> Duration {
        Duration::from_secs(self.copies.http_idle_timeout.load(Relaxed))
    }

    /// The password that clients must give; empty for none.
    pub fn password(&self) -> String {
        self.settings.read().requirepass.clone()
    }

    /// How much output may wait for a client of this class.
    pub fn output_limit(&self, class: OutputClass) -> OutputLimit {
        let limits = self.settings.read().client_output_buffer_limit;
        match class {
            OutputClass::Normal => limits.normal,
            OutputClass::Pubsub => limits.pubsub,
        }
    }
}

/// What differed between two readings of the sources, by the names of the settings.
pub struct Changes {
    /// What was changed.
    pub made: Vec<&'static str>,
    /// What only a new start can change.
    pub at_start: Vec<&'static str>,
}

/// What Redis answers to a limit on clients for which there are not enough descriptors.
const TOO_MANY_CLIENTS: &str =
    "The operating system is not able to handle the specified number of clients, try with ";

/// The rows that CONFIG SET names, each once and each one that may change now.
fn changeable(pairs: &[(&[u8], &[u8])]) -> Result<Vec<&'static Setting>, String> {
    let mut rows: Vec<&'static Setting> = Vec::with_capacity(pairs.len());
    for (name, _) in pairs {
        let name = one_line(&String::from_utf8_lossy(name));
        let fixed = COMPATIBILITY.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name));
        let Some(row) = find(&name) else {
            return Err(if fixed {
                failed(&name, "can't set immutable config")
            } else {
                format!("Unknown option or number of arguments for CONFIG SET - '{name}'")
            });
        };
        if row.change == Change::AtStart {
            return Err(failed(&name, "can't set immutable config"));
        }
        if rows.iter().any(|seen| seen.name == row.name) {
            return Err(failed(&name, "duplicate parameter"));
        }
        rows.push(row);
    }
    Ok(rows)
}

fn failed(name: &str, error: &str) -> String {
    format!("CONFIG SET failed (possibly related to argument '{name}') - {error}")
}

/// An error reply is a line, so what it quotes must not hold a line's end.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> Live {
        Live::new(Settings::default())
    }

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expected: Result<(), &str>) -> Live {
        let live = live();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        assert_eq!(live.set(&pairs), expected.map_err(str::to_owned));
        if expected.is_err() {
            assert_eq!(live.settings(), Settings::default(), "a refused CONFIG SET changes nothing");
        }
        live
    }

    #[test]
    fn every_setting_that_may_change_can_be_set_to_what_it_is() {
        for row in SETTINGS {
            let result = live().set(&[(row.name.as_bytes(), row.text(&Settings::default()).as_bytes())]);
            assert_eq!(result.is_ok(), row.change == Change::AtRunTime, "{}: {result:?}", row.name);
        }
    }

    #[test]
    fn set_changes_what_getters_answer() {
        let live = check(
            &[
                ("MaxMemory", "100k"),
                ("maxmemory-policy", "ALLKEYS-adaptive"),
                ("requirepass", "open sesame"),
                ("client-output-buffer-limit", "normal 1mb 2kb 3"),
                ("slowlog-log-slower-than", "-1"),
                ("latency-tracking", "NO"),
                ("appendonly", "no"),
                ("save", ""),
            ],
            Ok(()),
        );
        assert_eq!(live.maxmemory(), 100_000);
        assert_eq!(live.maxmemory_policy(), EvictionPolicy::AllkeysAdaptive);
        assert!(live.has_password());
        assert_eq!(live.password(), "open sesame");
        assert_eq!(
            live.output_limit(OutputClass::Normal),
            OutputLimit { hard: 1 << 20, soft: 2048, soft_seconds: 3 }
        );
        assert_eq!(live.output_limit(OutputClass::Pubsub).soft_seconds, 60);
        assert_eq!(live.slowlog_log_slower_than(), -1);
        assert!(!live.latency_tracking());
    }

    #[test]
    fn refusals_are_in_the_words_of_redis() {
        let refused = |name: &str, error: &str| failed(name, error);
        for (name, value, error) in [
            ("port", "1", "can't set immutable config"),
            ("cluster-enabled", "no", "can't set immutable config"),
            ("timeout", "abc", "argument couldn't be parsed into an integer"),
            ("timeout", " 5", "argument couldn't be parsed into an integer"),
            ("timeout", "05", "argument couldn't be parsed into an integer"),
            ("timeout", "-1", "argument must be between 0 and 2147483647 inclusive"),
            ("maxmemory", "1xb", "argument must be a memory value"),
            ("maxmemory-policy", "allkeys-s3fifo", "allkeys-s3fifo is gone: use allkeys-adaptive"),
            ("maxmemory", "-1", "argument must be a memory value"),
            ("maxmemory", "1.5gb", "argument must be a memory value"),
            ("maxmemory", "99999999999gb", "argument must be a memory value"),
            ("latency-tracking", "foo", "argument must be 'yes' or 'no'"),
            (
                "maxmemory-policy",
                "foo",
                "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, \
                 volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction, volatile-adaptive, allkeys-adaptive",
            ),
            (
                "client-output-buffer-limit",
                "foo 1 2 3",
                "Invalid client class specified in buffer limit configuration.",
            ),
            (
                "client-output-buffer-limit",
                "normal 1 2",
                "Wrong number of arguments in buffer limit configuration.",
            ),
            (
                "client-output-buffer-limit",
                "normal 1kb 2 -3",
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ),
            ("appendonly", "yes", "only 'no' is served: keeping the data on disk is not built yet"),
            ("notify-keyspace-events", "KEA", "only '' is served: keyspace notifications are not built yet"),
        ] {
            check(&[("maxmemory-samples", "5"), (name, value)], Err(&refused(name, error)));
        }
        check(&[("nosuch", "1")], Err("Unknown option or number of arguments for CONFIG SET - 'nosuch'"));
        check(&[("timeout", "1"), ("TIMEOUT", "2")], Err(&refused("TIMEOUT", "duplicate parameter")));
        check(&[("a\r\nb", "1")], Err("Unknown option or number of arguments for CONFIG SET - 'a  b'"));
    }

    #[test]
    fn get_answers_each_match_once() {
        let live = live();
        assert_eq!(live.get(&[b"TIMEOUT", b"t*out", b"nosuch"]), [("timeout", "0".to_owned())]);
        assert_eq!(live.get(&[b"proto-max-bulk-len"]), [("proto-max-bulk-len", "536870912".to_owned())]);
        assert_eq!(
            live.get(&[b"*-read-only"]),
            [("replica-read-only", "yes".to_owned()), ("slave-read-only", "yes".to_owned())]
        );
        assert_eq!(live.get(&[b"save", b"appendonly"]).len(), 2);
        assert_eq!(live.get(&[b"*"]).len(), SETTINGS.len() + COMPATIBILITY.len());
    }
}
