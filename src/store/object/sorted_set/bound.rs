//! A place in a sorted set's order, between two members: what bounds of ranges and positions of members come down to.

/// A place in the order of scores and then members.
#[derive(Clone, Copy, Debug)]
pub enum Bound<'b> {
    /// Before every member with this score.
    BelowScore(f64),
    /// Behind every member with this score.
    UpToScore(f64),
    /// Before this member, whatever the scores: in a set whose members all have one.
    BelowMember(&'b [u8]),
    /// Behind this member, in the same way.
    UpToMember(&'b [u8]),
    /// Before this member with this score.
    Below(f64, &'b [u8]),
    /// Behind this member with this score.
    UpTo(f64, &'b [u8]),
    /// Before all members.
    Start,
    /// Behind all members.
    End,
}

impl Bound<'_> {
    /// Whether a member lies before the place.
    #[inline]
    pub(in crate::store) fn is_behind<'m>(self, score: f64, member: impl FnOnce() -> &'m [u8]) -> bool {
        match self {
            Bound::BelowScore(bound) => score < bound,
            Bound::UpToScore(bound) => score <= bound,
            Bound::BelowMember(bound) => member() < bound,
            Bound::UpToMember(bound) => member() <= bound,
            Bound::Below(bound, other) => score < bound || score == bound && member() < other,
            Bound::UpTo(bound, other) => score < bound || score == bound && member() <= other,
            Bound::Start => false,
            Bound::End => true,
        }
    }
}
