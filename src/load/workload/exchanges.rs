//! The plan of every workload that is requests and their answers.

use std::marker::PhantomData;

use super::super::answers::Answers;
use super::super::exchange::{Crowd, Exchange};
use super::super::keys::Keys;
use super::super::operation::Mix;
use super::super::options::Options;
use super::super::pacing::Bound;
use super::super::plan::{Plan, Share};
use super::super::run::{Terms, drive};
use super::super::singles::Singles;
use super::super::target::Target;
use super::super::traffic::Traffic;

/// Connections and pipeline with which keys are set before a run.
const FILL_CONNECTIONS: usize = 8;
const FILL_PIPELINE: usize = 64;

/// Operations by many clients at once.
pub(super) struct Exchanges<A> {
    mix: Mix,
    keys: Keys,
    connections: usize,
    pipeline: usize,
    fill: Option<Fill>,
    words: Option<&'static str>,
    silence: u64,
    answers: PhantomData<fn() -> A>,
}

/// What sets all keys before a run.
struct Fill {
    mix: Mix,
    keys: u64,
    pipeline: usize,
}

impl<A: Answers> Exchanges<A> {
    /// These operations on the keys and connections that were chosen.
    ///
    /// # Errors
    /// If what was chosen is impossible.
    pub(super) fn new(options: &Options, mix: Mix) -> Result<Exchanges<A>, String> {
        let (connections, pipeline) = options.crowd()?;
        let keys = options.keys()?;
        Ok(Exchanges {
            mix,
            keys,
            connections,
            pipeline,
            fill: None,
            words: None,
            silence: 0,
            answers: PhantomData,
        })
    }

    /// Runs `mix` once for each key before.
    pub(super) fn filled_by(mut self, mix: Mix, is_pipelined: bool) -> Exchanges<A> {
        let pipeline = if is_pipelined { FILL_PIPELINE } else { 1 };
        self.fill = Some(Fill { mix, keys: self.keys.count(), pipeline });
        self
    }

    /// Allows the server to say nothing for so many microseconds more than usual.
    pub(super) fn silent_for(mut self, micros: u64) -> Exchanges<A> {
        self.silence = micros;
        self
    }

    /// Says which words the server understands.
    pub(super) fn in_words(mut self, words: &'static str) -> Exchanges<A> {
        self.words = Some(words);
        self
    }
}

impl<A: Answers> Plan for Exchanges<A> {
    fn connections(&self) -> usize {
        self.connections
    }

    fn prepare(&self, target: &Target) -> Result<(), String> {
        let Some(Fill { mix, keys, pipeline }) = &self.fill else { return Ok(()) };
        let filling: Exchanges<A> = Exchanges {
            mix: mix.clone(),
            keys: Keys::Sequential { next: 0, step: 1, count: *keys },
            connections: FILL_CONNECTIONS,
            pipeline: *pipeline,
            fill: None,
            words: None,
            silence: 0,
            answers: PhantomData,
        };
        let terms = Terms { bound: Bound::Count(*keys), rate: None, threads: 1, seed: 0 };
        let outcome = drive(target, &filling, terms, &mut |_| {})?;
        match outcome.tally.first_error {
            Some(error) => Err(target.fault(&format!("a key could not be set before the run: {error}"))),
            None => Ok(()),
        }
    }

    fn traffic(&self, share: Share) -> Box<dyn Traffic> {
        let crowd = Crowd {
            connections: share.count,
            pipeline: self.pipeline,
            first_client: share.first * self.pipeline,
        };
        let keys = self.keys.of_thread(share.thread, share.threads);
        let mix = self.mix.clone();
        if Singles::<A>::fits(&mix) {
            Box::new(Singles::<A>::new(mix, keys, crowd))
        } else {
            Box::new(Exchange::<A>::new(mix, keys, crowd))
        }
    }

    fn silence(&self) -> u64 {
        self.silence
    }

    fn words(&self) -> Option<&'static str> {
        self.words
    }
}
