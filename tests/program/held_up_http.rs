//! Clients of one HTTP thread do not wait for each other's commands, nor for what others hold.

use crate::support::client::{Client, request};
use crate::support::http::Http;
use crate::support::process::{Server, wait_for};

const ENDLESS: &str = "while true do end";

/// Runs until it is stopped, and holds a key and the counters of `me`.
const HOLDING: [&str; 6] = ["EVAL", ENDLESS, "3", "held", "rl::me", "rl:default:me"];

const TEXT: &[(&str, &str)] = &[("Content-Type", "text/plain")];

/// Requests that a client has answered one after the other while a command without end is at work.
const ANSWERED: usize = 20;

/// Clients that leave.
const LEAVING: usize = 50;

/// Seconds after which a script is stopped.  If others were too slow to be answered before, it gets more.
const SECONDS: &[&str] = &["1", "4", "16"];

/// A server with one thread of each kind, where what needs the keys of a script waits until it is stopped.
fn server(seconds: &str) -> Server {
    let one_of_each = ["--threads", "1", "--http-threads", "1", "--http-port", "0"];
    let limits = ["--busy-reply-threshold", "60000", "--script-time-limit", seconds];
    Server::quartet(&[&one_of_each[..], &limits].concat())
}

/// A request that runs this command, not to be waited for here.
fn post(http: &mut Http, server: &Server, command: &[&str]) {
    let body = serde_json::to_string(command).expect("it is text");
    let host = server.http_address();
    let length = body.len();
    http.write(
        format!("POST /redis HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes(),
    );
}

/// What this command is answered with.
fn run(http: &mut Http, command: &[&str]) -> String {
    let body = serde_json::to_string(command).expect("it is text");
    http.ask("POST", "/redis", &[], body.as_bytes()).text().to_owned()
}

/// Returns once the script that holds this key is at work.
fn wait_until_held(server: &Server, key: &str) -> Client {
    let mut other = Client::connect(server.address());
    wait_for(|| {
        let mut needy = Client::connect(server.address());
        // A worker has it, so what it says is met at once.
        assert_eq!(needy.ask("PING"), "PONG");
        needy.write(format!("GET {key}\r\n").as_bytes());
        // The second answer comes behind that of the needy client, if that one need not wait.
        assert_eq!((other.ask("PING"), other.ask("PING")), ("PONG".to_owned(), "PONG".to_owned()));
        (!needy.has_answer()).then_some(needy)
    })
}

/// Has requests of all kinds answered that need nothing of `held`.
fn is_served(http: &mut Http) {
    for number in 0..ANSWERED {
        let number = number.to_string();
        assert_eq!(http.ask("PUT", "/cache/free", TEXT, number.as_bytes()).status / 100, 2);
        assert_eq!(run(http, &["GET", "free"]), format!("{{\"result\":\"{number}\"}}"));
        assert_eq!(run(http, &["STRLEN", "free"]), format!("{{\"result\":{}}}", number.len()));
        assert_eq!(
            run(http, &["EVAL", "return redis.call('GET', KEYS[1])", "1", "free"]),
            format!("{{\"result\":\"{number}\"}}")
        );
        assert_eq!(run(http, &["LRANGE", "nothing", "0", "-1"]), "{\"result\":[]}");
        assert_eq!(http.get("/check?policy=default&key=somebody&peek=true").status, 200);
    }
}

/// Clients of HTTP that need the key of a command that is at work, and get their answers once it has ended.
struct Needy(Vec<(Http, &'static str, u16)>);

impl Needy {
    fn of(server: &Server) -> Needy {
        let host = server.http_address();
        let asked = [
            ("GET", "/cache/held", "", 404),
            ("GET", "/redis/strlen/held", "", 200),
            ("POST", "/redis", "[\"LRANGE\",\"held\",0,-1]", 200),
            ("POST", "/redis/multi-exec", "[[\"GET\",\"held\"],[\"GET\",\"free\"]]", 200),
            ("POST", "/redis/pipeline", "[[\"GET\",\"free\"],[\"GET\",\"held\"]]", 200),
            ("POST", "/redis", "[\"RL.CHECK\",\"me\",\"INLINE\",\"gcra\",10,60000]", 200),
            ("GET", "/check?policy=default&key=me", "", 200),
            ("POST", "/redis/multi-exec", "[[\"RL.CHECK\",\"me\",\"INLINE\",\"gcra\",10,60000]]", 200),
            ("DELETE", "/cache/held", "", 404),
            ("GET", "/redis/scan/0/match/held/count/100000", "", 200),
            ("GET", "/cache?match=held&count=1000", "", 200),
            ("DELETE", "/cache?db=1", "", 204),
        ];
        let ask = |(method, path, body, status): (&'static str, &str, &str, u16)| {
            let mut http = Http::connect(server.http_address());
            let length = body.len();
            let head =
                format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n");
            http.write(format!("{head}{body}").as_bytes());
            (http, method, status)
        };
        Needy(asked.map(ask).into_iter().collect())
    }

    fn are_answered(self) {
        for (place, (mut http, method, status)) in self.0.into_iter().enumerate() {
            let response = http.read(method).expect("an answer");
            assert_eq!(response.status, status, "{place}: {}", response.text());
        }
    }
}

#[test]
fn a_command_over_http_holds_up_only_those_who_need_its_key() {
    holds_up_only_the_needy(|server| {
        let mut runner = Http::connect(server.http_address());
        post(&mut runner, server, &HOLDING);
        move || runner.read("POST").expect("an answer").text().to_owned()
    });
}

#[test]
fn clients_of_http_that_need_what_others_hold_wait_alone() {
    holds_up_only_the_needy(|server| {
        let mut runner = Client::connect(server.address());
        runner.write(&request(&HOLDING));
        move || runner.read_text().expect("an answer")
    });
}

/// Has the script run that holds keys: `begin` sends it, and returns what waits for its answer.
fn holds_up_only_the_needy<End: FnOnce() -> String>(begin: impl Fn(&Server) -> End) {
    let is_told = SECONDS.iter().any(|seconds| {
        let server = server(seconds);
        let end = begin(&server);
        let is_served = serves_others(&server);
        let stopped = end();
        assert!(stopped.contains("script-time-limit"), "{stopped}");
        is_served
    });
    assert!(is_told, "others were answered after the end of the command");
}

/// Those who need nothing of the store are answered beside a script that has it alone, although one who needs it has come first.
#[test]
fn a_script_over_http_that_is_alone_keeps_no_other_thread() {
    let is_told = SECONDS.iter().any(|seconds| {
        let server = server(seconds);
        let (host, connect) = (server.http_address(), || Http::connect(server.http_address()));
        let (mut runner, mut needy, mut other) = (connect(), connect(), connect());
        post(&mut runner, &server, &["EVAL", "redis.call('GET', 'undeclared') while true do end", "0"]);
        // By RESP nobody is answered any more once it is at work.
        let mut needy_of_resp = wait_for(|| {
            let mut needy = Client::connect(server.address());
            needy.write(b"GET held\r\n");
            assert_eq!((other.get("/health/live").status, other.get("/health/live").status), (200, 200));
            (!needy.has_answer()).then_some(needy)
        });
        needy.write(format!("GET /cache/held HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        for _ in 0..ANSWERED {
            assert_eq!(other.get("/health/live").status, 200);
        }
        let is_before_the_end = !needy_of_resp.has_answer();
        assert_eq!(needy.read("GET").expect("an answer").status, 404);
        assert_eq!(needy_of_resp.read_text().as_deref(), Some("(nil)"));
        assert!(runner.read("POST").expect("an answer").text().contains("script-time-limit"));
        is_before_the_end
    });
    assert!(is_told, "others were answered after the end of the script");
}

/// Whether others are answered before the script ends that holds `held`.  Those who need it are answered once it has ended.
fn serves_others(server: &Server) -> bool {
    let mut needy_of_resp = wait_until_held(server, "held");
    let mut other = Http::connect(server.http_address());
    is_served(&mut other);
    let needy = Needy::of(server);
    is_served(&mut other);
    let is_before_the_end = !needy_of_resp.has_answer();
    needy.are_answered();
    assert_eq!(needy_of_resp.read_text().as_deref(), Some("(nil)"));
    is_before_the_end
}

/// A reservation does not end by itself while its commit waits for a counter.
#[test]
fn a_commit_in_time_settles_a_reservation_however_long_its_counter_is_held() {
    let is_settled = SECONDS.iter().any(|seconds| {
        let server = server(seconds);
        let mut http = Http::connect(server.http_address());
        let body =
            format!("{{\"checks\":[{{\"policy\":\"default\",\"key\":\"me\"}}],\"ttl_ms\":{seconds}00}}");
        let reserved =
            http.ask("POST", "/reservations", &[("Content-Type", "application/json")], body.as_bytes());
        assert_eq!(reserved.status, 201, "{}", reserved.text());
        let id = reserved.json()["id"].as_str().expect("an id").to_owned();
        let mut runner = Client::connect(server.address());
        runner.write(&request(&HOLDING));
        let mut needy_of_resp = wait_until_held(&server, "held");
        let commit = format!("/reservations/{id}/commit");
        let committed = http.ask("PUT", &commit, &[("Content-Type", "application/json")], b"{\"actual\":1}");
        assert!(runner.read_text().is_some_and(|reply| reply.contains("script-time-limit")));
        assert_eq!(needy_of_resp.read_text().as_deref(), Some("(nil)"));
        // On a slow machine it comes too late.
        committed.status == 204
    });
    assert!(is_settled, "no commit was in time");
}

/// A response that holds a slot is closed while the slot's counter is held: the slot is left afterwards, and nobody waits for that.
#[test]
fn a_slot_whose_response_has_gone_is_left_once_its_counter_is_free() {
    let server = server(SECONDS[0]);
    let mut other = Http::connect(server.http_address());
    let json = [("Content-Type", "application/json")];
    let policy = b"{\"limits\":[{\"algorithm\":\"concurrency\",\"limit\":1,\"period_ms\":600000}]}";
    let made = other.ask("PUT", "/policies/one", &json, policy);
    assert_eq!(made.status / 100, 2, "{}", made.text());
    let mut holder = Http::connect(server.http_address());
    let (host, body) = (server.http_address(), "{\"hold\":true}");
    let head = format!("POST /slots/one/me HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n");
    holder.write(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    holder.read_until("event: entered");
    let mut runner = Client::connect(server.address());
    runner.write(&request(&["EVAL", ENDLESS, "2", "held", "rl:one:me"]));
    let mut needy_of_resp = wait_until_held(&server, "held");
    drop(holder);
    is_served(&mut other);
    assert!(runner.read_text().is_some_and(|reply| reply.contains("script-time-limit")));
    assert_eq!(needy_of_resp.read_text().as_deref(), Some("(nil)"));
    wait_for(|| (other.ask("POST", "/slots/one/me", &json, b"{}").status == 201).then_some(()));
}

/// Whatever a command that waits has come to when its client leaves, it takes nothing with it.
#[test]
fn clients_of_http_that_leave_take_nothing_with_them() {
    let server = server(SECONDS[0]);
    let mut other = Http::connect(server.http_address());
    let accepted = |other: &mut Http, count: usize| {
        let metrics = other.get("/metrics");
        let line = |name: &str, value: usize| format!("{name}{{listener=\"http\"}} {value}\n");
        [line("quartet_connections", 1), line("quartet_connections_accepted_total", count)]
            .iter()
            .all(|line| metrics.text().contains(line))
    };
    for _ in 0..LEAVING {
        let mut leaving = Http::connect(server.http_address());
        post(&mut leaving, &server, &["BLPOP", "list", "0"]);
    }
    wait_for(|| accepted(&mut other, LEAVING + 1).then_some(()));
    assert_eq!(run(&mut other, &["RPUSH", "list", "value"]), "{\"result\":1}");
    assert_eq!(run(&mut other, &["LRANGE", "list", "0", "-1"]), "{\"result\":[\"value\"]}");
}
