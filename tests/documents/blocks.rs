//! Blocks of code in a document, and how what they show is compared with what came.

/// What is done with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Commands with what they print.
    Console,
    /// One command that goes on, with what it prints until the end.
    Listen,
    /// Commands that succeed.
    Shell,
    Python,
    JavaScript,
    /// A function of a program that the suite of clients runs.
    Function,
    /// It is read by people only.
    Other,
}

/// A block of code.
pub(super) struct Block {
    pub(super) kind: Kind,
    /// The document and the line that it begins at.
    pub(super) place: String,
    pub(super) text: String,
}

/// A command, and the lines that it is shown to print.
pub(super) struct Shown {
    pub(super) command: String,
    pub(super) printed: Vec<String>,
}

/// All blocks of a document.
pub(super) fn blocks(document: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(words), None) => {
                let place = format!("{document}:{}", number + 1);
                open = Some(Block { kind: kind(words.trim()), place, text: String::new() });
            }
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.text += line;
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{document}: a block is not closed");
    for block in &mut blocks {
        // Programs for browsers need a page.
        if block.kind == Kind::JavaScript && !block.text.contains("import ") {
            block.kind = Kind::Other;
        }
    }
    blocks
}

fn kind(words: &str) -> Kind {
    match words {
        "console" => Kind::Console,
        "console listen" => Kind::Listen,
        "sh" => Kind::Shell,
        "python" => Kind::Python,
        "js" => Kind::JavaScript,
        "go" | "rust" => Kind::Function,
        _ => Kind::Other,
    }
}

impl Block {
    /// The commands of a console.  A command goes on in the next line behind `\`, `|` or an open quote.
    pub(super) fn shown(&self) -> Vec<Shown> {
        let mut all: Vec<Shown> = Vec::new();
        let mut is_open = false;
        for line in self.text.lines() {
            if is_open {
                let last = all.last_mut().expect("a command was begun");
                last.command.push('\n');
                last.command += line;
                is_open = goes_on(&last.command);
            } else if let Some(command) = line.strip_prefix("$ ") {
                is_open = goes_on(command);
                all.push(Shown { command: command.to_owned(), printed: Vec::new() });
            } else {
                let last =
                    all.last_mut().unwrap_or_else(|| panic!("{}: it begins with no command", self.place));
                last.printed.push(line.to_owned());
            }
        }
        all
    }
}

fn goes_on(command: &str) -> bool {
    let quotes = command.matches('\'').count();
    command.ends_with(['\\', '|']) || quotes % 2 == 1
}

/// Whether the lines are those that are shown.
pub(super) fn is_as_shown(shown: &[String], lines: &[&str]) -> bool {
    match shown {
        [] => lines.is_empty(),
        [any, rest @ ..] if any.trim() == "…" => {
            (0..=lines.len()).any(|count| is_as_shown(rest, &lines[count..]))
        }
        [line, rest @ ..] => {
            lines.first().is_some_and(|first| fits(line, first)) && is_as_shown(rest, &lines[1..])
        }
    }
}

/// Whether a line is as shown, where `…` stands for any text.
fn fits(shown: &str, line: &str) -> bool {
    let (shown, line) = (shown.trim_end(), line.trim_end());
    let Some((start, rest)) = shown.split_once('…') else { return shown == line };
    let Some(mut left) = line.strip_prefix(start) else { return false };
    let parts: Vec<&str> = rest.split('…').collect();
    let (last, middle) = parts.split_last().expect("a split has a part");
    for part in middle {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[test]
fn output_is_compared_but_for_dots() {
    let fit = |shown: &[&str], lines: &[&str]| {
        is_as_shown(&shown.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(), lines)
    };
    assert!(fit(&["a", "b… c"], &["a ", "b 1 c"]));
    assert!(fit(&["…", "z"], &["x", "y", "z"]) && fit(&["…"], &[]));
    assert!(fit(&["…1…2…"], &["0 1 x 2"]) && !fit(&["…2…1…"], &["0 1 x 2"]));
    assert!(!fit(&["a"], &[]) && !fit(&[], &["a"]) && !fit(&["a"], &["ab"]) && !fit(&["a…"], &["ba"]));
}
