//! Commands of Redis that are not built yet, so that a client is told more than that they are unknown.

/// The commands and subcommands of Redis 8 by their names in lower case, in alphabetical order.  Those that are built
/// are never looked for here.
#[rustfmt::skip]
const REDIS_COMMANDS: &[&str] = &[
    "acl|deluser", "acl|dryrun", "acl|load", "acl|log", "acl|save", "acl|setuser", "bitcount", "bitfield",
    "bitfield_ro", "bitop", "bitpos", "blmove", "blmpop", "blpop", "brpop", "brpoplpush", "bzmpop", "bzpopmax",
    "bzpopmin", "client|pause", "client|unpause", "dump", "eval", "eval_ro", "evalsha", "evalsha_ro", "failover",
    "fcall", "fcall_ro", "function", "geoadd", "geodist", "geohash", "geopos", "georadius", "georadius_ro",
    "georadiusbymember", "georadiusbymember_ro", "geosearch", "geosearchstore", "hexpire",
    "hexpireat", "hexpiretime", "hgetex", 
    "hpersist", "hpexpire", "hpexpireat", "hpexpiretime", "hpttl", 
    "hsetex", "httl", "lindex", "linsert", "llen", "lmove", "lmpop", "lpop", "lpos",
    "lpush", "lpushx", "lrange", "lrem", "lset", "ltrim", "migrate", "pfadd", "pfcount", "pfdebug", "pfmerge",
    "pfselftest", "psync", "replconf", "restore", "restore-asking", "rpop", "rpoplpush", "rpush", "rpushx", "sadd",
    "scard", "script", "sdiff", "sdiffstore", "sinter", "sintercard", "sinterstore", "sismember", "smembers",
    "smismember", "smove", "sort", "sort_ro", "spop", "srandmember", "srem", "sscan", "sunion", "sunionstore",
    "sync", "vadd", "vcard", "vdim", "vemb", "vgetattr", "vinfo", "vlinks", "vrandmember", "vrem", "vsetattr",
    "vsim", "xack", "xackdel", "xadd", "xautoclaim", "xclaim", "xdel", "xdelex", "xgroup", "xinfo", "xlen",
    "xpending", "xrange", "xread", "xreadgroup", "xrevrange", "xsetid", "xtrim", "zadd", "zcard", "zcount", "zdiff",
    "zdiffstore", "zincrby", "zinter", "zintercard", "zinterstore", "zlexcount", "zmpop", "zmscore", "zpopmax",
    "zpopmin", "zrandmember", "zrange", "zrangebylex", "zrangebyscore", "zrangestore", "zrank", "zrem",
    "zremrangebylex", "zremrangebyrank", "zremrangebyscore", "zrevrange", "zrevrangebylex", "zrevrangebyscore",
    "zrevrank", "zscan", "zscore", "zunion", "zunionstore",
];

/// What is added to Redis' text about an unknown command that Redis has.
pub(super) const NOT_BUILT: &[u8] = b"(a command of Redis that is not built here yet)";

/// Whether Redis has the command `name`, or its subcommand if one is given.
pub(super) fn is_of_redis(name: &[u8], subcommand: Option<&[u8]>) -> bool {
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
    use crate::catalog::command_table;

    #[test]
    fn the_names_are_in_order() {
        assert!(REDIS_COMMANDS.is_sorted_by(|one, other| one < other));
    }

    #[test]
    fn what_is_built_is_not_listed() {
        let table = command_table();
        for row in table.rows() {
            assert!(
                REDIS_COMMANDS.binary_search(&&*row.name).is_err(),
                "{} is built: take it off the list",
                row.name
            );
        }
    }

    #[test]
    fn names_are_found_in_either_case() {
        assert!(is_of_redis(b"ZAdd", None) && is_of_redis(b"acl", Some(b"SETUSER")));
        assert!(!is_of_redis(b"nosuch", None) && !is_of_redis(b"client", Some(b"nosuch")));
    }
}
