//! Keys that clients invent: they cost neither the cache its keys nor known clients their limits.

use super::{check, connect, put_policy};
use crate::support::client::{Client, request, text};
use crate::support::process::{Server, wait_for};

/// Windows that outlast the test.
const DAILY: &str = r#"{"limits": [{"algorithm": "fixed", "limit": 3, "period_ms": 86400000}]"#;

/// Requests sent before their replies are read.
const PIPELINE: usize = 500;

/// Sends a command for each number and returns the replies.
fn ask_all(
    client: &mut Client,
    numbers: std::ops::Range<usize>,
    command: impl Fn(usize) -> String,
) -> Vec<String> {
    let numbers: Vec<usize> = numbers.collect();
    let mut replies = Vec::new();
    for part in numbers.chunks(PIPELINE) {
        let sent: Vec<u8> = part
            .iter()
            .flat_map(|&number| request(&command(number).split_whitespace().collect::<Vec<_>>()))
            .collect();
        client.write(&sent);
        replies.extend(part.iter().map(|_| text(&client.read().expect("every request is answered"))));
    }
    replies
}

fn allowed(reply: &str) -> bool {
    reply.starts_with("[1, ")
}

#[test]
fn invented_keys_neither_empty_the_cache_nor_stop_the_limiter() {
    let arguments = ["--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru", "--limit-maxmemory", "1mb"];
    let server = Server::quartet(&[&arguments[..], &["--http-port", "0"]].concat());
    let (mut client, mut http) = (Client::connect(server.address()), connect(&server));
    put_policy(&mut http, "daily", &format!("{DAILY}}}"));
    ask_all(&mut client, 0..1_000, |number| format!("SET key:{number} value"));
    assert!(allowed(&client.ask("RL.CHECK known POLICY daily")));
    client.ask("CL.THROTTLE throttled 5 6 86400");
    ask_all(&mut client, 0..50_000, |number| format!("RL.CHECK invented:{number} POLICY daily"));

    let kept = ask_all(&mut client, 0..1_000, |number| format!("GET key:{number}"));
    assert!(kept.iter().all(|reply| reply.contains("value")), "the cache has kept all of its keys");
    let memory = info(&mut client, "limits", "limit_memory");
    assert!(memory < 1_200_000, "{memory} bytes of counters");

    // Keys that have a counter go on, and so does looking; the others share one counter, which is used up.
    assert_eq!(check(&mut http, "?policy=daily", "known").status, 200);
    assert_eq!(check(&mut http, "?policy=daily", "known").status, 200);
    assert_eq!(check(&mut http, "?policy=daily", "known").status, 429);
    assert_eq!(check(&mut http, "?policy=daily&peek=true", "new").status, 429);
    assert!(!allowed(&client.ask("RL.CHECK new POLICY daily")));
    assert!(info(&mut client, "limits", "limit_without_room") > 1_000);
    assert!(client.ask("CL.THROTTLE throttled 5 6 86400").starts_with("[0, 6, 4,"));
    assert!(client.ask("CL.THROTTLE unknown 5 6 86400 0").starts_with("[0, 6, 6,"));
    for refused in ["CL.THROTTLE unknown 5 6 86400", "RL.CHECK unknown INLINE fixed 5 86400000"] {
        let reply = client.ask(refused);
        assert!(reply.contains("OOM") && reply.contains("limit-maxmemory"), "{refused}: {reply}");
    }
    // Policies may choose otherwise.
    for (on_full, is_allowed) in [("allow", true), ("refuse", false)] {
        put_policy(&mut http, on_full, &format!(r#"{DAILY}, "on_full": "{on_full}"}}"#));
        let replies = ask_all(&mut client, 0..10, |number| format!("RL.CHECK {number} POLICY {on_full}"));
        assert!(replies.iter().all(|reply| allowed(reply) == is_allowed), "{on_full}: {replies:?}");
    }
    // There is room again once the setting says so.
    assert!(client.ask("CONFIG SET limit-maxmemory 100mb").contains("OK"));
    wait_for(|| allowed(&client.ask("RL.CHECK another POLICY daily")).then_some(()));
}

#[test]
fn a_policy_has_as_many_keys_as_it_may_have() {
    let server = Server::quartet(&["--http-port", "0"]);
    let (mut client, mut http) = (Client::connect(server.address()), connect(&server));
    put_policy(&mut http, "few", &format!(r#"{DAILY}, "max_keys": 100}}"#));
    put_policy(&mut http, "many", &format!("{DAILY}}}"));
    let replies = ask_all(&mut client, 0..200, |number| format!("RL.CHECK {number} POLICY few"));
    let admitted = replies.iter().filter(|reply| allowed(reply)).count();
    assert_eq!(admitted, 103, "a hundred keys, and three requests of all others together");
    assert!(allowed(&client.ask("RL.CHECK 7 POLICY few")), "a known key goes on");
    assert!(allowed(&client.ask("RL.CHECK 1000 POLICY many")), "another policy has its own keys");
    // Keys that have gone make room for others.
    ask_all(&mut client, 0..50, |number| format!("DEL rl:few:{number}"));
    wait_for(|| allowed(&client.ask("RL.CHECK again POLICY few")).then_some(()));
    let replies = ask_all(&mut client, 2_000..2_100, |number| format!("RL.CHECK {number} POLICY few"));
    assert_eq!(replies.iter().filter(|reply| allowed(reply)).count(), 49);
}

#[test]
fn keys_with_slots_count_among_the_keys_of_a_policy() {
    let server = Server::quartet(&["--http-port", "0"]);
    let (mut client, mut http) = (Client::connect(server.address()), connect(&server));
    let slots =
        r#"{"limits": [{"algorithm": "concurrency", "limit": 2, "period_ms": 86400000}], "max_keys": 3}"#;
    put_policy(&mut http, "slots", slots);
    let replies = ask_all(&mut client, 0..10, |number| format!("RL.ENTER slots {number}"));
    let refused = replies.iter().skip(3).filter(|reply| reply.contains("OOM")).count();
    assert_eq!(refused, 7, "three keys, and none in a counter that is not its own: {replies:?}");
    assert!(client.ask("RL.ENTER slots 2").contains(", 1, 2, 0, "), "a known key goes on");
}

/// A figure of INFO.
fn info(client: &mut Client, section: &str, field: &str) -> u64 {
    let page = client.ask(&format!("INFO {section}"));
    let value = page.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')?.parse().ok());
    value.unwrap_or_else(|| panic!("{field} is not in {page}"))
}
