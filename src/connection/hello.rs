//! HELLO: the version of the protocol, and the names of the client and the server.

use quartet_protocol::resp::Version;
use quartet_protocol::resp::number::parse_integer;

use super::{authentication, identity};
use crate::admin::info::REDIS_VERSION;
use crate::client::ClientFlags;
use crate::command::{Call, Replies, SessionCall, ShownArguments};
use crate::refusal::Refusal;

/// The server's name in HELLO.  No client is known to depend on `redis` here (Valkey says `valkey`), so it is the true one.
const SERVER: &str = "quartet";

/// HELLO.
pub(super) fn hello(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    let version = call.arguments.get(1).map(version).transpose()?;
    let options = Options::parse(call)?;
    if let Some((user, password)) = options.authentication {
        authentication::authenticate(call, user, password)?;
    }
    if !call.client.authenticated {
        return Err(Refusal::new(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
             <user> <pass> option can be used to authenticate the client and select the RESP protocol version at \
             the same time",
        ));
    }
    if let Some(name) = options.name {
        identity::set_name(call, name);
    }
    speak(call, version.unwrap_or(call.caller.version));
    write_greeting(call);
    Ok(())
}

/// Changes the version of the protocol, from this reply on.
pub(super) fn speak(call: &mut SessionCall<'_, '_>, version: Version) {
    call.caller.version = version;
    call.client.resp().set_flag(ClientFlags::RESP3, version == Version::Resp3);
    let is_change = call.client.shared.outbox.encoding() != version.into();
    if is_change && call.may_wait() && call.client.replies == Replies::On {
        // Messages that are formatted in the other version must not follow the reply.
        call.data.effects.take_messages(&call.client.shared.outbox, call.data.output);
    }
    call.client.shared.outbox.set_encoding(version.into());
    call.output.set_version(version);
}

/// Hides the arguments of AUTH, and all behind a word that is no option: it may be a mistyped AUTH.
pub(super) fn hide_password(arguments: &mut ShownArguments<'_>) {
    let is = |position: usize, arguments: &ShownArguments<'_>, option: &[u8]| {
        arguments.get(position).is_some_and(|word| word.eq_ignore_ascii_case(option))
    };
    // A client that forgets the version begins with an option.
    let mut position = if is(1, arguments, b"AUTH") { 1 } else { 2 };
    while arguments.get(position).is_some() {
        if is(position, arguments, b"SETNAME") {
            position += 2;
        } else if is(position, arguments, b"AUTH") {
            arguments.hide(position + 1);
            arguments.hide(position + 2);
            position += 3;
        } else {
            return arguments.hide_from(position + 1);
        }
    }
}

fn version(argument: &[u8]) -> Result<Version, Refusal> {
    match parse_integer(argument) {
        Some(2) => Ok(Version::Resp2),
        Some(3) => Ok(Version::Resp3),
        Some(_) => Err(Refusal::new("NOPROTO unsupported protocol version")),
        None => Err(Refusal::new("ERR Protocol version is not an integer or out of range")),
    }
}

#[derive(Default)]
struct Options<'c> {
    authentication: Option<(&'c [u8], &'c [u8])>,
    name: Option<&'c str>,
}

impl<'c> Options<'c> {
    fn parse(call: &Call<'c, '_>) -> Result<Options<'c>, Refusal> {
        let mut options = Options::default();
        let mut words = call.arguments.from(2).iter();
        while let Some(word) = words.next() {
            let complete = if word.eq_ignore_ascii_case(b"AUTH") {
                options.authentication = words.next().zip(words.next());
                options.authentication.is_some()
            } else if word.eq_ignore_ascii_case(b"SETNAME") {
                options.name = words.next().map(identity::client_name).transpose()?;
                options.name.is_some()
            } else {
                false
            };
            if !complete {
                let word = String::from_utf8_lossy(word);
                return Err(Refusal::new(format!("ERR Syntax error in HELLO option '{word}'")));
            }
        }
        Ok(options)
    }
}

fn write_greeting(call: &mut SessionCall<'_, '_>) {
    let version = match call.caller.version {
        Version::Resp2 => 2,
        Version::Resp3 => 3,
    };
    let id = call.client.shared.id as i64;
    let output = &mut *call.output;
    output.map(7);
    output.bulk(b"server");
    output.bulk(SERVER.as_bytes());
    output.bulk(b"version");
    output.bulk(REDIS_VERSION.as_bytes());
    output.bulk(b"proto");
    output.integer(version);
    output.bulk(b"id");
    output.integer(id);
    output.bulk(b"mode");
    output.bulk(b"standalone");
    output.bulk(b"role");
    output.bulk(b"master");
    output.bulk(b"modules");
    output.array(0);
}
