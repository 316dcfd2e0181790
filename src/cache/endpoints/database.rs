//! Which of the numbered databases a request is about.

use serde::Deserialize;

use crate::http::endpoint::{Context, Problem, problems};

/// The parameter of every endpoint of the cache.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Database {
    /// The number of the database, as in SELECT; 0 by default.
    #[param(minimum = 0, value_type = u64, required = false)]
    db: Option<usize>,
}

impl Database {
    /// Its number.
    ///
    /// # Errors
    /// If the number is too high.
    pub(super) fn number(&self, context: &Context) -> Result<usize, Problem> {
        existing(self.db, context)
    }
}

/// The number of a database that there is.
///
/// # Errors
/// If there are not so many.
pub(super) fn existing(number: Option<usize>, context: &Context) -> Result<usize, Problem> {
    let (number, count) = (number.unwrap_or(0), context.services().store.database_count());
    if number < count {
        return Ok(number);
    }
    let allowed = format!("an integer from 0 to {}", count - 1);
    Err(Problem::new(problems::NO_SUCH_DATABASE).with("field", "db").with("allowed", allowed))
}
