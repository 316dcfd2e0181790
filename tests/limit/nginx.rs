//! nginx asks before it lets a request pass, by `auth_request`.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command};

use super::{connect, put_policy, server};
use crate::support::http::Http;
use crate::support::peers::peer;
use crate::support::process::{Folder, free_address, wait_for, with_output_in};

/// nginx while it runs; it ends with this value.
struct Nginx {
    child: Child,
    _folder: Folder,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A process that has already ended cannot be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn nginx_lets_pass_what_the_limit_allows() {
    let Some(program) = peer("nginx") else { return };
    let server = server();
    put_policy(
        &mut connect(&server),
        "web",
        r#"{"limits": [{"algorithm": "fixed", "limit": 2, "period_ms": 3600000}]}"#,
    );
    let (folder, address) = (Folder::new(), free_address());
    let path = folder.path().display();
    fs::write(folder.path().join("index.html"), "behind the limit").expect("the folder was just made");
    let configuration = format!(
        r#"daemon off;
master_process off;
pid {path}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {path}/body;
    proxy_temp_path {path}/proxy;
    fastcgi_temp_path {path}/fastcgi;
    uwsgi_temp_path {path}/uwsgi;
    scgi_temp_path {path}/scgi;
    server {{
        listen {address};
        root {path};
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
    }}
}}
"#,
        limiter = server.http_address(),
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, configuration).expect("the folder was just made");
    let mut command = with_output_in(&folder, Command::new(program));
    let child = command.arg("-e").arg("stderr").arg("-c").arg(&file).spawn().expect("the peer was found");
    let mut nginx = Nginx { child, _folder: folder };
    wait_for(|| {
        assert!(nginx.child.try_wait().expect("the child is ours").is_none(), "nginx ended");
        TcpStream::connect(address).ok()
    });
    let mut http = Http::connect(address);
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
