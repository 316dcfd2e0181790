//! The end of a payload: the version of its format and a checksum.

use super::Fault;
use super::checksum::checksum;

/// The version that payloads are written with: that of Redis 7.0, and all later ones read it.
pub const VERSION: u16 = 10;

/// The version of payloads of hashes whose fields expire: that of Redis 7.4, the first to have them.
pub(super) const EXPIRING_VERSION: u16 = 12;

/// The newest version of Redis that is read: that of Redis 8.8.
const VERSION_MAX: u16 = 14;

/// Valkey counts from here since it has formats of its own.
pub(super) const VALKEY_VERSION: u16 = 80;

/// Bytes of the version and of all.
const VERSION_LENGTH: usize = 2;
const LENGTH: usize = 10;

/// Splits a payload into its type and value, and the version of their format.
pub(super) fn open(payload: &[u8]) -> Result<(&[u8], u16), Fault> {
    let (value, footer) = payload.split_last_chunk::<LENGTH>().ok_or(Fault::Footer)?;
    let [low, high, sum @ ..] = *footer;
    let version = u16::from_le_bytes([low, high]);
    let summed = &payload[..value.len() + VERSION_LENGTH];
    if !(version <= VERSION_MAX || version == VALKEY_VERSION) || u64::from_le_bytes(sum) != checksum(summed) {
        return Err(Fault::Footer);
    }
    Ok((value, version))
}

/// Makes a payload of a type and value.
pub(super) fn close(bytes: &mut Vec<u8>, version: u16) {
    bytes.reserve_exact(LENGTH);
    bytes.extend_from_slice(&version.to_le_bytes());
    let sum = checksum(bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
}
