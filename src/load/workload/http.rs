//! The cache over HTTP, and any other request.

use super::super::answers::HttpAnswers;
use super::super::operation::{Mix, Step};
use super::super::options::Options;
use super::super::plan::Plan;
use super::super::target::Target;
use super::exchanges::Exchanges;

type Requests = Exchanges<HttpAnswers>;

fn once(
    options: &Options,
    target: &Target,
    method: &str,
    path: &str,
    body: &str,
) -> Result<Vec<Step>, String> {
    let mut headers = target.http_headers();
    if !body.is_empty() {
        headers += "Content-Type: application/json\r\n";
    }
    Ok(vec![Step::timed(options.style()?.http(method, path, &headers, body))])
}

fn put(options: &Options, target: &Target) -> Result<Vec<Step>, String> {
    once(options, target, "PUT", "/cache/__key__", "{\"value\":\"__data__\"}")
}

/// Reads.
pub(super) fn get(options: &Options, target: &Target) -> Result<Box<dyn Plan>, String> {
    let plan = Requests::new(options, Mix::one(once(options, target, "GET", "/cache/__key__", "")?))?;
    if options.has("no-fill") {
        return Ok(Box::new(plan));
    }
    Ok(Box::new(plan.filled_by(Mix::one(put(options, target)?), false)))
}

/// Writes.
pub(super) fn set(options: &Options, target: &Target) -> Result<Box<dyn Plan>, String> {
    Ok(Box::new(Requests::new(options, Mix::one(put(options, target)?))?))
}

/// Any request.
pub(super) fn any(options: &Options, target: &Target) -> Result<Box<dyn Plan>, String> {
    let (method, path, body) = match options.words.as_slice() {
        [path] => ("GET", path.as_str(), ""),
        [method, path] => (method.as_str(), path.as_str(), ""),
        [method, path, body] => (method.as_str(), path.as_str(), body.as_str()),
        _ => return Err("http takes [method] path [body]".to_owned()),
    };
    if !path.starts_with('/') {
        return Err(format!("http takes [method] path [body]: the path '{path}' does not begin with /"));
    }
    Ok(Box::new(Requests::new(options, Mix::one(once(options, target, method, path, body)?))?))
}
