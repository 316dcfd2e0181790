//! The libraries against those of redis-server: random values written, random texts read.

use quartet::random::Random;

use crate::support::client::{Client, text};
use crate::support::peers;
use crate::support::process::Server;

/// Rounds of each comparison.
const ROUNDS: usize = 400;

/// Spells a value with all that is in it, the keys of tables in an order of their own.
const SPELL: &str = "local function spell(v) \
                         if type(v) ~= 'table' then return type(v) .. ':' .. (v == cjson.null and 'null' or tostring(v)) end \
                         local parts = {} for k, w in pairs(v) do parts[#parts + 1] = spell(k) .. '=' .. spell(w) end \
                         table.sort(parts) return '{' .. table.concat(parts, ',') .. '}' end \
                     local function spell_all(ok, ...) \
                         local parts = {tostring(ok)} for i = 1, select('#', ...) do parts[i + 1] = spell((select(i, ...))) end \
                         return table.concat(parts, ' ') end ";

/// Both servers.
struct Pair {
    redis: Client,
    quartet: Client,
    _servers: [Server; 2],
}

impl Pair {
    fn start() -> Option<Pair> {
        let program = peers::peer("redis-server")?;
        let servers = [Server::peer(&program), Server::quartet(&[])];
        let [redis, quartet] = [0, 1].map(|place: usize| Client::connect(servers[place].address()));
        Some(Pair { redis, quartet, _servers: servers })
    }

    /// Runs a script on both and compares.
    fn compare(&mut self, script: &str, argument: &[u8]) {
        let request: [&[u8]; 4] = [b"EVAL", script.as_bytes(), b"0", argument];
        let (theirs, ours) = (self.redis.call(&request), self.quartet.call(&request));
        assert_eq!(text(&ours), text(&theirs), "{script}\nARGV[1] = {:?}", String::from_utf8_lossy(argument));
    }
}

/// A random value as Lua spells it.
fn value(random: &mut Random, depth: usize) -> String {
    match random.below(if depth == 0 { 8 } else { 11 }) {
        0 => "true".into(),
        1 => "false".into(),
        2 => format!("{}", random.draw() as i64 % 100_000),
        3 => format!("{}", (random.draw() as i64 >> random.below(63)) as f64),
        4 => format!("{}", f64::from(random.draw() as i32) / 64.0),
        5 => format!("{}e{}", random.below(1000), random.below(40) as i64 - 20),
        6 | 7 => string(random),
        8 | 9 => {
            let items: Vec<String> = (0..random.below(5)).map(|_| value(random, depth - 1)).collect();
            format!("{{{}}}", items.join(", "))
        }
        _ => {
            // With one key there is one order.
            let key = if random.below(3) == 0 { random.below(20).to_string() } else { string(random) };
            format!("{{[{key}] = {}}}", value(random, depth - 1))
        }
    }
}

fn string(random: &mut Random) -> String {
    let length = if random.below(10) == 0 { random.below(300) } else { random.below(8) };
    let bytes: String = (0..length).map(|_| format!("\\{:03}", random.below(256))).collect();
    format!("'{bytes}'")
}

/// A text that is nearly JSON.
fn json(random: &mut Random, depth: usize) -> String {
    match random.below(if depth == 0 { 8 } else { 11 }) {
        0 => ["true", "false", "null", "nul", "NaN", "-Infinity", "inf", "tru"][random.below(8)].into(),
        1 => ["0", "-0", "01", "0x1F", "1e5", "1E+5", "-1.5", ".5", "1.", "+1", "--1", "1e999"]
            [random.below(12)]
        .into(),
        2..=4 => (random.draw() as i64 >> random.below(63)).to_string(),
        5..=7 => {
            let parts = [
                "a",
                "é",
                "\\n",
                "\\u00e9",
                "\\ud83d\\ude00",
                "\\ud83d",
                "\\x",
                "\\/",
                "\\\"",
                "\t",
                "\\u12",
            ];
            let parts: String = (0..random.below(4)).map(|_| parts[random.below(parts.len())]).collect();
            format!("\"{parts}\"")
        }
        8 | 9 => {
            let items: Vec<String> = (0..random.below(4)).map(|_| json(random, depth - 1)).collect();
            format!("[{}]", items.join([",", " , ", ",", " "][random.below(4)]))
        }
        _ => {
            let items: Vec<String> = (0..random.below(4))
                .map(|_| format!("{}:{}", json(random, 0), json(random, depth - 1)))
                .collect();
            format!("{{{}}}", items.join(","))
        }
    }
}

fn mangle(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..random.below(3) {
        match (random.below(3), bytes.len()) {
            (0, 1..) => bytes.truncate(random.below(bytes.len())),
            (1, 1..) => {
                let place = random.below(bytes.len());
                bytes[place] = random.draw() as u8;
            }
            _ => bytes.insert(random.below(bytes.len() + 1), random.draw() as u8),
        }
    }
}

#[test]
fn values_are_written_as_in_redis() {
    let Some(mut pair) = Pair::start() else { return };
    let mut random = Random::with_seed(1);
    for _ in 0..ROUNDS {
        let value = value(&mut random, 4);
        for library in ["cjson.encode", "cmsgpack.pack"] {
            pair.compare(&format!("return {{pcall({library}, {value})}}"), b"");
        }
    }
}

#[test]
fn json_is_read_as_in_redis() {
    let Some(mut pair) = Pair::start() else { return };
    let mut random = Random::with_seed(2);
    let script = format!("{SPELL} return spell_all(pcall(cjson.decode, ARGV[1]))");
    for _ in 0..ROUNDS {
        let mut text = json(&mut random, 4).into_bytes();
        mangle(&mut random, &mut text);
        pair.compare(&script, &text);
    }
}

#[test]
fn packed_values_are_read_as_in_redis() {
    let Some(mut pair) = Pair::start() else { return };
    let mut random = Random::with_seed(3);
    for _ in 0..ROUNDS {
        let value = value(&mut random, 4);
        let script = format!(
            "{SPELL} local packed = cmsgpack.pack({value}, 7) \
             if #ARGV[1] > 0 then packed = packed:sub(1, #ARGV[1]) .. ARGV[1] end \
             return spell_all(pcall(cmsgpack.unpack, packed))"
        );
        let mut noise = Vec::new();
        mangle(&mut random, &mut noise);
        // Length prefixes of many gigabytes only waste the peer's time.
        noise.retain(|byte| !(0xdc..=0xdf).contains(byte));
        pair.compare(&script, &noise);
    }
}

#[test]
fn structures_are_those_of_redis() {
    let Some(mut pair) = Pair::start() else { return };
    let mut random = Random::with_seed(4);
    let items = [
        "b", "B", "h", "H", "i", "I", "l", "L", "T", "f", "d", "i3", "I7", "x", " ", ">", "<", "!4", "!",
        "c3", "s",
    ];
    for _ in 0..ROUNDS {
        let format: String = (0..random.below(8)).map(|_| items[random.below(items.len())]).collect();
        let numbers: Vec<String> = (0..9)
            .map(|_| {
                if format.contains(['c', 's']) { "'1234'".into() } else { (random.draw() as i32).to_string() }
            })
            .collect();
        let script = format!(
            "{SPELL} local ok, packed = pcall(struct.pack, '{format}', {}) if not ok then return packed end \
             return {{packed, spell_all(pcall(struct.unpack, '{format}', packed .. ARGV[1])), \
             spell_all(pcall(struct.size, '{format}'))}}",
            numbers.join(", ")
        );
        pair.compare(&script, b"1234567");
    }
}

#[test]
fn bits_are_those_of_redis() {
    let Some(mut pair) = Pair::start() else { return };
    let mut random = Random::with_seed(5);
    let names =
        ["band", "bor", "bxor", "bnot", "lshift", "rshift", "arshift", "rol", "ror", "bswap", "tobit"];
    for _ in 0..ROUNDS {
        let name = names[random.below(names.len())];
        let mut number =
            || (random.draw() as i64 >> random.below(60)) as f64 / [1.0, 2.0, 3.0][random.below(3)];
        let (one, other) = (number(), number());
        pair.compare(&format!("return {{bit.{name}({one}, {other}), bit.tohex({one})}}"), b"");
    }
}

#[test]
fn patterns_replace_by_calls_and_tables_what_they_replace_in_redis() {
    let Some(mut pair) = Pair::start() else { return };
    let pieces = [
        "a", "b", ".", "%a", "%d", "[ab]", "[^a]", "*", "+", "-", "?", "^", "$", "(", ")", "()", "(a)",
        "(.-)", "%1", "%b()", "%f[a]", "%",
    ];
    let script = "local text, pattern, limit = ARGV[1]:match('^(.-)|(.-)|(.*)$')
        local seen = {}
        local function call(...)
            seen[#seen + 1] = select('#', ...) .. ':' .. tostring((...))
            if #seen % 5 == 0 then return nil end
            return #seen % 3 == 0 and #seen or '<' .. #seen .. '>'
        end
        local calls = {pcall(string.gsub, text, pattern, call, tonumber(limit))}
        local tables = {pcall(string.gsub, text, pattern, {a = 'x', ab = 1, [1] = 'one', b = false})}
        local wrong = {pcall(string.gsub, text, pattern, {a = {}})}
        for _, results in ipairs({calls, tables, wrong}) do
            for _, value in ipairs(results) do seen[#seen + 1] = tostring(value) end
        end
        return seen";
    for seed in 0..ROUNDS as u64 {
        let mut random = Random::with_seed(seed);
        let mut made_of = |pieces: &[&str], length: usize| -> String {
            (0..random.below(length)).map(|_| pieces[random.below(pieces.len())]).collect()
        };
        let (text, pattern) = (made_of(&["a", "b", "ab", "(", ")", "1", " "], 8), made_of(&pieces, 6));
        let limit = ["", "0", "1", "2"][seed as usize % 4];
        pair.compare(script, format!("{text}|{pattern}|{limit}").as_bytes());
    }
}
