//! The console: a page for people at `/`, with its scripts and styles below `/console/`.
//!
//! The page itself is the same for everybody and holds no data, so it is sent without a password.  Its scripts ask the
//! endpoints that anybody may use, with the password that the visitor types in.
//!
//! Its policy for browsers allows scripts and styles of this server only, none within the page, and no text that is taken for
//! markup (`require-trusted-types-for`): keys, names and messages are bytes from anybody.

use std::hash::{DefaultHasher, Hasher};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use crate::http::endpoint::{Context, Problem, problems};

/// What the page may load, and from where.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     require-trusted-types-for 'script'; trusted-types 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
);

/// Browsers keep the files, and ask each time whether they are still the same: a new version is seen at once.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// The page says to no other site where it was opened.
const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

/// A file of the console.
struct Asset {
    /// Its path below `/console/`.
    path: &'static str,
    media_type: &'static str,
    content: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// The page at `/`.
const PAGE: Asset = Asset {
    path: "index.html",
    media_type: "text/html; charset=utf-8",
    content: include_str!("assets/index.html"),
};

/// Makes the list of files, each with its content.
macro_rules! assets {
    ($($path:literal $media_type:ident,)*) => {
        /// The files that the page loads.
        const ASSETS: &[Asset] = &[$(Asset {
            path: $path,
            media_type: $media_type,
            content: include_str!(concat!("assets/", $path)),
        },)*];
    };
}

assets! {
    "icon.svg" PICTURE,
    "style.css" STYLE,
    "app.js" SCRIPT,
    "api.js" SCRIPT,
    "chart.js" SCRIPT,
    "dom.js" SCRIPT,
    "feed.js" SCRIPT,
    "figures.js" SCRIPT,
    "format.js" SCRIPT,
    "graph.js" SCRIPT,
    "refresh.js" SCRIPT,
    "replies.js" SCRIPT,
    "syntax.js" SCRIPT,
    "views/broker.js" SCRIPT,
    "views/cache.js" SCRIPT,
    "views/commands.js" SCRIPT,
    "views/limits.js" SCRIPT,
    "views/locks.js" SCRIPT,
    "views/overview.js" SCRIPT,
    "views/policies.js" SCRIPT,
    "views/streams.js" SCRIPT,
    "views/value.js" SCRIPT,
}

/// The routes of the console.
pub(super) fn pages() -> Router<Context> {
    Router::new().route("/", get(page)).route("/console/{*file}", get(file))
}

async fn page(State(context): State<Context>, headers: HeaderMap) -> Response {
    if !is_on(&context) {
        return Redirect::temporary("/docs/").into_response();
    }
    send(&PAGE, &headers)
}

async fn file(
    State(context): State<Context>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.path == path).filter(|_| is_on(&context));
    let asset = asset.ok_or_else(|| {
        Problem::new(problems::NOT_FOUND).detail("the console has no such file, or is switched off")
    })?;
    Ok(send(asset, &headers))
}

fn is_on(context: &Context) -> bool {
    context.services().settings.current().console
}

/// The file, or only that the browser has it already.
fn send(asset: &Asset, headers: &HeaderMap) -> Response {
    let tag = tag_of(asset.content);
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|known| known.to_str().ok());
    let mut known = known.flat_map(|list| list.split(',')).map(|one| one.trim().trim_start_matches("W/"));
    let is_known = known.any(|one| one == tag);
    let tag = HeaderValue::from_str(&tag).expect("it is ASCII");
    let facts = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, REVALIDATE),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, NO_REFERRER),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, facts).into_response();
    }
    let media_type = HeaderValue::from_static(asset.media_type);
    (facts, [(header::CONTENT_TYPE, media_type)], asset.content).into_response()
}

/// The entity tag of a content.  Nobody who could choose a content gains from one that has the tag of another.
fn tag_of(content: &str) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(content.as_bytes());
    format!("\"{:016x}\"", hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The paths of the files below a folder of the assets.
    fn files(folder: &Path, base: &Path) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            if path.is_dir() {
                found.extend(files(&path, base));
            } else {
                let path = path.strip_prefix(base).expect("it lies below");
                found.insert(path.display().to_string());
            }
        }
        found
    }

    #[test]
    fn every_file_is_listed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/console/assets");
        let listed = ASSETS.iter().chain([&PAGE]).map(|asset| asset.path.to_owned());
        assert_eq!(listed.collect::<BTreeSet<_>>(), files(&folder, &folder));
    }

    #[test]
    fn a_script_makes_no_markup_from_text() {
        for asset in ASSETS {
            for word in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser"]
            {
                assert!(!asset.content.contains(word), "{} may not say {word}", asset.path);
            }
        }
    }
}
