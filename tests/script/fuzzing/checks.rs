//! Checks of scripts, libraries of functions, and the libraries that scripts have, that hold for any bytes.  Tests and fuzz targets call the
//! same functions.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use quartet::clock::Clock;
use quartet::command::Caller;
use quartet::command::executor::Executor;
use quartet::random::Random;
use quartet::settings::Settings;
use quartet_protocol::resp::{Output, OwnedArguments};

use super::grammar::program;

/// The longest input that is looked at: longer ones only take longer.
const INPUT_MAX: usize = 4096;

thread_local! {
    static SERVER: RefCell<Server> = RefCell::new(Server::new());
}

/// A server that is nothing but its services, and what its scripts see at first.
struct Server {
    executor: Executor,
    caller: Caller,
    world: Vec<u8>,
}

/// Spells all that a script can reach by names.
const WORLD: &str = "local seen, names = {}, {} \
    local function walk(t, path) \
        if seen[t] then return end \
        seen[t] = true \
        for name, value in pairs(t) do \
            names[#names + 1] = path .. '.' .. tostring(name) .. ':' .. type(value) \
            if type(value) == 'table' then walk(value, path .. '.' .. tostring(name)) end \
        end \
    end \
    walk(_G, '') table.sort(names) return table.concat(names, ' ') .. #KEYS .. #ARGV";

/// Spells a value with all that is in it, the keys of tables in an order of their own.  Nothing with many results is called by `pcall`
/// itself, which puts its own result behind theirs into room that Lua has for that, and a debug build of Lua stops there.
const SPELL: &str = "local function spell(v) \
        if type(v) ~= 'table' then return type(v) .. ':' .. (v == cjson.null and 'null' or tostring(v)) end \
        local parts = {} for k, w in pairs(v) do parts[#parts + 1] = spell(k) .. '=' .. spell(w) end \
        table.sort(parts) return '{' .. table.concat(parts, ',') .. '}' end \
    local function list(...) return {n = select('#', ...), ...} end \
    local function all(f, ...) local given = list(...) \
        return pcall(function() return list(f(unpack(given, 1, given.n))) end) end ";

impl Server {
    fn new() -> Server {
        let settings = Settings {
            threads: 1,
            dir: None,
            script_time_limit: Duration::from_secs(1),
            script_memory_limit: 32 << 20,
            ..Settings::default()
        };
        let services = Arc::new(quartet::server::services(settings, Clock::machine(), 1));
        let executor = Executor::new(services, 0, Random::with_seed(1));
        let caller = Caller::new(None, ([127, 0, 0, 1], 1).into());
        let mut server = Server { executor, caller, world: Vec::new() };
        server.world = server.ask(&[b"EVAL", WORLD.as_bytes(), b"0"]);
        assert!(server.world.starts_with(b"$"), "{}", String::from_utf8_lossy(&server.world));
        server
    }

    /// The one reply to a command.
    fn ask(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let mut output = Output::new();
        self.executor.run(&mut self.caller, OwnedArguments::from_slices(words).as_arguments(), &mut output);
        let reply: Vec<u8> = output.parts().flat_map(|part| part.iter().copied()).collect();
        assert_eq!(end_of_reply(&reply), Some(reply.len()), "{:?}", String::from_utf8_lossy(&reply));
        reply
    }

    /// What a script of ours says of an input.
    fn says(&mut self, script: &str, arguments: &[&[u8]]) -> String {
        let script = format!("{SPELL} {script}");
        let words = [&[b"EVAL", script.as_bytes(), b"0"], arguments].concat();
        String::from_utf8_lossy(&self.ask(&words)).into_owned()
    }

    /// The next script finds what the first one has found.
    fn check_world(&mut self) {
        let world = self.ask(&[b"EVAL", WORLD.as_bytes(), b"0"]);
        assert_eq!(String::from_utf8_lossy(&world), String::from_utf8_lossy(&self.world));
        assert_eq!(self.ask(&[b"EVAL", b"return redis.call('PING')", b"0"]), b"+PONG\r\n");
        self.ask(&[b"FLUSHALL"]);
    }
}

/// Where the reply at the start of these bytes ends; none if it is not whole.
fn end_of_reply(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|two| two == b"\r\n")?;
    let (kind, text) = bytes[..line].split_first()?;
    let number = || std::str::from_utf8(text).ok()?.parse::<i64>().ok();
    let mut end = line + 2;
    match kind {
        b'+' | b'-' | b':' => (),
        b'$' => end += usize::try_from(number()?).map_or(0, |length| length + 2),
        b'*' => {
            for _ in 0..number()? {
                end += end_of_reply(bytes.get(end..)?)?;
            }
        }
        _ => return None,
    }
    (end <= bytes.len()).then_some(end)
}

fn cut(input: &[u8]) -> &[u8] {
    &input[..input.len().min(INPUT_MAX)]
}

/// Any script is run or refused with one reply, and leaves nothing behind for the next one.  The first byte says whether the
/// rest is the text, or chooses what is in it.
pub(crate) fn script(input: &[u8]) {
    let Some((&kind, rest)) = cut(input).split_first() else { return };
    let text = if kind % 4 == 0 { rest.to_vec() } else { program(rest).into_bytes() };
    SERVER.with_borrow_mut(|server| {
        server.ask(&[b"EVAL", &text, b"1", b"key", b"argument"]);
        server.check_world();
    });
}

/// Any library is loaded or refused.  One that is loaded can be called, and comes back from its payload as it was.
pub(crate) fn library(input: &[u8]) {
    let Some((&kind, rest)) = cut(input).split_first() else { return };
    let text = match kind % 4 {
        0 => [b"#!lua name=fuzzed\n", rest].concat(),
        1 => format!("#!lua name=fuzzed\n{}", program(rest)).into_bytes(),
        2 => rest.to_vec(),
        _ => {
            let body = program(rest);
            format!("#!lua name=fuzzed\nredis.register_function('f', function(KEYS, ARGV) {body} end)")
                .into_bytes()
        }
    };
    SERVER.with_borrow_mut(|server| {
        server.ask(&[b"FUNCTION", b"FLUSH"]);
        if server.ask(&[b"FUNCTION", b"LOAD", &text]).starts_with(b"$") {
            server.ask(&[b"FCALL", b"f", b"1", b"key", b"argument"]);
            let listed = server.ask(&[b"FUNCTION", b"LIST", b"WITHCODE"]);
            let dumped = server.ask(&[b"FUNCTION", b"DUMP"]);
            let head = dumped.windows(2).position(|two| two == b"\r\n").map_or(0, |line| line + 2);
            let payload = &dumped[head..dumped.len() - 2];
            assert_eq!(server.ask(&[b"FUNCTION", b"RESTORE", payload, b"FLUSH"]), b"+OK\r\n");
            assert_eq!(server.ask(&[b"FUNCTION", b"LIST", b"WITHCODE"]), listed);
        }
        server.check_world();
    });
}

/// Any text is read as JSON or refused; what was read and written once stays as it is from then on.
pub(crate) fn cjson(input: &[u8]) {
    let said = SERVER.with_borrow_mut(|server| {
        server.says(
            "local ok, value = pcall(cjson.decode, ARGV[1]) if not ok then return 'same' end \
             local ok, text = pcall(cjson.encode, value) if not ok then return 'same' end \
             local second = cjson.decode(text) local third = cjson.decode(cjson.encode(second)) \
             return spell(second) == spell(third) and 'same' or text",
            &[cut(input)],
        )
    });
    assert!(said.ends_with("same\r\n"), "{said}");
}

/// The same for MessagePack.
pub(crate) fn cmsgpack(input: &[u8]) {
    let said = SERVER.with_borrow_mut(|server| {
        server.says(
            "local function again(values) return all(cmsgpack.unpack, cmsgpack.pack(unpack(values, 1, values.n))) end \
             local ok, first = all(cmsgpack.unpack, ARGV[1]) if not ok or first.n == 0 or first.n > 100 then return 'same' end \
             local ok, second = again(first) if not ok then return second[1] end \
             local ok, third = again(second) if not ok then return third[1] end \
             return spell(second) == spell(third) and 'same' or spell(second) .. ' then ' .. spell(third)",
            &[cut(input)],
        )
    });
    assert!(said.ends_with("same\r\n"), "{said}");
}

/// The same for packed structures: the first line is the format.
pub(crate) fn structure(input: &[u8]) {
    let input = cut(input);
    let line = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let (format, data) = (&input[..line], input.get(line + 1..).unwrap_or_default());
    let said = SERVER.with_borrow_mut(|server| {
        server.says(
            "local function again(values) \
                 local ok, packed = pcall(struct.pack, ARGV[1], unpack(values, 1, values.n - 1)) \
                 if not ok then return false end \
                 return all(struct.unpack, ARGV[1], packed) end \
             pcall(struct.size, ARGV[1]) pcall(struct.pack, ARGV[1], 1, 2, 3, 'four', 'five', 6.5) \
             local ok, first = all(struct.unpack, ARGV[1], ARGV[2]) if not ok or first.n > 100 then return 'same' end \
             local ok, second = again(first) if not ok then return 'same' end \
             local ok, third = again(second) if not ok then return 'same' end \
             return spell(second) == spell(third) and 'same' or spell(second) .. ' then ' .. spell(third)",
            &[format, data],
        )
    });
    assert!(said.ends_with("same\r\n"), "{said}");
}
