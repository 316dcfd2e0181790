//! Operations of several requests that are answered in their order: RESP, and HTTP/1.1.
//!
//! Those of one request, of which nothing need be remembered, are in [`super::singles`].

use std::collections::VecDeque;
use std::marker::PhantomData;

use super::answers::Answers;
use super::keys::Keys;
use super::operation::{Mix, Step};
use super::template::Filling;
use super::traffic::{Stage, Traffic};

/// Clients that each have one operation at a time.  As many share a connection as the pipeline is deep.
pub(super) struct Exchange<A> {
    mix: Mix,
    keys: Keys,
    clients: Vec<Client>,
    connections: Vec<Conversation>,
    /// Clients without an operation; the one that has waited longest is first.
    idle: VecDeque<u32>,
    /// Clients that wait before their next request, with the time.  All wait equally long, so they are in order.
    pausing: VecDeque<(u64, u32)>,
    unanswered: usize,
    answers: PhantomData<fn() -> A>,
}

/// One client.
struct Client {
    connection: u32,
    /// Its number among all clients of the run.
    number: u32,
    operation: u16,
    step: u16,
    key: u64,
    /// When its operation was meant to begin.
    intended: u64,
    /// What the last answer told for the next request.
    told: Vec<u8>,
}

/// The clients whose requests are on their way over a connection, in order.
type Conversation = VecDeque<u32>;

/// Why a run ends with an answer to nothing.
#[cold]
pub(super) fn unasked<A: Answers>(answer: &[u8]) -> String {
    format!("it said \"{}\" without being asked", A::text(answer).escape_ascii())
}

/// How many clients there are, and on how many connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crowd {
    /// Connections of this thread.
    pub(super) connections: usize,
    /// Clients on each.
    pub(super) pipeline: usize,
    /// The number of the first client.
    pub(super) first_client: usize,
}

impl<A: Answers> Exchange<A> {
    /// Clients that have not begun yet.
    pub(super) fn new(mix: Mix, keys: Keys, crowd: Crowd) -> Exchange<A> {
        let count = crowd.connections * crowd.pipeline;
        let client = |index: usize| Client {
            connection: (index / crowd.pipeline) as u32,
            number: (crowd.first_client + index) as u32,
            operation: 0,
            step: 0,
            key: 0,
            intended: 0,
            told: Vec::new(),
        };
        // Round the connections, so that few operations at a time spread over all of them.
        let idle = (0..crowd.pipeline)
            .flat_map(|place| {
                (0..crowd.connections).map(move |connection| (connection * crowd.pipeline + place) as u32)
            })
            .collect();
        Exchange {
            mix,
            keys,
            clients: (0..count).map(client).collect(),
            connections: (0..crowd.connections).map(|_| VecDeque::with_capacity(crowd.pipeline)).collect(),
            idle,
            pausing: VecDeque::new(),
            unanswered: 0,
            answers: PhantomData,
        }
    }

    /// Begins an operation of a client.
    #[inline]
    fn start(&mut self, client: u32, intended: u64, stage: &mut Stage<'_>) {
        let operation = self.mix.choose(stage.random);
        let key = self.keys.draw(stage.random);
        let entry = &mut self.clients[client as usize];
        (entry.operation, entry.step, entry.key, entry.intended) = (operation as u16, 0, key, intended);
        self.ask(client, stage);
    }

    /// Sends the request of a client's present step.
    #[inline]
    fn ask(&mut self, client: u32, stage: &mut Stage<'_>) {
        let entry = &self.clients[client as usize];
        let connection = entry.connection as usize;
        let step = &self.mix.steps(entry.operation as usize)[entry.step as usize];
        let filling = Filling { key: entry.key, client: entry.number, answer: &entry.told };
        let keys = &mut self.keys;
        let output = stage.outputs[connection].bytes();
        step.request.write(output, &filling, stage.random, |random| keys.draw(random));
        self.connections[connection].push_back(client);
        self.unanswered += 1;
    }

    /// Takes an answer in.
    fn step_on(&mut self, client: u32, answer: &[u8], is_error: bool, stage: &mut Stage<'_>) {
        let entry = &mut self.clients[client as usize];
        let steps = self.mix.steps(entry.operation as usize);
        let step: &Step = &steps[entry.step as usize];
        // Over HTTP a refusal is an error by its code.
        let is_refused = step.is_refusal.is_some_and(|is_refusal| is_refusal(answer));
        if step.is_timed {
            stage.tally.timed(stage.now.saturating_sub(entry.intended), 1);
        }
        let is_last = usize::from(entry.step) + 1 == steps.len();
        if is_error && !is_refused {
            stage.tally.failed(&A::text(answer));
        }
        if is_refused {
            stage.tally.refused += 1;
        }
        if is_last || is_error || is_refused {
            stage.tally.ended(1);
            return self.go_on(client, stage);
        }
        if let Some(take) = step.taken {
            entry.told = take(answer).unwrap_or_default().to_vec();
        }
        entry.step += 1;
        if step.pause == 0 {
            self.ask(client, stage);
        } else {
            self.pausing.push_back((stage.now + step.pause, client));
        }
    }

    /// Has a client begin its next operation, if one may begin.
    #[inline]
    fn go_on(&mut self, client: u32, stage: &mut Stage<'_>) {
        match stage.pace.begin(stage.now) {
            Some(intended) => self.start(client, intended, stage),
            None => self.idle.push_back(client),
        }
    }
}

impl<A: Answers> Traffic for Exchange<A> {
    fn begin(&mut self, stage: &mut Stage<'_>) {
        while let Some(&(at, client)) = self.pausing.front()
            && at <= stage.now
        {
            self.pausing.pop_front();
            self.ask(client, stage);
        }
        while let Some(&client) = self.idle.front()
            && let Some(intended) = stage.pace.begin(stage.now)
        {
            self.idle.pop_front();
            self.start(client, intended, stage);
        }
    }

    fn receive(&mut self, connection: usize, input: &[u8], stage: &mut Stage<'_>) -> Result<usize, String> {
        let mut at = 0;
        while let Some(answer) = A::next(&input[at..])? {
            let whole = &input[at..at + answer.length];
            at += answer.length;
            let Some(client) = self.connections[connection].pop_front() else {
                return Err(unasked::<A>(whole));
            };
            self.unanswered -= 1;
            self.step_on(client, whole, answer.is_error, stage);
        }
        Ok(at)
    }

    fn is_settled(&self) -> bool {
        self.unanswered == 0 && self.pausing.is_empty()
    }

    fn wake_at(&self) -> Option<u64> {
        self.pausing.front().map(|(at, _)| *at)
    }

    fn missing(&self) -> String {
        format!("{} requests are unanswered", self.unanswered)
    }
}
