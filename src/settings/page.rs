//! The table of the settings as a page of documentation, a table for each subject.

use std::fmt::Write;

use super::table::{COMPATIBILITY, Change, SETTINGS};

const HEAD: &str = r#"# Settings

<!-- Generated from `src/settings/table.rs`; `QUARTET_UPDATE_GOLDEN=1 cargo test settings` writes it anew. -->

Each setting is a flag (`--timeout 60` or `--timeout=60`), an environment variable (`QUARTET_TIMEOUT=60`: the
name in upper case, `-` as `_`), a key in the TOML file that `--config` or `QUARTET_CONFIG` names
(`timeout = 60`), and a name in `CONFIG GET`.  Flags take precedence over the environment, and the environment over the
file.

An unknown setting or an invalid value stops the start, with a line that says where it stands and what is allowed.  An
environment variable that is no setting, or that is empty where that is no valid value, only causes a warning.
Settings marked *run time* can be changed with `CONFIG SET` while the server runs.  On SIGHUP the server reads all three
sources again and applies the differences that may change at run time.

A memory size is a number of bytes, or has one of Redis' suffixes: `k` (1,000) and `kb` (1,024), `m` and `mb`,
`g` and `gb`.  The items of a list are separated by spaces; in TOML a list may be an array too.

In Kubernetes a service named `quartet` has the cluster set variables like `QUARTET_PORT` in every pod.  They are ignored
with a warning.  Another name of the service, or `enableServiceLinks: false`, avoids that.

At the start the server raises the limit on open files as far as the system allows.  It lowers `maxclients`,
`broker-connection-limit` and `http-connection-limit` to what this limit leaves beside its own files, and `CONFIG SET`
refuses more.

## Users

`requirepass` is one password for everything and everybody.  Users have passwords of their own, and may do less.  They are for
the broker: on its port and on WebSockets they may do all that their lists allow.  Over HTTP they may publish and make requests
(`curl -u shop:PASSWORD`), as far as `publish` allows; an answer comes with the response, whatever `subscribe` says.  A server with
users should have `requirepass` too: without it the Redis protocol and HTTP ask nobody for a password.

```toml
[[users]]
name = "shop"
password = "..."
publish = ["orders.new", "stock.*.get"]
subscribe = ["orders.*.done", "_INBOX.>"]

[[users]]
name = "stock"
password = "..."
subscribe = { allow = ["stock.> workers", "orders.>"], deny = ["orders.*.card"] }
allow_responses = { max = 1, ttl = 120 }
```

* `publish` and `subscribe` are a list of the subjects that are allowed, or a table of the lists `allow` and `deny`.
  What is denied is not allowed, whatever else is.  Without a list of what is allowed everything is; an empty one allows nothing.
* A subscription by wildcard must be covered whole by one entry, and match nothing that is denied.  (nats-server lets it in
  if only a part is denied, and leaves that part out; and takes an empty list for no list.)
* An entry of `subscribe` may name a queue group behind the subject.  It is for subscriptions of that group only, and where it
  allows a subject, other groups may not use it.
* Answers to requests arrive below `_INBOX`.  A user who makes requests and has a list for `subscribe` needs `_INBOX.>` in it, or
  the prefix that the client is told to use, if users must not read one another's answers.
* `allow_responses` lets a user answer every request that reaches it, whatever the reply subject is: `max` times within `ttl`
  seconds, or once within two minutes if it is `true`.  Such a user may publish nothing else unless `publish` says so.  The last
  4,096 requests of a connection can be answered.

On SIGHUP the table is read again.  `CONFIG GET users` does not show it.

## Tables
"#;

const TABLE_HEAD: &str = "| name | default | allowed | changes | purpose |\n|---|---|---|---|---|\n";

/// The page `docs/settings.md`.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    let mut group = "";
    for row in SETTINGS {
        if row.group != group {
            group = row.group;
            write!(page, "\n### {group}\n\n{TABLE_HEAD}").expect("a string takes everything");
        }
        let default = if row.default.is_empty() { "\"\"" } else { row.default };
        let change = match row.change {
            Change::AtStart => "at start",
            Change::AtRunTime => "*run time*",
        };
        writeln!(
            page,
            "| `{}` | `{default}` | {} | {change} | {} |",
            row.name,
            cell(&row.kind.allowed()),
            cell(row.description)
        )
        .expect("a string takes everything");
    }
    page.push_str("\n`CONFIG GET` also knows some names that clients ask for and that cannot be set: ");
    let fixed: Vec<String> =
        COMPATIBILITY.iter().map(|(name, value)| format!("`{name}` (`{value}`)")).collect();
    page.push_str(&fixed.join(", "));
    page.push_str(".\n");
    page
}

/// Escapes text for a cell: bars divide cells, and angle brackets begin HTML.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_repository_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md");
        if std::env::var_os("QUARTET_UPDATE_GOLDEN").is_some() {
            std::fs::write(path, markdown()).expect("the repository can be written");
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == markdown(), "docs/settings.md is stale: run with QUARTET_UPDATE_GOLDEN=1");
    }
}
