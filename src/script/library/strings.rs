//! `string.find`, `match`, `gmatch` and `gsub`, in place of those of Lua: their work is counted (see `meter`).

use std::cell::Cell;
use std::rc::Rc;

use mlua::{Function, Lua, LuaString, MultiValue, Table, Value};

use super::pattern::{Found, Matcher, is_pattern};
use crate::script::arguments::Given;
use crate::script::meter::Meter;

/// Puts the functions into the library of strings, and those behind `gsub` into `host`.
pub(super) fn open(lua: &Lua, string: &Table, host: &Table, meter: &Rc<Meter>) -> mlua::Result<()> {
    let put = |table: &Table, name: &str, function: StringFunction| {
        let meter = Rc::clone(meter);
        let function = lua.create_function(move |lua, values| function(&Given::new(lua, values), &meter))?;
        table.raw_set(name, function)
    };
    put(string, "find", find)?;
    put(string, "match", match_once)?;
    put(host, "gsub", gsub)?;
    put(host, "gsub_begin", gsub_begin)?;
    put(host, "gsub_find", gsub_find)?;
    let own = Rc::clone(meter);
    let gmatch = lua.create_function(move |lua, values| gmatch(&Given::new(lua, values), &own))?;
    string.raw_set("gmatch", &gmatch)?;
    string.raw_set("gfind", &gmatch)
}

type StringFunction = fn(&Given<'_>, &Rc<Meter>) -> mlua::Result<MultiValue>;

/// Where a search begins: a position from 1, or from the end if it is negative.
fn start(given: &Given<'_>, length: usize) -> mlua::Result<usize> {
    let position = given.integer_or(3, 1)?;
    let position = if position < 0 { position.saturating_add(length as i64 + 1) } else { position };
    Ok((position.max(1) as usize - 1).min(length))
}

fn find(given: &Given<'_>, meter: &Rc<Meter>) -> mlua::Result<MultiValue> {
    let (subject, pattern) = (given.string(1)?, given.string(2)?);
    let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
    let start = start(given, subject.len())?;
    let is_plain = !matches!(given.get(4), None | Some(Value::Nil | Value::Boolean(false)));
    if is_plain || !is_pattern(&pattern) {
        let found = memchr::memmem::find(&subject[start..], &pattern).map(|place| start + place);
        return Ok(positions(found.map(|from| (from, from + pattern.len()))));
    }
    let mut matcher = Matcher::new((given.lua(), meter), &subject, &pattern, true);
    let found = matcher.find(start)?;
    let mut values = positions(found);
    if let Some(found) = found {
        for index in 0..matcher.capture_count() {
            values.push_back(matcher.capture(index, found)?);
        }
    }
    Ok(values)
}

/// The positions of a match as scripts see them, or nil.
fn positions(found: Option<Found>) -> MultiValue {
    let number = |place: usize| Value::Number(place as f64);
    match found {
        Some((from, end)) => [number(from + 1), number(end)].into_iter().collect(),
        None => [Value::Nil].into_iter().collect(),
    }
}

/// The captures of a match, or the whole of it.
fn captures(matcher: &Matcher<'_>, found: Found, values: &mut MultiValue) -> mlua::Result<()> {
    for index in 0..matcher.capture_count().max(1) {
        values.push_back(matcher.capture(index, found)?);
    }
    Ok(())
}

fn match_once(given: &Given<'_>, meter: &Rc<Meter>) -> mlua::Result<MultiValue> {
    let (subject, pattern) = (given.string(1)?, given.string(2)?);
    let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
    let start = start(given, subject.len())?;
    let mut matcher = Matcher::new((given.lua(), meter), &subject, &pattern, true);
    let mut values = MultiValue::new();
    match matcher.find(start)? {
        Some(found) => captures(&matcher, found, &mut values)?,
        None => values.push_back(Value::Nil),
    }
    Ok(values)
}

fn gmatch(given: &Given<'_>, meter: &Rc<Meter>) -> mlua::Result<Function> {
    let (subject, pattern, meter) = (given.string(1)?, given.string(2)?, Rc::clone(meter));
    let next = Cell::new(0);
    given.lua().create_function(move |lua, _: MultiValue| {
        let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
        let mut values = MultiValue::new();
        let mut matcher = Matcher::new((lua, &meter), &subject, &pattern, false);
        match matcher.find(next.get())? {
            Some(found) => {
                let (from, end) = found;
                next.set(if end == from { end + 1 } else { end });
                captures(&matcher, found, &mut values)?;
            }
            None => values.push_back(Value::Nil),
        }
        Ok(values)
    })
}

/// `string.gsub` with a text as replacement.
fn gsub(given: &Given<'_>, meter: &Rc<Meter>) -> mlua::Result<MultiValue> {
    let (subject, pattern) = (given.string(1)?, given.string(2)?);
    if !matches!(given.get(3), Some(Value::String(_) | Value::Integer(_) | Value::Number(_))) {
        return Err(given.bad(3, "string/function/table expected"));
    }
    let replacement = given.string(3)?;
    let limit = limit(given, 4, &subject)?;
    let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
    let mut matcher = Matcher::new((given.lua(), meter), &subject, &pattern, true);
    let (mut text, mut at, mut count) = (Vec::new(), 0, 0);
    while count < limit
        && at <= subject.len()
        && let Some((from, end)) = matcher.find(at)?
    {
        count += 1;
        text.extend_from_slice(&subject[at..from]);
        replace(&matcher, (from, end), &replacement.as_bytes(), &mut text)?;
        at = end;
        if end == from {
            text.extend(subject.get(from));
            at += 1;
        }
        meter.hold(given.lua(), text.len())?;
        if matcher.is_anchored() {
            break;
        }
    }
    text.extend_from_slice(subject.get(at..).unwrap_or_default());
    let text = given.lua().create_string(text)?;
    Ok([Value::String(text), Value::Number(count as f64)].into_iter().collect())
}

/// Adds a replacement, in which `%1` to `%9` stand for captures and `%0` for the whole.
fn replace(matcher: &Matcher<'_>, found: Found, replacement: &[u8], text: &mut Vec<u8>) -> mlua::Result<()> {
    let mut bytes = replacement.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            text.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'0') => text.extend_from_slice(matcher.whole(found)),
            Some(digit @ b'1'..=b'9') => match matcher.capture(usize::from(digit - b'1'), found)? {
                Value::String(capture) => text.extend_from_slice(&capture.as_bytes()),
                other => text.extend_from_slice(other.to_string()?.as_bytes()),
            },
            other => text.push(other.copied().unwrap_or(0)),
        }
    }
    Ok(())
}

/// How many matches `gsub` replaces at most.
fn limit(given: &Given<'_>, position: usize, subject: &LuaString) -> mlua::Result<usize> {
    let all = subject.as_bytes().len() as i64 + 1;
    Ok(given.integer_or(position, all)?.max(0) as usize)
}

/// The subject as a text, how many matches are replaced at most, and whether only one at the start is one.
fn gsub_begin(given: &Given<'_>, _: &Rc<Meter>) -> mlua::Result<MultiValue> {
    let (subject, pattern) = (given.string(1)?, given.string(2)?);
    let limit = limit(given, 4, &subject)?;
    let is_anchored = pattern.as_bytes().first() == Some(&b'^');
    Ok([Value::String(subject), Value::Number(limit as f64), Value::Boolean(is_anchored)]
        .into_iter()
        .collect())
}

/// The next match from a position on: where it begins and ends, and its captures or the whole of it.  Lua looks only at the
/// first one where a table replaces.
fn gsub_find(given: &Given<'_>, meter: &Rc<Meter>) -> mlua::Result<MultiValue> {
    let (subject, pattern) = (given.string(1)?, given.string(2)?);
    let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
    let start = given.integer(3)?.max(1) as usize - 1;
    let mut matcher = Matcher::new((given.lua(), meter), &subject, &pattern, true);
    let found = matcher.find(start)?;
    let mut values = positions(found);
    match (found, given.get(4)) {
        (Some(found), Some(Value::Boolean(true))) => values.push_back(matcher.capture(0, found)?),
        (Some(found), _) => captures(&matcher, found, &mut values)?,
        (None, _) => (),
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// What random patterns are made of.
    const PIECES: &[&str] = &[
        "a", "b", "ab", ".", "%a", "%A", "%d", "%s", "%w", "%z", "%p", "%c", "%x", "%u", "%L", "%.", "%%",
        "%", "[ab]", "[^a]", "[a-c]", "[%a-]", "[]", "[]]", "[^]]", "[a", "[%", "[a-]", "[^%d]", "*", "+",
        "-", "?", "^", "$", "(", ")", "()", "(a)", "(.-)", "%1", "%2", "%9", "%0", "%b()", "%bab", "%b",
        "%f[a]", "%f[%A]", "%f", "]", "\0", "\u{e9}",
    ];

    /// What random subjects are made of.
    const LETTERS: &[&str] =
        &["a", "b", "ab", "c", "1", " ", "(", ")", ".", "%", "-", "]", "\0", "A", "\u{e9}", "x1"];

    /// Replacements of `gsub`.
    const REPLACEMENTS: &[&str] = &["", "x", "<%0>", "%1", "%2%1", "%%", "%", "a%", "%x", "\0%0", "%9"];

    fn made_of(pieces: &[&str], length: usize, random: &mut Random) -> String {
        let count = random.below(length);
        (0..count).map(|_| pieces[random.below(pieces.len())]).collect()
    }

    /// Calls each function of a library and shows what came of it.
    const SHOW: &str = "
        local library, text, pattern, replacement, start, limit = ...
        local shown = {}
        local function show(...)
            for index = 1, select('#', ...) do
                local value = select(index, ...)
                local text = tostring(value)
                if type(value) == 'userdata' then text = text:sub(1, text:find('\\n', 1, true) - 1) end
                shown[#shown + 1] = text
            end
            shown[#shown + 1] = '|'
        end
        show(pcall(library.find, text, pattern))
        show(pcall(library.find, text, pattern, start))
        show(pcall(library.find, text, pattern, start, true))
        show(pcall(library.match, text, pattern, start))
        show(pcall(function()
            local count = 0
            for first, second in library.gmatch(text, pattern) do
                show(first, second)
                count = count + 1
                if count > 50 then break end
            end
        end))
        show(pcall(library.gsub, text, pattern, replacement))
        show(pcall(library.gsub, text, pattern, replacement, limit))
        return table.concat(shown, '\\n')";

    /// A state with Lua's own library, and one with this one.
    fn show(lua: &Lua, library: &Table) -> impl Fn(&str, &str, &str, i64, i64) -> Vec<u8> {
        let show: Function = lua.load(SHOW).set_name("=show").into_function().expect("it compiles");
        let library = library.clone();
        move |text, pattern, replacement, start, limit| {
            let shown: LuaString =
                show.call((&library, text, pattern, replacement, start, limit)).expect("errors are caught");
            shown.as_bytes().to_vec()
        }
    }

    #[test]
    fn patterns_match_what_they_match_in_lua() {
        let lua = Lua::new();
        let theirs: Table = lua.globals().raw_get("string").expect("it is there");
        let (ours, host) =
            (lua.create_table().expect("there is memory"), lua.create_table().expect("there is memory"));
        open(&lua, &ours, &host, &Rc::default()).expect("there is memory");
        ours.raw_set("gsub", host.raw_get::<Function>("gsub").expect("it is there"))
            .expect("there is memory");
        let (show_theirs, show_ours) = (show(&lua, &theirs), show(&lua, &ours));
        let rounds = std::env::var("QUARTET_FUZZ_ROUNDS");
        let rounds = rounds.map_or(5_000, |rounds| rounds.parse().expect("it is a number"));
        for seed in 0..rounds {
            let mut random = Random::with_seed(seed);
            let text = made_of(LETTERS, 10, &mut random);
            let pattern = made_of(PIECES, 7, &mut random);
            let replacement = REPLACEMENTS[random.below(REPLACEMENTS.len())];
            let (start, limit) = (random.below(16) as i64 - 6, random.below(5) as i64 - 1);
            let [ours, theirs] = [
                show_ours(&text, &pattern, replacement, start, limit),
                show_theirs(&text, &pattern, replacement, start, limit),
            ];
            assert_eq!(
                String::from_utf8_lossy(&ours),
                String::from_utf8_lossy(&theirs),
                "{seed}: {text:?} {pattern:?} {replacement:?} {start} {limit}"
            );
        }
    }
}
