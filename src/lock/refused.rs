//! Why the table of locks refuses a request.  Each door spells it in its own words.

use super::mode::Mode;

/// Why a request is refused.  Nothing has changed then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The owner has no name.
    EmptyOwner,
    /// The owner's name is longer than [`OWNER_LENGTH_MAX`](super::limits::OWNER_LENGTH_MAX).
    LongOwner,
    /// A resource has no name.
    EmptyResource,
    /// A resource's name is longer than [`RESOURCE_LENGTH_MAX`](super::limits::RESOURCE_LENGTH_MAX).
    LongResource,
    /// The request names no resource, or more than
    /// [`RESOURCES_PER_REQUEST_MAX`](super::limits::RESOURCES_PER_REQUEST_MAX).
    ResourceCount,
    /// The request names a resource twice.
    ResourceTwice,
    /// The text about the holder is longer than [`META_LENGTH_MAX`](super::limits::META_LENGTH_MAX).
    LongMeta,
    /// The id of the request is longer than [`REQUEST_ID_LENGTH_MAX`](super::limits::REQUEST_ID_LENGTH_MAX).
    LongRequestId,
    /// The time of a lease or a session is zero, or longer than [`TTL_MAX`](super::limits::TTL_MAX).
    Ttl,
    /// The lease has neither a time nor a session that would end it.
    NoTtl,
    /// The time to wait is longer than [`WAIT_MAX`](super::limits::WAIT_MAX).
    Wait,
    /// The delay of a session is longer than [`DELAY_MAX`](super::limits::DELAY_MAX).
    Delay,
    /// No permits are wanted, or more than there are, or more than [`PERMITS_MAX`](super::limits::PERMITS_MAX).
    Permits,
    /// The session has neither a time nor a connection that would end it.
    EndlessSession,
    /// There is no such session, or it was lost.
    NoSession,
    /// The owner does not hold the resource, or not under the fence that it names.
    NotHeld,
    /// The request was granted under this fence before, and that grant has ended.
    GrantEnded(u64),
    /// The lease lasts as long as its session, so it cannot be renewed.
    LeaseOfSession,
    /// Permits are not shared, and cannot become exclusive.
    UpgradeOfPermits,
    /// Permits are not exclusive, and cannot become shared.
    DowngradeOfPermits,
    /// The owner holds some of the resources, and not all of them under one fence.
    HeldInPart,
    /// The owner holds the resource in another mode.
    OtherMode {
        /// How it is held.
        held: Mode,
        /// How it was to be held.
        wanted: Mode,
    },
    /// The owner waits for this resource already.
    OwnerWaits(Vec<u8>),
    /// The id was used for another request.
    RequestIdUsed,
    /// The number of leases has reached its limit.
    ManyLeases,
    /// The number of waiting requests has reached its limit.
    ManyWaiters,
    /// The number of requests that wait for the resource has reached its limit.
    ManyWaitersForResource,
    /// The number of sessions has reached its limit.
    ManySessions,
    /// The memory of the locks has reached its limit.
    NoMemory,
    /// The owner has acquired the resource as often as is allowed.
    ManyHolds,
    /// The disk is behind with the journal of the locks.
    DiskBehind,
    /// The journal cannot be written until the disk has room, or the system descriptors.
    DiskStalled,
    /// The disk has failed.
    DiskFailed,
    /// The journal cannot be made, for this reason.
    NoFolder(String),
}
