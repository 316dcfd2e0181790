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
    template.split('/').zip(path.split('/')).find_map(|(pattern, part)| {
        let name = pattern.strip_prefix('{')?.strip_suffix('}')?;
        Some((name, part))
    })
}

#[cfg(test)]
mod tests {
    use super::first_variable;

    #[test]
    fn the_first_variable_part_is_found() {
        assert_eq!(first_variable("/cache/{key}", "/cache/a%2Fb"), Some(("key", "a%2Fb")));
        assert_eq!(first_variable("/cache/{key}/ttl", "/cache/x/ttl"), Some(("key", "x")));
        assert_eq!(first_variable("/health/live", "/health/live"), None);
    }
}
