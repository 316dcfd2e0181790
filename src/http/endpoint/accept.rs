//! The header Accept: the media types that a client takes, and how much it likes each.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::context::Context;
use super::lists::{members, split};
use super::media_type;

/// Media ranges with their quality.  Empty if anything is accepted.
pub struct Accept(Vec<Range>);

struct Range {
    /// In lower case, for example `text/*`.
    essence: String,
    /// From 0, which means never, to 1.
    quality: f32,
}

impl Accept {
    /// The ranges of a request.
    pub fn read(headers: &HeaderMap) -> Accept {
        let ranges = members(headers, &header::ACCEPT).map(|range| {
            let mut parts = split(range, b';');
            let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|part| {
                let (name, value) = part.split_once('=')?;
                let is_quality = name.trim().eq_ignore_ascii_case("q");
                is_quality.then(|| value.trim().parse().unwrap_or(1.0))
            });
            Range { essence, quality: quality.unwrap_or(1.0) }
        });
        Accept(ranges.collect())
    }

    /// Whether anything is accepted.
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// The quality of a type: that of the range that fits it most closely.
    pub fn quality(&self, content_type: &str) -> f32 {
        if self.0.is_empty() {
            return 1.0;
        }
        let essence = media_type::essence(content_type);
        let main = essence.split('/').next().unwrap_or_default();
        let closeness = |range: &Range| match range.essence.as_str() {
            exact if exact == essence => 3,
            "*/*" | "*" => 1,
            other if other.strip_suffix("/*") == Some(main) => 2,
            _ => 0,
        };
        let fitting = self.0.iter().filter(|range| closeness(range) > 0);
        fitting.max_by_key(|range| closeness(range)).map_or(0.0, |range| range.quality)
    }

    /// Of the `types` that exist, the one with the highest quality; the first of equal ones, and none if none is accepted.
    /// `exists` is asked only of types that would be chosen.
    pub fn choose<'t, T: Copy>(
        &self,
        types: impl IntoIterator<Item = (&'t str, T)>,
        exists: impl Fn(T) -> bool,
    ) -> Option<T> {
        let mut best = (0.0, None);
        for (content_type, value) in types {
            let quality = self.quality(content_type);
            if quality > best.0 && exists(value) {
                best = (quality, Some(value));
            }
        }
        best.1
    }
}

impl FromRequestParts<Context> for Accept {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _context: &Context) -> Result<Accept, Infallible> {
        Ok(Accept::read(&parts.headers))
    }
}
