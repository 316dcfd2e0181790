//! A client's account of itself: its name and its library.

use crate::command::SessionCall;
use crate::refusal::Refusal;

/// CLIENT SETNAME.
pub(super) fn setname(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    let name = client_name(call.arguments.at(2))?;
    set_name(call, name);
    call.output.ok();
    Ok(())
}

/// CLIENT GETNAME.
pub(super) fn getname(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    let identity = call.client.shared.identity();
    if identity.name.is_empty() {
        call.output.null();
    } else {
        call.output.bulk(identity.name.as_bytes());
    }
    Ok(())
}

/// CLIENT SETINFO.
pub(super) fn setinfo(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    let (option, value) = (call.arguments.at(2), call.arguments.at(3));
    let is_name = option.eq_ignore_ascii_case(b"LIB-NAME");
    let shown = String::from_utf8_lossy(option);
    if !is_name && !option.eq_ignore_ascii_case(b"LIB-VER") {
        return Err(Refusal::new(format!("ERR Unrecognized option '{shown}'")));
    }
    let value = printable(value).ok_or_else(|| {
        Refusal::new(format!("ERR {shown} cannot contain spaces, newlines or special characters."))
    })?;
    call.client.shared.identify(|identity| {
        let field = if is_name { &mut identity.library_name } else { &mut identity.library_version };
        value.clone_into(field);
    });
    call.output.ok();
    Ok(())
}

/// Gives the client a name; an empty one takes the name away.
pub(super) fn set_name(call: &mut SessionCall<'_, '_>, name: &str) {
    call.client.shared.identify(|identity| name.clone_into(&mut identity.name));
}

/// An argument as the name of a client.
pub(super) fn client_name(argument: &[u8]) -> Result<&str, Refusal> {
    printable(argument).ok_or_else(|| {
        Refusal::new("ERR Client names cannot contain spaces, newlines or special characters.")
    })
}

/// The text, if it can stand in a line of CLIENT LIST.
fn printable(argument: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(argument).ok()?;
    text.bytes().all(|byte| byte.is_ascii_graphic()).then_some(text)
}
