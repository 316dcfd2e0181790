//! Limits: exact counts, several at once, and what the layer answers.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use quartet_client::{Check, Error, Limiter, Quartet, Rate, RateLimitLayer, Unreachable};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::servers::{KEPT, Server};

async fn policy(quartet: &Quartet, name: &str, limit: u32, algorithm: &str) -> Limiter {
    let limiter = quartet.limiter(name);
    let definition =
        format!(r#"{{"limits": [{{"algorithm": "{algorithm}", "limit": {limit}, "period_ms": 3600000}}]}}"#);
    limiter.define(&definition).await.unwrap();
    limiter
}

#[tokio::test]
async fn exactly_as_many_as_allowed() {
    let server = Server::start(&[]).await;
    let ten = policy(&server.quartet(), "ten", 10, "gcra").await;
    let asking: Vec<_> = (0..40)
        .map(|_| {
            let ten = ten.clone();
            tokio::spawn(async move { ten.check("ann", 1).await.unwrap().allowed })
        })
        .collect();
    let mut allowed = 0;
    for asked in asking {
        allowed += u32::from(asked.await.unwrap());
    }
    assert_eq!(allowed, 10);
    let refused = ten.check("ann", 1).await.unwrap();
    assert!(!refused.allowed && refused.limit == 10 && refused.remaining == 0 && refused.taken == 0);
    let after = refused.retry_after.unwrap();
    assert!(!after.is_zero() && after <= Duration::from_secs(360));
    assert!(matches!(refused.allowed(), Err(Error::RateLimited(_))));
    assert_eq!(ten.check("bob", 1).await.unwrap().remaining, 9);
}

#[tokio::test]
async fn what_a_check_may_ask() {
    let server = Server::start(&[]).await;
    let quartet = server.quartet();
    let five = policy(&quartet, "five", 5, "gcra").await;
    assert_eq!(five.peek("ann", 1).await.unwrap().remaining, 5);
    assert_eq!(five.check("ann", 3).await.unwrap().remaining, 2);
    assert_eq!(five.check_up_to("ann", 9).await.unwrap().taken, 2);
    assert_eq!(five.check_up_to("ann", 1).await.unwrap().taken, 0);
    five.reset("ann").await.unwrap();
    let never = five.check("ann", 6).await.unwrap();
    assert!(!never.allowed && never.retry_after.is_none());
    let rate = Rate { algorithm: "gcra", limit: 100, period: Duration::from_secs(10), burst: Some(1) };
    let stated = quartet.rate(rate);
    for _ in 0..4 {
        let decision = stated.check_within("key", 1, Duration::from_secs(30)).await.unwrap();
        assert!(decision.allowed && decision.policy.is_none());
    }
    assert!(matches!(stated.reset("key").await, Err(Error::NoPolicy)));
}

#[tokio::test]
async fn several_at_once_take_from_all_or_none() {
    let server = Server::start(&[]).await;
    let quartet = server.quartet();
    let wide = policy(&quartet, "wide", 10, "gcra").await;
    policy(&quartet, "narrow", 2, "gcra").await;
    let checks =
        [Check { policy: "wide", key: "ann", cost: 1 }, Check { policy: "narrow", key: "all", cost: 1 }];
    assert!(quartet.check_all(&checks).await.unwrap().allowed);
    assert!(quartet.check_all(&checks).await.unwrap().allowed);
    let refused = quartet.check_all(&checks).await.unwrap();
    assert!(!refused.allowed && refused.policy.as_deref() == Some("narrow"));
    assert_eq!(wide.peek("ann", 1).await.unwrap().remaining, 8);
}

#[tokio::test]
async fn reservations_slots_and_futures() {
    let server = Server::start(&[]).await;
    let quartet = server.quartet();
    let ten = policy(&quartet, "ten", 10, "gcra").await;
    let minute = Duration::from_secs(60);
    let reservation = ten.reserve("ann", 8, minute).await.unwrap();
    assert!(matches!(ten.reserve("ann", 5, minute).await, Err(Error::RateLimited(_))));
    assert!(reservation.commit(3).await.unwrap());
    assert!(ten.reserve("ann", 7, minute).await.unwrap().cancel().await.unwrap());
    assert_eq!(ten.peek("ann", 1).await.unwrap().remaining, 7);
    let jobs = policy(&quartet, "jobs", 1, "concurrency").await;
    let slot = jobs.enter("ann", KEPT).await.unwrap();
    assert!(matches!(jobs.enter("ann", KEPT).await, Err(Error::RateLimited(_))));
    slot.release().await.unwrap();
    let slot = jobs.enter("ann", KEPT).await.unwrap();
    jobs.reset("ann").await.unwrap();
    slot.lost().await;
    assert!(slot.release().await.unwrap_err().is_lost());
    let one = policy(&quartet, "one", 1, "gcra").await;
    assert_eq!(one.run("ann", 1, async || Ok::<_, Error>(42)).await.unwrap(), 42);
    let mut has_run = false;
    let run = async || {
        has_run = true;
        Ok::<_, Error>(())
    };
    assert!(matches!(one.run("ann", 1, run).await, Err(Error::RateLimited(_))));
    assert!(!has_run);
}

async fn hello(_: Request<()>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello".to_owned()))
}

async fn get(
    service: impl Service<Request<()>, Response = Response<String>, Error = Infallible>,
    user: &str,
) -> Response<String> {
    let request = Request::builder().header("x-user", user).body(()).unwrap();
    service.oneshot(request).await.unwrap()
}

fn user(request: &Request<()>) -> Option<String> {
    let user = request.headers().get("x-user")?.to_str().ok()?;
    (!user.is_empty()).then(|| user.to_owned())
}

#[tokio::test]
async fn the_layer() {
    let mut server = Server::start(&[]).await;
    let quartet = server.quartet();
    let two = policy(&quartet, "two", 2, "gcra").await;
    let web = RateLimitLayer::new(two.clone(), user).layer(service_fn(hello));
    let first = get(web.clone(), "ann").await;
    assert_eq!((first.status().as_u16(), first.body().as_str()), (200, "hello"));
    assert_eq!(first.headers()["ratelimit-policy"], "\"two\";q=2");
    assert!(first.headers()["ratelimit"].to_str().unwrap().starts_with("\"two\";r=1;t="));
    get(web.clone(), "ann").await;
    let refused = get(web.clone(), "ann").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap() > 0);
    assert!(refused.body().contains("quota-exceeded"));
    for _ in 0..3 {
        assert_eq!(get(web.clone(), "").await.status(), 200);
    }
    server.stop();
    assert_eq!(get(web, "ann").await.status(), 503);
    let open = RateLimitLayer::new(two, user).when_unreachable(Unreachable::Allow).layer(service_fn(hello));
    assert_eq!(get(open, "ann").await.status(), 200);
}
