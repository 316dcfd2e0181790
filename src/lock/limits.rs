//! The limits of the lock service, with their reasons.

/// Longest name of a resource, in bytes.
pub const RESOURCE_LENGTH_MAX: usize = 1024;

/// Longest name of an owner, in bytes.
pub const OWNER_LENGTH_MAX: usize = 256;

/// Longest metadata of a holder, in bytes: enough for a host, a process and a reason.
pub const META_LENGTH_MAX: usize = 1024;

/// Longest id of a request, in bytes: enough for a UUID and a prefix.
pub const REQUEST_ID_LENGTH_MAX: usize = 128;

/// Resources that one request may acquire together.
pub const RESOURCES_PER_REQUEST_MAX: usize = 64;

/// Longest time of a lease or a session, in milliseconds: thirty days.
pub const TTL_MAX: u64 = 30 * 24 * 60 * 60 * 1000;

/// Longest time to wait, in milliseconds: as long as a lease.
pub const WAIT_MAX: u64 = TTL_MAX;

/// Longest delay after a session is lost, in milliseconds: a minute, as in Chubby.
pub const DELAY_MAX: u64 = 60 * 1000;

/// Most permits of a semaphore.
pub const PERMITS_MAX: u32 = 1_000_000;

/// Requests that may wait for one resource: twice the clients that a server has by default.
pub const WAITERS_PER_RESOURCE_MAX: usize = 20_000;

/// Requests that may wait in all.
pub const WAITERS_MAX: usize = 100_000;

/// Leases in all; each takes a few hundred bytes besides its names.
pub const LEASES_MAX: usize = 10_000_000;

/// Sessions in all.
pub const SESSIONS_MAX: usize = 100_000;

/// How often one owner may acquire a resource that it holds.
pub const HOLDS_MAX: u32 = 1_000_000;

/// Request ids that are remembered.
pub const REQUEST_IDS_MAX: usize = 65_536;

/// How long a request id is remembered, in milliseconds: longer than any client retries.
pub const REQUEST_ID_MEMORY: u64 = 2 * 60 * 1000;

/// Slots of the table that one step of a snapshot visits.  With [`SNAPSHOT_RECORDS_MAX`] it bounds how long a snapshot
/// locks the table: a fraction of a millisecond.
pub const SNAPSHOT_PLACES_MAX: usize = 4096;

/// Records that one step of a snapshot writes.
pub const SNAPSHOT_RECORDS_MAX: usize = 512;

/// Deadlocks that are remembered.
pub const DEADLOCKS_MAX: usize = 64;

/// Steps of one search for a deadlock.  Beyond them nothing is reported, and time-outs decide.  It bounds how long one
/// request locks the table: some milliseconds.
pub const DEADLOCK_STEPS_MAX: usize = 200_000;

/// Bytes of a name that an error or a circle shows.
pub const SHOWN_LENGTH_MAX: usize = 64;

/// Slots of the table that one LIST visits.
pub const LIST_STEP_MAX: usize = 1000;

/// Waiting requests that one report of waiters names.
pub const WAITS_SHOWN_MAX: usize = 1000;

/// Holders of one resource that a report names.  A step of a LIST ends with the resource that reaches it.
pub const HOLDERS_SHOWN_MAX: usize = 1000;
