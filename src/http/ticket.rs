//! The ticket in the query of a request that cannot carry a password.

use axum::http::Uri;
use axum::http::uri::{Parts, PathAndQuery};

/// The parameter of the query.
pub(super) const PARAMETER: &str = "ticket";

/// The ticket of a request.  One that is named twice is none.
pub(super) fn ticket_of(uri: &Uri) -> Option<&str> {
    let mut tickets = pairs(uri).filter_map(ticket_in);
    let first = tickets.next()?;
    tickets.next().is_none().then_some(first)
}

/// Takes the ticket out of the query, so that nothing behind the door sees it, in a log or elsewhere.
pub(super) fn remove(uri: &mut Uri) {
    if !pairs(uri).any(|pair| ticket_in(pair).is_some()) {
        return;
    }
    let others: Vec<&str> = pairs(uri).filter(|pair| ticket_in(pair).is_none()).collect();
    let mut rest = uri.path().to_owned();
    if !others.is_empty() {
        rest = format!("{rest}?{}", others.join("&"));
    }
    let mut parts: Parts = std::mem::take(uri).into_parts();
    parts.path_and_query = PathAndQuery::try_from(rest).ok();
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

fn pairs(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query().unwrap_or_default().split('&')
}

fn ticket_in(pair: &str) -> Option<&str> {
    pair.strip_prefix(PARAMETER)?.strip_prefix('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &str, ticket: Option<&str>, without: &str) {
        let mut uri: Uri = uri.parse().expect("it is valid");
        assert_eq!(ticket_of(&uri), ticket);
        remove(&mut uri);
        assert_eq!(uri.to_string(), without);
    }

    #[test]
    fn the_ticket_is_one_parameter_of_the_query() {
        check("/subscribe/a", None, "/subscribe/a");
        check("/subscribe/a?ticket=x", Some("x"), "/subscribe/a");
        check("/subscribe/a?policy=latest&ticket=x&b", Some("x"), "/subscribe/a?policy=latest&b");
        check("/a?tickets=x&a=ticket=y", None, "/a?tickets=x&a=ticket=y");
        check("/a?ticket=x&ticket=y&c=d", None, "/a?c=d");
        check("/a?ticket=", Some(""), "/a");
        check("/a%20b/%3f?ticket=x", Some("x"), "/a%20b/%3f");
        check("http://localhost:8080/a?ticket=x", Some("x"), "http://localhost:8080/a");
    }
}
