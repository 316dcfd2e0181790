//! Parts of the path, as the bytes they stand for or as text.

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;

use super::context::Context;
use super::problem::Problem;
use super::problems;

/// The first variable part of the path, percent-decoded: bytes, since keys need not be text.
#[derive(Debug)]
pub struct PathBytes(pub Vec<u8>);

/// The first variable part of the path, percent-decoded: text.
#[derive(Debug)]
pub struct PathText(pub String);

/// All `N` variable parts of the path in their order, percent-decoded: bytes.
#[derive(Debug)]
pub struct PathParts<const N: usize>(pub [Vec<u8>; N]);

impl<const N: usize> FromRequestParts<Context> for PathParts<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _context: &Context) -> Result<PathParts<N>, Problem> {
        let template =
            parts.extensions.get::<MatchedPath>().ok_or_else(|| Problem::new(problems::INTERNAL))?;
        let found = variables(template.as_str(), parts.uri.path());
        let decoded: Vec<Vec<u8>> = found.map(|(_, part)| percent_decode_str(part).collect()).collect();
        decoded.try_into().map(PathParts).map_err(|_| Problem::new(problems::INTERNAL))
    }
}

impl FromRequestParts<Context> for PathBytes {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _context: &Context) -> Result<PathBytes, Problem> {
        let template =
            parts.extensions.get::<MatchedPath>().ok_or_else(|| Problem::new(problems::INTERNAL))?;
        let found = first_variable(template.as_str(), parts.uri.path());
        let (_, part) = found.ok_or_else(|| Problem::new(problems::INTERNAL))?;
        Ok(PathBytes(percent_decode_str(part).collect()))
    }
}

impl FromRequestParts<Context> for PathText {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<PathText, Problem> {
        let PathBytes(bytes) = PathBytes::from_request_parts(parts, context).await?;
        let name = parts.extensions.get::<MatchedPath>().and_then(|template| {
            first_variable(template.as_str(), parts.uri.path()).map(|(name, _)| name.to_owned())
        });
        let refuse = |_| Problem::invalid(name.unwrap_or_default(), "percent-encoded UTF-8");
        String::from_utf8(bytes).map(PathText).map_err(refuse)
    }
}

/// The name and the text of the first part of `path` that is a variable in `template`.
fn first_variable<'t, 'p>(template: &'t str, path: &'p str) -> Option<(&'t str, &'p str)> {
    variables(template, path).next()
}

/// The names and the texts of all parts of `path` that are variables in `template`.
fn variables<'t, 'p>(template: &'t str, path: &'p str) -> impl Iterator<Item = (&'t str, &'p str)> {
    template.split('/').zip(path.split('/')).filter_map(|(pattern, part)| {
        let name = pattern.strip_prefix('{')?.strip_suffix('}')?;
        Some((name, part))
    })
}

#[cfg(test)]
mod tests {
    use super::{first_variable, variables};

    #[test]
    fn the_first_variable_part_is_found() {
        assert_eq!(first_variable("/cache/{key}", "/cache/a%2Fb"), Some(("key", "a%2Fb")));
        assert_eq!(first_variable("/cache/{key}/ttl", "/cache/x/ttl"), Some(("key", "x")));
        assert_eq!(first_variable("/health/live", "/health/live"), None);
    }

    #[test]
    fn all_variable_parts_are_found() {
        let found: Vec<_> = variables("/slots/{policy}/{key}", "/slots/jobs/a%2Fb").collect();
        assert_eq!(found, [("policy", "jobs"), ("key", "a%2Fb")]);
    }
}
