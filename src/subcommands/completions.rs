//! `quartet completions`: what shells complete, from the rows of the settings and the subcommands.
//!
//! The files below `deploy/completions` are these texts.

use std::ffi::OsString;
use std::fmt::Write;

use super::SUBCOMMANDS;
use crate::settings::{SETTINGS, Setting, SettingKind};
use crate::standard_output::print;

/// The subcommand.
pub(super) const WORD: &str = "completions";

/// A shell, and the text that it reads.
struct Shell {
    name: &'static str,
    text: fn() -> String,
}

const SHELLS: &[Shell] = &[
    Shell { name: "bash", text: bash },
    Shell { name: "zsh", text: zsh },
    Shell { name: "fish", text: fish },
];

const HEAD: &str = "Generated from the rows of the settings and the subcommands by `quartet completions`.";

/// Prints the text for the shell that is named.
pub(super) fn run(arguments: Vec<OsString>) -> Result<bool, String> {
    let [name] = &arguments[..] else {
        return Err(format!("quartet {WORD} takes one argument: {}", names()));
    };
    let shell = SHELLS.iter().find(|shell| name == shell.name);
    let unknown =
        || format!("'{}' is no shell known here: say {}", name.to_string_lossy().escape_debug(), names());
    print(&(shell.ok_or_else(unknown)?.text)()).map(|()| true)
}

fn names() -> String {
    SHELLS.iter().map(|shell| shell.name).collect::<Vec<_>>().join(", ")
}

/// What can stand behind a flag.
enum Values {
    Words(&'static [&'static str]),
    Paths,
    Free,
}

fn values(row: &Setting) -> Values {
    match row.kind {
        SettingKind::Words(words) => Values::Words(words),
        SettingKind::Boolean => Values::Words(&["yes", "no"]),
        SettingKind::Path => Values::Paths,
        _ => Values::Free,
    }
}

/// The words that may stand behind a subcommand.
fn words_behind(arguments: &'static str) -> Vec<&'static str> {
    let first = arguments.split(' ').next().unwrap_or_default();
    if first.contains('|') { first.split('|').collect() } else { Vec::new() }
}

fn bash() -> String {
    let subcommands: Vec<&str> = SUBCOMMANDS.iter().map(|row| row.word).collect();
    let flags: Vec<String> = SETTINGS.iter().map(|row| format!("--{}", row.name)).collect();
    let mut cases = String::new();
    for row in SUBCOMMANDS {
        let words = words_behind(row.arguments);
        if !words.is_empty() {
            line(&mut cases, &format!("{}) words='{}' ;;", row.word, words.join(" ")));
        }
    }
    for row in SETTINGS {
        match values(row) {
            Values::Words(words) => {
                line(&mut cases, &format!("--{}) words='{}' ;;", row.name, words.join(" ")));
            }
            Values::Paths => {
                let paths = "COMPREPLY=($(compgen -f -- \"$current\")); return";
                line(&mut cases, &format!("--{}) {paths} ;;", row.name));
            }
            Values::Free => line(&mut cases, &format!("--{}) return ;;", row.name)),
        }
    }
    format!(
        r#"# {HEAD}
_quartet() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}} words
    case $previous in
{cases}        *) words='--help --version {}' ;;
    esac
    if [ "$COMP_CWORD" = 1 ]; then words+=' {}'; fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -F _quartet quartet
"#,
        flags.join(" "),
        subcommands.join(" "),
    )
}

fn line(cases: &mut String, text: &str) {
    writeln!(cases, "        {text}").expect("a string takes everything");
}

fn zsh() -> String {
    let mut flags = String::new();
    for row in SETTINGS {
        let values = match values(row) {
            Values::Words(words) => format!(":{}:({})", row.kind.value_name(), words.join(" ")),
            Values::Paths => ":path:_files".to_owned(),
            Values::Free => format!(":{}: ", row.kind.value_name()),
        };
        let purpose = row.description.replace('\\', "\\\\").replace(['[', ']'], "").replace(':', "\\:");
        writeln!(flags, "        {} \\", quoted(&format!("--{}[{purpose}]{values}", row.name)))
            .expect("a string takes everything");
    }
    let mut subcommands = String::new();
    let mut behind = String::new();
    for row in SUBCOMMANDS {
        let text = format!("{}:{}", row.word, row.purpose.replace(':', "\\:"));
        writeln!(subcommands, "        {}", quoted(&text)).expect("a string takes everything");
        let words = words_behind(row.arguments);
        if !words.is_empty() {
            writeln!(behind, "        {}) compadd {} ;;", row.word, words.join(" "))
                .expect("a string takes everything");
        }
    }
    format!(
        r#"#compdef quartet
# {HEAD}
_quartet_subcommands() {{
    local -a subcommands=(
{subcommands}    )
    _describe subcommand subcommands
}}
_quartet_words() {{
    case $words[2] in
{behind}    esac
}}
_quartet() {{
    _arguments \
        '(- *)'{{-h,--help}}'[Shows help]' \
        '(- *)'{{-V,--version}}'[Shows the version]' \
{flags}        '1::subcommand:_quartet_subcommands' \
        '2::word:_quartet_words'
}}
_quartet "$@"
"#
    )
}

fn fish() -> String {
    let mut text = format!("# {HEAD}\ncomplete -c quartet -f\n");
    for row in SUBCOMMANDS {
        writeln!(
            text,
            "complete -c quartet -n __fish_use_subcommand -a {} -d {}",
            row.word,
            quoted(row.purpose)
        )
        .expect("a string takes everything");
        let words = words_behind(row.arguments);
        if !words.is_empty() {
            let condition = quoted(&format!("__fish_seen_subcommand_from {}", row.word));
            writeln!(text, "complete -c quartet -n {condition} -a {}", quoted(&words.join(" ")))
                .expect("a string takes everything");
        }
    }
    for row in SETTINGS {
        let values = match values(row) {
            Values::Words(words) => format!("-x -a {}", quoted(&words.join(" "))),
            Values::Paths => "-r -F".to_owned(),
            Values::Free => "-x".to_owned(),
        };
        writeln!(text, "complete -c quartet -l {} {values} -d {}", row.name, quoted(row.description))
            .expect("a string takes everything");
    }
    text
}

/// A word of a shell that means itself.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::subcommands::check_golden;

    #[test]
    fn the_completions_of_the_settings_are_current() {
        for (shell, path) in [("bash", "quartet.bash"), ("zsh", "_quartet"), ("fish", "quartet.fish")] {
            let row = SHELLS.iter().find(|row| row.name == shell).expect("it is a shell");
            check_golden(&format!("deploy/completions/{path}"), &(row.text)());
        }
    }

    /// What bash completes behind these words, of which the last is being typed.
    fn completed(words: &[&str]) -> Vec<String> {
        let script = format!(
            "{}\nCOMP_WORDS=({}); COMP_CWORD={}; _quartet; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            bash(),
            words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
            words.len() - 1
        );
        let output = Command::new("bash").arg("-c").arg(script).output().expect("every machine has bash");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    #[test]
    fn bash_completes_flags_values_and_subcommands() {
        assert_eq!(completed(&["quartet", "--broker-sl"]), ["--broker-slow-consumer"]);
        assert_eq!(completed(&["quartet", "--log-level", "w"]), ["warn"]);
        assert_eq!(completed(&["quartet", "comp"]), ["completions"]);
        assert_eq!(completed(&["quartet", "completions", ""]), ["bash", "zsh", "fish"]);
        assert_eq!(completed(&["quartet", "stream", "ver"]), ["verify"]);
        assert_eq!(completed(&["quartet", "--port", ""]), [""]);
    }
}
