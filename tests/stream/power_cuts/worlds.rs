//! All that a stream may be, as far as its client can know: the histories that fit the answers it got and what it saw.
//!
//! A history is a chain of states.  Whatever was told or seen is on the disk, so the stream is never again what it was before
//! that; what came later may be lost, the newest first.  A message takes effect when it is published.  Any other change takes
//! effect some time between the question and the answer: each possibility is a world of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::model::{Change, Outcome, Publication, State, apply, decided};

type Moment = Arc<Option<State>>;

/// A possible history.
#[derive(Clone)]
struct World {
    /// How many states before the first one of the chain are past for good.
    past: usize,
    chain: Vec<Moment>,
    /// To which state each operation has led that was not answered yet, and the answer.
    outcomes: BTreeMap<usize, (usize, Outcome)>,
    /// A change that was asked for and has not taken effect yet.
    floating: Option<(usize, Change)>,
}

/// All of them.
pub(in crate::stream) struct Worlds {
    worlds: Vec<World>,
    /// Messages that may leave by themselves.
    pub(in crate::stream) loose: BTreeSet<u64>,
}

/// What was seen of a stream: its last sequence and the messages that it has, or that it is not there.
pub(in crate::stream) type Seen = Option<(u64, BTreeSet<u64>)>;

impl World {
    fn push(&mut self, operation: usize, moment: Option<State>, outcome: Outcome) {
        self.chain.push(Arc::new(moment));
        self.outcomes.insert(operation, (self.past + self.chain.len() - 1, outcome));
    }

    /// The same, where the floating change takes effect now.
    fn with_change(&self) -> Option<World> {
        let mut world = self.clone();
        let (operation, change) = world.floating.take()?;
        let mut moment = world.newest().clone();
        let outcome = apply(&mut moment, &change);
        world.push(operation, moment, outcome);
        Some(world)
    }

    fn newest(&self) -> &Option<State> {
        self.chain.last().expect("there is always a state")
    }

    /// What was before this state is past.
    fn forget_before(&mut self, at: usize) {
        let gone = at.saturating_sub(self.past);
        self.chain.drain(..gone);
        self.past += gone;
    }
}

impl Worlds {
    /// A stream that is not there.
    pub(in crate::stream) fn new() -> Worlds {
        let world = World { past: 0, chain: vec![Arc::new(None)], outcomes: BTreeMap::new(), floating: None };
        Worlds { worlds: vec![world], loose: BTreeSet::new() }
    }

    /// What the stream is in one of the worlds, once everything has taken effect.
    pub(in crate::stream) fn guess(&self) -> Option<State> {
        self.worlds.first().and_then(|world| world.newest().clone())
    }

    /// Whether a change was asked for and not answered.
    pub(in crate::stream) fn is_changing(&self) -> bool {
        self.worlds.iter().any(|world| world.floating.is_some()) || self.worlds.len() > 1
    }

    /// A message is published.
    pub(in crate::stream) fn publish(&mut self, operation: usize, message: &Publication) {
        let changed: Vec<World> = self.worlds.iter().filter_map(World::with_change).collect();
        self.worlds.extend(changed);
        for world in &mut self.worlds {
            let mut moment = world.newest().clone();
            let outcome = moment.as_mut().map_or(Outcome::Silence, |state| state.publish(message));
            world.push(operation, moment, outcome);
        }
    }

    /// A change is asked for.
    pub(in crate::stream) fn ask(&mut self, operation: usize, change: &Change) {
        for world in &mut self.worlds {
            let change = decided(world.newest().as_ref(), change);
            world.floating = Some((operation, change));
        }
    }

    /// As [`Worlds::publish`] or [`Worlds::ask`] had not been called, since the server has refused to do anything.
    pub(in crate::stream) fn take_back(&mut self, former: Vec<Memory>) {
        self.worlds = former.into_iter().map(|Memory(world)| world).collect();
    }

    /// What [`Worlds::take_back`] takes.
    pub(in crate::stream) fn remember(&self) -> Vec<Memory> {
        self.worlds.iter().cloned().map(Memory).collect()
    }

    /// An operation is answered; false if that cannot be.
    pub(in crate::stream) fn answer(&mut self, operation: usize, answer: &Outcome) -> bool {
        let changed: Vec<World> = self.worlds.iter().filter_map(World::with_change).collect();
        self.worlds.extend(changed);
        self.worlds.retain_mut(|world| match world.outcomes.remove(&operation) {
            Some((at, outcome)) if outcome == *answer => {
                world.forget_before(at);
                true
            }
            _ => false,
        });
        !self.worlds.is_empty()
    }

    /// The floating change is not going to take effect.
    pub(in crate::stream) fn cancel(&mut self, operation: usize) {
        self.worlds.retain_mut(|world| {
            let floating = world.floating.take();
            floating.is_some_and(|(floating, _)| floating == operation)
        });
    }

    /// Something is seen of the stream; false if that cannot be.  What leads there is found by `fits`.
    fn keep(&mut self, fits: impl Fn(&Option<State>) -> bool) -> bool {
        let changed: Vec<World> = self.worlds.iter().filter_map(World::with_change).collect();
        self.worlds.extend(changed);
        self.worlds.retain_mut(|world| {
            let Some(at) = world.chain.iter().position(|moment| fits(moment)) else { return false };
            world.forget_before(world.past + at);
            true
        });
        !self.worlds.is_empty()
    }

    /// The stream is seen; false if it cannot be so.
    pub(in crate::stream) fn see(&mut self, seen: &Seen) -> bool {
        let loose = self.loose.clone();
        let is_seen = self.keep(|moment| fits(moment.as_ref(), seen, &loose));
        self.drop_loose(seen);
        is_seen
    }

    /// What has left by itself does not come back.
    fn drop_loose(&mut self, seen: &Seen) {
        let Some((_, present)) = seen else { return };
        let gone: Vec<u64> = self.loose.difference(present).copied().collect();
        for moment in self.worlds.iter_mut().flat_map(|world| &mut world.chain) {
            if let Some(state) = &**moment
                && gone.iter().any(|sequence| state.messages.contains_key(sequence))
            {
                let mut state = state.clone();
                state.messages.retain(|sequence, _| !gone.contains(sequence));
                *moment = Arc::new(Some(state));
            }
        }
    }

    /// A message is seen; false if it cannot be there, or not with this subject and payload.
    pub(in crate::stream) fn see_message(&mut self, sequence: u64, subject: &str, payload: &str) -> bool {
        self.keep(|moment| {
            let content = moment.as_ref().and_then(|state| state.messages.get(&sequence));
            content.is_some_and(|content| content.subject == subject && content.payload == payload)
        })
    }

    /// The server has started again, and the stream is so; false if it cannot be.
    pub(in crate::stream) fn start_again(&mut self, seen: &Seen, also: impl Fn(&State) -> bool) -> bool {
        let loose = self.loose.clone();
        let fits =
            |moment: &Option<State>| fits(moment.as_ref(), seen, &loose) && moment.as_ref().is_none_or(&also);
        if !self.keep(fits) {
            return false;
        }
        self.drop_loose(seen);
        for world in &mut self.worlds {
            world.chain.truncate(1);
            (world.outcomes, world.floating) = (BTreeMap::new(), None);
        }
        self.worlds.dedup_by(|one, other| one.chain == other.chain);
        true
    }

    /// What it may be, in words.
    pub(in crate::stream) fn describe(&self) -> String {
        let lines = self.worlds.iter().map(|world| {
            let chain = world.chain.iter().map(|moment| match &**moment {
                None => "nothing".to_owned(),
                Some(state) => {
                    let at: Vec<_> = state.messages.keys().collect();
                    format!("{at:?} through {} {:?} {:?}", state.last, state.consumers, state.definition)
                }
            });
            format!("{}, floating: {:?}", chain.collect::<Vec<_>>().join(" > "), world.floating)
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// A world that may be taken back.
pub(in crate::stream) struct Memory(World);

fn fits(moment: Option<&State>, seen: &Seen, loose: &BTreeSet<u64>) -> bool {
    match (moment, seen) {
        (None, None) => true,
        (Some(state), Some((last, present))) => {
            state.last == *last
                && present.iter().all(|sequence| state.messages.contains_key(sequence))
                && state.messages.keys().all(|at| present.contains(at) || loose.contains(at))
        }
        _ => false,
    }
}
