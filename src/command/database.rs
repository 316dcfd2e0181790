//! Numbers of databases among arguments.

use quartet_protocol::resp::number::parse_integer;

use crate::refusal::Refusal;
use crate::store::Store;

/// The database an argument names.
///
/// # Errors
/// If it is no number, or there is no such database.
pub fn database_number(store: &Store, text: &[u8]) -> Result<usize, Refusal> {
    let number = parse_integer(text).ok_or(Refusal::NOT_AN_INTEGER)?;
    if i32::try_from(number).is_err() {
        return Err(Refusal::OUT_OF_INT);
    }
    let existing = usize::try_from(number).ok().filter(|&number| number < store.database_count());
    existing.ok_or(Refusal::DATABASE_OUT_OF_RANGE)
}
