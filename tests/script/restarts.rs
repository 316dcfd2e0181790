//! A script that needs more than its declared keys runs again alone, and nobody sees that it ran before.

use super::Scripts;

/// A script that computes a key, with a number in it so that the server does not know it yet.
fn computing(number: usize) -> String {
    format!("local n = redis.call('INCR', KEYS[1]) redis.call('SET', 'computed:' .. n, '{number}') return n")
}

#[test]
fn what_a_script_wrote_before_it_starts_again_is_undone() {
    for threads in ["1", "4"] {
        let mut scripts = Scripts::start(&["--threads", threads]);
        for number in 1..=20 {
            assert_eq!(scripts.eval_with(&computing(number), &["counter"], &[]), number.to_string());
        }
        assert_eq!(scripts.client.ask("GET counter"), "20");
        assert_eq!(scripts.client.ask("GET computed:20"), "20");
        assert_eq!(scripts.client.ask("DBSIZE"), "21");
    }
}

/// A function that spells what the keys hold.
const STATE: &str = "local function state() local all = {} for i, key in ipairs(KEYS) do \
                         local kind = redis.call('TYPE', key).ok \
                         local value = kind == 'hash' and table.concat(redis.call('HGETALL', key), ',') \
                             or redis.call('GET', key) \
                         all[i] = kind .. ' ' .. tostring(value) .. ' ' .. redis.call('PEXPIRETIME', key) \
                     end return table.concat(all, '; ') end ";

#[test]
fn every_kind_of_write_is_undone() {
    let mut scripts = Scripts::start(&[]);
    for (number, (before, write)) in [
        ("SET k old", "'SET', KEYS[1], 'new'"),
        ("SET k old EX 1000", "'SET', KEYS[1], 'new'"),
        ("SET k old", "'DEL', KEYS[1]"),
        ("SET k old EX 1000", "'UNLINK', KEYS[2], KEYS[1], KEYS[1]"),
        ("HSET k f old", "'DEL', KEYS[1]"),
        ("SET k old", "'DELIFEQ', KEYS[1], 'old'"),
        ("SET k old", "'APPEND', KEYS[1], 'er'"),
        ("SET k old", "'EXPIRE', KEYS[1], 100"),
        ("SET k old EX 1000", "'PERSIST', KEYS[1]"),
        ("SET k old", "'SETRANGE', KEYS[1], 0, ('c'):rep(5000)"),
        ("HSET k f old", "'HSET', KEYS[1], 'f', 'new', 'g', 'new'"),
        ("HSET k f old", "'HDEL', KEYS[1], 'f'"),
        ("HSET k f old", "'SET', KEYS[1], 'new'"),
        ("DEL k", "'SET', KEYS[1], 'new'"),
        ("DEL k", "'HSET', KEYS[1], 'f', 'new'"),
        ("SET k old", "'RENAME', KEYS[1], KEYS[2]"),
        ("SET k old", "'COPY', KEYS[1], KEYS[2]"),
    ]
    .into_iter()
    .enumerate()
    {
        scripts.client.ask("FLUSHALL");
        scripts.client.ask(before);
        let keys = ["k", "other"];
        let held = scripts.eval_with(&format!("{STATE} return state()"), &keys, &[]);
        // The second run sees what the first one has left behind.
        let script = format!(
            "{STATE} local before = state() redis.call({write}) redis.call('GET', 'undeclared') return before -- {number}"
        );
        assert_eq!(scripts.eval_with(&script, &keys, &[]), held, "{write} after {before}");
        let written = scripts.eval_with(&format!("{STATE} return state()"), &keys, &[]);
        assert_ne!(written, held, "{write}: the second run stays");
    }
}

#[test]
fn time_and_randomness_repeat() {
    let mut scripts = Scripts::start(&[]);
    for number in 0..20 {
        let script = format!(
            "-- {number}\nlocal time = redis.call('TIME') local first = time[1] .. time[2] \
             redis.call('SET', KEYS[1], first) redis.call('GET', 'undeclared') \
             time = redis.call('TIME') return first == time[1] .. time[2] and 'same' or 'other'"
        );
        assert_eq!(scripts.eval_with(&script, &["seen"], &[]), "same");
    }
}

#[test]
fn an_abort_is_not_caught() {
    let mut scripts = Scripts::start(&[]);
    for (number, catching) in [
        "pcall(redis.call, 'GET', 'undeclared')",
        "redis.pcall('GET', 'undeclared')",
        "pcall(pcall, redis.call, 'GET', 'undeclared')",
        "xpcall(function() redis.call('GET', 'undeclared') end, function(e) return e end)",
        "xpcall(function() redis.call('GET', 'undeclared') end, error)",
        "coroutine.resume(coroutine.create(function() redis.call('GET', 'undeclared') end))",
        "coroutine.wrap(function() pcall(redis.call, 'GET', 'undeclared') end)()",
        "table.sort({3, 2, 1}, function(a, b) redis.call('GET', 'undeclared') return a < b end)",
        "string.gsub('abc', '.', function() redis.call('GET', 'undeclared') end)",
        "loadstring(\"redis.call('GET', 'undeclared')\")()",
        "setmetatable({}, {__index = function() return redis.call('GET', 'undeclared') end}).x",
    ]
    .into_iter()
    .enumerate()
    {
        // Were it caught, the counter would be raised by the first run as well.
        let script = format!("-- {number}\nredis.call('INCR', KEYS[1]) local _ = {catching} return 'done'");
        assert_eq!(scripts.eval_with(&script, &["counter"], &[]), "done", "{catching}");
        assert_eq!(scripts.client.ask("GET counter"), (number + 1).to_string(), "{catching}");
    }
}

#[test]
fn commands_beyond_keys_and_with_other_effects_run_alone() {
    let mut scripts = Scripts::start(&[]);
    scripts.client.ask("MSET a 1 b 2");
    assert_eq!(scripts.eval("return redis.call('DBSIZE')"), "2");
    assert_eq!(
        scripts.eval_with("redis.call('SET', KEYS[1], 3) return #redis.call('KEYS', '*')", &["c"], &[]),
        "3"
    );
    assert_eq!(
        scripts.eval_with(
            "redis.call('INCR', KEYS[1]) return redis.call('PUBLISH', 'news', 'x')",
            &["a"],
            &[]
        ),
        "0"
    );
    assert_eq!(scripts.client.ask("GET a"), "2");
    assert_eq!(scripts.eval("redis.call('FLUSHALL') return redis.call('DBSIZE')"), "0");
    let selects =
        "redis.call('SELECT', 3) redis.call('SET', KEYS[1], 'three') return redis.call('GET', KEYS[1])";
    assert_eq!(scripts.eval_with(selects, &["k"], &[]), "three");
    assert_eq!(scripts.client.ask("EXISTS k"), "0");
}

#[test]
fn large_values_are_written_by_scripts_too() {
    let mut scripts = Scripts::start(&[]);
    let fill = "for i = 1, 5000 do redis.call('HSET', KEYS[1], 'field' .. i, ('x'):rep(20)) end return redis.call('HLEN', KEYS[1])";
    assert_eq!(scripts.eval_with(fill, &["large"], &[]), "5000");
    let change = "redis.call('HSET', KEYS[1], 'field1', 'new') return redis.call('HGET', KEYS[1], 'field1')";
    assert_eq!(scripts.eval_with(change, &["large"], &[]), "new");
    assert_eq!(scripts.client.ask("HLEN large"), "5000");
}

/// If one of them had not come back, the second run would find fewer to remove.  The state of a limit is not removed by the first run.
#[test]
fn what_was_removed_comes_back_whatever_it_is() {
    let mut scripts = Scripts::start(&[]);
    let fill = "for i = 1, 5000 do redis.call('HSET', KEYS[1], 'field' .. i, ('x'):rep(20)) end";
    let keys = ["large", "text", "limit"];
    for (number, last) in ["redis.call('GET', 'undeclared')", "while true do end"].into_iter().enumerate() {
        scripts.eval_with(fill, &keys, &[]);
        scripts.client.ask("SET text old");
        scripts.client.ask("CL.THROTTLE limit 5 5 60");
        let removed = "redis.call('DEL', KEYS[1], KEYS[2]) + redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[1])";
        let remove = format!("local removed = {removed} return removed -- {number}");
        assert_eq!(scripts.eval_with(&remove, &keys, &[]), "3");
        assert_eq!(scripts.client.ask("EXISTS large text limit"), "0");
        scripts.eval_with(fill, &keys, &[]);
        scripts.client.ask("SET text old");
        assert_eq!(scripts.client.ask("CONFIG SET script-time-limit 1"), "OK");
        let removed = "redis.call('DEL', KEYS[1], KEYS[2], KEYS[1])";
        let reply =
            scripts.eval_with(&format!("local removed = {removed} {last} return removed"), &keys, &[]);
        if number == 0 {
            assert_eq!(reply, "2");
        } else {
            assert!(reply.contains("what it did undone"), "{reply}");
            assert_eq!(scripts.client.ask("HLEN large"), "5000");
            assert_eq!(scripts.client.ask("GET text"), "old");
        }
    }
}

#[test]
fn a_script_that_starts_again_is_one_call() {
    let mut scripts = Scripts::start(&["--slowlog-log-slower-than", "0"]);
    scripts.eval_with(&computing(1), &["counter"], &[]);
    let figures = scripts.client.ask("INFO commandstats");
    assert!(figures.contains("cmdstat_eval:calls=1,"), "{figures}");
    let slow = scripts.client.ask("SLOWLOG GET 100");
    assert_eq!(slow.matches("[EVAL,").count(), 1, "{slow}");
    scripts.eval_with(&computing(1), &["counter"], &[]);
    assert!(scripts.client.ask("INFO commandstats").contains("cmdstat_eval:calls=2,"));
}

#[test]
fn so_much_is_kept_for_undoing_and_no_more() {
    let fill = "for _, key in ipairs(KEYS) do redis.call('SET', key, ('x'):rep(65000)) end";
    let overwrite = "for _, key in ipairs(KEYS) do redis.call('SET', key, 'new') end while true do end";
    // 64 MiB are 1,032 such values, or a few less with what each takes besides.
    let run = |count, told: &str, left: &str| {
        let mut scripts = Scripts::start(&["--script-time-limit", "0"]);
        let keys: Vec<String> = (0..count).map(|number| format!("key:{number}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        scripts.eval_with(fill, &keys, &[]);
        // Far longer than the writes take.
        assert_eq!(scripts.client.ask("CONFIG SET script-time-limit 10"), "OK");
        let reply = scripts.eval_with(overwrite, &keys, &[]);
        assert!(reply.contains(told), "{reply}");
        assert_eq!(scripts.client.ask("STRLEN key:7"), left);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| run(1000, "what it did undone", "65000"));
        scope.spawn(|| run(1040, "could not be undone", "3"));
    });
}
