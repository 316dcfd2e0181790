//! Who may use the door: clients of this machine while no password is set, pages of this site, who has the password.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, Request, Version, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::connection;
use crate::endpoint::{Problem, problems};
use crate::settings::{Live, Settings};

/// Paths that need no password: they tell a load balancer a status and nothing else.
const OPEN_PATHS: &[&str] = &["/health/live", "/health/ready"];

/// Paths that a proxy asks before it lets a request through to another server.  It may pass on what the browser has
/// said of hosts and pages, which is about the other server.
const PROXIED_PATHS: &str = "/auth/";

/// Where browsers say whose page makes a request, and what it is for.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Longest `Authorization` that is looked at: what a password of the longest kind can take, encoded.
const CREDENTIALS_LENGTH_MAX: usize = 4096;

/// The rules that the settings make at start; whether there is a password is looked up each time.
pub(super) struct Access {
    is_loopback_only: bool,
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// A request that may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// It may see everything.
    Fully,
    /// It carries no password although there is one, so it learns a status only.
    ForStatus,
}

impl Access {
    pub(super) fn new(settings: &Settings) -> Access {
        Access {
            is_loopback_only: settings.bind.iter().all(IpAddr::is_loopback),
            hosts: settings.http_hosts.clone(),
            origins: settings.http_cors_origins.clone(),
        }
    }

    /// Lets a request in or says why not.
    pub(super) fn admit<B>(
        &self,
        request: &Request<B>,
        peer: SocketAddr,
        settings: &Live,
    ) -> Result<Admitted, Problem> {
        let is_local = peer.ip().to_canonical().is_loopback();
        if !is_local && settings.protected_mode() && !settings.has_password() {
            return Err(Problem::new(problems::PROTECTED_MODE));
        }
        if !request.uri().path().starts_with(PROXIED_PATHS) {
            let host = self.check_host(request)?;
            self.check_origin(request.headers(), host)?;
        }
        if !settings.has_password() || has_password(request.headers(), settings) {
            return Ok(Admitted::Fully);
        }
        if OPEN_PATHS.contains(&request.uri().path()) {
            return Ok(Admitted::ForStatus);
        }
        Err(Problem::new(problems::UNAUTHORIZED))
    }

    /// The host and port that the request was made to.
    fn check_host<'r, B>(&self, request: &'r Request<B>) -> Result<Option<&'r str>, Problem> {
        let refuse = |detail: &str| Err(Problem::new(problems::INVALID_REQUEST).detail(detail));
        let mut named = request.headers().get_all(header::HOST).iter();
        let header = match (named.next(), named.next()) {
            (Some(_), Some(_)) => return refuse("there is more than one Host"),
            (Some(value), None) => match value.to_str() {
                Ok(host) => Some(host),
                Err(_) => return refuse("the header Host is no text"),
            },
            (None, _) => None,
        };
        // HTTP/2 and requests to proxies name it here; then it goes before the header.
        let authority = request.uri().authority().map(|authority| authority.as_str());
        if authority.or(header).is_none() && request.version() == Version::HTTP_11 {
            return refuse("the header Host is missing");
        }
        for host in authority.iter().chain(&header) {
            self.check_name(without_port(host))?;
        }
        Ok(authority.or(header))
    }

    fn check_name(&self, name: &str) -> Result<(), Problem> {
        if self.is_loopback_only
            && !is_loopback_name(name)
            && !self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
        {
            return Err(
                Problem::new(problems::FOREIGN_HOST).detail(format!("the request was made to {name}"))
            );
        }
        Ok(())
    }

    /// Refuses what a page of another site makes a browser send.
    fn check_origin(&self, headers: &HeaderMap, host: Option<&str>) -> Result<(), Problem> {
        for origin in headers.get_all(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
            let is_own = host.is_some_and(|host| is_same_site(&origin, &host.to_ascii_lowercase()));
            if !is_own && !self.origins.iter().any(|allowed| allowed == "*" || *allowed == origin) {
                return Err(Problem::new(problems::FOREIGN_ORIGIN).detail(format!("the page is of {origin}")));
            }
        }
        // A picture or a script comes without Origin.  A link that somebody follows is a navigation, and welcome.
        let says = |name: &HeaderName, value: &str| headers.get(name).is_some_and(|given| given == value);
        let is_foreign = says(&SEC_FETCH_SITE, "cross-site") || says(&SEC_FETCH_SITE, "same-site");
        if is_foreign && !headers.contains_key(header::ORIGIN) && !says(&SEC_FETCH_MODE, "navigate") {
            return Err(Problem::new(problems::FOREIGN_ORIGIN));
        }
        Ok(())
    }
}

/// Whether a page of `origin` was served by `host`.  A proxy may have ended TLS in between, so the scheme does not
/// matter except for its port.
fn is_same_site(origin: &str, host: &str) -> bool {
    let (scheme_port, authority) = match origin.split_once("://") {
        Some(("http", authority)) => (":80", authority),
        Some(("https", authority)) => (":443", authority),
        _ => return false,
    };
    let plain = |text: &str| text.strip_suffix(scheme_port).unwrap_or(text).to_owned();
    plain(authority) == plain(host)
}

fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.split(':').next().unwrap_or_default()
}

/// Whether a name without its port can only be this machine.
fn is_loopback_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last_label = name.rsplit('.').next().unwrap_or_default();
    last_label.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Whether the request carries the password: as a bearer token, or with the user `default` or none.
fn has_password(headers: &HeaderMap, settings: &Live) -> bool {
    let Some(value) =
        headers.get(header::AUTHORIZATION).filter(|value| value.len() <= CREDENTIALS_LENGTH_MAX)
    else {
        return false;
    };
    let Ok(text) = std::str::from_utf8(value.as_bytes()) else { return false };
    let Some((scheme, credentials)) = text.split_once(' ') else { return false };
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return connection::is_right(settings, None, credentials.as_bytes());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return false;
    }
    let Ok(decoded) = BASE64_STANDARD.decode(credentials) else { return false };
    let Some(colon) = decoded.iter().position(|&byte| byte == b':') else { return false };
    let user = Some(&decoded[..colon]).filter(|user| !user.is_empty());
    connection::is_right(settings, user, &decoded[colon + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(settings: Settings, peer: &str, headers: &[(&str, &str)], expected: Result<Admitted, &str>) {
        let mut request = Request::get("/cache/key").header("host", "quartet.test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a request");
        let peer = peer.parse().expect("an address");
        let admitted = Access::new(&settings).admit(&request, peer, &Live::new(settings));
        assert_eq!(admitted.map_err(|problem| problem.kind().slug), expected);
    }

    #[test]
    fn outsiders_need_a_password_or_an_open_server() {
        let open_to_all = Settings { bind: vec![IpAddr::from([0, 0, 0, 0])], ..Settings::default() };
        let (local, outside) = ("127.0.0.1:5", "192.0.2.7:5");
        check(open_to_all.clone(), local, &[], Ok(Admitted::Fully));
        check(open_to_all.clone(), "[::ffff:127.0.0.1]:5", &[], Ok(Admitted::Fully));
        check(open_to_all.clone(), outside, &[], Err("protected-mode"));
        let unprotected = Settings { protected_mode: false, ..open_to_all.clone() };
        check(unprotected, outside, &[], Ok(Admitted::Fully));
        let guarded = Settings { requirepass: "sesame".to_owned(), ..open_to_all };
        check(guarded.clone(), outside, &[], Err("unauthorized"));
        check(guarded, outside, &[("authorization", "Bearer sesame")], Ok(Admitted::Fully));
    }

    #[test]
    fn names_of_this_machine() {
        for name in ["localhost", "localhost.", "api.localhost", "127.0.0.1", "127.9.9.9", "::1"] {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in ["", "example.com", "localhost.example.com", "192.168.1.2", "10.0.0.127", "::2"] {
            assert!(!is_loopback_name(name), "{name}");
        }
        assert_eq!(without_port("[::1]:8080"), "::1");
        assert_eq!(without_port("localhost:8080"), "localhost");
    }

    #[test]
    fn a_page_is_of_the_host_that_served_it() {
        assert!(is_same_site("http://localhost:8080", "localhost:8080"));
        assert!(is_same_site("https://example.com", "example.com"));
        assert!(is_same_site("https://example.com", "example.com:443"));
        assert!(is_same_site("http://example.com:80", "example.com"));
        for origin in ["null", "", "http://localhost:3000", "http://example.com", "file://"] {
            assert!(!is_same_site(origin, "localhost:8080"), "{origin}");
        }
    }
}
