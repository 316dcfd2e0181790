//! The README's program about limits.

use std::time::Duration;

use quartet_client::{Check, Error, Quartet, Rate, RateLimitLayer};

pub(crate) async fn serve(quartet: &Quartet) -> Result<(), Error> {
    let api = quartet.limiter("api"); // a policy of the server, made here or by whoever operates it
    api.define(r#"{"limits": [{"algorithm": "gcra", "limit": 2, "period_ms": 60000}]}"#).await?;

    let decision = api.check("ann", 1).await?;
    println!("{} {} {:?}", decision.allowed, decision.remaining, decision.retry_after);

    // From all or from none.
    let checks = [
        Check { policy: "api", key: "bob", cost: 1 },
        Check { policy: "default", key: "everybody", cost: 1 },
    ];
    quartet.check_all(&checks).await?.allowed()?;

    for _ in 0..3 {
        match api.run("carol", 1, async || Ok("done")).await {
            Err(Error::RateLimited(decision)) => println!("retry after {:?}", decision.retry_after),
            other => println!("{}", other?),
        }
    }

    // A limit without a policy, and a cost that is known only afterwards.
    let rate = Rate { algorithm: "sliding", limit: 100, period: Duration::from_secs(60), burst: None };
    quartet.rate(rate).check("ann", 1).await?.allowed()?;
    let reservation = api.reserve("dan", 2, Duration::from_secs(60)).await?;
    reservation.commit(1).await?;

    // With the feature `tower`: `router.layer(layer)` in axum.  Requests without a key are not limited.
    let _layer = RateLimitLayer::new(api, |request: &http::Request<String>| {
        Some(request.headers().get("x-user")?.to_str().ok()?.to_owned())
    });
    Ok(())
}
