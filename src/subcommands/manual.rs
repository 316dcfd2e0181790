//! `quartet man`: the manual page, from the rows of the settings and the subcommands.
//!
//! `deploy/man/quartet.1` is this page.  It names neither version nor date, so that it changes only with what it describes.

use std::fmt::Write;

use super::SUBCOMMANDS;
use crate::settings::{Change, SETTINGS};

const HEAD: &str = r#".\" Generated from the rows of the settings and the subcommands by `quartet man`.
.TH QUARTET 1 "" "Quartet" "User commands"
.SH NAME
quartet \- a cache, a rate limiter, distributed locks and a message broker in one server
.SH SYNOPSIS
.B quartet
.RI [ "\-\-setting value" " ...]"
"#;

const DESCRIPTION: &str = r#".SH DESCRIPTION
Without a subcommand the server starts.
It listens on this machine only, for Redis clients on port 6379, for NATS clients on 4222, and for HTTP on 8080 and 8000.
It serves until SIGTERM or SIGINT.
On SIGHUP it reads its settings again, and on SIGUSR2 it asks the clients of the broker to go elsewhere.
"#;

const SOURCES: &str = r#".SH SETTINGS
Each is a flag, an environment variable (QUARTET_ and the name in upper case, with _ for \-), a key in the TOML file that
.B \-\-config
names, and a name for CONFIG GET.
Flags take precedence over the environment, and the environment over the file.
Settings marked with * may change while the server runs, by CONFIG SET or on SIGHUP.
"#;

const TAIL: &str = r#".SH EXIT STATUS
0 after a stop that was asked for, and 1 if the start failed; standard error says why in one line.
.SH FILES
.TP
.I ./quartet-data
The data, if
.B \-\-dir
names no other directory.
.SH SEE ALSO
http://localhost:8080/docs of a running server describes the whole API.
"#;

/// The page, in the language of man(7).
pub(super) fn page() -> String {
    let mut page = HEAD.to_owned();
    for row in SUBCOMMANDS {
        let arguments = escaped(row.arguments);
        writeln!(page, ".br\n.B quartet {}\n{arguments}", row.word).expect("a string takes everything");
    }
    page.push_str(DESCRIPTION);
    page.push_str(".SH SUBCOMMANDS\n");
    for row in SUBCOMMANDS {
        writeln!(page, ".TP\n.B {}\n{}.", row.word, escaped(row.purpose)).expect("a string takes everything");
    }
    page.push_str(SOURCES);
    let mut group = "";
    for row in SETTINGS {
        if row.group != group {
            group = row.group;
            writeln!(page, ".SS {}", escaped(group)).expect("a string takes everything");
        }
        let mark = if row.change == Change::AtRunTime { " *" } else { "" };
        let default = if row.default.is_empty() { "none" } else { row.default };
        writeln!(
            page,
            ".TP\n.BI \\-\\-{} \" {}\"{mark}\n{}.\n.br\nAllowed: {}.  Default: {}.",
            escaped(row.name),
            escaped(row.kind.value_name()),
            escaped(row.description),
            escaped(&row.kind.allowed()),
            escaped(default),
        )
        .expect("a string takes everything");
    }
    page.push_str(TAIL);
    page.replace("\n\n", "\n")
}

/// Text that means itself: hyphens stay hyphens, and no line begins with a request.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subcommands::check_golden;

    #[test]
    fn the_manual_page_of_the_settings_is_current() {
        check_golden("deploy/man/quartet.1", &page());
    }

    #[test]
    fn text_is_no_request() {
        assert_eq!(escaped(".br"), "\\&.br");
        assert_eq!(escaped("a-b\\"), "a\\-b\\e");
    }
}
