//! Access to the door: clients on this machine while no password is set, pages of this site, clients with the password or
//! with a ticket.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version, header};

use super::credentials::Credentials;
use super::host::Host;
use super::routes::Route;
use super::ticket::ticket_of;
use crate::access::{Failure, Login};
use crate::command::Services;
use crate::http::endpoint::{Problem, Rights, media_type, problems};
use crate::net::listener::is_on_this_machine;
use crate::settings::Settings;

/// Paths that need no password: they tell a load balancer a status and nothing else.
const OPEN_PATHS: &[&str] = &["/health/live", "/health/ready"];

/// Headers by which browsers say which site makes a request, and for what.  They are sent to servers on this machine and
/// over TLS only.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The prefix of headers that only browsers set.
const BROWSER_PREFIX: &str = "sec-fetch-";

/// The modes of requests that scripts make; a browser says another mode of any other request.
const FETCH_MODES: [&[u8]; 2] = [b"cors", b"same-origin"];

/// The prefix of every browser's User-Agent; a page cannot change it.
const BROWSER_NAME: &[u8] = b"Mozilla/";

/// Prefixes of headers that only proxies and programs set: no page can have a browser send them to another site.
const PROXY_PREFIXES: &[&str] = &["x-forwarded-", "x-original-"];

/// Further headers that only proxies and programs set.
const PROXY_HEADERS: &[&str] = &["forwarded", "x-real-ip"];

/// The rules that the settings make at start.  Each request looks up anew whether a password is set.
pub(super) struct Access {
    is_loopback_only: bool,
    hosts: Vec<Host>,
    origins: Vec<String>,
}

/// The client that makes a request.
#[derive(Clone, Copy)]
pub(super) struct Peer {
    address: SocketAddr,
    /// The address that it has connected to.
    own: SocketAddr,
    /// Whether it is on this machine.
    is_local: bool,
}

impl Peer {
    /// The client at `address` that has connected to `own`.
    pub(super) fn new(address: SocketAddr, own: SocketAddr) -> Peer {
        Peer { address, own, is_local: is_on_this_machine(address, own) }
    }

    pub(super) fn address(self) -> SocketAddr {
        self.address
    }

    pub(super) fn own_address(self) -> SocketAddr {
        self.own
    }
}

/// The refusal for clients on other machines while no password is set.
fn protected() -> Problem {
    Problem::new(problems::PROTECTED_MODE).detail(
        "the server has no password, so it serves only clients on its own machine; set one with --requirepass or \
         CONFIG SET requirepass, or switch the protection off with --protected-mode no if the network is trusted",
    )
}

/// A request that may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// It may see everything.
    Fully,
    /// The same; it carries the password as a bearer token, as no browser does by itself.
    ByBearer,
    /// It may only learn a status: it lacks the password, or comes from another machine.
    ForStatus,
    /// It may have a WebSocket, on which it has to give the password.
    ForLater,
    /// It comes from a user of the settings, with the rights of that user.
    ByUser(Rights),
}

impl Access {
    pub(super) fn new(settings: &Settings) -> Access {
        Access {
            is_loopback_only: settings.bind.iter().all(IpAddr::is_loopback),
            hosts: settings.http_hosts.iter().filter_map(|host| Host::parse(host)).collect(),
            origins: settings.http_cors_origins.clone(),
        }
    }

    /// Admits a request, or says why not.
    pub(super) fn admit<B>(
        &self,
        request: &Request<B>,
        route: &Route,
        peer: Peer,
        services: &Services,
    ) -> Result<Admitted, Problem> {
        let settings = services.settings.current();
        let is_open = OPEN_PATHS.contains(&request.uri().path());
        if !peer.is_local && settings.protected_mode && !settings.has_password() {
            return if is_open { Ok(Admitted::ForStatus) } else { Err(protected()) };
        }
        let target = target(request)?;
        if route.is_for_proxies {
            // Headers of a visitor's browser that a proxy passes on concern another server.
            check_asked_by_proxy(request.headers())?;
        } else {
            for host in target.names() {
                self.check_host(host, &settings)?;
            }
            self.check_page(request, route, target.name())?;
            if route.runs_commands {
                check_is_by_script(request)?;
            }
        }
        if !settings.has_password() {
            return Ok(Admitted::Fully);
        }
        let ticket =
            ticket_of(request.uri()).filter(|_| route.takes_ticket && *request.method() == Method::GET);
        if ticket.is_some_and(|ticket| services.tickets.take(ticket, services.clock.now())) {
            return Ok(Admitted::Fully);
        }
        if let Some(credentials) = Credentials::of(request.headers()) {
            let (attempts, address, now) = (&services.attempts, peer.address.ip(), services.clock.now());
            match admit_by(&credentials, &settings, Login { attempts, address, now }) {
                Ok(Admitted::ByUser(_)) if is_open || route.is_console => return Ok(Admitted::ForStatus),
                // It says once more who it is there.
                Ok(Admitted::ByUser(_)) if route.upgrades => return Ok(Admitted::ForLater),
                Ok(Admitted::ByUser(_)) if !route.takes_users || *request.method() != Method::POST => {
                    return Err(Problem::new(problems::NOT_FOR_USERS));
                }
                Ok(admitted) => return Ok(admitted),
                Err(failure) => {
                    if let Some(seconds) = failure.retry_after() {
                        return Err(Problem::new(problems::TOO_MANY_ATTEMPTS).retry_after(seconds));
                    }
                }
            }
        }
        if is_open || route.is_console {
            return Ok(Admitted::ForStatus);
        }
        // Pages cannot set the header.  Who has given a wrong password there is told so at once.
        let gives_nothing = ticket.is_none() && !request.headers().contains_key(header::AUTHORIZATION);
        if route.upgrades && gives_nothing {
            return Ok(Admitted::ForLater);
        }
        let problem = Problem::new(problems::UNAUTHORIZED);
        Err(match ticket {
            Some(_) => problem.detail(
                "the ticket was used or is too old, or there was no such ticket: get another one with POST /tickets",
            ),
            None => problem,
        })
    }

    /// Refuses a host name that a web page may have pointed at this machine; only a password would stop such a page.  An
    /// address cannot be pointed elsewhere.
    fn check_host(&self, text: &str, settings: &Settings) -> Result<(), Problem> {
        let Some(host) = Host::parse(text) else {
            let detail = format!("{} is no host with a port", text.escape_debug());
            return Err(Problem::new(problems::INVALID_REQUEST).detail(detail));
        };
        let is_reachable = !self.is_loopback_only && matches!(host, Host::Address(_));
        if settings.has_password() || host.is_loopback() || is_reachable || self.hosts.contains(&host) {
            return Ok(());
        }
        let detail = format!("the request was made to {host}; allow it with --http-hosts, or set a password");
        Err(Problem::new(problems::FOREIGN_HOST).detail(detail))
    }

    /// Refuses requests that a page of another site makes a browser send.
    fn check_page<B>(&self, request: &Request<B>, route: &Route, host: Option<&str>) -> Result<(), Problem> {
        let headers = request.headers();
        let mut has_origin = false;
        for origin in headers.get_all(header::ORIGIN) {
            has_origin = true;
            self.check_origin(origin, host)?;
        }
        if has_origin {
            return Ok(());
        }
        // A picture, a script or a link comes without Origin.
        let upgrades = route.upgrades && headers.contains_key(header::UPGRADE);
        let takes = match *request.method() {
            Method::GET | Method::HEAD => route.get_takes || upgrades,
            _ => true,
        };
        match headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
            Some(b"same-origin" | b"none") => Ok(()),
            // A link that only reads may be followed from anywhere.
            Some(_) if !takes && headers.get(SEC_FETCH_MODE).is_some_and(|mode| mode == "navigate") => Ok(()),
            Some(_) => Err(Problem::new(problems::FOREIGN_ORIGIN)),
            None if !takes => Ok(()),
            None => match headers.get(header::REFERER) {
                Some(page) => self.check_origin(page, host),
                None if is_named_as_browser(headers) => {
                    let detail = "a browser made this request and does not say for which page";
                    Err(Problem::new(problems::FOREIGN_ORIGIN).detail(detail))
                }
                None => Ok(()),
            },
        }
    }

    /// Lets pages of the site of `page` use the door, which the request calls `host`.
    fn check_origin(&self, page: &HeaderValue, host: Option<&str>) -> Result<(), Problem> {
        let page = page.to_str().unwrap_or_default().to_ascii_lowercase();
        let origin = page.match_indices('/').nth(2).map_or(page.as_str(), |(end, _)| &page[..end]);
        let is_own = host.is_some_and(|host| is_same_site(origin, &host.to_ascii_lowercase()));
        if is_own || self.origins.iter().any(|allowed| allowed == "*" || allowed == origin) {
            return Ok(());
        }
        Err(Problem::new(problems::FOREIGN_ORIGIN)
            .detail(format!("the page is of {}", origin.escape_debug())))
    }
}

/// Admits whoever gives the server's password, or that of the user that is named.
fn admit_by(credentials: &Credentials, settings: &Settings, login: Login<'_>) -> Result<Admitted, Failure> {
    if let Some(name) = credentials.other_user() {
        let user = login.as_user(&settings.users, name, &credentials.password)?;
        return Ok(Admitted::ByUser(Rights::of(user.permissions.clone())));
    }
    login.as_default(&settings.requirepass, credentials.user.as_deref(), &credentials.password)?;
    Ok(if credentials.is_bearer { Admitted::ByBearer } else { Admitted::Fully })
}

/// The host that a request is made to, which it names in up to two places.
struct Target<'r> {
    /// The header Host.
    header: Option<&'r str>,
    /// HTTP/2 and requests to proxies name it here, with precedence over the header.
    authority: Option<&'r str>,
}

impl<'r> Target<'r> {
    fn names(&self) -> impl Iterator<Item = &'r str> {
        self.authority.into_iter().chain(self.header)
    }

    fn name(&self) -> Option<&'r str> {
        self.authority.or(self.header)
    }
}

/// The host that the request is made to.
fn target<B>(request: &Request<B>) -> Result<Target<'_>, Problem> {
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
    let authority = request.uri().authority().map(|authority| authority.as_str());
    if authority.or(header).is_none() && request.version() == Version::HTTP_11 {
        return refuse("the header Host is missing");
    }
    Ok(Target { header, authority })
}

/// Refuses requests that a browser sends without a proxy in between.
fn check_asked_by_proxy(headers: &HeaderMap) -> Result<(), Problem> {
    let (mut is_from_browser, mut is_from_proxy) = (is_named_as_browser(headers), false);
    for name in headers.keys() {
        let text = name.as_str();
        is_from_browser |=
            text.starts_with(BROWSER_PREFIX) || name == header::ORIGIN || name == header::REFERER;
        is_from_proxy |=
            PROXY_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) || PROXY_HEADERS.contains(&text);
    }
    if !is_from_browser || is_from_proxy {
        return Ok(());
    }
    let detail = "proxies ask here, and this was asked by a browser: have the proxy set X-Forwarded-For or \
                  X-Original-URI if it passes on what a browser has sent";
    Err(Problem::new(problems::FOREIGN_ORIGIN).detail(detail))
}

/// Refuses requests that a browser makes without a script, for example for a link or a form.  A script has to send JSON as
/// such, which no form can do.  Other clients may send any type.
fn check_is_by_script<B>(request: &Request<B>) -> Result<(), Problem> {
    let headers = request.headers();
    let refuse = |detail: &str| Err(Problem::new(problems::FOREIGN_ORIGIN).detail(detail));
    let mut modes = headers.get_all(SEC_FETCH_MODE).iter().peekable();
    let has_mode = modes.peek().is_some();
    if modes.any(|mode| !FETCH_MODES.contains(&mode.as_bytes())) {
        return refuse("commands are run for scripts only, and this is a link, a form or a part of a page");
    }
    let is_by_browser = is_named_as_browser(headers)
        || headers.keys().any(|name| {
            name == header::ORIGIN || name == header::REFERER || name.as_str().starts_with(BROWSER_PREFIX)
        });
    if !is_by_browser {
        return Ok(());
    }
    if !has_mode && !headers.contains_key(header::ORIGIN) {
        return refuse("commands are run for scripts only, and this browser does not say that a script asks");
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && media_type::content_type(headers).is_none_or(|essence| essence != media_type::JSON) {
        let detail = "a browser has to send application/json here";
        return Err(Problem::new(problems::UNSUPPORTED_MEDIA_TYPE).detail(detail));
    }
    Ok(())
}

fn is_named_as_browser(headers: &HeaderMap) -> bool {
    headers.get(header::USER_AGENT).is_some_and(|name| name.as_bytes().starts_with(BROWSER_NAME))
}

/// Whether a page of `origin` was served by `host`.  A proxy in between may have ended TLS, so only the port of the scheme
/// matters.
fn is_same_site(origin: &str, host: &str) -> bool {
    let (scheme_port, authority) = match origin.split_once("://") {
        Some(("http", authority)) => (":80", authority),
        Some(("https", authority)) => (":443", authority),
        _ => return false,
    };
    let plain = |text: &str| text.strip_suffix(scheme_port).unwrap_or(text).to_owned();
    plain(authority) == plain(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::server;

    const READS: RouteKind = RouteKind { get_takes: false, is_for_proxies: false, runs_commands: false };
    const TAKES: RouteKind = RouteKind { get_takes: true, ..READS };
    const FOR_PROXIES: RouteKind = RouteKind { is_for_proxies: true, ..TAKES };

    /// A kind of route.
    #[derive(Clone, Copy)]
    struct RouteKind {
        get_takes: bool,
        is_for_proxies: bool,
        runs_commands: bool,
    }

    /// Asks for a route with these headers and those of every request.
    #[track_caller]
    fn check(
        Place { access, services }: &Place,
        (method, kind): (&str, RouteKind),
        peer: &str,
        headers: &[(&str, &str)],
        expected: Result<Admitted, &str>,
    ) {
        let mut request = Request::builder().method(method).uri("/path");
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "localhost");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a request");
        let peer = peer.parse().expect("an address");
        let own = "192.0.2.1:8080".parse().expect("an address");
        let RouteKind { get_takes, is_for_proxies, runs_commands } = kind;
        let route = Route { get_takes, is_for_proxies, runs_commands, ..Route::other("") };
        let admitted = access.admit(&request, &route, Peer::new(peer, own), services);
        assert_eq!(admitted.map_err(|problem| problem.kind().slug), expected, "{method} {headers:?}");
    }

    /// A server to ask.
    struct Place {
        access: Access,
        services: Services,
    }

    fn place(settings: Settings) -> Place {
        Place { access: Access::new(&settings), services: server::services(settings, Clock::machine(), 7) }
    }

    fn open_to_all() -> Settings {
        Settings { bind: vec![IpAddr::from([0, 0, 0, 0])], ..Settings::default() }
    }

    #[test]
    fn outsiders_need_a_password_or_an_open_server() {
        let (get, local, outside) = (("GET", READS), "127.0.0.1:5", "192.0.2.7:5");
        let open = place(open_to_all());
        check(&open, get, local, &[], Ok(Admitted::Fully));
        check(&open, get, "[::ffff:127.0.0.1]:5", &[], Ok(Admitted::Fully));
        check(&open, get, outside, &[], Err("protected-mode"));
        // Its own address is this machine too.
        check(&open, get, "192.0.2.1:5", &[], Ok(Admitted::Fully));
        check(&open, get, "[::ffff:192.0.2.1]:5", &[], Ok(Admitted::Fully));
        let unprotected = place(Settings { protected_mode: false, ..open_to_all() });
        check(&unprotected, get, outside, &[], Ok(Admitted::Fully));
        let guarded = place(Settings { requirepass: "sesame".to_owned(), ..open_to_all() });
        check(&guarded, get, outside, &[], Err("unauthorized"));
        check(&guarded, get, outside, &[("authorization", "Bearer sesame")], Ok(Admitted::ByBearer));
    }

    #[test]
    fn a_ticket_lets_one_request_in_where_the_route_takes_tickets() {
        let guarded = place(Settings { requirepass: "sesame".to_owned(), ..Settings::default() });
        let Place { access, services } = &guarded;
        let issue = || {
            let secret = crate::random::secret().expect("the system has random bytes");
            services.tickets.issue(secret, services.clock.now()).expect("there is room")
        };
        let admit = |method: &str, takes_ticket, ticket: &str, headers: &[(&str, &str)]| {
            let mut request = Request::builder().method(method).uri(format!("/path?a=b&ticket={ticket}"));
            for (name, value) in [("host", "localhost")].iter().chain(headers) {
                request = request.header(*name, *value);
            }
            let request = request.body(()).expect("a request");
            let address = "192.0.2.7:5".parse().expect("an address");
            let peer = Peer::new(address, "192.0.2.1:8080".parse().expect("an address"));
            let route = Route { takes_ticket, ..Route::other("") };
            access.admit(&request, &route, peer, services).map_err(|problem| problem.kind().slug)
        };
        let ticket = issue();
        for (method, takes_ticket) in [("GET", false), ("HEAD", true), ("POST", true)] {
            assert_eq!(admit(method, takes_ticket, &ticket, &[]), Err("unauthorized"), "{method}");
        }
        let foreign = admit("GET", true, &ticket, &[("origin", "http://evil.com")]);
        assert_eq!(foreign, Err("foreign-origin"), "it is for pages of this site too");
        assert_eq!(admit("GET", true, &ticket, &[]), Ok(Admitted::Fully));
        assert_eq!(admit("GET", true, &ticket, &[]), Err("unauthorized"));
        let password = [("authorization", "Bearer sesame")];
        assert_eq!(admit("GET", true, &ticket, &password), Ok(Admitted::ByBearer));
        assert_eq!(admit("GET", true, &issue(), &[("authorization", "Bearer x")]), Ok(Admitted::Fully));
        assert_eq!(services.attempts.failures(), 0, "a ticket is tried before a password, and is no guess");
    }

    #[test]
    fn without_a_password_a_name_of_elsewhere_is_refused_whatever_the_server_is_bound_to() {
        let get = ("GET", READS);
        let named = |place: &Place, host: &str, expected| {
            check(place, get, "127.0.0.1:5", &[("host", host)], expected);
        };
        let http_hosts = vec!["quartet.test".to_owned(), "[2001:db8::1]".to_owned()];
        let (loopback, open) = (place(Settings::default()), place(open_to_all()));
        let listed = place(Settings { http_hosts, ..Settings::default() });
        for place in [&loopback, &open, &listed] {
            named(place, "localhost:8080", Ok(Admitted::Fully));
            named(place, "[::1]:8080", Ok(Admitted::Fully));
            for foreign in ["evil.com", "evil.com:8080", "localhost.evil.com", "", "127.0.0.1.evil.com"] {
                named(place, foreign, Err("foreign-host"));
            }
            named(place, "[::1]evil.com", Err("invalid-request"));
            named(place, "evil.com@localhost", Err("invalid-request"));
        }
        named(&loopback, "192.168.0.1", Err("foreign-host"));
        named(&open, "192.168.0.1:8080", Ok(Admitted::Fully));
        named(&listed, "Quartet.Test.:8080", Ok(Admitted::Fully));
        named(&listed, "[2001:DB8::1]", Ok(Admitted::Fully));
        let guarded = place(Settings { requirepass: "sesame".to_owned(), ..Settings::default() });
        let headers = [("host", "quartet.test"), ("authorization", "Bearer sesame")];
        check(&guarded, get, "127.0.0.1:5", &headers, Ok(Admitted::ByBearer));
    }

    /// The headers of a browser for requests of a page of another site, and the requests that pass with them.
    #[test]
    fn other_sites_can_have_nothing_taken_or_changed() {
        type Headers<'h> = &'h [(&'h str, &'h str)];
        let cases: &[(Headers<'_>, [bool; 3])] = &[
            // Reading, taking by GET, writing.
            (&[], [true, true, true]),
            (&[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")], [true, true, true]),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")], [true, true, true]),
            (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], [false, false, false]),
            (&[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")], [false, false, false]),
            (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], [true, false, false]),
            (&[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate")], [true, false, false]),
            (&[("sec-fetch-site", "cross-site")], [false, false, false]),
            (&[("origin", "null")], [false, false, false]),
            (&[("origin", "http://evil.com")], [false, false, false]),
            (&[("origin", "http://localhost")], [true, true, true]),
            (&[("origin", "http://localhost"), ("origin", "http://evil.com")], [false, false, false]),
            (&[("origin", "http://localhost.evil.com")], [false, false, false]),
            (&[("referer", "http://evil.com/localhost")], [true, false, false]),
            (&[("referer", "http://localhost/docs/?a=/b")], [true, true, true]),
            (&[("referer", "http://localhost.evil.com/")], [true, false, false]),
            (&[("user-agent", "Mozilla/5.0 (X11)")], [true, false, false]),
            (
                &[("user-agent", "Mozilla/5.0 (X11)"), ("referer", "http://localhost/docs")],
                [true, true, true],
            ),
            (&[("user-agent", "curl/8")], [true, true, true]),
        ];
        let place = place(Settings::default());
        let requests = [
            [("GET", READS), ("HEAD", READS)],
            [("GET", TAKES), ("HEAD", TAKES)],
            [("POST", READS), ("DELETE", TAKES)],
        ];
        for (headers, expected) in cases {
            for (requests, may) in requests.iter().zip(expected) {
                let expected = if *may { Ok(Admitted::Fully) } else { Err("foreign-origin") };
                for request in requests {
                    check(&place, *request, "127.0.0.1:5", headers, expected.clone());
                }
            }
        }
    }

    #[test]
    fn routes_for_proxies_are_closed_to_browsers() {
        let browser: &[&[(&str, &str)]] = &[
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
            &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
            &[("sec-fetch-dest", "image")],
            &[("origin", "https://shop.test")],
            &[("referer", "https://shop.test/")],
            &[("user-agent", "Mozilla/5.0")],
        ];
        let proxy = [
            "x-original-uri",
            "x-original-url",
            "x-forwarded-for",
            "x-forwarded-uri",
            "x-real-ip",
            "forwarded",
        ];
        let place = place(Settings::default());
        let check = |headers: &[(&str, &str)], expected| {
            check(&place, ("GET", FOR_PROXIES), "127.0.0.1:5", headers, expected);
        };
        check(&[("host", "shop.test")], Ok(Admitted::Fully));
        for said in browser {
            check(said, Err("foreign-origin"));
            check(&[said, &[("x-user-id", "me"), ("x-request-id", "1")][..]].concat(), Err("foreign-origin"));
            for name in proxy {
                check(&[said, &[("host", "shop.test"), (name, "1")][..]].concat(), Ok(Admitted::Fully));
            }
        }
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
