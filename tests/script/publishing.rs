//! What scripts publish: to channels, shard channels and streams, each message once and in its order.

use super::Scripts;
use crate::support::client::Client;

/// A script that publishes by a command, and writes before, between and behind: to a key that it does not declare too.
fn publishing(command: &str, channel: &str) -> String {
    format!(
        "local n = redis.call('INCR', KEYS[1]) redis.call('{command}', '{channel}', 'first of ' .. n) \
         redis.call('SET', 'computed', n) redis.call('{command}', '{channel}', 'second of ' .. n) \
         if ARGV[1] == 'fail' then error('it fails') end return n -- "
    )
}

/// Runs such a script so often: each is new at first, when it starts again alone, and every fifth call fails after it has
/// published.
fn publish(scripts: &mut Scripts, command: &str, channel: &str, calls: usize) {
    for number in 1..=calls {
        let script = format!("{}{}", publishing(command, channel), number / 3);
        let fails = if number % 5 == 0 { "fail" } else { "" };
        let reply = scripts.eval_with(&script, &["counter"], &[fails]);
        assert!(reply == number.to_string() || reply.contains("it fails"), "{reply}");
    }
}

#[test]
fn what_a_script_publishes_is_delivered_once_after_its_writes() {
    for (command, subscribe, kind) in
        [("PUBLISH", "SUBSCRIBE", "message"), ("SPUBLISH", "SSUBSCRIBE", "smessage")]
    {
        for threads in ["1", "4"] {
            let mut scripts = Scripts::start(&["--threads", threads]);
            let mut subscriber = Client::connect(scripts.server.address());
            subscriber.ask(&format!("{subscribe} news"));
            publish(&mut scripts, command, "news", 20);
            let mut seen = Client::connect(scripts.server.address());
            for number in 1..=20 {
                for part in ["first", "second"] {
                    let message = subscriber.read_text();
                    assert_eq!(message, Some(format!("[{kind}, news, {part} of {number}]")));
                }
                let written: u64 = seen.ask("GET computed").parse().expect("it is there before the message");
                assert!(written >= number);
            }
            scripts.client.ask(&format!("{command} news last"));
            assert_eq!(subscriber.read_text(), Some(format!("[{kind}, news, last]")));
        }
    }
}

#[test]
fn shard_channels_and_channels_of_one_name_are_not_the_same() {
    let mut scripts = Scripts::start(&[]);
    let mut plain = Client::connect(scripts.server.address());
    let mut sharded = Client::connect(scripts.server.address());
    plain.ask("SUBSCRIBE news");
    sharded.ask("SSUBSCRIBE news");
    let script = "return {redis.call('PUBLISH', 'news', 'a'), redis.call('SPUBLISH', 'news', 'b'), \
                  redis.call('SPUBLISH', 'other', 'c')}";
    assert_eq!(scripts.eval(script), "[1, 1, 0]");
    assert_eq!(plain.read_text().as_deref(), Some("[message, news, a]"));
    assert_eq!(sharded.read_text().as_deref(), Some("[smessage, news, b]"));
}

#[test]
fn what_a_script_publishes_on_subjects_of_a_stream_is_stored_once_in_its_order() {
    for threads in ["1", "4"] {
        let mut scripts = Scripts::start(&["--threads", threads]);
        assert_eq!(scripts.client.ask("STREAM.CREATE S SUBJECTS 1 news.* STORAGE MEMORY"), "OK");
        publish(&mut scripts, "PUBLISH", "news.of_scripts", 10);
        // Shard channels are no subjects.
        scripts.eval("return redis.call('SPUBLISH', 'news.of_scripts', 'to a shard')");
        scripts.client.ask("PUBLISH news.of_others last");
        let stored = scripts.client.ask("STREAM.READ S FROM 1 COUNT 100");
        let mut places = Vec::new();
        for number in 1..=10 {
            for part in ["first", "second"] {
                let payload = format!("{part} of {number}]");
                assert_eq!(stored.matches(&payload).count(), 1, "{payload} {stored}");
                places.push(stored.find(&payload));
            }
        }
        assert!(places.is_sorted(), "{stored}");
        assert!(stored.contains("[21, news.of_others, ") && !stored.contains("shard"), "{stored}");
    }
}

#[test]
fn scripts_that_may_not_write_publish_nothing() {
    let mut scripts = Scripts::start(&[]);
    let mut subscriber = Client::connect(scripts.server.address());
    subscriber.ask("SUBSCRIBE news");
    let refused = "-ERR Write commands are not allowed from read-only scripts.";
    for command in ["PUBLISH", "SPUBLISH"] {
        let script = format!("return redis.pcall('{command}', 'news', 'x')");
        let flagged = format!("#!lua flags=no-writes\n{script}");
        assert_eq!(scripts.eval(&flagged), refused);
        for script in [script, flagged] {
            let reply = scripts.client.call(&["EVAL_RO", &script, "0"]);
            assert_eq!(crate::support::client::text(&reply), refused);
        }
    }
    scripts.client.ask("PUBLISH news last");
    assert_eq!(subscriber.read_text().as_deref(), Some("[message, news, last]"));
}

#[test]
fn scripts_neither_subscribe_nor_say_commands_of_streams() {
    let mut scripts = Scripts::start(&[]);
    for words in [
        "'SUBSCRIBE', 'a'",
        "'SSUBSCRIBE', 'a'",
        "'PSUBSCRIBE', 'a*'",
        "'STREAM.PUBLISH', 's.1', 'x'",
        "'STREAM.CREATE', 'S', 'SUBJECTS', '1', 's.*'",
        "'STREAM.READ', 'S'",
    ] {
        let reply = scripts.eval(&format!("return redis.pcall({words})"));
        assert_eq!(reply, "-ERR This Redis command is not allowed from script", "{words}");
    }
}
