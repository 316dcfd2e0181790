//! nginx asks before it lets a request pass, by `auth_request`.

use std::fs;

use super::{connect, put_policy, server};
use crate::support::http::Http;
use crate::support::nginx::Nginx;

#[test]
fn nginx_passes_the_requests_that_the_limit_allows() {
    let server = server();
    put_policy(
        &mut connect(&server),
        "web",
        r#"{"limits": [{"algorithm": "fixed", "limit": 2, "period_ms": 3600000}]}"#,
    );
    let inside = format!(
        r#"
        location / {{
            auth_request /limit;
            auth_request_set $limit $upstream_http_ratelimit;
            auth_request_set $retry $upstream_http_retry_after;
            add_header RateLimit $limit always;
            error_page 403 = @over;
        }}
        location = /limit {{
            internal;
            proxy_pass http://{limiter}/auth/nginx?policy=web;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Original-URI $request_uri;
        }}
        location @over {{
            add_header Retry-After $retry always;
            add_header RateLimit $limit always;
            return 429;
        }}
"#,
        limiter = server.http_address(),
    );
    let Some(nginx) = Nginx::start(&inside) else { return };
    fs::write(nginx.folder().path().join("index.html"), "behind the limit").expect("the folder is there");
    let mut http = Http::connect(nginx.address());
    for left in ["r=1", "r=0"] {
        let passed = http.ask("GET", "/index.html", &[("X-User-ID", "alice")], b"");
        assert_eq!((passed.status, passed.text()), (200, "behind the limit"));
        assert!(passed.header("ratelimit").is_some_and(|text| text.contains(left)), "{passed:?}");
    }
    let refused = http.ask("GET", "/index.html", &[("X-User-ID", "alice")], b"");
    assert_eq!(refused.status, 429);
    let seconds = refused.header("retry-after").and_then(|text| text.parse::<u32>().ok());
    assert!(seconds.is_some_and(|seconds| (3_500..=3_600).contains(&seconds)), "{refused:?}");
    assert!(refused.header("ratelimit").is_some_and(|text| text.contains("r=0")), "{refused:?}");
    // What browsers say of the pages that their visitors come from is about the server behind.
    let cross_site = [
        ("X-User-ID", "carol"),
        ("Origin", "https://elsewhere.test"),
        ("Referer", "https://elsewhere.test/page"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "no-cors"),
        ("Sec-Fetch-Dest", "image"),
        ("User-Agent", "Mozilla/5.0"),
    ];
    assert_eq!(http.ask("GET", "/index.html", &cross_site, b"").status, 200);
    let direct = connect(&server).ask("GET", "/auth/nginx?policy=web", &cross_site, b"");
    assert_eq!((direct.status, direct.problem().as_str()), (403, "foreign-origin"));
    for name in [&[("X-User-ID", "bob")][..], &[]] {
        assert_eq!(http.ask("GET", "/index.html", name, b"").status, 200, "{name:?} is not touched");
    }
}
