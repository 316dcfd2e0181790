//! How keys are used, as far as eviction judges them by it.
//!
//! [`Recency`] is the effect of an access on the 24 bits that an entry keeps for the policy in force; it is computed once
//! per batch and costs a compare and, seldom, a store.  `Usage` is a shard's knowledge besides these bits.  Changing the
//! policy at run time is harmless: bits that another policy wrote mislead the new one until the key is next used.  The
//! members of the adaptive policies write the same bits, so that a change from one to another loses nothing.

mod access;
mod adaptive;
mod bits;
mod contest;
mod duel;
mod lfu;
mod lru;
mod newcomers;
mod shadow;
mod trace;
mod turnover;
mod usage;

pub use access::AccessContext;
pub use adaptive::Member;
pub(super) use adaptive::merit;
pub use bits::{FormerUse, Recency};
pub(super) use duel::LEADER_STEP;
pub use duel::{Duel, Score, Standing};
pub(super) use shadow::UNTRIED_ODDS;
pub(super) use usage::Usage;
