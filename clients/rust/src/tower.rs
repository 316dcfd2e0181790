//! A layer of tower that answers 429 with Retry-After where a limiter refuses, and adds the RateLimit headers to all responses.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use tower_layer::Layer;
use tower_service::Service;

use crate::limiter::Limiter;
use crate::reply::Decision;

/// What to do with a request while the limiter cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unreachable {
    /// Answer 503.
    #[default]
    Refuse,
    /// Let it pass.
    Allow,
}

/// Makes the key of a request, or none for requests that are not limited.
type Key<Body> = Arc<dyn Fn(&Request<Body>) -> Option<String> + Send + Sync>;

/// Limits the requests to the services that it wraps.
pub struct RateLimitLayer<Body> {
    limiter: Limiter,
    key: Key<Body>,
    when_unreachable: Unreachable,
}

impl<Body> RateLimitLayer<Body> {
    /// Limits each key that this function makes of a request; requests without a key are not limited.
    pub fn new(
        limiter: Limiter,
        key: impl Fn(&Request<Body>) -> Option<String> + Send + Sync + 'static,
    ) -> RateLimitLayer<Body> {
        RateLimitLayer { limiter, key: Arc::new(key), when_unreachable: Unreachable::Refuse }
    }

    /// What to do while the limiter cannot be asked: answer 503 unless it is given.
    #[must_use]
    pub fn when_unreachable(self, when_unreachable: Unreachable) -> RateLimitLayer<Body> {
        RateLimitLayer { when_unreachable, ..self }
    }
}

impl<Body> Clone for RateLimitLayer<Body> {
    fn clone(&self) -> RateLimitLayer<Body> {
        let (limiter, key) = (self.limiter.clone(), Arc::clone(&self.key));
        RateLimitLayer { limiter, key, when_unreachable: self.when_unreachable }
    }
}

impl<Inner, Body> Layer<Inner> for RateLimitLayer<Body> {
    type Service = RateLimit<Inner, Body>;

    fn layer(&self, inner: Inner) -> RateLimit<Inner, Body> {
        RateLimit { inner, layer: self.clone() }
    }
}

/// A service whose requests are limited.
pub struct RateLimit<Inner, Body> {
    inner: Inner,
    layer: RateLimitLayer<Body>,
}

impl<Inner: Clone, Body> Clone for RateLimit<Inner, Body> {
    fn clone(&self) -> RateLimit<Inner, Body> {
        RateLimit { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<Inner, Body, Answer> Service<Request<Body>> for RateLimit<Inner, Body>
where
    Inner: Service<Request<Body>, Response = Response<Answer>> + Clone + Send + 'static,
    Inner::Future: Send,
    Body: Send + 'static,
    Answer: From<String>,
{
    type Response = Response<Answer>;
    type Error = Inner::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Inner::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Inner::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The service that is ready goes with this request; its clone becomes ready for the next.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        Box::pin(async move {
            let Some(key) = (layer.key)(&request) else { return inner.call(request).await };
            let decision = match layer.limiter.check(&key, 1).await {
                Ok(decision) => decision,
                Err(_) if layer.when_unreachable == Unreachable::Allow => return inner.call(request).await,
                Err(_) => return Ok(unavailable()),
            };
            let mut response = if decision.allowed {
                tokio::time::sleep(decision.delay).await;
                inner.call(request).await?
            } else {
                over(&decision)
            };
            add_headers(&mut response, &decision);
            Ok(response)
        })
    }
}

fn add_headers<Answer>(response: &mut Response<Answer>, decision: &Decision) {
    for (name, value) in decision.headers() {
        // The names of policies may have characters that headers may not.
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
}

fn problem<Answer: From<String>>(status: StatusCode, text: String) -> Response<Answer> {
    let mut response = Response::new(Answer::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn over<Answer: From<String>>(decision: &Decision) -> Response<Answer> {
    // Names of policies have no characters that JSON escapes.
    let name = decision.policy.as_deref().unwrap_or("limit");
    let text = format!(
        r#"{{"type":"/problems/quota-exceeded","title":"The request is over a limit","status":429,"violated-policies":["{name}"]}}"#
    );
    problem(StatusCode::TOO_MANY_REQUESTS, text)
}

fn unavailable<Answer: From<String>>() -> Response<Answer> {
    let text = r#"{"title":"The rate limiter cannot be reached","status":503}"#;
    problem(StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
}
