//! The way of every request: it gets an id, is admitted or refused, run, counted and logged.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower::{Layer, Service};
use tower_http::cors::CorsLayer;

use super::access::{Access, Admitted, Peer};
use super::flight::{Account, Direction};
use super::request_id::{RequestId, X_REQUEST_ID};
use super::router;
use super::routes::{Route, Routes};
use super::rows::{self, Visitor};
use super::ticket;
use super::websocket::Arriving;
use crate::access::attempts::RECOVERY;
use crate::http::endpoint::{Context, Crowded, Problem};
use crate::net::dealer::Dealer;
use crate::settings::Settings;

/// The challenge for clients that gave no password.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"quartet\", charset=\"UTF-8\", Bearer");

/// Browsers take a response for what its Content-Type says, and guess no other type.
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// No page may show a response in a frame, where it could trick its visitor into clicking.
const DENY: HeaderValue = HeaderValue::from_static("DENY");

/// The same for newer browsers, and the limits of our pages with scripts.
const PAGE_POLICY: HeaderValue =
    HeaderValue::from_static("frame-ancestors 'none'; base-uri 'none'; object-src 'none'");

/// Data never runs as a page of ours, even if the writer of a value called it HTML.
const DATA_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'; sandbox");

/// The route whose responses have room whatever other connections leave unread, so that an attack can be watched.
const METRICS: &str = "/metrics";

/// The client of a request.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) peer: Peer,
    /// The responses that its connection has not read yet.
    pub(super) responses: Arc<Account>,
}

/// The door of one thread, with the router behind it.  Cheap to clone.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    context: Context,
    access: Access,
    /// Present if pages of other sites may use the door.
    cors: Option<CorsLayer>,
    router: axum::Router,
    routes: Routes,
    /// Takes the connections that become WebSockets; none if requests come over no connections.
    dealer: Option<Dealer>,
}

impl Door {
    /// The door of the thread that has this context.  Connections that become WebSockets go to `dealer`; without one, none do.
    pub fn new(context: Context, settings: &Settings, dealer: Option<Dealer>) -> Door {
        let router = router::router(context.clone());
        Door::before(router, context, settings, dealer)
    }

    /// The door in front of these endpoints.
    pub(super) fn before(
        router: axum::Router,
        context: Context,
        settings: &Settings,
        dealer: Option<Dealer>,
    ) -> Door {
        Door(Arc::new(Inner {
            access: Access::new(settings),
            cors: router::cors(&settings.http_cors_origins),
            router,
            routes: Routes::new(),
            context,
            dealer,
        }))
    }

    /// Answers a request that came over no connection of ours, as if the client at `address` had connected to `own` for it
    /// and read the response at once.
    pub async fn answer_directly(&self, request: Request, address: SocketAddr, own: SocketAddr) -> Response {
        let services = Arc::clone(self.0.context.services());
        let responses = Account::new(services, Direction::Out);
        self.answer(request, Caller { peer: Peer::new(address, own), responses }).await
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Request, caller: Caller) -> Response {
        let Inner { context, routes, .. } = &*self.0;
        let began = context.now();
        let id = RequestId::of(request.headers(), || context.draw());
        let method = request.method().clone();
        let route = routes.find(request.uri().path());
        let mut run = pin!(self.pass(request, route, caller));
        let mut response = poll_fn(|waiter| id.on_lines_of(|| run.as_mut().poll(waiter))).await;
        finish(&method, route, &mut response);
        response.headers_mut().insert(X_REQUEST_ID, id.to_header());
        let route = route.label.as_str();
        let micros = context.now().micros().saturating_sub(began.micros());
        let (method, status) = (method_label(&method), response.status().as_u16());
        context.services().metrics.requests.count(context.slot(), method, route, status, micros);
        id.on_lines_of(|| self.log(method, route, status, micros));
        response
    }

    /// Answers a request, with the headers for browsers if pages of other sites may use the door.
    async fn pass(&self, mut request: Request, route: &Route, caller: Caller) -> Response {
        // Without such sites, no request pays for the layer.
        let Some(cors) = &self.0.cors else { return self.run(request, route, caller).await };
        let asks_first = request.headers().contains_key(header::ORIGIN)
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let method = request.method().clone();
        if method == Method::OPTIONS && !asks_first {
            // The layer would answer it by itself.
            *request.method_mut() = Method::GET;
        }
        let entrance = Entrance { door: self.clone(), caller, method };
        let Ok(response) = cors.layer(entrance).call(request).await;
        response
    }

    async fn run(&self, mut request: Request, route: &Route, caller: Caller) -> Response {
        let Inner { context, access, router, dealer, .. } = &*self.0;
        match access.admit(&request, route, caller.peer, context.services()) {
            Ok(admitted) if route.upgrades => {
                let arriving = Arriving { peer: caller.peer, admitted, dealer: dealer.clone() };
                request.extensions_mut().insert(arriving);
            }
            Ok(admitted @ (Admitted::Fully | Admitted::ByBearer)) if route.runs_commands => {
                let is_operator = admitted == Admitted::ByBearer;
                let visitor = Visitor { address: caller.peer.address(), is_operator };
                request.extensions_mut().insert(visitor);
            }
            Ok(Admitted::Fully | Admitted::ByBearer) => {}
            Ok(Admitted::ByUser(rights)) => {
                request.extensions_mut().insert(rights);
            }
            Ok(Admitted::ForStatus | Admitted::ForLater) => {
                request.extensions_mut().insert(Admitted::ForStatus);
            }
            Err(problem) => {
                if problem.status() == StatusCode::TOO_MANY_REQUESTS {
                    // A client that guesses passwords has to wait for the next try.
                    let pause = tokio::time::sleep(RECOVERY);
                    tokio::select! { () = pause => {}, () = context.stopping().cancelled() => {} }
                }
                return refuse(problem, route);
            }
        }
        if route.takes_ticket {
            ticket::remove(request.uri_mut());
        }
        if let Err(problem) = caller.responses.admit_any() {
            return refuse(problem, route);
        }
        let only_reads = match *request.method() {
            Method::GET | Method::HEAD => !route.get_takes,
            Method::POST => route.post_reads,
            _ => false,
        };
        let knows_its_length = only_reads || route.runs_commands;
        if knows_its_length
            && *request.method() != Method::HEAD
            && caller.responses.admit(usize::MAX, 0).is_err()
        {
            let responses = Arc::clone(&caller.responses);
            request.extensions_mut().insert(Crowded(responses));
        }
        let Ok(response) = router.clone().call(request).await;
        if !only_reads {
            // The request has changed something, so its client must learn the result.
            return response;
        }
        let bytes = usize::try_from(response.body().size_hint().lower()).unwrap_or(usize::MAX);
        let admitted = match route.label.as_str() {
            METRICS => caller.responses.admit_alone(bytes, 0),
            _ => caller.responses.admit(bytes, 0),
        };
        match admitted {
            Ok(()) => response,
            Err(problem) => problem.into_response(),
        }
    }

    fn log(&self, method: &str, route: &str, status: u16, micros: u64) {
        if status >= 500 {
            tracing::warn!(method, route, status, micros, "answered");
        } else if self.0.context.services().settings.current().http_log_requests {
            tracing::info!(method, route, status, micros, "answered");
        } else {
            tracing::debug!(method, route, status, micros, "answered");
        }
    }
}

/// The response to a request that does not reach its endpoint.
fn refuse(problem: Problem, route: &Route) -> Response {
    if route.runs_commands { rows::with_error(problem) } else { problem }.into_response()
}

/// Adds the headers that depend on the method, the route or the status alone.
fn finish(method: &Method, route: &Route, response: &mut Response) {
    if method == Method::OPTIONS && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        // The first must not have a length, and that of the second would describe a body that is not sent.
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
    }
    let policy = if route.has_scripts { PAGE_POLICY } else { DATA_POLICY };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::X_FRAME_OPTIONS, DENY);
    // Values that clients have stored have a policy of their own.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
}

/// The method as a label; there are only a few labels.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// The door for one caller, as a service for the layer for browsers.
#[derive(Clone)]
struct Entrance {
    door: Door,
    caller: Caller,
    /// The method of the request, which the layer does not need.
    method: Method,
}

impl Service<Request> for Entrance {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let Entrance { door, caller, method } = self.clone();
        *request.method_mut() = method;
        Box::pin(async move {
            let route = door.0.routes.find(request.uri().path());
            Ok(door.run(request, route, caller).await)
        })
    }
}
