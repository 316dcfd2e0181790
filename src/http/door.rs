//! What every request passes: it is named, let in or refused, run, counted and logged.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower::{Layer, Service};
use tracing::Instrument;

use super::access::Access;
use super::request_id::{X_REQUEST_ID, request_id};
use super::router::Peer;
use crate::endpoint::Context;

/// What requests that fit no route are counted as.
const NO_ROUTE: &str = "(none)";

/// How a client that gave no password is told to give one.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"quartet\", charset=\"UTF-8\", Bearer");

/// The layer around every endpoint and fallback.  It is inside the router, so that it knows the route.
#[derive(Clone)]
pub(super) struct Door {
    context: Context,
    access: Arc<Access>,
}

/// An endpoint behind the door.
#[derive(Clone)]
pub(super) struct Behind<S> {
    door: Door,
    inner: S,
}

impl Door {
    pub(super) fn new(context: Context, access: Access) -> Door {
        Door { context, access: Arc::new(access) }
    }

    /// Answers a request by `inner` if it may.
    async fn serve<S>(self, mut request: Request, mut inner: S) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        let began = self.context.now();
        let id = request_id(request.headers(), || self.context.draw());
        let method = request.method().clone();
        let route = request.extensions().get::<MatchedPath>().cloned();
        // Enabled at every level, so that whatever is logged meanwhile carries the id.
        let span = tracing::error_span!("request", id = id.to_str().unwrap_or_default());
        let answer = async {
            let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
            let settings = &self.context.services().settings;
            match self.access.admit(&request, peer, settings) {
                Ok(admitted) => {
                    request.extensions_mut().insert(admitted);
                    let Ok(response) = inner.call(request).await;
                    response
                }
                Err(problem) => problem.into_response(),
            }
        };
        let mut response = answer.instrument(span.clone()).await;
        finish(&method, &mut response);
        response.headers_mut().insert(X_REQUEST_ID, id);
        let micros = self.context.now().micros().saturating_sub(began.micros());
        let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
        let status = response.status().as_u16();
        let label = method_label(&method);
        self.context.services().metrics.requests.count(self.context.slot(), label, route, status, micros);
        span.in_scope(|| self.log(label, route, status, micros));
        response
    }

    fn log(&self, method: &str, route: &str, status: u16, micros: u64) {
        if status >= 500 {
            tracing::warn!(method, route, status, micros, "answered");
        } else if self.context.services().settings.http_log_requests() {
            tracing::info!(method, route, status, micros, "answered");
        } else {
            tracing::debug!(method, route, status, micros, "answered");
        }
    }
}

/// Adds what depends on the method or the status alone.
fn finish(method: &Method, response: &mut Response) {
    if method == Method::OPTIONS && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allow = response.headers().get(header::ALLOW).cloned();
        *response = StatusCode::NO_CONTENT.into_response();
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
    }
}

/// The method as a label, of which there must not be more than a few.
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

impl<S> Layer<S> for Door {
    type Service = Behind<S>;

    fn layer(&self, inner: S) -> Behind<S> {
        Behind { door: self.clone(), inner }
    }
}

impl<S> Service<Request> for Behind<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The service that was made ready is the one to be called; its copy waits for the next request.
        let copy = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, copy);
        let door = self.door.clone();
        Box::pin(async move { Ok(door.serve(request, inner).await) })
    }
}
