//! Why the table of locks refuses a request.  Each door says it in its own words.

use super::mode::Mode;

/// Why a request is refused; nothing has changed then.
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
    /// The time of a lease or a session is zero or longer than [`TTL_MAX`](super::limits::TTL_MAX).
    Ttl,
    /// The lease has neither a time nor a session that would end it.
    NoTtl,
    /// The time to wait is longer than [`WAIT_MAX`](super::limits::WAIT_MAX).
    Wait,
    /// The delay of a session is longer than [`DELAY_MAX`](super::limits::DELAY_MAX).
    Delay,
    /// No permits, more than there are, or more than [`PERMITS_MAX`](super::limits::PERMITS_MAX).
    Permits,
    /// The session has neither a time nor a connection that would end it.
    EndlessSession,
    /// There is no such session, or it was lost.
    NoSession,
    /// The owner does not hold the resource, or not under the fence that it names.
    NotHeld,
    /// The request was granted under this fence before, and that grant has ended.
    GrantEnded(u64),
    /// The lease lasts as long as its session, and has no time to be renewed.
    LeaseOfSession,
    /// Permits are not shared, and cannot become exclusive.
    UpgradeOfPermits,
    /// Permits are not exclusive, and cannot become shared.
    DowngradeOfPermits,
    /// The owner holds some of the resources, and not all of them under one fence.
    HeldInPart,
    /// The owner holds the resource in another mode.
    OtherMode {
        /// As it is held.
        held: Mode,
        /// As it was to be held.
        wanted: Mode,
    },
    /// The owner waits for this resource already.
    OwnerWaits(Vec<u8>),
    /// The id was used for another request.
    RequestIdUsed,
    /// There are as many leases as there may be.
    ManyLeases,
    /// As many requests wait as may wait.
    ManyWaiters,
    /// As many requests wait for the resource as may wait for one.
    ManyWaitersForResource,
    /// There are as many sessions as there may be.
    ManySessions,
    /// The locks take as much memory as they may.
    NoMemory,
    /// The owner holds the resource as often as it may.
    ManyHolds,
    /// The disk is behind with what the locks have to write.
    DiskBehind,
    /// The journal cannot be written until the disk has room, or the system descriptors.
    DiskStalled,
    /// The disk has failed.
    DiskFailed,
    /// The folder of the locks cannot be used, for this reason.
    NoFolder(String),
}
