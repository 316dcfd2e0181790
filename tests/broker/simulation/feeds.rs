//! Readers of messages over HTTP: feeds of server-sent events and of lines, without HTTP around them.

use std::sync::Arc;
use std::task::{Poll, Waker};

use quartet::delivery::{Encoding, FanOut, Feed, SubscriptionOptions, Topic};
use quartet::random::Random;
use quartet::settings::SlowConsumer;

use super::auditor::{Auditor, Operation, Pattern, Wanted};
use super::client::{Heard, number_of};

/// Feeds at a time.
const FEEDS_MAX: usize = 4;

/// The auditor tells them from other clients by their numbers.
const FIRST_NUMBER: usize = 1_000_000;

/// Each feed is one subscription.
const NAME: &str = "feed";

const PATTERNS: [&str; 4] = ["a.*", ">", "c", "b.x"];

/// See the module's text.
pub(super) struct Feeds {
    readers: Vec<Reader>,
    opened: usize,
    /// All that waits may be too much together: then one that reads whenever it can may miss a part of a long batch too.
    is_bounded: bool,
}

struct Reader {
    number: usize,
    feed: Feed,
    is_stalled: bool,
    /// It may miss something.
    may_miss: bool,
    unread: Vec<u8>,
}

impl Feeds {
    /// No feed yet.
    pub(super) fn new(is_bounded: bool) -> Feeds {
        Feeds { readers: Vec::new(), opened: 0, is_bounded }
    }

    /// One opens, goes away, stalls or reads on.
    pub(super) fn change(&mut self, fan_out: &Arc<FanOut>, random: &mut Random, auditor: &mut Auditor) {
        if self.readers.len() < FEEDS_MAX && random.below(2) == 0 {
            return self.open(fan_out, random, auditor);
        }
        if self.readers.is_empty() {
            return;
        }
        let place = random.below(self.readers.len());
        if random.below(4) == 0 {
            let gone = self.readers.swap_remove(place);
            auditor.end(gone.number);
        } else {
            let reader = &mut self.readers[place];
            reader.is_stalled = !reader.is_stalled;
            reader.may_miss |= reader.is_stalled;
        }
    }

    fn open(&mut self, fan_out: &Arc<FanOut>, random: &mut Random, auditor: &mut Auditor) {
        let text = PATTERNS[random.below(PATTERNS.len())];
        let policy = SlowConsumer::ALL[random.below(SlowConsumer::ALL.len())];
        let encoding = [Encoding::MessageEvent, Encoding::JsonLine][random.below(2)];
        let options = SubscriptionOptions { slow_consumer: Some(policy), ..SubscriptionOptions::default() };
        let topics = vec![Topic::of_pattern(text.as_bytes())];
        let feed = Feed::open(fan_out, topics, encoding, &options, None).expect("there are few");
        let number = FIRST_NUMBER + self.opened;
        self.opened += 1;
        let wanted = Wanted { pattern: Pattern::Tokens(text), group: None, policy };
        auditor.perform(number, Operation::Subscribe(NAME.to_owned(), wanted));
        self.readers.push(Reader {
            number,
            feed,
            is_stalled: false,
            may_miss: self.is_bounded,
            unread: Vec::new(),
        });
    }

    /// Those that are not stalled read what there is.
    pub(super) fn read(&mut self, auditor: &mut Auditor) -> Result<(), String> {
        for place in (0..self.readers.len()).rev() {
            let reader = &mut self.readers[place];
            if !reader.is_stalled && !reader.read(auditor)? {
                let ended = self.readers.swap_remove(place);
                auditor.end(ended.number);
            }
        }
        Ok(())
    }

    /// All read what there is, and know of all that they were sent.
    pub(super) fn finish(mut self, auditor: &mut Auditor) -> Result<(), String> {
        self.readers.iter_mut().for_each(|reader| reader.is_stalled = false);
        self.read(auditor)?;
        self.readers.iter().try_for_each(|reader| auditor.check_complete(reader.number))
    }
}

impl Reader {
    /// Reads everything; false if the feed has ended.
    fn read(&mut self, auditor: &mut Auditor) -> Result<bool, String> {
        loop {
            match self.feed.poll_next(Waker::noop()) {
                Poll::Pending => break,
                Poll::Ready(Some(bytes)) => self.unread.extend_from_slice(&bytes),
                Poll::Ready(None) if self.may_miss => return Ok(false),
                Poll::Ready(None) => {
                    return Err(format!("feed {} has ended and was not slow", self.number));
                }
            }
        }
        for line in std::mem::take(&mut self.unread).split(|&byte| byte == b'\n') {
            let json = line.strip_prefix(b"data: ").unwrap_or(line);
            if json.is_empty() || json.starts_with(b"event: ") {
                continue;
            }
            let object: serde_json::Value =
                serde_json::from_slice(json).map_err(|error| error.to_string())?;
            let name = NAME.to_owned();
            let heard = match object["missed"].as_u64() {
                Some(missed) => Heard::Gap { name, missed },
                None => {
                    let number = number_of(object["payload"].as_str().unwrap_or_default().as_bytes())?;
                    Heard::Message { name, number }
                }
            };
            auditor.hear(self.number, &heard, self.may_miss)?;
        }
        Ok(true)
    }
}
