//! Replies of commands, as the values of Lua that a script gets.

use mlua::{Lua, LuaString, Table};
use quartet_protocol::resp::number::parse_integer;

use super::stack::Stack;

/// Replies within replies that a script can be given: more than any command has.
const NESTING_MAX: usize = 64;

/// Values on Lua's stack of one reply besides those within it.
const PLACES: i32 = 8;

/// Bytes of a line that are looked at one by one: most lines are a kind and a short number, and a search takes longer to begin.
const SHORT_LINE: usize = 8;

const TOO_DEEP: &str = "ERR the reply is nested too deeply for a script";
const NO_ROOM: &str = "ERR the script has no room for the reply";
const BROKEN: &str = "ERR a reply could not be read";

/// The field that says that an error reply is counted already.
pub(super) const IS_COUNTED: &[u8] = b"ignore_error_stats_update";

/// The complaint about a reply that cannot be given to a script.
type Complaint = &'static str;

/// The text of a line up to its end.
pub(super) fn line(bytes: &[u8]) -> &[u8] {
    let is_end = |&byte: &u8| byte == b'\r';
    let end = bytes.iter().take(SHORT_LINE).position(is_end).or_else(|| memchr::memchr(b'\r', bytes));
    &bytes[..end.unwrap_or(bytes.len())]
}

/// The table that stands for an error reply, which may be one of a command and counted already.
pub(super) fn error_table(lua: &Lua, text: &[u8], is_counted: bool) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 2)?;
    table.raw_set("err", LuaString::wrap(text))?;
    if is_counted {
        table.raw_set(LuaString::wrap(IS_COUNTED), true)?;
    }
    Ok(table)
}

/// Pushes the table that stands for an error reply, which may be counted already.  May raise an error of Lua.
pub(super) fn push_error(stack: &mut Stack<'_>, text: &[u8], is_counted: bool) {
    stack.push_table(0, 2);
    let table = stack.count();
    stack.push_text(b"err");
    stack.push_text(text);
    stack.set_pair(table);
    if is_counted {
        stack.push_text(IS_COUNTED);
        stack.push_truth(true);
        stack.set_pair(table);
    }
}

/// Pushes the value of the one reply that `bytes` are.  May raise an error of Lua.
///
/// # Errors
/// If a script cannot be given it.
pub(super) fn push(stack: &mut Stack<'_>, mut bytes: &[u8]) -> Result<(), Complaint> {
    push_next(stack, &mut bytes, NESTING_MAX)
}

fn push_next(stack: &mut Stack<'_>, bytes: &mut &[u8], depth: usize) -> Result<(), Complaint> {
    let head = line(bytes);
    *bytes = bytes.get(head.len() + 2..).unwrap_or_default();
    let Some((kind, text)) = head.split_first() else { return Err(BROKEN) };
    match kind {
        b'$' | b'*' if text.starts_with(b"-") => stack.push_truth(false),
        b'$' => stack.push_text(take(bytes, text)?),
        b':' => stack.push_number(number(text)? as f64),
        b'*' | b'>' => push_array(stack, bytes, length(text)?, depth)?,
        b'+' => push_named(stack, b"ok", |stack| stack.push_text(text)),
        b'-' => push_error(stack, text, true),
        b'_' => stack.push_nil(),
        b'#' => stack.push_truth(text == b"t"),
        b',' => {
            let number = double(text)?;
            push_named(stack, b"double", |stack| stack.push_number(number));
        }
        b'(' => push_named(stack, b"big_number", |stack| stack.push_text(text)),
        b'=' => {
            let (format, text) = take(bytes, text)?.split_at_checked(4).ok_or(BROKEN)?;
            push_named(stack, b"verbatim_string", |stack| {
                stack.push_table(0, 2);
                set_text(stack, b"format", &format[..3]);
                set_text(stack, b"string", text);
            });
        }
        b'%' => push_keyed(stack, b"map", (bytes, length(text)?), depth, push_next)?,
        b'~' => push_keyed(stack, b"set", (bytes, length(text)?), depth, |stack, _, _| {
            stack.push_truth(true);
            Ok(())
        })?,
        _ => return Err(BROKEN),
    }
    Ok(())
}

fn push_array(
    stack: &mut Stack<'_>,
    bytes: &mut &[u8],
    length: usize,
    depth: usize,
) -> Result<(), Complaint> {
    let depth = deeper(stack, depth)?;
    // Each element takes some bytes, whatever the length says.
    stack.push_table(length.min(bytes.len()), 0);
    for index in 1..=i32::try_from(length).map_err(|_| BROKEN)? {
        push_next(stack, bytes, depth)?;
        stack.set_element(index);
    }
    Ok(())
}

/// Pushes a table in a field of another one: so many keys, each with what `push_value` pushes.
fn push_keyed(
    stack: &mut Stack<'_>,
    name: &[u8],
    (bytes, length): (&mut &[u8], usize),
    depth: usize,
    push_value: impl Fn(&mut Stack<'_>, &mut &[u8], usize) -> Result<(), Complaint>,
) -> Result<(), Complaint> {
    let depth = deeper(stack, depth)?;
    stack.push_table(0, 1);
    let outer = stack.count();
    stack.push_text(name);
    stack.push_table(0, 0);
    let table = stack.count();
    for _ in 0..length {
        push_next(stack, bytes, depth)?;
        push_value(stack, bytes, depth)?;
        if !stack.set_pair(table) {
            return Err(BROKEN);
        }
    }
    stack.set_pair(outer);
    Ok(())
}

/// Pushes a table with one field.
fn push_named(stack: &mut Stack<'_>, name: &[u8], push_value: impl FnOnce(&mut Stack<'_>)) {
    stack.push_table(0, 1);
    let table = stack.count();
    stack.push_text(name);
    push_value(stack);
    stack.set_pair(table);
}

/// Sets a field of the table at the top.
fn set_text(stack: &mut Stack<'_>, name: &[u8], text: &[u8]) {
    let table = stack.count();
    stack.push_text(name);
    stack.push_text(text);
    stack.set_pair(table);
}

fn take<'b>(bytes: &mut &'b [u8], length_text: &[u8]) -> Result<&'b [u8], Complaint> {
    let (text, rest) = bytes.split_at_checked(length(length_text)?).ok_or(BROKEN)?;
    *bytes = rest.get(2..).unwrap_or_default();
    Ok(text)
}

fn number(text: &[u8]) -> Result<i64, Complaint> {
    parse_integer(text).ok_or(BROKEN)
}

fn length(text: &[u8]) -> Result<usize, Complaint> {
    usize::try_from(number(text)?).map_err(|_| BROKEN)
}

fn double(text: &[u8]) -> Result<f64, Complaint> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(BROKEN)
}

/// Makes room for the replies within a reply.
fn deeper(stack: &mut Stack<'_>, depth: usize) -> Result<usize, Complaint> {
    let depth = depth.checked_sub(1).ok_or(TOO_DEEP)?;
    if stack.make_room(PLACES) { Ok(depth) } else { Err(NO_ROOM) }
}
