//! The settings of a running server: one [`Settings`] at a time, which CONFIG SET replaces whole.
//!
//! [`Live::current`] is for code that reads a setting now and then.  Threads that run commands keep a [`Snapshot`],
//! whose fields cost no more to read than those of any other struct.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};

use arc_swap::{ArcSwap, Guard};

use super::kind::SettingKind;
use super::table::{COMPATIBILITY, Change, FORMER_NAMES, SETTINGS, Setting, Settings, find_by_any_name};
use crate::glob::Pattern;
use crate::lock_order::{Mutex, rank};

/// The settings of a running server.
pub struct Live {
    current: ArcSwap<Settings>,
    /// Grows with each change, after the new settings are in place.
    version: AtomicU64,
    /// Held while settings are changed, so that no change is lost.
    changing: Mutex<(), { rank::SETTINGS }>,
    /// How many connections the system has room for.
    room: AtomicUsize,
}

/// The settings as one thread sees them, until it calls [`Snapshot::refresh`].
pub struct Snapshot {
    settings: Arc<Settings>,
    version: u64,
}

impl Snapshot {
    /// Takes in what has changed since the last call: to be called at the start of a batch, and after a command that
    /// may have changed a setting.
    #[inline]
    pub fn refresh(&mut self, live: &Live) {
        let version = live.version.load(Acquire);
        if version != self.version {
            *self = Snapshot { settings: live.current.load_full(), version };
        }
    }
}

impl Deref for Snapshot {
    type Target = Settings;

    #[inline]
    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl Live {
    /// The settings with which the server starts.
    pub fn new(settings: Settings) -> Live {
        Live {
            current: ArcSwap::from_pointee(settings),
            version: AtomicU64::new(0),
            changing: Mutex::default(),
            room: AtomicUsize::new(usize::MAX),
        }
    }

    /// From now on CONFIG SET refuses limits that allow more than `room` connections together.
    pub fn limit_connections(&self, room: usize) {
        self.room.store(room, Relaxed);
    }

    /// All settings as they are now.  They stay what they are while the guard lives.
    pub fn current(&self) -> Guard<Arc<Settings>> {
        self.current.load()
    }

    /// The settings as a thread may keep them.
    pub fn snapshot(&self) -> Snapshot {
        let version = self.version.load(Acquire);
        Snapshot { settings: self.current.load_full(), version }
    }

    /// CONFIG GET: the settings whose names match one of the patterns, each once, with its value.
    pub fn get(&self, patterns: &[&[u8]]) -> Vec<(&'static str, String)> {
        // A pattern too complex to be searched for is longer than any name.
        let patterns: Vec<Pattern> =
            patterns.iter().filter_map(|pattern| Pattern::ignoring_case(pattern).ok()).collect();
        let matched = |name: &str| patterns.iter().any(|pattern| pattern.matches(name.as_bytes()));
        let settings = self.current();
        let rows = SETTINGS.iter().map(|row| (row.name, row.shown(&settings)));
        let renamed = FORMER_NAMES.iter().filter_map(|(former, _)| find_by_any_name(former));
        let renamed = renamed.map(|(former, row)| (former, row.shown(&settings)));
        let fixed = COMPATIBILITY.iter().map(|&(name, value)| (name, value.to_owned()));
        rows.chain(renamed).chain(fixed).filter(|(name, _)| matched(name)).collect()
    }

    /// CONFIG SET: changes all the settings named, or none.
    ///
    /// # Errors
    /// Why nothing was changed, in Redis' words without `ERR `.
    pub fn set(&self, pairs: &[(&[u8], &[u8])]) -> Result<(), String> {
        let rows = changeable(pairs)?;
        let _changing = self.changing.lock();
        let mut changed = Settings::clone(&self.current());
        for (&(name, row), (_, value)) in rows.iter().zip(pairs) {
            std::str::from_utf8(value)
                .map_err(|_| "argument must be UTF-8 text".to_owned())
                .and_then(|text| row.assign(&mut changed, text))
                .map_err(|error| failed(name, &error))?;
            if matches!(row.kind, SettingKind::Connections)
                && let Some(left) = changed.connections_left(row, self.room.load(Relaxed))
            {
                return Err(failed(name, &format!("{TOO_MANY_CLIENTS}{left}")));
            }
        }
        self.current.store(Arc::new(changed));
        self.version.fetch_add(1, Release);
        Ok(())
    }

    /// Applies the differences between two readings of the sources that may change at run time: all of them, or none if
    /// one is refused.
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
}

/// The settings that differ between two readings of the sources.
pub struct Changes {
    /// Those that have changed.
    pub made: Vec<&'static str>,
    /// Those that only a new start can change.
    pub at_start: Vec<&'static str>,
}

/// Redis' answer to a limit on clients for which there are too few descriptors.
const TOO_MANY_CLIENTS: &str =
    "The operating system is not able to handle the specified number of clients, try with ";

/// The rows that CONFIG SET names, with the names.  Each may be named once, and must be one that may change at run time.
fn changeable(pairs: &[(&[u8], &[u8])]) -> Result<Vec<(&'static str, &'static Setting)>, String> {
    let mut rows: Vec<(&'static str, &'static Setting)> = Vec::with_capacity(pairs.len());
    for (name, _) in pairs {
        let name = one_line(&String::from_utf8_lossy(name));
        let fixed = COMPATIBILITY.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name));
        let Some((known, row)) = find_by_any_name(&name) else {
            return Err(if fixed {
                failed(&name, "can't set immutable config")
            } else {
                format!("Unknown option or number of arguments for CONFIG SET - '{name}'")
            });
        };
        if row.change == Change::AtStart {
            return Err(failed(&name, "can't set immutable config"));
        }
        if rows.iter().any(|&(seen, _)| seen == known) {
            return Err(failed(&name, "duplicate parameter"));
        }
        rows.push((known, row));
    }
    Ok(rows)
}

fn failed(name: &str, error: &str) -> String {
    format!("CONFIG SET failed (possibly related to argument '{name}') - {error}")
}

/// An error reply is one line, so its quotes must be too.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{EvictionPolicy, OutputLimit};

    fn live() -> Live {
        Live::new(Settings::default())
    }

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expected: Result<(), &str>) -> Live {
        let live = live();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        assert_eq!(live.set(&pairs), expected.map_err(str::to_owned));
        if expected.is_err() {
            assert_eq!(**live.current(), Settings::default(), "a refused CONFIG SET changes nothing");
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
    fn set_changes_what_readers_see() {
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
        let settings = live.current();
        assert_eq!(settings.maxmemory, 100_000);
        assert_eq!(settings.maxmemory_policy, EvictionPolicy::AllkeysAdaptive);
        assert!(settings.has_password());
        assert_eq!(settings.requirepass, "open sesame");
        assert_eq!(
            settings.client_output_buffer_limit.normal,
            OutputLimit { hard: 1 << 20, soft: 2048, soft_seconds: 3 }
        );
        assert_eq!(settings.client_output_buffer_limit.pubsub.soft_seconds, 60);
        assert_eq!(settings.slowlog_log_slower_than, -1);
        assert!(!settings.latency_tracking);
    }

    #[test]
    fn a_snapshot_changes_when_it_is_refreshed() {
        let live = live();
        let mut snapshot = live.snapshot();
        assert_eq!(live.set(&[(b"maxmemory", b"1000"), (b"timeout", b"7")]), Ok(()));
        let before = Settings::default();
        assert_eq!((snapshot.maxmemory, snapshot.timeout), (before.maxmemory, before.timeout));
        snapshot.refresh(&live);
        assert_eq!((snapshot.maxmemory, snapshot.timeout), (1000, 7));
        assert!(live.set(&[(b"maxmemory", b"x")]).is_err());
        snapshot.refresh(&live);
        assert_eq!(*snapshot, **live.current());
    }

    #[test]
    fn users_change_when_the_sources_are_read_again_and_are_not_shown() {
        let with = |password: &str| {
            let text = format!("[{{ name = 'ann', password = '{password}' }}]");
            let mut settings = Settings::default();
            let row = crate::settings::table::find("users").expect("there is such a row");
            row.assign(&mut settings, &text).expect("it is valid");
            settings
        };
        let live = Live::new(with("one"));
        let changed = live.change(&with("one"), &with("two")).expect("it is valid");
        assert_eq!((changed.made, changed.at_start.len()), (vec!["users"], 0));
        assert_eq!(&*live.current().users[0].password, "two");
        assert_eq!(live.get(&[b"users"]), [("users", "(hidden)".to_owned())]);
        assert_eq!(live.set(&[(b"users", b"")]), Ok(()));
        assert_eq!(live.get(&[b"users"]), [("users", String::new())]);
        let refused =
            failed("users", "user 'ann': there is no password: give it one with password = \"...\"");
        assert_eq!(live.set(&[(b"users", b"[{ name = 'ann' }]")]), Err(refused));
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
        assert_eq!(live.get(&[b"*"]).len(), SETTINGS.len() + FORMER_NAMES.len() + COMPATIBILITY.len());
    }
}
