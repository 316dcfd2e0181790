//! Conditional requests: the headers If-Match and If-None-Match, with which a client compares and sets.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};

use super::representations;
use crate::http::endpoint::{Context, Problem, problems};
use crate::store::EntryRef;

/// The headers, for the documentation of the API.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "`Conditions` reads them")]
pub(super) struct ConditionHeaders {
    /// Entity tags.  The value must have one of them; `*` accepts any value.
    #[param(rename = "If-Match", value_type = String, required = false, pattern = r#"^(\*|,*((W/)?"[!#-~]*"(,+ ?(W/)?"[!#-~]*")*,*)?)$"#)]
    if_match: Option<String>,
    /// Entity tags.  The value must have none of them; `*` means that the key must not exist.  A read of a value that has one
    /// is answered with status 304.
    #[param(rename = "If-None-Match", value_type = String, required = false, pattern = r#"^(\*|,*((W/)?"[!#-~]*"(,+ ?(W/)?"[!#-~]*")*,*)?)$"#)]
    if_none_match: Option<String>,
}

/// The conditions of a request, which must hold before it does anything.
pub(super) struct Conditions {
    matches: Option<Tags>,
    matches_none: Option<Tags>,
}

/// The entity tags that a client has sent.
#[derive(PartialEq, Eq, Debug)]
enum Tags {
    /// Any value.
    Any,
    /// One of these, each with its quotes.
    These(Vec<Tag>),
}

#[derive(PartialEq, Eq, Debug)]
struct Tag {
    text: String,
    is_weak: bool,
}

/// The response to a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reading {
    /// The value.
    Whole,
    /// Only that the client has the value already.
    NotModified,
}

impl Conditions {
    fn read(headers: &HeaderMap) -> Result<Conditions, Problem> {
        Ok(Conditions {
            matches: tags(headers, &header::IF_MATCH, "If-Match")?,
            matches_none: tags(headers, &header::IF_NONE_MATCH, "If-None-Match")?,
        })
    }

    /// Whether there are none, so that a read gets the whole value if there is one.
    pub(super) fn are_none(&self) -> bool {
        self.matches.is_none() && self.matches_none.is_none()
    }

    /// Lets the value of a key be overwritten or removed.  The tag of any representation stands for the value.
    ///
    /// # Errors
    /// If a condition does not hold.
    pub(super) fn allow_writing(&self, current: Option<EntryRef<'_>>) -> Result<(), Problem> {
        if self.are_none() {
            return Ok(());
        }
        let current_tags = match current.map(|entry| (entry.string(), entry.content_type())) {
            Some((Ok(value), content_type)) => Vec::from(representations::tags(value.bytes(), content_type)),
            Some((Err(_), _)) | None => Vec::new(),
        };
        let is_match = |tags: &Tags, strong| match tags {
            Tags::Any => current.is_some(),
            Tags::These(tags) => tags.iter().any(|tag| tag.is_one_of(&current_tags, strong)),
        };
        if self.matches.as_ref().is_some_and(|tags| !is_match(tags, true)) {
            return Err(failed("If-Match"));
        }
        if self.matches_none.as_ref().is_some_and(|tags| is_match(tags, false)) {
            return Err(failed("If-None-Match"));
        }
        Ok(())
    }

    /// The response to a read of a value whose chosen representation has this tag.
    ///
    /// # Errors
    /// If a condition does not hold.
    pub(super) fn reading(&self, tag: &str) -> Result<Reading, Problem> {
        if self.are_none() {
            return Ok(Reading::Whole);
        }
        let current = [tag.to_owned()];
        let is_match = |tags: &Tags, strong| match tags {
            Tags::Any => true,
            Tags::These(tags) => tags.iter().any(|tag| tag.is_one_of(&current, strong)),
        };
        if self.matches.as_ref().is_some_and(|tags| !is_match(tags, true)) {
            return Err(failed("If-Match"));
        }
        let is_known = self.matches_none.as_ref().is_some_and(|tags| is_match(tags, false));
        Ok(if is_known { Reading::NotModified } else { Reading::Whole })
    }
}

impl FromRequestParts<Context> for Conditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _context: &Context) -> Result<Conditions, Problem> {
        Conditions::read(&parts.headers)
    }
}

impl Tag {
    /// A weak tag does not promise the same bytes, so it never matches strongly.
    fn is_one_of(&self, tags: &[String], strong: bool) -> bool {
        !(strong && self.is_weak) && tags.contains(&self.text)
    }
}

fn failed(header: &str) -> Problem {
    Problem::new(problems::PRECONDITION_FAILED).with("field", header)
}

fn tags(headers: &HeaderMap, name: &HeaderName, field: &str) -> Result<Option<Tags>, Problem> {
    let mut found = Vec::new();
    let mut is_there = false;
    for value in headers.get_all(name) {
        is_there = true;
        let parsed = value.to_str().ok().and_then(parse);
        match parsed.ok_or_else(|| Problem::invalid(field, "* or entity tags in double quotes"))? {
            Tags::Any => return Ok(Some(Tags::Any)),
            Tags::These(tags) => found.extend(tags),
        }
    }
    Ok(is_there.then_some(Tags::These(found)))
}

/// A list of entity tags, which may have commas inside their quotes, and empty members.
fn parse(text: &str) -> Option<Tags> {
    if text.trim() == "*" {
        return Some(Tags::Any);
    }
    let mut tags = Vec::new();
    let separators = |character: char| matches!(character, ' ' | '\t' | ',');
    let mut rest = text.trim_start_matches(separators);
    while !rest.is_empty() {
        let opaque = rest.strip_prefix("W/").unwrap_or(rest);
        let length = opaque.strip_prefix('"')?.find('"')? + 2;
        tags.push(Tag { text: opaque[..length].to_owned(), is_weak: opaque.len() < rest.len() });
        rest = opaque[length..].trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start_matches(separators);
        }
    }
    Some(Tags::These(tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_tags_are_read() {
        let tag = |text: &str, is_weak| Tag { text: text.to_owned(), is_weak };
        assert_eq!(parse(" * "), Some(Tags::Any));
        assert_eq!(
            parse(r#""a,b" , W/"c""#),
            Some(Tags::These(vec![tag(r#""a,b""#, false), tag(r#""c""#, true)]))
        );
        for list in [r#", "a" ,, "b","#, "\t\"a\"\t,,\"b\" , ,"] {
            assert_eq!(
                parse(list),
                Some(Tags::These(vec![tag("\"a\"", false), tag("\"b\"", false)])),
                "{list}"
            );
        }
        for empty in ["", " ", ",", " , ,"] {
            assert_eq!(parse(empty), Some(Tags::These(vec![])), "{empty}");
        }
        for refused in ["a", "\"a", "\"a\" \"b\"", "w/\"a\"", "\"a\",b", "*, \"a\""] {
            assert_eq!(parse(refused), None, "{refused}");
        }
    }
}
