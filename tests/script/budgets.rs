//! Scripts whose work is done by functions of C and of Rust: they are stopped like others, and take no more memory.

use super::Scripts;
use crate::support::client::{Client, request};
use crate::support::process::{Server, wait_for};

const BUSY: &str = "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";

/// Scripts that run for minutes at least, unless they are stopped, and execute few instructions of Lua.
const LONG: &[(&str, &str)] = &[
    ("a pattern that can match in many ways", "return ('a'):rep(60):find(('a*'):rep(20) .. 'b')"),
    ("a match of the same", "return ('a'):rep(60):match(('a-'):rep(20) .. 'b')"),
    ("a walk over matches", "for _ in ('a'):rep(60):gmatch(('a*'):rep(20) .. 'b') do end"),
    ("a replacement", "return (('a'):rep(60):gsub(('a*'):rep(20) .. 'b', 'c'))"),
    ("a replacement by a function", "return (('a'):rep(60):gsub(('a*'):rep(20) .. 'b', function() end))"),
    ("balanced brackets", "local text = ('('):rep(2000000) return text:find('%b()')"),
    ("JSON of shared tables", "local t = {1} for _ = 1, 100 do t = {t, t} end return cjson.encode(t)"),
    (
        "MessagePack of shared tables",
        "local t = {} for _ = 1, 15 do local inner = t t = {} for i = 1, 100 do t[i] = inner end end \
         return cmsgpack.pack(t)",
    ),
    ("an empty text repeated", "while true do (''):rep(2147483647) end"),
    ("a text repeated", "while true do ('x'):rep(100000000) end"),
    ("texts joined", "local s = ('x'):rep(1000000) while true do local t = s .. 'y' end"),
    ("a table joined", "local t = {} for i = 1, 1000000 do t[i] = '' end while true do table.concat(t) end"),
    ("a table sorted", "local t = {} for i = 1, 1000000 do t[i] = i end while true do table.sort(t) end"),
    (
        "a table moved",
        "local t = {} for i = 1, 1000000 do t[i] = i end \
         while true do table.insert(t, 1, 0) table.remove(t, 1) end",
    ),
    (
        "coroutines within each other",
        "local function nest(n) return coroutine.wrap(function() \
           for _ = 1, 60 do if n > 0 then nest(n - 1)() end end end) end nest(20)()",
    ),
    (
        "coroutines that are resumed within each other",
        "local function nest(n) coroutine.resume(coroutine.create(function() \
           for _ = 1, 60 do if n > 0 then nest(n - 1) end end end)) end nest(20)",
    ),
    (
        "commands with long replies",
        "for i = 1, 10000 do redis.call('rpush', KEYS[1], i) end \
         while true do redis.call('lrange', KEYS[1], 0, -1) end",
    ),
    (
        "garbage collected",
        "local t = {} for i = 1, 1000000 do t[i] = {} end while true do collectgarbage() end",
    ),
    ("compiling", "local text = 'return {' .. ('1,'):rep(100000) .. '}' while true do loadstring(text) end"),
    ("errors that are caught", "while true do pcall(function() while true do end end) end"),
    (
        "errors within handlers",
        "while true do xpcall(function() error('x') end, function() while true do end end) end",
    ),
    (
        "errors within texts of errors",
        "local t = setmetatable({}, {__tostring = function() while true do end end}) \
         while true do pcall(error, t) pcall(tostring, t) end",
    ),
    (
        "errors within coroutines",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    ),
    (
        "an order that is none",
        "local t = {} for i = 1, 1000 do t[i] = i end \
         while true do pcall(table.sort, t, function() return true end) end",
    ),
];

fn server(arguments: &[&str]) -> Server {
    Server::quartet(&[&["--threads", "1", "--busy-reply-threshold", "20"], arguments].concat())
}

#[test]
fn work_outside_of_lua_is_stopped_by_script_kill_while_others_are_told_busy() {
    for (what, script) in LONG {
        if script.contains("rpush") {
            // What it has written would keep it from being stopped.
            continue;
        }
        // Where a script has just been stopped, nobody may be free yet to serve others beside the next one.
        let server = server(&[]);
        let mut other = Client::connect(server.address());
        let mut client = Client::connect(server.address());
        client.write(&request(&["EVAL", script, "1", "held"]));
        wait_for(|| (other.ask("GET held") == BUSY).then_some(()));
        assert_eq!(other.ask("SCRIPT KILL"), "OK", "{what}");
        let reply = client.read_text().expect("the script is answered");
        assert!(reply.starts_with("-ERR Script killed by user with SCRIPT KILL"), "{what}: {reply}");
        assert_eq!(other.ask("GET held"), "(nil)", "{what}");
    }
}

#[test]
fn work_outside_of_lua_is_stopped_by_the_time_limit() {
    let server = Server::quartet(&["--threads", "1", "--script-time-limit", "1"]);
    let mut client = Client::connect(server.address());
    for (what, script) in LONG {
        let reply = client.call(&["EVAL", script, "1", "held"]);
        let reply = crate::support::client::text(&reply);
        assert!(reply.contains("script-time-limit"), "{what}: {reply}");
        assert_eq!(client.ask("EXISTS held"), "0", "{what}");
    }
}

/// Scripts that would take memory without end outside of Lua.
const LARGE: &[(&str, &str)] = &[
    ("a reply that contains itself", "local t = {} for i = 1, 10 do t[i] = t end return t"),
    ("a map that contains itself", "local t = {} t.map = {a = t, b = t} redis.setresp(3) return t"),
    (
        "a set that contains itself",
        "local t = {} t.set = {[t] = true, [{t}] = true} redis.setresp(3) return t",
    ),
    (
        "a reply with a text again and again",
        "local t, s = {}, ('x'):rep(100000) for i = 1, 100 do t[i] = s end return t",
    ),
    (
        "arguments",
        "local s = ('x'):rep(100000) local t = {} for i = 1, 7000 do t[i] = s end redis.call('mset', unpack(t))",
    ),
    (
        "arguments that are caught",
        "local s = ('x'):rep(100000) local t = {} for i = 1, 7000 do t[i] = s end return redis.pcall('mset', unpack(t))",
    ),
    (
        "a structure",
        "local s = ('x'):rep(100000) local t = {} for i = 1, 7000 do t[i] = s end return #struct.pack(('s'):rep(7000), unpack(t))",
    ),
    (
        "MessagePack",
        "local s = ('x'):rep(100000) local t = {} for i = 1, 7000 do t[i] = s end return #cmsgpack.pack(unpack(t))",
    ),
    (
        "JSON",
        "local s = ('x'):rep(100000) local t = {} for i = 1, 7000 do t[i] = s end return #cjson.encode(t)",
    ),
    (
        "a table joined",
        "local s = ('x'):rep(100000) local t = {} for i = 1, 7000 do t[i] = s end return #table.concat(t)",
    ),
    ("a replacement", "return #(('x'):rep(1000):gsub('x', ('x'):rep(10000)))"),
    ("a replacement by captures", "return #(('x'):rep(1000):gsub('.*', ('%0'):rep(10000)))"),
    ("a text repeated", "return #('x'):rep(2000000000)"),
    ("pieces of a chunk", "local s = ('x'):rep(100000) return load(function() return s end)"),
];

#[test]
fn what_is_made_outside_of_lua_takes_no_more_memory_than_scripts_may() {
    let mut scripts = Scripts::start(&["--script-memory-limit", "2mb", "--script-time-limit", "0"]);
    for (what, script) in LARGE {
        let reply = scripts.eval(script);
        assert!(
            reply.contains("not enough memory") || reply.contains("script-memory-limit"),
            "{what}: {reply}"
        );
        assert_eq!(scripts.eval("return 'the next one is served'"), "the next one is served");
    }
    let resident = scripts.client.ask("INFO memory");
    let peak = resident.lines().find_map(|line| line.strip_prefix("used_memory_rss:"));
    let peak: usize = peak.and_then(|bytes| bytes.trim().parse().ok()).expect("INFO has it");
    assert!(peak < 256 << 20, "{peak} bytes are resident");
}

#[test]
fn scripts_that_were_compiled_before_take_no_memory_from_others() {
    let mut scripts = Scripts::start(&["--threads", "1", "--script-memory-limit", "3mb"]);
    let padding = "do local unused = {'a'} end ".repeat(2000);
    for number in 0..200 {
        assert_eq!(scripts.eval(&format!("{padding} return {number}")), number.to_string());
    }
    assert_eq!(scripts.client.ask("SCRIPT FLUSH"), "OK");
    assert_eq!(scripts.eval("return ('x'):rep(1000000):len()"), "1000000");
}

#[test]
fn so_many_values_at_once_are_unpacked_and_no_more() {
    let mut scripts = Scripts::start(&[]);
    assert_eq!(scripts.eval("return select('#', cmsgpack.unpack(('\\1'):rep(7000)))"), "7000");
    let reply = scripts.eval("return select('#', cmsgpack.unpack(('\\1'):rep(7001)))");
    assert!(reply.contains("too many values to unpack at once"), "{reply}");
}

#[test]
fn a_line_of_the_log_is_cut() {
    let mut scripts = Scripts::start(&[]);
    let script = "local s, t = ('x'):rep(1000000), {} for i = 1, 7000 do t[i] = s end \
                  redis.log(redis.LOG_WARNING, unpack(t)) return 'logged'";
    assert_eq!(scripts.eval(script), "logged");
    // The line is written by a thread of its own.
    let logged = wait_for(|| {
        Some(scripts.server.folder().stderr())
            .filter(|log| log.contains("a script says: xxx") && log.ends_with('\n'))
    });
    assert!(logged.len() < 200_000, "{} bytes", logged.len());
}
