//! Which requests were done already, so that a client which missed the reply may say the same again.
//!
//! Requests that acquire and those that release have ids of their own kind: who names both after the same lock means two.

use std::collections::{HashMap, VecDeque};

use super::events::WaiterId;
use super::limits::{REQUEST_ID_MEMORY, REQUEST_IDS_MAX};

/// What a request came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Done {
    /// It was granted under this fence.
    Granted(u64),
    /// It waits.
    Waiting(WaiterId),
    /// It gave back, and was told this number.
    Released(u32),
}

impl Done {
    fn kind(self) -> Kind {
        match self {
            Done::Granted(_) | Done::Waiting(_) => Kind::Acquire,
            Done::Released(_) => Kind::Release,
        }
    }
}

/// What a request was to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Acquire,
    Release,
}

/// The requests of the last two minutes that had an id.
#[derive(Default)]
pub(super) struct RequestIds {
    done: HashMap<Box<[u8]>, (Done, u64)>,
    /// The ids with the number under which each was remembered, oldest first.
    order: VecDeque<(Box<[u8]>, u64, u64)>,
    last: u64,
}

impl RequestIds {
    /// What the request of this owner came to.
    pub(super) fn find(&self, kind: Kind, owner: &[u8], request: &[u8]) -> Option<Done> {
        self.done.get(&*key(kind, owner, request)).map(|(done, _)| *done)
    }

    /// Remembers what a request came to; `now` in microseconds.
    pub(super) fn remember(&mut self, owner: &[u8], request: &[u8], done: Done, now: u64) {
        if request.is_empty() {
            return;
        }
        self.forget_old(now);
        self.last += 1;
        let key = key(done.kind(), owner, request);
        self.order.push_back((key.clone(), self.last, now));
        self.done.insert(key, (done, self.last));
    }

    /// Forgets a request to acquire that came to nothing.
    pub(super) fn forget(&mut self, owner: &[u8], request: &[u8]) {
        if !request.is_empty() {
            self.done.remove(&*key(Kind::Acquire, owner, request));
        }
    }

    /// Owner, request and what it came to, of all that are remembered, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8], Done)> {
        let current = |(key, number, _): &&(Box<[u8]>, u64, u64)| {
            self.done.get(key).is_some_and(|(_, current)| current == number)
        };
        self.order.iter().filter(current).map(|(key, _, _)| {
            let (owner, request) = parts(key);
            (owner, request, self.done[key].0)
        })
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.done.len()
    }

    fn forget_old(&mut self, now: u64) {
        while let Some((key, number, at)) = self.order.front() {
            if self.order.len() < REQUEST_IDS_MAX && now.saturating_sub(*at) < REQUEST_ID_MEMORY * 1000 {
                return;
            }
            // It may have been remembered again since.
            if self.done.get(key).is_some_and(|(_, current)| current == number) {
                self.done.remove(key);
            }
            self.order.pop_front();
        }
    }
}

/// Kind, owner and request as one key; the length keeps the latter apart.
fn key(kind: Kind, owner: &[u8], request: &[u8]) -> Box<[u8]> {
    let length = (owner.len() as u32).to_le_bytes();
    [&[kind as u8], &length[..], owner, request].concat().into()
}

/// Owner and request of a key.
fn parts(key: &[u8]) -> (&[u8], &[u8]) {
    let (length, names) = key[1..].split_first_chunk().expect("a key begins with a kind and a length");
    names.split_at(u32::from_le_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_remembered_for_a_time_and_in_number() {
        let mut ids = RequestIds::default();
        ids.remember(b"a", b"bc", Done::Granted(1), 0);
        assert_eq!(ids.find(Kind::Acquire, b"ab", b"c"), None);
        assert_eq!(ids.find(Kind::Release, b"a", b"bc"), None);
        ids.remember(b"a", b"bc", Done::Granted(2), 1);
        assert_eq!(ids.find(Kind::Acquire, b"a", b"bc"), Some(Done::Granted(2)));
        let all: Vec<_> = ids.iter().collect();
        assert_eq!(all, [(&b"a"[..], &b"bc"[..], Done::Granted(2))]);
        ids.remember(b"a", b"bc", Done::Released(0), 1);
        assert_eq!(ids.find(Kind::Release, b"a", b"bc"), Some(Done::Released(0)));
        assert_eq!(ids.find(Kind::Acquire, b"a", b"bc"), Some(Done::Granted(2)));
        ids.remember(b"a", b"later", Done::Granted(2), REQUEST_ID_MEMORY * 1000);
        assert_eq!(ids.find(Kind::Acquire, b"a", b"bc"), Some(Done::Granted(2)));
        ids.remember(b"a", b"last", Done::Granted(3), REQUEST_ID_MEMORY * 1000 + 1);
        assert_eq!(ids.find(Kind::Acquire, b"a", b"bc"), None);
        for number in 0..REQUEST_IDS_MAX * 2 {
            ids.remember(b"a", number.to_string().as_bytes(), Done::Granted(4), REQUEST_ID_MEMORY * 1000 + 2);
        }
        assert!(ids.len() <= REQUEST_IDS_MAX);
        assert_eq!(ids.find(Kind::Acquire, b"a", b"last"), None);
    }
}
