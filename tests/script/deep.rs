//! Tables and texts a hundred thousand deep: each use of them ends, with Redis' words where it is refused.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::support::client::{Client, request};
use crate::support::process::Server;

/// What is done with `t`, which is so deep, or with a text of that depth, and what is part of the reply.
const DEEP: &[(&str, &str)] = &[
    ("return cjson.encode(t)", "user_script:1: Cannot serialise, excessive nesting (1001)"),
    ("return cjson.encode({a = {t}})", "user_script:1: Cannot serialise, excessive nesting (1001)"),
    (
        "return cjson.decode(('['):rep(100000) .. (']'):rep(100000))",
        "user_script:1: Found too many nested data structures (1001) at character 1001",
    ),
    (
        "return cjson.decode(('{\"a\":'):rep(100000) .. '1' .. ('}'):rep(100000))",
        "user_script:1: Found too many nested data structures (1001) at character 5001",
    ),
    // What is deeper than 16 becomes nil.
    ("return #cmsgpack.pack(t)", "17"),
    (
        "return cmsgpack.unpack(('\\145'):rep(100000) .. '\\1')",
        "user_script:1: stack overflow (in function mp_decode_to_lua_array) script:",
    ),
    (
        "return cmsgpack.unpack(('\\129\\1'):rep(100000) .. '\\1')",
        "user_script:1: stack overflow (too many return values at once; use unpack_one or unpack_limit instead.) script:",
    ),
    ("return struct.pack('i', t)", "user_script:1: bad argument #2 to 'pack' (number expected, got table)"),
    ("return struct.pack('s', t)", "user_script:1: bad argument #2 to 'pack' (string expected, got table)"),
    (
        "return struct.unpack('i', t)",
        "user_script:1: bad argument #2 to 'unpack' (string expected, got table)",
    ),
    ("return redis.call('SET', 'x', t)", "-ERR Lua redis lib command arguments must be strings or integers"),
    ("return redis.call(t)", "-ERR Lua redis lib command arguments must be strings or integers"),
    ("return redis.pcall('SET', 'x', t)", "-ERR Lua redis lib command arguments must be strings or integers"),
    ("return redis.error_reply(t)", "-ERR wrong number or type of arguments"),
    ("error(t)", "-ERR unknown error script: "),
    ("return {1, t}", "-ERR reached lua stack limit"),
    ("return {map = {a = t}}", "-ERR reached lua stack limit"),
    ("redis.setresp(3) return {set = {[t] = true}}", "-ERR reached lua stack limit"),
    ("return table.concat({1, t})", "user_script:1: invalid value (table) at index 2 in table for 'concat'"),
    ("table.sort({t, {t}})", "attempt to compare two table values"),
    ("return type(tostring(t))", "string"),
    ("return tostring(loadstring('return ' .. ('{'):rep(100000)))", "nil"),
    ("return tostring(loadstring('return ' .. ('('):rep(100000)))", "nil"),
];

/// How `t` is made, and whether a reply has its elements.
const MADE: &[(&str, bool)] = &[
    ("local t = 'x' for i = 1, 100000 do t = {t} end ", true),
    ("local t = {} for i = 1, 100000 do t = {a = t, b = i} end ", false),
    ("local t = {} t[1] = t ", true),
];

#[test]
fn what_is_a_hundred_thousand_deep_ends_and_holds_nobody_up() {
    let server = Server::quartet(&["--threads", "1"]);
    let mut other = Client::connect(server.address());
    let stream = TcpStream::connect(server.address()).expect("the server listens");
    let mut reader = BufReader::new(stream.try_clone().expect("the system has descriptors"));
    for (made, has_elements) in MADE {
        for (script, part) in DEEP {
            let script = format!("{made}{script}");
            (&stream).write_all(&request(&["EVAL", &script, "0"])).expect("the server reads");
            let texts = texts(&mut reader);
            let is_other_table = !has_elements && (*part == "17" || part.contains("stack limit"));
            assert!(is_other_table || texts.contains(part), "{script}: {texts:.200}");
            assert_eq!(other.ask("PING"), "PONG", "{script}");
        }
    }
}

/// The lines and texts of a reply, however deep it is.
fn texts(reader: &mut impl BufRead) -> String {
    let mut texts = String::new();
    let mut pending = 1;
    while pending > 0 {
        pending -= 1;
        let mut line = String::new();
        reader.read_line(&mut line).expect("the server answers");
        let (kind, rest) = line.trim_end().split_at(1);
        match kind {
            "*" => pending += rest.parse::<usize>().expect("an array has a length"),
            "$" => {
                let length = rest.parse::<u64>().expect("a text has a length");
                reader.take(length + 2).read_to_string(&mut texts).expect("the text follows");
            }
            _ => texts.push_str(&line),
        }
    }
    texts
}
