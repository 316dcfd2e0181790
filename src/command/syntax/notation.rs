//! The first step from notation to arguments: brackets become groups.

/// A word, or the contents of brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// A token or the name of a value.
    Word(String),
    /// Alternatives, or the one sequence that is repeated.
    Group(Mark, Vec<Vec<Node>>),
}

/// The meaning of a group's brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// `[…]`
    Optional,
    /// `<… | …>`
    Choice,
    /// `x [x ...]`, once or more often.
    Repeated,
}

/// The mark at the end of a sequence that may be repeated.
const REPETITION: &str = "...";

/// Reads a syntax.
///
/// # Panics
/// If brackets do not match.
pub(super) fn read(syntax: &str) -> Vec<Node> {
    let spaced = spaced(syntax);
    let mut words = spaced.split_whitespace();
    let mut alternatives = read_alternatives(&mut words, None);
    assert_eq!(alternatives.len(), 1, "a choice needs brackets in {syntax:?}");
    alternatives.swap_remove(0)
}

fn read_alternatives<'w>(words: &mut impl Iterator<Item = &'w str>, end: Option<&str>) -> Vec<Vec<Node>> {
    let mut alternatives = Vec::new();
    let mut nodes = Vec::new();
    loop {
        match words.next() {
            word if word == end => break,
            Some("|") => alternatives.push(std::mem::take(&mut nodes)),
            Some("[") => {
                let group = read_alternatives(words, Some("]"));
                if !fold_repetition(&mut nodes, &group) {
                    nodes.push(Node::Group(Mark::Optional, group));
                }
            }
            Some("<") => nodes.push(Node::Group(Mark::Choice, read_alternatives(words, Some(">")))),
            Some(word) => nodes.push(Node::Word(word.to_owned())),
            None => panic!("a bracket is not closed"),
        }
    }
    alternatives.push(nodes);
    alternatives
}

/// Turns `x` followed by `[x ...]` into the repetition of `x`.  False if `group` is something else.
fn fold_repetition(nodes: &mut Vec<Node>, group: &[Vec<Node>]) -> bool {
    let [sequence] = group else { return false };
    let Some((Node::Word(last), repeated)) = sequence.split_last() else { return false };
    if last != REPETITION || !nodes.ends_with(repeated) {
        return false;
    }
    let first = nodes.split_off(nodes.len() - repeated.len());
    nodes.push(Node::Group(Mark::Repeated, vec![first]));
    true
}

/// The syntax with blanks around its marks.  The empty string `""` is a token like any other.
fn spaced(syntax: &str) -> String {
    let mut spaced = String::with_capacity(syntax.len() * 2);
    for character in syntax.chars() {
        if "[]<>|".contains(character) {
            spaced.extend([' ', character, ' ']);
        } else {
            spaced.push(character);
        }
    }
    spaced
}
