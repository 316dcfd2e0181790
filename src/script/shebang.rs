//! The first line of a script, `#!lua flags=no-writes,allow-oom`, by which it promises things beforehand.

use quartet_protocol::resp::words_of;

/// The engine's name in that line.
const ENGINE: &[u8] = b"#!lua";

bitflags::bitflags! {
    /// The promises and wishes of a script.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub(crate) struct ShebangFlags: u8 {
        /// It never writes.
        const NO_WRITES = 1;
        /// It may run while memory is short.
        const ALLOW_OOM = 1 << 1;
        /// It may run on stale data, which this server never has.
        const ALLOW_STALE = 1 << 2;
        /// It does not run in a cluster, which this server is no part of.
        const NO_CLUSTER = 1 << 3;
        /// It may touch keys of several slots of a cluster.
        const ALLOW_CROSS_SLOT_KEYS = 1 << 4;
        /// It touches no keys but those that it declares, as hosted servers want to know beforehand; here that is seen.
        const ALLOW_KEY_LOCKING = 1 << 5;
    }
}

/// The flags by their names.
const FLAGS: &[(&str, ShebangFlags)] = &[
    ("no-writes", ShebangFlags::NO_WRITES),
    ("allow-oom", ShebangFlags::ALLOW_OOM),
    ("allow-stale", ShebangFlags::ALLOW_STALE),
    ("no-cluster", ShebangFlags::NO_CLUSTER),
    ("allow-cross-slot-keys", ShebangFlags::ALLOW_CROSS_SLOT_KEYS),
    ("allow-key-locking", ShebangFlags::ALLOW_KEY_LOCKING),
];

impl ShebangFlags {
    /// The flag of this name.
    pub(crate) fn named(name: &[u8]) -> Option<ShebangFlags> {
        FLAGS.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, flag)| *flag)
    }

    /// The names of the flags that are set.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        FLAGS.iter().filter(move |(_, flag)| self.contains(*flag)).map(|(name, _)| *name)
    }
}

/// What the first line says.
pub(crate) struct Shebang {
    /// The flags; none if there is no such line.
    pub(crate) flags: Option<ShebangFlags>,
    /// Where the rest begins, with the line end, so that lines keep their numbers.
    pub(crate) body: usize,
}

impl Shebang {
    /// Reads the first line of a script.
    ///
    /// # Errors
    /// The refusal of the script, in Redis' words.
    pub(crate) fn read(text: &[u8]) -> Result<Shebang, String> {
        if !text.starts_with(b"#!") {
            return Ok(Shebang { flags: None, body: 0 });
        }
        let body = memchr::memchr(b'\n', text).ok_or("ERR Invalid script shebang")?;
        let mut words = words_of(&text[..body]).ok_or("ERR Invalid engine in script shebang")?.into_iter();
        let engine = words.next().unwrap_or_default();
        if engine != ENGINE {
            return Err(format!(
                "ERR Unexpected engine in script shebang: {}",
                String::from_utf8_lossy(&engine)
            ));
        }
        let mut flags = ShebangFlags::default();
        for word in words {
            let Some(names) = word.strip_prefix(b"flags=") else {
                return Err(format!("ERR Unknown lua shebang option: {}", String::from_utf8_lossy(&word)));
            };
            let names = (!names.is_empty()).then_some(names);
            for name in names.into_iter().flat_map(|names| names.split(|&byte| byte == b',')) {
                let flag = ShebangFlags::named(name).ok_or_else(|| {
                    format!("ERR Unexpected flag in script shebang: {}", String::from_utf8_lossy(name))
                })?;
                flags |= flag;
            }
        }
        Ok(Shebang { flags: Some(flags), body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Option<ShebangFlags>, &str), String> {
        Shebang::read(text.as_bytes()).map(|shebang| (shebang.flags, &text[shebang.body..]))
    }

    #[test]
    fn the_first_line_is_read() {
        assert_eq!(read("return 1"), Ok((None, "return 1")));
        assert_eq!(read("#!lua\nreturn 1"), Ok((Some(ShebangFlags::empty()), "\nreturn 1")));
        let both = ShebangFlags::NO_WRITES | ShebangFlags::ALLOW_OOM;
        assert_eq!(read("#!lua flags=no-writes,allow-oom\nx"), Ok((Some(both), "\nx")));
        let all = FLAGS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(",");
        assert_eq!(read(&format!("#!lua flags={all}\n")), Ok((Some(ShebangFlags::all()), "\n")));
        assert_eq!(read("#!lua"), Err("ERR Invalid script shebang".into()));
        assert_eq!(read("#!js\n"), Err("ERR Unexpected engine in script shebang: #!js".into()));
        assert_eq!(read("#!lua a=b\n"), Err("ERR Unknown lua shebang option: a=b".into()));
        assert_eq!(read("#!lua flags=no\n"), Err("ERR Unexpected flag in script shebang: no".into()));
    }
}
