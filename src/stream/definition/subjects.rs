//! Which subjects of streams and consumers get into each other's way.

use quartet_protocol::broker::subject;

/// Whether some message would be on subjects of both.
pub fn collides<'s>(
    ones: impl IntoIterator<Item = &'s String>,
    others: impl IntoIterator<Item = &'s String> + Clone,
) -> bool {
    ones.into_iter().any(|one| others.clone().into_iter().any(|other| overlaps(one, other)))
}

/// Whether some subject is matched by both patterns.
pub(super) fn overlaps(one: &str, other: &str) -> bool {
    subject::overlaps(one.as_bytes(), other.as_bytes())
}

/// Whether each subject that `narrow` matches is matched by `wide`.
pub(super) fn covers(wide: &str, narrow: &str) -> bool {
    subject::covers(wide.as_bytes(), narrow.as_bytes())
}

/// Whether a stream may take it, or a consumer filter by it.
pub(super) fn is_valid(subject: &str) -> bool {
    subject::is_valid_pattern(subject.as_bytes())
}
