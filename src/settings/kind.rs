//! Which values a setting may have: the kinds of values, how each is read from text, and how it is described.
//!
//! The errors are those of Redis' CONFIG SET.  A start that fails shows [`SettingKind::allowed`] instead, which names the remedy.

use std::net::{IpAddr, ToSocketAddrs, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use super::suggest::did_you_mean;
use super::values::OutputLimits;
use crate::metrics::process::Machine;

/// Redis' limit for a password.
const SECRET_LENGTH_MAX: usize = 512;

/// Redis' limit for the addresses of one door.
const ADDRESSES_MAX: usize = 16;

/// There is a listener for each address and port; more ports than this are a mistake.
const PORTS_MAX: usize = 16;

/// Words in a list; longer lists belong into a proxy in front of the server.
const LIST_MAX: usize = 64;

/// The most threads that can be asked for.
const THREADS_MAX: usize = 256;

/// The most connections, Redis' bound on clients; the limit on open files binds first.
const CONNECTIONS_MAX: i64 = u32::MAX as i64;

/// Which values a setting may have.
#[derive(Clone, Copy, Debug)]
pub enum SettingKind {
    /// A whole number.
    Integer {
        /// The least allowed.
        min: i64,
        /// The most allowed.
        max: i64,
    },
    /// A number of connections; all such settings together are bounded by the limit on open files.
    Connections,
    /// A number of bytes, also with one of Redis' suffixes: `k` and `kb`, `m` and `mb`, `g` and `gb`.
    Memory {
        /// The fewest bytes allowed.
        min: i64,
        /// The most bytes allowed.
        max: i64,
    },
    /// As [`SettingKind::Memory`] without bounds, or a percentage, like `75%`, of the memory that this process may use.
    MemoryOrShare,
    /// A number of threads.  `auto` is one less than the cores that this process may use, and at least one.
    Threads,
    /// `yes` or `no`.
    Boolean,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A file or directory, or nothing.
    Path,
    /// Text that help, documentation, errors and logs never show.
    Secret,
    /// Users with passwords and permissions, which are a secret too: tables `[[users]]` in the file.
    Users,
    /// IP addresses, or names of this machine, separated by spaces.
    Addresses,
    /// A port; 0 for any free one, `off` for none.
    Port,
    /// Ports, separated by spaces, or `off`.
    Ports,
    /// Host names without ports, separated by spaces.
    Hosts,
    /// Origins of web pages, or `*` for all, separated by spaces.
    Origins,
    /// Groups of class, hard limit, soft limit and seconds.
    OutputLimits,
    /// A setting of Redis that has only one value so far.
    Only {
        /// The value.
        value: &'static str,
        /// Why there is no other.
        because: &'static str,
    },
}

impl SettingKind {
    /// The valid values, as the end of a sentence that begins with "allowed is".
    pub fn allowed(&self) -> String {
        match *self {
            SettingKind::Integer { min, max: i64::MAX } => format!("an integer of at least {min}"),
            SettingKind::Integer { min, max } => format!("an integer from {min} to {max}"),
            SettingKind::Connections => format!("an integer from 1 to {CONNECTIONS_MAX}"),
            SettingKind::MemoryOrShare => {
                "a memory size such as 0, 100mb or 2gb, or a share such as 75% of the memory of the container or machine"
                    .to_owned()
            }
            SettingKind::Memory { min, max } => {
                format!("a memory size from {} to {}", memory_text(min), memory_text(max))
            }
            SettingKind::Threads => format!("auto or an integer from 1 to {THREADS_MAX}"),
            SettingKind::Boolean => "yes or no".to_owned(),
            SettingKind::Words(words) => format!("one of {}", words.join(", ")),
            SettingKind::Path => "a path, or \"\" for none".to_owned(),
            SettingKind::Secret => format!("text of at most {SECRET_LENGTH_MAX} bytes"),
            SettingKind::Users => "in the file, tables [[users]] with name and password, and where wanted publish, \
                                   subscribe and allow_responses; elsewhere the same tables between brackets"
                .to_owned(),
            SettingKind::Addresses => {
                format!("1 to {ADDRESSES_MAX} IP addresses or names of this machine, separated by spaces")
            }
            SettingKind::Port => "a port from 0 (any free one) to 65535, or off".to_owned(),
            SettingKind::Ports => {
                format!("1 to {PORTS_MAX} ports from 0 (any free one) to 65535, separated by spaces, or off")
            }
            SettingKind::Hosts => format!("at most {LIST_MAX} host names without ports, separated by spaces"),
            SettingKind::Origins => {
                format!(
                    "* or at most {LIST_MAX} origins such as https://example.com:3000, separated by spaces"
                )
            }
            SettingKind::OutputLimits => {
                "groups of <normal|slave|pubsub> <hard limit> <soft limit> <seconds>".to_owned()
            }
            SettingKind::Only { value, because } => format!("only \"{value}\", because {because}"),
        }
    }

    /// The placeholder for a value in help.
    pub fn value_name(&self) -> &'static str {
        match self {
            SettingKind::Integer { .. } | SettingKind::Connections | SettingKind::Threads => "NUMBER",
            SettingKind::Memory { .. } | SettingKind::MemoryOrShare => "BYTES",
            SettingKind::Boolean => "yes|no",
            SettingKind::Words(_) => "WORD",
            SettingKind::Path => "PATH",
            SettingKind::Secret => "TEXT",
            SettingKind::Users => "TABLES",
            SettingKind::Addresses => "ADDRESS",
            SettingKind::Port | SettingKind::Ports => "PORT",
            SettingKind::Hosts => "NAMES",
            SettingKind::Origins => "ORIGINS",
            SettingKind::OutputLimits => "LIMITS",
            SettingKind::Only { .. } => "VALUE",
        }
    }

    /// A suggestion for a misspelt word of a choice, or nothing.
    pub(super) fn did_you_mean(&self, value: &str) -> String {
        match self {
            SettingKind::Words(words) => did_you_mean(value, words.iter().copied()),
            _ => String::new(),
        }
    }

    /// Whether a value may be several words, which the command line also takes as several arguments.
    pub fn is_list(&self) -> bool {
        matches!(
            self,
            SettingKind::Addresses
                | SettingKind::Ports
                | SettingKind::Hosts
                | SettingKind::Origins
                | SettingKind::OutputLimits
        )
    }

    /// Reads the value of a kind that is a number.
    fn number(&self, text: &str) -> Result<i64, String> {
        let (number, min, max) = match *self {
            SettingKind::Integer { min, max } => {
                (integer(text).ok_or("argument couldn't be parsed into an integer")?, min, max)
            }
            SettingKind::Connections => {
                (integer(text).ok_or("argument couldn't be parsed into an integer")?, 1, CONNECTIONS_MAX)
            }
            SettingKind::Memory { min, max } => {
                (memory(text).ok_or("argument must be a memory value")?, min, max)
            }
            SettingKind::MemoryOrShare => {
                let bytes = match text.strip_suffix('%') {
                    Some(percent) => share_of_memory(percent).ok_or("argument must be from 1% to 100%")?,
                    None => memory(text).ok_or("argument must be a memory value")?,
                };
                (bytes, 0, i64::MAX)
            }
            SettingKind::Threads if text == "auto" => (spare_cores(), 1, THREADS_MAX as i64),
            SettingKind::Threads => {
                let number = integer(text).ok_or("argument couldn't be parsed into an integer")?;
                (number, 1, THREADS_MAX as i64)
            }
            _ => unreachable!("a row whose field is a number has a kind that is a number"),
        };
        if !(min..=max).contains(&number) {
            return Err(format!("argument must be between {min} and {max} inclusive"));
        }
        Ok(number)
    }
}

/// Reads a whole number as strictly as Redis: no plus sign, no leading zero, no space.
pub(super) fn integer(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A percentage of the memory that this process may use, in bytes.
fn share_of_memory(percent: &str) -> Option<i64> {
    let percent = integer(percent).filter(|percent| (1..=100).contains(percent))?;
    let memory = i64::try_from(Machine::now().usable_bytes).ok()?;
    Some(memory / 100 * percent)
}

/// Reads a size like `100mb`, with a suffix in either case.
pub(super) fn memory(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    let unit: i64 = match suffix.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit)
}

/// A size with the largest suffix that leaves a whole number.
pub(super) fn memory_text(bytes: i64) -> String {
    [(30, "gb"), (20, "mb"), (10, "kb")]
        .into_iter()
        .find(|(shift, _)| bytes > 0 && bytes % (1 << shift) == 0)
        .map_or_else(|| bytes.to_string(), |(shift, suffix)| format!("{}{suffix}", bytes >> shift))
}

/// All cores that this process may use but one.  That one is left to the kernel's network work and to other programs: on
/// a machine of two cores, a second worker made each request a fifth more expensive.
fn spare_cores() -> i64 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.saturating_sub(1).clamp(1, THREADS_MAX) as i64
}

/// The type of a field of `Settings`.
pub(super) trait Value: Sized {
    /// Takes the value that `text` says.  On an error, in CONFIG SET's words, the field stays as it is.
    fn assign(&mut self, text: &str, kind: &SettingKind) -> Result<(), String>;
    /// The value as CONFIG GET shows it.
    fn text(&self) -> String;
}

macro_rules! numbers {
    ($($number:ty)*) => { $(
        impl Value for $number {
            fn assign(&mut self, text: &str, kind: &SettingKind) -> Result<(), String> {
                *self = kind.number(text)?.try_into().expect("the range of the row fits the field");
                Ok(())
            }
            fn text(&self) -> String {
                self.to_string()
            }
        }
    )* };
}
numbers! { u32 u64 i64 usize }

impl Value for Duration {
    fn assign(&mut self, text: &str, kind: &SettingKind) -> Result<(), String> {
        let mut seconds = self.as_secs();
        seconds.assign(text, kind)?;
        *self = Duration::from_secs(seconds);
        Ok(())
    }
    fn text(&self) -> String {
        self.as_secs().to_string()
    }
}

impl Value for bool {
    fn assign(&mut self, text: &str, _kind: &SettingKind) -> Result<(), String> {
        *self = match text.to_ascii_lowercase().as_str() {
            "yes" => true,
            "no" => false,
            _ => return Err("argument must be 'yes' or 'no'".to_owned()),
        };
        Ok(())
    }
    fn text(&self) -> String {
        if *self { "yes" } else { "no" }.to_owned()
    }
}

impl Value for String {
    fn assign(&mut self, text: &str, _kind: &SettingKind) -> Result<(), String> {
        if text.len() > SECRET_LENGTH_MAX {
            return Err("Password is longer than CONFIG_AUTHPASS_MAX_LEN".to_owned());
        }
        text.clone_into(self);
        Ok(())
    }
    fn text(&self) -> String {
        self.clone()
    }
}

/// The field of a [`SettingKind::Only`] row, which holds the one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only(&'static str);

impl Value for Only {
    fn assign(&mut self, text: &str, kind: &SettingKind) -> Result<(), String> {
        let SettingKind::Only { value, because } = *kind else {
            unreachable!("a row whose field is Only has the kind Only");
        };
        if !text.eq_ignore_ascii_case(value) {
            return Err(format!("only '{value}' is served: {because}"));
        }
        *self = Only(value);
        Ok(())
    }
    fn text(&self) -> String {
        self.0.to_owned()
    }
}

impl Value for Option<PathBuf> {
    fn assign(&mut self, text: &str, _kind: &SettingKind) -> Result<(), String> {
        if text.contains('\0') {
            return Err("argument must not contain a zero byte".to_owned());
        }
        *self = (!text.is_empty()).then(|| PathBuf::from(text));
        Ok(())
    }
    fn text(&self) -> String {
        self.as_ref().map_or_else(String::new, |path| path.to_string_lossy().into_owned())
    }
}

impl Value for Vec<IpAddr> {
    fn assign(&mut self, text: &str, _kind: &SettingKind) -> Result<(), String> {
        let mut addresses: Vec<IpAddr> = Vec::new();
        for word in words(text) {
            let bare = if is_bracketed_address(word) { &word[1..word.len() - 1] } else { word };
            let found = bare.parse().map_or_else(|_| resolve(word), |address| Ok(vec![address]))?;
            for address in found {
                // An address cannot be bound twice.
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        if !(1..=ADDRESSES_MAX).contains(&addresses.len()) {
            return Err(format!("argument must be 1 to {ADDRESSES_MAX} IP addresses"));
        }
        *self = addresses;
        Ok(())
    }
    fn text(&self) -> String {
        joined(self)
    }
}

impl Value for Option<u16> {
    fn assign(&mut self, text: &str, _kind: &SettingKind) -> Result<(), String> {
        *self = port(text)?;
        Ok(())
    }
    fn text(&self) -> String {
        self.map_or_else(|| "off".to_owned(), |port| port.to_string())
    }
}

impl Value for Vec<u16> {
    fn assign(&mut self, text: &str, _kind: &SettingKind) -> Result<(), String> {
        if port(text) == Ok(None) {
            self.clear();
            return Ok(());
        }
        let mut ports = Vec::new();
        for word in words(text) {
            let port = port(word)?.ok_or("'off' stands alone")?;
            if port != 0 && ports.contains(&port) {
                return Err(format!("port {port} is named twice"));
            }
            ports.push(port);
        }
        if !(1..=PORTS_MAX).contains(&ports.len()) {
            return Err(format!("argument must be 1 to {PORTS_MAX} ports"));
        }
        *self = ports;
        Ok(())
    }
    fn text(&self) -> String {
        if self.is_empty() { "off".to_owned() } else { joined(self) }
    }
}

impl Value for Vec<String> {
    fn assign(&mut self, text: &str, kind: &SettingKind) -> Result<(), String> {
        let is_valid = match kind {
            SettingKind::Hosts => is_host,
            SettingKind::Origins => is_origin,
            _ => unreachable!("a row whose field is a list of words has a kind that is one"),
        };
        let list: Vec<String> = words(text).map(str::to_ascii_lowercase).collect();
        if list.len() > LIST_MAX || !list.iter().all(|word| is_valid(word)) {
            return Err(format!("argument must be {}", kind.allowed()));
        }
        *self = list;
        Ok(())
    }
    fn text(&self) -> String {
        joined(self)
    }
}

/// The addresses of a name that belong to this machine.
fn resolve(name: &str) -> Result<Vec<IpAddr>, String> {
    if !is_host(name) {
        return Err(format!("{name} is neither an address nor a name"));
    }
    let found = (name, 0).to_socket_addrs().map_err(|error| format!("{name}: {error}"))?;
    let mut own: Vec<IpAddr> = Vec::new();
    for address in found.map(|address| address.ip()) {
        if !own.contains(&address) && UdpSocket::bind((address, 0)).is_ok() {
            own.push(address);
        }
    }
    if own.is_empty() { Err(format!("{name} is no name of this machine")) } else { Ok(own) }
}

fn is_host(word: &str) -> bool {
    let name = word.strip_suffix('.').unwrap_or(word);
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    is_name && name.split('.').all(|label| !label.is_empty()) || is_bracketed_address(word)
}

fn is_bracketed_address(word: &str) -> bool {
    let inner = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
}

/// Whether a word could be an `Origin` header of a browser: a scheme and a host without a path.
fn is_origin(word: &str) -> bool {
    let authority = word.strip_prefix("http://").or_else(|| word.strip_prefix("https://"));
    let host = authority.map(|authority| match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => authority,
    });
    word == "*" || host.is_some_and(|host| !host.is_empty() && is_host(host))
}

impl Value for OutputLimits {
    fn assign(&mut self, text: &str, _kind: &SettingKind) -> Result<(), String> {
        *self = self.changed_by(text)?;
        Ok(())
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

/// A port, or None for `off`.
fn port(text: &str) -> Result<Option<u16>, String> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let number = integer(text).ok_or("argument couldn't be parsed into an integer")?;
    let port = u16::try_from(number);
    port.map(Some).map_err(|_| "argument must be between 0 and 65535 inclusive".to_owned())
}

/// The items of a list, separated by spaces as in Redis, or by commas as often in environment variables.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', ',']).filter(|word| !word.is_empty())
}

fn joined<Item: ToString>(items: &[Item]) -> String {
    items.iter().map(Item::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for word in [
            "*",
            "http://localhost:3000",
            "https://console.example.com",
            "http://[::1]:8080",
            "http://10.0.0.1",
        ] {
            assert!(is_origin(word), "{word}");
        }
        for word in [
            "",
            "example.com",
            "https://",
            "https://example.com/",
            "https://a b",
            "ftp://example.com",
            "null",
        ] {
            assert!(!is_origin(word), "{word}");
        }
    }
}
