//! Programs in Lua that bytes choose: nearly all of them compile, and they call everything that a script has.

/// Expressions within expressions.
const DEPTH_MAX: usize = 4;

const FUNCTIONS: &[&str] = &[
    "redis.call",
    "redis.pcall",
    "redis.sha1hex",
    "redis.error_reply",
    "redis.status_reply",
    "redis.setresp",
    "redis.log",
    "redis.acl_check_cmd",
    "redis.register_function",
    "cjson.encode",
    "cjson.decode",
    "cmsgpack.pack",
    "cmsgpack.unpack",
    "struct.pack",
    "struct.unpack",
    "struct.size",
    "bit.bor",
    "bit.lshift",
    "bit.tohex",
    "string.rep",
    "string.format",
    "string.gsub",
    "string.find",
    "string.sub",
    "string.byte",
    "string.char",
    "table.concat",
    "table.insert",
    "table.remove",
    "table.sort",
    "table.foreach",
    "setmetatable",
    "getmetatable",
    "rawset",
    "rawget",
    "pcall",
    "xpcall",
    "error",
    "tostring",
    "tonumber",
    "type",
    "unpack",
    "select",
    "next",
    "pairs",
    "ipairs",
    "loadstring",
    "load",
    "coroutine.wrap",
    "coroutine.create",
    "coroutine.resume",
    "coroutine.yield",
    "math.random",
    "math.floor",
    "math.fmod",
    "collectgarbage",
    "a",
    "b",
];

const NAMES: &[&str] = &[
    "a",
    "b",
    "KEYS",
    "ARGV",
    "KEYS[1]",
    "ARGV[1]",
    "_G",
    "redis",
    "string",
    "cjson",
    "cjson.null",
    "nil",
    "true",
    "false",
    "math.huge",
    "getmetatable('')",
    "nosuch",
];

const TEXTS: &[&str] = &[
    "''",
    "'key'",
    "'undeclared'",
    "'GET'",
    "'SET'",
    "'INCR'",
    "'HSET'",
    "'HGETALL'",
    "'DEL'",
    "'EVAL'",
    "'%s'",
    "'%d%5.3f%q'",
    "'(a*)%1'",
    "'[1,{\"a\":2}]'",
    "'\\146\\1\\147'",
    "'>i4s'",
    "'return 1'",
    "'__index'",
    "'index'",
    "'err'",
    "'ok'",
    "'map'",
];

const OPERATORS: &[&str] = &["+", "-", "*", "/", "%", "^", "..", "==", "~=", "<", "<=", "and", "or"];

struct Chooser<'b>(std::slice::Iter<'b, u8>);

impl Chooser<'_> {
    /// The next byte; zero at the end, which chooses what ends.
    fn byte(&mut self) -> usize {
        self.0.next().map_or(0, |&byte| usize::from(byte))
    }

    fn of<'l>(&mut self, list: &[&'l str]) -> &'l str {
        list[self.byte() % list.len()]
    }

    fn expression(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.of(NAMES).to_owned();
        }
        match self.byte() % 12 {
            0 => self.of(NAMES).to_owned(),
            1 | 2 => self.of(TEXTS).to_owned(),
            3 => (self.byte() as i64 - 100).to_string(),
            4 => format!("{}e{}", self.byte(), self.byte() as i64 - 128),
            5..=7 => format!("{}({})", self.of(FUNCTIONS), self.list(depth - 1)),
            8 => format!("{{{}}}", self.list(depth - 1)),
            9 => format!("{{[{}] = {}}}", self.of(TEXTS), self.expression(depth - 1)),
            10 => format!(
                "({} {} {})",
                self.expression(depth - 1),
                self.of(OPERATORS),
                self.expression(depth - 1)
            ),
            _ => format!("function(...) {} end", self.block(depth - 1)),
        }
    }

    fn list(&mut self, depth: usize) -> String {
        let count = self.byte() % 4;
        (0..count).map(|_| self.expression(depth)).collect::<Vec<_>>().join(", ")
    }

    fn block(&mut self, depth: usize) -> String {
        let mut text = String::new();
        for _ in 0..self.byte() % 4 {
            text += &match self.byte() % 6 {
                0 => format!("a = {} ", self.expression(depth)),
                1 => format!("b = {} ", self.expression(depth)),
                2 => format!("for i = 1, {} do a = {} end ", self.byte() % 9, self.expression(depth)),
                3 => format!("if {} then b = {} end ", self.expression(depth), self.expression(depth)),
                4 => format!("a, b = pcall(function() return {} end) ", self.expression(depth)),
                _ => format!("pcall({}, {}) ", self.of(FUNCTIONS), self.expression(depth)),
            };
        }
        text + &format!("return {}", self.expression(depth))
    }
}

/// The program that these bytes choose.
pub(crate) fn program(bytes: &[u8]) -> String {
    let mut chooser = Chooser(bytes.iter());
    let mut text = "local a, b ".to_owned();
    while !chooser.0.as_slice().is_empty() {
        text += &format!("do local _ = {} end ", chooser.expression(DEPTH_MAX));
    }
    text + &chooser.block(DEPTH_MAX)
}
