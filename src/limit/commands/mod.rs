//! What clients can say to the rate limiter, a file per family.

mod counters;
pub mod throttle;

use super::algorithm::InvalidParameter;
use crate::refusal::Refusal;

impl From<InvalidParameter> for Refusal {
    fn from(invalid: InvalidParameter) -> Refusal {
        Refusal::new(format!("ERR {invalid}"))
    }
}
