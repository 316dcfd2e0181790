//! The table of the settings as a page of documentation.

use std::fmt::Write;

use super::table::{COMPATIBILITY, Change, SETTINGS};

const HEAD: &str = "# Settings

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

| name | default | allowed | changes | purpose |
|---|---|---|---|---|
";

/// The page `docs/settings.md`.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    for row in SETTINGS {
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
