//! Memory and processor time of this process, as the operating system reports them in `/proc`.
//!
//! No other part of the metrics does input.  Without `/proc` all numbers are zero.

use std::fs::read_to_string;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::clock::Now;

/// Clock ticks per second in `/proc`, the same on every architecture Linux gives programs today.
const TICKS_PER_SECOND: f64 = 100.0;

/// Files with the memory limit of a container, for the two versions of control groups.
const CONTAINER_LIMITS: &[&str] =
    &["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// Fields of `/proc/self/stat` after the name in brackets, counted from there.
const STAT_USER_TICKS: usize = 11;
const STAT_SYSTEM_TICKS: usize = 12;
const STAT_CHILDREN_USER_TICKS: usize = 13;
const STAT_CHILDREN_SYSTEM_TICKS: usize = 14;

/// The state of the process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// Bytes of memory the process has now.
    pub resident_bytes: u64,
    /// Seconds of processor time spent in the program.
    pub user_seconds: f64,
    /// Seconds of processor time spent in the kernel for it.
    pub system_seconds: f64,
    /// The same of child processes that have ended.
    pub children_user_seconds: f64,
    /// The same of child processes that have ended, in the kernel.
    pub children_system_seconds: f64,
}

/// How much processor time the process takes.
#[derive(Debug, Default)]
pub struct ProcessorMeter {
    /// When it was last read, in microseconds of the server's clock, and the processor time until then in microseconds.
    last_read: AtomicU64,
    last_time: AtomicU64,
}

impl ProcessorMeter {
    /// The time that the process took since it was last asked, in percent of one processor.
    pub fn percent(&self, process: &Process, now: Now) -> f64 {
        let time = ((process.user_seconds + process.system_seconds) * 1e6) as u64;
        let elapsed = now.micros().saturating_sub(self.last_read.swap(now.micros(), Relaxed));
        let taken = time.saturating_sub(self.last_time.swap(time, Relaxed));
        if elapsed == 0 { 0.0 } else { (1000.0 * taken as f64 / elapsed as f64).round() / 10.0 }
    }
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The operating system, its version and the architecture.
    pub operating_system: String,
    /// Bytes of memory it has.
    pub memory_bytes: u64,
    /// Bytes of memory that this process may use: those of its container, if it has a limit.
    pub usable_bytes: u64,
}

impl Process {
    /// The state now.
    pub fn now() -> Process {
        let status = read_to_string("/proc/self/status").unwrap_or_default();
        let stat = read_to_string("/proc/self/stat").unwrap_or_default();
        // The name stands in brackets and may hold anything, brackets included.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let seconds = |place: usize| {
            fields.get(place).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0) / TICKS_PER_SECOND
        };
        Process {
            resident_bytes: kilobytes(&status, "VmRSS:") * 1024,
            user_seconds: seconds(STAT_USER_TICKS),
            system_seconds: seconds(STAT_SYSTEM_TICKS),
            children_user_seconds: seconds(STAT_CHILDREN_USER_TICKS),
            children_system_seconds: seconds(STAT_CHILDREN_SYSTEM_TICKS),
        }
    }
}

impl Machine {
    /// The state now.
    pub fn now() -> Machine {
        let release = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let (name, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
        let name = if name == "linux" { "Linux" } else { name };
        let meminfo = read_to_string("/proc/meminfo").unwrap_or_default();
        let memory_bytes = kilobytes(&meminfo, "MemTotal:") * 1024;
        let limits =
            CONTAINER_LIMITS.iter().filter_map(|path| read_to_string(path).ok()?.trim().parse().ok());
        Machine {
            operating_system: format!("{name} {} {architecture}", release.trim()),
            memory_bytes,
            usable_bytes: limits.chain([memory_bytes]).min().unwrap_or(memory_bytes),
        }
    }
}

/// The number on the line that begins with `name`.
fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
