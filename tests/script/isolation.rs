//! Nothing that a script does reaches the next one, and none takes more memory than it may.

use super::Scripts;

#[test]
fn settings_and_random_numbers_are_set_back() {
    let mut scripts = Scripts::start(&[]);
    let drawn = scripts.eval("return tostring(math.random())");
    assert_eq!(scripts.eval("math.randomseed(42) redis.setresp(3) cjson.encode_max_depth(1) return 1"), "1");
    assert_eq!(scripts.eval("return tostring(math.random())"), drawn);
    assert_eq!(scripts.eval("return cjson.encode({{1}})"), "[[1]]");
    assert_eq!(scripts.eval("return type(redis.call('GET', 'missing'))"), "boolean");
}

#[test]
fn libraries_stay_as_they_are() {
    let mut scripts = Scripts::start(&[]);
    for change in [
        "for _, t in ipairs({string, table, math, bit, redis, cjson, cmsgpack, struct, coroutine, os, _G}) do \
         if pcall(rawset, t, 'left', 1) then return 'set' end end return 'kept'",
        "for _, t in ipairs({string, table, math, bit, redis, cjson, cmsgpack, struct, coroutine, os, _G}) do \
         if pcall(table.insert, t, 1) then return 'set' end end return 'kept'",
        "for _, t in ipairs({string, table, math, bit, redis, cjson, cmsgpack, struct, coroutine, os, _G}) do \
         if pcall(function() t.left = 1 end) then return 'set' end end return 'kept'",
        "local f, t = pairs(math) t.floor = nil return math.floor(1.5) == 1 and 'kept' or 'set'",
        "return getmetatable(math) == nil and getmetatable(_G) == nil and 'kept' or 'set'",
    ] {
        assert_eq!(scripts.eval(change), "kept", "{change}");
    }
    assert_eq!(scripts.eval("return #math + #redis + #_G"), "0");
}

#[test]
fn a_failed_script_is_followed_by_others() {
    let mut scripts = Scripts::start(&[]);
    for failing in [
        "error('x')",
        "local function deep() return 1 + deep() end return deep()",
        "local t = {} t[nil] = 1",
        "return string.rep('x', -1):rep(10) .. nil",
        "local co = coroutine.wrap(function() error('inside') end) co()",
        "return redis.call('INCR', {})",
    ] {
        assert!(scripts.eval(failing).starts_with("-ERR "), "{failing}");
        assert_eq!(scripts.eval("return redis.call('PING').ok"), "PONG");
    }
}

#[test]
fn a_script_takes_no_more_memory_than_it_may() {
    let mut scripts = Scripts::start(&["--script-memory-limit", "16mb"]);
    for greedy in [
        "return #string.rep('x', 100000000)",
        "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t = {t, t} end",
    ] {
        let refused = scripts.eval(greedy);
        assert!(refused.contains("not enough memory"), "{greedy}: {refused}");
    }
    assert_eq!(scripts.eval("return #string.rep('x', 1000000)"), "1000000");
}

#[test]
fn deep_values_are_written_and_cut_off() {
    let mut scripts = Scripts::start(&[]);
    let deep =
        |depth: usize| format!("local t = {{}} for i = 1, {depth} do t = {{t}} end return cjson.encode(t)");
    assert_eq!(scripts.eval(&deep(999)).len(), 2 * 999 + 2);
    assert!(scripts.eval(&deep(1000)).contains("excessive nesting (1001)"));
    let deep = |depth: usize| format!("return #cjson.decode(('['):rep({depth}) .. (']'):rep({depth}))");
    assert_eq!(scripts.eval(&deep(1000)), "1");
    assert!(scripts.eval(&deep(1001)).contains("too many nested data structures (1001)"));
    let packed = |depth: usize| format!("return #cmsgpack.unpack(('\\145'):rep({depth}) .. '\\1')");
    assert_eq!(scripts.eval(&packed(1000)), "1");
    assert!(scripts.eval(&packed(1001)).contains("in function mp_decode_to_lua_array"));
}

#[test]
fn a_script_without_end_is_stopped_and_undone() {
    let mut scripts = Scripts::start(&["--script-time-limit", "1"]);
    let endless =
        "redis.call('INCR', KEYS[1]) while true do local ok = pcall(function() while true do end end) end";
    for keys in [&["counter"][..], &[]] {
        let endless =
            if keys.is_empty() { endless.replace("KEYS[1]", "'counter'") } else { endless.to_owned() };
        let stopped = scripts.eval_with(&endless, keys, &[]);
        assert!(stopped.starts_with("-ERR the script ran for longer than script-time-limit"), "{stopped}");
        assert_eq!(scripts.client.ask("EXISTS counter"), "0");
    }
    // One that has told others goes on to its end, if that is in time.
    let told = "redis.call('PUBLISH', 'news', 'x') local start = redis.call('TIME')[1] \
                for i = 1, 1000000 do local x = i * 2 end return 'ended'";
    assert_eq!(scripts.eval(told), "ended");
}

#[test]
fn large_tables_are_written_and_read() {
    let mut scripts = Scripts::start(&[]);
    let filled = "local t = {} for i = 1, 20000 do t['key' .. i] = 'value' .. i end ";
    assert_eq!(scripts.eval(&format!("{filled} return #cjson.encode(t)")), "457789");
    assert_eq!(
        scripts.eval(&format!(
            "{filled} local n = 0 for _ in pairs(cmsgpack.unpack(cmsgpack.pack(t))) do n = n + 1 end return n"
        )),
        "20000"
    );
    assert_eq!(
        scripts.eval("local t = {} for i = 1, 20000 do t[i] = {i} end return #cjson.encode(t)"),
        "148895"
    );
    scripts.client.hello();
    assert_eq!(scripts.eval(&format!("{filled} return {{map = t}}")).matches("value").count(), 20000);
    assert_eq!(scripts.eval(&format!("{filled} return {{set = t}}")).matches("key").count(), 20000);
}

/// A table can describe a reply without end, and one that repeats a long text many times takes more than its script did.
#[test]
fn a_reply_is_bounded_like_the_memory_of_its_script() {
    let mut scripts = Scripts::start(&["--script-memory-limit", "1mb"]);
    let too_large = "-ERR the reply is larger than script-memory-limit";
    for endless in [
        "local t = {} t[1] = t t[2] = t return t",
        "local t = {} t.map = {left = t, right = t} return t",
        "local s, t = string.rep('x', 100000), {} for i = 1, 100 do t[i] = s end return {1, t}",
    ] {
        assert_eq!(scripts.eval(endless), too_large, "{endless}");
        assert_eq!(scripts.eval("return 'next'"), "next");
    }
    let fits = "local s, t = string.rep('x', 100000), {} for i = 1, 10 do t[i] = s end return t";
    assert_eq!(scripts.eval(fits).matches('x').count(), 1_000_000);
}
