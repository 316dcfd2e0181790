//! What reads and writes Lua's stack in place, beside the same through handles, and on its ways out by errors.  Valgrind runs these too.

mod twin;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::{Clock, Now};
use crate::script::libraries::Libraries;
use crate::script::supervision::{Kind, Supervisor};
use crate::store::{Hold, LongHolds};

/// Commands that do what the script says.
struct Echo;

impl Commands for Echo {
    fn call(&mut self, arguments: Arguments<'_>, output: &mut Output) -> Called {
        match arguments.at(0) {
            // The reply is the argument.
            b"reply" => output.extend(arguments.at(1)),
            b"count" => output.integer(arguments.len() as i64),
            b"panic" => panic!("a command's own fault"),
            _ => return Called::Abort,
        }
        Called::Replied { has_written: false }
    }

    fn may_call(&self, arguments: Arguments<'_>) -> Option<bool> {
        Some(arguments.at(0) == b"reply")
    }
}

/// An engine with a function that compares what it is given.
fn engine() -> Engine {
    let engine = Engine::new().expect("there is memory");
    let same = "local same function same(a, b) \
                if type(a) ~= 'table' or type(b) ~= 'table' then return a == b end \
                for k, v in next, a do if type(k) ~= 'table' and not same(v, b[k]) then return false end end \
                for k in next, b do if type(k) ~= 'table' and a[k] == nil then return false end end return true end return same";
    let same: mlua::Function = engine.lua.load(same).eval().expect("it is Lua");
    engine.lua.globals().raw_set("same", same).expect("there is memory");
    engine
}

fn run(engine: &mut Engine, text: &str, argument: &[u8]) -> Ended {
    run_for(engine, text, argument, u64::MAX)
}

/// The same for so many milliseconds of a clock that stands still: none, and it is stopped at the first look.
fn run_for(engine: &mut Engine, text: &str, argument: &[u8], limit: u64) -> Ended {
    run_with(engine, text, (&[], &[argument]), limit)
}

/// The same with these keys and arguments.
fn run_with(engine: &mut Engine, text: &str, (keys, arguments): (&[&[u8]], &[&[u8]]), limit: u64) -> Ended {
    let scripts = Scripts::new(Libraries::new(&Arc::default(), false));
    let script = Arc::new(scripts.read(text.as_bytes()).expect("it has no first line of its own"));
    let compiled = engine.compile(&script).expect("it is Lua");
    let start = Now::at(Duration::ZERO, Duration::ZERO);
    let supervisor = Arc::new(Supervisor::new(Arc::new(Clock::manual(start)), Arc::<LongHolds>::default()));
    let watch = Watch::new(&supervisor, Kind::Script, (0, Hold::All), start, (u64::MAX, limit), None);
    let limits = Limits { memory: 64 * 1024 * 1024, watch };
    engine.run(Program::Script(&compiled), keys.iter().copied(), arguments.iter().copied(), limits, &mut Echo)
}

/// What a client is told.
fn told(engine: &mut Engine, text: &str) -> String {
    told_with(engine, text, &[], &[b""])
}

fn told_with(engine: &mut Engine, text: &str, keys: &[&[u8]], arguments: &[&[u8]]) -> String {
    let mut output = Output::new();
    let ended = run_with(engine, text, (keys, arguments), u64::MAX);
    let Ended::Returned(version) = ended else { return format!("{ended:?}") };
    if let Some(other) = engine.answer(version, &mut output, &mut |_, _| ()) {
        return format!("{other:?}");
    }
    String::from_utf8_lossy(output.plain_since(Output::new().mark()).expect("it is short")).into_owned()
}

/// A reply of any kind.
fn reply() -> impl Strategy<Value = Vec<u8>> {
    let text = prop::collection::vec(any::<u8>(), 0..40);
    let leaf = prop_oneof![
        any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
        text.prop_map(|text| [format!("${}\r\n", text.len()).as_bytes(), &text, b"\r\n"].concat()),
        "[+(][a-z0-9 ]{0,20}\r\n".prop_map(String::into_bytes),
        prop::sample::select(vec![
            "$-1",
            "*-1",
            "_",
            "#t",
            "#f",
            ",1.5",
            ",-inf",
            "=7\r\ntxt:abc",
            "*0",
            "%0",
            "~0"
        ])
        .prop_map(|reply| format!("{reply}\r\n").into_bytes()),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        let many = prop::collection::vec(inner, 0..8);
        (many, prop::sample::select(vec![b'*', b'>', b'%', b'~'])).prop_map(|(parts, kind)| {
            let count = if kind == b'%' { parts.len() / 2 } else { parts.len() };
            let used = if kind == b'%' { 2 * count } else { count };
            let is_keyed = matches!(kind, b'%' | b'~');
            let mut all = [&[kind], count.to_string().as_bytes(), b"\r\n"].concat();
            for part in parts.iter().take(used) {
                // Nil is no key.
                all.extend(if is_keyed && part[0] == b'_' { b":7\r\n" } else { &part[..] });
            }
            all
        })
    })
}

/// The text of a value of Lua.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "nil",
        "true",
        "false",
        "1",
        "-2.75",
        "0/0",
        "1e300",
        "'text'",
        "'a\\0b'",
        "type",
        "{err = 'ERR x'}",
        "{err = '-x'}",
        "{err = 1}",
        "{ok = 'a\\r\\nb'}",
        "{double = 0.5}",
        "{big_number = '12'}",
        "{verbatim_string = {format = 'txt', string = 'y'}}",
        "{verbatim_string = 1}",
        "{map = 1}",
        "{set = {}}",
        "setmetatable({1}, {__index = function() return 1 end})",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(5, 40, 6, |inner| {
        (prop::collection::vec(inner, 0..6), 0..4).prop_map(|(parts, kind)| {
            let keyed = |parts: &[String]| {
                let pairs = parts
                    .iter()
                    .enumerate()
                    .map(|(number, part)| format!("[{{{number}}}] = {part}, k{number} = {part}"));
                pairs.collect::<Vec<_>>().join(", ")
            };
            match kind {
                0 => format!("{{map = {{{}}}}}", keyed(&parts)),
                1 => format!("{{set = {{{}}}}}", keyed(&parts)),
                _ => format!("{{{}}}", parts.join(", ")),
            }
        })
    })
}

proptest! {
    #[test]
    fn replies_are_what_handles_make_of_them(bytes in reply()) {
        let mut engine = engine();
        let value = twin::read(&engine.lua, &bytes).expect("it is whole");
        // Within a table, since a global that is nil is an error.
        engine.lua.globals().raw_set("expected", [value]).expect("there is memory");
        let script = "return same(redis.pcall('reply', ARGV[1]), expected[1])";
        assert!(matches!(run(&mut engine, script, &bytes), Ended::Returned(_)));
        let mut output = Output::new();
        assert!(engine.answer(Version::Resp2, &mut output, &mut |_, _| ()).is_none());
        prop_assert_eq!(output.plain_since(Output::new().mark()), Some(&b":1\r\n"[..]));
    }

    #[test]
    fn cut_replies_are_refused(bytes in reply(), cut in any::<prop::sample::Index>()) {
        let mut engine = engine();
        let cut = &bytes[..cut.index(bytes.len())];
        // Whatever becomes of it, the next one is read.
        let _ = run(&mut engine, "return type(redis.pcall('reply', ARGV[1]))", cut);
        assert_eq!(told(&mut engine, "return redis.call('count')"), ":1\r\n");
    }

    #[test]
    fn answers_are_what_handles_make_of_them(text in value(), is_resp3 in any::<bool>()) {
        let mut engine = engine();
        let version = if is_resp3 { Version::Resp3 } else { Version::Resp2 };
        assert!(matches!(run(&mut engine, &format!("return {text}"), b""), Ended::Returned(_)));
        let mut stack = Stack::with_last(&engine.lua).expect("it has returned");
        let value = stack.take_handle(&engine.lua);
        let (mut ours, mut theirs) = (Output::new(), Output::new());
        ours.set_version(version);
        theirs.set_version(version);
        let next = engine.lua.globals().raw_get("next").expect("it is there");
        twin::write(&value, version, &next, &mut theirs).expect("it is no error");
        let mut stack = Stack::of(&engine.lua, PLACES).expect("there is room");
        stack.push_handle(&engine.lua, &value).expect("there is memory");
        answer::write(&engine.lua, version, &engine.progress, &mut ours, &mut |_, _| ()).expect("it is short");
        assert_eq!(Stack::of(&engine.lua, 0).expect("there is room").count(), 0);
        prop_assert_eq!(ours.plain_since(Output::new().mark()), theirs.plain_since(Output::new().mark()));
    }
}

#[test]
fn calls_end_in_every_way() {
    let mut engine = engine();
    for (script, reply) in [
        ("return redis.call('count', 1, 2.5, 'three')", ":4\r\n"),
        ("return redis.acl_check_cmd('reply')", ":1\r\n"),
        ("return redis.acl_check_cmd('other')", "$-1\r\n"),
        ("return {pcall(redis.call, {})}", "*2\r\n$-1\r\n"),
        ("return select(2, pcall(redis.call, 'reply', '-ERR no\\r\\n'))", "$6\r\nERR no\r\n"),
        ("return redis.pcall('reply', '-ERR no\\r\\n')", "-ERR no\r\n"),
        ("return coroutine.wrap(function() return redis.call('count') end)()", ":1\r\n"),
        ("return #redis.call('reply', '*2\\r\\n:1\\r\\n:2\\r\\n')", ":2\r\n"),
        (
            "return select(2, pcall(redis.pcall, 'reply', ('*1\\r\\n'):rep(64) .. '*0\\r\\n'))",
            "$47\r\nERR the reply is nested too deeply for a script\r\n",
        ),
        ("return redis.call('abort')", "Aborted"),
        ("return pcall(redis.call, 'abort')", "Aborted"),
        (
            "coroutine.resume(coroutine.create(function() pcall(redis.pcall, 'abort') end)) return 1",
            "Aborted",
        ),
    ] {
        let got = told(&mut engine, script);
        assert!(got.starts_with(reply), "{script}: {got}");
        assert_eq!(told(&mut engine, "return redis.call('count')"), ":1\r\n", "after {script}");
    }
}

#[test]
fn values_within_values_are_written_up_to_a_depth() {
    let mut engine = engine();
    let nested =
        |depth: usize, outer: &str| format!("local t = 'x' for i = 1, {depth} do t = {outer} end return t");
    for (outer, start) in [("{t}", "*1"), ("{set = {[t] = 1}}", "*1"), ("{map = {[t] = t}}", "*2")] {
        // A map has its value twice.
        let depth = if start == "*2" { 10 } else { 2000 };
        let whole = told(&mut engine, &nested(depth, outer));
        assert!(!whole.contains("stack limit") && whole.starts_with(start), "{outer}");
    }
    assert_eq!(told(&mut engine, &nested(2000, "{t}")).matches("*1\r\n").count(), 2000);
    for script in [
        nested(2001, "{t}"),
        nested(2001, "{set = {[t] = 1}}"),
        nested(100_000, "{t}"),
        "local t = {} t[1] = t return t".to_owned(),
        "local t = {} t.set = {} t.set[t] = true return t".to_owned(),
        "local t = {} t.map = {k = t} return t".to_owned(),
    ] {
        let cut = told(&mut engine, &script);
        assert_eq!(cut.matches("-ERR reached lua stack limit\r\n").count(), 1, "{script}");
        assert_eq!(told(&mut engine, "return redis.call('count')"), ":1\r\n");
    }
}

#[test]
fn without_memory_calls_end_and_the_next_script_runs() {
    let mut engine = engine();
    let greedy = "local t = {} while true do t[#t + 1] = redis.call('reply', '$100000\\r\\n' .. ('x'):rep(100000) .. '\\r\\n') .. #t end";
    for script in [greedy.to_owned(), format!("pcall(function() {greedy} end) {greedy}")] {
        match run(&mut engine, &script, b"") {
            Ended::Failed(message) => assert_eq!(String::from_utf8_lossy(&message), "ERR not enough memory"),
            other => panic!("it has ended as {other:?}"),
        }
        assert_eq!(told(&mut engine, "return redis.call('count')"), ":1\r\n");
    }
}

/// Scripts that are stopped, each in another place.
const STOPPED: &[&str] = &[
    "while true do end",
    "while true do redis.call('count') end",
    "while true do pcall(redis.call, 'count') end",
    "while true do pcall(function() while true do end end) end",
    "xpcall(function() error('x') end, function() while true do end end)",
    "coroutine.wrap(function() while true do redis.pcall('count') end end)()",
    "local function nest(n) coroutine.wrap(function() while true do nest(n) end end)() end nest(20)",
    "return ('a'):rep(60):find(('a*'):rep(20) .. 'b')",
    "return ('a'):rep(60):gsub(('a*'):rep(20) .. 'b', function() end)",
    "for _ in ('a'):rep(60):gmatch(('a*'):rep(20) .. 'b') do end",
    "return ('x'):rep(10000):gsub('x', function() return ('x'):rep(1000) end)",
    "local t = {1} for _ = 1, 100 do t = {t, t} end return cjson.encode(t)",
    "local t = {1} for _ = 1, 14 do t = {t, t, t} end return cmsgpack.pack(t)",
    "return cmsgpack.unpack('\\220\\255\\255' .. ('\\1'):rep(65535))",
    "return cjson.decode('[' .. ('1,'):rep(30000) .. '1]')",
    "local t = {} for i = 1, 30000 do t[i] = i end table.sort(t, function(a, b) return a > b end)",
    "local t = {} for i = 1, 30000 do t[i] = 'x' end return table.concat(t)",
    "loadstring(('x = 1 '):rep(10000))",
    "load(function() return 'x = 1 ' end)",
    "redis.sha1hex(('x'):rep(1000000))",
    "for _ = 1, 1000 do collectgarbage() end",
    "local t = {} for i = 1, 10 do t[i] = t end return t",
    "local t = {} for i = 1, 30000 do t['x' .. i] = i end return {map = t}",
];

/// What is not dropped on the way out of Lua is lost, which Valgrind shows.
#[test]
fn runs_are_stopped_wherever_they_are_and_nothing_is_lost() {
    let mut engine = engine();
    for script in STOPPED {
        let ended = match run_for(&mut engine, script, b"", 0) {
            Ended::Returned(version) => engine.answer(version, &mut Output::new(), &mut |_, _| ()),
            other => Some(other),
        };
        assert!(matches!(ended, Some(Ended::Stopped(Stop::TooLong, _))), "{script}: {ended:?}");
        assert_eq!(told(&mut engine, "return redis.call('count')"), ":1\r\n", "{script}");
    }
}

#[test]
fn a_panic_goes_on_when_lua_is_left() {
    let mut engine = engine();
    let script = "return pcall(function() return redis.pcall('panic') end)";
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&mut engine, script, b"")));
    let panic = outcome.expect_err("the command has panicked");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"a command's own fault"));
}

/// How a script sees the world.
fn sight(engine: &mut Engine, text: &str) -> Sight {
    let _ = run(engine, text, b"");
    engine.compiled[&crate::script::texts::id_of(text.as_bytes())].sight
}

#[test]
fn scripts_that_could_change_the_world_do_not_see_it_plainly() {
    let mut engine = engine();
    for plain in [
        "return redis.call('count', KEYS[1], ARGV[1])",
        "for i = 1, #KEYS do redis.call('count', KEYS[i]) end",
        "local call = redis.call return {pcall(call, 'count'), math.max(1, 2), cjson.encode({1})}",
        "local t = {} setmetatable(t, {__index = t}) return rawget(t, 1)",
    ] {
        assert_eq!(sight(&mut engine, plain), Sight::Plain, "{plain}");
    }
    for guarded in [
        "x = 1",
        "return _G",
        "return loadstring('return KEYS')()",
        "return load(function() return nil end)",
        "return nothing",
        "local r = redis return r.call('count')",
        "return rawset(redis, 'x', 1)",
        "redis.call = nil",
        "KEYS[1] = 'x'",
        "return unpack(ARGV)",
        "return setmetatable(KEYS, {})",
        "return function() return function() math.max = 1 end end",
        "return getmetatable(math)",
        "return cjson:encode()",
    ] {
        assert_eq!(sight(&mut engine, guarded), Sight::Guarded, "{guarded}");
    }
}

#[test]
fn what_is_seen_plainly_is_the_world() {
    let engine = engine();
    let globals = engine.lua.globals();
    let is_left_out = |name: &str| matches!(name, "_G" | "load" | "loadstring" | "same");
    for pair in globals.pairs::<String, Value>() {
        let (name, value) = pair.expect("names are strings");
        match (engine.plain.raw_get(&*name).expect("it is a table"), value) {
            (Value::Nil, _) => assert!(is_left_out(&name), "{name}"),
            // Scripts see an empty table in front of this one.
            (Value::Table(plain), Value::Table(shown)) => {
                assert!(plain.metatable().is_none() && shown.is_empty(), "{name}");
                let real: Table =
                    shown.metatable().expect("it has one").raw_get("__index").expect("it has one");
                assert_eq!(plain, real, "{name}");
            }
            (plain, value) => assert_eq!(plain, value, "{name}"),
        }
    }
    for pair in engine.plain.pairs::<String, Value>() {
        let (name, _) = pair.expect("names are strings");
        let is_input = matches!(&*name, "KEYS" | "ARGV");
        assert!(is_input || globals.raw_get::<Value>(&*name).is_ok_and(|value| !value.is_nil()), "{name}");
    }
}

#[test]
fn a_run_finds_what_it_was_called_with_and_nothing_of_earlier_runs() {
    let mut engine = engine();
    let plain = "local all = {#KEYS, #ARGV} \
                 for i = 1, 20 do all[#all + 1] = KEYS[i] or '' all[#all + 1] = ARGV[i] or '' end return all";
    let guarded = format!("local keys = KEYS {plain}");
    assert_eq!(sight(&mut engine, plain), Sight::Plain);
    assert_eq!(sight(&mut engine, &guarded), Sight::Guarded);
    let long = [b'x'; 5000];
    let words: Vec<&[u8]> = vec![b"a", b"b", b"", &long, b"d", b"a", b"a", b"b", b"c", b"d"];
    let many: Vec<&[u8]> = words.iter().chain(&words).copied().collect();
    for (keys, arguments) in [
        (&many[..2], &many[..0]),
        (&many[..0], &many[..3]),
        // A long text, and a table too long to last.
        (&many[..4], &many[..1]),
        (&many[..1], &many[..20]),
        (&many[..16], &many[..17]),
        (&many[..2], &many[..2]),
        (&many[..0], &many[..0]),
    ] {
        let expected = told_with(&mut engine, &guarded, keys, arguments);
        assert_eq!(told_with(&mut engine, plain, keys, arguments), expected);
        let start = format!("*42\r\n:{}\r\n:{}\r\n", keys.len(), arguments.len());
        assert!(expected.starts_with(&start), "{expected}");
    }
    // Between runs nothing long is held, and those that compile for the world find nothing there.
    let _ = told_with(&mut engine, plain, &[&long], &many);
    assert_eq!(told(&mut engine, "return ARGV[1]"), "$0\r\n\r\n");
    let of_later =
        told_with(&mut engine, "return loadstring('return {#KEYS, #ARGV}')()", &[b"k"], &[b"a", b"b"]);
    assert_eq!(of_later, "*2\r\n:1\r\n:2\r\n");
}

#[test]
fn numbers_and_texts_become_one_another_as_in_lua() {
    let mut engine = engine();
    for (script, reply) in [
        ("return tostring(1.5)", "1.5"),
        ("return tostring(-0.25)", "-0.25"),
        ("return tostring(1e15)", "1e+15"),
        ("return tostring(0)", "0"),
        ("return tostring(2^53)", "9.007199254741e+15"),
        ("return tostring('x', 1)", "x"),
        ("return tostring(nil)", "nil"),
        ("return tostring(setmetatable({}, {__tostring = function() return 'mine' end}))", "mine"),
        ("return tostring(tonumber('100'))", "100"),
        ("return tostring(tonumber('  0x10  '))", "16"),
        ("return tostring(tonumber('1e3'))", "1000"),
        ("return tostring(tonumber('12.5') + tonumber('-2'))", "10.5"),
        ("return tostring(tonumber('z', 36))", "35"),
        ("return tostring(tonumber('10', 2))", "2"),
        ("return tostring(tonumber('1.2.3'))", "nil"),
        ("return tostring(tonumber({}))", "nil"),
        (
            "return select(2, pcall(function() tostring() end))",
            "user_script:1: bad argument #1 to 'tostring' (value expected)",
        ),
        (
            "return select(2, pcall(function() return 1, tonumber() end))",
            "user_script:1: bad argument #1 to 'tonumber' (value expected)",
        ),
        (
            "return select(2, pcall(function() return 1, tonumber('1', 99) end))",
            "user_script:1: bad argument #2 to 'tonumber' (base out of range)",
        ),
    ] {
        assert_eq!(told(&mut engine, script), format!("${}\r\n{reply}\r\n", reply.len()), "{script}");
    }
}
