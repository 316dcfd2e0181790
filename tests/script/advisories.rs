//! The published advisories about scripts in Redis, each as somebody would try it.  A server that falls for one crashes or
//! lets the next script see something.

use super::Scripts;

#[test]
fn cve_2024_31449_tohex_takes_any_number_of_digits() {
    let mut scripts = Scripts::start(&[]);
    for digits in ["-2147483648", "2147483647", "-2147483647", "4294967296", "-1e300"] {
        let shown = scripts.eval(&format!("return bit.tohex(65535, {digits})"));
        assert!(shown.len() <= 8, "{digits}: {shown}");
    }
    assert_eq!(scripts.eval("return bit.tohex(65535, -2147483648)"), "0000FFFF");
}

#[test]
fn cve_2024_46981_nothing_runs_when_values_are_collected() {
    let mut scripts = Scripts::start(&[]);
    // Only userdata has finalizers in Lua 5.1, and scripts cannot make any.
    assert!(scripts.eval("return newproxy(true)").contains("nonexistent global variable 'newproxy'"));
    let tried = "local t = setmetatable({}, {__gc = function() redis.call('SET', 'collected', 1) end}) t = nil \
                 collectgarbage() collectgarbage() return 'done'";
    assert_eq!(scripts.eval(tried), "done");
    assert_eq!(scripts.client.ask("EXISTS collected"), "0");
    // Nor can they put the collector into a state that others find.
    assert_eq!(scripts.eval("collectgarbage('stop') collectgarbage('setpause', 1) return 1"), "1");
    let churn = "local before = collectgarbage('count') for i = 1, 200000 do local t = {i} end \
                 return collectgarbage('count') - before < 4096 and 'collected' or 'grown'";
    assert_eq!(scripts.eval(churn), "collected");
}

#[test]
fn cve_2025_46817_unpack_counts_beyond_32_bits() {
    let mut scripts = Scripts::start(&[]);
    for range in [
        "-2147483648, 2147483647",
        "0, 2147483647",
        "-2147483648, 0",
        "-2147483648",
        "1, 2147483647",
        "-1e308, 1e308",
        "0 / 0, 1",
        "1, 0 / 0",
        "'-2147483648', '2147483647'",
    ] {
        let refused = scripts.eval(&format!("local a = unpack({{1, 2, 3}}, {range}) return a"));
        assert!(refused.contains("too many results to unpack"), "{range}: {refused}");
    }
    assert_eq!(scripts.eval("local a, b = unpack({1, 2}, 1, 2) return a + b"), "3");
}

#[test]
fn cve_2025_46818_types_keep_their_metatables() {
    let mut scripts = Scripts::start(&[]);
    for change in [
        "getmetatable('').__index = function() return 'taken' end",
        "getmetatable('').__add = function() return 'taken' end",
        "getmetatable('').__index.upper = function() return 'taken' end",
        "string.upper = function() return 'taken' end",
        "rawset(getmetatable(''), '__index', 1)",
        "rawset(string, 'upper', 1)",
        "setmetatable(string, {})",
        "table.insert(getmetatable(''), 1)",
    ] {
        let refused = scripts.eval(&format!("{change} return 'changed'"));
        assert!(refused.contains("Attempt to modify a readonly table"), "{change}: {refused}");
    }
    for kind in ["1", "true", "tostring", "coroutine.create(function() end)", "cjson.null"] {
        assert_eq!(scripts.eval(&format!("return getmetatable({kind}) == nil and 'none' or 'one'")), "none");
    }
    assert_eq!(scripts.eval("return ('x'):upper()"), "X");
}

#[test]
fn cve_2025_46819_delimiters_of_long_strings() {
    let mut scripts = Scripts::start(&[]);
    for equals in [0, 1, 1000, 1_000_000] {
        let equals = "=".repeat(equals);
        assert_eq!(scripts.eval(&format!("return [{equals}[text]{equals}]")), "text");
        let refused = scripts.eval(&format!("return loadstring('return [{equals}') and 1 or 0"));
        assert_eq!(refused, "0");
        let cut = scripts.eval(&format!("return loadstring('return [{equals}[text]') and 1 or 0"));
        assert_eq!(cut, "0");
    }
}

#[test]
fn cve_2025_49844_collecting_while_the_compiler_works() {
    let mut scripts = Scripts::start(&[]);
    let tried = "local parts = 0 \
                 local chunk = load(function() \
                     collectgarbage('collect') parts = parts + 1 \
                     if parts < 300 then return 'local a' .. parts % 150 .. ' = \"' .. ('x'):rep(100) .. parts .. '\" ' end \
                 end, '=' .. ('name'):rep(50)) \
                 if not chunk then return 'not compiled' end chunk() return parts";
    assert_eq!(scripts.eval(tried), "not compiled");
    let pressed = "local kept = {} for i = 1, 200 do \
                       local chunk = loadstring('return ' .. ('\"x\" .. '):rep(50) .. '\"' .. i .. '\"', '@' .. i) \
                       kept[i % 10] = ('y'):rep(10000) .. i \
                       if chunk() ~= ('x'):rep(50) .. i then return 'wrong' end \
                   end return 'right'";
    assert_eq!(scripts.eval(pressed), "right");
}

#[test]
fn bytecode_is_refused_everywhere() {
    let mut scripts = Scripts::start(&[]);
    let refused = "local code = string.dump(function() return 1 end) \
                   local given = false \
                   local pieces = load(function() if given then return nil end given = true return code end) \
                   return {tostring(loadstring(code)), tostring(pieces)}";
    assert_eq!(scripts.eval(refused), "[nil, nil]");
    let code = "\u{1b}LuaQ";
    assert!(scripts.eval(code).starts_with("-ERR Error compiling script"));
}

#[test]
fn a_long_pattern_takes_no_stack() {
    let mut scripts = Scripts::start(&[]);
    for call in ["find(s, p)", "match(s, p)", "gsub(s, p, '')", "gmatch(s, p)()", "gfind(s, p)()"] {
        for pattern in ["a?", "a*", "a-", "()", "%a?"] {
            let tried =
                format!("local s, p = ('a'):rep(100000), ('{pattern}'):rep(100000) return string.{call}");
            let refused = if pattern == "()" { "too many captures" } else { "pattern too complex" };
            assert!(scripts.eval(&tried).contains(refused), "{call} {pattern}");
        }
    }
    assert_eq!(scripts.eval("local p = ('a?'):rep(100000) return (p .. 'x'):find(p, 1, true)"), "1");
    assert_eq!(scripts.eval("return #(('ab'):rep(5000):gsub(('a'):rep(2), ''))"), "10000");
    assert_eq!(scripts.eval("return (('k=v'):gsub('(%w+)=(%w+)', '%2=%1'))"), "v=k");
}
