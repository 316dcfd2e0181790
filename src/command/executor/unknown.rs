//! Refusals of unknown commands, and the list of those that Redis has.

use quartet_protocol::resp::Arguments;

use crate::command::Row;
use crate::refusal::Refusal;

/// Bytes of an unknown command and of its arguments that its refusal repeats.
const ECHOED_LENGTH_MAX: usize = 128;

/// The commands and subcommands of Redis 8 that are not built here, by their names in lower case, in alphabetical order.
#[rustfmt::skip]
const REDIS_COMMANDS: &[&str] = &[
    "acl|deluser", "acl|dryrun", "acl|load", "acl|log", "acl|save", "acl|setuser", "bitcount", "bitfield",
    "bitfield_ro", "bitop", "bitpos",
    "client|pause", "client|unpause", "failover", "geoadd",
    "geodist", "geohash", "geopos", "georadius", "georadius_ro", "georadiusbymember", "georadiusbymember_ro",
    "geosearch", "geosearchstore", "getbit", "migrate", "pfadd", "pfcount", "pfdebug", "pfmerge",
    "pfselftest", "psync", "replconf", "restore-asking", "setbit", "sync", "vadd", "vcard",
    "vdim", "vemb", "vgetattr", "vinfo", "vlinks", "vrandmember", "vrem", "vsetattr", "vsim", "xack", "xackdel",
    "xadd", "xautoclaim", "xclaim", "xdel", "xdelex", "xgroup", "xinfo", "xlen", "xpending", "xrange", "xread",
    "xreadgroup", "xrevrange", "xsetid", "xtrim",
];

/// A note behind Redis' text, for a command that Redis has.
const NOT_BUILT: &[u8] = b"(a command of Redis that is not built here yet)";

/// The refusal of a request for an unknown command.
pub(super) fn command(arguments: Arguments<'_>) -> Refusal {
    let name = arguments.at(0);
    let mut shown = Vec::new();
    for argument in arguments.from(1).iter() {
        if shown.len() >= ECHOED_LENGTH_MAX {
            break;
        }
        let rest = &argument[..argument.len().min(ECHOED_LENGTH_MAX - shown.len())];
        shown.extend([b"'", rest, b"' "].concat());
    }
    let note = if is_of_redis(name, None) { NOT_BUILT } else { b"" };
    let parts: [&[u8]; 5] =
        [b"ERR unknown command '", echoed(name), b"', with args beginning with: ", &shown, note];
    Refusal::new(parts.concat())
}

/// The refusal of a request for an unknown subcommand.
pub(super) fn subcommand(family: &Row, arguments: Arguments<'_>) -> Refusal {
    let name = family.name.to_uppercase();
    let is_of_redis = is_of_redis(family.name.as_bytes(), Some(arguments.at(1)));
    let parts: [&[u8]; 6] = [
        b"ERR unknown subcommand '",
        echoed(arguments.at(1)),
        b"'. Try ",
        name.as_bytes(),
        b" HELP.",
        if is_of_redis { &[b" ", NOT_BUILT].concat() } else { b"" },
    ];
    Refusal::new(parts.concat())
}

fn echoed(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(ECHOED_LENGTH_MAX)]
}

/// Whether Redis has the command `name`, or its subcommand if one is given, and this server has not.
pub fn is_of_redis(name: &[u8], subcommand: Option<&[u8]>) -> bool {
    let mut full = name.to_ascii_lowercase();
    if let Some(subcommand) = subcommand {
        full.push(b'|');
        full.extend(subcommand.to_ascii_lowercase());
    }
    REDIS_COMMANDS.binary_search_by(|known| known.as_bytes().cmp(&full)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_in_order() {
        assert!(REDIS_COMMANDS.is_sorted_by(|one, other| one < other));
    }

    #[test]
    fn names_are_found_in_either_case() {
        assert!(is_of_redis(b"GeoAdd", None) && is_of_redis(b"acl", Some(b"SETUSER")));
        assert!(!is_of_redis(b"nosuch", None) && !is_of_redis(b"client", Some(b"nosuch")));
    }
}
