//! What a compiled script does with its globals, read from Lua's own account of its instructions (`lua_dump`).
//!
//! Scripts see the world through empty tables, since Lua 5.1 has no tables that cannot be written to.  That costs each name a second
//! and a third look.  Most scripts write no global and use a library only for what it has: `redis.call`, `KEYS[1]`.  These need nothing
//! in front of the tables, and that they are such scripts is seen here once, when they are compiled.
//!
//! All that is not understood counts as a script that does more.

/// A global that a script reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Read<'d> {
    /// Its name.
    pub(super) name: &'d [u8],
    /// It is read only for one of its elements or for its length: the value itself goes nowhere.
    pub(super) is_passing: bool,
}

/// What stands at the beginning: Lua 5.1, with integers of 4 bytes, lengths of 8, instructions of 4 and numbers of 8 in this machine's order.
const HEADER: &[u8] = &[0x1b, b'L', b'u', b'a', 0x51, 0, cfg!(target_endian = "little") as u8, 4, 8, 4, 8, 0];

/// Functions within functions: more than Lua's compiler takes.
const NESTING_MAX: usize = 256;

/// The instructions that matter here, by the lowest six bits.
const GET_GLOBAL: u32 = 5;
const GET_ELEMENT: u32 = 6;
const SET_GLOBAL: u32 = 7;
const LENGTH: u32 = 20;

/// The types of constants.
const NIL: u8 = 0;
const BOOLEAN: u8 = 1;
const NUMBER: u8 = 3;
const TEXT: u8 = 4;

/// The globals that a script reads; none if it writes one, or cannot be understood.
pub(super) fn globals(dump: &[u8]) -> Option<Vec<Read<'_>>> {
    let mut reader = Reader { rest: dump.strip_prefix(HEADER)?, reads: Vec::new() };
    reader.function(NESTING_MAX)?;
    reader.rest.is_empty().then_some(reader.reads)
}

struct Reader<'d> {
    rest: &'d [u8],
    reads: Vec<Read<'d>>,
}

impl<'d> Reader<'d> {
    fn take(&mut self, length: usize) -> Option<&'d [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn integer(&mut self) -> Option<usize> {
        Some(u32::from_ne_bytes(self.take(4)?.try_into().ok()?) as usize)
    }

    /// A text, which has a zero byte behind it; one that is left out has no length.
    fn text(&mut self) -> Option<&'d [u8]> {
        let length = u64::from_ne_bytes(self.take(8)?.try_into().ok()?);
        let text = self.take(usize::try_from(length).ok()?)?;
        Some(text.strip_suffix(b"\0").unwrap_or(text))
    }

    /// A function with those within it.
    fn function(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        // Its source, its first and last line, and the numbers of its upvalues, parameters and registers.
        self.text()?;
        self.take(4 + 4 + 4)?;
        let count = self.integer()?;
        let instructions = self.take(count.checked_mul(4)?)?;
        let constants = self.constants()?;
        self.instructions(instructions, &constants)?;
        for _ in 0..self.integer()? {
            self.function(depth)?;
        }
        self.notes()
    }

    /// What messages need: the line of each instruction, the local variables with the instructions that see them, the upvalues.
    fn notes(&mut self) -> Option<()> {
        let lines = self.integer()?;
        self.take(lines.checked_mul(4)?)?;
        for _ in 0..self.integer()? {
            self.text()?;
            self.take(4 + 4)?;
        }
        for _ in 0..self.integer()? {
            self.text()?;
        }
        Some(())
    }

    /// The constants of a function; what is no text is empty.
    fn constants(&mut self) -> Option<Vec<&'d [u8]>> {
        let mut constants = Vec::new();
        for _ in 0..self.integer()? {
            let text: &[u8] = match self.take(1)?[0] {
                NIL => &[],
                BOOLEAN => &self.take(1)?[1..],
                NUMBER => &self.take(8)?[8..],
                TEXT => self.text()?,
                _ => return None,
            };
            constants.push(text);
        }
        Some(constants)
    }

    /// Notes what instructions read; none if they write a global.
    fn instructions(&mut self, code: &[u8], constants: &[&'d [u8]]) -> Option<()> {
        let mut codes = code.as_chunks::<4>().0.iter().map(|code| u32::from_ne_bytes(*code)).peekable();
        while let Some(code) = codes.next() {
            match code & 0x3f {
                SET_GLOBAL => return None,
                GET_GLOBAL => {
                    let name = constants.get((code >> 14) as usize)?;
                    let register = code >> 6 & 0xff;
                    // What follows it in the text follows it in the run too.
                    let is_passing = codes.peek().is_some_and(|next| takes_out_of(*next, register));
                    self.reads.push(Read { name, is_passing });
                }
                _ => (),
            }
        }
        Some(())
    }
}

/// Whether an instruction puts an element or the length of what a register has in its place.  If it put that elsewhere, the register could
/// be that of a local variable.
fn takes_out_of(code: u32, register: u32) -> bool {
    let (result, table, key) = (code >> 6 & 0xff, code >> 23, code >> 14 & 0x1ff);
    let is_replaced = result == register && table == register;
    match code & 0x3f {
        GET_ELEMENT => is_replaced && key != register,
        LENGTH => is_replaced,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use mlua::Lua;
    use proptest::prelude::*;

    use super::{NESTING_MAX, globals};

    fn dump(text: &str) -> Vec<u8> {
        Lua::new().load(text).into_function().expect("it is Lua").dump(false)
    }

    /// What a script reads, a `.` behind what goes nowhere; none if it does more.
    fn reads(text: &str) -> Option<String> {
        let dump = dump(text);
        let shown = globals(&dump)?.into_iter().map(|read| {
            format!("{}{}", String::from_utf8_lossy(read.name), if read.is_passing { "." } else { "" })
        });
        Some(shown.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn what_is_read_and_what_becomes_of_it() {
        for (text, read) in [
            ("return 1", ""),
            ("return redis.call('get', KEYS[1])", "redis. KEYS."),
            ("local key = KEYS[1] return key", "KEYS."),
            ("for i = 1, #KEYS do redis.call('del', KEYS[i]) end", "KEYS. redis. KEYS."),
            ("local function f() return ARGV[1] end return f() == math.max(1, 2)", "math. ARGV."),
            ("local r = redis return r.call('get', 'a')", "redis"),
            ("local r = redis local c = r.call r.call = nil", "redis"),
            ("local k = KEYS local n = #k k[1] = 'x'", "KEYS"),
            ("local x x = KEYS[1] return x", "KEYS"),
            ("return redis:call()", "redis"),
            ("return (type or redis).call", "type redis."),
            ("return (redis and type).call", "redis type."),
            ("return KEYS[KEYS]", "KEYS KEYS"),
            ("return KEYS[#ARGV]", "KEYS ARGV."),
            ("return unpack(KEYS)", "unpack KEYS"),
            ("return {KEYS, 1}", "KEYS"),
            ("return KEYS .. '' ", "KEYS"),
            ("return -KEYS, not ARGV", "KEYS ARGV"),
            ("KEYS[1] = 'x'", "KEYS"),
            ("redis.call = nil", "redis"),
            ("local x = {1, 2, 3} x[1] = type return setmetatable(x, nil)", "type setmetatable"),
        ] {
            let known: Option<String> = reads(text).map(|reads| {
                // The order within one instruction's operands is the compiler's.
                let mut words: Vec<&str> = reads.split(' ').collect();
                words.sort_unstable();
                words.join(" ")
            });
            let mut expected: Vec<&str> = read.split(' ').collect();
            expected.sort_unstable();
            assert_eq!(known, Some(expected.join(" ")), "{text}");
        }
    }

    #[test]
    fn who_writes_a_global_is_found_wherever_he_does() {
        for text in [
            "x = 1",
            "function f() end",
            "redis = nil",
            "local a a, KEYS = 1, 2",
            "return function() return function() for i = 1, 2 do x = i end end end",
            "if type then local t = {} t.x, y = 1, 2 end",
        ] {
            assert_eq!(reads(text), None, "{text}");
        }
    }

    #[test]
    fn functions_within_functions_have_an_end() {
        // Lua's compiler has fewer; the limit is for what it would not make.
        let nested = |count: usize| format!("{}{}", "return function() ".repeat(count), "end ".repeat(count));
        assert_eq!(reads(&nested(90)), Some(String::new()));
        let function = |inner: &[u8]| {
            let head = [0; 8 + 4 + 4 + 4];
            let counts = [0_u32, 0, u32::from(!inner.is_empty())].map(u32::to_ne_bytes).concat();
            [&head[..], &counts, inner, &[0; 12]].concat()
        };
        let deep = |count: usize| (0..count).fold(Vec::new(), |inner, _| function(&inner));
        let whole = |count: usize| [super::HEADER, &deep(count)].concat();
        assert!(globals(&whole(NESTING_MAX)).is_some());
        assert!(globals(&whole(NESTING_MAX + 1)).is_none());
    }

    proptest! {
        #[test]
        fn what_is_cut_or_changed_is_read_without_a_fault(at in 0_usize..1000, byte: u8) {
            let mut dump = dump("local a = redis.call('get', KEYS[1]) return {a, 1.5, nil, true, function() return ARGV end}");
            let cut = at.min(dump.len() - 1);
            prop_assert_eq!(globals(&dump[..cut]), None);
            dump[cut] = byte;
            let _ = globals(&dump);
        }
    }
}
