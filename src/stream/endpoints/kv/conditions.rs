//! The headers If-Match and If-None-Match, where the tag of a value is its revision.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};

use super::Last;
use crate::http::endpoint::{Context, Problem, lists, problems};

/// The headers, for the documentation of the API.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "`Conditions` reads them")]
pub(super) struct ConditionHeaders {
    /// Revisions in double quotes, of which the value must have one; `*` accepts any value.
    #[param(rename = "If-Match", value_type = String, required = false)]
    if_match: Option<String>,
    /// `*` to write only if the key has no value.  A read of a value that has one of these revisions is answered with status 304.
    #[param(rename = "If-None-Match", value_type = String, required = false)]
    if_none_match: Option<String>,
}

/// The revisions that a header names.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Revisions {
    Any,
    These(Vec<u64>),
}

/// The conditions of a request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Conditions {
    matches: Option<Revisions>,
    matches_none: Option<Revisions>,
}

impl Conditions {
    /// Whether the client gave none.
    pub(super) fn are_none(&self) -> bool {
        self.matches.is_none() && self.matches_none.is_none()
    }

    /// The revision that the key must still have when something is written to it; zero for none, and nothing if any will do.
    ///
    /// # Errors
    /// If a condition does not hold already.
    pub(super) fn expected(&self, last: Option<Last>) -> Result<Option<u64>, Problem> {
        let there = last.filter(|last| last.is_there);
        match (&self.matches, there) {
            (None, _) => {}
            (Some(revisions), Some(last)) if revisions.have(last.revision) => return Ok(Some(last.revision)),
            _ => return Err(failed("If-Match")),
        }
        match (&self.matches_none, there) {
            (None, _) => Ok(None),
            (Some(revisions), Some(last)) if revisions.have(last.revision) => Err(failed("If-None-Match")),
            // A marker may stand where the value was.
            (Some(_), _) => Ok(Some(last.map_or(0, |last| last.revision))),
        }
    }

    /// Whether the client has a value already.
    ///
    /// # Errors
    /// If If-Match does not hold.
    pub(super) fn has(&self, revision: u64) -> Result<bool, Problem> {
        if self.matches.as_ref().is_some_and(|revisions| !revisions.have(revision)) {
            return Err(failed("If-Match"));
        }
        Ok(self.matches_none.as_ref().is_some_and(|revisions| revisions.have(revision)))
    }

    /// The problem of a write whose condition no longer holds.
    pub(super) fn failed(&self) -> Problem {
        failed(if self.matches.is_some() { "If-Match" } else { "If-None-Match" })
    }
}

impl Revisions {
    fn have(&self, revision: u64) -> bool {
        match self {
            Revisions::Any => true,
            Revisions::These(these) => these.contains(&revision),
        }
    }

    /// Reads a header.  A tag that is not a revision matches no value.
    fn read(headers: &HeaderMap, name: &HeaderName, field: &str) -> Result<Option<Revisions>, Problem> {
        if !headers.contains_key(name) {
            return Ok(None);
        }
        let mut these = Vec::new();
        for tag in lists::members(headers, name) {
            if tag == "*" {
                return Ok(Some(Revisions::Any));
            }
            let opaque = tag.strip_prefix("W/").unwrap_or(tag);
            let inside = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let allowed = || Problem::invalid(field, "* or revisions in double quotes");
            these.extend(inside.ok_or_else(allowed)?.parse::<u64>());
        }
        Ok(Some(Revisions::These(these)))
    }
}

fn failed(header: &str) -> Problem {
    Problem::new(problems::PRECONDITION_FAILED).with("field", header)
}

/// The tag of a revision.
pub(super) fn tag(revision: u64) -> String {
    format!("\"{revision}\"")
}

impl FromRequestParts<Context> for Conditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Conditions, Problem> {
        Ok(Conditions {
            matches: Revisions::read(&parts.headers, &header::IF_MATCH, "If-Match")?,
            matches_none: Revisions::read(&parts.headers, &header::IF_NONE_MATCH, "If-None-Match")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_expects_what_its_conditions_say() {
        let (value, marker) = (Last { revision: 7, is_there: true }, Last { revision: 8, is_there: false });
        let conditions = |matches: Option<Revisions>, matches_none: Option<Revisions>| {
            let conditions = Conditions { matches, matches_none };
            [None, Some(value), Some(marker)].map(|last| conditions.expected(last).ok())
        };
        let these = |revision| Some(Revisions::These(vec![revision]));
        let any = || Some(Revisions::Any);
        assert_eq!(conditions(None, None), [Some(None), Some(None), Some(None)]);
        assert_eq!(conditions(any(), None), [None, Some(Some(7)), None]);
        assert_eq!(conditions(these(7), None), [None, Some(Some(7)), None]);
        assert_eq!(conditions(these(6), None), [None, None, None]);
        assert_eq!(conditions(None, any()), [Some(Some(0)), None, Some(Some(8))]);
        assert_eq!(conditions(None, these(7)), [Some(Some(0)), None, Some(Some(8))]);
        assert_eq!(conditions(None, these(6)), [Some(Some(0)), Some(Some(7)), Some(Some(8))]);
    }
}
