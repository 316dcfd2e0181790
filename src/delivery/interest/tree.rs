//! A tree of the tokens of wildcards.
//!
//! A node stands for the beginning of a wildcard: its tokens up to some place.  The child of a literal token is found in one
//! table for the whole tree, by the node and the token.  The node itself knows its child `*`; a `>` needs no node, since
//! nothing follows it.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use quartet_protocol::broker::subject;
use slab::Slab;
use smallvec::SmallVec;

use super::members::{Members, Wanting};
use super::shrink;

/// The number of the node without tokens, which is always there and nobody's child.
const ROOT: u32 = 0;

/// What a node without a child has in place of its number.
const NO_CHILD: u32 = ROOT;

/// The depth up to which walks take no memory.
const USUAL_DEPTH: usize = 16;

/// See the module's text.
pub(super) struct Tree<W = Members> {
    nodes: Slab<Node<W>>,
    /// The ways from nodes to their children by literal tokens.
    edges: HashTable<Edge>,
    hasher: foldhash::fast::RandomState,
    /// The number of wildcards.
    count: usize,
}

#[derive(Default)]
struct Node<W> {
    /// The child by `*`, or [`NO_CHILD`].
    any_child: u32,
    /// The number of children by literal tokens.
    literal_children: u32,
    /// The subscriptions and sinks of the wildcard that ends here.
    ending: W,
    /// The subscriptions and sinks of the wildcard that continues with `>`.
    open: W,
}

struct Edge {
    parent: u32,
    token: Box<[u8]>,
    child: u32,
}

impl<W: Wanting> Default for Tree<W> {
    fn default() -> Tree<W> {
        let mut nodes = Slab::new();
        nodes.insert(Node::default());
        Tree { nodes, edges: HashTable::new(), hasher: foldhash::fast::RandomState::default(), count: 0 }
    }
}

impl<W: Wanting> Tree<W> {
    /// The number of wildcards.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds one who wants a wildcard.
    pub(super) fn add(&mut self, wildcard: &[u8], receiver: W::Receiver) {
        let (beginning, is_open) = split_rest(wildcard);
        let node = subject_tokens(beginning).fold(ROOT, |node, token| self.child_or_new(node, token));
        let wanting = self.wanting(node, is_open);
        let is_new = wanting.is_empty();
        wanting.add(receiver);
        self.count += usize::from(is_new);
    }

    /// Removes one; false if it is not here.  The cost is that of the wildcard's tokens.
    pub(super) fn remove(&mut self, wildcard: &[u8], receiver: &W::Receiver) -> bool {
        let (beginning, is_open) = split_rest(wildcard);
        let mut path: SmallVec<[u32; USUAL_DEPTH]> = SmallVec::from_slice(&[ROOT]);
        for token in subject_tokens(beginning) {
            match self.child(path[path.len() - 1], token) {
                NO_CHILD => return false,
                child => path.push(child),
            }
        }
        let wanting = self.wanting(path[path.len() - 1], is_open);
        let is_removed = wanting.remove(receiver);
        if is_removed && wanting.is_empty() {
            self.count -= 1;
            self.prune(beginning, &path);
        }
        is_removed
    }

    /// Removes the nodes at the end of a path that are of no use any more.
    fn prune(&mut self, beginning: Option<&[u8]>, path: &[u32]) {
        let tokens = beginning.into_iter().flat_map(|tokens| tokens.rsplit(|&byte| byte == b'.'));
        for (ends, token) in path.windows(2).rev().zip(tokens) {
            let &[parent, child] = ends else { return };
            if !self.nodes[child as usize].is_unused() {
                return;
            }
            self.nodes.remove(child as usize);
            self.cut(parent, token);
        }
        if self.count == 0 {
            *self = Tree::default();
        }
    }

    /// Shows the subscriptions and sinks of the wildcards that match a valid subject.
    pub(super) fn look_up(&self, subject: &[u8], mut see: impl FnMut(&W)) {
        // Nodes and where the tokens begin that have to match behind them; behind the subject's end if none is left.
        let mut waiting: SmallVec<[(u32, usize); USUAL_DEPTH]> = SmallVec::from_slice(&[(ROOT, 0)]);
        while let Some((number, begin)) = waiting.pop() {
            let node = &self.nodes[number as usize];
            let Some(rest) = subject.get(begin..) else {
                see(&node.ending);
                continue;
            };
            see(&node.open);
            let token = subject::first_token(rest);
            let next = begin + token.len() + 1;
            if node.any_child != NO_CHILD {
                waiting.push((node.any_child, next));
            }
            if node.literal_children > 0
                && let Some(edge) = self.edge(number, token)
            {
                waiting.push((edge.child, next));
            }
        }
    }

    /// Shows the subscriptions and sinks of all wildcards, in no order.
    pub(super) fn visit(&self, mut see: impl FnMut(&W)) {
        for (_, node) in &self.nodes {
            see(&node.ending);
            see(&node.open);
        }
    }

    fn wanting(&mut self, node: u32, is_open: bool) -> &mut W {
        let node = &mut self.nodes[node as usize];
        if is_open { &mut node.open } else { &mut node.ending }
    }

    fn child(&self, node: u32, token: &[u8]) -> u32 {
        match token {
            subject::ANY_TOKEN => self.nodes[node as usize].any_child,
            token => self.edge(node, token).map_or(NO_CHILD, |edge| edge.child),
        }
    }

    fn child_or_new(&mut self, node: u32, token: &[u8]) -> u32 {
        let found = self.child(node, token);
        if found != NO_CHILD {
            return found;
        }
        let child = self.nodes.insert(Node::default()) as u32;
        let parent = &mut self.nodes[node as usize];
        if token == subject::ANY_TOKEN {
            parent.any_child = child;
        } else {
            parent.literal_children += 1;
            let hasher = &self.hasher;
            let edge = Edge { parent: node, token: token.into(), child };
            let hash = edge_hash(hasher, node, token);
            self.edges.insert_unique(hash, edge, |edge| edge_hash(hasher, edge.parent, &edge.token));
        }
        child
    }

    /// Forgets the way from a node to its child.
    fn cut(&mut self, parent: u32, token: &[u8]) {
        if token == subject::ANY_TOKEN {
            self.nodes[parent as usize].any_child = NO_CHILD;
            return;
        }
        self.nodes[parent as usize].literal_children -= 1;
        let hasher = &self.hasher;
        let rehash = |edge: &Edge| edge_hash(hasher, edge.parent, &edge.token);
        let found = self.edges.entry(edge_hash(hasher, parent, token), |edge| edge.is(parent, token), rehash);
        if let Entry::Occupied(edge) = found {
            edge.remove();
        }
        shrink(&mut self.edges, rehash);
    }

    fn edge(&self, parent: u32, token: &[u8]) -> Option<&Edge> {
        self.edges.find(edge_hash(&self.hasher, parent, token), |edge| edge.is(parent, token))
    }
}

impl<W: Wanting> Node<W> {
    fn is_unused(&self) -> bool {
        let has_children = self.any_child != NO_CHILD || self.literal_children > 0;
        !has_children && self.ending.is_empty() && self.open.is_empty()
    }
}

impl Edge {
    fn is(&self, parent: u32, token: &[u8]) -> bool {
        self.parent == parent && *self.token == *token
    }
}

fn edge_hash(hasher: &foldhash::fast::RandomState, parent: u32, token: &[u8]) -> u64 {
    hasher.hash_one((parent, token))
}

/// The tokens before the rest that `>` stands for, of which there may be none, and whether there is such a rest.
fn split_rest(wildcard: &[u8]) -> (Option<&[u8]>, bool) {
    match wildcard {
        [b'>'] => (None, true),
        [beginning @ .., b'.', b'>'] => (Some(beginning), true),
        _ => (Some(wildcard), false),
    }
}

fn subject_tokens(beginning: Option<&[u8]>) -> impl Iterator<Item = &[u8]> {
    beginning.into_iter().flat_map(subject::tokens)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::delivery::{Outbox, Subscription, SubscriptionOptions, Topic};

    fn subscription(wildcard: &str) -> Arc<Subscription> {
        let outbox = Arc::new(Outbox::new(1, "127.0.0.1:1".parse().expect("an address")));
        Subscription::new(Topic::of_pattern(wildcard.as_bytes()), SubscriptionOptions::default(), &outbox)
    }

    fn found(tree: &Tree, subject: &str) -> usize {
        let mut found = 0;
        tree.look_up(subject.as_bytes(), |members| found += members.len());
        found
    }

    #[test]
    fn nodes_end_with_the_wildcards_that_need_them() {
        let mut tree: Tree = Tree::default();
        let wildcards = ["a.*.c", "a.*.>", "a.>", "*", ">", "a.b.*.d.e", "a.*.c"].map(subscription);
        wildcards.iter().for_each(|wildcard| tree.add(wildcard.topic().text(), Arc::clone(wildcard)));
        assert_eq!((tree.len(), tree.nodes.len(), tree.edges.len()), (6, 9, 5));
        assert_eq!(found(&tree, "a.b.c"), 5);
        assert_eq!(found(&tree, "a"), 2);
        let mut nodes = Vec::new();
        for wildcard in &wildcards {
            assert!(tree.remove(wildcard.topic().text(), wildcard));
            assert!(!tree.remove(wildcard.topic().text(), wildcard));
            nodes.push(tree.nodes.len());
        }
        assert_eq!(nodes, [9, 9, 9, 8, 8, 4, 1]);
        assert_eq!((tree.len(), tree.edges.len(), tree.edges.capacity()), (0, 0, 0));
    }

    #[test]
    fn neither_long_wildcards_nor_long_subjects_recurse() {
        let mut tree: Tree = Tree::default();
        let (text, subject) = (format!("{}>", "*.".repeat(200_000)), "x.".repeat(200_000));
        let deep = subscription(&text);
        tree.add(text.as_bytes(), Arc::clone(&deep));
        assert_eq!(found(&tree, &format!("{subject}x")), 1);
        assert_eq!(found(&tree, &subject[..200_000]), 0);
        assert!(tree.remove(text.as_bytes(), &deep));
        assert_eq!(tree.nodes.len(), 1);
    }

    #[test]
    fn a_lookup_passes_each_node_at_most_once() {
        let mut tree: Tree = Tree::default();
        // Each of the 2^10 wildcards of ten tokens, which share 2^11 nodes.
        for number in 0..1 << 10 {
            let token = |place: u32| if number >> place & 1 == 0 { "*" } else { "x" };
            let wildcard = (0..10).map(token).collect::<Vec<_>>().join(".");
            tree.add(wildcard.as_bytes(), subscription(&wildcard));
        }
        let mut passed = 0;
        tree.look_up(&b"x.x.x.x.x.x.x.x.x.x"[..], |_| passed += 1);
        assert_eq!(passed, tree.nodes.len());
    }
}
