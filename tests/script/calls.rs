//! `redis.call` and `redis.pcall`, which read and write Lua's stack in place: from everywhere, with everything, and through errors.

use super::Scripts;
use crate::support::client::text;

#[test]
fn commands_are_called_from_coroutines_and_through_errors() {
    let mut scripts = Scripts::start(&[]);
    for (script, reply) in [
        // A coroutine has a stack of its own.
        (
            "local co = coroutine.wrap(function() coroutine.yield(redis.call('incr', 'n')) return redis.call('incr', 'n') end) \
             return {co(), co()}",
            "[1, 2]",
        ),
        (
            "local co = coroutine.create(function() return redis.call('nosuch') end) local ok, e = coroutine.resume(co) \
             return {tostring(ok), type(e), e.err}",
            "[false, table, ERR Unknown Redis command called from script]",
        ),
        (
            "local co = coroutine.create(function() local ok, e = pcall(redis.call, 'nosuch') coroutine.yield(e) \
             return redis.pcall('nosuch') end) local _, one = coroutine.resume(co) local _, two = coroutine.resume(co) \
             return {one, two.err}",
            "[ERR Unknown Redis command called from script, ERR Unknown Redis command called from script]",
        ),
        // From a metamethod, and where a metamethod could be asked for the text of an argument.
        (
            "local t = setmetatable({}, {__index = function(_, name) return redis.call('incr', name) end}) return t.m + t.m",
            "3",
        ),
        (
            "local t = setmetatable({}, {__tostring = function() error('asked') end}) return redis.pcall('echo', t).err",
            "ERR Lua redis lib command arguments must be strings or integers",
        ),
        // Nothing is lost of strings, and of numbers what Redis keeps.
        ("return #redis.call('echo', 'a\\0b\\0') + redis.call('echo', '\\0\\255'):byte(2)", "259"),
        (
            "return redis.call('echo', 2^53) .. redis.call('echo', -0.5) .. redis.call('echo', 1e100)",
            "9007199254740992-0.51e+100",
        ),
        ("return redis.call('echo', '')", ""),
        ("return redis.pcall().err", "ERR Please specify at least one argument for this redis lib call"),
        ("return tostring(redis.acl_check_cmd('get', 'x'))", "true"),
        ("return select('#', redis.call('ping'))", "1"),
    ] {
        assert_eq!(scripts.eval(script), reply, "{script}");
        scripts.client.call(&["DEL", "n", "m"]);
    }
}

#[test]
fn commands_are_called_at_every_depth() {
    let mut scripts = Scripts::start(&[]);
    // As deep as Lua goes, and in as many protected calls as it allows.
    let deep = "local function deep(n) if n == 0 then return redis.call('incr', 'n') end return 0 + deep(n - 1) end return deep(ARGV[1] + 0)";
    assert_eq!(scripts.eval_with(deep, &[], &["15000"]), "1");
    assert!(scripts.eval_with(deep, &[], &["100000000"]).contains("stack overflow"));
    let nested = "local function nest(n) if n == 0 then return redis.call('incr', 'n') end local ok, v = pcall(nest, n - 1) \
                  if not ok then return redis.pcall('incr', 'n') end return v end return type(nest(ARGV[1] + 0))";
    for depth in ["10", "90", "199", "1000"] {
        assert_eq!(scripts.eval_with(nested, &[], &[depth]), "number", "{depth}");
    }
    let failing = "local function fail(n) if n == 0 then return redis.call('nosuch') end \
                   local ok, e = pcall(fail, n - 1) error(e, 0) end local ok, e = pcall(fail, ARGV[1] + 0) return type(e)";
    for depth in ["1", "50", "150"] {
        assert_eq!(scripts.eval_with(failing, &[], &[depth]), "string", "{depth}");
    }
    assert_eq!(scripts.eval("return redis.call('PING').ok"), "PONG");
}

#[test]
fn commands_take_as_many_arguments_as_lua_gives() {
    let mut scripts = Scripts::start(&[]);
    let many =
        "local t = {} for i = 1, ARGV[1] + 0 do t[i] = i end return redis.call('rpush', KEYS[1], unpack(t))";
    assert_eq!(scripts.eval_with(many, &["list"], &["7900"]), "7900");
    assert!(scripts.eval_with(many, &["list"], &["1000000"]).contains("too many results to unpack"));
    // A reply may be longer than Lua's stack.
    let read = "for i = 1, 20 do redis.call('rpush', KEYS[1], unpack(redis.call('lrange', KEYS[1], 0, 999))) end \
                local all = redis.call('lrange', KEYS[1], 0, -1) return {#all, all[#all]}";
    assert_eq!(scripts.eval_with(read, &["list"], &[]), "[27900, 1000]");
}

#[test]
fn replies_that_are_larger_than_a_scripts_memory_end_it() {
    let mut scripts = Scripts::start(&["--script-memory-limit", "16mb"]);
    scripts.client.call(&["SETRANGE", "large", "20000000", "x"]);
    for script in ["return #redis.call('get', 'large')", "return #redis.pcall('get', 'large')"] {
        assert!(scripts.eval(script).contains("not enough memory"), "{script}");
        assert_eq!(scripts.eval("return redis.call('PING').ok"), "PONG");
    }
    // An error on the way of a reply to Lua leaves the next call as it should be.
    let caught =
        "local ok, e = pcall(redis.call, 'get', 'large') return {tostring(ok), e, redis.call('ping').ok}";
    assert_eq!(scripts.eval(caught), "[false, not enough memory, PONG]");
}

#[test]
fn strange_values_are_replied() {
    let mut scripts = Scripts::start(&[]);
    for (script, reply) in [
        ("return {1, nil, 3}", "[1]"),
        ("return {ok = 'a\\r\\nb'}", "a  b"),
        ("return {double = 1.5}", "1.5"),
        ("return {err = 5}", "[]"),
        (
            "return {{err = 'ERR inner'}, {ok = 'inner'}, {double = 2}, {1, {2}}}",
            "[-ERR inner, inner, 2, [1, [2]]]",
        ),
        ("return {set = {a = true}}", "[a]"),
        ("return {map = {a = {map = {b = 'c'}}}}", "[a, [b, c]]"),
        ("return {big_number = '123'}", "123"),
        ("return {verbatim_string = {format = 'txt', string = 'words'}}", "words"),
        ("return {verbatim_string = {format = 'txt'}}", "[]"),
        ("return setmetatable({}, {__index = function() return 'asked' end})", "[]"),
        ("return 0/0", "-9223372036854775808"),
        ("return type", "(nil)"),
    ] {
        assert_eq!(scripts.eval(script), reply, "{script}");
    }
}

#[test]
fn a_stop_within_commands_ends_the_script_and_the_next_one_sees_nothing_of_it() {
    let mut scripts = Scripts::start(&["--script-time-limit", "1"]);
    for endless in [
        "while true do redis.call('incr', KEYS[1]) end",
        "local co = coroutine.wrap(function() while true do redis.call('incr', KEYS[1]) end end) co()",
        "while true do pcall(redis.call, 'nosuch') redis.pcall('incr', KEYS[1]) end",
        "while true do end",
    ] {
        let stopped = scripts.eval_with(endless, &["counter"], &["secret"]);
        assert!(stopped.contains("script-time-limit"), "{stopped}");
        assert_eq!(scripts.client.ask("GET counter"), "(nil)");
        // A script that is stopped leaves nothing for a function to find.
        let library = "#!lua name=spy\nredis.register_function('spy', function() return pcall(function() return KEYS[1] end) and 1 or 0 end)";
        scripts.client.call(&["FUNCTION", "LOAD", "REPLACE", library]);
        assert_eq!(scripts.client.ask("FCALL spy 0"), "0", "{endless}");
        assert_eq!(scripts.eval("return #KEYS + #ARGV"), "0");
    }
}

#[test]
fn a_function_keeps_what_runs_its_commands() {
    let mut scripts = Scripts::start(&[]);
    let library = "#!lua name=keeper\nlocal call, pcall\nredis.register_function('count', function(keys) \
                   call, pcall = call or redis.call, pcall or redis.pcall return call('incr', keys[1]) + pcall('incr', keys[1]) end)";
    assert_eq!(text(&scripts.client.call(&["FUNCTION", "LOAD", library])), "keeper");
    for number in 0..5 {
        assert_eq!(scripts.client.ask("FCALL count 1 n"), (4 * number + 3).to_string());
    }
}
